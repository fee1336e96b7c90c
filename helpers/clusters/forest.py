"""A random forest that learns the clusters' names, and what its scores are worth."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from helpers.clusters.clustering import (
    KEPT_VARIANCE,
    Clustering,
    DescribedCalls,
    find_nearest,
    name_groups,
)
from helpers.errors import CallEmotionError
from helpers.evaluation import Evaluation, cross_validate, divide, unweighted_average_recall

TREES = 40
"""Trees of a forest."""

GRID = {"max_features": ("sqrt", 0.5), "min_samples_leaf": (1, 4)}
"""What is tried: components that a branch may ask for, and calls that a leaf holds at least."""

INNER_FOLDS = 3
"""Folds inside the training calls on which the grid is searched."""

NAMES, PEOPLE = "the clusters' names", "people's statuses"
"""What the forest's verdicts are compared with."""

CAVEAT = (
    "Agreeing with the clusters it was taught proves nothing: they are made of the same features. "
    "What counts is the score against people's statuses, customers apart."
)
"""What must stand beside the scores."""

TOO_FEW_NAMES = (
    "no forest: it takes two clusters with different names to learn what tells them apart"
)
"""What is said instead of scores where nothing can be learned."""


class ForestReport(NamedTuple):
    """What a forest makes of the clusters' names.

    Attributes:
        scores: one row per truth and split: `compared_with, split, calls, uar, uar_low, uar_high`;
            none against people where no status is left to compare with
        rest: verdicts about the calls of no named cluster: `path, cluster, verdict, confidence`,
            most confident first
        sentence: what the scores mean, or why there are none
    """

    scores: pd.DataFrame
    rest: pd.DataFrame
    sentence: str


def report_forest(
    described: DescribedCalls, clustering: Clustering, names: Mapping[str, str], *, seed: int = 0
) -> ForestReport:
    """Teach a random forest the clusters' names, score it, and let it judge the other calls.

    In every fold the grid is searched and the forest grown on the training calls alone. A customer
    is on one side only, in the inner folds too; the score of a division at random is beside.

    The calls nearest to a centre are those that were heard to find its name, or gave it by their
    status (`helpers.clusters.naming.imitate_listener`). A name agrees with them whatever it is
    worth, so they and the other calls of their customers are not compared with people's statuses.

    Args:
        described: the calls
        clustering: of the same calls
        names: status by cluster; only calls of named ones teach
        seed: of folds and forest

    Returns:
        the report, with empty tables where the names are fewer than two, or the customers too few
    """
    calls = clustering.calls.assign(
        taught=[names.get(name, "") for name in clustering.calls["cluster"]],
        told_the_name=_mark_tellers(clustering, names),
    )
    rows = np.flatnonzero(calls["taught"] != "")
    if len(set(names.values())) < 2:
        return ForestReport(pd.DataFrame(), pd.DataFrame(), TOO_FEW_NAMES)
    features, taught = described.features[rows], calls.iloc[rows]
    try:
        with threadpool_limits(1):  # few calls: threads only get in the way
            scores = [
                _score(features, taught, split=split, seed=seed)
                for split in ("customer", "segment")
            ]
    except CallEmotionError as error:
        return ForestReport(pd.DataFrame(), pd.DataFrame(), f"no forest: {error}")
    groups = name_groups(taught)
    forest = grow_forest(features, taught["taught"].to_numpy(str), groups=groups, seed=seed)
    rest = calls[calls["taught"] == ""]
    return ForestReport(
        pd.concat(scores, ignore_index=True).sort_values("compared_with", ignore_index=True),
        _judge(forest, described.features[rest.index], rest),
        f"{CAVEAT} {_describe_left(taught)}",
    )


def grow_forest(
    features: np.ndarray, labels: np.ndarray, *, groups: np.ndarray, seed: int = 0
) -> BaseEstimator:
    """Grow a random forest (Breiman 2001), choosing from `GRID` by UAR, customers apart.

    Args:
        features: shape (calls, features)
        labels: of each call
        groups: customer of each call, never on both sides of a fold
        seed: of the forest

    Returns:
        a fitted pipeline of scaler, principal components and forest; with too few customers to hold
        some out, nothing is searched
    """
    forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=seed)
    try:
        folds = divide(labels, groups=groups, split="customer", folds=INNER_FOLDS, seed=seed)
        forest = GridSearchCV(
            forest, GRID, scoring=make_scorer(unweighted_average_recall), cv=folds
        )
    except CallEmotionError:
        pass
    components = PCA(KEPT_VARIANCE, svd_solver="full")
    return make_pipeline(StandardScaler(), components, forest).fit(features, labels)


def _mark_tellers(clustering: Clustering, names: Mapping[str, str]) -> np.ndarray:
    """Mark the calls nearest to the centres of named clusters, and others of their customers."""
    customers, nearest = name_groups(clustering.calls), find_nearest(clustering)
    named = [cluster for cluster, name in names.items() if name]
    heard = nearest.index[nearest["cluster"].isin(named)]
    return np.isin(customers, customers[heard])


def _describe_left(calls: pd.DataFrame) -> str:
    known = calls["status"] != ""
    left = known & ~calls["told_the_name"]
    return (
        f"For it {left.sum()} of {known.sum()} calls with a status remain: those that told the "
        "names of the clusters, and the others of their customers, are left out."
    )


def _score(features: np.ndarray, calls: pd.DataFrame, *, split: str, seed: int) -> pd.DataFrame:
    labels, groups = calls["taught"].to_numpy(str), name_groups(calls)

    def learn(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        forest = grow_forest(features[train], labels[train], groups=groups[train], seed=seed)
        return lambda test: forest.predict(features[test]).astype(object)

    predicted = cross_validate(learn, labels, groups=groups, split=split, seed=seed)
    columns = {"predicted": predicted, "group": groups}
    rows = calls[["path"]].assign(**columns)
    people = calls["status"].where(~calls["told_the_name"], "")
    lines = []
    for truth, known in ((NAMES, calls["taught"]), (PEOPLE, people)):
        judged = rows.assign(true=known)[known != ""]
        if len(judged):
            summary = Evaluation(split, judged.reset_index(drop=True)).summary()
            lines.append({"compared_with": truth, **summary})
    wanted = ["compared_with", "split", "calls", "uar", "uar_low", "uar_high"]
    return pd.DataFrame(lines)[wanted]


def _judge(forest: BaseEstimator, features: np.ndarray, calls: pd.DataFrame) -> pd.DataFrame:
    if calls.empty:
        return pd.DataFrame(columns=["path", "cluster", "verdict", "confidence"])
    probabilities = forest.predict_proba(features)
    verdicts = forest.classes_[probabilities.argmax(axis=1)]
    table = calls[["path", "cluster"]].assign(
        verdict=verdicts, confidence=probabilities.max(axis=1).round(2)
    )
    return table.sort_values(["confidence", "path"], ascending=[False, True], ignore_index=True)
