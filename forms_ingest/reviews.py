"""What each person answered about an upload, kept without saying who anybody is."""

import hashlib
from collections.abc import Iterable

from forms_ingest.form import Upload
from forms_ingest.responses import normalise

KEY_DIGITS = 12
"""Length of a reviewer's key in hexadecimal digits."""


def list_reviews(answers: Iterable[tuple[Upload, str, str]], *, salt: str) -> dict[str, str]:
    """Write down who answered what, in the words of the ledger's column `reviews`.

    Args:
        answers: upload, submitter and status; of one person's answers about one upload, and of
            those by nobody knows whom, the last counts
        salt: see `reviewer_key`

    Returns:
        by file id, a `key:status` for each person, divided by `|`
    """
    reviews: dict[str, dict[str, str]] = {}
    for upload, submitter, status in answers:
        key = reviewer_key(submitter, upload, salt=salt)
        reviews.setdefault(upload.file_id, {})[key] = status
    return {
        file_id: "|".join(f"{key}:{status}" for key, status in sorted(statuses.items()))
        for file_id, statuses in reviews.items()
    }


def reviewer_key(submitter: str, upload: Upload, *, salt: str) -> str:
    """Make a key that tells people apart within one recording, and nowhere else.

    The same person has another key for a recording of another content, so that nobody's answers
    can be gathered.

    Args:
        submitter: e-mail address or name; case and blanks do not matter
        upload: the recording
        salt: what the ledger does not hold, such as the sheet's id: without it nobody can find out
            whose key it is by trying addresses

    Returns:
        `KEY_DIGITS` hexadecimal digits, empty where the submitter is not known
    """
    name = normalise(submitter)
    if not name:
        return ""
    text = "\n".join((salt, upload.fingerprint, name))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:KEY_DIGITS]
