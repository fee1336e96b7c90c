"""Which names the service answers to where it needs no token: a browser's own computer's.

A page of another site can let its own name lead to this computer (DNS rebinding) and would then ask
in the name of whoever looks at it. Starlette's middleware for this answers by no problem document.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from apps.api.problems import Problem, answer_problem

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Names under which a computer asks itself."""


class LocalHosts:
    """ASGI middleware that lets in who asks for one of `LOCAL_HOSTS`; sockets too."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or _read_host(scope) in LOCAL_HOSTS:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # which is answered by 403
        else:
            await answer_problem(Problem("unknown-host"))(scope, receive, send)


def _read_host(scope: dict[str, Any]) -> str:
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname or ""
    except ValueError:
        return ""
