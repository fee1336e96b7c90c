from dataclasses import replace
from itertools import pairwise

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import PITCHES, Bomb, make_voice, write_call

from helpers.errors import ModelError
from helpers.features import call_features
from helpers.model_store import find_champion, load_champion
from helpers.prediction import COLUMNS, PROBABILITIES, judge_calls, predict_calls
from helpers.statuses import STATUSES

NUMBERS = [*PROBABILITIES, "confidence"]
TEXT_COLUMNS = [name for name in COLUMNS if name not in NUMBERS]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> list:
    """Give calls from the average pitch to the unsatisfied one: some clear, some between two."""
    folder = tmp_path_factory.mktemp("sweep")
    pitches = np.linspace(PITCHES["average"], PITCHES["unsatisfied"], 12)
    return [
        write_call(folder / f"{number:02}.wav", 10, seed=30 + number, pitch=pitch)
        for number, pitch in enumerate(pitches)
    ]


@pytest.mark.parametrize("status", STATUSES)
def test_a_call_is_judged_by_how_its_end_sounds(trained, tmp_path, status):
    path = write_call(tmp_path / "call.wav", 60, seed=7, pitch=PITCHES[status])
    verdict = predict_calls([path], workspace=trained).iloc[0]
    assert verdict["status"] == verdict["end_status"] == status
    assert verdict[f"p_{status}"] == max(verdict[name] for name in PROBABILITIES)


def test_rows_come_in_the_given_order_and_paths_as_they_were_given(trained, tmp_path):
    long = write_call(tmp_path / "b.wav", 46)
    short = write_call(tmp_path / "a.wav", 5, seed=1)
    verdicts = predict_calls([str(short), long, str(short)], workspace=trained.folder)
    assert list(verdicts.columns) == list(COLUMNS)
    assert verdicts["path"].tolist() == [str(short), str(long), str(short)]
    assert verdicts.iloc[0].equals(verdicts.iloc[2])


def test_probabilities_add_up_to_one(trained, tmp_path):
    paths = [write_call(tmp_path / f"{seed}.wav", 3, seed=seed) for seed in range(3)]
    verdicts = predict_calls(paths, workspace=trained)
    np.testing.assert_allclose(verdicts[list(PROBABILITIES)].sum(axis=1), 1, atol=1e-5)


def test_the_verdict_is_the_likeliest_status_and_the_confidence_its_probability(trained, sweep):
    verdicts = predict_calls(sweep, workspace=trained)
    probabilities = verdicts[list(PROBABILITIES)].to_numpy()
    assert verdicts["status"].tolist() == [STATUSES[best] for best in probabilities.argmax(axis=1)]
    assert verdicts["confidence"].tolist() == probabilities.max(axis=1).tolist()
    assert len(set(verdicts["status"])) == 3


def test_probabilities_are_those_of_the_calibrated_champion(trained, sweep):
    champion = load_champion(trained)
    assert champion.temperature != 1
    verdicts = predict_calls(sweep, workspace=trained)
    expected = champion.predict_proba(np.concatenate([call_features(path) for path in sweep]))
    np.testing.assert_allclose(verdicts[list(PROBABILITIES)], expected, atol=1e-5)


@pytest.mark.parametrize("coverage", [0.0, 0.3, 0.5, 0.7, 0.9])
def test_a_call_needs_a_human_where_it_is_less_sure_than_the_share_of_unseen_calls(
    trained, sweep, coverage
):
    verdicts = predict_calls(sweep, workspace=trained, coverage=coverage)
    unseen = sorted(load_champion(trained).confidences)
    least = np.quantile(unseen, 1 - coverage)
    assert verdicts["needs_human"].tolist() == (verdicts["confidence"] < least).tolist()


def test_a_larger_coverage_leaves_fewer_calls_to_people_and_never_other_ones(trained, sweep):
    left = [
        set(np.flatnonzero(predict_calls(sweep, workspace=trained, coverage=share)["needs_human"]))
        for share in (0.0, 0.4, 0.7, 0.9, 1.0)
    ]
    assert all(more >= fewer for more, fewer in pairwise(left))
    assert len(left[0]) > len(left[2]) > len(left[-1]) == 0


