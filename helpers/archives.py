"""Unpacking zips that may be damaged, hostile or enormous, one entry at a time."""

import errno
import lzma
import posixpath
import shutil
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from helpers.errors import ArchiveError

MAX_RATIO = 200
"""How many times smaller than its content an entry may be; sound packs at most 20 times."""

RATIO_FLOOR_BYTES = 1_000_000
"""Entries smaller than this are never called too dense: a short silence packs very well."""

FREE_SPACE_RESERVE_BYTES = 500_000_000
"""Disk space that unpacking and converting always leave free."""

_CHUNK_BYTES = 1 << 20
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError),
)


class Entry(NamedTuple):
    """One file in a zip.

    Attributes:
        name: its path inside the zip, with forward slashes, unique within the zip
        fingerprint: changes when the content does
        info: the zip's own description of it
    """

    name: str
    fingerprint: str
    info: zipfile.ZipInfo


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip.

    Raises:
        ArchiveError: where the file is no zip or its directory is broken
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ArchiveError(
            "the zip cannot be opened, its directory is broken or cut off; fetch it again"
        ) from error
    with archive:
        yield archive


def list_entries(archive: zipfile.ZipFile) -> list[Entry]:
    """List the files of a zip in the order of their names; folders are left out."""
    entries, taken, copies = [], set(), Counter()
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        name = written = info.filename.replace("\\", "/")
        if name.endswith("/"):
            continue
        while name in taken:
            copies[written] += 1
            stem, suffix = posixpath.splitext(written)
            name = f"{stem} ({copies[written] + 1}){suffix}"
        taken.add(name)
        entries.append(Entry(name, f"crc32 {info.CRC:08x}, {info.file_size} bytes", info))
    return entries


def check_entry(entry: Entry) -> PurePosixPath:
    """Check that an entry is a plain file that stays inside the folder it is unpacked to.

    Returns:
        its relative path

    Raises:
        ArchiveError: where it leads outside, is a link, is encrypted, or would fill the disk
    """
    path = PurePosixPath(entry.name)
    drive = PureWindowsPath(entry.name).drive
    if path.is_absolute() or drive or ".." in path.parts or "\0" in entry.name:
        raise ArchiveError("its path leads outside the zip's folder; it was not unpacked")
    kind = stat.S_IFMT(entry.info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ArchiveError("a link, not a file; zip the recording itself")
    if entry.info.flag_bits & 0x1:
        raise ArchiveError("protected by a password; zip it without one")
    size, packed = entry.info.file_size, max(entry.info.compress_size, 1)
    if size > RATIO_FLOOR_BYTES and size / packed > MAX_RATIO:
        raise ArchiveError(f"packed {size // packed} times smaller than its content: no recording")
    return path


def extract_entry(archive: zipfile.ZipFile, entry: Entry, target: Path) -> None:
    """Unpack one checked entry to a file.

    Never writes more than the entry declares, nor into the reserve of free disk space.

    Raises:
        ArchiveError: where the entry is damaged, larger than it says, or the disk is full
    """
    require_space(target.parent, entry.info.file_size)
    left = entry.info.file_size
    try:
        with archive.open(entry.info) as source, target.open("wb") as file:
            while chunk := source.read(min(_CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise ArchiveError("larger than the zip says: it was not unpacked")
                file.write(chunk)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's own error; damage gives no number, or that of a place before 0
        raise ArchiveError("damaged inside the zip; fetch the zip again") from error
    except (NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"packed in a way that cannot be read here ({error})") from error


def require_space(folder: Path, size: int) -> None:
    """Check that `size` bytes fit on the disk of `folder` beside the reserve.

    Raises:
        ArchiveError: where they do not fit
    """
    free = shutil.disk_usage(folder).free - FREE_SPACE_RESERVE_BYTES
    if size > free:
        raise ArchiveError(
            f"needs {size / 1e6:.0f} MB on disk, {max(free, 0) / 1e6:.0f} MB can be used; "
            "free some space and run again"
        )
