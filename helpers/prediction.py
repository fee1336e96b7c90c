"""From a recording to a verdict."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import AudioError
from helpers.features import call_features
from helpers.model_store import TrainedModel, current_model
from helpers.progress import progress
from helpers.statuses import STATUSES
from helpers.workspace import Workspace, resolve

PROBABILITIES = tuple(f"p_{status}" for status in STATUSES)
"""Columns with the probability of each status, as the call's end sounds."""

COLUMNS = ("path", "status", "start_status", "end_status", *PROBABILITIES, "error")
"""Columns of the table of verdicts."""


def predict_calls(
    paths: Iterable[Path | str] | Path | str, *, workspace: Workspace | Path | str
) -> pd.DataFrame:
    """Judge how the customer left each call.

    Args:
        paths: recordings in any encoding, also ones the workspace does not know; one path is a
            list of one
        workspace: whose model judges: the retrained one where there is one

    Returns:
        one row per path in the given order, with the columns `COLUMNS`. `status` and the
        probabilities are those of the call's end; a call up to 45 s has one verdict, which is
        start and end alike. For a file that cannot be judged `error` says why and the rest is
        empty; otherwise `error` is an empty string.

    Raises:
        ModelError: where the workspace has no usable model
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if not isinstance(workspace, Workspace):
        workspace = Workspace(resolve(workspace))
    return judge_calls(paths, current_model(workspace))


def judge_calls(paths: Iterable[Path | str], model: TrainedModel) -> pd.DataFrame:
    """Judge calls with a given model, see `predict_calls`."""
    rows = [_judge(path, model) for path in progress(list(paths), "Judging")]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table[list(PROBABILITIES)] = table[list(PROBABILITIES)].astype(float)
    return table.fillna({name: "" for name in COLUMNS if name not in PROBABILITIES})


def _judge(path: Path | str, model: TrainedModel) -> dict[str, object]:
    try:
        probabilities = model.predict_proba(
            call_features(path, feature_set=model.feature_set)
        ).round(6)
    except AudioError as error:
        return {"path": str(path), "error": str(error)}
    best = np.argmax(probabilities, axis=1)
    start, end = STATUSES[best[0]], STATUSES[best[-1]]
    return {
        "path": str(path),
        "status": end,
        "start_status": start,
        "end_status": end,
        **dict(zip(PROBABILITIES, probabilities[-1], strict=True)),
        "error": "",
    }
