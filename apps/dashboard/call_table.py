"""One table of all calls of a workspace, whatever is known of them, and how it is filtered."""

import numpy as np
import pandas as pd

from helpers.conversation.story import read_stories
from helpers.conversion import read_conversions
from helpers.decisions import read_decisions
from helpers.records import by_people, read_records
from helpers.retraining import read_predictions
from helpers.statuses import STATUSES, parse_status
from helpers.workspace import Workspace

COLUMNS = {
    "name": "call",
    "answer": "people say",
    "verdict": "verdict",
    "p_unsatisfied": "probability of unsatisfied",
    "upset_end": "upset at the end",
    "trend": "mood",
    "escalated_at_s": "escalated at",
    "customer": "customer",
    "agent": "agent",
    "duration_s": "length",
    "note": "note",
    "path": "path",
}
"""Columns of the table, and what they are called on the page."""

DECIDED = "decided_as"
"""Column with the path under which a person has decided about the call; no page shows it."""

WORST, LONGEST, NAME = "worst first", "longest first", "by name"
ORDERS = {
    WORST: (["p_unsatisfied", "upset_end"], False),
    LONGEST: (["duration_s"], False),
    NAME: (["name"], True),
}
"""How calls are ordered: by which columns, and whether they rise."""

NO_VERDICT = "no verdict"
"""What a call without a verdict is listed under."""

_DETAILS = ["path", "content_hash", "customer", "agent", "duration_s"]
_TOLD = ["p_unsatisfied", "upset_end", "trend", "escalated_at_s"]


def list_calls(workspace: Workspace) -> pd.DataFrame:
    """List every recording of a workspace once, with what people and models say about it.

    Args:
        workspace: of which any table may be missing

    Returns:
        columns `COLUMNS` and `DECIDED`, the likeliest unsatisfied first; texts are empty and
        numbers `nan` where nothing is known. A verdict of the stories comes before one given when
        the form's call came; what people have decided since comes before their answer

    Raises:
        TableError: where somebody saved a table in another format
    """
    records, stories = _read_records(workspace), read_stories(workspace)
    predictions = read_predictions(workspace)
    known = _join([records, read_conversions(workspace), stories, predictions])
    calls = known.drop_duplicates("key").set_index("key")
    decided = _find_decided(workspace, dict(zip(known["path"], known["key"], strict=True)))
    said = _by_content(by_people(records))["status"] if len(records) else pd.Series(dtype=object)
    told = _by_content(stories)
    judged = _by_content(predictions)
    verdict = told["status"].where(told["status"] != "")
    calls = calls.join(told[_TOLD]).assign(
        name=calls["path"].str.rsplit("/", n=1).str[-1],
        answer=decided["status"].reindex(calls.index).fillna(said.reindex(calls.index)),
        **{DECIDED: decided["path"].reindex(calls.index)},
        verdict=verdict.reindex(calls.index).fillna(judged["end_status"].reindex(calls.index)),
        note=_notes(stories).reindex(calls.index),
    )
    for name in ("customer", "agent"):
        calls[name] = calls[name].replace("", np.nan).fillna(told[name].reindex(calls.index))
    late = judged["p_unsatisfied"].reindex(calls.index)
    calls["p_unsatisfied"] = calls["p_unsatisfied"].fillna(late)
    texts = [name for name in COLUMNS if name not in (*_TOLD, "duration_s")] + ["trend", DECIDED]
    calls[texts] = calls[texts].astype(object).fillna("")
    return order_calls(calls.reset_index(drop=True)[[*COLUMNS, DECIDED]], WORST)


def read_contents(workspace: Workspace) -> dict[str, str]:
    """Give the content hash of every recording of a workspace by its path, as far as it is known.

    Several names of one recording have the same.
    """
    known = _join(
        [_read_records(workspace), read_conversions(workspace), read_predictions(workspace)]
    )
    return dict(zip(known["path"], known["key"], strict=True))


