"""One run over a form: every upload ends in `audio_data`, in quarantine, or is tried again."""

import errno
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
from filelock import FileLock, Timeout

from forms_ingest.errors import (
    AuthenticationError,
    RetryLaterError,
    SettingsError,
    StopRunError,
)
from forms_ingest.form import Form, Upload
from forms_ingest.ledger import (
    ORPHANED,
    PLACED,
    Ledger,
    Row,
    owned_paths,
    read_ledger,
    write_ledger,
)
from forms_ingest.placement import Fetched, carry_out
from forms_ingest.plan import (
    KEEP,
    PLACE,
    QUARANTINE,
    RENAME,
    REPEAT,
    SUPERSEDE,
    Action,
    Disk,
    make_plan,
    orphans,
)
from forms_ingest.plan import RETRY as RETRY_KIND
from forms_ingest.responses import Response, parse_responses
from forms_ingest.settings import FormSettings
from forms_ingest.transfer import digest, fetch_verified
from helpers.errors import FormError
from helpers.files import PART_SUFFIX, remove_parts, write_json
from helpers.progress import progress
from helpers.rejections import Rejection, record_rejections
from helpers.workspace import Workspace

STEP = "05 form"
"""Name of this step in `rejected_files.csv`."""

OUTCOMES = {
    PLACE: "placed",
    RENAME: "renamed",
    KEEP: "unchanged",
    REPEAT: "unchanged",
    SUPERSEDE: "superseded",
    QUARANTINE: "quarantined",
    RETRY_KIND: "to be retried",
}
"""What the table of a run says about each kind of action."""

COLUMNS = ("row", "upload", "answer", "status", "outcome", "path", "reason")
"""Columns of the table of a run."""

WORKERS = 4
"""Uploads that are looked up or fetched at the same time."""

BATCH = 16
"""Uploads that are on disk as part files at the same time, at most."""

FEWEST = 0.5
"""Share of the uploads known so far below which a sheet is not believed."""


class AlreadyRunningError(FormError):
    """Another run works on this workspace."""


def ingest_responses(
    form: Form,
    workspace: Workspace,
    *,
    settings: FormSettings | None = None,
    dry_run: bool = False,
) -> pd.DataFrame:
    """Put every uploaded call into `audio_data` with its status in the name.

    What is fetched is compared with the checksum of the form's storage before it is put in place,
    at once or not at all. WAV recordings stay byte for byte what was uploaded, other encodings are
    stored as 16-bit PCM WAV. A changed answer renames its call. A run that was killed goes on where
    it was; a second run with nothing new fetches and changes nothing.

    Args:
        form: where responses and uploads are
        workspace: where calls, ledger and rejections go
        settings: column titles and spellings of the answers
        dry_run: only show what would be done

    Returns:
        one row per response and upload, with the columns `COLUMNS`

    Raises:
        SettingsError: where the sheet, a column or a folder is not what the settings say
        AuthenticationError: where the credentials are not accepted
        RetryLaterError: where the responses could not be read this time
        StopRunError: where the disk is full; what is in place is kept
        AlreadyRunningError: where another run works on this workspace
    """
    settings = settings or FormSettings()
    if dry_run:
        return _tabulate(_plan(form, workspace, settings, read_ledger(workspace)))
    try:
        with FileLock(workspace.form_lock, timeout=0):
            return _ingest(form, workspace, settings)
    except Timeout:
        raise AlreadyRunningError(f"another run is already working on {workspace.folder}") from None


def _ingest(form: Form, workspace: Workspace, settings: FormSettings) -> pd.DataFrame:
    ledger = read_ledger(workspace)
    plan = _plan(form, workspace, settings, ledger)
    workspace.audio_data.mkdir(parents=True, exist_ok=True)
    remove_parts(workspace.folder)
    try:
        done = [
            carry_out(action, fetched, workspace, ledger)
            for action, fetched in progress(
                _fetch_all(plan, form, workspace), "Form responses", total=len(plan)
            )
        ]
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StopRunError("the disk is full: free some space and run again") from error
    unnamed = orphans(done, ledger)
    for file_id in unnamed:
        ledger[file_id] = {**ledger[file_id], "outcome": ORPHANED}
    write_ledger(workspace, ledger)
    _remove_leftovers(workspace, done)
    table = _tabulate(done)
    _list_rejections(workspace, table)
    counts = table["outcome"].value_counts().to_dict()
    summary = {"responses": len(table), **counts, "orphans": len(unnamed)}
    write_json(workspace.form_run, summary)
    return table


