"""Verdicts for the people who submitted the calls, in a tab of their own in the sheet."""

from typing import Protocol

import pandas as pd

from forms_ingest.errors import SettingsError
from forms_ingest.ledger import Ledger, read_ledger
from forms_ingest.opening import open_form
from forms_ingest.settings import GOOGLE, VERDICT_TAB, FormSettings
from helpers.retraining import read_predictions
from helpers.workspace import Workspace

HEADER = (
    "Submitted",
    "Recording",
    "Answer",
    "Verdict at start",
    "Verdict at end",
    "Agree",
    "Model",
)
"""Titles of its columns."""


class Writable(Protocol):
    """A form whose sheet can be written to, such as `GoogleForm` with the scopes for it."""

    def write_rows(self, tab: str, rows: list[list[str]]) -> bool:
        """Make a tab hold exactly these rows; whether anything had to be written."""
        ...


def write_back(settings: FormSettings, workspace: Workspace) -> str:
    """Write the workspace's verdicts to the response sheet, where the settings ask for it.

    Returns:
        what was done, in one sentence

    Raises:
        SettingsError: where there is no sheet, or it may not be written
        AuthenticationError: where there are no usable credentials
    """
    if not settings.write_back:
        return "writing back is switched off"
    if settings.form != GOOGLE:
        raise SettingsError(
            "CALL_EMOTION_WRITE_BACK is set, but no sheet to write to: set the sheet"
        )
    form = open_form(settings, workspace.folder)
    written = write_verdicts(form, read_predictions(workspace), read_ledger(workspace))
    return (
        f"the verdicts are in the tab {VERDICT_TAB}"
        if written
        else f"the tab {VERDICT_TAB} was up to date"
    )


def write_verdicts(form: Writable, predictions: pd.DataFrame, ledger: Ledger) -> bool:
    """Write one row per submitted call, in one batch; a second time nothing is written.

    Args:
        form: with `write_rows`
        predictions: `predictions.csv`
        ledger: says which upload each call came from

    Returns:
        whether anything had to be written

    Raises:
        SettingsError: where the sheet may not be written
    """
    verdicts = predictions.set_index("path")
    rows = [list(HEADER)]
    for row in sorted(ledger.values(), key=lambda row: (row["timestamp"], row["file_id"])):
        if row["path"] in verdicts.index:
            rows.append(_describe(row, verdicts.loc[row["path"]]))
    return form.write_rows(VERDICT_TAB, rows)


def _describe(row: dict[str, str], verdict: pd.Series) -> list[str]:
    agree = "" if verdict["error"] else ("no" if verdict["mismatch"] else "yes")
    return [
        row["timestamp"],
        row["upload"],
        row["answer"],
        verdict["start_status"],
        verdict["end_status"],
        agree,
        verdict["model"],
    ]
