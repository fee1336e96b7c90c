"""A support vector machine whose probabilities come from speakers it has not heard."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC

from helpers.errors import CallEmotionError
from helpers.evaluation import divide

PENALTY = 5.0
"""What an error costs in training (scikit-learn's C)."""

CALIBRATION_FOLDS = 3
"""Parts of the training speakers whose answers the probabilities are fitted to."""


class SupportVectors(ClassifierMixin, BaseEstimator):
    """A Gaussian support vector machine with probabilities (Platt 1999).

    Attributes:
        machine_: the fitted machine, calibrated where there were speakers enough to hold some out
        classes_: names of the classes
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, features, labels, groups=None) -> "SupportVectors":
        """Fit; `groups` names the speaker of each row.

        Without them, or where a class has too few speakers to hold some out, each row is of its
        own, and the probabilities are a little too sure.

        Raises:
            CallEmotionError: where a class has a single row
        """
        labels = np.asarray(labels)
        groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
        try:
            folds = self._divide(labels, groups)
        except CallEmotionError:
            folds = self._divide(labels, np.arange(len(labels)))
        machine = SVC(C=PENALTY, class_weight="balanced", random_state=self.seed)
        self.machine_ = CalibratedClassifierCV(machine, cv=folds, ensemble=False)
        self.machine_.fit(features, labels)
        self.classes_ = self.machine_.classes_
        self.machine_.cv = None
        return self

    def predict_proba(self, features):
        """Give the probability of each of `classes_`, shape (rows, classes)."""
        return self.machine_.predict_proba(features)

    def predict(self, features):
        """Give the most probable class of each row."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]

    def _divide(self, labels, groups):
        return divide(
            labels, groups=groups, split="customer", folds=CALIBRATION_FOLDS, seed=self.seed
        )
