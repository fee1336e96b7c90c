"""Scores on calls, step by step: what each part of the recipe buys, customers kept apart."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.call_emotions import pool_emotions
from helpers.classifiers import EMOTION_STRENGTH, VOICE_STRENGTH, make_classifier, make_earlier
from helpers.conversion import convert_recordings, read_conversions
from helpers.customers import read_customers
from helpers.dataset import VERDICT_KINDS, Dataset, build_dataset
from helpers.emotion import EmotionModel
from helpers.errors import CallEmotionError
from helpers.evaluation import Evaluation, divide, evaluate
from helpers.features import CLASSIC, FeatureSet, call_features
from helpers.fold_models import FoldModels
from helpers.functionals import FUNCTIONALS
from helpers.progress import progress
from helpers.records import build_records
from helpers.segments import KINDS
from helpers.workspace import Workspace

VOICES = ("customer", "agent")
"""Columns of a table beside the recordings whose numbers are those of the corpus's speakers."""

LIGHT_EMOTIONS, NETWORK_EMOTIONS = "emotions of the light model", "emotions with the network"


def benchmark_calls(
    folder: Path, models: FoldModels, *, workspace: Workspace, jobs: int = -1
) -> dict[tuple[str, str], Evaluation]:
    """Score the recipe's steps on calls, from the earlier recipe to the default model.

    A call is never judged by a model of emotions that has heard one of its voices: where a table
    beside the recordings gives `VOICES` by the numbers of the corpus's speakers, the model is
    fitted without the folds these speakers are in.

    Args:
        folder: zips and folders of calls, as notebook 01 takes them
        models: the corpus; of its networks the first is used
        workspace: for the converted calls
        jobs: models fitted at once, -1 for one a core

    Returns:
        evaluation by step and split, `customer` and `segment`

    Raises:
        CallEmotionError: where no call has a status, or too few customers have
    """
    convert_recordings(folder, workspace)
    build_records(workspace)
    phone = build_dataset(workspace)
    functionals = Dataset(phone.features[:, : len(FUNCTIONALS)], phone.segments)
    classic = describe_calls(phone, workspace, lambda path: CLASSIC)
    steps = {
        "180 means of start and end, perceptron": (classic, KINDS, make_earlier),
        "180 means of the end, perceptron": (classic, VERDICT_KINDS, make_earlier),
        "functionals of the end, linear": (functionals, VERDICT_KINDS, make_linear),
        "and their difference to the call, linear": (phone, VERDICT_KINDS, make_linear),
    }
    for name, fitted in fit_without_voices(phone, folder, workspace, models, jobs).items():
        emotions = describe_calls(
            phone, workspace, lambda path, fitted=fitted: ask_emotions(fitted[path])
        )
        both = np.concatenate([phone.features, emotions.features], axis=1)
        steps[f"{name} alone, linear"] = (
            emotions,
            VERDICT_KINDS,
            partial(make_linear, EMOTION_STRENGTH),
        )
        chosen = (Dataset(both, phone.segments), VERDICT_KINDS, make_classifier)
        steps[f"{name} and functionals, chosen (default)"] = chosen
    return {
        (name, split): evaluate(data.only(kinds), make, split=split)
        for name, (data, kinds, make) in progress(list(steps.items()), "Steps")
        for split in ("customer", "segment")
    }


def describe_unheard(
    folder: Path, models: FoldModels, *, workspace: Workspace, jobs: int = -1
) -> Dataset:
    """Describe calls by the phone features and by light models that have heard none of the voices.

    Args:
        folder: see `benchmark_calls`
        models: see `benchmark_calls`
        workspace: see `benchmark_calls`
        jobs: see `benchmark_calls`

    Returns:
        the deciding segments of all calls
    """
    convert_recordings(folder, workspace)
    build_records(workspace)
    phone = build_dataset(workspace)
    fitted = fit_without_voices(phone, folder, workspace, models, jobs)[LIGHT_EMOTIONS]
    emotions = describe_calls(phone, workspace, lambda path: ask_emotions(fitted[path]))
    both = np.concatenate([phone.features, emotions.features], axis=1)
    return Dataset(both, phone.segments).only(VERDICT_KINDS)


