"""The loop on a schedule: clean calls, nothing, a poisoned batch, wrong answers, decisions."""

import shutil
from collections.abc import Callable

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import HIGH_AVERAGE, PITCHES, place_call, snapshot

from helpers.feedback.golden import read_golden
from helpers.model_store import (
    KEPT_ASIDE,
    PROMOTED,
    find_champion,
    list_versions,
    load_champion,
    load_version,
    read_card,
    read_history,
    rollback,
)
from helpers.prediction import predict_calls
from helpers.records import decide
from helpers.retraining import learn_from_form, list_reviews, read_predictions
from helpers.statuses import STATUSES
from helpers.workspace import Workspace, open_workspace


def bring_clean_calls(workspace) -> None:
    place_call(workspace, "error", pitch=HIGH_AVERAGE - 4, answer="average")
    place_call(workspace, "error_too", pitch=HIGH_AVERAGE - 6, seed=51, answer="average")
    place_call(workspace, "right", pitch=PITCHES["satisfied"], seed=52, answer="satisfied")
    place_call(workspace, "right_too", pitch=PITCHES["unsatisfied"], seed=53, answer="unsatisfied")


def bring_nothing(workspace) -> None:
    pass


def bring_a_rotated_batch(workspace) -> None:
    for number in range(9):
        status, answer = STATUSES[number % 3], STATUSES[(number + 1) % 3]
        pitch = PITCHES[status] * (1 + number / 300)
        place_call(workspace, f"rotated_{number}", pitch=pitch, seed=70 + number, answer=answer)


def bring_a_wrong_answer(workspace) -> None:
    place_call(workspace, "wrong", pitch=PITCHES["satisfied"], seed=80, answer="unsatisfied")
    place_call(workspace, "late", pitch=PITCHES["satisfied"] * 1.02, seed=81, answer="satisfied")


def confuse_the_archive(workspace) -> None:
    swapped = {"satisfied": "unsatisfied", "unsatisfied": "satisfied"}
    decisions = {
        f"dataset/{old}/call_{number}.wav": new for old, new in swapped.items() for number in (0, 1)
    }
    decide(workspace, decisions)


RUNS = [
    bring_clean_calls,
    bring_nothing,
    bring_a_rotated_batch,
    bring_a_wrong_answer,
    confuse_the_archive,
]


def judge_all(workspace) -> bytes:
    """Judge the archive; the table as CSV, without the folder's name."""
    table = predict_calls(sorted(workspace.dataset.rglob("*.wav")), workspace=workspace)
    names = table["path"].str.removeprefix(str(workspace.folder))
    return table.assign(path=names).to_csv(index=False).encode()


def exported(workspace, name: str) -> bytes:
    classifier, scaler = map(joblib.load, workspace.exports(name))
    return classifier.predict_proba(scaler.transform(np.load(workspace.feature_data))).tobytes()


def run(workspace, bring: Callable[[Workspace], None]) -> dict[str, object]:
    """Do one scheduled run and note what it came to."""
    bring(workspace)
    predictions, promotion = learn_from_form(workspace)
    champion = load_champion(workspace)
    features = champion.scaler.transform(np.load(workspace.feature_data))
    return {
        "promotion": promotion,
        "champion": champion.version,
        "predictions": predictions,
        "answers": champion.classifier.predict_proba(features).tobytes(),
        "exported": [exported(workspace, name) for name in ("", "_epic_retrained")],
        "verdicts": judge_all(workspace),
    }


@pytest.fixture(scope="module")
def first_verdicts(improvable_once) -> bytes:
    return judge_all(improvable_once)


@pytest.fixture(scope="module")
def after_runs(improvable_once, tmp_path_factory) -> tuple[Workspace, dict[str, dict]]:
    folder = tmp_path_factory.mktemp("scheduled") / "workspace"
    shutil.copytree(improvable_once.folder, folder)
    workspace = open_workspace(folder)
    return workspace, {bring.__name__: run(workspace, bring) for bring in RUNS}


@pytest.fixture(scope="module")
def workspace(after_runs) -> Workspace:
    return after_runs[0]


@pytest.fixture(scope="module")
def runs(after_runs) -> dict[str, dict]:
    return after_runs[1]


def test_what_helps_is_promoted_and_what_does_not_is_not(runs):
    promoted = {name: run["promotion"].promoted for name, run in runs.items()}
    assert promoted["bring_clean_calls"]
    assert not promoted["bring_nothing"]
    assert not promoted["bring_a_rotated_batch"]
    assert not promoted["confuse_the_archive"]


