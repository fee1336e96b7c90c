"""Speech, ringing, hold music and silence in a call, told apart."""

from collections.abc import Container

import numpy as np
import pandas as pd
from scipy.ndimage import binary_closing, binary_dilation, binary_opening

from helpers.conversation.line_sounds import STEP_S, LineSounds, find_line_sounds, to_rate
from helpers.conversation.speech_detector import (
    DETECTOR_RATE,
    DETECTOR_SAMPLES,
    detect_speech,
)

KINDS = SPEECH, RINGING, MUSIC, SILENCE = "speech", "ringing", "music", "silence"
"""Ringing is every tone of a telephone: busy signals, keys and beeps too. Silence is the rest."""

DETECTOR_STEPS = 2
"""A frame of the detector in steps of `STEP_S`."""

LEVEL = 0.1
"""RMS that loud parts (95th percentile) are brought to first: it overhears faint speech."""

LEVEL_SAMPLES, FAINTEST = 160, 1e-5
"""The level is measured in blocks of so many samples, 10 ms; fainter ones are left out."""

RESET_STEPS = 62
"""After music or tones of a second the detector begins anew: it would hear no speech for long."""

STARTS_FROM, ENDS_BELOW = 0.35, 0.2
"""Speech starts with the first probability and goes on until it is below the second."""

START_LAG, END_LAG = 7, 2
"""Steps by which the detector is late: 0.11 s where speech starts and 0.03 s where it ends."""

PAUSE_STEPS = 12
"""A pause of 0.2 s or less is part of the speech."""

LEAST_STEPS = 13
"""Speech is not shorter than this: 0.2 s."""

STILL, RATHER_STILL = 0.75, 0.65
"""Music is as steady as the first somewhere, as the second throughout: `LineSounds.steady`."""

LEAST_STILL_S = 0.3
"""It is as steady as the first for so many seconds."""

LEAST_OUTSIDE = 0.2
"""And the detector hears no speech in this share of it, unlike in a voice that holds its pitch."""

MOST_WAVERING = 0.2
"""What is less steady than that share (median) by more is a voice that touches the music."""

MOST_MUSIC = 0.97
"""With a greater share of tones (median) it is ringing on a noisy line instead."""

GAP_STEPS = 31
"""Between two pieces of music, or two of ringing, a pause of 0.5 s or less is part of it."""

NO_WORD_STEPS = 18
"""Between two tones, or two pieces of music, a pause of 0.3 s or less holds no word."""

MARGIN_STEPS = 7
"""Steps before and after music that are no speech either, for its edges are found to 0.1 s."""


def find_activity(signal: np.ndarray, sampling_rate: int) -> pd.DataFrame:
    """Tell speech, ringing, music and silence apart.

    Speech is what Silero VAD takes for it, without the tones and the music among that: just after
    speech, and where a sound begins, the detector takes them for a voice. Speech over fainter music
    is mostly speech, over music as loud it is music; a word that holds its pitch and touches music
    without any pause may be lost with it. Drums alone are silence, but beside speech they are
    speech for up to 0.1 s, in loud noise 0.4 s.

    Args:
        signal: mono, shape (samples,), floats; neither level nor a constant offset matters
        sampling_rate: of the signal, in Hz, 4000 to 192000

    Returns:
        start_s, end_s, kind (one of `KINDS`): from 0 to the end of the signal in order, without
        gaps, and neighbours differ; no row for an empty signal
    """
    duration_s = len(signal) / sampling_rate
    if not duration_s:
        return _list_spans(np.empty(0, str), 0.0)
    signal = np.asarray(signal, np.float32)
    signal = signal - signal.mean()
    sounds = find_line_sounds(signal, sampling_rate)
    heard = _hear_speech(signal, sampling_rate, sounds)
    ringing, music = _find_steady(sounds, heard)
    margin = np.ones(2 * MARGIN_STEPS + 1)
    other = _bridge(sounds.tones | binary_dilation(ringing | music, margin), NO_WORD_STEPS)
    speech = binary_opening(heard & ~other, np.ones(LEAST_STEPS))
    ringing |= sounds.tones & ~music
    spans = {
        SPEECH: speech,
        MUSIC: _bridge(music, GAP_STEPS),
        RINGING: _bridge(ringing, GAP_STEPS),
    }
    kinds = np.select(list(spans.values()), list(spans), SILENCE)
    return _list_spans(kinds, duration_s)


