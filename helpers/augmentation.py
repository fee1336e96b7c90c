"""Changes to a recording, so that a model meets more voices, rooms and lines than it was given."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from helpers.audio import SAMPLING_RATES
from helpers.channel import check_number, check_signal
from helpers.effects import (
    BITRATES_KBPS,
    Seed,
    add_noise,
    add_room,
    change_gain,
    code_mp3,
    code_speech,
    filter_band,
    reduce_noise,
    shift_pitch,
    stretch_time,
)

DRAWN_SNR_DB = (5.0, 30.0)
"""Levels of the speech above the noise that are drawn from, evenly, in dB."""

DRAWN_TEMPO = (0.85, 1.18)
"""Tempos: below 1 is slower."""

DRAWN_SEMITONES = (-2.0, 2.0)
"""Shifts of the pitch; the colour of the voice moves with it, as if the speaker grew or shrank."""

DRAWN_GAIN_DB = (-15.0, 15.0)
"""Gains in dB; the upper ones clip a loud voice."""

DRAWN_REVERBERATION_S = (0.2, 0.8)
"""Reverberation times in seconds, from a furnished room to a stairwell."""

DRAWN_DIRECT_DB = (0.0, 10.0)
"""Levels of the direct sound above the reverberation in dB: hands-free to close to the mouth."""

DRAWN_LOW_HZ, DRAWN_HIGH_HZ = (100.0, 600.0), (2400.0, 3800.0)
"""Lower and upper edges of the band that a line lets through."""

DRAWN_REDUCTION = (0.5, 1.0)
"""Shares of the noise that are taken away."""


class Augmentation(NamedTuple):
    """One way to change a recording.

    Attributes:
        what: what it does, in plain words
        effect: takes the signal, its sampling rate and the strengths
        draw: draws the strengths by a random generator
        package: optional package it needs, empty for none
    """

    what: str
    effect: Callable[..., np.ndarray]
    draw: Callable[[np.random.Generator], dict]
    package: str = ""

    def apply(self, signal: np.ndarray, sampling_rate: int, *, seed: Seed) -> np.ndarray:
        """Change a signal by strengths drawn by chance; the same seed gives the same result.

        Args:
            signal: as `helpers.effects` takes it
            sampling_rate: of the signal, in Hz
            seed: of the strengths, and of noise and rooms

        Returns:
            float32 in [-1, 1] at the same rate, as long as the signal but for a stretch of time

        Raises:
            ValueError: where the signal is none, see `helpers.effects`
            ImportError: where the package is missing
        """
        return self.effect(signal, sampling_rate, **self.draw(np.random.default_rng(seed)))


def augment(
    signal: np.ndarray, sampling_rate: int, *, names: Sequence[str], seed: int | Sequence[int]
) -> np.ndarray:
    """Change a signal in several ways, one after the other.

    Args:
        signal: see `Augmentation.apply`
        sampling_rate: of the signal, in Hz
        names: keys of `AUGMENTATIONS`; the same twice is done twice, each with its own strength
        seed: of everything that is drawn, an integer or several

    Returns:
        shape (samples,), float32 in [-1, 1] at the same rate

    Raises:
        ValueError: where a name is none of `AUGMENTATIONS`; see `Augmentation.apply`
        ImportError: where a package is missing
    """
    check_names(names)
    check_number("sampling_rate", sampling_rate, *SAMPLING_RATES, "Hz")
    signal = check_signal(signal)
    for name, part in zip(names, np.random.SeedSequence(seed).spawn(len(names)), strict=True):
        signal = AUGMENTATIONS[name].apply(signal, sampling_rate, seed=part)
    return np.clip(signal, -1, 1)


def check_names(names: Sequence[str]) -> None:
    """Raise a ValueError with the names that are none of `AUGMENTATIONS`."""
    if unknown := [name for name in names if name not in AUGMENTATIONS]:
        raise ValueError(f"no augmentation is called {unknown}; expected {list(AUGMENTATIONS)}")


def installed_augmentations() -> list[str]:
    """Name the augmentations whose packages are installed."""
    packages = {name: each.package for name, each in AUGMENTATIONS.items()}
    return [name for name, package in packages.items() if not package or find_spec(package)]


AUGMENTATIONS = {
    "noise": Augmentation(
        "white noise behind the voice, 5 to 30 dB below it",
        add_noise,
        lambda draw: {"snr_db": draw.uniform(*DRAWN_SNR_DB), "seed": draw},
    ),
    "time stretch": Augmentation(
        "spoken up to 18 % faster or slower",
        stretch_time,
        lambda draw: {"tempo": draw.uniform(*DRAWN_TEMPO)},
    ),
    "pitch shift": Augmentation(
        "a voice up to 2 semitones higher or lower",
        shift_pitch,
        lambda draw: {"semitones": draw.uniform(*DRAWN_SEMITONES)},
    ),
    "gain": Augmentation(
        "up to 15 dB louder or quieter",
        change_gain,
        lambda draw: {"gain_db": draw.uniform(*DRAWN_GAIN_DB)},
    ),
    "mu-law": Augmentation(
        "coded once more as a digital line does",
        code_speech,
        lambda draw: {"codec": "mu-law"},
    ),
    "gsm": Augmentation(
        "coded as an old mobile phone does",
        code_speech,
        lambda draw: {"codec": "gsm"},
    ),
    "mp3": Augmentation(
        "stored as MP3 of 16 to 32 kbit/s",
        code_mp3,
        lambda draw: {"bitrate_kbps": int(draw.choice(BITRATES_KBPS))},
    ),
    "room": Augmentation(
        "in a room that sounds on for 0.2 to 0.8 s",
        add_room,
        lambda draw: {
            "reverberation_s": draw.uniform(*DRAWN_REVERBERATION_S),
            "direct_db": draw.uniform(*DRAWN_DIRECT_DB),
            "seed": draw,
        },
    ),
    "line filter": Augmentation(
        "a narrower or wider band of frequencies",
        filter_band,
        lambda draw: {"band_hz": (draw.uniform(*DRAWN_LOW_HZ), draw.uniform(*DRAWN_HIGH_HZ))},
    ),
    "noise reduction": Augmentation(
        "half to all of the steady noise taken away",
        reduce_noise,
        lambda draw: {"share": draw.uniform(*DRAWN_REDUCTION)},
        package="noisereduce",
    ),
}
"""Every augmentation by name."""
