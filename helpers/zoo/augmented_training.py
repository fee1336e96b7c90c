"""The light model, trained with and without augmented copies and judged on telephone speech."""

import hashlib
import inspect
import json
import re
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import librosa
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from soundfile import __libsndfile_version__

from helpers import augmentation, channel, descriptors, effects, emotion, evaluation, functionals
from helpers.audio import open_recording, to_mono
from helpers.augmentation import AUGMENTATIONS, check_names, installed_augmentations
from helpers.channel import TELEPHONE_RATE, random_telephone, simulate_telephone
from helpers.corpus_benchmark import name_upset
from helpers.dataset import npy_bytes
from helpers.descriptors import describe_frames
from helpers.duplicates import join_duplicates
from helpers.effects import add_noise
from helpers.emotion import UPSET, LinearModel, check_table
from helpers.errors import AudioError
from helpers.evaluation import Evaluation, cross_validate, draw_groups, unweighted_average_recall
from helpers.files import write_bytes, write_json
from helpers.functionals import summarise
from helpers.progress import progress

VERSION = 1
"""Raised where this module hears or judges otherwise: what is kept of before is then done anew."""

NONE, UNCHANGED, LINES, ALL = "none", "unchanged copy", "drawn lines", "all together"
"""What stands in the table beside the augmentations."""

NOISY = "noisy"
"""The second test: noise behind the voice, before the line."""

TEST_SNR_DB, TEST_SLOPE = (10.0, 20.0), 1.0
"""Its levels below the speech, drawn evenly, in dB; pink, while the noise trained on is white."""

AFTER_LINE = ("mp3",)
"""What happens to a call once it has come down the line: recorders store it."""

INSTEAD_OF_BAND = ("line filter",)
"""What takes the place of the line's own band."""

SPLITS = {"apart": "customer", "random": "segment"}
"""Keys of `helpers.evaluation.SPLITS`: speakers apart, and the figure that leaks."""

WHAT = {
    NONE: "the training recordings alone, down the telephone line",
    UNCHANGED: "each training recording twice: what more rows do by themselves",
    LINES: "down lines that differ in codec, band, level and noise",
    ALL: "a copy of each augmentation",
}
"""What the rows beside the augmentations are."""


def compare_augmentations(
    table: pd.DataFrame,
    *,
    folder: Path | str,
    names: Sequence[str] | None = None,
    copies: int = 1,
    seed: int = 0,
    jobs: int = -1,
) -> pd.DataFrame:
    """Train the light model with and without each augmentation, and judge it on the telephone.

    Augmented copies of the training recordings, sent down the line, are added to these in each
    fold; the recordings that are judged are never augmented. What is done comes before the line,
    but for `AFTER_LINE` and `INSTEAD_OF_BAND`. Speakers whose recordings are nearly the same are
    kept together.

    Args:
        table: as `helpers.corpora.load_corpus` gives it
        folder: where everything that is done is kept, so that a killed run goes on; kept things
            are used only for the same sounds, settings and code
        names: keys of `AUGMENTATIONS`; by default all whose packages are installed
        copies: augmented copies of each recording, each with strengths of its own; all together
            has one copy of each augmentation
        seed: of what is drawn
        jobs: recordings and folds at once; -1 for one a core

    Returns:
        one row an augmentation, and the rows of `WHAT`, `ALL` where there are two or more
        augmentations: `augmentation, what`; `uar, low, high` on
        telephone speech with its 95 % interval; `difference, difference_low, difference_high` to
        no augmentation, with the 95 % interval over the same draws of speakers; `upset_uar`, of
        upset against not upset; the same with noise behind the voice, beginning with `noisy_`;
        `random_uar`, which leaks, and its `gap` to `uar`; `seconds` of training and judging

    Raises:
        ValueError: where a name is none of `AUGMENTATIONS` or the copies are fewer than 1
        CallEmotionError: where the table cannot be learned from or has too few speakers
        AudioError: where a recording cannot be read
    """
    check_table(table)
    names = installed_augmentations() if names is None else list(names)
    check_names(names)
    if copies < 1:
        raise ValueError(f"copies is {copies!r}, expected 1 or more")
    corpus = _Corpus(table, folder=Path(folder), seed=seed, jobs=jobs)
    trainings = _list_trainings(names, copies)
    for name, copy in dict.fromkeys(part for parts in trainings.values() for part in parts):
        corpus.hear(name, copy)
    judged = {name: corpus.judge(parts) for name, parts in progress(trainings.items(), "Trained")}
    return _tabulate(corpus, judged)


