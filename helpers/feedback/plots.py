"""Pictures of the feedback loop; imported by notebooks only."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from helpers.model_store import KEPT_ASIDE, PROMOTED, ROLLED_BACK
from helpers.plots import COLORS, SEGMENT_COLORS
from helpers.statuses import STATUSES

NOTHING_YET = "nothing to show yet"
"""What stands in a picture without data."""

NAME_LENGTH = 44
"""Letters of a name that a picture shows; of a longer one the middle is left out."""

WORST_FEATURES = 15
"""Features that a picture of drift shows."""

TICKS = 30
"""Names that fit below a picture."""

LEGEND_ROWS = 20
"""Versions that fit in a legend beside a picture."""

BEFORE, AFTER = COLORS["average"], SEGMENT_COLORS["start"]
"""Colours of what was, and of what is new."""

PASSED, FAILED = ("✓", "o", COLORS["satisfied"]), ("✗", "X", COLORS["unsatisfied"])
"""Sign, marker and colour of what passed the gate, and of what did not."""

EVENTS = {
    PROMOTED: {"marker": "o", "facecolor": COLORS["satisfied"]},
    KEPT_ASIDE: {"marker": "o", "facecolor": "white", "edgecolor": COLORS["unsatisfied"]},
    ROLLED_BACK: {"marker": "<", "facecolor": SEGMENT_COLORS["end"]},
}
"""How each event in the life of a version is drawn."""


def plot_reliability(before: pd.DataFrame, after: pd.DataFrame) -> Figure:
    """Draw how often verdicts are right by how sure the model is of them.

    Args:
        before: `confidence, accuracy, calls`, one row a bin that is not empty
        after: the same after calibration
    """
    kinds = [("before calibration", before, "s", BEFORE), ("after calibration", after, "o", AFTER)]
    kinds = [kind for kind in kinds if len(kind[1])]
    if not kinds:
        return _show_nothing()
    figure, axes = _open(5.6, 6)
    most = max(bins["calls"].max() for _, bins, _, _ in kinds)
    axes.plot([0, 1], [0, 1], "--", linewidth=1, color="black", label="right as often as sure")
    for name, bins, marker, color in kinds:
        bins = bins.sort_values("confidence")
        style = {"marker": marker, "color": color, "label": name}
        areas = _areas(bins["calls"], most)
        _draw_dots(axes, bins["confidence"], bins["accuracy"], areas=areas, **style)
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), aspect="equal")
    axes.set(xlabel="how sure the model is", ylabel="share judged right (larger: more calls)")
    _count_in_percent(axes.xaxis, axes.yaxis)
    _add_legend(figure)
    return figure


def plot_coverage(table: pd.DataFrame, *, coverage: float) -> Figure:
    """Draw how many verdicts are wrong by how many calls are judged, the surest first.

    Args:
        table: `coverage, error`, both shares
        coverage: the chosen share of calls to judge, rounded up to whole calls; the rest needs
            a human
    """
    table = table.dropna()
    if table.empty:
        return _show_nothing()
    figure, axes = _open(8, 4.2)
    table = table.sort_values("coverage", ignore_index=True)
    reached = table["coverage"].searchsorted(coverage - 1e-9)
    judged = table.iloc[min(reached, len(table) - 1)]
    axes.plot(table["coverage"], table["error"], "o-", markersize=4, color=AFTER)
    chosen = {"marker": "D", "color": COLORS["satisfied"], "label": "chosen"}
    axes.scatter(judged["coverage"], judged["error"], s=90, zorder=3, **chosen)
    axes.axvline(coverage, linestyle="--", linewidth=1, color=COLORS["satisfied"])
    rest = f"needs a human: {1 - coverage:.0%} of the calls"
    axes.axvspan(coverage, 1, color=BEFORE, alpha=0.25, linewidth=0, label=rest)
    surest = f"of the surest {judged['coverage']:.0%} of the calls"
    axes.set_title(f"{surest}, {judged['error']:.0%} are judged wrong")
    axes.set(xlim=(0, 1.02), ylim=(-0.01, max(0.1, 1.15 * table["error"].max())))
    axes.set(xlabel="share of the calls that is judged", ylabel="share judged wrong")
    _count_in_percent(axes.xaxis, axes.yaxis)
    _add_legend(figure)
    return figure


def plot_gate(decision: pd.DataFrame) -> Figure:
    """Draw what a challenger would change, line by line; a cross marks what holds it back.

    Args:
        decision: `what, before, after, low, high, limit, passed`; `low` and `high` are the ends
            of the interval of the change, `limit` is the drop that is allowed; they are `nan`
            where there is none
    """
    if decision.empty:
        return _show_nothing()
    figure, axes = _open(10, 2 + 0.3 * len(decision))
    places, passed = np.arange(len(decision)), decision["passed"].to_numpy(bool)
    figures = decision[["before", "after", "low", "high", "limit"]].to_numpy(float)
    before, after, low, high, limit = figures.T
    colors = np.where(passed, PASSED[-1], FAILED[-1])
    broad = {"linewidth": 7, "alpha": 0.25, "label": "95 % interval of the change"}
    axes.hlines(places, before + low, before + high, color=colors, **broad)
    axes.hlines(places, before, after, color=colors)
    axes.scatter(before - limit, places, s=160, marker="|", color="black", label="lowest allowed")
    hollow = {"facecolor": "white", "edgecolor": "black", "label": "before"}
    axes.scatter(before, places, s=36, zorder=3, **hollow)
    for rows, (_, marker, color), name in ((passed, PASSED, "passed"), (~passed, FAILED, "failed")):
        style = {"marker": marker, "color": color, "label": f"after, {name}"}
        axes.scatter(after[rows], places[rows], s=55, zorder=4, **style)
    _name_rows(axes, decision["what"], np.where(passed, PASSED[0], FAILED[0]))
    changes = zip(before, after, strict=True)
    _write_beside(axes, [f"{_score(old)} → {_score(new)}" for old, new in changes])
    held_back = f"held back by {np.count_nonzero(~passed)} of {len(passed)} lines"
    axes.set(xlabel="score", title="nothing holds it back" if passed.all() else held_back)
    _add_legend(figure)
    return figure


def plot_drift(features: pd.DataFrame, verdicts: pd.DataFrame) -> Figure:
    """Draw how far new calls are from the training calls, in their sound and in their verdicts.

    Args:
        features: `feature, shift, ks, drifted`, the worst first; the shift is in standard
            deviations of the training calls, infinite where these never varied, `ks` is the
            Kolmogorov-Smirnov distance, 0 to 1. Only the first `WORST_FEATURES` are drawn
        verdicts: `status, training, new`, the share of each status, `nan` without calls
    """
    figure, (left, right) = _open(11, 5, 1, 2, width_ratios=(3, 2))
    figure.get_layout_engine().set(w_pad=0.12)
    _draw_features(left, features)
    _draw_verdicts(right, verdicts)
    return figure


def plot_versions(history: pd.DataFrame) -> Figure:
    """Draw the score of each version on the golden set, and which of them judged when.

    Args:
        history: `version, time, event, uar, uar_low, uar_high`, the oldest first; times begin
            with the day, `2026-11-21`, events are those of `EVENTS`. The version that was rolled
            back to judges from there on
    """
    if history.empty:
        return _show_nothing()
    figure, axes = _open(10, 4.8)
    places, events = np.arange(len(history)), history["event"].to_numpy()
    uar = history["uar"].to_numpy(float)
    judging = np.maximum.accumulate(np.where(events == KEPT_ASIDE, -1, places))
    level = np.where(judging < 0, np.nan, uar[judging])
    step = {"where": "post", "linewidth": 1, "color": "black", "label": "the version that judges"}
    axes.step([*places, places[-1] + 0.4], [*level, level[-1]], **step)
    _draw_intervals(axes, places, history["uar_low"], history["uar_high"], color=BEFORE)
    for event, style in EVENTS.items():
        rows = events == event
        axes.scatter(places[rows], uar[rows], s=60, zorder=3, label=event, **style)
    days = history["time"].str[:10].where(history["uar"].notna(), "no score")
    _name_columns(
        axes, [f"{name}, {day}" for name, day in zip(history["version"], days, strict=True)]
    )
    _draw_chance(axes)
    axes.set(ylabel="UAR on the golden set", ylim=(0, 1.03))
    _add_legend(figure)
    return figure


def plot_scores(scores: pd.DataFrame) -> Figure:
    """Draw how right each version was, week by week; larger dots are more calls.

    Args:
        scores: `week, model, calls, accuracy, uar`; weeks as in ISO 8601,
            `2026-W47`; those without calls are left out
    """
    if scores.empty:
        return _show_nothing()
    figure, axes = _open(10, 5.6, 2, 1, sharex=True)
    scores = scores.sort_values("week", kind="stable")
    models, (places, weeks) = scores["model"].unique(), pd.factorize(scores["week"])
    shades = plt.colormaps["viridis"](np.linspace(0, 0.85, len(models)))
    for number, (model, color) in enumerate(zip(models, shades, strict=True)):
        chosen = (scores["model"] == model).to_numpy()
        rows = scores[chosen]
        style = {"color": color, "marker": "osD^vPX"[number % 7], "label": _shorten(model)}
        areas = _areas(rows["calls"], scores["calls"].max())
        for name, part in zip(("accuracy", "uar"), axes, strict=True):
            _draw_dots(part, places[chosen], rows[name], areas=areas, **style)
    _name_columns(axes[1], weeks)
    axes[0].set(ylabel="share judged right", ylim=(-0.08, 1.08))
    axes[1].set(ylabel="UAR (dashed: guessing)", ylim=(-0.08, 1.08))
    handles, labels = (each[-LEGEND_ROWS:] for each in axes[0].get_legend_handles_labels())
    title = "version" if len(models) <= LEGEND_ROWS else f"the newest {LEGEND_ROWS} versions"
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, title=title)
    _draw_chance(axes[1])
    return figure


def plot_learning_curve(curve: pd.DataFrame) -> Figure:
    """Draw how the score grows with the number of training calls.

    Args:
        curve: `calls, uar, low, high`, the last two the ends of an interval
    """
    if curve.empty:
        return _show_nothing()
    figure, axes = _open(8, 4)
    curve = curve.sort_values("calls")
    _draw_intervals(axes, curve["calls"], curve["low"], curve["high"], color=AFTER)
    axes.plot(curve["calls"], curve["uar"], "o-", color=AFTER, label="UAR on unseen calls")
    _draw_chance(axes)
    axes.set(xlim=(0, 1.08 * curve["calls"].max()), ylim=(0, 1.03))
    axes.set(xlabel="calls it learned from", ylabel="UAR")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _add_legend(figure)
    return figure


def plot_triage(counts: pd.DataFrame) -> Figure:
    """Draw how many mismatches each cause explains.

    Args:
        counts: `cause, calls`
    """
    if counts.empty:
        return _show_nothing()
    figure, axes = _open(8, 1.2 + 0.35 * len(counts))
    axes.barh(np.arange(len(counts)), counts["calls"], height=0.6, color=AFTER)
    _name_rows(axes, counts["cause"])
    _write_beside(axes, [f"{number:.0f}" for number in counts["calls"]])
    axes.set(xlabel="calls", xlim=(0, max(1, 1.05 * counts["calls"].max())))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_features(axes: Axes, features: pd.DataFrame) -> None:
    worst = features.head(WORST_FEATURES)
    shown = f", the worst {len(worst)} of {len(features)}" if len(features) > len(worst) else ""
    axes.set_title(f"sound of the calls{shown}")
    if worst.empty:
        _say_nothing(axes)
        return
    places, drifted = np.arange(len(worst)), worst["drifted"].to_numpy(bool)
    shifts = worst["shift"].to_numpy(float)
    beyond = np.isinf(shifts)
    longest = 1.2 * np.abs(shifts[np.isfinite(shifts)]).max(initial=1)
    shifts = np.clip(shifts, -longest, longest)
    axes.axvline(0, linewidth=1, color="black")
    axes.hlines(places, 0, shifts, color=np.where(drifted, FAILED[-1], BEFORE))
    style = {"s": 50, "zorder": 3}
    axes.scatter(shifts[drifted], places[drifted], marker="X", color=FAILED[-1], **style)
    axes.scatter(shifts[~drifted], places[~drifted], facecolor="white", edgecolor=BEFORE, **style)
    _name_rows(axes, worst["feature"], np.where(drifted, FAILED[0], ""))
    endless = zip(worst["ks"], np.where(beyond, ", ∞", ""), strict=True)
    _write_beside(axes, [f"KS {_score(distance)}{mark}" for distance, mark in endless])
    axes.set(xlabel=f"shift in standard deviations ({FAILED[0]} drifted)")


def _draw_verdicts(axes: Axes, verdicts: pd.DataFrame) -> None:
    axes.set_title("verdicts")
    if verdicts.empty:
        _say_nothing(axes)
        return
    verdicts = verdicts.set_index("status").reindex(list(STATUSES))
    places, colors = np.arange(len(STATUSES)), [COLORS[status] for status in STATUSES]
    kinds = (
        ("training", -0.2, {"color": "white", "hatch": "///"}),
        ("new", 0.2, {"color": colors}),
    )
    for name, aside, style in kinds:
        shares = verdicts[name].fillna(0)
        bars = axes.barh(places + aside, shares, height=0.36, edgecolor=colors, **style)
        texts = shares.map("{:.0%}".format).where(verdicts[name].notna(), "not known")
        axes.bar_label(bars, [f"{name} {text}" for text in texts], padding=3, fontsize=9)
    _name_rows(axes, STATUSES)
    axes.set(xlim=(0, 1.75), xlabel="share of the calls", xticks=[0, 0.5, 1])
    _count_in_percent(axes.xaxis)


def _open(width: float, height: float, *shape: int, **layout) -> tuple[Figure, Axes | np.ndarray]:
    size = {"figsize": (width, height), "layout": "constrained"}
    figure, axes = plt.subplots(*shape, **size, **layout)
    plt.close(figure)
    return figure, axes


def _show_nothing() -> Figure:
    figure, axes = _open(6, 1)
    _say_nothing(axes)
    return figure


def _say_nothing(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, NOTHING_YET, ha="center", va="center", transform=axes.transAxes)


def _draw_dots(axes: Axes, across, up, *, areas: np.ndarray, color, **style) -> None:
    axes.plot(across, up, color=color, linewidth=1, alpha=0.6)
    axes.scatter(across, up, s=areas, color=color, alpha=0.75, **style)


def _draw_intervals(axes: Axes, places, low, high, *, color: str) -> None:
    axes.vlines(places, low, high, color=color, linewidth=5, alpha=0.4, label="95 % interval")


def _draw_chance(axes: Axes) -> None:
    axes.axhline(1 / len(STATUSES), linestyle="--", linewidth=1, color="black", label="guessing")


def _name_rows(axes: Axes, names: Sequence[str], signs: Iterable[str] = repeat("")) -> None:
    texts = [f"{_shorten(name)}  {sign}" for name, sign in zip(names, signs, strict=False)]
    axes.set_yticks(range(len(names)), texts, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _name_columns(axes: Axes, names: Sequence[str]) -> None:
    step = -(-len(names) // TICKS)
    texts = [_shorten(name) for name in names[::step]]
    axes.set_xticks(range(0, len(names), step), texts, rotation=90, fontsize=8)
    axes.set_xlim(-0.6, len(names) - 0.4)


def _write_beside(axes: Axes, texts: Iterable[str]) -> None:
    for place, text in enumerate(texts):
        at = {"va": "center", "transform": axes.get_yaxis_transform()}
        axes.text(1.01, place, text, fontsize=9, **at)


def _count_in_percent(*scales: Axis) -> None:
    for scale in scales:
        scale.set_major_formatter(PercentFormatter(1, decimals=0))


def _add_legend(figure: Figure) -> None:
    figure.legend(loc="outside upper center", ncols=3, fontsize=9, frameon=False)


def _areas(calls: pd.Series, most: float) -> np.ndarray:
    return 15 + 250 * calls.to_numpy(float) / max(most, 1)


def _score(score: float) -> str:
    return "not known" if np.isnan(score) else f"{score:.2f}"


def _shorten(name: object) -> str:
    name = " ".join(str(name).split())
    if len(name) > NAME_LENGTH:
        half = NAME_LENGTH // 2
        name = f"{name[:half]}…{name[1 - half :]}"
    return name.replace("$", r"\$")