def test_every_call_needs_a_human_where_nothing_is_known_about_unseen_calls(trained, sweep):
    unknown = replace(load_champion(trained), confidences=())
    assert judge_calls(sweep, unknown, coverage=0.9)["needs_human"].all()
    assert not judge_calls(sweep, unknown, coverage=1)["needs_human"].any()


@pytest.mark.parametrize("coverage", [-0.1, 1.1, 70, float("nan")])
def test_a_coverage_that_is_no_share_is_refused(trained, coverage):
    with pytest.raises(ValueError, match="expected a share between 0 and 1"):
        predict_calls([], workspace=trained, coverage=coverage)


def test_one_path_is_a_list_of_one(trained, sweep):
    expected = predict_calls(sweep[:1], workspace=trained)
    for path in (sweep[0], str(sweep[0])):
        assert predict_calls(path, workspace=trained).equals(expected)


def test_a_short_call_has_one_verdict(trained, tmp_path):
    verdict = predict_calls([write_call(tmp_path / "a.wav", 10)], workspace=trained).iloc[0]
    assert verdict["start_status"] == verdict["end_status"] == verdict["status"]


def test_a_call_whose_mood_turns_has_another_start_than_end(trained, tmp_path):
    moods = ("unsatisfied", "satisfied")
    halves = [make_voice(30, seed=5, pitch=PITCHES[mood]) for mood in moods]
    soundfile.write(tmp_path / "turn.wav", np.concatenate(halves), 8000, subtype="ULAW")
    verdict = predict_calls([tmp_path / "turn.wav"], workspace=trained).iloc[0]
    assert verdict["end_status"] == "satisfied" != verdict["start_status"]


def test_an_unreadable_file_has_its_reason_and_nothing_else(trained, tmp_path):
    good = write_call(tmp_path / "good.wav", 3)
    text = tmp_path / "text.wav"
    text.write_text("this is not a recording")
    verdicts = predict_calls([tmp_path / "missing.wav", good, text], workspace=trained)
    assert verdicts["error"].tolist() == ["no such file", "", "text, not sound"]
    empty = verdicts.iloc[[0, 2]]
    assert (empty[["status", "start_status", "end_status"]] == "").all(axis=None)
    assert empty[NUMBERS].isna().all(axis=None)
    assert empty["needs_human"].tolist() == [True, True]


def test_no_paths_give_an_empty_table_with_all_columns(trained):
    verdicts = predict_calls([], workspace=trained)
    assert verdicts.empty
    assert list(verdicts.columns) == list(COLUMNS)
    assert verdicts["needs_human"].dtype == bool


def test_verdicts_can_be_written_and_read_back(trained, tmp_path):
    verdicts = predict_calls([write_call(tmp_path / "a.wav", 3)], workspace=trained)
    verdicts.to_csv(tmp_path / "verdicts.csv", index=False)
    again = pd.read_csv(tmp_path / "verdicts.csv", keep_default_na=False)
    assert again[TEXT_COLUMNS].equals(verdicts[TEXT_COLUMNS].astype(again[TEXT_COLUMNS].dtypes))


def test_an_untrained_workspace_names_the_notebook_to_run(workspace, tmp_path):
    with pytest.raises(ModelError, match="holds no model yet: run notebooks 01 to 04 first"):
        predict_calls([write_call(tmp_path / "a.wav", 3)], workspace=workspace)


def test_a_champion_that_was_changed_judges_nothing(trained, sweep, tmp_path):
    joblib.dump(
        Bomb(tmp_path / "exploded"), trained.models / find_champion(trained) / "model.skops"
    )
    for path in trained.exports():
        joblib.dump(Bomb(tmp_path / "exploded"), path)
    with pytest.raises(ModelError, match=r"is not the file this project wrote: .*run notebook 04"):
        predict_calls(sweep, workspace=trained)
    assert not (tmp_path / "exploded").exists()
