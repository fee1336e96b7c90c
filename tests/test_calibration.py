import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from helpers.calibration import (
    BINS,
    apply_temperature,
    calibration_error,
    confident_accuracy,
    fit_temperature,
    tabulate_coverage,
    tabulate_reliability,
)
from helpers.statuses import STATUSES

NONE = (np.empty((0, 3)), [])

SIX = [
    ([0.85, 0.05, 0.10], "satisfied"),
    ([0.05, 0.87, 0.08], "satisfied"),
    ([0.10, 0.35, 0.55], "unsatisfied"),
    ([0.52, 0.28, 0.20], "satisfied"),
    ([0.20, 0.58, 0.22], "satisfied"),
    ([0.00, 0.00, 1.00], "unsatisfied"),
]
"""Two calls with a confidence of about 0.86 (one right), three of 0.55 (two right), one of 1."""


def six_calls() -> tuple[np.ndarray, list[str]]:
    probabilities, labels = zip(*SIX, strict=True)
    return np.array(probabilities), list(labels)


def simulate(temperature: float, *, calls: int = 2000, seed: int = 0) -> tuple[np.ndarray, list]:
    """Draw statuses from probabilities, and give a model's that needs this temperature."""
    generator = np.random.default_rng(seed)
    logits = 1.5 * generator.standard_normal((calls, 3))
    happened = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    told = np.exp(temperature * logits)
    return told / told.sum(axis=1, keepdims=True), [STATUSES[number] for number in happened]


# Temperature


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0, 2.0, 5.0])
def test_a_known_temperature_is_found(temperature, seed):
    found = fit_temperature(*simulate(temperature, seed=seed))
    assert found == pytest.approx(temperature, rel=0.15)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_no_other_temperature_has_a_clearly_lower_log_loss(temperature):
    probabilities, labels = simulate(temperature)

    def loss(tried: float) -> float:
        scaled = apply_temperature(probabilities, tried)
        return log_loss(labels, scaled[:, np.argsort(STATUSES)], labels=sorted(STATUSES))

    found = fit_temperature(probabilities, labels)
    grid = np.exp(np.linspace(-2, 2, 81)) * temperature
    assert loss(found) <= min(map(loss, grid)) + 1e-4


@pytest.mark.parametrize("calls", [1, 5, 20, 100])
def test_calls_that_are_all_right_do_not_promise_certainty(calls):
    probabilities = np.tile([0.6, 0.2, 0.2], (calls, 1))
    temperature = fit_temperature(probabilities, ["satisfied"] * calls)
    doubt = 1 / (calls + 2)  # Platt's, and its share of the status that was right
    expected = 1 - doubt * 2 / 3
    assert apply_temperature(probabilities, temperature)[0, 0] == pytest.approx(expected, abs=1e-3)


def test_calls_that_are_all_wrong_promise_nothing():
    probabilities = np.tile([0.98, 0.01, 0.01], (50, 1))
    temperature = fit_temperature(probabilities, ["unsatisfied"] * 50)
    assert apply_temperature(probabilities, temperature).max() < 0.42


def test_without_calls_nothing_is_scaled():
    assert fit_temperature(*NONE) == 1.0


def test_a_status_held_for_impossible_that_happens_still_gives_a_temperature():
    probabilities, labels = simulate(2.0, calls=300)
    probabilities = np.where(probabilities < 0.05, 0, probabilities)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    impossible = [
        row[STATUSES.index(label)] == 0 for row, label in zip(probabilities, labels, strict=True)
    ]
    assert any(impossible)
    assert 0.05 <= fit_temperature(probabilities, labels) <= 21


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0, 4.0, 20.0])
def test_no_temperature_changes_a_verdict_or_the_order_of_the_statuses(temperature):
    probabilities = np.random.default_rng(1).dirichlet([0.5] * 3, 500)
    scaled = apply_temperature(probabilities, temperature)
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    assert (np.diff(np.take_along_axis(scaled, probabilities.argsort(axis=1), 1)) >= 0).all()
    surer = scaled.max(axis=1) - probabilities.max(axis=1)
    assert (surer * np.sign(1 - temperature) >= -1e-12).all()


@pytest.mark.parametrize(
    "probabilities, temperature, expected",
    [
        ([1.0, 0.0, 0.0], 3.0, [1, 0, 0]),
        ([0.5, 0.5, 0.0], 0.1, [1 / 2, 1 / 2, 0]),
        ([1 / 3, 1 / 3, 1 / 3], 7.0, [1 / 3, 1 / 3, 1 / 3]),
        ([0.8, 0.2, 0.0], 0.5, [16 / 17, 1 / 17, 0]),
        ([0.64, 0.32, 0.04], 2.0, [0.8 / 1.5657, 0.5657 / 1.5657, 0.2 / 1.5657]),
        ([1.0, 1e-300, 0.0], 0.05, [1, 0, 0]),
    ],
)
def test_temperature_by_hand(probabilities, temperature, expected):
    scaled = apply_temperature(np.array([probabilities]), temperature)
    np.testing.assert_allclose(scaled[0], expected, atol=1e-4)


