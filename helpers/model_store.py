"""Models on disk: written as a set, checked before they are loaded."""

import hashlib
import io
import json
from dataclasses import dataclass

import joblib
import numpy as np
import sklearn
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import StandardScaler

from helpers.dataset import find_feature_set
from helpers.errors import ModelError
from helpers.features import PHONE, FeatureSet
from helpers.files import write_bytes, write_json
from helpers.statuses import STATUSES
from helpers.workspace import Workspace

FIRST, RETRAINED = "", "_epic_retrained"
"""File name endings of the model of notebook 04 and of notebook 06."""

NOTEBOOK = {FIRST: "04", RETRAINED: "06"}
"""Which notebook writes which model."""


@dataclass(frozen=True)
class TrainedModel:
    """A scaler and a classifier that belong together.

    Attributes:
        scaler: brings features to the classifier's scale
        classifier: gives one probability per status
        training_hash: of features and labels it was trained on
        trained_on: content hashes of the calls it was trained on
        feature_set: how calls are described to it
        choice: name of the classifier in words, where it was chosen among several
    """

    scaler: StandardScaler
    classifier: ClassifierMixin
    training_hash: str
    trained_on: frozenset[str]
    feature_set: FeatureSet = PHONE
    choice: str = ""

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Give the probability of each status.

        Args:
            features: shape (segments, features)

        Returns:
            shape (segments, 3), columns in the order of `STATUSES`; a status that no training
            call had is 0
        """
        probabilities = np.zeros((len(features), len(STATUSES)))
        columns = [STATUSES.index(status) for status in self.classifier.classes_]
        probabilities[:, columns] = self.classifier.predict_proba(self.scaler.transform(features))
        return probabilities

    @property
    def version(self) -> str:
        """Short name that changes with the training data."""
        return self.training_hash[:8]


def save_model(
    workspace: Workspace, model: TrainedModel, *, name: str = FIRST, scores: dict | None = None
) -> None:
    """Write classifier and scaler as joblib files, and what they are as JSON.

    The JSON comes last and holds the hashes of both, so a set that a killed run left incomplete
    is never taken for a whole one.

    Args:
        workspace: where to write
        model: the model
        name: `FIRST` or `RETRAINED`
        scores: figures to keep with the model
    """
    classifier_path, scaler_path, card_path = workspace.model_files(name)
    classifier, scaler = _joblib_bytes(model.classifier), _joblib_bytes(model.scaler)
    write_bytes(classifier_path, classifier)
    write_bytes(scaler_path, scaler)
    card = {
        "feature_set": model.feature_set.name,
        "choice": model.choice,
        "training_hash": model.training_hash,
        "scikit_learn": sklearn.__version__,
        "sha256": {classifier_path.name: _sha256(classifier), scaler_path.name: _sha256(scaler)},
        "scores": scores or {},
        "trained_on": sorted(model.trained_on),
    }
    write_json(card_path, card)


def load_model(workspace: Workspace, *, name: str = FIRST) -> TrainedModel:
    """Load a model after checking that it is complete, unchanged and made for this program.

    Raises:
        ModelError: with what is wrong and which notebook to run
    """
    classifier_path, scaler_path, card_path = workspace.model_files(name)
    again = f"run notebook {NOTEBOOK[name]} again"
    try:
        card = json.loads(card_path.read_text())
        contents = [path.read_bytes() for path in (classifier_path, scaler_path)]
        hashes = [card["sha256"][path.name] for path in (classifier_path, scaler_path)]
        made_with, feature_set = card["scikit_learn"], card["feature_set"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{classifier_path} is not there or incomplete: {again}") from error
    if [_sha256(content) for content in contents] != hashes:
        raise ModelError(f"{classifier_path} is not the file this project wrote: {again}")
    if made_with != sklearn.__version__:
        raise ModelError(
            f"{classifier_path} was made with scikit-learn {made_with}, this is "
            f"{sklearn.__version__}: {again}"
        )
    present = find_feature_set(workspace)
    if feature_set != present.name:
        raise ModelError(
            f"{classifier_path} expects {feature_set!r} features, calls are described by "
            f"{present.name!r} now: run notebooks 03 and 04 again"
        )
    try:
        classifier, scaler = (joblib.load(io.BytesIO(content)) for content in contents)
    except Exception as error:  # another NumPy or Python may fail anywhere inside
        raise ModelError(
            f"{classifier_path} cannot be loaded here ({type(error).__name__}): {again}"
        ) from error
    trained_on = frozenset(card["trained_on"])
    choice = card.get("choice", "")
    return TrainedModel(scaler, classifier, card["training_hash"], trained_on, present, choice)


def read_card(workspace: Workspace, *, name: str) -> dict | None:
    """Read what is known of a model without loading it; `None` where there is none."""
    card_path = workspace.model_files(name)[-1]
    if not card_path.is_file():
        return None
    try:
        return json.loads(card_path.read_text())
    except ValueError as error:
        raise ModelError(f"{card_path} is damaged: run notebook {NOTEBOOK[name]} again") from error


def current_model(workspace: Workspace) -> TrainedModel:
    """Load the model that judges new calls.

    Returns:
        the retrained one, unless calls are described in another way since; then the first one,
        until notebook 06 has retrained it

    Raises:
        ModelError: see `load_model`
    """
    card = read_card(workspace, name=RETRAINED)
    outdated = card is None or card.get("feature_set") != find_feature_set(workspace).name
    return load_model(workspace, name=FIRST if outdated else RETRAINED)


def remove_model(workspace: Workspace, *, name: str) -> None:
    """Remove a model's files; the JSON goes first, so that no half of it is ever loaded."""
    for path in reversed(workspace.model_files(name)):
        path.unlink(missing_ok=True)


def _joblib_bytes(estimator) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
