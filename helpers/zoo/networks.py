"""Networks as classifiers of scikit-learn, trained through skorch; they need PyTorch and skorch."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from helpers.zoo.held_out import hold_out

try:
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import EarlyStopping, GradientNormClipping
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split
    from torch import Tensor, nn

    from helpers.zoo.architectures import ARCHITECTURES, PERCEPTRON, SequenceNetwork
except ImportError as error:
    raise ImportError(
        "the networks of the zoo need PyTorch and skorch, which are not installed: make zoo"
    ) from error

EPOCHS = 60
"""Most passes over the training rows; as many as that where no speaker can be held out."""

PATIENCE = 10
"""Passes without a better loss on the held-out speakers after which training ends."""

BATCH = 32
"""Rows from which a step is learned."""

LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 1e-3, 1e-2, 0.1

LONGEST_STEP = 5.0
"""Norm that a gradient is cut to: recurrent networks have rare, huge ones (Pascanu et al. 2013)."""

LEAST_FRAMES = 5
"""Shorter rows are no spectra over time: after halving twice nothing would be left to compare."""

_AT_ONCE = 256


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A network of the zoo that stops learning when speakers it does not learn from say so.

    AdamW (Loshchilov and Hutter 2019), classes weighted by how rare they are, smoothed labels
    (Szegedy et al. 2016); on a GPU where there is one, and on the CPU again afterwards. The same
    seed gives the same network on the same processor. Stored or copied, it is its parameters and
    plain arrays, from which the network is made anew.

    Args:
        architecture: key of `ARCHITECTURES`
        bands: rows of the spectrum that a row of features is, one after the other; of no meaning
            to the perceptron
        epochs: most passes over the training rows
        patience: passes without a better loss on the held-out speakers until training ends
        seed: of the division, the first weights and the order of training

    Attributes:
        classes_: in alphabetical order
        n_features_in_: number of columns
        epochs_: passes that were made, of which the best one's weights are kept; the last one's
            where nobody could be held out
    """

    def __init__(
        self,
        architecture: str = PERCEPTRON,
        bands: int = 0,
        epochs: int = EPOCHS,
        patience: int = PATIENCE,
        seed: int = 0,
    ) -> None:
        self.architecture = architecture
        self.bands = bands
        self.epochs = epochs
        self.patience = patience
        self.seed = seed

    def fit(self, features, labels, groups=None) -> "NetworkClassifier":
        """Learn.

        Args:
            features: shape (rows, columns): standardised for the perceptron; otherwise spectra in
                dB of the voice's level, band after band, with `FLOOR_DB` as silence and padding
            labels: name of the class of each row
            groups: speaker of each row, see `helpers.zoo.held_out.hold_out`

        Raises:
            ValueError: for an unknown architecture, columns that are not whole frames of `bands`
                bands, numbers that are not finite, fewer than two classes
        """
        features = validate_data(self, np.asarray(features), dtype=np.float32)
        labels = np.asarray(list(labels), dtype=str)
        check_consistent_length(features, labels, groups)
        inputs = self._shape()
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"there is nothing to tell apart: every row is {self.classes_[0]!r}")
        learned, held = hold_out(labels, groups, seed=self.seed)
        with _seeded(self.seed):
            module = ARCHITECTURES[self.architecture](inputs[0], len(self.classes_))
            rows = features.reshape(len(features), *inputs)
            if isinstance(module, SequenceNetwork):
                module.measure(torch.from_numpy(rows[learned]))
            net = self._make_net(module, targets[learned], Dataset(rows[held], targets[held]))
            net.fit(rows[learned], targets[learned])
        self.epochs_ = len(net.history)
        self._module = net.module_.to("cpu").eval()
        return self

    def predict(self, features) -> np.ndarray:
        """Give the most probable class of each row."""
        most_probable = self.predict_proba(features).argmax(axis=1)
        return self.classes_[most_probable]

    def predict_proba(self, features) -> np.ndarray:
        """Give the probability of each of `classes_`, shape (rows, classes)."""
        check_is_fitted(self, "classes_")
        features = validate_data(self, np.asarray(features), dtype=np.float32, reset=False)
        rows = torch.from_numpy(features.reshape(len(features), *self._shape()))
        with torch.inference_mode():
            odds = torch.cat([self._module(part) for part in rows.split(_AT_ONCE)])
        return torch.softmax(odds.double(), dim=1).numpy()

    def _shape(self) -> tuple[int, ...]:
        """Give the shape of one row as the network takes it."""
        if self.architecture not in list(ARCHITECTURES):
            raise ValueError(f"{self.architecture!r} is no network: {', '.join(ARCHITECTURES)}")
        columns = self.n_features_in_
        if self.architecture == PERCEPTRON:
            return (columns,)
        if self.bands < 1 or columns % self.bands or columns < LEAST_FRAMES * self.bands:
            raise ValueError(
                f"{columns} columns are not {LEAST_FRAMES} or more whole frames of {self.bands} "
                f"bands: give `bands` the number of bands of the spectra, for {self.architecture}"
            )
        return (self.bands, columns // self.bands)

    def _make_net(
        self, module: nn.Module, targets: np.ndarray, held: Dataset
    ) -> NeuralNetClassifier:
        present = np.arange(len(self.classes_))
        weights = compute_class_weight("balanced", classes=present, y=targets)
        stop = EarlyStopping(patience=self.patience, load_best=True)
        clip = GradientNormClipping(LONGEST_STEP)
        return NeuralNetClassifier(
            module,
            criterion=nn.CrossEntropyLoss,
            criterion__weight=torch.from_numpy(weights.astype(np.float32)),
            criterion__label_smoothing=LABEL_SMOOTHING,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=WEIGHT_DECAY,
            lr=LEARNING_RATE,
            max_epochs=self.epochs,
            batch_size=BATCH,
            iterator_train__shuffle=True,
            train_split=predefined_split(held) if len(held) else None,
            callbacks=[stop, clip] if len(held) else [clip],
            device="cuda" if torch.cuda.is_available() else "cpu",
            verbose=0,
        )

    def __getstate__(self) -> dict[str, object]:
        state = self.get_params()
        if hasattr(self, "classes_"):
            state |= {name: getattr(self, name) for name in _LEARNED}
            arrays = self._module.state_dict()
            state["weights"] = {name: value.numpy().copy() for name, value in arrays.items()}
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        names = set(type(self)().get_params())
        if set(state) not in (names, names | {*_LEARNED, "weights"}):
            raise ValueError(f"not what a network is stored as: {sorted(map(str, state))}")
        for name in state.keys() - {"weights"}:
            setattr(self, name, state[name])
        if "weights" in state:
            self._module = self._restore(state["weights"])

    def _restore(self, weights: dict[str, np.ndarray]) -> nn.Module:
        """Make the network of stored arrays; nothing is allocated before they are seen to fit."""
        sizes = (self.bands, self.n_features_in_, self.epochs_)
        if not all(isinstance(size, Integral) and 0 <= size < 2**31 for size in sizes):
            raise ValueError(f"not the sizes of a stored network: {sizes}")
        if not _are_classes(self.classes_):
            raise ValueError(f"not the classes of a stored network: {self.classes_!r}")
        inputs = self._shape()
        with torch.device("meta"):
            module = ARCHITECTURES[self.architecture](inputs[0], len(self.classes_))
        expected = module.state_dict()
        if not isinstance(weights, dict) or weights.keys() != expected.keys():
            raise ValueError(f"the stored weights are not those of {self.architecture}")
        if wrong := [name for name in expected if not _fits(weights[name], expected[name])]:
            raise ValueError(f"stored weights of a wrong kind, shape or value: {', '.join(wrong)}")
        arrays = {name: torch.tensor(value) for name, value in weights.items()}
        module.load_state_dict(arrays, assign=True)
        return module.eval()


_LEARNED = ("classes_", "n_features_in_", "epochs_")


def _are_classes(classes: object) -> bool:
    """Say whether this is two or more names, each once and in order."""
    is_names = isinstance(classes, np.ndarray) and classes.dtype.kind == "U"
    return is_names and len(classes) > 1 and np.array_equal(classes, np.unique(classes))


def _fits(value: object, expected: Tensor) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.shape == tuple(expected.shape)
        and f"torch.{value.dtype}" == str(expected.dtype)
        and bool(np.isfinite(value).all())
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch here only, and choose what gives the same answer twice on a GPU, too."""
    devices = range(torch.cuda.device_count())
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False),
    ):
        torch.manual_seed(seed)
        yield
