"""The main job on the recordings of real voices, where they are at hand."""

import pytest

from helpers.conversion import convert_recordings
from helpers.dataset import build_dataset
from helpers.evaluation import SPLITS
from helpers.features import PHONE
from helpers.records import build_records
from helpers.rejections import read_rejections
from helpers.training import compare_splits


@pytest.fixture
def dataset(shared_calls, workspace):
    convert_recordings(shared_calls, workspace)
    build_records(workspace)
    return build_dataset(workspace)


def test_all_120_calls_are_used_and_scored_without_their_customers(dataset, workspace):
    assert dataset.features.shape == (240, len(PHONE.names))
    assert dataset.segments.groupby("status")["customer"].nunique().tolist() == [20, 20, 20]
    assert [path.rsplit("/")[-1] for path in read_rejections(workspace)["path"]] == ["turns.csv"]
    evaluations = compare_splits(dataset)
    assert {split for _, split in evaluations} == set(SPLITS)
    majority = evaluations["majority", "customer"].uar
    assert evaluations["end segments", "customer"].uar > majority + 0.1
