"""What emotion a voice shows: a model fitted to a corpus, light or with a network."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.emotions import EMOTIONS
from helpers.errors import CallEmotionError
from helpers.hearing import Heard, hear_corpus, hear_recordings

STRENGTH = 0.003
"""Inverse regularisation of the light model (scikit-learn's C), from trials on RAVDESS."""

BASELINE_UTTERANCES = 5
"""From this many utterances of a speaker on, each is compared with all of them."""

LIGHT_SHARE = 0.5
"""Weight of the light model's log-probabilities where there is a network, whose weight is 1."""

UPSET = tuple(emotion.name for emotion in EMOTIONS if emotion.upset)
"""Emotions of an upset voice."""


@dataclass(frozen=True)
class LinearModel:
    """A standardised multinomial logistic regression, as plain arrays; rare classes weigh more.

    Attributes:
        weights: shape (features, classes), float32, of features as they come
        bias: shape (classes,), float32
    """

    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, labels: np.ndarray) -> "LinearModel":
        """Fit to features of shape (utterances, features) and classes 0 to n - 1."""
        regression = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced")
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
        return self.predict_heard(hear_recordings(paths), speakers=speakers)

    def predict_heard(self, heard: Heard, *, speakers: Sequence[str] | None = None) -> np.ndarray:
        """Judge utterances that are described already; see `predict_proba`."""
        features = heard.features
        log_proba = LIGHT_SHARE * self.alone.log_proba(features)
        embeddings = [network.embed(heard.spectra) for network in self.networks]
        log_proba += _average_log(
            [
                network.predict_proba(embedding)
                for network, embedding in zip(self.networks, embeddings, strict=True)
            ]
        )
        for rows in _baselines(speakers):
            log_proba[rows] = LIGHT_SHARE * self.against_baseline.log_proba(
                standardise(features[rows])
            )
            log_proba[rows] += _average_log(
                [
                    network.predict_against_baseline(embedding[rows])
                    for network, embedding in zip(self.networks, embeddings, strict=True)
                ]
            )
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
        linear = (self.alone, self.against_baseline)
        arrays = [self.classes_, *(array for each in linear for array in vars(each).values())]
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
        CallEmotionError: see `check_table`
        AudioError: where a recording cannot be read
        ImportError: where networks are asked for and PyTorch is missing
    """
    check_table(table)
    heard = hear_corpus(table["path"].tolist(), telephone=telephone)
    return fit_heard(table, heard, networks=networks, epochs=epochs, seed=seed)


def fit_heard(
    table: pd.DataFrame,
    heard: dict[str, Heard],
    *,
    networks: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
) -> EmotionModel:
    """Fit a model to a corpus that `helpers.hearing.hear_corpus` has heard.

    Args:
        table: see `fit_emotion_model`
        heard: its recordings, in the same order, through each line that is trained on
        networks: see `fit_emotion_model`
        epochs: see `fit_emotion_model`
        seed: see `fit_emotion_model`

    Returns:
        see `fit_emotion_model`

    Raises:
        CallEmotionError: see `check_table`
        ImportError: where networks are asked for and PyTorch is missing
    """
    check_table(table)
    known = [emotion.name for emotion in EMOTIONS]
    classes = np.array(sorted(table["emotion"].unique(), key=known.index))
    labels = np.array([list(classes).index(emotion) for emotion in table["emotion"]])
    speakers = table["speaker"].to_numpy()
    features = [line.features for line in heard.values()]
    baselined = [standardise_speakers(matrix, speakers) for matrix in features]
    repeated = np.tile(labels, len(features))
    return EmotionModel(
        classes,
        LinearModel.fit(np.concatenate(features), repeated),
        LinearModel.fit(np.concatenate(baselined), repeated),
        _fit_networks(heard, labels, speakers, networks, epochs, seed),
    )


def check_table(table: pd.DataFrame) -> None:
    """Refuse a table that nothing can be learned from.

    Raises:
        CallEmotionError: where there are fewer than two emotions, one that is none of `EMOTIONS`,
            or a column is missing
    """
    if missing := {"path", "emotion", "speaker"} - set(table.columns):
        raise CallEmotionError(
            f"the table lacks {sorted(missing)}; expected path, emotion and speaker, as "
            "load_corpus gives them"
        )
    if unknown := set(table["emotion"]) - {emotion.name for emotion in EMOTIONS}:
        raise CallEmotionError(
            f"the table holds the emotions {sorted(unknown)}, which are none of "
            f"{', '.join(emotion.name for emotion in EMOTIONS)}"
        )
    if table["emotion"].nunique() < 2:
        raise CallEmotionError(
            f"the table holds {table['emotion'].unique().tolist()}; expected two emotions or more"
        )


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


def _fit_networks(heard, labels, speakers, networks, epochs, seed) -> tuple:
    if networks is None:
        networks = int(find_spec("torch") is not None)
    if not networks:
        return ()
    from helpers.network import EPOCHS, train_network

    train = partial(
        train_network,
        [line.spectra for line in heard.values()],
        labels,
        speakers,
        classes=len(np.unique(labels)),
        epochs=EPOCHS if epochs is None else epochs,
    )
    return tuple(train(seed=seed + number) for number in range(networks))


def _baselines(speakers: Sequence[str] | None) -> list[np.ndarray]:
    if speakers is None:
        return []
    names = np.asarray(speakers)
    rows = (np.flatnonzero(names == name) for name in np.unique(names))
    return [each for each in rows if len(each) >= BASELINE_UTTERANCES]


def _average_log(answers: list[np.ndarray]) -> np.ndarray | float:
    return np.mean([np.log(answer + 1e-6) for answer in answers], axis=0) if answers else 0.0


def _log_softmax(values: np.ndarray) -> np.ndarray:
    values = values - values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))
