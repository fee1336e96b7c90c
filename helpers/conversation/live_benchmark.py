"""How soon live calls raise the alert, how often falsely, and what it costs.

python -m helpers.conversation.live_benchmark CORPUS CALLS --results FOLDER

The composed calls are streamed in chunks of 20 ms. Where a call has two channels, the first is the
customer's. Where it has one, the customer's true turns are cut out of the mix, as a stand-in for
the separate track that a phone system delivers, with steady noise as faint as the call's own
elsewhere. Delays are those of the call's own time: the allowance for late sound and the wait for
the next judgement are in them, the milliseconds of the judgement are not. The voices are acted:
expect less of real callers.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from helpers.audio import open_recording
from helpers.benchmark import show_table
from helpers.call_benchmark import LIGHT_EMOTIONS, fit_without_voices
from helpers.channel import NOMINAL_LEVEL_DB, TELEPHONE_RATE
from helpers.conversation.benchmark import TRUTH
from helpers.conversation.judges import EmotionJudge, Judge
from helpers.conversation.live import (
    LiveMood,
    judge_excerpt,
)
from helpers.conversation.live_scores import LOUDNESS, MOOD, LiveCall, compare
from helpers.conversation.roles import CUSTOMER
from helpers.conversion import convert_recordings, read_conversions
from helpers.corpora import load_corpus
from helpers.dataset import build_dataset
from helpers.emotion import UPSET
from helpers.errors import CallEmotionError, TableError
from helpers.fold_models import FoldModels
from helpers.hearing import to_telephone_rate
from helpers.progress import progress
from helpers.records import build_records
from helpers.workspace import Workspace, open_workspace

CHUNK_S = 0.02
"""Sound arrives in pieces of so many seconds, as phone systems send it."""

TIMED = 10
"""Calls whose cost is measured, one after the other."""

LOUDNESS_STEP_DB = 3.0
"""In the trivial comparison so many dB more make it twice as likely that the customer is upset."""


def read_turns(folder: Path, workspace: Workspace) -> dict[str, pd.DataFrame]:
    """Read who spoke when with which emotion: turns by path in the workspace.

    Raises:
        TableError: where there is no such table, or a recording is not in it
    """
    if not (folder / TRUTH).is_file():
        raise TableError(f"{folder / TRUTH} is not there: it tells who really spoke when, and how")
    turns = pd.read_csv(folder / TRUTH).sort_values("start_s")
    by_file = {Path(name).name: rows for name, rows in turns.groupby("file")}
    sources = read_conversions(workspace).set_index("path")["source"]
    if missing := [path for path, source in sources.items() if Path(source).name not in by_file]:
        raise TableError(f"{TRUTH} says nothing about {missing[0]}")
    return {path: by_file[Path(source).name] for path, source in sources.items()}


def read_track(path: Path, turns: pd.DataFrame) -> np.ndarray:
    """Read the customer's track of a composed call, shape (samples,), 8000 Hz.

    Args:
        path: of the recording
        turns: columns `start_s, end_s, speaker`, the truth

    Raises:
        AudioError: where the recording cannot be read
    """
    with open_recording(path) as recording:
        channels = recording.read(start_s=0, duration_s=recording.duration_s)
        signal = to_telephone_rate(channels[0], recording.sampling_rate)
    if len(channels) > 1:
        return signal
    blocks = signal[: len(signal) // 80 * 80].reshape(-1, 80)
    faintest = np.sqrt(np.percentile(np.square(blocks).mean(axis=1), 5))
    track = np.random.default_rng(0).normal(scale=faintest, size=len(signal)).astype(np.float32)
    for turn in turns[turns["speaker"] == CUSTOMER].itertuples():
        spoken = slice(*(round(edge * TELEPHONE_RATE) for edge in (turn.start_s, turn.end_s)))
        track[spoken] = signal[spoken]
    return track


def stream(signal: np.ndarray, judge: Judge) -> pd.DataFrame:
    """Stream a track in chunks and judge every excerpt as soon as it is due; see `LiveCall`."""
    live, rows = LiveMood(memory_s=judge.memory_s), []
    size = round(CHUNK_S * TELEPHONE_RATE)
    for first in range(0, len(signal), size):
        live.hear(signal[first : first + size], at_s=first / TELEPHONE_RATE)
        while (excerpt := live.next_excerpt()) is not None:
            upset = judge_excerpt(judge, excerpt)
            live.take_in(excerpt, upset)
            rows.append(((first + size) / TELEPHONE_RATE, upset, _hear_loudness(excerpt.signal)))
    return pd.DataFrame(rows, columns=["arrived_s", MOOD, LOUDNESS], dtype=float)


def find_upset(turns: pd.DataFrame, duration_s: float) -> np.ndarray:
    """Find when the customer truly is upset, see `LiveCall`.

    Args:
        turns: columns `start_s, speaker, emotion`, in order
        duration_s: length of the call

    Returns:
        shape (times the customer turns upset, 2)
    """
    own = turns[turns["speaker"] == CUSTOMER]
    upset = own["emotion"].isin(UPSET).to_numpy()
    changes = np.flatnonzero(np.diff(upset, prepend=False))
    times = own["start_s"].to_numpy(float)[changes]
    return np.append(times, [duration_s] * (len(times) % 2)).reshape(-1, 2)


def measure_cost(tracks: Sequence[np.ndarray], judges: Sequence[Judge]) -> pd.DataFrame:
    """Measure processor time in one process: a row with the median over the tracks."""
    costs = []
    with threadpool_limits(1):
        for signal, judge in zip(tracks, judges, strict=True):
            began = process_time()
            judged = stream(signal, judge)
            milliseconds = 1000 * (process_time() - began)
            costs.append((milliseconds * TELEPHONE_RATE / len(signal), milliseconds / len(judged)))
    each, judgement = np.median(costs, axis=0)
    row = {
        "CPU ms a second of sound": round(each, 1),
        "CPU ms a judgement, all in": round(judgement, 1),
    }
    return pd.DataFrame([row | {"streams a core": int(1000 / each)}])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from a command line."""
    parser = argparse.ArgumentParser(prog="python -m helpers.conversation.live_benchmark")
    parser.add_argument("corpus", type=Path, help="folder with one or more corpora")
    parser.add_argument("calls", type=Path, help=f"folder with zips of calls and {TRUTH}")
    parser.add_argument("--results", type=Path, default=Path("benchmark"), help="tables go here")
    options = parser.parse_args(arguments)
    try:
        run(options.corpus, options.calls, options.results)
    except CallEmotionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(corpus: Path, folder: Path, results: Path) -> None:
    """Make the tables, print them and write them as CSV files.

    Raises:
        CallEmotionError: where the calls or the corpus cannot be used
    """
    workspace = open_workspace(results.absolute() / "calls")
    convert_recordings(folder, workspace)
    records = build_records(workspace).set_index("path")
    truth = read_turns(folder, workspace)
    models = FoldModels(load_corpus(corpus), folder=results / "models")
    fitted = fit_without_voices(build_dataset(workspace), folder, workspace, models, -1)
    judges = {path: EmotionJudge(model) for path, model in fitted[LIGHT_EMOTIONS].items()}
    tracks = {path: read_track(workspace.folder / path, truth[path]) for path in judges}
    work = Parallel(n_jobs=-1, return_as="generator")(
        delayed(stream)(tracks[path], judges[path]) for path in judges
    )
    calls = []
    for path, answers in zip(judges, progress(work, "Calls", total=len(judges)), strict=True):
        duration_s = len(tracks[path]) / TELEPHONE_RATE
        upset = find_upset(truth[path], duration_s)
        calls.append(LiveCall(records.loc[path, "customer"], duration_s, upset, answers))
    counts = records.loc[list(judges), "channels"].value_counts()
    print(f"{counts.get(2, 0)} calls with a track of the customer's own, {counts.get(1, 0)} whose")
    print("customer's true turns were cut out of the mix instead; acted voices")
    show_table(compare(calls), "live alerts", results)
    timed = list(judges)[:TIMED]
    cost = measure_cost([tracks[path] for path in timed], [judges[path] for path in timed])
    show_table(cost, "live cost", results)


def _hear_loudness(signal: np.ndarray) -> float:
    """Give a probability that grows with the level alone."""
    level_db = 10 * np.log10(np.square(signal).mean() + 1e-10)
    return float(1 / (1 + 2 ** ((NOMINAL_LEVEL_DB - level_db) / LOUDNESS_STEP_DB)))


if __name__ == "__main__":
    sys.exit(main())
