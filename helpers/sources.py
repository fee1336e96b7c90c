"""What there is to convert: files in folders, and entries of zips."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from helpers.archives import Entry, check_entry, list_entries, open_archive
from helpers.errors import ArchiveError, MissingStepError
from helpers.rejections import Rejection
from helpers.workspace import PROJECT_FOLDER, SAMPLE_DATA

FORM_TABLE = "responses.csv"
"""A folder with this file is a form, which notebook 05 reads; its recordings are left to it."""


class Source(NamedTuple):
    """One input file: plain, or an entry of an open zip.

    Attributes:
        name: full path as people see it; for an entry the zip's path, then its own
        relative: place below `dataset`, with the original ending
        fingerprint: changes when the content does
        file: the plain file, or the zip
        entry: the zip's entry, `None` for a plain file
    """

    name: str
    relative: PurePosixPath
    fingerprint: str
    file: Path
    entry: Entry | None


def list_inputs(data: Path) -> list[str]:
    """List what a folder of recordings holds, by name.

    Raises:
        MissingStepError: where `data` is no folder or is empty
    """
    names = sorted(path.name for path in data.iterdir()) if data.is_dir() else []
    if not names:
        raise MissingStepError(
            f"{data} is {'empty' if data.is_dir() else 'not a folder'}: set DATA to the folder "
            "that holds the zips of recordings"
        )
    return names


def list_sources(
    data: Path, *, without: frozenset[Path], outside: Path
) -> tuple[list[Source], list[Rejection]]:
    """List every file below a folder, and every entry of the zips in it.

    Links to folders, such as Drive's shortcuts, are followed. The folder of a form is left to
    notebook 05.

    Args:
        data: the folder
        without: files that are no recordings but have been read already
        outside: folder that is not looked into, such as the workspace

    Returns:
        the sources in the order of their names, and what cannot be opened
    """
    sources: list[Source] = []
    rejections: list[Rejection] = []
    for file in _list_files(data, outside):
        if file in without:
            continue
        relative = PurePosixPath(*map(display, file.relative_to(data).parts))
        if file.suffix.casefold() != ".zip":
            state = file.stat() if file.exists() else file.lstat()
            fingerprint = f"changed {state.st_mtime_ns}, {state.st_size} bytes"
            sources.append(Source(source_name(file), relative, fingerprint, file, None))
            continue
        for item in _list_zip(file, relative.with_suffix("")):
            (sources if isinstance(item, Source) else rejections).append(item)
    return sources, rejections


def source_name(path: Path) -> str:
    """Name a source; the sample calls' names do not change when the project is moved."""
    return display(path.relative_to(PROJECT_FOLDER) if path.is_relative_to(SAMPLE_DATA) else path)


def display(path: Path | str) -> str:
    """Write a path as text; bytes of a name that are no UTF-8 are escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _list_zip(file: Path, folder: PurePosixPath) -> Iterator[Source | Rejection]:
    try:
        with open_archive(file) as archive:
            entries = list_entries(archive)
    except ArchiveError as error:
        yield Rejection(source_name(file), str(error))
        return
    if not entries:
        yield Rejection(source_name(file), "the zip holds no file")
    for entry in entries:
        name = f"{source_name(file)}/{entry.name}"
        try:
            path = check_entry(entry)
        except ArchiveError as error:
            yield Rejection(name, str(error))
            continue
        yield Source(name, folder / path, entry.fingerprint, file, entry)


def _list_files(data: Path, outside: Path) -> list[Path]:
    """List files; links to folders, such as Drive's shortcuts, are followed, each folder once."""
    files, seen = [], {outside.resolve()}
    for name, subfolders, names in os.walk(data, followlinks=True):
        folder = Path(name)
        subfolders.sort()
        is_form = folder != data and (folder / FORM_TABLE).is_file()
        if is_form or folder.resolve() in seen:
            subfolders.clear()
            continue
        seen.add(folder.resolve())
        files += [folder / name for name in names]
    return sorted(files)
