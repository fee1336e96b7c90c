"""From training data to a champion: train a challenger, judge it on the golden set, decide."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.calibration import (
    COVERAGE,
    apply_temperature,
    calibration_error,
    confident_accuracy,
)
from helpers.dataset import VERDICT_KINDS, cached_features, find_feature_set, load_dataset
from helpers.duplicates import find_copies
from helpers.errors import ModelError
from helpers.evaluation import Evaluation, group_segments
from helpers.feedback.gate import Comparison, compare_models, score_groups
from helpers.feedback.golden import (
    digest_golden,
    golden_customers,
    golden_features,
    read_golden,
    settle_golden,
    split_golden,
)
from helpers.model_store import (
    KEPT_ASIDE,
    PROMOTED,
    ROLLED_BACK,
    add_version,
    export_champion,
    find_champion,
    list_champions,
    list_versions,
    load_version,
    read_history,
    record_decision,
)
from helpers.records import by_people, read_records
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel
from helpers.training import Training, hash_training, train_model
from helpers.workspace import Workspace

FIRST_REASON = "It is the first model: there was none to compare it with."
"""Why the first version is the champion."""


NO_ANSWERS = (np.empty((0, len(STATUSES))), np.empty((0, len(STATUSES))))

ALL_SEEN_REASON = (
    "The champion has learned from every golden call, so the two cannot be compared. Look at the "
    "model card and promote the version by hand (helpers.model_store.promote) if you trust it."
)
"""Why a version is kept aside where the golden set was chosen after the champion was trained."""

UNUSABLE_REASON = (
    "The champion before cannot be used here any more (its files were changed, or another "
    "scikit-learn made them), so there was nothing to compare it with."
)
"""Why a version is the champion without a comparison, later."""


class TrainingData(NamedTuple):
    """Everything that may be learned from at present.

    Attributes:
        features: shape (segments, features), the deciding segment of each call
        labels: statuses
        groups: customer of each, or the call where the customer is not known
        calls: content hash of each
        feedback: how many of them came through the form or have a cluster's name; they are the last
            ones
        named: how many of these have only their cluster's name, which nobody gave to them one by
            one
    """

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    calls: np.ndarray
    feedback: int
    named: int = 0


class Promotion(NamedTuple):
    """What came of the training data.

    Attributes:
        trained: whether a model was trained now
        promoted: whether the champion has changed
        version: that was trained or compared, empty where nothing was
        reason: why, in sentences
        comparison: with the champion, `None` where there was none
    """

    trained: bool
    promoted: bool
    version: str
    reason: str
    comparison: Comparison | None = None


def collect_training(workspace: Workspace, feedback: pd.DataFrame) -> TrainingData:
    """Put together what may be learned from: archive and feedback, without the golden set.

    Args:
        workspace: with the archive's features
        feedback: calls of the form, or of named clusters, that may be learned from: `path,
            content_hash, expected, source`

    Returns:
        the training data; of the feedback, copies of golden and of archived calls are left out,
        in whatever encoding they came, and calls of the golden customers
    """
    archive = load_dataset(workspace)
    golden = settle_golden(workspace, archive)
    ends = split_golden(archive, golden).only(VERDICT_KINDS)
    feature_set = find_feature_set(workspace)
    learned = feedback[~feedback["content_hash"].isin(archive.segments["content_hash"])]
    customers = _find_customers(workspace, learned["content_hash"])
    learned = learned[~customers.isin(golden_customers(archive, golden)).to_numpy()]
    rows = [
        cached_features(workspace, call.path, call.content_hash, feature_set=feature_set)[-1]
        for call in learned.itertuples()
    ]
    extra = np.array(rows, np.float32).reshape(len(rows), len(feature_set.names))
    kept_apart = golden_features(workspace, golden, feature_set)
    archived = archive.only(VERDICT_KINDS).features
    fresh = ~find_copies(extra, np.concatenate([kept_apart, archived]))
    learned = learned[fresh]
    hashes = learned["content_hash"].to_numpy(dtype=object)
    customers = _find_customers(workspace, learned["content_hash"]).to_numpy(dtype=object)
    return TrainingData(
        np.concatenate([ends.features, extra[fresh]]),
        np.concatenate([ends.labels, learned["expected"].to_numpy(dtype=str)]),
        np.concatenate(
            [group_segments(ends, "customer"), np.where(customers == "", hashes, customers)]
        ).astype(object),
        np.concatenate([ends.segments["content_hash"].to_numpy(dtype=object), hashes]),
        len(learned),
        len(learned) - len(by_people(learned)),
    )


def update_champion(workspace: Workspace, data: TrainingData, *, origin: str) -> Promotion:
    """Train on the data where that has not been tried, and promote what passes the gate.

    A version that was compared with the present champion before, or that was left by a rollback, is
    not compared again, so that a rollback stays, and a run with nothing new changes nothing.

    Args:
        workspace: with a golden set, where there are calls enough for one
        data: see `collect_training`
        origin: who asked, for the model card

    Returns:
        what was done and why
    """
    champion = _find_usable_champion(workspace)
    digest = hash_training(data.features, data.labels, groups=data.groups)
    challenger = _find_trained(workspace, digest)
    if challenger and champion and _was_decided(workspace, challenger, champion):
        export_champion(workspace)
        return Promotion(False, False, "", "nothing new since the last training")
    trained = challenger is None
    if challenger is None:
        challenger = _train(workspace, data, origin=origin)
    version = challenger.version
    if champion is None:
        reason = _promote_alone(workspace, version)
        return Promotion(trained, True, version, reason)
    comparison = compare_with_champion(workspace, champion, challenger)
    event = PROMOTED if comparison.passed else KEPT_ASIDE
    decision = {"event": event, "reasons": comparison.reasons, "against": champion.version}
    record_decision(workspace, version, **decision, groups=comparison.groups)
    reason = " ".join(comparison.reasons)
    return Promotion(trained, comparison.passed, version, reason, comparison)


def compare_with_champion(
    workspace: Workspace, champion: TrainedModel, challenger: TrainedModel
) -> Comparison:
    """Compare two models on the golden calls that neither has learned from."""
    golden = read_golden(workspace)
    seen = golden["content_hash"].isin(champion.trained_on | challenger.trained_on)
    if len(golden) and seen.all():
        return Comparison(compare_models(*NO_ANSWERS, golden[~seen]).table, [ALL_SEEN_REASON], [])
    golden = golden[~seen].reset_index(drop=True)
    answers = [judge_golden(workspace, model, golden) for model in (champion, challenger)]
    comparison = compare_models(*answers, golden)
    if seen.any():
        comparison.reasons.append(
            f"{seen.sum()} golden calls were left out: one of the two has learned from them."
        )
    return comparison


def judge_golden(workspace: Workspace, model: TrainedModel, golden: pd.DataFrame) -> np.ndarray:
    """Give a model's calibrated probabilities of golden calls, shape (calls, 3)."""
    if golden.empty:
        return np.empty((0, len(STATUSES)))
    return model.predict_proba(golden_features(workspace, golden, model.feature_set))


