import numpy as np
import pandas as pd
import pytest
from conftest import PITCHES, snapshot, train, write_archive, write_call

from helpers.dataset import build_dataset
from helpers.features import PHONE
from helpers.model_store import RETRAINED, current_model, load_model, read_card
from helpers.prediction import predict_calls
from helpers.records import build_records
from helpers.retraining import (
    learn_from_form,
    list_form_calls,
    read_predictions,
    score_predictions,
)
from helpers.training import read_evaluations

SUFFIX = {"satisfied": "sat", "average": "avg", "unsatisfied": "unsat"}


def place(workspace, name, *, sounds, answer, duration_s=46.0, seed=50):
    """Put a call into `audio_data`, as notebook 05 does."""
    path = workspace.audio_data / f"{name}_{SUFFIX[answer]}.wav"
    return write_call(path, duration_s, seed=seed, pitch=PITCHES[sounds] * 1.01)


def test_without_calls_nothing_is_predicted_and_nothing_is_trained(trained):
    predictions, retraining = learn_from_form(trained)
    assert predictions.empty
    assert not retraining.happened
    assert retraining.reason == "no mismatch on a call longer than 45 s to learn from"
    assert np.array_equal(np.load(trained.feature_data_updated), np.load(trained.feature_data))


def test_an_agreement_is_no_reason_to_train(trained):
    place(trained, "a", sounds="satisfied", answer="satisfied")
    predictions, retraining = learn_from_form(trained)
    assert predictions[["mismatch", "retrained", "counted"]].to_numpy().tolist() == [
        [False, False, True]
    ]
    assert not retraining.happened
    assert not trained.model_files(RETRAINED)[0].exists()


def test_a_mismatch_adds_the_end_segment_with_the_answered_status(trained):
    path = place(trained, "a", sounds="satisfied", answer="unsatisfied")
    predictions, retraining = learn_from_form(trained)
    assert retraining.happened
    assert predictions.loc[0, ["end_status", "expected"]].tolist() == ["satisfied", "unsatisfied"]
    updated = np.load(trained.feature_data_updated)
    labels = np.load(trained.feature_labels_updated)
    assert updated.shape == (19, len(PHONE.names))
    assert labels[-1] == "unsatisfied"
    cached = trained.feature_cache / PHONE.name / f"{predictions['content_hash'][0]}.npy"
    assert np.array_equal(updated[-1], np.load(cached)[-1])
    assert predict_calls([path], workspace=trained)["status"].tolist() == ["unsatisfied"]


def test_the_first_model_is_left_alone(trained):
    before = [path.read_bytes() for path in trained.model_files("")]
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    learn_from_form(trained)
    assert [path.read_bytes() for path in trained.model_files("")] == before


@pytest.mark.parametrize(("duration_s", "learned"), [(45.0, False), (45.1, True)])
def test_only_calls_longer_than_45_seconds_are_learned_from(trained, duration_s, learned):
    place(trained, "a", sounds="satisfied", answer="unsatisfied", duration_s=duration_s)
    predictions, retraining = learn_from_form(trained)
    assert predictions["mismatch"].tolist() == [True]
    assert predictions["retrained"].tolist() == [learned]
    assert retraining.happened is learned


def test_a_second_run_with_nothing_new_changes_no_file(trained):
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    place(trained, "b", sounds="average", answer="average", seed=51)
    first, _ = learn_from_form(trained)
    before = snapshot(trained)
    second, retraining = learn_from_form(trained)
    assert snapshot(trained) == before
    assert retraining.reason == "nothing new since the last retraining"
    assert second.astype(str).equals(first.astype(str))


def test_a_verdict_stays_the_one_given_before_the_model_learned_from_the_call(trained):
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    first, _ = learn_from_form(trained)
    place(trained, "b", sounds="average", answer="average", seed=51)
    second, _ = learn_from_form(trained)
    assert second.loc[0, "end_status"] == first.loc[0, "end_status"] == "satisfied"
    assert second["model"].tolist() == [
        load_model(trained).version,
        load_model(trained, name=RETRAINED).version,
    ]
    assert score_predictions(second).accuracy == 0.5


