"""Models of the zoo fitted to a corpus, stored as versions with a card, and asked for answers."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import ModelError
from helpers.features import FeatureSet
from helpers.files import write_bytes, write_json
from helpers.model_store import add_version, list_versions, load_version, read_card
from helpers.trained_model import TrainedModel
from helpers.training import hash_training
from helpers.workspace import Workspace
from helpers.zoo.cards import card_text
from helpers.zoo.comparison import SCORED_BY, find_best
from helpers.zoo.described_corpus import (
    LINES,
    TELEPHONE,
    WIDE_BAND,
    DescribedCorpus,
    describe_recording,
)
from helpers.zoo.feature_sets import OURS, OVER_TIME, find_feature_set
from helpers.zoo.fingerprint import fingerprint_code
from helpers.zoo.models import FRAMES, ScaledClassifier, find_model


def fit_zoo_model(
    corpus: DescribedCorpus,
    name: str,
    *,
    feature_set: FeatureSet | None = None,
    line: str = TELEPHONE,
    seed: int = 0,
) -> TrainedModel:
    """Fit a model of the zoo to all recordings of a corpus.

    Args:
        corpus: what it learns from
        name: in the registry, see `helpers.zoo.models.ZOO`
        feature_set: what it takes; by default this project's, or spectra over time for a model
            that takes frames
        line: what the recordings are heard through, key of `helpers.zoo.described_corpus.LINES`
        seed: of the model

    Returns:
        the model, not calibrated; `classes` are the corpus's emotions, and its features hear every
        recording through the line it was fitted for

    Raises:
        CallEmotionError: where there is no such model, it is not installed, or the corpus is too
            small for it
    """
    if feature_set is None:
        feature_set = OVER_TIME if find_model(name).takes == FRAMES else OURS
    features = corpus.describe(feature_set, line)
    fitted = ScaledClassifier(name, seed).fit(features, corpus.labels, corpus.groups)
    digest = hash_training(features, corpus.labels, groups=corpus.groups, seed=seed)
    what = f"{digest} {name} {line} {feature_set.name} {fingerprint_code(SCORED_BY)}"
    contents = (Path(path).read_bytes() for path in corpus.table["path"])
    return TrainedModel(
        fitted.scaler_,
        fitted.classifier_,
        hashlib.sha256(what.encode()).hexdigest(),
        frozenset(hashlib.sha256(content).hexdigest() for content in contents),
        LINES[line](feature_set),
        name,
    )


def store_zoo_model(
    workspace: Workspace,
    model: TrainedModel,
    corpus: DescribedCorpus,
    *,
    line: str = TELEPHONE,
    scores: Mapping[str, object] | None = None,
) -> TrainedModel:
    """Store a model of the zoo as a version.

    One that is stored already is not stored again; scores that come later are added to its card.

    Args:
        workspace: its folder `zoo` holds the versions, each with a `MODEL_CARD.md`
        model: as `fit_zoo_model` gives it
        corpus: what it was fitted to
        line: what the recordings were heard through
        scores: its row of `helpers.zoo.comparison.tabulate`, where it was scored

    Returns:
        the model with the name of its version
    """
    zoo, entry, table = workspace.zoo, find_model(model.choice), corpus.table
    scores = {key: value for key, value in (scores or {}).items() if value == value}
    if stored := _find_stored(zoo, model):
        _write_card(zoo, stored.version, scores)
        return stored
    card = {
        "zoo": {"what": entry.what, "pick": entry.pick, "line": line},
        "training": {
            "recordings": len(table),
            "speakers": int(table["speaker"].nunique()),
            "corpora": sorted(table["corpus"].unique()) if "corpus" in table else [],
            "emotions": table["emotion"].value_counts().to_dict(),
        },
        "scores": {},
    }
    probes = corpus.describe(model.feature_set, WIDE_BAND)  # the line is part of the features
    stored = add_version(zoo, model, card, probes=probes)
    _write_card(zoo, stored.version, scores)
    return stored


def keep_best(
    workspace: Workspace, corpus: DescribedCorpus, name: str, *, table: pd.DataFrame, line: str
) -> TrainedModel:
    """Fit a model with the features it did best on, and store it with its scores.

    Args:
        workspace: see `store_zoo_model`
        corpus: what it learns from
        name: in the registry
        table: as `helpers.zoo.comparison.tabulate` gives it; a model that is not in it for this
            line gets its usual features and no scores
        line: what the recordings are heard through

    Returns:
        the stored model
    """
    scores = find_best(table[table["line"] == line], name)
    feature_set = find_feature_set(scores["features"]) if scores else None
    model = fit_zoo_model(corpus, name, feature_set=feature_set, line=line)
    return store_zoo_model(workspace, model, corpus, line=line, scores=scores)


def list_zoo_models(workspace: Workspace) -> pd.DataFrame:
    """List the stored models of the zoo.

    Returns:
        one row each, oldest first: `version, model, features, line, created, uar`
    """
    rows = []
    for version in list_versions(workspace.zoo):
        card = read_card(workspace.zoo, version)
        rows.append(
            {
                "version": version,
                "model": card["choice"],
                "features": card["feature_set"],
                "line": card["zoo"]["line"],
                "created": card["created"],
                "uar": card["scores"].get("uar", np.nan),
            }
        )
    return pd.DataFrame(rows, columns=["version", "model", "features", "line", "created", "uar"])


def predict_emotions(
    paths: Iterable[Path | str], *, workspace: Workspace, version: str
) -> pd.DataFrame:
    """Ask a stored model of the zoo which emotion recordings of one voice show.

    Args:
        paths: any recordings that `helpers.audio.open_recording` reads
        workspace: that holds the version
        version: its name, see `list_zoo_models`

    Returns:
        one row per path: `path, emotion`, and the probability of each emotion

    Raises:
        ModelError: where there is no such version, or it cannot be used
        AudioError: with the path, where a recording cannot be read or is silent
    """
    paths = list(paths)
    model = load_version(workspace.zoo, version)
    rows = [describe_recording(path, model.feature_set) for path in paths]
    matrix = np.array(rows, np.float32).reshape(len(rows), len(model.feature_set.names))
    probabilities = model.predict_proba(matrix) if rows else np.empty((0, len(model.classes)))
    emotions = np.array(model.classes)[probabilities.argmax(axis=1)]
    table = pd.DataFrame({"path": [str(path) for path in paths], "emotion": emotions})
    return table.join(pd.DataFrame(probabilities.round(6), columns=list(model.classes)))


def _find_stored(zoo: Workspace, model: TrainedModel) -> TrainedModel | None:
    """Load the version that learned the same in the same way, where there is a usable one."""
    for version in reversed(list_versions(zoo)):
        with suppress(ModelError):
            if read_card(zoo, version)["training"]["hash"] == model.training_hash:
                return load_version(zoo, version)
    return None


def _write_card(zoo: Workspace, version: str, scores: Mapping[str, object]) -> None:
    card = read_card(zoo, version)
    card["scores"] = dict(scores) or card["scores"]
    text = card_text(card)
    write_json(zoo.models / version / "card.json", card)
    write_bytes(zoo.models / version / "MODEL_CARD.md", text.encode())
