"""What must not change a verdict: a recording's level, and a customer who simply speaks loudly."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from joblib import Parallel, delayed

from helpers.audio import open_recording
from helpers.classifiers import make_classifier
from helpers.conversation.customer import read_customer
from helpers.conversation.roles import CUSTOMER
from helpers.dataset import Dataset
from helpers.evaluation import divide, fit_model, group_segments
from helpers.features import FeatureSet
from helpers.progress import progress
from helpers.workspace import Workspace

LOUD_DB = 8.0
"""So much louder than they were recorded the customers of `a loud customer` speak all along."""

FOLDS_USED = 1
"""Calls of so many of the folds are changed: each has to be listened to anew, again and again."""

Change = Callable[[np.ndarray, int, pd.DataFrame], np.ndarray]


def turn_up(decibels: float) -> Change:
    """Make the change that turns a whole call up or down; what is too loud clips."""
    return lambda channels, sampling_rate, turns: channels * 10 ** (decibels / 20)


def raise_customer(channels: np.ndarray, sampling_rate: int, turns: pd.DataFrame) -> np.ndarray:
    """Let the customer speak `LOUD_DB` louder from beginning to end.

    Args:
        channels: shape (channels, samples)
        sampling_rate: in Hz
        turns: who really speaks when
    """
    gain = np.ones(channels.shape[1])
    for turn in turns[turns["speaker"] == CUSTOMER].itertuples():
        span = slice(round(turn.start_s * sampling_rate), round(turn.end_s * sampling_rate))
        gain[span] = 10 ** (LOUD_DB / 20)
    return channels * gain


CHANGES: dict[str, Change] = {
    "12 dB down": turn_up(-12.0),
    "12 dB up": turn_up(12.0),
    "a loud customer": raise_customer,
}
"""Changes that leave a call's mood as it is."""


def count_changes(
    calls: Dataset,
    workspace: Workspace,
    feature_sets: Mapping[str, FeatureSet],
    truth: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Count the verdicts that a change of the sound changes, by a model that has not heard them.

    Args:
        calls: the deciding segments, described as the customer alone
        workspace: holds the recordings
        feature_sets: how each call is described, by path
        truth: who really speaks when, by path; only the change itself uses it

    Returns:
        one row a change: `change`, `calls`, `changed` (share)
    """
    groups = group_segments(calls, "customer")
    folds = divide(calls.labels, groups=groups, split="customer")[:FOLDS_USED]
    changed: dict[str, list[bool]] = {name: [] for name in CHANGES}
    for train, test in folds:
        model = fit_model(
            make_classifier(), calls.features[train], calls.labels[train], groups=groups[train]
        )
        before = model.predict(calls.features[test])
        paths = calls.segments["path"].iloc[test].tolist()
        for name, change in CHANGES.items():
            jobs = (
                delayed(_describe)(workspace.folder / path, feature_sets[path], truth[path], change)
                for path in paths
            )
            rows = Parallel(n_jobs=-1, return_as="generator")(jobs)
            after = model.predict(np.stack(list(progress(rows, name, total=len(paths)))))
            changed[name] += (before != after).tolist()
    rows = [(name, len(each), round(float(np.mean(each)), 3)) for name, each in changed.items()]
    return pd.DataFrame(rows, columns=["change", "calls", "changed"])


def _describe(
    path: Path, feature_set: FeatureSet, turns: pd.DataFrame, change: Change
) -> np.ndarray:
    with open_recording(path) as recording:
        channels, sampling_rate = recording.read(), recording.sampling_rate
    other = np.clip(change(channels, sampling_rate, turns), -1, 1)
    with tempfile.TemporaryDirectory(prefix="call-emotion-") as folder:
        file = Path(folder) / "call.wav"
        soundfile.write(file, other.T, sampling_rate, subtype="PCM_16")
        alone = feature_set._replace(read=read_customer)
        return alone.describe(alone.read(file))[-1]
