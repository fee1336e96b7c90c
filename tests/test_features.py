import librosa
import numpy as np
import pytest
import soundfile
from conftest import make_voice, write_call

from helpers.errors import AudioError
from helpers.features import (
    CLASSIC,
    CLASSIC_RATE,
    PHONE,
    call_features,
    classic_features,
    phone_features,
)

NOTES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def test_each_of_the_180_numbers_has_a_name_of_its_own():
    assert len(CLASSIC.names) == len(set(CLASSIC.names)) == 180
    assert CLASSIC.names[0] == "mfcc_01_mean"
    assert CLASSIC.names[40:52] == tuple(f"chroma_{note}_mean" for note in NOTES)
    assert CLASSIC.names[-1] == "mel_128_mean"


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 22_050, 44_100])
def test_the_features_are_those_of_three_separate_calls_of_librosa(sampling_rate):
    signal = make_voice(3, sampling_rate=sampling_rate)
    sound = librosa.resample(signal, orig_sr=sampling_rate, target_sr=22_050)
    spectrum = np.abs(librosa.stft(sound))
    expected = np.concatenate(
        [
            librosa.feature.mfcc(y=sound, sr=22_050, n_mfcc=40).mean(axis=1),
            librosa.feature.chroma_stft(S=spectrum, sr=22_050).mean(axis=1),
            librosa.feature.melspectrogram(y=sound, sr=22_050).mean(axis=1),
        ]
    )
    features = classic_features(signal, sampling_rate)
    assert (features.shape, features.dtype) == ((180,), np.float32)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("pitch, note", [(261.63, "C"), (440.0, "A"), (466.16, "A#")])
def test_a_tone_is_strongest_in_its_pitch_class(pitch, note):
    tone = np.sin(2 * np.pi * pitch * np.arange(8000) / 8000).astype(np.float32)
    chroma = classic_features(tone, 8000)[40:52]
    assert CLASSIC.names[40 + chroma.argmax()] == f"chroma_{note}_mean"


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large", "ignore:Trying to estimate tuning")
@pytest.mark.parametrize("signal", [np.ones(1), np.zeros(100), np.zeros(8000), np.ones(8000)])
def test_even_sound_without_content_gives_180_numbers(signal):
    features = classic_features(signal.astype(np.float32), 8000)
    assert features.shape == (180,)
    assert np.isfinite(features).all()


