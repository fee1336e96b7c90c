"""What a worker process does for the service: it loads models, listens, and writes the answer."""

import contextlib
import json
import math
import os
import resource
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import pandas as pd
import soundfile

from apps.limits import check_size
from apps.stamps import stamp_file
from helpers.conversation.verdict import Listener, Verdict, open_listener
from helpers.errors import AudioError, CallEmotionError
from helpers.model_store import find_champion
from helpers.segments import split_call
from helpers.workspace import Workspace

KEPT_LISTENERS = 3
"""So many versions of the model are kept in memory; more are loaded anew."""

NICENESS = 10
"""How far recordings stand back behind live calls, whose moods are worth nothing later."""

MOST_FILE_BYTES = 1 << 30
"""A recording that becomes a larger file when it is decoded is given up as damaged."""


class NoModelError(CallEmotionError):
    """A workspace without a model that can judge; the message is for the service's keeper."""


def prepare(workspace: Workspace) -> None:
    """Make a process ready: limit what it takes, and load the champion where there is one."""
    give_way()
    limit_files()
    with contextlib.suppress(NoModelError):
        check(workspace)


def give_way() -> None:
    """Let other processes of the service go first, such as those that judge live calls."""
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # Linux: a group of its own is made to wait as a whole
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def limit_files() -> None:
    """Let this process write no file beyond `MOST_FILE_BYTES`, or a lower limit there is."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = MOST_FILE_BYTES if hard == resource.RLIM_INFINITY else min(MOST_FILE_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def check(workspace: Workspace) -> str:
    """Load the champion.

    Returns:
        its version

    Raises:
        NoModelError: where there is none, or it cannot be used
    """
    return _find_listener(workspace, "").model.version


def judge(workspace: Workspace, path: Path, version: str, coverage: float) -> bytes:
    """Judge a recording.

    Args:
        workspace: whose model judges
        path: the recording, in a folder of its own, in which also is written what is decoded; it
            is removed at the end, for nobody else may be left to do so
        version: of the model, empty for the present champion
        coverage: share of calls the model shall judge alone

    Returns:
        JSON of `apps.api.answers.Prediction`

    Raises:
        AudioError: where the recording cannot be read or judged; the message names no folder
        NoModelError: where the model cannot be used
    """
    tempfile.tempdir = str(path.parent)
    try:
        listener = _find_listener(workspace, version)
        check_size(path)
        verdict = listener.judge_recording(path, coverage=coverage)
    except soundfile.SoundFileError as error:
        raise AudioError("damaged: it cannot be decoded") from error
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), "it")) from error
    finally:
        tempfile.tempdir = None
        shutil.rmtree(path.parent, ignore_errors=True)
    return json.dumps(describe(verdict), allow_nan=False).encode()


def describe(verdict: Verdict) -> dict[str, object]:
    """Describe a verdict by what JSON knows; what is not known is `None`."""
    _, conversation, mood = verdict.story
    segments = split_call(conversation.duration_s)
    answer = {
        "status": verdict.row["status"],
        "probabilities": verdict.probabilities,
        "confidence": verdict.row["confidence"],
        "needs_human": verdict.row["needs_human"],
        "start": _describe_part(verdict.row["start_status"], segments[0]),
        "end": _describe_part(verdict.row["end_status"], segments[-1]),
        "trend": mood.trend,
        "upset_s": mood.upset_s,
        "upset_from_s": mood.upset_from_s,
        "escalated_at_s": mood.escalated_at_s,
        "turns": _list_rows(conversation.turns),
        "timeline": {
            "windows": _list_rows(mood.windows),
            "utterances": _list_rows(mood.utterances.replace({"emotion": {"": None}})),
        },
        "roles": {"certainty": conversation.certainty, "doubt": conversation.doubt or None},
        "duration_s": conversation.duration_s,
        "model_version": verdict.version,
        "notes": [verdict.banner] if verdict.banner else [],
    }
    return _plain(answer)


def _find_listener(workspace: Workspace, version: str) -> Listener:
    try:
        champion = find_champion(workspace)
        parts = (workspace.voice_emotions, workspace.listening)
        return _load(workspace, version or champion, champion, tuple(map(stamp_file, parts)))
    except (CallEmotionError, ImportError) as error:
        raise NoModelError(str(error)) from error


@lru_cache(maxsize=KEPT_LISTENERS)
def _load(workspace: Workspace, version: str, champion: str, stamps: tuple) -> Listener:
    return open_listener(workspace, version)


def _describe_part(status: str, segment) -> dict[str, object]:
    end_s = segment.start_s + segment.duration_s
    return {"status": status, "start_s": segment.start_s, "end_s": end_s}


def _list_rows(table: pd.DataFrame) -> list[dict[str, object]]:
    return table.to_dict("records")


def _plain(value: object) -> object:
    """Round numbers and turn NaN to `None`, all the way down."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(float(value), 6)
    return value
