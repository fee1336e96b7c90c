import math
from statistics import fmean

import joblib
import numpy as np
import pytest
import soundfile
from conftest import VOICE_PITCHES, make_voice, write_call, write_voices

from helpers.call_emotions import (
    ACTED_BANNER,
    POOLS,
    STRONGEST,
    emotion_feature_set,
    pool_emotions,
    score_upset,
)
from helpers.corpora import load_corpus
from helpers.emotion import EmotionModel, fit_emotion_model
from helpers.features import PHONE, CallSegments, call_features
from helpers.hearing import hear_signals
from helpers.segments import Segment
from helpers.turns import find_turns


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> EmotionModel:
    corpus = load_corpus(write_voices(tmp_path_factory.mktemp("corpus")))
    with joblib.parallel_config("sequential"):
        return fit_emotion_model(corpus, networks=0)


def make_talk(emotions: str, *, sampling_rate=8000, seed=50) -> np.ndarray:
    """Make seconds of speech, each followed by one of silence: n(eutral), s(ad) or a(ngry)."""
    pitches = {name[0]: 150 * factor for name, factor in VOICE_PITCHES.items()}
    silence = np.zeros(sampling_rate, np.float32)
    seconds = [
        make_voice(1, sampling_rate=sampling_rate, seed=seed + number, pitch=pitches[letter])
        for number, letter in enumerate(emotions)
    ]
    return np.concatenate([part for second in seconds for part in (second, silence)])


def judge(model: EmotionModel, signal: np.ndarray) -> np.ndarray:
    """Give each turn's probabilities, and `upset` last."""
    rows = []
    for turn in find_turns(signal, 8000):
        start, end = (round(8000 * edge_s) for edge_s in turn)
        answer = model.predict_heard(hear_signals([signal[start:end]]))[0]
        of = dict(zip(model.classes_, answer, strict=True))
        rows.append([*answer, of["sad"] + of["angry"]])
    return np.array(rows)


def pool_by_hand(turns: list[float], whole: list[float]) -> dict[str, float]:
    logs, whole_logs = ([math.log(answer + 1e-3) for answer in each] for each in (turns, whole))
    return {
        "mean": fmean(turns),
        "highest": max(turns),
        "strongest_mean": fmean(sorted(turns)[-STRONGEST:]),
        "mean_against_call": fmean(turns) - fmean(whole),
        "log_mean": fmean(logs),
        "log_mean_against_call": fmean(logs) - fmean(whole_logs),
    }


def as_call(signals, sampling_rate=8000, baseline=None):
    return CallSegments((), signals, sampling_rate, baseline)


def test_of_the_baseline_each_segment_has_the_turns_inside_it(model):
    baseline = make_talk("nnsaa")
    middle_s = len(baseline) / 8000 * 0.6
    segments = (Segment("start", 0.0, middle_s), Segment("end", middle_s, 60.0))
    cut = round(middle_s * 8000)
    call = CallSegments(segments, [baseline[:cut], baseline[cut:]], 8000, baseline)
    found = pool_emotions(model, call)
    answers = judge(model, baseline)
    columns = len(model.classes_) + 1
    np.testing.assert_allclose(found[0, :columns], answers[:3].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found[1, :columns], answers[3:].mean(axis=0), atol=1e-5)
    against = found[:, 3 * columns : 4 * columns]
    np.testing.assert_allclose(against, found[:, :columns] - answers.mean(axis=0), atol=1e-5)


def test_a_segment_without_any_turn_of_the_baseline_is_judged_by_its_own_sound(model):
    baseline, other = make_talk("na"), make_talk("s")
    segments = (Segment("start", 100.0, 20.0),)
    found = pool_emotions(model, CallSegments(segments, [other], 8000, baseline))
    columns = len(model.classes_) + 1
    np.testing.assert_allclose(found[0, :columns], judge(model, other).mean(axis=0), atol=1e-5)


def test_answers_are_summed_up_as_by_hand_under_the_names_of_the_feature_set(model):
    signals = [make_talk("nsn"), make_talk("anaasa", seed=70)]
    found = pool_emotions(model, as_call(signals))
    names = emotion_feature_set(model).names[len(PHONE.names) :]
    assert (found.shape, found.dtype) == ((2, len(names)), np.float32)
    answers = [judge(model, signal) for signal in signals]
    assert [len(each) > STRONGEST for each in answers] == [False, True]
    for row, answer in zip(found, answers, strict=True):
        expected = {
            f"emotion_{name}_{pool}": value
            for column, name in enumerate((*model.classes_, "upset"))
            for pool, value in pool_by_hand(
                answer[:, column].tolist(), np.concatenate(answers)[:, column].tolist()
            ).items()
        }
        assert dict(zip(names, row, strict=True)) == pytest.approx(expected, abs=1e-5)


