"""Effects: what voices, rooms, lines and recorders do to a recording.

Each takes a mono signal, shape (samples,), of floats with full scale 1, and leaves it as it is.
Each gives float32 in [-1, 1] at the same sampling rate, as long as the signal but for a stretch of
time, and empty for an empty signal. Each raises a ValueError where the signal is not mono, not of
floats, not finite or far beyond full scale, or where a strength is outside of what is said there.
"""

import io
from collections.abc import Callable, Sequence

import librosa
import numpy as np
import soundfile
from scipy.signal import butter, fftconvolve, sosfilt

from helpers.audio import SAMPLING_RATES
from helpers.channel import (
    TELEPHONE_RATE,
    check_number,
    check_signal,
    measure_level,
    simulate_telephone,
)

BITRATES_KBPS = (16, 24, 32)
"""Bit rates of low-rate MP3 in kbit/s."""

MP3_RATES = {8000: 64, 11_025: 64, 12_000: 64, 16_000: 160, 22_050: 160, 24_000: 160}
"""Sampling rates in Hz that low bit rates are for, and the highest bit rate of each in kbit/s."""

MP3_LEAST_KBPS = 8
"""The lowest bit rate of each."""

MP3_DELAY = 1105
"""Samples by which coding and decoding are late where a block is too short to say by how much."""

WINDOW_S = 0.064
"""Length of the window of the phase vocoder in seconds: the harmonics of low voices apart."""

QUIET_SHARE = 0.1
"""Share of a signal, its quietest, from which its noise is learned."""

FILTER_ORDER = 4
"""Order of each edge of a band."""

Seed = int | Sequence[int] | np.random.SeedSequence | np.random.Generator
"""What `numpy.random.default_rng` takes; integers must not be negative."""


def add_noise(
    signal: np.ndarray, sampling_rate: int, *, snr_db: float, slope: float = 0.0, seed: Seed
) -> np.ndarray:
    """Add noise at a level below that of the speech, pauses left out of the measure.

    Args:
        signal: silence counts as speech of `helpers.channel.NOMINAL_LEVEL_DB`
        sampling_rate: of the signal, in Hz
        snr_db: level of the speech above the noise's in dB, -20 to 100
        slope: the noise's power falls with the frequency to this power, 0 to 2: 0 is white, 1
            pink, as rooms and streets rather are
        seed: of the noise
    """
    signal = _check(signal, sampling_rate)
    check_number("snr_db", snr_db, -20, 100, "dB")
    check_number("slope", slope, 0, 2)
    if not signal.size:
        return signal
    noise = np.random.default_rng(seed).standard_normal(len(signal))
    if slope:
        spectrum = np.fft.rfft(noise)
        spectrum[1:] *= np.arange(1, len(spectrum)) ** (-slope / 2)
        spectrum[0] *= len(signal) == 1
        noise = np.fft.irfft(spectrum, len(signal))
    noise *= 10 ** ((measure_level(signal) - snr_db) / 20) / np.sqrt(np.mean(noise**2))
    return _finish(signal + noise, len(signal))


def stretch_time(signal: np.ndarray, sampling_rate: int, *, tempo: float) -> np.ndarray:
    """Speak faster or slower at the same pitch, by a phase vocoder.

    Args:
        signal: shape (samples,)
        sampling_rate: of the signal, in Hz
        tempo: 0.5 to 2; below 1 is slower and longer

    Returns:
        shape (round(samples / tempo),), at least one sample of a signal that has one
    """
    signal = _check(signal, sampling_rate)
    check_number("tempo", tempo, 0.5, 2)
    length = max(round(len(signal) / tempo), min(len(signal), 1))
    return _vocode(librosa.effects.time_stretch, signal, sampling_rate, length, rate=tempo)


def shift_pitch(signal: np.ndarray, sampling_rate: int, *, semitones: float) -> np.ndarray:
    """Raise or lower the voice at the same tempo, its formants with it.

    Args:
        signal: shape (samples,)
        sampling_rate: of the signal, in Hz
        semitones: -12 to 12; an octave has 12
    """
    signal = _check(signal, sampling_rate)
    check_number("semitones", semitones, -12, 12)
    shift = {"sr": sampling_rate, "n_steps": semitones}
    return _vocode(librosa.effects.pitch_shift, signal, sampling_rate, len(signal), **shift)


