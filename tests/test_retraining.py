import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import (
    HIGH_AVERAGE,
    PITCHES,
    Bomb,
    make_voice,
    place_call,
    snapshot,
    train,
    write_archive,
    write_call,
)

from helpers.clusters.labels import read_cluster_labels, write_cluster_labels
from helpers.dataset import build_dataset, load_dataset
from helpers.decisions import read_decisions
from helpers.errors import GoldenSetError, ModelError
from helpers.features import PHONE
from helpers.feedback.golden import read_golden
from helpers.feedback.triage import (
    AGREES,
    AMBIGUOUS,
    BAD_AUDIO,
    CONFIRMED,
    CONTRADICTION,
    MODEL_ERROR,
    WRONG_LABEL,
)
from helpers.files import write_csv
from helpers.model_store import (
    KEPT_ASIDE,
    find_champion,
    list_versions,
    load_champion,
    load_version,
    read_card,
    read_history,
)
from helpers.prediction import predict_calls
from helpers.promotion import collect_training, update_champion
from helpers.records import CLUSTER, build_records, decide, list_unlabelled, read_records
from helpers.report import summarise
from helpers.retraining import (
    COLUMNS,
    REVIEW_COLUMNS,
    learn_from_form,
    list_form_calls,
    list_reviews,
    read_predictions,
    score_predictions,
    training_data,
)
from helpers.statuses import STATUSES
from helpers.workspace import Workspace, open_workspace

SATISFIED, AVERAGE, UNSATISFIED = (PITCHES[status] for status in STATUSES)

FORM = {
    "error": (MODEL_ERROR, True),
    "error_too": (MODEL_ERROR, True),
    "short": (MODEL_ERROR, False),
    "golden": (MODEL_ERROR, False),
    "right": (AGREES, True),
    "right_too": (AGREES, True),
    "wrong": (WRONG_LABEL, False),
    "unclear": (AMBIGUOUS, False),
    "clipped": (BAD_AUDIO, False),
}
"""Calls of the form, with what is behind their answers and whether they are learned."""


def place_all(workspace: Workspace) -> None:
    """Put the calls of `FORM` into `audio_data`."""
    average, unsatisfied = {"answer": "average"}, {"answer": "unsatisfied"}
    place_call(workspace, "error", pitch=HIGH_AVERAGE - 4, **average)
    place_call(workspace, "error_too", pitch=HIGH_AVERAGE - 6, seed=51, **average)
    place_call(workspace, "short", pitch=HIGH_AVERAGE, seed=52, duration_s=45, **average)
    place_call(workspace, "right", pitch=SATISFIED, seed=53, answer="satisfied")
    place_call(workspace, "right_too", pitch=UNSATISFIED, seed=54, **unsatisfied)
    place_call(workspace, "wrong", pitch=SATISFIED, seed=55, **unsatisfied)
    place_call(workspace, "unclear", pitch=216, seed=56, **unsatisfied)
    path = place_call(workspace, "clipped", pitch=AVERAGE, seed=57, **average)
    signal, rate = soundfile.read(path)
    soundfile.write(path, np.clip(20 * signal, -1, 1), rate, subtype="ULAW")
    signal, rate = soundfile.read(workspace.dataset / "average" / "call_2.wav")
    louder = workspace.audio_data / "golden_avg.wav"
    soundfile.write(louder, signal * 10 ** (3 / 20), rate, subtype="PCM_16")


def by_name(predictions: pd.DataFrame) -> pd.DataFrame:
    names = predictions["path"].str.extract(r"/(.*)_[a-z]+\.wav$")[0]
    return predictions.set_index(names)


