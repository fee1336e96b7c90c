"""The figures of the emotion model, clean and over the phone, each without its test voices.

python -m helpers.benchmark CORPUS --results FOLDER
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from helpers.audio import open_recording, to_mono
from helpers.channel import TELEPHONE_RATE, simulate_telephone
from helpers.corpora import load_corpus
from helpers.descriptors import Frames, describe_frames
from helpers.emotion import CHANNELS as HEARD
from helpers.emotion import UPSET, EmotionModel, fit_frames, hear_corpus, summarise_all
from helpers.errors import CallEmotionError
from helpers.evaluation import Evaluation, cross_validate, join_duplicates
from helpers.features import classic_features
from helpers.files import write_csv
from helpers.progress import progress
from helpers.training import make_earlier

CHANNELS = {
    "clean": None,
    "8 kHz mu-law": {"codec": "mu-law", "band": False},
    "8 kHz mu-law, 300-3400 Hz": {"codec": "mu-law"},
}
"""Lines the corpus is judged through; the last one is `simulate_telephone` as it comes."""

PHONE = "8 kHz mu-law"
"""The line that the other tables are about."""

EARLIER = "180 means + perceptron"
"""The recipe of the tutorials, as a baseline."""

LIGHT, FULL = "light", "light + network"
ALONE, AGAINST_BASELINE = "", "own baseline"


class CorpusBenchmark:
    """Everything that was measured on a corpus.

    Attributes:
        emotions: evaluation by model, baseline, channel and split
        upset: the same for two classes
        seconds: how long each cross-validation took, by name
    """

    def __init__(self) -> None:
        self.emotions: dict[tuple[str, str, str, str], Evaluation] = {}
        self.upset: dict[tuple[str, str, str, str], Evaluation] = {}
        self.seconds: dict[str, float] = {}

    def table(self, task: str = "emotions") -> pd.DataFrame:
        """Put the scores of `emotions` or `upset` in a table, one row each."""
        rows = [
            {
                "model": model,
                "baseline": baseline,
                "channel": channel,
                "split": split,
                **{
                    name: value
                    for name, value in evaluation.summary().items()
                    if name not in ("split", "calls")
                },
                "recordings": len(evaluation.rows),
                "warning": evaluation.warning,
            }
            for (model, baseline, channel, split), evaluation in getattr(self, task).items()
        ]
        return pd.DataFrame(rows)


def benchmark_corpus(
    table: pd.DataFrame,
    *,
    networks: int = 0,
    epochs: int | None = None,
    seed: int = 0,
    jobs: int = -1,
) -> CorpusBenchmark:
    """Score the earlier recipe, the light model and the networks on a corpus.

    All go through `cross_validate`, five folds by speaker; speakers whose recordings are nearly
    the same are kept together. The light model and the earlier recipe are also scored with
    recordings drawn at random, which is the figure that leaks.

    Args:
        table: as `load_corpus` gives it
        networks: how many networks to train a fold; 0 for the light model alone
        epochs: passes of each, `helpers.network.EPOCHS` by default
        seed: of folds and networks
        jobs: folds at once, -1 for one a core

    Returns:
        the scores

    Raises:
        CallEmotionError: where there are too few speakers
    """
    corpus = _HeardCorpus(table)
    benchmark = CorpusBenchmark()
    for split in ("speaker", "random"):
        clock = perf_counter()
        learn = corpus.classic_learner(seed)
        _record(benchmark, corpus, learn, [(EARLIER, ALONE, PHONE)], split, seed, jobs)
        benchmark.seconds[f"{EARLIER}, {split}"] = perf_counter() - clock
        clock = perf_counter()
        columns = [(LIGHT, *column) for column in _judged()]
        learn = corpus.emotion_learner(networks=0, epochs=None, seed=seed)
        _record(benchmark, corpus, learn, columns, split, seed, jobs)
        benchmark.seconds[f"{LIGHT}, {split}"] = perf_counter() - clock
    if networks:
        clock = perf_counter()
        columns = [(FULL, *column) for column in _judged()]
        learn = corpus.emotion_learner(networks=networks, epochs=epochs, seed=seed)
        _record(benchmark, corpus, learn, columns, "speaker", seed, jobs)
        benchmark.seconds[f"{FULL}, speaker"] = perf_counter() - clock
    return benchmark


class _HeardCorpus:
    """A corpus, described once through every line that is trained on or judged."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table.reset_index(drop=True)
        self.labels = self.table["emotion"].to_numpy(dtype=str)
        self.heard = hear_corpus(self.table)
        self.judged = self._hear_lines()
        speakers = self.table["speaker"].to_numpy()
        self.groups = join_duplicates(speakers, summarise_all(self.heard[HEARD.index("clean")]))
        jobs = (delayed(_classic)(path) for path in self.table["path"])
        classic = Parallel(n_jobs=-1, return_as="generator")(jobs)
        self.classic = np.stack(list(progress(classic, "180 means", total=len(self.table))))

    def _hear_lines(self) -> list[list[Frames]]:
        jobs = (delayed(_hear_lines)(path) for path in self.table["path"])
        heard = Parallel(n_jobs=-1, return_as="generator")(jobs)
        rows = list(progress(heard, "Lines", total=len(self.table)))
        return [list(line) for line in zip(*rows, strict=True)]

    def classic_learner(self, seed: int) -> Callable:
        """Learn the earlier recipe; judge gives shape (rows, 1), names of emotions."""
        features, labels = self.classic, self.labels

        def learn(train: np.ndarray) -> Callable:
            model = make_earlier(seed).fit(features[train], labels[train])
            return lambda test: model.predict(features[test]).astype(object)[:, None]

        return learn

    def emotion_learner(self, *, networks: int, epochs: int | None, seed: int) -> Callable:
        """Learn an emotion model; judge gives shape (rows, columns of `_judged`, 2).

        The last axis holds the name of the emotion and whether the voice is upset.
        """
        table, heard, judged = self.table, self.heard, self.judged

        def learn(train: np.ndarray) -> Callable:
            model = fit_frames(
                table.iloc[train],
                [[variant[row] for row in train] for variant in heard],
                networks=networks,
                epochs=epochs,
                seed=seed,
            )
            return lambda test: _judge(model, table["speaker"].to_numpy(), judged, test)

        return learn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from a command line."""
    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark", description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder with one or more corpora")
    parser.add_argument("--results", type=Path, default=Path("benchmark"), help="tables go here")
    parser.add_argument("--networks", type=int, default=0, help="networks a fold; needs PyTorch")
    parser.add_argument("--epochs", type=int, default=None)
    options = parser.parse_args(arguments)
    try:
        table = load_corpus(options.corpus)
        benchmark = benchmark_corpus(table, networks=options.networks, epochs=options.epochs)
    except (CallEmotionError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    report_corpus(benchmark, options.results)
    return 0


def report_corpus(benchmark: CorpusBenchmark, results: Path) -> None:
    """Print the tables of a benchmark and write them as CSV files to a folder."""
    results.mkdir(parents=True, exist_ok=True)
    for task in ("emotions", "upset"):
        scores = benchmark.table(task)
        write_csv(results / f"{task}.csv", scores)
        print(f"\n{task}\n{scores.drop(columns='warning').to_string(index=False)}")
        for warning in scores["warning"][scores["warning"] != ""]:
            print(warning)
    best = [key for key in benchmark.emotions if key[2:] == (PHONE, "speaker")][-2]
    for task in ("emotions", "upset"):
        evaluation = getattr(benchmark, task)[best]
        print(f"\n{best[0]}, {PHONE}\n{evaluation.report}\n{evaluation.confusion}")
        write_csv(results / f"{task}_confusion.csv", evaluation.confusion.reset_index())
    for name, seconds in benchmark.seconds.items():
        print(f"{name}: {seconds:.0f} s for the cross-validation")


def _judged() -> list[tuple[str, str]]:
    return [(baseline, line) for baseline in (ALONE, AGAINST_BASELINE) for line in CHANNELS]


def _record(benchmark, corpus, learn, columns, split, seed, jobs) -> None:
    random = split == "random"
    groups = np.arange(len(corpus.labels)) if random else corpus.groups
    predicted = cross_validate(
        learn,
        corpus.labels,
        groups=groups,
        split="segment" if random else "customer",
        seed=seed,
        jobs=jobs,
    )
    rows = corpus.table[["path"]].assign(true=corpus.labels, group=groups)
    for number, key in enumerate(columns):
        answer = predicted[:, number]
        emotions = answer if answer.ndim == 1 else answer[:, 0]
        upset = np.isin(emotions, UPSET) if answer.ndim == 1 else answer[:, 1].astype(bool)
        classes = tuple(dict.fromkeys(corpus.table.sort_values("emotion_id")["emotion"]))
        benchmark.emotions[*key, split] = Evaluation(
            split, rows.assign(predicted=emotions), classes, "emotions"
        )
        benchmark.upset[*key, split] = Evaluation(
            split,
            rows.assign(
                true=_name_upset(np.isin(corpus.labels, UPSET)), predicted=_name_upset(upset)
            ),
            ("upset", "not upset"),
            "upset",
        )


def _name_upset(upset: np.ndarray) -> np.ndarray:
    return np.where(upset, "upset", "not upset")


def _judge(
    model: EmotionModel, speakers: np.ndarray, lines: list[list[Frames]], test: np.ndarray
) -> np.ndarray:
    columns = []
    for known in (None, speakers[test]):
        for line in lines:
            proba = model.predict_frames([line[row] for row in test], speakers=known)
            names = model.classes_[proba.argmax(axis=1)].astype(object)
            columns.append(np.column_stack([names, model.upset(proba) > 0.5]))
    return np.stack(columns, axis=1)


def _hear_lines(path: str) -> list[Frames]:
    with open_recording(path) as recording:
        signal, rate = to_mono(recording.read()), recording.sampling_rate
    clean = {"codec": "none", "band": False}
    return [
        describe_frames(simulate_telephone(signal, rate, **(line or clean)), TELEPHONE_RATE)
        for line in CHANNELS.values()
    ]


def _classic(path: str) -> np.ndarray:
    with open_recording(path) as recording:
        signal = simulate_telephone(
            to_mono(recording.read()), recording.sampling_rate, **CHANNELS[PHONE]
        )
    return classic_features(signal, TELEPHONE_RATE)


if __name__ == "__main__":
    sys.exit(main())
