"""The networks of the zoo: layers over vectors and over spectra in time; they need PyTorch.

Dropout and the share of masked bands were chosen, out of a handful of settings, on one division of
RAVDESS as telephone speech (learned from actors 1 to 16, judged on 17 to 20): a score on these four
flatters a little.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

from helpers.zoo.feature_sets import FLOOR_DB

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
except ImportError as error:
    raise ImportError(
        "the networks of the zoo need PyTorch and skorch, which are not installed: make zoo"
    ) from error

DROPOUT = 0.4
"""Share of what a network found that it is not shown while it learns."""

MASKED_BANDS = 0.2
"""Share of the bands that a sequence network is not shown, drawn anew for each row and pass."""

HIDDEN = 128
"""Units of each hidden layer of the perceptron."""

CHANNELS = (96, 96, 128)
"""Feature maps of the layers of convolutions; the first two halve the frames."""

MEMORY = 64
"""Units of a recurrent layer in either direction."""

LEAST_DEVIATION_DB = 1.0
"""A band that never changes in training is scaled as if it did."""

PERCEPTRON = "perceptron"
"""The architecture that takes plain features and not bands over time."""


class Perceptron(nn.Module):
    """Two hidden layers, learned by back-propagation (Rumelhart, Hinton and Williams 1986)."""

    def __init__(self, columns: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(columns, HIDDEN),
            nn.LayerNorm(HIDDEN),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Give log-odds, shape (batch, classes), of features, shape (batch, columns)."""
        return self.layers(features)


class SequenceNetwork(nn.Module):
    """Layers over bands and time, pooled over time by mean and deviation under attention.

    Attention finds the frames where the emotion is heard (Mirsamadi, Barsoum and Zhang 2017); the
    deviation beside the mean is from Okabe et al. 2018. Spectra are scaled band by band.

    Args:
        bands: rows of a spectrum
        classes: number of classes
        layers: from shape (batch, bands, frames) to (batch, `width`, any fewer frames)
        width: of what they give
    """

    def __init__(self, bands: int, classes: int, *, layers: nn.Module, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands, 1))
        self.register_buffer("deviation", torch.ones(bands, 1))
        self.mask = nn.Dropout1d(MASKED_BANDS)
        self.layers = layers
        self.attention = nn.Linear(width, 1)
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(2 * width, classes))

    def measure(self, spectra: Tensor) -> None:
        """Keep the scale of each band over the frames that are listened to."""
        frames = spectra.transpose(0, 1)[:, _is_heard(spectra)]
        if frames.shape[1]:
            self.mean = frames.mean(dim=1, keepdim=True)
            deviation = frames.std(dim=1, keepdim=True, correction=0)
            self.deviation = deviation.clamp_min(LEAST_DEVIATION_DB)

    def forward(self, spectra: Tensor) -> Tensor:
        """Give log-odds, shape (batch, classes), of spectra, shape (batch, bands, frames)."""
        scaled = self.mask((spectra - self.mean) / self.deviation)
        maps = self.layers(scaled).transpose(1, 2)
        heard = functional.adaptive_max_pool1d(_is_heard(spectra).float(), maps.shape[1])
        scores = self.attention(maps) + torch.where(heard > 0, 0.0, -1e4)[..., None]
        weights = torch.softmax(scores, dim=1)
        mean = (weights * maps).sum(dim=1)
        deviation = ((weights * (maps - mean[:, None]) ** 2).sum(dim=1) + 1e-5).sqrt()
        return self.head(torch.cat([mean, deviation], dim=1))


class Recurrent(nn.Module):
    """A recurrent layer that reads in both directions (Schuster and Paliwal 1997).

    Args:
        cell: `nn.LSTM` or `nn.GRU`
        width: of each frame
    """

    def __init__(self, cell: type[nn.RNNBase], width: int) -> None:
        super().__init__()
        self.cell = cell(width, MEMORY, batch_first=True, bidirectional=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Read shape (batch, width, frames): (batch, 2 * `MEMORY`, frames)."""
        return self.cell(maps.transpose(1, 2))[0].transpose(1, 2)


def make_convolutional(bands: int, classes: int) -> SequenceNetwork:
    """Make three layers of convolutions over time.

    Bands are the channels, as in the time-delay network of Waibel et al. 1989.
    """
    layers = nn.Sequential(*_find_sounds(bands), *_convolution(CHANNELS[1], CHANNELS[2], 3))
    return SequenceNetwork(bands, classes, layers=layers, width=CHANNELS[2])


def make_recurrent(bands: int, classes: int, *, cell: type[nn.RNNBase]) -> SequenceNetwork:
    """Make a recurrent layer that reads every two frames as one.

    Args:
        bands: rows of a spectrum
        classes: number of classes
        cell: `nn.LSTM`, long short-term memory (Hochreiter and Schmidhuber 1997), or `nn.GRU`,
            gated recurrent units (Cho et al. 2014)
    """
    layers = nn.Sequential(nn.AvgPool1d(2, ceil_mode=True), Recurrent(cell, bands))
    return SequenceNetwork(bands, classes, layers=layers, width=2 * MEMORY)


def make_convolutional_recurrent(bands: int, classes: int) -> SequenceNetwork:
    """Make convolutions that find sounds and an LSTM that reads them (Trigeorgis et al. 2016)."""
    layers = nn.Sequential(*_find_sounds(bands), Recurrent(nn.LSTM, CHANNELS[1]))
    return SequenceNetwork(bands, classes, layers=layers, width=2 * MEMORY)


ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    PERCEPTRON: Perceptron,
    "1-D CNN": make_convolutional,
    "LSTM": partial(make_recurrent, cell=nn.LSTM),
    "GRU": partial(make_recurrent, cell=nn.GRU),
    "CNN-LSTM": make_convolutional_recurrent,
}
"""What makes each network out of the number of columns (perceptron) or bands, and of classes."""


def _is_heard(spectra: Tensor) -> Tensor:
    """Say of each frame whether it is above the floor in any band: (batch, frames)."""
    return (spectra > FLOOR_DB).any(dim=1)


def _find_sounds(bands: int) -> Iterator[nn.Module]:
    """Give two layers of convolutions, each of which halves the frames."""
    for incoming, outgoing in pairwise((bands, *CHANNELS[:2])):
        yield from _convolution(incoming, outgoing, 5)
        yield nn.MaxPool1d(2, ceil_mode=True)


def _convolution(incoming: int, outgoing: int, size: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv1d(incoming, outgoing, size, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm1d(outgoing), nn.ReLU()
