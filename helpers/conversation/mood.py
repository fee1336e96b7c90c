"""How upset the customer sounds along a call, and whether and when that turned."""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from helpers.conversation.judges import Judge
from helpers.conversation.roles import CUSTOMER
from helpers.conversation.turn_taking import Conversation
from helpers.conversation.voices import STEP_S, find_runs, mark, read_voice
from helpers.segments import END_S
from helpers.turns import LONGEST_S, SHORTEST_S

WINDOW_S, WINDOW_STEP_S = 10.0, 2.5
"""Length of the sliding windows and the step between them, in seconds."""

LEAST_WINDOW_SPEECH_S = 0.5
"""With less of the customer's speech than this, in seconds, a window or quarter tells nothing."""

QUARTERS = 4
"""Parts of equal length that a call is told in."""

CONFIRMED_BY = 2
"""A mood has turned when this many utterances on end say so: one that flickers changes nothing."""

UPSET_FROM, UPSET_UNTIL = 0.55, 0.4
"""The customer becomes upset at the first probability and is until it falls below the second."""

ESCALATION_S = 6.0
"""So many seconds of own speech on end the customer is upset before a call has escalated."""

BLOCK_S, LEAST_BLOCKS = 2.0, 6
"""Seconds of own speech whose mean is one point of a trend, and the fewest points of one."""

TREND_CHANCE = 0.01
"""How often a mood without any trend may be called improving or worsening."""

LEAST_CHANGE = 0.2
"""A smaller change of the probability from start to end is steady, however sure it is."""

IMPROVING, STEADY, WORSENING = "improving", "steady", "worsening"
TOO_LITTLE = "too little speech to say"
"""The trends, and what is said where there is none to tell."""


class Mood(NamedTuple):
    """How upset the customer sounds.

    Attributes:
        utterances: columns `start_s, end_s, upset, emotion, is_upset`: pieces of the customer's
            turns, the probability, the likeliest emotion where the judge knows emotions, and
            whether the customer counts as upset there, neighbours considered
        windows: columns `start_s, end_s, upset`: mean probability over the customer's speech in
            sliding windows, `nan` where the customer is silent
        quarters: the same for the quarters of the call
        end: the same for the last 25 s
        trend: `IMPROVING`, `STEADY`, `WORSENING` or `TOO_LITTLE`
        change: change of the probability from the first to the last utterance along a straight
            line, `nan` without a trend
        upset_s: seconds of own speech in which the customer is upset
        escalated_at_s: when the customer had been upset for the given seconds of own speech on
            end for the first time, `nan` where that never happened
        upset_from_s: when that stretch began, `nan` where there is none
        peak: highest probability of a window, `nan` without any speech
        peak_s: middle of that window
    """

    utterances: pd.DataFrame
    windows: pd.DataFrame
    quarters: tuple[float, ...]
    end: float
    trend: str
    change: float
    upset_s: float
    escalated_at_s: float
    upset_from_s: float
    peak: float
    peak_s: float


def follow_mood(
    conversation: Conversation,
    path: Path | str,
    *,
    judge: Judge,
    escalation_s: float = ESCALATION_S,
) -> Mood:
    """Follow how upset the customer sounds along a call.

    Args:
        conversation: who speaks when in the recording
        path: any recording that `helpers.audio.open_recording` reads
        judge: see `find_judge`
        escalation_s: seconds of own speech on end upset that make an escalation

    Returns:
        the mood; without any speech of the customer its numbers are `nan` and its tables empty

    Raises:
        AudioError: where the recording cannot be read
    """
    utterances = find_utterances(conversation)
    answers = pd.DataFrame({"upset": [], "emotion": []}, dtype=object)
    if len(utterances):
        answers = judge.judge(read_voice(conversation, path), utterances)
    utterances = utterances.assign(
        upset=answers["upset"].to_numpy(dtype=float), emotion=answers["emotion"].to_numpy(str)
    )
    return describe_mood(
        utterances,
        conversation.duration_s,
        memory_s=judge.memory_s,
        escalation_s=escalation_s,
    )


def describe_mood(
    utterances: pd.DataFrame,
    duration_s: float,
    *,
    memory_s: float = 0.0,
    escalation_s: float = ESCALATION_S,
) -> Mood:
    """Sum up judged utterances, see `Mood`.

    Args:
        utterances: columns `start_s, end_s, upset, emotion`, in order
        duration_s: length of the call
        memory_s: see `Judge`
        escalation_s: see `follow_mood`
    """
    utterances = utterances.assign(is_upset=_mark_upset(utterances["upset"].to_numpy(float)))
    windows = _slide(utterances, duration_s)
    edges = np.linspace(0, duration_s, QUARTERS + 1)
    quarters = _average(utterances, np.column_stack([edges[:-1], edges[1:]]))
    end = _average(utterances, np.array([[duration_s - END_S, duration_s]]))
    trend, change = find_trend(utterances, memory_s=memory_s)
    upset_from_s, escalated_at_s = _find_escalation(utterances, escalation_s)
    peak, peak_s = _find_peak(windows)
    lengths = utterances["end_s"] - utterances["start_s"]
    return Mood(
        utterances=utterances,
        windows=windows,
        quarters=tuple(quarters.tolist()),
        end=float(end[0]),
        trend=trend,
        change=change,
        upset_s=float(lengths[utterances["is_upset"]].sum()) if len(utterances) else np.nan,
        escalated_at_s=escalated_at_s,
        upset_from_s=upset_from_s,
        peak=peak,
        peak_s=peak_s,
    )


