import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.naive_bayes import GaussianNB

from helpers.errors import CallEmotionError
from helpers.evaluation import cross_validate, unweighted_average_recall
from helpers.feedback.learning import (
    LEAST_POINTS,
    REACH,
    REPEATS,
    SHARES,
    estimate_labels,
    learning_curve,
)
from helpers.statuses import STATUSES


class Witness(ClassifierMixin, BaseEstimator):
    """A classifier that writes down the rows it learns from and those it is asked."""

    def __init__(self, seen: list) -> None:
        self.seen = seen

    def fit(self, features, labels, groups):
        self.classes_ = np.unique(labels)
        self.seen.append({"learned": features[:, 0].astype(int), "groups": groups})
        return self

    def predict(self, features):
        self.seen[-1]["asked"] = features[:, 0].astype(int)
        return np.full(len(features), "average")


def numbered(calls: int = 60, customers: int = 20, seed: int = 0):
    """Features that are the number of the row, labels in no order, and customers."""
    order = np.random.default_rng(seed).permutation(calls)
    customer = np.array([f"customer {number % customers}" for number in range(calls)], object)
    return np.arange(calls).reshape(-1, 1), np.resize(STATUSES, calls)[order], customer[order]


@pytest.mark.parametrize("calls, customers, seed", [(60, 20, 0), (60, 60, 1), (24, 8, 2)])
def test_parts_are_whole_customers_nobody_asked_and_grow(calls, customers, seed):
    features, labels, groups = numbered(calls, customers)
    seen: list[dict] = []
    curve = learning_curve(features, labels, groups, lambda: Witness(seen), seed=seed)
    folds = len(seen) // len(SHARES)
    assert len(seen) == 75
    for number, fit in enumerate(seen):
        rows = fit["learned"]
        assert set(labels[rows]) == set(STATUSES)
        assert fit["groups"].tolist() == groups[rows].tolist()
        others = np.setdiff1d(np.arange(calls), np.concatenate([rows, fit["asked"]]))
        assert not set(groups[rows]) & {*groups[fit["asked"]], *groups[others]}
        if number >= folds:
            assert set(seen[number - folds]["learned"]) <= set(rows)
    assert all(len(fit["learned"]) + len(fit["asked"]) == calls for fit in seen[-folds:])
    sizes = [np.mean([len(fit["learned"]) for fit in part]) for part in np.split(np.array(seen), 5)]
    assert curve["calls"].tolist() == [round(size) for size in sizes]


