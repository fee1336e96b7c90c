import numpy as np
import pytest

from helpers.dataset import load_dataset
from helpers.training import (
    compare_splits,
    hash_training,
    make_classifier,
    read_evaluations,
    save_evaluations,
    tabulate,
    train_model,
)

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)
LABELS = np.array(["satisfied", "average", "satisfied", "unsatisfied"])


def test_scaler_and_network_are_trained_together():
    pipeline = make_classifier()
    assert [type(step).__name__ for _, step in pipeline.steps] == [
        "StandardScaler",
        "MLPClassifier",
    ]


def test_the_same_input_gives_the_same_model(trained):
    dataset = load_dataset(trained)
    models = [
        train_model(dataset.features, dataset.labels, trained_on=frozenset()) for _ in range(2)
    ]
    first, second = (model.predict_proba(dataset.features) for model in models)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("features", "labels", "seed"),
    [
        (FEATURES + 1e-6, LABELS, 0),
        (FEATURES[:, ::-1], LABELS, 0),
        (FEATURES.reshape(2, 6), LABELS[:2], 0),
        (FEATURES, LABELS[::-1], 0),
        (FEATURES, LABELS, 1),
    ],
    ids=["values", "order", "shape", "labels", "seed"],
)
def test_the_hash_changes_with_everything_a_training_depends_on(features, labels, seed):
    assert hash_training(FEATURES, LABELS) == hash_training(FEATURES.copy(), LABELS.copy())
    assert hash_training(features, labels, seed) != hash_training(FEATURES, LABELS)


def test_every_training_set_is_scored_for_every_split_beside_the_baseline(trained):
    evaluations = compare_splits(load_dataset(trained))
    assert set(evaluations) == {
        (name, split)
        for name in ("end segments", "start and end segments")
        for split in ("customer", "call", "segment")
    } | {("majority", "customer")}
    assert evaluations["majority", "customer"].uar == pytest.approx(1 / 3)
    assert all(len(evaluation.segments) == 9 for evaluation in evaluations.values())
    assert len(tabulate(evaluations)) == 7


def test_scores_are_read_as_they_were_written(trained):
    assert read_evaluations(trained)["trained_on"].tolist() == ["end segments", "majority"]
    evaluations = compare_splits(load_dataset(trained))
    save_evaluations(trained, evaluations)
    table = read_evaluations(trained)
    assert table["uar"].tolist() == [round(value.uar, 3) for value in evaluations.values()]


def test_without_training_there_are_no_scores(workspace):
    assert read_evaluations(workspace).empty
