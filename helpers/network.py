"""A compact convolutional network that hears emotions in mel spectra; needs PyTorch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from helpers.descriptors import MEL_BANDS
from helpers.progress import progress

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
except ImportError as error:
    raise ImportError(
        "the emotion network needs PyTorch, which is not installed: "
        "pip install -r requirements-network.txt"
    ) from error

EPOCHS = 100
"""Passes over the training utterances."""

CHANNELS = (32, 64, 96, 128)
"""Feature maps of the four blocks of convolutions; the first three are followed by pooling."""

EMBEDDING = 192
"""Size of what the network keeps of an utterance."""

CROP_FRAMES = 150
"""Longest stretch of an utterance that is trained on at once; longer ones are cut at random."""

FLOOR_DB = -60.0
"""Below the level of the voice nothing is looked at."""

LEAST_DEVIATION_DB = 1.0
"""A band that never changes in training is scaled as if it did."""

GROUPS, GROUP_SIZE = 3, 16
"""A batch holds this many speakers with this many utterances each, so that each has a baseline."""

LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 2e-3, 1e-2, 0.5
SHORTEST_CYCLE = 8
"""Steps that one cycle of the learning rate takes at least."""

LABEL_SMOOTHING, MIXUP = 0.1, 0.3
MASK_BANDS, MASK_FRAMES = 8, 25
TEMPO, NOISE_DB, DISTORTED_SHARE = 0.08, (-50.0, -25.0), 0.25
"""Change of tempo either way, noise against the voice, and how many utterances get each."""

_AVERAGING = 0.995
_SHORTEST = 24
_EDGE = 4
_EMPTY = -2.0


class EmotionNetwork(nn.Module):
    """Convolutions over mel bands and time, attention pooling, and two heads on one embedding.

    Blocks of two 3 x 3 convolutions with batch normalisation (Simonyan and Zisserman 2015) are
    pooled over time by attention-weighted mean and deviation (Okabe et al. 2018). One head judges
    an utterance alone. The other sees how its embedding differs from those of the speaker's other
    utterances: the own baseline, learned rather than set.

    Args:
        classes: number of emotions
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*_blocks())
        pooled = CHANNELS[-1] * (MEL_BANDS // 8)
        self.attention = nn.Linear(pooled, 1)
        self.embedding = nn.Linear(2 * pooled, EMBEDDING, bias=False)
        self.normalisation = nn.BatchNorm1d(EMBEDDING)
        self.alone = nn.Linear(EMBEDDING, classes)
        self.against_baseline = nn.Linear(EMBEDDING, classes)

    def embed(self, spectra: Tensor) -> Tensor:
        """Embed spectra of shape (batch, 1, bands, frames) in shape (batch, `EMBEDDING`)."""
        maps = self.convolutions(spectra).float().flatten(1, 2).transpose(1, 2)
        weights = torch.softmax(self.attention(maps), dim=1)
        mean = (weights * maps).sum(dim=1)
        deviation = ((weights * (maps - mean[:, None]) ** 2).sum(dim=1) + 1e-5).sqrt()
        pooled = torch.cat([mean, deviation], dim=1)
        return self.embedding(functional.dropout(pooled, DROPOUT / 2, self.training)).float()

    def judge(self, embeddings: Tensor) -> Tensor:
        """Give one log-odds per emotion, each utterance on its own."""
        hidden = torch.relu(self.normalisation(embeddings))
        return self.alone(functional.dropout(hidden, DROPOUT, self.training))

    def judge_against_baseline(self, embeddings: Tensor) -> Tensor:
        """Give log-odds for utterances of speakers, shape (speakers, utterances, `EMBEDDING`)."""
        centred = embeddings - embeddings.mean(dim=1, keepdim=True)
        hidden = torch.relu(centred / (embeddings.std(dim=1, keepdim=True) + 1e-3))
        return self.against_baseline(functional.dropout(hidden, DROPOUT, self.training))


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and the scale of its input.

    Attributes:
        network: in evaluation mode, on the CPU
        mean: of each band over the training frames, shape (bands, 1)
        deviation: of each band, same shape
    """

    network: EmotionNetwork
    mean: np.ndarray
    deviation: np.ndarray

    def embed(self, spectra: Sequence[np.ndarray]) -> np.ndarray:
        """Embed utterances of any length, each shape (bands, frames): (utterances, embedding)."""
        with torch.inference_mode():
            rows = [self.network.embed(self._prepare(spectrum)) for spectrum in spectra]
            return torch.cat([torch.empty(0, EMBEDDING), *rows]).numpy()

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Give the probability of each emotion, shape (utterances, classes), each on its own."""
        with torch.inference_mode():
            odds = self.network.judge(torch.from_numpy(embeddings))
            return torch.softmax(odds, dim=-1).numpy().astype(float)

    def predict_against_baseline(self, embeddings: np.ndarray) -> np.ndarray:
        """Give the same for several utterances of one speaker, each against all of them."""
        with torch.inference_mode():
            odds = self.network.judge_against_baseline(torch.from_numpy(embeddings)[None])
            return torch.softmax(odds, dim=-1)[0].numpy().astype(float)

    def arrays(self) -> dict[str, np.ndarray]:
        """Give everything that was learned as arrays of half precision, for storing."""
        state = {name: value.numpy() for name, value in self.network.state_dict().items()}
        state |= {"input.mean": self.mean, "input.deviation": self.deviation}
        return {name: np.asarray(value, np.float16) for name, value in state.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "TrainedNetwork":
        """Undo `arrays`.

        Raises:
            ValueError: where the arrays are not those of this network
        """
        if missing := {"alone.bias", "input.mean", "input.deviation"} - set(arrays):
            raise ValueError(f"the network lacks {sorted(missing)}")
        state = {name: torch.from_numpy(value.astype(np.float32)) for name, value in arrays.items()}
        mean, deviation = (state.pop(f"input.{name}").numpy() for name in ("mean", "deviation"))
        network = EmotionNetwork(len(state["alone.bias"]))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"not the arrays of this network: {error}") from error
        return cls(network.eval(), mean, deviation)

    def _prepare(self, spectrum: np.ndarray) -> Tensor:
        scaled = (np.maximum(spectrum, FLOOR_DB) - self.mean) / self.deviation
        missing = max(0, _SHORTEST - scaled.shape[1])
        edges = ((0, 0), (_EDGE, _EDGE + missing))
        padded = np.pad(scaled, edges, constant_values=_EMPTY).astype(np.float32)
        return torch.from_numpy(padded)[None, None]


def train_network(
    variants: Sequence[Sequence[np.ndarray]],
    labels: np.ndarray,
    speakers: np.ndarray,
    *,
    classes: int,
    epochs: int = EPOCHS,
    seed: int = 0,
) -> TrainedNetwork:
    """Train a network on a GPU where there is one.

    AdamW (Loshchilov and Hutter 2019) with one cycle of the learning rate (Smith and Topin 2018),
    mixup within a speaker (Zhang et al. 2018), masking of bands and frames (Park et al. 2019),
    changes of tempo that keep the pitch, noise, label smoothing, log-odds adjusted for how
    frequent a class is (Menon et al. 2021), and the running average of the weights as the result.
    On processors with bfloat16 instructions the convolutions use them.

    Args:
        variants: the same utterances through different channels; each pass draws one of them;
            an utterance has shape (bands, frames) in dB of the voice's level
        labels: class of each utterance, shape (utterances,), 0 to classes - 1
        speakers: name of each utterance's speaker
        classes: number of classes
        epochs: passes over the utterances
        seed: the same seed on the same machine gives the same network

    Returns:
        the network, on the CPU
    """
    torch.manual_seed(seed)
    frames = np.concatenate([np.maximum(item, FLOOR_DB) for item in variants[0]], axis=1)
    mean = frames.mean(axis=1, keepdims=True)
    deviation = np.maximum(frames.std(axis=1, keepdims=True) + 1e-3, LEAST_DEVIATION_DB)
    batches = _Batches(variants, labels, speakers, mean, deviation, classes, seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = EmotionNetwork(classes).to(device, memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(_AVERAGING),
        use_buffers=True,
    )
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = max(SHORTEST_CYCLE, epochs * batches.per_epoch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps, pct_start=0.25)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    prior = torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32)).to(device)
    network.train()
    for _ in progress(range(epochs), "Network"):
        for spectra, targets in batches.draw():
            loss = _loss(network, spectra.to(device), targets.to(device), prior)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
    return TrainedNetwork(average.module.to("cpu").eval(), mean, deviation)


