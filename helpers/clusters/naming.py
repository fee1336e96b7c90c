"""cluster_names.csv: what people call each cluster, and the statuses that come of it."""

import math
from collections.abc import Mapping

import pandas as pd
from sklearn.metrics import adjusted_rand_score

from helpers.clusters.clustering import Clustering, find_nearest
from helpers.clusters.labels import write_cluster_labels
from helpers.errors import TableError
from helpers.files import read_csv, write_csv
from helpers.records import build_records
from helpers.statuses import STATUSES, parse_status
from helpers.workspace import Workspace

COLUMNS = dict.fromkeys(("cluster", "calls", "nearest", "name", "note"), str)
"""Columns of `cluster_names.csv`; people fill in `name`, and `note` with whatever they like."""

BETWEEN = " | "
"""What stands between the paths of the nearest calls."""

OUTDATED = "outdated, lends no status: the clusters have changed"
"""How the note of a name begins whose cluster is no more."""

EXPECTED = f"{', '.join(STATUSES)}, or another spelling such as 'not satisfied'"


def parse_names(text: str) -> dict[str, str]:
    """Read names of clusters from one line.

    Args:
        text: such as `A-9f3a1c: satisfied, B-07be21: not satisfied`; a name may be empty

    Returns:
        name by cluster, as they were written

    Raises:
        TableError: where a part has no colon

    Examples:
        >>> parse_names("A-9f3a1c: satisfied, B-07be21: not satisfied")
        {'A-9f3a1c': 'satisfied', 'B-07be21': 'not satisfied'}
        >>> parse_names("")
        {}
    """
    names = {}
    for part in filter(str.strip, text.split(",")):
        cluster, colon, name = part.partition(":")
        if not colon:
            raise TableError(
                f"the names hold {part.strip()!r}, expected cluster and name with a colon between "
                "them, such as A-9f3a1c: satisfied"
            )
        names[cluster.strip()] = name.strip()
    return names


