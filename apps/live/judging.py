"""The judge of live calls, in processes of its own: no stream waits for another one's sound."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import numpy as np

from apps.stamps import Stamp, stamp_models
from apps.workers import Workers
from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.judges import EmotionJudge, Judge
from helpers.conversation.live import Excerpt, LiveMood, judge_excerpt
from helpers.errors import CallEmotionError, ModelError
from helpers.telephony import SAMPLING_RATE
from helpers.workspace import Workspace

LIMIT_S = 5.0
"""Seconds for one judgement before its process is ended; loading the models is not counted."""

RETRY_S = 60.0
"""Seconds after which models that could not be loaded are looked for again."""

LOOK_S = 2.0
"""Seconds after which it is looked whether the workspace has other models now."""

RENEWAL_S = 2.0
"""Seconds for which a call that begins waits for such models; then they judge from later on."""

_LOG = logging.getLogger(__name__)


class JudgeFacts(NamedTuple):
    """What has to be known of a judge.

    Attributes:
        memory_s: see `helpers.conversation.judges.Judge`
        banner: what has to be said beside its answers, empty for nothing
    """

    memory_s: float
    banner: str


class Judging:
    """Asks the judge of a workspace, which each process loads once, and anew where it changes.

    Another version that judges, or another model of emotions, takes over within some seconds; one
    that cannot be loaded does not, and the log says so.
    """

    def __init__(
        self, find_judge: Callable[[Workspace], Judge], workspace: Workspace, *, count: int
    ) -> None:
        self._workers = Workers(_load, find_judge, workspace, count=count, limit_s=LIMIT_S)
        self._facts: JudgeFacts | None = None
        self._failure = ""
        self._ask_at = 0.0
        self._asking = asyncio.Lock()

    @property
    def banner(self) -> str:
        """What has to be said beside the latest answer, empty for nothing."""
        return self._facts.banner if self._facts else ""

    async def start(self) -> JudgeFacts:
        """Load what the first call would wait for, see `describe`."""
        await asyncio.to_thread(_hear_noise)
        facts = await self.describe()
        await self._workers.start()
        return facts

    async def describe(self) -> JudgeFacts:
        """Give what has to be known of the judge.

        Raises:
            ModelError: where it cannot be loaded; the next attempt is made `RETRY_S` later
        """
        async with self._asking:
            if monotonic() >= self._ask_at:
                try:
                    self._facts = await self._workers.run(_describe)
                    self._ask_at = monotonic() + LOOK_S
                except Exception as error:  # whatever loading models raises
                    self._failure, self._ask_at = str(error), monotonic() + RETRY_S
        if self._facts is None:
            raise ModelError(self._failure)
        return self._facts

    async def judge(self, excerpt: Excerpt) -> float:
        """Give the probability that the customer is upset in an excerpt.

        Raises:
            Exception: what the judge raises
        """
        upset, self._facts = await self._workers.run(_judge, excerpt)
        return upset

    def close(self) -> None:
        """End the processes."""
        self._workers.close()


class _Keeper:
    """Keeps the judge of one process, and replaces it without letting a call wait."""

    def __init__(self, find_judge: Callable[[Workspace], Judge], workspace: Workspace) -> None:
        self._find_judge, self._workspace = find_judge, workspace
        self._stamp = self._look()
        self.judge = self._load()
        self._look_at = monotonic() + LOOK_S
        self._renewal = threading.Thread()

    @property
    def facts(self) -> JudgeFacts:
        banner = ACTED_BANNER if isinstance(self.judge, EmotionJudge) else ""
        return JudgeFacts(self.judge.memory_s, banner)

    def renew(self, *, wait_s: float = 0.0) -> None:
        """Look for other models from time to time, in a thread, and wait at most so long."""
        if monotonic() >= self._look_at and not self._renewal.is_alive():
            self._renewal = threading.Thread(target=self._replace, daemon=True)
            self._renewal.start()
            self._look_at = monotonic() + LOOK_S
        if wait_s and self._renewal.is_alive():
            self._renewal.join(wait_s)

    def _replace(self) -> None:
        earlier, self._stamp = self._stamp, self._look()
        if self._stamp == earlier:
            return
        try:
            self.judge = self._load()
        except Exception as error:  # whatever loading models raises
            _LOG.warning("live calls stay with the models they have: %s", error)

    def _look(self) -> Stamp:
        try:
            return stamp_models(self._workspace)
        except (CallEmotionError, OSError):  # loading will tell what is wrong
            return ()

    def _load(self) -> Judge:
        judge = self._find_judge(self._workspace)
        noise = np.random.default_rng(0).normal(scale=0.1, size=SAMPLING_RATE).astype(np.float32)
        with contextlib.suppress(Exception):  # what is wrong with it will be told of a call
            judge_excerpt(judge, Excerpt(1.0, 0.0, 1.0, noise))
        return judge


_loaded: list[_Keeper] = []


def _load(find_judge: Callable[[Workspace], Judge], workspace: Workspace) -> None:
    _loaded[:] = [_Keeper(find_judge, workspace)]


def _describe() -> JudgeFacts:
    (keeper,) = _loaded
    keeper.renew(wait_s=RENEWAL_S)
    return keeper.facts


def _judge(excerpt: Excerpt) -> tuple[float, JudgeFacts]:
    (keeper,) = _loaded
    keeper.renew()
    return judge_excerpt(keeper.judge, excerpt), keeper.facts


def _hear_noise() -> None:
    """Let the libraries that look for speech load what they load when first asked."""
    mood = LiveMood()
    mood.hear(np.random.default_rng(0).normal(scale=0.1, size=2 * SAMPLING_RATE), at_s=0.0)
    mood.next_excerpt()