def evaluate_golden(probabilities: np.ndarray, golden: pd.DataFrame) -> Evaluation:
    """Evaluate verdicts on golden calls."""
    customers = golden["customer"].where(golden["customer"] != "", golden["content_hash"])
    verdicts = np.array(STATUSES)[probabilities.argmax(axis=1)]
    rows = {"path": golden["path"], "true": golden["status"], "group": customers}
    return Evaluation("customer", pd.DataFrame(rows).assign(predicted=verdicts))


def _find_customers(workspace: Workspace, hashes: pd.Series) -> pd.Series:
    records = read_records(workspace)
    known = dict(zip(records["content_hash"], records["customer"], strict=True))
    return hashes.map(known).fillna("").astype(object)


def _load_usable(workspace: Workspace, version: str) -> TrainedModel | None:
    try:
        return load_version(workspace, version) if version else None
    except ModelError:
        return None


def _find_usable_champion(workspace: Workspace) -> TrainedModel | None:
    """Load the champion, or the newest one before it that can be used and nobody went back from."""
    present, history = find_champion(workspace), read_history(workspace)
    left = set(history.loc[history["event"] == ROLLED_BACK, "against"]) - {present}
    for version in reversed(list_champions(workspace)):
        model = None if version in left else _load_usable(workspace, version)
        if model and version != present:
            decision = {"reasons": [UNUSABLE_REASON], "against": present}
            record_decision(workspace, version, event=ROLLED_BACK, **decision)
        if model:
            return model
    return None


