import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from test_comparison import speak

from helpers.conversation.comparison import NO_REFERENCE
from helpers.conversation.evidence import CLIPS, find_evidence, judge_without
from helpers.conversation.roles import AGENT, CUSTOMER
from helpers.conversation.turn_taking import Conversation
from helpers.features import PHONE, CallSegments, FeatureSet, read_segments
from helpers.segments import split_call
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel

RATE = 8000

SAID = {
    **{(start_s, start_s + 2.0): {"pitch": 140} for start_s in (2, 6, 10, 14)},
    (36, 38): {"pitch": 140},
    (40, 42): {"pitch": 185, "gain_db": 4},
    (44, 46): {"pitch": 235, "gain_db": 6},
    (48, 50): {"pitch": 150},
    (52, 54): {"pitch": 210},
    (56, 58): {"pitch": 140},
}
"""What the customer says in a call of a minute: high means unsatisfied to the models below."""

REPLIES = [(4.4, 5.6), (12.4, 13.6), (38.4, 39.6), (46.4, 47.6)]
"""What the agent says."""


def compose(said=SAID, *, duration_s=60.0, replies=REPLIES, gain=1.0) -> np.ndarray:
    signal = np.zeros(round(duration_s * RATE), np.float32)
    spoken = {**said, **{span: {"pitch": 100} for span in replies}}
    for seed, ((start_s, end_s), voice) in enumerate(spoken.items()):
        sound = speak(end_s - start_s, seed=seed, **voice)
        signal[round(start_s * RATE) :][: len(sound)] = sound
    return gain * signal


def write(path, signal: np.ndarray):
    soundfile.write(path, signal, RATE, subtype="FLOAT", format="WAV")
    return path


def converse(said=SAID, *, duration_s=60.0, replies=REPLIES) -> Conversation:
    rows = [(*span, CUSTOMER, 0.9) for span in said] + [(*span, AGENT, 0.9) for span in replies]
    turns = pd.DataFrame(rows, columns=["start_s", "end_s", "speaker", "confidence"])
    activity = pd.DataFrame({"start_s": [0.0], "end_s": [duration_s], "kind": ["speech"]})
    return Conversation(turns.sort_values("start_s"), activity, 0.95, "", duration_s)


def brightness(call: CallSegments) -> np.ndarray:
    """Give the mean number of sign changes a second of what is not muted."""
    rows = []
    for signal in call.signals:
        signs = np.signbit(signal[signal != 0])
        rows.append([np.diff(signs).sum() * RATE / max(1, len(signs))])
    return np.array(rows)


def read_customer(path, said=SAID) -> CallSegments:
    """Read a call with everybody but the customer muted, as the customer path does."""
    signal, rate = soundfile.read(path, dtype="float32")
    own = np.zeros_like(signal)
    for start_s, end_s in said:
        span = slice(round(start_s * rate), round(end_s * rate))
        own[span] = signal[span]
    segments = split_call(len(own) / rate)
    signals = [
        own[round(each.start_s * rate) :][: round(each.duration_s * rate)] for each in segments
    ]
    return CallSegments(segments, signals, rate, own)


def make_model(read=read_customer, describe=brightness) -> TrainedModel:
    """Fit a model to calls whose unsatisfied customers speak high."""
    features, labels = [], []
    for number in range(30):
        pitch = (130, 165)[number % 2] * (1 + 0.005 * number)
        sound = speak(pitch=pitch, seed=number)
        call = CallSegments(split_call(2.4), [sound], RATE, sound)
        features.append(describe(call)[0])
        labels.append(("satisfied", "unsatisfied")[number % 2])
    scaler = StandardScaler().fit(features)
    classifier = LogisticRegression(C=1.0).fit(scaler.transform(features), labels)
    feature_set = FeatureSet("test", ("brightness",), describe, read)
    return TrainedModel(scaler, classifier, "", frozenset(), feature_set)


MODEL = make_model()
MIXED = make_model(read=read_segments)


def judge(path, model) -> np.ndarray:
    return model.predict_proba(model.feature_set.describe(model.feature_set.read(path)))[-1]


