"""Numbers that describe the segments of a call: the phone set, and the classic 180 means."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np

from helpers.audio import SILENCE_PEAK, check_duration, open_recording, to_mono
from helpers.descriptors import describe_frames
from helpers.errors import AudioError
from helpers.functionals import FUNCTIONALS, summarise
from helpers.segments import Segment, split_call

CLASSIC_RATE = 22_050
"""Rate in Hz that the classic features bring segments to, the default of their recipe."""

MFCC, CHROMA, MEL = 40, 12, 128
"""Numbers of coefficients, pitch classes and mel bands of the classic features."""


class CallSegments(NamedTuple):
    """A call's segments, as they are listened to.

    Attributes:
        segments: where they are in the call
        signals: mono, each of shape (samples,)
        sampling_rate: of the signals, in Hz
        baseline: what the segments are compared with, mono, shape (samples,); `None` where they
            are compared with their own mean
    """

    segments: tuple[Segment, ...]
    signals: list[np.ndarray]
    sampling_rate: int
    baseline: np.ndarray | None = None


def read_segments(path: Path | str) -> CallSegments:
    """Read the segments of one call, two channels mixed.

    Only the segments are read, so an hour costs what 45 s cost.

    Args:
        path: any recording that `helpers.audio.open_recording` reads

    Raises:
        AudioError: where the recording cannot be read, is shorter than a second or silent
    """
    with open_recording(path) as recording:
        check_duration(recording)
        segments = split_call(recording.duration_s)
        signals = [
            to_mono(recording.read(start_s=segment.start_s, duration_s=segment.duration_s))
            for segment in segments
        ]
    if all(np.ptp(signal) < 2 * SILENCE_PEAK for signal in signals):
        raise AudioError("silent: nothing is heard in the segments that are judged")
    return CallSegments(segments, signals, recording.sampling_rate)


class FeatureSet(NamedTuple):
    """A way to describe the segments of a call.

    Attributes:
        name: under which features are cached and stored with a model
        names: of the columns
        describe: takes a call's segments, gives a matrix of shape (segments, features)
        read: takes a recording's path, gives the segments as they are listened to
    """

    name: str
    names: tuple[str, ...]
    describe: Callable[[CallSegments], np.ndarray]
    read: Callable[[Path | str], CallSegments] = read_segments


def call_features(path: Path | str, *, feature_set: FeatureSet | None = None) -> np.ndarray:
    """Describe the segments of one call.

    Args:
        path: any recording that `helpers.audio.open_recording` reads
        feature_set: `PHONE` by default, which listens to both people mixed

    Returns:
        shape (segments, features), float32; `start` and `end`, or `whole` for a call up to 45 s

    Raises:
        AudioError: where the recording cannot be read, is shorter than a second or silent
    """
    feature_set = feature_set or PHONE
    return feature_set.describe(feature_set.read(path))


def phone_features(
    signals: Sequence[np.ndarray], sampling_rate: int, *, baseline: np.ndarray | None = None
) -> np.ndarray:
    """Describe segments by functionals of their speech, and by how they differ from the call's.

    Descriptors are measured at the recording's own rate, up to 4 kHz, and do not change with the
    recording's gain. Whoever speaks loudly or high all along is compared with that: the second
    half of the columns is the difference to the baseline.

    Args:
        signals: a call's segments, mono, each of shape (samples,)
        sampling_rate: of the signals, in Hz
        baseline: mono, shape (samples,), such as all that one person says in the call; by default
            the mean over the call's segments

    Returns:
        shape (segments, 2 x functionals), float32, in the order of `PHONE.names`
    """
    rows = np.stack([summarise(describe_frames(signal, sampling_rate)) for signal in signals])
    level = rows.mean(axis=0)
    if baseline is not None:
        level = summarise(describe_frames(baseline, sampling_rate))
    return np.concatenate([rows, rows - level], axis=1)


def classic_features(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Describe a segment by the means over time of its MFCC, chroma and mel spectrogram.

    The vector that speech-emotion tutorials on RAVDESS made common. All three are taken from one
    short-time spectrum (2048 samples, a quarter apart, at 22,050 Hz) and equal what librosa's
    three functions give one by one.

    Args:
        signal: mono, shape (samples,), at least one sample
        sampling_rate: of the signal, in Hz

    Returns:
        shape (180,), float32, in the order of `CLASSIC.names`
    """
    signal = librosa.resample(signal, orig_sr=sampling_rate, target_sr=CLASSIC_RATE)
    spectrum = np.abs(librosa.stft(signal))
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=CLASSIC_RATE, n_mels=MEL)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), sr=CLASSIC_RATE, n_mfcc=MFCC)
    chroma = librosa.feature.chroma_stft(S=spectrum, sr=CLASSIC_RATE, n_chroma=CHROMA)
    means = [values.mean(axis=1) for values in (mfcc, chroma, mel)]
    return np.concatenate(means).astype(np.float32)


def _phone_matrix(call: CallSegments) -> np.ndarray:
    return phone_features(call.signals, call.sampling_rate, baseline=call.baseline)


def _classic_matrix(call: CallSegments) -> np.ndarray:
    return np.stack([classic_features(signal, call.sampling_rate) for signal in call.signals])


_NOTES = librosa.midi_to_note(range(CHROMA), octave=False, unicode=False)

CLASSIC = FeatureSet(
    "classic-180",
    (
        *(f"mfcc_{number:02d}_mean" for number in range(1, MFCC + 1)),
        *(f"chroma_{note}_mean" for note in _NOTES),
        *(f"mel_{number:03d}_mean" for number in range(1, MEL + 1)),
    ),
    _classic_matrix,
)
"""The vector that speech-emotion tutorials made common, for comparison."""

PHONE = FeatureSet(
    "phone-1",
    (*FUNCTIONALS, *(f"{name}_against_call" for name in FUNCTIONALS)),
    _phone_matrix,
)
"""The default."""
