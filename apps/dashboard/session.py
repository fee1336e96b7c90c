"""What pages share: the workspace, tables that are never stale, models, and judged recordings."""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
import streamlit as st

from apps.dashboard import call_table, waiting
from apps.dashboard.hearing import Heard, hear_recording, to_wave
from helpers.conversation.agents import EVERYBODY, summarise_agents
from helpers.conversation.story import read_stories
from helpers.conversation.verdict import Listener, open_listener
from helpers.errors import CallEmotionError
from helpers.model_store import find_champion
from helpers.workspace import Workspace, resolve

KEPT = 4
"""So many judged recordings are kept for a visitor, and so many models for all of them."""

Made = TypeVar("Made")


class Source(NamedTuple):
    """A recording to judge.

    Attributes:
        name: shown to people
        key: changes with the content
        path: where it is; `None` for an upload
        content: of an upload
    """

    name: str
    key: str
    path: Path | None = None
    content: bytes = b""


def find_folder() -> Path:
    """Give the workspace's folder that the command line names; it need not exist."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", default="workspace")
    return resolve(parser.parse_known_args(sys.argv[1:])[0].workspace)


def get_workspace() -> Workspace:
    """Give the workspace that the command line names."""
    return Workspace(find_folder())


def load(make: Callable[[Workspace], Made], workspace: Workspace, *files: Path) -> Made:
    """Give `make(workspace)`, made anew only where one of the files it rests on has changed.

    Args:
        make: a function of a module
        workspace: its argument
        files: what it reads; they need not exist
    """
    name = f"{make.__module__}.{make.__name__}"
    return _load(make, name, str(workspace.folder), tuple(map(stamp, files)))


def load_calls(workspace: Workspace) -> pd.DataFrame:
    """Give every call of the workspace, see `apps.dashboard.call_table.list_calls`."""
    files = (workspace.records, workspace.conversions, workspace.call_stories)
    files += (workspace.predictions, workspace.decisions)
    return load(call_table.list_calls, workspace, *files)


def load_stories(workspace: Workspace) -> pd.DataFrame:
    """Give the stories of calls, see `helpers.conversation.story.STORY_COLUMNS`."""
    return load(read_stories, workspace, workspace.call_stories)


def load_figures(workspace: Workspace, agent: str = EVERYBODY) -> pd.DataFrame:
    """Give the figures of all agents together, and of one of them.

    Args:
        workspace: with stories
        agent: name of the agent

    Returns:
        see `helpers.conversation.agents.summarise_agents`
    """
    return _summarise(workspace, agent, str(workspace.folder), stamp(workspace.call_stories))


def load_waiting(workspace: Workspace) -> pd.DataFrame:
    """Give what waits for a person, see `apps.dashboard.waiting.list_waiting`."""
    files = (workspace.review_list, workspace.decisions, workspace.predictions)
    files += (workspace.records, workspace.conversions)
    return load(waiting.list_waiting, workspace, *files)


def load_decided(workspace: Workspace) -> pd.DataFrame:
    """Give what people have decided, see `apps.dashboard.waiting.list_decided`."""
    return load(waiting.list_decided, workspace, workspace.decisions)


def count_waiting(workspace: Workspace) -> int:
    """Count what waits for a person; 0 where the tables cannot be read."""
    try:
        return len(load_waiting(workspace))
    except CallEmotionError:
        return 0


def open_models(workspace: Workspace, version: str = "") -> Listener:
    """Load what judges, anew only where a model or a setting has changed.

    Args:
        workspace: with a model
        version: the champion by default

    Raises:
        ModelError: see `helpers.conversation.verdict.open_listener`
    """
    version = version or find_champion(workspace)
    return _open_models(str(workspace.folder), version, _stamp_models(workspace, version))


def hear(workspace: Workspace, source: Source, version: str = "") -> Heard:
    """Judge a recording; the last ones are kept until the visitor leaves, and nothing else is.

    Raises:
        AudioError: where it cannot be judged
        ModelError: where the model cannot be used
    """
    version = version or find_champion(workspace)
    stamps = _stamp_models(workspace, version)
    return _hear(workspace, source, version, str(workspace.folder), source.key, stamps)


def load_sound(source: Source) -> bytes:
    """Give a recording as 16-bit PCM WAV.

    Raises:
        AudioError: where it cannot be read
    """
    return _load_sound(source, source.key)


def take_upload(name: str, content: bytes) -> Source:
    """Make a source of an uploaded file."""
    return Source(name, f"{name} {hashlib.sha256(content).hexdigest()}", content=content)


def take_call(workspace: Workspace, path: str) -> Source:
    """Make a source of a call of the workspace."""
    file = workspace.folder / path
    return Source(file.name, f"{path} {stamp(file)}", path=file)


def stamp(file: Path) -> tuple[int, int]:
    """Give time of change and size of a file, zeros where there is none."""
    try:
        state = file.stat()
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_size


@st.cache_data(show_spinner=False, max_entries=64)
def _load(_make: Callable, name: str, folder: str, stamps: tuple):
    return _make(Workspace(Path(folder)))


@st.cache_data(show_spinner=False, max_entries=64)
def _summarise(
    _workspace: Workspace, agent: str, folder: str, stories_stamp: tuple[int, int]
) -> pd.DataFrame:
    stories = load_stories(_workspace)
    one = stories["agent"].where(stories["agent"] == agent, "")  # intervals of all take seconds
    return summarise_agents(stories.assign(agent=one))


@st.cache_resource(show_spinner=False, max_entries=KEPT)
def _open_models(folder: str, version: str, stamps: tuple) -> Listener:
    return open_listener(Workspace(Path(folder)), version)


@st.cache_data(show_spinner=False, max_entries=KEPT, scope="session")
def _hear(
    _workspace: Workspace, _source: Source, version: str, folder: str, key: str, stamps: tuple
) -> Heard:
    listener = open_models(_workspace, version)
    with _as_file(_source) as path:
        return hear_recording(path, listener, name=_source.name)


@st.cache_data(show_spinner=False, max_entries=KEPT, scope="session")
def _load_sound(_source: Source, key: str) -> bytes:
    with _as_file(_source) as path:
        return to_wave(path)


@contextmanager
def _as_file(source: Source) -> Iterator[Path]:
    """Give the path of a recording; that of an upload is gone when the block ends."""
    if source.path is not None:
        yield source.path
        return
    with tempfile.TemporaryDirectory(prefix="call-emotion-") as folder:
        path = Path(folder) / f"upload{Path(source.name).suffix.casefold()[:8]}"
        path.write_bytes(source.content)
        yield path


def _stamp_models(workspace: Workspace, version: str) -> tuple:
    card = workspace.models / version / "card.json"
    files = (workspace.models / "history.csv", card, workspace.voice_emotions, workspace.listening)
    return tuple(map(stamp, files))
