import numpy as np
import pytest
from sklearn.base import is_classifier

from helpers.dataset import load_dataset
from helpers.features import PHONE
from helpers.training import (
    PERCEPTRON,
    compare_splits,
    hash_training,
    make_candidates,
    make_classifier,
    make_earlier,
    read_evaluations,
    save_evaluations,
    tabulate,
    train_model,
)

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)
LABELS = np.array(["satisfied", "average", "satisfied", "unsatisfied"])


@pytest.mark.parametrize("columns", [3, len(PHONE.names), len(PHONE.names) + 9])
def test_every_candidate_is_a_scaler_and_a_classifier(columns):
    candidates = make_candidates(columns)
    for candidate in candidates.values():
        scaler, classifier = (step for _, step in candidate.steps)
        assert type(scaler).__name__ == "StandardScaler"
        assert is_classifier(classifier)
    assert ("voice and emotions" in candidates) == (columns > len(PHONE.names))


def test_the_baseline_is_the_perceptron_of_the_earlier_notebook():
    network = make_earlier().steps[-1][1].steps[-1][1]
    assert (type(network).__name__, network.hidden_layer_sizes) == ("MLPClassifier", (300,))


def ring(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two statuses that a straight line cannot part: one lies around the other."""
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((rows, 2))
    radius = np.repeat([0.3, 2.0], rows // 2)
    points *= (radius / np.linalg.norm(points, axis=1))[:, None]
    return points, np.repeat(["satisfied", "average"], rows // 2)


def test_the_classifier_that_suits_the_data_is_chosen():
    features, labels = ring(80)
    assert make_classifier().fit(features, labels).choice_ == PERCEPTRON
    noise = np.random.default_rng(0).standard_normal((80, 300))
    spread = noise + 0.3 * (labels == "average")[:, None]
    assert make_classifier().fit(spread, labels).choice_ == "linear"


def test_a_choice_is_not_made_by_recognising_groups():
    """Features that tell the group perfectly and the status not at all score chance inside."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 4)
    features = np.repeat(generator.standard_normal((20, 5)), 4, axis=0)
    labels = np.repeat(np.resize(["satisfied", "average"], 20), 4)
    told, untold = (
        max(make_classifier().fit(features, labels, given).scores_.values())
        for given in (groups, None)
    )
    assert told < 0.75 < 0.95 < untold


def test_with_too_few_groups_to_hold_some_out_the_simplest_is_taken():
    features, labels = ring(8)
    groups = np.where(labels == "average", "Ann", "Bob")
    assert make_classifier().fit(features, labels, groups).choice_ == "linear"


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
    assert all(len(evaluation.rows) == 9 for evaluation in evaluations.values())
    assert len(tabulate(evaluations)) == 7


def test_scores_are_read_as_they_were_written(trained):
    assert read_evaluations(trained)["trained_on"].tolist() == ["end segments", "majority"]
    evaluations = compare_splits(load_dataset(trained))
    save_evaluations(trained, evaluations)
    table = read_evaluations(trained)
    assert table["uar"].tolist() == [round(value.uar, 3) for value in evaluations.values()]


def test_without_training_there_are_no_scores(workspace):
    assert read_evaluations(workspace).empty
