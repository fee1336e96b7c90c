"""Taking a recording from a request to a file, piece by piece, whatever the client does."""

import asyncio
from collections.abc import AsyncIterator
from email.message import Message
from pathlib import Path, PurePosixPath

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from apps.api.problems import Problem
from apps.api.settings import Settings
from helpers.audio import HEADERLESS_SUFFIXES

FORM = "multipart/form-data"
"""Content type of a form, whose field `FIELD` holds the recording."""

FIELD = "file"
"""Name of the form's field."""

BARE = "application/octet-stream"
"""Content type of a recording that is the body itself; `audio/*` and `BARE_TOO` are as good."""

BARE_TOO = ("application/ogg", "video/mp4")
"""Other content types under which recordings are sent."""

SUFFIXES = HEADERLESS_SUFFIXES | {
    *(".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".m4a", ".mp4", ".aac", ".amr"),
}
"""File endings that a stored upload may have; nothing else of a client's name is used."""

BLOCK_BYTES = 1 << 20
"""So much of an upload is in memory at most, beside what has just arrived."""


async def receive_recording(request: Request, folder: Path, settings: Settings) -> Path:
    """Write the recording in a request to a file.

    Args:
        request: whose body is a form or the recording itself
        folder: where to write
        settings: how much may be sent in what time

    Returns:
        the file, whose name ends like the client's where that is one of `SUFFIXES`

    Raises:
        Problem: where there is not exactly one recording, or it is too large or too slow
        ClientDisconnect: where the client goes away
    """
    kind, options = parse_options_header(request.headers.get("Content-Type", BARE))
    kind = kind.decode("latin-1").casefold()
    _check_head(request, kind, settings)
    pieces = _read(request, settings)
    deadline = asyncio.timeout(settings.upload_s)
    try:
        async with deadline:
            if kind == FORM:
                return await _take_form(pieces, folder, boundary=options.get(b"boundary", b""))
            return await _take_body(pieces, folder, request)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        detail = f"The upload took longer than {settings.upload_s:g} s: send a smaller file."
        raise Problem("upload-too-slow", detail) from error


def _check_head(request: Request, kind: str, settings: Settings) -> None:
    encoding = request.headers.get("Content-Encoding", "identity").casefold()
    if encoding != "identity":
        detail = "The body is compressed by a Content-Encoding: send it as it is."
        raise Problem("unsupported-media-type", detail)
    if kind not in (FORM, BARE, *BARE_TOO) and not kind.startswith("audio/"):
        detail = f"The body is {kind!r}, expected {FORM}, {BARE} or audio/*."
        raise Problem("unsupported-media-type", detail)
    length = request.headers.get("Content-Length", "0")
    if length.isdecimal() and int(length) > settings.largest_bytes:
        raise _too_large(settings)


async def _read(request: Request, settings: Settings) -> AsyncIterator[bytes]:
    """Give the body piece by piece as long as it comes, and is not too large."""
    received, stream = 0, request.stream()
    while True:
        try:
            async with asyncio.timeout(settings.silence_s):
                piece = await anext(stream, None)
        except TimeoutError as error:
            detail = f"Nothing arrived for {settings.silence_s:g} s: send the recording again."
            raise Problem("upload-too-slow", detail) from error
        if piece is None:
            return
        received += len(piece)
        if received > settings.largest_bytes:
            raise _too_large(settings)
        yield piece


async def _take_body(pieces: AsyncIterator[bytes], folder: Path, request: Request) -> Path:
    name = _file_name(request.headers.get("Content-Disposition", ""))
    if not name:
        raise Problem(
            "missing-file",
            "The body comes without a file name: send the header Content-Disposition: attachment; "
            'filename="call.wav".',
        )
    file = _GrowingFile(folder, name)
    async for piece in pieces:
        file.content += piece
        await file.flush(BLOCK_BYTES)
    await file.flush()
    return file.path


async def _take_form(pieces: AsyncIterator[bytes], folder: Path, *, boundary: bytes) -> Path:
    form = _Form(folder)
    try:
        parser = MultipartParser(boundary, form.callbacks)
        async for piece in pieces:
            parser.write(piece)
            if form.file:
                await form.file.flush(BLOCK_BYTES)
    except FormParserError as error:
        detail = "The form is damaged: its parts cannot be told apart."
        raise Problem("broken-form", detail) from error
    if not form.is_whole:
        raise Problem("broken-form", "The form ends before its last boundary: send it whole.")
    if form.file is None:
        detail = f"The form has no field {FIELD!r}: send the recording under this name."
        raise Problem("missing-file", detail)
    await form.file.flush()
    return form.file.path


class _Form:
    """What the parts of a form hold; of all fields only `FIELD` is kept."""

    def __init__(self, folder: Path) -> None:
        self.file: _GrowingFile | None = None
        self.is_whole = False
        self._folder = folder
        self._is_file = False
        self._header, self._value, self._disposition = bytearray(), bytearray(), ""
        self.callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_header,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._add_content,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._disposition = ""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value.decode(errors="replace")
        self._header, self._value = bytearray(), bytearray()

    def _begin_content(self) -> None:
        self._is_file = _parameter(self._disposition, "name") == FIELD
        if not self._is_file:
            return
        if self.file:
            detail = f"The form has several fields {FIELD!r}: send one recording a request."
            raise Problem("missing-file", detail)
        name = _file_name(self._disposition)
        if not name:
            detail = f"The field {FIELD!r} has no file name: send the recording as a file."
            raise Problem("missing-file", detail)
        self.file = _GrowingFile(self._folder, name)

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.file.content += data[start:end]

    def _end(self) -> None:
        self.is_whole = True


class _GrowingFile:
    """A file that is written block by block, in a thread, so that nobody waits for the disk."""

    def __init__(self, folder: Path, name: str) -> None:
        suffix = PurePosixPath(name).suffix.casefold()
        self.path = folder / f"call{suffix if suffix in SUFFIXES else ''}"
        self.path.touch()
        self.content = bytearray()

    async def flush(self, least: int = 1) -> None:
        if len(self.content) >= least:
            content, self.content = self.content, bytearray()
            await asyncio.to_thread(self._append, content)

    def _append(self, content: bytearray) -> None:
        with self.path.open("ab") as file:
            file.write(content)


def _file_name(disposition: str) -> str:
    """Read `filename` or `filename*` (RFC 6266) from a header, empty where there is none."""
    return _header(disposition).get_filename("") or ""


def _parameter(disposition: str, name: str) -> str:
    value = _header(disposition).get_param(name, "", "Content-Disposition")
    return value if isinstance(value, str) else ""


def _header(disposition: str) -> Message:
    message = Message()
    message["Content-Disposition"] = disposition
    return message


def _too_large(settings: Settings) -> Problem:
    return Problem("too-large", f"The upload is larger than {settings.largest_mb:g} MB.")
