"""The server of `google_server.py` behaves, and misbehaves, as described, for the real clients."""

import io
import json
import time
from http.client import IncompleteRead

import google.auth
import google_auth_httplib2
import gspread
import httplib2
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from google_faults import EFFECTS, Fault
from google_server import GoogleServer, parse_fields, parse_q
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload

CONTENT = bytes(range(250)) * 40
DRIVE = "https://www.googleapis.com/auth/drive"
SHEETS = "https://www.googleapis.com/auth/spreadsheets"


@pytest.fixture
def server():
    with GoogleServer() as server:
        yield server


def drive(server, *, credentials=None, timeout=5.0):
    http = google_auth_httplib2.AuthorizedHttp(
        credentials or Credentials("test-token"), http=httplib2.Http(timeout=timeout)
    )
    options = {"api_endpoint": server.drive_endpoint}
    return build("drive", "v3", http=http, client_options=options, static_discovery=True)


def sheets(server, *, credentials=None):
    class Client(gspread.HTTPClient):
        def request(self, method, endpoint, *args, **options):
            endpoint = endpoint.replace("https://sheets.googleapis.com/", server.sheets_endpoint)
            return super().request(method, endpoint, *args, **options)

    client = gspread.authorize(credentials or Credentials("test-token"), http_client=Client)
    client.http_client.set_timeout(5)
    return client


def values_get(server, tab="Responses", **params):
    return sheets(server).http_client.values_get("sheet", f"'{tab}'", params=params)


def download(service, file_id, *, chunk=4000, retries=0):
    """Download as the stock client does, without waiting between its attempts."""
    target = io.BytesIO()
    request = service.files().get_media(fileId=file_id, supportsAllDrives=True)
    loader = MediaIoBaseDownload(target, request, chunksize=chunk)
    loader._sleep = lambda seconds: None
    done = False
    while not done:
        _, done = loader.next_chunk(num_retries=retries)
    return target.getvalue()


def metadata(service, file_id, fields="id,name"):
    return service.files().get(fileId=file_id, fields=fields, supportsAllDrives=True).execute()


# ---- Drive -----------------------------------------------------------------------------------


def test_a_file_is_read_in_chunks_and_its_metadata_has_checksums(server):
    file_id = server.add_file(CONTENT, name="call.wav")
    service = drive(server)
    assert download(service, file_id) == CONTENT
    assert [each.range for each in server.requests] == [
        *("bytes=0-3999", "bytes=4000-7999", "bytes=8000-11999"),
    ]
    assert [each.status for each in server.requests] == [206, 206, 206]
    assert sum(each.sent for each in server.requests) == len(CONTENT)
    known = metadata(service, file_id, "id,size,md5Checksum,sha256Checksum,trashed,parents")
    assert known["size"] == "10000" and not known["trashed"] and known["parents"] == ["folder"]
    assert len(known["md5Checksum"]) == 32 and len(known["sha256Checksum"]) == 64
    default = service.files().get(fileId=file_id).execute()
    assert set(default) == {"kind", "id", "name", "mimeType"}
    assert not server.complaints and "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("span", "status", "body", "content_range"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
    ],
)
def test_ranges_are_answered_as_drive_does(server, span, status, body, content_range):
    server.add_file(b"0123456789", name="call.wav", file_id="one")
    server.require_auth = False
    headers = {"Range": span} if span else {}
    answer = requests.get(f"{server.drive_endpoint}files/one?alt=media", headers=headers)
    assert answer.status_code == status
    assert body is None or answer.content == body
    assert answer.headers.get("Content-Range") == content_range


def test_an_empty_file_is_a_416_that_the_client_understands(server):
    assert download(drive(server), server.add_file(b"", name="empty.wav")) == b""


@pytest.mark.parametrize(
    ("options", "request_media", "status", "reason"),
    [
        ({"denied": "notFound"}, False, 404, "notFound"),
        ({"denied": "insufficientFilePermissions"}, False, 403, "insufficientFilePermissions"),
        ({"content": None, "mime_type": "application/vnd.google-apps.document"}, True, 403, "file"),
        ({"abusive": True}, True, 403, "cannotDownloadAbusiveFile"),
    ],
)
def test_some_files_cannot_be_read(server, options, request_media, status, reason):
    options = {"content": CONTENT, "name": "call.wav", **options}
    file_id = server.add_file(options.pop("content"), **options)
    with pytest.raises(HttpError, match=reason) as caught:
        (download if request_media else metadata)(drive(server), file_id)
    assert caught.value.status_code == status


