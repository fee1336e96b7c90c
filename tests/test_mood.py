import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import PITCHES, VOICE_PITCHES, make_voice, write_voices

from helpers.conversation.judges import (
    CONTEXT_S,
    MEMORY_S,
    EmotionJudge,
    VerdictJudge,
    find_judge,
)
from helpers.conversation.mood import (
    IMPROVING,
    STEADY,
    TOO_LITTLE,
    WORSENING,
    describe_mood,
    find_trend,
    find_utterances,
    follow_mood,
)
from helpers.conversation.turn_taking import Conversation
from helpers.conversation.voices import read_voice
from helpers.corpora import load_corpus
from helpers.emotion import EmotionModel, fit_emotion_model
from helpers.emotion_store import save_emotion_model
from helpers.errors import ModelError
from helpers.model_store import load_champion
from helpers.turns import LONGEST_S, SHORTEST_S

RATE = 8000


@pytest.fixture(scope="module")
def emotions(tmp_path_factory) -> EmotionModel:
    corpus = load_corpus(write_voices(tmp_path_factory.mktemp("corpus")))
    with joblib.parallel_config("sequential"):
        return fit_emotion_model(corpus, networks=0)


def judged(*upset, length_s=2.0, pause_s=2.0) -> pd.DataFrame:
    """Make utterances of a length, with pauses, so upset."""
    starts = np.arange(len(upset)) * (length_s + pause_s)
    return pd.DataFrame(
        {"start_s": starts, "end_s": starts + length_s, "upset": upset, "emotion": ""}
    )


def converse(turns: list[tuple[str, float, float]], duration_s: float) -> Conversation:
    rows = [(start_s, end_s, speaker, 1.0) for speaker, start_s, end_s in turns]
    table = pd.DataFrame(rows, columns=["start_s", "end_s", "speaker", "confidence"])
    activity = pd.DataFrame({"start_s": [0.0], "end_s": [duration_s], "kind": ["speech"]})
    return Conversation(table, activity, 1.0, "", duration_s)


def compose(path, pitches: list[float], *, length_s=1.0, agent_pitch=90.0) -> Conversation:
    """Write a call in which customer (of these pitches) and agent take turns of a length."""
    turns, parts = [], []
    for number, pitch in enumerate(pitches):
        for role, hertz in (("customer", pitch), ("agent", agent_pitch)):
            start_s = len(parts) * length_s
            turns.append((role, start_s, start_s + length_s))
            parts.append(make_voice(length_s, seed=50 + number, pitch=hertz))
    soundfile.write(path, np.concatenate(parts), RATE, subtype="FLOAT", format="WAV")
    return converse(turns, len(parts) * length_s)


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([], []),
        ([("agent", 0, 3)], []),
        ([("customer", 1, 1.4)], []),
        ([("customer", 1, 1.5), ("agent", 1.2, 9)], [(1, 1.5)]),
        ([("customer", 1, 4.5)], [(1, 4.5)]),
        ([("customer", 1, 5)], [(1, 3), (3, 5)]),
        ([("customer", 1, 1.3), ("customer", 1.5, 2)], [(1, 2)]),
        ([("customer", 1, 1.6), ("customer", 1.9, 2.4)], [(1, 1.6), (1.9, 2.4)]),
        (
            [("customer", 0, 2), ("agent", 2, 4), ("customer", 4, 13)],
            [(0, 2), (4, 7), (7, 10), (10, 13)],
        ),
    ],
)
def test_utterances_are_the_customers_turns_in_pieces(turns, expected):
    found = find_utterances(converse(turns, 20.0))
    assert list(found.itertuples(index=False, name=None)) == expected
    lengths = found["end_s"] - found["start_s"]
    assert lengths.between(SHORTEST_S, LONGEST_S).all()


CALM, UPSET = 0.1, 0.9


@pytest.mark.parametrize(
    ("upset", "trend"),
    [
        ([CALM] * 20, STEADY),
        ([UPSET] * 20, STEADY),
        ([CALM] * 10 + [UPSET] * 10, WORSENING),
        ([UPSET] * 10 + [CALM] * 10, IMPROVING),
        (np.linspace(0.2, 0.8, 16), WORSENING),
        (np.linspace(0.8, 0.2, 16), IMPROVING),
        (np.linspace(0.4, 0.55, 16), STEADY),
        ([CALM] * 8 + [UPSET] * 8 + [CALM] * 8, STEADY),
        ([CALM, UPSET] * 10, STEADY),
        ([CALM] * 2 + [UPSET] * 3, TOO_LITTLE),
        ([UPSET], TOO_LITTLE),
        ([], TOO_LITTLE),
    ],
)
def test_the_trend_is_the_one_that_was_put_there(upset, trend):
    found, change = find_trend(judged(*upset))
    assert found == trend
    assert np.isnan(change) == (trend == TOO_LITTLE)
    if trend in (WORSENING, IMPROVING):
        assert abs(change) > 0.5