def fit_without_voices(
    calls: Dataset, folder: Path, workspace: Workspace, models: FoldModels, jobs: int
) -> dict[str, dict[str, EmotionModel]]:
    """Fit, for each call, a model of emotions that has heard none of its voices.

    Args:
        calls: the dataset of the calls
        folder: where the calls came from, with a table of `VOICES`
        workspace: of the calls
        models: the corpus; of its networks the first is used
        jobs: models fitted at once, -1 for one a core

    Returns:
        models by path, for each of `LIGHT_EMOTIONS` and, with networks, `NETWORK_EMOTIONS`

    Raises:
        CallEmotionError: where every model has heard one of a call's voices
    """
    folds = divide(models.labels, groups=models.groups, split="customer", seed=models.seed)
    tests = [test for _, test in folds]
    fold_of_voice = {
        speaker: number
        for number, test in enumerate(tests)
        for speaker in models.table["speaker"].iloc[test]
    }
    voices = _find_voices(calls, folder, workspace, set(fold_of_voice))
    left_out = {path: frozenset(map(fold_of_voice.get, each)) for path, each in voices.items()}
    if len(tests) in map(len, left_out.values()):
        raise CallEmotionError(
            f"some calls have voices in each of the corpus's {len(tests)} folds, so that no model "
            "is left that has not heard them: take a corpus with more speakers"
        )

    def fit(without: frozenset[int]) -> EmotionModel:
        kept = [test for number, test in enumerate(tests) if number not in without]
        return models.fit(np.sort(np.concatenate(kept)), networks=min(models.networks, 1))

    sets = sorted(set(left_out.values()), key=sorted)
    fitted = Parallel(n_jobs=jobs)(delayed(fit)(without) for without in progress(sets, "Models"))
    by_set = dict(zip(sets, fitted, strict=True))
    full = {path: by_set[without] for path, without in left_out.items()}
    light = {path: model.without_networks() for path, model in full.items()}
    return {LIGHT_EMOTIONS: light} | ({NETWORK_EMOTIONS: full} if models.networks else {})


def describe_calls(
    calls: Dataset, workspace: Workspace, find: Callable[[str], FeatureSet]
) -> Dataset:
    """Describe calls, each by a feature set of its own.

    Args:
        calls: the dataset of the calls
        workspace: of the calls
        find: takes a call's path, gives the feature set

    Returns:
        the same segments with the new features
    """
    paths = calls.segments["path"].unique()
    matrices = Parallel(n_jobs=-1, return_as="generator")(
        delayed(call_features)(workspace.folder / path, feature_set=find(path)) for path in paths
    )
    rows = list(progress(matrices, "Calls", total=len(paths)))
    return Dataset(np.concatenate(rows), calls.segments)


def make_linear(strength: float = VOICE_STRENGTH) -> Pipeline:
    """Make a scaler and a logistic regression of a given strength."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


def tabulate_calls(evaluations: dict[tuple[str, str], Evaluation]) -> pd.DataFrame:
    """Put the scores in a table, one row a step, the leaking split and its gap beside."""
    rows = []
    for name, split in evaluations:
        if split == "customer":
            apart, random = (evaluations[name, each] for each in ("customer", "segment"))
            low, high = np.round(apart.uar_interval, 3)
            row = {"step": name, "accuracy": round(apart.accuracy, 3), "uar": round(apart.uar, 3)}
            row |= {"low": low, "high": high, "macro_f1": round(apart.macro_f1, 3)}
            row |= {"random split (leaks)": round(random.accuracy, 3)}
            rows.append({**row, "gap": round(random.accuracy - apart.accuracy, 3)})
    return pd.DataFrame(rows)


def _find_voices(
    calls: Dataset, folder: Path, workspace: Workspace, speakers: set[str]
) -> dict[str, list[str]]:
    """Find which speakers of the corpus a call may be of, by path: all who have its numbers."""
    by_number: dict[str, list[str]] = {}
    for speaker in sorted(speakers):
        by_number.setdefault(speaker.rsplit("-", 1)[-1].lstrip("0"), []).append(speaker)
    table = read_customers(folder)
    sources = read_conversions(workspace).set_index("path")["source"]
    return {
        path: [
            speaker
            for column in VOICES
            for speaker in by_number.get(table.details_of(sources[path])[column].lstrip("0"), [])
        ]
        for path in calls.segments["path"].unique()
    }


def ask_emotions(model: EmotionModel) -> FeatureSet:
    """Make the feature set of a model's answers alone."""
    return FeatureSet("emotions", (), partial(pool_emotions, model))
