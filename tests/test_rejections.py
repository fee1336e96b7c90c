import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.rejections import Rejection, read_rejections, record_rejections
from helpers.workspace import Workspace

STEP, OTHER = "01 conversion", "02 labels"


def reject(workspace, *paths: str, step: str = STEP, reason: str = "silent", below: str = ""):
    rejections = [Rejection(path, reason) for path in paths]
    return record_rejections(workspace, rejections, step=step, below=below)


def rows(workspace) -> list[list[str]]:
    return read_rejections(workspace).to_numpy().tolist()


def test_without_a_list_nothing_was_rejected(workspace):
    assert rows(workspace) == []


def test_a_step_that_rejects_nothing_still_leaves_a_list(workspace):
    assert reject(workspace).empty
    with workspace.rejected_files.open(newline="") as file:
        assert list(csv.reader(file)) == [["path", "reason", "step"]]


def test_a_step_replaces_its_own_rows_and_no_others(workspace):
    reject(workspace, "a.wav", "b.wav")
    reject(workspace, "a.wav", step=OTHER)
    reject(workspace, "c.wav", reason="too short")
    assert rows(workspace) == [["c.wav", "too short", STEP], ["a.wav", "silent", OTHER]]
    reject(workspace)
    assert rows(workspace) == [["a.wav", "silent", OTHER]]


@pytest.mark.parametrize(
    "below, kept",
    [
        ("", []),
        ("/calls", ["/calls2/a.wav", "/other/a.wav"]),
        ("/calls/a.zip", ["/calls/b.wav", "/calls2/a.wav", "/other/a.wav"]),
        ("/calls/b.wav", ["/calls/a.zip/a.wav", "/calls2/a.wav", "/other/a.wav"]),
        ("/calls/b", ["/calls/a.zip/a.wav", "/calls/b.wav", "/calls2/a.wav", "/other/a.wav"]),
        ("/nothing", ["/calls/a.zip/a.wav", "/calls/b.wav", "/calls2/a.wav", "/other/a.wav"]),
    ],
)
def test_only_rows_below_the_folder_are_replaced(workspace, below, kept):
    reject(workspace, "/calls/a.zip/a.wav", "/calls/b.wav", "/calls2/a.wav", "/other/a.wav")
    reject(workspace, "/calls/b.wav", step=OTHER)
    reject(workspace, below=below)
    expected = [[path, "silent", STEP] for path in kept]
    assert rows(workspace) == [*expected, ["/calls/b.wav", "silent", OTHER]]


def test_rows_are_sorted_by_step_path_and_reason(workspace):
    record_rejections(workspace, [Rejection("b", "2"), Rejection("b", "1")], step=OTHER)
    table = record_rejections(workspace, [Rejection("z", "1"), Rejection("a", "1")], step=STEP)
    assert table["path"].tolist() == ["a", "z"]
    assert rows(workspace) == [
        ["a", "1", STEP],
        ["z", "1", STEP],
        ["b", "1", OTHER],
        ["b", "2", OTHER],
    ]


def test_the_same_rejections_again_touch_nothing(workspace):
    reject(workspace, "b.wav", "a.wav")
    before = workspace.rejected_files.stat()
    reject(workspace, "a.wav", "b.wav")
    assert workspace.rejected_files.stat() == before


@pytest.mark.parametrize(
    "path",
    ["", " ", "NA", "007", "a,b.wav", '"a".wav', "a\nb.wav", "Icon\r", "a\r\nb", "звонок", "通話"],
)  # fmt: skip
def test_a_path_comes_back_as_it_was(workspace, path):
    reject(workspace, path, reason=f"because of {path}")
    assert rows(workspace) == [[path, f"because of {path}", STEP]]


@given(paths=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_any_path_comes_back_as_it_was(tmp_path_factory, paths):
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    reject(workspace, *paths)
    reject(workspace, "other", step=OTHER)
    expected = [[path, "silent", STEP] for path in sorted(paths)]
    assert rows(workspace) == [*expected, ["other", "silent", OTHER]]
    with workspace.rejected_files.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1:] == rows(workspace)
