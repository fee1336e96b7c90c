"""Models against feature sets on one corpus, every cell scored by the same folds and kept."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import skops.io

from helpers.emotion import UPSET
from helpers.evaluation import Evaluation, cross_validate, unweighted_average_recall
from helpers.features import FeatureSet
from helpers.files import write_json
from helpers.progress import progress
from helpers.zoo.described_corpus import LINES, DescribedCorpus
from helpers.zoo.feature_sets import FEATURE_SETS, OVER_TIME
from helpers.zoo.fingerprint import fingerprint_code
from helpers.zoo.models import FRAMES, VECTORS, ScaledClassifier, find_model, list_models
from helpers.zoo.selection import ChosenModel
from helpers.zoo.tasks import TASKS, Task

CHOSEN = "chosen inside the fold"
"""Name of the model that is chosen on training speakers, see `helpers.zoo.selection`."""

APART, AT_RANDOM = "customer", "segment"
"""Splits: no speaker on both sides, and recordings drawn at random (leaks)."""

COLUMNS = (
    *("task", "line", "features", "model", "uar", "low", "high", "upset_uar", "random_uar", "gap"),
    *("train_s", "latency_ms", "size_mb"),
)
"""Columns of the table of scores."""

TIMED = 5
"""Recordings that are judged one by one to see how long one takes."""

SCORED_BY = (
    *("helpers.evaluation", "helpers.zoo.architectures", "helpers.zoo.boosting"),
    *("helpers.zoo.comparison", "helpers.zoo.described_corpus", "helpers.zoo.feature_sets"),
    *("helpers.zoo.held_out", "helpers.zoo.models", "helpers.zoo.networks"),
    *("helpers.zoo.selection", "helpers.zoo.support_vectors", "helpers.zoo.tasks"),
)
"""Modules on which a model and its answers depend."""


class Cell(NamedTuple):
    """What is scored together.

    Attributes:
        model: name in the registry, or `CHOSEN`
        feature_set: what it takes
        line: key of `helpers.zoo.described_corpus.LINES`
        split: `APART` or `AT_RANDOM`
        task: what is asked
    """

    model: str
    feature_set: FeatureSet
    line: str
    split: str = APART
    task: Task = TASKS[0]

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Which row of the table it is in: task, line, features, model."""
        return self.task.name, self.line, self.feature_set.name, self.model


class Scored(NamedTuple):
    """A cell's answers.

    Attributes:
        cell: what was scored
        evaluation: of the answers; its rows also hold `upset`, whether the voice was taken as upset
        train_s: seconds of one training, in the mean over the folds, on one core
        latency_ms: of judging one described recording, in the median
        size_mb: of the stored model
    """

    cell: Cell
    evaluation: Evaluation
    train_s: float
    latency_ms: float
    size_mb: float

    @property
    def upset_uar(self) -> float:
        """UAR of upset against not upset, from the summed probabilities."""
        rows = self.evaluation.rows
        return unweighted_average_recall(rows["is_upset"], rows["upset"])


def list_cells(
    models: Sequence[str] | None = None,
    feature_sets: Sequence[FeatureSet] = FEATURE_SETS,
    *,
    lines: Sequence[str] = tuple(LINES),
    splits: Sequence[str] = (APART, AT_RANDOM),
    tasks: Sequence[Task] = TASKS[:1],
) -> list[Cell]:
    """List the cells of a table: each model with each feature set that it takes.

    Args:
        models: names in the registry or `CHOSEN`; every installed one and `CHOSEN` by default
        feature_sets: of utterances
        lines: keys of `helpers.zoo.described_corpus.LINES`
        splits: which of `APART` and `AT_RANDOM`
        tasks: what is asked

    Raises:
        CallEmotionError: where a model is not there or not installed
    """
    models = [*list_models(), CHOSEN] if models is None else models
    takes = {name: VECTORS if name == CHOSEN else find_model(name).takes for name in models}
    gives = {each.name: FRAMES if each is OVER_TIME else VECTORS for each in feature_sets}
    if left_out := [name for name in models if takes[name] not in gives.values()]:
        print(
            f"left out: {', '.join(left_out)}. None of {', '.join(gives)} is for them; models that "
            f"take frames need {OVER_TIME.name}, the others any other features"
        )
    return [
        Cell(name, feature_set, line, split, task)
        for feature_set, line, name, split, task in product(
            feature_sets, lines, models, splits, tasks
        )
        if takes[name] == gives[feature_set.name]
    ]


def score_cells(
    corpus: DescribedCorpus, cells: Sequence[Cell], *, folder: Path, jobs: int = -1, seed: int = 0
) -> list[Scored]:
    """Score cells; one that was scored before with the same recordings and code is read.

    All go through `helpers.evaluation.cross_validate` with the same folds; the scaler, class
    weights, early stopping and choices see training rows alone.

    Args:
        corpus: what is judged
        cells: what is scored, as `list_cells` gives it
        folder: where answers are kept, so that a killed run goes on
        jobs: folds that are worked on at once, -1 for one a core
        seed: of models and folds

    Returns:
        the scored cells, in the given order

    Raises:
        CallEmotionError: where there are too few speakers or classes
    """
    return [
        _score(corpus, cell, folder, jobs, seed)
        for cell in progress(list(cells), "Models x features")
    ]


