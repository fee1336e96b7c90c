"""CallRecords.csv: one row per distinct recording, with its status and where it comes from."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from helpers.audio import content_hash, open_recording
from helpers.clusters.labels import lent_statuses
from helpers.conversion import read_conversions
from helpers.customers import DETAILS, describe_line
from helpers.decisions import (
    changing_decisions,
    enter_decisions,
    list_conflicts,
    read_decisions,
    read_listed,
    reject_useless,
)
from helpers.errors import AudioError, DecidedError, TableError
from helpers.files import PART_SUFFIX, read_csv, write_csv
from helpers.rejections import Rejection, record_rejections
from helpers.statuses import STATUSES, parse_status, status_of_folders, status_of_suffix
from helpers.workspace import Workspace, require

STEP = "02 labels"
"""Name of this step in `rejected_files.csv`."""

REMEMBERED = 10_000
"""So many recordings are not opened again by the same process as long as they do not change."""

ARCHIVE, FORM = "archive", "form"
"""Where a recording comes from: the zips and folders, or the Google Form."""

CLUSTER = "cluster"
"""Source of a recording without a status of its own, which has the name of its cluster for one."""

COLUMNS = {
    "path": str,
    "status": str,
    "source": str,
    "content_hash": str,
    "duration_s": float,
    "sampling_rate": int,
    "channels": int,
    **dict.fromkeys(DETAILS, str),
}
"""Columns of `CallRecords.csv`; `path` is relative to the workspace.

Who the `customer` is, the `agent` and the customer's `gender` may be empty; `line` is what people
call it, or else says what the recording is like, such as `8 kHz mono`.
"""

_NO_STATUS = (
    "no status: put it in a folder named satisfied, average or unsatisfied, or end its name with "
    "_sat, _avg or _unsat in audio_data, or write its path and status into decisions.csv"
)


class Found(NamedTuple):
    """Everything that step 02 looked at.

    Attributes:
        usable: recordings with `COLUMNS`, archive before form; the status is the one that place
            or name tells, else the one people decided, else empty
        rejections: files that cannot be used
    """

    usable: pd.DataFrame
    rejections: list[Rejection]

    @property
    def recordings(self) -> pd.DataFrame:
        """Recordings with a status."""
        return self.usable[self.usable["status"] != ""].reset_index(drop=True)

    @property
    def unlabelled(self) -> pd.DataFrame:
        """Recordings without a status, under this name or another."""
        labelled = self.usable["content_hash"].isin(self.recordings["content_hash"])
        return self.usable[~labelled].reset_index(drop=True)


def build_records(workspace: Workspace) -> pd.DataFrame:
    """Write `CallRecords.csv` from the recordings in `dataset` and `audio_data`.

    The same recording met twice under one status is one row. Met under two statuses it is a
    conflict: a row of `decisions.csv` asks for a decision, and until somebody writes one the
    recording is in no row of the result. A decision for any other path corrects its status, or
    gives it one where neither folder nor name does. What still has none takes the name of its
    cluster, where people gave it one, under the source `CLUSTER`. Every file that gives no row is
    listed in `rejected_files.csv`.

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
    decisions, lent = read_decisions(workspace), lent_statuses(workspace)
    rejections = list(found.rejections)
    chosen, conflicts = [], []
    for content, twins in found.usable.groupby("content_hash", sort=False):
        row, rejected, conflict = _settle(twins, decisions)
        if content in lent and not row and not conflict:
            row, rejected = _settle_lent(twins, lent[content])
        chosen += row
        rejections += rejected
        conflicts += conflict
    records = pd.DataFrame(chosen, columns=list(COLUMNS)).sort_values("path", ignore_index=True)
    others = _list_anew(workspace, conflicts)
    rejections += reject_useless(others, set(found.usable["path"]))
    record_rejections(workspace, rejections, step=STEP)
    write_csv(workspace.records, records)
    return records


def read_records(workspace: Workspace) -> pd.DataFrame:
    """Read `CallRecords.csv`.

    Raises:
        MissingStepError: where notebook 02 has not written it
    """
    return read_csv(require(workspace.records, "02"), COLUMNS)


