"""What the analyst looks at: drift, scores per version, and what to label next."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.classifiers import make_candidates
from helpers.dataset import cached_features, find_feature_set
from helpers.errors import AudioError, CallEmotionError, ModelError
from helpers.features import FeatureSet
from helpers.feedback.drift import (
    VerdictDrift,
    compare_distributions,
    compare_verdicts,
    describe_drift,
)
from helpers.feedback.labelling import rank_unlabelled
from helpers.feedback.learning import estimate_labels, learning_curve
from helpers.model_store import load_champion, read_card, read_history
from helpers.progress import progress
from helpers.promotion import TrainingData
from helpers.records import by_people, list_unlabelled
from helpers.statuses import STATUSES
from helpers.training import predict_out_of_fold
from helpers.workspace import Workspace

SCORES = ("digest", "calls", "uar", "uar_low", "uar_high", "kappa", "calibration_error")
"""Which golden set (`digest`), and a version's figures on it; compare them on the same one only."""


class Drift(NamedTuple):
    """How new calls differ from those the model has learned from.

    Attributes:
        features: see `helpers.feedback.drift.compare_distributions`
        verdicts: see `helpers.feedback.drift.compare_verdicts`
        sentence: what it comes to
    """

    features: pd.DataFrame
    verdicts: VerdictDrift
    sentence: str


def report_drift(workspace: Workspace, data: TrainingData, predictions: pd.DataFrame) -> Drift:
    """Compare the form's calls with the training data.

    Verdicts are compared with those a model gives calls of customers it has not heard, so that a
    habit of the model is not taken for a change in the calls.

    Args:
        workspace: with the calls
        data: what it may have learned from
        predictions: see `helpers.retraining.COLUMNS`
    """
    feature_set = find_feature_set(workspace)
    judged = by_people(predictions[predictions["error"] == ""])
    new, _ = _describe_calls(workspace, judged, feature_set)
    unseen = predict_out_of_fold(data.features, data.labels, groups=data.groups)
    usual = np.array(STATUSES)[unseen.argmax(axis=1)] if len(unseen) else data.labels
    archived = data.groups[: len(data.groups) - data.feedback]
    calls = pd.Series(archived).sample(frac=1, random_state=0)  # the first are of one status
    once = calls.drop_duplicates().index  # a customer's calls sound alike
    features = compare_distributions(data.features[once], new, feature_set.names)
    verdicts = compare_verdicts(usual, judged["end_status"].to_numpy(dtype=str))
    return Drift(features, verdicts, describe_drift(features, verdicts, calls=len(judged)))


def rank_next(workspace: Workspace, *, link: str = "", count: int = 20) -> pd.DataFrame:
    """Rank the workspace's recordings without a status by what their label would teach.

    Args:
        workspace: with a champion
        link: pre-filled link of the form, see `helpers.feedback.labelling.prefill_link`
        count: longest list

    Returns:
        see `helpers.feedback.labelling.rank_unlabelled`; recordings that cannot be judged are left
        out, they are in `rejected_files.csv` as soon as they have a status
    """
    model = load_champion(workspace)
    features, calls = _describe_calls(workspace, list_unlabelled(workspace), model.feature_set)
    probabilities = model.predict_proba(features) if len(features) else np.empty((0, len(STATUSES)))
    return rank_unlabelled(calls, probabilities, features=features, link=link, count=count)


class Growth(NamedTuple):
    """How the score has grown with the number of labelled calls.

    Attributes:
        curve: see `helpers.feedback.learning.learning_curve`; without rows for too few customers
        sentence: how many more labels the next five points need, or why that is not known
    """

    curve: pd.DataFrame
    sentence: str


def estimate_growth(workspace: Workspace, data: TrainingData) -> Growth:
    """Measure the learning curve of the champion's kind of classifier, and continue it."""
    candidates = partial(make_candidates, data.features.shape[1])
    choice = load_champion(workspace).choice
    choice = choice if choice in candidates() else "linear"
    try:
        curve = learning_curve(
            data.features, data.labels, data.groups, lambda: candidates()[choice]
        )
    except CallEmotionError as error:
        return Growth(pd.DataFrame(columns=["calls", "uar", "low", "high"]), str(error))
    return Growth(curve, estimate_labels(curve).reason)


def tabulate_versions(workspace: Workspace) -> pd.DataFrame:
    """List what was decided about each version, with its figures on the golden set.

    Returns:
        one row per decision, oldest first: `time, version, event, against, reason` and `SCORES`,
        empty where there is no golden set, or the version's card cannot be read any more
    """
    history = read_history(workspace)
    golden = [_read_golden_figures(workspace, version) for version in history["version"]]
    figures = [{name: each.get(name, np.nan) for name in SCORES} for each in golden]
    return history.join(pd.DataFrame(figures, columns=list(SCORES), index=history.index))


def _read_golden_figures(workspace: Workspace, version: str) -> dict:
    try:
        return read_card(workspace, version).get("golden") or {}
    except ModelError:
        return {}


def _describe_calls(
    workspace: Workspace, calls: pd.DataFrame, feature_set: FeatureSet
) -> tuple[np.ndarray, pd.DataFrame]:
    rows, usable = [], []
    for call in progress(list(calls.itertuples()), "Features"):
        try:
            matrix = cached_features(
                workspace, call.path, call.content_hash, feature_set=feature_set
            )
        except AudioError:
            continue
        rows.append(matrix[-1])
        usable.append(call.Index)
    features = np.array(rows, np.float32).reshape(len(rows), len(feature_set.names))
    return features, calls.loc[usable].reset_index(drop=True)
