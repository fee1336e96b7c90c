import numpy as np
import pytest
from composed_calls import RATE, compose
from conftest import need_network

from helpers.conversation.diarization import LEAST_PIECES, LONGEST_S, separate_voices
from helpers.conversation.speaker_embedding import NETWORK, Encoder

SILENCE = np.zeros(RATE, np.float32)
APART = np.array([(3.0, 0.0), (-3.0, 0.0)])
"""Where two voices lie that differ clearly."""


def know(vectors, *, similar: bool = False, reliability: float = 0.9) -> Encoder:
    """Make an encoder that gives these vectors, whatever it hears."""
    vectors = np.array(vectors, float)
    return Encoder("known", lambda signal, rate, spans: vectors, reliability, similar)


def pieces_of(count: int, length_s: float = 1.0) -> np.ndarray:
    starts = np.arange(count) * (length_s + 0.5)
    return np.stack([starts, starts + length_s], axis=1)


def scatter(voices, *, spread: float = 0.3, seed: int = 0) -> np.ndarray:
    """Give a vector near its voice's place for each piece."""
    voices = np.array(voices)
    return APART[voices] + spread * np.random.default_rng(seed).standard_normal((len(voices), 2))


PAIRS = [
    ("agent_01", "customer_08"),
    ("agent_01", "customer_11"),
    ("agent_03", "customer_08"),
    ("agent_03", "customer_10"),
    ("agent_03", "customer_11"),
]


@pytest.mark.parametrize(("agent", "customer"), PAIRS)
def test_two_voices_are_told_apart(encoder, agent, customer):
    call = compose("acacac", agent=agent, customer=customer)
    spans = call.turns[["start_s", "end_s"]].to_numpy()
    found = separate_voices(call.mix, RATE, spans=spans, encoder=encoder)
    assert found.heard == 2
    assert found.voice.tolist() == (call.turns["speaker"] == "customer").astype(int).tolist()


@pytest.mark.parametrize("gain", [0.25, 2.0])
def test_a_gain_changes_nobodys_voice(encoder, gain):
    call = compose("cacaca", customer="customer_11")
    spans = call.turns[["start_s", "end_s"]].to_numpy()
    before, after = (
        separate_voices(each, RATE, spans=spans, encoder=encoder)
        for each in (call.mix, np.float32(gain) * call.mix)
    )
    np.testing.assert_array_equal(after.voice, before.voice)
    np.testing.assert_allclose(after.confidence, before.confidence, atol=1e-3)


@pytest.mark.parametrize("voice", ["customer_08", "customer_11", "agent_02"])
def test_the_network_knows_one_voice_for_one(voice):
    need_network()
    call = compose("cccc", customer=voice)
    spans = call.turns[["start_s", "end_s"]].to_numpy()
    assert separate_voices(call.mix, RATE, spans=spans, encoder=NETWORK).heard == 1


@pytest.mark.parametrize(("likeness", "heard"), [(0.95, 1), (0.85, 1), (0.75, 2), (0.0, 2)])
def test_groups_that_are_alike_are_one_voice_where_likeness_means_something(likeness, heard):
    places = np.array([(1.0, 0.0), (likeness, np.sqrt(1 - likeness**2))])
    vectors = places[[0, 1] * 4]
    for similar in (True, False):
        encoder = know(vectors, similar=similar)
        found = separate_voices(SILENCE, RATE, spans=pieces_of(8), encoder=encoder)
        assert found.heard == (heard if similar else 2)


@pytest.mark.parametrize("count", range(LEAST_PIECES + 2))
def test_with_few_pieces_voices_are_not_told_apart(count):
    encoder = know(scatter([0, 1, 0, 1, 0, 1])[:count])
    found = separate_voices(SILENCE, RATE, spans=pieces_of(count), encoder=encoder)
    assert found.heard == (2 if count >= LEAST_PIECES else min(count, 1))
    assert found.spans.shape == (count, 2)
    assert len(found.voice) == len(found.confidence) == count


def test_without_any_speech_nothing_is_encoded():
    found = separate_voices(SILENCE, RATE, spans=np.empty((0, 2)))
    assert (found.heard, found.spans.shape, found.voice.shape) == (0, (0, 2), (0,))


def test_pieces_of_one_voice_have_no_confidence():
    encoder = know(np.ones((6, 3)))
    found = separate_voices(SILENCE, RATE, spans=pieces_of(6), encoder=encoder)
    assert (found.heard, set(found.voice), set(found.confidence)) == (1, {0}, {0.5})


@pytest.mark.parametrize("seed", range(5))
def test_confidence_is_a_probability_and_greater_where_a_piece_is_clear(seed):
    vectors = scatter([0, 1] * 5, seed=seed)
    vectors[3] = -0.2, 0.0  # hardly on its own side
    encoder = know(vectors, reliability=0.9)
    found = separate_voices(SILENCE, RATE, spans=pieces_of(10), encoder=encoder)
    assert (found.confidence >= 0.5).all()
    assert (found.confidence <= 0.9).all()
    assert found.confidence[3] < 0.65
    assert np.delete(found.confidence, 3).min() > 0.8


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("voices", [[0, 1] * 4, [0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1]])
def test_the_voice_that_speaks_first_is_the_first(voices, sign):
    encoder = know(sign * scatter(voices))
    found = separate_voices(SILENCE, RATE, spans=pieces_of(len(voices)), encoder=encoder)
    assert found.voice.tolist() == voices


def test_a_short_sound_before_the_greeting_does_not_decide_who_is_first():
    spans = np.array([(0.0, 0.2), *(pieces_of(6) + 1.0)])
    encoder = know(scatter([1, 0, 1, 0, 1, 0, 1]))
    found = separate_voices(SILENCE, RATE, spans=spans, encoder=encoder)
    assert found.voice.tolist() == [1, 0, 1, 0, 1, 0, 1]


def test_somebody_who_says_little_is_still_the_other_voice():
    voices = [0] * 14 + [1, 1]
    encoder = know(scatter(voices))
    found = separate_voices(SILENCE, RATE, spans=pieces_of(16), encoder=encoder)
    assert found.voice.tolist() == voices


@pytest.mark.parametrize(("length_s", "pieces"), [(2.5, 1), (2.6, 2), (5.0, 2), (7.6, 4)])
def test_long_bursts_are_cut_in_equal_pieces(length_s, pieces):
    spans = np.array([(1.0, 1.0 + length_s)])
    found = separate_voices(SILENCE, RATE, spans=spans, encoder=know(np.ones((pieces, 2))))
    lengths = found.spans[:, 1] - found.spans[:, 0]
    np.testing.assert_allclose(lengths, length_s / pieces)
    assert lengths.max() <= LONGEST_S
    np.testing.assert_allclose(found.spans[1:, 0], found.spans[:-1, 1])
