"""One run over a form: every upload ends in `audio_data` or in `rejected_files.csv`."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from forms_ingest.form import Form
from forms_ingest.ledger import PLACED, read_ledger, write_ledger
from forms_ingest.plan import (
    KEEP,
    PLACE,
    REJECT,
    RENAME,
    REPEAT,
    Action,
    make_plan,
    pending_row,
    rejected_row,
)
from forms_ingest.responses import ColumnTitles, parse_responses
from helpers.audio import open_recording, write_pcm
from helpers.errors import AudioError, FormError
from helpers.files import remove_parts, replacing
from helpers.progress import progress
from helpers.rejections import Rejection, record_rejections
from helpers.workspace import Workspace

STEP = "05 form"
"""Name of this step in `rejected_files.csv`."""

OUTCOMES = {
    PLACE: "placed",
    RENAME: "renamed",
    KEEP: "unchanged",
    REPEAT: "repeated",
    REJECT: "rejected",
}
"""What the table of a run says about each kind of action."""


def ingest_responses(
    form: Form,
    workspace: Workspace,
    *,
    titles: ColumnTitles | None = None,
    dry_run: bool = False,
) -> pd.DataFrame:
    """Put every uploaded call into `audio_data` with its status in the name.

    Calls are stored as 16-bit PCM WAV. A changed answer renames its call. A run that was killed
    goes on where it was; a second run with nothing new fetches and changes nothing.

    Args:
        form: where responses and uploads are
        workspace: where calls, ledger and rejections go
        titles: column titles of the response table
        dry_run: only show what would be done

    Returns:
        one row per response: `row, upload, answer, status, outcome, path, reason`

    Raises:
        FormError: where the responses cannot be read
        TableError: where the response table lacks a column
    """
    responses = parse_responses(form.read_rows(), titles)
    ledger = read_ledger(workspace)
    plan = make_plan(
        responses,
        form.find_upload,
        ledger=ledger,
        exists=lambda path: (workspace.folder / path).is_file(),
        folder=workspace.audio_data.name,
    )
    if dry_run:
        return _tabulate(plan)
    workspace.audio_data.mkdir(parents=True, exist_ok=True)
    remove_parts(workspace.folder)
    done = [
        _carry_out(action, form, workspace, ledger) for action in progress(plan, "Form responses")
    ]
    write_ledger(workspace, ledger)
    _list_rejections(workspace, done)
    return _tabulate(done)


def _carry_out(action: Action, form: Form, workspace: Workspace, ledger: dict) -> Action:
    if action.kind not in (PLACE, RENAME):
        return action
    earlier = ledger.get(action.upload.file_id)
    row = pending_row(action, earlier)
    target = workspace.folder / action.path
    replaced = [workspace.folder / path for path in row["replaces"].split("|") if path]

    def note_intention() -> None:
        ledger[action.upload.file_id] = row
        write_ledger(workspace, ledger)

    try:
        if action.kind == RENAME:
            note_intention()
            os.replace(workspace.folder / earlier["path"], target)
        else:
            row["content_hash"] = _place(action, form, target, note_intention)
    except (AudioError, FormError) as error:
        ledger[action.upload.file_id] = rejected_row(action, earlier, str(error))
        return action._replace(kind=REJECT, path="", reason=str(error))
    for path in replaced:
        path.unlink(missing_ok=True)
    row.update(outcome=PLACED, replaces="")
    return action


def _place(action: Action, form: Form, target: Path, note_intention: Callable[[], None]) -> str:
    with tempfile.TemporaryDirectory(prefix="call-emotion-") as folder:
        file = Path(folder) / f"upload{Path(action.upload.name).suffix.casefold()}"
        form.download(action.upload, file)
        with open_recording(file) as recording, replacing(target) as part:
            content_hash = write_pcm(recording, part)
            note_intention()
        return content_hash


def _list_rejections(workspace: Workspace, actions: list[Action]) -> None:
    rejections = [
        Rejection(f"form row {action.response.row}: {_name(action)}", action.reason)
        for action in actions
        if action.kind in (REJECT, REPEAT)
    ]
    record_rejections(workspace, rejections, step=STEP)


def _tabulate(actions: list[Action]) -> pd.DataFrame:
    rows = [
        {
            "row": action.response.row,
            "upload": _name(action),
            "answer": action.response.answer,
            "status": action.status,
            "outcome": OUTCOMES[action.kind],
            "path": action.path,
            "reason": action.reason,
        }
        for action in actions
    ]
    columns = ["row", "upload", "answer", "status", "outcome", "path", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _name(action: Action) -> str:
    return action.upload.name if action.upload else action.response.reference
