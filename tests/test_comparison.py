import re

import numpy as np
import pytest

from helpers.conversation.comparison import (
    NO_DIFFERENCE,
    NO_REFERENCE,
    compare_voice,
    measure_voice,
)

RATE = 8000


def speak(
    duration_s=2.4, *, pitch=140.0, syllables=4.0, semitones=2.0, gain_db=0.0, rate=RATE, seed=0
) -> np.ndarray:
    """Make harmonics that swell once a syllable, whose pitch sways by so many semitones."""
    times = np.arange(round(duration_s * rate)) / rate
    sway = semitones / 2 * np.sin(2 * np.pi * 1.3 * times + seed)
    phase = 2 * np.pi * np.cumsum(pitch * 2 ** (sway / 12)) / rate
    harmonics = sum(np.sin(number * phase) / number for number in range(1, 10))
    swell = 0.1 + np.sin(np.pi * syllables * times) ** 2
    noise = 1e-4 * np.random.default_rng(seed).standard_normal(len(times))
    return (10 ** (gain_db / 20) * (0.05 * harmonics * swell + noise)).astype(np.float32)


START = [speak(seed=seed) for seed in range(5)]


def assert_words(found: str, expected: str) -> None:
    """Compare the words exactly, percentages to within 3."""
    percent = re.compile(r"\d+(?= %)")
    assert percent.sub("", found) == percent.sub("", expected)
    numbers = [[int(number) for number in percent.findall(words)] for words in (found, expected)]
    np.testing.assert_allclose(*numbers, atol=3)


def compare(clip: np.ndarray, reference=START, *, rate=RATE, where="start") -> str:
    return compare_voice(clip, rate, reference=reference, where=where)


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ({"gain_db": 6}, "6 dB louder than at the start"),
        ({"gain_db": -9}, "9 dB softer than at the start"),
        ({"syllables": 6}, "50 % faster than at the start"),
        ({"syllables": 3}, "25 % slower than at the start"),
        ({"pitch": 140 * 2 ** (3 / 12)}, "voice 3 semitones higher than at the start"),
        ({"pitch": 140 * 2 ** (-5 / 12)}, "voice 5 semitones lower than at the start"),
        ({"semitones": 6}, "voice livelier than at the start"),
        ({"semitones": 0.3}, "voice flatter than at the start"),
        ({}, NO_DIFFERENCE.format(where="start")),
        ({"gain_db": 2}, NO_DIFFERENCE.format(where="start")),
        ({"gain_db": 6, "syllables": 5}, "6 dB louder and 25 % faster than at the start"),
        (
            {"gain_db": 6, "syllables": 6, "pitch": 140 * 2 ** (4 / 12), "semitones": 6},
            "6 dB louder and 50 % faster than at the start, voice 4 semitones higher and livelier",
        ),
    ],
)
def test_words_tell_what_differs_and_nothing_else(clip, words):
    assert_words(compare(speak(seed=9, **clip)), words)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("gain", [0.01, 1.0, 4.0])
def test_neither_a_gain_of_the_call_nor_its_rate_changes_the_words(gain, rate):
    reference = [gain * speak(seed=seed, rate=rate) for seed in range(3)]
    clip = gain * speak(gain_db=6, pitch=176.4, seed=9, rate=rate)
    words = "6 dB louder than at the start, voice 4 semitones higher"
    assert compare(clip, reference, rate=rate) == words


def test_pauses_inside_a_clip_change_neither_its_level_nor_its_speed():
    clip = np.concatenate([speak(1.0), np.zeros(4000, np.float32), speak(1.0)])
    assert compare(clip) == NO_DIFFERENCE.format(where="start")


def test_a_clip_of_noise_has_no_pitch_to_tell():
    noise = 0.05 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    voice = measure_voice(noise, RATE)
    assert np.isnan(voice.pitch_semitones) and np.isnan(voice.range_semitones)
    assert "voice" not in compare(noise).removesuffix(NO_DIFFERENCE)


def test_a_reference_of_noise_has_no_pitch_to_compare_with():
    noise = [0.05 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)]
    assert "semitones" not in compare(speak(), noise)


def test_the_words_say_what_a_clip_is_compared_with():
    words = compare(speak(gain_db=6), where="rest of the speech")
    assert words == "6 dB louder than in the rest of the speech"


def test_without_other_speech_the_words_say_so():
    assert compare(speak(), []) == NO_REFERENCE


@pytest.mark.parametrize("syllables", [2, 3, 4, 5, 6, 7])
def test_syllables_are_counted(syllables):
    counted = measure_voice(speak(4.0, syllables=syllables), RATE).syllables_per_s
    assert counted == pytest.approx(syllables, rel=0.08)


@pytest.mark.parametrize("samples", [256, 400, 4000])
def test_silence_and_short_clips_are_measured_without_complaint(samples):
    measure_voice(np.zeros(samples, np.float32), RATE)
    assert measure_voice(speak(samples / RATE), RATE).level_db < 0
