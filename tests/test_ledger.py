import csv

import pytest

from forms_ingest.ledger import COLUMNS, PLACED, read_ledger, write_ledger


def make_row(file_id: str, **cells: str) -> dict[str, str]:
    return {**dict.fromkeys(COLUMNS, ""), "file_id": file_id, "outcome": PLACED, **cells}


def test_without_a_ledger_nothing_is_known(workspace):
    assert read_ledger(workspace) == {}


def test_an_empty_ledger_has_its_columns_and_no_row(workspace):
    write_ledger(workspace, {})
    assert read_ledger(workspace) == {}
    with workspace.form_ledger.open(newline="") as file:
        assert list(csv.reader(file)) == [list(COLUMNS)]


@pytest.mark.parametrize(
    "cell",
    ["", " ", "007", "NA", "nan", "True", "1e5", "a,b", '"quoted"', "two\nlines", "a\rb", "звонок"],
)
def test_every_cell_comes_back_as_it_was_written(workspace, cell):
    ledger = {"id": make_row("id", upload=cell, answer=cell, reason=cell)}
    write_ledger(workspace, ledger)
    assert read_ledger(workspace) == ledger


def test_rows_are_in_the_order_of_their_ids_however_they_were_added(workspace):
    ledger = {file_id: make_row(file_id) for file_id in ("b", "a", "C")}
    write_ledger(workspace, ledger)
    content = workspace.form_ledger.read_bytes()
    assert list(read_ledger(workspace)) == ["C", "a", "b"]
    write_ledger(workspace, dict(reversed(ledger.items())))
    assert workspace.form_ledger.read_bytes() == content


def test_writing_what_is_there_touches_nothing(workspace):
    write_ledger(workspace, {"id": make_row("id")})
    before = workspace.form_ledger.stat()
    write_ledger(workspace, read_ledger(workspace))
    assert workspace.form_ledger.stat() == before
