"""The judge of live calls, in processes of its own: no stream waits for another one's sound."""

import asyncio
import contextlib
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import numpy as np

from apps.workers import Workers
from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.judges import EmotionJudge, Judge
from helpers.conversation.live import Excerpt, LiveMood, judge_excerpt
from helpers.errors import ModelError
from helpers.telephony import SAMPLING_RATE
from helpers.workspace import Workspace

LIMIT_S = 60.0
"""Seconds for one judgement, or for loading the models, before its process is ended."""

RETRY_S = 60.0
"""Seconds after which models that could not be loaded are looked for again."""


class JudgeFacts(NamedTuple):
    """What has to be known of a judge.

    Attributes:
        memory_s: see `helpers.conversation.judges.Judge`
        banner: what has to be said beside its answers, empty for nothing
    """

    memory_s: float
    banner: str


class Judging:
    """Asks the judge of a workspace, which is loaded once in each process."""

    def __init__(
        self, find_judge: Callable[[Workspace], Judge], workspace: Workspace, *, count: int
    ) -> None:
        self._workers = Workers(_load, find_judge, workspace, count=count, limit_s=LIMIT_S)
        self._facts: JudgeFacts | None = None
        self._failure = ""
        self._retry_at = 0.0
        self._asking = asyncio.Lock()

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
            if self._facts is None and monotonic() >= self._retry_at:
                try:
                    self._facts = await self._workers.run(_describe)
                except Exception as error:  # whatever loading models raises
                    self._failure, self._retry_at = str(error), monotonic() + RETRY_S
        if self._facts is None:
            raise ModelError(self._failure)
        return self._facts

    async def judge(self, excerpt: Excerpt) -> float:
        """Give the probability that the customer is upset in an excerpt.

        Raises:
            Exception: what the judge raises
        """
        return await self._workers.run(_judge, excerpt)

    def close(self) -> None:
        """End the processes."""
        self._workers.close()


_loaded: list[Judge] = []


def _load(find_judge: Callable[[Workspace], Judge], workspace: Workspace) -> None:
    _loaded[:] = [find_judge(workspace)]
    noise = np.random.default_rng(0).normal(scale=0.1, size=SAMPLING_RATE).astype(np.float32)
    with contextlib.suppress(Exception):  # what is wrong with it will be told of a call
        _judge(Excerpt(1.0, 0.0, 1.0, noise))


def _describe() -> JudgeFacts:
    (judge,) = _loaded
    return JudgeFacts(judge.memory_s, ACTED_BANNER if isinstance(judge, EmotionJudge) else "")


def _judge(excerpt: Excerpt) -> float:
    (judge,) = _loaded
    return judge_excerpt(judge, excerpt)


def _hear_noise() -> None:
    """Let the libraries that look for speech load what they load when first asked."""
    mood = LiveMood()
    mood.hear(np.random.default_rng(0).normal(scale=0.1, size=2 * SAMPLING_RATE), at_s=0.0)
    mood.next_excerpt()
