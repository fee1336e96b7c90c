"""Two-channel calls: each person on a channel of their own, what leaks over taken away."""

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from helpers.conversation.bursts import find_bursts

STEP_S = 0.01
"""Resolution in seconds."""

SMOOTHING_STEPS = 5
"""Steps over which a channel's level is averaged."""

ECHO_S = 0.4
"""An echo comes back within this time."""

EVERYWHERE = 0.6
"""Sound is an echo if it is there in this share of the time that the other person speaks."""

ABOVE_ECHO_DB = 8.0
"""Who speaks over an echo is this much louder than it is on the average."""

SAME = 0.98
"""Two channels that are correlated more closely hold the same mix."""

_SILENCE = 1e-9


def hold_the_same(channels: np.ndarray) -> bool:
    """Say whether there is one channel only, a mix in both, or nothing in one of them.

    Args:
        channels: shape (channels, samples)
    """
    if len(channels) == 1:
        return True
    centred = channels - channels.mean(axis=1, keepdims=True)
    energy = np.square(centred).sum(axis=1)
    if energy.min() <= _SILENCE * channels.shape[1]:
        return True
    return bool(abs(centred[0] @ centred[1]) > SAME * np.sqrt(energy[0] * energy[1]))


def find_speech_by_channel(channels: np.ndarray, sampling_rate: int) -> list[np.ndarray]:
    """Find when each channel's own person is heard.

    Where sound on a channel is there nearly whenever the other person speaks, it is leakage or an
    echo: only what is clearly louder than that is kept.

    Args:
        channels: shape (2, samples)
        sampling_rate: in Hz

    Returns:
        for each channel spans in seconds, shape (spans, 2)
    """
    levels = [_level_db(channel, sampling_rate) for channel in channels]
    heard = [_to_steps(find_bursts(each, sampling_rate), len(levels[0])) for each in channels]
    own = [heard[k] & ~_echo(levels[k], levels[1 - k], heard[k], heard[1 - k]) for k in (0, 1)]
    return [_to_spans(each) for each in own]


def _level_db(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    step = STEP_S * sampling_rate
    edges = (np.arange(len(signal) / step) * step).round().astype(int)
    edges = edges[edges < len(signal)]
    power = np.add.reduceat(np.square(signal, dtype=np.float32), edges)
    power = uniform_filter1d(power / step, SMOOTHING_STEPS)
    return 10 * np.log10(power + _SILENCE)


def _echo(
    level: np.ndarray, other_level: np.ndarray, heard: np.ndarray, other_heard: np.ndarray
) -> np.ndarray:
    """Mark the steps in which a channel holds only an echo of the other one."""
    reach = round(ECHO_S / STEP_S)
    recent = maximum_filter1d(other_level, reach, origin=reach // 2 - 1)
    spoken = maximum_filter1d(other_heard, reach, origin=reach // 2 - 1)
    louder = other_heard & (other_level > level)
    if not louder.any() or heard[louder].mean() < EVERYWHERE:
        return np.zeros(len(level), bool)
    loss = np.median((recent - level)[louder & heard])
    return spoken & (level < recent - loss + ABOVE_ECHO_DB)


def _to_steps(spans: np.ndarray, count: int) -> np.ndarray:
    steps = np.zeros(count, bool)
    for start, end in np.rint(spans / STEP_S).astype(int):
        steps[start:end] = True
    return steps


def _to_spans(steps: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(steps, prepend=False, append=False)).reshape(-1, 2) * STEP_S
