"""The addresses of the service."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from apps.api.answers import (
    HEALTH_EXAMPLE,
    MODELS_EXAMPLE,
    PREDICTION_EXAMPLE,
    Health,
    Models,
    Prediction,
)
from apps.api.problems import Problem, describe_problems
from apps.api.service import Service
from apps.api.uploads import BARE, FIELD, FORM
from helpers.calibration import COVERAGE

_PREDICT, _MODELS = "/api/predict/", "/api/models/"

_FORM_SCHEMA = {
    "type": "object",
    "required": [FIELD],
    "properties": {
        FIELD: {
            "type": "string",
            "format": "binary",
            "description": "the recording, with its file name",
        }
    },
}
_BODY = {
    "description": (
        "One recording. As a form: `curl -F file=@call.wav ADDRESS/api/predict/`. As it is: `curl "
        "--data-binary @call.wav -H 'Content-Type: application/octet-stream' -H "
        "'Content-Disposition: attachment; filename=\"call.wav\"' ADDRESS/api/predict/`."
    ),
    "required": True,
    "content": {
        FORM: {"schema": _FORM_SCHEMA, "encoding": {FIELD: {"contentType": "audio/wav"}}},
        BARE: {"schema": {"type": "string", "format": "binary"}},
    },
}
_DISPOSITION = {
    "name": "Content-Disposition",
    "in": "header",
    "required": False,
    "description": (
        "File name of a recording that is the body itself; of the name only the ending counts, by "
        "which bare G.711 (.ulaw, .alaw) is known. Not needed with a form."
    ),
    "schema": {"type": "string"},
    "example": 'attachment; filename="call.wav"',
}


def make_routes(service: Service, *, token: str) -> APIRouter:
    """Make the routes of a service.

    Args:
        service: answers them
        token: that callers must send, empty where none is needed; the state of the service needs
            none
    """
    router = APIRouter()
    guarded = APIRouter(
        dependencies=[Depends(_require(token))] if token else [],
        responses=describe_problems("token-needed") if token else {},
    )
    _add_predict(guarded, service)
    _add_models(guarded, service)
    router.include_router(guarded)
    _add_health(router, service)
    return router


def _add_predict(router: APIRouter, service: Service) -> None:
    @router.post(_PREDICT.rstrip("/"), include_in_schema=False)
    @router.post(
        _PREDICT,
        summary="Judge a recording",
        response_model=Prediction,
        responses=_describe_answer(PREDICTION_EXAMPLE)
        | describe_problems(
            *("broken-form", "missing-file", "unknown-version", "upload-too-slow", "too-large"),
            *("unsupported-media-type", "invalid-parameter", "unusable-recording"),
            *("internal-error", "busy", "no-model"),
        ),
        openapi_extra={"requestBody": _BODY, "parameters": [_DISPOSITION]},
    )
    async def predict(
        request: Request,
        version: Annotated[
            str,
            Query(
                pattern=r"^([0-9]{4,8}-[0-9a-f]{8})?$",
                description="Version of the model, see /api/models/; without, the champion judges.",
                examples=["0001-9d64a489"],
            ),
        ] = "",
        coverage: Annotated[
            float,
            Query(
                ge=0,
                le=1,
                allow_inf_nan=False,
                description="Share of calls that the model shall judge alone; the least sure rest "
                "needs a human.",
                examples=[COVERAGE],
            ),
        ] = COVERAGE,
    ) -> Response:
        """Say how the customer leaves, who speaks when, and how the mood goes along the call."""
        content = await service.predict(request, version=version, coverage=coverage)
        return Response(content, media_type="application/json")


def _add_models(router: APIRouter, service: Service) -> None:
    @router.get(_MODELS.rstrip("/"), include_in_schema=False)
    @router.get(
        _MODELS,
        summary="List the versions of the model",
        responses=_describe_answer(MODELS_EXAMPLE)
        | describe_problems("internal-error", "no-model"),
    )
    async def list_models() -> Models:
        """List the stored versions, which of them judges, and how each did."""
        return await service.list_models()


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("/health/", include_in_schema=False)
    @router.get(
        "/health",
        summary="Ask whether the service can judge",
        responses=_describe_answer(HEALTH_EXAMPLE)
        | describe_problems("internal-error", "busy", "no-model"),
    )
    async def tell_health() -> Health:
        """Say that a model can judge, and which one; no token is needed."""
        return Health(status="ok", champion=await service.find_champion())


def _require(token: str):
    bearer = HTTPBearer(auto_error=False, description="The token of the service's keeper.")

    async def require(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> None:
        sent = credentials.credentials if credentials else ""
        if not hmac.compare_digest(sent.encode(), token.encode()):
            raise Problem("token-needed", WWW_Authenticate="Bearer")

    return require


def _describe_answer(example: dict[str, object]) -> dict[int | str, dict[str, object]]:
    examples = {"usual": {"summary": "What is asked for", "value": example}}
    return {200: {"content": {"application/json": {"examples": examples}}}}
