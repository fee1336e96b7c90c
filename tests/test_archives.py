import io
import struct
import zipfile
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import write_call
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.archives import (
    Entry,
    check_entry,
    extract_entry,
    list_entries,
    open_archive,
    require_space,
)
from helpers.errors import ArchiveError

CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
NAMES = st.text(st.sampled_from("ab.:/\\ \0~\n\u8bdd"), max_size=12) | st.text(max_size=20)


def make_zip(path: Path, *files: tuple[str, bytes], compression=zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name)
            info.filename = name  # as written, whatever ZipInfo would make of it
            info.compress_type = compression
            archive.writestr(info, content)
    return path


def patch_zip(path: Path, *, central: int, local: int | None, value: bytes) -> Path:
    """Overwrite one field of the only entry, at its offsets in both of the entry's headers."""
    content = bytearray(path.read_bytes())
    for signature, offset in ((CENTRAL, central), (LOCAL, local)):
        if offset is not None:
            place = content.index(signature) + offset
            content[place : place + len(value)] = value
    path.write_bytes(content)
    return path


def unpack(path: Path, folder: Path) -> list[Path]:
    """Unpack a zip as the project does: list, check, extract."""
    files = []
    with open_archive(path) as archive:
        for number, entry in enumerate(list_entries(archive)):
            check_entry(entry)
            files.append(folder / f"{number}")
            extract_entry(archive, entry, files[-1])
    return files


def entry_named(name: str, mode: int = 0, **fields) -> Entry:
    values = {"flag_bits": 0, "file_size": 10, "compress_size": 10, **fields}
    return Entry(name, "", SimpleNamespace(external_attr=mode << 16, **values))


# Opening and listing


def _with_undecodable_name(content: bytes) -> bytes:
    start = content.index(CENTRAL)
    flags = struct.pack("<H", 0x800)  # the name is UTF-8
    return content[: start + 8] + flags + content[start + 10 :].replace(b"a.wav", b"\xff.wav")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"not a zip",
        lambda content: b"PK\x03\x04",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:-22],
        lambda content: content.replace(CENTRAL, b"PK\x01\x03"),
        lambda content: content[: content.index(CENTRAL)] + content[-22:],
        lambda content: _with_undecodable_name(content),
    ],
    ids=[
        *("empty", "text", "four bytes", "half", "last byte missing", "no directory"),
        *("directory damaged", "directory missing", "name damaged"),
    ],
)
def test_a_zip_with_a_broken_directory_is_not_opened(tmp_path, spoil):
    path = make_zip(tmp_path / "a.zip", ("a.wav", b"sound" * 50))
    path.write_bytes(spoil(path.read_bytes()))
    with (
        pytest.raises(ArchiveError, match=r"^the zip cannot be opened, .*; fetch it again$"),
        open_archive(path),
    ):
        pass


def test_a_missing_zip_and_a_folder_are_not_opened(tmp_path):
    (tmp_path / "folder.zip").mkdir()
    for name in ("missing.zip", "folder.zip"):
        with (
            pytest.raises(ArchiveError, match=r"^the zip cannot be opened"),
            open_archive(tmp_path / name),
        ):
            pass


def test_entries_are_listed_by_name_without_folders(tmp_path):
    names = ["b.wav", "a/", "a/c.wav", "A.WAV", "\u8bdd.wav", "a\\d.wav", "e\\"]
    path = make_zip(tmp_path / "a.zip", *((name, b"") for name in names))
    with open_archive(path) as archive:
        listed = [entry.name for entry in list_entries(archive)]
    assert listed == ["A.WAV", "a/c.wav", "a/d.wav", "b.wav", "\u8bdd.wav"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ("a.wav", "a.wav"),
        ("a.wav", "a.wav", "a.wav"),
        ("x/a.wav", "x\\a.wav"),
        ("a.wav", "a.wav", "a (2).wav"),
        ("a (2).wav", "a.wav", "a.wav"),
        ("a.wav (2)", "a.wav", "a.wav"),
        ("a", "a"),
        ("x.y/a", "x.y/a"),
    ],
)
def test_entries_of_the_same_name_are_all_kept_apart(tmp_path, names):
    files = [(name, str(number).encode()) for number, name in enumerate(names)]
    path = make_zip(tmp_path / "a.zip", *files)
    with open_archive(path) as archive:
        entries = list_entries(archive)
        contents = {archive.read(entry.info) for entry in entries}
    assert len({entry.name for entry in entries}) == len(contents) == len(names)
    assert {PurePosixPath(entry.name).suffix for entry in entries} <= {
        PurePosixPath(name).suffix for name in names
    }


