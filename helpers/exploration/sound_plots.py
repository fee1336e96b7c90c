"""Players and pictures of the sound of a corpus; imported by notebooks only."""

import base64
import html
import io

import librosa
import numpy as np
import pandas as pd
import soundfile
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from helpers.audio import open_recording, to_mono
from helpers.channel import TELEPHONE_RATE, simulate_telephone
from helpers.descriptors import CEPSTRA, MEL_BANDS
from helpers.emotions import EMOTIONS
from helpers.exploration.plots import make_panels
from helpers.exploration.recordings import Examined, sort_emotions
from helpers.functionals import FUNCTIONALS

PALETTE = ("#7f7f7f", "#56b4e9", "#e69f00", "#0072b2", "#d55e00", "#9467bd", "#009e73", "#cc79a7")
EMOTION_COLORS = {
    emotion.name: color for emotion, color in zip(EMOTIONS, (*PALETTE, "#b8a800"), strict=True)
}
"""One colour per emotion, as far apart for colour-blind readers as nine can be (see Okabe, Ito)."""

COEFFICIENTS = 12
"""MFCC that are drawn; the zeroth, which is the loudness, is left out."""

RANGE_DB = 70
"""How far below the loudest a spectrogram goes."""

WINDOW_S, HOP_S = 0.05, 0.01
"""Length of a spectrum in seconds, and from one to the next."""

BANDS = 64
"""Mel bands of a spectrogram."""


def play_examples(examples: pd.DataFrame) -> HTML:
    """Give a table of players, a row an emotion.

    Args:
        examples: as `helpers.exploration.recordings.choose_examples` gives them
    """
    rows = []
    for row in examples.itertuples():
        file = io.BytesIO()
        soundfile.write(file, *_read(row.path), format="WAV", subtype="PCM_16")
        sound = base64.b64encode(file.getvalue()).decode()
        words = html.escape(" · ".join(filter(None, (row.speaker, row.statement, row.intensity))))
        player = f'<audio controls src="data:audio/wav;base64,{sound}"></audio>'
        rows.append(f"<tr><th>{row.emotion}</th><td>{player}</td><td>{words}</td></tr>")
    return HTML(f"<table>{''.join(rows)}</table>")


def plot_examples(examples: pd.DataFrame) -> Figure:
    """Draw waveform, mel spectrogram and MFCC of one recording of each emotion, a row an emotion.

    Waveforms share one scale, and so do the pictures of a column.

    Args:
        examples: as `helpers.exploration.recordings.choose_examples` gives them
    """
    size = (11, 0.6 + 1.15 * len(examples))
    figure, panels = make_panels(len(examples), 3, size, sharex=True)
    sounds = [_read(path) for path in examples["path"]]
    peak = max(np.abs(signal).max() for signal, _ in sounds)
    spectra = [_mel_spectrogram(*sound) for sound in sounds]
    cepstra = [librosa.feature.mfcc(S=each, n_mfcc=COEFFICIENTS + 1)[1:] for each in spectra]
    widest = max(np.abs(each).max() for each in cepstra)
    for axes, emotion, (signal, rate), spectrum, coefficients in zip(
        panels, examples["emotion"], sounds, spectra, cepstra, strict=True
    ):
        times = np.arange(len(signal)) / rate
        axes[0].plot(times, signal, linewidth=0.4, color=EMOTION_COLORS[emotion])
        axes[0].set(ylim=(-peak, peak), ylabel=emotion)
        extent = (0, times[-1], 0.5, BANDS + 0.5)
        _show(axes[1], spectrum, extent, cmap="magma", vmin=-RANGE_DB, vmax=0)
        hertz = librosa.mel_frequencies(n_mels=BANDS + 2, fmax=rate / 2)
        axes[1].set_yticks(np.interp([500, 1000, 2000], hertz, np.arange(BANDS + 2)), ["½", 1, 2])
        extent = (0, times[-1], 0.5, COEFFICIENTS + 0.5)
        _show(axes[2], coefficients, extent, cmap="RdBu_r", vmin=-widest, vmax=widest)
    titles = ("waveform", "mel spectrogram, kHz", f"MFCC 1 to {COEFFICIENTS}")
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    for axes in panels[-1]:
        axes.set_xlabel("time in s")
    return figure


