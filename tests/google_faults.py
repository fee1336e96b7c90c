"""The answers of the Google server in `google_server.py`, and the ways in which they go wrong."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

# what a request is about: file metadata, file content, a list of files, cells, a spreadsheet,
# a change to a spreadsheet, a token
KINDS = ("meta", "media", "list", "values", "sheet", "write", "token", "other", "any")
RPC_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
REASONS = {
    400: "badRequest",
    401: "authError",
    403: "insufficientFilePermissions",
    404: "notFound",
    429: "rateLimitExceeded",
    500: "internalError",
    503: "backendError",
}
HTML = b"<!DOCTYPE html><html><title>Error</title><p>Try again later</html>"


@dataclass(frozen=True)
class Answer:
    """What is to be sent, and how. The defaults below `file` are how an honest server sends."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json; charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    api: str = "drive"
    file: object = None  # the file of which this is the content
    whole: bytes | None = None  # the content without regard to Range

    declared: int | None = None  # Content-Length, where it differs from the length of the body
    framing: str = "length"  # or "chunked", or "none": it ends where the connection ends
    ending: str = "keep"  # or "close", or "reset"; "silent": close before the status
    pause: float = 0.0  # seconds of silence ...
    pause_at: int | None = None  # ... after so many bytes, or before the status
    step: int = 65536  # bytes sent at a time ...
    interval: float = 0.0  # ... and seconds between them

    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """Yield seconds to wait and bytes to send then."""
        if self.pause_at is not None:
            yield 0.0, self.body[: self.pause_at]
            yield self.pause, self.body[self.pause_at :]
            return
        for start in range(0, len(self.body), self.step):
            yield self.interval if start else 0.0, self.body[start : start + self.step]


def json_answer(value: object, **answer) -> Answer:
    return Answer(json.dumps(value, indent=1).encode(), **answer)


class GoogleError(Exception):
    """A refusal; `details` go into the error of old style (location, locationType)."""

    def __init__(self, status: int, message: str, reason: str | None = None, **details):
        super().__init__(message)
        self.status, self.reason, self.details = status, reason, details

    def answer(self, api: str) -> Answer:
        style = {"drive": "old", "sheets": "new"}.get(api, "string")
        return error_answer(self.status, style, self.reason, str(self), api=api, **self.details)


class MisuseError(GoogleError):
    """A request that no correct client makes: a test should never see one."""


