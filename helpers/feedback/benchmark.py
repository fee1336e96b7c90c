"""What the loop is worth: wrong answers, poisoned and clean batches, against the naive loop.

python -m helpers.feedback.benchmark CORPUS CALLS --results FOLDER
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from helpers.calibration import (
    COVERAGE,
    apply_temperature,
    calibration_error,
    confident_accuracy,
    fit_temperature,
)
from helpers.call_benchmark import describe_unheard
from helpers.classifiers import make_classifier, make_earlier
from helpers.corpora import load_corpus
from helpers.dataset import Dataset
from helpers.errors import CallEmotionError
from helpers.evaluation import unweighted_average_recall
from helpers.feedback.gate import GROUPS, compare_models
from helpers.feedback.schedule import benchmark_schedule
from helpers.feedback.triage import WRONG_LABEL, may_be_learned, triage
from helpers.files import write_csv
from helpers.fold_models import FoldModels
from helpers.progress import progress
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel, order_probabilities
from helpers.training import predict_out_of_fold, train_model
from helpers.workspace import Workspace, open_workspace

SEEDS = 10
"""Draws of customers, answers and batches."""

SHARES = {"golden": 0.25, "audit": 0.15, "archive": 0.35, "form": 0.25}
"""Customers by what their calls are: judge promotions, are looked at by nobody, train, arrive."""

SCHEDULES = 3
"""Streams of calls that arrive in scheduled runs."""

BATCH = 30
"""Calls that arrive through the form."""

ROTATED = "all rotated"
"""A batch in which every answer is replaced by the next status."""

BATCHES = {"all right": 0.0, "10 % flipped": 0.1, "20 % flipped": 0.2, ROTATED: 1.0}
"""Share of the answers that are wrong, by name."""


Fitted = tuple[Callable[[np.ndarray], np.ndarray], float]
"""What gives probabilities of statuses, not calibrated, and its temperature."""

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Fitted]
"""Takes features, labels and groups."""


class Parts(NamedTuple):
    """Numbers of the calls of each part, no customer in two."""

    golden: np.ndarray
    audit: np.ndarray
    archive: np.ndarray
    form: np.ndarray


def benchmark_loop(calls: Dataset, *, seeds: int = SEEDS, jobs: int = -1) -> pd.DataFrame:
    """Let one batch through the loop and through the naive loop, for many draws.

    Args:
        calls: deciding segments of calls with customers
        seeds: draws of who is golden, archived and new, and of which answers are wrong
        jobs: draws worked on at once

    Returns:
        one row per draw and batch: how many answers were `wrong`, how many calls were called so,
        how many of these are, how many wrong answers were kept out of the training; whether the
        challenger was promoted; UAR on the golden set and on audit calls before, after the loop,
        and after retraining on every mismatch
    """
    draws = progress([(seed, batch) for seed in range(seeds) for batch in BATCHES], "Draws")
    rows = Parallel(n_jobs=jobs)(delayed(_run_batch)(calls, *draw) for draw in draws)
    return pd.DataFrame(rows)


def benchmark_calibration(calls: Dataset, *, seeds: int = SEEDS, jobs: int = -1) -> pd.DataFrame:
    """Measure confidence on customers that neither the model nor its calibration has heard.

    Returns:
        one row per classifier, over all draws: `calls` judged, `accuracy`, calibration error
        `before` and `after`, accuracy of the surest share of `COVERAGE`, mean `temperature`
    """
    table = []
    for name, fit in progress(list(CALIBRATED.items()), "Calibration"):
        work = (delayed(_calibrate)(calls, fit, seed) for seed in range(seeds))
        bare, calibrated, labels, temperatures = zip(*Parallel(n_jobs=jobs)(work), strict=True)
        bare, calibrated, labels = map(np.concatenate, (bare, calibrated, labels))
        row = {
            "classifier": name,
            "calls": len(labels),
            "accuracy": (np.array(STATUSES)[calibrated.argmax(axis=1)] == labels).mean(),
            "error before": calibration_error(bare, labels),
            "error after": calibration_error(calibrated, labels),
            f"surest {COVERAGE:.0%}": confident_accuracy(calibrated, labels),
            "temperature": np.mean(temperatures),
        }
        table.append(row)
    return pd.DataFrame(table).round(3)


def tabulate_loop(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over the draws, one row a batch.

    `precision` and `recall` are those of *likely wrong label*; `where it helps` is how often the
    challenger was promoted of the draws in which its UAR on the golden set is higher.
    """
    table = []
    for batch, draws in rows.groupby("batch", sort=False):
        sums = draws[["wrong", "called_wrong", "found", "kept_out"]].sum()
        means = draws[[name for name in draws if name.startswith(("golden_", "audit_"))]].mean()
        helped = draws[draws["golden_challenger"] > draws["golden_before"]]
        table.append(
            {
                "batch": batch,
                "precision": _share(sums["found"], sums["called_wrong"]),
                "recall": _share(sums["found"], sums["wrong"]),
                "kept out": _share(sums["kept_out"], sums["wrong"]),
                "promoted": f"{draws['promoted'].sum()} of {len(draws)}",
                "where it helps": f"{helped['promoted'].sum()} of {len(helped)}",
                **means.round(3).to_dict(),
            }
        )
    return pd.DataFrame(table)


