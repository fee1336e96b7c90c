"""Pages for people: what the service takes and gives. They load nothing from anywhere."""

import json
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from apps.api.problems import KINDS, Problem

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["indented"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)


def add_docs(app: FastAPI) -> None:
    """Add `/docs`, made from the app's OpenAPI description, and a page for each problem."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def go_to_docs() -> RedirectResponse:
        return RedirectResponse("docs")

    @router.get("/docs", response_class=HTMLResponse)
    async def show_docs() -> HTMLResponse:
        return _render("docs.html.jinja", **_list_operations(app.openapi()))

    @router.get("/problems/{name}", response_class=HTMLResponse)
    async def show_problem(name: str) -> HTMLResponse:
        if name not in KINDS:
            raise Problem("not-found")
        return _render("problem.html.jinja", name=name, kind=KINDS[name])

    app.include_router(router)


def _render(template: str, **values: object) -> HTMLResponse:
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values), headers=_HEADERS)


def _list_operations(description: dict) -> dict[str, object]:
    schemas = description["components"]["schemas"]
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "needs_token": bool(operation.get("security")),
            "parameters": operation.get("parameters", []),
            "answers": [
                {"status": status, "examples": _list_examples(answer)}
                for status, answer in operation["responses"].items()
            ],
            **{name: operation[name] for name in ("summary", "description")},
        }
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return {"info": description["info"], "operations": operations, "fields": _list_fields(schemas)}


def _list_examples(answer: dict) -> list[dict[str, object]]:
    contents = answer["content"].values()
    return [example for content in contents for example in content["examples"].values()]


def _list_fields(schemas: dict) -> list[tuple[str, str]]:
    """List the fields of an answer about a recording with what they mean."""
    fields = schemas["Prediction"]["properties"]
    return [
        (name, field["description"]) for name, field in fields.items() if "description" in field
    ]
