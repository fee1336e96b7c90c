import io
import sys

import numpy as np
import pytest
import soundfile
from conftest import make_voice

from helpers.channel import NOMINAL_LEVEL_DB, measure_level
from helpers.effects import (
    BITRATES_KBPS,
    MP3_RATES,
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

NO_NOISEREDUCE = "noisereduce is not installed: pip install -r requirements-zoo.txt"


def make_tone(frequency, *, sampling_rate=16_000, duration_s=1.0, peak=0.5) -> np.ndarray:
    times = np.arange(round(duration_s * sampling_rate)) / sampling_rate
    return (peak * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def find_peak_hz(signal, sampling_rate) -> float:
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 8 * len(signal)))
    return float(spectrum.argmax() * sampling_rate / (8 * len(signal)))


def level_db(signal) -> float:
    return float(10 * np.log10(np.mean(np.square(signal, dtype=np.float64))))


def make_impulse(sampling_rate, duration_s) -> np.ndarray:
    return np.eye(1, round(duration_s * sampling_rate), dtype=np.float32)[0]


@pytest.mark.parametrize("slope", [0.0, 1.0])
@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 30.0])
def test_the_noise_is_as_far_below_the_speech_as_was_asked(snr_db, slope):
    voice = 0.1 * make_voice(2.0, sampling_rate=16_000, seed=1)
    noisy = add_noise(voice, 16_000, snr_db=snr_db, slope=slope, seed=0)
    assert measure_level(voice) - level_db(noisy - voice) == pytest.approx(snr_db, abs=0.01)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_the_noise_falls_with_the_frequency_as_was_asked(slope):
    noise = add_noise(np.zeros(160_000), 16_000, snr_db=0, slope=slope, seed=0)
    power = np.abs(np.fft.rfft(noise)) ** 2
    low, high = (power[10 * hertz : 20 * hertz].mean() for hertz in (100, 1000))
    assert 10 * np.log10(low / high) == pytest.approx(10 * slope, abs=0.5)


def test_silence_gets_noise_as_if_it_were_speech_of_the_usual_level():
    noise = add_noise(np.zeros(8000), 8000, snr_db=20, seed=0)
    assert level_db(noise) == pytest.approx(NOMINAL_LEVEL_DB - 20, abs=0.01)


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("semitones", [-12, -2.0, 0.5, 2.0])
def test_a_shifted_tone_has_another_pitch_and_the_same_length(semitones, sampling_rate):
    tone = make_tone(440, sampling_rate=sampling_rate)
    shifted = shift_pitch(tone, sampling_rate, semitones=semitones)
    assert len(shifted) == len(tone)
    found = 12 * np.log2(find_peak_hz(shifted, sampling_rate) / 440)
    assert found == pytest.approx(semitones, abs=0.1)


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("tempo", [0.5, 0.85, 1.0, 1.18, 2.0])
def test_a_stretched_tone_has_another_length_and_the_same_pitch(tempo, sampling_rate):
    tone = make_tone(440, sampling_rate=sampling_rate)
    stretched = stretch_time(tone, sampling_rate, tempo=tempo)
    assert len(stretched) == round(len(tone) / tempo)
    assert find_peak_hz(stretched, sampling_rate) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("gain_db", "samples", "expected"),
    [
        (0, [0.5, -0.5], [0.5, -0.5]),
        (-20, [1.0, -1.0], [0.1, -0.1]),
        (20, [0.01, 0.5, -0.5, 1.0, -1.0], [0.1, 1.0, -1.0, 1.0, -1.0]),
    ],
)
def test_a_gain_is_exact_and_what_is_too_loud_is_clipped_and_not_wrapped(
    gain_db, samples, expected
):
    louder = change_gain(np.array(samples), 8000, gain_db=gain_db)
    np.testing.assert_allclose(louder, expected, rtol=1e-6)


