import numpy as np
import pytest

from helpers.calibration import apply_temperature, calibration_error, fit_temperature
from helpers.classifiers import make_candidates, make_earlier
from helpers.dataset import load_dataset
from helpers.features import PHONE
from helpers.statuses import STATUSES
from helpers.training import (
    compare_splits,
    hash_training,
    predict_out_of_fold,
    read_evaluations,
    save_evaluations,
    tabulate,
    train_model,
)

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)
LABELS = np.array(["satisfied", "average", "satisfied", "unsatisfied"])


def draw_calls(
    calls: int = 60, *, told: float = 0.1, columns: int = 300, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw features that tell the status so well, statuses, and customers with two calls each."""
    ranks = np.resize([0, 1, 2], calls)
    noise = np.random.default_rng(seed).standard_normal((calls, columns))
    customers = np.array([f"customer {number // 2}" for number in range(calls)])
    return noise + told * (ranks[:, None] - 1), np.array(STATUSES)[ranks], customers


def verdicts(probabilities: np.ndarray) -> np.ndarray:
    return np.array(STATUSES)[probabilities.argmax(axis=1)]


def test_a_model_knows_what_it_was_trained_with():
    features, labels, groups = draw_calls()
    model = train_model(features, labels, trained_on=frozenset({"one"}), groups=groups).model
    assert model.training_hash == hash_training(features, labels, groups=groups)
    assert model.trained_on == {"one"}
    assert model.feature_set is PHONE
    assert model.choice in make_candidates(300)
    assert model.version == ""


@pytest.mark.parametrize("seed", range(3))
def test_it_is_calibrated_by_calls_it_has_not_learned_from(seed):
    features, labels, groups = draw_calls(seed=seed)
    model, unseen = train_model(features, labels, trained_on=frozenset(), groups=groups)
    expected = predict_out_of_fold(
        features, labels, groups=groups, make_model=lambda: make_candidates(300)[model.choice]
    )
    assert np.array_equal(unseen, expected)
    assert model.temperature == fit_temperature(unseen, labels)
    calibrated = apply_temperature(unseen, model.temperature)
    assert model.confidences == tuple(np.sort(calibrated.max(axis=1)).round(6))


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_has_learned_nothing_is_sure_of_nothing(seed):
    features, labels, groups = draw_calls(90, told=0, seed=seed)
    model = train_model(features, labels, trained_on=frozenset(), groups=groups).model
    new, answers, _ = draw_calls(300, told=0, seed=seed + 100)
    assert model.predict_proba(new).max(axis=1).mean() < 0.45
    assert calibration_error(model.predict_proba(new), answers) < 0.12


@pytest.mark.parametrize("seed", range(6))
def test_a_model_is_as_sure_of_new_calls_as_it_is_right(seed):
    """Also where candidates score alike, so that one is chosen in some folds and not in others."""
    features, labels, groups = draw_calls(120, seed=seed)
    model = train_model(features, labels, trained_on=frozenset(), groups=groups).model
    new, answers, _ = draw_calls(900, seed=seed + 100)
    probabilities = model.predict_proba(new)
    sure, right = probabilities.max(axis=1).mean(), np.mean(verdicts(probabilities) == answers)
    assert right > 0.45
    assert sure == pytest.approx(right, abs=0.1)
    bare = apply_temperature(probabilities, 1 / model.temperature)
    assert calibration_error(probabilities, answers) < calibration_error(bare, answers)


def test_no_call_is_judged_by_a_model_that_knows_its_customer():
    """Features that tell the customer and nothing else are worth nothing out of fold."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 4)
    features = np.repeat(5 * generator.standard_normal((30, 20)), 4, axis=0)
    labels = np.repeat(np.resize(STATUSES, 30), 4)
    apart, together = (
        predict_out_of_fold(features, labels, groups=known, make_model=make_earlier)
        for known in (groups, np.arange(120))
    )
    assert apart.shape == (120, 3)
    assert np.mean(verdicts(apart) == labels) < 0.55
    assert np.mean(verdicts(together) == labels) > 0.95


def test_out_of_fold_probabilities_are_in_the_order_of_the_statuses():
    features, labels, groups = draw_calls(told=2)
    probabilities = predict_out_of_fold(features, labels, groups=groups)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (verdicts(probabilities) == labels).all()


@pytest.mark.parametrize("present", [("satisfied", "unsatisfied"), ("average", "unsatisfied")])
def test_a_status_nobody_has_had_yet_is_impossible(present):
    features, _, groups = draw_calls()
    labels = np.resize(present, 60)
    model, unseen = train_model(features, labels, trained_on=frozenset(), groups=groups)
    missing = [status not in present for status in STATUSES]
    for probabilities in (unseen, model.predict_proba(features)):
        assert not probabilities[:, missing].any()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize(
    "groups",
    [["Ann", "Bob", "Cid", "Ann", "Bob", "Cid"], ["Ann"] * 6],
    ids=["one customer a status", "one customer"],
)
def test_with_too_few_customers_to_hold_some_out_nothing_is_calibrated(groups):
    features, labels, _ = draw_calls(6)
    groups = np.array(groups)
    assert predict_out_of_fold(features, labels, groups=groups).shape == (0, 3)
    model, unseen = train_model(features, labels, trained_on=frozenset(), groups=groups)
    assert unseen.shape == (0, 3)
    assert (model.temperature, model.confidences, model.choice) == (1.0, (), "linear")
    assert model.least_confidence(0.7) == 1.0


def test_without_customers_each_call_is_of_its_own():
    features, labels, _ = draw_calls()
    without, given = (
        train_model(features, labels, trained_on=frozenset(), groups=groups)
        for groups in (None, np.arange(60).astype(str))
    )
    assert np.array_equal(without.out_of_fold, given.out_of_fold)
    assert without.model.temperature == given.model.temperature


def test_the_same_input_gives_the_same_model(trained):
    dataset = load_dataset(trained)
    first, second = (
        train_model(dataset.features, dataset.labels, trained_on=frozenset()) for _ in range(2)
    )
    answers = [training.model.predict_proba(dataset.features) for training in (first, second)]
    assert np.array_equal(*answers)
    assert np.array_equal(first.out_of_fold, second.out_of_fold)
    for name in ("temperature", "confidences", "training_hash", "choice"):
        assert getattr(first.model, name) == getattr(second.model, name)


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
    groups = np.arange(len(LABELS)).astype(str)
    first = hash_training(FEATURES, LABELS, groups=groups)
    assert first == hash_training(FEATURES.copy(), LABELS.copy(), groups=groups.copy())
    assert first != hash_training(features, labels, groups=groups, seed=seed)
    assert first != hash_training(FEATURES, LABELS, groups=groups[::-1])


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
