"""A server on 127.0.0.1 that speaks as much of Drive v3 and Sheets v4 as this project uses.

It is our reading of Google, so every method, parameter, field and body is checked against the
descriptions of the interfaces that Google ships with its client; see `GoogleServer.complaints`.
"""

import functools
import hashlib
import json
import re
import socket
import struct
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import googleapiclient
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google_faults import Answer, Fault, GoogleError, MisuseError, json_answer, next_fault

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
SHORTCUT = "application/vnd.google-apps.shortcut"
AUDIENCE = "https://oauth2.googleapis.com/token"  # signed by google.auth, whatever token_uri is
SPREADSHEET_EPOCH = datetime(1899, 12, 30)


# ---- what Google's own descriptions allow ----------------------------------------------------


def parse_fields(mask: str) -> dict:
    """Turn `files(id,name),nextPageToken` or `sheets.data/rowData` into nested dicts."""
    tokens = re.findall(r"[^\s(),./]+|[(),./]", mask)

    def group() -> dict:
        tree: dict = {}
        while tokens and tokens[0] != ")":
            node = tree.setdefault(tokens.pop(0), {})
            while tokens and tokens[0] in "./":
                tokens.pop(0)
                node = node.setdefault(tokens.pop(0), {})
            if tokens and tokens[0] == "(":
                tokens.pop(0)
                node.update(group())
                tokens.pop(0)
            if tokens and tokens[0] == ",":
                tokens.pop(0)
        return tree

    return group()


def prune(value, tree: dict):
    """Keep what the parsed `fields` ask for."""
    if not tree or "*" in tree:
        return value
    if isinstance(value, list):
        return [prune(item, tree) for item in value]
    return {name: prune(value[name], tree[name]) for name in value if name in tree}


class Discovery:
    """The methods and schemas of one API, as described by Google."""

    def __init__(self, name: str, root: str):
        self.document = json.loads((DOCUMENTS / f"{name}.json").read_text())
        self.root = root
        # literal paths first: files/generateIds is not the file called generateIds
        self.methods = sorted(self._methods(self.document), key=lambda each: each[0].groups)

    def _methods(self, resource: dict):
        for method in resource.get("methods", {}).values():
            pattern = re.sub(r"\\{\\?\+?(\w+)\\}", r"(?P<\1>[^/]+?)", re.escape(method["path"]))
            yield re.compile(self.root + pattern), method
        for inner in resource.get("resources", {}).values():
            yield from self._methods(inner)

    def find(self, verb: str, path: str) -> tuple[dict, dict[str, str]] | None:
        for pattern, method in self.methods:
            if method["httpMethod"] == verb and (match := pattern.fullmatch(path)):
                return method, {name: unquote(part) for name, part in match.groupdict().items()}
        return None

    def check(self, method: dict, query: dict, body: object) -> None:
        """Refuse what the description does not know.

        Raises:
            GoogleError: 400, as Google refuses it
        """
        allowed = {**self.document["parameters"], **method.get("parameters", {})}
        for name, value in query.items():
            if name not in allowed or allowed[name].get("location") == "path":
                raise invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot bind.')
            self._check_value(name, value, allowed[name])
        if query.get("alt") == "media" and not method.get("supportsMediaDownload"):
            raise invalid("alt=media is not supported by this method")
        if "fields" in query and query.get("alt") != "media":
            self._check_fields(query["fields"], method["response"])
        if body is not None:
            self._check_body(body, method.get("request", {"properties": {}}), "")

    def _check_value(self, name: str, value, schema: dict) -> None:
        if isinstance(value, list):
            if not schema.get("repeated"):
                raise invalid(f"Invalid value at '{name}': it is given {len(value)} times")
            return
        if "enum" in schema and value not in schema["enum"]:
            raise invalid(f"Invalid value at '{name}': \"{value}\"", location=name)
        if schema["type"] == "boolean" and value.lower() not in ("true", "false"):
            raise invalid(f"Invalid value at '{name}' (TYPE_BOOL), \"{value}\"", location=name)
        if schema["type"] == "integer" and not re.fullmatch(r"-?\d+", value):
            raise invalid(f"Invalid value at '{name}' (TYPE_INT32), \"{value}\"", location=name)

    def _resolve(self, schema: dict) -> dict:
        while "$ref" in schema or schema.get("type") == "array":
            if "$ref" in schema:
                schema = self.document["schemas"][schema["$ref"]]
            else:
                schema = schema["items"]
        return schema

    def _check_fields(self, mask: str, schema: dict) -> None:
        def walk(tree, schema):
            schema = self._resolve(schema)
            for name, inner in tree.items():
                known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
                if name != "*" and known is None:
                    raise invalid(f"Invalid field selection {name}", location="fields")
                walk(inner, known or {})

        try:
            tree = parse_fields(mask)
        except IndexError:
            raise invalid(f"Invalid field selection {mask}", location="fields") from None
        walk(tree, schema)

    def _check_body(self, value, schema: dict, place: str) -> None:
        if isinstance(value, list):
            for number, item in enumerate(value):
                self._check_body(item, schema.get("items", schema), f"{place}[{number}]")
        elif isinstance(value, dict):
            schema = self._resolve(schema)
            for name, inner in value.items():
                known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
                if known is None:
                    raise invalid(
                        f'Invalid JSON payload received. Unknown name "{name}" at '
                        f"'{place.lstrip('.')}': Cannot find field."
                    )
                self._check_body(inner, known, f"{place}.{name}")