def by_people(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the calls whose status is people's, and not their cluster's.

    Args:
        table: with the column `source`
    """
    return table[table["source"] != CLUSTER]


def status_by_path(records: pd.DataFrame) -> dict[str, str]:
    """Give the status of each recording by its path in the workspace."""
    return dict(zip(records["path"], records["status"], strict=True))


def find_recordings(workspace: Workspace, *, only: Collection[str] | None = None) -> Found:
    """Look at the files in `dataset` and `audio_data`, without removing twins.

    Args:
        workspace: with recordings
        only: paths in the workspace to look at; every file by default

    Returns:
        recordings with `COLUMNS`, archive before form, and the files that cannot be used
    """
    converted = {row["path"]: row for row in read_conversions(workspace).to_dict("records")}
    decisions = read_decisions(workspace)
    files = [(file, ARCHIVE) for file in _list_files(workspace.dataset, workspace.conversions)]
    files += [(file, FORM) for file in _list_files(workspace.audio_data)]
    rows, rejections = [], []
    for file, source in files:
        path = workspace.relative(file)
        if only is not None and path not in only:
            continue
        try:
            row = {**dict.fromkeys(DETAILS, ""), **_inspect(file, path, converted.get(path))}
        except AudioError as error:
            rejections.append(Rejection(path.encode(errors="replace").decode(), str(error)))
            continue
        status = _told_status(path, source) or parse_status(decisions.get(path, ""))
        rows.append({**row, "path": path, "source": source, "status": status or ""})
    return Found(pd.DataFrame(rows, columns=list(COLUMNS)), rejections)


def list_unlabelled(workspace: Workspace) -> pd.DataFrame:
    """List the recordings that have no status yet, neither told nor decided, each once.

    The name of a cluster is no status: a person is still asked.

    Returns:
        columns `path, content_hash, duration_s`, archive before form, then by path
    """
    calls = find_recordings(workspace).unlabelled
    calls = calls.drop_duplicates("content_hash", ignore_index=True)
    return calls[["path", "content_hash", "duration_s"]].astype({"duration_s": float})


def list_calls(workspace: Workspace) -> pd.DataFrame:
    """List every usable recording once, with the status that people gave it.

    Returns:
        columns `path, content_hash, duration_s, customer, status, told`, in the order of the
        records: `status` is empty where there is none or a decision is waited for, `told` says
        whether a folder or a name tells one, under this name of the recording or another
    """
    found, decisions, rows = find_recordings(workspace), read_decisions(workspace), []
    for _, twins in found.usable.groupby("content_hash", sort=False):
        settled, _, _ = _settle(twins, decisions)
        row = settled[0] if settled else _complete(twins.iloc[0], twins, status="")
        told = any(_told_status(twin.path, twin.source) for twin in twins.itertuples())
        rows.append({**row, "told": told})
    columns = ["path", "content_hash", "duration_s", "customer", "status", "told"]
    return pd.DataFrame(rows, columns=columns).sort_values("path", ignore_index=True)


def decide(
    workspace: Workspace, decisions: Mapping[str, str], *, keep_others: bool = False
) -> None:
    """Write statuses that people decided into `decisions.csv`.

    `build_records` takes them over. An earlier decision about the same recording gives way,
    whichever of its names it is for; all others stay. Where one is wrong, none is written. People
    may decide at the same time: none of their decisions is lost.

    Args:
        workspace: with recordings in `dataset` or `audio_data`
        decisions: status by path in the workspace, as people write it, such as `not satisfied`
        keep_others: whether an earlier decision that differs is an error instead

    Raises:
        TableError: where a path is no usable recording, a status is none of `STATUSES`, or two
            names of one recording are given different ones
        DecidedError: where another decision is to be kept
    """
    with changing_decisions(workspace):
        usable = find_recordings(workspace, only=read_listed(workspace) | set(decisions)).usable
        contents = dict(zip(usable["path"], usable["content_hash"], strict=True))
        chosen = _choose(workspace, decisions, contents)
        if keep_others:
            _check_others(workspace, chosen, contents)
        enter_decisions(workspace, dict(chosen.values()), contents=contents)


def count_by_status(records: pd.DataFrame) -> pd.DataFrame:
    """Count calls and customers: one row per status, in the order of `STATUSES`.

    Calls whose status is their cluster's name are left out.
    """
    records = by_people(records)
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


def _choose(
    workspace: Workspace, decisions: Mapping[str, str], contents: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Give path and status by content hash."""
    chosen: dict[str, tuple[str, str]] = {}
    for path, text in decisions.items():
        status = parse_status(text)
        if path not in contents:
            raise TableError(
                f"{path!r} was decided on, but is no usable recording in {workspace.folder}: write "
                "its path in the workspace, such as dataset/satisfied/call.wav"
            )
        if status is None:
            raise TableError(
                f"the decision {text!r} about {path} is none of {', '.join(STATUSES)}; write one"
            )
        first, earlier = chosen.setdefault(contents[path], (path, status))
        if earlier != status:
            raise TableError(
                f"{first} and {path} are the same recording, but were decided to be {earlier} and "
                f"{status}; decide for one of them"
            )
    return chosen


def _check_others(
    workspace: Workspace, chosen: Mapping[str, tuple[str, str]], contents: Mapping[str, str]
) -> None:
    for path, text in read_decisions(workspace).items():
        earlier = parse_status(text)
        new, status = chosen.get(contents.get(path, ""), (path, earlier))
        if earlier and status != earlier:
            same = "" if path == new else f" under its other name {path}"
            raise DecidedError(
                f"somebody has decided meanwhile that the customer of {new}{same} was {earlier}: "
                "take that back first if it is wrong"
            )


def _list_files(folder: Path, *without: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and path not in without)
    return sorted(path for path in files if not path.name.endswith(PART_SUFFIX))


def _inspect(file: Path, path: str, converted: dict | None) -> dict[str, object]:
    if path.encode(errors="replace").decode() != path:
        raise AudioError("its name is not written in UTF-8: rename it")
    if converted:
        return converted
    state = file.stat()
    return dict(_measure(file, (state.st_mtime_ns, state.st_size)))


@lru_cache(maxsize=REMEMBERED)
def _measure(file: Path, _stamp: tuple[int, int]) -> dict[str, object]:
    with open_recording(file) as recording:
        return {
            "content_hash": content_hash(recording),
            "duration_s": round(recording.duration_s, 6),
            "sampling_rate": recording.sampling_rate,
            "channels": recording.channels,
        }


def _told_status(path: str, source: str) -> str | None:
    tell = status_of_folders if source == ARCHIVE else status_of_suffix
    return tell(PurePosixPath(path))


def _list_anew(workspace: Workspace, conflicts: list[dict]) -> dict[str, str]:
    """Write `decisions.csv` with what people have decided by now; give decisions on other paths."""
    with changing_decisions(workspace):
        decisions = read_decisions(workspace)
        listed = {path for conflict in conflicts for path in conflict["twins"]}
        others = {path: text for path, text in decisions.items() if path not in listed}
        present = [
            {**each, "decision": _find_written(each["twins"], decisions)} for each in conflicts
        ]
        list_conflicts(workspace, present, others)
    return others


def _settle(
    twins: pd.DataFrame, decisions: dict[str, str]
) -> tuple[list[dict], list[Rejection], list[dict]]:
    """Settle one recording: its row if it has one, the paths without a row, its conflict."""
    paths = list(twins["path"])
    statuses = set(twins["status"]) - {""}
    written = _find_written(paths, decisions)
    status = parse_status(written) or (statuses.pop() if len(statuses) == 1 else None)
    told = ((_told_status(row.path, row.source), row.path) for row in twins.itertuples())
    names = " | ".join(f"{each}: {path}" for each, path in told if each)
    conflict = {"path": paths[0], "statuses": names, "decision": written, "twins": paths}
    if status is None:
        reason = _conflict_reason(names, written) if statuses else _NO_STATUS
        return [], [Rejection(path, reason) for path in paths], [conflict] if statuses else []
    fitting = twins[twins["status"] == status]
    labelled = twins[twins["status"] != ""]
    archived = labelled[labelled["source"] == ARCHIVE]  # it stays in the archive, corrected
    best = archived[archived["status"] == status]
    kept = next(each for each in (best, archived, fitting, labelled) if len(each)).iloc[0]
    reason = f"the same recording as {kept['path']}"
    rejected = [Rejection(path, reason) for path in paths if path != kept["path"]]
    if written and parse_status(written) is None:
        rejected += reject_useless({paths[0]: written}, set(paths))
    return [_complete(kept, twins, status=status)], rejected, [conflict] if written else []


def _find_written(paths: list[str], decisions: dict[str, str]) -> str:
    """Find what people decided about any of a recording's names, rather a status than a note."""
    texts = [decisions[path] for path in paths if path in decisions]
    return next(filter(parse_status, texts), next(iter(texts), ""))


def _settle_lent(twins: pd.DataFrame, status: str) -> tuple[list[dict], list[Rejection]]:
    """Settle a recording that has only its cluster's name for a status."""
    kept = twins.iloc[0]
    reason = f"the same recording as {kept['path']}"
    row = {**_complete(kept, twins, status=status), "source": CLUSTER}
    return [row], [Rejection(path, reason) for path in twins["path"].iloc[1:]]


def _complete(kept: pd.Series, twins: pd.DataFrame, *, status: str) -> dict[str, object]:
    details = {column: next(filter(None, twins[column]), "") for column in DETAILS}
    line = describe_line(sampling_rate=kept["sampling_rate"], channels=kept["channels"])
    return {**kept.to_dict(), **details, "status": status, "line": details["line"] or line}


def _conflict_reason(names: str, written: str) -> str:
    reason = f"conflict: the same recording has two statuses ({names}); "
    reason += "write satisfied, average or unsatisfied under decision in decisions.csv"
    return f"{reason} (it says {written!r}, which is none of them)" if written else reason
