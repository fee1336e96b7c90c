"""Pictures as text that a page can hold, drawn for a light page; a dark one inverts them."""

import base64
import io
import threading
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from helpers.audio import Recording, open_recording, to_mono
from helpers.conversation.wording import format_time

DEPTH_DB = 60.0
"""How far below the loudest, in dB, a spectrogram goes."""

WINDOW_S = 0.032
"""Length of the windows that a spectrogram is made of, in seconds."""

COLUMNS = 1200
"""Most columns of a spectrogram, however long the call is; each shows the loudest of its time."""

DRAWING = threading.Lock()
"""Held while a figure is made and written: Matplotlib draws for one visitor at a time."""

_SVG = {"svg.fonttype": "none", "svg.hashsalt": "call", "font.family": "sans-serif"}


def to_svg(draw: Callable[..., Figure], *arguments, **options) -> str:
    """Draw a figure and write it as SVG without a background, whoever else draws one meanwhile.

    Args:
        draw: makes the figure
        *arguments: handed to it
        **options: handed to it
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with DRAWING:
        figure = draw(*arguments, **options)
        with mpl.rc_context(_SVG):
            figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
        plt.close(figure)
    content = buffer.getvalue()
    return content[content.index("<svg") :]


def to_link(svg: str) -> str:
    """Write a picture into a link."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def draw_spectrogram(path: Path) -> Figure:
    """Draw how loud each frequency is along a recording, dark for loud.

    The recording is read block by block.

    Raises:
        AudioError: where it cannot be read
    """
    with open_recording(path) as recording:
        levels = _measure_levels(recording)
        rate, duration_s = recording.sampling_rate, recording.duration_s
    figure, axes = plt.subplots(figsize=(11, 2.8), layout="constrained")
    extent = (0, duration_s, 0, rate / 2000)
    style = {"cmap": "magma_r", "vmin": -DEPTH_DB, "vmax": 0, "origin": "lower", "aspect": "auto"}
    image = axes.imshow(levels, extent=extent, interpolation="nearest", **style)
    axes.set(xlabel="time in the call (minutes:seconds)", ylabel="frequency in kHz")
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _place: format_time(seconds)))
    figure.colorbar(image, ax=axes, label="dB below the loudest")
    plt.close(figure)
    return figure


def _measure_levels(recording: Recording) -> np.ndarray:
    """Give levels in dB below the loudest, shape (frequencies, at most `COLUMNS`)."""
    size = round(WINDOW_S * recording.sampling_rate)
    transform = ShortTimeFFT(hann(size), size // 2, recording.sampling_rate)
    span = max(size, -(-recording.frames // COLUMNS))
    held = max(1, recording.sampling_rate * 10 // span) * span / recording.sampling_rate
    columns = []
    for start_s in np.arange(0, recording.duration_s, held):
        signal = to_mono(recording.read(start_s=start_s, duration_s=held))
        for first in range(0, len(signal), span):
            power = transform.spectrogram(np.pad(signal[first : first + span], (0, size)))
            columns.append(power.max(axis=1))
    levels = 10 * np.log10(np.array(columns).T + 1e-12)
    return levels - levels.max()
