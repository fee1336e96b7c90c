"""The stored versions of the model, as the service lists them."""

from collections.abc import Mapping

from pydantic import ValidationError

from apps.api.answers import Golden, Models, Version
from helpers.errors import ModelError
from helpers.model_store import find_champion, list_versions, read_card
from helpers.workspace import Workspace


def list_models(workspace: Workspace) -> Models:
    """List the versions with what their cards say; what a damaged card hides is not known."""
    champion = find_champion(workspace)
    versions = [
        _describe(workspace, version, is_champion=version == champion)
        for version in list_versions(workspace)
    ]
    return Models(champion=champion or None, versions=versions)


def _describe(workspace: Workspace, version: str, *, is_champion: bool) -> Version:
    known = {"version": version, "is_champion": is_champion}
    try:
        return Version(**known, **_read(workspace, version))
    except (ModelError, ValidationError):
        return Version(**known, **dict.fromkeys(Version.model_fields.keys() - known.keys()))


def _read(workspace: Workspace, version: str) -> dict[str, object]:
    card = read_card(workspace, version)
    golden, training = card.get("golden"), card.get("training")
    return {
        "created": card.get("created"),
        "training_calls": training.get("calls") if isinstance(training, Mapping) else None,
        "feature_set": card.get("feature_set"),
        "golden": _pick(golden) if isinstance(golden, Mapping) and golden else None,
    }


def _pick(golden: Mapping) -> dict[str, object]:
    return {name: golden.get(name) for name in Golden.model_fields}
