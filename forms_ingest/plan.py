"""What to do about each response, worked out before anything is done."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import PurePosixPath
from typing import NamedTuple

from forms_ingest.errors import RetryLaterError
from forms_ingest.form import Upload
from forms_ingest.ledger import (
    ORPHANED,
    PENDING,
    PLACED,
    QUARANTINED,
    Ledger,
    Row,
    owned_paths,
)
from forms_ingest.names import call_stem, short_id, submitter_of
from forms_ingest.responses import Response, normalise
from forms_ingest.reviews import list_reviews
from helpers.errors import FormError
from helpers.statuses import STATUSES, SUFFIXES, status_of_suffix

PLACE, RENAME, KEEP = "place", "rename", "keep"
QUARANTINE, RETRY, SUPERSEDE, REPEAT = "quarantine", "retry", "supersede", "repeat"
"""Kinds of action: fetch; only rename; nothing to do; cannot be used; may be used next time; a
newer response takes its place; says the same as another response."""


class Action(NamedTuple):
    """What to do about one response.

    Attributes:
        kind: one of the constants above
        response: the response
        upload: the file, `None` where it was not found
        status: the answer as one of `STATUSES`, empty where it is none
        path: where the call is or will be, relative to the workspace
        source: for `RENAME` where the call is now
        reason: why, where the kind does not say it all
        reviews: what each person answered about the upload, as the ledger holds it
    """

    kind: str
    response: Response
    upload: Upload | None = None
    status: str = ""
    path: str = ""
    source: str = ""
    reason: str = ""
    reviews: str = ""

    @property
    def file_id(self) -> str:
        """Id of the upload, as the response gives it where the upload was not found."""
        return self.upload.file_id if self.upload else self.response.reference.file_id


class Disk(NamedTuple):
    """What is in `audio_data` now.

    Attributes:
        intact: whether a ledger row's call is in its place, unchanged
        exists: whether a path of the workspace exists, in any case
        adopted: paths by fingerprint of calls in place that the ledger does not know
        folder: where calls are placed, relative to the workspace
    """

    intact: Callable[[Row], bool]
    exists: Callable[[str], bool]
    adopted: dict[str, list[str]]
    folder: str


def make_plan(
    responses: list[Response],
    found: list[Upload | FormError],
    parse_answer: Callable[[str], str | None],
    *,
    ledger: Ledger,
    disk: Disk,
    salt: str = "",
) -> list[Action]:
    """Decide about every response; nothing is fetched or written.

    Two responses for one file: the newer one counts; where nobody can say which is newer and they
    disagree, neither does. The same recording sent twice by one person: the newer one counts. Sent
    by two people, both are placed, and where they disagree the recording becomes a conflict.

    Args:
        responses: all responses, in the order of the sheet
        found: for each response its file, or why there is none
        parse_answer: reads a status from an answer
        ledger: what became of earlier uploads
        disk: what is in place
        salt: makes the reviewers' keys unlike those of other forms, see `reviewer_key`

    Returns:
        one action per response, in their order
    """
    actions = [
        _first_look(response, upload, parse_answer)
        for response, upload in zip(responses, found, strict=True)
    ]
    actions = _settle(actions, lambda action: action.upload.file_id)
    actions = _note_reviews(actions, salt)
    actions = _settle(actions, _same_recording_by_one_person)
    paths = _Paths(ledger, disk)
    return [
        _decide(action, ledger.get(action.upload.file_id, {}), paths, disk)
        if action.kind == PLACE
        else action._replace(path=_earlier_path(action, ledger))
        for action in actions
    ]


def pending_row(action: Action, earlier: Row) -> Row:
    """Write down what is about to be done, so that a killed run can go on."""
    replaces = [path for path in owned_paths(earlier) if path != action.path]
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
        "placed_sha256": earlier.get("placed_sha256", ""),
        "reviews": action.reviews,
    }


def failed_row(action: Action, earlier: Row, outcome: str) -> Row:
    """Write down why an upload cannot be used; a call it gave earlier stays where it is."""
    row = {**pending_row(action, earlier), "outcome": outcome, "reason": action.reason}
    kept = ("status", "path", "replaces", "placed_sha256", "fingerprint")
    return {**row, **{name: earlier.get(name, "") for name in kept}}


def _first_look(
    response: Response, upload: Upload | FormError, parse_answer: Callable[[str], str | None]
) -> Action:
    if isinstance(upload, FormError):
        kind = RETRY if isinstance(upload, RetryLaterError) else QUARANTINE
        return Action(kind, response, reason=str(upload))
    status = parse_answer(response.answer)
    if status is None:
        reason = f"the status is {response.answer!r}, expected one of {', '.join(STATUSES)}"
        return Action(QUARANTINE, response, upload, reason=reason)
    if not upload.size:
        return Action(QUARANTINE, response, upload, status, reason="empty file (0 bytes)")
    return Action(PLACE, response, upload, status)


def _settle(actions: list[Action], key: Callable[[Action], object]) -> list[Action]:
    rivals: dict[object, list[int]] = {}
    for number, action in enumerate(actions):
        if action.kind == PLACE and (group := key(action)):
            rivals.setdefault(group, []).append(number)
    settled = list(actions)
    for numbers in rivals.values():
        if len(numbers) > 1:
            for number, action in zip(numbers, _choose([actions[n] for n in numbers]), strict=True):
                settled[number] = action
    return settled


def _choose(rivals: list[Action]) -> list[Action]:
    times = [action.response.time for action in rivals]
    newest = _newest(times)
    if newest is None and len({action.status for action in rivals}) > 1:
        rows = ", ".join(str(action.response.row) for action in rivals)
        reason = f"the rows {rows} give the same upload different statuses; correct one of them"
        return [action._replace(kind=QUARANTINE, reason=reason) for action in rivals]
    winner = rivals[-1 if newest is None else newest]
    return [_lose(action, winner) if action is not winner else action for action in rivals]


def _lose(action: Action, winner: Action) -> Action:
    same_file = action.upload.file_id == winner.upload.file_id
    agrees = action.status == winner.status
    if same_file and agrees:
        return action._replace(kind=REPEAT, reason=f"says the same as row {winner.response.row}")
    reason = f"row {winner.response.row} is newer and takes its place"
    return action._replace(kind=REPEAT if same_file else SUPERSEDE, reason=reason)


def _newest(times: list[datetime | None]) -> int | None:
    if None in times:
        return None
    latest = max(times)
    return times.index(latest) if times.count(latest) == 1 else None


def _note_reviews(actions: list[Action], salt: str) -> list[Action]:
    counted_last = sorted(actions, key=lambda action: action.kind == PLACE)
    answers = [(each.upload, _submitter(each), each.status) for each in counted_last if each.status]
    reviews = list_reviews(answers, salt=salt)
    return [action._replace(reviews=reviews.get(action.file_id, "")) for action in actions]


def _same_recording_by_one_person(action: Action) -> object:
    submitter = _submitter(action)
    return (action.upload.fingerprint, normalise(submitter)) if submitter else None


def _submitter(action: Action) -> str:
    return action.response.submitter or submitter_of(action.upload.name)


class _Paths:
    """Places in `audio_data` and which upload has each; case does not matter, as on some disks."""

    def __init__(self, ledger: Ledger, disk: Disk) -> None:
        self._owners = {
            path.casefold(): file_id for file_id, row in ledger.items() for path in owned_paths(row)
        }
        self._disk = disk

    def take(self, action: Action, source: str) -> str:
        path, unique = self._names(action)
        owner = self._owners.get(path.casefold())
        free = owner is None and (path == source or not self._disk.exists(path))
        if owner != action.file_id and not free:
            path = unique
        self._owners[path.casefold()] = action.file_id
        return path

    def adopt(self, action: Action) -> str | None:
        """Take a call in place with an upload's content, if any: best the one it was named for."""
        status = action.status
        plain, unique = self._names(action)
        free = [
            path
            for path in self._disk.adopted.get(action.upload.fingerprint, [])
            if path.casefold() not in self._owners
        ]
        if not free:
            return None
        path = max(
            free, key=lambda path: (path == unique, path == plain, _status_of(path) == status)
        )
        self._owners[path.casefold()] = action.file_id
        return path

    def _names(self, action: Action) -> tuple[str, str]:
        upload, ending = action.upload, f"_{SUFFIXES[action.status]}.wav"
        path = f"{self._disk.folder}/{call_stem(upload.name, action.response.file_name)}"
        return f"{path}{ending}", f"{path}-{short_id(upload.file_id)}{ending}"