def test_temperature_and_its_inverse_give_the_same_back():
    probabilities = np.random.default_rng(2).dirichlet([1] * 3, 100)
    back = apply_temperature(apply_temperature(probabilities, 2.7), 1 / 2.7)
    np.testing.assert_allclose(back, probabilities, atol=1e-12)


def test_scaling_no_calls_gives_no_calls():
    assert apply_temperature(NONE[0], 2.0).shape == (0, 3)


# Reliability


def test_reliability_by_hand():
    expected = [((0.55 + 0.52 + 0.58) / 3, 2 / 3, 3), ((0.85 + 0.87) / 2, 1 / 2, 2), (1, 1, 1)]
    columns = ["confidence", "accuracy", "calls"]
    table = tabulate_reliability(*six_calls())
    assert list(table) == columns
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected, columns=columns))


def test_certainty_shares_the_last_bin():
    table = tabulate_reliability(np.array([[1, 0, 0], [0.04, 0.96, 0]]), ["satisfied"] * 2)
    assert table.to_numpy().tolist() == [[0.98, 0.5, 2]]


def test_calibration_error_by_hand():
    expected = (3 * (2 / 3 - 0.55) + 2 * (0.86 - 0.5) + 0) / 6
    assert calibration_error(*six_calls()) == pytest.approx(expected)


@pytest.mark.parametrize(
    "confidence, right, expected",
    [(1.0, 10, 0.0), (1.0, 5, 0.5), (0.75, 10, 0.25), (0.75, 0, 0.75), (0.6, 6, 0.0)],
)
def test_the_calibration_error_of_one_confidence_is_its_distance_from_accuracy(
    confidence, right, expected
):
    rest = (1 - confidence) / 2
    probabilities = np.tile([confidence, rest, rest], (10, 1))
    labels = ["satisfied"] * right + ["average"] * (10 - right)
    assert calibration_error(probabilities, labels) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_scaling_brings_the_calibration_error_down_to_that_of_chance(seed):
    train, test = (simulate(3.0, seed=seed + more) for more in (0, 100))
    scaled = apply_temperature(test[0], fit_temperature(*train))
    assert calibration_error(*test) > 0.1
    assert calibration_error(scaled, test[1]) < 0.04


def test_every_call_is_in_one_bin():
    probabilities, labels = simulate(2.0)
    table = tabulate_reliability(probabilities, labels)
    assert table["calls"].sum() == 2000
    bins = (table["confidence"] * BINS).astype(int)
    assert bins.tolist() == sorted(set(bins))
    assert table["confidence"].between(1 / 3, 1).all()


# Coverage


def test_coverage_by_hand():
    table = tabulate_coverage(*six_calls())
    assert list(table) == ["coverage", "error", "confidence"]
    assert table["confidence"].tolist() == [1.0, 0.87, 0.85, 0.58, 0.55, 0.52]
    np.testing.assert_allclose(table["coverage"], np.arange(1, 7) / 6)
    np.testing.assert_allclose(table["error"], [0, 1 / 2, 1 / 3, 2 / 4, 2 / 5, 2 / 6])


@pytest.mark.parametrize(
    "coverage, right, judged", [(1 / 6, 1, 1), (0.2, 1, 2), (0.5, 2, 3), (0.7, 3, 5), (1.0, 4, 6)]
)
def test_the_accuracy_of_the_surest_calls_by_hand(coverage, right, judged):
    found = confident_accuracy(*six_calls(), coverage=coverage)
    assert found == pytest.approx(right / judged)


@pytest.mark.parametrize("calls", [1, 2, 3, 9, 10, 11, 70, 100, 190, 1000])
def test_the_surest_70_percent_are_rounded_up_to_whole_calls(calls):
    """All calls but the surest 70 % are wrong, so one call more or less shows."""
    confidence = np.linspace(0.9, 0.5, calls)
    probabilities = np.stack([confidence, 1 - confidence, 0 * confidence], axis=1)
    judged = -(-7 * calls // 10)
    labels = np.where(np.arange(calls) < judged, "satisfied", "average")
    assert confident_accuracy(probabilities, labels) == 1
    labels[judged - 1] = "average"
    assert confident_accuracy(probabilities, labels) == pytest.approx(1 - 1 / judged)


@pytest.mark.parametrize("seed", range(3))
def test_surer_calls_are_righter(seed):
    probabilities, labels = simulate(1.0, seed=seed)
    shares = [confident_accuracy(probabilities, labels, coverage=share) for share in (0.2, 0.6, 1)]
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] == np.mean(np.array(STATUSES)[probabilities.argmax(axis=1)] == labels)


def test_no_calls_have_no_figures():
    assert tabulate_reliability(*NONE).empty
    assert tabulate_coverage(*NONE).empty
    assert np.isnan(calibration_error(*NONE))
    assert np.isnan(confident_accuracy(*NONE))