@pytest.mark.parametrize("count", [12, 30, 100])
@pytest.mark.parametrize("noise", ["even", "two moods", "normal"])
def test_noise_without_a_trend_hardly_ever_passes_for_one(count, noise):
    generator = np.random.default_rng(count)
    draw = {
        "even": lambda: generator.random(count),
        "two moods": lambda: (generator.random(count) < 0.3).astype(float),
        "normal": lambda: np.clip(generator.normal(0.5, 0.25, count), 0, 1),
    }[noise]
    trends = [find_trend(judged(*draw()))[0] for _ in range(200)]
    assert sum(trend in (WORSENING, IMPROVING) for trend in trends) <= 7
    assert STEADY in trends


def test_answers_that_share_their_speech_count_as_fewer():
    generator = np.random.default_rng(0)
    heard_s = 2.0
    share = np.ones(round(CONTEXT_S / heard_s)) / (CONTEXT_S / heard_s)
    trends = []
    for _ in range(200):
        upset = np.convolve(generator.random(64), share, "valid")
        trends.append(find_trend(judged(*upset), memory_s=MEMORY_S)[0])
    assert sum(trend != STEADY for trend in trends) <= 10
    assert find_trend(judged(*np.linspace(0, 1, 20)), memory_s=MEMORY_S)[0] == TOO_LITTLE
    assert find_trend(judged(*np.linspace(0, 1, 80)), memory_s=MEMORY_S)[0] == WORSENING


@pytest.mark.parametrize(
    ("upset", "seconds", "escalated_at_s", "upset_from_s"),
    [
        ([CALM] * 8, 0, None, None),
        ([CALM] * 3 + [UPSET] * 5, 10, 22, 12),
        ([UPSET] * 8, 16, 10, 0),
        ([CALM] * 3 + [UPSET] * 2 + [CALM] * 3, 4, None, None),
        ([CALM] * 3 + [UPSET] + [CALM] * 4, 0, None, None),
        ([UPSET] + [CALM] * 7, 0, None, None),
        ([CALM] * 7 + [UPSET], 0, None, None),
        ([CALM, UPSET, UPSET, CALM, UPSET, UPSET, CALM, CALM], 10, 14, 4),
        ([CALM] * 2 + [0.6] + [0.5] * 5, 0, None, None),
        ([CALM] * 2 + [UPSET] * 2 + [0.45] * 4, 12, 18, 8),
        ([CALM] * 2 + [UPSET] * 2 + [0.3] * 4, 4, None, None),
    ],
    ids=[
        *("calm", "late", "always", "short", "flicker", "first", "last"),
        *("interrupted", "below", "lasting", "over"),
    ],
)
def test_a_call_escalates_where_it_was_put(upset, seconds, escalated_at_s, upset_from_s):
    mood = describe_mood(judged(*upset), 32.0)
    assert mood.upset_s == seconds
    found = (mood.escalated_at_s, mood.upset_from_s)
    if escalated_at_s is None:
        assert np.isnan(found).all()
    else:
        assert found == (escalated_at_s, upset_from_s)


@pytest.mark.parametrize(
    ("escalation_s", "at_s"), [(2, 14), (3, 17), (6, 22), (9.5, 29.5), (10, 30), (10.5, None)]
)
def test_how_long_makes_an_escalation_can_be_set(escalation_s, at_s):
    mood = describe_mood(judged(*[CALM] * 3, *[UPSET] * 5), 32.0, escalation_s=escalation_s)
    assert mood.escalated_at_s == at_s if at_s else np.isnan(mood.escalated_at_s)