def test_files_change_are_trashed_and_deleted(server):
    file_id = server.add_file(CONTENT, name="call.wav")
    service = drive(server)
    fields = "headRevisionId,trashed,size"
    first = metadata(service, file_id, fields)
    server.replace_file(file_id, b"other")
    server.trash_file(file_id)
    second = metadata(service, file_id, fields)
    assert second["headRevisionId"] != first["headRevisionId"]
    assert (second["size"], second["trashed"]) == ("5", True)
    server.delete_file(file_id)
    with pytest.raises(HttpError, match="File not found"):
        metadata(service, file_id)


def test_shortcuts_name_their_target_and_shared_drives_must_be_asked_for(server):
    file_id = server.add_file(CONTENT, name="call.wav", driveId="drive")
    shortcut = server.add_shortcut(file_id, name="call.wav")
    service = drive(server)
    fields = "mimeType,size,md5Checksum,shortcutDetails(targetId)"
    assert metadata(service, shortcut, fields) == {
        "mimeType": "application/vnd.google-apps.shortcut",
        "shortcutDetails": {"targetId": file_id},
    }
    assert metadata(service, file_id, "driveId") == {"driveId": "drive"}
    with pytest.raises(HttpError, match="File not found"):
        service.files().get(fileId=file_id).execute()


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("'folder' in parents and trashed = false", ["a.wav", "A.WAV", "it's \\ b.wav"]),
        ("trashed = false and name = 'a.wav'", ["a.wav", "A.WAV"]),
        (r"name = 'it\'s \\ b.wav'", ["it's \\ b.wav"]),
        ("'folder' in parents", ["a.wav", "A.WAV", "it's \\ b.wav", "old.wav"]),
        ("'nowhere' in parents", []),
        ("name = 'old.wav' and trashed=true", ["old.wav"]),
    ],
)
def test_searches_find_what_drive_finds(server, q, names):
    for name in ("a.wav", "A.WAV", "it's \\ b.wav"):
        server.add_file(CONTENT, name=name)
    server.add_file(CONTENT, name="old.wav", trashed=True)
    server.add_file(CONTENT, name="fresh.wav", listed=False)
    server.add_file(CONTENT, name="secret.wav", denied="notFound")
    server.add_file(CONTENT, name="shared.wav", driveId="drive")
    found = drive(server).files().list(q=q, fields="files(name)").execute()
    assert [file["name"] for file in found["files"]] == names
    everywhere = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    found = drive(server).files().list(fields="files/name", **everywhere).execute()
    assert "shared.wav" in [file["name"] for file in found["files"]]


def test_a_search_that_is_not_understood_is_refused(server):
    with pytest.raises(HttpError, match="Invalid Value"):
        drive(server).files().list(q="name = 'it's'").execute()
    assert len(server.complaints) == 1
    with pytest.raises(Exception, match="Invalid Value"):
        parse_q("'folder' in parents or trashed = true")


def test_lists_come_in_pages_some_of_them_empty(server):
    ids = [server.add_file(CONTENT, name=f"{number}.wav") for number in range(5)]
    server.drive.empty_pages = 2
    server.drive.incomplete_search = True
    service, found, sizes = drive(server), [], []
    fields = "nextPageToken,incompleteSearch,files(id)"
    request = service.files().list(pageSize=2, fields=fields)
    while request is not None:
        page = request.execute()
        assert page["incompleteSearch"]
        found += [file["id"] for file in page["files"]]
        sizes.append(len(page["files"]))
        last, request = request, service.files().list_next(request, page)
    assert found == ids and sizes == [0, 0, 2, 2, 1]
    server.drive.reject_page_tokens = 1
    with pytest.raises(HttpError, match="pageToken"):
        last.execute()
    assert last.execute() == page and not server.complaints


# ---- Sheets ----------------------------------------------------------------------------------

ROWS = [
    ["Timestamp", "Call recording", "Status", None],
    [46053.58691, "call.wav", " Average", ""],
    [],
    [46054, None, 7.0],
    ["", None],
]
SHOWN = ["01/31/2026 14:05:09", "02/01/2026 00:00:00"]


