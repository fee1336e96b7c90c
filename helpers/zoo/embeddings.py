"""What large speech networks (wav2vec2, HuBERT, WavLM) make of a voice; needs transformers."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import librosa
import numpy as np

from helpers.errors import CallEmotionError
from helpers.features import FeatureSet
from helpers.zoo.feature_sets import EMBEDDING, make_feature_set

try:
    import torch
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, PreTrainedModel
    from transformers.utils import cached_file
except ImportError as error:
    raise ImportError(
        "embeddings need PyTorch and transformers, which are not installed: make zoo "
        "(requirements-zoo.txt)"
    ) from error

EMBEDDING_RATE = 16_000
"""Sampling rate in Hz that these networks were trained at."""

LEAST_SAMPLES = 1600
"""A shorter sound is filled up with silence: the first convolutions need more than 25 ms."""

SOURCES = ("facebook/wav2vec2-base", "facebook/hubert-base-ls960", "microsoft/wavlm-base-plus")
"""Networks of the Hugging Face hub that are worth a try; read each one's licence there."""

EVERY_LAYER = "all"
"""End of a feature set's name where all layers are averaged."""

LONGEST_NAME = 200
"""Characters in the name of a feature set, which becomes part of file names."""

WEIGHTS = "*.safetensors"
"""The only files of weights that are read: a pytorch_model.bin can run code while it is loaded."""

FILES = ("*config.json", WEIGHTS, "*.safetensors.index.json")
"""What of a local folder makes the network what it is."""


class Network(NamedTuple):
    """A network in evaluation mode, and what brings sound to its scale."""

    model: PreTrainedModel
    extractor: object
    device: str


def embedding_feature_set(source: str, *, layer: int | None = None) -> FeatureSet:
    """Make the feature set of a network's embedding: the mean over time of what a layer gives.

    The middle layers know most about how something is said, the last ones about the words
    (Pepino et al. 2021, "Emotion Recognition from Speech Using wav2vec 2.0 Embeddings"), so by
    default all are averaged. The network is loaded when the first recording is described, on a
    GPU where there is one.

    Args:
        source: name on the Hugging Face hub such as those in `SOURCES`, fetched once and kept, or
            a local folder with the files of one
        layer: 0 for what the convolutions give, 1 for the first transformer layer, and so on; all
            of them averaged by default

    Returns:
        a set for utterances, `hidden size` columns; the name says source (a folder as absolute
        path), version and layer, so that another network put into the same folder has another name

    Raises:
        CallEmotionError: where there is no such network, its weights are no safetensors, it has no
            such layer, or the path of its folder is too long
    """
    source = str(Path(source).resolve()) if Path(source).is_dir() else source
    config = _load(AutoConfig, source)
    layers = config.num_hidden_layers
    if layer is not None and not 0 <= layer <= layers:
        raise CallEmotionError(f"{source} has layers 0 to {layers}, not {layer}")
    version = find_version(source)
    end = EVERY_LAYER if layer is None else f"{layer:02d}"
    name = f"{EMBEDDING}{quote(source, safe='')}-{version[:8]}-{end}"
    if len(name) > LONGEST_NAME:
        raise CallEmotionError(
            f"the features of {source!r} would have a name of {len(name)} characters; expected at "
            f"most {LONGEST_NAME}, for files are named after them. Move the folder to a shorter "
            "path of plain letters"
        )
    names = tuple(f"embedding_{number:04d}" for number in range(config.hidden_size))
    describe = partial(embed, source=source, version=version, layer=layer)
    return make_feature_set(name, names, describe)


def restore_feature_set(name: str) -> FeatureSet:
    """Make the feature set again from the name `embedding_feature_set` gave it.

    Raises:
        CallEmotionError: where the network is not there any more, another one is in its place, or
            this is no such name
    """
    found = re.fullmatch(rf"{EMBEDDING}(.+)-[0-9a-f]{{8}}-({EVERY_LAYER}|\d{{2,}})", name)
    if not found:
        raise CallEmotionError(
            f"{name!r} does not say which network it is of; expected {EMBEDDING}, its source, 8 "
            "digits of its version and the layer. Describe the recordings and train again"
        )
    source, end = unquote(found[1]), found[2]
    feature_set = embedding_feature_set(source, layer=None if end == EVERY_LAYER else int(end))
    if feature_set.name != name:
        raise CallEmotionError(
            f"{source!r} is another version now: it gives {feature_set.name!r}, expected {name!r}. "
            "Put the earlier files back, or train again with what is there now"
        )
    return feature_set


def find_version(source: str) -> str:
    """Give what changes with a network: the commit on the hub, or a hash of a folder's files.

    Args:
        source: see `embedding_feature_set`

    Returns:
        hexadecimal digits, at least 40

    Raises:
        CallEmotionError: where there is no such network, or a folder has no safetensors
    """
    if not Path(source).is_dir():
        with _refusing(source):
            return Path(cached_file(source, "config.json")).parent.name
    if not any(Path(source).glob(WEIGHTS)):
        raise CallEmotionError(_expect(source, f"no {WEIGHTS} in it"))
    digest = hashlib.sha256()
    for path in sorted({path for pattern in FILES for path in Path(source).glob(pattern)}):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def embed(
    signal: np.ndarray,
    sampling_rate: int,
    *,
    source: str,
    version: str = "",
    layer: int | None = None,
) -> np.ndarray:
    """Embed one stretch of speech.

    Args:
        signal: mono, shape (samples,)
        sampling_rate: in Hz; telephone speech is brought to 16 kHz, which adds nothing above 4 kHz
        source: see `embedding_feature_set`
        version: see `load_network`
        layer: see `embedding_feature_set`

    Returns:
        shape (hidden size,), float32
    """
    network = load_network(source, version)
    signal = librosa.resample(signal, orig_sr=sampling_rate, target_sr=EMBEDDING_RATE)
    signal = np.pad(signal, (0, max(0, LEAST_SAMPLES - len(signal))))
    inputs = network.extractor(signal, sampling_rate=EMBEDDING_RATE, return_tensors="pt")
    with torch.inference_mode():
        output = network.model(inputs.input_values.to(network.device), output_hidden_states=True)
    layers = torch.stack(output.hidden_states)[:, 0].float().mean(dim=1).cpu().numpy()
    return layers.mean(axis=0) if layer is None else layers[layer]


@lru_cache(maxsize=1)
def load_network(source: str, version: str = "") -> Network:
    """Load a network from the hub or a folder; the last one is kept.

    Args:
        source: see `embedding_feature_set`
        version: what `find_version` gives; with another one the files are read again

    Raises:
        CallEmotionError: where there is no such network, or its weights are no safetensors
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = _load(AutoModel, source, use_safetensors=True).eval().to(device)
    return Network(model, _load(AutoFeatureExtractor, source), device)


def _load(kind: type, source: str, **options: bool):
    with _refusing(source):
        return kind.from_pretrained(source, **options)


@contextmanager
def _refusing(source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise CallEmotionError(_expect(source, type(error).__name__)) from error


def _expect(source: str, reason: str) -> str:
    return (
        f"{source!r} is no network that can be loaded ({reason}); expected a name on the Hugging "
        f"Face hub such as {SOURCES[0]}, reachable from here or fetched before, or a folder with "
        "config.json, preprocessor_config.json and model.safetensors. A pytorch_model.bin is not "
        "opened, for it can run code: convert it to safetensors"
    )
