"""CallRecords.csv: one row per distinct recording, with its status and where it comes from."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from helpers.audio import content_hash, open_recording
from helpers.conversion import read_conversions
from helpers.errors import AudioError
from helpers.files import PART_SUFFIX, read_csv, write_csv
from helpers.rejections import Rejection, record_rejections
from helpers.statuses import STATUSES, parse_status, status_of_folders, status_of_suffix
from helpers.workspace import Workspace, require

STEP = "02 labels"
"""Name of this step in `rejected_files.csv`."""

ARCHIVE, FORM = "archive", "form"
"""Where a recording comes from: the zips and folders, or the Google Form."""

COLUMNS = {
    "path": str,
    "status": str,
    "source": str,
    "content_hash": str,
    "duration_s": float,
    "sampling_rate": int,
    "channels": int,
    "customer": str,
}
"""Columns of `CallRecords.csv`; `path` is relative to the workspace, `customer` may be empty."""

DECISION_COLUMNS = {"path": str, "statuses": str, "decision": str}
"""Columns of `decisions.csv`; people fill in `decision`."""


class Found(NamedTuple):
    """Everything that step 02 looked at: usable recordings and rejected files."""

    recordings: pd.DataFrame
    rejections: list[Rejection]


def build_records(workspace: Workspace) -> pd.DataFrame:
    """Write `CallRecords.csv` from the recordings in `dataset` and `audio_data`.

    The same recording met twice under one status is one row. Met under two statuses it is a
    conflict: a row of `decisions.csv` asks for a decision, and until somebody writes one the
    recording is in no row of the result. A decision for any other path corrects its status.
    Every file that gives no row is listed in `rejected_files.csv`.

    Args:
        workspace: with `dataset` converted by notebook 01; `audio_data` may be missing

    Returns:
        one row per distinct recording, see `COLUMNS`, sorted by path

    Raises:
        MissingStepError: where neither folder exists
    """
    if not workspace.audio_data.is_dir():
        require(workspace.conversions, "01")
    return settle_records(workspace, find_recordings(workspace))


def settle_records(workspace: Workspace, found: Found) -> pd.DataFrame:
    """Write `CallRecords.csv` from what `find_recordings` found, see `build_records`."""
    decisions = read_decisions(workspace)
    recordings, rejections = found.recordings, list(found.rejections)
    chosen, conflicts = [], []
    for _, twins in recordings.groupby("content_hash", sort=False):
        row, rejected, conflict = _settle(twins, decisions)
        chosen += row
        rejections += rejected
        conflicts += conflict
    records = pd.DataFrame(chosen, columns=list(COLUMNS)).sort_values("path", ignore_index=True)
    _write_decisions(workspace, decisions, conflicts)
    disputed = {path for conflict in conflicts for path in conflict["twins"]}
    rejections += _useless_decisions(
        {path: text for path, text in decisions.items() if path not in disputed},
        set(recordings["path"]),
    )
    record_rejections(workspace, rejections, step=STEP)
    write_csv(workspace.records, records)
    return records


def read_records(workspace: Workspace) -> pd.DataFrame:
    """Read `CallRecords.csv`.

    Raises:
        MissingStepError: where notebook 02 has not written it
    """
    return read_csv(require(workspace.records, "02"), COLUMNS)


def status_by_path(records: pd.DataFrame) -> dict[str, str]:
    """Give the status of each recording by its path in the workspace."""
    return dict(zip(records["path"], records["status"], strict=True))


def find_recordings(workspace: Workspace) -> Found:
    """Look at every file in `dataset` and `audio_data`, without removing twins.

    Returns:
        recordings with `COLUMNS`, archive before form, and the files that cannot be used
    """
    converted = {row["path"]: row for row in read_conversions(workspace).to_dict("records")}
    found: list[dict | Rejection] = []
    for file in _list_files(workspace.dataset, workspace.conversions):
        path = workspace.relative(file)
        status = status_of_folders(PurePosixPath(path).relative_to(workspace.dataset.name))
        row = _describe(file, path, status, converted.get(path))
        found.append(row if isinstance(row, Rejection) else {**row, "source": ARCHIVE})
    for file in _list_files(workspace.audio_data):
        row = _describe(file, workspace.relative(file), status_of_suffix(file), None)
        found.append(row if isinstance(row, Rejection) else {**row, "source": FORM})
    rejections = [item for item in found if isinstance(item, Rejection)]
    rows = [item for item in found if not isinstance(item, Rejection)]
    return Found(pd.DataFrame(rows, columns=list(COLUMNS)), rejections)


def read_decisions(workspace: Workspace) -> dict[str, str]:
    """Read what people wrote into `decisions.csv`: the decision, as written, by path."""
    table = read_csv(workspace.decisions, DECISION_COLUMNS)
    return {
        row.path.strip(): row.decision.strip() for row in table.itertuples() if row.decision.strip()
    }


def count_by_status(records: pd.DataFrame) -> pd.DataFrame:
    """Count calls and customers: one row per status, in the order of `STATUSES`."""
    if records.empty:
        return pd.DataFrame(0, list(STATUSES), ["calls", "minutes", "two_channel", "customers"])
    grouped = records.groupby("status")
    table = pd.DataFrame(
        {
            "calls": grouped.size(),
            "minutes": (grouped["duration_s"].sum() / 60).round(1),
            "two_channel": grouped["channels"].agg(lambda channels: int((channels == 2).sum())),
            "customers": grouped["customer"].agg(lambda names: names[names != ""].nunique()),
        }
    )
    return table.reindex(STATUSES, fill_value=0)


def _list_files(folder: Path, *without: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and path not in without)
    return sorted(path for path in files if not path.name.endswith(PART_SUFFIX))


def _describe(
    file: Path, path: str, status: str | None, known: dict | None
) -> dict[str, object] | Rejection:
    shown = path.encode(errors="replace").decode()
    if shown != path:
        return Rejection(shown, "its name is not written in UTF-8: rename it")
    if status is None:
        return Rejection(
            path,
            "no status: put it in a folder named satisfied, average or unsatisfied, "
            "or end its name with _sat, _avg or _unsat in audio_data",
        )
    try:
        return {"customer": "", **(known or _inspect(file)), "path": path, "status": status}
    except AudioError as error:
        return Rejection(path, str(error))


def _inspect(file: Path) -> dict[str, object]:
    with open_recording(file) as recording:
        return {
            "content_hash": content_hash(recording),
            "duration_s": round(recording.duration_s, 6),
            "sampling_rate": recording.sampling_rate,
            "channels": recording.channels,
        }


def _settle(
    twins: pd.DataFrame, decisions: dict[str, str]
) -> tuple[list[dict], list[Rejection], list[dict]]:
    """Settle one recording: its row if it has one, the paths without a row, its conflict."""
    statuses = set(twins["status"])
    written = next((decisions[path] for path in twins["path"] if path in decisions), "")
    status = parse_status(written) or (statuses.pop() if len(statuses) == 1 else None)
    names = " | ".join(f"{row.status}: {row.path}" for row in twins.itertuples())
    paths = list(twins["path"])
    conflict = {"path": paths[0], "statuses": names, "decision": written, "twins": paths}
    if status is None:
        reason = f"conflict: the same recording has two statuses ({names}); "
        reason += "write satisfied, average or unsatisfied under decision in decisions.csv"
        if written:
            reason += f" (it says {written!r}, which is none of them)"
        return [], [Rejection(path, reason) for path in paths], [conflict]
    fitting = twins[twins["status"] == status]
    kept = (fitting if len(fitting) else twins).iloc[0]
    reason = f"the same recording as {kept['path']}"
    rejected = [Rejection(path, reason) for path in paths if path != kept["path"]]
    customer = next((name for name in twins["customer"] if name), "")
    row = {**kept.to_dict(), "status": status, "customer": customer}
    return [row], rejected, [conflict] if written else []


def _useless_decisions(decisions: dict[str, str], paths: set[str]) -> list[Rejection]:
    rejections = []
    for path, decision in decisions.items():
        if path not in paths:
            reason = "decided on, but no usable recording has this path"
        elif parse_status(decision) is None:
            reason = f"the decision {decision!r} is none of {', '.join(STATUSES)}"
        else:
            continue
        rejections.append(Rejection(f"decisions.csv: {path}", reason))
    return rejections


def _write_decisions(
    workspace: Workspace, decisions: dict[str, str], conflicts: list[dict]
) -> None:
    listed = {path for conflict in conflicts for path in conflict["twins"]}
    rest = [
        {"path": path, "statuses": "", "decision": decision}
        for path, decision in decisions.items()
        if path not in listed
    ]
    if conflicts or rest or workspace.decisions.is_file():
        table = pd.DataFrame([*conflicts, *rest], columns=list(DECISION_COLUMNS))
        write_csv(workspace.decisions, table.sort_values("path"))
