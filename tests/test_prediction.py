import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import PITCHES, make_voice, write_call

from helpers.errors import ModelError
from helpers.prediction import COLUMNS, PROBABILITIES, predict_calls
from helpers.statuses import STATUSES

TEXT_COLUMNS = [name for name in COLUMNS if name not in PROBABILITIES]


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
    assert empty[list(PROBABILITIES)].isna().all(axis=None)


def test_no_paths_give_an_empty_table_with_all_columns(trained):
    verdicts = predict_calls([], workspace=trained)
    assert verdicts.empty
    assert list(verdicts.columns) == list(COLUMNS)


def test_verdicts_can_be_written_and_read_back(trained, tmp_path):
    verdicts = predict_calls([write_call(tmp_path / "a.wav", 3)], workspace=trained)
    verdicts.to_csv(tmp_path / "verdicts.csv", index=False)
    again = pd.read_csv(tmp_path / "verdicts.csv", keep_default_na=False)
    assert again[TEXT_COLUMNS].equals(verdicts[TEXT_COLUMNS].astype(again[TEXT_COLUMNS].dtypes))


def test_an_untrained_workspace_names_the_notebook_to_run(workspace, tmp_path):
    with pytest.raises(ModelError, match="run notebook 04"):
        predict_calls([write_call(tmp_path / "a.wav", 3)], workspace=workspace)
