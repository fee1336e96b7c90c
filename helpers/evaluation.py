"""Scores that a model cannot owe to having met the same voice, call or customer before."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
)
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

DRAWS = 100
"""Divisions that are tried before data is called too small to have every class in each training."""

BOOTSTRAP_ROUNDS = 1000
"""Resamples behind an interval."""


CEILINGS = {
    "emotions": (0.85, "large networks, fully trained, get 0.82 of RAVDESS (Luna-Jimenez 2021)"),
    "upset": (
        0.90,
        "voice and words together get 0.89 of anger in real calls, voice alone 0.83",
    ),
    "statuses": (0.83, "two classes, not three, get at most 0.83 from the voice in real calls"),
}
"""Scores above which a leak is likelier than a discovery, and what is published, by task."""

Learn = Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Evaluation:
    """Out-of-fold predictions, and their scores.

    Attributes:
        split: key of `SPLITS`
        rows: one row per judged recording: `path, true, predicted, group`
        classes: names of the classes, in the order of all tables
        task: key of `CEILINGS`
    """

    split: str
    rows: pd.DataFrame
    classes: tuple[str, ...] = STATUSES
    task: str = "statuses"

    @property
    def accuracy(self) -> float:
        """Share judged right."""
        return float(accuracy_score(self.rows["true"], self.rows["predicted"]))

    @property
    def uar(self) -> float:
        """Unweighted average recall: mean over classes of the share judged right."""
        return unweighted_average_recall(self.rows["true"], self.rows["predicted"])

    @property
    def macro_f1(self) -> float:
        """Mean over the classes that occur of the harmonic mean of precision and recall."""
        labels = sorted(set(self.rows["true"]))
        columns = (self.rows["true"], self.rows["predicted"])
        return float(f1_score(*columns, labels=labels, average="macro", zero_division=0))

    @property
    def weighted_kappa(self) -> float:
        """Agreement beyond chance, two steps apart counting four times one (Cohen 1968).

        1 where all are right, 0 where guessing would be as good; only for statuses, whose order
        it needs, otherwise `nan`.
        """
        true, predicted = self._ranks
        if not len(true) or len(set(true) | set(predicted)) < 2:
            return float("nan")
        return float(cohen_kappa_score(true, predicted, weights="quadratic"))

    @property
    def opposite(self) -> float:
        """Share of satisfied and unsatisfied recordings that were judged the very opposite."""
        true, predicted = self._ranks
        ends = np.isin(true, [0, len(STATUSES) - 1])
        distances = np.abs(true - predicted)[ends]
        return float((distances == len(STATUSES) - 1).mean()) if len(distances) else float("nan")

    @cached_property
    def uar_interval(self) -> tuple[float, float]:
        """95 % interval of the UAR, resampling whole groups (speakers, customers or calls)."""
        return bootstrap_interval(
            self.rows["true"], self.rows["predicted"], groups=self.rows["group"]
        )

    @property
    def report(self) -> pd.DataFrame:
        """Precision, recall, F1 and number of recordings per class."""
        report = classification_report(
            self.rows["true"],
            self.rows["predicted"],
            labels=list(self.classes),
            output_dict=True,
            zero_division=0,
        )
        table = pd.DataFrame({name: report[name] for name in self.classes}).T
        return table.round(2).astype({"support": int}).rename(columns={"support": "recordings"})

    @property
    def confusion(self) -> pd.DataFrame:
        """Number of recordings by true class (rows) and predicted class (columns)."""
        counts = confusion_matrix(
            self.rows["true"], self.rows["predicted"], labels=list(self.classes)
        )
        return pd.DataFrame(counts, list(self.classes), list(self.classes)).rename_axis(
            index="true", columns="predicted"
        )

    @property
    def warning(self) -> str:
        """A sentence where the score is better than anything published, otherwise empty."""
        ceiling, published = CEILINGS[self.task]
        if not self.uar > ceiling:
            return ""
        return (
            f"UAR {self.uar:.2f} is above {ceiling:.2f}: {published}. Look for recordings, voices "
            "or customers that are on both sides of the split before you believe it"
        )

    def summary(self) -> dict[str, object]:
        """Scores as plain numbers, for tables and JSON."""
        low, high = self.uar_interval
        return {
            "split": self.split,
            "calls": len(self.rows),
            "accuracy": round(self.accuracy, 3),
            "uar": round(self.uar, 3),
            "uar_low": round(low, 3),
            "uar_high": round(high, 3),
            "macro_f1": round(self.macro_f1, 3),
            **self._ordered,
        }

    @property
    def _ordered(self) -> dict[str, float]:
        if self.task != "statuses":
            return {}
        return {"kappa": round(self.weighted_kappa, 3), "opposite": round(self.opposite, 3)}

    @property
    def _ranks(self) -> tuple[np.ndarray, np.ndarray]:
        columns = (
            (self.rows["true"], self.rows["predicted"]) if self.task == "statuses" else ([], [])
        )
        ranks = (np.array([STATUSES.index(name) for name in each], dtype=int) for each in columns)
        return tuple(ranks)


def evaluate(
    dataset: Dataset,
    make_model: Callable[[], BaseEstimator],
    *,
    split: str = "customer",
    extra: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Cross-validate a model of calls and score it on the segments that decide a call.

    The model is made anew in each fold, so scaling and everything else it learns stay inside. A
    model whose `fit` takes `groups` is told them, for choices of its own. Where a call's customer
    is not known, the call is a customer of its own.

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
    extra = extra or (dataset.features[:0], dataset.labels[:0])
    extra_groups = np.array([f"extra {number}" for number in range(len(extra[1]))], object)

    def learn(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        features = np.concatenate([dataset.features[train], extra[0]])
        labels = np.concatenate([dataset.labels[train], extra[1]])
        model = fit_model(
            make_model(), features, labels, groups=np.concatenate([groups[train], extra_groups])
        )
        return lambda test: np.asarray(model.predict(dataset.features[test]), object)

    predicted = cross_validate(learn, dataset.labels, groups=groups, split=split, seed=seed)
    columns = {"true": dataset.labels, "predicted": predicted, "group": groups}
    rows = dataset.segments[["path"]].assign(**columns)
    judged = dataset.segments["kind"].isin(VERDICT_KINDS)
    return Evaluation(split, rows[judged].reset_index(drop=True))


def fit_model(
    model: BaseEstimator, features: np.ndarray, labels: np.ndarray, *, groups: np.ndarray
) -> BaseEstimator:
    """Fit a classifier, telling it the groups where it wants to know them."""
    if "groups" in inspect.signature(model.fit).parameters:
        return model.fit(features, labels, groups=groups)
    return model.fit(features, labels)


def cross_validate(
    learn: Learn,
    labels: Sequence[str],
    *,
    groups: Sequence[str],
    split: str,
    seed: int = 0,
    jobs: int = 1,
) -> np.ndarray:
    """Predict every row by a model that has seen no row of its group.

    Every figure of this project comes from here: models of calls, of emotions, and baselines.

    Args:
        learn: takes the numbers of the training rows, learns from these alone, and returns a
            function that takes the numbers of test rows and gives an array with one entry or row
            for each
        labels: class of each row, spread evenly over the folds
        groups: name of each row's group; with the split `segment` they only count
        split: key of `SPLITS`
        seed: of the folds
        jobs: folds that are worked on at once, each in a process of its own; -1 for one a core

    Returns:
        what the functions gave, in the order of the rows

    Raises:
        CallEmotionError: where there are too few groups to hold some out
    """
    labels, groups = np.asarray(labels), np.asarray(groups, dtype=object)
    folds = divide(labels, groups=groups, split=split, seed=seed)
    work = Parallel(n_jobs=jobs)(delayed(_work)(learn, *fold) for fold in folds)
    order = np.argsort(np.concatenate([test for _, test in folds]))
    return np.concatenate(work)[order]


def divide(
    labels: Sequence[str],
    *,
    groups: Sequence[str],
    split: str,
    folds: int = FOLDS,
    seed: int = 0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide rows into folds, as many as wanted or fewer where a class has fewer groups.

    For the other arguments see `cross_validate`.

    Returns:
        numbers of the training rows and of the test rows, for each fold; every class is among
        the training rows of each

    Raises:
        ValueError: where the split is none of `SPLITS`
        CallEmotionError: where there are too few groups to hold some out
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {list(SPLITS)}")
    labels = np.asarray(labels)
    groups_by_label = pd.Series(groups).groupby(labels).nunique()
    folds = min(folds, int(groups_by_label.min()), len(np.unique(groups)))
    if folds >= 2 and len(groups_by_label) >= 2:
        for draw in range(seed, seed + DRAWS):
            parts = _draw_folds(labels, groups, split, folds, draw)
            if all(len(np.unique(labels[train])) == len(groups_by_label) for train, _ in parts):
                return parts
    raise CallEmotionError(
        f"too few customers or speakers to hold some out: {groups_by_label.to_dict()} by "
        "class; expected two classes or more with two of them each. Add recordings"
    )


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
    """Mean over the classes that occur of the share judged right; `nan` without any row."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    recalls = [(predicted[true == name] == name).mean() for name in np.unique(true)]
    return float(np.mean(recalls)) if recalls else float("nan")


