"""The model that judges as the joblib files people expect, for programs that load such files."""

import hashlib
import io
import json
from pathlib import Path

import joblib
import sklearn

from helpers.files import write_bytes, write_json
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace

FIRST, RETRAINED = "", "_epic_retrained"
"""Endings of the exported file names: both pairs hold the champion, the second since feedback."""


def export_model(workspace: Workspace, model: TrainedModel) -> None:
    """Write a model's classifier and scaler as joblib files, which are never read here.

    What was written is noted in `models/exported.json`, and a file that already holds the model
    stays as it is: the same model is not the same bytes in every process.

    Args:
        workspace: where the files are, see `Workspace.exports`
        model: as it was loaded from the store
    """
    note = workspace.models / "exported.json"
    written = _read(note)
    names = (FIRST, RETRAINED) if workspace.predictions.is_file() else (FIRST,)
    for name in names:
        parts = (model.classifier, model.scaler)
        for path, part in zip(workspace.exports(name), parts, strict=True):
            content = [model.version, sklearn.__version__, _digest(path)]
            if written.get(path.name) != content:
                write_bytes(path, _encode(part))
                written[path.name] = [*content[:2], _digest(path)]
    write_json(note, written)


def _read(note: Path) -> dict[str, list[str]]:
    try:
        written = json.loads(note.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return written if isinstance(written, dict) else {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _encode(estimator) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()
