"""The one folder in which uploads lie while they are judged, which is gone when the service is."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "call-emotion-api-"
"""Beginning of the folder's name, in the computer's folder for temporary files."""

_LOCK = ".lock"


class Inbox:
    """A private folder with one folder for each request; it is there after `open`.

    Attributes:
        folder: nobody but the service's user can look into it
    """

    folder: Path

    def open(self) -> None:
        """Make the folder, and remove those of services that were killed."""
        _remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = FileLock(self.folder / _LOCK)
        self._lock.acquire(timeout=0)

    @contextlib.contextmanager
    def make_folder(self) -> Iterator[Path]:
        """Give a folder for one request, which is removed with all that is in it."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder, where it was made."""
        if hasattr(self, "folder"):
            self._lock.release()
            shutil.rmtree(self.folder, ignore_errors=True)


def _remove_leftovers() -> None:
    """Remove folders of this user whose lock nobody holds any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another service removes it, too
            lock = folder / _LOCK
            ours = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
            if ours and lock.is_file() and _is_free(lock):
                shutil.rmtree(folder, ignore_errors=True)


def _is_free(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
