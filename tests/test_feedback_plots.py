from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from helpers.feedback.plots import (
    EVENTS,
    FAILED,
    LEGEND_ROWS,
    NAME_LENGTH,
    NOTHING_YET,
    PASSED,
    TICKS,
    WORST_FEATURES,
    plot_coverage,
    plot_drift,
    plot_gate,
    plot_learning_curve,
    plot_reliability,
    plot_scores,
    plot_triage,
    plot_versions,
)
from helpers.statuses import STATUSES

LONG = "agent Maria-Fernanda de la Concepcion Rodriguez-Villanueva"


def make_bins(bins: int) -> pd.DataFrame:
    confidence = np.linspace(0.4, 0.95, bins)
    calls = np.arange(1, bins + 1) * 7
    return pd.DataFrame({"confidence": confidence, "accuracy": confidence**2, "calls": calls})


def make_coverage(calls: int) -> pd.DataFrame:
    coverage = np.arange(1, calls + 1) / calls
    return pd.DataFrame({"coverage": coverage, "error": 0.4 * coverage**2})


def make_decision(lines: int, *, name: str = "agent") -> pd.DataFrame:
    """Every third line fails; the first two lines have an interval, the first three a limit."""
    places = np.arange(lines)
    table = pd.DataFrame({"what": [f"{name} {place} ({place} calls)" for place in places]})
    change = np.where(places % 3 == 2, -0.1, 0.05)
    table["before"] = 0.5 + 0.01 * places
    table["after"] = table["before"] + change
    table["low"] = np.where(places < 2, change - 0.06, np.nan)
    table["high"] = np.where(places < 2, change + 0.06, np.nan)
    table["limit"] = np.where(places < 3, 0.05, np.nan)
    return table.assign(passed=change > 0)


def make_features(features: int, *, name: str = "mel", scale: float = 1) -> pd.DataFrame:
    places = np.arange(features)
    names = [f"{name} {place}" for place in places]
    shift = scale * np.where(places % 2, -1.0, 1.0) * (features - places) / 10
    drifted = np.abs(shift) > 0.5
    return pd.DataFrame({"feature": names, "shift": shift, "ks": 0.3, "drifted": drifted})


def make_verdicts(training=(0.3, 0.3, 0.4), new=(0.2, 0.3, 0.5)) -> pd.DataFrame:
    return pd.DataFrame({"status": STATUSES, "training": training, "new": new})


def make_history(events: str, *, name: str = "1a2b3c4d") -> pd.DataFrame:
    """One row a letter: p(romoted), k(ept aside), r(olled back)."""
    event = [next(each for each in EVENTS if each[0] == letter) for letter in events]
    version = [f"{number + 1:04d}-{name}" for number in range(len(events))]
    uar = 0.5 + 0.4 * np.arange(len(events)) / max(len(events), 1)
    table = pd.DataFrame({"version": version, "time": "2026-11-21T17:40:00+00:00", "event": event})
    return table.assign(uar=uar, uar_low=uar - 0.1, uar_high=uar + 0.05)


def make_scores(models: int, *, weeks: int = 3) -> pd.DataFrame:
    rows = [
        (f"2026-W{model + week + 1:02d}", f"{model + 1:04d}-1a2b3c4d", 5 + week, 0.6, 0.5)
        for model in range(models)
        for week in range(weeks)
    ]
    return pd.DataFrame(rows, columns=["week", "model", "calls", "accuracy", "uar"])


def make_curve(points: int) -> pd.DataFrame:
    uar = np.linspace(0.4, 0.7, points)
    calls = np.arange(1, points + 1) * 12
    return pd.DataFrame({"calls": calls, "uar": uar, "low": uar - 0.1, "high": uar + 0.1})


def make_counts(causes: int, *, name: str = "cause") -> pd.DataFrame:
    names = [f"{name} {place}" for place in range(causes)]
    return pd.DataFrame({"cause": names, "calls": [10**place % 99991 for place in range(causes)]})


