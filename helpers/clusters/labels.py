"""cluster_labels.csv: the cluster of each call, and the status that a named one lends its calls."""

import pandas as pd

from helpers.errors import TableError
from helpers.files import read_csv, write_csv
from helpers.statuses import STATUSES
from helpers.workspace import Workspace

COLUMNS = {
    "path": str,
    "content_hash": str,
    "cluster": str,
    "distance": float,
    "certainty": float,
    "status": str,
}
"""Columns of `cluster_labels.csv`.

`status` is the name people gave the cluster, empty where it has none or where people or a folder
tell the call's own; `distance` is the Euclidean one to the cluster's centre in principal components
of standardised features, which are not scaled again: compare it within a run only; `certainty` is 1
at the centre and 0 halfway to the next one.
"""


def read_cluster_labels(workspace: Workspace) -> pd.DataFrame:
    """Read `cluster_labels.csv`, empty where no cluster was ever named.

    Raises:
        TableError: where somebody saved the table in another format, or wrote another status
    """
    labels = read_csv(workspace.cluster_labels, COLUMNS)
    wrong = sorted(set(labels["status"]) - {"", *STATUSES})
    if wrong:
        raise TableError(
            f"{workspace.cluster_labels} says {wrong[0]!r}, expected {', '.join(STATUSES)}: write "
            "names into cluster_names.csv and run notebook 12 again, which makes this file anew"
        )
    return labels


def write_cluster_labels(workspace: Workspace, labels: pd.DataFrame) -> None:
    """Write `cluster_labels.csv`; without any status none is begun."""
    if (labels["status"] != "").any() or workspace.cluster_labels.is_file():
        table = labels[list(COLUMNS)].round({"distance": 4, "certainty": 4})
        write_csv(workspace.cluster_labels, table.sort_values("path"))


def lent_statuses(workspace: Workspace) -> dict[str, str]:
    """Give the status that each call has from the name of its cluster, by content hash."""
    labels = read_cluster_labels(workspace)
    named = labels[labels["status"] != ""]
    return dict(zip(named["content_hash"], named["status"], strict=True))
