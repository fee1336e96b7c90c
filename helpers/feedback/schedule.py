"""Twenty scheduled runs on a stream of calls: whether every version can be explained and undone."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.conversion import convert_recordings
from helpers.dataset import build_dataset
from helpers.errors import ModelError
from helpers.model_store import (
    find_champion,
    list_versions,
    load_version,
    read_history,
    rollback,
)
from helpers.prediction import predict_calls
from helpers.progress import progress
from helpers.promotion import update_champion
from helpers.records import build_records, read_records
from helpers.retraining import learn_from_form, read_predictions, training_data
from helpers.statuses import STATUSES, SUFFIXES
from helpers.workspace import Workspace, open_workspace

RUNS = 20
"""Scheduled runs."""

WRONG_ANSWERS = 0.15
"""Share of the answers in the stream that are wrong."""

ARCHIVED = 2 / 3
"""Share of the customers whose calls are there before the first run."""

PREDICTED = 5
"""Calls that are judged before a promotion and after going back."""


def benchmark_schedule(
    calls: Workspace, folder: Path, *, runs: int = RUNS, seed: int = 0
) -> pd.DataFrame:
    """Let a third of the customers' calls arrive in scheduled runs, then go back step by step.

    Args:
        calls: workspace whose archived calls have a status and a customer
        folder: for the runs; emptied first
        runs: how many
        seed: of who is archived, and of which answers are wrong

    Returns:
        one row: `runs`, `calls` that arrived, `versions`, `promoted`, `kept aside`, versions that
        are `loadable`, decisions that are `explained`, `rollbacks`, and how many of them gave
        byte-identical predictions back
    """
    shutil.rmtree(folder, ignore_errors=True)
    records = read_records(calls)
    customers = np.random.default_rng(seed).permutation(records["customer"].unique())
    archived = records["customer"].isin(customers[: round(ARCHIVED * len(customers))])
    workspace = _train(calls, records[archived], folder)
    probes = [calls.folder / path for path in records["path"][:PREDICTED]]
    predicted = {find_champion(workspace): _predict(workspace, probes)}
    stream = _draw_answers(records[~archived], seed)
    for rows in progress(np.array_split(np.arange(len(stream)), runs), "Runs"):
        _place(calls, workspace, stream.iloc[rows])
        learn_from_form(workspace)
        predicted.setdefault(find_champion(workspace), _predict(workspace, probes))
    history, versions = read_history(workspace), list_versions(workspace)
    counts = history["event"].value_counts()
    row = {
        "runs": runs,
        "calls": int((~archived).sum()),
        "versions": len(versions),
        "promoted": int(counts.get("promoted", 0)),
        "kept aside": int(counts.get("kept aside", 0)),
        "loadable": sum(_is_loadable(workspace, version) for version in versions),
        "explained": int((history["reason"].str.len() > 0).sum()),
    }
    return pd.DataFrame([row | _go_back(workspace, probes, predicted)])


def _train(calls: Workspace, records: pd.DataFrame, folder: Path) -> Workspace:
    """Do what notebooks 01 to 04 do with some of the calls."""
    rows = []
    for number, record in enumerate(records.itertuples()):
        target = folder / "recordings" / record.status / f"call_{number:03}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(calls.folder / record.path, target)
        rows.append({"file": f"{record.status}/{target.name}", "customer": record.customer})
    pd.DataFrame(rows).to_csv(folder / "recordings" / "speakers.csv", index=False)
    workspace = open_workspace(folder / "workspace")
    convert_recordings(folder / "recordings", workspace)
    build_records(workspace)
    build_dataset(workspace)
    data = training_data(workspace, read_predictions(workspace))
    update_champion(workspace, data, origin="notebook 04")
    return workspace


def _draw_answers(records: pd.DataFrame, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    stream = records.iloc[generator.permutation(len(records))].reset_index(drop=True)
    wrong = generator.random(len(stream)) < WRONG_ANSWERS
    others = [STATUSES[(STATUSES.index(status) + 1) % 3] for status in stream["status"]]
    return stream.assign(answer=np.where(wrong, others, stream["status"]))


def _place(calls: Workspace, workspace: Workspace, batch: pd.DataFrame) -> None:
    """Do what notebook 05 does."""
    workspace.audio_data.mkdir(exist_ok=True)
    for call in batch.itertuples():
        name = f"call_{call.Index:03}_{SUFFIXES[call.answer]}.wav"
        shutil.copyfile(calls.folder / call.path, workspace.audio_data / name)


def _predict(workspace: Workspace, paths: list[Path]) -> bytes:
    return predict_calls(paths, workspace=workspace).to_csv(index=False).encode()


def _is_loadable(workspace: Workspace, version: str) -> bool:
    try:
        return load_version(workspace, version).version == version
    except ModelError:
        return False


def _go_back(
    workspace: Workspace, probes: list[Path], predicted: dict[str, bytes]
) -> dict[str, int]:
    """Go back from champion to champion, down to the first."""
    rollbacks = identical = 0
    while True:
        try:
            version = rollback(workspace)
        except ModelError:
            return {"rollbacks": rollbacks, "identical": identical}
        rollbacks += 1
        identical += _predict(workspace, probes) == predicted[version]
