import numpy as np
import pytest
from conftest import PITCHES, write_call, write_voices

from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.judges import EmotionJudge, VerdictJudge
from helpers.conversation.verdict import open_listener
from helpers.corpora import load_corpus
from helpers.emotion import fit_emotion_model
from helpers.emotion_store import save_emotion_model
from helpers.errors import AudioError, ModelError
from helpers.model_store import add_version, find_champion, load_champion
from helpers.prediction import predict_calls


@pytest.fixture
def call(tmp_path):
    return write_call(tmp_path / "call.wav", 50.0, pitch=PITCHES["unsatisfied"])


def test_a_verdict_is_the_one_that_notebooks_give(trained, call):
    verdict = open_listener(trained).judge_recording(call)
    expected = predict_calls(call, workspace=trained).iloc[0].to_dict()
    assert verdict.row == expected
    assert verdict.story.row["status"] == expected["status"]
    assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert max(verdict.probabilities, key=verdict.probabilities.get) == expected["status"]
    assert verdict.version == find_champion(trained)
    assert verdict.story.conversation.duration_s == pytest.approx(50)


def test_without_a_model_of_emotions_the_chosen_version_hears_the_mood(trained, call):
    listener = open_listener(trained, find_champion(trained))
    assert isinstance(listener.judge, VerdictJudge)
    assert listener.judge.model is listener.model
    assert listener.judge_recording(call).banner == ""


def test_acted_emotions_come_with_a_banner(trained, call, tmp_path):
    model = fit_emotion_model(load_corpus(write_voices(tmp_path / "corpus")), networks=0)
    save_emotion_model(trained.voice_emotions, model)
    listener = open_listener(trained)
    assert isinstance(listener.judge, EmotionJudge)
    assert listener.judge_recording(call).banner == ACTED_BANNER


def test_a_version_that_is_not_there_is_named(trained):
    with pytest.raises(ModelError, match="0009-nothing"):
        open_listener(trained, "0009-nothing")


def test_a_file_that_is_not_there_is_no_call(trained, call):
    listener = open_listener(trained)
    with pytest.raises(AudioError):
        listener.judge_recording(call.with_name("none.wav"))


def test_a_damaged_champion_leaves_other_versions_to_judge(trained, call):
    model = load_champion(trained)
    probes = np.zeros((3, len(model.feature_set.names)))
    other = add_version(trained, model, {}, probes=probes).version
    (trained.models / model.version / "model.skops").write_bytes(b"damaged")
    assert open_listener(trained, other).judge_recording(call).version == other
    with pytest.raises(ModelError):
        open_listener(trained)