@pytest.mark.parametrize(
    ("params", "values"),
    [
        (
            {},
            [ROWS[0][:3], [SHOWN[0], "call.wav", " Average"], [], [SHOWN[1], "", "7"]],
        ),
        (
            {"valueRenderOption": "UNFORMATTED_VALUE"},
            [ROWS[0][:3], [46053.58691, "call.wav", " Average"], [], [46054, "", 7]],
        ),
        (
            {
                "valueRenderOption": "UNFORMATTED_VALUE",
                "dateTimeRenderOption": "FORMATTED_STRING",
            },
            [ROWS[0][:3], [SHOWN[0], "call.wav", " Average"], [], [SHOWN[1], "", 7]],
        ),
    ],
)
def test_values_are_shown_or_raw_and_end_where_cells_end(server, params, values):
    server.set_rows("Responses", ROWS, date_columns=[0])
    assert values_get(server, **params)["values"] == values
    assert server.count("values") == 1 and not server.complaints


def test_the_locale_decides_how_a_date_is_shown(server):
    server.set_rows("Responses", [[46053.58691]], date_columns=[0])
    server.spreadsheet().date_pattern = "%d.%m.%Y"
    assert values_get(server)["values"] == [["31.01.2026"]]


def test_an_empty_tab_has_no_values(server):
    server.set_rows("Form Responses 1", [])
    answer = values_get(server, "Form Responses 1")
    assert answer == {"range": "'Form Responses 1'!A1:Z1000", "majorDimension": "ROWS"}


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("A1:B2", [["a", "b"], ["d", "e"]]),
        ("B2", [["e"]]),
        ("B2:C", [["e", "f"], ["h"]]),
        ("B:B", [["b"], ["e"], ["h"]]),
        ("2:2", [["d", "e", "f"]]),
    ],
)
def test_cells_are_found_by_their_names(server, cells, values):
    server.set_rows("It's", [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]])
    assert sheets(server).open_by_key("sheet").worksheet("It's").get(cells) == values


def test_what_is_not_there_or_not_shared_is_refused(server):
    server.set_rows("Responses", ROWS)
    client = sheets(server)
    with pytest.raises(gspread.exceptions.APIError, match="Unable to parse range: 'Gone'"):
        values_get(server, "Gone")
    with pytest.raises(gspread.exceptions.SpreadsheetNotFound):
        client.open_by_key("other")
    server.spreadsheet().denied = True
    with pytest.raises(PermissionError):
        client.open_by_key("sheet")
    assert not server.complaints


def test_chips_are_shown_only_where_they_are_asked_for(server):
    cells = [["Recording"], ["a.wav, bc.wav"], ["d.wav"]]
    links = ["https://drive.google.com/open?id=A", "https://drive.google.com/open?id=B"]
    server.set_rows("Responses", cells, chips={(1, 0): links}, links={(2, 0): links[0]})
    assert values_get(server)["values"] == cells
    client = sheets(server).http_client
    assert "data" not in client.fetch_sheet_metadata("sheet")["sheets"][0]
    fields = "sheets(data.rowData.values(chipRuns,hyperlink))"
    params = {"ranges": "'Responses'!A2:A", "fields": fields}
    rows = client.spreadsheets_get("sheet", params)["sheets"][0]["data"][0]["rowData"]
    assert rows == [
        {
            "values": [
                {
                    "chipRuns": [
                        {"chip": {"richLinkProperties": {"uri": links[0]}}},
                        {"startIndex": 5, "chip": {}},
                        {"startIndex": 7, "chip": {"richLinkProperties": {"uri": links[1]}}},
                    ]
                }
            ]
        },
        {"values": [{"hyperlink": links[0]}]},
    ]
    full = client.spreadsheets_get("sheet", {"includeGridData": "true"})
    assert full["sheets"][0]["data"][0]["rowData"][0]["values"][0]["formattedValue"] == "Recording"
    assert full["properties"]["timeZone"] == "Europe/London" and not server.complaints


def test_gspread_writes_what_can_be_read_again(server):
    server.set_rows("Responses", [["a"]])
    book = sheets(server).open_by_key("sheet")
    tab = book.add_worksheet("Verdicts", rows=3, cols=2)
    tab.update([["id", "status"], ["007", "=1+1"]])
    assert server.rows("Verdicts") == [["id", "status"], ["007", "=1+1"]]
    tab.update([["007", "=1+1"]], "A2:B2", raw=False)
    tab.batch_update([{"range": "A3:B3", "values": [["x", None]]}])
    assert server.rows("Verdicts")[1:] == [[7, "#NAME?"], ["x"]]
    with pytest.raises(gspread.exceptions.APIError, match="exceeds grid limits"):
        tab.update([["far"]], "A4")
    with pytest.raises(gspread.exceptions.APIError, match="already exists"):
        book.add_worksheet("Verdicts", rows=3, cols=2)
    tab.clear()
    assert tab.get_all_values() == [[]] and not server.complaints


