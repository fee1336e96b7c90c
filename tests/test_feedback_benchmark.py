import joblib
import numpy as np
import pandas as pd
import pytest

from helpers.dataset import Dataset
from helpers.feedback.benchmark import (
    BATCHES,
    ROTATED,
    _answer,
    _divide,
    benchmark_calibration,
    benchmark_loop,
    main,
    tabulate_loop,
)
from helpers.statuses import STATUSES


def make_calls(*, customers: int = 20, each: int = 6, distance: float = 1.2) -> Dataset:
    """Make calls whose features tell the statuses apart, the better the larger the distance."""
    generator = np.random.default_rng(0)
    count = customers * each
    labels = np.array(STATUSES)[np.arange(count) % len(STATUSES)]
    centres = distance * np.eye(len(STATUSES), 8)[np.arange(count) % len(STATUSES)]
    features = (centres + generator.standard_normal((count, 8))).astype(np.float32)
    segments = {
        "path": [f"call_{number}.wav" for number in range(count)],
        "status": labels,
        "kind": "end",
        "content_hash": [f"{number:04}" for number in range(count)],
        "customer": [f"customer_{number // each}" for number in range(count)],
    }
    return Dataset(features, pd.DataFrame(segments))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    with joblib.parallel_config("sequential"):
        return benchmark_loop(make_calls(), seeds=1, jobs=1)


def test_every_draw_lets_every_batch_through(rows):
    assert rows.groupby("batch", sort=False).size().to_dict() == dict.fromkeys(BATCHES, 1)
    assert (rows["found"] <= rows[["wrong", "called_wrong"]].min(axis=1)).all()
    assert (rows["found"] <= rows["kept_out"]).all()
    assert (rows["kept_out"] <= rows["wrong"]).all()


def test_the_loop_never_falls_on_the_golden_set_and_a_rotated_batch_is_never_promoted(rows):
    assert (rows["golden_after"] >= rows["golden_before"]).all()
    rotated = rows[rows["batch"] == ROTATED]
    assert not rotated["promoted"].any()
    assert (rotated["golden_after"] == rotated["golden_before"]).all()
    assert (rotated["golden_naive"] < rotated["golden_before"]).all()


def test_the_table_averages_over_the_draws(rows):
    table = tabulate_loop(rows).set_index("batch")
    assert list(table.index) == list(BATCHES)
    for batch in BATCHES:
        draws = rows[rows["batch"] == batch]
        assert table.loc[batch, "golden_naive"] == round(draws["golden_naive"].mean(), 3)
        assert table.loc[batch, "promoted"] == f"{draws['promoted'].sum()} of 1"
    assert np.isnan(table.loc["all right", "recall"])


@pytest.mark.parametrize("seed", range(5))
def test_no_customer_is_in_two_parts_and_every_call_is_in_one(seed):
    calls = make_calls()
    parts = _divide(calls, seed)
    owners = [set(calls.segments["customer"].iloc[part]) for part in parts]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 20
    assert sorted(np.concatenate(parts)) == list(range(120))


@pytest.mark.parametrize(("wrong", "expected"), [(0.0, 0), (0.1, 3), (0.2, 6), (1.0, 30)])
def test_the_wanted_share_of_answers_is_wrong(wrong, expected):
    labels = np.array(STATUSES * 10)
    answers = _answer(labels, wrong, np.random.default_rng(0))
    assert (answers != labels).sum() == expected
    assert set(answers) <= set(STATUSES)


def test_calibration_is_measured_on_both_classifiers():
    with joblib.parallel_config("sequential"):
        table = benchmark_calibration(make_calls(), seeds=1, jobs=1)
    assert table["calls"].tolist() == [48, 48]
    assert table[["error before", "error after"]].to_numpy().max() < 1
    perceptron = table.set_index("classifier").loc["perceptron (earlier)"]
    assert perceptron["error after"] < perceptron["error before"]


def test_a_corpus_that_is_not_there_is_said(tmp_path, capsys):
    arguments = [str(tmp_path / "none"), str(tmp_path), "--results", str(tmp_path / "results")]
    assert main(arguments) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
