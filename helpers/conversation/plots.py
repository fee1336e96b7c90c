"""A picture of one call: its sound, who speaks when, and how upset the customer sounds."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from helpers.audio import open_recording
from helpers.conversation.mood import UPSET_FROM, Mood
from helpers.conversation.roles import AGENT, CUSTOMER
from helpers.conversation.turn_taking import Conversation
from helpers.conversation.wording import format_time
from helpers.plots import COLORS, SEGMENT_COLORS
from helpers.segments import split_call

WIDTH = 11.0
"""Width of the picture in inches; the heights of its rows are below."""

HEIGHTS = {"sound": 1.2, "turns": 1.5, "mood": 1.8}
"""Rows of the picture, and how high each is, in inches."""

ENVELOPE_POINTS = 1200
"""So many points of the waveform are drawn, however long the call is."""

TURN_COLORS = {CUSTOMER: "#0b5fa5", AGENT: "#8a8a8a"}
"""One colour per role, told apart also by brightness and by their lanes."""

LANES = {CUSTOMER: 1.0, AGENT: 0.0}
"""Where each role's turns are drawn."""

SOUNDS = {
    "ringing": {"hatch": "....", "facecolor": "#f2e6c9"},
    "music": {"hatch": "////", "facecolor": "#e5d8f0"},
    "silence": {"hatch": "", "facecolor": "#d9d9d9"},
}
"""How what is no speech is shaded; the hatches tell them apart without colours."""

LEAST_SILENCE_S = 1.0
"""Shorter silences, in seconds, are the pauses of every talk and are not shaded."""

TINT = 0.16
"""Opacity of the segments that are judged."""


def plot_conversation(
    conversation: Conversation,
    *,
    path: Path | str | None = None,
    mood: Mood | None = None,
    evidence: pd.DataFrame | None = None,
) -> Figure:
    """Draw one call along its time.

    Args:
        conversation: turns and sounds of the call
        path: of the recording, whose waveform is drawn
        mood: whose sliding windows and escalation are drawn
        evidence: `start_s, end_s` of the clips to mark with their numbers

    Returns:
        up to three rows that share the axis of time: waveform with the segments that are judged,
        turns by role with ringing, music and silence, and the probability of being upset

    Raises:
        AudioError: where the recording cannot be read
    """
    shown = {"sound": path is not None, "turns": True, "mood": mood is not None}
    rows = [row for row in HEIGHTS if shown[row]]
    heights = [HEIGHTS[row] for row in rows]
    figure, grid = plt.subplots(
        len(rows),
        sharex=True,
        squeeze=False,
        height_ratios=heights,
        figsize=(WIDTH, sum(heights) + 1.2),
        layout="constrained",
    )
    axes = dict(zip(rows, grid[:, 0], strict=True))
    if path is not None:
        _draw_sound(axes["sound"], path)
    _draw_turns(axes["turns"], conversation, evidence)
    if mood is not None:
        _draw_mood(axes["mood"], mood)
    for each in axes.values():
        _tint_segments(each, conversation.duration_s)
        each.spines[["top", "right"]].set_visible(False)
    _mark_time(axes[rows[-1]], conversation.duration_s)
    signs = _list_signs(conversation, mood, evidence)
    figure.legend(handles=signs, loc="outside lower center", ncols=4, frameon=False)
    plt.close(figure)
    return figure


def _draw_sound(axes: Axes, path: Path | str) -> None:
    times, lowest, highest = _find_envelope(path)
    axes.fill_between(times, lowest, highest, color="#4d4d4d", linewidth=0)
    reach = max(0.05, 1.1 * float(np.abs([lowest, highest]).max()))
    axes.set(ylabel="amplitude\n(full scale 1)", ylim=(-reach, reach))


