"""Pictures of a comparison of models and features."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from helpers.zoo.comparison import CHOSEN

LEAST_COST = 0.01
"""Smaller seconds, milliseconds and megabytes are drawn as this: the axes are logarithmic."""


def plot_comparison(table: pd.DataFrame, *, line: str, classes: int) -> Figure:
    """Show the UAR of every model with its interval, a panel a feature set.

    Args:
        table: as `helpers.zoo.comparison.tabulate` gives it, of one task
        line: which rows
        classes: number of classes, for the line of chance

    Returns:
        the figure; a hollow circle is the split that leaks
    """
    rows = table[table["line"] == line]
    names = rows.groupby("features")["uar"].max().sort_values(ascending=False).index
    panels = [rows[rows["features"] == name].iloc[::-1] for name in names]
    heights = [len(panel) for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(8, 1 + 0.32 * sum(heights) + 0.35 * len(panels)),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
    )
    for axis, name, panel in zip(axes[:, 0], names, panels, strict=True):
        places = np.arange(len(panel))
        errors = [panel["uar"] - panel["low"], panel["high"] - panel["uar"]]
        axis.errorbar(
            panel["uar"], places, xerr=errors, fmt="o", color="tab:blue", label="speakers apart"
        )
        axis.plot(
            panel["random_uar"], places, "o", mfc="none", color="tab:red", label="at random (leaks)"
        )
        axis.axvline(1 / classes, linestyle="--", linewidth=1, color="black")
        axis.set_yticks(places, panel["model"])
        axis.set_ylim(-0.6, len(panel) - 0.4)
        axis.set_title(name, fontsize=10, loc="left")
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].legend(loc="lower right", fontsize=8)
    axes[-1, 0].set_xlabel(f"UAR, {line}; dashed: guessing")
    plt.close(figure)
    return figure


def plot_costs(table: pd.DataFrame, *, line: str) -> Figure:
    """Show the UAR of every model's best feature set against training time, latency and size.

    Args:
        table: as `helpers.zoo.comparison.tabulate` gives it, of one task
        line: which rows
    """
    rows = table[(table["line"] == line) & (table["model"] != CHOSEN)]
    rows = rows.sort_values("uar").groupby("model").tail(1)
    costs = {
        "train_s": "training in s",
        "latency_ms": "judging one recording in ms",
        "size_mb": "size in MB",
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.5), sharey=True, layout="constrained")
    for place, row in enumerate(rows.iloc[::-1].to_dict("records")):
        style = {"color": f"C{place % 10}", "marker": "os^D"[place // 10 % 4], "s": 60}
        for axis, column in zip(axes, costs, strict=True):
            axis.scatter(max(row[column], LEAST_COST), row["uar"], label=row["model"], **style)
    for axis, label in zip(axes, costs.values(), strict=True):
        axis.set(xscale="log", xlabel=label)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"UAR with its best features, {line}")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=9)
    plt.close(figure)
    return figure
