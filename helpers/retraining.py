"""The feedback loop: judge the form's calls, find what may be learned, and let the gate decide.

Every call is judged once, by the champion of that moment, which had not learned from it; that
verdict stays in `predictions.csv`, and so does what is behind a mismatch. What may be learned is
worked out anew each time from these and the calls' present statuses, so that a corrected status
corrects the training data too.
"""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from helpers.calibration import COVERAGE
from helpers.dataset import cached_features, find_feature_set, load_dataset, npy_bytes
from helpers.evaluation import Evaluation
from helpers.feedback.quality import check_recording
from helpers.feedback.triage import (
    REVIEWED,
    describe_cause,
    may_be_learned,
    triage,
    triage_clusters,
)
from helpers.files import read_csv, write_bytes, write_csv
from helpers.model_store import load_champion
from helpers.prediction import PROBABILITIES, judge_calls
from helpers.progress import progress
from helpers.promotion import Promotion, TrainingData, collect_training, update_champion
from helpers.records import (
    CLUSTER,
    FORM,
    by_people,
    find_recordings,
    read_decisions,
    settle_records,
)
from helpers.segments import LIMIT_S
from helpers.statuses import parse_status
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace

COLUMNS = {
    "path": str,
    "expected": str,
    "status": str,
    "start_status": str,
    "end_status": str,
    **dict.fromkeys(PROBABILITIES, float),
    "confidence": float,
    "needs_human": bool,
    "mismatch": bool,
    "cause": str,
    "label_error": float,
    "retrained": bool,
    "counted": bool,
    "disputed": bool,
    "confirmed": bool,
    "unseen": bool,
    "duration_s": float,
    "model": str,
    "judged_at": str,
    "content_hash": str,
    "triaged_as": str,
    "faults": str,
    "error": str,
    "source": str,
}
"""Columns of `predictions.csv`.

`needs_human`: the model is less sure than of the chosen share of calls; `cause`: what is behind the
answer, see `helpers.feedback.triage`; `label_error`: probability that the answer is wrong;
`retrained`: the call's end is in the training data; `unseen`: the model that judged the call had
not learned from it; `disputed`: people gave the same recording two statuses; `confirmed`: a person
has decided on the status; `counted`: the verdict counts in the score; `model`: version that judged,
and when; `triaged_as`: the answer that `cause` is about; `faults`: what is wrong with the sound;
`source`: `form`, or `cluster` where the answer is the name of the call's cluster, not a person's:
such a call never counts.
"""

REVIEW_COLUMNS = ("path", "answer", "verdict", "cause", "reason", "label_error")
"""Columns of `review_list.csv`."""


def learn_from_form(
    workspace: Workspace, *, coverage: float = COVERAGE
) -> tuple[pd.DataFrame, Promotion]:
    """Judge the form's calls that are new, and train where the model was wrong.

    Of the mismatches only real errors of the model are learned, see `helpers.feedback.triage`,
    together with the calls whose answer the verdict agrees with: the contradictions alone would
    teach the model that it is always wrong. The rest is listed in `review_list.csv`. The trained
    model becomes the champion only if it passes the gate. Running twice changes nothing.

    Calls that have the name of their cluster for a status are judged too, but with suspicion: none
    is a reason to train, and only those the verdict agrees with are learned along, in a training
    that people's answers cause.

    Args:
        workspace: with a champion; `audio_data` holds the form's calls
        coverage: share of calls the model shall judge alone; the least sure rest needs a human

    Returns:
        `predictions.csv`, one row per distinct recording in `audio_data` with a status and per call
        of a named cluster, see `COLUMNS`; and what was trained and promoted

    Raises:
        ModelError: where notebook 04 has not trained a model, or it cannot be used
        GoldenSetError: where the golden set was changed by hand
        MissingStepError: where an earlier notebook has not run
    """
    champion = load_champion(workspace)
    calls = list_feedback(workspace)
    known = read_predictions(workspace)
    known = known[known["content_hash"].isin(calls["content_hash"])]
    predictions = _derive(_judge_new(workspace, champion, calls, known, coverage), calls)
    learned = training_data(workspace, predictions).calls
    predictions["retrained"] &= predictions["content_hash"].isin(learned)
    predictions["retrained"] &= _is_caused_by_people(predictions, known)
    write_csv(workspace.predictions, predictions)
    write_csv(workspace.review_list, list_reviews(predictions))
    return predictions, retrain_model(workspace, predictions)