def invalid(message: str, *, location: str | None = None) -> MisuseError:
    details = {"location": location, "locationType": "parameter"} if location else {}
    reason = "invalidParameter" if location else "badRequest"
    return MisuseError(400, message, reason, **details)


def is_true(query: dict, name: str) -> bool:
    return query.get(name, "false").lower() == "true"


# ---- Drive -----------------------------------------------------------------------------------


class DriveFile:
    """One file: its content (None: a native Google file, folder or shortcut) and metadata.

    `denied` is "notFound" or the reason of a 403, `abusive` needs acknowledgeAbuse to be read,
    and a file that is not `listed` is found by its id only, like a fresh upload.
    """

    revisions = 0

    def __init__(self, content, fields, *, denied=None, abusive=False, listed=True):
        self.fields, self.denied, self.abusive, self.listed = fields, denied, abusive, listed
        self.replace(content)

    def replace(self, content: bytes | None) -> None:
        DriveFile.revisions += 1
        self.content, self.revision = content, DriveFile.revisions

    @property
    def metadata(self) -> dict:
        changed = datetime(2026, 1, 1) + timedelta(seconds=self.revision)
        values = {
            "kind": "drive#file",
            "modifiedTime": changed.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "capabilities": {"canDownload": self.denied is None},
        }
        if self.content is not None:
            values |= {
                "size": str(len(self.content)),
                "md5Checksum": hashlib.md5(self.content).hexdigest(),
                "sha1Checksum": hashlib.sha1(self.content).hexdigest(),
                "sha256Checksum": hashlib.sha256(self.content).hexdigest(),
                "headRevisionId": f"revision-{self.revision}",
                "originalFilename": self.fields["name"],
            }
        values |= self.fields
        return {name: value for name, value in values.items() if value is not None}


class Drive:
    """All files, and how listing them misbehaves."""

    def __init__(self):
        self.files: dict[str, DriveFile] = {}
        self.incomplete_search = False
        self.empty_pages = 0  # pages without files before those with files
        self.reject_page_tokens = 0  # page tokens to refuse from now on
        self.largest_page = 1000

    def find(self, query: dict) -> DriveFile:
        file_id = query["fileId"]
        file = self.files.get(file_id)
        hidden = file and "driveId" in file.fields and not is_true(query, "supportsAllDrives")
        if not file or hidden or file.denied == "notFound":
            where = {"location": "fileId", "locationType": "parameter"}
            raise GoogleError(404, f"File not found: {file_id}.", "notFound", **where)
        if file.denied:
            message = "The user does not have sufficient permissions for this file."
            raise GoogleError(403, message, file.denied)
        return file

    def get(self, query: dict, request) -> Answer:
        file = self.find(query)
        if query.get("alt") == "media":
            return self._content(file, query, request.range)
        fields = parse_fields(query.get("fields", "kind,id,name,mimeType"))
        return json_answer(prune(file.metadata, fields))

    def _content(self, file: DriveFile, query: dict, span: str | None) -> Answer:
        if file.content is None:
            message = "Only files with binary content can be downloaded."
            raise GoogleError(403, message, "fileNotDownloadable")
        if file.abusive and not is_true(query, "acknowledgeAbuse"):
            message = "This file has been identified as malware or spam."
            raise GoogleError(403, message, "cannotDownloadAbusiveFile")
        size, content_type = len(file.content), file.fields["mimeType"]
        whole = Answer(file.content, 200, content_type, file=file, whole=file.content)
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", span or "")
        if not match or not any(match.groups()):
            return whole
        first, last = match.groups()
        start = int(first) if first else max(size - int(last), 0)
        stop = min(int(last) + 1, size) if first and last else size
        if start >= size or stop <= start:
            error = GoogleError(
                416, "Request range not satisfiable", "requestedRangeNotSatisfiable"
            )
            answer = error.answer("drive")
            answer.headers["Content-Range"] = f"bytes */{size}"
            return answer
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        body = file.content[start:stop]
        return Answer(body, 206, content_type, headers, file=file, whole=file.content)

    def list(self, query: dict, request) -> Answer:
        token = re.fullmatch(r"page-(\d+)-(\d+)", query.get("pageToken", "page-0-0"))
        if "pageToken" in query and self.reject_page_tokens:
            self.reject_page_tokens -= 1
            token = None
        if token is None:
            where = {"location": "pageToken", "locationType": "parameter"}
            raise GoogleError(400, "Invalid Value", "invalid", **where)
        start, empty = map(int, token.groups())
        conditions = parse_q(query.get("q", ""))
        found = [
            file
            for file in self.files.values()
            if self._is_listed(file, query) and all(each(file.metadata) for each in conditions)
        ]
        size = min(int(query.get("pageSize", 100)), self.largest_page)
        if empty < self.empty_pages:
            page, following = [], f"page-{start}-{empty + 1}"
        else:
            page, following = found[start : start + size], f"page-{start + size}-{empty}"
        listing = {"kind": "drive#fileList", "incompleteSearch": self.incomplete_search}
        if (not page and found[start:]) or start + size < len(found):
            listing["nextPageToken"] = following
        listing["files"] = [file.metadata for file in page]
        default = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)"
        return json_answer(prune(listing, parse_fields(query.get("fields", default))))

    def _is_listed(self, file: DriveFile, query: dict) -> bool:
        shared = is_true(query, "supportsAllDrives") and is_true(query, "includeItemsFromAllDrives")
        if file.denied == "notFound" or not file.listed:
            return False
        if "driveId" in file.fields and not shared:
            return False
        one_drive = query.get("corpora") == "drive"
        return not one_drive or file.fields.get("driveId") == query.get("driveId")