def _plan(form: Form, workspace: Workspace, settings: FormSettings, ledger: Ledger) -> list[Action]:
    responses = parse_responses(form.read_rows(), settings.titles)
    known = sum(row["outcome"] == PLACED for row in ledger.values())
    if len(responses) < FEWEST * known and not settings.allow_fewer:
        raise SettingsError(
            f"the responses hold {len(responses)} uploads, {known} are in place: is it the right "
            "sheet and tab? If rows were deleted on purpose, set CALL_EMOTION_ALLOW_FEWER=yes once"
        )
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(lambda response: _look_up(form, response), responses))
    return make_plan(
        responses,
        found,
        settings.parse_answer,
        ledger=ledger,
        disk=_look_at(workspace, ledger),
        salt=settings.sheet_id,
    )


def _look_up(form: Form, response: Response) -> Upload | FormError:
    try:
        return form.find_upload(response)
    except (SettingsError, AuthenticationError):
        raise
    except StopRunError as error:
        return RetryLaterError(str(error))
    except FormError as error:
        return error


def _look_at(workspace: Workspace, ledger: Ledger) -> Disk:
    files = sorted(
        path
        for path in workspace.audio_data.rglob("*")
        if path.is_file() and path.suffix != PART_SUFFIX
    )
    present = {workspace.relative(path).casefold() for path in files}
    owned = {path for row in ledger.values() for path in owned_paths(row)}
    adopted: dict[str, list[str]] = {}
    for path in files:
        if (relative := workspace.relative(path)) not in owned:
            for algorithm in ("sha256", "md5"):
                fingerprint = f"{algorithm} {digest(path, algorithm)}"
                adopted.setdefault(fingerprint, []).append(relative)

    def intact(row: Row) -> bool:
        path = workspace.folder / row["path"]
        return path.is_file() and digest(path, "sha256") == row["placed_sha256"]

    return Disk(
        intact=intact,
        exists=lambda path: path.casefold() in present,
        adopted=adopted,
        folder=workspace.audio_data.name,
    )


def _fetch_all(
    plan: list[Action], form: Form, workspace: Workspace
) -> Iterator[tuple[Action, Fetched | None]]:
    stopped: StopRunError | None = None
    with ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(plan), BATCH):
            batch = plan[first : first + BATCH]
            fetch = partial(_fetch, form=form, workspace=workspace, stopped=stopped)
            for action, fetched in zip(batch, pool.map(fetch, batch), strict=True):
                if fetched and isinstance(fetched.error, StopRunError):
                    stopped = fetched.error
                yield action, fetched


def _fetch(
    action: Action, *, form: Form, workspace: Workspace, stopped: StopRunError | None
) -> Fetched | None:
    if action.kind != PLACE:
        return None
    if stopped:
        return Fetched(None, None, stopped)
    try:
        upload, part = fetch_verified(
            form, action.response, action.upload, workspace.form_downloads
        )
    except AuthenticationError:
        raise
    except FormError as error:
        return Fetched(None, None, error)
    return Fetched(upload, part, None)


def _remove_leftovers(workspace: Workspace, done: list[Action]) -> None:
    if workspace.form_downloads.is_dir() and not any(a.kind == RETRY_KIND for a in done):
        shutil.rmtree(workspace.form_downloads)


def _list_rejections(workspace: Workspace, table: pd.DataFrame) -> None:
    unused = table[table["outcome"].isin(("quarantined", "to be retried", "superseded"))]
    rejections = [
        Rejection(
            f"form row {line.row}: {line.upload}",
            f"{line.reason}; its earlier call {line.path} stays in use" * bool(line.path)
            or line.reason,
        )
        for line in unused.itertuples()
    ]
    record_rejections(workspace, rejections, step=STEP)


def _tabulate(actions: list[Action]) -> pd.DataFrame:
    rows = [
        (
            action.response.row,
            action.upload.name if action.upload else action.response.reference.name,
            action.response.answer,
            action.status,
            OUTCOMES[action.kind],
            action.path,
            action.reason,
        )
        for action in actions
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
