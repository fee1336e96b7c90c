"""Tones and music on the line, which a detector of speech takes for a voice now and then."""

from collections.abc import Iterator
from typing import NamedTuple

import librosa
import numpy as np
from scipy.fft import rfft
from scipy.ndimage import (
    binary_closing,
    binary_dilation,
    binary_opening,
    median_filter,
    uniform_filter1d,
)

RATE = 8000
"""Rate in Hz at which the line is listened to."""

STEP = 128
"""Samples from frame to frame."""

STEP_S = STEP / RATE
"""The same in seconds: 16 ms."""

TONE_WINDOW, TONE_FROM_HZ = 256, 150
"""Samples of a frame in which tones are looked for, and where they begin, above mains hum."""

TONE_PEAKS, TONE_BINS, TONE_SHARE = 2, 2, 0.993
"""A tone has this share of the power above the noise around its two peaks, so many bins wide."""

TONE_PAUSE, TONE_STEPS = 7, 5
"""It lasts as many frames as the second; pauses up to the first count, as between keys."""

TONE_EDGES = 5
"""Frames across, over which a tone's sudden beginning and end smear its power."""

MUSIC_WINDOW, MUSIC_HZ = 512, (150, 3000)
"""Samples of a frame in which music is looked for, and the band."""

MUSIC_SMOOTHING_HZ = 200
"""The spectrum's shape, without its partials, is its mean over so wide a band."""

MUSIC_LAG = 2
"""Frames are compared with the one as many before."""

MUSIC_STEPS = 31
"""The median over as many frames counts: half a second, with the beginnings of some notes."""

FAINT_PERCENT, LOUD_PERCENT = 5, 95
"""Percentiles of the frames' power that are taken for the noise's and for the loud sounds'."""

SOUND_DB, LEAST_NOISE_DB, ABOVE_NOISE_DB = 30.0, 20.0, 10.0
"""Sound is less than the first below the loud, noise more than the second; tones top the noise."""

_BLOCK = 4096
_TINY = 1e-6


class LineSounds(NamedTuple):
    """What sounds on the line in each frame, shape (frames,); the first is centred at 0 s.

    Attributes:
        sounding: whether there is any sound but faint noise
        tones: whether one or two pure tones sound, as in ringing, a busy signal, keys and beeps
        tone_share: share of the power that belongs to one or two tones, if there are any
        steady: similarity to the frame before, -1 to 1, the median of half a second
    """

    sounding: np.ndarray
    tones: np.ndarray
    tone_share: np.ndarray
    steady: np.ndarray


def find_line_sounds(signal: np.ndarray, sampling_rate: int) -> LineSounds:
    """Find what sounds like no voice on a telephone line.

    A tone has all its power in one or two lines of the spectrum. The partials of music keep their
    place from one moment to the next and those of a voice move (spectral flux, Scheirer and Slaney
    1997), save for a vowel that is held.

    Args:
        signal: mono, shape (samples,), floats, not empty and without a constant offset
        sampling_rate: of the signal, in Hz

    Returns:
        a frame for every `STEP_S` seconds that have begun
    """
    sound = to_rate(signal, sampling_rate, RATE)
    peaks, whole = (np.concatenate(part) for part in zip(*_hear_peaks(sound), strict=True))
    faint, loud = np.percentile(whole, [FAINT_PERCENT, LOUD_PERCENT])
    noise = min(faint, loud * 10 ** (-LEAST_NOISE_DB / 10))
    tone_share = peaks / np.maximum(whole - noise, _TINY**2)
    sounding = whole > loud * 10 ** (-SOUND_DB / 10)
    heard = sounding & (whole > noise * 10 ** (ABOVE_NOISE_DB / 10))
    pure = np.pad(heard & (tone_share > TONE_SHARE), TONE_PAUSE)
    tones = binary_opening(binary_closing(pure, np.ones(TONE_PAUSE)), np.ones(TONE_STEPS))
    tones = binary_dilation(tones, np.ones(TONE_EDGES))[TONE_PAUSE:-TONE_PAUSE]
    similarity = np.concatenate(list(_compare(sound)))
    return LineSounds(sounding, tones, tone_share, median_filter(similarity, MUSIC_STEPS))


def to_rate(signal: np.ndarray, sampling_rate: int, rate: int) -> np.ndarray:
    """Resample a signal, as float32."""
    signal = np.asarray(signal, np.float32)
    return librosa.resample(signal, orig_sr=sampling_rate, target_sr=rate)


def _hear_peaks(sound: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the power around the strongest peaks of each frame, and the whole power."""
    for amplitude in _amplitudes(sound, TONE_WINDOW):
        power = np.square(amplitude[:, TONE_FROM_HZ * TONE_WINDOW // RATE :])
        whole = power.sum(axis=1)
        peaks = np.zeros(len(power), np.float32)
        for _ in range(TONE_PEAKS):
            around = power.argmax(axis=1)[:, None] + np.arange(-TONE_BINS, TONE_BINS + 1)
            around = np.clip(around, 0, power.shape[1] - 1)
            for bins in around.T[:, :, None]:
                peaks += np.take_along_axis(power, bins, axis=1)[:, 0]
                np.put_along_axis(power, bins, 0, axis=1)
        yield peaks, whole


def _compare(sound: np.ndarray) -> Iterator[np.ndarray]:
    """Give the correlation of each frame's partials with those of the frame `MUSIC_LAG` before."""
    low, high = (hertz * MUSIC_WINDOW // RATE for hertz in MUSIC_HZ)
    width = MUSIC_SMOOTHING_HZ * MUSIC_WINDOW // RATE
    before = np.zeros((MUSIC_LAG, high - low), np.float32)
    for amplitude in _amplitudes(sound, MUSIC_WINDOW):
        partials = amplitude[:, low:high]
        partials -= uniform_filter1d(partials, width, axis=1)
        partials /= np.linalg.norm(partials, axis=1, keepdims=True) + _TINY
        both = np.concatenate([before, partials])
        yield np.einsum("ij,ij->i", both[MUSIC_LAG:], both[:-MUSIC_LAG])
        before = both[-MUSIC_LAG:]


def _amplitudes(sound: np.ndarray, window: int) -> Iterator[np.ndarray]:
    """Give the short-time spectrum in blocks, so that an hour needs little memory."""
    count = -(-len(sound) // STEP)
    padded = np.pad(sound, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::STEP][:count]
    weights = np.hanning(window).astype(np.float32)
    for start in range(0, count, _BLOCK):
        yield np.abs(rfft(frames[start : start + _BLOCK] * weights, axis=1))