def find_utterances(conversation: Conversation) -> pd.DataFrame:
    """Cut the customer's turns into pieces of 0.5 to 3.5 s; shorter turns are left out.

    Pauses of less than 0.3 s are part of a turn.

    Returns:
        columns `start_s, end_s`, in order
    """
    pieces = []
    for start_s, end_s in find_runs(mark(conversation, CUSTOMER)) * STEP_S:
        if end_s - start_s >= SHORTEST_S - STEP_S / 2:
            count = int(np.ceil((end_s - start_s) / LONGEST_S - 1e-6))
            pieces += pairwise(np.linspace(start_s, end_s, count + 1).round(3))
    return pd.DataFrame(pieces, columns=["start_s", "end_s"], dtype=float)


def find_trend(utterances: pd.DataFrame, *, memory_s: float = 0.0) -> tuple[str, float]:
    """Say whether the mood improved or worsened along the call.

    A straight line is fitted to the means of blocks of own speech. It is a trend if it rises or
    falls by `LEAST_CHANGE`, and by more than chance would (Student's t at `TREND_CHANCE`). A mood
    that comes and goes in stretches of some utterances passes for a trend more often than noise.

    Args:
        utterances: columns `start_s, end_s, upset`, in order
        memory_s: see `Judge`

    Returns:
        the trend, and the change along the line from the first to the last block, `nan` with
        `TOO_LITTLE`
    """
    times, upset, weights = _gather_blocks(utterances, max(BLOCK_S, memory_s))
    if len(upset) < LEAST_BLOCKS:
        return TOO_LITTLE, float("nan")
    times = (times - times[0]) / np.ptp(times)
    times -= weights @ times
    spread = weights @ times**2
    change = float(weights @ (times * upset) / spread)
    residuals = upset - weights @ upset - change * times
    freedom = len(upset) - 2
    error = np.sqrt(weights @ residuals**2 / freedom / spread)
    if abs(change) < max(LEAST_CHANGE, error * student.ppf(1 - TREND_CHANCE / 2, freedom)):
        return STEADY, change
    return (WORSENING if change > 0 else IMPROVING), change


def _gather_blocks(
    utterances: pd.DataFrame, block_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give time, mean and weight of each block of own speech; a rest joins the last block."""
    lengths = (utterances["end_s"] - utterances["start_s"]).to_numpy(float)
    middles = utterances[["start_s", "end_s"]].mean(axis=1).to_numpy(float)
    blocks = ((np.cumsum(lengths) - lengths / 2) // block_s).astype(int)
    blocks = np.minimum(blocks, max(int(lengths.sum() // block_s) - 1, 0))
    blocks = np.unique(blocks, return_inverse=True)[1]
    weights = np.bincount(blocks, lengths)
    means = (
        np.bincount(blocks, lengths * values) / weights
        for values in (middles, utterances["upset"].to_numpy(float))
    )
    return (*means, weights / weights.sum())


def _mark_upset(upset: np.ndarray) -> np.ndarray:
    """Mark the utterances in which the customer is upset, see `UPSET_FROM` and `CONFIRMED_BY`."""
    marked, state = np.zeros(len(upset), bool), False
    for number in range(len(upset)):
        ahead = upset[number : number + CONFIRMED_BY]
        turned = ahead < UPSET_UNTIL if state else ahead >= UPSET_FROM
        state ^= len(ahead) == CONFIRMED_BY and bool(turned.all())
        marked[number] = state
    return marked


def _find_escalation(utterances: pd.DataFrame, escalation_s: float) -> tuple[float, float]:
    """Give when the first long enough upset stretch began, and when it had lasted long enough."""
    spoken_s, began_s = 0.0, float("nan")
    for utterance in utterances.itertuples():
        if not utterance.is_upset:
            spoken_s = 0.0
            continue
        began_s = began_s if spoken_s else utterance.start_s
        missing_s = escalation_s - spoken_s
        spoken_s += utterance.end_s - utterance.start_s
        if spoken_s >= escalation_s - 1e-6:
            return float(began_s), float(utterance.start_s + missing_s)
    return float("nan"), float("nan")


def _slide(utterances: pd.DataFrame, duration_s: float) -> pd.DataFrame:
    starts = np.arange(0, max(duration_s - WINDOW_S, 0) + WINDOW_STEP_S, WINDOW_STEP_S)
    spans = np.column_stack([starts, np.minimum(starts + WINDOW_S, duration_s)])
    table = pd.DataFrame(spans, columns=["start_s", "end_s"])
    return table.assign(upset=_average(utterances, spans))


def _average(utterances: pd.DataFrame, spans: np.ndarray) -> np.ndarray:
    """Average over the customer's speech in each span, `nan` where there is hardly any."""
    starts, ends, upset = (
        utterances[name].to_numpy(float) for name in ("start_s", "end_s", "upset")
    )
    inside = np.minimum(ends, spans[:, 1:]) - np.maximum(starts, spans[:, :1])
    inside = np.clip(inside, 0, None)
    speech_s = inside.sum(axis=1)
    means = np.full(len(spans), np.nan)
    np.divide(inside @ upset, speech_s, out=means, where=speech_s >= LEAST_WINDOW_SPEECH_S)
    return means


def _find_peak(windows: pd.DataFrame) -> tuple[float, float]:
    if windows["upset"].isna().all():
        return float("nan"), float("nan")
    peak = windows.loc[windows["upset"].idxmax()]
    return float(peak["upset"]), float(peak[["start_s", "end_s"]].mean())