def bootstrap_interval(true, predicted, *, groups, seed: int = 0) -> tuple[float, float]:
    """Give a 95 % percentile interval of the UAR.

    Args:
        true: classes
        predicted: classes
        groups: name of each row's group; groups are drawn with replacement as wholes, because
            calls of one customer are judged right or wrong together (cluster bootstrap)
        seed: of the draws

    Returns:
        lower and upper end
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    scores = [
        unweighted_average_recall(true[rows], predicted[rows])
        for rows in draw_groups(groups, seed=seed)
    ]
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)


def draw_groups(groups, *, seed: int = 0) -> Iterator[np.ndarray]:
    """Draw whole groups with replacement, as many as there are, `BOOTSTRAP_ROUNDS` times.

    Args:
        groups: name of each row's group
        seed: of the draws

    Yields:
        numbers of the rows drawn
    """
    groups = np.asarray(groups)
    rows_by_group = list(pd.Series(range(len(groups))).groupby(groups).indices.values())
    generator = np.random.default_rng(seed)
    for _ in range(BOOTSTRAP_ROUNDS):
        drawn = generator.integers(len(rows_by_group), size=len(rows_by_group))
        yield np.concatenate([rows_by_group[group] for group in drawn])


def _draw_folds(
    labels: np.ndarray, groups: Sequence[str], split: str, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    if split == "segment":
        return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels))
    # shuffled here, because scikit-learn 1.6 then confuses the groups and does not stratify
    _, numbers = np.unique(groups, return_inverse=True)
    shuffled = np.argsort(np.random.RandomState(seed).permutation(numbers.max() + 1))
    return list(StratifiedGroupKFold(folds).split(labels, labels, shuffled[numbers]))


def _work(learn: Learn, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return learn(train)(test)
