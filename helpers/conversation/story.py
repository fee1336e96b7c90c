"""One row a call, from its sound to its story, and what the rows say about each agent."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.audio import content_hash, open_recording
from helpers.conversation.judges import Judge, find_judge
from helpers.conversation.mood import ESCALATION_S, QUARTERS, Mood, follow_mood
from helpers.conversation.roles import Roles
from helpers.conversation.speaker_embedding import find_encoder
from helpers.conversation.talk import TALK_COLUMNS, TALK_COUNTS, measure_talk
from helpers.conversation.turn_taking import Conversation, listen
from helpers.customers import DETAILS, CustomerTable, describe_line
from helpers.errors import AudioError
from helpers.features import call_features
from helpers.files import read_csv, write_csv
from helpers.model_store import find_champion, load_champion
from helpers.progress import progress
from helpers.records import read_records
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace, open_workspace

VERSION = 1
"""Raised whenever a figure is made in another way, so that every call is told anew."""

TWINS_DIVIDER = " | "
"""Between the other names of a recording."""


class Column(NamedTuple):
    """A column of `call_story.csv`: the type of its cells, and what they mean."""

    kind: type | str
    meaning: str


STORY_COLUMNS = {
    "path": Column(str, "recording, relative to the workspace where it is inside"),
    "twins": Column(str, "other names of the same recording"),
    "error": Column(str, "why the call could not be told; everything else is empty then"),
    "customer": Column(str, "who called, where a table tells"),
    "agent": Column(str, "who answered, where a table tells"),
    "gender": Column(str, "the caller's, where a table tells"),
    "line": Column(str, "kind of line"),
    "duration_s": Column(float, "length of the call in seconds"),
    "status": Column(str, "how the customer left, as the champion hears it; empty without one"),
    "p_unsatisfied": Column(float, "probability that the customer left unsatisfied"),
    "trend": Column(str, "improving, steady, worsening, or too little speech to say"),
    "trend_change": Column(float, "change of the upset probability along the call"),
    "upset_s": Column(float, "seconds of own speech in which the customer is upset"),
    "escalated_at_s": Column(float, "when the call had escalated, empty where it never did"),
    "upset_from_s": Column(float, "when the stretch that escalated began"),
    "upset_peak": Column(float, "highest upset probability over 10 s"),
    "upset_peak_s": Column(float, "middle of these 10 s, in seconds from the beginning"),
    "upset_end": Column(float, "upset probability in the last 25 s"),
    **{
        f"upset_quarter_{number}": Column(float, f"upset probability in quarter {number}")
        for number in range(1, QUARTERS + 1)
    },
    **{
        name: Column("Int64" if name in TALK_COUNTS else float, meaning)
        for name, meaning in TALK_COLUMNS.items()
    },
    "role_certainty": Column(float, "probability that customer and agent are not swapped"),
    "role_doubt": Column(str, "why the roles are unsure, empty where they are sure"),
    "judge": Column(str, "who heard the mood"),
    "told_with": Column(str, "changes with models and settings"),
    "content_hash": Column(str, "of the recording"),
}
"""Columns of `call_story.csv`."""

_KINDS = {name: column.kind for name, column in STORY_COLUMNS.items()}


class Story(NamedTuple):
    """A call, told.

    Attributes:
        row: the columns of `STORY_COLUMNS`; from `tell_call` those that the sound itself tells
        conversation: who spoke when
        mood: how upset the customer sounded
    """

    row: dict[str, object]
    conversation: Conversation
    mood: Mood


def tell_call(
    path: Path | str,
    *,
    judge: Judge,
    roles: Roles | None = None,
    model: TrainedModel | None = None,
    escalation_s: float = ESCALATION_S,
) -> Story:
    """Tell the story of one call.

    Args:
        path: any recording that `helpers.audio.open_recording` reads
        judge: says how upset the customer sounds, see `helpers.conversation.judges.find_judge`
        roles: which channel, or who speaks first, is the customer, where that is known
        model: gives the verdict on the call's end; without, `status` is empty
        escalation_s: seconds of own speech on end upset that make an escalation

    Returns:
        the story; numbers that nothing is known of are `nan`

    Raises:
        AudioError: where the recording cannot be read or judged
    """
    conversation = listen(path, roles=roles or Roles())
    mood = follow_mood(conversation, path, judge=judge, escalation_s=escalation_s)
    row = {
        "path": str(path),
        "duration_s": round(conversation.duration_s, 3),
        **_tell_verdict(path, model),
        **_tell_mood(mood),
        **measure_talk(conversation, path),
        "role_certainty": round(conversation.certainty, 3),
        "role_doubt": conversation.doubt,
        "judge": judge.name,
    }
    return Story(row, conversation, mood)


def tell_calls(
    paths: Iterable[Path | str],
    workspace: Workspace | Path | str,
    *,
    judge: Judge | None = None,
    roles: Roles | None = None,
    escalation_s: float = ESCALATION_S,
    tables: CustomerTable | None = None,
    keep: Callable[[Story], None] | None = None,
) -> pd.DataFrame:
    """Tell the stories of many calls and write them to `call_story.csv`.

    The table is written after every call: a run that was killed goes on where it was. A call is
    told anew only where its content, a model or a setting changed. Calls of earlier runs stay in
    the file, below, as long as they were told with the same models and settings.

    Args:
        paths: recordings, also ones the workspace does not know; one met twice is one row
        workspace: whose models judge, and whose `CallRecords.csv` knows customers and agents
        judge: see `tell_call`; the workspace's by default
        roles: see `tell_call`
        escalation_s: see `tell_call`
        tables: knows customers and agents of recordings that the records do not know
        keep: called with every story that is told, such as to write its page, before its row is
            written; `row` has all of `STORY_COLUMNS` then

    Returns:
        one row per distinct recording in the given order, see `STORY_COLUMNS`; `error` says why
        one could not be told

    Raises:
        ModelError: where the workspace has no model, or one that cannot be used
    """
    workspace = open_workspace(workspace)
    judge = judge or find_judge(workspace)
    model = load_champion(workspace) if find_champion(workspace) else None
    roles = roles or Roles()
    options = {"judge": judge, "roles": roles, "model": model, "escalation_s": escalation_s}
    told_with = _sign(**options)
    earlier = read_stories(workspace)
    earlier = earlier[earlier["told_with"] == told_with]
    known = {row["content_hash"]: row for row in earlier.to_dict("records") if row["content_hash"]}
    details = _Details(workspace, tables)
    told: dict[str, dict[str, object]] = {}
    for path in progress(list(paths), "Stories"):
        name = _name(workspace, Path(path))
        key, line, error = _identify(Path(path))
        if key in told or name in told:
            _add_twin(told.get(key) or told[name], name)
            continue
        around = {"path": name, "twins": "", "content_hash": key, "told_with": told_with}
        around |= details.find(name, key, line)
        if key in known:
            told[key] = known[key] | around
            continue
        told[key or name] = {"error": error} | around
        if not error:
            told[key] = _tell(path, options, around, keep)
        _write(workspace, told.values(), earlier)
    return _write(workspace, told.values(), earlier)


def read_stories(workspace: Workspace) -> pd.DataFrame:
    """Read `call_story.csv`, see `STORY_COLUMNS`; empty where it is not there yet.

    Raises:
        TableError: where somebody saved the table in another format
    """
    return read_csv(workspace.call_stories, _KINDS)


class _Details:
    """Looks up who called whom: in the records by content, else in tables by name."""

    def __init__(self, workspace: Workspace, tables: CustomerTable | None) -> None:
        records = read_records(workspace) if workspace.records.is_file() else None
        rows = [] if records is None else records.to_dict("records")
        self._records = {row["content_hash"]: row for row in rows}
        self._tables = tables or CustomerTable(frozenset(), {column: {} for column in DETAILS})

    def find(self, name: str, key: str, line: str) -> dict[str, str]:
        record, told = self._records.get(key, {}), self._tables.details_of(name)
        found = {column: record.get(column) or told[column] for column in DETAILS}
        return {**found, "line": found["line"] or line}


def _identify(path: Path) -> tuple[str, str, str]:
    """Give content hash, kind of line, and what is wrong with the recording."""
    try:
        with open_recording(path) as recording:
            line = describe_line(sampling_rate=recording.sampling_rate, channels=recording.channels)
            return content_hash(recording), line, ""
    except AudioError as error:
        return "", "", str(error)


def _tell(
    path: Path | str,
    options: Mapping[str, object],
    around: Mapping[str, object],
    keep: Callable[[Story], None] | None,
) -> dict[str, object]:
    """Give a call's whole row, what is known of it beside its sound included."""
    try:
        story = tell_call(path, **options)
        row = {"error": "", **story.row, **around}
        if keep:
            keep(story._replace(row=row))
    except AudioError as error:
        return {"error": str(error), **around}
    return row


