import pickle

import numpy as np
import pytest
import soundfile
from conftest import make_voice, write_call

from helpers.dataset import build_dataset, cached_features, load_dataset, npy_bytes
from helpers.errors import AudioError, MissingStepError
from helpers.features import PHONE, call_features
from helpers.records import build_records, read_records
from helpers.rejections import read_rejections
from helpers.workspace import Workspace

LONG, SHORT = "dataset/average/long.wav", "dataset/satisfied/short.wav"


@pytest.fixture
def workspace(workspace) -> Workspace:
    """A workspace with a long and a short call of the archive, and one of the form."""
    write_call(workspace.folder / LONG, 46, seed=0)
    write_call(workspace.folder / SHORT, 1.5, seed=1, sampling_rate=16_000)
    write_call(workspace.audio_data / "form_unsat.wav", 1.5, seed=2)
    build_records(workspace)
    return workspace


def cache_files(workspace) -> list:
    return sorted(workspace.feature_cache.rglob("*.*"))


def cache_file(workspace, path: str):
    records = read_records(workspace).set_index("path")
    content_hash = records["content_hash"][path]
    return workspace.feature_cache / PHONE.name / f"{content_hash}.npy"


def state(workspace) -> dict[str, tuple[bytes, int]]:
    files = (path for path in workspace.folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_the_dataset_has_one_row_per_segment_of_the_archive(workspace):
    dataset = build_dataset(workspace)
    assert (dataset.features.shape, dataset.features.dtype) == ((3, len(PHONE.names)), np.float32)
    expected = np.concatenate([call_features(workspace.folder / path) for path in (LONG, SHORT)])
    np.testing.assert_array_equal(dataset.features, expected)
    assert dataset.labels.tolist() == ["average", "average", "satisfied"]
    hashes = read_records(workspace).set_index("path")["content_hash"]
    columns = ["path", "status", "kind", "start_s", "duration_s", "content_hash", "customer",
               "agent", "gender", "line", "sampling_rate", "call_duration_s"]  # fmt: skip
    assert list(dataset.segments) == columns
    unknown = ["", "", ""]
    assert dataset.segments.to_numpy().tolist() == [
        [LONG, "average", "start", 0.0, 20.0, hashes[LONG], *unknown, "8 kHz mono", 8000, 46.0],
        [LONG, "average", "end", 21.0, 25.0, hashes[LONG], *unknown, "8 kHz mono", 8000, 46.0],
        [SHORT, "satisfied", "whole", 0.0, 1.5, hashes[SHORT], *unknown, "16 kHz mono", 16_000,
         1.5],
    ]  # fmt: skip


def test_what_is_known_of_a_call_is_known_of_its_segments(workspace):
    records = read_records(workspace).assign(customer="Ann", agent="Zoe", gender="f", line="mobile")
    records.to_csv(workspace.records, index=False)
    segments = build_dataset(workspace).segments
    known = segments[["customer", "agent", "gender", "line"]].to_numpy().tolist()
    assert known == [["Ann", "Zoe", "f", "mobile"]] * 3


def test_records_from_before_the_details_are_read(workspace):
    records = read_records(workspace).drop(columns=["agent", "gender", "line"])
    records.assign(customer="Ann").to_csv(workspace.records, index=False)
    segments = build_dataset(workspace).segments
    known = segments[["customer", "agent", "gender", "line"]].to_numpy().tolist()
    assert known == [["Ann", "", "", ""]] * 3


@pytest.mark.parametrize(
    "kinds, rows",
    [((), []), (("end",), [1]), (("end", "whole"), [1, 2]), (("whole", "start", "end"), [0, 1, 2])],
)
def test_only_keeps_features_and_segments_together(workspace, kinds, rows):
    dataset = build_dataset(workspace)
    kept = dataset.only(kinds)
    np.testing.assert_array_equal(kept.features, dataset.features[rows])
    assert kept.segments.equals(dataset.segments.iloc[rows].reset_index(drop=True))
    assert kept.labels.tolist() == dataset.labels[rows].tolist()


def test_the_arrays_are_exported_without_pickled_objects(workspace):
    dataset = build_dataset(workspace)
    data = np.load(workspace.feature_data, allow_pickle=False)
    labels = np.load(workspace.feature_labels, allow_pickle=False)
    assert (data.dtype, labels.dtype.kind) == (np.float32, "U")
    np.testing.assert_array_equal(data, dataset.features)
    assert labels.tolist() == ["average", "average", "satisfied"]


def test_the_pickles_hold_what_the_earlier_notebook_wrote(workspace):
    dataset = build_dataset(workspace)
    features = pickle.loads(workspace.features.read_bytes())
    assert list(features) == ["data", "labels"]
    np.testing.assert_array_equal(features["data"], dataset.features)
    assert features["labels"] == ["average", "average", "satisfied"]
    assert {type(label) for label in features["labels"]} == {str}
    segments = pickle.loads(workspace.segments_info.read_bytes())
    keys = ("original_file", "status", "segment_type", "path", "sample_rate", "original_duration")
    assert [tuple(segment[key] for key in keys) for segment in segments] == [
        ("long.wav", "average", "start", LONG, 8000, 46.0),
        ("long.wav", "average", "end", LONG, 8000, 46.0),
        ("short.wav", "satisfied", "whole", SHORT, 16_000, 1.5),
    ]
    assert {type(segment) for segment in segments} == {dict}


def test_the_calls_of_the_form_are_left_out(workspace):
    dataset = build_dataset(workspace)
    assert len(read_records(workspace)) == 3
    assert set(dataset.segments["path"]) == {LONG, SHORT}
    assert not cache_file(workspace, "audio_data/form_unsat.wav").exists()


def test_loading_gives_what_was_built(workspace):
    built, loaded = build_dataset(workspace), load_dataset(workspace)
    np.testing.assert_array_equal(loaded.features, built.features)
    assert loaded.segments.equals(built.segments)


def test_a_rerun_changes_no_file(workspace):
    build_dataset(workspace)
    before = state(workspace)
    build_dataset(workspace)
    assert state(workspace) == before


def test_a_recording_is_not_read_again_once_its_features_are_there(workspace):
    expected = build_dataset(workspace).features
    for path in (LONG, SHORT):
        (workspace.folder / path).write_text("no sound")
    np.testing.assert_array_equal(load_dataset(workspace).features, expected)
    np.testing.assert_array_equal(build_dataset(workspace).features, expected)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no array",
        lambda content: content[:100],
        lambda content: content[:-4],
        lambda content: npy_bytes(np.zeros((1, 179), np.float32)),
        lambda content: npy_bytes(np.float32(0)),
        lambda content: b"\x80\x04N.",
    ],
)
def test_damaged_features_are_computed_again(workspace, damage):
    expected = build_dataset(workspace).features
    file = cache_file(workspace, SHORT)
    content = file.read_bytes()
    file.write_bytes(damage(content))
    with pytest.raises(MissingStepError, match=rf"{SHORT} has no features yet: run notebook 03"):
        load_dataset(workspace)
    np.testing.assert_array_equal(build_dataset(workspace).features, expected)
    assert file.read_bytes() == content