def parse_q(text: str) -> list:
    """Turn a search such as `'folder' in parents and trashed = false` into functions."""
    quoted = r"'((?:[^'\\]|\\['\\])*)'"
    terms = {
        rf"{quoted} in parents": lambda text: lambda file: text in file.get("parents", []),
        rf"name ?= ?{quoted}": lambda text: lambda file: file["name"].lower() == text.lower(),
        rf"mimeType ?= ?{quoted}": lambda text: lambda file: file["mimeType"] == text,
        rf"mimeType ?!= ?{quoted}": lambda text: lambda file: file["mimeType"] != text,
        r"trashed ?= ?(true|false)": lambda text: lambda file: (text == "true") == file["trashed"],
    }
    conditions, rest = [], text.strip()
    while rest:
        for pattern, make in terms.items():
            if match := re.match(rf"{pattern}(?: and (?=\S)|$)", rest):
                conditions.append(make(re.sub(r"\\(.)", r"\1", match[1])))
                rest = rest[match.end() :]
                break
        else:
            raise MisuseError(400, f"Invalid Value: q = {text}", "invalid", location="q")
    return conditions


# ---- Sheets ----------------------------------------------------------------------------------


def column_letters(number: int) -> str:
    letters = ""
    while number >= 0:
        letters = chr(65 + number % 26) + letters
        number = number // 26 - 1
    return letters


def column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - 64
    return number - 1


@dataclass
class Tab:
    """One sheet of a spreadsheet; cells are str, int, float, bool or None."""

    title: str
    number: int
    rows: list[list] = field(default_factory=list)
    row_count: int = 1000
    column_count: int = 26
    date_columns: frozenset[int] = frozenset()
    chips: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    links: dict[tuple[int, int], str] = field(default_factory=dict)

    def cell(self, row: int, column: int):
        cells = self.rows[row] if row < len(self.rows) else []
        return cells[column] if column < len(cells) else None

    def put(self, row: int, column: int, value) -> None:
        self.rows += [[] for _ in range(row + 1 - len(self.rows))]
        cells = self.rows[row]
        cells += [None] * (column + 1 - len(cells))
        cells[column] = value

    @property
    def properties(self) -> dict:
        grid = {"rowCount": self.row_count, "columnCount": self.column_count}
        names = {"sheetId": self.number, "title": self.title, "index": self.number}
        return {**names, "sheetType": "GRID", "gridProperties": grid}


@dataclass
class Area:
    """A rectangle of cells; stop is exclusive; `anchor`: it was given as a single cell."""

    tab: Tab
    top: int
    left: int
    bottom: int
    right: int
    anchor: bool = False

    def __str__(self):
        plain = re.fullmatch(r"\w+", self.tab.title)
        title = self.tab.title.replace("'", "''")
        start = f"{column_letters(self.left)}{self.top + 1}"
        stop = f"{column_letters(self.right - 1)}{self.bottom}"
        return (title if plain else f"'{title}'") + f"!{start}" + f":{stop}" * (start != stop)


