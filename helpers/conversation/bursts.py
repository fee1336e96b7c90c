"""Where anything at all is heard above the line's own noise, to about a tenth of a second.

A voice-activity detector says whether there is speech; how far a faint beginning or a fading end
reaches, and on which of two channels, is seen better against the noise of the very line.
"""

import numpy as np
from scipy.ndimage import uniform_filter1d

WINDOW_S, HOP_S = 0.032, 0.01
"""Length of a frame and step from frame to frame, in seconds."""

BAND_HZ = (190.0, 3400.0)
"""What a telephone line carries of a voice."""

BLOCK_S = 60.0
"""The noise of a line is measured anew in each stretch of this length."""

QUIET_SHARE = 0.15
"""So much of a stretch is taken for noise alone: people pause that often."""

SMOOTHING = (11, 5)
"""Frames and bins of the spectrum over which power is averaged."""

STRONGEST = 10
"""Bins that are looked at: a voice rises above the noise in a few narrow places first."""

RATIO = 1.9
"""A frame is no noise if its strongest bins hold this much more power than the noise does, which
has 1.4 of itself.
"""

BRIDGE_S, SHORTEST_S, MARGIN_S = 0.15, 0.15, 0.06
"""Shorter pauses are bridged, shorter bursts dropped, and this is added at both ends."""

_SILENCE = 1e-9


def find_bursts(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Find where a signal is more than its line's noise.

    The power of each bin is compared with that of the quietest frames (the a posteriori
    signal-to-noise ratio of McAulay and Malpass 1980, averaged over time and frequency).

    Args:
        signal: mono, shape (samples,)
        sampling_rate: of the signal, in Hz

    Returns:
        shape (bursts, 2), beginning and end in seconds, in order, without overlaps; sound that sets
        in at once has its edges 0.06 to 0.13 s outside, for it fades in and out on most lines
    """
    hop = round(HOP_S * sampling_rate)
    block = round(BLOCK_S / HOP_S) * hop
    cuts = [signal[first : first + block] for first in range(0, len(signal), block)]
    if len(cuts) > 1 and len(cuts[-1]) < block / 2:
        cuts[-2:] = [np.concatenate(cuts[-2:])]
    ratio = np.concatenate([np.empty(0), *(_ratio_to_noise(cut, sampling_rate) for cut in cuts)])
    return _join(_edges(ratio > RATIO) * hop / sampling_rate, len(signal) / sampling_rate)


def _ratio_to_noise(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    power = _band_power(signal, sampling_rate)
    level = uniform_filter1d(power.mean(axis=1), SMOOTHING[0])
    heard = level > _SILENCE
    if not heard.any():
        return np.zeros(len(level))
    quiet = heard & (level <= np.quantile(level[heard], QUIET_SHARE))
    ratio = power / np.maximum(power[quiet].mean(axis=0), _SILENCE)
    for axis, size in enumerate(SMOOTHING):
        ratio = uniform_filter1d(ratio, size, axis=axis)
    strongest = np.partition(ratio, -STRONGEST, axis=1)[:, -STRONGEST:]
    return strongest.mean(axis=1)


def _band_power(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Power by frame and bin, one frame each `HOP_S` centred on its time."""
    length, hop = round(WINDOW_S * sampling_rate), round(HOP_S * sampling_rate)
    padded = np.pad(signal, (length // 2, length // 2 + hop)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    frames = frames[: len(signal) // hop]
    spectrum = np.fft.rfft(frames * np.hanning(length).astype(np.float32), axis=1)
    hertz = np.fft.rfftfreq(length, 1 / sampling_rate)
    inside = (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])
    return np.square(np.abs(spectrum[:, inside]), dtype=np.float32)


def _edges(above: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(above, prepend=False, append=False)).reshape(-1, 2)


def _join(edges: np.ndarray, duration_s: float) -> np.ndarray:
    joined: list[list[float]] = []
    for start_s, end_s in edges.tolist():
        if joined and start_s - joined[-1][1] < BRIDGE_S:
            joined[-1][1] = end_s
        else:
            joined.append([start_s, end_s])
    spans = np.array([span for span in joined if span[1] - span[0] >= SHORTEST_S]).reshape(-1, 2)
    return np.clip(spans + np.array([-MARGIN_S, MARGIN_S]), 0.0, duration_s)