def spans(evidence: pd.DataFrame) -> list[tuple[float, float]]:
    return list(zip(evidence["start_s"], evidence["end_s"], strict=True))


def test_the_clips_that_sound_most_like_the_verdict_are_found_in_order(tmp_path):
    evidence = find_evidence(write(tmp_path / "call.wav", compose()), MODEL, converse())
    np.testing.assert_allclose(spans(evidence), [(44, 46), (52, 54), (40, 42)], atol=0.1)
    assert evidence["effect"].is_monotonic_decreasing
    assert list(evidence["words"]) == [
        "6 dB louder than at the start, voice 9 semitones higher",
        "voice 7 semitones higher than at the start",
        "4 dB louder than at the start, voice 5 semitones higher",
    ]


@pytest.mark.parametrize("model", [MODEL, MIXED], ids=["customer", "mixed"])
def test_muting_a_clip_in_the_recording_changes_the_verdict_by_its_effect(tmp_path, model):
    signal = compose()
    path = write(tmp_path / "call.wav", signal)
    whole = judge(path, model)
    evidence = find_evidence(path, model, converse())
    for clip in evidence.itertuples():
        without = signal.copy()
        without[round(clip.start_s * RATE) : round(clip.end_s * RATE)] = 0
        muted = judge(write(tmp_path / "muted.wav", without), model)
        verdict = whole.argmax()
        assert whole[verdict] - muted[verdict] == pytest.approx(clip.effect, abs=1e-6)


@pytest.mark.parametrize("model", [MODEL, MIXED], ids=["customer", "mixed"])
def test_removing_the_evidence_matters_more_than_removing_as_many_other_clips(tmp_path, model):
    path = write(tmp_path / "call.wav", compose())
    call = model.feature_set.read(path)
    whole = judge_without(call, model, clips=())
    verdict = whole.argmax()
    evidence = find_evidence(path, model, converse())
    assert len(evidence) == CLIPS and STATUSES[verdict] == "unsatisfied"
    without = judge_without(call, model, clips=spans(evidence))
    others = judge_without(call, model, clips=[(36, 38), (48, 50), (56, 58)])
    assert whole[verdict] - without[verdict] > max(0.2, whole[verdict] - others[verdict])
    np.testing.assert_allclose(whole, judge(path, model))


def test_the_phone_features_find_the_loud_and_high_clip_as_well(tmp_path):
    def describe(call):
        return PHONE.describe(call)[:, [PHONE.names.index("pitch_mean")]]

    path = write(tmp_path / "call.wav", compose())
    evidence = find_evidence(path, make_model(describe=describe), converse())
    assert evidence.loc[0, "start_s"] == pytest.approx(44, abs=0.1)


@pytest.mark.parametrize("gain", [10 ** (-12 / 20), 10 ** (12 / 20)])
@pytest.mark.parametrize("model", [MODEL, MIXED], ids=["customer", "mixed"])
def test_a_gain_of_the_whole_call_changes_nothing(tmp_path, model, gain):
    plain, louder = (
        find_evidence(write(tmp_path / "call.wav", compose(gain=each)), model, converse())
        for each in (0.2, 0.2 * gain)
    )
    pd.testing.assert_frame_equal(plain, louder, atol=1e-4)


def test_only_the_customer_can_be_evidence_where_roles_are_known(tmp_path):
    said = {span: {"pitch": 140} for span in SAID}
    replies = [(38.4, 39.6), (46.4, 47.6)]
    signal = compose(said, replies=[])
    for start_s, end_s in replies:
        sound = speak(end_s - start_s, pitch=300)
        signal[round(start_s * RATE) :][: len(sound)] = sound
    path = write(tmp_path / "call.wav", signal)
    conversation = converse(said, replies=replies)
    mixed = find_evidence(path, MIXED, conversation)
    np.testing.assert_allclose(mixed["start_s"].sort_values()[:2], [38.4, 46.4], atol=0.1)
    own = find_evidence(path, MODEL, conversation)
    assert all(any(abs(start_s - span[0]) < 0.1 for span in said) for start_s in own["start_s"])


