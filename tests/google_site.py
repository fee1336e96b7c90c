"""A form at the Google server with its workspace: what the tests of `forms_ingest` set up."""

import io
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from google.auth.credentials import Credentials
from google.oauth2.credentials import Credentials as Token
from google_server import GoogleServer

from forms_ingest.google_form import GoogleForm
from forms_ingest.ingest import ingest_responses
from forms_ingest.ledger import PLACED, owned_paths, read_ledger
from forms_ingest.retrying import RetryPolicy
from forms_ingest.settings import FormSettings
from helpers.workspace import Workspace

TAB = "Form Responses 1"
HEADER = ("Timestamp", "Email Address", "Call recording", "File name", "Status")
FIRST_DAY = 46053.5  # 1 February 2026, 12:00, as Sheets counts
LARGE = 2_500_000  # bytes, more than two of the chunks that are asked for at once

FAST = RetryPolicy(
    attempts=6,
    first_wait_s=0.01,
    longest_wait_s=0.05,
    all_attempts_s=10.0,
    one_attempt_s=8.0,
    socket_s=4.0,
)
BRISK = replace(FAST, one_attempt_s=0.6, socket_s=0.3)  # where the server falls silent
HASTY = replace(BRISK, attempts=3)  # where it does so for ever


def wav(seed: int = 0, size: int = 32_000) -> bytes:
    """Make a WAV of noise, told from others by its seed, with `size` bytes of sound."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.random.default_rng(seed).bytes(size))
    return target.getvalue()


def link(file_id: str, *, rest: str = "") -> str:
    return f"https://drive.google.com/open?id={file_id}{rest}"


class Site:
    """A form at the server, the workspace it is brought into, and all that was ever uploaded.

    Attributes:
        server, workspace: both ends
        header, rows: the response sheet
        contents: all contents that each file ever had, by file id
        other: paths in the workspace that are not byte for byte an upload
    """

    def __init__(self, server: GoogleServer, workspace: Workspace) -> None:
        self.server, self.workspace = server, workspace
        self.header: list[str] = list(HEADER)
        self.rows: list[list] = []
        self.contents: dict[str, list[bytes]] = {}
        self.other: set[str] = set()

    def add(self, content: bytes | None = None, *, name: str = "call.wav", **options) -> str:
        """Add a file that no response names yet; by default a WAV unlike all others."""
        content = wav(len(self.contents)) if content is None else content
        file_id = self.server.add_file(content, name=name, **options)
        self.contents[file_id] = [content]
        return file_id

    def upload(
        self,
        content: bytes | None = None,
        *,
        name: str = "call.wav",
        answer: str = "Satisfied",
        **options,
    ) -> str:
        """Add a file and a response that links to it."""
        file_id = self.add(content, name=name, **options)
        self.respond(link(file_id), answer)
        return file_id

    def respond(self, cell, answer: object = "Satisfied", *, time=None, email="", typed="") -> None:
        time = FIRST_DAY + len(self.rows) if time is None else time
        self.rows.append([time, email, cell, typed, answer])

    def replace(self, file_id: str, content: bytes) -> None:
        self.server.replace_file(file_id, content)
        self.contents[file_id].append(content)

    def settings(self, **changes) -> FormSettings:
        addresses = {
            "drive_endpoint": self.server.drive_endpoint,
            "sheets_endpoint": self.server.sheets_endpoint,
        }
        known = {"form": "google", "sheet_id": "sheet", "drive_folder": "folder", **addresses}
        return FormSettings(**{**known, **changes})

    def form(
        self, *, policy: RetryPolicy = FAST, credentials: Credentials | None = None, **changes
    ) -> GoogleForm:
        credentials = credentials or Token("test-token")
        return GoogleForm(self.settings(**changes), credentials, policy)

    def publish(self, *, tab: str = TAB, **cells) -> None:
        """Put the responses into the sheet."""
        self.server.set_rows(tab, [self.header, *self.rows], **{"date_columns": [0], **cells})

    def run(
        self,
        *,
        policy: RetryPolicy = FAST,
        credentials: Credentials | None = None,
        published: bool = False,
        **changes,
    ) -> pd.DataFrame:
        """Put the responses into the sheet, unless they are, and bring them in."""
        if not published:
            self.publish()
        form = self.form(policy=policy, credentials=credentials, **changes)
        table = ingest_responses(form, self.workspace, settings=self.settings(**changes))
        self.assert_nothing_wrong()
        return table

    def names(self) -> list[str]:
        """List the calls in place."""
        return sorted(path.name for path in self._placed())

    def content(self, name: str) -> bytes:
        return (self.workspace.audio_data / name).read_bytes()

    def counts(self, *kinds: str) -> list[int]:
        return [self.server.count(kind) for kind in kinds]

    def ranges(self) -> list[str]:
        """List what was asked for of all contents, in order."""
        return [each.range for each in self.server.requests if each.kind == "media"]

    def assert_nothing_wrong(self) -> None:
        """Every call in place is byte for byte its upload, and every request was a right one."""
        assert self.server.complaints == []
        ledger = read_ledger(self.workspace)
        owners = {path: row["file_id"] for row in ledger.values() for path in owned_paths(row)}
        for path in self._placed():
            relative = self.workspace.relative(path)
            if relative not in self.other:
                known = self.contents[owners[relative]] if relative in owners else self._all()
                assert path.read_bytes() in known, f"{relative} is not what was uploaded"
        for row in ledger.values():
            assert row["outcome"] != PLACED or (self.workspace.folder / row["path"]).is_file()

    def _all(self) -> list[bytes]:
        return [content for contents in self.contents.values() for content in contents]

    def _placed(self) -> list[Path]:
        return [path for path in self.workspace.audio_data.rglob("*") if path.is_file()]


def outcomes(table: pd.DataFrame) -> list[str]:
    return table["outcome"].tolist()
