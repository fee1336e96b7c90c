"""Recordings as a model of emotions hears them, through telephone lines or without."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from helpers.audio import open_recording, to_mono
from helpers.channel import TELEPHONE_RATE, random_telephone, simulate_telephone
from helpers.descriptors import MEL_BANDS, describe_frames
from helpers.errors import AudioError
from helpers.functionals import FUNCTIONALS, summarise
from helpers.progress import progress

LINES = {
    "8 kHz": lambda signal, _seed: signal,
    "8 kHz mu-law": lambda signal, _seed: simulate_telephone(signal, TELEPHONE_RATE, band=False),
    "8 kHz mu-law, 300-3400 Hz": lambda signal, _seed: simulate_telephone(signal, TELEPHONE_RATE),
    "lines drawn by chance": lambda signal, seed: random_telephone(
        signal, TELEPHONE_RATE, seed=seed
    ),
}
"""Lines that a corpus is heard through: no line at all first, then ever worse ones."""

CLEAN, MU_LAW = tuple(LINES)[:2]


class Heard(NamedTuple):
    """Utterances, described.

    Attributes:
        features: shape (utterances, functionals), float32, see `helpers.functionals.FUNCTIONALS`
        spectra: mel spectrum of each, shape (mel bands, frames) in dB of the voice's level
    """

    features: np.ndarray
    spectra: list[np.ndarray]

    def take(self, rows: Sequence[int]) -> "Heard":
        """Keep some utterances, by number."""
        return Heard(self.features[rows], [self.spectra[row] for row in rows])


def hear_recordings(paths: Iterable[Path | str]) -> Heard:
    """Describe recordings as they are, at 8000 Hz.

    Raises:
        AudioError: where one cannot be read
    """
    return hear_signals(read_recording(path) for path in paths)


def hear_signals(signals: Iterable[np.ndarray]) -> Heard:
    """Describe signals of 8000 Hz, mono, each of shape (samples,)."""
    return _collect([_describe(signal) for signal in signals])


def hear_corpus(paths: Sequence[Path | str], *, telephone: bool = True) -> dict[str, Heard]:
    """Describe recordings through every line of `LINES`, on all cores.

    Args:
        paths: of the recordings; where one is in the list decides what line is drawn for it
        telephone: whether to hear more than the first, clean line

    Returns:
        the utterances by line, in the order of `LINES`

    Raises:
        AudioError: where one cannot be read
    """
    lines = list(LINES)[: None if telephone else 1]
    hear = delayed(partial(_hear, lines))
    heard = Parallel(n_jobs=-1, return_as="generator")(
        hear(path, seed) for seed, path in enumerate(paths)
    )
    rows = list(progress(heard, "Corpus", total=len(paths)))
    return {line: _collect([row[number] for row in rows]) for number, line in enumerate(lines)}


def read_recording(path: Path | str) -> np.ndarray:
    """Read a recording whole, mixed to mono at 8000 Hz, without any codec.

    Raises:
        AudioError: with the path, where it cannot be read
    """
    try:
        with open_recording(path) as recording:
            signal = to_mono(recording.read(start_s=0, duration_s=recording.duration_s))
            return to_telephone_rate(signal, recording.sampling_rate)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def to_telephone_rate(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Bring a signal to 8000 Hz and change nothing else."""
    if sampling_rate == TELEPHONE_RATE:
        return signal
    return simulate_telephone(signal, sampling_rate, codec="none", band=False)


def _hear(lines: list[str], path: Path | str, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    signal = read_recording(path)
    return [_describe(LINES[line](signal, seed)) for line in lines]


def _describe(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    frames = describe_frames(signal, TELEPHONE_RATE)
    return summarise(frames), frames.values[:MEL_BANDS].copy()


def _collect(rows: list[tuple[np.ndarray, np.ndarray]]) -> Heard:
    empty = np.empty((0, len(FUNCTIONALS)), np.float32)
    features = np.stack([features for features, _ in rows]) if rows else empty
    return Heard(features, [spectrum for _, spectrum in rows])