def change_gain(signal: np.ndarray, sampling_rate: int, *, gain_db: float) -> np.ndarray:
    """Make a signal louder or quieter, by -60 to 60 dB; beyond full scale it is clipped."""
    signal = _check(signal, sampling_rate)
    check_number("gain_db", gain_db, -60, 60, "dB")
    return _finish(signal * 10 ** (gain_db / 20), len(signal))


def code_speech(signal: np.ndarray, sampling_rate: int, *, codec: str) -> np.ndarray:
    """Code and decode by a telephone's codec, which works at 8000 Hz.

    Args:
        signal: at another rate it is resampled there and back: nothing above 4000 Hz is left
        sampling_rate: of the signal, in Hz
        codec: one of `helpers.channel.CODECS`
    """
    signal = _check(signal, sampling_rate)
    coded = simulate_telephone(signal, sampling_rate, codec=codec, band=False)
    return _finish(_resample(coded, TELEPHONE_RATE, sampling_rate), len(signal))


def code_mp3(signal: np.ndarray, sampling_rate: int, *, bitrate_kbps: int) -> np.ndarray:
    """Code and decode by MP3 of a constant bit rate; its delay is taken away.

    Args:
        signal: at a rate that is none of `MP3_RATES` it is resampled there and back, to the next
            lower of these (8000 Hz where there is none)
        sampling_rate: of the signal, in Hz
        bitrate_kbps: one of `BITRATES_KBPS`
    """
    signal = _check(signal, sampling_rate)
    if bitrate_kbps not in BITRATES_KBPS:
        raise ValueError(f"bitrate_kbps is {bitrate_kbps!r}, expected one of {BITRATES_KBPS}")
    if not signal.size:
        return signal
    rate = max((rate for rate in MP3_RATES if rate <= sampling_rate), default=min(MP3_RATES))
    source = np.clip(_resample(signal, sampling_rate, rate), -1, 1)
    decoded = _through_mp3(source, rate, bitrate_kbps)
    return _finish(_resample(decoded, rate, sampling_rate), len(signal))


def add_room(
    signal: np.ndarray,
    sampling_rate: int,
    *,
    reverberation_s: float,
    direct_db: float = 5.0,
    seed: Seed,
) -> np.ndarray:
    """Let a voice sound in a room: itself, then noise that dies away exponentially.

    The room is made, not measured: its impulse response is a first sample and white noise under
    an exponential (Moorer 1979, About this reverberation business). It has no delay, and an
    energy of 1, so that the level stays about the same.

    Args:
        signal: what would sound on after its end is cut off
        sampling_rate: of the signal, in Hz
        reverberation_s: until the reverberation has lost 60 dB, 0.05 to 5 seconds
        direct_db: level of the voice itself above its reverberation, -20 to 60 dB
        seed: of the room
    """
    signal = _check(signal, sampling_rate)
    check_number("reverberation_s", reverberation_s, 0.05, 5, "s")
    check_number("direct_db", direct_db, -20, 60, "dB")
    if not signal.size:
        return signal
    times = np.arange(round(reverberation_s * sampling_rate)) / sampling_rate
    response = np.random.default_rng(seed).standard_normal(len(times))
    response *= 10 ** (-3 * times / reverberation_s)
    response[0] = 0
    response /= np.sqrt(np.sum(response**2))
    response[0] = 10 ** (direct_db / 20)
    response /= np.sqrt(np.sum(response**2))
    return _finish(fftconvolve(signal, response), len(signal))


