"""Pictures of clusters; imported by notebooks only."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.clusters.choice import STABLE, Suggestion
from helpers.clusters.clustering import Clustering, find_nearest

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f7f7f", "#b8a800")
"""Colours that colour-blind readers can tell apart (Okabe and Ito 2008); they come again after the
eighth cluster, whose letters tell them apart."""

NEUTRAL = "#8a8a8a"


def plot_counts(table: pd.DataFrame, suggestion: Suggestion) -> Figure:
    """Draw how clear and how stable each number of clusters is; the shaded one is looked at.

    Args:
        table: see `helpers.clusters.choice.compare_counts`
        suggestion: see `helpers.clusters.choice.suggest_count`
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    counts = table["clusters"]
    left.plot(counts, table["silhouette"], "o-", color=COLORS[0], label="the calls")
    left.plot(counts, table["by_chance"], "s--", color=NEUTRAL, label="cloud without clusters")
    left.set(ylabel="silhouette", title="how clear: above the dashed line")
    right.plot(counts, table["stability"], "o-", color=COLORS[0], label="the calls")
    right.axhline(STABLE, linestyle="--", color=NEUTRAL, label="clusters that come again")
    right.set(ylabel="agreement of halves", title="how stable: above the dashed line")
    for axes, top in ((left, 1.25 * table[["silhouette", "by_chance"]].max().max()), (right, 1.05)):
        axes.axvspan(suggestion.count - 0.3, suggestion.count + 0.3, color="black", alpha=0.08)
        axes.set(xlabel="clusters", xticks=counts, ylim=(min(0, axes.get_ylim()[0]), top))
        axes.legend(fontsize=9)
    plt.close(figure)
    return figure


def plot_map(clustering: Clustering, places: np.ndarray, *, title: str = "") -> Figure:
    """Draw each call as a dot coloured by its cluster; rings mark the calls to listen to.

    Args:
        clustering: the calls
        places: shape (calls, 2), see `helpers.clusters.maps.lay_out`
        title: above the picture
    """
    figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
    clusters = clustering.calls["cluster"].to_numpy()
    for number, name in enumerate(clustering.names):
        inside = clusters == name
        color = COLORS[number % len(COLORS)]
        label = f"{name}: {inside.sum()} calls"
        axes.scatter(*places[inside].T, s=28, color=color, alpha=0.8, label=label)
        _mark_middle(axes, places[inside], name.split("-")[0], color)
    nearest = find_nearest(clustering).index
    ring = {"facecolor": "none", "edgecolor": "black", "linewidth": 1.2}
    axes.scatter(*places[nearest].T, s=110, label="listen to these", **ring)
    axes.set(xticks=[], yticks=[], title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    plt.close(figure)
    return figure


def _mark_middle(axes: Axes, places: np.ndarray, letter: str, color: str) -> None:
    box = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": color, "alpha": 0.7}
    middle = np.median(places, axis=0)
    axes.text(*middle, letter, ha="center", va="center", fontsize=11, bbox=box, zorder=4)
