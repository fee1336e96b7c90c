"""What the neighbouring projects describe a voice by, and ours, side by side."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import librosa
import numpy as np

from helpers.audio import open_recording, to_mono
from helpers.channel import TELEPHONE_RATE, simulate_telephone
from helpers.descriptors import MEL_BANDS, describe_frames
from helpers.errors import AudioError, CallEmotionError
from helpers.features import (
    CLASSIC,
    CLASSIC_RATE,
    CallSegments,
    FeatureSet,
    read_segments,
)
from helpers.functionals import FUNCTIONALS, summarise
from helpers.segments import Segment

FRAME_BANDS = MEL_BANDS
"""Rows of a spectrum over time."""

FRAMES, JOINED = 100, 2
"""Columns of a spectrum over time, each the mean of so many frames of 15 ms: 3 s in all."""

FLOOR_DB = -60.0
"""Below the level of the voice nothing is looked at."""

MFCC, CHROMA, CONTRAST, TONNETZ = 13, 12, 7, 6
"""Numbers of coefficients, pitch classes, contrast bands and tonal centroids."""

SCALARS = ("zero_crossing_rate", "rms", "centroid", "rolloff")
"""What else the 110 descriptors hold, one number a frame."""

EMBEDDING, OPENSMILE = "embedding-", "opensmile-"
"""What names of feature sets begin with that need other packages."""

OF_CALLS, BY_TELEPHONE = "-of-calls", "-by-telephone"
"""Ends of the name of a set of utterances that describes calls, or what a telephone passes on."""

DELTA_FRAMES = 9
"""Frames a change of the MFCC is measured over; the last frame continues what is shorter."""


def read_utterance(path: Path | str) -> CallSegments:
    """Read a recording of one utterance as one segment, two channels mixed.

    Raises:
        AudioError: where it cannot be read, or nothing is heard in it
    """
    with open_recording(path) as recording:
        signal = to_mono(recording.read(start_s=0, duration_s=recording.duration_s))
        if not np.ptp(signal):
            raise AudioError("silent: nothing is heard from beginning to end")
        segment = Segment("whole", 0.0, recording.duration_s)
        return CallSegments((segment,), [signal], recording.sampling_rate)


def describes_utterances(name: str) -> bool:
    """Whether this is the name of a feature set of utterances, or one that was made of it."""
    known = [each.name for each in FEATURE_SETS]
    base = name.removesuffix(OF_CALLS).removesuffix(BY_TELEPHONE)
    return base in known or name.startswith((EMBEDDING, OPENSMILE))


def find_feature_set(name: str) -> FeatureSet:
    """Look a feature set of utterances up by the name that is stored with a model.

    Raises:
        CallEmotionError: where there is none of that name, or its network is not there any more
        ImportError: where it needs a package that is missing
    """
    for end, change in ((OF_CALLS, of_calls), (BY_TELEPHONE, by_telephone)):
        if name.endswith(end):
            return change(find_feature_set(name.removesuffix(end)))
    if name.startswith(EMBEDDING):
        from helpers.zoo.embeddings import restore_feature_set

        return restore_feature_set(name)
    if name.startswith(OPENSMILE):
        from helpers.zoo.opensmile_features import opensmile_feature_set

        return opensmile_feature_set(name.removeprefix(OPENSMILE))
    known = {each.name: each for each in FEATURE_SETS}
    if name not in known:
        raise CallEmotionError(f"there are no features {name!r}; there are: {', '.join(known)}")
    return known[name]


def make_feature_set(
    name: str, names: tuple[str, ...], describe: Callable[[np.ndarray, int], np.ndarray]
) -> FeatureSet:
    """Make a feature set of utterances from a function of `signal, sampling_rate`."""
    return FeatureSet(name, names, partial(_describe_segments, describe), read_utterance)


def of_calls(feature_set: FeatureSet) -> FeatureSet:
    """Let a feature set of utterances describe the start and end of calls instead."""
    return feature_set._replace(name=f"{feature_set.name}{OF_CALLS}", read=read_segments)


def by_telephone(feature_set: FeatureSet) -> FeatureSet:
    """Let a feature set hear recordings at 8 kHz, 300 to 3400 Hz, mu-law.

    What came by such a line already is hardly changed by going down it once more.
    """
    read = partial(_read_by_telephone, feature_set.read)
    return feature_set._replace(name=f"{feature_set.name}{BY_TELEPHONE}", read=read)


def describe_110(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Give mean and deviation over time of 55 descriptors at 22,050 Hz.

    13 MFCC and their changes, 12 chroma, 7 bands of spectral contrast, 6 tonal centroids (of the
    same chroma), zero-crossing rate, RMS, centroid and roll-off, as librosa defines them.

    Args:
        signal: mono, shape (samples,), at least one sample
        sampling_rate: in Hz

    Returns:
        shape (110,), float32: all means, then all deviations
    """
    signal, spectrum, mfcc, chroma = _classic_spectra(signal, sampling_rate)
    missing = max(0, DELTA_FRAMES - mfcc.shape[1])
    delta = librosa.feature.delta(np.pad(mfcc, ((0, 0), (0, missing)), mode="edge"))
    rows = [
        mfcc,
        delta[:, : mfcc.shape[1]],
        chroma,
        librosa.feature.spectral_contrast(S=spectrum, sr=CLASSIC_RATE),
        librosa.feature.tonnetz(chroma=chroma),
        *_scalars(signal, spectrum),
    ]
    statistics = [[values.mean(axis=1), values.std(axis=1)] for values in rows]
    means, deviations = zip(*statistics, strict=True)
    return np.concatenate([*means, *deviations]).astype(np.float32)


