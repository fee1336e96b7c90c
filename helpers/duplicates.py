"""Recordings that are in a corpus twice, under one name or under two."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

DUPLICATE_CORRELATION = 0.9
"""Recordings whose standardised features correlate more than this are the same recording."""

COPY_CORRELATION = 0.7
"""More than this, and a recording is taken for a copy in another encoding.

Of 120 calls of real voices no two correlate more than 0.68. Copies as A-law or at half the level
do, 9 in 10 of those as MP3 or ADPCM, half of those as GSM.
"""


def find_copies(features: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """Say which recordings are nearly the same as one of others, such as another encoding of it.

    Args:
        features: shape (recordings, features)
        originals: shape (other recordings, features)

    Returns:
        shape (recordings,), bool; of a single recording and a single other nothing can be told
    """
    if not len(features) or not len(originals):
        return np.zeros(len(features), dtype=bool)
    both = np.concatenate([originals, features])
    scaled = (both - both.mean(axis=0)) / (both.std(axis=0) + 1e-9)
    scaled -= scaled.mean(axis=1, keepdims=True)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True) + 1e-12
    correlations = scaled[len(originals) :] @ scaled[: len(originals)].T
    return correlations.max(axis=1) > COPY_CORRELATION


def join_duplicates(groups: Sequence[str], features: np.ndarray) -> np.ndarray:
    """Join the groups of which recordings are nearly the same, so that no copy is on both sides.

    Args:
        groups: name of each recording's group
        features: shape (recordings, features)

    Returns:
        names of the joined groups: the first name, in alphabetical order, of those joined
    """
    names, numbers = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    scaled = scaled - scaled.mean(axis=1, keepdims=True)
    search = NearestNeighbors(radius=1 - DUPLICATE_CORRELATION, metric="cosine").fit(scaled)
    neighbours = search.radius_neighbors(return_distance=False)
    first = np.repeat(np.arange(len(features)), [len(each) for each in neighbours])
    second = np.concatenate(neighbours).astype(int)
    links = coo_array(
        (np.ones(len(first)), (numbers[first], numbers[second])), shape=(len(names),) * 2
    )
    _, joined = connected_components(links, directed=False)
    leaders = {}
    for name, component in zip(names, joined, strict=True):
        leaders.setdefault(component, name)
    return np.array([leaders[joined[number]] for number in numbers], dtype=object)
