"""What a table beside the recordings tells about them: customer, agent, gender and line."""

import csv
import warnings
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

DETAILS = ("customer", "agent", "gender", "line")
"""Columns that are read: who called, who spoke to them, the caller's gender, the kind of line."""


class CustomerTable(NamedTuple):
    """Details of recordings.

    Attributes:
        files: the CSV files that were read
        details: for each of `DETAILS`, what is told by the recording's path, lower case, as the
            tables write it
    """

    files: frozenset[Path]
    details: dict[str, dict[str, str]]

    def details_of(self, recording: str) -> dict[str, str]:
        """Find what is told about a recording.

        Args:
            recording: its path; the tables may name it whole or from any folder on

        Returns:
            one text for each of `DETAILS`, empty where the tables do not know
        """
        parts = PurePosixPath(recording.casefold()).parts
        names = ["/".join(parts[first:]) for first in range(len(parts))]
        return {
            column: next((told[name] for name in names if name in told), "")
            for column, told in self.details.items()
        }


def read_customers(folder: Path) -> CustomerTable:
    """Read every CSV below `folder` that has the column `file` and at least one of `DETAILS`.

    Case does not matter in the titles, nor whether commas, semicolons or tabs divide the cells. An
    empty cell says nothing. What two rows tell differently about a file is not known.

    Args:
        folder: where the zips are

    Returns:
        the table, empty where no such CSV is there
    """
    files: set[Path] = set()
    details: dict[str, dict[str, str]] = {column: {} for column in DETAILS}
    for path in sorted(folder.rglob("*.[cC][sS][vV]")):
        table = _read(path) if path.is_file() else None
        if table is None:
            continue
        files.add(path)
        names = [_name(cell) for cell in table["file"]]
        for column in table.columns.intersection(DETAILS):
            _tell(details[column], zip(names, table[column].str.strip(), strict=True))
    return CustomerTable(frozenset(files), details)


def describe_line(*, sampling_rate: int, channels: int) -> str:
    """Say what kind of line a recording is of, where nobody tells, such as `8 kHz mono`.

    Args:
        sampling_rate: in Hz
        channels: 1, or 2 where each side has its own
    """
    return f"{sampling_rate / 1000:g} kHz {'mono' if channels == 1 else 'two-channel'}"


def _tell(told: dict[str, str], cells) -> None:
    for name, text in cells:
        if text and told.setdefault(name, text) != text:
            told[name] = ""


def _name(cell: str) -> str:
    return "/".join(PurePosixPath(cell.strip().replace("\\", "/").casefold()).parts)


def _read(path: Path) -> pd.DataFrame | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # cells beyond the titles
            table = pd.read_csv(
                path,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                index_col=False,
                sep=None,
                engine="python",
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError, OSError):
        return None
    table = table.fillna("")
    table.columns = [str(title).strip().casefold() for title in table.columns]
    table = table.loc[:, ~table.columns.duplicated()]
    is_told = "file" in table.columns and not table.columns.intersection(DETAILS).empty
    return table if is_told else None
