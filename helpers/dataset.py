"""From records to a feature matrix: segments by features, computed once per recording."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.call_emotions import emotion_feature_set
from helpers.conversation.listening import as_listened
from helpers.customers import DETAILS
from helpers.emotion_store import load_emotion_model
from helpers.errors import AudioError, MissingStepError
from helpers.features import PHONE, FeatureSet, call_features
from helpers.files import write_bytes
from helpers.progress import progress
from helpers.records import ARCHIVE, read_records
from helpers.rejections import Rejection, record_rejections
from helpers.segments import split_call
from helpers.workspace import Workspace

VERDICT_KINDS = ("end", "whole")
"""Segments that decide a call's status: how it ended, or all of a short call."""

STEP = "03 features"
"""Name of this step in `rejected_files.csv`."""

_PICKLE_PROTOCOL = 4


@dataclass(frozen=True)
class Dataset:
    """Feature matrix and what each row is.

    Attributes:
        features: shape (segments, features), float32
        segments: one row per row of `features`, with the columns `path, status, kind, start_s,
            duration_s, content_hash, customer, agent, gender, line, sampling_rate,
            call_duration_s`
    """

    features: np.ndarray
    segments: pd.DataFrame

    @property
    def labels(self) -> np.ndarray:
        """Status of each row."""
        return self.segments["status"].to_numpy(dtype=str)

    def only(self, kinds: tuple[str, ...]) -> "Dataset":
        """Keep the rows whose segment is of one of these kinds."""
        rows = self.segments["kind"].isin(kinds).to_numpy()
        return Dataset(self.features[rows], self.segments[rows].reset_index(drop=True))


def build_dataset(workspace: Workspace) -> Dataset:
    """Compute the features of every archived call and write them for people and programs.

    Calls of the form are left out: they enter through the feedback of notebook 06. Features that
    the cache holds for the same content are not computed again. A call whose segments cannot be
    used, such as one that is on hold at both ends, is listed in `rejected_files.csv`.

    Args:
        workspace: with `CallRecords.csv`

    Returns:
        the dataset, also written as `segments_info.pkl`, `feature_data.npy`,
        `feature_labels.npy` and `features.pkl`

    Raises:
        MissingStepError: where notebook 02 has not run, or found no call with a status
    """
    rejections = []
    feature_set = find_feature_set(workspace)
    none = npy_bytes(np.empty((0, len(feature_set.names)), np.float32))
    records = _archived(read_records(workspace))
    for record in progress(list(records.itertuples()), "Features"):
        try:
            cached_features(workspace, record.path, record.content_hash, feature_set=feature_set)
        except AudioError as error:
            rejections.append(Rejection(record.path, str(error)))
            write_bytes(_cache_path(workspace, record.content_hash, feature_set), none)
    record_rejections(workspace, rejections, step=STEP)
    dataset = load_dataset(workspace)
    segments_info = [_segment_info(segment) for segment in dataset.segments.itertuples()]
    labels = dataset.labels.tolist()
    write_bytes(workspace.segments_info, pickle.dumps(segments_info, _PICKLE_PROTOCOL))
    write_bytes(workspace.feature_data, npy_bytes(dataset.features))
    write_bytes(workspace.feature_labels, npy_bytes(dataset.labels))
    content = {"data": dataset.features, "labels": labels}
    write_bytes(workspace.features, pickle.dumps(content, _PICKLE_PROTOCOL))
    return dataset


def load_dataset(workspace: Workspace) -> Dataset:
    """Put the dataset together from `CallRecords.csv` and the feature cache.

    Returns:
        rows in the order of the records, then of the segments

    Raises:
        MissingStepError: where a call's features are not there yet, or no call has a status
    """
    records = _archived(read_records(workspace))
    if records.empty:
        raise MissingStepError(
            "there is no call to train on yet: run notebooks 01 to 04 first (make train), or see "
            "in rejected_files.csv why no recording of the zips could be used"
        )
    matrices, rows = [], []
    feature_set = find_feature_set(workspace)
    for record in records.itertuples():
        matrix = _read_cache(workspace, record.content_hash, feature_set)
        if matrix is None:
            raise MissingStepError(
                f"{record.path} has no features yet: run notebook 03 first (make train), also "
                "after a model of emotions was fitted or taken away"
            )
        matrices.append(matrix)
        if len(matrix):
            rows += [_segment_row(record, segment) for segment in split_call(record.duration_s)]
    return Dataset(np.concatenate(matrices), pd.DataFrame(rows))


def find_feature_set(workspace: Workspace) -> FeatureSet:
    """Say how this workspace describes calls.

    Returns:
        the phone features, with the answers of the workspace's model of emotions where there is
        one, of the customer alone where that was chosen

    Raises:
        ModelError: where that model cannot be used
        ImportError: where it holds a network and PyTorch is missing
    """
    feature_set = PHONE
    if workspace.voice_emotions.is_file():
        feature_set = emotion_feature_set(load_emotion_model(workspace.voice_emotions))
    return as_listened(workspace, feature_set)


def cached_features(
    workspace: Workspace, path: str, content_hash: str, *, feature_set: FeatureSet
) -> np.ndarray:
    """Return one recording's features, computing them where the cache does not hold them.

    Args:
        workspace: holds recording and cache
        path: of the recording, relative to the workspace
        content_hash: of the recording
        feature_set: the workspace's, see `find_feature_set`

    Returns:
        shape (segments, features)

    Raises:
        AudioError: where the recording cannot be used
    """
    matrix = _read_cache(workspace, content_hash, feature_set)
    if matrix is None or not len(matrix):
        matrix = call_features(workspace.folder / path, feature_set=feature_set)
        write_bytes(_cache_path(workspace, content_hash, feature_set), npy_bytes(matrix))
    return matrix


def npy_bytes(array: np.ndarray) -> bytes:
    """Encode an array as a .npy file without any pickled object in it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _archived(records: pd.DataFrame) -> pd.DataFrame:
    return records[records["source"] == ARCHIVE]


def _cache_path(workspace: Workspace, content_hash: str, feature_set: FeatureSet) -> Path:
    return workspace.feature_cache / feature_set.name / f"{content_hash}.npy"


def _read_cache(
    workspace: Workspace, content_hash: str, feature_set: FeatureSet
) -> np.ndarray | None:
    try:
        matrix = np.load(_cache_path(workspace, content_hash, feature_set), allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return matrix if matrix.shape[1:] == (len(feature_set.names),) else None


def _segment_row(record, segment) -> dict[str, object]:
    return {
        "path": record.path,
        "status": record.status,
        "kind": segment.kind,
        "start_s": round(segment.start_s, 3),
        "duration_s": round(segment.duration_s, 3),
        "content_hash": record.content_hash,
        **{column: getattr(record, column) for column in DETAILS},
        "sampling_rate": record.sampling_rate,
        "call_duration_s": record.duration_s,
    }


def _segment_info(segment) -> dict[str, object]:
    return {
        "original_file": segment.path.rsplit("/", 1)[-1],
        "status": segment.status,
        "segment_type": segment.kind,
        "path": segment.path,
        "sample_rate": segment.sampling_rate,
        "original_duration": segment.call_duration_s,
        "start_s": segment.start_s,
        "duration_s": segment.duration_s,
    }