@dataclass
class Spreadsheet:
    """Tabs, and how their cells are shown; `denied` makes every request fail with 403."""

    tabs: dict[str, Tab] = field(default_factory=dict)
    title: str = "Calls (Responses)"
    locale: str = "en_US"
    time_zone: str = "Europe/London"
    date_pattern: str = "%m/%d/%Y %H:%M:%S"
    denied: bool = False

    def area(self, text: str) -> Area:
        """Find the cells that `'Tab'!A2:C` or `Tab` stands for."""
        match = re.fullmatch(r"(?:'((?:[^']|'')+)'|([^'!]+))(?:!(.+))?", text)
        title = match and (match[1].replace("''", "'") if match[1] else match[2])
        cells = match and match[3]
        if title not in self.tabs and not cells and self.tabs:
            title, cells = next(iter(self.tabs)), text  # cells of the first tab
        tab = self.tabs.get(title)
        parts = re.fullmatch(r"([A-Za-z]*)(\d*)(?:(:)([A-Za-z]*)(\d*))?", cells or "A1:")
        if not tab or not parts or not (parts[3] or (parts[1] and parts[2])):
            raise GoogleError(400, f"Unable to parse range: {text}")
        top = int(parts[2] or 1) - 1
        left = column_number(parts[1] or "A")
        bottom = int(parts[5] or tab.row_count) if parts[3] else top + 1
        right = column_number(parts[4]) + 1 if parts[4] else tab.column_count
        area = Area(tab, top, left, bottom, right if parts[3] else left + 1, not parts[3])
        if top >= tab.row_count or left >= tab.column_count:
            raise self._too_far(area)
        area.bottom, area.right = min(bottom, tab.row_count), min(area.right, tab.column_count)
        return area

    def _too_far(self, area: Area) -> GoogleError:
        size = f"Max rows: {area.tab.row_count}, max columns: {area.tab.column_count}"
        return GoogleError(400, f"Range ({area}) exceeds grid limits. {size}")

    def shown(self, tab: Tab, row: int, column: int) -> str:
        cell = tab.cell(row, column)
        if cell is None or isinstance(cell, bool):
            return "" if cell is None else str(cell).upper()
        if isinstance(cell, int | float) and column in tab.date_columns:
            moment = SPREADSHEET_EPOCH + timedelta(seconds=round(cell * 86400))
            return moment.strftime(self.date_pattern)
        return str(plain_number(cell))

    def values(self, area: Area, query: dict) -> dict:
        """Build a ValueRange: without the empty cells and rows at the end."""
        raw = query.get("valueRenderOption", "FORMATTED_VALUE") != "FORMATTED_VALUE"
        text_dates = query.get("dateTimeRenderOption") == "FORMATTED_STRING"

        def render(row, column):
            if raw and not (text_dates and column in area.tab.date_columns):
                cell = area.tab.cell(row, column)
                return "" if cell is None else plain_number(cell)
            return self.shown(area.tab, row, column)

        bottom = min(area.bottom, len(area.tab.rows))
        rows = []
        for row in range(area.top, bottom):
            width = min(area.right, len(area.tab.rows[row]))
            rows.append(without_end([render(row, each) for each in range(area.left, width)], ""))
        rows = without_end(rows, [])
        answer = {"range": str(area), "majorDimension": "ROWS"}
        return {**answer, "values": rows} if rows else answer

    def update(self, area: Area, rows: list[list], option: str | None) -> dict:
        if option not in ("RAW", "USER_ENTERED"):
            raise MisuseError(400, "'valueInputOption' is required but not specified")
        height, width = len(rows), max(map(len, rows), default=0)
        if not area.anchor and (height > area.bottom - area.top or width > area.right - area.left):
            message = f"Requested writing within range [{area}], but tried writing beyond it"
            raise GoogleError(400, message)
        written = Area(area.tab, area.top, area.left, area.top + height, area.left + width)
        if written.bottom > area.tab.row_count or written.right > area.tab.column_count:
            raise self._too_far(written)
        for row, cells in enumerate(rows, area.top):
            for column, value in enumerate(cells, area.left):
                if value is not None:  # null means: leave it as it is
                    area.tab.put(row, column, entered(value) if option != "RAW" else value)
        sizes = {"updatedRows": height, "updatedColumns": width}
        cells = sum(map(len, rows))
        return {"updatedRange": str(written), **sizes, "updatedCells": cells}

    def cell_data(self, tab: Tab, row: int, column: int) -> dict:
        cell = tab.cell(row, column)
        if cell is None:
            return {}
        kinds = {str: "stringValue", bool: "boolValue"}
        value = {kinds.get(type(cell), "numberValue"): cell}
        shown = self.shown(tab, row, column)
        data = {"userEnteredValue": value, "effectiveValue": value, "formattedValue": shown}
        if (row, column) in tab.links:
            data["hyperlink"] = tab.links[row, column]
        if (row, column) in tab.chips:
            data["chipRuns"] = chip_runs(shown, tab.chips[row, column])
        return data

    def grid_data(self, area: Area) -> dict:
        rows = []
        for row in range(area.top, min(area.bottom, len(area.tab.rows))):
            columns = range(area.left, min(area.right, len(area.tab.rows[row])))
            cells = without_end([self.cell_data(area.tab, row, each) for each in columns], {})
            rows.append({"values": cells} if cells else {})
        start = {"startRow": area.top, "startColumn": area.left}
        return {**{name: value for name, value in start.items() if value}, "rowData": rows}