def plot_averages(examined: Examined) -> Figure:
    """Draw each emotion's mean spectrum and MFCC with deviation; dashed: mean of all emotions.

    Both are of the active frames, in dB of the voice's own level, so that loudness is left out.
    """
    emotions = sort_emotions(examined.recordings["emotion"])
    size = (1.6 + 1.5 * len(emotions), 4.6)
    figure, panels = make_panels(2, len(emotions), size, sharey="row")
    rows = {"mel": ("mel band, low to high", MEL_BANDS), "cepstrum": ("MFCC", CEPSTRA)}
    for axes, (name, (label, count)) in zip(panels, rows.items(), strict=True):
        numbers = np.arange(1, count + 1)
        columns = [FUNCTIONALS.index(f"{name}_{number:02d}_mean") for number in numbers]
        values = examined.features[:, columns]
        for panel, emotion in zip(axes, emotions, strict=True):
            part = values[examined.recordings["emotion"] == emotion]
            mean, deviation = part.mean(axis=0), part.std(axis=0)
            band = {"alpha": 0.3, "linewidth": 0, "color": EMOTION_COLORS[emotion]}
            panel.fill_between(numbers, mean - deviation, mean + deviation, **band)
            panel.plot(numbers, mean, color=EMOTION_COLORS[emotion])
            panel.plot(numbers, values.mean(axis=0), "--", color="black", linewidth=0.8)
            panel.set_xlabel(label, fontsize=8)
        axes[0].set_ylabel("dB of the voice's level" if name == "mel" else "coefficient")
    for panel, emotion in zip(panels[0], emotions, strict=True):
        panel.set_title(emotion, fontsize=10)
    return figure


def plot_telephone(path: str) -> Figure:
    """Draw the spectrogram of a recording as it is, and as a telephone line passes it on."""
    signal, rate = _read(path)
    sounds = {
        f"as recorded, {rate / 1000:g} kHz": (signal, rate),
        "by telephone, 300-3400 Hz, mu-law": (simulate_telephone(signal, rate), TELEPHONE_RATE),
    }
    figure, panels = make_panels(1, 2, (11, 3.2), sharey=True)
    loudest = None
    for axes, (title, (sound, sampling_rate)) in zip(panels[0], sounds.items(), strict=True):
        window = _window(sampling_rate)
        spectrum = np.abs(librosa.stft(sound, **window)) / window["n_fft"]
        levels = librosa.amplitude_to_db(spectrum, amin=1e-7, top_db=None)
        loudest = levels.max() if loudest is None else loudest
        extent = (0, len(sound) / sampling_rate, 0, sampling_rate / 2000)
        image = _show(axes, levels - loudest, extent, cmap="magma", vmin=-RANGE_DB, vmax=0)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="time in s", ylim=(0, rate / 2000), facecolor="black")
    panels[0, 0].set_ylabel("frequency in kHz")
    figure.colorbar(image, ax=panels, label="dB below the loudest")
    return figure


def _read(path: str) -> tuple[np.ndarray, int]:
    with open_recording(path) as recording:
        return to_mono(recording.read()), recording.sampling_rate


def _window(sampling_rate: int) -> dict[str, int]:
    return {
        "n_fft": round(WINDOW_S * sampling_rate),
        "hop_length": round(HOP_S * sampling_rate),
    }


def _mel_spectrogram(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Give the mel spectrogram, shape (bands, frames), in dB below its loudest."""
    power = librosa.feature.melspectrogram(
        y=signal, sr=sampling_rate, n_mels=BANDS, **_window(sampling_rate)
    )
    return librosa.power_to_db(power, ref=np.max, top_db=RANGE_DB)


def _show(axes: Axes, values: np.ndarray, extent: tuple, **colors) -> AxesImage:
    return axes.imshow(values, origin="lower", aspect="auto", extent=extent, **colors)