def read_predictions(workspace: Workspace) -> pd.DataFrame:
    """Read `predictions.csv`, empty where no call was judged yet."""
    return read_csv(workspace.predictions, COLUMNS)


def list_form_calls(workspace: Workspace) -> pd.DataFrame:
    """List the calls in `audio_data` with the status people gave them, see `list_feedback`."""
    return by_people(list_feedback(workspace)).reset_index(drop=True)


def list_feedback(workspace: Workspace) -> pd.DataFrame:
    """List the calls of the form with the status people gave them, then those of named clusters.

    `CallRecords.csv` is brought up to date on the way, so that decisions about conflicts count.

    Returns:
        columns `path, expected, duration_s, content_hash, disputed, confirmed, source`; `confirmed`
        where a person has decided on the status
    """
    found = find_recordings(workspace)
    records = settle_records(workspace, found)
    settled = records.set_index("content_hash")["status"]
    decisions = read_decisions(workspace)
    readable = {path for path, decision in decisions.items() if parse_status(decision)}
    decided = found.recordings["path"].isin(readable)
    confirmed = set(found.recordings.loc[decided, "content_hash"])
    calls = found.recordings
    calls = calls[calls["source"] == FORM].drop_duplicates("content_hash")
    calls = pd.concat([calls, records[records["source"] == CLUSTER]], ignore_index=True)
    status = calls["content_hash"].map(settled)
    calls = calls.assign(
        expected=status.fillna(calls["status"]),
        disputed=status.isna(),
        confirmed=calls["content_hash"].isin(confirmed) & status.notna(),
    )
    details = ["disputed", "confirmed", "source"]
    return calls[["path", "expected", "duration_s", "content_hash", *details]]


def retrain_model(workspace: Workspace, predictions: pd.DataFrame) -> Promotion:
    """Train on archive and feedback together where that has not been tried; the gate decides.

    Args:
        workspace: with the archive's features
        predictions: with the columns `COLUMNS`

    Returns:
        what was trained and promoted
    """
    data = training_data(workspace, predictions)
    _write_updated(workspace, data)
    return update_champion(workspace, data, origin="feedback")


def training_data(workspace: Workspace, predictions: pd.DataFrame) -> TrainingData:
    """Put together what may be learned from: archive and feedback, without the golden set."""
    return collect_training(workspace, predictions[predictions["retrained"]])


def list_reviews(predictions: pd.DataFrame) -> pd.DataFrame:
    """List the calls a person should listen to, with the reason, likeliest wrong answers first.

    A person decides by `helpers.records.decide` or in `decisions.csv`; the call then leaves the
    list, and may be learned from.

    Returns:
        columns `REVIEW_COLUMNS`
    """
    settled = predictions["disputed"] | predictions["confirmed"]
    rows = predictions[predictions["cause"].isin(REVIEWED) & ~settled]
    rows = rows.sort_values(["label_error", "path"], ascending=[False, True])
    table = rows.rename(columns={"expected": "answer", "end_status": "verdict"})
    reasons = [describe_cause(call) for call in rows.itertuples()]
    return table.assign(reason=reasons)[list(REVIEW_COLUMNS)]


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


