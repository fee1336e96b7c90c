import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms_ingest.responses import ColumnTitles, Response, parse_responses
from helpers.errors import TableError

HEADER = ["Timestamp", "Call recording", "File name", "Status"]

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
RAGGED_ROWS = st.lists(st.lists(CELLS, max_size=7), max_size=8)


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([HEADER], []),
        ([HEADER, []], []),
        ([HEADER, ["", " ", "\t", ""]], []),
        ([HEADER, ["", "", "", "Average"]], [Response(2, "", "", "", "Average")]),
        ([HEADER, ["monday"]], [Response(2, "monday", "", "", "")]),
        ([HEADER, ["t", "ref", "name", "Average"]], [Response(2, "t", "ref", "name", "Average")]),
        ([HEADER, [" t ", "ref\n", "", " A "]], [Response(2, "t", "ref", "", "A")]),
        ([HEADER, ["t", "r", "n", "s", "more", ""]], [Response(2, "t", "r", "n", "s")]),
        ([HEADER, [], ["t"], ["", ""], ["u"]],
         [Response(3, "t", "", "", ""), Response(5, "u", "", "", "")]),
        ([[" Status", "File name ", "Call recording", "\tTimestamp"], ["s", "n", "r", "t"]],
         [Response(2, "t", "r", "n", "s")]),
        ([["Comment", *HEADER, "Comment"], ["c", "t", "r", "n", "s", "c"]],
         [Response(2, "t", "r", "n", "s")]),
    ],
)  # fmt: skip
def test_responses_are_read_whatever_the_shape_of_the_table(rows, expected):
    assert parse_responses(rows) == expected


@pytest.mark.parametrize(
    "rows, sentence",
    [
        ([], r"the column 'Timestamp' is missing in the responses; the columns are \[\]"),
        ([[]], r"the column 'Timestamp' is missing"),
        ([HEADER[:3]], r"'Status' is missing .* set the column titles"),
        ([[*HEADER, "Status "]], r"'Status' appears 2 times"),
        ([["\ufeffTimestamp", *HEADER[1:]]], r"'Timestamp' is missing"),
        ([[title.upper() for title in HEADER]], r"the columns are \['TIMESTAMP', 'CALL"),
    ],
)
def test_a_column_that_is_missing_or_doubled_is_named(rows, sentence):
    with pytest.raises(TableError, match=sentence):
        parse_responses(rows)


@pytest.mark.parametrize("title", ["How did they leave?", " How did they leave? "])
def test_the_questions_may_have_other_titles(title):
    rows = [
        ["Timestamp", "Call recording", "File name", "How did they leave?"],
        ["t", "r", "n", "s"],
    ]
    assert parse_responses(rows, ColumnTitles(status=title)) == [Response(2, "t", "r", "n", "s")]


def test_a_missing_title_of_ones_own_is_named_as_it_was_given():
    with pytest.raises(TableError, match="the column 'Mood' is missing"):
        parse_responses([HEADER], ColumnTitles(status="Mood"))


@given(rows=RAGGED_ROWS)
def test_every_row_with_a_cell_under_a_title_is_one_response(rows):
    responses = parse_responses([HEADER, *rows])
    numbers = [
        number for number, row in enumerate(rows, start=2) if any(cell.strip() for cell in row[:4])
    ]
    assert [response.row for response in responses] == numbers
    for response in responses:
        cells = [cell.strip() for cell in rows[response.row - 2][:4]]
        assert list(response[1:]) == cells + [""] * (4 - len(cells))


@given(rows=RAGGED_ROWS)
def test_a_table_survives_being_written_as_csv(rows):
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows])
    text.seek(0)
    assert parse_responses(list(csv.reader(text))) == parse_responses([HEADER, *rows])
