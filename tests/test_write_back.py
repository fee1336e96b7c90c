import pandas as pd
import pytest

from forms_ingest.errors import SettingsError
from forms_ingest.ledger import COLUMNS, PLACED, QUARANTINED, SUPERSEDED
from forms_ingest.settings import VERDICT_TAB, FormSettings
from forms_ingest.write_back import HEADER, write_back, write_verdicts

PREDICTIONS = ["path", "start_status", "end_status", "mismatch", "model", "error"]


class Notebook:
    """Keeps tabs of rows, as a sheet does."""

    def __init__(self) -> None:
        self.tabs: dict[str, list[list[str]]] = {}

    def write_rows(self, tab: str, rows: list[list[str]]) -> bool:
        changed = self.tabs.get(tab) != rows
        self.tabs[tab] = rows
        return changed


def make_ledger(*rows: tuple[str, str, str, str], outcome: str = PLACED):
    ledger = {}
    for file_id, timestamp, path, answer in rows:
        cells = {"file_id": file_id, "timestamp": timestamp, "path": path, "answer": answer}
        upload = {"upload": f"{file_id}.wav", "outcome": outcome}
        ledger[file_id] = {**dict.fromkeys(COLUMNS, ""), **cells, **upload}
    return ledger


def make_predictions(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=PREDICTIONS)


def test_each_call_with_a_verdict_is_a_row_in_the_order_they_were_sent():
    ledger = make_ledger(
        ("a", "46053.6", "audio_data/a_sat.wav", "Satisfied"),
        ("c", "46053.5", "audio_data/c_avg.wav", "Average"),
        ("b", "46053.5", "audio_data/b_sat.wav", "zufrieden"),
    )
    predictions = make_predictions(
        ("audio_data/a_sat.wav", "average", "satisfied", False, "v1", ""),
        ("audio_data/b_sat.wav", "", "average", True, "v1", ""),
        ("audio_data/c_avg.wav", "", "", False, "", "silent"),
    )
    notebook = Notebook()
    assert write_verdicts(notebook, predictions, ledger)
    assert notebook.tabs == {
        VERDICT_TAB: [
            list(HEADER),
            ["46053.5", "b.wav", "zufrieden", "", "average", "no", "v1"],
            ["46053.5", "c.wav", "Average", "", "", "", ""],
            ["46053.6", "a.wav", "Satisfied", "average", "satisfied", "yes", "v1"],
        ]
    }
    assert not write_verdicts(notebook, predictions, ledger)


@pytest.mark.parametrize("outcome", [QUARANTINED, SUPERSEDED])
def test_what_has_no_verdict_is_left_out(outcome):
    ledger = make_ledger(("a", "1", "", "Average"), outcome=outcome)
    ledger |= make_ledger(("b", "2", "audio_data/b_avg.wav", "Average"))
    notebook = Notebook()
    write_verdicts(notebook, make_predictions(), ledger)
    assert notebook.tabs == {VERDICT_TAB: [list(HEADER)]}


def test_without_a_ledger_the_tab_has_its_titles():
    notebook = Notebook()
    verdict = ("audio_data/by_hand_avg.wav", "", "average", False, "v1", "")
    write_verdicts(notebook, make_predictions(verdict), {})
    assert notebook.tabs == {VERDICT_TAB: [list(HEADER)]}


def test_every_cell_is_text_that_a_sheet_takes():
    notebook = Notebook()
    ledger = make_ledger(("a", "1", "audio_data/a_avg.wav", "=1+1"))
    verdict = ("audio_data/a_avg.wav", "average", "average", False, "v1", "")
    write_verdicts(notebook, make_predictions(verdict), ledger)
    assert all(type(cell) is str for row in notebook.tabs[VERDICT_TAB] for cell in row)


def test_writing_back_is_done_only_where_it_was_asked_for(workspace):
    assert write_back(FormSettings(), workspace) == "writing back is switched off"
    with pytest.raises(SettingsError, match="CALL_EMOTION_WRITE_BACK is set, but no sheet"):
        write_back(FormSettings(write_back=True), workspace)