def test_a_fingerprint_changes_with_the_content_only(tmp_path):
    contents = [b"sound", b"sound", b"noise", b"sounds"]
    prints = []
    for content in contents:
        path = make_zip(tmp_path / "a.zip", ("a.wav", content))
        with open_archive(path) as archive:
            prints += [entry.fingerprint for entry in list_entries(archive)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


# Checking


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../x.wav",
        "a/../../x.wav",
        "a/..",
        "/x.wav",
        "/etc/x.wav",
        "//server/share/x.wav",
        "C:/x.wav",
        "c:x.wav",
        "C:",
        "a\0b.wav",
    ],
)
def test_a_path_that_leads_outside_is_refused(name):
    with pytest.raises(ArchiveError, match=r"^its path leads outside the zip's folder; it was not"):
        check_entry(entry_named(name))


@pytest.mark.parametrize(
    "name",
    ["..\\x.wav", "a\\..\\..\\x.wav", "\\x.wav", "C:\\x.wav", "\\\\server\\share\\x.wav"],
)
def test_backslashes_lead_nowhere_either(tmp_path, name):
    path = make_zip(tmp_path / "a.zip", (name, b"sound"))
    with pytest.raises(ArchiveError, match=r"^its path leads outside"):
        unpack(path, tmp_path)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.wav", "a.wav"),
        ("./a/./b.wav", "a/b.wav"),
        ("a//b.wav", "a/b.wav"),
        ("..a/b...wav", "..a/b...wav"),
        ("~/a.wav", "~/a.wav"),
        ("call 10:30.wav", "call 10:30.wav"),
        ("10:30/a.wav", "10:30/a.wav"),
        ("new\nline, \u8bdd.wav", "new\nline, \u8bdd.wav"),
    ],
)
def test_a_path_inside_is_kept(name, path):
    assert check_entry(entry_named(name)) == PurePosixPath(path)


@given(NAMES)
@settings(max_examples=300)
def test_no_name_lets_a_path_escape(name):
    try:
        path = check_entry(entry_named(name.replace("\\", "/")))
    except ArchiveError:
        return
    root = Path("/data/dataset")
    assert root in (target := root.joinpath(path)).parents or target == root
    assert not {"..", "/", "\\"} & set(path.parts)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"mode": 0o120777}, "^a link, not a file; zip the recording itself$"),
        ({"mode": 0o010644}, "^a link, not a file"),
        ({"mode": 0o020644}, "^a link, not a file"),
        ({"mode": 0o060644}, "^a link, not a file"),
        ({"mode": 0o140644}, "^a link, not a file"),
        ({"flag_bits": 0x1}, "^protected by a password; zip it without one$"),
        ({"flag_bits": 0x801}, "^protected by a password"),
        ({"file_size": 10**12, "compress_size": 10**6}, "^packed 1000000 times smaller than its"),
        ({"file_size": 2 * 10**6, "compress_size": 9_950}, "^packed 201 times smaller"),
        ({"file_size": 10**12, "compress_size": 0}, "^packed 1000000000000 times smaller"),
    ],
)
def test_links_passwords_and_bombs_are_refused(fields, reason):
    with pytest.raises(ArchiveError, match=reason):
        check_entry(entry_named("a.wav", **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": 0o100644},
        {"mode": 0o644},
        {"flag_bits": 0x808},
        {"file_size": 0, "compress_size": 0},
        {"file_size": 10**6, "compress_size": 10},
        {"file_size": 2 * 10**6, "compress_size": 10**4},
    ],
)
def test_plain_files_pass(fields):
    assert check_entry(entry_named("a.wav", **fields)) == PurePosixPath("a.wav")


# Unpacking


@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
@pytest.mark.parametrize(
    "content", [b"", b"x", np.random.default_rng(0).bytes(1_100_000)], ids=["0", "1", "1.1 MB"]
)
def test_an_entry_comes_out_as_it_went_in(tmp_path, compression, content):
    path = make_zip(tmp_path / "a.zip", ("a.wav", content), compression=compression)
    (file,) = unpack(path, tmp_path)
    assert file.read_bytes() == content


