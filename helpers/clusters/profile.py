"""What is typical of a cluster, in plain words."""

import numpy as np
import pandas as pd

from helpers.clusters.clustering import AGAINST_CALL, Clustering, DescribedCalls

TRAITS = {
    "pitch_mean": ("higher voices", "lower voices"),
    "pitch_deviation": ("livelier pitch", "flatter pitch"),
    "pitch_slope": ("pitch rises", "pitch falls"),
    "energy_range_95_05": ("loud and soft far apart", "loud and soft close together"),
    "energy_slope": ("gets louder", "gets softer"),
    "centroid_mean": ("brighter sound", "darker sound"),
    "harmonicity_mean": ("clearer voices", "hoarser voices or more noise"),
    "voiced_onsets_per_s": ("speaks faster", "speaks slower"),
    "voiced_run_mean_s": ("longer vowels", "shorter vowels"),
    "pause_share": ("more silence", "less silence"),
}
"""What more and less of a descriptor is called."""

LEAST_DIFFERENCE = 0.5
"""Smaller differences, in standard deviations, are not worth a word (Cohen 1988: medium)."""

MOST_WORDS = 4
"""Longest list of differences."""

LIKE_OTHERS = "like the others"
"""What is said where nothing differs."""

NO_WORDS = "these features have no plain words; listen"
"""What is said of features such as a network's."""


def describe_clusters(described: DescribedCalls, clustering: Clustering) -> pd.DataFrame:
    """Say how each cluster differs from the other calls, most different first.

    Args:
        described: with features in plain words, such as the phone set; they need not be those
            that the clusters were found by
        clustering: of the same calls

    Returns:
        one row per cluster: `cluster, calls, sounds`
    """
    columns = {
        trait: described.names.index(name)
        for trait in TRAITS
        for name in (trait + AGAINST_CALL, trait)
        if name in described.names
    }
    rows = []
    for name in clustering.names:
        inside = (clustering.calls["cluster"] == name).to_numpy()
        words = _word_differences(described.features, inside, columns) if columns else NO_WORDS
        rows.append({"cluster": name, "calls": int(inside.sum()), "sounds": words})
    return pd.DataFrame(rows)


def _word_differences(features: np.ndarray, inside: np.ndarray, columns: dict[str, int]) -> str:
    values = features[:, list(columns.values())]
    deviations = np.maximum(values.std(axis=0), 1e-9)
    differences = (values[inside].mean(axis=0) - values[~inside].mean(axis=0)) / deviations
    order = np.argsort(-np.abs(differences))[:MOST_WORDS]
    traits = [TRAITS[name] for name in columns]
    words = [
        traits[number][0 if differences[number] > 0 else 1]
        for number in order
        if abs(differences[number]) >= LEAST_DIFFERENCE
    ]
    return ", ".join(words) or LIKE_OTHERS
