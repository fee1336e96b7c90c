from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.emotion import (
    BASELINE_UTTERANCES,
    LIGHT_SHARE,
    STRENGTH,
    UPSET,
    EmotionModel,
    LinearModel,
    check_table,
    fit_emotion_model,
    fit_heard,
    standardise,
    standardise_speakers,
)
from helpers.emotions import EMOTIONS
from helpers.errors import AudioError, CallEmotionError
from helpers.hearing import CLEAN, LINES, MU_LAW, Heard, hear_corpus, hear_recordings

SPEAKERS = {"Ada": 100.0, "Ben": 130.0, "Cem": 170.0, "Dora": 215.0}
UNSEEN = "Ben"
MANNERS = {
    "angry": {"pitch": 1.4, "darkness": 0.8, "tempo": 6.0},
    "neutral": {"pitch": 1.0, "darkness": 1.5, "tempo": 2.0},
    "sad": {"pitch": 0.85, "darkness": 2.2, "tempo": 1.2},
}
ONLY_PITCH = {
    "angry": {"pitch": 1.15, "darkness": 1.2, "tempo": 3.0},
    "sad": {"pitch": 0.87, "darkness": 1.2, "tempo": 3.0},
}


def make_utterance(base_hz, *, pitch, darkness, tempo, seed) -> np.ndarray:
    """Make 0.6 s of a voice at 8 kHz: higher, brighter and quicker by the manner of its emotion."""
    generator = np.random.default_rng(seed)
    times = np.arange(4800) / 8000
    pitch_hz = base_hz * pitch * generator.uniform(0.95, 1.05)
    first, second = generator.uniform(0, 2 * np.pi, 2)
    glide = 1 + 0.05 * np.sin(2 * np.pi * tempo * times + first)
    phase = 2 * np.pi * np.cumsum(pitch_hz * glide) / 8000
    numbers = range(1, int(3300 / pitch_hz))
    waves = sum(np.sin(number * phase) / number**darkness for number in numbers)
    signal = waves * (0.55 + 0.45 * np.sin(2 * np.pi * tempo * times + second))
    signal = 0.4 * signal / np.abs(signal).max()
    return (signal + 0.004 * generator.standard_normal(len(times))).astype(np.float32)


def write_corpus(folder: Path, manners, *, utterances: int = 6) -> pd.DataFrame:
    rows = []
    for speaker, base_hz in SPEAKERS.items():
        for emotion, manner in manners.items():
            for number in range(utterances):
                path = folder / f"{speaker}_{emotion}_{number}.wav"
                utterance = make_utterance(base_hz, **manner, seed=len(rows))
                soundfile.write(path, utterance, 8000, subtype="FLOAT")
                rows.append((path, emotion, speaker))
    return pd.DataFrame(rows, columns=["path", "emotion", "speaker"])


def take(heard: dict[str, Heard], chosen) -> dict[str, Heard]:
    return {line: each.take(np.flatnonzero(chosen)) for line, each in heard.items()}


def recall(model: EmotionModel, probabilities: np.ndarray, table: pd.DataFrame) -> float:
    return float(np.mean(model.classes_[probabilities.argmax(axis=1)] == table["emotion"]))