def _blocks() -> Iterator[nn.Module]:
    incoming = 1
    for number, channels in enumerate(CHANNELS):
        sizes = (5,) if number == 0 else (3, 3)
        for size in sizes:
            yield nn.Conv2d(incoming, channels, size, padding=size // 2, bias=False)
            yield nn.BatchNorm2d(channels)
            yield nn.ReLU()
            incoming = channels
        if number < len(CHANNELS) - 1:
            yield nn.MaxPool2d(2)


def _loss(network: EmotionNetwork, spectra: Tensor, targets: Tensor, prior: Tensor) -> Tensor:
    spectra = spectra.contiguous(memory_format=torch.channels_last)
    with torch.autocast(spectra.device.type, torch.bfloat16, enabled=_has_bfloat16(spectra)):
        embeddings = network.embed(spectra)
    grouped = embeddings.view(-1, GROUP_SIZE, EMBEDDING)
    odds = (network.judge(embeddings), network.judge_against_baseline(grouped).flatten(0, 1))
    return sum(functional.cross_entropy(each + prior, targets) for each in odds) / len(odds)


def _has_bfloat16(spectra: Tensor) -> bool:
    if spectra.is_cuda:
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


class _Batches:
    """Draws augmented batches of a few speakers with equally many utterances each."""

    def __init__(self, variants, labels, speakers, mean, deviation, classes, seed) -> None:
        self.variants, self.labels = variants, np.asarray(labels)
        self.rows_of_speaker = [np.flatnonzero(speakers == name) for name in np.unique(speakers)]
        self.mean, self.deviation, self.classes = mean, deviation, classes
        self.generator = np.random.default_rng(seed)
        chunks = sum(max(1, len(rows) // GROUP_SIZE) for rows in self.rows_of_speaker)
        self.per_epoch = -(-chunks // GROUPS)

    def draw(self) -> Iterator[tuple[Tensor, Tensor]]:
        chunks = [chunk for rows in self.rows_of_speaker for chunk in self._chunks(rows)]
        self.generator.shuffle(chunks)
        for start in range(0, len(chunks), GROUPS):
            rows = np.concatenate(chunks[start : start + GROUPS])
            spectra = torch.from_numpy(np.stack([self._augment(row) for row in rows]))[:, None]
            targets = functional.one_hot(torch.from_numpy(self.labels[rows]), self.classes)
            targets = targets * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / self.classes
            yield self._mix(spectra, targets)

    def _chunks(self, rows: np.ndarray) -> list[np.ndarray]:
        count = max(1, len(rows) // GROUP_SIZE)
        order = self.generator.permutation(rows)
        return list(np.resize(order, (count, GROUP_SIZE)))

    def _mix(self, spectra: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        share = float(self.generator.beta(MIXUP, MIXUP))
        within = np.arange(len(spectra)).reshape(-1, GROUP_SIZE)
        partners = torch.from_numpy(self.generator.permuted(within, axis=1).ravel())
        return tuple(share * each + (1 - share) * each[partners] for each in (spectra, targets))

    def _augment(self, row: int) -> np.ndarray:
        generator = self.generator
        spectrum = self.variants[generator.integers(len(self.variants))][row]
        if generator.random() < DISTORTED_SHARE:
            spectrum = _stretch(spectrum, generator.uniform(1 - TEMPO, 1 + TEMPO))
        if generator.random() < DISTORTED_SHARE:
            spectrum = _add_levels(spectrum, generator.uniform(*NOISE_DB))
        scaled = (np.maximum(spectrum, FLOOR_DB) - self.mean) / self.deviation
        frames = scaled.shape[1]
        first = generator.integers(max(0, frames - CROP_FRAMES) + 1)
        scaled = scaled[:, first : first + CROP_FRAMES]
        place = generator.integers(CROP_FRAMES - scaled.shape[1] + 1)
        canvas = np.full((MEL_BANDS, CROP_FRAMES), _EMPTY, np.float32)
        canvas[:, place : place + scaled.shape[1]] = scaled
        for axis, longest in enumerate((MASK_BANDS, MASK_FRAMES)):
            length = generator.integers(longest + 1)
            start = generator.integers(canvas.shape[axis] - length + 1)
            np.moveaxis(canvas, axis, 0)[start : start + length] = 0
        return canvas


def _add_levels(first_db: np.ndarray, second_db: float) -> np.ndarray:
    scale = np.log(10) / 10
    return np.logaddexp(first_db * scale, second_db * scale) / scale


def _stretch(spectrum: np.ndarray, factor: float) -> np.ndarray:
    frames = spectrum.shape[1]
    position = np.linspace(0, frames - 1, max(2, round(frames * factor)))
    below = position.astype(int)
    above = np.minimum(below + 1, frames - 1)
    weight = (position - below).astype(np.float32)
    return spectrum[:, below] * (1 - weight) + spectrum[:, above] * weight
