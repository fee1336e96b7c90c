import csv
import io
import unicodedata
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms_ingest.errors import SettingsError
from forms_ingest.links import Reference, parse_references
from forms_ingest.responses import (
    Response,
    find_column,
    normalise,
    parse_responses,
    parse_timestamp,
)
from forms_ingest.settings import ColumnTitles

HEADER = ["Timestamp", "Call recording", "File name", "Status"]

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
RAGGED_ROWS = st.lists(st.lists(CELLS, max_size=7), max_size=8)


def named(row: int, time="", name="", typed="", answer="", submitter="") -> Response:
    return Response(row, time, Reference(name=name), typed, answer, submitter)


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([], []),
        ([[]], []),
        ([[], ["", ""]], []),
        ([HEADER], []),
        ([HEADER, []], []),
        ([HEADER, ["", " ", "\t", ""]], []),
        ([HEADER, ["", "", "", "Average"]], [named(2, answer="Average")]),
        ([HEADER, ["monday"]], [named(2, "monday")]),
        ([HEADER, ["t", "", "typed", "s"]], [named(2, "t", "typed", "typed", "s")]),
        ([HEADER, ["t", "ref", "name", "s"]], [named(2, "t", "ref", "name", "s")]),
        ([HEADER, [" t ", "ref\n", "", " A "]], [named(2, "t", "ref", "", "A")]),
        ([HEADER, ["t", "r", "n", "s", "more", ""]], [named(2, "t", "r", "n", "s")]),
        ([HEADER, [], ["t"], ["", ""], ["u"]], [named(3, "t"), named(5, "u")]),
        ([[" status", "FILE  NAME ", "Call\u00a0recording", "\tTimestamp"], ["s", "n", "r", "t"]],
         [named(2, "t", "r", "n", "s")]),
        ([["Comment", *HEADER, "Comment"], ["c", "t", "r", "n", "s", "c"]],
         [named(2, "t", "r", "n", "s")]),
        ([[*HEADER, "Email Address"], ["t", "r", "n", "s", " ann@example.com"]],
         [named(2, "t", "r", "n", "s", "ann@example.com")]),
        ([HEADER, ["007", "1e5", "nan", "True"]], [named(2, "007", "1e5", "nan", "True")]),
    ],
)  # fmt: skip
def test_responses_are_read_whatever_the_shape_of_the_table(rows, expected):
    assert parse_responses(rows) == expected


def test_several_uploads_in_a_cell_are_several_responses_in_order():
    links = [f"https://drive.google.com/open?id={name}" for name in ("A1", "B2", "C3")]
    responses = parse_responses([HEADER, ["t", ", ".join(links), "n", "avg"]])
    assert [response.reference for response in responses] == [
        Reference(file_id=name) for name in ("A1", "B2", "C3")
    ]
    assert {(response.row, response.answer) for response in responses} == {(2, "avg")}


@pytest.mark.parametrize(
    "rows, sentence",
    [
        ([["", ""], ["t"]], r"the column 'Timestamp' is missing in the responses; the columns are"),
        ([HEADER[:3]], r"'Status' is missing .* set the column titles"),
        ([[*HEADER, "status "]], r"'Status' appears 2 times"),
        ([[*HEADER, "Email Address", "email  address"]], r"'Email Address' appears 2 times"),
        ([["\ufeffTimestamp", *HEADER[1:]]], r"'Timestamp' is missing"),
        ([["Zeitstempel", *HEADER[1:]]], r"the columns are \['Zeitstempel', 'Call"),
    ],
)
def test_a_column_that_is_missing_or_doubled_is_named(rows, sentence):
    with pytest.raises(SettingsError, match=sentence):
        parse_responses(rows)


@pytest.mark.parametrize("title", ["Wie gro\u00df?", " wie  GROSS? ", "Wie gro\u00df?\n"])
def test_the_questions_may_have_other_titles(title):
    rows = [["Timestamp", "Call recording", "File name", "Wie gro\u00df?"], ["t", "r", "n", "s"]]
    assert parse_responses(rows, ColumnTitles(status=title)) == [named(2, "t", "r", "n", "s")]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("title", ["Qualit\u00e9", "Qualite\u0301"])
def test_composed_and_decomposed_titles_are_the_same(form, title):
    assert find_column([unicodedata.normalize(form, "Qualit\u00e9")], title) == 0
    assert normalise(title) == "qualit\u00e9"


def test_a_missing_title_of_ones_own_is_named_as_it_was_given():
    with pytest.raises(SettingsError, match="the column 'Mood' is missing"):
        parse_responses([HEADER], ColumnTitles(status="Mood"))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("46053", datetime(2026, 1, 31)),
        ("46053.58691", datetime(2026, 1, 31, 14, 5, 9)),
        ("0", datetime(1899, 12, 30)),
        ("2026-01-31", datetime(2026, 1, 31)),
        ("2026-01-31 14:05:09", datetime(2026, 1, 31, 14, 5, 9)),
        ("2026-01-31T14:05:09Z", datetime(2026, 1, 31, 14, 5, 9)),
        ("1/2/2026 9:00:00", None),
        ("31.01.2026 14:05", None),
        ("monday", None),
        ("", None),
        ("-5", None),
        ("1e5", None),
        ("20260131140509", None),
        ("9" * 400, None),
        ("9" * 400 + ".5", None),
    ],
)
def test_only_a_time_that_is_certain_is_a_time(text, expected):
    assert parse_timestamp(text) == expected
    assert named(2, text).time == expected


@given(text=st.text(max_size=30) | st.from_regex(r"[0-9]{1,400}(\.[0-9]+)?", fullmatch=True))
def test_whatever_stands_for_a_time_can_be_read(text):
    assert parse_timestamp(text) is None or isinstance(parse_timestamp(text), datetime)


@given(rows=RAGGED_ROWS)
def test_every_row_with_a_cell_under_a_title_gives_a_response(rows):
    responses = parse_responses([HEADER, *rows])
    numbers = [
        number for number, row in enumerate(rows, start=2) if any(cell.strip() for cell in row[:4])
    ]
    assert sorted({response.row for response in responses}) == numbers
    for response in responses:
        cells = [cell.strip() for cell in rows[response.row - 2][:4]]
        time, recording, typed, answer = cells + [""] * (4 - len(cells))
        assert (response.timestamp, response.file_name, response.answer) == (time, typed, answer)
        references = parse_references(recording) or [Reference(name=typed)]
        assert response.reference in references


@given(rows=RAGGED_ROWS)
def test_a_table_survives_being_written_as_csv(rows):
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows])
    text.seek(0)
    assert parse_responses(list(csv.reader(text))) == parse_responses([HEADER, *rows])
