"""What became of every upload: one row each, kept from run to run."""

import os

import pandas as pd

from helpers.errors import TableError
from helpers.files import read_csv, write_csv
from helpers.workspace import Workspace

PLACED, PENDING = "placed", "to be placed"
QUARANTINED, RETRY, SUPERSEDED = "quarantined", "to be retried", "superseded"
ORPHANED = "orphaned"
"""Outcomes: in `audio_data`; decided but not there yet; cannot be used; may be used by the next
run; a newer response takes its place; in `audio_data`, though no response names it any more."""

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
    "placed_sha256": str,
    "reviews": str,
}
"""Columns of `form_ledger.csv`.

`timestamp` is the response's time as the sheet holds it, `fingerprint` the checksum of the upload,
`placed_sha256` that of the file in `audio_data`. `path` is where the call is, `replaces` where it
may still be from before, both relative to the workspace; several paths are divided by `|`, which no
placed call has in its name. `reviews` is what each person answered about the upload, also where
another answer counts: `key:status`, divided by `|`, see `forms_ingest.reviews`.
"""

Row = dict[str, str]
Ledger = dict[str, Row]


def read_ledger(workspace: Workspace) -> Ledger:
    """Read the ledger: one row per upload, by file id.

    A damaged ledger is put aside as `form_ledger.csv.damaged` and begun anew: calls that are in
    place are recognised by their checksum and not fetched again.
    """
    try:
        rows = read_csv(workspace.form_ledger, COLUMNS).to_dict("records")
    except TableError:
        aside = workspace.form_ledger.with_name(f"{workspace.form_ledger.name}.damaged")
        os.replace(workspace.form_ledger, aside)
        return {}
    return {row["file_id"]: row for row in rows}


def write_ledger(workspace: Workspace, ledger: Ledger) -> None:
    """Write the ledger, in the order of the file ids."""
    rows = [ledger[file_id] for file_id in sorted(ledger)]
    write_csv(workspace.form_ledger, pd.DataFrame(rows, columns=list(COLUMNS)))


def owned_paths(row: Row) -> list[str]:
    """List the paths where an upload's call is or may still be."""
    paths = [row.get("path", ""), *row.get("replaces", "").split("|")]
    return [path for path in paths if path]
