"""Boosted trees that stop where speakers they have not heard gain no more."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from helpers.zoo.held_out import hold_out

MOST_ROUNDS, FEWEST_ROUNDS = 50, 10
"""Rounds of boosting that are tried, and that are made where there is nothing to stop by."""

RATE = 0.1
"""Share of each tree that is added."""

BINS = 32
"""Steps into which a feature is divided; more cost time and gain nothing."""

MOST_COLUMNS = 1500
"""Of more features only those are looked at that differ most between the classes in training."""

SMALLEST_LEAF = 5
"""Rows at the end of a branch; scikit-learn's 20 would learn nothing from thirty recordings."""

SHARE = 0.2
"""Share of the features that each split is chosen from."""


class _Boosting(ClassifierMixin, BaseEstimator):
    """Finds the number of rounds on held-out speakers, then trains as many on all rows."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, features, labels, groups=None):
        """Fit; `groups` names the speaker of each row, each row is of its own without them."""
        labels = np.asarray(labels)
        learned, held = hold_out(labels, groups, seed=self.seed)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        self.columns_ = _telling_columns(features, numbers)
        features = features[:, self.columns_]
        self.rounds_ = FEWEST_ROUNDS
        if len(held):
            trial = self._train(features[learned], numbers[learned], MOST_ROUNDS)
            losses = [
                log_loss(numbers[held], answers, labels=np.arange(len(self.classes_)))
                for answers in self._stages(trial, features[held])
            ]
            self.rounds_ = max(FEWEST_ROUNDS, int(np.argmin(losses)) + 1)
        self.trees_ = self._train(features, numbers, self.rounds_)
        return self

    def predict_proba(self, features):
        """Give the probability of each of `classes_`, shape (rows, classes)."""
        return self.trees_.predict_proba(features[:, self.columns_])

    def predict(self, features):
        """Give the most probable class of each row."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]


class GradientBoosting(_Boosting):
    """Histogram gradient boosting of scikit-learn.

    Attributes:
        columns_: numbers of the features that are looked at
        rounds_: rounds of boosting, chosen on held-out speakers
        trees_: the fitted trees, of classes 0 to n - 1
        classes_: names of the classes
    """

    def _train(self, features, numbers, rounds: int) -> HistGradientBoostingClassifier:
        trees = HistGradientBoostingClassifier(
            learning_rate=RATE,
            max_iter=rounds,
            max_leaf_nodes=15,
            min_samples_leaf=SMALLEST_LEAF,
            max_bins=BINS,
            max_features=SHARE,
            early_stopping=False,
            class_weight="balanced",
            random_state=self.seed,
        )
        return trees.fit(features, numbers)

    def _stages(self, trees, features):
        return trees.staged_predict_proba(features)


class XGBoost(_Boosting):
    """XGBoost on histograms; needs xgboost.

    Attributes:
        columns_: numbers of the features that are looked at
        rounds_: rounds of boosting, chosen on held-out speakers
        trees_: the fitted trees, of classes 0 to n - 1
        classes_: names of the classes
    """

    def _train(self, features, numbers, rounds: int):
        from xgboost import XGBClassifier

        trees = XGBClassifier(
            n_estimators=rounds,
            learning_rate=RATE,
            max_depth=4,
            max_bin=BINS,
            colsample_bynode=SHARE,
            tree_method="hist",
            n_jobs=1,
            random_state=self.seed,
        )
        return trees.fit(
            features, numbers, sample_weight=compute_sample_weight("balanced", numbers)
        )

    def _stages(self, trees, features):
        for rounds in range(1, MOST_ROUNDS + 1):
            yield trees.predict_proba(features, iteration_range=(0, rounds))


def _telling_columns(features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Number the columns whose variance is most between the classes (the order of the F test)."""
    counts = np.bincount(numbers)
    means = np.stack([features[numbers == number].mean(axis=0) for number in range(len(counts))])
    between = counts @ np.square(means - features.mean(axis=0)) / len(numbers)
    share = between / (features.var(axis=0) + 1e-9)
    return np.sort(np.argsort(-share, kind="stable")[:MOST_COLUMNS])
