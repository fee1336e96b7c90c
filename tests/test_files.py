import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import TableError
from helpers.files import read_csv, remove_parts, replacing, write_bytes, write_csv, write_json

COLUMNS = {"path": str, "calls": int, "seconds": float, "is_retrained": bool}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ROWS = st.lists(
    st.tuples(
        TEXTS,
        st.integers(-(2**53), 2**53),
        st.integers(-(10**10), 10**12).map(lambda millionths: millionths / 10**6),
        st.booleans(),
    )
)


def test_what_replaces_a_file_appears_whole_in_a_new_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    with replacing(path) as part:
        part.write_bytes(b"content")
        assert part.parent == path.parent
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_bytes(b"ha")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_was_written(tmp_path):
    write_bytes(tmp_path / "table.csv", b"content")
    assert (tmp_path / "table.csv").stat().st_mode & 0o777 == 0o644


def test_a_file_that_already_holds_the_content_is_not_touched(tmp_path):
    path = tmp_path / "table.csv"
    write_bytes(path, b"content")
    before = path.stat()
    write_bytes(path, b"content")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    write_bytes(path, b"changed")
    assert path.read_bytes() == b"changed"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "NA",
        "null",
        "007",
        "1e5",
        " space around ",
        'quo"ted',
        "it's, she said",
        "a;b\tc",
        "new\nline",
        "carriage\rreturn",
        "Icon\r",
        "both\r\n",
        "\r",
        "\u8bdd \U0001f600 \u0444.wav",
        "\ufeffmark",
        "back\\slash",
    ],
)
def test_a_table_keeps_any_name(tmp_path, name):
    table = pd.DataFrame({"path": [name, "z"], "calls": 1, "seconds": 0.5, "is_retrained": True})
    write_csv(tmp_path / "table.csv", table)
    assert read_csv(tmp_path / "table.csv", COLUMNS)["path"].tolist() == [name, "z"]


@given(ROWS)
def test_every_table_is_read_as_it_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(
        {name: kind for name, kind in COLUMNS.items() if kind is not str}
    )
    write_csv(path, table)
    read = read_csv(path, COLUMNS)
    assert list(read.itertuples(index=False, name=None)) == rows
    assert [kind.kind for kind in read.dtypes[["calls", "seconds", "is_retrained"]]] == [
        "i",
        "f",
        "b",
    ]


def test_a_missing_table_is_empty_and_has_its_columns(tmp_path):
    table = read_csv(tmp_path / "none.csv", COLUMNS)
    assert table.empty
    assert list(table.columns) == list(COLUMNS)


def test_columns_are_filled_in_and_unknown_ones_dropped(tmp_path):
    (tmp_path / "table.csv").write_text("comment,path\nmine,a.wav\n")
    table = read_csv(tmp_path / "table.csv", {"path": str, "customer": str})
    assert table.to_dict("records") == [{"path": "a.wav", "customer": ""}]


def test_json_is_readable_and_comes_back(tmp_path):
    content = {"name": "\u8bdd", "counts": [1, 2.5, None]}
    write_json(tmp_path / "content.json", content)
    text = (tmp_path / "content.json").read_text("utf-8")
    assert "\u8bdd" in text
    assert json.loads(text) == content


def test_only_unfinished_files_are_removed(tmp_path):
    unfinished = tmp_path / "folder" / ".abc.part"
    folder = tmp_path / ".folder.part"
    kept = [tmp_path / "a.wav", tmp_path / "a.part", tmp_path / ".hidden", folder / "b.wav"]
    for file in (unfinished, *kept):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    remove_parts(tmp_path)
    assert not unfinished.exists()
    assert all(file.is_file() for file in kept)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"path;calls\na.wav;1\n",
        "path,calls\n\u00e9,1\n".encode("utf-16"),
        b"\xff\xfe,\0",
    ],
)
def test_a_table_saved_in_another_format_says_how_to_save_it(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"table\.csv is not the table .* save it as CSV in UTF-8"):
        read_csv(path, COLUMNS)


@pytest.mark.parametrize(("cell", "value"), [("True", True), ("TRUE", True), ("FALSE", False)])
def test_switches_are_read_as_spreadsheets_write_them(tmp_path, cell, value):
    (tmp_path / "table.csv").write_text(f"path,learned\na.wav,{cell}\n")
    table = read_csv(tmp_path / "table.csv", {"path": str, "learned": bool})
    assert table["learned"].tolist() == [value]


@pytest.mark.parametrize(
    "content",
    ["path,learned,count\na,perhaps,1\n", "path,learned,count\na,True,many\n", "path\na\n"],
)
def test_a_value_nobody_can_read_is_an_error_and_never_a_no(tmp_path, content):
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(TableError, match=r"table\.csv"):
        read_csv(tmp_path / "table.csv", {"path": str, "learned": bool, "count": int})