def plain_number(cell):
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def without_end(items: list, empty) -> list:
    while items and items[-1] == empty:
        items = items[:-1]
    return items


def entered(value):
    """What becomes of a value that is put in as if typed: numbers and formulas are understood."""
    if isinstance(value, str) and value.startswith("="):
        return "#NAME?"
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", value):
        return plain_number(float(value))
    return value.removeprefix("'") if isinstance(value, str) else value


def chip_runs(text: str, links: list[str]) -> list[dict]:
    """One run per link, over the names that `, ` separates, and runs without a chip between."""
    runs, start = [], 0
    for number, (name, link) in enumerate(zip(text.split(", "), links, strict=False)):
        if number:
            runs.append({"startIndex": start - 2, "chip": {}})
        position = {"startIndex": start} if start else {}
        runs.append({**position, "chip": {"richLinkProperties": {"uri": link}}})
        start += len(name) + 2
    return runs


class Sheets:
    """All spreadsheets, by id."""

    def __init__(self):
        self.spreadsheets: dict[str, Spreadsheet] = {}

    def find(self, query: dict) -> Spreadsheet:
        spreadsheet = self.spreadsheets.get(query["spreadsheetId"])
        if spreadsheet is None:
            raise GoogleError(404, "Requested entity was not found.")
        if spreadsheet.denied:
            raise GoogleError(403, "The caller does not have permission")
        return spreadsheet

    def get(self, query: dict, request) -> Answer:
        spreadsheet = self.find(query)
        mask = parse_fields(query.get("fields", ""))
        ranges = query.get("ranges", [])
        areas = [
            spreadsheet.area(text) for text in ([ranges] if isinstance(ranges, str) else ranges)
        ]
        sheets = []
        for tab in spreadsheet.tabs.values():
            mine = [area for area in areas if area.tab is tab]
            if areas and not mine:
                continue
            sheet = {"properties": tab.properties}
            # Google ignores includeGridData where there is a mask
            if mask or is_true(query, "includeGridData"):
                everything = Area(tab, 0, 0, tab.row_count, tab.column_count)
                sheet["data"] = [spreadsheet.grid_data(area) for area in mine or [everything]]
            sheets.append(sheet)
        names = {"title": spreadsheet.title, "locale": spreadsheet.locale}
        properties = {**names, "timeZone": spreadsheet.time_zone}
        identity = {"spreadsheetId": query["spreadsheetId"], "properties": properties}
        return json_answer(prune({**identity, "sheets": sheets}, mask))

    def values_get(self, query: dict, request) -> Answer:
        spreadsheet = self.find(query)
        return json_answer(spreadsheet.values(spreadsheet.area(query["range"]), query))

    def values_update(self, query: dict, request) -> Answer:
        spreadsheet, rows = self.find(query), request.json.get("values", [])
        area = spreadsheet.area(query["range"])
        done = spreadsheet.update(area, rows, query.get("valueInputOption"))
        return json_answer({"spreadsheetId": query["spreadsheetId"], **done})

    def values_batch_update(self, query: dict, request) -> Answer:
        spreadsheet, body = self.find(query), request.json
        jobs = [(spreadsheet.area(each["range"]), each["values"]) for each in body["data"]]
        option = body.get("valueInputOption")
        done = [spreadsheet.update(area, rows, option) for area, rows in jobs]
        return json_answer({"spreadsheetId": query["spreadsheetId"], "responses": done})

    def values_clear(self, query: dict, request) -> Answer:
        spreadsheet = self.find(query)
        area = spreadsheet.area(query["range"])
        for row in range(area.top, min(area.bottom, len(area.tab.rows))):
            for column in range(area.left, min(area.right, len(area.tab.rows[row]))):
                area.tab.put(row, column, None)
        return json_answer(
            {"spreadsheetId": query["spreadsheetId"], "clearedRange": str(area)},
        )

    def batch_update(self, query: dict, request) -> Answer:
        spreadsheet, replies = self.find(query), []
        for number, change in enumerate(request.json["requests"]):
            if list(change) == ["appendDimension"]:
                self._append_rows(spreadsheet, change["appendDimension"])
                replies.append({})
                continue
            if list(change) != ["addSheet"]:
                raise MisuseError(501, f"this server does not know {list(change)}")
            properties = change["addSheet"]["properties"]
            grid, title = properties.get("gridProperties", {}), properties["title"]
            if title in spreadsheet.tabs:
                message = f'A sheet with the name "{title}" already exists.'
                raise GoogleError(400, f"Invalid requests[{number}].addSheet: {message}")
            size = grid.get("rowCount", 1000), grid.get("columnCount", 26)
            spreadsheet.tabs[title] = Tab(title, len(spreadsheet.tabs), [], *size)
            replies.append({"addSheet": {"properties": spreadsheet.tabs[title].properties}})
        return json_answer({"spreadsheetId": query["spreadsheetId"], "replies": replies})

    def _append_rows(self, spreadsheet: Spreadsheet, wanted: dict) -> None:
        tabs = [tab for tab in spreadsheet.tabs.values() if tab.number == wanted["sheetId"]]
        if not tabs or wanted["dimension"] != "ROWS":
            raise GoogleError(400, f"Invalid requests[0].appendDimension: {wanted}")
        tabs[0].row_count += wanted["length"]


