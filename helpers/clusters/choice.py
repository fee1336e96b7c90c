"""How many clusters there are, with reasons; and whether there are any."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from helpers.clusters.clustering import STARTS
from helpers.statuses import STATUSES

COUNTS = range(2, 9)
"""Numbers of clusters that are tried, as long as each would have three calls or more."""

HALVINGS = 10
"""The calls are halved at random so often to see whether both halves show the same clusters."""

CLOUDS = 19
"""Clouds without clusters that are clustered too: real clusters are clearer than all of these in
19 of 20 cases by chance alone (a test at 5 %)."""

QUICK_STARTS = 3
"""K-means begins so often in halves and clouds."""

STABLE = 0.6
"""Agreement of the halves (adjusted Rand index) from which clusters are taken to come again."""

SMALLEST = 3
"""A cluster of fewer calls is an outlier."""


class Suggestion(NamedTuple):
    """A number of clusters.

    Attributes:
        count: how many to look at
        found: whether the calls themselves suggest it
        sentence: why
    """

    count: int
    found: bool
    sentence: str


def compare_counts(points: np.ndarray, *, groups: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """Say how clear and how stable each number of clusters is.

    Silhouette (Rousseeuw 1987): how much nearer a call is to its own cluster than to the next one,
    0 where clusters touch, 1 where they are far apart. K-means divides any cloud, so the same is
    done to clouds without clusters, normally distributed and as wide in every component (as in
    SigClust, Liu et al. 2008). Stability: the calls are halved at random, the clusters of each half
    are continued to all calls by the nearest centre, and compared by the adjusted Rand index
    (Ben-Hur et al. 2002; Lange et al. 2004), 1 where they are the same, 0 where they agree as
    chance does.

    Args:
        points: shape (calls, components)
        groups: customer of each call, or the call; a customer is in one half only, so that a
            cluster of one voice does not pass for stable
        seed: of all draws

    Returns:
        one row per number of clusters `clusters`, with `silhouette`, `by_chance` (the highest one
        of the clouds), `stability` and `smallest` (number of calls)
    """
    counts = [count for count in COUNTS if count * SMALLEST <= len(points)]
    with threadpool_limits(1):  # few points: threads only get in the way
        rows = [_describe_count(points, np.asarray(groups), count, seed) for count in counts]
    return pd.DataFrame(rows, columns=["clusters", "silhouette", "by_chance", "stability",
                                       "smallest"])  # fmt: skip


def suggest_count(table: pd.DataFrame) -> Suggestion:
    """Suggest the clearest number of clusters that come again and are no work of chance.

    Args:
        table: see `compare_counts`
    """
    clear = table["silhouette"] > table["by_chance"]
    stable = table["stability"] >= STABLE
    good = table[clear & stable & (table["smallest"] >= SMALLEST)]
    if len(good):
        best = good.loc[good["silhouette"].idxmax()]
        return Suggestion(
            int(best.clusters),
            True,
            f"{best.clusters:.0f} clusters: clearer than chance (silhouette {best.silhouette:.2f}, "
            f"by chance up to {best.by_chance:.2f}), and halves of the calls show the same ones "
            f"(agreement {best.stability:.2f}); the smallest has {best.smallest:.0f} calls",
        )
    best = table.loc[table["silhouette"].idxmax()]
    reason = _tell_why_not(clear, stable)
    count = min(len(STATUSES), int(table["clusters"].max()))
    return Suggestion(
        count,
        False,
        f"nothing suggests that there are clusters at all: {reason} (best silhouette "
        f"{best.silhouette:.2f}, agreement of halves at most {table['stability'].max():.2f}). The "
        f"calls are divided into {count} all the same, as many as there are statuses: listen "
        "before you name one",
    )


def _tell_why_not(clear: pd.Series, stable: pd.Series) -> str:
    if (clear & stable).any():
        return "the clear and stable ones split off single calls"
    reasons = [
        "none is clearer than in a cloud without clusters" if not clear.any() else "",
        "halves of the calls show different ones" if not stable.any() else "",
    ]
    return " and ".join(filter(None, reasons)) or "the clear ones are not the stable ones"


def _describe_count(
    points: np.ndarray, groups: np.ndarray, count: int, seed: int
) -> dict[str, float]:
    clusters = _divide(points, count, STARTS, seed)
    generator = np.random.default_rng(seed)
    clouds = (generator.normal(size=points.shape) * points.std(axis=0) for _ in range(CLOUDS))
    return {
        "clusters": count,
        "silhouette": _silhouette(points, clusters.labels_),
        "by_chance": max(
            _silhouette(cloud, _divide(cloud, count, QUICK_STARTS, seed).labels_)
            for cloud in clouds
        ),
        "stability": _stability(points, groups, count, seed),
        "smallest": int(np.bincount(clusters.labels_).min()),
    }


def _stability(points: np.ndarray, groups: np.ndarray, count: int, seed: int) -> float:
    generator = np.random.default_rng(seed)
    names, numbers = np.unique(groups, return_inverse=True)
    agreements = []
    for halving in range(HALVINGS):
        first = np.isin(numbers, generator.permutation(len(names))[: len(names) // 2])
        if min(first.sum(), (~first).sum()) < count:
            continue
        halves = [
            _divide(points[half], count, QUICK_STARTS, seed + halving).predict(points)
            for half in (first, ~first)
        ]
        agreements.append(adjusted_rand_score(*halves))
    return float(np.mean(agreements)) if agreements else 0.0


def _divide(points: np.ndarray, count: int, starts: int, seed: int) -> KMeans:
    return KMeans(count, n_init=starts, random_state=seed).fit(points)


def _silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    return float(silhouette_score(points, labels)) if len(np.unique(labels)) > 1 else 0.0