def _decide(action: Action, row: Row, paths: _Paths, disk: Disk) -> Action:
    same_content = row.get("fingerprint") == action.upload.fingerprint
    if same_content and _is_useless(row, action.response):
        return action._replace(kind=QUARANTINE, path=row["path"], reason=row["reason"])
    placed = row.get("outcome") in (PLACED, ORPHANED) and same_content and disk.intact(row)
    if not row and (path := paths.adopt(action)):
        if _status_of(path) == action.status:
            return action._replace(kind=KEEP, path=path)
        return action._replace(kind=RENAME, path=paths.take(action, path), source=path)
    if row.get("path") and row["status"] == action.status:
        kind = KEEP if placed else PLACE
        return action._replace(kind=kind, path=row["path"])
    source = row.get("path", "") if placed else ""
    path = paths.take(action, source)
    return action._replace(kind=RENAME if placed else PLACE, path=path, source=source)


def _is_useless(row: Row, response: Response) -> bool:
    judged = row["outcome"] == QUARANTINED and row["answer"] == response.answer
    return judged and "install ffmpeg" not in row["reason"]


def _status_of(path: str) -> str | None:
    return status_of_suffix(PurePosixPath(path))


def _earlier_path(action: Action, ledger: Ledger) -> str:
    row = ledger.get(action.file_id, {})
    return row.get("path", "") if action.kind in (REPEAT, QUARANTINE, RETRY) else ""


def orphans(actions: Iterable[Action], ledger: Ledger) -> list[str]:
    """List the file ids of placed calls that no response names any more; they are kept."""
    named = {action.file_id for action in actions}
    return [
        file_id
        for file_id, row in sorted(ledger.items())
        if file_id not in named and row["outcome"] in (PLACED, ORPHANED)
    ]