def order_calls(calls: pd.DataFrame, order: str) -> pd.DataFrame:
    """Order calls as one of `ORDERS` says; what is not known comes last."""
    columns, ascending = ORDERS[order]
    return calls.sort_values([*columns, "path"], ascending=[*[ascending] * len(columns), True])


def filter_calls(
    calls: pd.DataFrame, *, text: str = "", verdicts=(), agents=(), moods=()
) -> pd.DataFrame:
    """Keep the calls that fit.

    Args:
        calls: columns `COLUMNS`
        text: part of path, customer, agent or note, in any case; empty for all
        verdicts: kept ones, `NO_VERDICT` among them; empty for all
        agents: kept ones; empty for all
        moods: kept trends; empty for all
    """
    fits = np.ones(len(calls), bool)
    shown = calls["verdict"].where(calls["verdict"] != "", NO_VERDICT)
    for column, kept in ((shown, verdicts), (calls["agent"], agents), (calls["trend"], moods)):
        if len(kept):
            fits &= column.isin(list(kept)).to_numpy(bool)
    if text.strip():
        words = calls[["path", "customer", "agent", "note"]].agg("\n".join, axis=1)
        fits &= words.str.contains(text.strip(), case=False, regex=False).to_numpy(bool)
    return calls[fits]


def count_verdicts(calls: pd.DataFrame) -> pd.DataFrame:
    """Count calls by status, as people say and as the models do.

    Returns:
        one row per status: `status, people, people_share, models, models_share`; shares are `nan`
        where there is no call
    """
    table = pd.DataFrame({"status": STATUSES})
    for name, column in {"people": "answer", "models": "verdict"}.items():
        counts = calls[column].value_counts().reindex(STATUSES, fill_value=0).to_numpy()
        table[name] = counts
        table[f"{name}_share"] = counts / counts.sum() if counts.sum() else np.nan
    return table


def count_weeks(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count verdicts by the ISO week in which they were given.

    Args:
        predictions: with `judged_at` and `end_status`, see `helpers.retraining.COLUMNS`

    Returns:
        one row per week, oldest first: `week` (`2026-W07`), and a column per status; rows without a
        readable date are left out
    """
    times = pd.to_datetime(predictions["judged_at"], utc=True, format="ISO8601", errors="coerce")
    known = times.notna() & (predictions["end_status"] != "")
    weeks = times[known].dt.strftime("%G-W%V").rename("week")
    table = pd.crosstab(weeks, predictions.loc[known, "end_status"])
    return (
        table.reindex(columns=list(STATUSES), fill_value=0).rename_axis(columns=None).reset_index()
    )


def _read_records(workspace: Workspace) -> pd.DataFrame:
    return read_records(workspace) if workspace.records.is_file() else pd.DataFrame()


def _join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join what tables know of recordings; `key` tells these apart."""
    parts = [each.reindex(columns=_DETAILS) for each in tables if len(each)]
    known = pd.concat(parts or [pd.DataFrame(columns=_DETAILS, dtype=object)])
    return known.assign(key=_keys(known))


def _find_decided(workspace: Workspace, keys: dict[str, str]) -> pd.DataFrame:
    """Give path and status of what people have decided, by the recording's key."""
    rows = {
        keys[path]: (path, parse_status(text))
        for path, text in read_decisions(workspace).items()
        if path in keys and parse_status(text)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["path", "status"], dtype=object)


def _by_content(table: pd.DataFrame) -> pd.DataFrame:
    known = table[table["content_hash"] != ""]
    return known.drop_duplicates("content_hash").set_index("content_hash")


def _keys(table: pd.DataFrame) -> pd.Series:
    """Tell recordings apart by their content, and those that could not be read by their path."""
    return table["content_hash"].where(table["content_hash"] != "", table["path"])


def _notes(stories: pd.DataFrame) -> pd.Series:
    """Say what is wrong with each call, by content hash or else path."""
    unsure = np.where(stories["role_doubt"] != "", "unsure who is customer and who is agent", "")
    notes = stories["error"].where(stories["error"] != "", unsure)
    table = pd.Series(notes.to_numpy(), index=_keys(stories))
    return table[~table.index.duplicated()]
