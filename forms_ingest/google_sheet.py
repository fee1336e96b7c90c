"""The response sheet at Google, through gspread."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import gspread
import requests
from google.auth.credentials import Credentials

from forms_ingest.errors import SettingsError
from forms_ingest.links import parse_references
from forms_ingest.responses import find_column
from forms_ingest.retrying import (
    RequestFailedError,
    RetryPolicy,
    ask,
    expect_object,
    read_failure,
)
from forms_ingest.settings import FormSettings

SHARE = "as Viewer with the account that runs this (client_email in its key file)"
"""The way out of a missing permission; the address itself is never shown."""

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
            expect_object(response.json())
            return response

        return ask(once, policy=self._policy)


class ResponseSheet:
    """The sheet that a form's responses are in.

    Args:
        settings: which sheet and tab
        credentials: limited to the scopes that are needed
        policy: how long and how often to try
    """

    def __init__(
        self, settings: FormSettings, credentials: Credentials, policy: RetryPolicy
    ) -> None:
        self._settings = settings
        self._client = SheetsClient(settings.sheets_endpoint, credentials, policy)

    def read_rows(self) -> list[list[str]]:
        """Read the response table in one call, values raw.

        Where the upload column shows file names, as smart chips do, a second call reads the links
        behind them.
        """
        tab = "'" + self._settings.sheet_tab.replace("'", "''") + "'"
        params = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "SERIAL_NUMBER"}
        answer = self._read_sheet(
            lambda: self._client.values_get(self._settings.sheet_id, tab, params=params)
        )
        rows = [[_cell_text(cell) for cell in row] for row in answer.get("values", [])]
        return self._with_chip_links(rows, tab)

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
            answer = self._client.values_get(self._settings.sheet_id, place, params=None)
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
            self._client.values_batch_update(self._settings.sheet_id, body)
        except RequestFailedError as error:
            raise SettingsError(
                f"the verdicts cannot be written to the sheet ({error}): share it as Editor with "
                "the account that runs this (client_email in its key file)"
            ) from error
        return True

    def read_zone(self) -> tzinfo:
        """Read the time zone in which the sheet holds its times."""
        params = {"fields": "properties.timeZone"}
        answer = self._client.fetch_sheet_metadata(self._settings.sheet_id, params=params)
        return _zone_called(answer.get("properties", {}).get("timeZone", ""))

    def _make_room(self, tab: str, height: int) -> None:
        params = {"fields": "sheets.properties(sheetId,title,gridProperties.rowCount)"}
        metadata = self._client.fetch_sheet_metadata(self._settings.sheet_id, params=params)
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
            self._client.batch_update(self._settings.sheet_id, {"requests": [change]})
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
            lambda: self._client.fetch_sheet_metadata(self._settings.sheet_id, params=params)
        )
        data = (answer.get("sheets") or [{}])[0].get("data") or [{}]
        for row, found in zip(rows[1:], data[0].get("rowData", [])[1:], strict=False):
            links = _links_in((found.get("values") or [{}])[0])
            if links and len(row) > place:
                row[place] = ", ".join(links)
        return rows


def _padded(rows: list[list[str]], width: int, height: int) -> list[list[str]]:
    padded = [row + [""] * (width - len(row)) for row in rows]
    return padded + [[""] * width] * (height - len(rows))


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
