"""Where the form is and how its columns are called: from the environment, or from a file."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from forms_ingest.errors import SettingsError
from helpers.statuses import STATUSES, parse_status

PREFIX = "CALL_EMOTION_"
"""Beginning of every environment variable that is read."""

FILE_VARIABLE = "CALL_EMOTION_SETTINGS"
"""Environment variable with the path of a settings file."""

VERDICT_TAB = "Call Emotion"
"""Tab of the sheet that verdicts are written to; the responses' tab never is."""

GOOGLE, OFFLINE = "google", "offline"
"""Kinds of form."""

_SHEET_LINK = re.compile(r"/spreadsheets/(?:u/\d+/)?d/(?!e/)([\w-]+)", re.ASCII)
_FOLDER_LINK = re.compile(r"/folders/([\w-]+)", re.ASCII)


@dataclass(frozen=True)
class ColumnTitles:
    """Titles of the columns that are read, as the form's questions are called.

    `submitter` may be missing in the sheet; it tells a person's second answer from a second
    person's answer.
    """

    timestamp: str = "Timestamp"
    recording: str = "Call recording"
    file_name: str = "File name"
    status: str = "Status"
    submitter: str = "Email Address"


@dataclass(frozen=True)
class FormSettings:
    """Everything about a form that differs from one call centre to the next.

    Attributes:
        form: `google` or `offline`
        sheet_id: id of the response sheet, or its link
        sheet_tab: tab of the sheet with the responses
        drive_folder: id or link of the folder of uploads; needed only where the sheet holds file
            names instead of links
        drive_endpoint: base address of Drive, with `/drive/v3/`
        sheets_endpoint: base address of Sheets
        service_account: path of a service account's key file, where no other credentials are
        write_back: whether verdicts are written to a tab of their own in the sheet
        allow_fewer: whether a sheet with far fewer responses than before is believed
        titles: column titles
        statuses: status by the answer as people write it, beside the English ones
    """

    form: str = OFFLINE
    sheet_id: str = ""
    sheet_tab: str = "Form Responses 1"
    drive_folder: str = ""
    drive_endpoint: str = "https://www.googleapis.com/drive/v3/"
    sheets_endpoint: str = "https://sheets.googleapis.com/"
    service_account: str = ""
    write_back: bool = False
    allow_fewer: bool = False
    titles: ColumnTitles = field(default_factory=ColumnTitles)
    statuses: Mapping[str, str] = field(default_factory=dict)

    def parse_answer(self, answer: str) -> str | None:
        """Read the status of an answer: as configured, else as `helpers.statuses` reads it."""
        configured = {key.strip().casefold(): value for key, value in self.statuses.items()}
        return configured.get(answer.strip().casefold()) or parse_status(answer)


def read_settings(environment: Mapping[str, str] | None = None, **overrides: str) -> FormSettings:
    """Read the settings: file first, environment over it, `overrides` over both.

    Args:
        environment: variables, by default the process's: `CALL_EMOTION_FORM`,
            `CALL_EMOTION_SHEET_ID` and so on, one per field of `FormSettings`, and
            `CALL_EMOTION_SETTINGS` with the path of a TOML file that holds the same names in
            lower case and may have the tables `titles` and `statuses`
        overrides: values by field; empty ones are ignored

    Raises:
        SettingsError: where a value, a name or the file is not understood
    """
    environment = os.environ if environment is None else environment
    values = _read_file(environment.get(FILE_VARIABLE, ""))
    for name in _SIMPLE:
        text = overrides.get(name) or environment.get(PREFIX + name.upper(), "")
        if text.strip():
            values[name] = text.strip()
    if values.get("sheet_id") and "form" not in values:
        values["form"] = GOOGLE
    return _check(values)


_SIMPLE = [item.name for item in fields(FormSettings) if item.name not in ("titles", "statuses")]


def _read_file(name: str) -> dict:
    if not name:
        return {}
    try:
        values = tomllib.loads(Path(name).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"the settings file {name} cannot be read: {error}") from error
    unknown = sorted(set(values) - {item.name for item in fields(FormSettings)})
    if unknown:
        raise SettingsError(
            f"the settings file {name} has {', '.join(unknown)}, which nothing reads; there are "
            f"{', '.join(item.name for item in fields(FormSettings))}"
        )
    for table in ("titles", "statuses"):
        texts = values.get(table, {})
        if not isinstance(texts, dict) or not all(isinstance(t, str) for t in texts.values()):
            raise SettingsError(f"{table} in the settings file {name} is no table of texts")
    return {key: str(value).strip() if key in _SIMPLE else value for key, value in values.items()}


def _check(values: dict) -> FormSettings:
    titles = values.pop("titles", {})
    unknown = sorted(set(titles) - {item.name for item in fields(ColumnTitles)})
    if unknown:
        raise SettingsError(
            f"titles has {', '.join(unknown)}; there are {list(vars(ColumnTitles()))}"
        )
    statuses = values.pop("statuses", {})
    for answer, status in statuses.items():
        if status not in STATUSES:
            raise SettingsError(
                f"the answer {answer!r} means {status!r}, expected one of {STATUSES}"
            )
    for name in ("write_back", "allow_fewer"):
        values[name] = _parse_switch(name, values.get(name, False))
    settings = replace(FormSettings(**values), titles=ColumnTitles(**titles), statuses=statuses)
    if settings.form not in (GOOGLE, OFFLINE):
        raise SettingsError(f"CALL_EMOTION_FORM is {settings.form!r}, expected google or offline")
    if settings.sheet_tab.strip() == VERDICT_TAB:
        raise SettingsError(
            f"CALL_EMOTION_SHEET_TAB is {VERDICT_TAB!r}, where verdicts are written to; name the "
            "tab with the responses"
        )
    if settings.form == GOOGLE and not settings.sheet_id:
        raise SettingsError(
            "CALL_EMOTION_SHEET_ID is not set: it is the response sheet's link or id"
        )
    return replace(
        settings,
        sheet_id=_id_in(settings.sheet_id, _SHEET_LINK),
        drive_folder=_id_in(settings.drive_folder, _FOLDER_LINK),
        drive_endpoint=settings.drive_endpoint.rstrip("/") + "/",
        sheets_endpoint=settings.sheets_endpoint.rstrip("/") + "/",
    )


def _parse_switch(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if str(value).casefold() not in known:
        raise SettingsError(f"{PREFIX}{name.upper()} is {value!r}, expected yes or no")
    return known[str(value).casefold()]


def _id_in(text: str, link: re.Pattern) -> str:
    found = link.search(text)
    if found:
        return found.group(1)
    if text and not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise SettingsError(
            "the sheet or folder is neither an id nor its link; copy the link again"
        )
    return text
