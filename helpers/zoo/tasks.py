"""What is asked of a voice: eight emotions, or the six and seven that others report, or upset."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from helpers.emotion import UPSET
from helpers.emotions import EMOTIONS
from helpers.errors import CallEmotionError


class Task(NamedTuple):
    """A way to name recordings for a classifier.

    Attributes:
        name: in tables
        classes: their names, in the order of tables
        renamed: class of each emotion; recordings of any other emotion are left out
        ceiling: key of `helpers.evaluation.CEILINGS`
    """

    name: str
    classes: tuple[str, ...]
    renamed: Mapping[str, str]
    ceiling: str = "emotions"

    def take(self, emotions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the numbers of the recordings that are asked about, and the class of each.

        Raises:
            CallEmotionError: where fewer than two classes are among them
        """
        rows = np.flatnonzero([emotion in self.renamed for emotion in emotions])
        labels = np.array([self.renamed[emotions[row]] for row in rows], dtype=str)
        if len(np.unique(labels)) < 2:
            raise CallEmotionError(
                f"the corpus holds {sorted(set(emotions))}, too little for the task "
                f"{self.name!r}, which needs two or more of {', '.join(self.classes)}"
            )
        return rows, labels


def find_task(name: str) -> Task:
    """Look a task up by name.

    Raises:
        CallEmotionError: where there is none of that name
    """
    known = {task.name: task for task in TASKS}
    if name not in known:
        raise CallEmotionError(f"there is no task {name!r}; there are: {', '.join(known)}")
    return known[name]


def _emotions(name: str, *left_out: str, **renamed: str) -> Task:
    kept = {each.name: renamed.get(each.name, each.name) for each in EMOTIONS}
    kept = {emotion: word for emotion, word in kept.items() if emotion not in left_out}
    return Task(name, tuple(dict.fromkeys(kept.values())), kept)


_NAMES = tuple(emotion.name for emotion in EMOTIONS)

TASKS = (
    _emotions("all emotions"),
    _emotions("7 emotions", "bored", calm="neutral"),
    _emotions("6 emotions", "bored", "surprised", calm="neutral"),
    Task(
        "upset or not",
        ("upset", "not upset"),
        {name: "upset" if name in UPSET else "not upset" for name in _NAMES},
        "upset",
    ),
)
"""Every task: calm counts as neutral among seven, as in Pepino et al. 2021, and among the six of
CREMA-D; in the last, anger, disgust, fear and sadness are upset."""
