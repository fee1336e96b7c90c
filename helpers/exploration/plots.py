"""Pictures of the tables of a corpus: counts, lengths and speakers; imported by notebooks only."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from helpers.exploration.recordings import (
    UNKNOWN,
    count_by_speaker,
    count_recordings,
    sort_emotions,
)
from helpers.exploration.speakers import MEASURES

SEXES = {
    "female": {"color": "#cc5490", "marker": "o"},
    "male": {"color": "#0072b2", "marker": "^"},
    UNKNOWN: {"color": "#7f7f7f", "marker": "s"},
}
"""Colour and mark of each sex."""

MOST_NAMES = 40
"""Of more speakers than this only some are named along an axis."""


def plot_balance(table: pd.DataFrame) -> Figure:
    """Draw how many recordings of each emotion there are, a panel a corpus, by sex."""
    counts = count_recordings(table).drop(columns="all")
    corpora = counts.index.unique("corpus")
    size = (2.2 + 2.8 * len(corpora), 1.4 + 0.3 * counts.shape[1])
    figure, panels = make_panels(1, len(corpora), size, sharey=True)
    for axes, corpus in zip(panels[0], corpora, strict=True):
        left = np.zeros(counts.shape[1])
        for sex, row in counts.loc[corpus].iterrows():
            axes.barh(counts.columns, row, left=left, color=SEXES[sex]["color"], label=sex)
            left += row.to_numpy()
        axes.set(xlabel="recordings", title=corpus)
        axes.title.set_fontsize(10)
    panels[0, 0].invert_yaxis()
    _name_sexes(figure, counts.index.unique("sex"))
    return figure


def plot_speakers_by_emotion(table: pd.DataFrame) -> Figure:
    """Draw how many recordings of each emotion each speaker has; what is missing is red."""
    counts = count_by_speaker(table)
    few = len(counts) <= MOST_NAMES
    height = 1.2 + (0.25 * len(counts) if few else 0.08 * len(counts))
    figure, [[axes]] = make_panels(1, 1, (2.5 + 0.75 * counts.shape[1], height))
    shown = np.ma.masked_equal(counts.to_numpy(), 0)
    colors = plt.get_cmap("Blues").with_extremes(bad="#c2452d")
    axes.imshow(shown, cmap=colors, vmin=0, vmax=1.6 * counts.to_numpy().max(), aspect="auto")
    if few:
        for row, column in np.ndindex(counts.shape):
            text = str(counts.iat[row, column])
            color = "black" if counts.iat[row, column] else "white"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    axes.set_xticks(range(counts.shape[1]), counts.columns, rotation=30, ha="right")
    _name_rows(axes, counts.index)
    return figure


def plot_lengths(recordings: pd.DataFrame) -> Figure:
    """Draw how long the recordings of each emotion are, and the speech in them, as boxes."""
    emotions = sort_emotions(recordings["emotion"])
    figure, [[axes]] = make_panels(1, 1, (2 + 0.95 * len(emotions), 3.2))
    kinds = {"duration_s": ("whole", "#c9c9c9", -0.18), "speech_s": ("speech", "#0072b2", 0.18)}
    for column, (label, color, shift) in kinds.items():
        values = [recordings.loc[recordings["emotion"] == name, column] for name in emotions]
        boxes = axes.boxplot(
            values,
            positions=np.arange(len(emotions)) + shift,
            widths=0.3,
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": "black"},
            flierprops={"marker": ".", "markersize": 4},
        )
        for box in boxes["boxes"]:
            box.set_facecolor(color)
        boxes["boxes"][0].set_label(label)
    axes.set_xticks(range(len(emotions)), emotions)
    axes.set(ylabel="seconds", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=2, fontsize=9)
    return figure


def plot_speakers(speakers: pd.DataFrame) -> Figure:
    """Draw pitch (with its middle half), pace and loudness of each speaker, lowest pitch first.

    Args:
        speakers: as `helpers.exploration.speakers.describe_speakers` gives them
    """
    height = 1.4 + 0.22 * min(len(speakers), MOST_NAMES)
    figure, panels = make_panels(1, 3, (11, height), sharey=True)
    places = np.arange(len(speakers))
    marks = speakers["sex"].map(SEXES.get)
    for place, mark, row in zip(places, marks, speakers.itertuples(), strict=True):
        spread = [row.pitch_low_hz, row.pitch_high_hz]
        panels[0, 0].plot(spread, [place, place], color=mark["color"], linewidth=3, alpha=0.35)
        for axes, value in zip(panels[0], (row.pitch_hz, row.pace, row.level_db), strict=True):
            axes.plot(value, place, linestyle="", markersize=5, **mark)
    labels = ("pitch in Hz", "pace, voiced onsets per s", "loudness, dB of full scale")
    for axes, label in zip(panels[0], labels, strict=True):
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
    _name_rows(panels[0, 0], speakers.index)
    panels[0, 0].invert_yaxis()
    _name_sexes(figure, speakers["sex"].unique())
    return figure


def plot_shifts(shifts: pd.DataFrame) -> Figure:
    """Draw how far each speaker moves from their own neutral, a dot a speaker; bars are medians.

    Args:
        shifts: as `helpers.exploration.speakers.shift_from_neutral` gives them; of an empty table
            the panels stay empty
    """
    emotions = sort_emotions(shifts["emotion"])
    size = (11, 1.6 + 0.42 * len(emotions))
    figure, panels = make_panels(1, 3, size, sharey=True)
    labels = {
        "pitch_semitones": "pitch, semitones from own neutral",
        "pace_percent": "pace, % from own neutral",
        "level_db": "loudness, dB from own neutral",
    }
    spread = np.random.default_rng(0).uniform(-0.28, 0.28, len(shifts))
    places = pd.Categorical(shifts["emotion"], emotions).codes + spread
    for axes, (column, label) in zip(panels[0], labels.items(), strict=True):
        axes.axvline(0, linestyle="--", linewidth=1, color="black")
        for sex, style in SEXES.items():
            rows = shifts["sex"] == sex
            axes.scatter(shifts.loc[rows, column], places[rows], s=16, alpha=0.6, **style)
        medians = shifts.groupby("emotion")[column].median()[emotions]
        bars = np.arange(len(emotions))
        axes.vlines(medians, bars - 0.38, bars + 0.38, color="black", linewidth=2.5, zorder=3)
        axes.set_xlabel(label)
    panels[0, 0].set_yticks(range(len(emotions)), emotions)
    panels[0, 0].invert_yaxis()
    _name_sexes(figure, shifts["sex"].unique())
    return figure


def plot_explained(explained: pd.DataFrame) -> Figure:
    """Draw the share of variance that speaker and emotion explain, for `MEASURES`.

    Args:
        explained: as `helpers.exploration.speakers.explain_functionals` gives it
    """
    table = explained.loc[list(MEASURES)]
    figure, [[axes]] = make_panels(1, 1, (9, 1.2 + 0.5 * len(table)))
    kinds = {
        "speaker": ("who speaks", "#8a8a8a"),
        "emotion": ("emotion", "#e69f00"),
        "emotion_own_baseline": ("emotion, own baseline", "#d55e00"),
    }
    for number, (column, (label, color)) in enumerate(kinds.items()):
        places = np.arange(len(table)) + 0.26 * (number - 1)
        axes.barh(places, table[column].fillna(0), height=0.24, color=color, label=label)
    axes.set_yticks(range(len(table)), MEASURES.values())
    axes.invert_yaxis()
    axes.set(xlabel="share of the variance explained", xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)
    return figure


def make_panels(
    rows: int, columns: int, size: tuple[float, float], **shared: bool | str
) -> tuple[Figure, np.ndarray]:
    """Make a figure that a notebook shows once, where a cell ends in it.

    Args:
        rows: number of panels below each other
        columns: number of panels side by side
        size: width and height in inches
        **shared: `sharex` and `sharey`, as for `matplotlib.pyplot.subplots`

    Returns:
        the figure and its panels, shape (rows, columns)
    """
    figure, panels = plt.subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained", **shared
    )
    plt.close(figure)
    return figure, panels


def _name_rows(axes: Axes, names: pd.Index) -> None:
    step = -(-len(names) // MOST_NAMES)
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=8)


def _name_sexes(figure: Figure, sexes: Iterable[str]) -> None:
    """Put a legend of the sexes above a figure, unless none is known."""
    if set(sexes) <= {UNKNOWN}:
        return
    handles = [
        Line2D([], [], linestyle="", label=sex, **style)
        for sex, style in SEXES.items()
        if sex in set(sexes)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=9)
