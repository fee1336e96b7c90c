"""Live calls over WebSockets: phone systems send their sound, screens show the mood in it."""

import asyncio
import contextlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from apps.live.judging import Judging
from apps.live.messages import Start
from apps.live.page import render_page
from apps.live.stream import IDLE_S, RefusedError, Stream
from apps.live.switchboard import Switchboard, Watcher
from helpers.conversation.judges import Judge, find_judge
from helpers.conversation.live import ALERT_FROM
from helpers.errors import CallEmotionError
from helpers.workspace import Workspace

MOST_STREAMS = 32
"""Calls that are listened to at the same time; more are refused."""

MOST_WATCHERS = 200
"""Screens that may watch at the same time."""

TOKEN_S = 10.0
"""Seconds that a screen has for showing its token."""

STILL_HERE, STILL_HERE_S = '{"event": "still here"}', 15.0
"""Sent where there is no news for so many seconds: a screen without any takes us for lost."""

REFUSED, TRY_LATER = 1008, 1013
"""WebSocket's codes for who may not come in, and for who may come later."""

WRONG_TOKEN = "the token is missing or wrong"
"""Reason that comes with the first of these codes; the page asks for the token then."""

_LOG = logging.getLogger(__name__)


class LiveCalls:
    """The live part of a service: `/live/stream`, `/live/watch` and the page `/live`.

    The models are those that the workspace holds; others take over within some seconds.

    Attributes:
        router: to include in an application; loads the models when that starts
        switchboard: knows the calls in progress
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        token: str = "",
        count: int = 1,
        most_streams: int = MOST_STREAMS,
        idle_s: float = IDLE_S,
        alert_from: float = ALERT_FROM,
        find_judge: Callable[[Workspace], Judge] = find_judge,
    ) -> None:
        """Set up; nothing is loaded or listened to yet.

        Args:
            workspace: whose judge is asked
            token: that phone systems and screens have to show; empty for none
            count: processes that judge
            most_streams: see `MOST_STREAMS`
            idle_s: seconds without sound after which a stream is closed
            alert_from: probability from which on there is an alert
            find_judge: gives the judge of a workspace; a function of a module
        """
        self.switchboard = Switchboard()
        self.router = APIRouter(lifespan=self._live)
        self._judging = Judging(find_judge, workspace, count=count)
        self._token, self._most_streams = token, most_streams
        self._idle_s, self._alert_from = idle_s, alert_from
        self._connections = 0
        self.router.add_api_websocket_route("/live/stream", self._listen)
        self.router.add_api_websocket_route("/live/watch", self._show)
        self.router.add_api_route("/live", self._page, include_in_schema=False)

    def close(self) -> None:
        """End the processes that judge."""
        self._judging.close()

    @contextlib.asynccontextmanager
    async def _live(self, application: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(self._load())
        yield
        loading.cancel()
        self.close()

    async def _load(self) -> None:
        try:
            self.switchboard.set_banner((await self._judging.start()).banner)
        except CallEmotionError as error:  # calls will say so, and try again
            _LOG.warning("no mood can be heard in live calls yet: %s", error)

    async def _page(self) -> HTMLResponse:
        content, headers = render_page(needs_token=bool(self._token), alert_from=self._alert_from)
        return HTMLResponse(content, headers=headers)

    async def _listen(self, websocket: WebSocket) -> None:
        if _is_foreign(websocket):
            await websocket.close(REFUSED)
            return
        await websocket.accept()
        if self._connections >= 2 * self._most_streams:
            await websocket.close(TRY_LATER, "too many connections")
            return
        shown = _read_bearer(websocket)

        def admit(start: Start) -> None:
            if not (self._is_right(shown) or self._is_right(start.token)):
                raise RefusedError(REFUSED, WRONG_TOKEN)
            if len(self.switchboard) >= self._most_streams:
                words = f"the limit of calls in progress is reached: {self._most_streams}"
                raise RefusedError(TRY_LATER, words)

        self._connections += 1
        try:
            await Stream(
                websocket,
                switchboard=self.switchboard,
                judging=self._judging,
                admit=admit,
                idle_s=self._idle_s,
                alert_from=self._alert_from,
            ).run()
        finally:
            self._connections -= 1

    async def _show(self, websocket: WebSocket) -> None:
        if _is_foreign(websocket):
            await websocket.close(REFUSED)
            return
        await websocket.accept()
        if self.switchboard.watchers >= MOST_WATCHERS:
            await websocket.close(TRY_LATER, f"the limit of screens is reached: {MOST_WATCHERS}")
            return
        watcher = self.switchboard.connect()
        try:
            if self._token and not self._is_right(await _read_token(websocket)):
                await websocket.close(REFUSED, WRONG_TOKEN)
                return
            await _tell(watcher, websocket)
        except WebSocketDisconnect:
            return
        finally:
            self.switchboard.disconnect(watcher)

    def _is_right(self, token: str) -> bool:
        shown, expected = (each.encode(errors="surrogatepass") for each in (token, self._token))
        return not self._token or hmac.compare_digest(shown, expected)


def _read_bearer(websocket: WebSocket) -> str:
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


async def _read_token(websocket: WebSocket) -> str:
    """Wait for the first message, `{"token": ...}`; an empty string where it is another one."""
    try:
        async with asyncio.timeout(TOKEN_S):
            message = json.loads(await websocket.receive_text())
    except (TimeoutError, ValueError, KeyError, RecursionError):
        return ""
    token = message.get("token") if isinstance(message, dict) else None
    return token if isinstance(token, str) else ""


async def _tell(watcher: Watcher, websocket: WebSocket) -> None:
    """Tell a screen what happens until it goes; what it says is not listened to."""

    async def tell() -> None:
        while True:
            try:
                async with asyncio.timeout(STILL_HERE_S):
                    text = await watcher.next()
            except TimeoutError:
                text = STILL_HERE
            await websocket.send_text(text)

    telling = asyncio.create_task(tell())
    try:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            await asyncio.sleep(0)
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
            await telling


def _is_foreign(websocket: WebSocket) -> bool:
    """Say whether a page of another site opens this connection in somebody's browser."""
    origin = websocket.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.casefold() != websocket.headers.get("host", "").casefold()
    except ValueError:
        return True
