"""What tells that a workspace's models are other ones than before, without loading them."""

import contextlib
from pathlib import Path

from helpers.model_store import find_champion
from helpers.workspace import Workspace

Stamp = tuple[object, ...]


def stamp_models(workspace: Workspace) -> Stamp:
    """Give what changes when another version judges, or another model of emotions.

    Raises:
        TableError: where the history of versions is damaged
    """
    return (find_champion(workspace), stamp_file(workspace.voice_emotions))


def stamp_file(path: Path) -> Stamp:
    """Give what changes when a file is written anew; empty where there is none."""
    with contextlib.suppress(FileNotFoundError):
        state = path.stat()
        return state.st_mtime_ns, state.st_size
    return ()