def test_a_moved_recording_keeps_its_features_and_gets_its_new_status(workspace):
    build_dataset(workspace)
    before = {file: file.stat().st_mtime_ns for file in cache_files(workspace)}
    (workspace.folder / "dataset/unsatisfied").mkdir()
    (workspace.folder / SHORT).rename(workspace.folder / "dataset/unsatisfied/moved.wav")
    build_records(workspace)
    dataset = build_dataset(workspace)
    assert dataset.labels.tolist() == ["average", "average", "unsatisfied"]
    assert {file: file.stat().st_mtime_ns for file in cache_files(workspace)} == before


@pytest.mark.parametrize("samples, kinds", [(360_000, ["whole"]), (360_001, ["start", "end"])])
def test_a_call_of_45_seconds_to_the_sample_has_as_many_features_as_segments(
    workspace, samples, kinds
):
    path = workspace.folder / "dataset" / "average" / "edge.wav"
    soundfile.write(path, make_voice(46, seed=5)[:samples], 8000)
    build_records(workspace)
    dataset = build_dataset(workspace)
    assert len(dataset.features) == len(dataset.segments)
    edge = dataset.segments["path"].str.endswith("edge.wav")
    assert dataset.segments["kind"][edge].tolist() == kinds
    np.testing.assert_array_equal(dataset.features[edge], call_features(path))


def test_without_records_notebook_02_is_asked_for(workspace):
    workspace.records.unlink()
    with pytest.raises(MissingStepError, match="run notebook 02 first"):
        build_dataset(workspace)


def test_without_features_notebook_03_is_asked_for(workspace):
    with pytest.raises(MissingStepError, match=rf"{LONG} has no features yet: run notebook 03"):
        load_dataset(workspace)


def test_without_any_archived_call_the_way_out_is_said(workspace):
    for path in (LONG, SHORT):
        (workspace.folder / path).unlink()
    build_records(workspace)
    with pytest.raises(MissingStepError, match="no call to train on yet: run notebooks 01 to 04"):
        build_dataset(workspace)
    assert not workspace.feature_data.exists()


def test_features_of_one_recording_are_computed_once(workspace):
    path = "audio_data/form_unsat.wav"
    features = cached_features(workspace, path, "hash", feature_set=PHONE)
    np.testing.assert_array_equal(features, call_features(workspace.folder / path))
    (workspace.folder / path).unlink()
    again = cached_features(workspace, path, "hash", feature_set=PHONE)
    np.testing.assert_array_equal(again, features)
    with pytest.raises(AudioError, match="no such file"):
        cached_features(workspace, path, "other hash", feature_set=PHONE)
    assert [file.name for file in cache_files(workspace)] == ["hash.npy"]


@pytest.mark.parametrize(
    "array", [np.zeros((0, 180)), np.arange(6.0).reshape(2, 3).T, np.array(["average", "é"])]
)
def test_an_array_comes_back_from_its_bytes(tmp_path, array):
    (tmp_path / "array.npy").write_bytes(npy_bytes(array))
    read = np.load(tmp_path / "array.npy", allow_pickle=False)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_an_array_of_objects_is_not_written():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        npy_bytes(np.array(["average", None], dtype=object))


def test_a_call_on_hold_at_both_ends_is_listed_and_stops_nothing(workspace):
    signal = np.zeros(70 * 8000, dtype=np.float32)
    signal[30 * 8000 : 35 * 8000] = make_voice(5)
    path = workspace.folder / "dataset/average/hold.wav"
    soundfile.write(path, signal, 8000)
    build_records(workspace)
    dataset = build_dataset(workspace)
    assert set(dataset.segments["path"]) == {LONG, SHORT}
    assert load_dataset(workspace).segments.equals(dataset.segments)
    rejected = read_rejections(workspace).set_index("step").loc["03 features"]
    assert rejected["path"] == "dataset/average/hold.wav"
    assert rejected["reason"].startswith("silent: nothing is heard in the segments")
    before = state(workspace)
    build_dataset(workspace)
    assert state(workspace) == before