def _run_schedules(calls: Workspace, folder: Path) -> pd.DataFrame:
    work = (
        delayed(benchmark_schedule)(calls, folder / str(seed), seed=seed)
        for seed in range(SCHEDULES)
    )
    return pd.concat(Parallel(n_jobs=-1)(work), ignore_index=True)


def _share(part: int, whole: int) -> float:
    return round(part / whole, 2) if whole else float("nan")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from a command line."""
    options = _parse(arguments)
    try:
        models = FoldModels(load_corpus(options.corpus), folder=options.results / "models")
        workspace = open_workspace(options.results.absolute() / "calls")
        calls = describe_unheard(options.calls, models, workspace=workspace)
        rows = benchmark_loop(calls, seeds=options.seeds)
        calibration = benchmark_calibration(calls, seeds=options.seeds)
        schedule = _run_schedules(workspace, options.results.absolute() / "schedule")
    except (CallEmotionError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    tables = {
        "loop": tabulate_loop(rows),
        "loop_draws": rows,
        "loop_calibration": calibration,
        "loop_schedule": schedule,
    }
    for name, table in tables.items():
        write_csv(options.results / f"{name}.csv", table)
        print(f"\n{name}\n{table.to_string(index=False)}", flush=True)
    return 0


def _divide(calls: Dataset, seed: int) -> Parts:
    customers = np.random.default_rng(seed).permutation(calls.segments["customer"].unique())
    edges = np.round(np.cumsum([0, *SHARES.values()]) * len(customers)).astype(int)
    drawn = [customers[first:last] for first, last in pairwise(edges)]
    known = calls.segments["customer"]
    return Parts(*(np.flatnonzero(known.isin(part)) for part in drawn))


def _answer(labels: np.ndarray, wrong: float, generator: np.random.Generator) -> np.ndarray:
    """Give answers of which a share is wrong; where all are, each is the next status."""
    ranks = np.array([STATUSES.index(label) for label in labels])
    flipped = generator.permutation(len(labels))[: round(wrong * len(labels))]
    steps = np.ones(len(flipped), int) if wrong == 1 else generator.integers(1, 3, len(flipped))
    ranks[flipped] = (ranks[flipped] + steps) % len(STATUSES)
    return np.array(STATUSES)[ranks]


def _run_batch(calls: Dataset, seed: int, batch: str) -> dict[str, object]:
    parts = _divide(calls, seed)
    generator = np.random.default_rng(seed)
    form = np.sort(generator.permutation(parts.form)[:BATCH])
    answers = _answer(calls.labels[form], BATCHES[batch], generator)
    champion = _train(calls, parts.archive, form[:0], answers[:0])
    triaged = _triage(champion.predict_proba(calls.features[form]), answers)
    learned, mismatch = may_be_learned(triaged), triaged["mismatch"].to_numpy()
    challenger = _train(calls, parts.archive, form[learned], answers[learned])
    golden = calls.segments.iloc[parts.golden].assign(**dict.fromkeys(GROUPS, ""))
    both = [model.predict_proba(calls.features[parts.golden]) for model in (champion, challenger)]
    promoted = bool(learned.any()) and compare_models(*both, golden).passed
    naive = _fit_naive(calls, parts.archive, form[mismatch], answers[mismatch])
    wrong, called = answers != calls.labels[form], triaged["cause"] == WRONG_LABEL
    after = challenger if promoted else champion
    models = {"before": champion, "challenger": challenger, "after": after, "naive": naive}
    return {
        "seed": seed,
        "batch": batch,
        "wrong": int(wrong.sum()),
        "called_wrong": int(called.sum()),
        "found": int((called & wrong).sum()),
        "kept_out": int((wrong & ~learned).sum()),
        "promoted": promoted,
        **{f"golden_{name}": _score(model, calls, parts.golden) for name, model in models.items()},
        **{f"audit_{name}": _score(model, calls, parts.audit) for name, model in models.items()},
    }


def _triage(probabilities: np.ndarray, answers: np.ndarray) -> pd.DataFrame:
    verdicts = np.array(STATUSES)[probabilities.argmax(axis=1)]
    new = {"faults": "", "confirmed": False, "cause": "", "label_error": 0.0, "triaged_as": ""}
    columns = {"expected": answers, "end_status": verdicts, "mismatch": answers != verdicts}
    known = np.ones(len(answers), dtype=bool)
    return triage(pd.DataFrame({**columns, **new}), probabilities, known=known)


def _train(
    calls: Dataset, archive: np.ndarray, form: np.ndarray, answers: np.ndarray
) -> TrainedModel:
    features, labels, groups = _join(calls, archive, form, answers)
    return train_model(features, labels, groups=groups, trained_on=frozenset()).model


def _fit_naive(calls: Dataset, archive: np.ndarray, form: np.ndarray, answers: np.ndarray):
    features, labels, groups = _join(calls, archive, form, answers)
    return make_classifier().fit(features, labels, groups)


def _join(
    calls: Dataset, archive: np.ndarray, form: np.ndarray, answers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A form does not say who the customer is, so each of its calls is a customer of its own."""
    customers = calls.segments["customer"].to_numpy(dtype=object)[archive]
    return (
        calls.features[np.concatenate([archive, form])],
        np.concatenate([calls.labels[archive], answers]),
        np.concatenate([customers, [f"form {number}" for number in form]]).astype(object),
    )


