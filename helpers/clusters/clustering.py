"""Which calls without a status sound alike: description, principal components, K-means."""

import hashlib
from string import ascii_uppercase
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from helpers.dataset import cached_features, find_feature_set
from helpers.errors import AudioError, CallEmotionError
from helpers.features import FeatureSet
from helpers.progress import progress
from helpers.records import list_calls
from helpers.workspace import Workspace

LEAST_CALLS = 10
"""With fewer calls it is quicker to listen to each than to look for clusters."""

COMPONENTS, KEPT_VARIANCE = 20, 0.9
"""Principal components are kept up to this share of the variance, and not more of them."""

STARTS = 10
"""K-means begins so often, and the best end is kept."""

NEAREST = 3
"""Calls to listen to for each cluster."""

AGAINST_CALL = "_against_call"
"""Ending of the features that compare a segment with the rest of its call."""


class DescribedCalls(NamedTuple):
    """Calls to look for clusters in.

    Attributes:
        calls: one row a call: `path, content_hash, duration_s, customer, status, told`, see
            `helpers.records.list_calls`
        features: of the last segment of each, shape (calls, features)
        names: of the features
        sentence: which calls they are, and how many could not be described
    """

    calls: pd.DataFrame
    features: np.ndarray
    names: tuple[str, ...]
    sentence: str


class Clustering(NamedTuple):
    """Calls divided into clusters.

    Attributes:
        calls: as they were described, with `cluster`, `distance` (to its centre, in the units of
            `points`) and `certainty` (1 at the centre, 0 halfway to the next one)
        points: shape (calls, components), see `reduce_features`
    """

    calls: pd.DataFrame
    points: np.ndarray

    @property
    def names(self) -> list[str]:
        """Names of the clusters, the largest first."""
        return sorted(self.calls["cluster"].unique(), key=lambda name: name.split("-")[0])


def describe_calls(
    workspace: Workspace, *, feature_set: FeatureSet | None = None, change_only: bool = False
) -> DescribedCalls:
    """Describe how each call without a status ends.

    Whether somebody has decided on a call since does not matter, so that a decision changes no
    cluster. Where every call has a status in its folder or name, all of them are taken as if they
    had none.

    Args:
        workspace: with recordings in `dataset` or `audio_data`
        feature_set: by default the workspace's, see `helpers.dataset.find_feature_set`
        change_only: keep only the features that compare the end with the call itself: lines and
            voices count less, but a call up to 45 s, which is its own end, says nothing

    Raises:
        CallEmotionError: where there are fewer than `LEAST_CALLS`, or no such features
    """
    feature_set = feature_set or find_feature_set(workspace)
    calls = list_calls(workspace)
    untold = calls[~calls["told"]]
    chosen = (calls if untold.empty else untold).reset_index(drop=True)
    rows, kept = [], []
    for call in progress(list(chosen.itertuples()), "Features"):
        try:
            matrix = cached_features(
                workspace, call.path, call.content_hash, feature_set=feature_set
            )
        except AudioError:
            continue
        rows.append(matrix[-1])
        kept.append(call.Index)
    if len(rows) < LEAST_CALLS:
        raise CallEmotionError(
            f"{len(rows)} calls without a status can be described, expected {LEAST_CALLS} or more: "
            "listen to each instead, notebook 07 lists which teach the most"
        )
    features, names = np.array(rows, float), feature_set.names
    if change_only:
        features, names = _keep_changes(features, names)
    sentence = _describe_choice(len(kept), len(chosen) - len(kept), as_if=untold.empty)
    return DescribedCalls(chosen.loc[kept].reset_index(drop=True), features, names, sentence)


def reduce_features(features: np.ndarray) -> np.ndarray:
    """Standardise features and keep the principal components that say the most.

    Args:
        features: shape (calls, features), finite, in any units

    Returns:
        shape (calls, components), as many as hold `KEPT_VARIANCE`, `COMPONENTS` at most
    """
    scaled = StandardScaler().fit_transform(features)
    components = PCA(KEPT_VARIANCE, svd_solver="full").fit_transform(scaled)
    return components[:, :COMPONENTS]


def cluster_calls(
    described: DescribedCalls, points: np.ndarray, *, count: int, seed: int = 0
) -> Clustering:
    """Divide calls into clusters by K-means (Lloyd 1982, k-means++ starts).

    A cluster is named by a letter, the largest A, and by a fingerprint of its calls, such as
    `A-9f3a1c`: with other calls it is another cluster, whatever its letter.

    Args:
        described: the calls
        points: of the calls, see `reduce_features`
        count: number of clusters
        seed: of the starts

    Raises:
        CallEmotionError: where the count is not 2 to 26, or there are not twice as many calls
    """
    if not 2 <= count <= min(len(ascii_uppercase), len(points) // 2):
        raise CallEmotionError(
            f"{count} clusters of {len(points)} calls were asked for, expected 2 to "
            f"{min(len(ascii_uppercase), len(points) // 2)}"
        )
    distances = KMeans(count, n_init=STARTS, random_state=seed).fit(points).transform(points)
    own, second = np.sort(distances, axis=1)[:, :2].T
    names = _name_clusters(distances.argmin(axis=1), described.calls["content_hash"])
    columns = {"cluster": names, "distance": own, "certainty": 1 - own / np.maximum(second, 1e-12)}
    return Clustering(described.calls.assign(**columns), points)


def find_nearest(clustering: Clustering, *, count: int = NEAREST) -> pd.DataFrame:
    """Find the calls to listen to: the nearest to the centre of each cluster, nearest first.

    Returns:
        their rows of `clustering.calls`, with their index, cluster by cluster
    """
    ordered = clustering.calls.sort_values(["cluster", "distance", "path"])
    return ordered.groupby("cluster").head(count)


def name_groups(calls: pd.DataFrame) -> np.ndarray:
    """Name the customer of each call, or the call where the customer is not known."""
    return calls["customer"].where(calls["customer"] != "", calls["content_hash"]).to_numpy(object)


def _keep_changes(features: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple]:
    kept = [number for number, name in enumerate(names) if name.endswith(AGAINST_CALL)]
    if not kept:
        raise CallEmotionError(
            "no feature compares the end of a call with the call itself, such as those whose name "
            f"ends in {AGAINST_CALL}: cluster by all features"
        )
    return features[:, kept], tuple(names[number] for number in kept)


def _describe_choice(calls: int, left_out: int, *, as_if: bool) -> str:
    if as_if:
        sentence = f"every call has a status; the {calls} calls are taken as if they had none"
    else:
        sentence = f"{calls} calls have no status in their folder or name"
    return sentence + (f"; {left_out} more cannot be used" if left_out else "")


def _name_clusters(numbers: np.ndarray, hashes: pd.Series) -> np.ndarray:
    members = {number: sorted(hashes[numbers == number]) for number in np.unique(numbers)}
    ordered = sorted(members, key=lambda number: (-len(members[number]), members[number]))
    names = {
        number: f"{letter}-{hashlib.sha256(' '.join(members[number]).encode()).hexdigest()[:6]}"
        for letter, number in zip(ascii_uppercase, ordered, strict=False)
    }
    return np.array([names[number] for number in numbers], dtype=object)
