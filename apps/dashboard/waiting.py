"""The calls that wait for a person: the review list, and recordings under two statuses."""

from pathlib import Path

import pandas as pd

from apps.dashboard.call_table import read_contents
from helpers.decisions import COLUMNS as DECISION_COLUMNS
from helpers.decisions import read_decisions, withdraw_decision
from helpers.errors import DecidedError
from helpers.files import read_csv
from helpers.prediction import PROBABILITIES
from helpers.records import decide
from helpers.retraining import REVIEW_COLUMNS, read_predictions
from helpers.statuses import parse_status
from helpers.workspace import Workspace

COLUMNS = (*REVIEW_COLUMNS, *PROBABILITIES)
"""Columns of what waits."""

TWO_STATUSES = "two statuses"
"""Cause of a recording that people gave two statuses."""


def list_waiting(workspace: Workspace) -> pd.DataFrame:
    """List the calls a person should listen to and nobody has decided on.

    Args:
        workspace: with the review list that notebook 06 writes; it may be missing

    Returns:
        columns `COLUMNS`, likeliest wrong answers first, then the recordings with two statuses,
        whose `answer` is empty; what was decided under another name of a recording counts, too

    Raises:
        TableError: where somebody saved a table in another format
    """
    kinds = {name: str for name in REVIEW_COLUMNS} | {"label_error": float}
    reviews = read_csv(workspace.review_list, kinds)
    table = pd.concat([reviews, _list_conflicts(workspace)], ignore_index=True)
    judged = read_predictions(workspace).drop_duplicates("path").set_index("path")
    table = table.join(judged[list(PROBABILITIES)], on="path")
    contents = read_contents(workspace)
    decided = {contents.get(path, path) for path in list_decided(workspace)["path"]}
    keys = table["path"].map(lambda path: contents.get(path, path))
    return table[~keys.isin(decided)].reset_index(drop=True)[list(COLUMNS)]


def list_decided(workspace: Workspace) -> pd.DataFrame:
    """List what people decided, as far as it is a status.

    Returns:
        columns `path, status`, by path

    Raises:
        TableError: where somebody saved the table in another format
    """
    read = {path: parse_status(text) for path, text in sorted(read_decisions(workspace).items())}
    rows = [(path, status) for path, status in read.items() if status]
    return pd.DataFrame(rows, columns=["path", "status"], dtype=object)


def settle(workspace: Workspace, path: str, status: str) -> None:
    """Write down what a person decided about a call.

    Args:
        workspace: with the call
        path: of the call in the workspace
        status: what the person heard

    Raises:
        DecidedError: where somebody has decided otherwise; nothing has changed then
        TableError: where the call is not there any more; nothing has changed then
    """
    decide(workspace, {path: status}, keep_others=True)


def take_back(workspace: Workspace, path: str, status: str) -> str:
    """Take back what was decided about a call.

    Args:
        workspace: with the call
        path: as it was decided on
        status: what was decided

    Returns:
        a sentence: whether the call waits again

    Raises:
        DecidedError: where it is decided otherwise by now, or not any more; that stays
    """
    name = Path(path).name
    if not withdraw_decision(workspace, path, status=status):
        now = parse_status(read_decisions(workspace).get(path, ""))
        told = f"it is {now} now, and was left at that" if now else "nothing is decided about it"
        raise DecidedError(f"somebody has changed the decision about {name} meanwhile: {told}")
    contents = read_contents(workspace)
    waiting = {contents.get(each, each) for each in list_waiting(workspace)["path"]}
    if contents.get(path, path) in waiting:
        return f"Taken back: {name} waits again."
    return f"Taken back: nothing is decided about {name} any more."


def _list_conflicts(workspace: Workspace) -> pd.DataFrame:
    rows = read_csv(workspace.decisions, DECISION_COLUMNS)
    rows = rows[(rows["statuses"] != "") & rows["decision"].map(parse_status).isna()]
    return pd.DataFrame(
        {
            "path": rows["path"].str.strip(),
            "answer": "",
            "verdict": "",
            "cause": TWO_STATUSES,
            "reason": "people gave the same recording two statuses: " + rows["statuses"],
            "label_error": float("nan"),
        }
    )
