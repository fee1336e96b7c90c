"""What became of every upload: one row each, kept from run to run."""

import pandas as pd

from helpers.files import read_csv, write_csv
from helpers.workspace import Workspace

PLACED, PENDING, REJECTED = "placed", "to be placed", "rejected"
"""Outcomes: in `audio_data`, decided but not there yet, or listed in `rejected_files.csv`."""

COLUMNS = {
    "file_id": str,
    "upload": str,
    "timestamp": str,
    "answer": str,
    "status": str,
    "outcome": str,
    "reason": str,
    "path": str,
    "replaces": str,
    "fingerprint": str,
    "content_hash": str,
}
"""Columns of `form_ledger.csv`.

`path` is where the call is, `replaces` where it may still be from before, both relative to the
workspace; several paths are divided by `|`, which no placed call has in its name.
"""


def read_ledger(workspace: Workspace) -> dict[str, dict[str, str]]:
    """Read the ledger: one row per upload, by file id."""
    rows = read_csv(workspace.form_ledger, COLUMNS).to_dict("records")
    return {row["file_id"]: row for row in rows}


def write_ledger(workspace: Workspace, ledger: dict[str, dict[str, str]]) -> None:
    """Write the ledger, in the order of the file ids."""
    rows = [ledger[file_id] for file_id in sorted(ledger)]
    write_csv(workspace.form_ledger, pd.DataFrame(rows, columns=list(COLUMNS)))
