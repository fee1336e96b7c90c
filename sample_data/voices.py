"""Plan and speak the sample corpus of emotions: eight synthetic voices, five emotions each.

As in a corpus of actors, everybody says the same sentences in every emotion. An emotion changes
what a mood changes (see `speech.py`), and every utterance strays a little from its emotion: more
or less high, lively, fast and bright, so that the emotions overlap.
"""

from dataclasses import dataclass, replace

import numpy as np
from speech import NEUTRAL, SAMPLING_RATE, VOICES, Mood, add_line_noise, speak

FOLDER = "voices"
FIRST_NUMBER = 1001
SPEAKERS = tuple(VOICES)[-8:]
PAUSES = (0.05, 0.15)
EMOTIONS = {
    "neutral": replace(NEUTRAL, pauses=PAUSES),
    "happy": Mood(pitch=16, pitch_range=150, pace=1.05, pauses=PAUSES, tilt=0.2),
    "sad": Mood(pitch=-16, pitch_range=30, pace=0.88, pauses=PAUSES, tilt=-0.6),
    "angry": Mood(pitch=18, pitch_range=190, pace=1.2, pauses=PAUSES, tilt=0.85),
    "fearful": Mood(pitch=32, pitch_range=60, pace=1.15, pauses=PAUSES, tilt=-0.1),
}
SENTENCES = {
    "door": "She is at the door.",
    "letter": "This letter is for you.",
    "train": "The train is leaving.",
    "window": "Open the window.",
}

PITCH_JITTER = 10
RANGE_JITTER = 0.4
PACE_JITTER = 0.1
TILT_JITTER = 0.4


@dataclass(frozen=True)
class Utterance:
    """One utterance to make; `path` is where it belongs, `statement` names its sentence."""

    number: int
    name: str
    path: str
    speaker: str
    emotion: str
    statement: str


def plan_utterances() -> list[Utterance]:
    """Return every sentence in every emotion by every speaker."""
    plan = [
        (speaker, emotion, statement)
        for speaker in SPEAKERS
        for emotion in EMOTIONS
        for statement in SENTENCES
    ]
    return [
        Utterance(number, "_".join(said), f"{FOLDER}/{'_'.join(said)}.wav", *said)
        for number, said in enumerate(plan, start=FIRST_NUMBER)
    ]


def stray(mood: Mood, *, generator) -> Mood:
    """Return a mood near this one."""
    return replace(
        mood,
        pitch=mood.pitch + int(generator.integers(-PITCH_JITTER, PITCH_JITTER, endpoint=True)),
        pitch_range=round(mood.pitch_range * (1 + generator.uniform(-RANGE_JITTER, RANGE_JITTER))),
        pace=mood.pace * (1 + generator.uniform(-PACE_JITTER, PACE_JITTER)),
        tilt=mood.tilt + generator.uniform(-TILT_JITTER, TILT_JITTER),
    )


def make_utterance(utterance: Utterance, *, generator) -> tuple[np.ndarray, int]:
    """Return one utterance, float samples of shape (samples, 1), and its rate of 8000 Hz."""
    signal = speak(
        [SENTENCES[utterance.statement]],
        voice=VOICES[utterance.speaker],
        mood=stray(EMOTIONS[utterance.emotion], generator=generator),
        generator=generator,
    )
    return add_line_noise(signal[:, None], SAMPLING_RATE, generator=generator), SAMPLING_RATE
