import csv

import pytest

from forms_ingest.ledger import COLUMNS, PLACED, owned_paths, read_ledger, write_ledger


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


@pytest.mark.parametrize(
    "content", [b"", b"file_id,upload\r\na,b,c\r\n", b"\xff\xfe", b'"' + b"x" * 99, b"a;b\n1;2;3\n"]
)
def test_a_damaged_ledger_is_put_aside_and_begun_anew(workspace, content):
    workspace.form_ledger.write_bytes(content)
    assert read_ledger(workspace) == {}
    assert not workspace.form_ledger.exists()
    aside = workspace.folder / "form_ledger.csv.damaged"
    assert aside.read_bytes() == content
    write_ledger(workspace, {"id": make_row("id")})
    assert list(read_ledger(workspace)) == ["id"]
    assert aside.read_bytes() == content


def test_a_ledger_from_before_a_column_is_read(workspace):
    write_ledger(workspace, {"id": make_row("id", reviews="key:average")})
    content = workspace.form_ledger.read_bytes()
    content = content.replace(b",reviews", b"").replace(b",key:average", b"")
    workspace.form_ledger.write_bytes(content)
    assert read_ledger(workspace) == {"id": make_row("id")}


@pytest.mark.parametrize(
    "row, paths",
    [
        ({}, []),
        (make_row("id"), []),
        (make_row("id", path="a"), ["a"]),
        (make_row("id", path="a", replaces="b|c"), ["a", "b", "c"]),
        (make_row("id", replaces="b"), ["b"]),
    ],
)
def test_an_upload_owns_where_its_call_is_and_where_it_may_still_be(row, paths):
    assert owned_paths(row) == paths
