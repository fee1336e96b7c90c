"""Whether a segment of a call can be trusted to tell how the customer sounds, and if not, why."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.fft import rfft
from scipy.ndimage import (
    binary_closing,
    binary_opening,
    maximum_filter1d,
    minimum_filter1d,
    uniform_filter1d,
)

from helpers.channel import TELEPHONE_RATE
from helpers.descriptors import HOP_S as VOICE_HOP_S
from helpers.descriptors import describe_frames
from helpers.errors import AudioError
from helpers.features import read_segments
from helpers.hearing import to_telephone_rate
from helpers.turns import PAUSE_S

LEAST_SPEECH_S = 3.0
"""With less speech than this, in seconds, a segment says too little."""

SILENCE_S = 0.3
"""With less speech than this, in seconds, nobody speaks at all."""

MOST_TONES = 0.5
"""Share of the sound that may be steady tones: ringing and a few seconds on hold are less."""

MOST_CLIPPED = 0.02
"""Share of the speech that may lie at its loudest value; unclipped voices stay below 0.006."""

LEAST_HIGHEST_HZ = 2400
"""A voice on a whole line is heard up to here and further."""

EXPECTED_HZ = 3000
"""How far it is heard, in round figures, for the sentence."""

WINDOW, HOP = 1024, 256
"""Frame that tones and bands are looked for in, and the step, in samples at 8000 Hz."""

TONE_HZ = (300, 2000)
"""Where tones are looked for; below lie the lowest partials of voices, which hardly move."""

TONE_WIDTH_HZ, TONE_DB = 160, 5.0
"""A tone is a peak of the spectrum this much above the mean of so wide a neighbourhood."""

TONE_FRAMES = 13
"""Frames that it stays for: 0.4 s, longer than most voices keep their pitch."""

WANDER_BINS, HIGH_HZ, HIGH_WANDER_BINS = 3, 750, 5
"""Bins, 8 Hz wide, that it may stray in below and above 750 Hz, as in an instrument's vibrato."""

TONE_SHARE, TONE_SHARE_FRAMES = 0.65, 31
"""From this share of tones in the amplitude, over a second, somebody is on hold."""

KEYS_HZ = ((697, 770, 852, 941), (1209, 1336, 1477, 1633))
"""A key of a telephone sounds one of the low and one of the high frequencies (ITU-T Q.23)."""

KEY_WIDTH_HZ, KEYS_SHARE, LEAST_KEY_SHARE = 28, 0.7, 0.1
"""In a frame with a key, this much of the power is that close to both, this much to either."""

SOUND_DB = 25.0
"""Sound is less than this below the loud frames (95th percentile)."""

VOICED_FRAMES = 4
"""Frames in a row, 15 ms apart, that are voiced in speech; in noise hardly ever so many are."""

CLIPPED_FROM = 0.97
"""Share of the loudest value from which a sample lies at it: mu-law's widest step is as wide."""

LOUDEST_QUANTILE = 0.999
"""The loudest value, for either sign, is this quantile of the samples: clicks are above it."""

BLOCK_S = 0.02
"""Length of a block, in seconds, that is loud enough to be speech or is not."""

BANDS_HZ = np.arange(100, 3600, 200)
"""Edges of the bands in which a voice is looked for."""

LOUD_DB = 20.0
"""Frames less than this below the loud ones show how far a voice reaches."""

VOICE_DB = -38.0
"""A band with a voice in it is above this, compared to the strongest; on whole lines it has -33."""

NOISE_DB, STEADY_DB = -70.0, 13.0
"""A band is filled by noise if it is above the first and swings by less than the second."""

_TINY = 1e-10


class Quality(NamedTuple):
    """What is measured in a segment.

    Attributes:
        level_db: RMS of the whole, in dB of full scale, -100 at least
        tones: share of the sounding frames that are steady tones, 0 to 1
        speech_s: seconds of speech with its short pauses, steady tones left out
        clipped: share of the speech that lies at its loudest value, 0 to 1
        highest_hz: where the voice, or the noise that covers it, ends: 300 to 3500
    """

    level_db: float
    tones: float
    speech_s: float
    clipped: float
    highest_hz: int


