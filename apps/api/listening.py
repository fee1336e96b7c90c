"""What a worker process does for the service: it loads models, listens, and writes the answer."""

import contextlib
import json
import math
import resource
import tempfile
from functools import lru_cache
from pathlib import Path

import pandas as pd
import soundfile

from helpers.audio import open_recording
from helpers.conversation.verdict import Listener, Verdict, open_listener
from helpers.errors import AudioError, CallEmotionError
from helpers.model_store import find_champion
from helpers.segments import split_call
from helpers.workspace import Workspace

KEPT_LISTENERS = 3
"""So many versions of the model are kept in memory; more are loaded anew."""

MOST_SAMPLES = 2 * 60 * 60 * 8000 * 2
"""Longer recordings are not judged: two hours of two channels at 8 kHz, half a GB in memory."""

MOST_FILE_BYTES = 1 << 30
"""A recording that becomes a larger file when it is decoded is given up as damaged."""


class NoModelError(CallEmotionError):
    """A workspace without a model that can judge; the message is for the service's keeper."""


def prepare(workspace: Workspace) -> None:
    """Make a process ready: limit what it writes, and load the champion where there is one."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE_BYTES, MOST_FILE_BYTES))
    with contextlib.suppress(NoModelError):
        check(workspace)


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
        path: the recording, in a folder of its own, in which also is written what is decoded
        version: of the model, empty for the present champion
        coverage: share of calls the model shall judge alone

    Returns:
        JSON of `apps.api.answers.Prediction`

    Raises:
        AudioError: where the recording cannot be read or judged; the message names no folder
        NoModelError: where the model cannot be used
    """
    listener = _find_listener(workspace, version)
    tempfile.tempdir = str(path.parent)
    try:
        _check_size(path)
        verdict = listener.judge_recording(path, coverage=coverage)
    except soundfile.SoundFileError as error:
        raise AudioError("damaged: it cannot be decoded") from error
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), "it")) from error
    finally:
        tempfile.tempdir = None
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
        return _load(workspace, version or champion, champion, tuple(map(_stamp, parts)))
    except (CallEmotionError, ImportError) as error:
        raise NoModelError(str(error)) from error


@lru_cache(maxsize=KEPT_LISTENERS)
def _load(workspace: Workspace, version: str, champion: str, stamps: tuple) -> Listener:
    return open_listener(workspace, version)


def _stamp(path: Path) -> tuple[int, ...]:
    with contextlib.suppress(FileNotFoundError):
        state = path.stat()
        return state.st_mtime_ns, state.st_size
    return ()


def _check_size(path: Path) -> None:
    with open_recording(path) as recording:
        samples, duration_s = recording.frames * recording.channels, recording.duration_s
    if samples > MOST_SAMPLES:
        most_s = duration_s * MOST_SAMPLES / samples
        raise AudioError(
            f"too long: {duration_s / 60:.0f} min; with its sampling rate and channels at most "
            f"{most_s / 60:.0f} min are judged"
        )


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
