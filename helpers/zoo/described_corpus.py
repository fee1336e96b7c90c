"""A corpus of emotions, described by every feature set through every line, and kept on disk."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from helpers.dataset import npy_bytes
from helpers.duplicates import join_duplicates
from helpers.emotion import check_table
from helpers.errors import AudioError
from helpers.features import FeatureSet
from helpers.files import write_bytes
from helpers.progress import progress
from helpers.zoo.feature_sets import OURS, by_telephone
from helpers.zoo.fingerprint import fingerprint_code

WIDE_BAND, TELEPHONE = "wide-band", "telephone"
"""The recording as it is, and at 8 kHz, 300 to 3400 Hz, mu-law."""

LINES: dict[str, Callable[[FeatureSet], FeatureSet]] = {
    WIDE_BAND: lambda feature_set: feature_set,
    TELEPHONE: by_telephone,
}
"""What a corpus is heard through, by name."""

_DESCRIBED_BY = (
    *("helpers.channel", "helpers.descriptors", "helpers.features", "helpers.functionals"),
    *("helpers.zoo.feature_sets", "helpers.zoo.embeddings", "helpers.zoo.opensmile_features"),
)

TIMED = 20
"""Recordings that are described one by one to see how long one takes."""


class DescribedCorpus:
    """Recordings of a corpus as matrices; what the same code described before is read.

    Args:
        table: with the columns `path, emotion, speaker`, as `helpers.corpora.load_corpus` gives it
        folder: where matrices are kept, under the content of the recordings
        jobs: recordings that are described at once, -1 for one a core

    Attributes:
        table: the corpus, numbered from 0
        labels: emotion of each recording
    """

    def __init__(self, table: pd.DataFrame, *, folder: Path, jobs: int = -1) -> None:
        check_table(table)
        self.table = table.reset_index(drop=True)
        self.folder, self.jobs = folder, jobs
        self.labels = self.table["emotion"].to_numpy(dtype=str)

    @cached_property
    def digest(self) -> str:
        """Short name that changes with any recording, emotion or speaker."""
        digest = hashlib.sha256(self.table[["emotion", "speaker"]].to_csv(index=False).encode())
        for path in self.table["path"]:
            digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        return digest.hexdigest()[:16]

    @cached_property
    def groups(self) -> np.ndarray:
        """Speaker of each recording; speakers with nearly the same recordings have one name."""
        return join_duplicates(self.table["speaker"], self.describe(OURS, TELEPHONE))

    def describe(self, feature_set: FeatureSet, line: str) -> np.ndarray:
        """Describe every recording.

        Args:
            feature_set: one of `helpers.zoo.feature_sets.FEATURE_SETS`, or alike
            line: key of `LINES`

        Returns:
            shape (recordings, features), float32

        Raises:
            AudioError: with the path, where a recording cannot be read
        """
        heard = LINES[line](feature_set)
        name = f"{heard.name}_{self.digest}_{fingerprint_code(_DESCRIBED_BY)}.npy"
        path = self.folder / "features" / name
        if path.is_file():
            return np.load(path, allow_pickle=False)
        describe = delayed(describe_recording)
        rows = Parallel(n_jobs=self.jobs, return_as="generator")(
            describe(path, heard) for path in self.table["path"]
        )
        matrix = np.stack(list(progress(rows, heard.name, total=len(self.table))))
        write_bytes(path, npy_bytes(matrix))
        return matrix

    def time_description(self, feature_set: FeatureSet, line: str) -> float:
        """Give the seconds that one recording takes, in the median over some."""
        seconds = []
        for path in self.table["path"][:TIMED]:
            clock = perf_counter()
            describe_recording(path, LINES[line](feature_set))
            seconds.append(perf_counter() - clock)
        return float(np.median(seconds))


def describe_recording(path: Path | str, feature_set: FeatureSet) -> np.ndarray:
    """Describe one recording of one voice, shape (features,), float32.

    Raises:
        AudioError: with the path, where it cannot be read
    """
    try:
        call = feature_set.read(path)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    return feature_set.describe(call)[0]
