"""The feedback loop: judge the form's calls, learn from the ones that were judged wrong.

Every call is judged once, by the model of that moment, which had not learned from it; that verdict
stays in `predictions.csv`. What the model learns is worked out anew each time from these verdicts
and the calls' present statuses, so that a corrected status corrects the training data too.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.dataset import (
    VERDICT_KINDS,
    Dataset,
    cached_features,
    find_feature_set,
    load_dataset,
    npy_bytes,
)
from helpers.errors import ModelError
from helpers.evaluation import Evaluation, evaluate, group_segments
from helpers.files import read_csv, write_bytes, write_csv
from helpers.model_store import (
    RETRAINED,
    current_model,
    load_model,
    remove_model,
    save_model,
)
from helpers.prediction import PROBABILITIES, judge_calls
from helpers.records import FORM, find_recordings, settle_records
from helpers.segments import LIMIT_S
from helpers.training import hash_training, make_classifier, train_model
from helpers.workspace import Workspace

COLUMNS = {
    "path": str,
    "expected": str,
    "status": str,
    "start_status": str,
    "end_status": str,
    **dict.fromkeys(PROBABILITIES, float),
    "mismatch": bool,
    "retrained": bool,
    "counted": bool,
    "disputed": bool,
    "unseen": bool,
    "duration_s": float,
    "model": str,
    "content_hash": str,
    "error": str,
}
"""Columns of `predictions.csv`.

