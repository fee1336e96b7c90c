"""Calls on a plane: what sounds alike lies close together."""

import numpy as np

from helpers.errors import CallEmotionError

PCA_MAP, UMAP_MAP = "pca", "umap"
"""Ways to draw a map: the two strongest components, or neighbours of neighbours."""

NEIGHBOURS = 15
"""Calls that UMAP keeps beside each call."""


def lay_out(points: np.ndarray, *, method: str = PCA_MAP, seed: int = 0) -> np.ndarray:
    """Give each call a place on a plane.

    Distances between far dots mean something in the map of principal components only; UMAP
    (McInnes et al. 2018) keeps neighbours together and pulls everything else apart, so that any
    cloud looks like islands.

    Args:
        points: shape (calls, components), principal components, the strongest first
        method: `PCA_MAP` or `UMAP_MAP`
        seed: of UMAP

    Returns:
        shape (calls, 2)

    Raises:
        CallEmotionError: where the method is neither
        ImportError: where UMAP is asked for and not installed
    """
    if method == PCA_MAP:
        return np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))
    if method == UMAP_MAP:
        neighbours = min(NEIGHBOURS, len(points) - 1)
        umap = _find_umap()
        return umap.UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(points)
    raise CallEmotionError(f"the map {method!r} is unknown, expected {PCA_MAP} or {UMAP_MAP}")


def _find_umap():
    try:
        import umap
    except ImportError as error:
        raise ImportError(
            "the map by UMAP needs umap-learn, which is not installed: make zoo "
            "(pip install -r requirements-zoo.txt), or choose the map pca"
        ) from error
    return umap