def make_regression():
    regression = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced")
    return make_pipeline(StandardScaler(), regression)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> pd.DataFrame:
    """Give 72 utterances: four speakers, three emotions."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), MANNERS)


@pytest.fixture(scope="module")
def heard(corpus) -> dict[str, Heard]:
    with joblib.parallel_config("sequential"):
        return hear_corpus(corpus["path"].tolist())


@pytest.fixture(scope="module")
def model(corpus, heard) -> EmotionModel:
    """Give a light model that has never heard `UNSEEN`."""
    known = corpus["speaker"] != UNSEEN
    return fit_heard(corpus[known], take(heard, known), networks=0)


@pytest.fixture(scope="module")
def unseen(corpus) -> pd.DataFrame:
    return corpus[corpus["speaker"] == UNSEEN].reset_index(drop=True)


@pytest.fixture(scope="module")
def networked(corpus, heard) -> EmotionModel:
    """Give a model with two hardly trained networks."""
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install -r requirements-network.txt"
    )
    torch.set_num_threads(1)
    known = corpus["speaker"] != UNSEEN
    return fit_heard(corpus[known], take(heard, known), networks=2, epochs=2)


@pytest.fixture(params=["light", "with networks"])
def either(request) -> EmotionModel:
    """Give a light model, and one with networks where there is PyTorch."""
    return request.getfixturevalue("model" if request.param == "light" else "networked")


def make_features(shares: list[int]) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(len(shares))
    labels = generator.permutation(np.repeat(np.arange(len(shares)), shares))
    places, scales = generator.normal(0, 50, 30), 10 ** generator.uniform(-3, 3, 30)
    means = 0.7 * generator.random((len(shares), 30))
    features = generator.standard_normal((len(labels), 30)) + means[labels]
    features[:, 3] = 0
    return features * scales + places, labels


@pytest.mark.parametrize("shares", [[60, 60], [110, 10], [40] * 3, [5, 100, 15], [*range(8, 24)]])
def test_the_linear_model_is_scikit_learns_in_which_rare_classes_weigh_as_much(shares):
    features, labels = make_features(shares)
    expected = make_regression().fit(features, labels).predict_log_proba(features)
    found = LinearModel.fit(features, labels).log_proba(features)
    assert found.shape == (len(labels), len(shares))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.std(found) > 0.05
    weighted = np.average(np.exp(found), axis=0, weights=1 / np.array(shares)[labels])
    np.testing.assert_allclose(weighted, 1 / len(shares), atol=2e-3)


def test_the_light_model_learns_from_every_line(corpus, heard):
    fitted = fit_heard(corpus, heard, networks=0)
    features = np.concatenate([line.features for line in heard.values()])
    labels = corpus["emotion"].tolist() * len(LINES)
    pipeline = make_regression().fit(features, labels)
    columns = [fitted.classes_.tolist().index(name) for name in pipeline.classes_]
    for line in heard.values():
        expected = pipeline.predict_proba(line.features)
        np.testing.assert_allclose(fitted.predict_heard(line)[:, columns], expected, atol=2e-3)
    clean = fit_heard(corpus, {CLEAN: heard[CLEAN]}, networks=0)
    assert np.abs(clean.predict_heard(line) - fitted.predict_heard(line)).max() > 0.05


@pytest.mark.filterwarnings("error")
def test_log_probabilities_far_out_stay_finite():
    linear = LinearModel(np.array([[1e3, -1e3, 0.0]]), np.zeros(3))
    np.testing.assert_allclose(np.exp(linear.log_proba(np.array([[50.0]]))), [[1, 0, 0]])
    assert np.isfinite(linear.log_proba(np.array([[50.0]]))).all()


def test_features_are_standardised_within_each_speaker():
    generator = np.random.default_rng(0)
    features = generator.normal([5, -20, 0], [1, 30, 0], (12, 3)).astype(np.float32)
    speakers = np.array(["b", "a"] * 6, dtype=object)
    found = standardise_speakers(features, speakers)
    for name in "ab":
        rows = speakers == name
        np.testing.assert_allclose(found[rows], standardise(features[rows]), rtol=1e-6)
        expected = StandardScaler().fit_transform(features[rows])
        np.testing.assert_allclose(found[rows], expected, atol=0.01)


@pytest.mark.parametrize("count", [2, 3, len(EMOTIONS)])
def test_emotions_are_in_their_own_order_whatever_the_tables(corpus, heard, count):
    names = [emotion.name for emotion in EMOTIONS[:count]]
    table = corpus.assign(emotion=np.resize(names[::-1], len(corpus)))
    fitted = fit_heard(table, {CLEAN: heard[CLEAN]}, networks=0)
    assert fitted.classes_.tolist() == names
    probabilities = fitted.predict_heard(heard[CLEAN])
    assert probabilities.shape == (len(corpus), count)
    assert recall(fitted, probabilities, table) > 0.7


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("own_baseline", [False, True])
def test_an_unseen_speaker_is_judged_far_better_than_by_chance(
    model, corpus, heard, unseen, line, own_baseline
):
    own = take(heard, corpus["speaker"] == UNSEEN)[line]
    speakers = unseen["speaker"] if own_baseline else None
    assert recall(model, model.predict_heard(own, speakers=speakers), unseen) > 0.85


def test_the_own_baseline_helps_where_voices_differ_more_than_emotions(tmp_path):
    table = write_corpus(tmp_path, ONLY_PITCH)
    heard = {CLEAN: hear_recordings(table["path"])}
    alone, against_own = [], []
    for speaker in SPEAKERS:
        known = table["speaker"] != speaker
        fitted = fit_heard(table[known], take(heard, known), networks=0)
        own = take(heard, ~known)[CLEAN]
        alone.append(recall(fitted, fitted.predict_heard(own), table[~known]))
        probabilities = fitted.predict_heard(own, speakers=[speaker] * len(own.features))
        against_own.append(recall(fitted, probabilities, table[~known]))
    assert np.mean(against_own) > 0.9
    assert np.mean(alone) < 0.75


@pytest.mark.parametrize("own_baseline", [False, True])
def test_probabilities_sum_to_1_in_any_order_of_recordings(either, corpus, heard, own_baseline):
    speakers = corpus["speaker"].to_numpy()
    order = np.random.default_rng(3).permutation(len(corpus))
    expected = either.predict_heard(heard[MU_LAW], speakers=speakers if own_baseline else None)
    assert expected.shape == (len(corpus), 3)
    assert (expected > 0).all()
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-6)
    shuffled = heard[MU_LAW].take(order)
    found = either.predict_heard(shuffled, speakers=speakers[order] if own_baseline else None)
    np.testing.assert_allclose(found, expected[order], atol=1e-4)


def test_one_voice_among_several_is_judged_as_if_it_were_alone(either, corpus, heard):
    rows = corpus["speaker"] == UNSEEN
    together = either.predict_heard(heard[CLEAN], speakers=corpus["speaker"])
    own = either.predict_heard(take(heard, rows)[CLEAN], speakers=["any name"] * rows.sum())
    np.testing.assert_allclose(together[rows], own, atol=1e-4)


def test_speakers_with_few_utterances_are_judged_alone(either, heard):
    few, enough = BASELINE_UTTERANCES - 1, BASELINE_UTTERANCES
    names = np.array(["few"] * few + ["enough"] * enough + list("xyz"))
    some = heard[CLEAN].take(range(0, 6 * len(names), 6))
    alone, found = either.predict_heard(some), either.predict_heard(some, speakers=names)
    is_enough = names == "enough"
    np.testing.assert_array_equal(found[~is_enough], alone[~is_enough])
    assert (found[is_enough] != alone[is_enough]).any(axis=1).all()


@pytest.mark.parametrize("speakers", [None, []])
@pytest.mark.parametrize("fixture", ["model", "networked"])
def test_no_recordings_give_no_rows(request, fixture, speakers):
    judge = request.getfixturevalue(fixture)
    assert judge.predict_proba([], speakers=speakers).shape == (0, 3)
    assert judge.predict_upset([], speakers=speakers).shape == (0,)


@pytest.mark.parametrize("make", [list, tuple, iter, pd.Series, lambda paths: map(str, paths)])
def test_paths_may_be_any_iterable(model, corpus, heard, unseen, make):
    rows = corpus["speaker"] == UNSEEN
    expected = model.predict_heard(take(heard, rows)[CLEAN], speakers=unseen["speaker"])
    found = model.predict_proba(make(unseen["path"]), speakers=unseen["speaker"])
    np.testing.assert_array_equal(found, expected)


def test_upset_is_the_sum_over_the_emotions_of_an_upset_voice(model, unseen):
    assert set(UPSET) == {"sad", "angry", "fearful", "disgust"}
    assert model.classes_.tolist() == ["neutral", "sad", "angry"]
    is_upset = unseen["emotion"] != "neutral"
    for speakers in (None, unseen["speaker"]):
        probabilities = model.predict_proba(unseen["path"], speakers=speakers)
        upset = model.predict_upset(unseen["path"], speakers=speakers)
        np.testing.assert_allclose(upset, probabilities[:, 1] + probabilities[:, 2], rtol=1e-6)
        np.testing.assert_array_equal(model.upset(probabilities), upset)
        assert upset[is_upset].min() > upset[~is_upset].max()


@pytest.mark.parametrize("telephone", [True, False])
def test_a_model_is_fitted_to_a_table_in_one_call(corpus, heard, telephone):
    known = range(0, len(corpus), 6)
    with joblib.parallel_config("sequential"):
        lines = hear_corpus(corpus["path"].iloc[known].tolist(), telephone=telephone)
        fitted = fit_emotion_model(corpus.iloc[known], telephone=telephone, networks=0)
    again = fit_heard(corpus.iloc[known], lines, networks=0)
    assert fitted.networks == ()
    found, expected = (each.predict_heard(heard[MU_LAW]) for each in (fitted, again))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda table: table.drop(columns="path"), r"lacks \['path'\]; expected path, emotion and"),
        (lambda table: table[["path"]], r"the table lacks \['emotion', 'speaker'\]"),
        (lambda table: table[table["emotion"] == "sad"], r"holds \['sad'\]; expected two emotions"),
        (lambda table: table[:0], r"holds \[\]; expected two emotions or more"),
    ],
)
def test_a_table_that_teaches_nothing_is_refused(corpus, heard, change, sentence):
    check_table(corpus)
    for fit in (fit_emotion_model, lambda table: fit_heard(table, heard), check_table):
        with pytest.raises(CallEmotionError, match=sentence):
            fit(change(corpus))


def test_a_recording_that_is_missing_is_named_as_such(corpus, model):
    paths = [*corpus["path"][:2], "gone.wav"]
    with pytest.raises(AudioError, match="no such file"):
        model.predict_proba(paths)
    table = pd.DataFrame({"path": paths, "emotion": ["sad", "sad", "angry"], "speaker": "a"})
    with joblib.parallel_config("sequential"), pytest.raises(AudioError, match="no such file"):
        fit_emotion_model(table)


@pytest.mark.usefixtures("no_torch")
def test_without_pytorch_the_light_model_is_the_default_and_networks_name_what_to_install(
    corpus, heard
):
    assert fit_heard(corpus, {CLEAN: heard[CLEAN]}).networks == ()
    with pytest.raises(ImportError, match=r"needs PyTorch.+ -r requirements-network\.txt"):
        fit_heard(corpus, {CLEAN: heard[CLEAN]}, networks=1)


def test_networks_are_one_by_default_and_differ_by_their_seed(networked, corpus, heard):
    one, other = (network.arrays()["alone.weight"] for network in networked.networks)
    assert (one != other).mean() > 0.9
    assert len(fit_heard(corpus, {CLEAN: heard[CLEAN]}, epochs=1).networks) == 1


@pytest.mark.parametrize("own_baseline", [False, True])
def test_light_and_network_are_averaged_in_the_logarithm(
    networked, model, corpus, heard, unseen, own_baseline
):
    own = take(heard, corpus["speaker"] == UNSEEN)[MU_LAW]
    speakers = unseen["speaker"] if own_baseline else None
    light = networked.without_networks()
    assert light.networks == ()
    expected = light.predict_heard(own, speakers=speakers)
    np.testing.assert_array_equal(expected, model.predict_heard(own, speakers=speakers))
    expected = expected**LIGHT_SHARE
    for network in networked.networks:
        judge = network.predict_against_baseline if own_baseline else network.predict_proba
        expected = expected * judge(network.embed(own.spectra)) ** 0.5
    expected /= expected.sum(axis=1, keepdims=True)
    found = networked.predict_heard(own, speakers=speakers)
    np.testing.assert_allclose(found, expected, atol=1e-4)
