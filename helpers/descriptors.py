"""What is measured in every frame of speech, all of it from one short-time spectrum."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import dct, irfft, rfft

WINDOW_S = 0.032
"""Length of a frame in seconds: 256 samples at 8 kHz."""

HOP_S = 0.015
"""Step from frame to frame in seconds."""

BAND_HZ = (60.0, 4000.0)
"""What is looked at at every sampling rate, so that a wide recording is described as a phone's."""

MEL_BANDS, CEPSTRA = 40, 20
"""Numbers of mel bands and of the cepstral coefficients made of them, the zeroth left out."""

PITCH_HZ = (60.0, 500.0)
"""Range of the pitch of speaking voices."""

ACTIVE_DB = 35.0
"""A frame is active if it is less than this below the loud frames (95th percentile)."""

FLOOR_DB = -90.0
"""Mel bands and energy are cut off here, below the level of the voice: lower is the line's."""

BLOCK = 128
"""Frames that are transformed at once."""

VOICED = 0.45
"""Harmonicity from which an active frame counts as voiced."""

_SHAPE = ("centroid", "spread", "rolloff_85", "rolloff_25", "entropy", "flux")
DESCRIPTORS = (
    *(f"mel_{number:02d}" for number in range(1, MEL_BANDS + 1)),
    *(f"cepstrum_{number:02d}" for number in range(1, CEPSTRA + 1)),
    *_SHAPE,
    "energy",
    "zero_crossings",
    "low_to_high",
)
"""Names of the rows of `Frames.values`."""

_TINY = 1e-12
_STEP_HZ = 15.625
"""Step of the spectrum at 8 kHz, which sums over it are brought to at every rate."""

_EARLY_PEAK = 0.87
"""Share of the highest autocorrelation peak that an earlier one needs: it avoids octave errors."""


@dataclass(frozen=True)
class Frames:
    """A signal, frame by frame, from its first active frame to its last.

    Attributes:
        values: shape (descriptors, frames), float32, see `DESCRIPTORS`; levels are relative to
            the voice's own, so that a gain changes nothing
        active: shape (frames,), whether somebody speaks
        pitch_hz: shape (frames,), 0 where nobody speaks; meaningful where `harmonicity` is high
        harmonicity: shape (frames,), normalised autocorrelation at the pitch, about 0 to 1
    """

    values: np.ndarray
    active: np.ndarray
    pitch_hz: np.ndarray
    harmonicity: np.ndarray

    @property
    def voiced(self) -> np.ndarray:
        """Shape (frames,), whether somebody speaks with a pitch."""
        return self.active & (self.harmonicity > VOICED)


def describe_frames(signal: np.ndarray, sampling_rate: int) -> Frames:
    """Measure every frame of a signal.

    Mel bands (O'Shaughnessy's scale), cepstra of them (Davis and Mermelstein 1980), centroid and
    spread of the spectrum in kHz, roll-offs, entropy and flux of the mel bands (Peeters 2004),
    energy, zero-crossing rate, and the energy below against above 1 kHz. Pitch is the first high
    peak of the autocorrelation divided by the window's (Boersma 1993).

    Args:
        signal: mono, shape (samples,), floats; shorter than a frame it is filled up with zeros
        sampling_rate: of the signal, in Hz, 8000 or more for all bands to be there

    Returns:
        the frames between the first and the last active one, at least one
    """
    grid = _grid(sampling_rate)
    cut = _cut(np.asarray(signal, np.float32), grid)
    power = _power(cut, grid)
    sums = power @ grid.sums
    energy_db = 10 * np.log10(sums[:, -4] + _TINY)
    active = energy_db > np.percentile(energy_db, 95) - ACTIVE_DB
    level = float(np.percentile(energy_db[active], 90)) if active.any() else 0.0
    first, last = np.flatnonzero(active)[[0, -1]] if active.any() else (0, len(active) - 1)
    span = slice(first, last + 1)
    pitch, harmonicity = np.zeros((2, last + 1 - first), np.float32)
    spoken = active[span]
    pitch[spoken], harmonicity[spoken] = _pitch(power[span][spoken], grid)
    values = _describe(sums[span], energy_db[span], level)
    values[DESCRIPTORS.index("zero_crossings")] = _zero_crossings(cut[span])
    return Frames(values, spoken, pitch, harmonicity)


@dataclass(frozen=True)
class _Grid:
    sampling_rate: int
    hop: int
    size: int
    window: np.ndarray
    window_autocorrelation: np.ndarray
    sums: np.ndarray