# ---- requests that Google would refuse -------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "drive/v3/files/one?suportsAllDrives=true", None),
        ("GET", "drive/v3/files/one?fields=id,sha256", None),
        ("GET", "drive/v3/files?fields=id,name", None),
        ("GET", "drive/v3/files?pageSize=many", None),
        ("GET", "drive/v3/files?supportsAllDrives=yes", None),
        ("GET", "drive/v3/files?alt=media", None),
        ("GET", "v4/spreadsheets/sheet/values/A1?valueRenderOption=RAW", None),
        ("GET", "v4/spreadsheets/sheet/values/A1?alt=json&majorDimension=ROWS&typo=1", None),
        ("GET", "v4/spreadsheets/sheet?fields=sheets.data.rowData.values.chips", None),
        ("PUT", "v4/spreadsheets/sheet/values/A1?valueInputOption=RAW", {"value": [[1]]}),
        ("PUT", "v4/spreadsheets/sheet/values/A1", {"values": [[1]]}),
        ("POST", "v4/spreadsheets/sheet:batchUpdate", {"requests": [{"addSheet": {"name": "x"}}]}),
        ("POST", "v4/spreadsheets/sheet:batchUpdate", {"requests": [{"deleteSheet": {}}]}),
        ("GET", "drive/v4/files", None),
        ("DELETE", "drive/v3/files/one", None),
    ],
)
def test_an_unknown_parameter_field_or_method_is_refused_and_noted(server, method, path, body):
    server.add_file(CONTENT, name="call.wav", file_id="one")
    server.set_rows("Responses", ROWS)
    headers = {"Authorization": "Bearer test-token"}
    answer = requests.request(method, f"{server.url}/{path}", json=body, headers=headers)
    assert answer.status_code in (400, 501) and answer.json()["error"]["message"]
    assert len(server.complaints) == 1


def test_field_masks_nest():
    assert parse_fields("files(id,a/b),x.y(z, w)") == {
        "files": {"id": {}, "a": {"b": {}}},
        "x": {"y": {"z": {}, "w": {}}},
    }


# ---- tokens ----------------------------------------------------------------------------------


def default_credentials(monkeypatch, path, scopes):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return google.auth.default(scopes=scopes)[0]


@pytest.mark.parametrize(
    ("write", "kinds"),
    [
        ("service_account_file", ["service account"]),
        ("workload_identity_file", ["federated", "impersonated"]),
    ],
)
def test_each_kind_of_credentials_gets_a_token(server, monkeypatch, tmp_path, write, kinds):
    path = getattr(server, write)(tmp_path / "credentials.json")
    scopes = [f"{DRIVE}.readonly"]
    credentials = default_credentials(monkeypatch, path, scopes)
    file_id = server.add_file(CONTENT, name="call.wav")
    server.set_rows("Responses", [["a"]])
    assert download(drive(server, credentials=credentials), file_id) == CONTENT
    assert sheets(server, credentials=credentials).open_by_key("sheet").sheet1.title == "Responses"
    assert [grant["kind"] for grant in server.auth.grants] == kinds
    assert server.auth.grants[-1]["scopes"] == scopes
    assert server.count("token") == len(kinds) and not server.complaints


def test_the_credentials_of_a_person_are_refreshed(server):
    known = {"client_id": "1", "client_secret": "none", "token_uri": server.token_url}
    person = Credentials("old", refresh_token=server.auth.refresh_token, **known)
    assert drive(server, credentials=person).files().list().execute()["files"] == []
    assert [grant["kind"] for grant in server.auth.grants] == ["refreshed"]


