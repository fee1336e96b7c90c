"""Listening to the customer alone: everybody else in the call is muted."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.audio import open_recording, to_mono
from helpers.conversation.channels import hold_the_same
from helpers.conversation.roles import CUSTOMER, SURE, USUAL, Roles
from helpers.conversation.speaker_embedding import Encoder, find_encoder
from helpers.conversation.turn_taking import Conversation, listen
from helpers.features import CallSegments, FeatureSet, read_segments
from helpers.segments import Segment, split_call

MARK = "-customer-"
"""What names of feature sets of the customer alone have in common."""

VERSION = 1
"""Raised whenever the customer is found or cut out in another way, so that caches are not mixed."""

LEAST_SPEECH_S = 2.0
"""With less speech of the customer in a segment, both people are listened to."""

FADE_S = 0.005
"""Edges of what is muted are faded, so that they do not click."""


def customer_feature_set(
    base: FeatureSet, *, roles: Roles = USUAL, encoder: Encoder | None = None
) -> FeatureSet:
    """Make the feature set that describes the customer alone, against the customer's own level.

    Args:
        base: how segments are described
        roles: how customer and agent are told apart
        encoder: tells voices apart; the best installed by default

    Returns:
        the same columns; a call whose customer cannot be found with certainty is described by both
        people's sound, as `base` does
    """
    encoder = encoder or find_encoder()
    signature = f"{MARK}{VERSION}-{roles.customer_channel}-{roles.first_speaker}-{encoder.name}"
    read = partial(read_customer, roles=roles, encoder=encoder)
    return base._replace(name=f"{base.name}{signature}", read=read)


def split_name(name: str) -> tuple[str, Roles | None, str]:
    """Take the name of a feature set apart.

    Returns:
        name of the base, the roles and the encoder's name; no roles where it is of both people
    """
    found = re.fullmatch(rf"(.+){MARK}\d+-(\d)-(\w+)-(\w+)", name)
    if not found:
        return name, None, ""
    return found[1], Roles(int(found[2]), found[3]), found[4]


def read_customer(
    path: Path | str,
    *,
    roles: Roles = USUAL,
    encoder: Encoder | None = None,
    conversation: Conversation | None = None,
) -> CallSegments:
    """Read the segments of one call with everybody but the customer muted.

    Args:
        path: any recording that `helpers.audio.open_recording` reads
        roles: how customer and agent are told apart
        encoder: tells voices apart; the best installed by default
        conversation: who speaks when, where it is known already

    Returns:
        the segments, and as `baseline` all the customer says in the call; the mix without a
        baseline where `why_mixed` gives a reason

    Raises:
        AudioError: where the recording cannot be read, is shorter than a second or silent
    """
    encoder = encoder or find_encoder()
    if conversation is None and encoder.reliability < SURE and _has_one_channel(path):
        return read_segments(path)
    conversation = conversation or listen(path, roles=roles, encoder=encoder)
    if why_mixed(conversation):
        return read_segments(path)
    with open_recording(path) as recording:
        channels, sampling_rate = recording.read(), recording.sampling_rate
    own = channels if hold_the_same(channels) else channels[[roles.customer_channel]]
    mix, turns = to_mono(channels), conversation.turns
    muted = mute_others(to_mono(own), sampling_rate, turns=turns)
    segments = split_call(conversation.duration_s)
    signals = [
        _cut(muted if _is_enough(conversation, each) else mix, sampling_rate, each)
        for each in segments
    ]
    return CallSegments(segments, signals, sampling_rate, muted)


def why_mixed(conversation: Conversation) -> str:
    """Say why both people have to be listened to; empty where the customer alone can be."""
    if conversation.certainty < SURE:
        return conversation.doubt
    if not _is_enough(conversation, split_call(conversation.duration_s)[-1]):
        return f"the customer says less than {LEAST_SPEECH_S:.0f} s in the segment that decides"
    return ""


def mute_others(signal: np.ndarray, sampling_rate: int, *, turns: pd.DataFrame) -> np.ndarray:
    """Set everything to zero but the customer's turns.

    Args:
        signal: mono, shape (samples,), from the call's beginning
        sampling_rate: of the signal, in Hz
        turns: columns `start_s`, `end_s` and `speaker`

    Returns:
        shape (samples,), float32
    """
    gain = np.zeros(len(signal) + 1, np.float32)
    for turn in turns[turns["speaker"] == CUSTOMER].itertuples():
        start, end = (
            min(round(t * sampling_rate), len(signal)) for t in (turn.start_s, turn.end_s)
        )
        gain[start:end] = 1.0
    width = max(round(FADE_S * sampling_rate), 1)
    ramp = np.convolve(gain[:-1], np.full(width, 1 / width, np.float32), mode="same")
    return signal * np.minimum(ramp, 1.0)


def _has_one_channel(path: Path | str) -> bool:
    with open_recording(path) as recording:
        return recording.channels == 1


def _is_enough(conversation: Conversation, segment: Segment) -> bool:
    own = conversation.turns[conversation.turns["speaker"] == CUSTOMER]
    starts = own["start_s"].clip(lower=segment.start_s)
    ends = own["end_s"].clip(upper=segment.start_s + segment.duration_s)
    return bool((ends - starts).clip(lower=0).sum() >= LEAST_SPEECH_S)


def _cut(signal: np.ndarray, sampling_rate: int, segment: Segment) -> np.ndarray:
    first = round(segment.start_s * sampling_rate)
    return signal[first : first + round(segment.duration_s * sampling_rate)]
