"""Probabilities that mean what they say, and the calls that are better left to a person."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from helpers.statuses import STATUSES

BINS = 10
"""Bins of equal width in which confidence is compared with accuracy."""

COVERAGE = 0.7
"""Share of calls that the model judges alone by default; the least sure rest needs a human."""

_LEAST = 1e-6
_LOG_TEMPERATURES = (-3.0, 3.0)


def fit_temperature(probabilities: np.ndarray, labels: Sequence[str]) -> float:
    """Find the temperature at which probabilities fit what happened.

    Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks"): one number,
    so that a hundred calls are enough, and no verdict changes. As in Platt 1999 what happened
    counts as a little less than certain, or a few calls that are all right would promise 100 %.

    Args:
        probabilities: shape (calls, 3), of calls the model has not learned from
        labels: their statuses

    Returns:
        above 1 where the model is too sure of itself, below 1 where it is not sure enough; 1.0
        without any call
    """
    if not len(labels):
        return 1.0
    happened = np.eye(len(STATUSES))[_columns(labels)]
    doubt = 1 / (len(labels) + 2)
    targets = (1 - doubt) * happened + doubt / len(STATUSES)

    def surprise(log_temperature: float) -> float:
        scaled = apply_temperature(probabilities, float(np.exp(log_temperature)))
        return float(-(targets * np.log(np.maximum(scaled, _LEAST))).sum(axis=1).mean())

    found = minimize_scalar(surprise, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(found.x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Make probabilities less (above 1) or more extreme (below 1); what was 0 stays 0.

    Args:
        probabilities: shape (calls, classes), rows add up to 1
        temperature: above 0

    Returns:
        shape (calls, classes), rows add up to 1
    """
    highest = probabilities.max(axis=1, keepdims=True)
    scaled = (probabilities / highest) ** (1 / temperature)
    return scaled / scaled.sum(axis=1, keepdims=True)


def calibration_error(probabilities: np.ndarray, labels: Sequence[str]) -> float:
    """Measure how far confidence is from accuracy: the expected calibration error.

    The mean over `BINS` bins of the distance between mean confidence and accuracy, weighted by the
    number of calls (Naeini et al. 2015). Few calls make it larger than it is.

    Returns:
        0 to 1, `nan` without any call
    """
    table = tabulate_reliability(probabilities, labels)
    if table.empty:
        return float("nan")
    distances = (table["confidence"] - table["accuracy"]).abs()
    return float(np.average(distances, weights=table["calls"]))


def tabulate_reliability(probabilities: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """Compare confidence with accuracy.

    Args:
        probabilities: shape (calls, 3)
        labels: their statuses

    Returns:
        one row per bin that has calls: `confidence` and `accuracy` (means) and `calls`
    """
    confidence, right = _confidence(probabilities), _right(probabilities, labels)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    table = pd.DataFrame({"bin": bins, "confidence": confidence, "accuracy": right, "calls": 1})
    means = {"confidence": "mean", "accuracy": "mean", "calls": "size"}
    return table.groupby("bin").agg(means).reset_index(drop=True)


def tabulate_coverage(probabilities: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """Say how often the model is wrong where it judges only the calls it is surest of.

    Args:
        probabilities: shape (calls, 3)
        labels: their statuses

    Returns:
        one row per call, surest first: `coverage` (share judged so far), `error` (share of them
        judged wrong) and `confidence` (of the last of them)
    """
    confidence, right = _confidence(probabilities), _right(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    judged = np.arange(1, len(order) + 1)
    return pd.DataFrame(
        {
            "coverage": judged / max(len(order), 1),
            "error": 1 - np.cumsum(right[order]) / judged,
            "confidence": confidence[order],
        }
    )


def confident_accuracy(
    probabilities: np.ndarray, labels: Sequence[str], *, coverage: float = COVERAGE
) -> float:
    """Give the accuracy on the surest share of calls, rounded up to whole calls; `nan` without."""
    table = tabulate_coverage(probabilities, labels)
    if table.empty:
        return float("nan")
    return float(1 - table["error"].iloc[int(np.ceil(coverage * len(table))) - 1])


def _confidence(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(probabilities).max(axis=1)


def _right(probabilities: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    return np.asarray(probabilities).argmax(axis=1) == _columns(labels)


def _columns(labels: Sequence[str]) -> np.ndarray:
    return np.array([STATUSES.index(label) for label in labels], dtype=int)