@pytest.mark.parametrize("write", ["service_account_file", "workload_identity_file"])
def test_a_token_that_expires_in_a_file_is_fetched_again(server, monkeypatch, tmp_path, write):
    path = getattr(server, write)(tmp_path / "credentials.json")
    credentials = default_credentials(monkeypatch, path, [f"{DRIVE}.readonly"])
    file_id = server.add_file(CONTENT, name="call.wav")
    server.expire_tokens(after_media_bytes=4000)
    assert download(drive(server, credentials=credentials), file_id) == CONTENT
    media = [(each.range, each.status) for each in server.requests if each.kind == "media"]
    assert media[1:3] == [("bytes=4000-7999", 401), ("bytes=4000-7999", 206)]


def test_scopes_that_do_not_allow_a_method_are_refused(server, monkeypatch, tmp_path):
    path = server.service_account_file(tmp_path / "credentials.json")
    credentials = default_credentials(monkeypatch, path, [f"{SHEETS}.readonly"])
    server.set_rows("Responses", [["a"]])
    tab = sheets(server, credentials=credentials).open_by_key("sheet").sheet1
    with pytest.raises(gspread.exceptions.APIError, match="insufficient authentication scopes"):
        tab.update([["b"]])
    with pytest.raises(HttpError, match="insufficient authentication scopes"):
        metadata(drive(server, credentials=credentials), server.add_file(b"", name="a.wav"))


def test_a_revoked_key_and_an_unknown_token_are_refused(server, monkeypatch, tmp_path):
    path = server.service_account_file(tmp_path / "credentials.json")
    credentials = default_credentials(monkeypatch, path, [f"{DRIVE}.readonly"])
    server.fail("token", "invalid_grant")
    with pytest.raises(RefreshError, match="invalid_grant"):
        metadata(drive(server, credentials=credentials), "one")
    server.expire_tokens()
    answer = requests.get(f"{server.drive_endpoint}files", headers={"Authorization": "Bearer no"})
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "authError"
    assert requests.get(f"{server.drive_endpoint}files").status_code == 401


# ---- faults, as table 5b of the references measured them on the stock client -----------------

HALF, OTHER = CONTENT[:5000], bytes(byte ^ 0xFF for byte in CONTENT)
FLIPPED = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("cut_consistent", {}, HALF),
        ("html_200", {}, None),
        ("chunked_no_length", {}, CONTENT[:4000]),
        ("no_length", {}, CONTENT[:4000]),
        ("bit_flip", {}, FLIPPED),
        ("replace_during", {}, CONTENT[:4000] + OTHER[4000:]),
        ("replace_during", {"content": b"x" * 10000}, CONTENT[:4000] + b"x" * 6000),
        ("short_range", {"at": 100}, CONTENT),
        ("short_range", {"at": 100, "honest": False}, CONTENT),
        ("short_content_length", {}, CONTENT),
        ("close_before_status", {}, CONTENT),
        ("ignore_range", {}, CONTENT),
        ("overshoot", {}, CONTENT[:4000] + bytes(10) + CONTENT[4010:]),
        ("stall", {"seconds": 0.1}, CONTENT),
        ("stall", {"seconds": 0.1, "at": 100}, CONTENT),
        ("drip", {"bytes": 2000, "interval": 0.1}, CONTENT),
        ("body", {"body": b"RIFF"}, b"RIFF"),
    ],
)
def test_what_the_stock_client_takes_for_a_success(server, kind, options, expected):
    file_id = server.add_file(CONTENT, name="call.wav")
    fault = server.fail("media", kind, **options)
    content = download(drive(server), file_id)
    assert content == expected or (expected is None and b"<html>" in content)
    assert fault.used == 1 and server.requests[0].fault == kind


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        (503, {}, "backendError"),
        (403, {"reason": "downloadQuotaExceeded"}, "downloadQuotaExceeded"),
        (429, {"style": "new", "reason": "RATE_LIMIT_EXCEEDED"}, "RATE_LIMIT_EXCEEDED"),
        (500, {"style": "html"}, "HttpError 500"),
        ("cut", {"at": 10}, IncompleteRead),
        ("chunked_cut", {"at": 10}, IncompleteRead),
        ("long_content_length", {}, IncompleteRead),
        ("reset", {"at": 10}, ConnectionResetError),
        ("ignore_range", {"nth": 2}, "416"),
        ("token_expires", {}, RefreshError),
    ],
)
def test_what_the_stock_client_raises(server, kind, options, error):
    file_id = server.add_file(CONTENT, name="call.wav")
    fault = server.fail("media", kind, times=None, **options)
    expected, message = (HttpError, error) if isinstance(error, str) else (error, None)
    with pytest.raises(expected, match=message):
        download(drive(server), file_id)
    assert fault.used >= 1


