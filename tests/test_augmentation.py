import numpy as np
import pytest
from conftest import make_voice

from helpers.augmentation import AUGMENTATIONS, augment, installed_augmentations
from helpers.effects import code_speech

HOSTILE = {
    "nothing": [],
    "one sample": [0.5],
    "less than a frame": [0.1, -0.2, 0.3],
    "silence": np.zeros(2000),
    "constant": np.full(2000, 0.5),
    "one click": np.eye(1, 2000)[0],
    "nearly nothing": np.full(2000, 1e-30),
    "full scale": np.tile([1.0, -1.0], 1000),
    "beyond full scale": 4 * np.sin(np.arange(2000)),
    "odd length": np.sin(np.arange(1999)),
}
WITHOUT_STRENGTH = ("mu-law", "gsm")


def test_only_installed_augmentations_are_offered(monkeypatch):
    monkeypatch.setattr("helpers.augmentation.find_spec", lambda package: None)
    expected = [name for name in AUGMENTATIONS if name != "noise reduction"]
    assert installed_augmentations() == expected


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", installed_augmentations())
def test_every_augmentation_survives_hostile_signals(name, kind):
    signal = np.asarray(HOSTILE[kind], float)
    before = signal.copy()
    for sampling_rate in (4000, 8000, 16_000, 44_100):
        changed = AUGMENTATIONS[name].apply(signal, sampling_rate, seed=0)
        assert changed.dtype == np.float32
        assert changed.ndim == 1
        assert np.isfinite(changed).all()
        assert np.abs(changed).max(initial=0) <= 1
        if name != "time stretch":
            assert len(changed) == len(signal)
        assert (len(changed) > 0) == (len(signal) > 0)
    np.testing.assert_array_equal(signal, before)


@pytest.mark.parametrize("name", [name for name in installed_augmentations() if name != "noise"])
def test_silence_stays_silent_but_for_noise(name):
    assert np.abs(AUGMENTATIONS[name].apply(np.zeros(4000), 8000, seed=0)).max() < 1e-3


@pytest.mark.parametrize(
    ("signal", "sampling_rate", "message"),
    [
        (np.zeros((2, 100)), 8000, r"shape \(2, 100\).*mix channels"),
        (np.zeros(100, np.int16), 8000, "int16.*divide 16-bit samples"),
        (np.array([0.0, np.nan]), 8000, "NaN or infinite"),
        (np.array([0.0, np.inf]), 8000, "NaN or infinite"),
        (np.array([0.0, 32767.0]), 8000, r"peaks at 32767, expected floats in \[-1, 1\]"),
        (np.zeros(100), 0, "sampling_rate is 0, expected a number between 4000"),
        (np.zeros(100), None, "sampling_rate is None"),
    ],
)
@pytest.mark.parametrize("name", installed_augmentations())
def test_what_is_no_mono_recording_is_refused(name, signal, sampling_rate, message):
    with pytest.raises(ValueError, match=message):
        AUGMENTATIONS[name].apply(signal, sampling_rate, seed=0)


@pytest.mark.parametrize("name", installed_augmentations())
def test_the_same_seed_gives_the_same_and_another_seed_something_else(name):
    voice = make_voice(1.0, sampling_rate=16_000)
    apply = AUGMENTATIONS[name].apply
    first, again = (apply(voice, 16_000, seed=(1, 2)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    others = [apply(voice, 16_000, seed=(1, seed)) for seed in range(3, 9)]
    differ = [len(other) != len(first) or (other != first).any() for other in others]
    assert any(differ) == (name not in WITHOUT_STRENGTH)
    assert len(voice) != len(first) or (voice != first).any()


def test_several_augmentations_are_done_in_turn():
    voice = make_voice(1.0)
    np.testing.assert_array_equal(augment(voice, 8000, names=[], seed=0), voice)
    coded = augment(voice, 8000, names=["mu-law", "gsm"], seed=0)
    expected = code_speech(code_speech(voice, 8000, codec="mu-law"), 8000, codec="gsm")
    np.testing.assert_array_equal(coded, expected)
    once, twice = (augment(voice, 8000, names=["gain"] * times, seed=4) for times in (1, 2))
    first, both = (np.dot(each, voice) / np.dot(voice, voice) for each in (once, twice))
    assert both / first != pytest.approx(first, rel=0.01)


def test_an_unknown_augmentation_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"called \['echo'\]; expected \['noise', 'time stretch'"):
        augment(make_voice(0.1), 8000, names=["noise", "echo"], seed=0)
