"""Writing files so that a killed run leaves the old file or the new one, never half of one."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.errors import TableError

PART_SUFFIX = ".part"
"""Ending of a file that is still being written."""


_UMASK = os.umask(0o077)
os.umask(_UMASK)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` and move it there when the block ends well.

    The content is on disk before the move. If the block raises, the temporary file is removed
    and `path` stays as it was.

    Args:
        path: the file to write; its folder is created

    Yields:
        the path to write to, in the same folder
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=PART_SUFFIX, prefix=".", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_UMASK)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` at once; a file that already holds it is not touched."""
    if path.is_file() and path.read_bytes() == content:
        return
    with replacing(path) as part:
        part.write_bytes(content)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as UTF-8 CSV without its index.

    Lines end as RFC 4180 says, which makes pandas quote a carriage return in a file name too.
    """
    write_bytes(path, table.to_csv(index=False, lineterminator="\r\n").encode())


def read_csv(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    """Read one of our own tables with the types it was written with.

    Args:
        path: the CSV file; where it is missing the table is empty
        columns: type of each column; empty cells and missing columns of type `str` are empty
            strings

    Returns:
        table with exactly these columns

    Raises:
        TableError: where somebody saved the table in another format
    """
    if not path.is_file():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError):
        table = pd.DataFrame()
    shifted = not isinstance(table.index, pd.RangeIndex)  # rows with more cells than the header
    needed = {name for name, kind in columns.items() if kind is not str}
    known = columns.keys() & set(table.columns)
    if shifted or not known or not needed <= known:
        raise TableError(
            f"{path} is not the table with the columns {', '.join(columns)}; save it as CSV in "
            "UTF-8, divided by commas"
        )
    table = table.reindex(columns=list(columns), fill_value="")
    try:
        return pd.DataFrame({name: _typed(table[name], kind) for name, kind in columns.items()})
    except (ValueError, KeyError) as error:
        raise TableError(f"{path} holds a value that cannot be read ({error})") from error


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON."""
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def remove_parts(folder: Path) -> None:
    """Remove what a killed run was still writing anywhere below `folder`."""
    for part in folder.rglob(f".*{PART_SUFFIX}"):
        if part.is_file():
            part.unlink(missing_ok=True)


def _typed(cells: pd.Series, kind: type) -> pd.Series:
    if kind is str:
        return cells
    if kind is bool:
        return cells.str.casefold().map({"true": True, "false": False}.__getitem__).astype(bool)
    return pd.to_numeric(cells).astype(kind)
