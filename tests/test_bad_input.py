"""A folder with every bad input that telephone systems, people and enemies have ever sent."""

import io
import os
import re
import shutil
import struct
import subprocess
import zipfile
from collections import Counter
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_voice, snapshot

from helpers.conversion import convert_recordings, read_conversions
from helpers.records import build_records, read_records
from helpers.rejections import read_rejections
from helpers.workspace import Workspace, open_workspace

SEEDS = count()
HAS_FFMPEG = shutil.which("ffmpeg") is not None


def call(
    duration_s: float = 1.5, *, sampling_rate: int = 8000, channels: int = 1, **format_
) -> bytes:
    """Make a call that no other call sounds like."""
    sides = [
        make_voice(duration_s, sampling_rate=sampling_rate, seed=next(SEEDS))
        for _ in range(channels)
    ]
    buffer = io.BytesIO()
    options = {"format": "WAV", "subtype": "ULAW", **format_}
    soundfile.write(buffer, np.stack(sides, axis=1), sampling_rate, **options)
    return buffer.getvalue()


def of_samples(samples, sampling_rate: int = 8000, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sampling_rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def streamed(size: int, **format_) -> bytes:
    content = bytearray(call(**format_))
    place = content.index(b"data") + 4
    content[4:8] = content[place : place + 4] = struct.pack("<I", size)
    return bytes(content)


def m4a(folder: Path) -> bytes:
    (folder / "whole.wav").write_bytes(call(3.0))
    command = ["ffmpeg", "-v", "error", "-i", folder / "whole.wav", folder / "call.m4a"]
    subprocess.run(command, check=True)
    return (folder / "call.m4a").read_bytes()


def zipped(files: dict[str, bytes], *, flags: int = 0, method: int | None = None) -> bytes:
    """Zip files under exactly the given names; flag bits and compression method may be forged."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.filename, info.compress_type = name, zipfile.ZIP_DEFLATED
            if content.startswith(b"link to "):
                info.create_system, info.external_attr = 3, 0o120777 << 16
                content = content.removeprefix(b"link to ")
            archive.writestr(info, content)
    content = bytearray(buffer.getvalue())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = content.find(signature)
        content[place + offset] |= flags
        if method is not None:
            content[place + offset + 2 : place + offset + 4] = struct.pack("<H", method)
    return bytes(content)


def good_files() -> dict[str, bytes]:
    return {
        "satisfied/mu-law.wav": call(),
        "satisfied/A-law.wav": call(subtype="ALAW"),
        "satisfied/GSM.wav": call(subtype="GSM610"),
        "satisfied/8 bit.wav": call(subtype="PCM_U8"),
        "satisfied/16 bit.wav": call(subtype="PCM_16"),
        "satisfied/24 bit.wav": call(subtype="PCM_24"),
        "satisfied/32 bit.wav": call(subtype="PCM_32"),
        "satisfied/float.wav": call(subtype="FLOAT"),
        "satisfied/double.wav": call(subtype="DOUBLE"),
        "satisfied/extensible.wav": call(format="WAVEX", subtype="PCM_16"),
        "satisfied/extensible mu-law.wav": call(format="WAVEX"),
        "satisfied/bare.ulaw.wav": call(format="RAW"),
        "satisfied/bare.ulaw": call(format="RAW"),
        "satisfied/bare.alaw": call(format="RAW", subtype="ALAW"),
        "satisfied/streamed 0.wav": streamed(0),
        "satisfied/streamed F.wav": streamed(0xFFFFFFFF, subtype="PCM_16"),
        "satisfied/streamed 7.wav": streamed(0x7FFFF000, subtype="GSM610"),
        "average/mp3.wav": call(format="MP3", subtype="MPEG_LAYER_III"),
        "average/ogg.wav": call(format="OGG", subtype="VORBIS"),
        "average/flac.wav": call(format="FLAC", subtype="PCM_16"),
        "average/two sides.wav": call(channels=2),
        **{
            f"average/{rate} Hz.wav": call(sampling_rate=rate, subtype="PCM_16")
            for rate in (8000, 11025, 16000, 22050, 44100, 48000)
        },
        "average/LOUD.WAV": call(),
        "average/loud.wav": call(),
        "average/ spaces .wav": call(),
        "average/comma, semicolon;.wav": call(),
        'average/"it\'s".wav': call(),
        "average/new\nline.wav": call(),
        "average/\u0437\u0432\u043e\u043d\u043e\u043a \u8bdd \U0001f600.wav": call(),
        f"average/{'x' * 240}.wav": call(),
        "average/caf\\xe9.wav": call(),
        "not-satisfied_call_quailty_wav/call_0081.ulaw.wav": call(),
        "not-satisfied_call_quailty_wav/call_0081.mp3": call(),
        "not-satisfied_call_quailty_wav/cut off a little.wav": call(3.0)[:-2000],
        "unsatisfied/twin.wav": call(),
    }


def bad_files() -> dict[str, tuple[bytes, str]]:
    random = np.random.default_rng(0)
    voice = make_voice(2.0, seed=next(SEEDS))
    broken = np.where(np.arange(16000) == 9000, np.nan, voice)
    return {
        "satisfied/empty.wav": (b"", "empty file"),
        "satisfied/header only.wav": (call()[:44], "not a recording, or damaged|install ffmpeg"),
        "satisfied/no data.wav": (of_samples([]), "a header without any sound"),
        "satisfied/truncated.wav": (call(3.0)[:9000], "cut off: the header promises 3.0 s"),
        "satisfied/truncated.gsm.wav": (call(3.0, subtype="GSM610")[:3000], "cut off"),
        "satisfied/truncated.flac": (
            call(3.0, format="FLAC", subtype="PCM_16")[:9000],
            "damaged|cut off",
        ),
        "satisfied/silent.wav": (of_samples(np.zeros(16000)), "silent"),
        "satisfied/silent mu-law.wav": (of_samples(np.zeros(16000), subtype="ULAW"), "silent"),
        "satisfied/short.wav": (call(0.4), "too short: 0.40 s"),
        "satisfied/text.wav": (b"The recording is on the server.\n" * 200, "text, not sound"),
        "satisfied/page.ulaw.wav": (b"<html><body>404</body></html>", "text, not sound"),
        "satisfied/random.wav": (random.bytes(40_000), "not a recording|install ffmpeg"),
        "satisfied/bare 16 bit.wav": (
            (voice * 32767).astype("<i2").tobytes(),
            "not a recording|install ffmpeg",
        ),
        "satisfied/picture.wav": (
            b"\xff\xd8\xff\xe0\0\x10JFIF\0" + random.bytes(9000),
            "not a recording|install ffmpeg",
        ),
        "satisfied/not a number.wav": (
            of_samples(broken, subtype="FLOAT"),
            "damaged: some samples",
        ),
        "satisfied/six channels.wav": (call(channels=6, subtype="PCM_16"), "6 channels"),
        "satisfied/1 kHz.wav": (
            call(sampling_rate=1000, subtype="PCM_16"),
            "sampling rate 1000 Hz",
        ),
        "satisfied/playlist.m4a": (b"#EXTM3U\n#EXTINF:2.0,\nmu-law.wav\n", "text, not sound"),
        "satisfied/list.wav": (b"ffconcat version 1.0\nfile mu-law.wav\n#\x01", "."),
        "satisfied/._mu-law.wav": (b"\0\5\x16\7\0\2\0\0Mac OS X", "macOS's own note"),
        "__MACOSX/satisfied/._mu-law.wav": (b"\0\5\x16\7\0\2\0\0", "macOS's own note"),
        "satisfied/.DS_Store": (b"\0\0\0\1Bud1", "operating system's own note"),
        "satisfied/Thumbs.db": (b"\xd0\xcf\x11\xe0", "operating system's own note"),
        "satisfied/call.wav.crdownload": (call(), "download that has not finished"),
        "satisfied/read me.txt": (b"Calls of June", "text, not sound"),
        "read me.csv": (b"call,comment\n1,nice\n", "text, not sound"),
        "nobody knows/call.wav": (call(), "no status: put it in a folder named satisfied"),
        "satisfied and unsatisfied/call.wav": (call(), "no status"),
        "call without folder.wav": (call(), "no status"),
        "empty.zip": (b"", "the zip cannot be opened"),
        "text.zip": (b"not a zip", "the zip cannot be opened"),
        "truncated.zip": (zipped({"average/a.wav": call()})[:-60], "the zip cannot be opened"),
        "broken directory.zip": (
            zipped({"average/a.wav": call()}).replace(b"PK\x01\x02", b"PK\x01\x03"),
            "the zip cannot be opened",
        ),
        "nothing.zip": (zipped({}), "the zip holds no file"),
    }


def zips(outside: Path) -> dict[str, tuple[bytes, dict[str, str | None]]]:
    """Make zips: their content, and per entry why it is not used, or `None`."""
    leads_outside = "its path leads outside the zip's folder"
    damaged = bytearray(zipped({"average/damaged.wav": call(3.0, subtype="PCM_16")}))
    damaged[2000:2040] = bytes(40)
    hostile = {
        "../escaped.wav": leads_outside,
        "../../../../escaped.wav": leads_outside,
        "satisfied/../../escaped.wav": leads_outside,
        f"{outside}/absolute.wav": leads_outside,
        "C:\\Windows\\absolute.wav": leads_outside,
        "..\\..\\escaped.wav": leads_outside,
        "satisfied/bomb.wav": "packed [0-9]+ times smaller",
        "satisfied/link.wav": "a link, not a file",
        "satisfied/folder": "a link, not a file",
        "satisfied/folder/through a link.wav": None,
        "satisfied/honest.wav": None,
    }
    contents = {name: call() for name in hostile}
    contents["satisfied/bomb.wav"] = bytes(20_000_000)
    contents["satisfied/link.wav"] = f"link to {outside}/secret.wav".encode()
    contents["satisfied/folder"] = f"link to {outside}".encode()
    mac = {
        "unsatisfied_calls/one.wav": None,
        "unsatisfied_calls/TWO.WAV": None,
        "__MACOSX/unsatisfied_calls/._one.wav": "macOS's own note",
        "unsatisfied_calls/.DS_Store": "operating system's own note",
        "unsatisfied_calls/inner.zip": "a zip inside a zip",
        "unsatisfied_calls/empty.wav": "empty file",
    }
    mac_contents = {name: call() for name in mac} | {"unsatisfied_calls/empty.wav": b""}
    return {
        "hostile.zip": (zipped(contents), hostile),
        "mac.zip": (zipped(mac_contents), mac),
        "MAC.ZIP": (zipped({"average/call.wav": call()}), {"average/call.wav": None}),
        "damaged.zip": (bytes(damaged), {"average/damaged.wav": "damaged inside the zip"}),
        "password.zip": (
            zipped({"average/a.wav": call()}, flags=1),
            {"average/a.wav": "protected by a password"},
        ),
        "strange.zip": (
            zipped({"average/a.wav": call()}, method=99),
            {"average/a.wav": "packed in a way that cannot be read here"},
        ),
    }


def twins() -> tuple[dict[str, bytes], dict[str, str]]:
    """Make recordings that sound the same, and say why those that are not used are not."""
    same, torn = call(), call()
    files = {
        "satisfied/twin a.wav": same,
        "satisfied/twin b.wav": same,
        "satisfied/deeper/twin c.ulaw": same[same.index(b"data") + 8 :],
        "satisfied/torn.wav": torn,
        "unsatisfied/torn again.wav": torn,
    }
    return files, {
        "satisfied/twin a.wav": "the same recording as dataset/satisfied/deeper/twin c.wav",
        "satisfied/twin b.wav": "the same recording as dataset/satisfied/deeper/twin c.wav",
        "satisfied/torn.wav": "conflict: the same recording has two statuses",
        "unsatisfied/torn again.wav": "conflict: the same recording has two statuses",
    }


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Workspace, dict[str, str | None]]:
    """Convert and label the folder once: what was given, the workspace, why each is not used."""
    base = tmp_path_factory.mktemp("bad input")
    data, outside = base / "data", base / "outside"
    write(outside / "secret.wav", call())
    (base / "scratch").mkdir()
    expected: dict[str, str | None] = {}
    for name, content in good_files().items():
        write(data / name, content)
        expected[name] = None
    for name, (content, reason) in bad_files().items():
        write(data / name, content)
        expected[name] = reason
    files, reasons = twins()
    for name, content in files.items():
        write(data / name, content)
        expected[name] = reasons.get(name)
    for name, (content, entries) in zips(outside).items():
        write(data / name, content)
        expected |= {
            f"{name}/{entry}".replace("\\", "/"): reason for entry, reason in entries.items()
        }
    write(data / "average" / os.fsdecode(b"caf\xe8 \xff.wav"), call())
    expected["average/caf\\xe8 \\xff.wav"] = None
    for name in ("gone.wav", "gone.zip"):
        (data / name).symlink_to("nowhere")
    expected |= {"gone.wav": "no such file", "gone.zip": "the zip cannot be opened"}
    if HAS_FFMPEG:
        content = m4a(base / "scratch")
        for name in ("average/m4a.wav", "average/call.M4A"):
            write(data / name, content)
        write(data / "average/half.m4a", content[: len(content) // 2])
        expected |= {
            "average/call.M4A": None,
            "average/m4a.wav": "the same recording as dataset/average/call.wav",
            "average/half.m4a": "not a recording, or damaged",
        }
    (data / "customers.csv").write_text("file,customer\nmu-law.wav,Ann\n")
    before = sorted(base.rglob("*"))
    workspace = open_workspace(tmp_path_factory.mktemp("workspace"))
    convert_recordings(data, workspace)
    build_records(workspace)
    assert sorted(base.rglob("*")) == before
    return data, workspace, expected


def used_inputs(data: Path, workspace: Workspace) -> list[str]:
    sources = read_conversions(workspace).set_index("path")["source"]
    return [sources[path].removeprefix(f"{data}/") for path in read_records(workspace)["path"]]


def rejected_inputs(data: Path, workspace: Workspace) -> list[tuple[str, str]]:
    sources = read_conversions(workspace).set_index("path")["source"]
    return [
        (sources.get(row.path, row.path).removeprefix(f"{data}/"), row.reason)
        for row in read_rejections(workspace).itertuples()
    ]


def test_every_input_ends_in_exactly_one_place(run):
    data, workspace, expected = run
    placed = used_inputs(data, workspace)
    placed += [name for name, _ in rejected_inputs(data, workspace)]
    assert Counter(placed) == Counter(expected.keys())


def test_every_good_recording_is_in_call_records(run):
    data, workspace, expected = run
    assert set(used_inputs(data, workspace)) == {
        name for name, reason in expected.items() if reason is None
    }


def test_every_other_input_is_listed_with_its_reason(run):
    data, workspace, expected = run
    reasons = dict(rejected_inputs(data, workspace))
    assert set(reasons) == {name for name, reason in expected.items() if reason is not None}
    wrong = {
        name: reason for name, reason in reasons.items() if not re.search(expected[name], reason)
    }
    assert wrong == {}


def test_every_plain_file_of_the_folder_was_accounted_for(run):
    data, _, expected = run
    zip_files = {name for name in expected if ".zip/" in name.casefold()}
    zip_names = {name[: name.casefold().index(".zip/") + 4] for name in zip_files}
    files = {
        os.fsencode(file.relative_to(data)).decode(errors="backslashreplace")
        for file in data.rglob("*")
        if not file.is_dir()
    }
    assert files == (set(expected) - zip_files) | zip_names | {"customers.csv"}


def test_statuses_come_from_the_folders(run):
    data, workspace, _ = run
    records = read_records(workspace)
    statuses = dict(zip(used_inputs(data, workspace), records["status"], strict=True))
    assert statuses["satisfied/mu-law.wav"] == "satisfied"
    assert statuses["average/mp3.wav"] == "average"
    assert statuses["not-satisfied_call_quailty_wav/call_0081.mp3"] == "unsatisfied"
    assert statuses["mac.zip/unsatisfied_calls/one.wav"] == "unsatisfied"
    assert set(records["source"]) == {"archive"}
    assert records["content_hash"].is_unique


def test_every_recording_of_the_records_is_plain_pcm(run):
    _, workspace, _ = run
    for record in read_records(workspace).itertuples():
        info = soundfile.info(workspace.folder / record.path)
        assert (info.format, info.subtype) == ("WAV", "PCM_16")
        assert (info.samplerate, info.channels) == (record.sampling_rate, record.channels)
        assert info.duration == pytest.approx(record.duration_s, abs=1e-6)


def test_nothing_is_written_outside_the_workspace(run):
    _, workspace, _ = run
    assert all(
        path.resolve().is_relative_to(workspace.folder) for path in workspace.folder.rglob("*")
    )
    assert not [path for path in workspace.folder.rglob("*") if path.is_symlink()]
    written = {path.name for path in workspace.folder.parent.rglob("*escaped*")}
    assert written == set()
    assert {
        path.relative_to(workspace.folder).parts[0] for path in workspace.folder.rglob("*")
    } == {
        *("dataset", "CallRecords.csv", "rejected_files.csv", "decisions.csv", ".decisions.lock"),
    }


def test_a_second_run_changes_nothing(run):
    data, workspace, _ = run

    before = snapshot(workspace)
    convert_recordings(data, workspace)
    build_records(workspace)
    assert snapshot(workspace) == before
