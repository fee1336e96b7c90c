"""What can go wrong, told as RFC 9457 problem details in plain words."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
"""Content type of every answer that tells a problem."""


class Kind(NamedTuple):
    """A kind of problem.

    Attributes:
        status: HTTP status code
        title: what it is, the same each time
        advice: what the caller, or the service's keeper, can do
        example: a detail as it may be told
    """

    status: int
    title: str
    advice: str
    example: str


KINDS = {
    "bad-request": Kind(
        400,
        "The request cannot be understood",
        "Compare the request with the examples on /docs.",
        "The request cannot be understood: Bad Request.",
    ),
    "unknown-host": Kind(
        400,
        "The service is not known under this name",
        "Without a token the service answers on its own computer only: ask for localhost or "
        "127.0.0.1, or let the service's keeper set a token.",
        "The header Host is none of localhost, 127.0.0.1 and [::1].",
    ),
    "broken-form": Kind(
        400,
        "The form is damaged",
        "Let a library make the multipart/form-data body, and send all of it.",
        "The form ends before its last boundary: send it again, whole.",
    ),
    "missing-file": Kind(
        400,
        "There is no recording in the request, or more than one",
        "Send one recording: as the field `file` of a form, with a file name, or as the body, with "
        'the header Content-Disposition: attachment; filename="call.wav".',
        "The form has no field 'file': send the recording under this name.",
    ),
    "token-needed": Kind(
        401,
        "A token is needed",
        "Send the header Authorization: Bearer, followed by the token that the service's keeper "
        "has given you.",
        "The token is missing or is not the right one.",
    ),
    "not-found": Kind(
        404,
        "There is nothing under this address",
        "See /docs for the addresses that there are.",
        "There is nothing under this address: see /docs.",
    ),
    "unknown-version": Kind(
        404,
        "There is no such version of the model",
        "See /api/models/ for the versions that there are, or leave `version` out.",
        "There is no version '0009-00000000': see /api/models/.",
    ),
    "method-not-allowed": Kind(
        405,
        "This address does not take such a request",
        "The header Allow of the answer names what it takes.",
        "This address takes POST, not GET.",
    ),
    "upload-too-slow": Kind(
        408,
        "The upload took too long",
        "Send the recording again over a faster line, or compressed, such as FLAC or Ogg.",
        "Nothing arrived for 30 s: send the recording again.",
    ),
    "too-large": Kind(
        413,
        "The upload is too large",
        "Send a single call, compressed, such as FLAC, Ogg or MP3.",
        "The upload is larger than 200 MB.",
    ),
    "unsupported-media-type": Kind(
        415,
        "The body is of a kind that is not taken",
        "Send a form (multipart/form-data), or the recording itself as application/octet-stream "
        "or audio/*, not compressed by a Content-Encoding.",
        "The body is application/json, expected multipart/form-data, application/octet-stream or "
        "audio/*.",
    ),
    "invalid-parameter": Kind(
        422,
        "A parameter cannot be used",
        "See /docs for what each parameter may be.",
        "coverage: Input should be less than or equal to 1.",
    ),
    "unusable-recording": Kind(
        422,
        "The recording cannot be judged",
        "Send a call of 1 s or more with one channel or two: WAV (mu-law, A-law, GSM, PCM), bare "
        "G.711, FLAC, Ogg or MP3; m4a, aac and amr where the service has ffmpeg.",
        "The recording cannot be used: too short: 0.50 s; a call has at least 1 s.",
    ),
    "internal-error": Kind(
        500,
        "Something broke inside the service",
        "Tell the service's keeper when that was; the service's log holds the reason.",
        "Something broke inside the service; its log holds the reason.",
    ),
    "busy": Kind(
        503,
        "The service has too much to do",
        "Try again after the seconds that the header Retry-After names.",
        "Recordings being judged or waiting for it: 70, which is the limit. Try again in 30 s.",
    ),
    "no-model": Kind(
        503,
        "No model can judge",
        "The service's keeper has to train a model (make train) or to go back to an earlier one; "
        "the service's log holds the reason.",
        "No model can judge at present; the service's log holds the reason.",
    ),
}
"""Every kind of problem, by the last part of its `type`."""

_WORDS = {"string_pattern_mismatch": "Expected a name such as 0001-9d64a489, see /api/models/"}
_OF_STATUS = {404: "not-found", 405: "method-not-allowed"}


SCHEMA = {
    "type": "object",
    "description": "A problem as RFC 9457 describes it.",
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "description": "address of a page about this kind of problem"},
        "title": {"type": "string", "description": "the kind of problem, in words"},
        "status": {"type": "integer", "description": "HTTP status code"},
        "detail": {"type": "string", "description": "what is wrong this time, and what to do"},
    },
}
"""JSON schema of a problem."""


class Problem(Exception):  # noqa: N818 - it is told to the caller, as a problem
    """A request that cannot be answered as hoped.

    Attributes:
        kind: one of `KINDS`
        detail: what is wrong this time, in a sentence
        headers: what else the answer's head holds
    """

    def __init__(self, kind: str, detail: str = "", **headers: str) -> None:
        super().__init__(detail or KINDS[kind].example)
        self.kind = kind
        self.detail = detail or KINDS[kind].example
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer_problem(problem: Problem) -> JSONResponse:
    """Make the answer that tells a problem."""
    return JSONResponse(
        _describe(problem.kind, problem.detail),
        KINDS[problem.kind].status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def describe_problems(*kinds: str) -> dict[int | str, dict[str, object]]:
    """Describe problems for OpenAPI: what FastAPI takes as `responses`."""
    responses: dict[int | str, dict[str, object]] = {}
    for name in kinds:
        kind = KINDS[name]
        example = {"summary": kind.title, "value": _describe(name, kind.example)}
        response = responses.setdefault(
            kind.status,
            {
                "description": HTTPStatus(kind.status).phrase,
                "content": {MEDIA_TYPE: {"schema": SCHEMA, "examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][name] = example
    return responses


def tell_problems(app: FastAPI) -> None:
    """Answer every error of the app by a problem."""

    @app.exception_handler(Problem)
    async def tell(request: Request, problem: Problem) -> JSONResponse:
        return answer_problem(problem)

    @app.exception_handler(RequestValidationError)
    async def tell_validation(request: Request, error: RequestValidationError) -> JSONResponse:
        reasons = [_explain(each) for each in error.errors()]
        return answer_problem(Problem("invalid-parameter", " ".join(reasons)))

    @app.exception_handler(HTTPException)
    async def tell_http(request: Request, error: HTTPException) -> JSONResponse:
        name = _OF_STATUS.get(error.status_code, "bad-request")
        problem = Problem(name)
        if name == "method-not-allowed":
            allowed = (error.headers or {}).get("Allow", "another method")
            detail = f"This address takes {allowed}, not {request.method}."
            problem = Problem(name, detail, Allow=allowed)
        return answer_problem(problem)


def _describe(name: str, detail: str) -> dict[str, object]:
    kind = KINDS[name]
    return {
        "type": f"/problems/{name}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }


def _explain(error: Mapping[str, Any]) -> str:
    words = _WORDS.get(error["type"], error["msg"])
    return f"{error['loc'][-1]}: {words}."
