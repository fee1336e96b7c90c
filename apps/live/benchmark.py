"""How many live calls a computer follows, how late moods come, and what a call costs.

python -m apps.live.benchmark WORKSPACE --streams 1 8 16 32
"""

import argparse
import asyncio
import multiprocessing
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import uvicorn
from fastapi import FastAPI

from apps.live.calls import LiveCalls
from apps.live.messages import TRACKS, encode_mu_law
from apps.live.play import Answer, play_call, read_call
from helpers.benchmark import show_table
from helpers.errors import CallEmotionError
from helpers.telephony import SAMPLING_RATE
from helpers.workspace import Workspace, resolve
from helpers.zoo.verify import make_clip

STREAMS = (1, 8, 16, 32)
"""Numbers of simultaneous calls."""

SECONDS = 20.0
"""Seconds for which they go on."""

GOOD_LAG_S = 1.0
"""The 95th percentile of the lag stays below this where a computer keeps up, in seconds."""

WARM_UP_S = 5.0
"""Seconds of a call before the first that counts: the models are loaded then."""

MOST_MESSAGE = 2**18


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from a command line."""
    options = _parse(arguments)
    try:
        tracks = [read_call(path) for path in options.calls] or [make_tracks()]
        table = benchmark_live(
            Workspace(resolve(options.workspace.absolute())),
            tracks,
            streams=options.streams,
            duration_s=options.seconds,
            count=options.processes,
        )
    except CallEmotionError as error:
        print(error, file=sys.stderr)
        return 1
    show_table(table, "live calls", options.results)
    good = table.loc[table["lag p95 s"] < GOOD_LAG_S, "streams"]
    print(f"most calls with a lag (p95) below {GOOD_LAG_S:g} s: {good.max() if len(good) else 0}")
    return 0


def make_tracks() -> dict[str, bytes]:
    """Make two people who speak nearly all the time, the worst case, by track as mu-law."""
    return {track: encode_mu_law(make_clip(seed=seed)) for seed, track in enumerate(TRACKS)}


def benchmark_live(
    workspace: Workspace,
    calls: Sequence[dict[str, bytes]],
    *,
    streams: Sequence[int] = STREAMS,
    duration_s: float = SECONDS,
    count: int = 1,
) -> pd.DataFrame:
    """Play calls in real time to a service in a process of its own.

    Args:
        workspace: whose judge is asked
        calls: tracks of each, see `apps.live.play.read_call`; they are taken in turn, each from
            another moment on, and begin again where they end
        streams: numbers of simultaneous calls
        duration_s: seconds for which each number goes on
        count: processes that judge

    Returns:
        one row per number: `streams`, `moods` (answers), `CPU % of a core` and `CPU ms per call
        and s` (of the service and its processes), `lag median s` and `lag p95 s` (from the moment
        that a mood is about to its arrival)
    """
    rows = []
    with _service(workspace, count) as (url, process):
        asyncio.run(_play_all(url, [_cut(calls[0], 0.0, WARM_UP_S)]))
        for number in streams:
            chosen = [
                _cut(calls[each % len(calls)], each * 1.37, duration_s) for each in range(number)
            ]
            used_s = -_cpu_s(process)
            lags, moods = asyncio.run(_play_all(url, chosen))
            used_s += _cpu_s(process)
            rows.append(_sum_up(number, moods, lags, used_s, duration_s))
    return pd.DataFrame(rows)


def _sum_up(
    streams: int, moods: int, lags: list[float], used_s: float, duration_s: float
) -> dict[str, object]:
    median, high = np.percentile(lags, [50, 95]) if lags else (np.nan, np.nan)
    return {
        "streams": streams,
        "moods": moods,
        "CPU % of a core": round(100 * used_s / duration_s, 1),
        "CPU ms per call and s": round(1000 * used_s / duration_s / streams, 1),
        "lag median s": round(float(median), 2),
        "lag p95 s": round(float(high), 2),
    }


async def _play_all(url: str, calls: Sequence[dict[str, bytes]]) -> tuple[list[float], int]:
    """Play calls side by side, begun within a second; gives the lags and the number of moods."""
    lags = []

    def note(answer: Answer, came_s: float) -> None:
        if answer["event"] == "mood":
            lags.append(came_s - answer["at_s"])

    async def play(number: int, tracks: dict[str, bytes]) -> None:
        await asyncio.sleep(number / len(calls))
        await play_call(tracks, url, hear=note)

    await asyncio.gather(*(play(number, tracks) for number, tracks in enumerate(calls)))
    return lags, len(lags)


def _cut(tracks: dict[str, bytes], start_s: float, duration_s: float) -> dict[str, bytes]:
    """Cut out a part of a call, which goes round as often as needed."""
    places = round(start_s * SAMPLING_RATE) + np.arange(round(duration_s * SAMPLING_RATE))
    return {
        track: np.frombuffer(content, np.uint8)[places % len(content)].tobytes()
        for track, content in tracks.items()
    }


@contextmanager
def _service(workspace: Workspace, count: int) -> Iterator[tuple[str, psutil.Process]]:
    context = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = context.Process(target=_serve, args=(workspace, count, listening))
        process.start()
        try:
            port = listening.getsockname()[1]
            yield f"ws://127.0.0.1:{port}/live/stream", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.join()


def _serve(workspace: Workspace, count: int, listening: socket.socket) -> None:
    application = FastAPI()
    live = LiveCalls(workspace, count=count, most_streams=10_000)
    application.include_router(live.router)
    config = uvicorn.Config(
        application, log_level="warning", ws_max_size=MOST_MESSAGE, ws_per_message_deflate=False
    )
    uvicorn.Server(config).run(sockets=[listening])


def _cpu_s(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m apps.live.benchmark", description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--calls", type=Path, nargs="+", default=[], help="recordings to play")
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each number of calls")
    parser.add_argument("--processes", type=int, default=1, help="that judge")
    parser.add_argument("--results", type=Path, default=Path("benchmark"), help="table goes here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
