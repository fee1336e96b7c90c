"""A server on 127.0.0.1 that speaks as much of Drive v3 and Sheets v4 as this project uses.

It is our reading of Google, so every method, parameter, field and body is checked against the
descriptions of the interfaces that Google ships with its client; see `GoogleServer.complaints`.
"""

import base64
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
from google_faults import Answer, Fault, GoogleError, json_answer, next_fault

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
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


def invalid(message: str, *, location: str | None = None) -> GoogleError:
    details = {"location": location, "locationType": "parameter"} if location else {}
    reason = "invalidParameter" if location else "badRequest"
    return GoogleError(400, message, reason, **details)


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
            error = GoogleError(416, "Request range not satisfiable", "requestedRangeNotSatisfiable")
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
        found = [file for file in self.files.values() if self._is_listed(file, query)]
        size = min(int(query.get("pageSize", 100)), self.largest_page)
        if empty < self.empty_pages:
            page, following = [], f"page-{start}-{empty + 1}"
        else:
            page, following = found[start : start + size], f"page-{start + size}-{empty}"
        listing = {"kind": "drive#fileList", "incompleteSearch": self.incomplete_search}
        if not page and found[start:] or start + size < len(found):
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
        if query.get("corpora") == "drive" and file.fields.get("driveId") != query.get("driveId"):
            return False
        return all(condition(file.metadata) for condition in parse_q(query.get("q", "")))


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
            raise GoogleError(400, "Invalid Value", "invalid", location="q")
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
        return f"{title if plain else repr_quoted(title)}!{start}" + f":{stop}" * (start != stop)


def repr_quoted(title: str) -> str:
    return f"'{title}'"


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
            raise GoogleError(400, "'valueInputOption' is required but not specified")
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

    def values_batch_get(self, query: dict, request) -> Answer:
        spreadsheet, ranges = self.find(query), query.get("ranges", [])
        ranges = [ranges] if isinstance(ranges, str) else ranges
        values = [spreadsheet.values(spreadsheet.area(text), query) for text in ranges]
        return json_answer({"spreadsheetId": query["spreadsheetId"], "valueRanges": values})

    def values_update(self, query: dict, request) -> Answer:
        spreadsheet, rows = self.find(query), request.json.get("values", [])
        area = spreadsheet.area(query["range"])
        done = spreadsheet.update(area, rows, query.get("valueInputOption"))
        return json_answer({"spreadsheetId": query["spreadsheetId"], **done})

    def values_append(self, query: dict, request) -> Answer:
        spreadsheet, rows = self.find(query), request.json.get("values", [])
        tab = spreadsheet.area(query["range"]).tab
        filled = [number for number, row in enumerate(tab.rows) if any(c is not None for c in row)]
        top = filled[-1] + 1 if filled else 0
        tab.row_count = max(tab.row_count, top + len(rows))
        area = Area(tab, top, 0, top + 1, 1, anchor=True)
        done = spreadsheet.update(area, rows, query.get("valueInputOption"))
        identity = {"spreadsheetId": query["spreadsheetId"]}
        return json_answer({**identity, "updates": {**identity, **done}})

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
            if list(change) != ["addSheet"]:
                raise GoogleError(501, f"this server knows addSheet, not {list(change)}")
            properties = change["addSheet"]["properties"]
            grid, title = properties.get("gridProperties", {}), properties["title"]
            if title in spreadsheet.tabs:
                message = f'A sheet with the name "{title}" already exists.'
                raise GoogleError(400, f"Invalid requests[{number}].addSheet: {message}")
            size = grid.get("rowCount", 1000), grid.get("columnCount", 26)
            spreadsheet.tabs[title] = Tab(title, len(spreadsheet.tabs), [], *size)
            replies.append({"addSheet": {"properties": spreadsheet.tabs[title].properties}})
        return json_answer({"spreadsheetId": query["spreadsheetId"], "replies": replies})
