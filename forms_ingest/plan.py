"""What to do about each response, worked out before anything is done."""

import hashlib
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from forms_ingest.form import Upload
from forms_ingest.ledger import PENDING, PLACED, REJECTED
from forms_ingest.responses import Response
from helpers.errors import FormError
from helpers.statuses import STATUSES, SUFFIXES, parse_status

PLACE, RENAME, KEEP, REJECT, REPEAT = "place", "rename", "keep", "reject", "repeat"
"""Kinds of action: fetch, only rename, nothing to do, cannot be used, already in this plan."""

MAX_STEM_BYTES = 200
"""Longest file name stem that is taken over from an upload; the disk takes names of 255."""


class Action(NamedTuple):
    """What to do about one response.

    Attributes:
        kind: one of the constants above
        response: the response
        upload: the file, `None` where it was not found
        status: the answer as one of `STATUSES`, empty where it is none
        path: where the call will be, relative to the workspace
        reason: why it is rejected or repeated
    """

    kind: str
    response: Response
    upload: Upload | None = None
    status: str = ""
    path: str = ""
    reason: str = ""


def make_plan(
    responses: list[Response],
    find_upload: Callable[[str, str], Upload],
    *,
    ledger: dict[str, dict[str, str]],
    exists: Callable[[str], bool],
    folder: str,
) -> list[Action]:
    """Decide about every response; nothing is fetched or written.

    Args:
        responses: all responses, in the order of the sheet
        find_upload: gives a response's file, or raises `FormError`
        ledger: what became of earlier uploads, by file id
        exists: whether a path of the workspace exists
        folder: where calls are placed, relative to the workspace

    Returns:
        one action per response, in their order
    """
    taken = {path: file_id for file_id, row in ledger.items() for path in _owned(row)}
    planned: dict[str, Action] = {}
    actions = []
    for response in responses:
        action = _look_up(response, find_upload)
        if action.kind != REJECT:
            file_id = action.upload.file_id
            action = _compare(action, planned.get(file_id))
            if action.kind == PLACE:
                row = ledger.get(file_id, {})
                action = _decide(action, row, taken=taken, exists=exists, folder=folder)
                planned[file_id] = action
                taken[action.path] = file_id
        actions.append(action)
    return actions


def _look_up(response: Response, find_upload: Callable[[str, str], Upload]) -> Action:
    try:
        upload = find_upload(response.reference, response.file_name)
    except FormError as error:
        return Action(REJECT, response, reason=str(error))
    status = parse_status(response.answer)
    if status is None:
        reason = f"the status is {response.answer!r}, expected one of {', '.join(STATUSES)}"
        return Action(REJECT, response, upload, reason=reason)
    return Action(PLACE, response, upload, status)


def _compare(action: Action, earlier: Action | None) -> Action:
    if earlier is None:
        return action
    row = earlier.response.row
    if earlier.status == action.status:
        return action._replace(kind=REPEAT, path=earlier.path, reason=f"repeats row {row}")
    reason = f"row {row} gives the same upload the status {earlier.status}; correct one of them"
    return action._replace(kind=REJECT, reason=reason)


def _decide(
    action: Action,
    row: dict[str, str],
    *,
    taken: dict[str, str],
    exists: Callable[[str], bool],
    folder: str,
) -> Action:
    owned = row.get("path", "")
    same_content = row.get("fingerprint") == action.upload.fingerprint
    placed = row.get("outcome") == PLACED and same_content and exists(owned)
    if row.get("status") == action.status and owned:
        return action._replace(kind=KEEP if placed else PLACE, path=owned)
    path = _free_path(action, taken=taken, exists=exists, folder=folder)
    return action._replace(kind=RENAME if placed else PLACE, path=path)


def _free_path(
    action: Action, *, taken: dict[str, str], exists: Callable[[str], bool], folder: str
) -> str:
    upload, ending = action.upload, f"_{SUFFIXES[action.status]}.wav"
    stem = _stem(upload.name, action.response.file_name)
    path = f"{folder}/{stem}{ending}"
    owner = taken.get(path)
    if owner == upload.file_id or (owner is None and not exists(path)):
        return path
    short_id = hashlib.sha256(upload.file_id.encode()).hexdigest()[:8]
    return f"{folder}/{stem}-{short_id}{ending}"


def _stem(upload_name: str, typed_name: str) -> str:
    stem = PurePosixPath(upload_name.replace("/", "_")).stem
    typed_stem = PurePosixPath(typed_name).stem
    if typed_stem and stem.startswith(f"{typed_stem} - "):
        stem = typed_stem
    stem = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", stem).strip(" .")
    return stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore").strip() or "call"


def pending_row(action: Action, earlier: dict[str, str] | None) -> dict[str, str]:
    """Write down what is about to be done, so that a killed run can go on."""
    replaces = [path for path in _owned(earlier or {}) if path != action.path]
    return {
        "file_id": action.upload.file_id,
        "upload": action.upload.name,
        "timestamp": action.response.timestamp,
        "answer": action.response.answer,
        "status": action.status,
        "outcome": PENDING,
        "reason": "",
        "path": action.path,
        "replaces": "|".join(replaces),
        "fingerprint": action.upload.fingerprint,
        "content_hash": earlier["content_hash"] if earlier else "",
    }


def rejected_row(action: Action, earlier: dict[str, str] | None, reason: str) -> dict[str, str]:
    """Write down why an upload cannot be used; a call it gave earlier stays where it is."""
    row = {**pending_row(action, earlier), "outcome": REJECTED, "reason": reason}
    if earlier and earlier["path"]:
        return {**row, **{name: earlier[name] for name in ("status", "path", "replaces")}}
    return {**row, "path": "", "replaces": ""}


def _owned(row: dict[str, str]) -> list[str]:
    paths = [row.get("path", ""), *row.get("replaces", "").split("|")]
    return [path for path in paths if path]
