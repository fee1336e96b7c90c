"""Carrying out a plan: verified content into `audio_data`, at once or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from forms_ingest.errors import RetryLaterError, StopRunError
from forms_ingest.form import Upload
from forms_ingest.ledger import (
    PLACED,
    QUARANTINED,
    RETRY,
    SUPERSEDED,
    Ledger,
    Row,
    write_ledger,
)
from forms_ingest.names import ending_of
from forms_ingest.plan import (
    KEEP,
    PLACE,
    QUARANTINE,
    RENAME,
    SUPERSEDE,
    Action,
    failed_row,
    pending_row,
)
from forms_ingest.plan import RETRY as RETRY_KIND
from forms_ingest.transfer import digest
from helpers.audio import content_hash, open_recording, write_pcm
from helpers.errors import AudioError, FormError
from helpers.files import replacing
from helpers.workspace import Workspace


class Fetched(NamedTuple):
    """An upload's verified content, or why there is none."""

    upload: Upload | None
    part: Path | None
    error: FormError | None


def carry_out(
    action: Action, fetched: Fetched | None, workspace: Workspace, ledger: Ledger
) -> Action:
    """Do what the plan says about one response, and write down what became of its upload.

    The intention is in the ledger before a call moves, so that a killed run can go on.

    Args:
        action: what to do
        fetched: for `PLACE` the upload's content, or why there is none
        workspace: where calls and ledger are
        ledger: what became of every upload; brought up to date

    Returns:
        the action as it was carried out, which may be less than was planned

    Raises:
        OSError: where the disk is full
    """
    earlier = ledger.get(action.upload.file_id, {}) if action.upload else {}
    if action.kind == PLACE:
        return _place(action, fetched, workspace, ledger, earlier)
    if action.kind in (RENAME, KEEP):
        return _rename(action, workspace, ledger, earlier)
    if action.kind == SUPERSEDE:
        row = pending_row(action, earlier)
        _finish(workspace, ledger, {**row, "outcome": SUPERSEDED, "reason": action.reason})
    elif action.kind == QUARANTINE and action.upload:
        return _fail(action, ledger, earlier)
    return action


def _place(
    action: Action, fetched: Fetched, workspace: Workspace, ledger: Ledger, earlier: Row
) -> Action:
    if fetched.error:
        later = isinstance(fetched.error, RetryLaterError | StopRunError)
        kind = RETRY_KIND if later else QUARANTINE
        return _fail(action._replace(kind=kind, reason=str(fetched.error)), ledger, earlier)
    action = action._replace(upload=fetched.upload)
    row = pending_row(action, earlier)
    try:
        _put(fetched.part, action, workspace, lambda: _note(workspace, ledger, row))
    except AudioError as error:
        return _condemn(action._replace(kind=QUARANTINE, reason=str(error)), ledger, earlier)
    row["placed_sha256"] = digest(workspace.folder / action.path, "sha256")
    _finish(workspace, ledger, {**row, "outcome": PLACED})
    fetched.part.unlink(missing_ok=True)
    return action


def _fail(action: Action, ledger: Ledger, earlier: Row) -> Action:
    if earlier.get("fingerprint"):  # the ledger keeps what it knows about a content
        ledger[action.file_id] = {**earlier, "reviews": action.reviews}
    else:
        outcome = QUARANTINED if action.kind == QUARANTINE else RETRY
        ledger[action.file_id] = failed_row(action, earlier, outcome)
    return action._replace(path=earlier.get("path", ""))


def _condemn(action: Action, ledger: Ledger, earlier: Row) -> Action:
    row = failed_row(action, earlier, QUARANTINED)
    ledger[action.file_id] = {**row, "fingerprint": action.upload.fingerprint}
    return action._replace(path=earlier.get("path", ""))


def _put(part: Path, action: Action, workspace: Workspace, note: Callable[[], None]) -> None:
    named = part.with_suffix(ending_of(action.upload.name))
    os.replace(part, named)
    try:
        with open_recording(named) as recording, replacing(workspace.folder / action.path) as file:
            if recording.is_wav:
                content_hash(recording)
                shutil.copyfile(named, file)
            else:
                write_pcm(recording, file)
            note()
    finally:
        os.replace(named, part)


def _rename(action: Action, workspace: Workspace, ledger: Ledger, earlier: Row) -> Action:
    row = pending_row(action, earlier)
    if action.source and action.source != action.path:
        row["replaces"] = "|".join({*row["replaces"].split("|"), action.source} - {""})
        _note(workspace, ledger, row)
        os.replace(workspace.folder / action.source, workspace.folder / action.path)
    row["placed_sha256"] = row["placed_sha256"] or digest(workspace.folder / action.path, "sha256")
    _finish(workspace, ledger, {**row, "outcome": PLACED})
    return action


def _note(workspace: Workspace, ledger: Ledger, row: Row) -> None:
    ledger[row["file_id"]] = row
    write_ledger(workspace, ledger)


def _finish(workspace: Workspace, ledger: Ledger, row: Row) -> None:
    for path in row["replaces"].split("|"):
        if path:
            (workspace.folder / path).unlink(missing_ok=True)
    ledger[row["file_id"]] = {**row, "replaces": ""}
