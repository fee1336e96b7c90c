"""The response table: which column says what."""

from dataclasses import dataclass
from typing import NamedTuple

from helpers.errors import TableError


@dataclass(frozen=True)
class ColumnTitles:
    """Titles of the columns that are read, as the form's questions are called."""

    timestamp: str = "Timestamp"
    recording: str = "Call recording"
    file_name: str = "File name"
    status: str = "Status"


class Response(NamedTuple):
    """One upload of one response.

    Attributes:
        row: number of the row in the sheet, counting the header as 1
        timestamp: when it was sent, as the sheet writes it
        reference: link or name of the uploaded file
        file_name: what the submitter typed as its name, may be empty
        answer: the status as answered
    """

    row: int
    timestamp: str
    reference: str
    file_name: str
    answer: str


def parse_responses(rows: list[list[str]], titles: ColumnTitles | None = None) -> list[Response]:
    """Read the responses from the rows of the sheet.

    Blank rows are skipped; rows may be shorter than the header. Spaces around titles and cells do
    not matter.

    Args:
        rows: cells as text, header first
        titles: column titles, by default the ones the form's questions have

    Returns:
        responses in the order of the sheet

    Raises:
        TableError: where a column is missing or appears twice
    """
    titles = titles or ColumnTitles()
    header = [title.strip() for title in rows[0]] if rows else []
    places = {field: _place(title.strip(), header) for field, title in vars(titles).items()}
    responses = []
    for number, row in enumerate(rows[1:], start=2):
        cells = {
            field: row[place].strip() if place < len(row) else "" for field, place in places.items()
        }
        if not any(cells.values()):
            continue
        responses.append(
            Response(
                number,
                cells["timestamp"],
                cells["recording"],
                cells["file_name"],
                cells["status"],
            )
        )
    return responses


def _place(title: str, header: list[str]) -> int:
    count = header.count(title)
    if count != 1:
        found = "is missing" if not count else f"appears {count} times"
        raise TableError(
            f"the column {title!r} {found} in the responses; the columns are {header}. Rename the "
            "form's question or set the column titles"
        )
    return header.index(title)
