"""decisions.csv: what people decided where a recording's status is disputed, wrong or missing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
from filelock import FileLock

from helpers.files import read_csv, write_csv
from helpers.rejections import Rejection
from helpers.statuses import STATUSES, parse_status
from helpers.workspace import Workspace

COLUMNS = {"path": str, "statuses": str, "decision": str}
"""Columns of `decisions.csv`; people fill in `decision`."""


def read_decisions(workspace: Workspace) -> dict[str, str]:
    """Read what people wrote into `decisions.csv`: the decision, as written, by path."""
    table = read_csv(workspace.decisions, COLUMNS)
    return {
        row.path.strip(): row.decision.strip() for row in table.itertuples() if row.decision.strip()
    }


def read_listed(workspace: Workspace) -> set[str]:
    """Read every path in `decisions.csv`, decided on or not."""
    return set(read_csv(workspace.decisions, COLUMNS)["path"].str.strip())


@contextmanager
def changing_decisions(workspace: Workspace) -> Iterator[None]:
    """Let nobody else change `decisions.csv` between reading and writing it; others wait."""
    with FileLock(workspace.decisions_lock):
        yield


def withdraw_decision(workspace: Workspace, path: str, *, status: str) -> bool:
    """Take back what was decided about a recording; a conflict waits for a decision again.

    Args:
        workspace: where `decisions.csv` is
        path: as it was decided on
        status: what was decided; another decision, made since, stays

    Returns:
        whether it was taken back
    """
    with changing_decisions(workspace):
        rows = read_csv(workspace.decisions, COLUMNS).to_dict("records")
        told = [
            row["path"].strip() == path and parse_status(row["decision"]) == status for row in rows
        ]
        if any(told):
            changed = [
                row | {"decision": ""} if is_told else row
                for row, is_told in zip(rows, told, strict=True)
                if row["statuses"] or not is_told
            ]
            _write(workspace, changed)
        return any(told)


def enter_decisions(
    workspace: Workspace, decisions: Mapping[str, str], *, contents: Mapping[str, str]
) -> None:
    """Add decisions to `decisions.csv`; what was decided about other recordings stays.

    Args:
        workspace: where `decisions.csv` is
        decisions: status by path
        contents: content hash by path of every usable recording; a row for another name of a
            recording that is decided on gives way
    """
    decided = {contents[path]: path for path in decisions}
    statuses, rows = {}, []
    for row in read_csv(workspace.decisions, COLUMNS).to_dict("records"):
        content = contents.get(row["path"].strip())
        if content in decided:
            statuses[decided[content]] = row["statuses"]
        else:
            rows.append(row)
    rows += [
        {"path": path, "statuses": statuses.get(path, ""), "decision": decision}
        for path, decision in decisions.items()
    ]
    _write(workspace, rows)


def list_conflicts(workspace: Workspace, conflicts: list[dict], decisions: dict[str, str]) -> None:
    """Write `decisions.csv` anew: what waits for a decision, and every decision.

    Args:
        workspace: where `decisions.csv` is; without conflicts and decisions none is begun
        conflicts: `path, statuses, decision` of each recording that is listed
        decisions: those about any other path
    """
    rest = [
        {"path": path, "statuses": "", "decision": decision} for path, decision in decisions.items()
    ]
    if conflicts or rest or workspace.decisions.is_file():
        _write(workspace, conflicts + rest)


def reject_useless(decisions: dict[str, str], paths: set[str]) -> list[Rejection]:
    """List the decisions that nobody can follow, with the reason.

    Args:
        decisions: as written, by path
        paths: of every usable recording
    """
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


def _write(workspace: Workspace, rows: list[dict]) -> None:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_csv(workspace.decisions, table.sort_values("path"))
