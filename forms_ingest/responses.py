"""The response table: which column says what."""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import NamedTuple

from forms_ingest.errors import SettingsError
from forms_ingest.links import Reference, parse_references
from forms_ingest.settings import ColumnTitles

OPTIONAL = ("submitter",)
"""Columns that a sheet may lack."""

SERIAL_EPOCH = datetime(1899, 12, 30)
"""Day 0 of the numbers in which Sheets keeps dates."""


class Response(NamedTuple):
    """One upload of one response.

    Attributes:
        row: number of the row in the sheet, counting the header as 1
        timestamp: when it was sent, as the sheet holds it
        reference: link or name of the uploaded file
        file_name: what the submitter typed as its name, may be empty
        answer: the status as answered
        submitter: who sent it, empty where the sheet does not say
    """

    row: int
    timestamp: str
    reference: Reference
    file_name: str
    answer: str
    submitter: str = ""

    @property
    def time(self) -> datetime | None:
        """When it was sent, in the sheet's own time zone; `None` where that is not certain.

        Displayed text is never interpreted: whether 1/2/2026 is in January or in February depends
        on the sheet's language.
        """
        return parse_timestamp(self.timestamp)


def parse_responses(rows: list[list[str]], titles: ColumnTitles | None = None) -> list[Response]:
    """Read the responses from the rows of the sheet.

    Blank rows are skipped; rows may be shorter than the header. Case, blanks and unusual spaces
    in titles do not matter.

    Args:
        rows: cells as text, header first; no rows at all are no responses
        titles: column titles, by default the ones the form's questions have

    Returns:
        one response per upload, in the order of the sheet; a cell without upload gives one too

    Raises:
        SettingsError: where a column is missing or appears twice
    """
    if not any(any(row) for row in rows):
        return []
    places = _places(rows[0], titles or ColumnTitles())
    responses = []
    for number, row in enumerate(rows[1:], start=2):
        cells = {
            name: row[place].strip() if place is not None and place < len(row) else ""
            for name, place in places.items()
        }
        if any(cells.values()):
            responses += _split_uploads(number, cells)
    return responses


def parse_timestamp(text: str) -> datetime | None:
    """Read a time from a Sheets serial number or an ISO text, rounded to seconds."""
    try:
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return SERIAL_EPOCH + timedelta(seconds=round(float(text) * 86_400))
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def normalise(text: str) -> str:
    """Bring a title or name to one form: composed letters, single blanks, lower case."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def find_column(header: list[str], title: str) -> int | None:
    """Find a column by its title.

    Returns:
        its place, `None` where it is missing

    Raises:
        SettingsError: where two columns have this title
    """
    titles = [normalise(cell) for cell in header]
    count = titles.count(normalise(title))
    if count > 1:
        raise SettingsError(
            f"the column {title!r} appears {count} times in the responses; rename one of the "
            "questions, or set the column titles"
        )
    return titles.index(normalise(title)) if count else None


def _places(header: list[str], titles: ColumnTitles) -> dict[str, int | None]:
    places = {name: find_column(header, title) for name, title in vars(titles).items()}
    for name, place in places.items():
        if place is None and name not in OPTIONAL:
            raise SettingsError(
                f"the column {getattr(titles, name)!r} is missing in the responses; the columns "
                f"are {header}. Rename the form's question, or set the column titles"
            )
    return places


def _split_uploads(number: int, cells: dict[str, str]) -> list[Response]:
    references = parse_references(cells["recording"]) or [Reference(name=cells["file_name"])]
    return [
        Response(
            number,
            cells["timestamp"],
            reference,
            cells["file_name"],
            cells["status"],
            cells["submitter"],
        )
        for reference in references
    ]