# ---- tokens ----------------------------------------------------------------------------------


@functools.cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_bytes(serialization.Encoding.PEM, form).decode()
    form, secrecy = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, secrecy).decode()


class TokenService:
    """Gives tokens for a signed claim, a refresh token or a subject token, and remembers scopes.

    `grants` has one dict per token given: "kind", "scopes" and for service accounts the "claims".
    """

    def __init__(self):
        self.tokens = {"test-token"}
        self.federated: set[str] = set()  # good for impersonation only
        self.scopes: dict[str, list[str]] = {}  # of the tokens given here
        self.grants: list[dict] = []
        self.subject_token = f"subject-{uuid.uuid4().hex}"
        self.refresh_token = f"refresh-{uuid.uuid4().hex}"

    def give(self, kind: str, scopes: list[str], **known) -> str:
        token = f"token-{uuid.uuid4().hex}"
        self.grants.append({"kind": kind, "scopes": scopes, **known})
        self.scopes[token] = scopes
        (self.federated if kind == "federated" else self.tokens).add(token)
        return token

    def answer(self, path: str, body: bytes, token: str | None) -> Answer:
        if path.endswith(":generateAccessToken"):
            return self._impersonate(json.loads(body), token)
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        kind, scopes = form.get("grant_type", "").split(":")[-1], form.get("scope", "").split()
        if kind == "jwt-bearer":
            given = self._for_claims(form["assertion"])
        elif kind == "refresh_token" and form["refresh_token"] == self.refresh_token:
            given = self.give("refreshed", scopes or ["https://www.googleapis.com/auth/drive"])
        elif kind == "token-exchange" and form["subject_token"] == self.subject_token:
            given = self.give("federated", scopes, audience=form["audience"])
        else:
            raise GoogleError(400, "Bad Request", "invalid_grant")
        shape = "urn:ietf:params:oauth:token-type:access_token"
        times = {"token_type": "Bearer", "expires_in": 3600, "issued_token_type": shape}
        return json_answer({"access_token": given, **times}, api="token")

    def _for_claims(self, assertion: str) -> str:
        try:
            key = pem(private_key().public_key())
            claims = jwt.decode(assertion, certs=key, audience=AUDIENCE)
        except Exception as error:
            raise GoogleError(400, f"Invalid JWT: {error}", "invalid_grant") from error
        return self.give("service account", claims["scope"].split(), claims=claims)

    def _impersonate(self, wanted: dict, token: str | None) -> Answer:
        if token not in self.federated:
            raise GoogleError(401, "Request had invalid authentication credentials.")
        end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        given = self.give("impersonated", wanted["scope"])
        return json_answer({"accessToken": given, "expireTime": end}, api="token")

    def check(self, token: str | None, method: dict) -> None:
        """Refuse an unknown token, and one whose scopes do not allow this method."""
        if token not in self.tokens:
            where = {"location": "Authorization", "locationType": "header"}
            raise GoogleError(401, "Invalid Credentials", "authError", **where)
        scopes = self.scopes.get(token)
        if scopes is not None and not set(scopes) & set(method["scopes"]):
            message = "Request had insufficient authentication scopes."
            raise GoogleError(403, message, "insufficientPermissions")


# ---- the server ------------------------------------------------------------------------------


@dataclass
class Request:
    """What came in and what went out; never the value of Authorization."""

    method: str
    path: str
    query: dict[str, str | list[str]]
    headers: dict[str, str]
    has_authorization: bool
    body: bytes  # empty for tokens: it is a credential
    kind: str = "other"
    api: str = "drive"
    file_id: str | None = None
    fault: str | None = None
    status: int | None = None  # None: closed before the status
    sent: int = 0  # bytes of the body

    @property
    def range(self) -> str | None:
        return self.headers.get("range")

    @property
    def json(self) -> dict:
        return json.loads(self.body or b"{}")


