"""How fast the service answers, what it adds to the helpers, and whether its memory stays flat.

`python -m apps.api.benchmark WORKSPACE`; memory is read where Linux tells it.
"""

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import cycle
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import NamedTuple

import httpx
import numpy as np
import pandas as pd
import soundfile

from apps.api.settings import TOKEN_VARIABLE
from apps.workers import Workers
from helpers.conversation.verdict import Listener, open_listener
from helpers.hearing import read_recording
from helpers.workspace import PROJECT_FOLDER, SAMPLE_DATA, Workspace, resolve

CALL_S, PAUSE_S, RATE = 60.0, 0.4, 8000
"""Length of the call that is sent and of the pauses in it, in seconds, and its rate in Hz."""

SHARES = {1: 0.05, 8: 0.2, 32: 0.75}
"""Share of the requests by how many clients ask at once."""

ROUNDS = 50
"""So often the helpers alone and the service judge the call, taking turns."""

PATIENCE_S = 600.0
"""Seconds that a client waits for an answer, and the service may take to start."""

LOOK_S, LOOKS = 0.5, 20
"""Seconds between two looks at memory, and how many of them are shown."""


class Answer(NamedTuple):
    """How long an answer took, and whether it was a verdict."""

    seconds: float
    is_verdict: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables.

    Returns:
        0 where every request was answered by a verdict, else 1
    """
    options = _parse(arguments)
    workspace = Workspace(resolve(options.workspace))
    with tempfile.TemporaryDirectory() as folder:
        call = options.call or write_call(Path(folder) / "call.wav")
        with serve(workspace, workers=options.workers) as (url, process):
            list(ask(url, call, requests=4 * options.workers, clients=options.workers))
            floor_s, single_s = asyncio.run(compare(url, workspace, call))
            speed, memory = measure(url, process, call, requests=options.requests)
        length_s = soundfile.info(call).duration
    print(f"\nA call of {length_s:.0f} s, {options.workers} workers on {os.cpu_count()} cores\n")
    print(speed.to_string(index=False, float_format="{:.2f}".format))
    print(
        f"\nTaking turns, median of {ROUNDS}: the helpers alone in a process {floor_s:.3f} s, the "
        f"service {single_s:.3f} s, which is {single_s / floor_s - 1:+.1%}\n"
    )
    print(memory.to_string(index=False, float_format="{:.0f}".format))
    return int(speed["errors"].any())


def write_call(path: Path) -> Path:
    """Write a call in which two of the sample voices take turns."""
    voices = [sorted((SAMPLE_DATA / "voices").glob(f"{name}_*.wav")) for name in _VOICES]
    pause = np.zeros(round(PAUSE_S * RATE), np.float32)
    parts: list[np.ndarray] = []
    for turn in cycle(zip(*voices, strict=False)):
        if sum(map(len, parts)) >= CALL_S * RATE:
            break
        parts += [piece for file in turn for piece in (read_recording(file), pause)]
    soundfile.write(path, np.concatenate(parts)[: round(CALL_S * RATE)], RATE, subtype="ULAW")
    return path


async def compare(url: str, workspace: Workspace, call: Path) -> tuple[float, float]:
    """Let the helpers, alone in a process of one thread, and the service take turns.

    Returns:
        median seconds of the helpers and of the service
    """
    content, helpers, service = call.read_bytes(), [], []
    workers = Workers(_open, workspace, count=1)
    try:
        await workers.start()
        with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
            for _ in range(ROUNDS):
                helpers.append(await workers.run(_time, workspace, call))
                service.append(_send(client, call.name, content).seconds)
    finally:
        workers.close()
    return float(np.median(helpers)), float(np.median(service))


@contextmanager
def serve(workspace: Workspace, *, workers: int) -> Iterator[tuple[str, int]]:
    """Start the service as a process of its own; gives its address and its number."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER), TOKEN_VARIABLE: ""}
    command = [sys.executable, "-m", "apps.api", str(workspace.folder)]
    command += ["--port", str(port), "--workers", str(workers), "--waiting", str(max(SHARES))]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(url)
            yield url, process.pid
        finally:
            process.terminate()


