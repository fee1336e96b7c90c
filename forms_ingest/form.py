"""What the ingestion asks of a form, wherever its responses are."""

from typing import NamedTuple, Protocol

from forms_ingest.responses import Response


class Upload(NamedTuple):
    """One uploaded file.

    Attributes:
        file_id: never changes and is never reused
        name: as the form stored it, such as `call_7 - Maria Lopez.wav`
        size: in bytes
        algorithm: of the checksum, `sha256` or `md5`
        checksum: of the content, in hexadecimal digits
        resource_key: key that some shared links need beside the id; secret
    """

    file_id: str
    name: str
    size: int
    algorithm: str
    checksum: str
    resource_key: str = ""

    @property
    def fingerprint(self) -> str:
        """Algorithm and checksum in one word: changes when the content does."""
        return f"{self.algorithm} {self.checksum}"


class Form(Protocol):
    """A form's responses and uploads."""

    def read_rows(self) -> list[list[str]]:
        """Read the response table as text, header first.

        Raises:
            SettingsError: where it is not there, or not for us
            RetryLaterError: where it could not be read this time
        """
        ...

    def find_upload(self, response: Response) -> Upload:
        """Find the file that a response names, with its present size and checksum.

        May be called from several threads at once.

        Raises:
            FormError: where no file, or more than one, fits, or it cannot be verified
            RetryLaterError: where it may be there later
        """
        ...

    def read_part(self, upload: Upload, start: int, count: int) -> bytes:
        """Read up to `count` bytes of an upload from `start` on; what comes is not trusted.

        May be called from several threads at once.

        Raises:
            FormError: where the upload cannot be read
            RetryLaterError: where it could not be read this time
        """
        ...