def speech_spans(activity: pd.DataFrame) -> list[tuple[float, float]]:
    """Give start and end of the speech in an activity, in seconds."""
    spoken = activity[activity["kind"] == SPEECH]
    return list(zip(spoken["start_s"], spoken["end_s"], strict=True))


def _hear_speech(signal: np.ndarray, sampling_rate: int, sounds: LineSounds) -> np.ndarray:
    """Tell where the detector hears speech; shape (steps,)."""
    sound = _level(to_rate(signal, sampling_rate, DETECTOR_RATE))
    others = [*_runs(_bridge(sounds.tones, GAP_STEPS)), *_runs(sounds.steady > RATHER_STILL)]
    resets = {end // DETECTOR_STEPS for start, end in others if end - start >= RESET_STEPS}
    probabilities = _detect(sound, resets=resets)
    known = (probabilities >= STARTS_FROM) | (probabilities < ENDS_BELOW)
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), 0))
    spoken = np.repeat(probabilities[last] >= STARTS_FROM, DETECTOR_STEPS)
    heard = np.zeros(len(sounds.tones), bool)
    for start, end in _runs(spoken):
        heard[max(0, start - START_LAG) : max(0, end - END_LAG)] = True
    return binary_opening(_bridge(heard, PAUSE_STEPS), np.ones(LEAST_STEPS))


def _level(sound: np.ndarray) -> np.ndarray:
    """Bring the loud parts to `LEVEL`."""
    blocks = np.pad(sound, (0, -len(sound) % LEVEL_SAMPLES)).reshape(-1, LEVEL_SAMPLES)
    levels = np.sqrt(np.square(blocks).mean(axis=1))
    audible = levels[levels > FAINTEST]
    if not audible.size:
        return sound
    return np.clip(sound * (LEVEL / np.percentile(audible, 95)), -1, 1)


def _detect(sound: np.ndarray, *, resets: Container[int]) -> np.ndarray:
    """Give the probability of speech in each frame, with no memory of what was before a reset."""
    frames = np.pad(sound, (0, -len(sound) % DETECTOR_SAMPLES)).reshape(-1, DETECTOR_SAMPLES)
    return detect_speech(frames, resets=resets)


def _find_steady(sounds: LineSounds, heard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell where ringing and music are steady and the detector does not wholly hear speech."""
    ringing, music = np.zeros((2, len(heard)), bool)
    for start, end in _runs(sounds.steady > RATHER_STILL):
        here = slice(start, end)
        steady, sounding = sounds.steady[here], sounds.sounding[here]
        outside = sounding & ~heard[here]
        still_s = STEP_S * np.count_nonzero(sounding & (steady > STILL))
        if still_s >= LEAST_STILL_S and outside.sum() >= LEAST_OUTSIDE * sounding.sum():
            pure = np.median(sounds.tone_share[here]) > MOST_MUSIC
            as_steady = steady >= np.median(steady[outside]) - MOST_WAVERING
            (ringing if pure else music)[here] = as_steady
    return ringing, music


def _bridge(mask: np.ndarray, steps: int) -> np.ndarray:
    """Fill gaps of up to as many steps."""
    return binary_closing(np.pad(mask, steps), np.ones(steps + 1))[steps:-steps]


def _runs(mask: np.ndarray) -> np.ndarray:
    """Give first and one past the last index of each run of `True`, shape (runs, 2)."""
    return np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)


def _list_spans(kinds: np.ndarray, duration_s: float) -> pd.DataFrame:
    starts = np.flatnonzero(np.append("", kinds[:-1]) != kinds)
    edges = np.append(starts * STEP_S, duration_s)
    return pd.DataFrame({"start_s": edges[:-1], "end_s": edges[1:], "kind": kinds[starts]})