def test_only_data_that_is_new_is_trained_on(runs):
    trained = {name: run["promotion"].trained for name, run in runs.items()}
    assert trained == {
        "bring_clean_calls": True,
        "bring_nothing": False,
        "bring_a_rotated_batch": False,
        "bring_a_wrong_answer": True,  # for the answer beside it, which is right
        "confuse_the_archive": True,
    }


def test_every_version_loads_and_none_has_learned_from_the_golden_set(workspace):
    golden = set(read_golden(workspace)["content_hash"])
    versions = list_versions(workspace)
    assert len(versions) == 4
    for version in versions:
        model = load_version(workspace, version)
        assert golden.isdisjoint(model.trained_on)
        probabilities = model.predict_proba(np.load(workspace.feature_data))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-9)


def test_the_golden_score_of_the_champion_never_falls(workspace, runs):
    scores = [read_card(workspace, run["champion"])["golden"]["uar"] for run in runs.values()]
    assert scores == sorted(scores)
    assert scores[0] == 1.0


def test_no_wrong_answer_was_learned(workspace):
    predictions = read_predictions(workspace)
    wrong = predictions[predictions["path"].str.contains("/rotated_|/wrong_")]
    assert len(wrong) == 10
    assert not wrong["retrained"].any()
    for version in list_versions(workspace):
        learned = load_version(workspace, version).trained_on
        assert learned.isdisjoint(wrong["content_hash"])
    assert set(list_reviews(predictions)["path"]) == set(wrong["path"])


def test_every_decision_is_explained_in_the_history_and_in_the_cards(workspace):
    history = read_history(workspace)
    assert history["version"].tolist() == list_versions(workspace)
    assert set(history["event"]) == {PROMOTED, KEPT_ASIDE}
    for step in history.itertuples():
        assert step.reason.endswith((".", "!"))
        card = read_card(workspace, step.version)
        assert " ".join(card["decision"]["reasons"]) == step.reason
        assert card["decision"]["against"] == step.against
        assert card["decision"]["promoted"] == (step.event == PROMOTED)
        text = (workspace.models / step.version / "MODEL_CARD.md").read_text()
        for reason in card["decision"]["reasons"]:
            assert reason in text
        assert ("Kept aside" in text) == (step.event == KEPT_ASIDE)
    assert history["against"].tolist()[0] == ""
    assert set(history["against"][1:]) <= set(history["version"])


@pytest.mark.parametrize("bring", RUNS, ids=lambda bring: bring.__name__)
def test_the_exported_files_were_the_champion_after_each_run(runs, bring):
    run = runs[bring.__name__]
    assert run["exported"] == [run["answers"], run["answers"]]


def test_a_verdict_of_the_form_is_never_changed_by_a_later_run(runs):
    columns = ["end_status", "p_satisfied", "p_average", "p_unsatisfied", "cause", "model"]
    last = runs[RUNS[-1].__name__]["predictions"].set_index("content_hash")[columns]
    for run in runs.values():
        before = run["predictions"].set_index("content_hash")[columns]
        pd.testing.assert_frame_equal(last.loc[before.index], before)


def test_rolling_back_restores_the_verdicts_of_each_champion_to_the_byte(
    workspace, runs, first_verdicts, tmp_path
):
    shutil.copytree(workspace.folder, tmp_path / "rolled")
    rolled = open_workspace(tmp_path / "rolled")
    verdicts = {run["champion"]: run["verdicts"] for run in runs.values()}
    verdicts[list_versions(rolled)[0]] = first_verdicts
    assert len(verdicts) > 1
    for version in reversed(verdicts):
        rollback(rolled, version)
        assert judge_all(rolled) == verdicts[version]


def test_a_rollback_stays_over_further_runs_with_the_same_calls(workspace, tmp_path):
    shutil.copytree(workspace.folder, tmp_path / "rolled")
    rolled = open_workspace(tmp_path / "rolled")
    first = list_versions(rolled)[0]
    while find_champion(rolled) != first:
        rollback(rolled)
    learn_from_form(rolled)  # the last challenger, which was kept aside, is compared with the first
    before = snapshot(rolled)
    for _ in range(2):
        learn_from_form(rolled)
        assert find_champion(rolled) == first
        assert snapshot(rolled) == before
