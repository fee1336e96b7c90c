import json
import sys
from functools import partial

import numpy as np
import pytest
import soundfile

from helpers import model_store
from helpers.audio import open_recording
from helpers.corpora import load_corpus
from helpers.errors import AudioError, CallEmotionError, ModelError
from helpers.model_store import load_version, read_card
from helpers.workspace import SAMPLE_DATA
from helpers.zoo import verify
from helpers.zoo.described_corpus import LINES, TELEPHONE, WIDE_BAND, DescribedCorpus
from helpers.zoo.feature_sets import CLASSIC_UTTERANCE, OVER_TIME, SIMPLE
from helpers.zoo.models import FRAMES, find_model, list_models
from helpers.zoo.store import fit_zoo_model, list_zoo_models, predict_emotions, store_zoo_model
from helpers.zoo.verify import CLIP_RATE, CLIP_S, main, make_clip, verify_models

QUICK = "logistic regression"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Give the sample's voices, every second sentence of three emotions."""
    table = load_corpus(SAMPLE_DATA / "voices")
    table = table[table["emotion"].isin(["angry", "neutral", "sad"])].iloc[::2]
    return DescribedCorpus(table, folder=tmp_path_factory.mktemp("zoo"), jobs=1)


def store(workspace, corpus, name=QUICK, **scores):
    feature_set = OVER_TIME if find_model(name).takes == FRAMES else SIMPLE
    model = fit_zoo_model(corpus, name, feature_set=feature_set)
    return store_zoo_model(workspace, model, corpus, scores=scores)


@pytest.mark.parametrize("name", list_models())
def test_every_model_trains_stores_verifies_and_predicts(name, workspace, corpus):
    stored = store(workspace, corpus, name)
    path = corpus.table["path"].iloc[0]
    answer = predict_emotions([path], workspace=workspace, version=stored.version)
    again = load_version(workspace.zoo, stored.version)
    features = corpus.describe(stored.feature_set, WIDE_BAND)
    np.testing.assert_allclose(again.predict_proba(features), stored.predict_proba(features))
    assert answer[list(again.classes)].sum(axis=1).tolist() == pytest.approx([1], abs=1e-5)
    table = verify_models(workspace)
    assert table["model"].tolist() == [f"zoo/{stored.version}"]
    assert table["error"].tolist() == [""]


@pytest.mark.parametrize(("line", "rate"), [(TELEPHONE, 8000), (WIDE_BAND, 48_000)])
def test_a_model_hears_a_recording_through_the_line_it_was_fitted_for(
    line, rate, workspace, corpus, tmp_path
):
    model = fit_zoo_model(corpus, QUICK, feature_set=CLASSIC_UTTERANCE, line=line)
    stored = store_zoo_model(workspace, model, corpus, line=line)
    path = tmp_path / "wide.wav"
    time = np.arange(48_000) / 48_000
    voice = 0.1 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 9000 * time)
    soundfile.write(path, voice, 48_000)
    call = load_version(workspace.zoo, stored.version).feature_set.read(path)
    assert call.sampling_rate == rate
    told = predict_emotions([path], workspace=workspace, version=stored.version)
    expected = model.predict_proba(LINES[line](CLASSIC_UTTERANCE).describe(call))[0]
    assert told[list(model.classes)].to_numpy()[0] == pytest.approx(expected, abs=1e-5)


def test_the_same_model_is_stored_once(workspace, corpus):
    assert store(workspace, corpus).version == store(workspace, corpus).version
    assert store(workspace, corpus, "SVM").version.startswith("0002-")
    assert list_zoo_models(workspace)["model"].tolist() == [QUICK, "SVM"]


def test_the_card_says_what_it_is_when_to_pick_it_and_how_well_it_hears(workspace, corpus):
    figures = {"uar": 0.61, "low": 0.5, "high": 0.7, "upset_uar": 0.8, "random_uar": 0.75}
    stored = store(workspace, corpus, **figures)
    text = (workspace.zoo.models / stored.version / "MODEL_CARD.md").read_text()
    entry = find_model(QUICK)
    expected = [entry.what, entry.pick, "UAR 0.61", "0.50 to 0.70", "would give 0.75", "| sad |"]
    assert [words for words in expected if words not in text] == []
    assert "48 recordings of 8 speakers" in text.replace("\n", " ")
    assert list_zoo_models(workspace)["uar"].tolist() == [0.61]


def test_a_card_without_scores_says_so_until_they_come(workspace, corpus):
    stored = store(workspace, corpus)
    card = workspace.zoo.models / stored.version / "MODEL_CARD.md"
    assert "It was not scored" in card.read_text() and "UAR" not in card.read_text()
    figures = {"uar": 0.5, "low": 0.4, "high": 0.6, "random_uar": np.nan, "features_tried": 3}
    assert store(workspace, corpus, **figures).version == stored.version
    assert "UAR 0.50" in card.read_text() and "random" not in card.read_text()
    assert "the best of 3 on these very speakers" in card.read_text()
    assert "NaN" not in (card.parent / "card.json").read_text()
    store(workspace, corpus)
    assert "UAR 0.50" in card.read_text()