class Handler(BaseHTTPRequestHandler):
    """Reads a request, and sends the answer in the way the answer says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_request(self) -> None:
        google: GoogleServer = self.server.google
        url = urlsplit(self.path)
        lists = parse_qs(url.query, keep_blank_values=True)
        query = {name: values[0] if len(values) == 1 else values for name, values in lists.items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        token = headers.pop("authorization", None)
        body = self.rfile.read(int(headers.get("content-length", 0)))
        request = Request(self.command, url.path, query, headers, token is not None, body)
        answer = google.answer(request, token and token.removeprefix("Bearer "))
        try:
            self.deliver(answer, request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815

    def deliver(self, answer: Answer, request: Request) -> None:
        google = self.server.google
        if answer.ending != "keep":
            self.close_connection = True
        if answer.pause and answer.pause_at is None and google.closing.wait(answer.pause):
            return
        if answer.ending == "silent":
            return
        request.status = answer.status
        self.send_head(answer)
        for wait, piece in answer.pieces():
            if wait and google.closing.wait(wait):
                self.close_connection = True
                return
            if not piece:
                continue
            chunked = answer.framing == "chunked"
            request.sent += len(piece)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            google.count_media(request, len(piece))
        if answer.framing == "chunked" and answer.ending == "keep":
            self.wfile.write(b"0\r\n\r\n")
        if answer.ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())

    def send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if answer.framing == "length":
            declared = len(answer.body) if answer.declared is None else answer.declared
            self.send_header("Content-Length", str(declared))
        elif answer.framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_):
        pass


class HTTPServer(ThreadingHTTPServer):
    """Knows its connections, so that none outlives it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, google: "GoogleServer"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.google, self.connections = google, set()

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # the client went away; what goes wrong here is in `complaints`


