"""How long each page of the dashboard takes in a workspace of many calls.

`python -m apps.dashboard.benchmark WORKSPACE --calls 5000` fills a copy of a trained workspace, in
a folder of its own, with that many short recordings and their rows in every table.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from helpers.audio import content_hash, open_recording
from helpers.conversation.story import read_stories
from helpers.conversion import COLUMNS as CONVERSION_COLUMNS
from helpers.files import write_csv
from helpers.records import COLUMNS as RECORD_COLUMNS
from helpers.records import decide
from helpers.retraining import COLUMNS as PREDICTION_COLUMNS
from helpers.retraining import list_reviews, read_predictions
from helpers.statuses import STATUSES
from helpers.workspace import Workspace, open_workspace

PICK = "Choose one of the workspace"
"""Lets the first page list all calls."""

PAGES = ("judge", "review", "calls", "overview", "agents", "models")
"""Pages that are timed."""

AGENTS, CUSTOMERS = 40, 3000
"""So many agents and customers there are."""

SAMPLING_RATE, DURATION_S = 8000, 1.2
"""Of each recording, in Hz and seconds."""


def main(arguments: list[str] | None = None) -> None:
    """Print how long each page takes, the first time and again."""
    parser = argparse.ArgumentParser("python -m apps.dashboard.benchmark", description=__doc__)
    parser.add_argument("workspace", help="with a model and stories, such as that of `make demo`")
    parser.add_argument("--calls", type=int, default=5000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="call-emotion-") as folder:
        workspace = fill_workspace(Path(folder), options.workspace, calls=options.calls)
        print(time_pages(workspace).to_string(index=False))


def fill_workspace(folder: Path, example: Path | str, *, calls: int) -> Workspace:
    """Make a workspace with many calls whose figures are drawn from those of another one.

    Args:
        folder: where to make it
        example: workspace with a model, stories and predictions
        calls: how many
    """
    example = open_workspace(example)
    shutil.copytree(example.models, folder / "models", dirs_exist_ok=True)
    for file in (example.voice_emotions, example.listening):
        if file.is_file():
            shutil.copy(file, folder)
    workspace, generator = Workspace(folder), np.random.default_rng(0)
    table = _draw_calls(workspace, calls, generator)
    write_csv(workspace.records, table[list(RECORD_COLUMNS)])
    converted = table.assign(fingerprint="", encoding="WAV U-Law")
    in_dataset = converted["path"].str.startswith("dataset/")
    write_csv(workspace.conversions, converted.loc[in_dataset, list(CONVERSION_COLUMNS)])
    known = ["path", "customer", "agent", "content_hash"]
    stories = _draw(read_stories(example), calls, generator).assign(**table[known], role_doubt="")
    write_csv(workspace.call_stories, stories.assign(role_certainty=0.95))
    predictions = _draw(read_predictions(example), calls, generator)
    predictions = predictions.assign(path=table["path"], content_hash=table["content_hash"])
    write_csv(workspace.predictions, predictions[list(PREDICTION_COLUMNS)])
    write_csv(workspace.review_list, list_reviews(predictions))
    return workspace


def time_pages(workspace: Workspace) -> pd.DataFrame:
    """Time every page, and a decision on the review list.

    Returns:
        columns `page, first_s` (with no table read yet), `again_s`
    """
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    rows = []
    with _arguments("--workspace", str(workspace.folder)):
        app = AppTest.from_file(str(Path(__file__).with_name("app.py")), default_timeout=120)
        app.run()  # imports are slow the first time in a process
        app.radio[0].set_value(PICK).run()
        for page in PAGES:
            app.switch_page(f"views/{page}.py")
            st.cache_data.clear()
            rows.append((page, _time(app.run), _time(app.run)))
            if app.exception:
                raise RuntimeError(f"{page}: {app.exception[0].value}")
    waiting = read_predictions(workspace)["path"].iloc[:2]
    times = (_time(lambda path=path: decide(workspace, {path: "average"})) for path in waiting)
    rows.append(("a decision", *times))
    return pd.DataFrame(rows, columns=["page", "first_s", "again_s"]).round(2)


def _draw_calls(workspace: Workspace, calls: int, generator: np.random.Generator) -> pd.DataFrame:
    """Write recordings, one in ten of them into `audio_data`, and list them."""
    rows = []
    for number in range(calls):
        status = STATUSES[number % len(STATUSES)]
        path = f"dataset/{status}/call_{number:05}.wav"
        if number % 10 == 0:
            path = f"audio_data/call_{number:05}_{('sat', 'avg', 'unsat')[number % 3]}.wav"
        file = workspace.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        signal = generator.normal(0, 0.1, round(SAMPLING_RATE * DURATION_S))
        soundfile.write(file, signal, SAMPLING_RATE, subtype="ULAW")
        with open_recording(file) as recording:
            rows.append((path, status, content_hash(recording)))
    table = pd.DataFrame(rows, columns=["path", "status", "content_hash"])
    of_form = table["path"].str.startswith("audio_data/")
    return table.assign(
        source=np.where(of_form, "form", "archive"),
        duration_s=DURATION_S,
        sampling_rate=SAMPLING_RATE,
        channels=1,
        customer=[f"customer_{each:04}" for each in generator.integers(CUSTOMERS, size=calls)],
        agent=[f"agent_{each:02}" for each in generator.integers(AGENTS, size=calls)],
        gender="",
        line="8 kHz mono",
    )


def _draw(table: pd.DataFrame, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    return table.iloc[generator.integers(len(table), size=rows)].reset_index(drop=True)


def _time(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _arguments(*arguments: str) -> Iterator[None]:
    """Give the script these arguments, as `streamlit run` does."""
    before = sys.argv
    sys.argv = ["app.py", *arguments]
    try:
        yield
    finally:
        sys.argv = before


if __name__ == "__main__":
    main()