def settle_names(
    workspace: Workspace, clustering: Clustering, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Write `cluster_names.csv` anew: the present clusters with their names, and outdated names.

    A name belongs to the calls it was given to. Where the clusters have changed since, it is
    listed below the present ones and lends its status to no call; that it is outdated then stands
    in the place of its note. Notes of present clusters are kept.

    Args:
        workspace: where the table is, or is begun
        clustering: the present clusters
        names: given now, by cluster; an empty one takes the name away

    Returns:
        the table, see `COLUMNS`; `name` is one of `STATUSES`, or empty

    Raises:
        TableError: where a name is no status, a cluster has two names, or one that is named now
            does not exist
    """
    written = _read_names(workspace)
    outdated = [row for row in written.values() if row["cluster"] not in clustering.names]
    known = {row["cluster"]: row["name"] for row in written.values()}
    known |= _check_given(names or {}, clustering)
    nearest = find_nearest(clustering).groupby("cluster")["path"].agg(BETWEEN.join)
    sizes = clustering.calls["cluster"].value_counts()
    rows = [
        {"cluster": name, "calls": str(sizes[name]), "nearest": nearest[name],
         "name": known.get(name, ""), "note": _keep_note(written.get(name, {}))}
        for name in clustering.names
    ]  # fmt: skip
    homes = dict(zip(clustering.calls["path"], clustering.calls["cluster"], strict=True))
    rows += [{**row, "note": _tell_outdated(row, homes)} for row in outdated if row["name"]]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_csv(workspace.cluster_names, table)
    return table


def current_names(clustering: Clustering, table: pd.DataFrame) -> dict[str, str]:
    """Give the names of the present clusters that have one, see `settle_names`."""
    present = table[table["cluster"].isin(clustering.names) & (table["name"] != "")]
    return dict(zip(present["cluster"], present["name"], strict=True))


def lend_names(
    workspace: Workspace, clustering: Clustering, names: Mapping[str, str]
) -> pd.DataFrame:
    """Lend the names of clusters to their calls that have no status, and to no other.

    `cluster_labels.csv` is made anew and `CallRecords.csv` brought up to date: calls of a named
    cluster are rows with the source `cluster`. What people decided, a folder or the form's file
    name tells, always wins; a name that is taken away takes its statuses along.

    Args:
        workspace: of the calls
        clustering: its clusters
        names: status by cluster

    Returns:
        the rows that have a status now: `path, content_hash, cluster, distance, certainty, status`
    """
    calls = clustering.calls
    free = (calls["status"] == "") & ~calls["told"].astype(bool)
    named = pd.Series([names.get(name, "") for name in calls["cluster"]], calls.index, dtype=object)
    labels = calls.assign(status=named.where(free, ""))
    write_cluster_labels(workspace, labels)
    build_records(workspace)
    lent = labels[labels["status"] != ""].reset_index(drop=True)
    return lent.drop(columns=["duration_s", "customer", "told"])


def imitate_listener(clustering: Clustering) -> dict[str, str]:
    """Name each cluster as somebody would who hears the nearest calls, from their statuses.

    For calls that have a status, to see what names are worth; nothing is written.

    Returns:
        the commonest status of the nearest calls, by cluster; the nearer one's where two are as
        common, no entry where none of them has one
    """
    nearest = find_nearest(clustering)
    heard = nearest[nearest["status"] != ""]
    return {
        cluster: max(statuses.tolist(), key=statuses.tolist().count)
        for cluster, statuses in heard.groupby("cluster")["status"]
    }


def compare_with(clustering: Clustering, column: str) -> tuple[pd.DataFrame, float]:
    """Compare the clusters with what is known of the calls.

    Args:
        clustering: its calls
        column: `status` or `customer`; calls where it is empty are left out

    Returns:
        number of calls by cluster (rows) and value (columns), and the adjusted Rand index: 1 where
        clusters and values divide the calls alike, 0 where they agree as chance does (Hubert and
        Arabie 1985); `nan` where nothing is known
    """
    known = clustering.calls[clustering.calls[column] != ""]
    table = pd.crosstab(known["cluster"], known[column])
    if known.empty:
        return table, float("nan")
    order = [name for name in STATUSES if name in table] if column == "status" else table.columns
    return table[order], float(adjusted_rand_score(known[column], known["cluster"]))


def describe_likeness(clustering: Clustering) -> str:
    """Say how far the clusters divide the calls as their statuses and their customers do."""
    parts = []
    for column, plural in (("status", "statuses"), ("customer", "customers")):
        _, index = compare_with(clustering, column)
        parts.append(f"{plural} " + ("not known" if math.isnan(index) else f"{index:.2f}"))
    return f"likeness of the clusters (1: the same, 0: chance) to {', to '.join(parts)}"


def _read_names(workspace: Workspace) -> dict[str, dict[str, str]]:
    rows = {}
    for number, row in enumerate(read_csv(workspace.cluster_names, COLUMNS).to_dict("records"), 2):
        place = f"row {number} of {workspace.cluster_names.name}"
        row["cluster"] = row["cluster"].strip()
        row["name"] = _read_name(row["name"], row["cluster"], place)
        if rows.get(row["cluster"], row)["name"] != row["name"]:
            raise TableError(f"{place}: cluster {row['cluster']} has another name above; keep one")
        rows[row["cluster"]] = row
    return rows


def _check_given(names: Mapping[str, str], clustering: Clustering) -> dict[str, str]:
    for cluster in names:
        if cluster not in clustering.names:
            raise TableError(
                f"{cluster!r} is no cluster of these calls, they are "
                f"{', '.join(clustering.names)}: clusters whose calls have changed are new ones, "
                "listen to them before you name them"
            )
    return {each: _read_name(name, each, "the names given") for each, name in names.items()}


def _read_name(text: str, cluster: str, place: str) -> str:
    status = parse_status(text) if text.strip() else ""
    if status is None:
        raise TableError(
            f"{place}: the name {text!r} of cluster {cluster} is none of {EXPECTED}; correct it, "
            "or leave it empty"
        )
    return status


def _keep_note(row: Mapping[str, str]) -> str:
    """Keep what people wrote, but not that a cluster is outdated which is back."""
    note = row.get("note", "")
    return "" if note.startswith(OUTDATED) else note


def _tell_outdated(row: Mapping[str, str], homes: Mapping[str, str]) -> str:
    heard = [homes[path] for path in row["nearest"].split(BETWEEN) if path in homes]
    where = f"; its nearest calls are in {', '.join(sorted(set(heard)))} now" if heard else ""
    return OUTDATED + where
