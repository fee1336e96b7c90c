"""How a clip sounds against other clips of the same voice, in plain words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from helpers.descriptors import ACTIVE_DB, DESCRIPTORS, HOP_S, WINDOW_S, Frames, describe_frames

LOUDER_DB = 3.0
"""A difference in level that is worth telling, in dB."""

FASTER = 1.2
"""A ratio of syllables per second that is worth telling: a clip has few syllables to count."""

HIGHER_SEMITONES = 2.0
"""A difference in pitch that is worth telling, in semitones."""

LIVELIER, LIVELIER_SEMITONES = 1.5, 1.0
"""A ratio of how far the pitch ranges that is worth telling, and the difference it needs too."""

SYLLABLE_DB, SYLLABLE_S = 2.0, 0.1
"""Between two syllables the level dips by this much, and they are this far apart."""

LEAST_SYLLABLES = 4
"""With fewer syllables than this a speed says nothing."""

LEAST_VOICED = 10
"""With fewer voiced frames than this, 0.15 s, a pitch says nothing."""

NO_DIFFERENCE = "nothing single stands out against the {where}: the voice as a whole decided"
"""Said where no difference is worth telling."""

NO_REFERENCE = "there is no other speech to compare it with"
"""Said where the voice is heard in this clip alone."""

_TINY = 1e-12


class Voice(NamedTuple):
    """How a clip sounds; what cannot be measured is `nan`.

    Attributes:
        level_db: mean power while somebody speaks, in dB of full scale
        syllables_per_s: peaks of the level like those of syllables, by second of speech
        pitch_semitones: median pitch, in semitones above 1 Hz
        range_semitones: from the 10th percentile of the pitch to the 90th, in semitones
    """

    level_db: float
    syllables_per_s: float
    pitch_semitones: float
    range_semitones: float


def compare_voice(
    signal: np.ndarray, sampling_rate: int, *, reference: Sequence[np.ndarray], where: str
) -> str:
    """Tell in plain words how a clip sounds against other clips of the same voice.

    Every clip is measured in the same way, so the median of clips as short as this one is what it
    is compared with. A gain of the whole call changes nothing.

    Args:
        signal: the clip, mono, shape (samples,)
        sampling_rate: of all signals, in Hz
        reference: other clips, each of shape (samples,)
        where: what the other clips are, such as `start` or `rest of the speech`

    Returns:
        what differs noticeably, such as `6 dB louder and 22 % faster than at the start, voice 3
        semitones higher`; `NO_DIFFERENCE` where nothing does, `NO_REFERENCE` without any clip
    """
    if not reference:
        return NO_REFERENCE
    voices = pd.DataFrame([measure_voice(each, sampling_rate) for each in reference])
    return _compare(measure_voice(signal, sampling_rate), Voice(*voices.median()), where)


def measure_voice(signal: np.ndarray, sampling_rate: int) -> Voice:
    """Measure how a clip of speech sounds.

    Args:
        signal: mono, shape (samples,), floats, 32 ms or longer
        sampling_rate: of the signal, in Hz
    """
    frames = describe_frames(signal, sampling_rate)
    semitones = 12 * np.log2(np.maximum(frames.pitch_hz[frames.voiced], 1.0))
    low, middle, high = (
        np.percentile(semitones, [10, 50, 90])
        if len(semitones) >= LEAST_VOICED
        else (np.nan, np.nan, np.nan)
    )
    return Voice(
        level_db=_measure_level(signal, sampling_rate),
        syllables_per_s=_measure_speed(frames),
        pitch_semitones=float(middle),
        range_semitones=float(high - low),
    )


def _measure_level(signal: np.ndarray, sampling_rate: int) -> float:
    """Give the mean power, in dB of full scale, of the blocks in which somebody speaks."""
    block = round(WINDOW_S * sampling_rate)
    count = len(signal) // block
    power = np.square(signal[: count * block], dtype=np.float64).reshape(count, block).mean(axis=1)
    active = power >= np.percentile(power, 95) * 10 ** (-ACTIVE_DB / 10)
    return float(10 * np.log10(power[active].mean() + _TINY))


def _measure_speed(frames: Frames) -> float:
    """Give syllables per second of speech, from the first syllable heard to the last.

    A syllable is a peak of the level that is voiced and has dips beside it (de Jong and Wempe
    2009, "Praat script to detect syllable nuclei").
    """
    level_db = uniform_filter1d(frames.values[DESCRIPTORS.index("energy")], 3)
    distance = round(SYLLABLE_S / HOP_S)
    peaks, _ = find_peaks(level_db, prominence=SYLLABLE_DB, distance=distance)
    peaks = peaks[frames.voiced[peaks]]
    if len(peaks) < LEAST_SYLLABLES:
        return float("nan")
    spoken_s = frames.active[peaks[0] : peaks[-1]].sum() * HOP_S
    return float((len(peaks) - 1) / spoken_s)


def _compare(clip: Voice, reference: Voice, where: str) -> str:
    level = clip.level_db - reference.level_db
    speed = clip.syllables_per_s / reference.syllables_per_s
    sound = []
    if abs(level) >= LOUDER_DB:
        sound.append(f"{abs(level):.0f} dB {'louder' if level > 0 else 'softer'}")
    if max(speed, 1 / speed) >= FASTER:
        sound.append(f"{100 * abs(speed - 1):.0f} % {'faster' if speed > 1 else 'slower'}")
    voice = _compare_pitch(clip, reference)
    if not sound and not voice:
        return NO_DIFFERENCE.format(where=where)
    than = f"than in the {where}" if where.startswith("rest") else f"than at the {where}"
    if not sound:
        return f"voice {' and '.join(voice)} {than}"
    told = f"{' and '.join(sound)} {than}"
    return f"{told}, voice {' and '.join(voice)}" if voice else told


def _compare_pitch(clip: Voice, reference: Voice) -> list[str]:
    words = []
    pitch = clip.pitch_semitones - reference.pitch_semitones
    if abs(pitch) >= HIGHER_SEMITONES:
        words.append(f"{abs(pitch):.0f} semitones {'higher' if pitch > 0 else 'lower'}")
    narrow, wide = sorted([clip.range_semitones, reference.range_semitones])
    if wide >= LIVELIER * narrow and wide - narrow >= LIVELIER_SEMITONES:
        words.append("livelier" if clip.range_semitones == wide else "flatter")
    return words