@pytest.mark.parametrize(("codec", "subtype"), [("mu-law", "ULAW"), ("gsm", "GSM610")])
def test_speech_is_coded_as_libsndfile_codes_it(codec, subtype):
    voice = make_voice(1.0)
    samples = np.clip(np.rint(voice * 32768), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV", subtype=subtype)
    file.seek(0)
    expected = soundfile.read(file, dtype="float32")[0][: len(voice)]
    np.testing.assert_array_equal(code_speech(voice, 8000, codec=codec), expected)


def test_a_wide_recording_loses_what_is_above_4000_hz_and_comes_back_in_place():
    low, high = make_tone(1000), make_tone(6000)
    assert level_db(code_speech(low, 16_000, codec="mu-law") - low) < level_db(low) - 25
    assert level_db(code_speech(high, 16_000, codec="mu-law")) < level_db(high) - 30


@pytest.mark.parametrize("bitrate_kbps", BITRATES_KBPS)
@pytest.mark.parametrize("sampling_rate", [4000, *MP3_RATES, 44_100])
def test_a_recording_comes_back_from_mp3_in_place(sampling_rate, bitrate_kbps):
    voice = make_voice(1.234, sampling_rate=sampling_rate, seed=2)
    coded = code_mp3(voice, sampling_rate, bitrate_kbps=bitrate_kbps)
    assert len(coded) == len(voice)
    lags = range(-40, 41)
    alike = [np.dot(np.roll(coded, -lag)[100:-100], voice[100:-100]) for lag in lags]
    assert lags[int(np.argmax(alike))] == 0
    assert np.corrcoef(coded[-400:], voice[-400:])[0, 1] > 0.8


def test_the_lower_the_bit_rate_the_more_is_lost():
    hiss = (0.3 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    losses = [level_db(code_mp3(hiss, 16_000, bitrate_kbps=rate) - hiss) for rate in BITRATES_KBPS]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("sampling_rate", [8000, 16_000])
@pytest.mark.parametrize("reverberation_s", [0.2, 0.5, 0.8])
def test_a_room_dies_away_in_the_time_that_was_asked(reverberation_s, sampling_rate):
    impulse = make_impulse(sampling_rate, 1.0)
    tail = add_room(impulse, sampling_rate, reverberation_s=reverberation_s, direct_db=-20, seed=0)[
        1:
    ]
    energy = np.cumsum(np.square(tail[::-1], dtype=float))[::-1]  # Schroeder 1965
    decay = 10 * np.log10(np.maximum(energy / energy[0], 1e-12))
    between = np.flatnonzero((decay < -5) & (decay > -35))
    slope = np.polyfit(between / sampling_rate, decay[between], 1)[0]
    assert -60 / slope == pytest.approx(reverberation_s, rel=0.1)


@pytest.mark.parametrize("direct_db", [0.0, 10.0])
def test_a_room_has_the_voice_first_and_as_loud_as_was_asked(direct_db):
    room = add_room(
        make_impulse(16_000, 1.0), 16_000, reverberation_s=0.4, direct_db=direct_db, seed=0
    )
    found = 10 * np.log10(room[0] ** 2 / np.sum(np.square(room[1:], dtype=float)))
    assert found == pytest.approx(direct_db, abs=0.1)
    assert np.abs(room).argmax() == 0


def test_a_room_leaves_the_level_about_as_it_was():
    hiss = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)
    heard = add_room(hiss, 16_000, reverberation_s=0.5, direct_db=3, seed=1)
    assert level_db(heard[8000:]) == pytest.approx(level_db(hiss), abs=0.5)


@pytest.mark.parametrize(
    ("frequency", "loss_db"),
    [(1000, 0.0), (300, 3.0), (3400, 3.0), (100, 38.0), (7000, 40.0)],
)
def test_a_band_loses_3_db_at_its_edges_and_much_beyond(frequency, loss_db):
    tone = make_tone(frequency)
    passed = filter_band(tone, 16_000, band_hz=(300, 3400))[4000:]
    loss = level_db(tone[4000:]) - level_db(passed)
    assert loss == pytest.approx(loss_db, abs=0.3) if loss_db < 10 else loss > loss_db


def test_a_band_that_is_wider_than_the_recording_only_has_a_lower_edge():
    tone = make_tone(1900, sampling_rate=4000)
    passed = filter_band(tone, 4000, band_hz=(300, 3400))
    assert level_db(passed[1000:]) == pytest.approx(level_db(tone[1000:]), abs=0.1)


def test_reduced_noise_is_lower_in_pauses_and_the_voice_stays():
    pytest.importorskip("noisereduce", reason=NO_NOISEREDUCE)
    pause, voice = np.zeros(16_000), 0.5 * make_voice(2, sampling_rate=16_000, pitch=150)
    speech = np.concatenate([pause, voice, pause])
    noisy = add_noise(speech, 16_000, snr_db=15, seed=0)
    half, reduced = (reduce_noise(noisy, 16_000, share=share) for share in (0.5, 1.0))
    before = slice(2000, 14_000)
    assert level_db(half[before]) < level_db(noisy[before]) - 5
    assert level_db(reduced[before]) < level_db(half[before]) - 5
    assert level_db(reduced - speech) < level_db(noisy - speech)


def test_without_noisereduce_its_augmentation_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "noisereduce", None)
    with pytest.raises(ImportError, match=r"needs noisereduce.*make zoo"):
        reduce_noise(make_tone(500), 16_000, share=1.0)


@pytest.mark.parametrize(
    ("effect", "strengths", "message"),
    [
        (add_noise, {"snr_db": np.nan, "seed": 0}, "snr_db is nan, expected a number"),
        (add_noise, {"snr_db": 10, "slope": 3, "seed": 0}, "slope is 3, expected .* 0 and 2$"),
        (stretch_time, {"tempo": 0}, "tempo is 0, expected a number between 0.5 and 2"),
        (shift_pitch, {"semitones": 24}, "semitones is 24"),
        (change_gain, {"gain_db": "loud"}, "gain_db is 'loud'"),
        (code_speech, {"codec": "opus"}, "codec is 'opus', expected one of: none, mu-law"),
        (code_mp3, {"bitrate_kbps": 20}, r"bitrate_kbps is 20, expected one of \(16, 24, 32\)"),
        (add_room, {"reverberation_s": 0, "seed": 0}, "reverberation_s is 0.* 0.05 and 5 s"),
        (add_room, {"reverberation_s": 1, "direct_db": 99, "seed": 0}, "direct_db is 99"),
        (filter_band, {"band_hz": (3400, 300)}, r"band_hz is \(3400, 300\)"),
        (filter_band, {"band_hz": (0, 300)}, "a lower edge above 0"),
        (filter_band, {"band_hz": (5000, 6000)}, "below 4000 Hz, half the sampling rate"),
        (reduce_noise, {"share": 2}, "share is 2, expected a number between 0 and 1"),
    ],
)
def test_strengths_that_nobody_means_are_refused(effect, strengths, message):
    with pytest.raises(ValueError, match=message):
        effect(np.zeros(800), 8000, **strengths)
