"""The project's figures from one command: emotions of a corpus, statuses of calls, speed.

python -m helpers.benchmark CORPUS --calls FOLDER --networks 2 --results FOLDER
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers.call_benchmark import benchmark_calls, tabulate_calls
from helpers.corpora import load_corpus
from helpers.corpus_benchmark import (
    AGAINST_BASELINE,
    ALONE,
    SPEAKERS,
    CorpusBenchmark,
    benchmark_corpus,
)
from helpers.errors import CallEmotionError
from helpers.evaluation import Evaluation, divide
from helpers.files import write_csv
from helpers.fold_models import FoldModels
from helpers.hearing import MU_LAW
from helpers.speed import time_features, time_model
from helpers.workspace import open_workspace

TIMED = 60
"""Recordings that are timed one by one, and that the timed call is made of."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from a command line."""
    options = _parse(arguments)
    try:
        _check(options)
        models = FoldModels(
            load_corpus(options.corpus),
            folder=options.results / "models",
            networks=options.networks,
            epochs=options.epochs,
        )
        report_corpus(benchmark_corpus(models), options.results)
        report_speed(models, options.results)
        if options.calls:
            workspace = open_workspace(options.results.absolute() / "calls")
            report_calls(
                benchmark_calls(options.calls, models, workspace=workspace), options.results
            )
    except (CallEmotionError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def report_corpus(benchmark: CorpusBenchmark, results: Path) -> None:
    """Print the tables of a benchmark and write them as CSV files to a folder."""
    for task in ("emotions", "upset"):
        show_table(benchmark.table(task), task, results)
        for baseline in (ALONE, AGAINST_BASELINE):
            key = (benchmark.fullest_model, baseline, MU_LAW, SPEAKERS)
            evaluation = getattr(benchmark, task)[key]
            name = f"{task}, {', '.join(key)}"
            report = evaluation.report.reset_index(names="class")
            show_table(report, f"{name}: report", results)
            show_table(evaluation.confusion.reset_index(), f"{name}: confusion", results)
    show_table(benchmark.gaps, "what a random split adds", results)
    for (model, split), seconds in benchmark.seconds.items():
        print(f"{model}, {split}: {seconds:.0f} s for the cross-validation")
    print(*benchmark.warnings, sep="\n")


def report_calls(evaluations: dict[tuple[str, str], Evaluation], results: Path) -> None:
    """Print the table of the steps and the last one's report, and write them as CSV files."""
    show_table(tabulate_calls(evaluations), "calls", results)
    last = [evaluation for (_, split), evaluation in evaluations.items() if split == "customer"][-1]
    show_table(last.report.reset_index(names="status"), "calls: report", results)
    show_table(last.confusion.reset_index(), "calls: confusion", results)
    print(last.warning)


def report_speed(models: FoldModels, results: Path) -> None:
    """Print how long things take, and write it as CSV files."""
    recordings = models.table["path"].tolist()[:TIMED]
    show_table(time_features(recordings), "speed: features of a call of 5 minutes", results)
    train, _ = divide(models.labels, groups=models.groups, split="customer", seed=models.seed)[0]
    model = models.fit(train)
    show_table(time_model(model, recordings), "speed: one recording, one core", results)
    if models.networks:
        show_table(models.list_trainings(), "speed: training of each kept network", results)


def show_table(table: pd.DataFrame, name: str, results: Path) -> None:
    """Print a table under its name and write it as a CSV file to a folder."""
    results.mkdir(parents=True, exist_ok=True)
    file = re.sub("[^a-z0-9]+", "_", name.lower())
    write_csv(results / f"{file}.csv", table)
    print(f"\n{name}\n{table.to_string(index=False)}", flush=True)


def _check(options: argparse.Namespace) -> None:
    """Notice before the first hour what would stop the benchmark after it."""
    if options.networks:
        import helpers.network  # noqa: F401
    if options.calls and not options.calls.is_dir():
        raise CallEmotionError(f"{options.calls} is no folder: --calls takes the one with the zips")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.benchmark", description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder with one or more corpora")
    parser.add_argument("--calls", type=Path, help="folder with zips of calls with a status")
    parser.add_argument("--networks", type=int, default=0, help="networks a model; needs PyTorch")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--results", type=Path, default=Path("benchmark"), help="tables go here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