def _judge_new(
    workspace: Workspace,
    model: TrainedModel,
    calls: pd.DataFrame,
    known: pd.DataFrame,
    coverage: float,
) -> pd.DataFrame:
    new = calls[~calls["content_hash"].isin(known["content_hash"])]
    if new.empty:
        return known
    paths = [workspace.folder / path for path in new["path"]]
    verdicts = judge_calls(paths, model, coverage=coverage)
    _describe_for_archive(workspace, new[(verdicts["error"] == "").to_numpy()])
    fresh = new.join(verdicts.drop(columns="path").set_index(new.index))
    fresh = fresh.assign(
        model=model.version,
        unseen=~new["content_hash"].isin(model.trained_on),
        judged_at=datetime.now(UTC).isoformat(timespec="seconds"),
        faults=["; ".join(check_recording(path)) for path in progress(paths, "Listening")],
        cause="",
        label_error=0.0,
        triaged_as="",
    )
    return fresh if known.empty else pd.concat([known, fresh])


def _describe_for_archive(workspace: Workspace, calls: pd.DataFrame) -> None:
    """Cache features of calls with a cluster's name: a decision will put them into the archive."""
    feature_set = find_feature_set(workspace)
    for call in calls[calls["source"] == CLUSTER].itertuples():
        cached_features(workspace, call.path, call.content_hash, feature_set=feature_set)


def _derive(verdicts: pd.DataFrame, calls: pd.DataFrame) -> pd.DataFrame:
    table, present = verdicts.reset_index(drop=True), calls.set_index("content_hash")
    source = table["content_hash"].map(present["source"])
    moved = (table["source"] == CLUSTER) != (source == CLUSTER)
    table.loc[moved, ["cause", "label_error", "triaged_as"]] = ["", 0.0, ""]
    for column in ("path", "expected", "disputed", "confirmed", "source"):
        table[column] = table["content_hash"].map(present[column])
    for column in ("disputed", "confirmed", "unseen"):
        table[column] = table[column].astype(bool)
    judged = (table["error"] == "") & ~table["disputed"]
    known = judged & table["unseen"]
    table["counted"] = known & (table["source"] != CLUSTER)
    table["mismatch"] = judged & (table["end_status"] != table["expected"])
    table = _triage_apart(table, known.to_numpy())
    usable = known & (table["duration_s"] > LIMIT_S) & (table["faults"] == "")
    table["retrained"] = False
    table.loc[usable, "retrained"] = may_be_learned(table[usable])
    return table.sort_values("path", ignore_index=True)[list(COLUMNS)]


def _is_caused_by_people(predictions: pd.DataFrame, before: pd.DataFrame) -> pd.Series:
    """Hold back names of clusters that were not learned yet while people's answers are the same."""
    if _list_answers_learned(predictions) != _list_answers_learned(before):
        return pd.Series(True, predictions.index)
    learned_before = before.loc[before["retrained"].astype(bool), "content_hash"]
    return (predictions["source"] != CLUSTER) | predictions["content_hash"].isin(learned_before)


def _list_answers_learned(predictions: pd.DataFrame) -> set[tuple[str, str]]:
    learned = by_people(predictions[predictions["retrained"].astype(bool)])
    return set(zip(learned["content_hash"], learned["expected"], strict=True))


def _triage_apart(table: pd.DataFrame, known: np.ndarray) -> pd.DataFrame:
    """Triage people's answers and clusters' names, neither being evidence about the other."""
    of_cluster = (table["source"] == CLUSTER).to_numpy()
    parts = [
        judge(table[rows], table.loc[rows, list(PROBABILITIES)].to_numpy(float), known=known[rows])
        for judge, rows in ((triage, ~of_cluster), (triage_clusters, of_cluster))
        if rows.any()
    ]
    return pd.concat(parts).sort_index() if parts else table


def _write_updated(workspace: Workspace, data: TrainingData) -> None:
    archive = load_dataset(workspace)
    first = len(data.labels) - data.feedback
    features = np.concatenate([archive.features, data.features[first:]])
    labels = np.concatenate([archive.labels, data.labels[first:]])
    write_bytes(workspace.feature_data_updated, npy_bytes(features))
    write_bytes(workspace.feature_labels_updated, npy_bytes(labels))
