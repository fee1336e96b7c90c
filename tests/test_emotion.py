import io
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.channel import simulate_telephone
from helpers.descriptors import MEL_BANDS, describe_frames
from helpers.emotion import (
    BASELINE_UTTERANCES,
    CHANNELS,
    LIGHT_SHARE,
    STRENGTH,
    UPSET,
    EmotionModel,
    LinearModel,
    fit_emotion_model,
    fit_frames,
    hear_corpus,
    load_emotion_model,
    read_frames,
    save_emotion_model,
    standardise,
    standardise_speakers,
    summarise_all,
)
from helpers.emotions import EMOTIONS
from helpers.errors import AudioError, CallEmotionError, ModelError
from helpers.functionals import FUNCTIONALS, summarise

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


def make_utterance(base_hz, *, pitch, darkness, tempo, seed, sampling_rate=8000) -> np.ndarray:
    """Make 0.6 s of a voice: higher, brighter and quicker by the manner of its emotion."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(0.6 * sampling_rate)) / sampling_rate
    pitch_hz = base_hz * pitch * generator.uniform(0.95, 1.05)
    first, second = generator.uniform(0, 2 * np.pi, 2)
    glide = 1 + 0.05 * np.sin(2 * np.pi * tempo * times + first)
    phase = 2 * np.pi * np.cumsum(pitch_hz * glide) / sampling_rate
    numbers = range(1, int(3300 / pitch_hz))
    waves = sum(np.sin(number * phase) / number**darkness for number in numbers)
    signal = waves * (0.55 + 0.45 * np.sin(2 * np.pi * tempo * times + second))
    signal = 0.4 * signal / np.abs(signal).max()
    return (signal + 0.001 * generator.standard_normal(len(times))).astype(np.float32)


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


def choose(variants, chosen) -> list[list]:
    return [[item for item, keep in zip(row, chosen, strict=True) if keep] for row in variants]


def recall(model: EmotionModel, probabilities: np.ndarray, table: pd.DataFrame) -> float:
    return float(np.mean(model.classes_[probabilities.argmax(axis=1)] == table["emotion"]))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> pd.DataFrame:
    """Give 72 utterances: four speakers, three emotions."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), MANNERS)


@pytest.fixture(scope="module")
def heard(corpus) -> list[list]:
    with joblib.parallel_config("sequential"):
        return hear_corpus(corpus)


@pytest.fixture(scope="module")
def model(corpus, heard) -> EmotionModel:
    """Give a light model that has never heard `UNSEEN`."""
    known = corpus["speaker"] != UNSEEN
    return fit_frames(corpus[known], choose(heard, known), networks=0)


@pytest.fixture(scope="module")
def unseen(corpus) -> pd.DataFrame:
    return corpus[corpus["speaker"] == UNSEEN].reset_index(drop=True)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "emotions.npz"
    save_emotion_model(path, model)
    return path


