"""A model of the zoo that is chosen without a look at what it is scored on."""

from contextlib import suppress
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from helpers.errors import CallEmotionError
from helpers.evaluation import cross_validate, fit_model, unweighted_average_recall
from helpers.zoo.models import ScaledClassifier

QUICK = ("logistic regression", "SVM", "k-nearest neighbours")
"""What is chosen from by default."""


class ChosenModel(ClassifierMixin, BaseEstimator):
    """Tries models on speakers held out of the training rows and keeps the best.

    Reporting the best row of a table as what a new speaker gets is a leak too: it was chosen
    by the speakers it is reported on. This one is chosen anew in every fold.

    Attributes:
        scores_: UAR of each model on the held-out speakers, where there are enough of them for it
        choice_: name of the one that was kept
        scaler_: its scaler
        classifier_: it, fitted to all training rows
        classes_: names of the classes
    """

    def __init__(self, models: tuple[str, ...] = QUICK, seed: int = 0) -> None:
        self.models = models
        self.seed = seed

    def fit(self, features, labels, groups=None) -> "ChosenModel":
        """Choose by UAR, then fit; each row is a speaker of its own where `groups` are missing."""
        labels = np.asarray(labels, dtype=str)
        groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
        self.scores_ = {}
        for name in self.models:
            with suppress(CallEmotionError):
                self.scores_[name] = self._score(name, features, labels, groups)
        self.choice_ = max(self.scores_ or self.models[:1], key=self.scores_.get)
        chosen = ScaledClassifier(self.choice_, self.seed).fit(features, labels, groups)
        self.scaler_, self.classifier_ = chosen.scaler_, chosen.classifier_
        self.classes_ = chosen.classes_
        return self

    def predict_proba(self, features):
        """Give the probability of each of `classes_`, shape (rows, classes)."""
        return self.classifier_.predict_proba(self.scaler_.transform(features))

    def predict(self, features):
        """Give the most probable class of each row."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]

    def _score(self, name: str, features, labels, groups) -> float:
        learn = partial(_learn, name, self.seed, features, labels, groups)
        options = {"groups": groups, "split": "customer", "seed": self.seed}
        return unweighted_average_recall(labels, cross_validate(learn, labels, **options))


def _learn(name, seed, features, labels, groups, train: np.ndarray):
    model = ScaledClassifier(name, seed)
    fit_model(model, features[train], labels[train], groups=groups[train])
    return lambda test: model.predict(features[test])
