"""Pictures of recordings and results; imported by notebooks only."""

import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Audio
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from helpers.audio import open_recording, to_mono
from helpers.channel import TELEPHONE_RATE
from helpers.corpus_benchmark import SPEAKERS, CorpusBenchmark
from helpers.descriptors import CEPSTRA, DESCRIPTORS, MEL_BANDS
from helpers.evaluation import SPLITS, Evaluation
from helpers.hearing import MU_LAW
from helpers.prediction import PROBABILITIES
from helpers.segments import LIMIT_S, split_call
from helpers.statuses import STATUSES

COLORS = {"satisfied": "#1b7f5c", "average": "#8a8a8a", "unsatisfied": "#c2452d"}
"""One colour per status, told apart also by colour-blind readers through their brightness."""

SEGMENT_COLORS = {"start": "#3b6fb6", "end": "#d08a1d", "whole": "#7a5aa6"}
"""One colour per kind of segment."""


def plot_call(path, *, title: str = "") -> Figure:
    """Draw a recording's waveform with its segments, and its spectrogram."""
    with open_recording(path) as recording:
        signal, rate = to_mono(recording.read()), recording.sampling_rate
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(11, 5), sharex=True, layout="constrained")
    times = np.arange(len(signal)) / rate
    top.plot(times[::8], signal[::8], linewidth=0.4, color="#333333")
    for segment in split_call(len(signal) / rate):
        end_s = segment.start_s + segment.duration_s
        color = SEGMENT_COLORS[segment.kind]
        top.axvspan(segment.start_s, end_s, alpha=0.2, color=color, label=f"{segment.kind} segment")
    top.set(ylabel="amplitude", title=title)
    top.legend(loc="upper right", ncols=2)
    spectrum = np.abs(librosa.stft(signal, n_fft=512, hop_length=256))
    levels = librosa.amplitude_to_db(spectrum, ref=np.max)
    extent = (0, times[-1], 0, rate / 2)
    image = bottom.imshow(
        levels, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-70
    )
    bottom.set(xlabel="time in s", ylabel="frequency in Hz")
    figure.colorbar(image, ax=bottom, label="dB below the loudest")
    return _finished(figure)


def play(path, *, segment: int = 0) -> Audio:
    """Give a player for a segment of a recording, by default the first, as the model hears it."""
    with open_recording(path) as recording:
        _, start_s, duration_s = split_call(recording.duration_s)[segment]
        signal = to_mono(recording.read(start_s=start_s, duration_s=duration_s))
        return Audio(signal, rate=recording.sampling_rate, normalize=False)


def play_signal(signal: np.ndarray) -> Audio:
    """Give a player for a signal at the telephone's rate."""
    return Audio(signal, rate=TELEPHONE_RATE, normalize=False)


def plot_durations(records: pd.DataFrame) -> Figure:
    """Draw how long the calls of each status are, one dot a call."""
    figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
    generator = np.random.default_rng(0)
    for place, status in enumerate(STATUSES):
        durations = records.loc[records["status"] == status, "duration_s"]
        heights = place + generator.uniform(-0.25, 0.25, len(durations))
        axes.scatter(durations, heights, s=18, alpha=0.7, color=COLORS[status])
    axes.axvline(LIMIT_S, linestyle="--", linewidth=1, color="black")
    axes.text(LIMIT_S, -0.75, " longer: start and end", fontsize=9, va="center")
    axes.set(xlabel="duration in s", ylim=(2.5, -1), yticks=range(len(STATUSES)))
    axes.set_yticklabels(STATUSES)
    return _finished(figure)