def test_windows_and_quarters_average_what_is_said_in_them():
    utterances = pd.DataFrame(
        {
            "start_s": [2.0, 11.0, 55.0],
            "end_s": [5.0, 12.0, 57.0],
            "upset": [0.2, 0.8, 0.6],
            "emotion": "",
        }
    )
    mood = describe_mood(utterances, 60.0)
    by_start = mood.windows.set_index("start_s")["upset"]
    assert list(by_start.index) == [2.5 * number for number in range(21)]
    assert mood.windows["end_s"].max() == 60
    expected = {0: 0.2, 2.5: (2.5 * 0.2 + 0.8) / 3.5, 5: 0.8, 47.5: 0.6, 50: 0.6}
    assert by_start[list(expected)].to_dict() == pytest.approx(expected)
    assert by_start.loc[12.5:45].isna().all()
    assert mood.quarters[0] == pytest.approx((3 * 0.2 + 0.8) / 4)
    assert np.isnan(mood.quarters[1:3]).all() and mood.quarters[3] == 0.6
    assert mood.end == 0.6
    assert (mood.peak, mood.peak_s) == (0.8, 10)


@pytest.mark.parametrize("duration_s", [3.0, 10.0, 11.0])
def test_a_short_call_is_covered_by_its_windows(duration_s):
    windows = describe_mood(judged(0.3, length_s=2.0), duration_s).windows
    assert (windows["start_s"].min(), windows["end_s"].max()) == (0, duration_s)
    assert (windows["start_s"] < windows["end_s"]).all()


def test_a_call_without_the_customer_has_no_mood(emotions, tmp_path):
    soundfile.write(tmp_path / "call.wav", make_voice(20), RATE)
    call = converse([("agent", 0, 20)], 20.0)
    mood = follow_mood(call, tmp_path / "call.wav", judge=EmotionJudge(emotions))
    assert (mood.trend, len(mood.utterances)) == (TOO_LITTLE, 0)
    numbers = [mood.upset_s, *mood.quarters, mood.end, mood.change, mood.escalated_at_s, mood.peak]
    assert np.isnan(numbers).all() and mood.windows["upset"].isna().all()


@pytest.mark.parametrize(
    ("moods", "trend", "escalates"),
    [
        ("n" * 36, STEADY, None),
        ("n" * 18 + "a" * 18, WORSENING, 36),
        ("a" * 18 + "n" * 18, IMPROVING, 0),
    ],
)
def test_a_voice_that_turns_is_heard_to_turn(emotions, tmp_path, moods, trend, escalates):
    pitches = {name[0]: 150 * factor for name, factor in VOICE_PITCHES.items()}
    angry = 150 * VOICE_PITCHES["angry"]
    call = compose(tmp_path / "call.wav", [pitches[mood] for mood in moods], agent_pitch=angry)
    mood = follow_mood(call, tmp_path / "call.wav", judge=EmotionJudge(emotions))
    assert mood.trend == trend
    if escalates is None:
        assert mood.upset_s == 0 and np.isnan(mood.escalated_at_s)
    else:
        assert mood.upset_from_s == pytest.approx(escalates, abs=2.1)
        assert mood.escalated_at_s == pytest.approx(escalates + 11, abs=2.1)
        assert mood.upset_s == pytest.approx(18, abs=2)
        assert set(mood.utterances["emotion"][mood.utterances["is_upset"]]) == {"angry"}


def test_the_champion_hears_what_the_customer_says_around_an_utterance(trained, tmp_path):
    calm, upset = PITCHES["satisfied"], PITCHES["unsatisfied"]
    pitches = [calm] * 20 + [upset] * 20
    call = compose(tmp_path / "call.wav", pitches, agent_pitch=PITCHES["average"])
    judge = VerdictJudge(load_champion(trained))
    assert find_judge(trained) == judge or find_judge(trained).name == judge.name
    voice = read_voice(call, tmp_path / "call.wav")
    answers = judge.judge(voice, find_utterances(call))
    assert answers["upset"].between(0, 1).all() and len(answers) == 40
    assert answers["upset"][26:].mean() > answers["upset"][:14].mean() + 0.2


def test_a_model_of_emotions_judges_where_there_is_one(trained, emotions):
    assert isinstance(find_judge(trained), VerdictJudge)
    save_emotion_model(trained.voice_emotions, emotions)
    judge = find_judge(trained)
    assert isinstance(judge, EmotionJudge)
    assert judge.name == f"emotions {emotions.fingerprint}"


def test_without_any_model_nobody_judges(workspace):
    with pytest.raises(ModelError, match="run notebooks 01 to 04 first"):
        find_judge(workspace)
