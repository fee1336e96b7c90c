"""Which recordings are of the same customer, as told by a table beside them."""

import csv
import warnings
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd


class CustomerTable(NamedTuple):
    """Customers by recording.

    Attributes:
        files: the CSV files that were read
        customers: customer by the recording's path, lower case, as the tables write it
    """

    files: frozenset[Path]
    customers: dict[str, str]

    def customer_of(self, recording: str) -> str:
        """Find the customer of a recording.

        Args:
            recording: its path; the table may name it whole or from any folder on

        Returns:
            the customer, or an empty string where the table does not know
        """
        parts = PurePosixPath(recording.casefold()).parts
        for first in range(len(parts)):
            customer = self.customers.get("/".join(parts[first:]))
            if customer is not None:
                return customer
        return ""


def read_customers(folder: Path, *, column: str = "customer") -> CustomerTable:
    """Read every CSV below `folder` that has the columns `file` and `customer`.

    Case does not matter in the titles, nor whether commas, semicolons or tabs divide the cells. A
    file that two rows give to different customers has none.

    Args:
        folder: where the zips are
        column: `agent` reads who spoke to the customer instead

    Returns:
        the table, empty where no such CSV is there
    """
    files, customers = set(), {}
    for path in sorted(folder.rglob("*.[cC][sS][vV]")):
        table = _read(path, column) if path.is_file() else None
        if table is None:
            continue
        files.add(path)
        for name, customer in zip(table["file"], table[column], strict=True):
            key = "/".join(PurePosixPath(name.strip().replace("\\", "/").casefold()).parts)
            known = customers.setdefault(key, customer.strip())
            if known != customer.strip():
                customers[key] = ""
    return CustomerTable(frozenset(files), customers)


def _read(path: Path, column: str) -> pd.DataFrame | None:
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
    return table if {"file", column} <= set(table.columns) else None
