"""The calls that wait for a person: the review list, and recordings under two statuses."""

import pandas as pd

from helpers.decisions import COLUMNS as DECISION_COLUMNS
from helpers.decisions import read_decisions
from helpers.errors import CallEmotionError
from helpers.files import read_csv
from helpers.prediction import PROBABILITIES
from helpers.records import decide
from helpers.retraining import REVIEW_COLUMNS, read_predictions
from helpers.statuses import STATUSES, parse_status
from helpers.workspace import Workspace

COLUMNS = (*REVIEW_COLUMNS, *PROBABILITIES)
"""Columns of what waits."""

TWO_STATUSES = "two statuses"
"""Cause of a recording that people gave two statuses."""


class AlreadyDecidedError(CallEmotionError):
    """Somebody else has decided about the call in the meantime."""


def list_waiting(workspace: Workspace) -> pd.DataFrame:
    """List the calls a person should listen to and nobody has decided on.

    Args:
        workspace: with the review list that notebook 06 writes; it may be missing

    Returns:
        columns `COLUMNS`, likeliest wrong answers first, then the recordings with two statuses,
        whose `answer` is empty

    Raises:
        TableError: where somebody saved a table in another format
    """
    kinds = {name: str for name in REVIEW_COLUMNS} | {"label_error": float}
    reviews = read_csv(workspace.review_list, kinds)
    table = pd.concat([reviews, _list_conflicts(workspace)], ignore_index=True)
    judged = read_predictions(workspace).drop_duplicates("path").set_index("path")
    table = table.join(judged[list(PROBABILITIES)], on="path")
    texts = read_decisions(workspace)
    decided = {path for path, text in texts.items() if parse_status(text)}
    return table[~table["path"].isin(decided)].reset_index(drop=True)[list(COLUMNS)]


def settle(workspace: Workspace, path: str, status: str) -> bool:
    """Write down what a person decided about a call that waits.

    Args:
        workspace: with the call
        path: of the call in the workspace
        status: what the person heard

    Returns:
        whether it was written; not where exactly this had been decided before

    Raises:
        AlreadyDecidedError: where somebody has decided otherwise; nothing has changed then
        TableError: where the call is not there any more; nothing has changed then
    """
    present = parse_status(read_decisions(workspace).get(path, ""))
    if present and present != status:
        raise AlreadyDecidedError(
            f"somebody has decided in the meantime that this call is {present}; it was left at that"
        )
    if not present:
        decide(workspace, {path: status})
    return not present


def other_statuses(answer: str) -> tuple[str, ...]:
    """List the statuses that a call can be corrected to."""
    return tuple(status for status in STATUSES if status != answer)


def _list_conflicts(workspace: Workspace) -> pd.DataFrame:
    rows = read_csv(workspace.decisions, DECISION_COLUMNS)
    rows = rows[(rows["statuses"] != "") & (rows["decision"].str.strip() == "")]
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