@pytest.fixture
def no_torch(monkeypatch) -> None:
    """Let Python find no PyTorch, installed or not."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "helpers.network", raising=False)


def make_features(classes: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(120) % classes)
    places, scales = generator.normal(0, 50, 30), 10 ** generator.uniform(-3, 3, 30)
    features = generator.standard_normal((120, 30)) + 0.7 * generator.random((classes, 30))[labels]
    features[:, 3] = 0
    return features * scales + places, labels


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_the_linear_model_is_the_pipeline_of_scikit_learn(classes):
    features, labels = make_features(classes)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
    expected = pipeline.fit(features, labels).predict_log_proba(features)
    found = LinearModel.fit(features, labels).log_proba(features)
    assert found.shape == (120, classes)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.std(found) > 0.1


def test_the_linear_model_of_functionals_is_the_pipeline_of_scikit_learn(corpus, heard):
    features, labels = summarise_all(heard[0]), corpus["emotion"].to_numpy()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
    expected = pipeline.fit(features, labels).predict_proba(summarise_all(heard[2]))
    numbers = np.unique(labels, return_inverse=True)[1]
    found = np.exp(LinearModel.fit(features, numbers).log_proba(summarise_all(heard[2])))
    np.testing.assert_allclose(found, expected, atol=1e-3)


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


def test_a_corpus_is_heard_through_every_line(corpus, heard):
    assert [len(variant) for variant in heard] == [len(corpus)] * len(CHANNELS)
    signal, _ = soundfile.read(corpus["path"][5], dtype="float32")
    for name, expected in (("telephone", simulate_telephone(signal, 8000)), ("clean", signal)):
        frames = heard[CHANNELS.index(name)][5]
        np.testing.assert_array_equal(frames.values, describe_frames(expected, 8000).values)
    drawn = [frames.level_db for frames in heard[CHANNELS.index("random")]]
    assert len(set(drawn)) == len(corpus)


def test_a_corpus_sounds_the_same_heard_in_several_processes(corpus, heard):
    several = corpus[:8]
    for found, expected in zip(hear_corpus(several), heard, strict=True):
        for one, other in zip(found, expected[:8], strict=True):
            np.testing.assert_array_equal(one.values, other.values)


def test_the_emotions_are_in_their_own_order(corpus, heard, model):
    shuffled = np.random.default_rng(0).permutation(len(corpus))
    table = corpus.iloc[shuffled]
    variants = [[variant[row] for row in shuffled] for variant in heard[:1]]
    for each in (model, fit_frames(table, variants, networks=0)):
        assert each.classes_.tolist() == ["neutral", "sad", "angry"]
    names = [emotion.name for emotion in EMOTIONS]
    assert sorted(model.classes_, key=names.index) == model.classes_.tolist()


def test_two_and_nine_emotions_are_told_apart(heard, corpus):
    for count in (2, 9):
        names = [emotion.name for emotion in EMOTIONS[:count]]
        table = corpus.assign(emotion=np.resize(names, len(corpus)))
        found = fit_frames(table, heard[:1], networks=0)
        assert found.classes_.tolist() == names
        probabilities = found.predict_frames(heard[0])
        assert probabilities.shape == (len(corpus), count)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("own_baseline", [False, True])
def test_probabilities_are_positive_and_sum_to_1(model, corpus, own_baseline):
    speakers = corpus["speaker"] if own_baseline else None
    probabilities = model.predict_proba(corpus["path"], speakers=speakers)
    assert probabilities.shape == (len(corpus), 3)
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("own_baseline", [False, True])
def test_an_unseen_speaker_is_judged_far_better_than_by_chance(
    model, corpus, heard, unseen, channel, own_baseline
):
    frames = choose(heard, corpus["speaker"] == UNSEEN)[channel]
    speakers = unseen["speaker"] if own_baseline else None
    assert recall(model, model.predict_frames(frames, speakers=speakers), unseen) > 0.9


def test_the_own_baseline_helps_where_voices_differ_more_than_emotions(tmp_path):
    table = write_corpus(tmp_path, ONLY_PITCH)
    frames = read_frames(table["path"])
    alone, against_own = [], []
    for speaker in SPEAKERS:
        known = table["speaker"] != speaker
        fitted = fit_frames(table[known], choose([frames], known), networks=0)
        own = choose([frames], ~known)[0]
        alone.append(recall(fitted, fitted.predict_frames(own), table[~known]))
        probabilities = fitted.predict_frames(own, speakers=[speaker] * len(own))
        against_own.append(recall(fitted, probabilities, table[~known]))
    assert np.mean(against_own) > 0.9
    assert np.mean(alone) < 0.75


def test_one_voice_among_several_is_judged_as_if_it_were_alone(model, corpus, unseen):
    together = model.predict_proba(corpus["path"], speakers=corpus["speaker"])
    own = model.predict_proba(unseen["path"], speakers=["any name"] * len(unseen))
    np.testing.assert_allclose(together[corpus["speaker"] == UNSEEN], own, atol=1e-5)


def test_speakers_with_few_utterances_are_judged_alone(model, unseen):
    paths = unseen["path"][:12]
    few, enough = BASELINE_UTTERANCES - 1, BASELINE_UTTERANCES
    alone = model.predict_proba(paths)
    names = ["few"] * few + ["enough"] * enough + list("xyz")
    found = model.predict_proba(paths, speakers=names)
    is_enough = np.array(names) == "enough"
    np.testing.assert_array_equal(found[~is_enough], alone[~is_enough])
    assert (found[is_enough] != alone[is_enough]).all()


def test_the_order_of_recordings_does_not_matter(model, corpus):
    order = np.random.default_rng(3).permutation(len(corpus))
    for speakers in (None, corpus["speaker"].to_numpy()):
        expected = model.predict_proba(corpus["path"], speakers=speakers)
        shuffled = model.predict_proba(
            corpus["path"].to_numpy()[order], speakers=None if speakers is None else speakers[order]
        )
        np.testing.assert_allclose(shuffled, expected[order], atol=1e-5)


@pytest.mark.parametrize("make", [list, tuple, iter, pd.Series, lambda paths: map(str, paths)])
def test_paths_may_be_any_iterable(model, unseen, make):
    expected = model.predict_proba(list(unseen["path"][:2]))
    np.testing.assert_array_equal(model.predict_proba(make(unseen["path"][:2])), expected)


@pytest.mark.parametrize("speakers", [None, []])
def test_no_recordings_give_no_rows(model, speakers):
    assert model.predict_proba([], speakers=speakers).shape == (0, 3)
    assert model.predict_upset([], speakers=speakers).shape == (0,)


def test_upset_is_the_sum_over_the_emotions_of_an_upset_voice(model, unseen):
    assert set(UPSET) == {"sad", "angry", "fearful", "disgust"}
    for speakers in (None, unseen["speaker"]):
        probabilities = model.predict_proba(unseen["path"], speakers=speakers)
        expected = probabilities[:, 1] + probabilities[:, 2]
        upset = model.predict_upset(unseen["path"], speakers=speakers)
        np.testing.assert_allclose(upset, expected, rtol=1e-6)
        np.testing.assert_allclose(model.upset(probabilities), expected, rtol=1e-6)
        is_upset = unseen["emotion"] != "neutral"
        assert upset[is_upset].min() > upset[~is_upset].max()


@pytest.mark.parametrize(
    "sampling_rate, channels, subtype",
    [
        (8000, 1, "ULAW"),
        (8000, 2, "PCM_16"),
        (16_000, 1, "PCM_16"),
        (44_100, 1, "FLOAT"),
        (44_100, 2, "PCM_24"),
    ],
)
def test_recordings_of_any_kind_are_judged(model, tmp_path, sampling_rate, channels, subtype):
    paths = []
    for emotion, manner in MANNERS.items():
        signal = make_utterance(140, **manner, seed=5, sampling_rate=sampling_rate)
        paths.append(tmp_path / f"{emotion}.wav")
        sound = np.stack([signal] * channels, axis=1)
        soundfile.write(paths[-1], sound, sampling_rate, subtype=subtype)
    probabilities = model.predict_proba(paths)
    assert model.classes_[probabilities.argmax(axis=1)].tolist() == list(MANNERS)


@pytest.mark.parametrize("samples", [1, 2, 100, 3000])
@pytest.mark.parametrize("sampling_rate", [8000, 44_100])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_recordings_with_nothing_to_hear_get_probabilities_too(
    model, tmp_path, samples, sampling_rate, value
):
    soundfile.write(tmp_path / "call.wav", np.full(samples, value), sampling_rate)
    assert model.predict_proba([tmp_path / "call.wav"]).sum() == pytest.approx(1)
    with joblib.parallel_config("sequential"):
        table = pd.DataFrame({"path": [tmp_path / "call.wav"] * 2, "emotion": ["sad", "angry"]})
        assert len(hear_corpus(table.assign(speaker="a"))[0]) == 2


def test_recordings_of_8_khz_are_taken_as_they_are(unseen):
    signal, _ = soundfile.read(unseen["path"][0], dtype="float32")
    found = read_frames([unseen["path"][0]])[0]
    np.testing.assert_array_equal(found.values, describe_frames(signal, 8000).values)


def test_functionals_are_stacked(heard):
    matrix = summarise_all(heard[0][:3])
    assert (matrix.shape, matrix.dtype) == ((3, len(FUNCTIONALS)), np.float32)
    np.testing.assert_array_equal(matrix[1], summarise(heard[0][1]))
    assert summarise_all([]).shape == (0, len(FUNCTIONALS))


@pytest.mark.parametrize("telephone", [True, False])
def test_a_model_is_fitted_to_a_table_in_one_call(corpus, unseen, telephone):
    known = corpus[corpus["speaker"] != UNSEEN]
    with joblib.parallel_config("sequential"):
        variants = hear_corpus(known[::2], telephone=telephone)
        fitted = fit_emotion_model(known[::2], telephone=telephone, networks=0)
    assert len(variants) == (len(CHANNELS) if telephone else 1)
    assert fitted.networks == ()
    probabilities = fitted.predict_proba(unseen["path"])
    assert recall(fitted, probabilities, unseen) > 0.9
    again = fit_frames(known[::2], variants, networks=0)
    np.testing.assert_array_equal(again.predict_proba(unseen["path"]), probabilities)


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
    table = change(corpus)
    for fit in (fit_emotion_model, lambda table: fit_frames(table, heard), hear_corpus):
        with pytest.raises(CallEmotionError, match=sentence):
            fit(table)


def test_a_recording_that_is_missing_is_named_as_such(corpus, model):
    paths = [*corpus["path"][:2], "gone.wav"]
    with pytest.raises(AudioError, match="no such file"):
        model.predict_proba(paths)
    table = corpus[:8].assign(path="gone.wav")
    table.loc[0, "emotion"] = "sad"
    with joblib.parallel_config("sequential"), pytest.raises(AudioError, match="no such file"):
        fit_emotion_model(table)


def test_a_model_comes_back_from_its_file(model, saved, corpus, heard):
    loaded = load_emotion_model(saved)
    assert loaded.classes_.tolist() == model.classes_.tolist()
    assert loaded.networks == ()
    for speakers in (None, corpus["speaker"]):
        expected = model.predict_frames(heard[1], speakers=speakers)
        found = loaded.predict_frames(heard[1], speakers=speakers)
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_model_of_full_size_keeps_its_fingerprint_and_stays_below_5_mb(tmp_path, seed):
    generator = np.random.default_rng(seed)
    shape = (len(FUNCTIONALS), len(EMOTIONS))
    linear = [
        LinearModel(
            generator.normal(0, 0.01, shape).astype(np.float32),
            generator.normal(size=len(EMOTIONS)).astype(np.float32),
        )
        for _ in range(2)
    ]
    model = EmotionModel(np.array([emotion.name for emotion in EMOTIONS]), *linear)
    save_emotion_model(tmp_path / "emotions.npz", model)
    assert (tmp_path / "emotions.npz").stat().st_size < 5_000_000
    assert load_emotion_model(tmp_path / "emotions.npz").fingerprint == model.fingerprint


def test_another_model_has_another_fingerprint(model, corpus, heard):
    same = EmotionModel(model.classes_.copy(), model.alone, model.against_baseline)
    assert same.fingerprint == model.fingerprint
    other = fit_frames(corpus, heard, networks=0)
    renamed = EmotionModel(model.classes_[::-1], model.alone, model.against_baseline)
    assert len({model.fingerprint, other.fingerprint, renamed.fingerprint}) == 3


def test_the_file_holds_plain_arrays_and_is_written_the_same_each_time(model, saved, tmp_path):
    with np.load(saved, allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fU" for name in file.files)
    save_emotion_model(tmp_path / "again" / "emotions.npz", model)
    assert (tmp_path / "again" / "emotions.npz").is_file()
    with np.load(saved) as one, np.load(tmp_path / "again" / "emotions.npz") as other:
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])


def write_npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def write_npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def flip_the_middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def rewrite(content: bytes, **changes) -> bytes:
    with np.load(io.BytesIO(content)) as file:
        return write_npz(**{**file, **changes})


def rewrite_card(content: bytes, **changes) -> bytes:
    with np.load(io.BytesIO(content)) as file:
        card = json.loads(str(file["card"]))
    return rewrite(content, card=np.array(json.dumps({**card, **changes})))


DAMAGE = {
    "missing": lambda content: None,
    "empty": lambda content: b"",
    "text": lambda content: b"path,emotion\n",
    "the beginning": lambda content: content[:10],
    "cut off in the middle": lambda content: content[: len(content) // 2],
    "cut off at the end": lambda content: content[:-1],
    "one byte changed": flip_the_middle,
    "one array": lambda content: write_npy(np.zeros(3)),
    "other arrays": lambda content: write_npz(weights=np.zeros(3)),
    "only a card": lambda content: write_npz(card=np.load(io.BytesIO(content))["card"]),
    "a pickled card": lambda content: write_npz(card=np.array({"format": 1}, dtype=object)),
    "pickled weights": lambda content: rewrite(content, **{"alone.bias": np.array([print, 1])}),
    "no JSON": lambda content: rewrite(content, card=np.array("format 1")),
    "another JSON": lambda content: rewrite(content, card=np.array("[]")),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_file_is_refused(saved, tmp_path, damage):
    path = tmp_path / "emotions.npz"
    content = DAMAGE[damage](saved.read_bytes())
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"emotions\.npz .+: fit it again with notebook"):
        load_emotion_model(path)


@pytest.mark.parametrize("change", [{"format": 0}, {"format": None}, {"features": 180}])
def test_a_file_of_another_version_is_refused(saved, tmp_path, change):
    path = tmp_path / "emotions.npz"
    path.write_bytes(rewrite_card(saved.read_bytes(), **change))
    with pytest.raises(ModelError, match="was made by another version: fit it again with notebook"):
        load_emotion_model(path)


@pytest.mark.usefixtures("no_torch")
def test_without_pytorch_the_default_is_the_light_model(corpus, heard):
    assert fit_frames(corpus, heard[:1]).networks == ()


@pytest.mark.usefixtures("no_torch")
def test_networks_without_pytorch_say_what_to_install(corpus, heard, saved, tmp_path):
    sentence = r"needs PyTorch, which is not installed: pip install -r requirements-network\.txt"
    with pytest.raises(ImportError, match=sentence):
        fit_frames(corpus, heard[:1], networks=1)
    path = tmp_path / "emotions.npz"
    path.write_bytes(rewrite_card(saved.read_bytes(), networks=1))
    with pytest.raises(ImportError, match=sentence):
        load_emotion_model(path)


@pytest.fixture(scope="module")
def networked(corpus, heard) -> EmotionModel:
    """Give a model with two hardly trained networks."""
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install -r requirements-network.txt"
    )
    torch.set_num_threads(1)
    known = corpus["speaker"] != UNSEEN
    return fit_frames(corpus[known], choose(heard, known), networks=2, epochs=2)


def test_networks_differ_by_their_seed(networked):
    one, other = (network.arrays()["alone.weight"] for network in networked.networks)
    assert (one != other).mean() > 0.9


def test_pytorch_makes_one_network_the_default(networked, corpus, heard):
    assert len(networked.networks) == 2
    assert len(fit_frames(corpus, heard[:1], epochs=1).networks) == 1


@pytest.mark.parametrize("own_baseline", [False, True])
def test_light_and_network_are_averaged_in_the_logarithm(networked, unseen, own_baseline):
    frames = read_frames(unseen["path"])
    speakers = unseen["speaker"] if own_baseline else None
    light = networked.without_networks().predict_frames(frames, speakers=speakers)
    expected = light**LIGHT_SHARE
    for network in networked.networks:
        embeddings = network.embed([item.values[:MEL_BANDS] for item in frames])
        judge = network.predict_against_baseline if own_baseline else network.predict_proba
        expected = expected * judge(embeddings) ** 0.5
    expected /= expected.sum(axis=1, keepdims=True)
    found = networked.predict_frames(frames, speakers=speakers)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_light_part_is_what_a_light_model_learns(networked, model, unseen):
    light = networked.without_networks()
    assert light.networks == ()
    found, expected = (each.predict_proba(unseen["path"]) for each in (light, model))
    np.testing.assert_array_equal(found, expected)


def test_networks_judge_few_utterances_alone(networked, unseen):
    paths, names = unseen["path"][:9], ["few"] * 4 + ["enough"] * 5
    alone = networked.predict_proba(paths)
    found = networked.predict_proba(paths, speakers=names)
    np.testing.assert_array_equal(found[:4], alone[:4])
    assert (found[4:] != alone[4:]).all()


def test_the_order_of_recordings_does_not_matter_to_networks(networked, corpus):
    table = corpus[::3]
    order = np.random.default_rng(3).permutation(len(table))
    speakers, paths = table["speaker"].to_numpy(), table["path"].to_numpy()
    expected = networked.predict_proba(paths, speakers=speakers)
    shuffled = networked.predict_proba(paths[order], speakers=speakers[order])
    np.testing.assert_allclose(shuffled, expected[order], atol=1e-4)


def test_no_recordings_give_no_rows_with_networks_either(networked):
    assert networked.predict_proba([]).shape == (0, 3)


def test_networks_come_back_from_their_file(networked, unseen, tmp_path):
    path = tmp_path / "emotions.npz"
    save_emotion_model(path, networked)
    assert path.stat().st_size < 5_000_000
    loaded = load_emotion_model(path)
    assert len(loaded.networks) == 2
    assert loaded.fingerprint == networked.fingerprint
    for speakers in (None, unseen["speaker"]):
        expected = networked.predict_proba(unseen["path"], speakers=speakers)
        found = loaded.predict_proba(unseen["path"], speakers=speakers)
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_file_that_lacks_its_network_is_refused(networked, saved, tmp_path):
    assert networked.networks
    path = tmp_path / "emotions.npz"
    path.write_bytes(rewrite_card(saved.read_bytes(), networks=1))
    with pytest.raises(ModelError, match="is no emotion model: fit it again with notebook"):
        load_emotion_model(path)
