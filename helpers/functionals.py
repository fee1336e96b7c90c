"""Statistics over the frames of a stretch of speech: one named vector, however long it is."""

from itertools import combinations, pairwise

import numpy as np
from scipy.fft import dct, rfft

from helpers.descriptors import DESCRIPTORS, HOP_S, MEL_BANDS, Frames

PERCENTILES = (5, 25, 50, 75, 95)
"""Percentiles that are taken of every descriptor."""

PARTS, COURSE = 16, 8
"""Parts of equal length, and cosines that describe how their means go on (a course in time)."""

MODULATION_HZ = (0.3, 1, 2, 3, 4.5, 6.5, 9, 13, 18, 25)
"""Edges of the bands in which the rhythm of loudness is looked at."""

MODULATION_BANDS = 10
"""Groups of neighbouring mel bands whose rhythm is looked at."""

_LEAST = 1e-3
"""Smaller deviations are rounding, not speech."""

_QUANTILES = (*(f"p{percent:02d}" for percent in PERCENTILES), "range_95_05", "range_75_25")
_STATISTICS = ("mean", "deviation", *_QUANTILES, "slope", "skewness")
_PITCH = (
    *("mean", "deviation", *_QUANTILES, "jump_mean", "jump_median", "slope"),
    *("first_third", "second_third", "last_third"),
)
_VOICING = (
    *("voiced_share", "voiced_onsets_per_s", "voiced_run_mean_s", "voiced_run_max_s"),
    *("voiced_run_deviation_s", *(f"harmonicity_p{percent:02d}" for percent in PERCENTILES)),
    *("harmonicity_mean", "harmonicity_deviation", "pause_share", "duration_s"),
)
_RELATED = DESCRIPTORS[MEL_BANDS:]
FUNCTIONALS = (
    *(f"{name}_{statistic}" for statistic in _STATISTICS for name in DESCRIPTORS),
    *(f"{name}_change_{statistic}" for statistic in _STATISTICS for name in DESCRIPTORS),
    *(f"{name}_bend_deviation" for name in DESCRIPTORS),
    *(f"{name}_course_{cosine}" for name in DESCRIPTORS for cosine in range(1, COURSE + 1)),
    *(
        f"{name}_{statistic}_{where}"
        for where in ("voiced", "unvoiced", "loud")
        for statistic in ("mean", "deviation")
        for name in DESCRIPTORS
    ),
    *(f"{first}_with_{second}" for first, second in combinations(_RELATED, 2)),
    *(f"{first}_with_{second}_change" for first, second in combinations(_RELATED, 2)),
    *(f"pitch_{statistic}" for statistic in _PITCH),
    *_VOICING,
    *(
        f"rhythm_{low:g}_to_{high:g}_hz_band_{band:02d}"
        for low, high in pairwise(MODULATION_HZ)
        for band in range(1, MODULATION_BANDS + 1)
    ),
)
"""Name of each number of `summarise`."""


def summarise(frames: Frames) -> np.ndarray:
    """Describe a stretch of speech by statistics over its active frames.

    Mean, deviation, percentiles and ranges, slope and skewness of every descriptor and of its
    change from frame to frame (the brute force of Schuller et al. 2013), their course in time,
    their means in voiced, unvoiced and loud frames, their correlations (as in the covariances of
    Ye et al. 2008), pitch in semitones, voicing, and the spectrum of the loudness over time in ten
    bands (Wu, Falk and Chan 2011).

    Args:
        frames: of any length

    Returns:
        shape (len(FUNCTIONALS),), float32, all finite
    """
    values, active = frames.values, frames.active
    changes = _change(values)
    spoken = np.ascontiguousarray(values[:, active])
    changed = np.ascontiguousarray(changes[:, active])
    vector = np.concatenate(
        [
            _statistics(spoken),
            _statistics(changed),
            _change(changes)[:, active].std(axis=1),
            _course(values).ravel(),
            *_describe_kinds(frames),
            _correlate(spoken),
            _correlate(changed),
            _describe_pitch(frames),
            _describe_voicing(frames),
            _describe_rhythm(values[:MEL_BANDS]),
        ]
    )
    return vector.astype(np.float32)


def _change(values: np.ndarray) -> np.ndarray:
    return np.gradient(values, axis=1) if values.shape[1] > 1 else np.zeros_like(values)