EMPTY = {
    "reliability": lambda: plot_reliability(make_bins(0), make_bins(0)),
    "reliability without columns": lambda: plot_reliability(pd.DataFrame(), pd.DataFrame()),
    "coverage": lambda: plot_coverage(make_coverage(0), coverage=0.7),
    "coverage of nothing known": lambda: plot_coverage(make_coverage(2) * np.nan, coverage=0.7),
    "gate": lambda: plot_gate(make_decision(0)),
    "versions": lambda: plot_versions(make_history("")),
    "scores": lambda: plot_scores(make_scores(0)),
    "learning curve": lambda: plot_learning_curve(make_curve(0)),
    "triage": lambda: plot_triage(make_counts(0)),
    "triage without columns": lambda: plot_triage(pd.DataFrame()),
}

PLAUSIBLE = {
    "reliability": lambda: plot_reliability(make_bins(8), make_bins(6)),
    "coverage": lambda: plot_coverage(make_coverage(84), coverage=0.7),
    "gate": lambda: plot_gate(make_decision(9)),
    "drift": lambda: plot_drift(make_features(120), make_verdicts()),
    "versions": lambda: plot_versions(make_history("pkkpkrp")),
    "scores": lambda: plot_scores(make_scores(3)),
    "learning curve": lambda: plot_learning_curve(make_curve(6)),
    "triage": lambda: plot_triage(make_counts(4)),
}

EXTREME = {
    "reliability of one bin": lambda: plot_reliability(make_bins(1), make_bins(0)),
    "coverage of one call": lambda: plot_coverage(make_coverage(1), coverage=0.98),
    "coverage without error": lambda: plot_coverage(make_coverage(9) * [1, 0], coverage=1),
    "gate of one line": lambda: plot_gate(make_decision(1)),
    "gate of 30 long names": lambda: plot_gate(make_decision(30, name=LONG)),
    "drift of one feature": lambda: plot_drift(make_features(1), make_verdicts().iloc[:0]),
    "drift of nothing": lambda: plot_drift(make_features(0), make_verdicts().iloc[:0]),
    "drift of 30 long names": lambda: plot_drift(
        make_features(30, name=LONG, scale=90), make_verdicts((1, 0, 0), (0, 0, 1))
    ),
    "one version": lambda: plot_versions(make_history("p")),
    "204 versions": lambda: plot_versions(make_history("pkrkpk" * 34)),
    "30 long versions": lambda: plot_versions(make_history("pkrkpk" * 5, name=LONG)),
    "scores of one week": lambda: plot_scores(make_scores(1, weeks=1)),
    "scores of 30 versions": lambda: plot_scores(make_scores(30)),
    "learning curve of one point": lambda: plot_learning_curve(make_curve(1)),
    "triage of one cause": lambda: plot_triage(make_counts(1)),
    "triage of 30 long names": lambda: plot_triage(make_counts(30, name=LONG)),
    "triage without calls": lambda: plot_triage(make_counts(4).assign(calls=0)),
}


def drawn_texts(figure: Figure) -> dict[Text, str]:
    """The texts that are seen when the figure is drawn; ticks beyond the axes are not."""
    figure.draw_without_rendering()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            hidden |= {tick.label1 for tick in beyond}
    return {
        text: text.get_text().strip()
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    }


def words(figure: Figure) -> list[str]:
    return list(drawn_texts(figure).values())


def row_names(axes: Axes) -> list[str]:
    return [label.get_text().strip() for label in axes.get_yticklabels()]