def check_recording(path: Path | str) -> tuple[str, ...]:
    """Say why the segment that decides about a call cannot be trusted.

    Args:
        path: any recording that `helpers.audio.open_recording` reads

    Returns:
        what `find_faults` finds in the end of the call, or in the whole of a short one; the reason
        alone where the recording cannot be read
    """
    try:
        call = read_segments(path)
    except AudioError as error:
        return (str(error),)
    return find_faults(call.signals[-1], call.sampling_rate)


def find_faults(signal: np.ndarray, sampling_rate: int) -> tuple[str, ...]:
    """Say why a segment of a call cannot be trusted to tell how the customer sounds.

    Args:
        signal: mono, shape (samples,), floats in [-1, 1]
        sampling_rate: of the signal, in Hz

    Returns:
        a fragment of a sentence for each fault, with the figure, the most telling first; empty
        where nothing is wrong. How the voice sounds is judged only where there is enough of it.
    """
    quality = measure_quality(signal, sampling_rate)
    faults = []
    if quality.tones > MOST_TONES:
        share = f"{quality.tones:.0%}".replace("%", " %")
        faults.append(f"music or tones: {share} of the sound is steady tones, as on hold")
    if quality.speech_s < SILENCE_S and not faults:
        faults.append(f"silence: no voice is heard, only noise at {quality.level_db:.0f} dB")
    elif quality.speech_s < LEAST_SPEECH_S:
        faults.append(
            f"too little speech: {quality.speech_s:.1f} s, expected at least {LEAST_SPEECH_S:.0f} s"
        )
    else:
        faults += _faults_of_voice(quality)
    return tuple(faults)


def measure_quality(signal: np.ndarray, sampling_rate: int) -> Quality:
    """Measure what decides whether a segment can be trusted.

    Steady tones are spectral peaks that stay where they are, as music's do and a voice's do not
    (continuous frequency activation, Seyerlehner et al. 2007). Drums and singing are not found.
    A narrow band is not found where noise that was added afterwards fills the rest.

    Args:
        signal: mono, shape (samples,), floats in [-1, 1]
        sampling_rate: of the signal, in Hz

    Returns:
        the figures; those of the speech mean nothing where there is none
    """
    signal = _center(np.asarray(signal, np.float32), sampling_rate)
    sound = to_telephone_rate(signal, sampling_rate)
    power = _power(sound)
    sounding, tones = _find_tones(power)
    voice = sounding & ~tones
    return Quality(
        level_db=float(10 * np.log10(np.mean(np.square(signal)) + _TINY)),
        tones=float(tones.sum() / sounding.sum()),
        speech_s=_measure_speech(_mute(sound, TELEPHONE_RATE, kept=voice)),
        clipped=_measure_clipping(_mute(signal, sampling_rate, kept=voice), sampling_rate),
        highest_hz=_find_highest(power if tones.all() else power[~tones]),
    )


def _faults_of_voice(quality: Quality) -> list[str]:
    faults = []
    if quality.clipped > MOST_CLIPPED:
        share = f"{quality.clipped:.0%}".replace("%", " %")
        faults.append(f"clipped: {share} of the speech is cut off at the loudest value")
    if quality.highest_hz < LEAST_HIGHEST_HZ:
        faults.append(
            f"narrow band: nothing above {quality.highest_hz} Hz, "
            f"expected up to {EXPECTED_HZ} Hz or so"
        )
    return faults


