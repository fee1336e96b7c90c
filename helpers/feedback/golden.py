"""The golden set: calls that no model ever learns from, on which every promotion is judged."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from helpers.dataset import VERDICT_KINDS, Dataset, cached_features, find_feature_set
from helpers.errors import AudioError, CallEmotionError, GoldenSetError
from helpers.evaluation import divide, group_segments
from helpers.features import FeatureSet
from helpers.files import write_json
from helpers.records import by_people, read_records
from helpers.workspace import Workspace

PARTS = 4
"""The customers are divided into so many parts, and one of them is the golden set."""

FEW = 30
"""Below so many calls a golden set says little, and what is judged on it says so."""

COLUMNS = {
    "path": str,
    "content_hash": str,
    "status": str,
    "customer": str,
    "agent": str,
    "gender": str,
    "line": str,
    "added": str,
    "reason": str,
}
"""Columns of the golden set; the status is frozen with the call."""

LOG = ("time", "calls", "digest", "reason")
"""What is written down whenever the golden set is frozen; `calls` is their number."""

CHOSEN = "chosen when the first model was trained"


def settle_golden(workspace: Workspace, dataset: Dataset) -> pd.DataFrame:
    """Choose the golden set where there is none yet; once chosen, it is only read.

    One of `PARTS` parts of the customers, stratified by status, with all their calls. Where too
    few customers are there to spare some, there is no golden set, and no model is ever compared.

    Args:
        workspace: where it is kept
        dataset: the archived calls

    Returns:
        the golden set, see `COLUMNS`

    Raises:
        GoldenSetError: see `read_golden`
    """
    if workspace.golden_set.is_file():
        return read_golden(workspace)
    ends = dataset.only(VERDICT_KINDS)
    groups = group_segments(ends, "customer")
    try:
        rest, chosen = divide(ends.labels, groups=groups, split="customer", folds=PARTS)[0]
        divide(ends.labels[rest], groups=groups[rest], split="customer")  # or nothing is learned
    except CallEmotionError:
        return read_golden(workspace)
    table = ends.segments.iloc[np.sort(chosen)]
    _freeze(workspace, read_golden(workspace), _describe(table, CHOSEN), CHOSEN)
    return read_golden(workspace)


def read_golden(workspace: Workspace) -> pd.DataFrame:
    """Read the golden set from `golden_set.json`, empty where there is none.

    Raises:
        GoldenSetError: where it is not as it was frozen
    """
    file = _read(workspace)
    golden = pd.DataFrame(file["calls"], columns=list(COLUMNS), dtype=str).fillna("")
    log = file["log"]
    if log and digest_golden(golden) != log[-1]["digest"]:
        raise GoldenSetError(
            f"{workspace.golden_set.name} does not hold the {log[-1]['calls']} calls that were "
            f"frozen on {log[-1]['time'][:10]}: bring the file back as it was, it is never edited "
            "by hand (grow_golden adds calls); or delete it to have a new one chosen, after which "
            "scores cannot be compared with earlier ones"
        )
    return golden


def read_log(workspace: Workspace) -> list[dict]:
    """Read when and why the golden set was chosen and grown, oldest first."""
    return _read(workspace)["log"]


def grow_golden(workspace: Workspace, paths: Iterable[str], *, reason: str) -> pd.DataFrame:
    """Add calls to the golden set on purpose, or freeze the present status of ones it has.

    All calls of the same customers are added with them, so that no model learns from a customer it
    is judged on. A champion that has learned from some of them is compared on the others.

    Args:
        workspace: with `CallRecords.csv`
        paths: of recordings, as `CallRecords.csv` has them
        reason: why, for the log

    Returns:
        the golden set afterwards

    Raises:
        GoldenSetError: where a path is not in `CallRecords.csv`, a call has only its cluster's name
            for a status, it cannot be described, or no reason is given
    """
    records, paths = read_records(workspace), set(paths)
    _check_growth(records, paths, reason)
    records = by_people(records)
    named = records[records["path"].isin(paths)]
    customers = set(named["customer"]) - {""}
    together = records[records["path"].isin(paths) | records["customer"].isin(customers)]
    golden = read_golden(workspace)
    golden_features(workspace, together, find_feature_set(workspace))
    _freeze(workspace, golden, _describe(together, reason), reason)
    return read_golden(workspace)


def split_golden(dataset: Dataset, golden: pd.DataFrame) -> Dataset:
    """Take out of a dataset what no model may learn from.

    Returns:
        the rest: neither calls of the golden set, nor other calls of its customers
    """
    segments = dataset.segments
    kept = ~segments["content_hash"].isin(golden["content_hash"])
    kept &= ~segments["customer"].isin(golden_customers(dataset, golden))
    return Dataset(dataset.features[kept.to_numpy()], segments[kept].reset_index(drop=True))


def golden_customers(dataset: Dataset, golden: pd.DataFrame) -> set[str]:
    """Name the customers of golden calls, as they were frozen and as they are known now."""
    of_golden = dataset.segments["content_hash"].isin(golden["content_hash"])
    return {*golden["customer"], *dataset.segments.loc[of_golden, "customer"]} - {""}


def golden_features(
    workspace: Workspace, golden: pd.DataFrame, feature_set: FeatureSet
) -> np.ndarray:
    """Describe the deciding segment of each golden call, shape (calls, features).

    Raises:
        GoldenSetError: where one cannot be described any more
    """
    if golden.empty:
        return np.empty((0, len(feature_set.names)), np.float32)
    records = read_records(workspace)
    present = dict(zip(records["content_hash"], records["path"], strict=True))
    rows = []
    for call in golden.itertuples():
        path = present.get(call.content_hash, call.path)
        try:
            matrix = cached_features(workspace, path, call.content_hash, feature_set=feature_set)
        except AudioError as error:
            raise GoldenSetError(
                f"the golden call {path} cannot be described ({error}): bring the recording back"
            ) from error
        rows.append(matrix[-1])
    return np.array(rows, np.float32)


def digest_golden(golden: pd.DataFrame) -> str:
    """Name a golden set by its calls' contents, statuses and customers, whatever their order."""
    rows = sorted(map(" ".join, golden[["content_hash", "status", "customer"]].to_numpy()))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _check_growth(records: pd.DataFrame, paths: set[str], reason: str) -> None:
    unknown = sorted(paths - set(records["path"]))
    lent = sorted(paths - set(by_people(records)["path"]))
    if unknown:
        raise GoldenSetError(
            f"{unknown[0]} is not in CallRecords.csv: give paths as they are there"
        )
    if lent:
        raise GoldenSetError(
            f"{lent[0]} has only its cluster's name for a status: listen to it and decide first, "
            "notebook 07 takes the decision"
        )
    if not reason.strip():
        raise GoldenSetError(
            "no reason was given: say why the golden set grows, it is kept in the log"
        )