def _score(model, calls: Dataset, rows: np.ndarray) -> float:
    probabilities = model.predict_proba(calls.features[rows])
    order = STATUSES if isinstance(model, TrainedModel) else model.classes_
    verdicts = np.array(order)[probabilities.argmax(axis=1)]
    return unweighted_average_recall(calls.labels[rows], verdicts)


def _calibrate(
    calls: Dataset, fit: Fit, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    parts = _divide(calls, seed)
    train = np.concatenate([parts.archive, parts.form])
    test = np.concatenate([parts.golden, parts.audit])
    predict, temperature = fit(*_join(calls, train, train[:0], calls.labels[:0]))
    bare = predict(calls.features[test])
    return bare, apply_temperature(bare, temperature), calls.labels[test], temperature


def _fit_default(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Fitted:
    model = train_model(features, labels, groups=groups, trained_on=frozenset()).model
    return replace(model, temperature=1.0).predict_proba, model.temperature


def _fit_earlier(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Fitted:
    unseen = predict_out_of_fold(features, labels, groups=groups, make_model=make_earlier)
    model = make_earlier().fit(features, labels)
    return partial(order_probabilities, model), fit_temperature(unseen, labels)


CALIBRATED = {"chosen (default)": _fit_default, "perceptron (earlier)": _fit_earlier}
"""Classifiers whose confidence is measured."""


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.feedback.benchmark")
    parser.add_argument("corpus", type=Path, help="folder with one or more corpora of emotions")
    parser.add_argument("calls", type=Path, help="folder with zips of calls with a status")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--results", type=Path, default=Path("benchmark"), help="tables go here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
