"""Fitting the classifier that judges a segment, and the scores that go with it."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from helpers.calibration import apply_temperature, fit_temperature
from helpers.classifiers import (
    PERCEPTRON,
    make_candidates,
    make_classifier,
    make_earlier,
    make_majority,
)
from helpers.dataset import VERDICT_KINDS, Dataset
from helpers.errors import CallEmotionError
from helpers.evaluation import (
    SPLITS,
    Evaluation,
    cross_validate,
    evaluate,
    fit_model,
)
from helpers.features import PHONE, FeatureSet
from helpers.files import write_json
from helpers.segments import KINDS
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel, order_probabilities
from helpers.workspace import Workspace

TRAINING_SETS = {"end segments": VERDICT_KINDS, "start and end segments": KINDS}
"""What may train: how calls end, as the status says, or every segment, as the earlier notebook."""

CLASSIFIERS = dict(zip((*TRAINING_SETS, "majority"), ("chosen", PERCEPTRON, "none"), strict=True))
"""What is trained on each, and beside them the baseline that always answers the same."""


class Training(NamedTuple):
    """A trained model, and what it is calibrated by.

    Attributes:
        model: the model
        out_of_fold: see `predict_out_of_fold`
    """

    model: TrainedModel
    out_of_fold: np.ndarray


def train_model(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    trained_on: frozenset[str],
    groups: np.ndarray | None = None,
    feature_set: FeatureSet = PHONE,
    seed: int = 0,
) -> Training:
    """Choose, fit and calibrate scaler and classifier.

    Args:
        features: shape (segments, features)
        labels: shape (segments,), statuses
        trained_on: content hashes of the calls the segments are from
        groups: customer of each segment, kept apart while choosing and calibrating; each segment
            is of its own where they are missing
        feature_set: what the features are
        seed: see `make_candidates`

    Returns:
        the model and what it is calibrated by; the same input gives the same
    """
    groups = np.arange(len(labels)).astype(str) if groups is None else np.asarray(groups)
    chosen = make_classifier(seed).fit(features, labels, groups)
    scaler, classifier = chosen.pipeline_.named_steps.values()
    # the chosen one in every fold: another would be more sure of itself, or less, than it is
    make_model = partial(clone, make_candidates(features.shape[1], seed)[chosen.choice_])
    unseen = predict_out_of_fold(features, labels, groups=groups, make_model=make_model, seed=seed)
    temperature = fit_temperature(unseen, labels[: len(unseen)])
    confidences = np.sort(apply_temperature(unseen, temperature).max(axis=1, initial=0)).round(6)
    model = TrainedModel(
        scaler,
        classifier,
        hash_training(features, labels, groups=groups, seed=seed),
        trained_on,
        feature_set,
        chosen.choice_,
        temperature,
        tuple(confidences.tolist()),
    )
    return Training(model, unseen)


def predict_out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    groups: np.ndarray,
    make_model: Callable[[], BaseEstimator] = make_classifier,
    seed: int = 0,
) -> np.ndarray:
    """Give each segment the probabilities of a model that has seen none of its customer's calls.

    Returns:
        shape (segments, 3), not calibrated; shape (0, 3) with too few customers to hold some out
    """

    def learn(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = fit_model(make_model(), features[train], labels[train], groups=groups[train])
        return lambda test: order_probabilities(model, features[test])

    try:
        return cross_validate(learn, labels, groups=groups, split="customer", seed=seed)
    except CallEmotionError:
        return np.empty((0, len(STATUSES)))


def hash_training(
    features: np.ndarray, labels: np.ndarray, *, groups: np.ndarray, seed: int = 0
) -> str:
    """Hash everything a training depends on: features, labels, who is kept apart, and seed."""
    digest = hashlib.sha256(f"{features.shape} {seed} ".encode())
    digest.update(np.ascontiguousarray(features).tobytes())
    digest.update(json.dumps([list(map(str, labels)), list(map(str, groups))]).encode())
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