def hear_augmented(
    signal: np.ndarray, sampling_rate: int, *, name: str, seed: Sequence[int]
) -> np.ndarray:
    """Change a recording and send it down the telephone line.

    Args:
        signal: mono, shape (samples,), floats
        sampling_rate: of the signal, in Hz
        name: key of `AUGMENTATIONS`, or `NONE`, `UNCHANGED`, `LINES` or `NOISY`
        seed: of what is drawn

    Returns:
        shape (samples,), float32 at `helpers.channel.TELEPHONE_RATE`
    """
    if name == LINES:
        return random_telephone(signal, sampling_rate, seed=seed)
    if name in AFTER_LINE:
        heard = simulate_telephone(signal, sampling_rate)
        return AUGMENTATIONS[name].apply(heard, TELEPHONE_RATE, seed=seed)
    if name == NOISY:
        draw = np.random.default_rng(seed)
        snr_db = draw.uniform(*TEST_SNR_DB)
        signal = add_noise(signal, sampling_rate, snr_db=snr_db, slope=TEST_SLOPE, seed=draw)
    if name in AUGMENTATIONS:
        signal = AUGMENTATIONS[name].apply(signal, sampling_rate, seed=seed)
    return simulate_telephone(signal, sampling_rate, band=name not in INSTEAD_OF_BAND)


class _Judged(NamedTuple):
    """Answers, shape (recordings, tests x (emotion, upset)), by key of `SPLITS`."""

    answers: dict[str, np.ndarray]
    seconds: float


class _Corpus:
    """The recordings, heard through the line and judged out of fold; all of it is kept."""

    def __init__(self, table: pd.DataFrame, *, folder: Path, seed: int, jobs: int) -> None:
        self.paths = table["path"].tolist()
        self.labels = table["emotion"].to_numpy(dtype=str)
        self.folder, self.seed, self.jobs = folder, seed, jobs
        self.sounds = _digest(
            *(Path(path).read_bytes() for path in self.paths),
            *_sources(augmentation, effects, channel, descriptors, functionals),
            *(librosa.__version__, __libsndfile_version__, VERSION, seed),
        )
        self.tests = (self.hear(NONE), self.hear(NOISY))
        self.groups = join_duplicates(table["speaker"], self.tests[0])

    def hear(self, name: str, copy: int = 0) -> np.ndarray:
        """Describe one copy of every recording, shape (recordings, functionals)."""
        path = self.folder / f"{_file_name(name)}-{copy}-{self.sounds}.npy"
        if not path.is_file():
            seed = (self.seed, zlib.crc32(name.encode()), copy)
            work = Parallel(n_jobs=self.jobs, return_as="generator")(
                delayed(_hear)(path, name, (*seed, row)) for row, path in enumerate(self.paths)
            )
            heard = list(progress(work, f"Heard: {name}", total=len(self.paths)))
            write_bytes(path, npy_bytes(np.stack(heard)))
        return np.load(path)

    def judge(self, parts: list[tuple[str, int]]) -> _Judged:
        """Cross-validate the light model with some copies added to its training recordings."""
        key = _digest(
            *(self.sounds, parts, self.labels.tolist(), self.groups.tolist()),
            *_sources(emotion, evaluation),
        )
        path = self.folder / f"answers-{key}.json"
        if not path.is_file():
            clock = perf_counter()
            copies = [self.hear(*part) for part in parts]
            learn = partial(_learn, self.tests, copies, self.labels)
            answers = {split: self._validate(learn, split).tolist() for split in SPLITS}
            seconds = round(perf_counter() - clock, 1)
            write_json(path, {"seconds": seconds, "answers": answers})
        kept = json.loads(path.read_text())
        answers = {split: np.array(rows) for split, rows in kept["answers"].items()}
        return _Judged(answers, kept["seconds"])

    def _validate(self, learn: Callable, split: str) -> np.ndarray:
        groups = self.groups if split == "apart" else np.arange(len(self.labels))
        options = {"groups": groups, "split": SPLITS[split], "seed": self.seed}
        return cross_validate(learn, self.labels, jobs=self.jobs, **options)


