"""What the ingestion asks of a form, wherever its responses are."""

from pathlib import Path
from typing import NamedTuple, Protocol


class Upload(NamedTuple):
    """One uploaded file.

    Attributes:
        file_id: never changes and is never reused
        name: as the form stored it, such as `call_7 - Maria Lopez.wav`
        fingerprint: changes when the content does
    """

    file_id: str
    name: str
    fingerprint: str


class Form(Protocol):
    """A form's responses and uploads."""

    def read_rows(self) -> list[list[str]]:
        """Read the response table as text, header first.

        Raises:
            FormError: where it cannot be read
        """
        ...

    def find_upload(self, reference: str, file_name: str) -> Upload:
        """Find the file that a response names.

        Args:
            reference: what the response's upload column holds
            file_name: what the submitter typed as its name, may be empty

        Raises:
            FormError: where no file, or more than one, fits
        """
        ...

    def download(self, upload: Upload, target: Path) -> None:
        """Copy an upload to `target`.

        Raises:
            FormError: where it cannot be fetched whole
        """
        ...
