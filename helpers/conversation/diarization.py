"""Telling two voices apart in one channel."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from helpers.conversation.speaker_embedding import Encoder, find_encoder

LONGEST_S = 2.5
"""A longer burst is cut in equal pieces, each of which has one voice."""

CLEAR = 0.8
"""From this share of the way between the voices' middle and one of them, a piece is clearly its."""

ALIKE = 0.8
"""Two groups with a higher cosine similarity are taken for one voice (network only)."""

LEAST_PIECES = 4
"""With fewer pieces two voices cannot be told from one that changes."""

OPENING_S = 1.0
"""The voice that speaks first is the one that has most of the first so many seconds of speech."""

ROUNDS = 20


class Voices(NamedTuple):
    """Pieces of speech and whose they are.

    Attributes:
        spans: beginnings and ends in seconds, shape (pieces, 2)
        voice: 0 for the voice that speaks first, else 1, shape (pieces,)
        confidence: probability that a piece is of its voice, 0.5 to 1, shape (pieces,)
        heard: how many voices there are: 1 or 2, 0 without any speech
    """

    spans: np.ndarray
    voice: np.ndarray
    confidence: np.ndarray
    heard: int


def separate_voices(
    signal: np.ndarray, sampling_rate: int, *, spans: np.ndarray, encoder: Encoder | None = None
) -> Voices:
    """Divide speech between two voices.

    Pieces are divided along the direction in which their vectors differ most, then moved to the
    nearer of the two means until nothing changes (k-means, Lloyd 1982, started at the principal
    component, Ding and He 2004), longer pieces counting more.

    Args:
        signal: mono, shape (samples,)
        sampling_rate: of the signal, in Hz
        spans: of speech, beginnings and ends in seconds, shape (bursts, 2)
        encoder: the best that is installed by default

    Returns:
        the pieces; where there are too few of them, or the two groups are alike, one voice
    """
    encoder = encoder or find_encoder()
    pieces = _cut(spans)
    if len(pieces) < LEAST_PIECES:
        return _one_voice(pieces)
    vectors = encoder.encode(signal, sampling_rate, pieces)
    weights = pieces[:, 1] - pieces[:, 0]
    voice = _divide(vectors, weights)
    if voice.min() == voice.max():
        return _one_voice(pieces)
    means = _means(vectors, weights, voice)
    if encoder.similar and _cosine(*means) > ALIKE:
        return _one_voice(pieces)
    confidence = 0.5 + (encoder.reliability - 0.5) * np.minimum(_margin(vectors, means) / CLEAR, 1)
    return Voices(pieces, voice ^ _first(voice, confidence, weights), confidence, 2)


def _cut(spans: np.ndarray) -> np.ndarray:
    pieces = []
    for start_s, end_s in spans:
        count = max(int(np.ceil((end_s - start_s) / LONGEST_S)), 1)
        edges = np.linspace(start_s, end_s, count + 1)
        pieces += pairwise(edges)
    return np.array(pieces, float).reshape(-1, 2)


def _one_voice(pieces: np.ndarray) -> Voices:
    return Voices(
        pieces, np.zeros(len(pieces), int), np.full(len(pieces), 0.5), int(bool(len(pieces)))
    )


def _divide(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    centred = vectors - np.average(vectors, axis=0, weights=weights)
    directions = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)[2]
    voice = (centred @ directions[0] > 0).astype(int)
    for _ in range(ROUNDS):
        if voice.min() == voice.max():
            break
        first, second = _means(vectors, weights, voice)
        nearer = np.square(vectors - second).sum(axis=1) < np.square(vectors - first).sum(axis=1)
        if (nearer == voice).all():
            break
        voice = nearer.astype(int)
    return voice


def _first(voice: np.ndarray, confidence: np.ndarray, weights: np.ndarray) -> int:
    opening = np.cumsum(weights) - weights < OPENING_S
    votes = (confidence - 0.5) * weights
    return int(votes[opening & (voice == 1)].sum() > votes[opening & (voice == 0)].sum())


def _means(vectors: np.ndarray, weights: np.ndarray, voice: np.ndarray) -> list[np.ndarray]:
    return [
        np.average(vectors[voice == each], axis=0, weights=weights[voice == each])
        for each in (0, 1)
    ]


def _margin(vectors: np.ndarray, means: list[np.ndarray]) -> np.ndarray:
    """Distance from the middle between two means, in units of half their distance."""
    between = means[1] - means[0]
    half = between @ between / 2
    return np.abs((vectors - (means[0] + means[1]) / 2) @ between) / max(half, 1e-12)


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-12))