class GoogleServer:
    """Drive, Sheets and tokens on a free port; a context manager.

    Attributes:
        drive, sheets, auth: the state, for what the methods below do not set
        faults: what goes wrong, the first that is armed for a request wins
        requests: every request, in order
        complaints: requests that Google would not understand, or this server does not
        require_auth: whether requests without a known token are refused
    """

    def __init__(self):
        self._http = HTTPServer(self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.drive_endpoint, self.sheets_endpoint = f"{self.url}/drive/v3/", f"{self.url}/"
        self.token_url = f"{self.url}/token"
        self.drive, self.sheets, self.auth = Drive(), Sheets(), TokenService()
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self.require_auth = True
        self.closing = threading.Event()
        self.lock = threading.RLock()
        self._media_sent, self._expiry = 0, None
        self._apis = discoveries()
        self._actions = {
            "drive.files.get": self.drive.get,
            "drive.files.list": self.drive.list,
            "sheets.spreadsheets.get": self.sheets.get,
            "sheets.spreadsheets.batchUpdate": self.sheets.batch_update,
            "sheets.spreadsheets.values.get": self.sheets.values_get,
            "sheets.spreadsheets.values.update": self.sheets.values_update,
            "sheets.spreadsheets.values.batchUpdate": self.sheets.values_batch_update,
            "sheets.spreadsheets.values.clear": self.sheets.values_clear,
        }
        run = functools.partial(self._http.serve_forever, poll_interval=0.02)
        threading.Thread(target=run, daemon=True).start()

    def __enter__(self) -> "GoogleServer":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End at once, also what stalls."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._http.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already

    # What tests set up

    def add_file(
        self,
        content: bytes | None,
        *,
        name: str,
        file_id: str | None = None,
        mime_type: str = "audio/wav",
        parents=("folder",),
        trashed: bool = False,
        denied: str | None = None,
        abusive: bool = False,
        listed: bool = True,
        **fields,
    ) -> str:
        """Add a file; `fields` are metadata that override what the content says (None: absent)."""
        file_id = file_id or f"file-{len(self.drive.files) + 1:03}-{uuid.uuid4().hex[:8]}"
        known = {"id": file_id, "name": name, "mimeType": mime_type, "parents": list(parents)}
        known |= {"trashed": trashed, **fields}
        file = DriveFile(content, known, denied=denied, abusive=abusive, listed=listed)
        self.drive.files[file_id] = file
        return file_id

    def add_shortcut(self, target_id: str, *, name: str, **options) -> str:
        target = self.drive.files.get(target_id)
        details = {"targetId": target_id}
        details |= {"targetMimeType": target.fields["mimeType"]} if target else {}
        options = {"mime_type": SHORTCUT, "shortcutDetails": details, **options}
        return self.add_file(None, name=name, **options)

    def replace_file(self, file_id: str, content: bytes) -> None:
        self.drive.files[file_id].replace(content)

    def trash_file(self, file_id: str) -> None:
        self.drive.files[file_id].fields["trashed"] = True

    def delete_file(self, file_id: str) -> None:
        del self.drive.files[file_id]

    def spreadsheet(self, sheet_id: str = "sheet") -> Spreadsheet:
        """Give the spreadsheet, made if need be, to set locale, time_zone, denied and so on."""
        return self.sheets.spreadsheets.setdefault(sheet_id, Spreadsheet())

    def set_rows(
        self, tab: str, rows, *, sheet_id="sheet", date_columns=(), chips=None, links=None
    ) -> None:
        """Set all cells of a tab; chips and links are by (row, column), counted from 0."""
        tabs = self.spreadsheet(sheet_id).tabs
        known = tabs.setdefault(tab, Tab(tab, len(tabs)))
        known.rows = [list(row) for row in rows]
        known.row_count = max(known.row_count, len(known.rows))
        known.column_count = max([known.column_count, *map(len, known.rows)])
        known.date_columns = frozenset(date_columns)
        known.chips, known.links = dict(chips or {}), dict(links or {})

    def rows(self, tab: str, *, sheet_id: str = "sheet") -> list[list]:
        """Give the cells as they are now."""
        return [list(row) for row in self.sheets.spreadsheets[sheet_id].tabs[tab].rows]

    def fail(self, match: str, kind: str | int, times: int | None = 1, **options) -> Fault:
        """Add a fault, see `google_faults.Fault`; it comes after those added before."""
        self.faults.append(Fault(match, kind, times, **options))
        return self.faults[-1]

    @property
    def tokens(self) -> set[str]:
        return self.auth.tokens

    def expire_tokens(self, *, after_media_bytes: int | None = None) -> None:
        """Make all tokens unknown, now or once so many bytes of content are sent from now on."""
        if after_media_bytes is None:
            self._expiry = None
            self.auth.tokens.clear()
        else:
            self._expiry = self._media_sent + after_media_bytes

    def service_account_file(self, path: Path) -> Path:
        account = {
            "type": "service_account",
            "project_id": "call-emotion-test",
            "private_key_id": "key-1",
            "private_key": pem(private_key()),
            "client_email": "ingest@call-emotion-test.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": self.token_url,
        }
        path.write_text(json.dumps(account))
        return path

    def workload_identity_file(self, path: Path) -> Path:
        """Write the credentials of a CI job; no project in it: google.auth would look it up."""
        subject = path.with_suffix(".subject")
        subject.write_text(self.auth.subject_token)
        email = "ingest@call-emotion-test.iam.gserviceaccount.com"
        account = f"{self.url}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
        identity = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/workloadIdentityPools/pool/providers/ci",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{self.url}/sts",
            "service_account_impersonation_url": account,
            "credential_source": {"file": str(subject)},
        }
        path.write_text(json.dumps(identity))
        return path

    # What tests look at

    def count(self, kind: str, *, file_id: str | None = None) -> int:
        return sum(
            each.kind == kind and file_id in (None, each.file_id) for each in list(self.requests)
        )

    # What the handler calls

    def answer(self, request: Request, token: str | None) -> Answer:
        with self.lock:
            self.requests.append(request)
            try:
                return self._answer(request, token)
            except GoogleError as error:
                if isinstance(error, MisuseError):
                    self._complain(request, error)
                return error.answer(request.api)
            except Exception as error:
                self._complain(request, error)
                return GoogleError(500, f"{type(error).__name__}: {error}").answer(request.api)

    def _answer(self, request: Request, token: str | None) -> Answer:
        if request.path in ("/token", "/sts") or ":generateAccessToken" in request.path:
            request.kind, request.api = "token", "token"
            body, request.body = request.body, b""
            return self._act(request, lambda: self.auth.answer(request.path, body, token))
        api = "drive" if request.path.startswith("/drive/") else "sheets"
        request.api, discovery = api, self._apis[api]
        found = discovery.find(request.method, request.path)
        if found is None:
            raise MisuseError(501, "no such method")
        method, parameters = found
        request.kind, request.file_id = kind_of(method, request), parameters.get("fileId")
        discovery.check(method, request.query, request.json if request.body else None)
        if self.require_auth or token:
            self.auth.check(token, method)
        action = self._actions.get(method["id"])
        if action is None:
            raise MisuseError(501, f"this server does not know {method['id']}")
        return self._act(request, lambda: action({**request.query, **parameters}, request))

    def _act(self, request: Request, action) -> Answer:
        fault = next_fault(self.faults, request)
        if fault is None:
            return action()
        request.fault = fault.kind
        if fault.before_acting:
            return fault.apply(self, Answer(api=request.api))
        try:
            answer = action()
        except MisuseError:
            raise
        except GoogleError as error:
            answer = error.answer(request.api)
        return fault.apply(self, answer)

    def _complain(self, request: Request, error: Exception) -> None:
        self.complaints.append(f"{request.method} {request.path} {request.query}: {error}")

    def count_media(self, request: Request, size: int) -> None:
        with self.lock:
            self._media_sent += size if request.kind == "media" else 0
            if self._expiry is not None and self._media_sent >= self._expiry:
                self.expire_tokens()


def kind_of(method: dict, request: Request) -> str:
    kinds = {"drive.files.list": "list", "sheets.spreadsheets.get": "sheet"}
    if method["id"] == "drive.files.get":
        return "media" if request.query.get("alt") == "media" else "meta"
    if method["id"].startswith("sheets."):
        kinds["sheets.spreadsheets.values.get"] = "values"
        return kinds.get(method["id"], "write")
    return kinds.get(method["id"], "other")


@functools.cache
def discoveries() -> dict[str, Discovery]:
    return {"drive": Discovery("drive.v3", "/drive/v3/"), "sheets": Discovery("sheets.v4", "/")}