def test_the_words_on_mixed_voices_say_that_they_are_mixed(tmp_path):
    path = write(tmp_path / "call.wav", compose())
    words = find_evidence(path, MIXED, converse())["words"]
    assert words.str.contains("than at the start (both voices)", regex=False).all()


@pytest.mark.parametrize("model", [MODEL, MIXED], ids=["customer", "mixed"])
def test_a_clip_without_a_start_is_compared_with_the_rest(tmp_path, model):
    said = {span: voice for span, voice in SAID.items() if span[0] >= 36}
    path = write(tmp_path / "call.wav", compose(said, replies=[]))
    evidence = find_evidence(path, model, converse(said, replies=[]))
    assert evidence["words"].str.contains("than in the rest of the speech").any()
    assert not evidence["words"].str.contains("start").any()


@pytest.mark.parametrize("at_s", [2.0, 26.0])
def test_a_short_call_is_one_segment_with_evidence_from_all_of_it(tmp_path, at_s):
    said = {(start_s, start_s + 2.0): {"pitch": 140} for start_s in (6.0, 10.0, 14.0, 22.0, 30.0)}
    said |= {(at_s, at_s + 2): {"pitch": 250, "gain_db": 6}}
    path = write(tmp_path / "call.wav", compose(said, duration_s=34, replies=[]))
    model = make_model(read=lambda path: read_customer(path, said))
    verdict = judge(path, model).argmax()
    evidence = find_evidence(path, model, converse(said, duration_s=34, replies=[]))
    assert STATUSES[verdict] != "satisfied"
    assert evidence.loc[0, "start_s"] == pytest.approx(at_s, abs=0.1)
    where = "at the start" if at_s > 17 else "in the rest of the speech"
    words = f"6 dB louder than {where}, voice 10 semitones higher"
    assert evidence.loc[0, "words"] == words


def test_an_only_utterance_has_nothing_to_be_compared_with(tmp_path):
    said = {(50, 52): {"pitch": 230}}
    path = write(tmp_path / "call.wav", compose(said, replies=[]))
    model = make_model(read=lambda path: read_customer(path, said))
    evidence = find_evidence(path, model, converse(said, replies=[]))
    assert list(evidence["words"]) == [NO_REFERENCE]


@pytest.mark.parametrize(
    "said",
    [
        {(5.0, 8.0): {"pitch": 140}},
        {(5.0, 8.0): {"pitch": 140}, (50.0, 50.4): {"pitch": 230}},
    ],
    ids=["silent end", "too short"],
)
def test_without_an_utterance_in_the_deciding_segment_there_is_no_evidence(tmp_path, said):
    path = write(tmp_path / "call.wav", compose(said, replies=[]))
    evidence = find_evidence(path, MODEL, converse(said, replies=[]))
    assert list(evidence.columns) == ["start_s", "end_s", "effect", "words"]
    assert evidence.empty


def test_where_all_clips_sound_alike_none_is_evidence(tmp_path):
    said = {span: {"pitch": 140, "semitones": 0.0} for span in SAID}
    path = write(tmp_path / "call.wav", compose(said, replies=[]))
    assert find_evidence(path, MODEL, converse(said, replies=[])).empty


def test_a_turn_across_the_beginning_of_the_segment_counts_from_there(tmp_path):
    said = {(5.0, 10.0): {"pitch": 140}, (33.0, 37.5): {"pitch": 230}, (50, 53): {"pitch": 140}}
    path = write(tmp_path / "call.wav", compose(said, replies=[]))
    model = make_model(read=lambda path: read_customer(path, said))
    evidence = find_evidence(path, model, converse(said, replies=[]))
    assert spans(evidence)[0] == pytest.approx((35.0, 37.5), abs=0.1)


def test_a_long_turn_is_cut_into_utterances(tmp_path):
    said = {(5.0, 10.0): {"pitch": 140}, (40.0, 50.0): {"pitch": 170}}
    path = write(tmp_path / "call.wav", compose(said, replies=[]))
    model = make_model(read=lambda path: read_customer(path, said))
    evidence = find_evidence(path, model, converse(said, replies=[]))
    lengths_s = evidence["end_s"] - evidence["start_s"]
    assert (lengths_s <= 3.51).all()