def _promote_alone(workspace: Workspace, version: str) -> str:
    """Promote without a comparison, where there is no champion that can be used; give the reason.

    Raises:
        ModelError: where the version was kept aside before, or left by a rollback
    """
    present, history = find_champion(workspace), read_history(workspace)
    refused = (history["version"] == version) & (history["event"] == KEPT_ASIDE)
    refused |= (history["against"] == version) & (history["event"] == ROLLED_BACK)
    if refused.any():
        raise ModelError(
            f"the champion {present} cannot be used, and version {version}, which was trained on "
            "the present data, was refused before: bring the champion's folder back from a copy, "
            "or delete the folder models and run notebook 04 to begin anew"
        )
    reason = UNUSABLE_REASON if present else FIRST_REASON
    record_decision(workspace, version, event=PROMOTED, reasons=[reason], against=present)
    return reason


def _find_trained(workspace: Workspace, digest: str) -> TrainedModel | None:
    """Find the version that was trained on this data with the present features."""
    present = (digest, find_feature_set(workspace).name)
    for version in reversed(list_versions(workspace)):
        if version.endswith(digest[:8]):
            model = _load_usable(workspace, version)
            if model and (model.training_hash, model.feature_set.name) == present:
                return model
    return None


def _was_decided(workspace: Workspace, challenger: TrainedModel, champion: TrainedModel) -> bool:
    """Whether the two were compared before, or people have left the challenger by a rollback."""
    history = read_history(workspace)
    compared = (history["version"] == challenger.version) & (history["against"] == champion.version)
    left = (history["event"] == ROLLED_BACK) & (history["against"] == challenger.version)
    return challenger.version == champion.version or bool((compared | left).any())


def _train(workspace: Workspace, data: TrainingData, *, origin: str) -> TrainedModel:
    training = train_model(
        data.features,
        data.labels,
        trained_on=frozenset(data.calls),
        groups=data.groups,
        feature_set=find_feature_set(workspace),
    )
    card = {
        "parent": find_champion(workspace),
        "origin": origin,
        "training": _describe_training(data),
        "golden": _score_golden(workspace, training.model),
        "groups": _score_groups(workspace, training.model),
        "cross_validation": _score_out_of_fold(training, data),
    }
    return add_version(workspace, training.model, card, probes=data.features)


def _describe_training(data: TrainingData) -> dict[str, object]:
    return {
        "calls": len(data.labels),
        "by_status": {name: int((data.labels == name).sum()) for name in STATUSES},
        "feedback": data.feedback,
        "named": data.named,
        "customers": len(set(data.groups)),
    }


def _score_golden(workspace: Workspace, model: TrainedModel) -> dict[str, object] | None:
    golden = read_golden(workspace)
    if golden.empty:
        return None
    probabilities = judge_golden(workspace, model, golden)
    evaluation = evaluate_golden(probabilities, golden)
    bare = apply_temperature(probabilities, 1 / model.temperature)
    labels = golden["status"]
    return {
        "digest": digest_golden(golden),
        "calls": len(golden),
        "customers": evaluation.rows["group"].nunique(),
        **evaluation.summary(),
        "recall": evaluation.report["recall"].to_dict(),
        "confusion": evaluation.confusion.to_numpy().tolist(),
        "calibration_error_before": round(calibration_error(bare, labels), 4),
        "calibration_error": round(calibration_error(probabilities, labels), 4),
    }


def _score_groups(workspace: Workspace, model: TrainedModel) -> list[dict[str, object]]:
    golden = read_golden(workspace)
    return score_groups(golden, None, judge_golden(workspace, model, golden))


def _score_out_of_fold(training: Training, data: TrainingData) -> dict[str, object] | None:
    if not len(training.out_of_fold):
        return None
    calibrated = apply_temperature(training.out_of_fold, training.model.temperature)
    verdicts = np.array(STATUSES)[calibrated.argmax(axis=1)]
    rows = {"path": data.calls, "true": data.labels, "predicted": verdicts, "group": data.groups}
    return {
        **Evaluation("customer", pd.DataFrame(rows)).summary(),
        "calibration_error_before": round(calibration_error(training.out_of_fold, data.labels), 4),
        "calibration_error": round(calibration_error(calibrated, data.labels), 4),
        "confident_accuracy": round(confident_accuracy(calibrated, data.labels), 4),
        "coverage": COVERAGE,
    }
