"""Judging what requests bring: a few at once, some that wait, and no more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from apps.api import listening
from apps.api.answers import Models
from apps.api.catalogue import list_models
from apps.api.inbox import Inbox
from apps.api.listening import NoModelError
from apps.api.problems import Problem
from apps.api.settings import Settings
from apps.api.uploads import receive_recording
from apps.workers import Workers, WorkersClosed
from helpers.errors import CallEmotionError
from helpers.model_store import find_champion, list_versions
from helpers.workspace import Workspace

HEALTH_S = 5.0
"""Seconds in which a model has to be loaded that nobody has asked for yet, else we are busy."""

RETRY_S = 30
"""Seconds after which who found the service busy may try again."""

logger = logging.getLogger("apps.api")


class Service:
    """The models of a workspace, a folder for uploads, and processes that listen."""

    def __init__(self, settings: Settings) -> None:
        """Set up; no process is started and no folder made yet."""
        self._settings, self._workspace = settings, settings.workspace
        self._inbox = Inbox()
        self._workers = Workers(
            listening.prepare,
            settings.workspace,
            count=settings.workers,
            limit_s=settings.judging_s,
        )
        self._taken = 0
        self._checked = ""
        self._checking: asyncio.Future[str] | None = None

    async def start(self) -> None:
        """Make the folder and start the processes."""
        self._inbox.open()
        await self._workers.start()

    def close(self) -> None:
        """End the processes and remove the folder."""
        self._workers.close()
        self._inbox.close()

    async def predict(self, request: Request, *, version: str, coverage: float) -> bytes:
        """Judge the recording in a request.

        Args:
            request: whose body has not been read yet
            version: of the model, empty for the present champion
            coverage: share of calls the model shall judge alone

        Returns:
            JSON of `apps.api.answers.Prediction`

        Raises:
            Problem: where the recording cannot be judged
            ClientDisconnect: where the client goes away
        """
        with self._take_place(), self._inbox.make_folder() as folder:
            if version and version not in await self._look_up(list_versions):
                detail = f"There is no version {version!r}: see /api/models/."
                raise Problem("unknown-version", detail)
            path = await receive_recording(request, folder, self._settings)
            call = self._run(listening.judge, path, version, coverage)
            try:
                return await _while_connected(request, call)
            except CallEmotionError as error:
                detail = f"The recording cannot be used: {error}."
                raise Problem("unusable-recording", detail) from error

    async def list_models(self) -> Models:
        """List the versions of the model.

        Raises:
            Problem: where the list of them is damaged
        """
        return await self._look_up(list_models)

    async def find_champion(self) -> str:
        """Name the version that judges; it is loaded when it is met for the first time.

        However many ask, one look and one worker answer all of them.

        Raises:
            Problem: where none can judge, or no worker is free within `HEALTH_S`
        """
        if self._checking is None or self._checking.done():
            self._checking = asyncio.ensure_future(self._check())
            self._checking.add_done_callback(_note_failure)
        try:
            async with asyncio.timeout(HEALTH_S):
                return await asyncio.shield(self._checking)
        except TimeoutError as error:
            detail = f"No process was free to load the model within {HEALTH_S:g} s."
            raise Problem("busy", detail, Retry_After=str(RETRY_S)) from error

    async def _check(self) -> str:
        champion = await self._look_up(find_champion)
        if not champion:
            raise _no_model(f"{self._workspace.models} holds no version that judges")
        if champion != self._checked:
            try:
                self._checked = await self._run(listening.check)
            except CallEmotionError as error:
                raise _no_model(error) from error
        return self._checked

    @contextmanager
    def _take_place(self) -> Iterator[None]:
        if self._taken >= self._settings.workers + self._settings.waiting:
            detail = (
                f"Recordings being judged or waiting for it: {self._taken}, which is the limit. "
                f"Try again in {RETRY_S} s."
            )
            raise Problem("busy", detail, Retry_After=str(RETRY_S))
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def _look_up(self, function: Callable[[Workspace], Any]) -> Any:
        try:
            return await asyncio.to_thread(function, self._workspace)
        except CallEmotionError as error:
            raise _no_model(error) from error

    async def _run(self, function: Callable[..., Any], *arguments: object) -> Any:
        try:
            return await self._workers.run(function, self._workspace, *arguments)
        except NoModelError as error:
            raise _no_model(error) from error
        except WorkersClosed as error:
            raise Problem("busy", f"{error}.".capitalize(), Retry_After=str(RETRY_S)) from error


def _no_model(reason: CallEmotionError | str) -> Problem:
    logger.error("no model can judge: %s", reason)
    return Problem("no-model")


def _note_failure(checking: asyncio.Future) -> None:
    if not checking.cancelled():
        checking.exception()  # where nobody waits any more asyncio complains otherwise


async def _while_connected(request: Request, work: Awaitable[bytes]) -> bytes:
    """Do work that is given up where the client goes away."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
