"""What the turns of a call say without any model: who talks, how fast, how loud, and over whom."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.audio import Recording, open_recording
from helpers.conversation.roles import AGENT, CUSTOMER
from helpers.conversation.turn_taking import Conversation
from helpers.conversation.voices import (
    STEP_S,
    Levels,
    count_syllables,
    find_channels,
    find_runs,
    mark,
    mark_spans,
    measure_levels,
    measure_loudness,
)

NON_TALK_S = 3.0
"""A longer stretch in which nobody speaks is non-talk."""

LEAST_OVERLAP_S = 0.3
"""Shorter overlaps are how people usually take turns; no one is interrupted by them."""

LEAST_CHANGE_S = 6.0
"""With less speech than this, in seconds, no change of loudness is told."""

PIECE_S = 10.0
"""Seconds of a turn in which syllables are looked for at once."""

TALK_COLUMNS = {
    "customer_talk_s": "seconds in which the customer speaks",
    "agent_talk_s": "seconds in which the agent speaks",
    "customer_talk_share": "the customer's share of both people's talk time, 0 to 1",
    "agent_talk_share": "the agent's share of both people's talk time, 0 to 1",
    "customer_talk_speed": "syllables a second of the customer's talk time, estimated",
    "agent_talk_speed": "syllables a second of the agent's talk time, estimated",
    "customer_turns": "times the customer takes the floor",
    "agent_turns": "times the agent takes the floor",
    "customer_response_s": "median seconds between the agent's end and the customer's answer",
    "agent_response_s": "median seconds between the customer's end and the agent's answer",
    "customer_loudness_db": "loudness of the customer's speech in dB below full scale (negative)",
    "agent_loudness_db": "loudness of the agent's speech in dB below full scale (negative)",
    "customer_loudness_change_db": "last against first third of the customer's speech, in dB",
    "customer_interruptions": "times the customer starts while the agent speaks",
    "agent_interruptions": "times the agent starts while the customer speaks",
    "customer_interruptions_s": "seconds of talk-over that the customer started",
    "agent_interruptions_s": "seconds of talk-over that the agent started",
    "non_talk_count": "stretches of more than 3 s in which nobody speaks",
    "non_talk_s": "their seconds: hold, music, ringing and silence together",
    "hold_count": "stretches of hold music",
    "hold_s": "their seconds",
    "longest_silence_s": "longest stretch without speech, music or ringing, in seconds",
}
"""What `measure_talk` gives, and what it means."""

TALK_COUNTS = tuple(
    name for name in TALK_COLUMNS if name.endswith(("turns", "interruptions", "count"))
)
"""Those of them that are counts."""


_INTERRUPTIONS = [name for name in TALK_COLUMNS if "_interruptions" in name]


def measure_talk(conversation: Conversation, path: Path | str) -> dict[str, float]:
    """Measure how customer and agent talk.

    The names are those of AWS Contact Lens and Transcribe Call Analytics. In a two-channel call
    loudness and speed are taken from the channel of who speaks, otherwise from what each of them
    says alone. The recording is read piece by piece.

    Args:
        conversation: who speaks when in the recording
        path: any recording that `helpers.audio.open_recording` reads

    Returns:
        `TALK_COLUMNS`, rounded to 3 digits; shares, speeds, loudness and response times are `nan`
        where there is nothing to take them from, interruptions where both people are on one
        channel: there one voice at a time is heard

    Raises:
        AudioError: where the recording cannot be read
    """
    with open_recording(path) as recording:
        levels = measure_levels(recording)
        channels = find_channels(levels, conversation.turns)
        spoken = {role: mark(conversation, role, step_s=levels.step_s) for role in channels}
        is_mix = channels[CUSTOMER] == channels[AGENT]
        alone = _speak_alone(spoken) if is_mix else spoken
        figures = {
            **_measure_turns(conversation),
            **_measure_loudness(levels, channels, alone),
            **{
                f"{role}_talk_speed": _measure_speed(
                    recording, channels[role], find_runs(alone[role]) * levels.step_s
                )
                for role in channels
            },
        }
    if is_mix:
        figures |= dict.fromkeys(_INTERRUPTIONS, np.nan)
    return {
        name: figures[name] if name in TALK_COUNTS else round(float(figures[name]), 3)
        for name in TALK_COLUMNS
    }


def find_talk_over(conversation: Conversation) -> pd.DataFrame:
    """Find where both speak for at least `LEAST_OVERLAP_S`, and who interrupted.

    Returns:
        columns `start_s, end_s, interrupter` in order; `interrupter` is who started while the
        other one spoke, an empty string where both started at once
    """
    customer, agent = (mark(conversation, role) for role in (CUSTOMER, AGENT))
    rows = []
    for first, last in find_runs(customer & agent):
        if (last - first) * STEP_S < LEAST_OVERLAP_S - STEP_S / 2:
            continue
        spoke = [first > 0 and bool(each[first - 1]) for each in (customer, agent)]
        interrupter = {(True, False): AGENT, (False, True): CUSTOMER}.get(tuple(spoke), "")
        rows.append((first * STEP_S, last * STEP_S, interrupter))
    table = pd.DataFrame(rows, columns=["start_s", "end_s", "interrupter"])
    return table.astype({"start_s": float, "end_s": float}).round(3)


def find_non_talk(conversation: Conversation) -> pd.DataFrame:
    """Find the stretches of more than `NON_TALK_S` in which nobody speaks.

    Returns:
        columns `start_s, end_s` in order; ringing before and silence after the call's talk count
    """
    quiet = ~(mark(conversation, CUSTOMER) | mark(conversation, AGENT))
    return _to_table(_longer(find_runs(quiet) * STEP_S))


def find_hold(conversation: Conversation) -> pd.DataFrame:
    """Find the stretches of hold music; a gap of up to `NON_TALK_S` does not end one.

    Returns:
        columns `start_s, end_s` in order
    """
    music = conversation.activity[conversation.activity["kind"] == "music"]
    joined: list[list[float]] = []
    for start_s, end_s in music[["start_s", "end_s"]].to_numpy(dtype=float).tolist():
        if joined and start_s - joined[-1][1] <= NON_TALK_S:
            joined[-1][1] = end_s
        else:
            joined.append([start_s, end_s])
    return _to_table(joined)


def _longer(spans: np.ndarray) -> np.ndarray:
    return spans[spans[:, 1] - spans[:, 0] > NON_TALK_S + STEP_S / 2]


def _to_table(spans) -> pd.DataFrame:
    return pd.DataFrame(spans, columns=["start_s", "end_s"], dtype=float).round(3)


def _speak_alone(spoken: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    customer, agent = spoken[CUSTOMER], spoken[AGENT]
    return {CUSTOMER: customer & ~agent, AGENT: agent & ~customer}


def _measure_turns(conversation: Conversation) -> dict[str, float]:
    talk_s = {role: mark(conversation, role).sum() * STEP_S for role in (CUSTOMER, AGENT)}
    counts, responses = _take_turns(conversation)
    talk_over = find_talk_over(conversation)
    figures: dict[str, float] = {}
    for role in (CUSTOMER, AGENT):
        own = talk_over[talk_over["interrupter"] == role]
        figures |= {
            f"{role}_talk_s": talk_s[role],
            f"{role}_talk_share": talk_s[role] / (sum(talk_s.values()) or np.nan),
            f"{role}_turns": counts[role],
            f"{role}_response_s": np.median(responses[role]) if responses[role] else np.nan,
            f"{role}_interruptions": len(own),
            f"{role}_interruptions_s": _sum_s(own),
        }
    non_talk, hold = find_non_talk(conversation), find_hold(conversation)
    return figures | {
        "non_talk_count": len(non_talk),
        "non_talk_s": _sum_s(non_talk),
        "hold_count": len(hold),
        "hold_s": _sum_s(hold),
        "longest_silence_s": _longest_silence(conversation),
    }


def _sum_s(spans: pd.DataFrame) -> float:
    return float((spans["end_s"] - spans["start_s"]).sum())


def _take_turns(conversation: Conversation) -> tuple[dict[str, int], dict[str, list[float]]]:
    """Count how often each role takes the floor, and list how long it took to answer."""
    spans = sorted(
        (*(run * STEP_S).tolist(), role)
        for role in (CUSTOMER, AGENT)
        for run in find_runs(mark(conversation, role))
    )
    counts, responses = {CUSTOMER: 0, AGENT: 0}, {CUSTOMER: [], AGENT: []}
    before, last_end_s, last_role = "", 0.0, ""
    for start_s, end_s, role in spans:
        counts[role] += role != before
        if last_role not in ("", role) and start_s >= last_end_s:
            responses[role].append(start_s - last_end_s)
        if end_s > last_end_s:
            last_end_s, last_role = end_s, role
        before = role
    return counts, responses


def _longest_silence(conversation: Conversation) -> float:
    heard = mark(conversation, CUSTOMER) | mark(conversation, AGENT)
    sounds = conversation.activity[conversation.activity["kind"].isin(["music", "ringing"])]
    heard |= mark_spans(sounds, len(heard), STEP_S)
    return float(np.ptp(find_runs(~heard), axis=1).max(initial=0) * STEP_S)


def _measure_loudness(
    levels: Levels, channels: Mapping[str, int], spoken: Mapping[str, np.ndarray]
) -> dict[str, float]:
    powers = {}
    for role, channel in channels.items():
        count = min(levels.power.shape[1], len(spoken[role]))
        powers[role] = levels.power[channel, :count][spoken[role][:count]]
    figures = {f"{role}_loudness_db": measure_loudness(power) for role, power in powers.items()}
    own = powers[CUSTOMER]
    if len(own) * levels.step_s < LEAST_CHANGE_S:
        return figures | {"customer_loudness_change_db": np.nan}
    first, _, last = np.array_split(own, 3)
    return figures | {
        "customer_loudness_change_db": measure_loudness(last) - measure_loudness(first)
    }


def _measure_speed(recording: Recording, channel: int, spans_s: np.ndarray) -> float:
    syllables, talk_s = 0, 0.0
    for start_s, end_s in spans_s:
        talk_s += end_s - start_s
        edges = np.linspace(start_s, end_s, 1 + int(np.ceil((end_s - start_s) / PIECE_S)))
        for first_s, last_s in pairwise(edges):
            signal = recording.read(start_s=first_s, duration_s=last_s - first_s)[channel]
            syllables += count_syllables(signal, recording.sampling_rate)
    return syllables / talk_s if talk_s else np.nan
