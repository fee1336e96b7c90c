"""A part of the training data with speakers of its own, to stop a training in time."""

import numpy as np

from helpers.errors import CallEmotionError
from helpers.evaluation import divide

PARTS = 5
"""One in so many speakers is held out."""


def hold_out(
    labels: np.ndarray, groups: np.ndarray | None = None, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Divide training rows into those to learn from and those to see when it is enough.

    Args:
        labels: class of each row
        groups: speaker or customer of each row, never in both parts; each row is of its own where
            they are missing
        seed: of the division

    Returns:
        numbers of the rows to learn from, among which is every class, and of those held out; with
        too few speakers to hold some out, all rows and none
    """
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    try:
        return divide(labels, groups=groups, split="customer", folds=PARTS, seed=seed)[0]
    except CallEmotionError:
        return np.arange(len(labels)), np.arange(0)
