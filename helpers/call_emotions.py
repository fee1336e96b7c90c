"""The emotion model on calls: what its answers add to a call's features, and a cold start."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.channel import TELEPHONE_RATE
from helpers.emotion import EmotionModel
from helpers.errors import AudioError
from helpers.features import PHONE, CallSegments, FeatureSet, read_segments
from helpers.hearing import hear_signals, to_telephone_rate
from helpers.progress import progress
from helpers.turns import find_turns

STRONGEST = 3
"""So many turns with the strongest answer are averaged: one outburst weighs, one error does not."""

POOLS = (
    "mean",
    "highest",
    "strongest_mean",
    "mean_against_call",
    "log_mean",
    "log_mean_against_call",
)
"""Ways to sum up the answers over a segment's turns; the logarithm hears what never happened."""

VERSION = 1
"""Raised whenever turns or pools are made in another way, so that no cached feature is mixed in."""

_LEAST = 1e-3

ACTED_BANNER = (
    "This upset score is a cold start: the model behind it learned from acted speech alone, not "
    "from one of your calls. Published models that move from one corpus to another get 25 to 50 % "
    "of the emotions right (EmoBox 2024). Use it to choose what to listen to first, not to judge a "
    "call; it is replaced as soon as calls with a status have trained a model."
)
"""Said beside every upset score."""


def emotion_feature_set(model: EmotionModel) -> FeatureSet:
    """Make the feature set that adds a model's answers to the phone features.

    Args:
        model: which emotions the turns of each segment show is asked of it

    Returns:
        the phone features, then for each of `POOLS` the model's emotions and `upset`
    """
    columns = (*model.classes_, "upset")
    return FeatureSet(
        f"{PHONE.name}-emotions-{VERSION}-{model.fingerprint}",
        (*PHONE.names, *(f"emotion_{column}_{pool}" for pool in POOLS for column in columns)),
        partial(_describe, model),
    )


def pool_emotions(model: EmotionModel, call: CallSegments) -> np.ndarray:
    """Sum up what emotions the turns of each segment show.

    Args:
        model: judges every turn on its own
        call: its segments are compared with its baseline, whose turns are judged once, by default
            with each other

    Returns:
        shape (segments, pools x (classes + 1)), float32
    """
    if call.baseline is None:
        answers = [_judge_turns(model, each, call.sampling_rate)[1] for each in call.signals]
        whole = np.concatenate(answers)
    else:
        answers, whole = _judge_baseline(model, call)
    return np.stack([_pool(answer, whole) for answer in answers]).astype(np.float32)


def score_upset(paths: Iterable[Path | str], model: EmotionModel) -> pd.DataFrame:
    """Say how upset calls end, before any call has a status; show `ACTED_BANNER` beside it.

    Args:
        paths: recordings of calls
        model: fitted to a corpus

    Returns:
        one row per path, most upset first: `path`, `upset` (mean probability over the most upset
        turns of the segment that decides), `at_s` (where in the call the most upset turn is),
        `error` (why there is no score)
    """
    rows = [_score(Path(path), model) for path in progress(list(paths), "Upset")]
    table = pd.DataFrame(rows, columns=["path", "upset", "at_s", "error"])
    return table.sort_values(["upset", "path"], ascending=[False, True], ignore_index=True)


def _describe(model: EmotionModel, call: CallSegments) -> np.ndarray:
    return np.concatenate([PHONE.describe(call), pool_emotions(model, call)], axis=1)


def _judge_baseline(model: EmotionModel, call: CallSegments) -> tuple[list[np.ndarray], np.ndarray]:
    """Judge all that is said, and find what of it is said in each segment."""
    turns, whole = _judge_turns(model, call.baseline, call.sampling_rate)
    middles = np.array([(turn.start_s + turn.end_s) / 2 for turn in turns])
    answers = []
    for segment, signal in zip(call.segments, call.signals, strict=True):
        inside = (middles >= segment.start_s) & (middles < segment.start_s + segment.duration_s)
        own = whole[inside] if inside.any() else _judge_turns(model, signal, call.sampling_rate)[1]
        answers.append(own)
    return answers, whole


def _pool(answer: np.ndarray, whole: np.ndarray) -> np.ndarray:
    mean, log_mean = answer.mean(axis=0), np.log(answer + _LEAST).mean(axis=0)
    ordered = np.sort(answer, axis=0)
    pools = (
        mean,
        ordered[-1],
        ordered[-STRONGEST:].mean(axis=0),
        mean - whole.mean(axis=0),
        log_mean,
        log_mean - np.log(whole + _LEAST).mean(axis=0),
    )
    return np.concatenate(pools)


def _judge_turns(
    model: EmotionModel, signal: np.ndarray, sampling_rate: int
) -> tuple[list, np.ndarray]:
    signal = to_telephone_rate(signal, sampling_rate)
    turns = find_turns(signal, TELEPHONE_RATE)
    cuts = (slice(*(round(edge * TELEPHONE_RATE) for edge in turn)) for turn in turns)
    probabilities = model.predict_heard(hear_signals(signal[cut] for cut in cuts))
    return turns, np.column_stack([probabilities, model.upset(probabilities)])


def _score(path: Path, model: EmotionModel) -> dict[str, object]:
    try:
        call = read_segments(path)
    except AudioError as error:
        return {"path": str(path), "upset": np.nan, "at_s": np.nan, "error": str(error)}
    start_s = call.segments[-1].start_s
    turns, answers = _judge_turns(model, call.signals[-1], call.sampling_rate)
    upset = answers[:, -1]
    at_s = start_s + turns[int(upset.argmax())].start_s
    score = np.sort(upset)[-STRONGEST:].mean()
    return {"path": str(path), "upset": round(score, 3), "at_s": round(at_s, 1), "error": ""}