def test_a_link_in_a_zip_is_not_made(tmp_path):
    path, secret = tmp_path / "a.zip", tmp_path / "secret"
    secret.write_text("secret")
    info = zipfile.ZipInfo("a.wav")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, str(secret))
    with pytest.raises(ArchiveError, match=r"^a link, not a file"):
        unpack(path, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.zip", "secret"]


def test_a_password_is_noticed_before_unpacking(tmp_path):
    path = make_zip(tmp_path / "a.zip", ("a.wav", b"sound"))
    patch_zip(path, central=8, local=6, value=b"\x01")
    with zipfile.ZipFile(path) as archive, pytest.raises(RuntimeError, match="password"):
        archive.read("a.wav")
    with pytest.raises(ArchiveError, match=r"^protected by a password"):
        unpack(path, tmp_path)


def test_a_bomb_is_noticed_before_unpacking(tmp_path):
    path = make_zip(tmp_path / "a.zip", ("a.wav", bytes(20_000_000)))
    assert path.stat().st_size < 100_000
    with pytest.raises(ArchiveError, match=r"^packed 1[0-9]{3} times smaller than its content"):
        unpack(path, tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("declared", [0, 1, 4_999])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_never_more_is_written_than_an_entry_declares(tmp_path, declared, compression):
    content = bytes(range(250)) * 20
    path = make_zip(tmp_path / "a.zip", ("a.wav", content), compression=compression)
    patch_zip(path, central=24, local=22, value=struct.pack("<I", declared))
    with open_archive(path) as archive:
        (entry,) = list_entries(archive)
        with pytest.raises(
            ArchiveError, match=r"^damaged inside the zip|^larger than the zip says"
        ):
            extract_entry(archive, entry, tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= declared


@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_entry_says_so(tmp_path, compression, place):
    sound = write_call(tmp_path / "a.wav", 2.0).read_bytes()
    path = make_zip(tmp_path / "a.zip", ("a.wav", sound), compression=compression)
    content = bytearray(path.read_bytes())
    middle = int(place * content.index(CENTRAL))
    content[middle : middle + 30] = bytes(byte ^ 0xFF for byte in content[middle : middle + 30])
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"^damaged inside the zip; fetch the zip again$"):
        unpack(path, tmp_path)


@pytest.mark.parametrize(
    ("central", "local", "value"),
    [
        (42, None, struct.pack("<I", 5)),
        (42, None, struct.pack("<I", 0x7FFFFFF0)),
        (None, 0, b"XX"),
        (None, 26, b"\xff\xff"),
        (None, 30, b"b"),
        (16, 14, b"\0\0\0\0"),
    ],
    ids=["place", "place beyond the end", "signature", "name length", "name", "checksum"],
)
def test_headers_that_contradict_each_other_are_damage(tmp_path, central, local, value):
    path = make_zip(tmp_path / "a.zip", ("a.wav", b"sound" * 50))
    content = bytearray(path.read_bytes())
    for start, offset in ((content.index(CENTRAL), central), (0, local)):
        if offset is not None:
            content[start + offset : start + offset + len(value)] = value
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"^damaged inside the zip|^the zip cannot be opened"):
        unpack(path, tmp_path)


@pytest.mark.parametrize("method", [1, 6, 9, 93, 99])
def test_unknown_compression_says_so(tmp_path, method):
    path = make_zip(tmp_path / "a.zip", ("a.wav", b"sound" * 50))
    patch_zip(path, central=10, local=8, value=struct.pack("<H", method))
    with pytest.raises(
        ArchiveError, match=r"^packed in a way that cannot be read here \(.*compres"
    ):
        unpack(path, tmp_path)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_zip_is_unpacked_or_says_so_and_nothing_else_happens(
    tmp_path_factory, compression, changes
):
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    path = make_zip(
        folder / "a.zip", ("a.wav", b"sound" * 9), ("\u8bdd/b", b"noise"), compression=compression
    )
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[-1 - place % len(content)] = value
    path.write_bytes(content)
    try:
        files = unpack(path, folder)
    except ArchiveError as error:
        assert str(error)
    else:
        assert {file.read_bytes() for file in files} <= {b"sound" * 9, b"noise", b""}


# Space


@pytest.mark.parametrize("size", [0, 1])
def test_what_fits_is_not_questioned(tmp_path, size):
    require_space(tmp_path, size)


def test_what_does_not_fit_on_the_disk_says_how_much_it_needs(tmp_path):
    with pytest.raises(
        ArchiveError, match=r"^needs 1000000000000 MB on disk, \d+ MB can be used; free some space"
    ):
        require_space(tmp_path, 10**18)


def test_an_entry_that_does_not_fit_is_not_begun(tmp_path):
    entry = entry_named("a.wav", file_size=10**18)
    with (
        zipfile.ZipFile(io.BytesIO(), "w") as archive,
        pytest.raises(ArchiveError, match=r"^needs 1000000000000 MB on disk"),
    ):
        extract_entry(archive, entry, tmp_path / "a.wav")
    assert not (tmp_path / "a.wav").exists()
