"""Calls put together from the sample corpus, so that who speaks when is known."""

from functools import cache
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import soundfile

from helpers.workspace import SAMPLE_DATA

RATE = 8000

AGENT_VOICE, CUSTOMER_VOICE = "agent_01", "customer_09"
SENTENCES = ("door", "letter", "train", "window")


class ComposedCall(NamedTuple):
    """A call and the truth about it.

    Attributes:
        channels: customer and agent, shape (2, samples), float32, faint noise included
        turns: columns start_s, end_s, speaker; one row an utterance
    """

    channels: np.ndarray
    turns: pd.DataFrame

    @property
    def mix(self) -> np.ndarray:
        """Shape (samples,)."""
        return self.channels.mean(axis=0)


def compose(
    speakers: str = "acacac",
    *,
    begin_s: float = 1.0,
    pause_s: float = 0.8,
    customer: str = CUSTOMER_VOICE,
    agent: str = AGENT_VOICE,
    emotion: str = "neutral",
    customer_gain: float = 1.0,
    noise: float = 5e-4,
) -> ComposedCall:
    """Let customer (c) and agent (a) say two sentences each time it is their turn."""
    voices = {"c": customer, "a": agent}
    sentences = {who: cycle(SENTENCES) for who in voices}
    pieces, rows, end_s = [], [], begin_s - pause_s
    for who in speakers:
        for number in range(2):
            start_s = end_s + (pause_s if number == 0 else 0.2)
            utterance = read_utterance(voices[who], next(sentences[who]), emotion)
            end_s = start_s + len(utterance) / RATE
            gain = customer_gain if who == "c" else 1.0
            pieces.append((who, round(start_s * RATE), gain * utterance))
            rows.append((start_s, end_s, {"c": "customer", "a": "agent"}[who]))
    generator = np.random.default_rng(len(speakers))
    channels = noise * generator.standard_normal((2, round((end_s + 1.0) * RATE)))
    for who, first, utterance in pieces:
        channels["ca".index(who), first : first + len(utterance)] += utterance
    turns = pd.DataFrame(rows, columns=["start_s", "end_s", "speaker"])
    return ComposedCall(channels.astype(np.float32), turns)


@cache
def read_utterance(voice: str, sentence: str, emotion: str = "neutral") -> np.ndarray:
    """Read an utterance without the silence around it."""
    path = SAMPLE_DATA / "voices" / f"{voice}_{emotion}_{sentence}.wav"
    signal = soundfile.read(path, dtype="float32")[0]
    heard = np.flatnonzero(np.abs(signal) > 0.005)
    return signal[heard[0] : heard[-1] + 1]


def write(path: Path, signal: np.ndarray, sampling_rate: int = RATE) -> Path:
    """Write a signal of shape (samples,) or (channels, samples) as floats."""
    soundfile.write(path, signal.T, sampling_rate, subtype="FLOAT", format="WAV")
    return path