def filter_band(
    signal: np.ndarray, sampling_rate: int, *, band_hz: tuple[float, float]
) -> np.ndarray:
    """Let only a band of frequencies pass, as a line or a small loudspeaker does.

    Args:
        signal: shape (samples,)
        sampling_rate: of the signal, in Hz
        band_hz: edges, in order, where the filter has lost 3 dB; where the upper one is beyond
            half the sampling rate, only what is below the lower one is taken away
    """
    signal = _check(signal, sampling_rate)
    low, high = band_hz
    if not 0 < low < min(high, sampling_rate / 2):
        raise ValueError(
            f"band_hz is {band_hz}, expected a lower edge above 0, below the upper edge and below "
            f"{sampling_rate / 2:g} Hz, half the sampling rate"
        )
    kind, edges = ("bandpass", band_hz) if high < sampling_rate / 2 else ("highpass", low)
    sections = butter(FILTER_ORDER, edges, kind, fs=sampling_rate, output="sos")
    return _finish(sosfilt(sections, signal), len(signal)) if signal.size else signal


def reduce_noise(signal: np.ndarray, sampling_rate: int, *, share: float) -> np.ndarray:
    """Take steady noise away by spectral gating, as handsets and recorders do (noisereduce).

    The noise is learned from the quietest tenth of the signal: learned from all of it, as
    noisereduce does by itself, it takes more of the voice away than of the noise.

    Args:
        signal: shape (samples,)
        sampling_rate: of the signal, in Hz
        share: of the noise that is taken away, 0 to 1

    Raises:
        ImportError: where noisereduce is not installed
    """
    signal = _check(signal, sampling_rate)
    check_number("share", share, 0, 1)
    try:
        import noisereduce
    except ImportError as error:
        raise ImportError(
            "reducing noise needs noisereduce, which is not installed: make zoo, or pip install "
            "-r requirements-zoo.txt"
        ) from error
    if not signal.any():
        return signal
    padded, size = _pad(signal, sampling_rate), _window(sampling_rate) // 2
    options = {"stationary": True, "prop_decrease": share, "n_fft": size}
    quietest = _quietest(padded, size)
    reduced = noisereduce.reduce_noise(padded, sampling_rate, y_noise=quietest, **options)
    return _finish(reduced, len(signal))


def _check(signal: np.ndarray, sampling_rate: float) -> np.ndarray:
    check_number("sampling_rate", sampling_rate, *SAMPLING_RATES, "Hz")
    return check_signal(signal)


def _finish(signal: np.ndarray, length: int) -> np.ndarray:
    return np.clip(librosa.util.fix_length(signal, size=length), -1, 1).astype(np.float32)


def _resample(signal: np.ndarray, sampling_rate: int, target_rate: int) -> np.ndarray:
    return librosa.resample(signal, orig_sr=sampling_rate, target_sr=target_rate)


def _through_mp3(signal: np.ndarray, sampling_rate: int, bitrate_kbps: int) -> np.ndarray:
    low, high = MP3_LEAST_KBPS, MP3_RATES[sampling_rate]
    level = (high - bitrate_kbps) / (high - low)
    options = {"format": "MP3", "compression_level": level, "bitrate_mode": "CONSTANT"}
    file = io.BytesIO()
    soundfile.write(file, signal, sampling_rate, **options)
    file.seek(0)
    decoded = soundfile.read(file, dtype="float32")[0]
    return decoded if len(decoded) == len(signal) else decoded[MP3_DELAY:]


def _vocode(effect: Callable, signal, sampling_rate, length, **strength) -> np.ndarray:
    changed = effect(_pad(signal, sampling_rate), n_fft=_window(sampling_rate), **strength)
    return _finish(changed, length)


def _pad(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    return librosa.util.fix_length(signal, size=max(len(signal), 2 * _window(sampling_rate)))


def _window(sampling_rate: int) -> int:
    return 2 ** round(np.log2(WINDOW_S * sampling_rate))


def _quietest(signal: np.ndarray, size: int) -> np.ndarray:
    """Join the quietest blocks of a signal."""
    blocks = signal[: len(signal) // size * size].reshape(-1, size)
    count = max(round(QUIET_SHARE * len(blocks)), 2)
    order = np.argsort(np.square(blocks).mean(axis=1), kind="stable")
    return blocks[np.sort(order[:count])].ravel()