@pytest.fixture(scope="module")
def learned_once(improvable_once, tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("learned") / "workspace"
    shutil.copytree(improvable_once.folder, folder)
    workspace = open_workspace(folder)
    place_all(workspace)
    learn_from_form(workspace)
    return workspace


@pytest.fixture
def learned(learned_once, tmp_path) -> Workspace:
    """Give a workspace of its own that has learned from the calls of `FORM`."""
    shutil.copytree(learned_once.folder, tmp_path / "learned")
    return open_workspace(tmp_path / "learned")


def test_without_calls_nothing_is_predicted_and_nothing_is_trained(improvable):
    predictions, promotion = learn_from_form(improvable)
    assert predictions.empty
    assert list(predictions) == list(COLUMNS)
    assert (promotion.trained, promotion.promoted) == (False, False)
    assert promotion.reason == "nothing new since the last training"
    for updated, archived in (
        (improvable.feature_data_updated, improvable.feature_data),
        (improvable.feature_labels_updated, improvable.feature_labels),
    ):
        assert np.array_equal(np.load(updated), np.load(archived))
    assert len(list_versions(improvable)) == 1


def test_an_agreement_is_no_reason_to_train(improvable):
    place_call(improvable, "a", pitch=SATISFIED, answer="satisfied")
    predictions, promotion = learn_from_form(improvable)
    assert predictions[["mismatch", "retrained", "counted"]].to_numpy().tolist() == [
        [False, False, True]
    ]
    assert predictions["cause"].tolist() == [AGREES]
    assert not promotion.trained
    assert len(list_versions(improvable)) == 1


def test_without_a_model_the_notebooks_to_run_are_named(workspace):
    place_call(workspace, "a", pitch=SATISFIED, answer="satisfied")
    with pytest.raises(ModelError, match="run notebooks 01 to 04 first"):
        learn_from_form(workspace)


@pytest.mark.parametrize("name", FORM)
def test_triage_says_what_is_behind_an_answer_and_what_is_learned(learned_once, name):
    call = by_name(read_predictions(learned_once)).loc[name]
    assert (call["cause"], call["retrained"]) == FORM[name]
    assert call["mismatch"] == (call["cause"] != AGREES)
    assert call["counted"]
    assert (call["faults"] != "") == (name == "clipped")


def test_likely_wrong_labels_and_doubts_are_for_a_person_likeliest_first(learned_once):
    reviews = list_reviews(read_predictions(learned_once))
    assert list(reviews) == list(REVIEW_COLUMNS)
    assert sorted(reviews["cause"]) == sorted([WRONG_LABEL, AMBIGUOUS, BAD_AUDIO])
    assert reviews["label_error"].is_monotonic_decreasing
    written = pd.read_csv(learned_once.review_list)
    assert written["path"].tolist() == reviews["path"].tolist()
    table = reviews.set_index("path")
    wrong = table.loc["audio_data/wrong_unsat.wav"]
    assert (wrong["answer"], wrong["verdict"]) == ("unsatisfied", "satisfied")
    assert wrong["reason"].startswith("answered unsatisfied, sounds satisfied")
    assert "clipped" in table.loc["audio_data/clipped_avg.wav", "reason"]


def test_only_model_errors_and_agreements_are_in_the_updated_data(learned_once):
    features = np.load(learned_once.feature_data_updated, allow_pickle=False)
    labels = np.load(learned_once.feature_labels_updated, allow_pickle=False)
    archive = load_dataset(learned_once)
    count = len(archive.labels)
    assert np.array_equal(features[:count], archive.features)
    assert labels[:count].tolist() == archive.labels.tolist()
    calls = by_name(read_predictions(learned_once))
    expected = calls[[FORM[name][1] for name in calls.index]]
    assert labels[count:].tolist() == expected["expected"].tolist()
    for row, content_hash in zip(features[count:], expected["content_hash"], strict=True):
        cached = learned_once.feature_cache / PHONE.name / f"{content_hash}.npy"
        assert np.array_equal(row, np.load(cached)[-1])


def test_the_new_version_has_learned_from_what_may_be_learned_alone(learned_once):
    first, second = list_versions(learned_once)
    before, after = (load_version(learned_once, each).trained_on for each in (first, second))
    calls = by_name(read_predictions(learned_once))
    learned = {calls["content_hash"][name] for name, (_, learned) in FORM.items() if learned}
    assert after - before == learned
    assert before < after
    assert after.isdisjoint(read_golden(learned_once)["content_hash"])
    card = read_card(learned_once, second)
    assert (card["parent"], card["origin"]) == (first, "feedback")
    assert card["training"]["feedback"] == len(learned)
    assert card["training"]["calls"] == 6 + len(learned)


def test_a_clean_batch_that_helps_is_promoted_and_exported(learned_once):
    first, second = list_versions(learned_once)
    assert find_champion(learned_once) == second
    assert read_card(learned_once, first)["golden"]["uar"] == 0.667
    assert read_card(learned_once, second)["golden"]["uar"] == 1.0
    features = np.load(learned_once.feature_data)
    champion = load_champion(learned_once)
    expected = champion.classifier.predict_proba(champion.scaler.transform(features))
    for name in ("", "_epic_retrained"):
        classifier, scaler = map(joblib.load, learned_once.exports(name))
        assert np.array_equal(classifier.predict_proba(scaler.transform(features)), expected)
    golden = [learned_once.folder / path for path in read_golden(learned_once)["path"]]
    assert predict_calls(golden, workspace=learned_once)["status"].tolist() == [
        "average",
        "satisfied",
        "unsatisfied",
    ]


def test_the_score_is_of_verdicts_given_before_anything_was_learned(learned_once):
    predictions = read_predictions(learned_once)
    first, _ = list_versions(learned_once)
    assert set(predictions["model"]) == {first}
    score = score_predictions(predictions)
    assert score.accuracy == pytest.approx((~predictions["mismatch"]).mean())
    assert len(score.rows) == len(FORM)


def test_a_second_run_with_nothing_new_changes_no_file(learned):
    before = snapshot(learned)
    first = read_predictions(learned)
    second, promotion = learn_from_form(learned)
    assert snapshot(learned) == before
    assert promotion.reason == "nothing new since the last training"
    pd.testing.assert_frame_equal(second, first)


def test_notebook_04_learns_from_the_same_calls(learned):
    before = snapshot(learned)
    data = training_data(learned, read_predictions(learned))
    assert set(data.calls) == load_champion(learned).trained_on
    promotion = update_champion(learned, data, origin="notebook 04")
    assert (promotion.trained, promotion.promoted) == (False, False)
    assert snapshot(learned) == before


def test_a_verdict_stays_of_its_time_and_new_calls_get_the_new_champions(learned):
    before = by_name(read_predictions(learned))
    place_call(learned, "late", pitch=HIGH_AVERAGE, seed=60, answer="average", duration_s=45)
    predictions, promotion = learn_from_form(learned)
    assert not promotion.trained  # too short to learn from
    after = by_name(predictions)
    first, second = list_versions(learned)
    assert after.loc["late", ["end_status", "model"]].tolist() == ["average", second]
    pd.testing.assert_frame_equal(after.drop(index="late"), before)
    assert before.loc["error", ["end_status", "model"]].tolist() == ["satisfied", first]


def test_a_corrected_answer_takes_its_segment_out_of_the_training_data_again(learned):
    (learned.audio_data / "error_avg.wav").rename(learned.audio_data / "error_sat.wav")
    predictions, promotion = learn_from_form(learned)
    call = by_name(predictions).loc["error"]
    assert call[["expected", "mismatch", "cause"]].tolist() == ["satisfied", False, AGREES]
    assert call["triaged_as"] == "satisfied"
    labels = np.load(learned.feature_labels_updated)
    assert labels[len(load_dataset(learned).labels) :].tolist() == [
        *("satisfied", "average", "satisfied", "unsatisfied"),
    ]
    assert promotion.trained


def test_a_call_that_is_taken_away_is_in_no_training_data_any_more(learned):
    for name in ("error_avg", "error_too_avg", "short_avg", "golden_avg"):
        (learned.audio_data / f"{name}.wav").unlink()
    predictions, _ = learn_from_form(learned)
    assert set(by_name(predictions).index) == {"right", "right_too", "wrong", "unclear", "clipped"}
    assert not predictions["retrained"].any()  # no error is left, so no agreement is learned
    assert len(np.load(learned.feature_labels_updated)) == len(load_dataset(learned).labels)


def test_a_decided_call_leaves_the_review_list_and_is_learned(learned):
    decide(
        learned,
        {
            "audio_data/wrong_unsat.wav": "unsatisfied",
            "audio_data/unclear_unsat.wav": "average",
            "audio_data/clipped_avg.wav": "unsatisfied",
        },
    )
    predictions, promotion = learn_from_form(learned)
    calls = by_name(predictions)
    for name, status in (("wrong", "unsatisfied"), ("unclear", "average")):
        assert calls.loc[name, ["expected", "cause"]].tolist() == [status, CONFIRMED]
        assert calls.loc[name, "retrained"]
        assert (
            calls.loc[name, "content_hash"] in load_version(learned, promotion.version).trained_on
        )
    assert not calls.loc["clipped", "retrained"]  # a bad sound teaches nothing, whatever it was
    assert list_reviews(predictions).empty
    assert pd.read_csv(learned.review_list).empty


def test_a_decision_that_nobody_can_read_confirms_nothing(learned):
    rows = {"path": ["audio_data/wrong_unsat.wav"], "statuses": "", "decision": "call back"}
    write_csv(learned.decisions, pd.DataFrame(rows))
    predictions, promotion = learn_from_form(learned)
    call = by_name(predictions).loc["wrong"]
    assert (call["cause"], call["retrained"]) == (WRONG_LABEL, False)
    assert not promotion.trained
    assert read_decisions(learned) == {"audio_data/wrong_unsat.wav": "call back"}


def test_a_batch_with_all_answers_rotated_is_neither_learned_nor_promoted(improvable):
    for number in range(9):
        status = STATUSES[number % 3]
        answer = STATUSES[(number + 1) % 3]
        pitch = PITCHES[status] * (1 + number / 300)
        place_call(improvable, f"call_{number}", pitch=pitch, seed=70 + number, answer=answer)
    champion = find_champion(improvable)
    predictions, promotion = learn_from_form(improvable)
    assert set(predictions["cause"]) == {CONTRADICTION}
    assert not predictions["retrained"].any()
    assert (promotion.trained, promotion.promoted) == (False, False)
    assert list_versions(improvable) == [champion] == [find_champion(improvable)]
    assert len(list_reviews(predictions)) == 9
    place_call(improvable, "late", pitch=SATISFIED, seed=90, answer="satisfied")
    predictions, promotion = learn_from_form(improvable)
    assert by_name(predictions)["cause"].drop("late").tolist() == [CONTRADICTION] * 9
    assert not promotion.trained


def test_a_challenger_that_is_worse_is_kept_aside_with_the_reason(learned):
    swapped = {"satisfied": "unsatisfied", "unsatisfied": "satisfied"}
    paths = {f"dataset/{old}/call_{number}.wav": new
             for old, new in swapped.items() for number in (0, 1)}  # fmt: skip
    decide(learned, paths)
    champion = find_champion(learned)
    before = [
        path.read_bytes() for name in ("", "_epic_retrained") for path in learned.exports(name)
    ]
    _, promotion = learn_from_form(learned)
    assert (promotion.trained, promotion.promoted) == (True, False)
    assert find_champion(learned) == champion
    last = read_history(learned).iloc[-1]
    assert (last["event"], last["version"]) == (KEPT_ASIDE, promotion.version)
    assert last["reason"] == promotion.reason != ""
    after = [
        path.read_bytes() for name in ("", "_epic_retrained") for path in learned.exports(name)
    ]
    assert after == before
    unchanged = snapshot(learned)
    learn_from_form(learned)
    assert snapshot(learned) == unchanged


def test_a_run_that_was_killed_before_the_training_is_finished_by_the_next(
    learned_once, improvable
):
    place_all(improvable)
    for name in ("predictions.csv", "review_list.csv"):
        shutil.copyfile(learned_once.folder / name, improvable.folder / name)
    predictions, promotion = learn_from_form(improvable)
    assert promotion.promoted
    assert find_champion(improvable) == find_champion(learned_once)
    pd.testing.assert_frame_equal(predictions, read_predictions(learned_once))
    for path in ("feature_data_updated.npy", "emotion_model.joblib", "scaler.joblib"):
        assert (improvable.folder / path).read_bytes() == (learned_once.folder / path).read_bytes()


def test_a_run_that_was_killed_before_the_decision_comes_to_the_same(learned):
    columns = ["version", "event", "against", "reason"]
    history, path = read_history(learned)[columns], learned.models / "history.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    expected = read_card(learned, list_versions(learned)[-1])
    _, promotion = learn_from_form(learned)
    assert (promotion.trained, promotion.promoted) == (False, True)
    assert read_card(learned, promotion.version) == expected
    assert read_history(learned)[columns].equals(history)


@pytest.mark.parametrize("form", [False, True], ids=["nothing new", "new calls"])
def test_a_champion_that_was_changed_stops_the_run_before_anything_is_written(improvable, form):
    if form:
        place_call(improvable, "a", pitch=HIGH_AVERAGE, answer="average")
    path = improvable.models / find_champion(improvable) / "model.skops"
    path.write_bytes(path.read_bytes()[:-1])
    before = snapshot(improvable)
    with pytest.raises(ModelError, match=r"is not the file this project wrote: .*run notebook 04"):
        learn_from_form(improvable)
    assert snapshot(improvable) == before


def test_a_golden_set_that_was_changed_stops_the_run(improvable):
    place_call(improvable, "a", pitch=HIGH_AVERAGE, answer="average")
    golden = improvable.golden_set
    golden.write_text(golden.read_text().replace('"status": "average"', '"status": "satisfied"'))
    with pytest.raises(GoldenSetError, match="bring the file back as it was"):
        learn_from_form(improvable)
    assert len(list_versions(improvable)) == 1


@pytest.mark.parametrize("unusable", [False, True], ids=["exports and pickles", "the model itself"])
def test_no_pickle_in_the_workspace_is_executed(learned, tmp_path, unusable):
    traps = [learned.features, learned.segments_info]
    traps += [path for name in ("", "_epic_retrained") for path in learned.exports(name)]
    if unusable:
        traps.append(learned.models / find_champion(learned) / "model.skops")
    for path in traps:
        joblib.dump(Bomb(tmp_path / "exploded"), path)
    place_call(learned, "late", pitch=SATISFIED, answer="satisfied", seed=60, duration_s=45)
    if unusable:
        with pytest.raises(ModelError, match="is not the file this project wrote"):
            learn_from_form(learned)
    else:
        learn_from_form(learned)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(("duration_s", "learned"), [(45.0, False), (45.1, True)])
def test_only_calls_longer_than_45_seconds_are_learned_from(improvable, duration_s, learned):
    place_call(improvable, "a", pitch=HIGH_AVERAGE, answer="average", duration_s=duration_s)
    predictions, promotion = learn_from_form(improvable)
    assert predictions["mismatch"].tolist() == [True]
    assert predictions["retrained"].tolist() == [learned]
    assert promotion.trained is learned


def test_a_call_that_is_in_the_archive_too_is_judged_but_never_counted(improvable):
    improvable.audio_data.mkdir()
    archived = improvable.dataset / "average" / "call_0.wav"
    shutil.copyfile(archived, improvable.audio_data / "again_avg.wav")
    predictions, promotion = learn_from_form(improvable)
    assert predictions[["unseen", "counted", "retrained"]].to_numpy().tolist() == [[False] * 3]
    assert predictions["end_status"].tolist() == ["average"]
    assert score_predictions(predictions) is None
    assert not promotion.trained


def test_a_call_with_two_statuses_is_neither_learned_from_nor_counted_nor_reviewed(improvable):
    place_call(improvable, "a", pitch=HIGH_AVERAGE, answer="average")
    place_call(improvable, "b", pitch=HIGH_AVERAGE, answer="unsatisfied")
    predictions, promotion = learn_from_form(improvable)
    assert predictions[["disputed", "counted", "retrained"]].to_numpy().tolist() == [
        [True, False, False]
    ]
    assert not promotion.trained
    assert list_reviews(predictions).empty
    assert pd.read_csv(improvable.rejected_files)["reason"].str.startswith("conflict").sum() == 2


def test_a_decision_ends_the_dispute(improvable):
    place_call(improvable, "a", pitch=HIGH_AVERAGE, answer="average")
    place_call(improvable, "b", pitch=HIGH_AVERAGE, answer="unsatisfied")
    learn_from_form(improvable)
    decisions = pd.read_csv(improvable.decisions, keep_default_na=False, dtype=str)
    decisions.assign(decision="Unsatisfied").to_csv(improvable.decisions, index=False)
    predictions, promotion = learn_from_form(improvable)
    assert predictions["expected"].tolist() == ["unsatisfied"]
    assert predictions["cause"].tolist() == [CONFIRMED]
    assert promotion.trained


def test_new_archived_calls_are_a_reason_to_train_again(learned, tmp_path):
    before = load_champion(learned)
    train(learned, write_archive(tmp_path / "more", customers=4))
    after = load_version(learned, list_versions(learned)[-1])
    assert before.trained_on < after.trained_on
    assert len(after.trained_on - before.trained_on) == 3
    assert after.trained_on.isdisjoint(read_golden(learned)["content_hash"])


def test_feedback_that_has_come_into_the_archive_is_not_learned_twice(learned):
    shutil.copyfile(learned.audio_data / "error_avg.wav", learned.dataset / "average" / "new.wav")
    build_records(learned)
    build_dataset(learned)
    predictions, promotion = learn_from_form(learned)
    assert by_name(predictions).loc["error", "retrained"]
    assert (
        load_champion(learned).trained_on
        == load_version(learned, list_versions(learned)[-1]).trained_on
    )
    data = training_data(learned, predictions)
    assert len(set(data.calls)) == len(data.calls)
    assert data.feedback == sum(learned for _, learned in FORM.values()) - 1
    assert promotion.trained  # the same calls, in another order


def test_the_same_recording_under_two_names_is_one_call(workspace):
    place_call(workspace, "a", pitch=SATISFIED, answer="satisfied")
    place_call(workspace, "b", pitch=SATISFIED, answer="satisfied")
    assert list_form_calls(workspace)["path"].tolist() == ["audio_data/a_sat.wav"]


def test_a_call_that_cannot_be_judged_has_its_reason_and_teaches_nothing(improvable):
    improvable.audio_data.mkdir()
    signal = np.zeros(60 * 8000, np.float32)
    signal[22 * 8000 : 30 * 8000] = make_voice(8)  # neither in the first 20 nor in the last 25 s
    soundfile.write(improvable.audio_data / "silent_sat.wav", signal, 8000, subtype="PCM_16")
    place_call(improvable, "a", pitch=SATISFIED, answer="satisfied")
    predictions, _ = learn_from_form(improvable)
    calls = by_name(predictions)
    assert calls.loc["silent", "error"].startswith("silent")
    assert calls.loc["silent", "needs_human"]
    flags = ["counted", "mismatch", "retrained"]
    assert not calls.loc["silent", flags].any()
    unchanged = snapshot(improvable)
    learn_from_form(improvable)
    assert snapshot(improvable) == unchanged


# Calls that have the name of their cluster for a status

NAMED = {
    "agrees": (SATISFIED, "satisfied", AGREES),
    "agrees_too": (UNSATISFIED, "unsatisfied", AGREES),
    "doubtful": (HIGH_AVERAGE - 5, "average", AMBIGUOUS),
    "wrong": (SATISFIED, "unsatisfied", WRONG_LABEL),
}
"""Calls without a status, the name of their cluster, and what triage makes of it."""


def place_named(workspace: Workspace, names: dict[str, tuple], *, seed: int = 80) -> None:
    """Put calls without a status into `dataset`, and name their clusters."""
    for number, (name, (pitch, _, _)) in enumerate(names.items()):
        path = workspace.dataset / "calls" / f"{name}.wav"
        write_call(path, 46, seed=seed + number, pitch=pitch)
    calls = list_unlabelled(workspace)
    statuses = [names[path.split("/")[-1][:-4]][1] for path in calls["path"]]
    details = {"cluster": "A-000000", "distance": 1.0, "certainty": 0.5}
    write_cluster_labels(workspace, calls.assign(status=statuses, **details))


def of_clusters(predictions: pd.DataFrame) -> pd.DataFrame:
    rows = predictions[predictions["source"] == CLUSTER]
    return rows.set_index(rows["path"].str.extract(r"/(\w+)\.wav$")[0])


@pytest.fixture
def named(improvable) -> Workspace:
    place_named(improvable, NAMED)
    return improvable


def test_the_name_of_a_cluster_is_judged_with_suspicion_and_alone_teaches_nothing(named):
    predictions, promotion = learn_from_form(named)
    calls = of_clusters(predictions)
    assert calls["cause"].to_dict() == {name: cause for name, (_, _, cause) in NAMED.items()}
    assert not calls[["counted", "retrained", "confirmed"]].any(axis=None)
    assert (promotion.trained, promotion.reason) == (False, "nothing new since the last training")
    assert score_predictions(predictions) is None
    assert list_form_calls(named).empty
    before = snapshot(named)
    learn_from_form(named)
    assert snapshot(named) == before


def test_a_person_is_asked_and_told_that_the_status_is_a_clusters(named):
    reviews = list_reviews(learn_from_form(named)[0]).set_index("path")
    assert set(reviews.index) == {"dataset/calls/doubtful.wav", "dataset/calls/wrong.wav"}
    assert reviews.loc["dataset/calls/doubtful.wav", "reason"] == (
        "sounds satisfied, but its cluster was named average; nobody has listened to this call. "
        "Listen and decide"
    )
    assert "wrong for it with a prob" in reviews.loc["dataset/calls/wrong.wav", "reason"]
    assert set(list_unlabelled(named)["path"]) == {f"dataset/calls/{name}.wav" for name in NAMED}


def test_the_same_mismatch_is_an_error_of_the_model_where_a_person_answered(improvable):
    pitch, status, _ = NAMED["doubtful"]
    place_call(improvable, "a", pitch=pitch, answer=status, seed=82)
    assert learn_from_form(improvable)[0]["cause"].tolist() == [MODEL_ERROR]


def test_only_names_that_the_verdict_agrees_with_are_learned_along_with_peoples_answers(named):
    place_all(named)
    predictions, promotion = learn_from_form(named)
    assert promotion.trained
    calls = of_clusters(predictions)
    assert calls["retrained"].to_dict() == {
        name: cause == AGREES for name, (_, _, cause) in NAMED.items()
    }
    learned = load_version(named, promotion.version).trained_on
    assert set(calls["content_hash"]) & learned == set(calls["content_hash"][calls["retrained"]])
    form = by_name(predictions[predictions["source"] == "form"])
    assert form["cause"].to_dict() == {name: cause for name, (cause, _) in FORM.items()}
    assert score_predictions(predictions).rows["path"].str.startswith("audio_data/").all()
    before = snapshot(named)
    learn_from_form(named)
    assert snapshot(named) == before


def test_names_that_come_after_the_training_cause_no_other(learned):
    place_named(learned, NAMED)
    champion = find_champion(learned)
    before = by_name(read_predictions(learned))
    predictions, promotion = learn_from_form(learned)
    assert (promotion.trained, find_champion(learned)) == (False, champion)
    assert not of_clusters(predictions)["retrained"].any()
    form = by_name(predictions[predictions["source"] == "form"])
    pd.testing.assert_frame_equal(form, before)
    place_call(learned, "new", pitch=UNSATISFIED, seed=64, answer="unsatisfied")
    predictions, promotion = learn_from_form(learned)
    assert promotion.trained
    calls = of_clusters(predictions)
    assert calls["retrained"].tolist() == (calls["cause"] == AGREES).tolist()
    assert calls["retrained"].any()


def test_names_of_clusters_that_contradict_condemn_no_answer_of_people(improvable):
    swapped = {
        f"call_{number}": (PITCHES[STATUSES[number % 3]], STATUSES[(number + 1) % 3], CONTRADICTION)
        for number in range(9)
    }
    place_named(improvable, swapped)
    place_call(improvable, "right", pitch=SATISFIED, answer="satisfied")
    predictions, _ = learn_from_form(improvable)
    assert set(of_clusters(predictions)["cause"]) == {CONTRADICTION}
    assert by_name(predictions).loc["right", "cause"] == AGREES
    assert "correct cluster_names.csv" in list_reviews(predictions)["reason"].iloc[0]


def test_a_name_that_is_taken_away_leaves_no_trace(named):
    place_all(named)
    learn_from_form(named)
    write_cluster_labels(named, read_cluster_labels(named).assign(status=""))
    predictions, promotion = learn_from_form(named)
    assert of_clusters(predictions).empty
    assert set(read_records(named)["source"]) == {"archive", "form"}
    unnamed = set(list_unlabelled(named)["content_hash"])
    assert promotion.trained
    assert unnamed.isdisjoint(load_version(named, promotion.version).trained_on)


def test_a_call_that_a_person_decides_on_is_no_clusters_any_more(named):
    learn_from_form(named)
    decide(named, {"dataset/calls/wrong.wav": "satisfied"})
    predictions, promotion = learn_from_form(named)
    assert promotion.trained
    assert set(of_clusters(predictions).index) == set(NAMED) - {"wrong"}
    records = read_records(named).set_index("path")
    assert records.loc["dataset/calls/wrong.wav", ["status", "source"]].tolist() == [
        "satisfied",
        "archive",
    ]


def test_an_answer_that_comes_after_the_name_is_judged_as_a_persons(improvable):
    path = write_call(improvable.audio_data / "late.wav", 46, seed=82, pitch=HIGH_AVERAGE - 5)
    details = {"cluster": "A-000000", "distance": 1.0, "certainty": 0.5, "status": "average"}
    write_cluster_labels(improvable, list_unlabelled(improvable).assign(**details))
    before = learn_from_form(improvable)[0].iloc[0]
    assert before[["source", "cause", "counted"]].tolist() == [CLUSTER, AMBIGUOUS, False]
    path.rename(improvable.audio_data / "late_avg.wav")
    predictions, promotion = learn_from_form(improvable)
    after = predictions.iloc[0]
    assert after[["source", "cause", "counted"]].tolist() == ["form", MODEL_ERROR, True]
    assert after[["end_status", "judged_at"]].equals(before[["end_status", "judged_at"]])
    assert promotion.trained


def test_figures_of_the_report_are_of_people_alone(named):
    place_all(named)
    learn_from_form(named)
    lines = dict(summarise(named).itertuples(index=False))
    assert lines["calls from the form"] == str(len(FORM))
    assert lines["calls used"].startswith("18 ")
    assert lines["calls named by their cluster"].startswith("4, which nobody has listened to")
    assert lines["verdict differs from the answer"].endswith(f" of {len(FORM)}")


@pytest.mark.parametrize(("customer", "learned"), [("golden", False), ("another", True)])
def test_no_call_of_a_golden_customer_is_learned_because_of_its_cluster(named, customer, learned):
    learn_from_form(named)
    golden = read_golden(named)["customer"].iloc[0]
    records = read_records(named)
    call = records[records["path"] == "dataset/calls/agrees.wav"]
    records.loc[call.index, "customer"] = {"golden": golden}.get(customer, customer)
    write_csv(named.records, records)
    data = collect_training(named, call.assign(expected="satisfied"))
    assert (call["content_hash"].iloc[0] in data.calls) is learned
    assert (customer in data.groups) is learned


def test_predictions_of_an_earlier_version_are_read_as_peoples(learned):
    table = pd.read_csv(learned.predictions, dtype=str, keep_default_na=False)
    write_csv(learned.predictions, table.drop(columns="source"))
    predictions, promotion = learn_from_form(learned)
    assert set(predictions["source"]) == {"form"}
    assert not promotion.trained
    assert pd.read_csv(learned.predictions, dtype=str, keep_default_na=False).equals(table)
