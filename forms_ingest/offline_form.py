"""A form without any account: `responses.csv` and an `uploads` folder, as Google exports them."""

import csv
import hashlib
import os
import re
import shutil
from pathlib import Path

from forms_ingest.form import Upload
from helpers.errors import FormError

_LINK = re.compile(r"^https?://", re.IGNORECASE)


class OfflineForm:
    """The responses and uploads in one folder.

    Args:
        folder: holds `responses.csv` (the sheet, downloaded as CSV) and `uploads` (the folder
            of uploaded files, downloaded from Drive)
    """

    def __init__(self, folder: Path) -> None:
        self._table = folder / "responses.csv"
        self._uploads = folder / "uploads"

    def read_rows(self) -> list[list[str]]:
        """Read `responses.csv`, see `Form.read_rows`."""
        try:
            with self._table.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise FormError(
                f"{self._table} cannot be read ({error}); download the response sheet as CSV "
                "and put it there"
            ) from error

    def find_upload(self, reference: str, file_name: str) -> Upload:
        """Find an upload by its name, see `Form.find_upload`.

        Google Forms puts ` - Submitter Name` at the end of a file's name; both ways fit. Where
        the response holds a link, the typed file name is looked for instead.
        """
        name = file_name if _LINK.match(reference) or not reference else reference
        if not name:
            raise FormError("the response names no file")
        files = self._files()
        fitting = [name] if name in files else []
        fitting = fitting or [file for file in files if _without_submitter(file) == name]
        if not fitting:
            raise FormError(f"no upload is called {name!r}; put it into the folder uploads")
        if len(fitting) > 1:
            names = ", ".join(fitting)
            raise FormError(f"several uploads could be {name!r}: {names}; keep the right one")
        with files[fitting[0]].open("rb") as file:
            fingerprint = f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
        return Upload(fitting[0], fitting[0], fingerprint)

    def download(self, upload: Upload, target: Path) -> None:
        """Copy an upload, see `Form.download`."""
        try:
            shutil.copyfile(self._files().get(upload.name, self._uploads / upload.name), target)
        except OSError as error:
            raise FormError(f"the upload cannot be copied: {error.strerror}") from error

    def _files(self) -> dict[str, Path]:
        """List the uploads by name; bytes of a name that are no UTF-8 are shown as `\ufffd`."""
        files = (path for path in sorted(self._uploads.glob("*")) if path.is_file())
        return {os.fsencode(path.name).decode(errors="replace"): path for path in files}


def _without_submitter(name: str) -> str:
    stem, dash, _ = Path(name).stem.rpartition(" - ")
    return f"{stem}{Path(name).suffix}" if dash else name