def test_a_call_of_one_segment_does_not_differ_from_itself(model):
    found = pool_emotions(model, as_call([make_talk("na")])).reshape(len(POOLS), -1)
    for pool, values in zip(POOLS, found, strict=True):
        assert (np.abs(values).max() < 1e-6) == pool.endswith("against_call")


def test_what_is_shown_is_what_is_pooled(model):
    angry, neutral = pool_emotions(model, as_call([make_talk("aaa"), make_talk("nnn")]))
    names = emotion_feature_set(model).names[len(PHONE.names) :]
    for name in ("angry", "upset"):
        for pool in POOLS:
            column = names.index(f"emotion_{name}_{pool}")
            assert angry[column] > neutral[column] + 0.1


@pytest.mark.parametrize("sampling_rate", [16_000, 22_050, 44_100])
def test_another_sampling_rate_gives_nearly_the_same(model, sampling_rate):
    found, expected = (
        pool_emotions(model, as_call([make_talk("nas", sampling_rate=rate)], rate)).reshape(
            len(POOLS), -1
        )
        for rate in (sampling_rate, 8000)
    )
    np.testing.assert_allclose(found[0], expected[0], atol=0.1)


@pytest.mark.parametrize(("seconds", "segments"), [(8, 1), (25, 2)])
def test_calls_are_described_by_voice_and_emotions(model, tmp_path, seconds, segments):
    talk = make_talk(("na" * seconds)[:seconds])
    soundfile.write(tmp_path / "call.wav", talk, 8000, subtype="FLOAT")
    feature_set = emotion_feature_set(model)
    features = call_features(tmp_path / "call.wav", feature_set=feature_set)
    assert features.shape == (segments, len(feature_set.names))
    assert len(set(feature_set.names)) == len(feature_set.names)
    phone = call_features(tmp_path / "call.wav")
    np.testing.assert_array_equal(features[:, : len(PHONE.names)], phone)
    cuts = [talk] if segments == 1 else [talk[: 20 * 8000], talk[-25 * 8000 :]]
    np.testing.assert_array_equal(
        features[:, len(PHONE.names) :], pool_emotions(model, as_call(cuts))
    )


def test_another_model_is_another_feature_set(model):
    swapped = EmotionModel(model.classes_, model.against_baseline, model.alone)
    first, again, other = (emotion_feature_set(each).name for each in (model, model, swapped))
    assert first == again != other
    assert first.startswith(PHONE.name)


def test_the_call_that_ends_upset_comes_first(model, tmp_path):
    calls = {"neutral": "n" * 27, "calmed": "a" * 9 + "n" * 18, "upset": "n" * 15 + "a" * 12}
    for name, emotions in calls.items():
        soundfile.write(tmp_path / f"{name}.wav", make_talk(emotions), 8000, subtype="ULAW")
    table = score_upset([tmp_path / f"{name}.wav" for name in calls], model)
    assert table["path"][0] == str(tmp_path / "upset.wav")
    assert table["upset"][0] > 0.8 > 0.5 > table["upset"][1]
    assert table["upset"].is_monotonic_decreasing
    assert table["at_s"].between(54 - 25, 54).all()


@pytest.mark.parametrize("outburst", [0, 3, 6])
@pytest.mark.parametrize("sampling_rate", [8000, 16_000])
def test_the_most_upset_turn_is_where_it_is_heard(model, tmp_path, outburst, sampling_rate):
    emotions = "n" * outburst + "a" + "n" * (6 - outburst)
    talk = make_talk(emotions, sampling_rate=sampling_rate)
    soundfile.write(tmp_path / "call.wav", talk, sampling_rate)
    assert score_upset([tmp_path / "call.wav"], model)["at_s"][0] == pytest.approx(
        2 * outburst, abs=0.75
    )


def test_files_that_cannot_be_judged_come_last_with_a_reason(model, tmp_path):
    (tmp_path / "text.wav").write_text("this is not a recording")
    write_call(tmp_path / "short.wav", 0.5)
    good = write_call(tmp_path / "good.wav", 3)
    soundfile.write(tmp_path / "silent.wav", np.zeros(80_000), 8000)
    paths = [tmp_path / "missing.wav", tmp_path / "text.wav", good, tmp_path / "short.wav"]
    paths.append(tmp_path / "silent.wav")
    table = score_upset(paths, model)
    assert dict(zip(table["path"], table["error"], strict=True)) == {
        str(good): "",
        str(paths[0]): "no such file",
        str(paths[3]): "too short: 0.50 s; a call has at least 1 s",
        str(paths[1]): "text, not sound",
        str(paths[4]): "silent: nothing is heard in the segments that are judged",
    }
    assert table["path"][0] == str(good)
    assert table.loc[1:, ["upset", "at_s"]].isna().all(axis=None)


def test_the_banner_says_what_the_score_is_worth():
    for words in ("cold start", "acted speech alone", "25 to 50 %", "not to judge"):
        assert words in ACTED_BANNER
