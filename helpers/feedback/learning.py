"""How the score grows with the number of labelled calls, and how many the next points need."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from sklearn.base import BaseEstimator

from helpers.evaluation import (
    bootstrap_interval,
    cross_validate,
    fit_model,
    unweighted_average_recall,
)

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the training calls at which the learning curve is measured."""

REPEATS = 3
"""Divisions of the calls that each of its points is the average of."""

LEAST_POINTS = 4
"""Points that a learning curve needs to be continued: one more than its law has numbers."""

DECAY = (0.1, 1.0)
"""Least and greatest exponent of that law."""

LEAST_GAP = 0.01
"""UAR that a curve must be below what its law tends to; less is flat."""

REACH = 20
"""Times the calls of the curve beyond which going on is out of reach, and the law a guess."""

DRAWS = 200
"""Curves that are drawn from the intervals of the points to know the range of the estimate."""

_NARROWEST = 1e-3

_DEVIATIONS = 3.92  # in a 95 % interval


class LabelEstimate(NamedTuple):
    """How many more labelled calls a gain needs, rounded up to two digits.

    Attributes:
        labels: calls; `None` where they are out of reach or cannot be told
        low: lower end of the 95 % range, and `None` likewise
        high: upper end of it, and `None` likewise
        reason: the estimate, or why there is none, as a sentence
    """

    labels: int | None
    low: int | None
    high: int | None
    reason: str


