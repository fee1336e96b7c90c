"""A form without any account: `responses.csv` and an `uploads` folder, as Google exports them."""

import csv
import hashlib
import os
from functools import cache
from pathlib import Path

from forms_ingest.errors import SettingsError
from forms_ingest.form import Upload
from forms_ingest.names import match_name
from forms_ingest.responses import Response
from helpers.errors import FormError
from helpers.sources import FORM_TABLE


class OfflineForm:
    """The responses and uploads in one folder, see `forms_ingest.form.Form`.

    Args:
        folder: holds `responses.csv` (the sheet, downloaded as CSV) and `uploads` (the folder
            of uploaded files, downloaded from Drive)
    """

    def __init__(self, folder: Path) -> None:
        self._table = folder / FORM_TABLE
        self._uploads = folder / "uploads"
        self._list_uploads = cache(self._list_uploads)

    def read_rows(self) -> list[list[str]]:
        """Read `responses.csv`."""
        try:
            with self._table.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(
                f"{self._table} cannot be read ({type(error).__name__}); download the response "
                "sheet as CSV and put it there"
            ) from error

    def find_upload(self, response: Response) -> Upload:
        """Find an upload by its name; where the response holds a link, by the typed file name."""
        name = response.reference.name or response.file_name
        if not name:
            raise FormError("the response names no file")
        name = match_name(name, self._list_uploads())
        try:
            with self._list_uploads()[name].open("rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
                return Upload(name, name, file.tell(), "sha256", checksum)
        except OSError as error:
            raise FormError(f"the upload cannot be read: {error.strerror}") from error

    def read_part(self, upload: Upload, start: int, count: int) -> bytes:
        """Read some bytes of an upload."""
        try:
            with self._list_uploads()[upload.file_id].open("rb") as file:
                file.seek(start)
                return file.read(count)
        except OSError as error:
            raise FormError(f"the upload cannot be read: {error.strerror}") from error

    def _list_uploads(self) -> dict[str, Path]:
        """List the uploads by name; bytes of a name that are no UTF-8 are shown as `\ufffd`."""
        files = (path for path in sorted(self._uploads.glob("*")) if path.is_file())
        return {os.fsencode(path.name).decode(errors="replace"): path for path in files}