def _add_twin(row: dict[str, object], name: str) -> None:
    names = [each for each in str(row["twins"]).split(TWINS_DIVIDER) if each]
    if name not in (row["path"], *names):
        row["twins"] = TWINS_DIVIDER.join([*names, name])


def _write(workspace: Workspace, told, earlier: pd.DataFrame) -> pd.DataFrame:
    table = _to_table(told)
    is_old = earlier["path"].isin(table["path"])
    is_old |= earlier["content_hash"].isin(table["content_hash"]) & (earlier["content_hash"] != "")
    write_csv(workspace.call_stories, pd.concat([table, earlier[~is_old]]))
    return table


def _to_table(rows) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(_KINDS))
    texts = [name for name, kind in _KINDS.items() if kind is str]
    table[texts] = table[texts].astype(object).fillna("")
    return table.astype(_KINDS)


def _tell_verdict(path: Path | str, model: TrainedModel | None) -> dict[str, object]:
    if model is None:
        return {"status": "", "p_unsatisfied": np.nan}
    features = call_features(path, feature_set=model.feature_set)
    probabilities = model.predict_proba(features)[-1]
    return {
        "status": STATUSES[int(probabilities.argmax())],
        "p_unsatisfied": round(float(probabilities[STATUSES.index("unsatisfied")]), 3),
    }


def _tell_mood(mood: Mood) -> dict[str, object]:
    figures = {
        "trend_change": mood.change,
        "upset_s": mood.upset_s,
        "escalated_at_s": mood.escalated_at_s,
        "upset_from_s": mood.upset_from_s,
        "upset_peak": mood.peak,
        "upset_peak_s": mood.peak_s,
        "upset_end": mood.end,
        **{f"upset_quarter_{number}": each for number, each in enumerate(mood.quarters, start=1)},
    }
    return {"trend": mood.trend, **{name: round(value, 3) for name, value in figures.items()}}


def _sign(*, judge: Judge, roles: Roles, model: TrainedModel | None, escalation_s: float) -> str:
    champion = "" if model is None else model.version or model.training_hash
    encoder = find_encoder().name
    settings = f"{VERSION} {judge.name} {champion} {roles} {encoder} {float(escalation_s)}"
    return hashlib.sha256(settings.encode()).hexdigest()[:12]


def _name(workspace: Workspace, path: Path) -> str:
    whole, folder = path.resolve(), workspace.folder.resolve()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(path)
