"""Who speaks when: customer and agent, in calls with one channel or two."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.audio import check_duration, open_recording, to_mono
from helpers.conversation.bursts import find_bursts
from helpers.conversation.channels import find_speech_by_channel, hold_the_same
from helpers.conversation.diarization import Voices, separate_voices
from helpers.conversation.roles import (
    AGENT,
    CONTRADICTED,
    CUSTOMER,
    FIRST_HOLDS,
    SET_CERTAINTY,
    SURE,
    USUAL,
    Roles,
    check_roles,
)
from helpers.conversation.speaker_embedding import Encoder, find_encoder
from helpers.conversation.voice_activity import SPEECH, find_activity
from helpers.errors import AudioError

REACH_S = 0.5
"""In one channel sound belongs to speech as far as this from where speech is certain."""

CHANNEL_REACH_S = 5.0
"""On a channel of one's own, where nobody else is heard, it does so as far as this."""

SHORTEST_S = 0.15
"""A shorter sound is no turn."""

WORDS_S = 0.5
"""Who makes a shorter sound has not yet spoken first."""

TOUCHING_S = 0.05
"""Pieces of one speaker that are less than this apart are one turn."""

REMEMBERED = 4
"""So many recordings are not listened to again: verdict, story and evidence ask one by one."""

NOBODY = "nobody is heard to speak"
"""The doubt about a call without any speech."""

COLUMNS = ("start_s", "end_s", "speaker", "confidence")
"""Columns of the table of turns."""


class Conversation(NamedTuple):
    """Who speaks when, and what else is heard.

    Attributes:
        turns: columns `COLUMNS`, in order; turns of the two people may overlap on two channels
        activity: columns `start_s, end_s, kind` with `speech, ringing, music, silence`, in order
            and without gaps
        certainty: probability that customer and agent are not swapped
        doubt: why that is not sure, in words; empty where it is
        duration_s: of the call
    """

    turns: pd.DataFrame
    activity: pd.DataFrame
    certainty: float
    doubt: str
    duration_s: float


def turns(
    path: Path | str, *, roles: Roles = USUAL, encoder: Encoder | None = None
) -> pd.DataFrame:
    """Find out who speaks when.

    Args:
        path: any recording that `helpers.audio.open_recording` reads
        roles: what is known about channels and who speaks first
        encoder: tells voices apart where both are on one channel; the best installed by default

    Returns:
        columns `start_s`, `end_s`, `speaker` (`customer` or `agent`) and `confidence` (probability
        that it is this person), in order

    Raises:
        AudioError: where the recording cannot be read or is shorter than a second
        RolesError: where the roles cannot be understood
    """
    return listen(path, roles=roles, encoder=encoder).turns


def listen(
    path: Path | str, *, roles: Roles = USUAL, encoder: Encoder | None = None
) -> Conversation:
    """Find out who speaks when, what else is heard, and how sure that is; see `turns`."""
    check_roles(roles)
    path = Path(path)
    if not path.is_file():
        raise AudioError("no such file")
    state = path.stat()
    stamp = (state.st_mtime_ns, state.st_size)
    found = _listen(path, stamp, roles, encoder or find_encoder())
    return found._replace(turns=found.turns.copy(), activity=found.activity.copy())


@lru_cache(maxsize=REMEMBERED)
def _listen(path: Path, stamp: tuple, roles: Roles, encoder: Encoder) -> Conversation:
    with open_recording(path) as recording:
        check_duration(recording)
        channels = recording.read()
        sampling_rate, duration_s = recording.sampling_rate, recording.duration_s
    mix = to_mono(channels)
    activity = find_activity(mix, sampling_rate)
    spans = [] if hold_the_same(channels) else _spoken_by_channel(channels, sampling_rate, activity)
    if spans and all(map(len, spans)):
        found, certainty, doubt = _roles_by_channel(spans, roles)
    else:
        spoken = _spoken(find_bursts(mix, sampling_rate), activity, reach_s=REACH_S)
        voices = separate_voices(mix, sampling_rate, spans=spoken, encoder=encoder)
        found, certainty, doubt = _roles_by_voice(voices, roles, encoder)
    return Conversation(found, activity, round(certainty, 3), doubt, duration_s)


def _spoken_by_channel(
    channels: np.ndarray, sampling_rate: int, activity: pd.DataFrame
) -> list[np.ndarray]:
    found = find_speech_by_channel(channels, sampling_rate)
    return [_spoken(own, activity, reach_s=CHANNEL_REACH_S) for own in found]


