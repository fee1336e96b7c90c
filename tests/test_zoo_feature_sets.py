import librosa
import numpy as np
import pytest
import soundfile

from helpers.errors import AudioError, CallEmotionError
from helpers.features import CallSegments, call_features
from helpers.zoo.feature_sets import (
    CLASSIC_UTTERANCE,
    DESCRIPTORS_110,
    FEATURE_SETS,
    FLOOR_DB,
    FRAME_BANDS,
    FRAMES,
    OURS,
    OVER_TIME,
    SIMPLE,
    find_feature_set,
    of_calls,
    read_utterance,
)

RATE = 22_050


def make_voice(seconds=1.5, rate=RATE, seed=0):
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 150 + 30 * np.sin(2 * np.pi * time)
    voice = sum(np.sin(number * 2 * np.pi * np.cumsum(pitch) / rate) for number in range(1, 9))
    voice = voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))
    return (0.05 * voice + 0.001 * generator.standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize(
    ("feature_set", "columns"),
    [
        (SIMPLE, 28),
        (DESCRIPTORS_110, 110),
        (CLASSIC_UTTERANCE, 180),
        (OURS, 3484),
        (OVER_TIME, FRAME_BANDS * FRAMES),
    ],
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.parametrize(
    ("rate", "seconds"), [(8000, 1.5), (16_000, 4.0), (8000, 0.02), (48_000, 0.3)]
)
def test_every_set_names_each_of_its_columns(feature_set, columns, rate, seconds, tmp_path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, make_voice(seconds, rate), rate)
    call = feature_set.read(path)
    matrix = feature_set.describe(call)
    assert matrix.shape == (1, columns) and matrix.dtype == np.float32
    assert len(set(feature_set.names)) == columns
    assert np.isfinite(matrix).all()


def test_the_110_descriptors_are_what_librosa_gives_one_by_one():
    signal = make_voice()
    values = dict(zip(DESCRIPTORS_110.names, describe(DESCRIPTORS_110, signal), strict=True))
    mfcc = librosa.feature.mfcc(y=signal, sr=RATE, n_mfcc=13)
    magnitude = np.abs(librosa.stft(signal))
    truth = {
        "mfcc_03_mean": mfcc[2].mean(),
        "mfcc_13_deviation": mfcc[12].std(),
        "mfcc_change_02_deviation": librosa.feature.delta(mfcc)[1].std(),
        "chroma_05_mean": librosa.feature.chroma_stft(S=magnitude, sr=RATE)[4].mean(),
        "contrast_07_mean": librosa.feature.spectral_contrast(y=signal, sr=RATE)[6].mean(),
        "zero_crossing_rate_mean": librosa.feature.zero_crossing_rate(signal).mean(),
        "rms_deviation": librosa.feature.rms(y=signal).std(),
        "centroid_mean": librosa.feature.spectral_centroid(y=signal, sr=RATE).mean(),
        "rolloff_deviation": librosa.feature.spectral_rolloff(y=signal, sr=RATE).std(),
    }
    found = {name: values[name] for name in truth}
    assert found == pytest.approx(truth, rel=0.02, abs=1e-4)


def test_the_simple_set_is_part_of_the_110():
    signal = make_voice()
    simple = dict(zip(SIMPLE.names, describe(SIMPLE, signal), strict=True))
    whole = dict(zip(DESCRIPTORS_110.names, describe(DESCRIPTORS_110, signal), strict=True))
    assert simple == {name: whole[name] for name in simple}


class TestOverTime:
    def test_what_is_short_is_followed_by_the_floor(self):
        spectrum = describe(OVER_TIME, make_voice(1.0)).reshape(FRAME_BANDS, FRAMES)
        assert (spectrum[:, -20:] == FLOOR_DB).all()
        assert (spectrum[:, :20] > FLOOR_DB).any()

    def test_the_middle_is_kept_of_what_is_long(self):
        rate = 8000
        silence = np.zeros(2 * rate, np.float32)
        tone = make_voice(3.0, rate)
        quiet = 0.1 * make_voice(2.0, rate)
        signal = np.concatenate([quiet, silence, tone, silence, quiet])
        spectrum = describe(OVER_TIME, signal, rate).reshape(FRAME_BANDS, FRAMES)
        assert (spectrum > FLOOR_DB).any(axis=0).mean() > 0.95

    def test_a_gain_changes_nothing(self):
        signal = make_voice()
        quiet = describe(OVER_TIME, signal * 0.1)
        np.testing.assert_allclose(quiet, describe(OVER_TIME, signal), atol=0.1)


def test_two_channels_are_mixed(tmp_path):
    path = tmp_path / "voice.wav"
    voice = make_voice(rate=8000)
    soundfile.write(path, np.stack([voice, np.zeros_like(voice)], axis=1), 8000, subtype="FLOAT")
    call = read_utterance(path)
    np.testing.assert_allclose(call.signals[0], voice / 2, atol=1e-6)
    assert [segment.kind for segment in call.segments] == ["whole"]


def test_what_is_no_recording_is_an_error(tmp_path):
    path = tmp_path / "voice.wav"
    path.write_text("not a sound")
    with pytest.raises(AudioError):
        read_utterance(path)


@pytest.mark.parametrize("feature_set", FEATURE_SETS, ids=lambda each: each.name)
def test_every_set_is_found_by_its_name(feature_set):
    assert find_feature_set(feature_set.name) is feature_set


def test_a_set_of_utterances_can_describe_the_start_and_end_of_calls(tmp_path):
    path = tmp_path / "call.wav"
    soundfile.write(path, np.tile(make_voice(1.0, 8000), 60), 8000, subtype="ULAW")
    feature_set = of_calls(SIMPLE)
    assert call_features(path, feature_set=feature_set).shape == (2, 28)
    again = find_feature_set(feature_set.name)
    assert (again.name, again.read) == (feature_set.name, feature_set.read)
    assert feature_set.name != SIMPLE.name


def test_an_unknown_set_is_refused_with_the_names_that_there_are():
    with pytest.raises(CallEmotionError, match="no features 'magic'; there are: simple-28, "):
        find_feature_set("magic")


def describe(feature_set, signal, rate=RATE):
    return feature_set.describe(CallSegments((), [signal], rate))[0]
