"""Scores of models of emotions on a corpus, clean and over the phone, without the test voices."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from helpers.channel import TELEPHONE_RATE
from helpers.classifiers import make_earlier
from helpers.emotion import UPSET
from helpers.evaluation import Evaluation, cross_validate
from helpers.features import classic_features
from helpers.fold_models import FoldModels
from helpers.hearing import CLEAN, LINES, MU_LAW, read_recording
from helpers.progress import progress

CLASSIC_PERCEPTRON = "180 means + perceptron"
"""The recipe of the tutorials, as a baseline."""

LIGHT, FULL = "light", "light + network"
"""The model without and with networks."""

ALONE, AGAINST_BASELINE = "utterance alone", "own baseline"
"""Whether a test speaker's other utterances are known."""

SPEAKERS, RANDOM = "speakers apart", "random (leaks)"
"""How recordings are divided; the second is what the earlier notebook saw."""

_SPLITS = {SPEAKERS: "customer", RANDOM: "segment"}


@dataclass
class CorpusBenchmark:
    """Everything that was measured on a corpus.

    Attributes:
        emotions: evaluation by model, baseline, line and split
        upset: the same for two classes
        seconds: how long each cross-validation took, by model and split
    """

    emotions: dict[tuple[str, str, str, str], Evaluation] = field(default_factory=dict)
    upset: dict[tuple[str, str, str, str], Evaluation] = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)

    def table(self, task: str) -> pd.DataFrame:
        """Put the scores of `emotions` or `upset` in a table, one row each."""
        return pd.DataFrame(
            [
                {
                    **dict(zip(("model", "judged", "line", "split"), key, strict=True)),
                    "uar": round(evaluation.uar, 3),
                    **dict(zip(("low", "high"), np.round(evaluation.uar_interval, 3), strict=True)),
                    "macro_f1": round(evaluation.macro_f1, 3),
                    "accuracy": round(evaluation.accuracy, 3),
                }
                for key, evaluation in getattr(self, task).items()
            ]
        )

    @property
    def gaps(self) -> pd.DataFrame:
        """What a random split adds to the UAR over the phone, by model: nothing but a leak."""
        rows = []
        for model, baseline, line, split in self.emotions:
            if split == RANDOM and line == MU_LAW:
                scores = [self.emotions[model, baseline, line, each].uar for each in _SPLITS]
                apart, random = np.round(scores, 3)
                row = {"model": model, "judged": baseline, SPEAKERS: apart, RANDOM: random}
                rows.append({**row, "gap": round(random - apart, 3)})
        return pd.DataFrame(rows)

    @property
    def fullest_model(self) -> str:
        """The last model that was added: the one with networks where there is one."""
        return list(self.emotions)[-1][0]

    @property
    def warnings(self) -> list[str]:
        """What to look into before believing the scores with speakers apart."""
        return [
            f"{task}, {', '.join(key)}: {evaluation.warning}"
            for task in ("emotions", "upset")
            for key, evaluation in getattr(self, task).items()
            if evaluation.warning and key[-1] == SPEAKERS
        ]


def benchmark_corpus(models: FoldModels, *, jobs: int = -1) -> CorpusBenchmark:
    """Score the earlier recipe, the light model and the one with networks on a corpus.

    All go through `cross_validate`, five folds by speaker; speakers whose recordings are nearly
    the same are kept together. The earlier recipe and the light model are also scored with
    recordings drawn at random, which is the figure that leaks.

    Args:
        models: the corpus, and how many networks a model has
        jobs: folds at once, -1 for one a core

    Returns:
        the scores

    Raises:
        CallEmotionError: where there are too few speakers
    """
    benchmark = CorpusBenchmark()
    run = partial(_run, benchmark, models, jobs=jobs)
    lines = [(baseline, line) for baseline in (ALONE, AGAINST_BASELINE) for line in LINES]
    earlier = {line: _earlier_learner(models, line) for line in (CLEAN, MU_LAW)}
    light = partial(_learn, models, 0)
    for split in _SPLITS:
        for line, learn in earlier.items():
            run(CLASSIC_PERCEPTRON, learn, [(ALONE, line)], split)
        run(LIGHT, light, lines, split)
    if models.networks:
        run(FULL, partial(_learn, models, models.networks), lines, SPEAKERS)
    return benchmark


def _run(benchmark, models, name, learn, columns, split, *, jobs) -> None:
    clock = perf_counter()
    key = _SPLITS[split]
    groups = np.arange(len(models.labels)) if split == RANDOM else models.groups
    predicted = cross_validate(
        learn, models.labels, groups=groups, split=key, seed=models.seed, jobs=jobs
    )
    seconds = perf_counter() - clock
    benchmark.seconds[name, split] = benchmark.seconds.get((name, split), 0) + seconds
    rows = models.table[["path"]].assign(group=groups)
    classes = tuple(dict.fromkeys(models.table.sort_values("emotion_id")["emotion"]))
    for number, column in enumerate(columns):
        emotions, upset = predicted[:, number].T
        benchmark.emotions[name, *column, split] = Evaluation(
            key, rows.assign(true=models.labels, predicted=emotions), classes, "emotions"
        )
        true = name_upset(np.isin(models.labels, UPSET))
        benchmark.upset[name, *column, split] = Evaluation(
            key, rows.assign(true=true, predicted=upset), ("upset", "not upset"), "upset"
        )


def name_upset(upset: np.ndarray) -> np.ndarray:
    """Name two classes: `upset` and `not upset`."""
    return np.where(upset, "upset", "not upset")


def _learn(models: FoldModels, networks: int, train: np.ndarray) -> Callable:
    """Fit a model of emotions; it gives shape (rows, baselines x lines, emotion and upset)."""
    model = models.fit(train, networks=networks)
    speakers = models.table["speaker"].to_numpy()

    def judge(test: np.ndarray) -> np.ndarray:
        columns = []
        for known in (None, speakers[test]):
            for heard in models.heard.values():
                probabilities = model.predict_heard(heard.take(test), speakers=known)
                emotions = model.classes_[probabilities.argmax(axis=1)].astype(object)
                columns.append([emotions, name_upset(model.upset(probabilities) > 0.5)])
        return np.array(columns, dtype=object).transpose(2, 0, 1)

    return judge


def _earlier_learner(models: FoldModels, line: str) -> Callable:
    """Learn the earlier recipe on one line; it gives shape (rows, 1, emotion and upset)."""
    jobs = (delayed(_classic)(path, line) for path in models.table["path"])
    classic = Parallel(n_jobs=-1, return_as="generator")(jobs)
    features = np.stack(list(progress(classic, "180 means", total=len(models.table))))

    def learn(train: np.ndarray) -> Callable:
        model = make_earlier(models.seed).fit(features[train], models.labels[train])

        def judge(test: np.ndarray) -> np.ndarray:
            emotions = model.predict(features[test]).astype(object)
            answers = [emotions, name_upset(np.isin(emotions, UPSET))]
            return np.array([answers], dtype=object).transpose(2, 0, 1)

        return judge

    return learn


def _classic(path: str, line: str) -> np.ndarray:
    return classic_features(LINES[line](read_recording(path), 0), TELEPHONE_RATE)
