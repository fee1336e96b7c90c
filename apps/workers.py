"""Processes that do heavy work beside a service, and are made anew where the work ends one."""

import asyncio
import contextlib
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from threadpoolctl import threadpool_limits

from helpers.errors import CallEmotionError

ONE_THREAD = (
    *("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"),
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
)
"""Variables that keep a worker to one core; as many calls as workers run at once anyway."""

START_S = 120.0
"""Seconds that a process may take to start and to load what it needs."""


class WorkerDied(CallEmotionError):  # noqa: N818 - what happened, not who erred
    """A call that ended its worker process, or took too long."""


class WorkersClosed(WorkerDied):
    """A call that was running when the workers were closed, or came later."""


class Workers:
    """A fixed number of processes, each doing one call at a time.

    A process that dies takes only its own call with it: the next call gets a new one. Processes
    start with the calls that need them, end with this one however it ends, and are not reached by
    a Ctrl-C meant for it.

    Attributes:
        count: number of processes
    """

    def __init__(
        self,
        prepare: Callable[..., object],
        *arguments: object,
        count: int,
        limit_s: float | None = None,
    ) -> None:
        """Describe the workers; none is started yet.

        Args:
            prepare: called once in each process before its first call, such as to load models;
                a function of a module
            arguments: for `prepare`; must be possible to pickle
            count: number of processes
            limit_s: seconds after which a call is given up and its process ended, `START_S` for
                the start of one not counted; without, it may take for ever
        """
        self.count = count
        self._workers = [_Worker(prepare, arguments, limit_s) for _ in range(count)]
        self._free = list(self._workers)
        self._turns = asyncio.Semaphore(count)

    async def start(self) -> None:
        """Start all processes now.

        Raises:
            Exception: what `prepare` raises
            WorkerDied: where a process dies
        """
        await asyncio.gather(*(self.run(os.getpid) for _ in self._workers))

    async def run(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Call a function of a module in one of the processes, when one is free.

        Where the caller is cancelled the process finishes its call, whose result is dropped, and
        is free again then.

        Returns:
            what the function returns

        Raises:
            Exception: what the function, or `prepare`, raises
            WorkerDied: where the process died or took too long
            WorkersClosed: where `close` was called
        """
        await self._turns.acquire()
        worker = self._free.pop()
        call = asyncio.ensure_future(worker.run(function, arguments))
        call.add_done_callback(lambda _: self._take_back(worker, call))
        return await asyncio.shield(call)

    def close(self) -> None:
        """End all processes, and what they started; running calls raise `WorkersClosed`."""
        for worker in self._workers:
            worker.close()

    def _take_back(self, worker: "_Worker", call: asyncio.Task) -> None:
        self._free.append(worker)
        self._turns.release()
        if not call.cancelled():
            call.exception()  # who was cancelled does not ask for it, of which asyncio complains


class _Worker:
    """One process in a pool of its own: whoever breaks the pool is known."""

    def __init__(
        self, prepare: Callable[..., object], arguments: tuple, limit_s: float | None
    ) -> None:
        self._prepare, self._arguments, self._limit_s = prepare, arguments, limit_s
        self._pool: ProcessPoolExecutor | None = None
        self._group = 0
        self._closed = False

    async def run(self, function: Callable[..., Any], arguments: tuple) -> Any:
        deadline, limit_s = asyncio.timeout(START_S), START_S
        try:
            async with deadline:
                call = await self._submit(function, arguments)
                limit_s = self._limit_s or math.inf
                deadline.reschedule(asyncio.get_running_loop().time() + limit_s)
                return await asyncio.wrap_future(call)
        except TimeoutError:
            if not deadline.expired():
                raise
            self._stop()
            raise WorkerDied(_LATE.format(limit_s)) from None
        except BrokenProcessPool:
            self._stop()
            raise (WorkersClosed(_CLOSED) if self._closed else WorkerDied(_DIED)) from None

    def close(self) -> None:
        self._closed = True
        self._stop()

    async def _submit(self, function: Callable[..., Any], arguments: tuple) -> Future:
        if self._pool and self._is_alive():
            with contextlib.suppress(BrokenProcessPool):  # it died between two calls
                return self._pool.submit(function, *arguments)
        self._stop()
        await self._start()
        return self._pool.submit(function, *arguments)

    def _is_alive(self) -> bool:
        """Ask the system; the pool notices an end a little later."""
        return any(child.pid == self._group for child in multiprocessing.active_children())

    async def _start(self) -> None:
        if self._closed:
            raise WorkersClosed(_CLOSED)
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context)
        try:
            self._group = await asyncio.wrap_future(self._pool.submit(_stand_alone))
            if self._closed:
                raise WorkersClosed(_CLOSED)
            await asyncio.wrap_future(self._pool.submit(_prepare, self._prepare, self._arguments))
        except Exception:
            self._stop()
            raise

    def _stop(self) -> None:
        if self._group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._pool, self._group = None, 0


_DIED = (
    "the process that worked on this was ended by it; other calls go on: what it was given may be "
    "damaged, so bring it into another form, such as WAV, or leave it out"
)
_LATE = "this took longer than {:g} s and was ended: send a shorter recording"
_CLOSED = "the service is being shut down: try again when it is back"


def _stand_alone() -> int:
    """Leave the terminal's group, so that this process ends with its parent and not before."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    os.setsid()
    threading.Thread(target=_follow_parent, daemon=True).start()
    return os.getpid()


def _follow_parent() -> None:
    multiprocessing.parent_process().join()
    os.killpg(0, signal.SIGKILL)


def _prepare(prepare: Callable[..., object], arguments: tuple) -> None:
    prepare(*arguments)
    threadpool_limits(1)
