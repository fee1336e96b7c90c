"""Turn sentences into telephone speech: espeak-ng voices, moods and the telephone channel.

A mood changes a voice's pitch, pitch range, pace, pauses and brightness, never its loudness.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, lfilter, resample_poly, sosfilt

SAMPLING_RATE = 8000
RINGING_SECONDS = 2.0
SPEECH_LEVEL = -26.0
LEVEL_VARIATION = 1.5
NOISE_LEVEL = -66.0


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice with its own base pitch (0-99) and pace (words per minute)."""

    name: str
    pitch: int
    pace: int


@dataclass(frozen=True)
class Mood:
    """What a mood does to a voice: pitch steps, pitch range (%), pace factor, pauses (s), tilt."""

    pitch: int
    pitch_range: int
    pace: float
    pauses: tuple[float, float]
    tilt: float


VOICES = {
    "customer_01": Voice("en-us+m3", pitch=45, pace=170),
    "customer_02": Voice("en-us+f2", pitch=40, pace=165),
    "customer_03": Voice("en-gb-scotland+m1", pitch=50, pace=160),
    "customer_04": Voice("en+f3", pitch=45, pace=175),
    "customer_05": Voice("en-029+m6", pitch=48, pace=160),
    "customer_06": Voice("en-gb-x-rp+f4", pitch=42, pace=170),
    "customer_07": Voice("en-gb-x-gbclan+m4", pitch=52, pace=175),
    "customer_08": Voice("en-us-nyc+f1", pitch=46, pace=165),
    "customer_09": Voice("en-us-nyc+m6", pitch=44, pace=164),
    "customer_10": Voice("en-gb-x-rp+f5", pitch=42, pace=170),
    "customer_11": Voice("en-gb-x-gbcwmd+m3", pitch=50, pace=168),
    "customer_12": Voice("en-029+f2", pitch=44, pace=164),
    "agent_01": Voice("en-us+steph", pitch=45, pace=165),
    "agent_02": Voice("en+m5", pitch=50, pace=165),
    "agent_03": Voice("en-us-nyc+m8", pitch=55, pace=165),
}
NEUTRAL = Mood(pitch=0, pitch_range=80, pace=1.0, pauses=(0.3, 0.5), tilt=0.0)
MOODS = {
    "satisfied": Mood(pitch=12, pitch_range=140, pace=1.05, pauses=(0.35, 0.5), tilt=0.0),
    "average": Mood(pitch=-20, pitch_range=20, pace=0.8, pauses=(0.9, 1.3), tilt=-0.7),
    "unsatisfied": Mood(pitch=30, pitch_range=200, pace=1.25, pauses=(0.05, 0.15), tilt=0.85),
}


def synthesize(text: str, *, voice: Voice, mood: Mood) -> tuple[np.ndarray, int]:
    """Speak a sentence with espeak-ng; return float samples, shape (samples,), and their rate."""
    markup = f'<speak><prosody range="{mood.pitch_range}%">{text}</prosody></speak>'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentence.wav"
        subprocess.run(
            [
                "espeak-ng",
                "-m",
                "-z",
                "-v",
                voice.name,
                "-p",
                str(voice.pitch + mood.pitch),
                "-s",
                str(round(voice.pace * mood.pace)),
                "-w",
                str(path),
                markup,
            ],
            check=True,
        )
        return soundfile.read(path)


def telephone_band(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Resample to 8 kHz and keep 300-3400 Hz, along the first axis (samples)."""
    signal = resample_poly(signal, SAMPLING_RATE, sampling_rate, axis=0)
    band = butter(4, (300, 3400), btype="bandpass", fs=SAMPLING_RATE, output="sos")
    return sosfilt(band, signal, axis=0)


def set_speech_level(signal: np.ndarray, sampling_rate: int, *, level: float) -> np.ndarray:
    """Scale so that the RMS of the active 20 ms frames is `level` dBFS; shape kept."""
    frame = sampling_rate // 50
    frames = signal[: len(signal) // frame * frame].reshape(-1, frame)
    powers = np.mean(frames**2, axis=1)
    active = powers > powers.max() / 1000
    return signal * 10 ** (level / 20) / np.sqrt(powers[active].mean())


def speak(sentences: list[str], *, voice: Voice, mood: Mood, generator) -> np.ndarray:
    """Return one speaker's turn at 8 kHz, with its closing pause, shape (samples,)."""
    pieces = []
    for text in sentences:
        signal, sampling_rate = synthesize(text, voice=voice, mood=mood)
        signal = lfilter([1.0, -mood.tilt], [1.0], telephone_band(signal, sampling_rate))
        pause = np.zeros(int(generator.uniform(*mood.pauses) * SAMPLING_RATE))
        pieces += [signal, pause]
    level = SPEECH_LEVEL + generator.uniform(-LEVEL_VARIATION, LEVEL_VARIATION)
    return set_speech_level(np.concatenate(pieces), SAMPLING_RATE, level=level)


def ringing_tone() -> np.ndarray:
    """Return the 440 + 480 Hz tone heard before the agent picks up, shape (samples,)."""
    times = np.arange(int(RINGING_SECONDS * SAMPLING_RATE)) / SAMPLING_RATE
    tone = 0.05 * (np.sin(2 * np.pi * 440 * times) + np.sin(2 * np.pi * 480 * times))
    return np.where(times < 0.8 * RINGING_SECONDS, tone, 0.0)


def add_line_noise(signal: np.ndarray, sampling_rate: int, *, generator) -> np.ndarray:
    """Add the faint noise of the line; shape (samples, channels) kept, values within -1 to 1."""
    noise = telephone_band(generator.standard_normal(signal.shape), sampling_rate)
    return np.clip(signal + 10 ** (NOISE_LEVEL / 20) * noise, -1.0, 1.0)
