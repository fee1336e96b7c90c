"""What emotion a voice shows: a model fitted to a corpus, light or with a network."""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.audio import open_recording, to_mono
from helpers.channel import TELEPHONE_RATE, random_telephone, simulate_telephone
from helpers.descriptors import MEL_BANDS, Frames, describe_frames
from helpers.emotions import EMOTIONS
from helpers.errors import CallEmotionError, ModelError
from helpers.files import write_bytes
from helpers.functionals import FUNCTIONALS, summarise
from helpers.progress import progress

STRENGTH = 0.03
"""Inverse regularisation of the light model (scikit-learn's C), fixed and not searched."""

BASELINE_UTTERANCES = 5
"""From this many utterances of a speaker on, each is compared with all of them."""

LIGHT_SHARE = 0.5
"""Weight of the light model's log-probabilities where there is a network, whose weight is 1."""

UPSET = tuple(emotion.name for emotion in EMOTIONS if emotion.upset)
"""Emotions of an upset voice."""

CHANNELS = ("telephone", "clean", "random")
"""Lines that every training utterance is heard through where `telephone` is asked for."""

_FORMAT = 1


@dataclass(frozen=True)
class LinearModel:
    """A standardised multinomial logistic regression, as plain arrays.

    Attributes:
        weights: shape (features, classes), float32, of features as they come
        bias: shape (classes,), float32
    """

    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, labels: np.ndarray) -> "LinearModel":
        """Fit to features of shape (utterances, features) and classes 0 to n - 1."""
        regression = LogisticRegression(C=STRENGTH, max_iter=1000)
        pipeline = make_pipeline(StandardScaler(), regression).fit(features, labels)
        scaler = pipeline[0]
        coefficients, intercept = regression.coef_, regression.intercept_
        if len(coefficients) == 1:
            coefficients = np.concatenate([-coefficients, coefficients]) / 2
            intercept = np.concatenate([-intercept, intercept]) / 2
        weights = coefficients.T / scaler.scale_[:, None]
        bias = intercept - scaler.mean_ @ weights
        return cls(weights.astype(np.float32), bias.astype(np.float32))

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Give log-probabilities, shape (utterances, classes)."""
        return _log_softmax(features @ self.weights + self.bias)


@dataclass(frozen=True)
class EmotionModel:
    """Gives probabilities of emotions.

    Attributes:
        classes_: names of the emotions, in the order of all columns
        alone: light model of one utterance
        against_baseline: light model of utterances standardised within their speaker
        networks: trained networks, none for a light model
    """

    classes_: np.ndarray
    alone: LinearModel
    against_baseline: LinearModel
    networks: tuple = ()

    def predict_proba(
        self, paths: Iterable[Path | str], *, speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        """Judge recordings.

        Args:
            paths: of recordings of one voice each, of any sampling rate
            speakers: name of the voice in each; utterances of a speaker who has at least
                `BASELINE_UTTERANCES` are judged against that speaker's own baseline, which
                supposes that they are a mix of moods

        Returns:
            shape (recordings, classes), rows sum to 1

        Raises:
            AudioError: where a recording cannot be read
        """
        return self.predict_frames(read_frames(paths), speakers=speakers)

    def predict_frames(
        self, frames: Sequence[Frames], *, speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        """Judge utterances whose frames are there already; see `predict_proba`."""
        features = summarise_all(frames)
        spectra = [item.values[:MEL_BANDS] for item in frames]
        log_proba = LIGHT_SHARE * self.alone.log_proba(features)
        embeddings = [network.embed(spectra) for network in self.networks]
        log_proba += self._network_log_proba(embeddings, "predict_proba", len(frames))
        for rows in _baselines(speakers):
            log_proba[rows] = LIGHT_SHARE * self.against_baseline.log_proba(
                standardise(features[rows])
            )
            own = [embedding[rows] for embedding in embeddings]
            log_proba[rows] += self._network_log_proba(own, "predict_against_baseline", len(rows))
        share = 1 if self.networks else 1 / LIGHT_SHARE
        return np.exp(_log_softmax(log_proba * share))

    def predict_upset(
        self, paths: Iterable[Path | str], *, speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        """Give the probability that the voice is upset (`UPSET`), shape (recordings,)."""
        return self.upset(self.predict_proba(paths, speakers=speakers))

    def upset(self, probabilities: np.ndarray) -> np.ndarray:
        """Sum the probabilities of the emotions of an upset voice, shape (recordings,)."""
        return probabilities[:, np.isin(self.classes_, UPSET)].sum(axis=1)

    @property
    def fingerprint(self) -> str:
        """Short name that changes with what was learned."""
        arrays = [self.classes_, *vars(self.alone).values()]
        arrays += [value for network in self.networks for value in network.arrays().values()]
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(
                np.ascontiguousarray(
                    array.astype(str) if array.dtype.kind in "OU" else array.astype(np.float16)
                )
            )
        return digest.hexdigest()[:8]

    def without_networks(self) -> "EmotionModel":
        """Give the light part alone."""
        return EmotionModel(self.classes_, self.alone, self.against_baseline)

    def _network_log_proba(self, embeddings: list, method: str, count: int) -> np.ndarray:
        total = np.zeros((count, len(self.classes_)))
        for network, embedding in zip(self.networks, embeddings, strict=True):
            total += np.log(getattr(network, method)(embedding) + 1e-6) / len(self.networks)
        return total


def fit_emotion_model(
    table: pd.DataFrame,
    *,
    telephone: bool = True,
    networks: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
) -> EmotionModel:
    """Fit a model to a corpus.

    Args:
        table: with the columns `path, emotion, speaker`, such as `helpers.corpora.load_corpus`
            gives
        telephone: whether to hear every recording also through telephone lines; without, the
            model is for wideband recordings
        networks: how many networks to train beside the light model; 0 for the light model alone;
            by default 1 where PyTorch is installed and else 0
        epochs: passes of each network over the corpus, `helpers.network.EPOCHS` by default
        seed: of everything that is drawn

    Returns:
        the model; `classes_` are the emotions of the table, in the order of `EMOTIONS`

    Raises:
        CallEmotionError: where there are fewer than two emotions or a column is missing
        ImportError: where networks are asked for and PyTorch is missing
    """
    variants = hear_corpus(table, telephone=telephone)
    return fit_frames(table, variants, networks=networks, epochs=epochs, seed=seed)


def hear_corpus(table: pd.DataFrame, *, telephone: bool = True) -> list[list[Frames]]:
    """Describe every recording of a corpus through each line that is trained on.

    Returns:
        a list of frames per line, in the order of `CHANNELS`; only the clean one without
        `telephone`
    """
    _check(table)
    hear = joblib.delayed(partial(_hear, telephone=telephone))
    jobs = (hear(path, seed) for seed, path in enumerate(table["path"]))
    heard = joblib.Parallel(n_jobs=-1, return_as="generator")(jobs)
    rows = list(progress(heard, "Corpus", total=len(table)))
    return [list(variant) for variant in zip(*rows, strict=True)]


def fit_frames(
    table: pd.DataFrame,
    variants: Sequence[Sequence[Frames]],
    *,
    networks: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
) -> EmotionModel:
    """Fit a model to a corpus that `hear_corpus` has heard; see `fit_emotion_model`."""
    _check(table)
    known = [emotion.name for emotion in EMOTIONS]
    classes = np.array(sorted(table["emotion"].unique(), key=known.index))
    labels = np.array([list(classes).index(emotion) for emotion in table["emotion"]])
    speakers = table["speaker"].to_numpy()
    features = [summarise_all(variant) for variant in variants[:2]]
    baselined = [standardise_speakers(matrix, speakers) for matrix in features]
    repeated = np.tile(labels, len(features))
    return EmotionModel(
        classes,
        LinearModel.fit(np.concatenate(features), repeated),
        LinearModel.fit(np.concatenate(baselined), repeated),
        _fit_networks(variants, labels, speakers, networks, epochs, seed),
    )


def read_frames(paths: Iterable[Path | str]) -> list[Frames]:
    """Describe recordings as a telephone line's 8000 Hz would carry them, without a codec."""
    return [describe_frames(_read(path), TELEPHONE_RATE) for path in paths]


