"""Scores that a model cannot owe to having met the same call or customer before."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from helpers.dataset import VERDICT_KINDS, Dataset
from helpers.errors import CallEmotionError
from helpers.statuses import STATUSES

SPLITS = {
    "customer": "no customer on both sides",
    "call": "no call on both sides",
    "segment": "segments drawn at random (leaks)",
}
"""Ways to divide the segments into folds; `segment` only shows what the earlier notebook saw."""

FOLDS = 5
"""Folds of the cross-validation, where there are enough customers."""

BOOTSTRAP_ROUNDS = 1000
"""Resamples behind an interval."""


@dataclass(frozen=True)
class Evaluation:
    """Out-of-fold predictions of the segments that decide a call, and their scores.

    Attributes:
        split: key of `SPLITS`
        segments: one row per judged segment: `path, status, predicted, group`
    """

    split: str
    segments: pd.DataFrame

    @property
    def accuracy(self) -> float:
        """Share of calls judged right."""
        return float(accuracy_score(self.segments["status"], self.segments["predicted"]))

    @property
    def uar(self) -> float:
        """Unweighted average recall: mean over statuses of the share judged right."""
        return unweighted_average_recall(self.segments["status"], self.segments["predicted"])

    @cached_property
    def uar_interval(self) -> tuple[float, float]:
        """95 % interval of the UAR, resampling whole groups (customers or calls)."""
        return bootstrap_interval(
            self.segments["status"], self.segments["predicted"], groups=self.segments["group"]
        )

    @property
    def report(self) -> pd.DataFrame:
        """Precision, recall, F1 and number of calls per status."""
        report = classification_report(
            self.segments["status"],
            self.segments["predicted"],
            labels=list(STATUSES),
            output_dict=True,
            zero_division=0,
        )
        table = pd.DataFrame({status: report[status] for status in STATUSES}).T
        return table.round(2).astype({"support": int}).rename(columns={"support": "calls"})

    @property
    def confusion(self) -> pd.DataFrame:
        """Number of calls by true status (rows) and predicted status (columns)."""
        counts = confusion_matrix(
            self.segments["status"], self.segments["predicted"], labels=list(STATUSES)
        )
        return pd.DataFrame(counts, list(STATUSES), list(STATUSES)).rename_axis(
            index="true", columns="predicted"
        )

    def summary(self) -> dict[str, object]:
        """Scores as plain numbers, for tables and JSON."""
        low, high = self.uar_interval
        return {
            "split": self.split,
            "calls": len(self.segments),
            "accuracy": round(self.accuracy, 3),
            "uar": round(self.uar, 3),
            "uar_low": round(low, 3),
            "uar_high": round(high, 3),
        }


def evaluate(
    dataset: Dataset,
    make_model: Callable[[], BaseEstimator],
    *,
    split: str = "customer",
    extra: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Cross-validate a model and score it on the segments that decide a call.

    The model is made anew in each fold, so scaling and everything else it learns stay inside.
    Where a call's customer is not known, the call is a customer of its own.

    Args:
        dataset: all its rows may train; its `end` and `whole` rows are judged
        make_model: gives an unfitted classifier, scaler included
        split: key of `SPLITS`
        extra: features and labels that train in every fold and are never judged
        seed: of the folds

    Returns:
        predictions of every judged segment

    Raises:
        CallEmotionError: where there are too few customers or calls to hold some out
    """
    groups = group_segments(dataset, split)
    predicted = np.full(len(groups), "", dtype=object)
    for train, test in _folds(dataset, groups, split, seed):
        features, labels = dataset.features[train], dataset.labels[train]
        if extra is not None:
            features = np.concatenate([features, extra[0]])
            labels = np.concatenate([labels, extra[1]])
        predicted[test] = make_model().fit(features, labels).predict(dataset.features[test])
    segments = dataset.segments[["path", "status"]].assign(predicted=predicted, group=groups)
    judged = dataset.segments["kind"].isin(VERDICT_KINDS)
    return Evaluation(split, segments[judged].reset_index(drop=True))


def group_segments(dataset: Dataset, split: str) -> np.ndarray:
    """Name the group of each row: rows of one group are never on both sides of a split."""
    calls = dataset.segments["content_hash"].to_numpy(dtype=object)
    if split == "segment":
        return np.arange(len(calls)).astype(str)
    if split == "call":
        return calls
    if split == "customer":
        customers = dataset.segments["customer"].to_numpy(dtype=object)
        return np.where(customers == "", calls, customers)
    raise ValueError(f"split is {split!r}, expected one of {list(SPLITS)}")


def unweighted_average_recall(true, predicted) -> float:
    """Mean over the statuses that occur of the share judged right; `nan` without any call."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    recalls = [(predicted[true == status] == status).mean() for status in np.unique(true)]
    return float(np.mean(recalls)) if recalls else float("nan")


def bootstrap_interval(true, predicted, *, groups, seed: int = 0) -> tuple[float, float]:
    """Give a 95 % percentile interval of the UAR.

    Args:
        true: statuses
        predicted: statuses
        groups: name of each row's group; groups are drawn with replacement as wholes, because
            calls of one customer are judged right or wrong together (cluster bootstrap)
        seed: of the draws

    Returns:
        lower and upper end
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    rows_by_group = list(pd.Series(range(len(true))).groupby(np.asarray(groups)).indices.values())
    generator = np.random.default_rng(seed)
    scores = []
    for _ in range(BOOTSTRAP_ROUNDS):
        drawn = generator.integers(len(rows_by_group), size=len(rows_by_group))
        rows = np.concatenate([rows_by_group[group] for group in drawn])
        scores.append(unweighted_average_recall(true[rows], predicted[rows]))
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)


def _folds(dataset: Dataset, groups: np.ndarray, split: str, seed: int):
    group_of_label = pd.DataFrame({"label": dataset.labels, "group": groups})
    groups_by_label = group_of_label.groupby("label")["group"].nunique()
    folds = min(FOLDS, int(groups_by_label.min()), len(np.unique(groups)))
    if folds < 2 or len(groups_by_label) < 2:
        raise CallEmotionError(
            f"too few calls to hold some out: {groups_by_label.to_dict()} by status; expected two "
            "statuses or more with two different customers each. Add recordings and run again"
        )
    if split == "segment":
        return StratifiedKFold(folds, shuffle=True, random_state=seed).split(groups, dataset.labels)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return splitter.split(groups, dataset.labels, groups)
