"""A form at Google: its response sheet, and its uploads on Drive."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any

import google_auth_httplib2
import httplib2
from google.auth.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.http import HttpRequest

from forms_ingest.errors import RetryLaterError, SettingsError
from forms_ingest.form import Upload
from forms_ingest.google_sheet import SHARE, ResponseSheet
from forms_ingest.names import match_name
from forms_ingest.responses import Response
from forms_ingest.retrying import RequestFailedError, RetryPolicy, ask, expect_object
from forms_ingest.settings import FormSettings
from helpers.errors import FormError

FILE_FIELDS = "id,name,mimeType,size,md5Checksum,sha256Checksum,trashed,shortcutDetails/targetId"
"""What is asked about a file."""

YOUNG = timedelta(minutes=10)
"""How long after a response its upload may still be missing on Drive."""

FARTHEST_ZONE = timedelta(hours=15)
"""No time zone is farther from UTC."""

_SHORTCUT = "application/vnd.google-apps.shortcut"


class GoogleForm:
    """A Google Form's responses and uploads, see `forms_ingest.form.Form`.

    Args:
        settings: which sheet, tab and folder
        credentials: limited to the scopes that are needed
        policy: how long and how often to try
    """

    def __init__(
        self, settings: FormSettings, credentials: Credentials, policy: RetryPolicy | None = None
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._policy = policy or RetryPolicy()
        self._sheet = ResponseSheet(settings, credentials, self._policy)
        self._drive = build(
            "drive",
            "v3",
            http=self._new_http(),
            client_options={"api_endpoint": settings.drive_endpoint},
            static_discovery=True,
        )
        self._names_lock = threading.Lock()
        self._file_ids = cache(self._list_folder)
        self._zone = cache(self._sheet.read_zone)

    def read_rows(self) -> list[list[str]]:
        """Read the response table, see `ResponseSheet.read_rows`."""
        return self._sheet.read_rows()

    def write_rows(self, tab: str, rows: list[list[str]]) -> bool:
        """Make a tab of the sheet hold these rows, see `ResponseSheet.write_rows`."""
        return self._sheet.write_rows(tab, rows)

    def find_upload(self, response: Response) -> Upload:
        """Ask Drive about the file; a name is looked for in the folder of uploads."""
        reference = response.reference
        if not reference.file_id and not reference.name:
            raise FormError("the cell holds no link to a file")
        file_id = reference.file_id or self._find_by_name(reference.name)
        try:
            return self._describe(file_id, reference.resource_key)
        except RequestFailedError as error:
            if error.status == 404 and self._is_young(response.time):
                raise RetryLaterError("the upload has not arrived on Drive yet") from error
            raise FormError(
                f"the upload is not there or not shared ({error}): share the folder of uploads "
                f"{SHARE}"
            ) from error

    def read_part(self, upload: Upload, start: int, count: int) -> bytes:
        """Read some bytes of an upload, with a request of their own."""

        def once() -> bytes:
            request = self._drive.files().get_media(fileId=upload.file_id, supportsAllDrives=True)
            request.headers["accept-encoding"] = "identity"
            request.headers["range"] = f"bytes={start}-{start + count - 1}"
            statuses: list[int] = []
            request.add_response_callback(lambda response: statuses.append(response.status))
            content = self._send(request, upload.file_id, upload.resource_key)
            return content[start:] if statuses[-1] == 200 else content

        try:
            return ask(once, policy=self._policy)
        except RequestFailedError as error:
            if error.status == 416:
                return b""  # it has become shorter; its checksum will tell
            raise FormError(
                f"the upload cannot be fetched ({error}): share the folder of uploads {SHARE}"
            ) from error

    def _describe(self, file_id: str, resource_key: str, *, follow: bool = True) -> Upload:
        file = self._ask_drive(
            lambda: self._drive.files().get(
                fileId=file_id, fields=FILE_FIELDS, supportsAllDrives=True
            ),
            file_id,
            resource_key,
        )
        target = file.get("shortcutDetails", {}).get("targetId")
        if file.get("mimeType") == _SHORTCUT and target and follow:
            return self._describe(target, "", follow=False)
        if file.get("trashed"):
            raise FormError("the upload is in Drive's bin; take it out, or ask for it again")
        for algorithm in ("sha256", "md5"):
            checksum = file.get(f"{algorithm}Checksum")
            if checksum and file.get("size", "").isdigit():
                size = int(file["size"])
                return Upload(file["id"], file["name"], size, algorithm, checksum, resource_key)
        raise FormError("no recording: Drive has no checksum for it, as for a Google document")

    def _find_by_name(self, name: str) -> str:
        if not self._settings.drive_folder:
            raise FormError(
                f"the cell holds the name {name!r} and no link; set CALL_EMOTION_DRIVE_FOLDER to "
                "the folder of uploads, so that it can be looked for there"
            )
        with self._names_lock:
            file_ids = self._file_ids()
        ids = file_ids[match_name(name, file_ids)]
        if len(ids) > 1:
            raise FormError(f"{len(ids)} uploads are called {name!r}; keep the right one")
        return ids[0]

    def _list_folder(self) -> dict[str, list[str]]:
        try:
            return self._list_files()
        except RequestFailedError as error:
            if error.status != 400:
                raise SettingsError(
                    f"the folder of uploads is not there or not shared ({error}): share it {SHARE}"
                ) from error
        return self._list_files()  # once more from the first page: a page token had been rejected

    def _list_files(self) -> dict[str, list[str]]:
        file_ids: dict[str, list[str]] = {}
        for page in self._pages():
            if page.get("incompleteSearch"):
                raise RetryLaterError(
                    "Drive did not list the whole folder; the next run tries again"
                )
            for file in page.get("files", []):
                file_ids.setdefault(file["name"], []).append(file["id"])
        return file_ids

    def _pages(self) -> Iterator[dict[str, Any]]:
        arguments = {
            "q": f"'{self._settings.drive_folder}' in parents and trashed = false",
            "pageSize": 1000,
            "fields": "nextPageToken,incompleteSearch,files(id,name)",
            "supportsAllDrives": True,
            "includeItemsFromAllDrives": True,
        }
        token = None
        while True:
            page = self._ask_drive(
                lambda token=token: self._drive.files().list(**arguments, pageToken=token)
            )
            yield page
            token = page.get("nextPageToken")
            if not token:
                return

    def _ask_drive(
        self, make_request: Callable[[], HttpRequest], file_id: str = "", resource_key: str = ""
    ) -> dict[str, Any]:
        return ask(
            lambda: expect_object(self._send(make_request(), file_id, resource_key)),
            policy=self._policy,
        )

    def _send(self, request: HttpRequest, file_id: str, resource_key: str) -> Any:
        if resource_key:
            request.headers["X-Goog-Drive-Resource-Keys"] = f"{file_id}/{resource_key}"
        return request.execute(http=self._new_http())

    def _new_http(self) -> google_auth_httplib2.AuthorizedHttp:
        http = httplib2.Http(timeout=self._policy.socket_s)
        return google_auth_httplib2.AuthorizedHttp(self._credentials, http=http)

    def _is_young(self, time: datetime | None) -> bool:
        if time is None or abs(_now_in(UTC) - time) > FARTHEST_ZONE:
            return False
        return _now_in(self._zone()) - time < YOUNG


def _now_in(zone: tzinfo) -> datetime:
    return datetime.now(zone).replace(tzinfo=None)
