import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from apps.workers import WorkerDied, Workers, WorkersClosed
from helpers.errors import AudioError

PREPARED = []


def prepare(*names) -> None:
    PREPARED.extend(names)


def fail(reason: str) -> None:
    raise AudioError(reason)


def give_prepared() -> list:
    return PREPARED


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def meet(folder: str, name: str, count: int) -> str:
    """Come back when so many have come."""
    (Path(folder) / name).touch()
    while len(list(Path(folder).iterdir())) < count:
        time.sleep(0.01)
    return name


def start_child(target: str) -> None:
    """Start a process of one's own, tell its number, and wait for it."""
    with subprocess.Popen(["sleep", "600"]) as child:
        part = Path(target).with_suffix(".part")
        part.write_text(str(child.pid))
        part.rename(target)


def count_threads() -> list[int]:
    import numpy as np

    np.ones((2, 2)) @ np.ones((2, 2))
    return [library["num_threads"] for library in threadpool_info()]


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.is_file() or state.read_text().rpartition(")")[2].split()[0] != "Z"


async def wait_for(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def run_with(workers: Workers, steps) -> None:
    """Run steps with workers, and close these whatever happens."""

    async def run() -> None:
        try:
            await steps(workers)
        finally:
            workers.close()

    asyncio.run(run())


def test_a_call_runs_in_a_prepared_process_of_one_thread():
    async def steps(workers) -> None:
        assert await workers.run(give_prepared) == ["a", "b"]
        assert await workers.run(os.getpid) != os.getpid()
        assert set(await workers.run(count_threads)) == {1}

    run_with(Workers(prepare, "a", "b", count=1), steps)


def test_what_a_call_raises_comes_back():
    async def steps(workers) -> None:
        with pytest.raises(AudioError, match=r"^silent$"):
            await workers.run(fail, "silent")
        assert await workers.run(len, "abc") == 3

    run_with(Workers(prepare, count=1), steps)


def test_what_prepare_raises_comes_back_each_time():
    async def steps(workers) -> None:
        for _ in range(2):
            with pytest.raises(AudioError, match=r"^no model$"):
                await workers.run(len, "abc")
        with pytest.raises(AudioError, match=r"^no model$"):
            await workers.start()

    run_with(Workers(fail, "no model", count=1), steps)


def test_a_process_that_dies_takes_only_its_own_call_with_it(tmp_path):
    async def steps(workers) -> None:
        await workers.start()
        bystander = asyncio.create_task(workers.run(meet, str(tmp_path), "bystander", 2))
        await wait_for((tmp_path / "bystander").exists)
        with pytest.raises(WorkerDied, match="may be damaged"):
            await workers.run(die)
        assert await workers.run(meet, str(tmp_path), "next", 2) == "next"
        assert await bystander == "bystander"

    run_with(Workers(prepare, count=2), steps)


def test_a_process_that_died_between_two_calls_is_not_missed():
    async def steps(workers) -> None:
        first = await workers.run(os.getpid)
        os.kill(first, signal.SIGKILL)
        await wait_for(lambda: not is_there(first))
        assert await workers.run(os.getpid) != first

    run_with(Workers(prepare, count=1), steps)


def test_a_call_beyond_its_time_is_ended_with_all_it_started(tmp_path):
    async def steps(workers) -> None:
        await workers.start()
        with pytest.raises(WorkerDied, match="longer than 3 s"):
            await workers.run(start_child, str(tmp_path / "child"))
        child = int((tmp_path / "child").read_text())
        await wait_for(lambda: not is_there(child))
        assert await workers.run(len, "abc") == 3

    run_with(Workers(prepare, count=1, limit_s=3), steps)


def test_a_cancelled_call_gives_its_process_back_when_that_is_done(tmp_path):
    async def steps(workers) -> None:
        process = await workers.run(os.getpid)
        call = asyncio.create_task(workers.run(meet, str(tmp_path), "first", 2))
        await wait_for((tmp_path / "first").exists)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        waiting = asyncio.create_task(workers.run(os.getpid))
        (tmp_path / "second").touch()
        assert await waiting == process

    run_with(Workers(prepare, count=1), steps)


def test_nothing_is_left_after_close(tmp_path):
    async def steps(workers) -> None:
        await workers.start()
        process = await workers.run(os.getpid)
        running = asyncio.create_task(workers.run(start_child, str(tmp_path / "child")))
        waiting = asyncio.create_task(workers.run(len, "abc"))
        await wait_for((tmp_path / "child").exists)
        workers.close()
        for call in (running, waiting):
            with pytest.raises(WorkersClosed, match="shut down"):
                await call
        child = int((tmp_path / "child").read_text())
        await wait_for(lambda: not is_there(process) and not is_there(child))
        with pytest.raises(WorkersClosed, match="shut down"):
            await workers.run(len, "abc")

    run_with(Workers(prepare, count=1), steps)


PROGRAM = """
import asyncio, os, sys
from apps.workers import Workers

async def run():
    workers = Workers(len, "", count=1)
    print(await workers.run(os.getpid), flush=True)
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(run())
"""


def test_workers_end_with_a_service_that_is_killed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, program], env=environment, **pipes) as service:
        process = int(service.stdout.readline())
        service.kill()
    asyncio.run(wait_for(lambda: not is_there(process)))
