"""A fitted model, and its form as a file from which no code is ever run."""

import warnings
import zipfile
from dataclasses import dataclass, replace

import numpy as np
import skops.io
from sklearn.base import ClassifierMixin
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.preprocessing import StandardScaler

from helpers.calibration import apply_temperature
from helpers.errors import ModelError
from helpers.features import PHONE, FeatureSet
from helpers.statuses import STATUSES

TRUSTED = (
    "helpers.zoo.boosting.GradientBoosting",
    "helpers.zoo.boosting.XGBoost",
    "helpers.zoo.models.NearestNeighbours",
    "helpers.zoo.networks.NetworkClassifier",
    "helpers.zoo.support_vectors.SupportVectors",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)
"""Types a model may hold beside those skops knows to be harmless; none runs code of a file."""

PROBES = 3
"""So many rows are kept with a model, to see later that it still answers as it did."""

TOLERANCE = 1e-6
"""How far its answers may be from those it gave, in probability."""


@dataclass(frozen=True)
class TrainedModel:
    """A scaler and a classifier that belong together, and how sure they are.

    Attributes:
        scaler: brings features to the classifier's scale
        classifier: gives one probability per status
        training_hash: of features and labels it was trained on
        trained_on: content hashes of the calls it was trained on
        feature_set: how calls are described to it
        choice: name of the classifier in words, where it was chosen among several
        temperature: makes its probabilities fit what happens, see `helpers.calibration`
        confidences: how sure it is of calls it has not learned from, in ascending order
        version: its name in the store, empty before it is stored
    """

    scaler: StandardScaler
    classifier: ClassifierMixin
    training_hash: str
    trained_on: frozenset[str]
    feature_set: FeatureSet = PHONE
    choice: str = ""
    temperature: float = 1.0
    confidences: tuple[float, ...] = ()
    version: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """What it tells apart: `STATUSES`, or the emotions that a model of emotions has learned."""
        learned = tuple(map(str, self.classifier.classes_))
        return STATUSES if set(learned) <= set(STATUSES) else learned

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Give the calibrated probability of each class.

        Args:
            features: shape (segments, features)

        Returns:
            shape (segments, classes), columns in the order of `classes`; a status that no
            training call had is 0
        """
        scaled = self.scaler.transform(features)
        probabilities = order_probabilities(self.classifier, scaled, classes=self.classes)
        return apply_temperature(probabilities, self.temperature)

    def least_confidence(self, coverage: float) -> float:
        """Give the confidence below which a call needs a human.

        Args:
            coverage: share of calls that the model shall judge alone, 0 to 1

        Returns:
            the confidence that this share of unseen training calls reached; 1.0, which no call
            exceeds, where it is not known

        Raises:
            ValueError: where the coverage is no share
        """
        if not 0 <= coverage <= 1:
            raise ValueError(f"coverage is {coverage}, expected a share between 0 and 1")
        if coverage == 1:
            return 0.0
        if not self.confidences:
            return 1.0
        return float(np.quantile(self.confidences, 1 - coverage))


def order_probabilities(
    classifier: ClassifierMixin, features: np.ndarray, *, classes: tuple[str, ...] = STATUSES
) -> np.ndarray:
    """Give a classifier's probabilities, columns in the order of `classes`; 0 for unknown ones."""
    probabilities = np.zeros((len(features), len(classes)))
    columns = [classes.index(name) for name in classifier.classes_]
    probabilities[:, columns] = classifier.predict_proba(features)
    return probabilities


def dump_model(model: TrainedModel, probes: np.ndarray) -> bytes:
    """Encode scaler and classifier, with what they answer to a few rows.

    Args:
        model: with a scaler and a classifier of scikit-learn
        probes: shape (segments, features); the first `PROBES` are kept

    Returns:
        a skops file
    """
    probes = np.asarray(probes[:PROBES], dtype=np.float64)
    content = {
        "scaler": model.scaler,
        "classifier": model.classifier,
        "probes": probes,
        "answers": replace(model, temperature=1.0).predict_proba(probes),
    }
    return skops.io.dumps(content, compression=zipfile.ZIP_DEFLATED)


def restore_model(content: bytes, **known) -> TrainedModel:
    """Decode what `dump_model` encoded and see that it answers as it did.

    Another scikit-learn's warnings are kept quiet, because its answers are compared.

    Args:
        content: a skops file
        known: the other attributes of `TrainedModel`

    Raises:
        ModelError: saying only what is wrong, where it is no such file, holds types that are not
            trusted, or this version of scikit-learn makes something else of it
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            parts = skops.io.loads(content, trusted=list(TRUSTED))
        model = TrainedModel(parts["scaler"], parts["classifier"], **known)
        answers = replace(model, temperature=1.0).predict_proba(parts["probes"])
        same = np.allclose(answers, parts["answers"], atol=TOLERANCE)
    except ImportError as error:
        raise ModelError(f"it needs {error.name}, which make zoo installs") from error
    except Exception as error:  # a foreign file or another scikit-learn may fail anywhere inside
        raise ModelError(f"it cannot be read, {type(error).__name__}") from error
    if not same:
        raise ModelError("it answers differently than it did")
    return model
