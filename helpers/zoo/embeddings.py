"""What large speech networks (wav2vec2, HuBERT, WavLM) make of a voice; needs transformers."""

from functools import lru_cache, partial
from typing import NamedTuple

import librosa
import numpy as np

from helpers.errors import CallEmotionError
from helpers.features import FeatureSet
from helpers.zoo.feature_sets import EMBEDDING, make_feature_set

try:
    import torch
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, PreTrainedModel
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
        a set for utterances, `hidden size` columns; the name says source and layer

    Raises:
        CallEmotionError: where there is no such network, or it has no such layer
    """
    config = _load(AutoConfig, source)
    layers = config.num_hidden_layers
    if layer is not None and not 0 <= layer <= layers:
        raise CallEmotionError(f"{source} has layers 0 to {layers}, not {layer}")
    end = EVERY_LAYER if layer is None else f"{layer:02d}"
    names = tuple(f"embedding_{number:04d}" for number in range(config.hidden_size))
    describe = partial(embed, source=source, layer=layer)
    return make_feature_set(f"{EMBEDDING}{source.replace('/', '--')}-{end}", names, describe)


def restore_feature_set(name: str) -> FeatureSet:
    """Make the feature set again from the name `embedding_feature_set` gave it.

    Raises:
        CallEmotionError: where the network is not there any more
    """
    source, _, end = name.removeprefix(EMBEDDING).rpartition("-")
    layer = None if end == EVERY_LAYER else int(end)
    return embedding_feature_set(source.replace("--", "/"), layer=layer)


def embed(
    signal: np.ndarray, sampling_rate: int, *, source: str, layer: int | None = None
) -> np.ndarray:
    """Embed one stretch of speech.

    Args:
        signal: mono, shape (samples,)
        sampling_rate: in Hz; telephone speech is brought to 16 kHz, which adds nothing above 4 kHz
        source: see `embedding_feature_set`
        layer: see `embedding_feature_set`

    Returns:
        shape (hidden size,), float32
    """
    network = load_network(source)
    signal = librosa.resample(signal, orig_sr=sampling_rate, target_sr=EMBEDDING_RATE)
    signal = np.pad(signal, (0, max(0, LEAST_SAMPLES - len(signal))))
    inputs = network.extractor(signal, sampling_rate=EMBEDDING_RATE, return_tensors="pt")
    with torch.inference_mode():
        output = network.model(inputs.input_values.to(network.device), output_hidden_states=True)
    layers = torch.stack(output.hidden_states)[:, 0].float().mean(dim=1).cpu().numpy()
    return layers.mean(axis=0) if layer is None else layers[layer]


@lru_cache(maxsize=1)
def load_network(source: str) -> Network:
    """Load a network from the hub or a folder; the last one is kept.

    Raises:
        CallEmotionError: where there is no such network
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = _load(AutoModel, source).eval().to(device)
    return Network(model, _load(AutoFeatureExtractor, source), device)


def _load(kind: type, source: str):
    try:
        return kind.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise CallEmotionError(
            f"{source!r} is no network that can be loaded ({type(error).__name__}); expected a "
            f"name on the Hugging Face hub such as {SOURCES[0]}, reachable from here or fetched "
            "before, or a folder with config.json, preprocessor_config.json and the weights"
        ) from error