def test_a_damaged_version_is_stored_anew(workspace, corpus):
    first = store(workspace, corpus)
    path = workspace.zoo.models / first.version / "model.skops"
    path.write_bytes(path.read_bytes()[:-20])
    assert store(workspace, corpus).version.startswith("0002-")


def test_a_silent_recording_is_refused_with_its_name(workspace, corpus, tmp_path):
    stored = store(workspace, corpus)
    path = tmp_path / "nothing.wav"
    soundfile.write(path, np.zeros(8000), 8000, subtype="ULAW")
    with pytest.raises(AudioError, match=r"nothing\.wav: silent"):
        predict_emotions([path], workspace=workspace, version=stored.version)


def test_the_zoo_of_a_workspace_leaves_its_calls_alone(workspace, corpus):
    store(workspace, corpus)
    assert not workspace.models.exists()
    with pytest.raises(ModelError, match="no usable version"):
        load_version(workspace, "0001-00000000")


def test_a_recording_no_model_has_met_is_judged(workspace, corpus, tmp_path):
    stored = store(workspace, corpus)
    path = tmp_path / "voice.wav"
    soundfile.write(path, make_clip()[: 2 * CLIP_RATE], CLIP_RATE, subtype="ULAW")
    table = predict_emotions([path, path], workspace=workspace, version=stored.version)
    assert list(table.columns) == ["path", "emotion", "angry", "neutral", "sad"]
    assert table["emotion"].nunique() == 1 and len(table) == 2
    assert predict_emotions([], workspace=workspace, version=stored.version).empty


def test_an_unknown_model_is_refused_before_anything_is_described(corpus):
    with pytest.raises(CallEmotionError, match="no model 'oracle' in the zoo"):
        fit_zoo_model(corpus, "oracle")


class TestVerify:
    def test_the_models_of_calls_and_of_emotions_are_looked_at(self, trained):
        table = verify_models(trained)
        assert "status of calls" in table["kind"].tolist()
        assert (table["error"] == "").all()

    def test_a_damaged_model_is_named_with_what_to_do(self, workspace, corpus, capsys):
        stored = store(workspace, corpus)
        store(workspace, corpus, "SVM")
        path = workspace.zoo.models / stored.version / "model.skops"
        path.write_bytes(path.read_bytes()[:-20])
        assert main([str(workspace.folder)]) == 1
        assert "is not the file this project wrote" in capsys.readouterr().out
        assert (verify_models(workspace)["error"] == "").tolist() == [False, True]

    def test_features_that_are_gone_are_named(self, workspace, corpus):
        stored = store(workspace, corpus)
        path = workspace.zoo.models / stored.version / "card.json"
        card = {**read_card(workspace.zoo, stored.version), "feature_set": "embedding-gone-all"}
        card["digest"] = model_store._digest(card)
        path.write_text(json.dumps(card))
        assert "cannot describe recordings" in verify_models(workspace)["error"].iloc[0]

    def test_a_package_that_is_gone_is_named(self, workspace, corpus, monkeypatch):
        store(workspace, corpus, "gradient boosting")
        monkeypatch.setitem(sys.modules, "helpers.zoo.boosting", None)
        error = verify_models(workspace)["error"].iloc[0]
        assert "it needs helpers.zoo.boosting, which make zoo installs" in error
        assert "fit it again with notebook 11" in error

    def test_an_empty_workspace_has_nothing_to_verify(self, workspace, capsys):
        assert main([str(workspace.folder)]) == 0
        assert "no model is stored here yet" in capsys.readouterr().out

    def test_a_folder_that_is_not_there_is_refused(self, tmp_path, capsys):
        assert main([str(tmp_path / "none")]) == 2
        assert "is no folder" in capsys.readouterr().err

    def test_a_clip_of_ones_own_is_judged(self, workspace, corpus, tmp_path):
        stored = store(workspace, corpus)
        path = corpus.table["path"].iloc[0]
        answer = verify_models(workspace, clip=path)["answer"].iloc[0].split()[0]
        told = predict_emotions([path], workspace=workspace, version=stored.version)
        assert answer == told["emotion"].iloc[0]

    def test_answers_that_are_no_probabilities_are_an_error(self, workspace, corpus, monkeypatch):
        store(workspace, corpus)
        monkeypatch.setattr(verify.np, "isclose", partial(lambda *_: False), raising=True)
        assert "expected shares of 1" in verify_models(workspace)["error"].iloc[0]

    def test_the_clip_is_a_voice_like_sound_of_its_length(self, tmp_path):
        path = tmp_path / "clip.wav"
        soundfile.write(path, make_clip(), CLIP_RATE, subtype="ULAW")
        with open_recording(path) as recording:
            assert recording.duration_s == pytest.approx(CLIP_S)
        assert 0.1 < np.abs(make_clip()).max() < 1
        np.testing.assert_array_equal(make_clip(), make_clip())
