"""Every model against every feature set on a corpus, from one command.

python -m helpers.zoo.benchmark CORPUS --results FOLDER --deep
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers.benchmark import show_table
from helpers.corpora import load_corpus
from helpers.errors import CallEmotionError
from helpers.features import FeatureSet
from helpers.zoo.comparison import (
    APART,
    AT_RANDOM,
    CHOSEN,
    Scored,
    list_cells,
    score_cells,
    tabulate,
)
from helpers.zoo.described_corpus import LINES, TELEPHONE, DescribedCorpus
from helpers.zoo.feature_sets import FEATURE_SETS, OURS, find_feature_set
from helpers.zoo.models import find_model, list_models
from helpers.zoo.plots import plot_comparison, plot_costs
from helpers.zoo.tasks import TASKS

TASK_MODEL = "logistic regression"
"""What the tasks are scored with: the first choice where recordings are few."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from a command line."""
    options = _parse(arguments)
    results = options.results
    try:
        corpus = DescribedCorpus(load_corpus(options.corpus), folder=results, jobs=options.jobs)
        feature_sets = select_feature_sets(
            options.features, embeddings=options.embeddings, opensmile=options.opensmile
        )
        models = select_models(options.models, deep=options.deep)
        cells = list_cells([*models, CHOSEN], feature_sets)
        scored = score_cells(corpus, cells, folder=results, jobs=options.jobs)
        tasks = list_cells([TASK_MODEL], [OURS], splits=(APART, AT_RANDOM), tasks=TASKS)
        asked = score_cells(corpus, tasks, folder=results, jobs=options.jobs)
    except (CallEmotionError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    report(tabulate(scored), results, classes=len(set(corpus.labels)))
    print(*filter(None, (_warn(each) for each in scored)), sep="\n")
    report_tasks(asked, results)
    described = [
        {"features": each.name, "ms": round(1000 * corpus.time_description(each, TELEPHONE), 1)}
        for each in feature_sets
    ]
    show_table(pd.DataFrame(described), "describing one recording", results)
    return 0


def select_models(text: str, *, deep: bool = True) -> list[str]:
    """Name the models that are asked for.

    Args:
        text: names with commas between, or `all` for every one that is installed
        deep: whether `all` holds the models that need PyTorch

    Raises:
        CallEmotionError: where a name is not in the zoo, or its packages are not installed
    """
    if text.strip().casefold() != "all":
        return [find_model(name).name for name in _split(text)]
    return [name for name in list_models() if deep or "torch" not in find_model(name).needs]


def select_feature_sets(
    text: str, *, embeddings: str = "", opensmile: bool = False
) -> list[FeatureSet]:
    """List the feature sets that are asked for.

    Args:
        text: names with commas between, or `all` for every one that needs no other package
        embeddings: networks, see `helpers.zoo.embeddings.embedding_feature_set`, with commas
        opensmile: whether eGeMAPS is wanted too, whose licence forbids commercial use

    Raises:
        CallEmotionError: where there is no such set or network
        ImportError: where one needs a package that is missing
    """
    everything = text.strip().casefold() == "all"
    wanted = FEATURE_SETS if everything else [find_feature_set(name) for name in _split(text)]
    feature_sets = list(wanted)
    if sources := _split(embeddings):
        from helpers.zoo.embeddings import embedding_feature_set

        feature_sets += [embedding_feature_set(source) for source in sources]
    if opensmile:
        from helpers.zoo.opensmile_features import LICENCE, opensmile_feature_set

        print(LICENCE)
        feature_sets.append(opensmile_feature_set())
    return feature_sets


def report(table: pd.DataFrame, results: Path, *, classes: int) -> None:
    """Print the table and write it, with its pictures, to a folder."""
    show_table(table, "models and features", results)
    for line in LINES:
        name = line.replace("-", "_")
        plot_comparison(table, line=line, classes=classes).savefig(results / f"models_{name}.png")
        plot_costs(table, line=line).savefig(results / f"costs_{name}.png")


def report_tasks(scored: Sequence[Scored], results: Path) -> None:
    """Print each task's scores, and over the telephone its report and confusion matrix."""
    show_table(tabulate(scored), "tasks", results)
    for each in scored:
        if each.cell.split == APART and each.cell.line == TELEPHONE:
            name, evaluation = each.cell.task.name, each.evaluation
            rows = evaluation.report.reset_index(names="class")
            show_table(rows, f"{name}, {TELEPHONE}: report", results)
            confusion = evaluation.confusion.reset_index()
            show_table(confusion, f"{name}, {TELEPHONE}: confusion", results)
            print(evaluation.warning)


def _warn(scored: Scored) -> str:
    warning = scored.evaluation.warning if scored.cell.split == APART else ""
    return f"{', '.join(scored.cell.row)}: {warning}" if warning else ""


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.zoo.benchmark", description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder with one or more corpora")
    parser.add_argument("--results", type=Path, default=Path("benchmark"), help="tables go here")
    parser.add_argument("--models", default="all", help="names with commas between, or all")
    parser.add_argument("--features", default="all", help="names with commas between, or all")
    parser.add_argument("--deep", action="store_true", help="also the models that need PyTorch")
    parser.add_argument("--opensmile", action="store_true", help="also eGeMAPS (research only)")
    parser.add_argument("--embeddings", default="", help="networks with commas: name or folder")
    parser.add_argument("--jobs", type=int, default=-1, help="folds at once, -1: one a core")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
