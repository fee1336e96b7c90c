"""Fitting the classifier that judges a segment, and the scores that go with it."""

import hashlib
import json
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.dataset import VERDICT_KINDS, Dataset
from helpers.errors import CallEmotionError
from helpers.evaluation import SPLITS, Evaluation, divide, evaluate, unweighted_average_recall
from helpers.features import PHONE, FeatureSet
from helpers.files import write_json
from helpers.model_store import TrainedModel
from helpers.segments import KINDS
from helpers.workspace import Workspace

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

TRAINING_SETS = {"end segments": VERDICT_KINDS, "start and end segments": KINDS}
"""What may train: how calls end, as the status says, or every segment, as the earlier notebook."""

PERCEPTRON = "perceptron"
"""Name of the multilayer perceptron, the documented baseline."""

CLASSIFIERS = dict(zip((*TRAINING_SETS, "majority"), ("chosen", PERCEPTRON, "none"), strict=True))
"""What is trained on each, and beside them the baseline that always answers the same."""


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
        self.pipeline_ = candidates[self.choice_].fit(features, labels)
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


def train_model(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    trained_on: frozenset[str],
    groups: np.ndarray | None = None,
    feature_set: FeatureSet = PHONE,
    seed: int = 0,
) -> TrainedModel:
    """Choose and fit scaler and classifier.

    Args:
        features: shape (segments, features)
        labels: shape (segments,), statuses
        trained_on: content hashes of the calls the segments are from
        groups: customer of each segment, kept apart while choosing
        feature_set: what the features are
        seed: see `make_candidates`

    Returns:
        the model; the same input gives the same model
    """
    chosen = make_classifier(seed).fit(features, labels, groups)
    scaler, classifier = chosen.pipeline_.named_steps.values()
    training_hash = hash_training(features, labels, seed)
    return TrainedModel(scaler, classifier, training_hash, trained_on, feature_set, chosen.choice_)


def hash_training(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> str:
    """Hash everything a training depends on: features, labels and seed."""
    digest = hashlib.sha256(f"{features.shape} {seed} ".encode())
    digest.update(np.ascontiguousarray(features).tobytes())
    digest.update(" ".join(labels).encode())
    return digest.hexdigest()


def compare_splits(dataset: Dataset, *, seed: int = 0) -> dict[tuple[str, str], Evaluation]:
    """Score the chosen classifier and the perceptron, each for every split, and the baseline.

    The chosen one is trained on how calls end, the perceptron on start and end segments, as the
    earlier notebook did.

    Returns:
        evaluation by training set and split; the baseline is `("majority", "customer")`
    """
    makers = dict(zip(TRAINING_SETS, (make_classifier, make_earlier), strict=True))
    evaluations = {
        (name, split): evaluate(
            dataset.only(kinds), partial(makers[name], seed), split=split, seed=seed
        )
        for name, kinds in TRAINING_SETS.items()
        for split in SPLITS
    }
    baseline = evaluate(dataset.only(VERDICT_KINDS), make_majority, seed=seed)
    return {**evaluations, ("majority", "customer"): baseline}


def tabulate(evaluations: dict[tuple[str, str], Evaluation]) -> pd.DataFrame:
    """Put scores in a table, one row per training set and split."""
    rows = [
        {
            "trained on": name,
            "classifier": CLASSIFIERS[name],
            **evaluation.summary(),
            "split": SPLITS[split],
        }
        for (name, split), evaluation in evaluations.items()
    ]
    return pd.DataFrame(rows)


def save_evaluations(workspace: Workspace, evaluations: dict[tuple[str, str], Evaluation]) -> None:
    """Write the scores to `evaluation.json`."""
    rows = [
        {"trained_on": name, **evaluation.summary()}
        for (name, _), evaluation in evaluations.items()
    ]
    write_json(workspace.evaluation, rows)


def read_evaluations(workspace: Workspace) -> pd.DataFrame:
    """Read the scores of `evaluation.json`, one row each; empty before notebook 04."""
    if not workspace.evaluation.is_file():
        return pd.DataFrame()
    return pd.DataFrame(json.loads(workspace.evaluation.read_text()))


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=1000)


def _perceptron(seed: int) -> Pipeline:
    network = MLPClassifier(
        hidden_layer_sizes=(HIDDEN_UNITS,), alpha=0.01, max_iter=2000, random_state=seed
    )
    return make_pipeline(PCA(KEPT_VARIANCE, svd_solver="full"), network)


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