def tabulate(scored: Sequence[Scored]) -> pd.DataFrame:
    """Put scores in a table, the best first for each line and task.

    Returns:
        one row per task, line, feature set and model: `task, line, features, model, uar, low,
        high, upset_uar, random_uar, gap, train_s, latency_ms, size_mb`; `random_uar` is the score
        of the split that leaks, where it was run, and `gap` what it adds
    """
    random = {each.cell.row: each for each in scored if each.cell.split == AT_RANDOM}
    rows = []
    for each in scored:
        if each.cell.split == AT_RANDOM:
            continue
        other = random.get(each.cell.row)
        random_uar = other.evaluation.uar if other else np.nan
        low, high = each.evaluation.uar_interval
        rows.append(
            {
                **dict(zip(("task", "line", "features", "model"), each.cell.row, strict=True)),
                "uar": round(each.evaluation.uar, 3),
                "low": round(low, 3),
                "high": round(high, 3),
                "upset_uar": round(each.upset_uar, 3),
                "random_uar": round(random_uar, 3),
                "gap": round(random_uar - each.evaluation.uar, 3),
                "train_s": round(each.train_s, 2),
                "latency_ms": round(each.latency_ms, 2),
                "size_mb": round(each.size_mb, 2),
            }
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(
        ["task", "line", "uar"], ascending=[True, True, False], ignore_index=True, kind="stable"
    )


def find_best(table: pd.DataFrame, model: str) -> dict[str, object]:
    """Give the row of a table with a model's best features for the first of `TASKS`.

    Returns:
        its columns and `features_tried`, among how many features it is the best; empty where the
        model is not in the table
    """
    rows = table[(table["model"] == model) & (table["task"] == TASKS[0].name)]
    rows = rows.sort_values("uar", ascending=False, kind="stable").to_dict("records")
    return {**rows[0], "features_tried": len(rows)} if rows else {}


def _score(corpus: DescribedCorpus, cell: Cell, folder: Path, jobs: int, seed: int) -> Scored:
    path = folder / "cells" / f"{_name(corpus, cell, seed)}.json"
    rows, labels = cell.task.take(corpus.labels)
    if not path.is_file():
        write_json(path, _answer(corpus, cell, rows, labels, jobs, seed))
    kept = json.loads(path.read_text())
    table = corpus.table.iloc[rows][["path", "emotion"]].reset_index(drop=True)
    answers = table.assign(
        true=labels,
        predicted=kept["predicted"],
        group=corpus.groups[rows],
        upset=kept["upset"],
        is_upset=table["emotion"].isin(UPSET),
    )
    classes = tuple(name for name in cell.task.classes if name in set(labels))
    evaluation = Evaluation(cell.split, answers, classes, cell.task.ceiling)
    return Scored(cell, evaluation, *(kept[name] for name in ("train_s", "latency_ms", "size_mb")))


def _answer(corpus, cell: Cell, rows, labels, jobs: int, seed: int) -> dict[str, object]:
    features = corpus.describe(cell.feature_set, cell.line)[rows]
    speakers = corpus.groups[rows]
    upset = {word for name, word in cell.task.renamed.items() if name in UPSET}
    learn = partial(_learn, cell.model, seed, features, labels, speakers, upset)
    groups = speakers if cell.split == APART else np.arange(len(labels))
    answers = cross_validate(learn, labels, groups=groups, split=cell.split, seed=seed, jobs=jobs)
    predicted, is_upset, *figures = answers.T
    names = ("train_s", "latency_ms", "size_mb")
    means = {
        name: float(np.mean(each.astype(float))) for name, each in zip(names, figures, strict=True)
    }
    return {"predicted": predicted.tolist(), "upset": is_upset.astype(bool).tolist(), **means}


def _learn(
    name: str, seed: int, features, labels, speakers, upset: set[str], train: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    clock = perf_counter()
    model = ChosenModel(seed=seed) if name == CHOSEN else ScaledClassifier(name, seed)
    model.fit(features[train], labels[train], speakers[train])
    seconds = perf_counter() - clock
    content = {"scaler": model.scaler_, "classifier": model.classifier_}
    size = len(skops.io.dumps(content, compression=8)) / 1e6
    counted = np.isin(model.classes_, list(upset))

    def judge(test: np.ndarray) -> np.ndarray:
        probabilities = model.predict_proba(features[test])
        answers = np.empty((len(test), 5), dtype=object)
        answers[:, 0] = model.classes_[probabilities.argmax(axis=1)]
        answers[:, 1] = probabilities[:, counted].sum(axis=1) > 0.5
        answers[:, 2:] = seconds, _time_one(model, features[test]), size
        return answers

    return judge


def _time_one(model, features: np.ndarray) -> float:
    seconds = []
    for row in features[:TIMED]:
        clock = perf_counter()
        model.predict_proba(row[None])
        seconds.append(perf_counter() - clock)
    return float(np.median(seconds)) * 1000


def _name(corpus: DescribedCorpus, cell: Cell, seed: int) -> str:
    what = (corpus.digest, *cell.row, cell.split, repr(cell.task), str(seed))
    content = json.dumps([*what, fingerprint_code(SCORED_BY)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
