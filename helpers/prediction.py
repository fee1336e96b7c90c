"""From a recording to a verdict."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.calibration import COVERAGE
from helpers.errors import AudioError
from helpers.features import call_features
from helpers.model_store import load_champion
from helpers.progress import progress
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace, resolve

PROBABILITIES = tuple(f"p_{status}" for status in STATUSES)
"""Columns with the calibrated probability of each status, as the call's end sounds."""

COLUMNS = (
    *("path", "status", "start_status", "end_status"),
    *PROBABILITIES,
    *("confidence", "needs_human", "error"),
)
"""Columns of the table of verdicts."""


def predict_calls(
    paths: Iterable[Path | str] | Path | str,
    *,
    workspace: Workspace | Path | str,
    coverage: float = COVERAGE,
) -> pd.DataFrame:
    """Judge how the customer left each call.

    Args:
        paths: recordings in any encoding, also ones the workspace does not know; one path is a
            list of one
        workspace: whose champion judges
        coverage: share of calls the model shall judge alone; the least sure rest needs a human

    Returns:
        one row per path in the given order, with the columns `COLUMNS`. `status` and the
        probabilities are those of the call's end; a call up to 45 s has one verdict, which is
        start and end alike. `confidence` is the highest probability, `needs_human` whether it is
        lower than of the chosen share of calls. For a file that cannot be judged `error` says why
        and the rest is empty, except that it needs a human; otherwise `error` is an empty string.

    Raises:
        ModelError: where the workspace has no usable model
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if not isinstance(workspace, Workspace):
        workspace = Workspace(resolve(workspace))
    return judge_calls(paths, load_champion(workspace), coverage=coverage)


def judge_calls(
    paths: Iterable[Path | str], model: TrainedModel, *, coverage: float = COVERAGE
) -> pd.DataFrame:
    """Judge calls with a given model, see `predict_calls`."""
    least = model.least_confidence(coverage)
    rows = [_judge(path, model, least) for path in progress(list(paths), "Judging")]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [*PROBABILITIES, "confidence"]
    table[numbers] = table[numbers].astype(float)
    table["needs_human"] = table["needs_human"].astype(bool)
    return table.fillna({name: "" for name in COLUMNS if name not in numbers})


def judge_call(
    path: Path | str, model: TrainedModel, *, least_confidence: float
) -> dict[str, object]:
    """Judge one call with a given model.

    Args:
        path: any recording that `helpers.audio.open_recording` reads
        model: of calls
        least_confidence: below it the call needs a human, see `TrainedModel.least_confidence`

    Returns:
        the columns `COLUMNS`, see `predict_calls`

    Raises:
        AudioError: where the recording cannot be judged
    """
    probabilities = model.predict_proba(call_features(path, feature_set=model.feature_set)).round(6)
    best = np.argmax(probabilities, axis=1)
    start, end = STATUSES[best[0]], STATUSES[best[-1]]
    confidence = probabilities[-1].max()
    return {
        "path": str(path),
        "status": end,
        "start_status": start,
        "end_status": end,
        **dict(zip(PROBABILITIES, probabilities[-1], strict=True)),
        "confidence": confidence,
        "needs_human": bool(confidence < least_confidence),
        "error": "",
    }


def _judge(path: Path | str, model: TrainedModel, least: float) -> dict[str, object]:
    try:
        return judge_call(path, model, least_confidence=least)
    except AudioError as error:
        return {"path": str(path), "needs_human": True, "error": str(error)}