def _find_envelope(path: Path | str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give lowest and highest values of short stretches; a block is read at a time."""
    times, lowest, highest, frames = [], [], [], 0
    with open_recording(path) as recording:
        stretch = 1 + recording.frames // ENVELOPE_POINTS
        for block in recording.pcm_blocks():
            signal = block.mean(axis=1) / 32768
            starts = np.arange(0, len(signal), stretch)
            lowest.append(np.minimum.reduceat(signal, starts))
            highest.append(np.maximum.reduceat(signal, starts))
            times.append((frames + starts) / recording.sampling_rate)
            frames += len(signal)
    return tuple(map(np.concatenate, (times, lowest, highest)))


def _draw_turns(axes: Axes, conversation: Conversation, evidence: pd.DataFrame | None) -> None:
    for sound in _find_sounds(conversation).itertuples():
        style = {"edgecolor": "#777777", "linewidth": 0, "zorder": 0, **SOUNDS[sound.kind]}
        axes.axvspan(sound.start_s, sound.end_s, **style)
    for role, lane in LANES.items():
        turns = conversation.turns[conversation.turns["speaker"] == role]
        spans = list(zip(turns["start_s"], turns["end_s"] - turns["start_s"], strict=True))
        axes.broken_barh(spans, (lane - 0.3, 0.6), color=TURN_COLORS[role], linewidth=0)
    for number, clip in enumerate(() if evidence is None else evidence.itertuples(), start=1):
        span = (clip.start_s, clip.end_s - clip.start_s)
        axes.broken_barh([span], (0.58, 0.84), facecolor="none", edgecolor="black", linewidth=1.4)
        axes.text(clip.start_s + span[1] / 2, 1.47, str(number), ha="center", weight="bold")
    axes.set(ylim=(-0.6, 1.85), yticks=list(LANES.values()))
    axes.set_yticklabels(list(LANES))


def _find_sounds(conversation: Conversation) -> pd.DataFrame:
    activity = conversation.activity[conversation.activity["kind"].isin(list(SOUNDS))]
    lasts = activity["end_s"] - activity["start_s"] >= LEAST_SILENCE_S
    return activity[lasts | (activity["kind"] != "silence")]


def _draw_mood(axes: Axes, mood: Mood) -> None:
    times = mood.windows[["start_s", "end_s"]].mean(axis=1)
    upset = mood.windows["upset"]
    color = COLORS["unsatisfied"]
    axes.plot(times, upset, "-o", color=color, markersize=3, linewidth=1.6)
    above = (upset >= UPSET_FROM).to_numpy(bool)
    axes.fill_between(times, upset, UPSET_FROM, where=above, color=color, alpha=0.25, linewidth=0)
    axes.axhline(UPSET_FROM, linestyle="--", linewidth=1, color="black")
    if not np.isnan(mood.escalated_at_s):
        axes.axvline(mood.escalated_at_s, linestyle="-.", linewidth=1.6, color="black")
        axes.text(mood.escalated_at_s, 1.06, "▼", ha="center", va="center")
    axes.set(ylim=(0, 1.12), ylabel="upset")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_yticks([0, 0.5, 1])


def _tint_segments(axes: Axes, duration_s: float) -> None:
    for segment in split_call(duration_s):
        end_s = segment.start_s + segment.duration_s
        style = {"color": SEGMENT_COLORS[segment.kind], "alpha": TINT, "linewidth": 0}
        axes.axvspan(segment.start_s, end_s, zorder=-1, **style)


def _mark_time(axes: Axes, duration_s: float) -> None:
    axes.set(xlim=(0, duration_s), xlabel="time in the call (minutes:seconds)")
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _place: format_time(seconds)))


def _list_signs(
    conversation: Conversation, mood: Mood | None, evidence: pd.DataFrame | None
) -> list[Patch | Line2D]:
    """Explain the signs that the picture has, and no other."""
    signs: list[Patch | Line2D] = [
        Patch(color=color, label=role) for role, color in TURN_COLORS.items()
    ]
    heard = set(_find_sounds(conversation)["kind"])
    signs += [
        Patch(edgecolor="#777777", linewidth=0, label=kind, **style)
        for kind, style in SOUNDS.items()
        if kind in heard
    ]
    signs += [
        Patch(color=SEGMENT_COLORS[each.kind], alpha=2 * TINT, label=f"{each.kind} of the call")
        for each in split_call(conversation.duration_s)
    ]
    if evidence is not None and len(evidence):
        signs.append(
            Patch(facecolor="none", edgecolor="black", label="clip that moved the verdict")
        )
    if mood is not None:
        curve = {"color": COLORS["unsatisfied"], "marker": "o", "markersize": 3}
        signs.append(Line2D([], [], label="probability of being upset", **curve))
        limit = f"counts as upset from {100 * UPSET_FROM:.0f} %"
        signs.append(Line2D([], [], color="black", linestyle="--", linewidth=1, label=limit))
        if not np.isnan(mood.escalated_at_s):
            told = f"escalated at {format_time(mood.escalated_at_s)}"
            signs.append(Line2D([], [], color="black", linestyle="-.", label=told))
    return signs