def ask(url: str, call: Path, *, requests: int, clients: int) -> Iterator[Answer]:
    """Let so many clients send the call, each one request after the other."""
    content = call.read_bytes()

    def send(_: int) -> Answer:
        return _send(client, call.name, content)

    with (
        httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client,
        ThreadPoolExecutor(clients) as pool,
    ):
        answering = [pool.submit(send, number) for number in range(requests)]
        for answer in as_completed(answering):
            yield answer.result()


def measure(
    url: str, process: int, call: Path, *, requests: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Send the call again and again.

    Returns:
        a row for each number of clients: `clients, requests, a second`, `median, s`, `p95, s`,
        `errors`; and a row for each look at memory: `requests, MB` of all processes together
    """
    speed, memory = [], [{"requests": 0, "MB": read_memory(process)}]
    done, looked = 0, monotonic()
    for clients, share in SHARES.items():
        answers, start = [], perf_counter()
        count = max(clients, round(share * requests))
        for answer in ask(url, call, requests=count, clients=clients):
            answers.append(answer)
            done += 1
            if monotonic() - looked > LOOK_S or len(answers) == count:
                memory.append({"requests": done, "MB": read_memory(process)})
                looked = monotonic()
        speed.append({"clients": clients, **_sum_up(answers, perf_counter() - start)})
    shown = np.unique(np.linspace(0, len(memory) - 1, LOOKS).round().astype(int))
    return pd.DataFrame(speed), pd.DataFrame(memory).iloc[shown]


def read_memory(process: int) -> float:
    """Add up the resident memory of a process and all it started, in MB; `nan` without Linux."""
    folder = Path(f"/proc/{process}")
    if not folder.is_dir():
        return float("nan")
    lines = (folder / "status").read_text().splitlines()
    own = next((line.split()[1] for line in lines if line.startswith("VmRSS")), "0")
    children = [
        child
        for thread in (folder / "task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return int(own) / 1024 + sum(read_memory(int(child)) for child in children)


_VOICES = ("agent_01", "customer_08")


@lru_cache(maxsize=1)
def _open(workspace: Workspace) -> Listener:
    return open_listener(workspace)


def _time(workspace: Workspace, call: Path) -> float:
    listener = _open(workspace)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(call, folder)  # a recording that was heard before would be remembered
        start = perf_counter()
        listener.judge_recording(copy)
        return perf_counter() - start


def _send(client: httpx.Client, name: str, content: bytes) -> Answer:
    start, is_verdict = perf_counter(), False
    with suppress(httpx.HTTPError):
        answer = client.post("/api/predict/", files={"file": (name, content)})
        is_verdict = answer.status_code == 200 and "status" in answer.json()
    return Answer(perf_counter() - start, is_verdict)


def _sum_up(answers: list[Answer], taken_s: float) -> dict[str, float]:
    times = [answer.seconds for answer in answers]
    return {
        "requests": len(answers),
        "a second": len(answers) / taken_s,
        "median, s": float(np.median(times)),
        "p95, s": float(np.percentile(times, 95)),
        "errors": sum(not answer.is_verdict for answer in answers),
    }


def _wait_for(url: str) -> None:
    until = monotonic() + PATIENCE_S
    while monotonic() < until:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        sleep(0.2)
    raise SystemExit("the service has not started: python -m apps.api WORKSPACE says why")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m apps.api.benchmark", description=__doc__)
    parser.add_argument("workspace", help="folder with a trained model")
    parser.add_argument("--requests", type=int, default=2000, help="how many (%(default)s)")
    parser.add_argument("--call", type=Path, help="recording to send instead of a synthetic one")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="recordings at once (%(default)s)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
