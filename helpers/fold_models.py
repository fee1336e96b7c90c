"""A corpus, and models of emotions fitted to parts of it, each network trained once and kept."""

import hashlib
import inspect
import json
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from helpers.duplicates import join_duplicates
from helpers.emotion import EmotionModel, fit_heard
from helpers.emotion_store import load_emotion_model, save_emotion_model
from helpers.files import write_json
from helpers.hearing import CLEAN, hear_corpus


class FoldModels:
    """Fits models to parts of a corpus and keeps the networks, so that a killed benchmark goes on.

    A kept network is used again only for the same sounds, settings and code.

    Args:
        table: as `helpers.corpora.load_corpus` gives it
        folder: where networks are kept
        networks: how many networks a model has
        epochs: passes of each, `helpers.network.EPOCHS` by default
        seed: of the networks

    Attributes:
        table: the corpus, numbered from 0
        heard: its recordings through every line
        labels: emotion of each recording
        groups: speaker of each; speakers with nearly the same recordings have one name
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        folder: Path,
        networks: int = 0,
        epochs: int | None = None,
        seed: int = 0,
    ) -> None:
        self.table = table.reset_index(drop=True)
        self.folder, self.networks, self.epochs, self.seed = folder, networks, epochs, seed
        self.heard = hear_corpus(self.table["path"].tolist())
        self.labels = self.table["emotion"].to_numpy(dtype=str)
        self.groups = join_duplicates(self.table["speaker"], self.heard[CLEAN].features)

    def fit(self, rows: np.ndarray, *, networks: int | None = None) -> EmotionModel:
        """Fit a model to some rows of the table, with the networks that are kept where there are.

        Args:
            rows: numbers
            networks: how many, all of them by default; 0 for a light model
        """
        networks = self.networks if networks is None else networks
        seeds = range(self.seed, self.seed + networks)
        light = self._fit(rows, 0, self.seed)
        return replace(light, networks=tuple(self._network(rows, seed) for seed in seeds))

    def list_trainings(self) -> pd.DataFrame:
        """List how long each kept network took, in `seconds`, for how many `utterances`."""
        rows = [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]
        return pd.DataFrame(rows, columns=["utterances", "seconds"])

    def _fit(self, rows: np.ndarray, networks: int, seed: int) -> EmotionModel:
        heard = {line: heard.take(rows) for line, heard in self.heard.items()}
        table = self.table.iloc[rows]
        return fit_heard(table, heard, networks=networks, epochs=self.epochs, seed=seed)

    def _network(self, rows: np.ndarray, seed: int):
        path = self.folder / f"{self._name(rows, seed)}.npz"
        if not path.is_file():
            clock = perf_counter()
            model = self._fit(rows, 1, seed)
            seconds = round(perf_counter() - clock)
            write_json(path.with_suffix(".json"), {"utterances": len(rows), "seconds": seconds})
            save_emotion_model(path, model)
        return load_emotion_model(path).networks[0]

    def _name(self, rows: np.ndarray, seed: int) -> str:
        import helpers.network

        digest = hashlib.sha256(f"{self.epochs} {seed}".encode())
        digest.update(inspect.getsource(helpers.network).encode())
        digest.update(self.table[["emotion", "speaker"]].iloc[rows].to_csv(index=False).encode())
        for heard in self.heard.values():
            for row in rows:
                digest.update(np.ascontiguousarray(heard.spectra[row]))
        return digest.hexdigest()[:16]
