"""The clips that moved a call's verdict most, and how the voice sounds in them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.conversation.comparison import compare_voice
from helpers.conversation.roles import CUSTOMER
from helpers.conversation.turn_taking import Conversation
from helpers.features import CallSegments
from helpers.trained_model import TrainedModel
from helpers.turns import LONGEST_S, SHORTEST_S, find_turns

CLIPS = 3
"""So many clips are shown at most."""

LEAST_EFFECT = 0.005
"""A clip without which the probability falls by less, half a percentage point, moved nothing."""

START_SPEECH_S = 25.0
"""Seconds of speech from the start of the call that a clip is compared with."""

LEAST_SPEECH_S = 3.0
"""With less speech than this, in seconds, the start is nothing to compare with."""

NO_EVIDENCE = (
    "No single clip moves the verdict: without any one of them it would be as sure. The sound of "
    "the voice as a whole decided."
)
"""Said where the table of clips is empty."""


_ROUNDING_S = 0.01


class _Clip(NamedTuple):
    """A stretch of speech: where it is in the call, in seconds, and its sound."""

    start_s: float
    end_s: float
    signal: np.ndarray


def find_evidence(
    path: Path | str, model: TrainedModel, conversation: Conversation
) -> pd.DataFrame:
    """Find the clips that moved the verdict on a call most.

    Every utterance in the segment that decides is muted by itself, and the call is judged again:
    occlusion, as Zeiler and Fergus 2014 did with parts of pictures ("Visualizing and Understanding
    Convolutional Networks"). The utterances are the customer's, or whoever's they are where the
    model hears both voices mixed. The customer's own start of the call is what the words compare
    a clip with.

    Args:
        path: recording of the call
        model: whose verdict is explained
        conversation: who speaks when in this call

    Returns:
        at most `CLIPS` rows, the strongest first: `start_s, end_s` in the call, `effect` (how much
        the probability of the verdict falls without the clip, at least `LEAST_EFFECT`), `words`
        (how the clip sounds against the start of the call). Empty where no clip moves the verdict:
        then show `NO_EVIDENCE`

    Raises:
        AudioError: where the recording cannot be judged
    """
    call = model.feature_set.read(path)
    clips = _find_clips(call, conversation)
    probabilities = judge_without(call, model, clips=())
    verdict = int(probabilities.argmax())
    effects = [
        probabilities[verdict] - judge_without(call, model, clips=[clip[:2]])[verdict]
        for clip in clips
    ]
    order = np.argsort(-np.array(effects), kind="stable")[:CLIPS]
    chosen = [number for number in order if effects[number] >= LEAST_EFFECT]
    rows = [
        (*clips[number][:2], effects[number], _tell(call, conversation, clips, number))
        for number in chosen
    ]
    table = pd.DataFrame(rows, columns=["start_s", "end_s", "effect", "words"])
    return table.astype({"start_s": float, "end_s": float, "effect": float})


def judge_without(
    call: CallSegments, model: TrainedModel, *, clips: Iterable[Sequence[float]]
) -> np.ndarray:
    """Judge a call as if some clips had not been said.

    Args:
        call: as `model.feature_set.read` gives it
        model: judges it
        clips: start and end of each, in seconds from the beginning of the call; they are muted in
            the segments, and in the speech that the segments are compared with

    Returns:
        shape (3,), the probability of each status in the segment that decides
    """
    spans = [tuple(clip) for clip in clips]
    signals = [
        _mute(signal, call.sampling_rate, spans=spans, offset_s=segment.start_s)
        for signal, segment in zip(call.signals, call.segments, strict=True)
    ]
    baseline = call.baseline
    if baseline is not None:
        baseline = _mute(baseline, call.sampling_rate, spans=spans, offset_s=0.0)
    muted = call._replace(signals=signals, baseline=baseline)
    return model.predict_proba(model.feature_set.describe(muted))[-1]


def _mute(
    signal: np.ndarray, sampling_rate: int, *, spans: Iterable[Sequence[float]], offset_s: float
) -> np.ndarray:
    signal = signal.copy()
    for span in spans:
        first, last = (max(0, round((edge - offset_s) * sampling_rate)) for edge in span)
        signal[first:last] = 0
    return signal


def _find_clips(call: CallSegments, conversation: Conversation) -> list[_Clip]:
    """Find the utterances in the segment that decides."""
    segment = call.segments[-1]
    spans = _own_spans(call, conversation, segment.start_s, segment.start_s + segment.duration_s)
    signal, rate = call.signals[-1], call.sampling_rate
    return list(_cut_clips(signal, rate, spans=spans, offset_s=segment.start_s))


def _own_spans(
    call: CallSegments, conversation: Conversation, start_s: float, end_s: float
) -> list[tuple[float, float]]:
    """Clip the customer's turns to a part of the call; voices that are mixed are one turn."""
    if call.baseline is None:
        return [(start_s, end_s)]
    turns = conversation.turns[conversation.turns["speaker"] == CUSTOMER]
    starts, ends = turns["start_s"].clip(lower=start_s), turns["end_s"].clip(upper=end_s)
    inside = starts < ends
    return list(zip(starts[inside], ends[inside], strict=True))


def _cut_clips(
    signal: np.ndarray, sampling_rate: int, *, spans: Iterable[Sequence[float]], offset_s: float
) -> Iterator[_Clip]:
    """Cut turns at their pauses into utterances of `SHORTEST_S` to `LONGEST_S`."""
    for start_s, end_s in spans:
        first, last = (round((edge - offset_s) * sampling_rate) for edge in (start_s, end_s))
        sound = signal[first:last]
        for turn in find_turns(sound, sampling_rate):
            piece = sound[slice(*(round(edge * sampling_rate) for edge in turn))]
            length_s = len(piece) / sampling_rate
            if SHORTEST_S <= length_s <= LONGEST_S + _ROUNDING_S and piece.any():
                yield _Clip(start_s + turn.start_s, start_s + turn.end_s, piece)


def _tell(
    call: CallSegments, conversation: Conversation, clips: Sequence[_Clip], number: int
) -> str:
    """Tell how a clip sounds against the start of the call, or else against the other clips."""
    clip, segment = clips[number], call.segments[-1]
    limit_s = segment.start_s or segment.duration_s / 2
    reference, where = [], "start"
    if clip.start_s >= limit_s:
        reference = _find_start(call, conversation, limit_s)
    if not reference:
        reference, where = [*clips[:number], *clips[number + 1 :]], "rest of the speech"
    if call.baseline is None:
        where += " (both voices)"
    signals = [each.signal for each in reference]
    return compare_voice(clip.signal, call.sampling_rate, reference=signals, where=where)


def _find_start(call: CallSegments, conversation: Conversation, limit_s: float) -> list[_Clip]:
    """Find the first `START_SPEECH_S` of own speech; nothing where there is hardly any."""
    sound = call.signals[0] if call.baseline is None else call.baseline
    limit_s = min(limit_s, len(sound) / call.sampling_rate)
    spans = _own_spans(call, conversation, 0.0, limit_s)
    clips = list(_cut_clips(sound, call.sampling_rate, spans=spans, offset_s=0.0))
    spoken_s = list(accumulate(clip.end_s - clip.start_s for clip in clips))
    if not clips or spoken_s[-1] < LEAST_SPEECH_S:
        return []
    return clips[: int(np.searchsorted(spoken_s, START_SPEECH_S)) + 1]