def column_names(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def dots(axes: Axes) -> dict[str, PathCollection]:
    """The clouds of dots of a picture by their names in the legend."""
    return {
        collection.get_label(): collection
        for collection in axes.collections
        if isinstance(collection, PathCollection)
    }


def places(dots: PathCollection) -> np.ndarray:
    return np.ma.getdata(dots.get_offsets())


@pytest.mark.parametrize("name", [*PLAUSIBLE, *EXTREME])
def test_no_text_is_cut_off_or_covers_another(name):
    figure = {**PLAUSIBLE, **EXTREME}[name]()
    boxes = {text: text.get_window_extent() for text in drawn_texts(figure)}
    assert boxes
    for text, box in boxes.items():
        assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text
    for (one, box), (other, beside) in combinations(boxes.items(), 2):
        width = min(box.x1, beside.x1) - max(box.x0, beside.x0)
        height = min(box.y1, beside.y1) - max(box.y0, beside.y0)
        assert min(width, height) < 1.5, (one, other)


@pytest.mark.parametrize("name", EMPTY)
def test_without_data_a_picture_says_so(name):
    figure = EMPTY[name]()
    assert words(figure) == [NOTHING_YET]
    (axes,) = figure.axes
    assert not [*axes.lines, *axes.collections, *axes.patches]


@pytest.mark.parametrize(
    "name, labels",
    [
        ("reliability", [("how sure the model is", "share judged right (larger: more calls)")]),
        ("coverage", [("share of the calls that is judged", "share judged wrong")]),
        ("gate", [("score", "")]),
        (
            "drift",
            [("shift in standard deviations (✗ drifted)", ""), ("share of the calls", "")],
        ),
        ("versions", [("", "UAR on the golden set")]),
        ("scores", [("", "share judged right"), ("", "UAR (dashed: guessing)")]),
        ("learning curve", [("calls it learned from", "UAR")]),
        ("triage", [("calls", "")]),
    ],
)
def test_axes_tell_what_they_are_and_a_picture_is_shown_by_its_cell_alone(name, labels):
    axes = PLAUSIBLE[name]().axes
    assert [(each.get_xlabel(), each.get_ylabel()) for each in axes] == labels
    assert plt.get_fignums() == []


def test_reliability_has_a_dot_a_bin_that_grows_with_its_calls():
    before, after = make_bins(8).sample(frac=1, random_state=0), make_bins(5)
    axes = plot_reliability(before, after).axes[0]
    drawn = dots(axes)
    assert list(drawn) == ["before calibration", "after calibration"]
    expected = before.sort_values("confidence")[["confidence", "accuracy"]]
    np.testing.assert_allclose(places(drawn["before calibration"]), expected)
    np.testing.assert_allclose(places(drawn["after calibration"]), after.iloc[:, :2])
    sizes = drawn["before calibration"].get_sizes()
    assert (np.diff(sizes) > 0).all()
    np.testing.assert_allclose(drawn["after calibration"].get_sizes(), sizes[:5])
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0, 0], [1, 1]])


def test_reliability_of_one_side_needs_no_other():
    drawn = dots(plot_reliability(pd.DataFrame(), make_bins(3)).axes[0])
    assert list(drawn) == ["after calibration"]


@pytest.mark.parametrize(
    "calls, coverage, chosen, judged, rest",
    [
        (100, 0.7, 0.7, "of the surest 70% of the calls, 20% are judged wrong", "30%"),
        (10, 0.72, 0.8, "of the surest 80% of the calls, 26% are judged wrong", "28%"),
        (10, 0.7, 0.7, "of the surest 70% of the calls, 20% are judged wrong", "30%"),
        (1, 0.98, 1.0, "of the surest 100% of the calls, 40% are judged wrong", "2%"),
        (50, 1.0, 1.0, "of the surest 100% of the calls, 40% are judged wrong", "0%"),
    ],
)
def test_the_chosen_coverage_and_what_needs_a_human_are_marked(
    calls, coverage, chosen, judged, rest
):
    table = make_coverage(calls).sample(frac=1, random_state=0)
    figure = plot_coverage(table, coverage=coverage)
    axes = figure.axes[0]
    assert axes.get_title() == judged
    assert f"needs a human: {rest} of the calls" in words(figure)
    np.testing.assert_allclose(places(dots(axes)["chosen"]), [[chosen, 0.4 * chosen**2]])
    assert (np.diff(axes.lines[0].get_xdata()) > 0).all()
    assert axes.lines[1].get_xdata() == [coverage, coverage]


def test_a_line_of_the_gate_that_failed_differs_in_colour_and_sign():
    axes = plot_gate(make_decision(9)).axes[0]
    drawn = dots(axes)
    assert {len(places(drawn[name])) for name in ("before", "lowest allowed")} == {9}
    assert places(drawn["after, failed"])[:, 1].tolist() == [2, 5, 8]
    assert places(drawn["after, passed"])[:, 1].tolist() == [0, 1, 3, 4, 6, 7]
    for name, (_, _, color) in (("passed", PASSED), ("failed", FAILED)):
        assert to_hex(drawn[f"after, {name}"].get_facecolor()[0]) == color
    failed, passed = (drawn[f"after, {name}"].get_paths()[0] for name in ("failed", "passed"))
    assert len(failed) != len(passed)
    signs = [name[-1] for name in row_names(axes)]
    assert signs == ["✓", "✓", "✗"] * 3
    assert axes.get_title() == "held back by 3 of 9 lines"