`retrained`: the call's end is in the training data because of the mismatch; `unseen`: the model
that judged the call had not learned from it; `disputed`: people gave the same recording two
statuses; `counted`: the verdict counts in the score; `model`: version that judged.
"""


class Retraining(NamedTuple):
    """Whether a model was trained, and why, in one sentence."""

    happened: bool
    reason: str


def learn_from_form(workspace: Workspace) -> tuple[pd.DataFrame, Retraining]:
    """Judge the form's calls that are new, and retrain where a verdict was wrong.

    A retraining that an earlier run did not finish, or that corrected statuses ask for, comes
    first, so that new calls are judged by a model that knows all earlier feedback. Running twice
    changes nothing.

    Args:
        workspace: with the first model; `audio_data` holds the form's calls

    Returns:
        `predictions.csv`, one row per distinct recording in `audio_data`, see `COLUMNS`; and
        what was retrained

    Raises:
        ModelError: where notebook 04 has not trained a model
        MissingStepError: where an earlier notebook has not run
    """
    calls = list_form_calls(workspace)
    known = read_predictions(workspace)
    known = _derive(known[known["content_hash"].isin(calls["content_hash"])], calls)
    earlier = retrain_model(workspace, known)
    predictions = _derive(_judge_new(workspace, calls, known), calls)
    write_csv(workspace.predictions, predictions)
    retraining = retrain_model(workspace, predictions)
    return predictions, earlier if earlier.happened and not retraining.happened else retraining


def read_predictions(workspace: Workspace) -> pd.DataFrame:
    """Read `predictions.csv`, empty where no call was judged yet."""
    return read_csv(workspace.predictions, COLUMNS)


def list_form_calls(workspace: Workspace) -> pd.DataFrame:
    """List the calls in `audio_data` with the status people gave them.

    `CallRecords.csv` is brought up to date on the way, so that decisions about conflicts count.

    Returns:
        columns `path, expected, duration_s, content_hash, disputed`
    """
    found = find_recordings(workspace)
    settled = settle_records(workspace, found).set_index("content_hash")["status"]
    calls = found.recordings
    calls = calls[calls["source"] == FORM].drop_duplicates("content_hash", ignore_index=True)
    status = calls["content_hash"].map(settled)
    calls = calls.assign(expected=status.fillna(calls["status"]), disputed=status.isna())
    return calls[["path", "expected", "duration_s", "content_hash", "disputed"]]


def retrain_model(workspace: Workspace, predictions: pd.DataFrame) -> Retraining:
    """Train on archive and feedback together, where that differs from what was trained on.

    The feedback is the end segment of every call longer than 45 s whose end was judged
    differently from its expected status. Where there is none, the first model is the current one.

    With the model its scores are kept: on the archived calls, customers kept apart, trained on the
    archive alone (`before`) and on archive and feedback (`after`). A form does not say who the
    customer is: where its calls are of archived customers, `after` is a little too good. A call
    that has come into the archive since is feedback no more.

    Args:
        workspace: with the archive's features
        predictions: with the columns `COLUMNS`

    Returns:
        whether and why a model was trained
    """
    archive = load_dataset(workspace)
    archived = predictions["content_hash"].isin(archive.segments["content_hash"])
    feedback = predictions[predictions["retrained"] & ~archived]
    extra = _feedback_segments(workspace, feedback)
    _write_updated(workspace, archive, extra)
    if feedback.empty:
        remove_model(workspace, name=RETRAINED)  # the first model is the current one again
        return Retraining(False, f"no mismatch on a call longer than {LIMIT_S:.0f} s to learn from")
    ends = archive.only(VERDICT_KINDS)
    features = np.concatenate([ends.features, extra[0]])
    labels = np.concatenate([ends.labels, extra[1]])
    if _trained_hash(workspace) == hash_training(features, labels):
        return Retraining(False, "nothing new since the last retraining")
    before = evaluate(ends, make_classifier)
    after = evaluate(ends, make_classifier, extra=extra)
    trained_on = {*archive.segments["content_hash"], *feedback["content_hash"]}
    groups = [*group_segments(ends, "customer"), *feedback["content_hash"]]
    model = train_model(
        features,
        labels,
        trained_on=frozenset(trained_on),
        groups=np.array(groups, dtype=object),
        feature_set=find_feature_set(workspace),
    )
    scores = {"feedback": len(feedback), "before": before.summary(), "after": after.summary()}
    save_model(workspace, model, name=RETRAINED, scores=scores)
    calls = "1 call" if len(feedback) == 1 else f"{len(feedback)} calls"
    reason = f"the model learned from {calls} that it had judged differently from people"
    return Retraining(True, reason)


def score_predictions(predictions: pd.DataFrame) -> Evaluation | None:
    """Score the verdicts that count: given before the model learned from the call.

    Returns:
        the evaluation, `None` where no verdict counts
    """
    counted = predictions[predictions["counted"]]
    if counted.empty:
        return None
    columns = {"expected": "true", "end_status": "predicted", "content_hash": "group"}
    rows = counted[["path", *columns]].rename(columns=columns)
    return Evaluation("call", rows.reset_index(drop=True))


def _judge_new(workspace: Workspace, calls: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    new = calls[~calls["content_hash"].isin(known["content_hash"])]
    if new.empty:
        return known
    model = current_model(workspace)
    verdicts = judge_calls([workspace.folder / path for path in new["path"]], model)
    fresh = new.join(verdicts.drop(columns="path").set_index(new.index))
    fresh["model"] = model.version
    fresh["unseen"] = ~new["content_hash"].isin(model.trained_on)
    return fresh if known.empty else pd.concat([known, fresh])


def _derive(verdicts: pd.DataFrame, calls: pd.DataFrame) -> pd.DataFrame:
    table, present = verdicts.copy(), calls.set_index("content_hash")
    for column in ("path", "expected", "disputed"):
        table[column] = table["content_hash"].map(present[column])
    table["disputed"] = table["disputed"].astype(bool)
    judged = (table["error"] == "") & ~table["disputed"]
    table["counted"] = judged & table["unseen"]
    table["mismatch"] = judged & (table["end_status"] != table["expected"])
    long = table["duration_s"] > LIMIT_S
    table["retrained"] = table["mismatch"] & table["unseen"] & long
    return table.sort_values("path", ignore_index=True)[list(COLUMNS)]


def _feedback_segments(
    workspace: Workspace, feedback: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    feature_set = find_feature_set(workspace)
    ends = [
        cached_features(workspace, call.path, call.content_hash, feature_set=feature_set)[-1]
        for call in feedback.itertuples()
    ]
    features = np.array(ends, np.float32).reshape(len(ends), len(feature_set.names))
    return features, feedback["expected"].to_numpy(dtype=str)


def _write_updated(
    workspace: Workspace, archive: Dataset, extra: tuple[np.ndarray, np.ndarray]
) -> None:
    data = np.concatenate([archive.features, extra[0]])
    labels = np.concatenate([archive.labels, extra[1]])
    write_bytes(workspace.feature_data_updated, npy_bytes(data))
    write_bytes(workspace.feature_labels_updated, npy_bytes(labels))


def _trained_hash(workspace: Workspace) -> str:
    if not workspace.model_files(RETRAINED)[-1].is_file():
        return ""
    try:
        return load_model(workspace, name=RETRAINED).training_hash
    except ModelError:
        return ""