def _list_trainings(names: list[str], copies: int) -> dict[str, list[tuple[str, int]]]:
    """List the copies that are added to the training recordings, by row of the table."""
    single = [UNCHANGED, *names, LINES]
    trainings = {NONE: [], **{name: [(name, copy) for copy in range(copies)] for name in single}}
    if len(names) < 2:
        return trainings
    return {**trainings, ALL: [(name, 0) for name in names]}


def _hear(path: str, name: str, seed: tuple[int, ...]) -> np.ndarray:
    try:
        with open_recording(path) as recording:
            signal = to_mono(recording.read(start_s=0, duration_s=recording.duration_s))
            heard = hear_augmented(signal, recording.sampling_rate, name=name, seed=seed)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    return summarise(describe_frames(heard, TELEPHONE_RATE))


def _learn(
    tests: tuple[np.ndarray, ...], copies: list[np.ndarray], labels: np.ndarray, train: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    classes, codes = np.unique(labels, return_inverse=True)
    features = np.concatenate([each[train] for each in (tests[0], *copies)])
    model = LinearModel.fit(features, np.tile(codes[train], 1 + len(copies)))

    def judge(test: np.ndarray) -> np.ndarray:
        columns = []
        for features in tests:
            probabilities = np.exp(model.log_proba(features[test]))
            upset = probabilities[:, np.isin(classes, UPSET)].sum(axis=1)
            columns += [classes[probabilities.argmax(axis=1)], name_upset(upset > 0.5)]
        return np.stack(columns, axis=1).astype(object)

    return judge


def _tabulate(corpus: _Corpus, judged: dict[str, _Judged]) -> pd.DataFrame:
    rows = []
    for name, (answers, seconds) in progress(judged.items(), "Intervals"):
        what = WHAT[name] if name in WHAT else AUGMENTATIONS[name].what
        scores = {
            f"{prefix}{column}": score
            for test, prefix in enumerate(("", "noisy_"))
            for column, score in _score(corpus, answers, judged[NONE].answers, test).items()
        }
        random = unweighted_average_recall(corpus.labels, answers["random"][:, 0])
        leaked = {"random_uar": random, "gap": random - scores["uar"], "seconds": seconds}
        rows.append({"augmentation": name, "what": what, **scores, **leaked})
    return pd.DataFrame(rows).round(3)


def _score(corpus: _Corpus, answers: dict, plain: dict, test: int) -> dict[str, float]:
    """Score the answers to one test, and their difference to those without augmentation."""
    given, before = answers["apart"][:, 2 * test], plain["apart"][:, 2 * test]
    columns = {"true": corpus.labels, "predicted": given, "group": corpus.groups}
    judged = Evaluation("customer", pd.DataFrame(columns), task="emotions")
    upset = name_upset(np.isin(corpus.labels, UPSET))
    difference = judged.uar - unweighted_average_recall(corpus.labels, before)
    ends = _difference_interval(corpus.labels, before, given, groups=corpus.groups)
    return {
        "uar": judged.uar,
        **dict(zip(("low", "high"), judged.uar_interval, strict=True)),
        "difference": difference,
        **dict(zip(("difference_low", "difference_high"), ends, strict=True)),
        "upset_uar": unweighted_average_recall(upset, answers["apart"][:, 2 * test + 1]),
    }


def _difference_interval(true, before, after, *, groups) -> tuple[float, float]:
    """Give a 95 % interval of a difference of UAR, both scored on the same draws of speakers."""
    differences = [
        unweighted_average_recall(true[rows], after[rows])
        - unweighted_average_recall(true[rows], before[rows])
        for rows in draw_groups(groups)
    ]
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


def _sources(*modules) -> list[str]:
    return [inspect.getsource(module) for module in modules]


def _digest(*parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def _file_name(name: str) -> str:
    return re.sub("[^a-z0-9]+", "_", name)