def _read(workspace: Workspace) -> dict[str, list[dict]]:
    if not workspace.golden_set.is_file():
        return {"log": [], "calls": []}
    try:
        file = json.loads(workspace.golden_set.read_text())
        log = [{name: step[name] for name in LOG} for step in file["log"]]
        calls = [dict(call) for call in file["calls"]]
        if not log:
            raise ValueError("nothing says when these calls were frozen")
    except (ValueError, LookupError, TypeError) as error:
        raise GoldenSetError(
            f"{workspace.golden_set.name} is damaged: bring it back from a copy, or delete it to "
            "have a new golden set chosen"
        ) from error
    return {"log": log, "calls": calls}


def _describe(calls: pd.DataFrame, reason: str) -> pd.DataFrame:
    added = datetime.now(UTC).isoformat(timespec="seconds")
    return calls.assign(added=added, reason=reason)[list(COLUMNS)]


def _freeze(workspace: Workspace, before: pd.DataFrame, new: pd.DataFrame, reason: str) -> None:
    kept = before[~before["content_hash"].isin(new["content_hash"])]
    table = pd.concat([kept, new]).sort_values("path", ignore_index=True)
    step = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "calls": len(table),
        "digest": digest_golden(table),
        "reason": reason,
    }
    log = [*read_log(workspace), step]
    write_json(workspace.golden_set, {"log": log, "calls": table.to_dict("records")})
