"""What goes around every answer: headers, the access log, and an end in good order."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect

from apps.api.problems import Problem, answer_problem

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
}
"""Headers of every answer that does not set them itself."""

LINGER_S = 1.0
"""Seconds in which the rest of an upload that was answered early is still read, and dropped.

A connection that is closed on unread bytes takes the answer with it before the client reads it.
"""

CLIENT_GONE = 499
"""Status in the log of a request whose client went away before there was an answer."""

logger = logging.getLogger("apps.api.access")
errors = logging.getLogger("apps.api")

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Envelope:
    """ASGI middleware; sockets pass through it untouched."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request and log it: no address, no file name, no parameter."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        start = perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_GONE
        except Exception:
            errors.exception("an unexpected error")
            if exchange.status is None:
                answer = answer_problem(Problem("internal-error"))
                await answer(scope, exchange.receive, exchange.send)
        finally:
            logger.info(
                "%s %s %s, %d bytes received, %.3f s",
                scope["method"],
                getattr(scope.get("route"), "path", "(no such address)"),
                exchange.status or CLIENT_GONE,
                exchange.received,
                perf_counter() - start,
            )


class _Exchange:
    """One request and its answer, as they pass through."""

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        headers = dict(scope["headers"])
        self._waits_for_leave = b"expect" in headers
        self._has_more = (
            b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        )
        self.received = 0
        self.status: int | None = None

    async def receive(self) -> dict[str, Any]:
        message = await self._receive()
        self._waits_for_leave = False
        self.received += len(message.get("body", b""))
        self._has_more = bool(message.get("more_body"))
        return message

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            known = {name.lower() for name, _ in message["headers"]}
            more = [(name, value) for name, value in HEADERS.items() if name not in known]
            if self._has_more:
                more.append((b"connection", b"close"))
            message = {**message, "headers": [*message["headers"], *more]}
            await self._send(message)
        elif message.get("more_body") or not self._has_more:
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._drop_rest()
            await self._send({"type": "http.response.body", "body": b""})

    async def _drop_rest(self) -> None:
        if self._waits_for_leave:  # to be told to go on; it has sent nothing
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while self._has_more:
                    await self.receive()
