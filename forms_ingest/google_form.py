"""The one place that talks to Google: the response sheet and the uploads on Drive."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import google_auth_httplib2
import gspread
import httplib2
import requests
from google.auth.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.http import HttpRequest

from forms_ingest.errors import RetryLaterError, SettingsError
from forms_ingest.form import Upload
from forms_ingest.links import parse_references
from forms_ingest.names import match_name
from forms_ingest.responses import Response, find_column
from forms_ingest.retrying import RequestFailedError, RetryPolicy, ask, read_failure
from forms_ingest.settings import FormSettings
from helpers.errors import FormError

FILE_FIELDS = "id,name,mimeType,size,md5Checksum,sha256Checksum,trashed,shortcutDetails/targetId"
"""What is asked about a file."""

SHARE = "as Viewer with the account that runs this (client_email in its key file)"
"""The way out of a missing permission; the address itself is never shown."""

YOUNG = timedelta(minutes=10)
"""How long after a response its upload may still be missing on Drive."""

FARTHEST_ZONE = timedelta(hours=15)
"""No time zone is farther from UTC."""

_SHORTCUT = "application/vnd.google-apps.shortcut"
_SHEETS = "https://sheets.googleapis.com/"


class SheetsClient(gspread.HTTPClient):
    """gspread's client with our address, our timeouts and our retry policy.

    Args:
        endpoint: base address of Sheets
        credentials: limited to the scopes that are needed
        policy: how long and how often to try
    """

    def __init__(self, endpoint: str, credentials: Credentials, policy: RetryPolicy) -> None:
        super().__init__(credentials)
        self._endpoint = endpoint
        self._policy = policy

    def request(self, method: str, endpoint: str, **arguments: Any) -> requests.Response:
        """Send one request, and again where the policy says so; the answer is JSON."""
        url = endpoint.replace(_SHEETS, self._endpoint, 1)

        def once() -> requests.Response:
            timeout = self._policy.socket_s
            response = self.session.request(method, url, timeout=timeout, **arguments)
            if not response.ok:
                raise read_failure(response.status_code, response.headers, response.content)
            _expect_object(response.json())
            return response

        return ask(once, policy=self._policy)


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
        self._sheets = SheetsClient(settings.sheets_endpoint, credentials, self._policy)
        self._drive = build(
            "drive",
            "v3",
            http=self._new_http(),
            client_options={"api_endpoint": settings.drive_endpoint},
            static_discovery=True,
        )
        self._names_lock = threading.Lock()
        self._file_ids = cache(self._list_folder)
        self._zone = cache(self._read_zone)

    def read_rows(self) -> list[list[str]]:
        """Read the response table in one call, values raw.

        Where the upload column shows file names, as smart chips do, a second call reads the links
        behind them.
        """
        tab = "'" + self._settings.sheet_tab.replace("'", "''") + "'"
        params = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "SERIAL_NUMBER"}
        answer = self._read_sheet(
            lambda: self._sheets.values_get(self._settings.sheet_id, tab, params=params)
        )
        rows = [[_cell_text(cell) for cell in row] for row in answer.get("values", [])]
        return self._with_chip_links(rows, tab)

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

    def write_rows(self, tab: str, rows: list[list[Any]]) -> bool:
        """Make a tab of the sheet hold exactly these rows; the tab is added where it is missing.

        Returns:
            whether anything had to be written

        Raises:
            SettingsError: where the sheet may not be written
        """
        place, texts = f"'{tab}'", [[str(cell) for cell in row] for row in rows]
        try:
            self._make_room(tab, len(texts))
            answer = self._sheets.values_get(self._settings.sheet_id, place, params=None)
            written = answer.get("values", [])
            width, height = (
                max(map(len, [*written, *texts]), default=0),
                max(len(written), len(texts)),
            )
            if _padded(written, width, height) == _padded(texts, width, height):
                return False
            body = {
                "valueInputOption": "RAW",
                "data": [{"range": f"{place}!A1", "values": _padded(texts, width, height)}],
            }
            self._sheets.values_batch_update(self._settings.sheet_id, body)
        except RequestFailedError as error:
            raise SettingsError(
                f"the verdicts cannot be written to the sheet ({error}): share it as Editor with "
                "the account that runs this (client_email in its key file)"
            ) from error
        return True

    def _make_room(self, tab: str, height: int) -> None:
        params = {"fields": "sheets.properties(sheetId,title,gridProperties.rowCount)"}
        metadata = self._sheets.fetch_sheet_metadata(self._settings.sheet_id, params=params)
        sheets = [sheet["properties"] for sheet in metadata.get("sheets", [])]
        known = next((sheet for sheet in sheets if sheet["title"] == tab), None)
        if known is None:
            grid = {"rowCount": max(height, 1000), "columnCount": 26}
            change = {"addSheet": {"properties": {"title": tab, "gridProperties": grid}}}
        elif (missing := height - known["gridProperties"]["rowCount"]) > 0:
            rows = {"sheetId": known["sheetId"], "dimension": "ROWS", "length": missing}
            change = {"appendDimension": rows}
        else:
            return
        try:
            self._sheets.batch_update(self._settings.sheet_id, {"requests": [change]})
        except RequestFailedError as error:
            if error.status != 400:  # else it was done, and only the answer to that was lost
                raise

    def _read_sheet(self, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return read()
        except RequestFailedError as error:
            if error.status == 400:
                raise SettingsError(
                    f"the sheet has no tab {self._settings.sheet_tab!r} ({error}): set "
                    "CALL_EMOTION_SHEET_TAB to the tab with the responses"
                ) from error
            raise SettingsError(
                f"the response sheet is not there or not shared ({error}): check "
                f"CALL_EMOTION_SHEET_ID and share the sheet {SHARE}"
            ) from error

    def _with_chip_links(self, rows: list[list[str]], tab: str) -> list[list[str]]:
        place = find_column(rows[0], self._settings.titles.recording) if rows else None
        names = [
            row
            for row in rows[1:]
            if place is not None and len(row) > place and _is_name(row[place])
        ]
        if not names:
            return rows
        column = gspread.utils.rowcol_to_a1(1, place + 1).rstrip("1")
        fields = "sheets.data.rowData.values(hyperlink,chipRuns.chip.richLinkProperties.uri)"
        params = {"ranges": [f"{tab}!{column}:{column}"], "fields": fields}
        answer = self._read_sheet(
            lambda: self._sheets.fetch_sheet_metadata(self._settings.sheet_id, params=params)
        )
        data = (answer.get("sheets") or [{}])[0].get("data") or [{}]
        for row, found in zip(rows[1:], data[0].get("rowData", [])[1:], strict=False):
            links = _links_in((found.get("values") or [{}])[0])
            if links and len(row) > place:
                row[place] = ", ".join(links)
        return rows

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
            lambda: _expect_object(self._send(make_request(), file_id, resource_key)),
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

    def _read_zone(self) -> tzinfo:
        params = {"fields": "properties.timeZone"}
        answer = self._sheets.fetch_sheet_metadata(self._settings.sheet_id, params=params)
        return _zone_called(answer.get("properties", {}).get("timeZone", ""))


def _expect_object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise RequestFailedError(0, frozenset(), None, "Google answered with something else")
    return answer


def _padded(rows: list[list[str]], width: int, height: int) -> list[list[str]]:
    padded = [row + [""] * (width - len(row)) for row in rows]
    return padded + [[""] * width] * (height - len(rows))


def _now_in(zone: tzinfo) -> datetime:
    return datetime.now(zone).replace(tzinfo=None)


def _zone_called(name: str) -> tzinfo:
    """Find a sheet's time zone: a place, or an offset such as GMT-07:00; UTC where it is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    try:
        return datetime.strptime(name, "GMT%z").tzinfo
    except ValueError:
        return UTC


def _cell_text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _is_name(cell: str) -> bool:
    return any(reference.name for reference in parse_references(cell))


def _links_in(cell: dict[str, Any]) -> list[str]:
    runs = cell.get("chipRuns", [])
    links = [run.get("chip", {}).get("richLinkProperties", {}).get("uri") for run in runs]
    links = [link for link in links if link] or [cell.get("hyperlink")]
    return [link for link in links if link]
