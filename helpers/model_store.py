"""Every version of the model in plain files, the champion among them, and the way back."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn

from helpers.call_emotions import emotion_feature_set
from helpers.conversation.customer import customer_feature_set, split_name
from helpers.conversation.speaker_embedding import CEPSTRA, Encoder, find_encoder
from helpers.emotion_store import load_emotion_model
from helpers.errors import CallEmotionError, ModelError
from helpers.exports import export_model
from helpers.features import PHONE, FeatureSet
from helpers.files import read_csv, write_bytes, write_csv, write_json
from helpers.model_card import card_markdown, card_page
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel, dump_model, restore_model
from helpers.workspace import Workspace
from helpers.zoo.feature_sets import describes_utterances, find_feature_set

PROMOTED, KEPT_ASIDE, ROLLED_BACK = "promoted", "kept aside", "rolled back"
"""What may be decided: the version judges from now on; it does not; an earlier one does again."""

HISTORY = {"time": str, "version": str, "event": str, "against": str, "reason": str}
"""Columns of `models/history.csv`; `against` is the champion the version was compared with."""

_MODEL, _CARD = "model.skops", "card.json"
_LOADED = ("version", "feature_set", "choice", "temperature", "confidences", "trained_on")
_LIBRARIES = ("scikit-learn", "numpy", "skops")


def add_version(
    workspace: Workspace, model: TrainedModel, card: Mapping[str, object], *, probes: np.ndarray
) -> TrainedModel:
    """Store a model as a new version, which does not make it the champion.

    The card is written last: a folder without it is no version, and is written anew.

    Args:
        workspace: where to store it
        model: the model
        card: what else is known of it, see `helpers.model_card`
        probes: features of a few segments, shape (segments, features)

    Returns:
        the model with the name of its version
    """
    number = 1 + max([int(name[:4]) for name in list_versions(workspace)], default=0)
    version = f"{number:04}-{model.training_hash[:8]}"
    content = dump_model(model, probes)
    _keep_emotions(workspace, model.feature_set)
    write_bytes(workspace.models / version / _MODEL, content)
    whole = {
        **card,
        "version": version,
        "created": _now(),
        "labels": list(model.classes),
        "feature_set": model.feature_set.name,
        "choice": model.choice,
        "temperature": model.temperature,
        "confidences": list(model.confidences),
        "libraries": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _LIBRARIES},
        },
        "sha256": {_MODEL: hashlib.sha256(content).hexdigest()},
        "trained_on": sorted(model.trained_on),
        "training": {**dict(card.get("training") or {}), "hash": model.training_hash},
    }
    whole["digest"] = _digest(whole)
    write_json(workspace.models / version / _CARD, whole)
    return replace(model, version=version)


def load_version(workspace: Workspace, version: str) -> TrainedModel:
    """Load a version after checking that it is complete, unchanged and answers as it did.

    Nothing in the files is ever executed.

    Raises:
        ModelError: with what is wrong and what to do
    """
    card = read_card(workspace, version)
    if card.get("digest") != _digest(card) or card["version"] != version:
        raise ModelError(
            f"the card of version {version} is damaged or was changed: {_advise(card)}"
        )
    path = workspace.models / version / _MODEL
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"version {version} is incomplete: {_advise(card)}") from error
    if hashlib.sha256(content).hexdigest() != card["sha256"][_MODEL]:
        raise ModelError(f"{path} is not the file this project wrote: {_advise(card)}")
    known = {
        "training_hash": card["training"]["hash"],
        "trained_on": frozenset(card["trained_on"]),
        "choice": card["choice"],
        "temperature": card["temperature"],
        "confidences": tuple(card["confidences"]),
        "feature_set": _find_feature_set(workspace, version, card["feature_set"]),
    }
    try:
        return restore_model(content, **known, version=version)
    except ModelError as error:
        raise ModelError(_describe_failure(version, card, str(error))) from error


def load_champion(workspace: Workspace) -> TrainedModel:
    """Load the model that judges new calls.

    Raises:
        ModelError: where there is none, or it cannot be used
    """
    version = find_champion(workspace)
    if not version:
        raise ModelError(f"{workspace.models} holds no model yet: run notebooks 01 to 04 first")
    return load_version(workspace, version)


def find_champion(workspace: Workspace) -> str:
    """Name the version that judges new calls, an empty string where there is none."""
    return next(reversed(list_champions(workspace)), "")


def list_versions(workspace: Workspace) -> list[str]:
    """List the versions that are there, oldest first."""
    cards = workspace.models.glob(f"{4 * '[0-9]'}-*/{_CARD}")
    return sorted(path.parent.name for path in cards)


def read_card(workspace: Workspace, version: str) -> dict:
    """Read what is known of a version without loading it.

    Raises:
        ModelError: where there is no such version, or its card is damaged
    """
    path = workspace.models / version / _CARD
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        known = ", ".join(list_versions(workspace)) or "none"
        raise ModelError(f"there is no usable version {version!r}; there are: {known}") from error
    if not isinstance(card, dict):
        raise ModelError(f"{path} is damaged: {_ADVICE}")
    return card


def read_history(workspace: Workspace) -> pd.DataFrame:
    """Read what was decided about versions, oldest first, see `HISTORY`."""
    return read_csv(workspace.models / "history.csv", HISTORY)


def record_decision(
    workspace: Workspace,
    version: str,
    *,
    event: str,
    reasons: list[str],
    against: str = "",
    **figures: object,
) -> None:
    """Write down a decision, bring the exported files and the version's cards up to date.

    Args:
        workspace: with the version
        version: what it is about
        event: `PROMOTED`, `KEPT_ASIDE` or `ROLLED_BACK`
        reasons: why, in sentences
        against: the champion it was compared with, or that it replaces
        figures: what else the decision adds to the version's card
    """
    step = {
        "time": _now(),
        "version": version,
        "event": event,
        "against": against,
        "reason": " ".join(reasons),
    }
    history = pd.concat([read_history(workspace), pd.DataFrame([step])])
    if event != ROLLED_BACK:
        decision = {"promoted": event == PROMOTED, "against": against, "reasons": reasons}
        card = {**read_card(workspace, version), **figures, "decision": decision}
        write_json(workspace.models / version / _CARD, card)
        write_bytes(workspace.models / version / "MODEL_CARD.md", card_markdown(card).encode())
        write_bytes(workspace.models / version / "model_card.html", card_page(card).encode())
    write_csv(workspace.models / "history.csv", history)
    export_champion(workspace)


def rollback(workspace: Workspace, version: str = "", *, reason: str = "asked for") -> str:
    """Make an earlier version the champion again.

    The version that is left is not promoted a second time for the same training data.

    Args:
        workspace: with versions
        version: which one, a former champion; by default the one before the present one
        reason: why, for the history

    Returns:
        the version that judges from now on

    Raises:
        ModelError: where there is no earlier one, or it cannot be used; nothing has changed then
    """
    present = find_champion(workspace)
    target = version or _earlier_champion(workspace)
    if not target:
        raise ModelError(
            f"there is no champion before {present or 'the first model'} to go back to"
        )
    load_version(workspace, target)
    if target not in list_champions(workspace):
        raise ModelError(f"version {target} never judged calls, so there is no way back to it")
    if target != present:
        record_decision(workspace, target, event=ROLLED_BACK, reasons=[reason], against=present)
    return target


def promote(workspace: Workspace, version: str, *, reason: str) -> None:
    """Make a version the champion because a person says so, whatever the gate said.

    Raises:
        ModelError: where there is no such version, or it cannot be used; nothing has changed then
    """
    present = find_champion(workspace)
    load_version(workspace, version)
    if version != present:
        reasons = [f"Promoted by a person: {reason}"]
        record_decision(workspace, version, event=PROMOTED, reasons=reasons, against=present)


def export_champion(workspace: Workspace) -> None:
    """Bring the exported files up to date, see `helpers.exports`."""
    export_model(workspace, load_champion(workspace))


_ADVICE = (
    "run notebook 04 again (make train), which goes back to an earlier champion or trains anew, or "
    "bring the file back from a copy"
)


_ZOO_ADVICE = "fit it again with notebook 11, or bring the file back from a copy"


def list_champions(workspace: Workspace) -> list[str]:
    """List what judged calls, in the order in which it did, the present champion last."""
    history = read_history(workspace)
    return history.loc[history["event"] != KEPT_ASIDE, "version"].tolist()


def _earlier_champion(workspace: Workspace) -> str:
    """Walk back: what the present champion replaced when it was promoted."""
    history, present = read_history(workspace), find_champion(workspace)
    promoted = history[(history["event"] == PROMOTED) & (history["version"] == present)]
    return "" if promoted.empty else promoted["against"].iloc[-1]


def _find_feature_set(workspace: Workspace, version: str, name: str) -> FeatureSet:
    if describes_utterances(name):
        return _find_zoo_set(version, name)
    base, roles, encoder = split_name(name)
    path = _emotions_path(workspace, base)
    feature_set = PHONE
    if base != PHONE.name and path.is_file():
        feature_set = emotion_feature_set(load_emotion_model(path))
    if roles:
        feature_set = customer_feature_set(
            feature_set, roles=roles, encoder=_find_encoder(version, encoder)
        )
    if feature_set.name != name:
        raise ModelError(
            f"version {version} expects {name!r} features, this program describes calls by "
            f"{feature_set.name!r}: run notebooks 03 and 04 again"
        )
    return feature_set


def _find_zoo_set(version: str, name: str) -> FeatureSet:
    try:
        return find_feature_set(name)
    except (CallEmotionError, ImportError) as error:
        raise ModelError(f"version {version} cannot describe recordings: {error}") from error


def _find_encoder(version: str, name: str) -> Encoder:
    known = {encoder.name: encoder for encoder in (CEPSTRA, find_encoder())}
    if name not in known:
        raise ModelError(
            f"version {version} tells voices apart by {name!r}, which is not installed: make "
            "speakers (requirements-speakers.txt), or run notebooks 03 and 04 again"
        )
    return known[name]


def _keep_emotions(workspace: Workspace, feature_set: FeatureSet) -> None:
    """Keep the model of emotions with the versions that ask it, once for all of them."""
    base = split_name(feature_set.name)[0]
    if base != PHONE.name and workspace.voice_emotions.is_file():
        write_bytes(_emotions_path(workspace, base), workspace.voice_emotions.read_bytes())


def _emotions_path(workspace: Workspace, name: str) -> Path:
    return workspace.models / "voice_emotions" / f"{name}.npz"


def _advise(card: Mapping) -> str:
    return _ADVICE if card.get("labels") in (None, list(STATUSES)) else _ZOO_ADVICE


def _digest(card: Mapping) -> str:
    """Hash what of a card a model is loaded with; the rest may grow."""
    values = [card.get(name) for name in (*_LOADED, "training", "sha256")]
    content = json.dumps(values, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _describe_failure(version: str, card: Mapping, what: str) -> str:
    made = (card.get("libraries") or {}).get("scikit-learn", "an unknown version")
    if made == sklearn.__version__:
        return f"version {version} cannot be used ({what}): {_advise(card)}"
    return (
        f"version {version}, made with scikit-learn {made}, cannot be used with "
        f"{sklearn.__version__} ({what}): install scikit-learn {made}, or {_advise(card)}"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