@lru_cache(maxsize=8)
def _grid(sampling_rate: int) -> _Grid:
    length = round(WINDOW_S * sampling_rate)
    size = 2 ** int(np.ceil(np.log2(2 * length)))
    window = np.hanning(length + 1)[:-1]
    correlation = irfft(np.abs(rfft(window, 2 * size)) ** 2)[: size // 2 + 1]
    hertz = np.arange(size // 2 + 1) * sampling_rate / size
    kilohertz = np.where(hertz <= BAND_HZ[1], hertz / 1000, 0)
    inside = (hertz <= BAND_HZ[1]).astype(float)
    sums = np.stack([inside, kilohertz, kilohertz**2, inside * (hertz < 1000)])
    columns = [*_mel_bank(hertz), *(sums * hertz[1] / _STEP_HZ)]
    return _Grid(
        sampling_rate,
        round(HOP_S * sampling_rate),
        size,
        window.astype(np.float32),
        (correlation / correlation[0]).astype(np.float32),
        np.stack(columns, axis=1).astype(np.float32),
    )


def _mel_bank(hertz: np.ndarray) -> np.ndarray:
    low, high = (2595 * np.log10(1 + edge / 700) for edge in BAND_HZ)
    edges = 700 * (10 ** (np.linspace(low, high, MEL_BANDS + 2) / 2595) - 1)
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    bank = np.clip(np.minimum(rising, falling), 0, None)
    return bank / np.maximum(bank.sum(axis=1, keepdims=True), _TINY)


def _cut(signal: np.ndarray, grid: _Grid) -> np.ndarray:
    length = len(grid.window)
    if len(signal) < length:
        signal = np.pad(signal, (0, length - len(signal)))
    return np.lib.stride_tricks.sliding_window_view(signal, length)[:: grid.hop]


def _power(frames: np.ndarray, grid: _Grid) -> np.ndarray:
    power = np.empty((len(frames), grid.size // 2 + 1), np.float32)
    for block in _blocks(len(frames)):
        spectrum = rfft(frames[block] * grid.window, grid.size, axis=1)
        np.square(spectrum.real, out=power[block])
        power[block] += np.square(spectrum.imag)
    return power


def _blocks(count: int) -> list[slice]:
    """Cut many rows into few at a time: what stays in the cache is several times as fast."""
    return [slice(first, first + BLOCK) for first in range(0, count, BLOCK)]


def _describe(sums: np.ndarray, energy_db: np.ndarray, level_db: float) -> np.ndarray:
    bands, (total, first, second, low) = sums[:, :MEL_BANDS], sums[:, MEL_BANDS:].T
    total = total + _TINY
    mel = np.maximum(10 * np.log10(bands + _TINY) - level_db, FLOOR_DB)
    cepstra = dct(mel, axis=1, norm="ortho")[:, 1 : CEPSTRA + 1]
    centroid = first / total
    spread = np.sqrt(np.maximum(second / total - centroid**2, 0))
    shares = bands + _TINY
    shares = shares / shares.sum(axis=1, keepdims=True)
    cumulated = np.cumsum(shares, axis=1)
    roots = np.sqrt(shares)
    flux = np.square(np.diff(roots, axis=0, prepend=roots[:1])).sum(axis=1)
    values = np.empty((len(DESCRIPTORS), len(sums)), np.float32)
    values[:MEL_BANDS] = mel.T
    values[MEL_BANDS : MEL_BANDS + CEPSTRA] = cepstra.T
    values[MEL_BANDS + CEPSTRA :] = (
        centroid,
        spread,
        (cumulated < 0.85).sum(axis=1),
        (cumulated < 0.25).sum(axis=1),
        -(shares * np.log(shares)).sum(axis=1),
        np.log(flux + 1e-6),
        np.maximum(energy_db - level_db, FLOOR_DB),
        np.zeros(len(sums)),
        np.log((low + _TINY) / (total - low + _TINY)),
    )
    return values


def _zero_crossings(frames: np.ndarray) -> np.ndarray:
    return np.mean(np.diff(np.signbit(frames), axis=1), axis=1)


def _pitch(power: np.ndarray, grid: _Grid) -> tuple[np.ndarray, np.ndarray]:
    low, high = (round(grid.sampling_rate / edge) for edge in PITCH_HZ[::-1])
    blocks = [irfft(power[block], axis=1)[:, : high + 2] for block in _blocks(len(power))]
    correlation = np.concatenate([np.empty((0, high + 2), np.float32), *blocks])
    correlation = correlation / np.maximum(correlation[:, :1], _TINY)
    correlation /= grid.window_autocorrelation[: high + 2]
    inner = correlation[:, low : high + 1]
    is_peak = (inner > correlation[:, low - 1 : high]) & (inner >= correlation[:, low + 1 :])
    is_peak &= inner > _EARLY_PEAK * inner.max(axis=1, keepdims=True)
    lags = low + np.where(is_peak.any(axis=1), is_peak.argmax(axis=1), inner.argmax(axis=1))
    rows = np.arange(len(lags))
    before, peak, after = (correlation[rows, lags + step] for step in (-1, 0, 1))
    bend = np.where(before - 2 * peak + after < 0, before - 2 * peak + after, -1)
    shift = np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return grid.sampling_rate / (lags + shift), peak