def describe_simply(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Give the means over time of 13 MFCC, 12 chroma, centroid, zero-crossing rate and RMS.

    Returns:
        shape (28,), float32; see `describe_110` for the arguments
    """
    signal, spectrum, mfcc, chroma = _classic_spectra(signal, sampling_rate)
    crossings, rms, centroid, _ = _scalars(signal, spectrum)
    rows = (mfcc, chroma, centroid, crossings, rms)
    return np.concatenate([values.mean(axis=1) for values in rows]).astype(np.float32)


def describe_by_functionals(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Give this project's statistics of one voice, see `helpers.functionals`."""
    return summarise(describe_frames(signal, sampling_rate))


def describe_over_time(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Give the mel spectrum of up to 3 s of speech, for models that hear how a sound goes on.

    Returns:
        shape (bands x frames,), float32, band by band, in dB of the voice's level, not below
        `FLOOR_DB`; the middle of what is longer, and the floor after what is shorter
    """
    bands = np.maximum(describe_frames(signal, sampling_rate).values[:MEL_BANDS], FLOOR_DB)
    whole = bands.shape[1] // JOINED * JOINED
    joined = bands[:, :whole].reshape(MEL_BANDS, -1, JOINED).mean(axis=2)
    first = max(0, joined.shape[1] - FRAMES) // 2
    joined = joined[:, first : first + FRAMES]
    missing = FRAMES - joined.shape[1]
    padded = np.pad(joined, ((0, 0), (0, missing)), constant_values=FLOOR_DB)
    return padded.ravel().astype(np.float32)


def _read_by_telephone(read: Callable, path: Path | str) -> CallSegments:
    call = read(path)
    signals = [simulate_telephone(signal, call.sampling_rate) for signal in call.signals]
    return call._replace(signals=signals, sampling_rate=TELEPHONE_RATE)


def _describe_segments(describe: Callable, call: CallSegments) -> np.ndarray:
    return np.stack([describe(signal, call.sampling_rate) for signal in call.signals])


def _classic_spectra(signal: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, ...]:
    signal = librosa.resample(signal, orig_sr=sampling_rate, target_sr=CLASSIC_RATE)
    spectrum = np.abs(librosa.stft(signal))
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=CLASSIC_RATE)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=MFCC)
    chroma = librosa.feature.chroma_stft(S=spectrum, sr=CLASSIC_RATE, n_chroma=CHROMA)
    return signal, spectrum, mfcc, chroma


def _scalars(signal: np.ndarray, spectrum: np.ndarray) -> tuple[np.ndarray, ...]:
    return (
        librosa.feature.zero_crossing_rate(signal),
        librosa.feature.rms(y=signal),
        librosa.feature.spectral_centroid(S=spectrum, sr=CLASSIC_RATE),
        librosa.feature.spectral_rolloff(S=spectrum, sr=CLASSIC_RATE),
    )


def _number(name: str, count: int) -> list[str]:
    return [f"{name}_{number:02d}" for number in range(1, count + 1)]


_DESCRIBED = (
    *_number("mfcc", MFCC),
    *_number("mfcc_change", MFCC),
    *_number("chroma", CHROMA),
    *_number("contrast", CONTRAST),
    *_number("tonnetz", TONNETZ),
    *SCALARS,
)
_SIMPLE = (*_number("mfcc", MFCC), *_number("chroma", CHROMA), "centroid", *SCALARS[:2])

CLASSIC_UTTERANCE = CLASSIC._replace(name="means-180", read=read_utterance)
"""Means of 40 MFCC, 12 chroma and 128 mel bands, see `helpers.features.classic_features`."""

DESCRIPTORS_110 = make_feature_set(
    "descriptors-110",
    tuple(f"{name}_{kind}" for kind in ("mean", "deviation") for name in _DESCRIBED),
    describe_110,
)
"""Mean and deviation of 55 descriptors."""

SIMPLE = make_feature_set("simple-28", tuple(f"{name}_mean" for name in _SIMPLE), describe_simply)
"""The smallest set that is seen."""

OURS = make_feature_set("functionals-1", FUNCTIONALS, describe_by_functionals)
"""This project's statistics of one voice."""

OVER_TIME = make_feature_set(
    "mel-over-time-1",
    tuple(
        f"mel_{band:02d}_frame_{frame:03d}"
        for band in range(1, FRAME_BANDS + 1)
        for frame in range(1, FRAMES + 1)
    ),
    describe_over_time,
)
"""A spectrum over time, for the models of the zoo that take frames."""

FEATURE_SETS = (SIMPLE, DESCRIPTORS_110, CLASSIC_UTTERANCE, OURS, OVER_TIME)
"""Every set that needs no other package; for others see `embeddings` and `opensmile_features`."""
