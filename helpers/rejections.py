"""The list of every input that was not used, and why."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from helpers.files import read_csv, write_csv
from helpers.workspace import Workspace

COLUMNS = {"path": str, "reason": str, "step": str}
"""Columns of `rejected_files.csv`."""


class Rejection(NamedTuple):
    """One input that was not used, and the reason in words a quality lead understands."""

    path: str
    reason: str


def read_rejections(workspace: Workspace) -> pd.DataFrame:
    """Read `rejected_files.csv`: `path, reason, step`, empty where nothing was rejected."""
    return read_csv(workspace.rejected_files, COLUMNS)


def record_rejections(
    workspace: Workspace, rejections: Iterable[Rejection], *, step: str, below: str = ""
) -> pd.DataFrame:
    """Replace what one step said before by what it says now.

    Args:
        workspace: where `rejected_files.csv` is
        rejections: all inputs that the step did not use this time
        step: name of the step, such as `01 conversion`
        below: only earlier rows with a path below this folder are replaced, so that a second
            folder of recordings does not hide what was rejected in the first

    Returns:
        this step's rows: `path, reason, step`
    """
    earlier = read_rejections(workspace)
    inside = earlier["path"].map(lambda path: _is_below(path, below)).astype(bool)
    replaced = (earlier["step"] == step) & inside
    new = pd.DataFrame([(*rejection, step) for rejection in rejections], columns=list(COLUMNS))
    table = pd.concat([earlier[~replaced], new]).sort_values(["step", "path", "reason"])
    write_csv(workspace.rejected_files, table)
    return new.sort_values(["path", "reason"], ignore_index=True)


def _is_below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(folder + "/")