def test_each_phone_feature_has_a_name_of_its_own_and_stands_beside_its_difference():
    half = len(PHONE.names) // 2
    assert len(set(PHONE.names)) == len(PHONE.names)
    assert PHONE.names[half:] == tuple(f"{name}_against_call" for name in PHONE.names[:half])
    features = phone_features([make_voice(3, seed=0), make_voice(4, seed=1)], 8000)
    rows, differences = features[:, :half], features[:, half:]
    np.testing.assert_allclose(differences, rows - rows.mean(axis=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampling_rate", [4000, 6000, 11_025, 192_000])
def test_a_voice_at_every_sampling_rate_is_described_by_finite_numbers(sampling_rate):
    signal = make_voice(2, sampling_rate=sampling_rate)
    features = phone_features([signal], sampling_rate)
    assert features.shape == (1, len(PHONE.names))
    assert np.isfinite(features).all()


def test_a_whole_call_does_not_differ_from_itself():
    features = phone_features([make_voice(3)], 8000)
    assert (features[:, len(PHONE.names) // 2 :] == 0).all()


def test_segments_are_compared_with_the_baseline_where_there_is_one():
    signals, baseline = [make_voice(3, seed=0), make_voice(4, seed=1)], make_voice(5, seed=2)
    half = len(PHONE.names) // 2
    features = phone_features(signals, 8000, baseline=baseline)
    level = phone_features([baseline], 8000)[:, :half]
    np.testing.assert_allclose(features[:, half:], features[:, :half] - level, rtol=1e-5)


@pytest.mark.parametrize("gain", [0.25, 4.0])
def test_a_gain_changes_no_phone_feature(gain):
    signals = [0.1 * make_voice(3, seed=seed) for seed in (0, 1)]
    plain, louder = (phone_features([k * each for each in signals], 8000) for k in (1, gain))
    np.testing.assert_allclose(louder, plain, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("duration_s, segments", [(1, 1), (10, 1), (45, 1), (46, 2)])
def test_a_call_above_45_seconds_has_two_segments(tmp_path, duration_s, segments):
    features = call_features(write_call(tmp_path / "call.wav", duration_s))
    assert (features.shape, features.dtype) == ((segments, len(PHONE.names)), np.float32)


@pytest.mark.parametrize("sampling_rate, frames", [(8000, 800_001), (11_025, 600_000)])
def test_a_long_call_is_described_by_its_first_20_and_last_25_seconds(
    tmp_path, sampling_rate, frames
):
    signal = make_voice(101, sampling_rate=sampling_rate)[:frames]
    soundfile.write(tmp_path / "call.wav", signal, sampling_rate, subtype="ULAW")
    start, _ = soundfile.read(tmp_path / "call.wav", stop=20 * sampling_rate, dtype="float32")
    end, _ = soundfile.read(tmp_path / "call.wav", start=-25 * sampling_rate, dtype="float32")
    expected = [classic_features(part, sampling_rate) for part in (start, end)]
    classic = call_features(tmp_path / "call.wav", feature_set=CLASSIC)
    np.testing.assert_array_equal(classic, expected)
    phone = phone_features((start, end), sampling_rate)
    np.testing.assert_array_equal(call_features(tmp_path / "call.wav"), phone)


def test_what_lies_between_the_segments_does_not_matter(tmp_path):
    signal = make_voice(60)
    other = signal.copy()
    other[20 * 8000 : 35 * 8000] = 0
    for name, samples in (("one.wav", signal), ("other.wav", other)):
        soundfile.write(tmp_path / name, samples, 8000)
    one, changed = (call_features(tmp_path / name) for name in ("one.wav", "other.wav"))
    np.testing.assert_array_equal(one, changed)


def test_two_channels_are_mixed(tmp_path):
    customer, agent = make_voice(3, seed=0), make_voice(3, seed=1)
    soundfile.write(
        tmp_path / "two.wav", np.stack([customer, agent], axis=1), 8000, subtype="FLOAT"
    )
    soundfile.write(tmp_path / "mix.wav", (customer + agent) / 2, 8000, subtype="FLOAT")
    two, mix = (call_features(tmp_path / name) for name in ("two.wav", "mix.wav"))
    np.testing.assert_allclose(two, mix, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "signal, sentence",
    [
        (make_voice(0.5), "too short: 0.50 s; a call has at least 1 s"),
        (make_voice(1)[:-1], "too short: 1.00 s"),
        (0 * make_voice(2), "silent: nothing is heard in the segments that are judged"),
        (0.0015 * make_voice(50), "silent: nothing is heard"),
        (0 * make_voice(2) + 0.25, "silent: nothing is heard"),
        (np.concatenate([np.zeros(21 * 8000), make_voice(3), np.zeros(26 * 8000)]), "silent"),
    ],
)
def test_a_call_without_anything_to_hear_is_refused(tmp_path, signal, sentence):
    soundfile.write(tmp_path / "call.wav", signal, 8000)
    with pytest.raises(AudioError, match=sentence):
        call_features(tmp_path / "call.wav")


@pytest.mark.filterwarnings("ignore:Trying to estimate tuning")
def test_one_segment_with_sound_is_enough(tmp_path):
    signal = np.concatenate([make_voice(3), np.zeros(47 * 8000)])
    soundfile.write(tmp_path / "call.wav", signal, 8000)
    assert np.isfinite(call_features(tmp_path / "call.wav")).all()


@pytest.mark.parametrize(
    "content, sentence", [(None, "no such file"), (b"", "empty file"), (b"hi", "text, not sound")]
)
def test_a_file_that_is_no_recording_is_refused(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "call.wav").write_bytes(content)
    with pytest.raises(AudioError, match=sentence):
        call_features(tmp_path / "call.wav")


def test_the_rate_of_the_recipe_is_the_default_of_librosa():
    assert librosa.feature.melspectrogram.__kwdefaults__["sr"] == CLASSIC_RATE
