"""Fitting the network that judges a segment, and the scores that go with it."""

import hashlib
import json

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.dataset import VERDICT_KINDS, Dataset
from helpers.evaluation import SPLITS, Evaluation, evaluate
from helpers.files import write_json
from helpers.model_store import TrainedModel
from helpers.segments import KINDS
from helpers.workspace import Workspace

HIDDEN_UNITS = 300
"""Size of the network's one hidden layer."""

TRAINING_SETS = {"end segments": VERDICT_KINDS, "start and end segments": KINDS}
"""What may train: how calls end, as the status says, or every segment, as the earlier notebook."""


def make_classifier(seed: int = 0) -> Pipeline:
    """Make an unfitted scaler and multilayer perceptron.

    Args:
        seed: of the network's first weights and of the order of training
    """
    network = MLPClassifier(
        hidden_layer_sizes=(HIDDEN_UNITS,), alpha=0.01, max_iter=2000, random_state=seed
    )
    return make_pipeline(StandardScaler(), network)


def make_majority() -> DummyClassifier:
    """Make the baseline that always answers the most frequent status."""
    return DummyClassifier(strategy="most_frequent")


def train_model(
    features: np.ndarray, labels: np.ndarray, *, trained_on: frozenset[str], seed: int = 0
) -> TrainedModel:
    """Fit scaler and network.

    Args:
        features: shape (segments, features)
        labels: shape (segments,), statuses
        trained_on: content hashes of the calls the segments are from
        seed: see `make_classifier`

    Returns:
        the model; the same input gives the same model
    """
    scaler, classifier = make_classifier(seed).fit(features, labels).named_steps.values()
    return TrainedModel(scaler, classifier, hash_training(features, labels, seed), trained_on)


def hash_training(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> str:
    """Hash everything a training depends on: features, labels and seed."""
    digest = hashlib.sha256(f"{features.shape} {seed} ".encode())
    digest.update(np.ascontiguousarray(features).tobytes())
    digest.update(" ".join(labels).encode())
    return digest.hexdigest()


def compare_splits(dataset: Dataset, *, seed: int = 0) -> dict[tuple[str, str], Evaluation]:
    """Score the network for each training set and split, and the majority baseline.

    Returns:
        evaluation by training set and split; the baseline is `("majority", "customer")`
    """
    evaluations = {
        (name, split): evaluate(
            dataset.only(kinds), lambda: make_classifier(seed), split=split, seed=seed
        )
        for name, kinds in TRAINING_SETS.items()
        for split in SPLITS
    }
    baseline = evaluate(dataset.only(VERDICT_KINDS), make_majority, seed=seed)
    return {**evaluations, ("majority", "customer"): baseline}


def tabulate(evaluations: dict[tuple[str, str], Evaluation]) -> pd.DataFrame:
    """Put scores in a table, one row per training set and split."""
    rows = [
        {"trained on": name, **evaluation.summary(), "split": SPLITS[split]}
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