def plot_features(features: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw how each status differs from the average segment, in the means of the descriptors."""
    figure, axes = plt.subplots(figsize=(11, 3), layout="constrained")
    features = features[:, : len(DESCRIPTORS)]
    deviations = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-12)
    for status in STATUSES:
        rows = deviations[labels == status]
        if len(rows):
            axes.plot(rows.mean(axis=0), color=COLORS[status], label=status, linewidth=1.2)
    borders = np.array([0, MEL_BANDS, MEL_BANDS + CEPSTRA, len(DESCRIPTORS)])
    for border in borders[1:-1]:
        axes.axvline(border - 0.5, color="black", linewidth=0.8)
    names = ("mel bands, low to high", "cepstra", "shape, energy")
    axes.set_xticks((borders[:-1] + borders[1:]) / 2, names)
    axes.set(ylabel="standard deviations\nfrom the average", xlim=(0, len(DESCRIPTORS) - 1))
    axes.legend(ncols=3)
    return _finished(figure)


def plot_confusion(evaluation: Evaluation, *, title: str = "") -> Figure:
    """Draw the confusion matrix: rows are true, columns predicted; shade is the row's share."""
    size = 2.5 + 0.7 * len(evaluation.classes)
    figure, axes = plt.subplots(figsize=(size, size - 0.6), layout="constrained")
    counts = evaluation.confusion.to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        text = f"{counts[row, column]}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=color)
    classes = evaluation.classes
    turned = 30 if len(classes) > len(STATUSES) else 0
    axes.set_xticks(range(len(classes)), classes, rotation=turned)
    axes.set_yticks(range(len(classes)), classes, rotation=90 - 3 * turned, va="center")
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return _finished(figure)


def plot_splits(evaluations: dict[tuple[str, str], Evaluation]) -> Figure:
    """Draw the UAR of each training set and split with its 95 % interval, and chance."""
    rows = [(key, value) for key, value in evaluations.items() if key[0] != "majority"]
    figure, axes = plt.subplots(figsize=(10, 3.4), layout="constrained")
    for place, ((_, split), evaluation) in enumerate(rows):
        _draw_interval(axes, place, evaluation, leaks=split == "segment")
    names = [f"{name}: {SPLITS[split]}" for (name, split), _ in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.axvline(1 / len(STATUSES), linestyle="--", linewidth=1, color="black")
    axes.text(1 / len(STATUSES), -0.75, " chance", fontsize=9)
    axes.set(xlim=(0, 1.08), ylim=(len(rows) - 0.5, -1.1), xlabel="UAR with 95 % interval")
    return _finished(figure)


def plot_benchmark(benchmark: CorpusBenchmark) -> Figure:
    """Draw the UAR over emotions of each model, line and split with its 95 % interval, and chance.

    Splits at random are drawn for one line only, in red.
    """
    rows = [
        (key, evaluation)
        for key, evaluation in benchmark.emotions.items()
        if key[-1] == SPEAKERS or key[2] == MU_LAW
    ]
    figure, axes = plt.subplots(figsize=(11, 1 + 0.28 * len(rows)), layout="constrained")
    for place, (key, evaluation) in enumerate(rows):
        _draw_interval(axes, place, evaluation, leaks=key[-1] != SPEAKERS)
    axes.set_yticks(range(len(rows)), [", ".join(key) for key, _ in rows], fontsize=9)
    chance = 1 / len(rows[0][1].classes)
    axes.axvline(chance, linestyle="--", linewidth=1, color="black")
    axes.text(chance, -0.75, " chance", fontsize=9)
    axes.set(xlim=(0, 1.08), ylim=(len(rows) - 0.5, -1.3), xlabel="UAR with 95 % interval")
    return _finished(figure)


def plot_predictions(predictions: pd.DataFrame) -> Figure:
    """Draw each call's probabilities; a cross marks the status people gave where it differs."""
    figure, axes = plt.subplots(figsize=(9, 1 + 0.32 * len(predictions)), layout="constrained")
    left = np.zeros(len(predictions))
    places = np.arange(len(predictions))
    for status, column in zip(STATUSES, PROBABILITIES, strict=True):
        widths = predictions[column].fillna(0).to_numpy()
        axes.barh(places, widths, left=left, color=COLORS[status], label=status)
        left += widths
    names = predictions["path"].str.rsplit("/", n=1).str[-1]
    axes.set_yticks(places, names + np.where(predictions["mismatch"], "  ✗", "  ✓"))
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="probability, as the call's end sounds")
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return _finished(figure)


def mark_mismatches(predictions: pd.DataFrame) -> Styler:
    """Show verdicts as a table; rows that differ from what people answered are tinted."""
    table = predictions.assign(call=predictions["path"].str.rsplit("/", n=1).str[-1])
    flags = ["needs_human", "mismatch", "retrained", "counted"]
    table[flags] = table[flags].map({True: "yes", False: ""}.get)
    verdict = ["call", "expected", "start_status", "end_status", *PROBABILITIES]
    table = table[[*verdict, *flags, "cause"]]
    tint = predictions["mismatch"].map({True: "background-color: #f8d9cf; color: black", False: ""})
    style = table.style.apply(lambda column: tint, axis=0)
    style = style.set_table_attributes('style="font-size: 85%"')
    return style.format(precision=2, subset=list(PROBABILITIES)).hide(axis="index")


def _draw_interval(axes: Axes, place: int, evaluation: Evaluation, *, leaks: bool) -> None:
    low, high = evaluation.uar_interval
    color = COLORS["unsatisfied"] if leaks else SEGMENT_COLORS["start"]
    axes.plot([low, high], [place, place], color=color, linewidth=3, alpha=0.4)
    axes.plot(evaluation.uar, place, "o", color=color)
    axes.text(high + 0.01, place, f"{evaluation.uar:.2f}", va="center", fontsize=9)


def _finished(figure: Figure) -> Figure:
    plt.close(figure)
    return figure
