"""Names of uploads: finding one by name, and naming the call it becomes."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from helpers.errors import FormError

MAX_STEM_BYTES = 200
"""Longest file name stem that is taken over from an upload; the disk takes names of 255."""


def match_name(name: str, uploads: Iterable[str]) -> str:
    """Find the one upload that a name means.

    Google Forms puts ` - Submitter Name` at the end of a file's name; both ways fit.

    Args:
        name: as a response gives it
        uploads: names of all uploads

    Raises:
        FormError: where none, or more than one, fits
    """
    wanted = _plain(name)
    uploads = list(uploads)
    fitting = [upload for upload in uploads if _plain(upload) == wanted]
    fitting = fitting or [upload for upload in uploads if without_submitter(upload) == wanted.name]
    if not fitting:
        raise FormError(f"no upload is called {name!r}; put it into the folder of uploads")
    if len(fitting) > 1:
        raise FormError(
            f"{len(fitting)} uploads could be {name!r}: {', '.join(sorted(fitting))}; "
            "keep the right one"
        )
    return fitting[0]


def without_submitter(upload: str) -> str:
    """Take ` - Submitter Name` out of an upload's name, where it has one."""
    path = _plain(upload)
    stem, dash, _ = path.stem.rpartition(" - ")
    return f"{stem}{path.suffix}" if dash else path.name


def submitter_of(upload: str) -> str:
    """Read the submitter from an upload's name; empty where it has none."""
    _, dash, submitter = _plain(upload).stem.rpartition(" - ")
    return submitter if dash else ""


def call_stem(upload: str, typed_name: str) -> str:
    """Name the call that an upload becomes, without status and ending.

    Args:
        upload: the upload's name, however hostile
        typed_name: what the submitter typed; used where the upload's name begins with it

    Returns:
        a file name stem without any separator, at most `MAX_STEM_BYTES` long
    """
    stem, typed_stem = _plain(upload).stem, _plain(typed_name).stem
    if typed_stem and stem.startswith(f"{typed_stem} - "):
        stem = typed_stem
    stem = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", stem).strip(" .")
    return stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore").strip() or "call"


def ending_of(upload: str) -> str:
    """Read a file ending that every disk takes from an upload's name; `.wav` where it has none."""
    found = re.search(r"\.[a-z0-9]{1,8}\Z", upload.casefold())
    return found.group() if found else ".wav"


def short_id(file_id: str) -> str:
    """Shorten a file id to eight characters that every disk takes."""
    return hashlib.sha256(file_id.encode()).hexdigest()[:8]


def _plain(name: str) -> PurePosixPath:
    return PurePosixPath(unicodedata.normalize("NFC", name).replace("/", "_"))