def test_the_gate_tells_the_scores_and_how_low_they_may_go():
    figure = plot_gate(make_decision(3))
    axes = figure.axes[0]
    assert {"0.50 → 0.55", "0.51 → 0.56", "0.52 → 0.42"} <= set(words(figure))
    np.testing.assert_allclose(places(dots(axes)["lowest allowed"])[:, 0], [0.45, 0.46, 0.47])
    interval = next(each for each in axes.collections if "interval" in each.get_label())
    np.testing.assert_allclose(interval.get_segments()[0], [[0.49, 0], [0.61, 0]])
    assert [name.split("  ")[0] for name in row_names(axes)] == [
        f"agent {place} ({place} calls)" for place in range(3)
    ]


def test_a_gate_that_all_passed_and_one_with_unknown_scores():
    assert plot_gate(make_decision(2)).axes[0].get_title() == "nothing holds it back"
    decision = make_decision(2).assign(before=[np.nan, 0.5], after=[np.nan, 0.6])
    assert {"not known → not known", "0.50 → 0.60"} <= set(words(plot_gate(decision)))


@pytest.mark.parametrize("features", [WORST_FEATURES, WORST_FEATURES + 1])
def test_drift_shows_the_features_that_moved_most(features):
    table = make_features(features)
    left, _ = plot_drift(table, make_verdicts()).axes
    shown = min(features, WORST_FEATURES)
    names = [f"mel {place}{'  ✗' * drifted}" for place, drifted in enumerate(table["drifted"])]
    assert row_names(left) == names[:shown]
    assert sum(len(places(each)) for each in dots(left).values()) == shown
    bottom, top = left.get_ylim()
    assert bottom > top
    more = f", the worst {WORST_FEATURES} of {features}" if features > shown else ""
    assert left.get_title() == f"sound of the calls{more}"


def test_drift_shows_the_share_of_every_verdict_before_and_now():
    verdicts = make_verdicts().iloc[::-1]
    _, right = plot_drift(make_features(3), verdicts).axes
    assert row_names(right) == list(STATUSES)
    widths = [bar.get_width() for bar in right.patches]
    assert widths == [0.3, 0.3, 0.4, 0.2, 0.3, 0.5]
    told = [text.get_text() for text in right.texts]
    assert told == ["training 30%", "training 30%", "training 40%", "new 20%", "new 30%", "new 50%"]


def test_shifts_without_end_and_without_value_are_told():
    table = make_features(4).assign(shift=[np.inf, -np.inf, 2.0, np.nan], ks=[1, 1, 0.5, np.nan])
    figure = plot_drift(table.assign(drifted=[True, True, True, False]), make_verdicts())
    left, _ = figure.axes
    drawn = np.concatenate([places(each) for each in dots(left).values()])
    np.testing.assert_allclose(drawn, [[2.4, 0], [-2.4, 1], [2, 2], [np.nan, 3]])
    assert [text.get_text() for text in left.texts] == [
        *["KS 1.00, ∞"] * 2,
        "KS 0.50",
        "KS not known",
    ]


def test_verdicts_of_no_calls_are_not_known():
    _, right = plot_drift(make_features(3), make_verdicts(new=(np.nan,) * 3)).axes
    assert [text.get_text() for text in right.texts][3:] == ["new not known"] * 3


@pytest.mark.parametrize("missing", ["features", "verdicts"])
def test_one_half_of_the_drift_may_be_missing(missing):
    tables = {"features": make_features(3), "verdicts": make_verdicts()}
    figure = plot_drift(**{**tables, missing: pd.DataFrame()})
    assert words(figure).count(NOTHING_YET) == 1


@pytest.mark.parametrize(
    "events, level",
    [
        ("p", [0]),
        ("pkkp", [0, 0, 0, 3]),
        ("kkp", [None, None, 2]),
        ("ppkrk", [0, 1, 1, 3, 3]),
    ],
)
def test_the_line_follows_the_version_that_judges(events, level):
    history = make_history(events)
    axes = plot_versions(history).axes[0]
    expected = [np.nan if place is None else history["uar"][place] for place in level]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [*expected, expected[-1]])
    drawn = dots(axes)
    for event in EVENTS:
        rows = np.flatnonzero(history["event"] == event)
        assert places(drawn[event])[:, 0].tolist() == rows.tolist()
    assert column_names(axes)[0] == "0001-1a2b3c4d, 2026-11-21"


