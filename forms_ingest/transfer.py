"""Fetching uploads so that what arrives is what was sent, or nothing."""

import hashlib
import time
from pathlib import Path

from forms_ingest.errors import RetryLaterError
from forms_ingest.form import Form, Upload
from forms_ingest.names import short_id
from forms_ingest.responses import Response
from helpers.errors import FormError

CHUNK_BYTES = 1 << 20
"""How much is asked for at once; small, so that little is lost when a connection breaks."""

ROUNDS = 3
"""How often an upload whose content does not match its checksum is fetched anew."""

LONGEST_S = 1800.0
"""Seconds after which one upload is left to the next run, which goes on where this one stopped."""


def fetch_verified(
    form: Form,
    response: Response,
    upload: Upload,
    folder: Path,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> tuple[Upload, Path]:
    """Fetch an upload and compare its size and checksum with what the form's storage says.

    What an earlier, killed run fetched of the same content is used. Size and checksum are asked for
    anew in each round, because a file may be replaced while it is fetched.

    Args:
        form: where the upload is
        response: the response that names it
        upload: as it was when the plan was made
        folder: where the part file is kept until its content is whole
        chunk_bytes: how much to ask for at once

    Returns:
        the upload as it was fetched, and the file with its content

    Raises:
        FormError: where the content never matches its checksum, or cannot be fetched
        RetryLaterError: where it could not be fetched this time; what came is kept
        OSError: where the disk is full
    """
    folder.mkdir(parents=True, exist_ok=True)
    give_up_at = time.monotonic() + LONGEST_S
    for attempt in range(ROUNDS):
        if attempt:
            upload = form.find_upload(response)
        part = folder / f"{short_id(upload.file_id)}-{upload.checksum[:16]}.part"
        _fill(form, upload, part, chunk_bytes, give_up_at)
        if is_content(part, upload):
            return upload, part
        part.unlink()
    raise FormError(f"its content never matched its {upload.algorithm} checksum; upload it again")


def is_content(path: Path, upload: Upload) -> bool:
    """Whether a file holds an upload's content, by size and checksum."""
    if path.stat().st_size != upload.size:
        return False
    return digest(path, upload.algorithm) == upload.checksum


def digest(path: Path, algorithm: str) -> str:
    """Compute a file's checksum in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _fill(form: Form, upload: Upload, part: Path, chunk_bytes: int, give_up_at: float) -> None:
    with part.open("ab", buffering=0) as file:  # unbuffered: a killed run loses nothing
        while (start := file.tell()) < upload.size:
            if time.monotonic() > give_up_at:
                raise RetryLaterError(f"it took longer than {LONGEST_S / 60:.0f} minutes to fetch")
            chunk = form.read_part(upload, start, min(chunk_bytes, upload.size - start))
            if not chunk:
                return
            file.write(chunk)
