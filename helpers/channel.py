"""A telephone line for recordings made without one: narrow band, level, noise and codec."""

import io
import math
from collections.abc import Sequence
from numbers import Real

import librosa
import numpy as np
import soundfile
from scipy.signal import butter, sosfilt

from helpers.audio import SAMPLING_RATES

TELEPHONE_RATE = 8000
"""Sampling rate of a telephone line in Hz."""

BAND_HZ = (300.0, 3400.0)
"""Edges of the telephone band, where the filter has lost 3 dB; as wide as ITU-T G.712's."""

CODECS = ("none", "mu-law", "a-law", "gsm")
"""No codec, the two laws of ITU-T G.711, and GSM 06.10 full rate."""

CODEC_SHARES = {"mu-law": 0.6, "a-law": 0.15, "gsm": 0.15, "none": 0.1}
"""How often `draw_telephone` draws each codec."""

BAND_SHARE = 0.7
"""How often it draws the band-pass; modern lines often leave it out."""

DRAWN_GAIN_DB = (-12.0, 8.0)
"""Gains it draws from, evenly, in dB; the upper ones clip a loud voice, as calls do."""

DRAWN_NOISE_DB = (-65.0, -40.0)
"""Noise levels it draws from, evenly, in dB of full scale."""

NOMINAL_LEVEL_DB = -26.0
"""Level of speech on a line, in dB of full scale, that drawn gains start from (ITU-T P.56)."""

LEVEL_BLOCK, LEVEL_RANGE_DB = 160, 30.0
"""Samples that a level is measured over at once, and how far below the loudest still count."""

GAIN_LIMITS_DB = (-120.0, 120.0)
"""Gains that are believed to be meant."""

NOISE_LIMITS_DB = (-120.0, 0.0)
"""Noise levels that are believed to be meant; 0 dB has an RMS of 1."""

PEAK_LIMIT = 8.0
"""A sample beyond this, of full scale 1, was never scaled to [-1, 1]."""

_BAND_PASS = butter(4, BAND_HZ, "bandpass", fs=TELEPHONE_RATE, output="sos")
_SEGMENT, _STEP = np.divmod(np.arange(128), 16)