def error_answer(
    status: int,
    style: str,
    reason: str | None = None,
    message: str = "The request failed.",
    *,
    rpc_status: str | None = None,
    retry_after: object = None,
    api: str = "drive",
    **details,
) -> Answer:
    """Put an error into one of the shapes that Google uses: old, new, string or html."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    common = {"status": status, "headers": headers, "api": api}
    if style == "html":
        return Answer(HTML, content_type="text/html; charset=UTF-8", **common)
    if style == "string":
        reason = reason or "internal_failure"
        return json_answer({"error": reason, "error_description": message}, **common)
    error = {"code": status, "message": message}
    if style == "old":
        reason = reason or REASONS.get(status, "backendError")
        limited = any(word in reason for word in ("Limit", "Quota", "limit", "quota"))
        domain = "usageLimits" if limited else "global"
        error["errors"] = [{"message": message, "domain": domain, "reason": reason, **details}]
    elif style == "new":
        error["status"] = rpc_status or RPC_STATUSES.get(status, "UNKNOWN")
        if reason:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            error["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com"}]
    else:
        raise ValueError(f"style {style!r}, expected old, new, string or html")
    return json_answer({"error": error}, **common)


# Each effect takes the server and the answer, and gives the answer that is sent instead.


def status_(server, answer, *, status=503, style=None, **error):
    style = style or {"drive": "old", "sheets": "new"}.get(answer.api, "string")
    return error_answer(status, style, api=answer.api, **error)


def invalid_grant(server, answer):
    return error_answer(400, "string", "invalid_grant", "Invalid JWT Signature.", api="token")


def token_expires(server, answer):
    server.expire_tokens()
    return GoogleError(401, "Invalid Credentials").answer(answer.api)


def body_(server, answer, *, body=b"", status=200, content_type="application/json"):
    return Answer(body, status, content_type, api=answer.api)


def html_200(server, answer):
    return Answer(HTML, content_type="text/html; charset=UTF-8")


def truncated_json(server, answer, *, at=None):
    return _plain(answer, answer.body[: _cut(answer.body, at)])


def cut(server, answer, *, at=None):
    body = answer.body[: _cut(answer.body, at)]
    return replace(answer, body=body, declared=len(answer.body), ending="close")


def cut_consistent(server, answer, *, at=None):
    whole = answer.body if answer.whole is None else answer.whole
    return _plain(answer, whole[: _cut(whole, at)])


def short_range(server, answer, *, at=None, honest=True):
    body = answer.body[: _cut(answer.body, at)]
    headers = dict(answer.headers)
    if honest and (old := headers.get("Content-Range")):
        span, total = old.removeprefix("bytes ").split("/")
        start = int(span.split("-")[0])
        headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{total}"
    return replace(answer, body=body, headers=headers)


def chunked_no_length(server, answer, *, at=None):
    return replace(answer, body=answer.body[:at], headers={}, framing="chunked")


def chunked_cut(server, answer, *, at=None):
    body = answer.body[: _cut(answer.body, at)]
    return replace(answer, body=body, framing="chunked", ending="close")


def no_length(server, answer, *, at=None):
    return replace(answer, body=answer.body[:at], headers={}, framing="none", ending="close")


def bit_flip(server, answer, *, at=0):
    body = bytearray(answer.body)
    if body:
        body[at % len(body)] ^= 1
    return replace(answer, body=bytes(body))


def ignore_range(server, answer):
    return answer if answer.whole is None else _plain(answer, answer.whole)


def overshoot(server, answer, *, by=10):
    return replace(answer, body=answer.body + bytes(by))


def short_content_length(server, answer, *, by=10):
    return replace(answer, declared=max(len(answer.body) - by, 0), ending="close")


def long_content_length(server, answer, *, by=10):
    return replace(answer, declared=len(answer.body) + by, ending="close")


def reset(server, answer, *, at=None):
    body = answer.body[: _cut(answer.body, at)]
    return replace(answer, body=body, declared=len(answer.body), ending="reset")


def close_before_status(server, answer):
    return replace(answer, ending="silent")


def stall(server, answer, *, seconds=60.0, at=None):
    return replace(answer, pause=seconds, pause_at=at)


def drip(server, answer, *, bytes=1000, interval=0.1):
    return replace(answer, step=bytes, interval=interval)


def replace_during(server, answer, *, content=None):
    if answer.file is not None:
        answer.file.replace(_other(answer.whole) if content is None else content)
    return answer


def _cut(body: bytes, at: int | None) -> int:
    return len(body) // 2 if at is None else at


def _other(content: bytes) -> bytes:
    """Other content of the same size."""
    return bytes(byte ^ 0xFF for byte in content)


def _plain(answer: Answer, body: bytes) -> Answer:
    headers = {name: text for name, text in answer.headers.items() if name != "Content-Range"}
    return replace(answer, body=body, status=200, headers=headers)


EFFECTS = {
    effect.__name__.rstrip("_"): effect
    for effect in (
        *(status_, invalid_grant, token_expires, body_, html_200, truncated_json),
        *(cut, cut_consistent, short_range, chunked_no_length, chunked_cut, no_length),
        *(bit_flip, ignore_range, overshoot, short_content_length, long_content_length),
        *(reset, close_before_status, stall, drip, replace_during),
    )
}
BEFORE_ACTING = {"status", "invalid_grant", "token_expires", "body", "html_200"}


class Fault:
    """One way to fail, for some requests.

    Args:
        match: kind of request (one of `KINDS`), or a part of the path
        kind: one of `EFFECTS`, or an HTTP status
        times: how many requests fail; None: all
        nth: the first request to fail, counted among the matching ones since this was added
        file_id: only requests for this file
        options: what the effect takes
    """

    def __init__(self, match, kind, times=1, *, nth=1, file_id=None, **options):
        if isinstance(kind, int):
            kind, options = "status", {"status": kind, **options}
        if kind not in EFFECTS:
            raise ValueError(f"fault {kind!r}, expected a status or one of {sorted(EFFECTS)}")
        inspect.signature(EFFECTS[kind]).bind(None, None, **options)
        self.match, self.kind, self.times, self.nth = match, kind, times, nth
        self.file_id, self.options = file_id, options
        self.seen = self.used = 0

    def __repr__(self):
        return f"Fault({self.match!r}, {self.kind!r}, {self.options}, used {self.used})"

    def matches(self, request) -> bool:
        if self.match in KINDS:
            matches = self.match in ("any", request.kind)
        else:
            matches = self.match in request.path
        return matches and self.file_id in (None, request.file_id)

    @property
    def armed(self) -> bool:
        return self.seen >= self.nth and (self.times is None or self.used < self.times)

    @property
    def before_acting(self) -> bool:
        """Whether the request fails before it has changed anything."""
        return self.kind in BEFORE_ACTING

    def apply(self, server, answer: Answer) -> Answer:
        return EFFECTS[self.kind](server, answer, **self.options)


def next_fault(faults: list[Fault], request) -> Fault | None:
    """Choose the first fault that is armed for this request, and count it as used."""
    matching = [fault for fault in faults if fault.matches(request)]
    for fault in matching:
        fault.seen += 1
    chosen = next((fault for fault in matching if fault.armed), None)
    if chosen:
        chosen.used += 1
    return chosen
