"""One phone call's connection: listened to until it stops, drops or falls silent."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from math import isnan
from time import monotonic

from starlette.websockets import WebSocket, WebSocketDisconnect

from apps.live.judging import Judging
from apps.live.lag import LATE_S, Lag
from apps.live.messages import Media, MessageError, Start, Stop, decode_mu_law, read_message
from apps.live.switchboard import CallName, Switchboard
from apps.live.track import IN_ORDER, LATE, LEAP, ORDERS, Joint, Stretch, Track
from helpers.conversation.live import ALERT_FROM, LiveMood
from helpers.errors import ModelError

START_S, IDLE_S = 10.0, 30.0
"""Seconds after which a connection without `start`, then one without sound, is closed."""

TURN_S = 0.002
"""Seconds after which it is another stream's turn, however much sound of this one is waiting."""

STOPPED, DROPPED, IDLE = "stopped", "dropped", "idle"
"""How a call may end: as it should, with the connection, for want of sound."""

_LOG = logging.getLogger(__name__)


class RefusedError(Exception):
    """A stream that may not be heard.

    Attributes:
        code: of the WebSocket's close
        reason: in at most 123 bytes, as WebSocket demands
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Stream:
    """Listens to one connection.

    It waits for its own judgements and for nothing else: whoever sends faster than these come is
    slowed by the connection, and hears the same as in real time.

    Args:
        websocket: accepted
        switchboard: is told of the call
        judging: is asked about its sound
        admit: raises `RefusedError` where the stream may not begin
        idle_s: see `IDLE_S`
        alert_from: probability from which on there is an alert
    """

    def __init__(
        self,
        websocket: WebSocket,
        *,
        switchboard: Switchboard,
        judging: Judging,
        admit: Callable[[Start], None],
        idle_s: float = IDLE_S,
        alert_from: float = ALERT_FROM,
    ) -> None:
        self._websocket, self._switchboard, self._judging = websocket, switchboard, judging
        self._admit, self._idle_s, self._alert_from = admit, idle_s, alert_from
        self._start: Start | None = None
        self._name: CallName | None = None
        self._mood: LiveMood | None = None
        self._track, self._joint, self._lag = Track(), Joint(), Lag()
        self._problems: Counter[str] = Counter()
        self._told: set[str] = set()
        self._untold: list[MessageError] = []
        self._deadline = asyncio.get_running_loop().time() + min(START_S, idle_s)

    async def run(self) -> None:
        """Listen until the call is over; its end is told whatever happens."""
        reason = DROPPED
        try:
            reason = await self._listen()
            if reason != DROPPED:
                await self._websocket.close(*_CLOSES[reason])
        except RefusedError as error:
            await self._websocket.close(error.code, error.reason)
        except WebSocketDisconnect:
            _LOG.debug("a stream was dropped while it was answered")
        finally:
            if self._name:
                self._switchboard.end(self._name, reason)
            if self._problems:
                _LOG.warning("a stream %s; left out: %s", reason, dict(self._problems))

    async def _listen(self) -> str:
        turn_until = monotonic() + TURN_S
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    received = await self._websocket.receive()
            except TimeoutError:
                return IDLE
            if received["type"] == "websocket.disconnect":
                return DROPPED
            try:
                message = read_message(received.get("text") or received.get("bytes") or "")
                if isinstance(message, Stop):
                    return STOPPED
                if message is not None:
                    await self._take(message)
                    self._deadline = asyncio.get_running_loop().time() + self._idle_s
            except MessageError as error:
                await self._note(error)
            if monotonic() > turn_until:
                await asyncio.sleep(0)
                turn_until = monotonic() + TURN_S

    async def _take(self, message: Start | Media) -> None:
        if isinstance(message, Start):
            await self._begin(message)
        elif self._start is None:
            raise MessageError("early sound", "Sound came before the start message: it is lost.")
        elif message.track == self._start.customer and self._mood:
            await self._hear(message)

    async def _begin(self, start: Start) -> None:
        if self._start:
            raise MessageError("second start", "A stream says twice that it starts.")
        self._admit(start)
        self._start = start
        self._name = self._switchboard.begin(start.stream, start.call, start.agent)
        for problem in self._untold:
            await self._tell_problem(problem)
        for problem in start.problems:
            await self._note(problem)
        if start.is_heard:
            await self._get_ready()

    async def _get_ready(self) -> None:
        try:
            facts = await self._judging.describe()
        except ModelError as error:
            _LOG.warning("no mood is heard in a call: %s", error)
            await self._note(MessageError("no model", _NO_MODEL))
            return
        self._switchboard.set_banner(facts.banner)
        self._mood = LiveMood(memory_s=facts.memory_s, alert_from=self._alert_from)

    async def _hear(self, media: Media) -> None:
        at_s, order = self._track.place(media.at_s, len(media.content))
        if order != IN_ORDER:
            await self._note(MessageError(order, ORDERS[order]))
        if order == LEAP:
            return
        for stretch in self._joint.add(at_s, media.content):
            await self._judge(stretch)
            if order != LATE:
                await self._check_lag(stretch.at_s)

    async def _judge(self, stretch: Stretch) -> None:
        self._mood.hear(decode_mu_law(stretch.content), at_s=stretch.at_s)
        while (excerpt := self._mood.next_excerpt()) is not None:
            try:
                upset = await self._judging.judge(excerpt)
            except Exception:  # whatever a model does not like about this sound: the call goes on
                _LOG.exception("a moment of a call could not be judged")
                await self._note(MessageError("not judged", _NOT_JUDGED))
                continue
            self._switchboard.set_banner(self._judging.banner)
            mood = self._mood.take_in(excerpt, upset)
            if isnan(mood.upset):  # the judge has not said anything yet
                continue
            await self._answer(self._switchboard.tell_mood(self._name, mood))

    async def _check_lag(self, at_s: float) -> None:
        if not self._lag.follow(monotonic(), at_s):
            return
        problem = MessageError("late moods", _LATE_MOODS)
        if self._lag.is_long:
            await self._note(problem)
        else:
            self._told.discard(problem.kind)
            await self._answer(self._switchboard.end_problem(self._name, problem.kind))

    async def _note(self, problem: MessageError) -> None:
        """Count a problem; the first of its kind is told, and the next once that is over."""
        self._problems[problem.kind] += 1
        if problem.kind in self._told:
            return
        self._told.add(problem.kind)
        if self._name:
            await self._tell_problem(problem)
        else:
            self._untold.append(problem)

    async def _tell_problem(self, problem: MessageError) -> None:
        await self._answer(self._switchboard.tell_problem(self._name, problem.kind, str(problem)))

    async def _answer(self, message: dict[str, object]) -> None:
        """Send a message to who asked for answers; Twilio takes any for a mistake."""
        if self._start.wants_answers:
            await self._websocket.send_json(message)


_CLOSES = {STOPPED: (1000, ""), IDLE: (1001, "no sound came for too long")}
_NO_MODEL = (
    "The mood of this call is not heard: this server has no model that it could ask. Train one, or "
    "look into the server's log."
)
_NOT_JUDGED = "Some moments of this call could not be judged; the server's log says why."
_LATE_MOODS = (
    f"Moods come more than {LATE_S:g} s late: there are too many calls for this computer, or "
    "the line to the phone system is slow."
)
