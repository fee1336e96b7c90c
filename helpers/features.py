"""Numbers that describe a segment of sound: the classic vector of 180 means."""

from pathlib import Path

import librosa
import numpy as np

from helpers.audio import SILENCE_PEAK, check_duration, open_recording, to_mono
from helpers.errors import AudioError
from helpers.segments import split_call

FEATURE_SET = "classic-180"
"""Name under which these features are cached and stored with a model."""

SAMPLING_RATE = 22_050
"""Rate in Hz that segments are brought to, the default of the recipe this vector comes from."""

MFCC, CHROMA, MEL = 40, 12, 128
"""Numbers of coefficients, pitch classes and mel bands."""

_NOTES = librosa.midi_to_note(range(CHROMA), octave=False, unicode=False)

FEATURE_NAMES = (
    *(f"mfcc_{number:02d}_mean" for number in range(1, MFCC + 1)),
    *(f"chroma_{note}_mean" for note in _NOTES),
    *(f"mel_{number:03d}_mean" for number in range(1, MEL + 1)),
)
"""Name of each of the 180 columns."""


def classic_features(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Describe a segment by the means over time of its MFCC, chroma and mel spectrogram.

    The vector that speech-emotion tutorials on RAVDESS made common. All three are taken from one
    short-time spectrum (2048 samples, a quarter apart, at 22,050 Hz) and equal what librosa's
    three functions give one by one.

    Args:
        signal: mono, shape (samples,), at least one sample
        sampling_rate: of the signal, in Hz

    Returns:
        shape (180,), float32, in the order of `FEATURE_NAMES`
    """
    signal = librosa.resample(signal, orig_sr=sampling_rate, target_sr=SAMPLING_RATE)
    spectrum = np.abs(librosa.stft(signal))
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=SAMPLING_RATE, n_mels=MEL)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), sr=SAMPLING_RATE, n_mfcc=MFCC)
    chroma = librosa.feature.chroma_stft(S=spectrum, sr=SAMPLING_RATE, n_chroma=CHROMA)
    means = [values.mean(axis=1) for values in (mfcc, chroma, mel)]
    return np.concatenate(means).astype(np.float32)


def call_features(path: Path | str) -> np.ndarray:
    """Describe the segments of one call.

    Only the segments are read, so an hour costs what 45 s cost. Two channels are mixed.

    Args:
        path: any recording that `helpers.audio.open_recording` reads

    Returns:
        shape (segments, 180), float32; `start` and `end`, or `whole` for a call up to 45 s

    Raises:
        AudioError: where the recording cannot be read, is shorter than a second or silent
    """
    with open_recording(path) as recording:
        check_duration(recording)
        sampling_rate = recording.sampling_rate
        signals = [
            to_mono(recording.read(start_s=segment.start_s, duration_s=segment.duration_s))
            for segment in split_call(recording.duration_s)
        ]
    if all(np.ptp(signal) < 2 * SILENCE_PEAK for signal in signals):
        raise AudioError("silent: nothing is heard in the segments that are judged")
    return np.stack([classic_features(signal, sampling_rate) for signal in signals])
