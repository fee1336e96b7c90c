"""How long describing and judging takes, all on one core in the same run."""

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import librosa
import numpy as np
import pandas as pd
import soundfile
from threadpoolctl import threadpool_limits

from helpers.audio import open_recording, to_mono
from helpers.channel import TELEPHONE_RATE
from helpers.emotion import EmotionModel
from helpers.emotion_store import save_emotion_model
from helpers.features import CLASSIC, call_features
from helpers.hearing import hear_recordings, read_recording
from helpers.segments import split_call

CALL_S = 300.0
"""Length of the call that is described, in seconds."""

ROUNDS = 7
"""Each is timed so often; the median counts."""

EARLIER_RECIPE = "180 means, the earlier recipe: whole call at 22,050 Hz, three spectra a segment"


def time_features(recordings: list[Path | str]) -> pd.DataFrame:
    """Time what describes one call of five minutes, made of these recordings.

    Returns:
        one row each: `what`, `ms`, `times as fast` (as the earlier recipe); openSMILE's eGeMAPS is
        among them where opensmile is installed (its licence excludes commercial use)
    """
    with tempfile.TemporaryDirectory() as folder:
        call = Path(folder) / "call.wav"
        signal = np.concatenate([read_recording(path) for path in recordings])
        signal = np.resize(signal, round(CALL_S * TELEPHONE_RATE))
        soundfile.write(call, signal, TELEPHONE_RATE, subtype="ULAW")
        describe = {
            EARLIER_RECIPE: _describe_as_earlier,
            "180 means": partial(call_features, feature_set=CLASSIC),
            "phone features": call_features,
        }
        if find_spec("opensmile"):
            describe["openSMILE eGeMAPS"] = _make_egemaps()
        return _compare(describe, call)


def time_model(model: EmotionModel, recordings: list[Path | str]) -> pd.DataFrame:
    """Time how long a model takes for one recording, in the median over several.

    Returns:
        one row each for its light part and for all of it: `model`, `judged, ms`,
        `read, described and judged, ms`, `MB` on disk
    """
    heard = [hear_recordings([path]) for path in recordings]
    with threadpool_limits(1):
        rows = [
            {
                "model": name,
                "judged, ms": _median(each.predict_heard, heard),
                "read, described and judged, ms": _median(
                    each.predict_proba, [[path] for path in recordings]
                ),
                "MB": _measure_size(each),
            }
            for name, each in (("light", model.without_networks()), ("whole", model))
        ]
    return pd.DataFrame(rows).round(2)


def _compare(describe: dict[str, Callable], call: Path) -> pd.DataFrame:
    with threadpool_limits(1):
        times = {name: _median(each, [call] * ROUNDS) for name, each in describe.items()}
    rows = [
        {"what": name, "ms": ms, "times as fast": times[EARLIER_RECIPE] / ms}
        for name, ms in times.items()
    ]
    return pd.DataFrame(rows).round(1)


def _median(work: Callable, inputs: list) -> float:
    """Give how many milliseconds an input takes in the median; the first one only warms up."""
    work(inputs[0])
    times = []
    for each in inputs:
        clock = perf_counter()
        work(each)
        times.append(1000 * (perf_counter() - clock))
    return statistics.median(times)


def _measure_size(model: EmotionModel) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        save_emotion_model(path, model)
        return path.stat().st_size / 1e6


def _describe_as_earlier(path: Path) -> np.ndarray:
    signal, sampling_rate = librosa.load(path)
    rows = []
    for segment in split_call(len(signal) / sampling_rate):
        first = round(segment.start_s * sampling_rate)
        cut = signal[first : first + round(segment.duration_s * sampling_rate)]
        spectrum = np.abs(librosa.stft(cut))
        parts = (
            librosa.feature.mfcc(y=cut, sr=sampling_rate, n_mfcc=40),
            librosa.feature.chroma_stft(S=spectrum, sr=sampling_rate),
            librosa.feature.melspectrogram(y=cut, sr=sampling_rate),
        )
        rows.append(np.concatenate([part.mean(axis=1) for part in parts]))
    return np.stack(rows)


def _make_egemaps() -> Callable:
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)

    def describe(path: Path) -> None:
        with open_recording(path) as recording:
            for segment in split_call(recording.duration_s):
                cut = recording.read(start_s=segment.start_s, duration_s=segment.duration_s)
                smile.process_signal(to_mono(cut), recording.sampling_rate)

    return describe