def test_versions_that_were_kept_aside_are_hollow():
    drawn = dots(plot_versions(make_history("pkr")).axes[0])
    colors = {event: to_hex(drawn[event].get_facecolor()[0]) for event in EVENTS}
    assert colors["kept aside"] == "#ffffff"
    assert len(set(colors.values())) == 3


def test_a_version_without_score_is_named_and_interrupts_the_line():
    history = make_history("ppp").assign(uar=[0.5, np.nan, 0.6])
    axes = plot_versions(history).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.5, np.nan, 0.6, 0.6])
    assert column_names(axes)[1] == "0002-1a2b3c4d, no score"


@pytest.mark.parametrize("versions", [TICKS, TICKS + 1, 200])
def test_there_are_never_too_many_names_below(versions):
    axes = plot_versions(make_history("p" * versions)).axes[0]
    names = column_names(axes)
    assert TICKS / 2 <= len(names) <= TICKS
    assert names[0].startswith("0001-")
    assert len(places(dots(axes)["promoted"])) == versions


def test_scores_stand_at_their_weeks_whatever_order_they_come_in():
    scores = make_scores(3).sample(frac=1, random_state=0)
    top, bottom = plot_scores(scores).axes
    assert column_names(bottom) == [f"2026-W{week:02d}" for week in range(1, 6)]
    for axes, height in ((top, 0.6), (bottom, 0.5)):
        for number, name in enumerate(sorted(scores["model"].unique())):
            expected = [[number + week, height] for week in range(3)]
            np.testing.assert_allclose(places(dots(axes)[name]), expected)
    sizes = dots(top)["0001-1a2b3c4d"].get_sizes()
    assert (np.diff(sizes) > 0).all()


@pytest.mark.parametrize(
    "models, title",
    [(1, "version"), (LEGEND_ROWS, "version"), (30, f"the newest {LEGEND_ROWS} versions")],
)
def test_the_legend_of_the_scores_holds_the_newest_versions(models, title):
    (legend,) = plot_scores(make_scores(models)).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert legend.get_title().get_text() == title
    newest = range(max(0, models - LEGEND_ROWS) + 1, models + 1)
    assert names == [f"{number:04d}-1a2b3c4d" for number in newest]


def test_the_learning_curve_has_a_point_and_an_interval_a_row():
    curve = make_curve(5)
    figure = plot_learning_curve(curve.iloc[::-1])
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), curve[["calls", "uar"]])
    (intervals,) = axes.collections
    np.testing.assert_allclose(
        [ends[:, 1] for ends in intervals.get_segments()], curve[["low", "high"]]
    )
    assert {"guessing", "95 % interval", "UAR on unseen calls"} <= set(words(figure))
    assert axes.lines[1].get_ydata() == [1 / 3, 1 / 3]


def test_triage_names_and_counts_every_cause():
    figure = plot_triage(make_counts(4))
    axes = figure.axes[0]
    assert row_names(axes) == [f"cause {place}" for place in range(4)]
    assert [bar.get_width() for bar in axes.patches] == [1, 10, 100, 1000]
    assert [text.get_text() for text in axes.texts] == ["1", "10", "100", "1000"]


@pytest.mark.parametrize(
    "name, shown",
    [
        ("bad audio", "bad audio"),
        ("costs $5 or $6", r"costs \$5 or \$6"),
        (r"$\frac{1}$", r"\$\frac{1}\$"),
        ("two\nlines\tand  more", "two lines and more"),
        ("a" * NAME_LENGTH, "a" * NAME_LENGTH),
        ("a" * 30 + "b" * 30, "a" * (NAME_LENGTH // 2) + "…" + "b" * (NAME_LENGTH // 2 - 1)),
        (7, "7"),
    ],
)
def test_any_name_fits_and_is_shown_as_it_is(name, shown):
    counts = pd.DataFrame({"cause": pd.Series([name], dtype=object), "calls": [3]})
    figure = plot_triage(counts)
    figure.draw_without_rendering()
    assert row_names(figure.axes[0]) == [shown]


def test_the_tables_stay_as_they_were():
    table = make_scores(2)
    before = table.copy()
    plot_scores(table)
    pd.testing.assert_frame_equal(table, before)
