from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
from conftest import make_voice

from helpers.channel import random_telephone, simulate_telephone
from helpers.descriptors import MEL_BANDS, describe_frames
from helpers.errors import AudioError
from helpers.functionals import FUNCTIONALS, summarise
from helpers.hearing import (
    CLEAN,
    LINES,
    MU_LAW,
    Heard,
    hear_corpus,
    hear_recordings,
    hear_signals,
    read_recording,
    to_telephone_rate,
)

PHONE_BAND = "8 kHz mu-law, 300-3400 Hz"
BY_CHANCE = "lines drawn by chance"
VOICES = 5


def make_sine(sampling_rate: int, *, hertz=440.0, samples=None) -> np.ndarray:
    times = np.arange(samples or sampling_rate) / sampling_rate
    return (0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def assert_same(found: Heard, expected: Heard) -> None:
    np.testing.assert_array_equal(found.features, expected.features)
    assert found.features.dtype == np.float32
    assert len(found.spectra) == len(expected.spectra)
    for one, other in zip(found.spectra, expected.spectra, strict=True):
        np.testing.assert_array_equal(one, other)


def hear_in_order(paths, **options) -> dict[str, Heard]:
    with joblib.parallel_config("sequential"):
        return hear_corpus(paths, **options)


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[Path]:
    """Give five recordings of different voices and lengths at 8000 Hz."""
    folder = tmp_path_factory.mktemp("voices")
    for seed in range(VOICES):
        voice = make_voice(0.8 + 0.1 * seed, seed=seed)
        soundfile.write(folder / f"{seed}.wav", voice, 8000, subtype="FLOAT")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def heard(paths) -> dict[str, Heard]:
    return hear_in_order(paths)


def test_the_first_line_is_none_and_each_further_one_changes_more(heard):
    assert list(heard) == list(LINES) == [CLEAN, MU_LAW, PHONE_BAND, BY_CHANCE]
    changes = [
        np.mean(np.abs(line.features - heard[CLEAN].features) / heard[CLEAN].features.std())
        for line in heard.values()
    ]
    assert changes[0] == 0
    assert changes[1] > 0
    assert changes[2] > changes[1]
    assert changes[3] > changes[1]


@pytest.mark.parametrize(
    "line, send",
    [
        (CLEAN, lambda signal, number: signal),
        (MU_LAW, lambda signal, number: simulate_telephone(signal, 8000, band=False)),
        (PHONE_BAND, lambda signal, number: simulate_telephone(signal, 8000)),
        (BY_CHANCE, lambda signal, number: random_telephone(signal, 8000, seed=number)),
    ],
)
def test_a_corpus_is_heard_through_every_line(paths, heard, line, send):
    assert heard[line].features.shape == (VOICES, len(FUNCTIONALS))
    assert heard[line].features.dtype == np.float32
    for number, path in enumerate(paths):
        frames = describe_frames(send(soundfile.read(path, dtype="float32")[0], number), 8000)
        np.testing.assert_array_equal(heard[line].features[number], summarise(frames))
        np.testing.assert_array_equal(heard[line].spectra[number], frames.values[:MEL_BANDS])


def test_the_place_in_the_list_alone_decides_what_line_is_drawn(paths, heard):
    swapped = hear_in_order([paths[1], paths[0], paths[1]])
    for line in (CLEAN, MU_LAW, PHONE_BAND):
        assert_same(swapped[line], heard[line].take([1, 0, 1]))
    assert_same(swapped[BY_CHANCE], hear_in_order([paths[1], paths[0], paths[1]])[BY_CHANCE])
    rows = swapped[BY_CHANCE].features
    assert not np.array_equal(rows[0], rows[2])
    assert not np.array_equal(rows[0], heard[BY_CHANCE].features[1])


def test_several_processes_hear_the_same(paths, heard):
    for line, found in hear_corpus(paths[:3]).items():
        assert_same(found, heard[line].take([0, 1, 2]))


def test_without_telephone_the_clean_line_is_all(paths, heard):
    found = hear_in_order(paths, telephone=False)
    assert list(found) == [CLEAN]
    assert_same(found[CLEAN], heard[CLEAN])


@pytest.mark.parametrize("make", [list, tuple, iter, lambda paths: map(str, paths)])
def test_recordings_are_heard_as_they_are_from_any_iterable(paths, heard, make):
    assert_same(hear_recordings(make(paths)), heard[CLEAN])
    assert_same(hear_signals(map(read_recording, make(paths))), heard[CLEAN])


@pytest.mark.parametrize("hear", [hear_recordings, hear_signals])
def test_nothing_is_heard_as_no_rows(hear):
    assert hear([]).features.shape == (0, len(FUNCTIONALS))
    assert hear([]).spectra == []


def test_an_empty_corpus_has_no_rows_in_any_line():
    found = hear_in_order([])
    assert list(found) == list(LINES)
    for line in found.values():
        assert_same(line, hear_signals([]))


@pytest.mark.parametrize("kind", [list, np.array])
@pytest.mark.parametrize("rows", [[0], [4, 2], [1, 1, 3], [-1], range(VOICES)])
def test_some_utterances_are_taken_by_number(heard, rows, kind):
    taken = heard[MU_LAW].take(kind(rows))
    assert len(taken.features) == len(taken.spectra) == len(rows)
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(taken.features[place], heard[MU_LAW].features[row])
        assert taken.spectra[place] is heard[MU_LAW].spectra[row]


@pytest.mark.parametrize("rows", [[], np.array([], int)], ids=["list", "array"])
def test_no_utterances_may_be_taken(heard, rows):
    assert_same(heard[CLEAN].take(rows), hear_signals([]))


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels, subtype", [(1, "FLOAT"), (2, "PCM_24")])
def test_a_recording_is_mixed_and_brought_to_8_khz(tmp_path, sampling_rate, channels, subtype):
    sound = np.stack([make_sine(sampling_rate) * share for share in (1.5, 0.5)], axis=1)
    sound = sound if channels == 2 else make_sine(sampling_rate)
    soundfile.write(tmp_path / "call.wav", sound, sampling_rate, subtype=subtype)
    signal = read_recording(tmp_path / "call.wav")
    assert (signal.shape, signal.dtype) == ((8000,), np.float32)
    np.testing.assert_allclose(signal[200:-200], make_sine(8000)[200:-200], atol=1e-3)


def test_8_khz_are_taken_as_they_are(paths):
    signal = make_voice(0.3)
    assert to_telephone_rate(signal, 8000) is signal
    for path in paths:
        np.testing.assert_array_equal(read_recording(path), soundfile.read(path)[0])


@pytest.mark.parametrize(
    "samples, sampling_rate, expected",
    [(0, 16_000, 0), (1, 16_000, 1), (3, 16_000, 2), (441, 44_100, 80), (1000, 4000, 2000)],
)
def test_lengths_at_8_khz_are_rounded_up(samples, sampling_rate, expected):
    assert to_telephone_rate(np.zeros(samples, np.float32), sampling_rate).shape == (expected,)


def test_a_telephone_rate_loses_no_low_tones_and_no_level():
    tones = sum(make_sine(44_100, hertz=hertz) for hertz in (60, 200, 3500)) / 3
    expected = sum(make_sine(8000, hertz=hertz) for hertz in (60, 200, 3500)) / 3
    found = to_telephone_rate(tones, 44_100)
    np.testing.assert_allclose(found[400:-400], expected[400:-400], atol=1e-3)


@pytest.mark.parametrize("samples", [1, 100, 3000])
@pytest.mark.parametrize("sampling_rate", [8000, 44_100])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_nothing_to_hear_is_finite_in_every_line(tmp_path, samples, sampling_rate, value):
    soundfile.write(tmp_path / "call.wav", np.full(samples, value), sampling_rate)
    for line in hear_in_order([tmp_path / "call.wav"] * 2).values():
        assert line.features.shape == (2, len(FUNCTIONALS))
        assert np.isfinite(line.features).all()
        assert all(spectrum.shape[0] == MEL_BANDS for spectrum in line.spectra)
        assert all(np.isfinite(spectrum).all() for spectrum in line.spectra)


@pytest.mark.parametrize(
    "hear", [hear_recordings, hear_in_order, lambda paths: read_recording(paths[-1])]
)
def test_a_recording_that_is_missing_is_named_as_such(paths, hear):
    with pytest.raises(AudioError, match="no such file"):
        hear([*paths[:2], "gone.wav"])
