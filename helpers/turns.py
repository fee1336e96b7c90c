"""Stretches of speech between pauses, about as long as one utterance; whose they are is open."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d

STEP_S = 0.01
"""Resolution in seconds."""

SMOOTHING_STEPS = 9
"""Steps over which the level is averaged."""

SPEECH_DB = 25.0
"""Speech is less than this below the loud parts of the signal (95th percentile)."""

PAUSE_S = 0.3
"""A shorter pause does not end a turn."""

SHORTEST_S = 0.5
"""A shorter sound is no turn."""

LONGEST_S = 3.5
"""A longer turn is cut in equal pieces."""


class Turn(NamedTuple):
    """A stretch of speech, in seconds from the signal's beginning."""

    start_s: float
    end_s: float


def find_turns(signal: np.ndarray, sampling_rate: int) -> list[Turn]:
    """Find stretches of speech by their level.

    Tones and music count as speech, and two people who leave no pause are one turn.

    Args:
        signal: mono, shape (samples,)
        sampling_rate: of the signal, in Hz

    Returns:
        turns of 0.5 to 3.5 s, in order; the whole signal where there is none
    """
    turns = [
        piece
        for start_s, end_s in _join(_spoken_runs(signal, sampling_rate))
        if end_s - start_s >= SHORTEST_S
        for piece in _cut(start_s, end_s)
    ]
    return turns or [Turn(0.0, len(signal) / sampling_rate)]


def _spoken_runs(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    step = round(STEP_S * sampling_rate)
    count = len(signal) // step
    if not count:
        return np.empty((0, 2))
    power = np.square(signal[: count * step]).reshape(count, step).mean(axis=1)
    level = 10 * np.log10(uniform_filter1d(power, SMOOTHING_STEPS) + 1e-10)
    spoken = level > np.percentile(level, 95) - SPEECH_DB
    edges = np.flatnonzero(np.diff(spoken, prepend=False, append=False))
    return edges.reshape(-1, 2) * step / sampling_rate


def _join(runs: np.ndarray) -> list[list[float]]:
    joined: list[list[float]] = []
    for start_s, end_s in runs.tolist():
        if joined and start_s - joined[-1][1] < PAUSE_S:
            joined[-1][1] = end_s
        else:
            joined.append([start_s, end_s])
    return joined


def _cut(start_s: float, end_s: float) -> list[Turn]:
    pieces = int(np.ceil((end_s - start_s) / LONGEST_S))
    edges = np.linspace(start_s, end_s, pieces + 1).round(3).tolist()
    return [Turn(*pair) for pair in pairwise(edges)]