def simulate_telephone(
    signal: np.ndarray,
    sampling_rate: float,
    *,
    codec: str = "mu-law",
    noise_db: float | None = None,
    gain_db: float = 0.0,
    band: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Send a recording down a telephone line.

    In this order: resampled, band-passed, amplified and clipped, noise added, coded and decoded.
    The level is never normalised, for loudness says something about a voice: what comes in quiet
    goes out quiet. The codecs add no delay, the band-pass 0.2 ms at 1 kHz and 2 ms at 300 Hz.

    Args:
        signal: mono, shape (samples,), floats with full scale 1, left as it is; what lies beyond
            full scale is clipped only after the gain
        sampling_rate: of the signal, in Hz; below 8000 Hz it is raised
        codec: one of `CODECS`; all but `"none"` round to 16 bits
        noise_db: RMS of white Gaussian noise in dB of full scale 1, such as -60 to -30; none by
            default
        gain_db: gain in dB, negative for a quieter voice
        band: whether only `BAND_HZ` passes; 200 Hz then loses 15 dB, 100 Hz 39 dB
        seed: of the noise; one seed is one noise, so recordings need seeds of their own

    Returns:
        shape (ceil(samples * 8000 / sampling_rate),), float32 in [-1, 1] at `TELEPHONE_RATE`;
        empty for an empty signal

    Raises:
        ValueError: where the signal is not mono, not of floats (integers are not scaled), not
            finite or far beyond full scale; where the codec is unknown; where a number is none or
            outside `helpers.audio.SAMPLING_RATES`, `GAIN_LIMITS_DB` or `NOISE_LIMITS_DB`

    Examples:
        >>> simulate_telephone(np.zeros(44_101), 44_100, codec="none").shape
        (8001,)
        >>> simulate_telephone(np.array([0.0, 1.0]), 8000, band=False, gain_db=-20).tolist()
        [0.0, 0.0994873046875]
    """
    signal = check_signal(signal)
    check_number("sampling_rate", sampling_rate, *SAMPLING_RATES, "Hz")
    check_number("gain_db", gain_db, *GAIN_LIMITS_DB, "dB")
    if noise_db is not None:
        check_number("noise_db", noise_db, *NOISE_LIMITS_DB, "dB")
    if codec not in CODECS:
        raise ValueError(f"codec is {codec!r}, expected one of: {', '.join(CODECS)}")
    if not signal.size:
        return np.zeros(0, np.float32)
    signal = _resample(signal, sampling_rate)
    if band:
        signal = sosfilt(_BAND_PASS, signal)
    signal = np.clip(signal * 10 ** (gain_db / 20), -1, 1)
    if noise_db is not None:
        noise = np.random.default_rng(seed).standard_normal(len(signal))
        signal = np.clip(signal + 10 ** (noise_db / 20) * noise, -1, 1)
    return _code(signal, codec).astype(np.float32)


def random_telephone(
    signal: np.ndarray, sampling_rate: float, *, seed: int | Sequence[int]
) -> np.ndarray:
    """Send a recording down a line drawn by chance, so that a model meets many of them.

    The voice is brought to `NOMINAL_LEVEL_DB` first: the noise of a line says nothing about a
    corpus that was recorded 30 dB below it.

    Args:
        signal: as for `simulate_telephone`
        sampling_rate: of the signal, in Hz
        seed: the same seed draws the same line and the same noise

    Returns:
        what `simulate_telephone` returns for the arguments that `draw_telephone` gives, with the
        gain that brings the voice to its level added

    Raises:
        ValueError: as `simulate_telephone`
    """
    line = draw_telephone(seed=seed)
    gain_db = line["gain_db"] + NOMINAL_LEVEL_DB - measure_level(signal)
    line["gain_db"] = float(np.clip(gain_db, *GAIN_LIMITS_DB))
    return simulate_telephone(signal, sampling_rate, **line)


def measure_level(signal: np.ndarray) -> float:
    """Measure the level of the speech in a signal, pauses left out.

    Args:
        signal: mono, shape (samples,), floats with full scale 1

    Returns:
        RMS in dB of full scale over the blocks of `LEVEL_BLOCK` samples that are at most
        `LEVEL_RANGE_DB` below the loudest; `NOMINAL_LEVEL_DB` for silence or less than a block
    """
    signal = np.asarray(signal)
    blocks = signal[: len(signal) // LEVEL_BLOCK * LEVEL_BLOCK].reshape(-1, LEVEL_BLOCK)
    power = np.square(blocks, dtype=float).mean(axis=1)
    if not power.any():
        return NOMINAL_LEVEL_DB
    active = power[power >= power.max() * 10 ** (-LEVEL_RANGE_DB / 10)]
    return float(10 * np.log10(active.mean()))


def draw_telephone(*, seed: int | Sequence[int]) -> dict[str, object]:
    """Draw a line by chance: codec, band, gain and noise, each on its own.

    Args:
        seed: not negative; several numbers, such as a run's and a recording's, also make one

    Returns:
        keyword arguments of `simulate_telephone`, out of `CODEC_SHARES`, `BAND_SHARE`,
        `DRAWN_GAIN_DB` and `DRAWN_NOISE_DB`
    """
    generator = np.random.default_rng(seed)
    return {
        "codec": str(generator.choice(list(CODEC_SHARES), p=list(CODEC_SHARES.values()))),
        "band": bool(generator.random() < BAND_SHARE),
        "gain_db": float(generator.uniform(*DRAWN_GAIN_DB)),
        "noise_db": float(generator.uniform(*DRAWN_NOISE_DB)),
        "seed": int(generator.integers(1 << 32)),
    }


def check_signal(signal: np.ndarray) -> np.ndarray:
    """Give a copy of a signal as float32 if it is one.

    Args:
        signal: mono, shape (samples,), floats with full scale 1; samples up to `PEAK_LIMIT` pass

    Raises:
        ValueError: where it is not mono, not of floats, not finite or far beyond full scale
    """
    signal = np.asarray(signal)
    if signal.ndim != 1:
        raise ValueError(
            f"signal has shape {signal.shape}, expected (samples,); "
            "mix channels with helpers.audio.to_mono"
        )
    if signal.dtype.kind != "f":
        raise ValueError(
            f"signal is {signal.dtype}, expected floats in [-1, 1]; divide 16-bit samples by 32768"
        )
    if wrong := np.count_nonzero(~np.isfinite(signal)):
        raise ValueError(
            f"signal has {wrong} of {signal.size} samples that are NaN or infinite, expected "
            "finite ones; leave the recording out or replace them"
        )
    if (peak := np.abs(signal).max(initial=0)) > PEAK_LIMIT:
        raise ValueError(
            f"signal peaks at {peak:g}, expected floats in [-1, 1]; divide 16-bit samples by 32768"
        )
    return signal.astype(np.float32)


def check_number(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Raise a ValueError with the name of a number that is none or not between two others."""
    if not (isinstance(value, Real) and low <= value <= high):
        expected = f"expected a number between {low:g} and {high:g} {unit}".rstrip()
        raise ValueError(f"{name} is {value!r}, {expected}")


def _resample(signal: np.ndarray, sampling_rate: float) -> np.ndarray:
    length = math.ceil(len(signal) * TELEPHONE_RATE / float(sampling_rate))
    signal = librosa.resample(
        signal, orig_sr=sampling_rate, target_sr=TELEPHONE_RATE, res_type="soxr_hq", fix=False
    )
    return librosa.util.fix_length(signal, size=length)


def _code(signal: np.ndarray, codec: str) -> np.ndarray:
    if codec == "none":
        return signal
    samples = np.clip(np.rint(signal * 32768), -32768, 32767).astype(np.int16)
    coded = _code_gsm(samples) if codec == "gsm" else _code_g711(samples, *_G711[codec])
    return coded / 32768


def _code_g711(samples: np.ndarray, edges: np.ndarray, levels: np.ndarray) -> np.ndarray:
    magnitudes = np.abs(samples.astype(np.int32))
    coded = levels[np.searchsorted(edges, magnitudes, side="right") - 1]
    return np.where(samples < 0, -coded, coded)


def _code_gsm(samples: np.ndarray) -> np.ndarray:
    # libsndfile fills the last block of 320 samples, and reads one more where the size is odd
    file = io.BytesIO()
    soundfile.write(file, samples, TELEPHONE_RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    return soundfile.read(file, dtype="int16")[0][: len(samples)]


def _mu_law() -> tuple[np.ndarray, np.ndarray]:
    edges = ((8 * _STEP + 128) << _SEGMENT) - 132
    return edges, edges + (4 << _SEGMENT)


def _a_law() -> tuple[np.ndarray, np.ndarray]:
    shift = np.maximum(_SEGMENT - 1, 0)
    edges = (16 * _STEP + 256 * (_SEGMENT > 0)) << shift
    return edges, edges + (8 << shift)


_G711 = {"mu-law": _mu_law(), "a-law": _a_law()}
