"""Models of emotions as files: plain arrays, from which no code is ever run."""

import io
import json
from pathlib import Path

import numpy as np

from helpers.emotion import EmotionModel, LinearModel
from helpers.errors import ModelError
from helpers.files import write_bytes
from helpers.functionals import FUNCTIONALS

_FORMAT = 1


def save_emotion_model(path: Path | str, model: EmotionModel) -> None:
    """Write a model as one .npz file of plain arrays, nothing pickled; below 5 MB."""
    arrays = {"classes": model.classes_.astype(str)}
    for name in ("alone", "against_baseline"):
        linear = getattr(model, name)
        arrays |= {
            f"{name}.weights": linear.weights.astype(np.float32),
            f"{name}.bias": linear.bias,
        }
    for number, network in enumerate(model.networks):
        items = network.arrays().items()
        arrays |= {f"network_{number}.{name}": value for name, value in items}
    card = {"format": _FORMAT, "networks": len(model.networks), "features": len(FUNCTIONALS)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, card=np.array(json.dumps(card)), **arrays)
    write_bytes(Path(path), buffer.getvalue())


def load_emotion_model(path: Path | str) -> EmotionModel:
    """Read what `save_emotion_model` wrote.

    Raises:
        ModelError: where there is no such model, or another version wrote it
        ImportError: where it holds a network and PyTorch is missing
    """
    again = "fit it again with notebook 09"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        card = json.loads(str(arrays.pop("card")))
        version = (card["format"], card["features"])
    except Exception as error:  # a damaged archive may fail anywhere inside
        raise ModelError(f"{path} is no emotion model: {again}") from error
    if version != (_FORMAT, len(FUNCTIONALS)):
        raise ModelError(f"{path} was made by another version: {again}")
    try:
        networks = tuple(_load_network(arrays, number) for number in range(card["networks"]))
        linear = (
            LinearModel(arrays[f"{name}.weights"], arrays[f"{name}.bias"])
            for name in ("alone", "against_baseline")
        )
        return EmotionModel(arrays["classes"], *linear, networks)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} is no emotion model: {again}") from error


def _load_network(arrays: dict[str, np.ndarray], number: int):
    from helpers.network import TrainedNetwork

    prefix = f"network_{number}."
    own = {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
    return TrainedNetwork.from_arrays(own)
