import pickle
from itertools import pairwise

import joblib
import numpy as np
import pytest
from conftest import VOICE_PITCHES, make_voice, write_voices
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.conversation.judges import EmotionJudge, VerdictJudge
from helpers.conversation.live import (
    ALERT_FROM,
    ALERT_UNTIL,
    CONFIRMED_BY,
    WINDOW_S,
    Excerpt,
    LiveMood,
    RollingMood,
    judge_excerpt,
)
from helpers.conversation.live_track import JITTER_S, KEPT_S, LEAP_S
from helpers.corpora import load_corpus
from helpers.emotion import EmotionModel, fit_emotion_model
from helpers.model_store import load_champion
from helpers.segments import END_S

RATE = 8000
CHUNK = 160
MEMORY_S = 15.0
NO_NUMBER, ENDLESS = float("nan"), float("inf")

Chunks = list[tuple[float, np.ndarray]]


@pytest.fixture(scope="module")
def emotions(tmp_path_factory) -> EmotionModel:
    corpus = load_corpus(write_voices(tmp_path_factory.mktemp("corpus")))
    with joblib.parallel_config("sequential"):
        return fit_emotion_model(corpus, networks=0)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two turns with a pause between them and faint noise all along, 9 s."""
    noise = np.random.default_rng(0).normal(scale=3e-4, size=9 * RATE)
    signal = noise.astype(np.float32)
    signal[RATE : 4 * RATE] += make_voice(3, seed=1)
    signal[5 * RATE : 8 * RATE] += make_voice(3, seed=2)
    return signal


def cut(signal: np.ndarray, size: int = CHUNK) -> Chunks:
    return [(first / RATE, signal[first : first + size]) for first in range(0, len(signal), size)]


def listen(chunks: Chunks, *, live: LiveMood | None = None, memory_s=0.0) -> list[Excerpt]:
    live, excerpts = live or LiveMood(memory_s=memory_s), []
    for at_s, signal in chunks:
        live.hear(signal, at_s=at_s)
        while (excerpt := live.next_excerpt()) is not None:
            excerpts.append(excerpt)
    return excerpts


def assert_same(found: list[Excerpt], expected: list[Excerpt]) -> None:
    assert [each[:3] for each in found] == [each[:3] for each in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.signal, other.signal)


def tones(*hertz: float, seconds: float = 10.0, on_s: float = 10.0, off_s: float = 0.0):
    """Make tones that come and go, each with a tenth of the full scale."""
    times = np.arange(round(seconds * RATE)) / RATE
    sound = sum(0.1 * np.sin(2 * np.pi * each * times) for each in hertz)
    return (sound * (times % (on_s + off_s) < on_s)).astype(np.float32)


def test_speech_is_cut_out_where_it_is(speech):
    excerpts = listen(cut(speech))
    ends = np.array([excerpt.at_s for excerpt in excerpts])
    assert (np.diff(ends) > 0).all()
    assert 1.4 < ends[0] < 2.1
    assert not ((ends > 4.4) & (ends < 5.0)).any()
    for excerpt in excerpts:
        first, last = round(excerpt.start_s * RATE), round(excerpt.at_s * RATE)
        assert excerpt.signal.dtype == np.float32
        assert 0.5 <= excerpt.speech_s <= excerpt.at_s - excerpt.start_s < WINDOW_S + 0.1
        np.testing.assert_array_equal(excerpt.signal, speech[first:last])


def test_excerpts_come_a_little_behind_the_present(speech):
    live = LiveMood()
    for at_s, signal in cut(speech):
        live.hear(signal, at_s=at_s)
        while (excerpt := live.next_excerpt()) is not None:
            behind_s = at_s + CHUNK / RATE - excerpt.at_s
            assert JITTER_S - 1e-6 < behind_s < JITTER_S + 0.3


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(40, 3 * RATE), min_size=1, max_size=20), memory=st.booleans())
def test_chunks_of_any_size_give_the_same(speech, sizes, memory):
    memory_s = MEMORY_S * memory
    edges = np.append(0, np.cumsum(np.resize(sizes, len(speech))))
    edges = [*edges[edges < len(speech)], len(speech)]
    chunks = [(first / RATE, speech[first:last]) for first, last in pairwise(edges)]
    expected = listen([(0.0, speech)], memory_s=memory_s)
    assert len(expected) >= 3
    assert_same(listen(chunks, memory_s=memory_s), expected)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), repeated=st.floats(0, 0.5))
def test_chunks_late_by_less_than_the_allowance_or_twice_change_nothing(speech, seed, repeated):
    generator, chunks = np.random.default_rng(seed), cut(speech)
    chunks += [chunk for chunk in chunks if generator.random() < repeated]
    arrivals = [at_s + generator.uniform(0, JITTER_S - CHUNK / RATE) for at_s, _ in chunks]
    shuffled = [chunks[number] for number in np.argsort(arrivals)]
    assert_same(listen(shuffled), listen(cut(speech)))


def test_what_never_arrives_is_silence(speech):
    muted = speech.copy()
    muted[2 * RATE : 3 * RATE] = 0
    kept = [(at_s, signal) for at_s, signal in cut(speech) if not 2 <= at_s < 3]
    assert_same(listen(kept), listen(cut(muted)))


def test_sound_that_comes_too_late_is_lost_and_what_comes_again_counts_if_it_is_in_time(speech):
    live, other = LiveMood(), np.zeros(CHUNK, np.float32)
    first = listen(cut(speech[: 3 * RATE]), live=live)
    live.hear(speech[RATE : 2 * RATE] / 2, at_s=1.0)
    live.hear(other, at_s=2.9)
    rest = [(at_s, signal) for at_s, signal in cut(speech) if at_s >= 3]
    replaced = speech.copy()
    replaced[round(2.9 * RATE) :][:CHUNK] = 0
    assert_same(first + listen(rest, live=live), listen(cut(replaced)))


@pytest.mark.parametrize(
    ("at_s", "samples"),
    [
        (-1.0, CHUNK),
        (-1e300, CHUNK),
        (9 + LEAP_S, CHUNK),
        (4 * 3600.0, CHUNK),
        (86_399.0, 100 * CHUNK),
        (1e300, CHUNK),
        (ENDLESS, CHUNK),
        (-ENDLESS, CHUNK),
        (NO_NUMBER, CHUNK),
        (1.0, 0),
    ],
)
def test_sound_of_an_absurd_time_changes_nothing(speech, at_s, samples):
    live, noise = LiveMood(), np.full(samples, 0.5, np.float32)
    chunks = cut(speech)
    for place in (300, 200, 100, 0):
        chunks.insert(place, (at_s, noise))
        chunks.insert(place, (at_s, noise))
    assert_same(listen(chunks, live=live), listen(cut(speech)))


def test_sound_from_before_the_call_is_cut_off(speech):
    early = np.concatenate([np.ones(CHUNK, np.float32), speech])
    assert_same(listen([(-CHUNK / RATE, early)]), listen(cut(speech)))


@pytest.mark.parametrize("memory_s", [0.0, MEMORY_S])
def test_a_call_goes_on_after_a_long_gap(speech, memory_s):
    live = LiveMood(memory_s=memory_s)
    listen(cut(speech), live=live)
    later = [(at_s + 1000, signal) for at_s, signal in cut(speech)]
    found = listen(later, live=live)
    alone = listen(cut(speech), memory_s=memory_s)
    assert abs(len(found) - len(alone)) <= 1
    assert 1000 < found[0].start_s < found[0].at_s < found[-1].at_s < 1009


@pytest.mark.parametrize(
    "signal",
    [
        np.full(CHUNK, NO_NUMBER),
        np.full(CHUNK, ENDLESS),
        np.full(CHUNK, -1e300),
        np.full(CHUNK, 1e30, np.float32),
        np.full(CHUNK, -32768, np.int16),
    ],
)
def test_sound_that_is_none_breaks_nothing(speech, signal):
    chunks = cut(speech)
    chunks[100] = (chunks[100][0], signal)
    for excerpt in listen(chunks):
        assert np.isfinite(excerpt.signal).all()
        assert np.abs(excerpt.signal).max() <= 1


@pytest.mark.parametrize("memory_s", [0.0, MEMORY_S])
def test_memory_does_not_grow_with_the_call(speech, memory_s):
    live, minute = LiveMood(memory_s=memory_s), np.resize(speech, 60 * RATE)
    sizes = []
    for number in range(5):
        for at_s, signal in cut(minute, 10 * RATE):
            excerpts = listen([(60 * number + at_s, signal)], live=live)
            assert excerpts
            assert max(len(excerpt.signal) for excerpt in excerpts) <= (END_S + 0.2) * RATE
        sizes.append(len(pickle.dumps(live)))
    assert max(sizes) - min(sizes) < 100
    assert max(sizes) < 1.1 * KEPT_S * RATE * 4


def test_what_nobody_asks_for_is_forgotten(speech):
    live, minute = LiveMood(), np.resize(speech, 60 * RATE)
    for at_s, signal in cut(np.tile(minute, 4), 10 * RATE):
        live.hear(signal, at_s=at_s)
    late = listen([(240.0, speech[:RATE])], live=live)
    assert 200 < late[0].at_s < late[-1].at_s < 241
    assert len(late) <= 30 / 0.25 + 5


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(10 * RATE),
        np.full(10 * RATE, 0.3),
        np.random.default_rng(0).normal(scale=1e-4, size=10 * RATE),
        np.random.default_rng(0).normal(scale=0.03, size=10 * RATE),
        tones(440),
        tones(440, 480, on_s=2, off_s=4),
        tones(425, on_s=0.5, off_s=0.5),
        tones(425, on_s=1, off_s=3) + np.random.default_rng(0).normal(scale=1e-3, size=10 * RATE),
    ],
    ids=["silence", "offset", "hiss", "noise", "tone", "ringing", "busy", "noisy ringing"],
)
def test_what_is_no_speech_is_not_judged(signal, speech):
    signal = signal.astype(np.float32)
    assert listen(cut(signal)) == []
    found = listen(cut(np.concatenate([signal, speech + signal.mean()])))
    assert found
    assert min(excerpt.start_s for excerpt in found) > 10.5


CALM, HALF, MIDDLE, UPSET = 0.02, 0.5, 0.67, 0.98


@pytest.mark.parametrize(
    ("judged", "alerts"),
    [
        ([], []),
        ([NO_NUMBER] * 5, [False] * 5),
        ([CALM] * 5, [False] * 5),
        ([HALF] * 20, [False] * 20),
        ([UPSET], [False]),
        ([UPSET] * 4, [False, True, True, True]),
        ([UPSET, NO_NUMBER, UPSET], [False, False, True]),
        ([UPSET, CALM, CALM, UPSET, CALM, CALM, UPSET], [False] * 7),
        ([HALF, UPSET, CALM] * 5, [False] * 15),
        ([UPSET] * 2 + [MIDDLE] * 40, [False] + [True] * 41),
        ([CALM] * 2 + [MIDDLE] * 40, [False] * 42),
        ([UPSET] * 2 + [CALM], [False, True, True]),
        ([UPSET] * 2 + [HALF] * 40, [False] + [True] * 6 + [False] * 35),
        ([1.0, 1.0, 0.0, 0.0, 0.0], [False, True, True, True, False]),
    ],
)
def test_the_alert_is_confirmed_and_stays_until_the_mood_has_clearly_turned(judged, alerts):
    rolling = RollingMood(alert_from=0.75, alert_until=0.6)
    found = [rolling.follow(float(number), upset) for number, upset in enumerate(judged)]
    assert [mood.is_alert for mood in found] == alerts
    for mood in found:
        assert np.isnan(mood.alert_since_s) == (not mood.is_alert)


def test_an_alert_ends_and_begins_again_and_says_since_when():
    rolling, changes = RollingMood(step_s=1.0), []
    for number, upset in enumerate([CALM] * 5 + [UPSET] * 5 + [CALM] * 5 + [UPSET] * 5):
        before, mood = rolling.now, rolling.follow(number / 4, upset)
        assert mood.at_s == number / 4
        if mood.is_alert != before.is_alert:
            changes.append(number)
            since_s = mood.alert_since_s if mood.is_alert else before.alert_since_s
            assert since_s == changes[-1 if mood.is_alert else -2] / 4
            assert mood.upset >= ALERT_FROM if mood.is_alert else mood.upset < ALERT_UNTIL
    assert len(changes) == 3
    assert all(after - before >= CONFIRMED_BY for before, after in pairwise(changes))


def test_the_alert_holds_while_the_customer_is_silent(speech):
    live = LiveMood()
    for excerpt in listen(cut(speech), live=live):
        live.take_in(excerpt, UPSET)
    before = live.mood
    assert before.is_alert
    silence = [(9 + at_s, signal) for at_s, signal in cut(np.zeros(120 * RATE, np.float32))]
    assert len(listen(silence, live=live)) <= 1
    assert live.mood == before


def test_a_model_of_emotions_hears_the_customer_turn_upset(emotions):
    hertz = {emotion: 150 * factor for emotion, factor in VOICE_PITCHES.items()}
    turns = [
        make_voice(1, seed=number, pitch=hertz[emotion])
        for number, emotion in enumerate(["neutral"] * 8 + ["angry"] * 8)
    ]
    live, judge, moods = LiveMood(), EmotionJudge(emotions), []
    for excerpt in listen(cut(np.concatenate(turns)), live=live):
        again = pickle.loads(pickle.dumps(excerpt))
        upset = judge_excerpt(judge, excerpt)
        assert upset == judge_excerpt(judge, again)
        moods.append(live.take_in(again, upset))
    alerts = [mood.is_alert for mood in moods if mood.at_s < 8]
    assert alerts
    assert not any(alerts)
    assert moods[-1].is_alert
    assert 8 < moods[-1].alert_since_s < 11


def test_a_model_of_calls_hears_ten_seconds_against_what_was_said_lately(trained, speech):
    judge = VerdictJudge(load_champion(trained))
    excerpts = listen(cut(np.tile(speech, 4)), memory_s=judge.memory_s)
    assert 5 < len(excerpts) < 25
    lengths = [len(excerpt.signal) / RATE for excerpt in excerpts]
    assert lengths[0] < 3
    assert END_S <= lengths[-1] <= END_S + 0.2
    for excerpt in (excerpts[0], excerpts[-1]):
        assert excerpt.speech_s <= 10
        assert 0 <= judge_excerpt(judge, excerpt) <= 1