def test_a_call_that_is_in_the_archive_too_is_judged_but_never_counted(trained):
    archived = pd.read_csv(trained.records).iloc[0]
    path = trained.audio_data / f"again_{SUFFIX[archived['status']]}.wav"
    path.parent.mkdir()
    path.write_bytes((trained.folder / archived["path"]).read_bytes())
    predictions, retraining = learn_from_form(trained)
    assert predictions[["unseen", "counted", "retrained"]].to_numpy().tolist() == [[False] * 3]
    assert score_predictions(predictions) is None
    assert not retraining.happened


def test_a_call_with_two_statuses_is_neither_learned_from_nor_counted(trained):
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    place(trained, "b", sounds="satisfied", answer="average")
    predictions, retraining = learn_from_form(trained)
    assert predictions[["disputed", "counted", "retrained"]].to_numpy().tolist() == [
        [True, False, False]
    ]
    assert not retraining.happened
    assert (pd.read_csv(trained.rejected_files)["reason"].str.startswith("conflict")).sum() == 2


def test_a_decision_ends_the_dispute(trained):
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    place(trained, "b", sounds="satisfied", answer="average")
    learn_from_form(trained)
    decisions = pd.read_csv(trained.decisions, keep_default_na=False, dtype=str)
    decisions.assign(decision="Unsatisfied").to_csv(trained.decisions, index=False)
    predictions, retraining = learn_from_form(trained)
    assert predictions["expected"].tolist() == ["unsatisfied"]
    assert retraining.happened


def test_a_corrected_answer_takes_the_segment_out_of_the_training_again(trained):
    path = place(trained, "a", sounds="satisfied", answer="unsatisfied")
    learn_from_form(trained)
    path.rename(path.with_name("a_sat.wav"))
    predictions, _ = learn_from_form(trained)
    assert predictions[["path", "expected", "mismatch"]].to_numpy().tolist() == [
        ["audio_data/a_sat.wav", "satisfied", False]
    ]
    assert np.load(trained.feature_data_updated).shape == (18, len(PHONE.names))
    assert current_model(trained).version == load_model(trained).version


def test_an_unfinished_retraining_is_finished_before_new_calls_are_judged(trained):
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    learn_from_form(trained)
    expected = load_model(trained, name=RETRAINED).version
    trained.model_files(RETRAINED)[0].write_bytes(b"half")
    place(trained, "b", sounds="average", answer="average", seed=51)
    predictions, retraining = learn_from_form(trained)
    assert predictions["model"].tolist()[1] == expected
    assert retraining.happened


def test_new_archived_calls_are_a_reason_to_train_again(trained, tmp_path):
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    learn_from_form(trained)
    before = load_model(trained, name=RETRAINED).version
    train(trained, write_archive(tmp_path / "more", customers=4))
    _, retraining = learn_from_form(trained)
    assert retraining.happened
    assert load_model(trained, name=RETRAINED).version != before


def test_scores_before_and_after_are_on_the_archived_calls_and_kept_with_the_model(trained):
    place(trained, "a", sounds="satisfied", answer="unsatisfied")
    learn_from_form(trained)
    card = read_card(trained, name=RETRAINED)
    before, after = card["scores"]["before"], card["scores"]["after"]
    archived = read_evaluations(trained).set_index("trained_on").loc["end segments"]
    assert before["uar"] == archived["uar"]
    assert before["calls"] == after["calls"] == 9
    assert set(read_predictions(trained)["content_hash"]) <= set(card["trained_on"])


def test_the_same_recording_under_two_names_is_one_call(trained):
    place(trained, "a", sounds="satisfied", answer="satisfied")
    place(trained, "b", sounds="satisfied", answer="satisfied")
    assert list_form_calls(trained)["path"].tolist() == ["audio_data/a_sat.wav"]


def test_feedback_that_has_come_into_the_archive_is_not_learned_twice(trained):
    path = place(trained, "a", sounds="satisfied", answer="unsatisfied")
    learn_from_form(trained)
    archived = trained.dataset / "unsatisfied" / "a.wav"
    archived.parent.mkdir(exist_ok=True)
    archived.write_bytes(path.read_bytes())
    build_records(trained)
    build_dataset(trained)
    _, retraining = learn_from_form(trained)
    assert np.load(trained.feature_data_updated).shape == (20, len(PHONE.names))
    assert not retraining.happened
