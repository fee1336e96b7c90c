import numpy as np
import pytest
from composed_calls import SENTENCES, read_utterance

from helpers.conversation.bursts import find_bursts

SPANS = np.array([(2.0, 4.0), (5.5, 6.1), (9.0, 9.5), (13.0, 17.0)])
NOISE = 1e-3


def make_noise(duration_s: float, sampling_rate: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(duration_s * sampling_rate))


def put_tones(noise: np.ndarray, sampling_rate: int, *, spans, level: float) -> np.ndarray:
    """Add a voice's harmonics of 150 Hz, which set in and stop at once, to noise."""
    signal = noise.copy()
    for start_s, end_s in spans:
        first, last = (round(edge * sampling_rate) for edge in (start_s, end_s))
        times = np.arange(last - first) / sampling_rate
        tops = [150 * n for n in range(1, 23) if 150 * n < sampling_rate / 2]
        tones = sum(np.sin(2 * np.pi * hertz * times + hertz) * 150 / hertz for hertz in tops)
        signal[first:last] += level * tones
    return signal.astype(np.float32)


def put_speech(noise: np.ndarray, *, spans) -> np.ndarray:
    """Add whole seconds of an utterance at 8 kHz to noise."""
    speech = np.concatenate([read_utterance("agent_01", sentence) for sentence in SENTENCES])
    signal = noise.copy()
    for start_s, end_s in spans:
        signal[8000 * start_s : 8000 * end_s] += speech[: 8000 * (end_s - start_s)]
    return signal.astype(np.float32)


def mark(spans: np.ndarray, duration_s: float) -> np.ndarray:
    """Give for each hundredth of a second whether it is in a span."""
    steps = (np.arange(round(100 * duration_s)) + 0.5) / 100
    return np.any([(steps > start) & (steps < end) for start, end in spans], axis=0)


@pytest.mark.parametrize("level_db", [10, 20, 40, 60])
@pytest.mark.parametrize("sampling_rate", [4000, 8000, 11_025, 16_000, 44_100, 48_000])
def test_each_burst_is_found_whole_and_a_little_more(sampling_rate, level_db):
    noise = NOISE * make_noise(20, sampling_rate)
    level = NOISE * 10 ** (level_db / 20)
    found = find_bursts(put_tones(noise, sampling_rate, spans=SPANS, level=level), sampling_rate)
    assert found.shape == SPANS.shape
    outside = np.abs(found - SPANS)
    assert (found[:, 0] < SPANS[:, 0]).all()
    assert (found[:, 1] > SPANS[:, 1]).all()
    assert outside.max() < 0.14
    assert np.ptp(outside, axis=0).max() <= 0.03


@pytest.mark.parametrize("sampling_rate", [4000, 8000, 48_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_next_to_nothing_is_found_in_plain_noise(sampling_rate, seed):
    noise = (0.01 * make_noise(180, sampling_rate, seed=seed)).astype(np.float32)
    found = find_bursts(noise, sampling_rate)
    assert (found[:, 1] - found[:, 0]).sum() < 0.01 * 180


@pytest.mark.parametrize("gain", [0.01, 0.1, 10.0, 300.0])
def test_a_gain_changes_nothing(gain):
    signal = put_speech(NOISE * make_noise(20, 8000), spans=[(3, 5), (9, 12)])
    np.testing.assert_allclose(
        find_bursts(np.float32(gain) * signal, 8000), find_bursts(signal, 8000), atol=1e-9
    )


@pytest.mark.parametrize("offset", [-0.3, 0.01, 0.5])
def test_a_constant_offset_changes_nothing(offset):
    signal = put_speech(NOISE * make_noise(20, 8000), spans=[(3, 5), (9, 12)])
    np.testing.assert_allclose(
        find_bursts(signal + np.float32(offset), 8000), find_bursts(signal, 8000), atol=0.011
    )


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_speech_between_digital_silence_is_found_whole(offset):
    spans = [(3, 5), (9, 12)]
    found = find_bursts(put_speech(np.full(20 * 8000, offset), spans=spans), 8000)
    assert mark(found, 20)[mark(spans, 20)].all()
    np.testing.assert_allclose(found[[0, -1], [0, 1]], [3, 12], atol=0.2)


def test_line_noise_that_is_cut_out_in_places_is_still_told_from_speech():
    noise, spans = NOISE * make_noise(20, 8000), [(3, 5), (9, 12)]
    noise[8000:16_000] = noise[13 * 8000 : 18 * 8000] = 0
    found = mark(find_bursts(put_speech(noise, spans=spans), 8000), 20)
    assert found[mark(spans, 20)].all()
    assert found[~mark(spans, 20)].mean() < 0.1


def test_somebody_who_hardly_pauses_is_heard_all_the_time():
    spans = [(start, start + 4) for start in range(0, 60, 5)]
    found = mark(find_bursts(put_speech(NOISE * make_noise(60, 8000), spans=spans), 8000), 60)
    assert found[mark(spans, 60)].mean() > 0.97


@pytest.mark.parametrize("sampling_rate", [8000, 11_025])
def test_times_do_not_drift(sampling_rate):
    spans = np.array([(start, start + 1.0) for start in np.arange(10.0, 600.0, 19.7)])
    noise = NOISE * make_noise(600, sampling_rate)
    found = find_bursts(put_tones(noise, sampling_rate, spans=spans, level=0.05), sampling_rate)
    outside = found[:, :1] - spans[:, 0]
    near = outside[np.abs(outside) < 0.5]
    assert len(near) == len(spans)
    assert np.median(near[:10]) == pytest.approx(np.median(near[-10:]), abs=0.01)


@pytest.mark.parametrize("levels", [(1e-3, 1e-2, 3e-3), (1e-2, 3e-4, 1e-3)])
def test_a_line_may_become_noisier_from_minute_to_minute(levels):
    noise = np.repeat(levels, 60 * 8000) * make_noise(180, 8000)
    spans = [(start, start + 2) for start in range(5, 175, 7)]
    truth = mark(spans, 180)
    found = mark(find_bursts(put_speech(noise, spans=spans), 8000), 180)
    assert found[truth].mean() > 0.97
    assert found[~truth].mean() < 0.08


@pytest.mark.parametrize("samples", [0, 1, 79, 80, 8000])
def test_silence_of_any_length_holds_nothing(samples):
    found = find_bursts(np.zeros(samples, np.float32), 8000)
    assert found.shape == (0, 2)


def test_bursts_lie_within_the_signal_and_never_overlap():
    signal = put_speech(NOISE * make_noise(12, 8000), spans=[(0, 2), (3, 5), (9, 12)])
    found = find_bursts(signal, 8000)
    edges = found.ravel()
    assert found.min() == 0
    assert found.max() == 12
    assert (np.diff(edges) > 0).all()