def _spoken(spans: np.ndarray, activity: pd.DataFrame, *, reach_s: float) -> np.ndarray:
    """Keep of the spans what is near certain speech and no ringing or music."""
    speech = activity.loc[activity["kind"] == SPEECH, ["start_s", "end_s"]].to_numpy()
    others = activity.loc[activity["kind"].isin(["ringing", "music"]), ["start_s", "end_s"]]
    near = _merge(np.clip(speech + np.array([-reach_s, reach_s]), 0, None))
    kept = _without(_common(spans, near), others.to_numpy())
    return kept[kept[:, 1] - kept[:, 0] >= SHORTEST_S]


def _roles_by_channel(spans: list[np.ndarray], roles: Roles) -> tuple[pd.DataFrame, float, str]:
    speakers = (CUSTOMER, AGENT) if roles.customer_channel == 0 else (AGENT, CUSTOMER)
    certainty, doubt = SET_CERTAINTY, ""
    firsts = [_first_words(each) for each in spans]
    if speakers[int(np.argmin(firsts))] != roles.first_speaker:
        certainty = CONTRADICTED
        doubt = (
            f"channel {roles.customer_channel} is set as the customer's, but then the "
            f"{roles.first_speaker} does not speak first: check which channel is whose"
        )
    rows = [
        (start_s, end_s, speaker, certainty)
        for speaker, each in zip(speakers, spans, strict=True)
        for start_s, end_s in each
    ]
    return _to_table(rows), certainty, doubt


def _first_words(spans: np.ndarray) -> float:
    """Say when somebody begins to speak, a cough before it left out."""
    words = spans[spans[:, 1] - spans[:, 0] >= WORDS_S]
    return float((words if len(words) else spans)[0, 0])


def _roles_by_voice(
    voices: Voices, roles: Roles, encoder: Encoder
) -> tuple[pd.DataFrame, float, str]:
    first, second = (AGENT, CUSTOMER) if roles.first_speaker == AGENT else (CUSTOMER, AGENT)
    lengths = voices.spans[:, 1] - voices.spans[:, 0]
    certainty, doubt = 0.5, NOBODY
    if voices.heard == 1:
        doubt = "only one voice is heard, and it cannot be said whose it is"
    elif voices.heard == 2:
        certainty = FIRST_HOLDS * float(np.average(voices.confidence, weights=lengths))
        doubt = "" if certainty >= SURE else encoder.doubt
    rows = [
        (start_s, end_s, second if voice else first, confidence)
        for (start_s, end_s), voice, confidence in zip(
            voices.spans, voices.voice, voices.confidence, strict=True
        )
    ]
    return _to_table(rows), certainty, doubt


def _to_table(rows: list[tuple]) -> pd.DataFrame:
    merged: list[list] = []
    for row in sorted(rows):
        last = next((each for each in reversed(merged) if each[2] == row[2]), None)
        if last and row[0] - last[1] < TOUCHING_S:
            last[1], last[3] = row[1], min(last[3], row[3])
        else:
            merged.append(list(row))
    table = pd.DataFrame(merged, columns=list(COLUMNS))
    numbers = ["start_s", "end_s", "confidence"]
    table[numbers] = table[numbers].astype(float).round(3)
    return table.sort_values(["start_s", "end_s"], ignore_index=True)


def _merge(spans: np.ndarray) -> np.ndarray:
    merged: list[list[float]] = []
    for start_s, end_s in spans.tolist():
        if merged and start_s <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end_s)
        else:
            merged.append([start_s, end_s])
    return np.array(merged).reshape(-1, 2)


def _common(spans: np.ndarray, others: np.ndarray) -> np.ndarray:
    cuts = [
        (max(start_s, low), min(end_s, high))
        for start_s, end_s in spans
        for low, high in others
        if min(end_s, high) > max(start_s, low)
    ]
    return np.array(cuts, float).reshape(-1, 2)


def _without(spans: np.ndarray, others: np.ndarray) -> np.ndarray:
    edges = np.concatenate([[[-np.inf, 0.0]], others.reshape(-1, 2), [[np.inf, np.inf]]])
    free = np.stack([edges[:-1, 1], edges[1:, 0]], axis=1)
    return _common(spans, free)