@pytest.mark.parametrize(
    ("kind", "options", "is_retried"),
    [
        (503, {"style": "html"}, True),
        (403, {"reason": "userRateLimitExceeded"}, True),
        ("reset", {}, True),
        (403, {"reason": "dailyLimitExceeded"}, False),
        (403, {"style": "new", "rpc_status": "RESOURCE_EXHAUSTED"}, False),
        ("cut", {}, False),
    ],
)
def test_what_the_stock_client_retries(server, kind, options, is_retried):
    file_id = server.add_file(CONTENT, name="call.wav")
    server.fail("media", kind, times=3, **options)
    if is_retried:
        assert download(drive(server), file_id, retries=5) == CONTENT
        assert server.count("media") == 6
    else:
        with pytest.raises((HttpError, IncompleteRead)):
            download(drive(server), file_id, retries=5)
        assert server.count("media") == 1


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        (429, {"retry_after": 30}, gspread.exceptions.APIError),
        (503, {"style": "html"}, gspread.exceptions.APIError),
        (400, {"style": "string", "reason": "invalid_grant"}, TypeError),
        ("html_200", {}, requests.exceptions.JSONDecodeError),
        ("truncated_json", {}, requests.exceptions.JSONDecodeError),
        ("cut", {}, requests.exceptions.ChunkedEncodingError),
        ("reset", {}, requests.exceptions.RequestException),
        ("close_before_status", {}, requests.exceptions.ConnectionError),
    ],
)
def test_what_stock_gspread_raises(server, kind, options, error):
    server.set_rows("Responses", ROWS)
    server.fail("values", kind, **options)
    with pytest.raises(error) as caught:
        values_get(server)
    if isinstance(caught.value, gspread.exceptions.APIError):
        response = caught.value.response
        assert response.status_code == kind
        assert caught.value.code == (-1 if options.get("style") == "html" else kind)
        assert response.headers.get("Retry-After") == (
            str(options.get("retry_after") or "") or None
        )
    assert values_get(server)["values"]


def test_a_list_answered_with_html_is_a_string(server):
    server.fail("list", "html_200")
    assert isinstance(drive(server).files().list().execute(), str)


def test_a_stall_is_a_timeout_and_ends_with_the_server(server):
    file_id = server.add_file(CONTENT, name="call.wav")
    server.fail("media", "stall", times=None, at=10)
    with pytest.raises(TimeoutError):
        download(drive(server, timeout=0.1), file_id)
    start = time.perf_counter()
    server.close()
    assert time.perf_counter() - start < 0.5


def test_faults_choose_requests_by_kind_file_number_and_path(server):
    first, second = (server.add_file(CONTENT, name=name) for name in ("a.wav", "b.wav"))
    service = drive(server)
    faults = [
        server.fail("meta", 503, file_id=second, nth=2),
        server.fail(f"files/{first}", 404, times=2),
        Fault("media", 500, times=None),
    ]
    server.faults[-1:] = faults[1:]
    results = []
    for file_id in (first, second, first, second, first, second):
        try:
            results.append(metadata(service, file_id)["id"])
        except HttpError as error:
            results.append(error.status_code)
    assert results == [404, second, 404, 503, first, second]
    assert [fault.used for fault in faults] == [1, 2, 0]
    assert server.count("meta") == 6 and server.count("meta", file_id=first) == 3


def test_a_fault_that_does_not_exist_is_refused(server):
    with pytest.raises(ValueError, match=r"fault 'melt', expected a status or one of \['bit_flip'"):
        server.fail("media", "melt")
    with pytest.raises(TypeError, match="unexpected keyword argument 'seconds'"):
        server.fail("media", "cut", seconds=3)
    assert "status" in EFFECTS and not server.faults


def test_a_refused_change_changes_nothing_and_a_lost_answer_does(server):
    server.set_rows("Responses", [["a"]])
    tab = sheets(server).open_by_key("sheet").sheet1
    server.fail("write", 503)
    with pytest.raises(gspread.exceptions.APIError):
        tab.update([["b"]])
    assert server.rows("Responses") == [["a"]]
    server.fail("write", "cut")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        tab.update([["c"]])
    assert server.rows("Responses") == [["c"]]
    assert json.loads(server.requests[-1].body)["values"] == [["c"]]
