"""The classifiers a segment may be judged by, and the choice among them."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.errors import CallEmotionError
from helpers.evaluation import (
    divide,
    unweighted_average_recall,
)
from helpers.features import PHONE

HIDDEN_UNITS = 300
"""Size of the one hidden layer of the multilayer perceptron."""

KEPT_VARIANCE = 0.99
"""Share of the features' variance that its input keeps (principal components)."""

VOICE_STRENGTH, EMOTION_STRENGTH = 0.001, 0.1
"""Inverse regularisation (scikit-learn's C) of what hears the voice and of what hears emotions."""

VOICE_AND_EMOTION = (1, 2)
"""Their weights where both are heard."""

INNER_FOLDS = 3
"""Folds inside the training calls on which a classifier is chosen."""

PERCEPTRON = "perceptron"
"""Name of the multilayer perceptron, the documented baseline."""


class ChosenClassifier(ClassifierMixin, BaseEstimator):
    """Tries a few classifiers on held-out groups of its training data and keeps the best.

    Attributes:
        scores_: UAR of each on the held-out groups; empty with too few groups to hold some out
        choice_: name of the one that was kept, see `make_candidates`
        pipeline_: it, fitted to all training data: a scaler and a classifier
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, features, labels, groups=None) -> "ChosenClassifier":
        """Choose by UAR, then fit; each row is a group of its own where `groups` are missing."""
        candidates = make_candidates(features.shape[1], self.seed)
        groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
        self.scores_ = _score(candidates, features, np.asarray(labels), groups, self.seed)
        self.choice_ = max(self.scores_ or ["linear"], key=self.scores_.get)
        self.pipeline_ = _widen_all(candidates[self.choice_].fit(features, labels))
        _forget_training(self.pipeline_)
        self.classes_ = self.pipeline_.classes_
        return self

    def predict(self, features):
        """Give the most probable status of each row."""
        return self.pipeline_.predict(features)

    def predict_proba(self, features):
        """Give the probability of each of `classes_`."""
        return self.pipeline_.predict_proba(features)


def make_classifier(seed: int = 0) -> ChosenClassifier:
    """Make the default: an unfitted choice among `make_candidates`."""
    return ChosenClassifier(seed)


def make_candidates(columns: int, seed: int = 0) -> dict[str, Pipeline]:
    """Make what is chosen from, each a scaler and a classifier.

    Args:
        columns: number of features; those beyond the phone set's are a model's emotions
        seed: of the perceptron

    Returns:
        unfitted pipelines by name, the simplest first
    """
    voice = slice(0, len(PHONE.names))
    candidates = {"linear": _regression(VOICE_STRENGTH)}
    if columns > len(PHONE.names):
        emotions = slice(len(PHONE.names), None)
        apart = [
            ("voice", make_pipeline(_only(voice), _regression(VOICE_STRENGTH))),
            ("emotions", make_pipeline(_only(emotions), _regression(EMOTION_STRENGTH))),
        ]
        candidates |= dict(apart)
        candidates["voice and emotions"] = VotingClassifier(
            apart, voting="soft", weights=VOICE_AND_EMOTION
        )
    candidates[PERCEPTRON] = _perceptron(seed)
    return {name: make_pipeline(StandardScaler(), each) for name, each in candidates.items()}


def make_earlier(seed: int = 0) -> Pipeline:
    """Make the documented baseline: an unfitted scaler and multilayer perceptron.

    Args:
        seed: of the network's first weights and of the order of training
    """
    return make_pipeline(StandardScaler(), _perceptron(seed))


def make_majority() -> DummyClassifier:
    """Make the baseline that always answers the most frequent status."""
    return DummyClassifier(strategy="most_frequent")


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=1000)


def _perceptron(seed: int) -> Pipeline:
    network = MLPClassifier(
        hidden_layer_sizes=(HIDDEN_UNITS,), alpha=0.01, max_iter=2000, random_state=seed
    )
    return make_pipeline(PCA(KEPT_VARIANCE, svd_solver="full"), network)


def _widen_all(pipeline: Pipeline) -> Pipeline:
    """Replace regressions on some columns by equal ones on all, which are far smaller as files."""
    width = pipeline[0].n_features_in_
    classifier = pipeline[-1]
    if isinstance(classifier, VotingClassifier):
        classifier.estimators_ = [_widen(each, width) for each in classifier.estimators_]
        named = dict(zip(classifier.named_estimators_, classifier.estimators_, strict=True))
        classifier.named_estimators_.update(named)
    elif isinstance(classifier, Pipeline):
        pipeline.steps[-1] = (pipeline.steps[-1][0], _widen(classifier, width))
    return pipeline


def _widen(part: Pipeline, width: int) -> ClassifierMixin:
    if not isinstance(part[0], ColumnTransformer):
        return part
    (_, _, columns), regression = part[0].transformers_[0], part[-1]
    weights = np.zeros((len(regression.coef_), width))
    weights[:, columns] = regression.coef_
    regression.coef_, regression.n_features_in_ = weights, width
    return regression


def _forget_training(pipeline: Pipeline) -> None:
    """Drop what a perceptron keeps to learn on: it is large, and never twice alike in a file."""
    network = pipeline[-1][-1] if isinstance(pipeline[-1], Pipeline) else None
    for name in ("_optimizer", "_random_state"):
        if hasattr(network, name):
            delattr(network, name)


def _only(columns: slice) -> ColumnTransformer:
    return ColumnTransformer([("kept", "passthrough", columns)])


def _score(
    candidates: dict[str, Pipeline],
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> dict[str, float]:
    try:
        folds = divide(labels, groups=groups, split="customer", folds=INNER_FOLDS, seed=seed)
    except CallEmotionError:
        return {}
    return {
        name: unweighted_average_recall(
            np.concatenate([labels[test] for _, test in folds]),
            np.concatenate(
                [
                    clone(candidate).fit(features[train], labels[train]).predict(features[test])
                    for train, test in folds
                ]
            ),
        )
        for name, candidate in candidates.items()
    }