def _center(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Remove a constant offset, and fill a very short signal up to one frame."""
    if len(signal):
        signal = signal - signal.mean()
    missing = -(-WINDOW * sampling_rate // TELEPHONE_RATE) - len(signal)
    return np.pad(signal, (0, max(0, missing)))


def _power(sound: np.ndarray) -> np.ndarray:
    """Give the short-time power spectrum, shape (frames, bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    spectrum = rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def _find_tones(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the frames with any sound, and those of them with steady tones; shape (frames,)."""
    hertz = np.arange(power.shape[1]) * TELEPHONE_RATE / WINDOW
    inside = (hertz >= TONE_HZ[0]) & (hertz < TONE_HZ[1])
    hertz, power = hertz[inside], power[:, inside]
    whole = power.sum(axis=1)
    lasting = (power * _find_lasting_peaks(power, hertz)).sum(axis=1)
    tonal = np.where(_find_keys(power, hertz), whole, lasting)
    smooth = [uniform_filter1d(np.sqrt(part), TONE_SHARE_FRAMES) for part in (tonal, whole)]
    whole_db = 10 * np.log10(whole + _TINY)
    sounding = whole_db >= np.percentile(whole_db, 95) - SOUND_DB
    return sounding, sounding & (smooth[0] > TONE_SHARE * smooth[1])


def _find_lasting_peaks(power: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Tell which bins belong to a peak that stays where it is; shape (frames, bins)."""
    level_db = 10 * np.log10(power + _TINY)
    width = TONE_WIDTH_HZ * WINDOW // TELEPHONE_RATE
    is_peak = level_db > uniform_filter1d(level_db, width + 1, axis=1) + TONE_DB
    is_peak &= level_db >= maximum_filter1d(level_db, 3, axis=1)
    low, high = (
        maximum_filter1d(is_peak.view(np.uint8), bins, axis=1)
        for bins in (WANDER_BINS, HIGH_WANDER_BINS)
    )
    peaks = np.where(hertz < HIGH_HZ, low, high)
    return maximum_filter1d(minimum_filter1d(peaks, TONE_FRAMES, axis=0), TONE_FRAMES, axis=0)


def _find_keys(power: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Tell in which frames a key of a telephone is pressed; shape (frames,)."""
    near = [np.abs(hertz[:, None] - group).min(axis=1) <= KEY_WIDTH_HZ for group in KEYS_HZ]
    low, high = (power[:, bins].sum(axis=1) for bins in near)
    whole = power.sum(axis=1)
    return (low + high > KEYS_SHARE * whole) & (np.minimum(low, high) > LEAST_KEY_SHARE * whole)


def _mute(signal: np.ndarray, sampling_rate: int, *, kept: np.ndarray) -> np.ndarray:
    """Silence what lies in other frames than the kept ones."""
    middles = (np.arange(len(signal)) * (TELEPHONE_RATE / sampling_rate) - WINDOW / 2) / HOP
    return signal * kept[np.clip(np.rint(middles).astype(int), 0, len(kept) - 1)]


def _measure_speech(sound: np.ndarray) -> float:
    voiced = binary_opening(describe_frames(sound, TELEPHONE_RATE).voiced, np.ones(VOICED_FRAMES))
    pause = round(PAUSE_S / VOICE_HOP_S)
    return float(binary_closing(np.pad(voiced, pause), np.ones(pause)).sum() * VOICE_HOP_S)


def _measure_clipping(signal: np.ndarray, sampling_rate: int) -> float:
    block = round(BLOCK_S * sampling_rate)
    blocks = signal[: len(signal) // block * block].reshape(-1, block)
    power = np.square(blocks).mean(axis=1)
    loud = blocks[power >= np.percentile(power, 95) * 10 ** (-SOUND_DB / 10)]
    halves = [half[half > 0] for half in (loud, -loud)]
    clipped = sum(
        int(np.count_nonzero(half > CLIPPED_FROM * np.quantile(half, LOUDEST_QUANTILE)))
        for half in halves
        if len(half)
    )
    return clipped / loud.size


def _find_highest(power: np.ndarray) -> int:
    """Find the end of the highest band that holds a voice, or noise that would cover it."""
    edges = BANDS_HZ * WINDOW // TELEPHONE_RATE
    bands = np.add.reduceat(power, edges, axis=1)[:, :-1] / np.diff(edges)
    bands_db = 10 * np.log10(bands + _TINY)
    whole_db = 10 * np.log10(bands.sum(axis=1) + _TINY)
    loud = whole_db >= np.percentile(whole_db, 95) - LOUD_DB
    speech_db = np.percentile(bands_db[loud], 90, axis=0)
    swing_db = speech_db - np.percentile(bands_db, 10, axis=0)
    speech_db = speech_db - speech_db.max()
    voice = speech_db > VOICE_DB
    noise = (speech_db > NOISE_DB) & (swing_db < STEADY_DB)
    return int(BANDS_HZ[1:][voice | noise].max())