def learning_curve(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    make_model: Callable[[], BaseEstimator],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Score models that learned from fewer calls, always on customers they have not met.

    In each fold of the cross-validation a model learns from a part of the training customers:
    whole customers, of every status at the same pace. Smaller parts are within larger ones.

    Args:
        features: shape (calls, features), one row per call
        labels: shape (calls,), statuses
        groups: shape (calls,), customer of each call
        make_model: gives an unfitted classifier, scaler included; it is fitted 75 times
        seed: of the folds and the parts

    Returns:
        one row per share of the training calls with the columns `calls` (learned from, on
        average), `uar`, and `low` and `high`, the ends of its 95 % interval over customers

    Raises:
        CallEmotionError: where there are too few customers to hold some out
    """
    labels, groups = np.asarray(labels), np.asarray(groups, dtype=object)
    true, customers = np.tile(labels, REPEATS), np.tile(groups, REPEATS)
    score = partial(_predict_from_part, features, labels, groups, make_model)
    rows = []
    for share in SHARES:
        repeats = [score(share=share, seed=each) for each in range(seed, seed + REPEATS)]
        predicted = np.concatenate([predicted for predicted, _ in repeats])
        low, high = bootstrap_interval(true, predicted, groups=customers, seed=seed)
        calls = round(np.mean([learned_from for _, learned_from in repeats]))
        uar = unweighted_average_recall(true, predicted)
        rows.append({"calls": calls, "uar": uar, "low": low, "high": high})
    return pd.DataFrame(rows)


def estimate_labels(curve: pd.DataFrame, *, gain: float = 0.05) -> LabelEstimate:
    """Estimate how many more labelled calls a gain in UAR needs.

    An inverse power law of the number of calls, `a - b n^-c`, is fitted to the curve (Figueroa et
    al. 2012), each point weighted by its interval, and followed beyond the last point. The range is
    that of laws fitted to curves drawn from the intervals. They are drawn independently although
    all points are judged on the same calls, so the range is rather too wide than too narrow.

    Args:
        curve: as `learning_curve` gives it
        gain: in UAR, above the law at the last point

    Returns:
        the estimate; there is none where the curve is too short or too uncertain, does not rise,
        flattens before the gain, or would have to go on beyond `REACH` times its calls
    """
    columns = ("calls", "uar", "low", "high")
    calls, uar, low, high = (curve[name].to_numpy(dtype=float) for name in columns)
    points = len(np.unique(calls))
    if points < LEAST_POINTS:
        return LabelEstimate(
            *(None, None, None),
            f"too early to tell: the learning curve has {points} points, expected {LEAST_POINTS} "
            "or more. Label calls of more customers",
        )
    deviation = np.maximum(high - low, _NARROWEST) / _DEVIATIONS
    law = _fit_law(calls, uar, deviation)
    needed = law.more_calls(gain)
    drawn = np.random.default_rng(0).normal(uar, deviation, (DRAWS, len(uar)))
    draws = [_fit_law(calls, each, deviation).more_calls(gain) for each in drawn]
    low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf")
    numbers = [_round_up(number) for number in (needed, min(low, needed), max(high, needed))]
    if numbers[0] is None:
        reason = _describe_obstacle(law, gain, fewest=numbers[1])
    else:
        reason = _describe_numbers(numbers, gain, missed=float(np.mean(np.isinf(draws))))
    return LabelEstimate(*numbers, reason)


class _Law(NamedTuple):
    """The law `ceiling - gap (n / calls)^-decay`, whose numbers are all of about one size."""

    calls: float
    ceiling: float
    gap: float
    decay: float

    def uar(self, calls: np.ndarray) -> np.ndarray:
        return self.ceiling - self.gap * (calls / self.calls) ** -self.decay

    def more_calls(self, gain: float) -> float:
        """Calls that the gain needs beyond `calls`, infinite where they are out of reach."""
        if self.gap <= gain:
            return math.inf
        more = self.calls * ((self.gap / (self.gap - gain)) ** (1 / self.decay) - 1)
        return more if more <= REACH * self.calls else math.inf


def _fit_law(calls: np.ndarray, uar: np.ndarray, deviation: np.ndarray) -> _Law:
    most = calls.max()

    def miss(numbers: np.ndarray) -> np.ndarray:
        return (_Law(most, *numbers).uar(calls) - uar) / deviation

    start = (min(uar.max() + 0.05, 0.99), 0.05, 0.5)
    bounds = ((0, 0, DECAY[0]), (1, np.inf, DECAY[1]))
    fit = least_squares(miss, start, bounds=bounds, x_scale=(0.1, 0.1, 0.5), method="dogbox")
    return _Law(most, *map(float, fit.x))


def _describe_obstacle(law: _Law, gain: float, *, fewest: int | None) -> str:
    now = law.ceiling - law.gap
    if law.gap < LEAST_GAP:
        why = f"the learning curve does not rise, it stays at UAR {now:.3f}"
    elif law.gap <= gain:
        why = f"the learning curve flattens at UAR {law.ceiling:.3f}, wanted is {now + gain:.3f}"
    else:
        why = f"{_points(gain)} would take more than {REACH} times the {law.calls:.0f} calls of now"
    doubt = f" (not certain: {fewest} more calls may do)" if fewest else ""
    return (
        f"out of reach by more of the same: {why}{doubt}. Look for wrong labels, bad recordings "
        "and calls that people judge differently"
    )


def _describe_numbers(numbers: list[int | None], gain: float, *, missed: float) -> str:
    labels, fewest, most = numbers
    ends = f"{fewest} to {most}" if most else f"{fewest} or more"
    doubt = "" if most else f", out of reach in {100 * missed:.0f} % of what the curve allows"
    return (
        f"about {labels} more labelled calls for {_points(gain)} of UAR (95 % range: {ends}{doubt})"
    )


def _points(gain: float) -> str:
    return f"{100 * gain:g} more points"


def _round_up(calls: float) -> int | None:
    if math.isinf(calls):
        return None
    step = 10 ** max(math.floor(math.log10(max(calls, 1))) - 1, 0)
    return max(math.ceil(calls / step), 1) * step


def _predict_from_part(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    make_model: Callable[[], BaseEstimator],
    *,
    share: float,
    seed: int,
) -> tuple[np.ndarray, float]:
    """Predict every call by models of a share of the other customers, and count their calls."""
    sizes = []

    def learn(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        part = train[_draw_part(labels[train], groups[train], share, seed)]
        sizes.append(len(part))
        model = fit_model(make_model(), features[part], labels[part], groups=groups[part])
        return lambda test: np.asarray(model.predict(features[test]), object)

    predicted = cross_validate(learn, labels, groups=groups, split="customer", seed=seed)
    return predicted, float(np.mean(sizes))


def _draw_part(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw whole groups: one of each label, then others, of every label at the same pace."""
    pairs = pd.DataFrame({"group": groups, "label": labels}).drop_duplicates()
    pairs = pairs.sample(frac=1, random_state=seed)
    by_label = pairs.groupby("label")["group"]
    place = by_label.cumcount() / by_label.transform("size")
    turn = place.groupby(pairs["group"], sort=False).min().sort_values(kind="stable")
    rows = pd.Series(groups).value_counts().reindex(turn.index).cumsum()
    drawn = turn.index[(turn == 0) | (rows <= share * len(groups))]
    return np.flatnonzero(pd.Series(groups).isin(drawn))
