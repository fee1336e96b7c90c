"""The model zoo: one registry of classifiers, each with what it is and when to pick it."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from helpers.errors import CallEmotionError
from helpers.evaluation import fit_model
from helpers.zoo.boosting import GradientBoosting, XGBoost
from helpers.zoo.feature_sets import FRAME_BANDS
from helpers.zoo.support_vectors import SupportVectors

VECTORS, FRAMES = "vectors", "frames"
"""What a model takes: one vector an utterance, or a spectrum over time."""

TREES = 300
"""Trees of a forest."""

NEIGHBOURS = 15
"""So many of the nearest training utterances vote."""

STRENGTH = 0.003
"""Inverse regularisation of the logistic regression (scikit-learn's C), as `helpers.emotion`'s."""


class ZooModel(NamedTuple):
    """One entry of the registry.

    Attributes:
        name: by which it is asked for, and listed in tables
        what: what it is, in a sentence
        pick: when to pick it, in a sentence
        make: takes a seed, gives an unfitted classifier
        takes: `VECTORS` or `FRAMES`
        needs: modules it needs beside requirements.txt
    """

    name: str
    what: str
    pick: str
    make: Callable[[int], ClassifierMixin]
    takes: str = VECTORS
    needs: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether everything it needs is there."""
        return all(find_spec(module) for module in self.needs)


class ScaledClassifier(ClassifierMixin, BaseEstimator):
    """A scaler and a model of the zoo, fitted as one, so that both stay inside the fold.

    Attributes:
        scaler_: standardises vectors; leaves frames as they are, whose network scales them itself
        classifier_: the model
        classes_: names of the classes, in the order of the probabilities
    """

    def __init__(self, model: str = "logistic regression", seed: int = 0) -> None:
        self.model = model
        self.seed = seed

    def fit(self, features, labels, groups=None) -> "ScaledClassifier":
        """Fit; `groups` names the speaker or customer of each row, for models that stop early."""
        entry = find_model(self.model)
        scales = entry.takes == VECTORS
        self.scaler_ = StandardScaler(with_mean=scales, with_std=scales).fit(features)
        scaled = self.scaler_.transform(features)
        self.classifier_ = fit_model(
            entry.make(self.seed), scaled, np.asarray(labels, dtype=str), groups=groups
        )
        self.classes_ = self.classifier_.classes_
        return self

    def predict_proba(self, features):
        """Give the probability of each of `classes_`, shape (rows, classes)."""
        return self.classifier_.predict_proba(self.scaler_.transform(features))

    def predict(self, features):
        """Give the most probable class of each row."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]


class NearestNeighbours(ClassifierMixin, BaseEstimator):
    """The `NEIGHBOURS` nearest training rows vote, or all where there are fewer.

    Attributes:
        voters_: the fitted training rows
        classes_: names of the classes
    """

    def fit(self, features, labels) -> "NearestNeighbours":
        """Keep the training rows."""
        count = min(NEIGHBOURS, len(labels))
        self.voters_ = KNeighborsClassifier(count, weights="distance").fit(features, labels)
        self.classes_ = self.voters_.classes_
        return self

    def predict_proba(self, features):
        """Give the share of the votes of each of `classes_`, shape (rows, classes)."""
        return self.voters_.predict_proba(features)

    def predict(self, features):
        """Give the class with most votes for each row."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]


def find_model(name: str) -> ZooModel:
    """Look a model up by name.

    Raises:
        CallEmotionError: where there is no such model, or what it needs is not installed
    """
    model = {model.name: model for model in ZOO}.get(name)
    if model is None:
        raise CallEmotionError(
            f"there is no model {name!r} in the zoo; there are: "
            f"{', '.join(model.name for model in ZOO)}"
        )
    if not model.installed:
        missing = [module for module in model.needs if not find_spec(module)]
        raise CallEmotionError(
            f"{name} needs {' and '.join(missing)}, which is not installed: make zoo "
            "(requirements-zoo.txt)"
        )
    return model


def list_models(*, takes: str | None = None) -> list[str]:
    """Name the models whose packages are installed, in the order of the registry.

    Args:
        takes: `VECTORS` or `FRAMES`, both by default
    """
    return [model.name for model in ZOO if model.installed and takes in (None, model.takes)]


def _network(architecture: str, seed: int, bands: int = 0) -> ClassifierMixin:
    from helpers.zoo.networks import NetworkClassifier

    return NetworkClassifier(architecture, bands=bands, seed=seed)


def _sequence(name: str, what: str, pick: str) -> ZooModel:
    make = partial(_network, name, bands=FRAME_BANDS)
    return ZooModel(name, what, pick, make, FRAMES, _NETWORK)


_NETWORK = ("torch", "skorch")

ZOO = (
    ZooModel(
        "logistic regression",
        "A weighted sum of the features for each class, strongly regularised.",
        "First: with few recordings and many features it is hard to beat, trains in a second, and "
        "its weights can be read.",
        lambda seed: LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced"),
    ),
    ZooModel(
        "SVM",
        "Support vector machine with a Gaussian kernel; probabilities are fitted to answers about "
        "held-out speakers (Cortes & Vapnik 1995; Platt 1999).",
        "With a few thousand recordings and features of one kind. It keeps many training rows, so "
        "it is large and slows down with the corpus.",
        lambda seed: SupportVectors(seed=seed),
    ),
    ZooModel(
        "k-nearest neighbours",
        f"The {NEIGHBOURS} most similar training recordings vote, near ones more; classes cannot "
        "be weighted.",
        "To see what similarity alone gives, or to show the recordings behind a verdict.",
        lambda seed: NearestNeighbours(),
    ),
    ZooModel(
        "random forest",
        f"{TREES} decision trees, each grown on a resample of the recordings (Breiman 2001).",
        "With features of very different kinds and scales, or many that say nothing.",
        lambda seed: RandomForestClassifier(
            TREES, class_weight="balanced_subsample", random_state=seed
        ),
    ),
    ZooModel(
        "extra trees",
        f"{TREES} decision trees whose thresholds are drawn by chance (Geurts et al. 2006).",
        "Where a random forest is right but too slow to train.",
        lambda seed: ExtraTreesClassifier(TREES, class_weight="balanced", random_state=seed),
    ),
    ZooModel(
        "gradient boosting",
        "Small trees, each grown on the errors of those before, stopped where held-out speakers "
        "gain no more (Friedman 2001; histograms of scikit-learn).",
        "With thousands of recordings and features that work together; needs no other package.",
        lambda seed: GradientBoosting(seed=seed),
    ),
    ZooModel(
        "XGBoost",
        "Gradient boosting with regularised trees, stopped the same way (Chen & Guestrin 2016).",
        "Like gradient boosting, several times faster with many features.",
        lambda seed: XGBoost(seed=seed),
        needs=("xgboost",),
    ),
    ZooModel(
        "perceptron",
        "Multilayer perceptron on vectors, stopped early on held-out speakers.",
        "With embeddings of a large speech network, or tens of thousands of recordings.",
        partial(_network, "perceptron"),
        needs=_NETWORK,
    ),
    _sequence(
        "1-D CNN",
        "Convolutions over time on mel spectra, pooled over the utterance.",
        "The quickest of the networks that hear how a sound goes on.",
    ),
    _sequence(
        "LSTM",
        "Long short-term memory on mel spectra (Hochreiter & Schmidhuber 1997).",
        "Where order in time matters; slow without a GPU.",
    ),
    _sequence(
        "GRU",
        "Gated recurrent units on mel spectra (Cho et al. 2014).",
        "Like LSTM, a little smaller and faster.",
    ),
    _sequence(
        "CNN-LSTM",
        "Convolutions that shorten the spectrum, then an LSTM (Trigeorgis et al. 2016).",
        "The best recurrent choice on a CPU: the LSTM has fewer steps to go.",
    ),
)
"""Every model; adding one is adding an entry."""