def summarise_all(frames: Sequence[Frames]) -> np.ndarray:
    """Summarise utterances, shape (utterances, functionals)."""
    rows = [summarise(item) for item in frames]
    return np.stack(rows) if rows else np.empty((0, len(FUNCTIONALS)), np.float32)


def standardise(features: np.ndarray) -> np.ndarray:
    """Subtract the mean over the rows and divide by the deviation."""
    return (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3)


def standardise_speakers(features: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Standardise within each speaker's rows."""
    standardised = np.empty_like(features)
    for name in np.unique(speakers):
        rows = speakers == name
        standardised[rows] = standardise(features[rows])
    return standardised


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
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        card = json.loads(str(arrays.pop("card")))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is no emotion model: fit it again with notebook 09") from error
    if (card.get("format"), card.get("features")) != (_FORMAT, len(FUNCTIONALS)):
        raise ModelError(f"{path} was made by another version: fit it again with notebook 09")
    networks = tuple(_load_network(arrays, number) for number in range(card["networks"]))
    linear = (
        LinearModel(arrays[f"{name}.weights"], arrays[f"{name}.bias"])
        for name in ("alone", "against_baseline")
    )
    return EmotionModel(arrays["classes"], *linear, networks)


def _load_network(arrays: dict[str, np.ndarray], number: int):
    from helpers.network import TrainedNetwork

    prefix = f"network_{number}."
    own = {name.removeprefix(prefix): value for name, value in arrays.items() if prefix in name}
    return TrainedNetwork.from_arrays(own)


def _fit_networks(variants, labels, speakers, networks, epochs, seed) -> tuple:
    if networks is None:
        networks = int(find_spec("torch") is not None)
    if not networks:
        return ()
    from helpers.network import EPOCHS, train_network

    spectra = [[item.values[:MEL_BANDS] for item in variant] for variant in variants]
    train = partial(
        train_network,
        spectra,
        labels,
        speakers,
        classes=len(np.unique(labels)),
        epochs=epochs or EPOCHS,
    )
    return tuple(train(seed=seed + number) for number in range(networks))


def _check(table: pd.DataFrame) -> None:
    if missing := {"path", "emotion", "speaker"} - set(table.columns):
        raise CallEmotionError(
            f"the table lacks {sorted(missing)}; expected path, emotion and speaker, as "
            "load_corpus gives them"
        )
    if table["emotion"].nunique() < 2:
        raise CallEmotionError(
            f"the table holds {table['emotion'].unique().tolist()}; expected two emotions or more"
        )


def _read(path: Path | str) -> np.ndarray:
    with open_recording(path) as recording:
        signal = to_mono(recording.read(start_s=0, duration_s=recording.duration_s))
        if recording.sampling_rate == TELEPHONE_RATE:
            return signal
        return simulate_telephone(signal, recording.sampling_rate, codec="none", band=False)


def _hear(path: Path | str, seed: int, *, telephone: bool) -> list[Frames]:
    clean = _read(path)
    if not telephone:
        return [describe_frames(clean, TELEPHONE_RATE)]
    lines = (
        simulate_telephone(clean, TELEPHONE_RATE),
        clean,
        random_telephone(clean, TELEPHONE_RATE, seed=seed),
    )
    return [describe_frames(signal, TELEPHONE_RATE) for signal in lines]


def _baselines(speakers: Sequence[str] | None) -> list[np.ndarray]:
    if speakers is None:
        return []
    names = np.asarray(speakers)
    rows = (np.flatnonzero(names == name) for name in np.unique(names))
    return [each for each in rows if len(each) >= BASELINE_UTTERANCES]


def _log_softmax(values: np.ndarray) -> np.ndarray:
    values = values - values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))