def _statistics(values: np.ndarray) -> np.ndarray:
    mean = values.mean(axis=1)
    centred = values - mean[:, None]
    squares = centred * centred
    deviation = np.sqrt(squares.mean(axis=1))
    skewness = (squares * centred).mean(axis=1) / np.maximum(deviation, _LEAST) ** 3
    time = np.linspace(-1, 1, values.shape[1], dtype=np.float32)
    slope = centred @ time / max(float(time @ time), 1e-6)
    return np.concatenate([mean, deviation, _quantiles(values).ravel(), slope, skewness])


def _quantiles(values: np.ndarray) -> np.ndarray:
    position = np.array(PERCENTILES) / 100 * (values.shape[-1] - 1)
    below = position.astype(int)
    above = np.minimum(below + 1, values.shape[-1] - 1)
    ordered = np.sort(values, axis=-1)
    weight = position - below
    found = (ordered[..., below] * (1 - weight) + ordered[..., above] * weight).T
    return np.stack([*found, found[4] - found[0], found[3] - found[1]])


def _course(values: np.ndarray) -> np.ndarray:
    edges = np.linspace(0, values.shape[1], PARTS + 1).astype(int)
    starts = np.minimum(edges[:-1], values.shape[1] - 1)
    means = np.add.reduceat(values, starts, axis=1) / np.maximum(np.diff(edges), 1)
    return dct(means, axis=1, norm="ortho")[:, 1 : COURSE + 1]


def _describe_kinds(frames: Frames) -> list[np.ndarray]:
    voiced = frames.voiced
    loudness = 10 ** (frames.values[DESCRIPTORS.index("energy")] / 20)
    kinds = (voiced, frames.active & ~voiced, frames.active * loudness)
    squares = frames.values**2
    found = []
    for weights in kinds:
        weights = weights if np.count_nonzero(weights) > 3 else frames.active
        weights = (weights / weights.sum()).astype(np.float32)
        mean = frames.values @ weights
        found += [mean, np.sqrt(np.maximum(squares @ weights - mean**2, 0))]
    return found


def _correlate(values: np.ndarray) -> np.ndarray:
    related = values[MEL_BANDS:]
    centred = related - related.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
    centred = centred / np.maximum(deviation, _LEAST)
    return (centred @ centred.T)[np.triu_indices(len(related), 1)] / related.shape[1]


def _describe_pitch(frames: Frames) -> np.ndarray:
    voiced = frames.voiced
    if voiced.sum() < 3:
        return np.zeros(len(_PITCH))
    pitch = 12 * np.log2(frames.pitch_hz[voiced] / 100)
    jumps = np.abs(np.diff(pitch))
    slope = np.polyfit(np.linspace(-1, 1, len(pitch)), pitch, 1)[0]
    thirds = [part.mean() - pitch.mean() for part in np.array_split(pitch, 3)]
    quantiles = _quantiles(pitch)
    spread = (pitch.mean(), pitch.std(), *quantiles, jumps.mean(), np.median(jumps))
    return np.array([*spread, slope, *thirds])


def _describe_voicing(frames: Frames) -> np.ndarray:
    voiced = frames.voiced
    edges = np.flatnonzero(np.diff(voiced, prepend=False, append=False))
    runs = np.diff(edges)[::2] * HOP_S if len(edges) else np.zeros(1)
    duration = len(voiced) * HOP_S
    harmonicity = frames.harmonicity[frames.active]
    return np.array(
        [
            *(voiced.mean(), len(edges) / 2 / duration, runs.mean(), runs.max(), runs.std()),
            *_quantiles(harmonicity)[: len(PERCENTILES)],
            *(harmonicity.mean(), harmonicity.std(), 1 - frames.active.mean(), duration),
        ]
    )


def _describe_rhythm(mel: np.ndarray) -> np.ndarray:
    loudness = mel.reshape(MODULATION_BANDS, -1, mel.shape[1]).mean(axis=1)
    loudness = loudness - loudness.mean(axis=1, keepdims=True)
    count = loudness.shape[1]
    size = max(512, count)
    power = np.abs(rfft(loudness * np.hanning(count), size, axis=1)) ** 2 / count
    hertz = np.arange(power.shape[1]) / (size * HOP_S)
    starts = np.searchsorted(hertz, MODULATION_HZ)
    sums = np.add.reduceat(power, starts, axis=1)[:, :-1] / np.diff(starts)
    return np.log(sums.T + 1e-3).ravel()