def spread(calls: int = 90, *, distance: float, seed: int = 0):
    """Calls of as many customers, whose statuses lie a distance apart in noise of 20 features."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.resize(STATUSES, calls))
    features = generator.standard_normal((calls, 20))
    features[:, 0] += distance * np.array([STATUSES.index(label) for label in labels])
    return features, labels, np.arange(calls).astype(str)


@pytest.fixture(scope="module")
def rising() -> pd.DataFrame:
    return learning_curve(*spread(distance=2), GaussianNB)


def test_all_training_calls_give_the_cross_validated_score(rising):
    features, labels, groups = spread(distance=2)

    def learn(train):
        model = GaussianNB().fit(features[train], labels[train])
        return lambda test: model.predict(features[test])

    scores = []
    for seed in range(REPEATS):
        found = cross_validate(learn, labels, groups=groups, split="customer", seed=seed)
        scores.append(unweighted_average_recall(labels, found))
    last = rising.iloc[-1]
    assert last["calls"] == 72
    assert last["low"] < last["uar"] < last["high"]
    assert last["uar"] == pytest.approx(np.mean(scores))


def test_a_model_that_learns_has_a_rising_curve_and_one_that_does_not_a_flat_one(rising):
    flat = learning_curve(
        *spread(distance=2), lambda: DummyClassifier(strategy="constant", constant="average")
    )
    assert rising["uar"].iloc[-1] > rising["uar"].iloc[0] + 0.1
    assert flat["uar"].tolist() == pytest.approx([1 / 3] * len(SHARES))


@pytest.mark.parametrize("seed, same", [(0, True), (4, False)])
def test_the_same_seed_gives_the_same_curve_and_another_one_another(rising, seed, same):
    assert learning_curve(*spread(distance=2), GaussianNB, seed=seed).equals(rising) == same


def test_too_few_customers_for_a_curve_are_said():
    features, labels, _ = spread(30, distance=1)
    with pytest.raises(CallEmotionError, match="too few customers"):
        learning_curve(features, labels, np.repeat("Ann", 30), GaussianNB)


def curve_of(
    ceiling: float, scale: float, decay: float, *, calls=240, width=0.0, noise=0.0, seed=0
) -> pd.DataFrame:
    """A learning curve that follows the law `ceiling - scale n^-decay`."""
    size = np.round(calls * np.array(SHARES))
    uar = ceiling - scale * size**-decay
    uar += np.random.default_rng(seed).normal(0, noise, len(SHARES))
    columns = {"calls": size.astype(int), "uar": uar, "low": uar - width / 2}
    return pd.DataFrame({**columns, "high": uar + width / 2})


def needed_by(ceiling: float, scale: float, decay: float, *, calls: int, gain: float) -> float:
    """Solve the law for the number of calls, less those there are."""
    wanted = ceiling - scale * calls**-decay + gain
    return (scale / (ceiling - wanted)) ** (1 / decay) - calls


@pytest.mark.parametrize(
    "ceiling, scale, decay, calls, gain",
    [
        (0.8, 1.2, 0.4, 240, 0.05),
        (0.9, 1.5, 0.3, 300, 0.05),
        (0.7, 2.0, 0.6, 100, 0.05),
        (0.95, 3.0, 0.9, 60, 0.03),
    ],
)
def test_a_known_law_is_recovered(ceiling, scale, decay, calls, gain):
    curve = curve_of(ceiling, scale, decay, calls=calls)
    estimate = estimate_labels(curve, gain=gain)
    truth = needed_by(ceiling, scale, decay, calls=calls, gain=gain)
    assert truth / 1.2 < estimate.labels < truth * 1.2
    assert estimate.low <= estimate.labels <= estimate.high
    assert estimate.reason == (
        f"about {estimate.labels} more labelled calls for {100 * gain:g} more points of UAR "
        f"(95 % range: {estimate.low} to {estimate.high})"
    )


@pytest.mark.parametrize(
    "curve, why",
    [
        (curve_of(0.5, 0, 0.5), "the learning curve does not rise, it stays at UAR 0.500"),
        (curve_of(0.3, -0.9, 0.5), "the learning curve does not rise, it stays at UAR 0.3"),
        (
            curve_of(0.7, 1.5, 0.5, calls=1000),
            "the learning curve flattens at UAR 0.700, wanted is",
        ),
        (curve_of(0.65, 0.9, 0.5), "5 more points would take more than 20 times the 240 calls of"),
    ],
    ids=["flat", "falling", "flattening", "far"],
)
def test_what_more_of_the_same_cannot_reach_has_a_reason(curve, why):
    estimate = estimate_labels(curve)
    assert estimate[:3] == (None, None, None)
    assert estimate.reason.startswith(f"out of reach by more of the same: {why}")
    assert estimate.reason.endswith(
        ". Look for wrong labels, bad recordings and calls that people judge differently"
    )


@pytest.mark.parametrize("seed", range(4))
def test_an_uncertain_curve_has_a_wide_range_that_holds_the_truth(seed):
    truth = needed_by(0.8, 1.2, 0.4, calls=240, gain=0.05)
    curve = curve_of(0.8, 1.2, 0.4, width=3.92 * 0.02, noise=0.02, seed=seed)
    estimate = estimate_labels(curve)
    assert estimate.low < truth
    assert estimate.high is None
    if estimate.labels is None:
        assert f"(not certain: {estimate.low} more calls may do)" in estimate.reason
    else:
        assert estimate.low < estimate.labels <= 2 * REACH * 240
        assert f"range: {estimate.low} or more, out of reach in " in estimate.reason


def test_a_more_certain_curve_has_a_narrower_range():
    wide, narrow = (
        estimate_labels(curve_of(0.9, 1.5, 0.3, calls=300, width=width)) for width in (0.01, 0.002)
    )
    assert wide.low < narrow.low <= narrow.labels <= narrow.high < wide.high


@pytest.mark.parametrize("points", range(LEAST_POINTS))
def test_a_short_curve_is_too_early_to_tell(points):
    estimate = estimate_labels(curve_of(0.8, 1.2, 0.4)[:points])
    assert estimate == (
        *(None, None, None),
        f"too early to tell: the learning curve has {points} points, expected 4 or more. Label "
        "calls of more customers",
    )
