"""All pages of a batch of calls: one a call, one an agent, and the list of them."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.calibration import COVERAGE
from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.agents import summarise_agents
from helpers.conversation.customer import split_name
from helpers.conversation.evidence import find_evidence
from helpers.conversation.judges import EmotionJudge, Judge, find_judge
from helpers.conversation.mood import ESCALATION_S
from helpers.conversation.overviews import agent_page, index_page
from helpers.conversation.pages import (
    INDEX,
    call_page,
    link_recording,
    name_agent_page,
    name_call_page,
    write_page,
)
from helpers.conversation.roles import USUAL, Roles, check_roles
from helpers.conversation.story import Story, read_stories, tell_call, tell_calls
from helpers.customers import CustomerTable, read_customers
from helpers.dataset import cached_features
from helpers.errors import AudioError, MissingStepError, RolesError
from helpers.features import read_segments
from helpers.files import remove_parts, write_csv
from helpers.model_store import find_champion, load_champion
from helpers.prediction import PROBABILITIES
from helpers.progress import progress
from helpers.sources import list_sources
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace, open_workspace, resolve

VERSION = 2
"""Raised whenever pages are made in another way, so that every page is written anew."""

_CAN_CHANGE = ("path", "customer", "agent", "gender", "line", "told_with", "content_hash")
_OUR_PAGE = re.compile(r"(call|agent)-.*-[0-9a-f]{8}\.html")


def list_calls(workspace: Workspace, folder: str = "") -> list[Path]:
    """List recordings to tell the stories of.

    Args:
        workspace: whose own recordings are listed where no folder is given
        folder: every file in it, and below, but tables that `helpers.customers.read_customers`
            reads and hidden files; see `helpers.workspace.resolve`

    Returns:
        absolute paths, sorted

    Raises:
        MissingStepError: where there is none
    """
    if not folder:
        parts = (workspace.dataset, workspace.audio_data)
        files = [path for part in parts for path in sorted(part.rglob("*.wav"))]
        missing = "this workspace holds no recording: run notebook 01 first, or set CALLS"
    else:
        data = resolve(folder)
        tables = read_customers(data).files
        sources, _ = list_sources(data, without=tables, outside=workspace.stories)
        files = dict.fromkeys(source.file for source in sources)
        missing = f"{data} holds no recording: set CALLS to a folder with recordings"
    calls = [path for path in files if not path.name.startswith(".")]
    if not calls:
        raise MissingStepError(missing)
    return calls


def choose_call(paths: Iterable[Path]) -> Path:
    """Choose the first recording that can be listened to.

    Raises:
        MissingStepError: where there is none, with the reason of the last one
    """
    reason = "there are none"
    for path in paths:
        try:
            read_segments(path)
        except AudioError as error:
            reason = f"{path.name}: {error}"
        else:
            return path
    raise MissingStepError(f"none of the recordings can be listened to ({reason})")


def settle_roles(
    workspace: Workspace,
    *,
    customer_channel: str | int = "",
    first_speaker: str = "",
    model: TrainedModel | None = None,
) -> Roles:
    """Decide how customer and agent are told apart.

    Args:
        workspace: what was chosen in notebook 03 counts where nothing is given
        customer_channel: 0 or 1, also as text, or empty
        first_speaker: `customer` or `agent`, or empty
        model: that judges, loaded already; the champion by default

    Returns:
        the roles

    Raises:
        RolesError: where they cannot be understood, or the model hears another one as customer
        ModelError: where the workspace's champion cannot be used
    """
    roles = USUAL
    if workspace.listening.is_file():
        chosen = json.loads(workspace.listening.read_text(encoding="utf-8"))
        roles = Roles(**{field: chosen[field] for field in Roles._fields})
    if customer_channel != "":
        channel = {"0": 0, "1": 1}.get(str(customer_channel), customer_channel)
        roles = roles._replace(customer_channel=channel)
    if first_speaker:
        roles = roles._replace(first_speaker=first_speaker)
    check_roles(roles)
    if model or find_champion(workspace):
        _check_heard(model or load_champion(workspace), roles)
    return roles


def introduce(judge: Judge, model: TrainedModel | None) -> str:
    """Say in plain words who hears the mood and who gives the verdict, a line each."""
    if isinstance(judge, EmotionJudge):
        lines = ["The mood is heard by the model of acted emotions of notebook 09.", ACTED_BANNER]
    else:
        lines = [
            "The mood is heard by the model of calls: how likely would the customer leave "
            "unsatisfied, were the call to end here?"
        ]
        if model and not split_name(model.feature_set.name)[1]:
            lines.append(
                "It has learned how both people sound together and hears the customer alone here, "
                "so take the mood with care."
            )
    verdict = "There is no verdict on how the customer left: no model of calls is trained yet."
    if model:
        verdict = f"The verdict on how the customer left is that of version {model.version}."
    return "\n\n".join([*lines, verdict])


def write_storybook(
    paths: Iterable[Path | str],
    workspace: Workspace | Path | str,
    *,
    judge: Judge | None = None,
    roles: Roles | None = None,
    escalation_s: float = ESCALATION_S,
    tables: CustomerTable | None = None,
) -> pd.DataFrame:
    """Tell the stories of many calls, and write their pages into the workspace.

    A page is written before its call's row: a run that was killed goes on where it was. A page that
    is missing or tells something else than its row is written again.

    Calls of earlier runs stay as long as recording and page are there and models and settings are
    the same. Otherwise they leave `call_story.csv`, and their pages, which hold clips of the
    recordings, are removed.

    Args:
        paths: recordings, also ones the workspace does not know
        workspace: see `helpers.conversation.story.tell_calls`, as for what follows
        judge: the workspace's by default
        roles: those of `settle_roles` by default
        escalation_s: seconds of own speech on end upset that make an escalation
        tables: knows customers and agents of recordings that the records do not know

    Returns:
        one row per distinct recording in the given order, see
        `helpers.conversation.story.STORY_COLUMNS`; also the ones that could not be told

    Raises:
        ModelError: where the workspace has no model, or one that cannot be used
        RolesError: see `settle_roles`
    """
    workspace = open_workspace(workspace)
    judge = judge or find_judge(workspace)
    model = load_champion(workspace) if find_champion(workspace) else None
    roles = roles or settle_roles(workspace)
    workspace.stories.mkdir(exist_ok=True)
    remove_parts(workspace.stories)
    options = {"judge": judge, "roles": roles, "escalation_s": escalation_s}
    keep = partial(_write_call, workspace, model, isinstance(judge, EmotionJudge))
    paths = [Path(path).absolute() for path in paths]
    table = tell_calls(paths, workspace, **options, tables=tables, keep=keep)
    told = table[table["error"] == ""].to_dict("records")
    stale = [row for row in told if not _has_page(workspace, row)]
    for row in progress(stale, "Pages") if stale else ():
        story = tell_call(workspace.folder / row["path"], **options, model=model)
        keep(story._replace(row=row))
    stories = _settle(workspace, table)
    _write_overviews(workspace, stories, acted=isinstance(judge, EmotionJudge))
    return table


def _check_heard(model: TrainedModel, roles: Roles) -> None:
    _, known, _ = split_name(model.feature_set.name)
    if known and known != roles:
        raise RolesError(
            f"the customer is set to be on channel {roles.customer_channel} of two, and the "
            f"{roles.first_speaker} to speak first; the model that judges, {model.version}, takes "
            f"channel {known.customer_channel} and the {known.first_speaker}: leave "
            "CUSTOMER_CHANNEL and FIRST_SPEAKER empty in notebook 08, and set them in notebook 03 "
            "and run 03 and 04 again where they are wrong"
        )


def _write_call(
    workspace: Workspace, model: TrainedModel | None, acted: bool, story: Story
) -> None:
    row = {name: value for name, value in story.row.items() if name != "twins"}
    page = workspace.stories / name_call_page(row["path"])
    recording = workspace.folder / row["path"]
    content = call_page(
        story._replace(row=row),
        verdict=_judge(workspace, model, row) if model else None,
        evidence=find_evidence(recording, model, story.conversation) if model else None,
        recording=recording,
        audio=link_recording(recording, page),
        acted=acted,
        index=INDEX,
    )
    write_page(page, content + _stamp(row))


def _judge(
    workspace: Workspace, model: TrainedModel, row: Mapping[str, object]
) -> dict[str, object]:
    features = cached_features(
        workspace, str(row["path"]), str(row["content_hash"]), feature_set=model.feature_set
    )
    probabilities = model.predict_proba(features)[-1]
    unsure = probabilities.max() < model.least_confidence(COVERAGE)
    return {**dict(zip(PROBABILITIES, probabilities, strict=True)), "needs_human": bool(unsure)}


def _stamp(row: Mapping[str, object]) -> str:
    """End a page with a mark that changes with all that may change the page."""
    told = "\n".join(map(str, [VERSION, *(row[name] for name in _CAN_CHANGE)]))
    return f"<!-- {hashlib.sha256(told.encode()).hexdigest()[:16]} -->\n"


def _has_page(workspace: Workspace, row: Mapping[str, object]) -> bool:
    """Tell whether a call has a page that tells the same as its row."""
    page, stamp = workspace.stories / name_call_page(str(row["path"])), _stamp(row).encode()
    if not page.is_file() or page.stat().st_size < len(stamp):
        return False
    with page.open("rb") as file:
        file.seek(-len(stamp), os.SEEK_END)
        return file.read() == stamp


def _settle(workspace: Workspace, table: pd.DataFrame) -> pd.DataFrame:
    """Take calls of earlier runs that have lost recording or page out of `call_story.csv`."""
    stories = read_stories(workspace)
    stays = [
        (workspace.folder / row["path"]).is_file() and (row["error"] or _has_page(workspace, row))
        for row in stories.to_dict("records")
    ]
    is_asked = stories["path"].isin(table["path"])
    stories = stories[is_asked | np.array(stays, bool)].reset_index(drop=True)
    write_csv(workspace.call_stories, stories)
    return stories


def _write_overviews(workspace: Workspace, stories: pd.DataFrame, *, acted: bool) -> None:
    """Write list and agents' pages; pages of calls and agents that are not listed are removed."""
    summary = summarise_agents(stories)
    linked = {name_call_page(path) for path in stories.loc[stories["error"] == "", "path"]}
    for agent in sorted(set(stories["agent"]) - {""}):
        page = agent_page(agent, stories, summary, acted=acted, index=INDEX)
        linked.add(write_page(workspace.stories / name_agent_page(agent), page).name)
    write_page(workspace.stories / INDEX, index_page(stories, acted=acted))
    for page in workspace.stories.glob("*.html"):
        if _OUR_PAGE.fullmatch(page.name) and page.name not in linked:
            page.unlink()
