import io
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_voice, write_call

from helpers.conversion import COLUMNS, convert_recordings, read_conversions
from helpers.customers import DETAILS
from helpers.errors import MissingStepError
from helpers.rejections import read_rejections
from helpers.workspace import SAMPLE_DATA, open_workspace


@pytest.fixture
def data(tmp_path) -> Path:
    """Make a folder of recordings that holds one good call."""
    write_call(tmp_path / "data" / "satisfied" / "good.wav", seed=99)
    return tmp_path / "data"


def call_bytes(duration_s: float = 1.5, *, seed: int = 0, **format_) -> bytes:
    buffer = io.BytesIO()
    options = {"subtype": "ULAW", "format": "WAV", **format_}
    soundfile.write(buffer, make_voice(duration_s, seed=seed), 8000, **options)
    return buffer.getvalue()


def write_file(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Describe every file below a folder: its time of change, its identity, its content."""
    return {
        str(file.relative_to(folder)): (
            file.stat().st_mtime_ns,
            file.stat().st_ino,
            file.read_bytes(),
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def converted(data: Path, workspace) -> dict[str, str]:
    """Convert and give the path in the workspace of each source in `data`."""
    table = convert_recordings(data, workspace)
    names = table["source"].str.removeprefix(f"{data}/")
    return dict(zip(names, table["path"], strict=True))


def rejected(data: Path, workspace) -> dict[str, str]:
    table = read_rejections(workspace)
    names = table["path"].str.removeprefix(f"{data}/")
    assert names.is_unique
    return dict(zip(names, table["reason"], strict=True))


# Converting


def test_zips_and_folders_keep_their_structure(data, workspace):
    write_call(data / "not-satisfied_call_quailty_wav" / "call_0081.ulaw.wav", seed=1)
    write_zip(
        data / "average_calls.zip",
        {
            "average_call_quailty_wav/": b"",
            "average_call_quailty_wav/call_0041.ulaw.wav": call_bytes(seed=2),
            "average_call_quailty_wav/June/call.mp3.WAV": call_bytes(seed=3),
        },
    )
    write_zip(data / "2024" / "more.v2.zip", {"average\\call.wav": call_bytes(seed=4)})
    assert converted(data, workspace) == {
        "2024/more.v2.zip/average/call.wav": "dataset/2024/more.v2/average/call.wav",
        **{
            f"average_calls.zip/average_call_quailty_wav/{name}": (
                f"dataset/average_calls/average_call_quailty_wav/{path}"
            )
            for name, path in [
                ("June/call.mp3.WAV", "June/call.wav"),
                ("call_0041.ulaw.wav", "call_0041.wav"),
            ]
        },
        "not-satisfied_call_quailty_wav/call_0081.ulaw.wav": (
            "dataset/not-satisfied_call_quailty_wav/call_0081.wav"
        ),
        "satisfied/good.wav": "dataset/satisfied/good.wav",
    }
    assert read_rejections(workspace).empty


def test_the_table_tells_where_each_recording_is_from_and_what_it_is(data, workspace):
    sides = np.stack([make_voice(1.25, sampling_rate=16000, seed=seed) for seed in (1, 2)], axis=1)
    soundfile.write(data / "satisfied" / "two sides.wav", sides, 16000, subtype="PCM_24")
    table = convert_recordings(data, workspace).set_index("path")
    assert ["path", *table.columns] == list(COLUMNS)
    row = table.loc["dataset/satisfied/two sides.wav"]
    assert row["source"] == str(data / "satisfied" / "two sides.wav")
    assert row["encoding"] == "WAV Signed 24 bit PCM"
    assert (row["sampling_rate"], row["channels"], row["duration_s"]) == (16000, 2, 1.25)
    assert table["content_hash"].str.fullmatch("[0-9a-f]{64}").all()
    info = soundfile.info(workspace.folder / row.name)
    assert (info.format, info.subtype, info.samplerate, info.channels) == (
        "WAV",
        "PCM_16",
        16000,
        2,
    )
    samples, _ = soundfile.read(workspace.folder / row.name)
    assert np.abs(samples - sides).max() <= 2**-15


def test_inputs_stay_as_they_are(data, workspace):
    write_zip(data / "calls.zip", {"average/a.wav": call_bytes(), "../b.wav": call_bytes()})
    (data / "empty.wav").touch()
    before = state(data)
    convert_recordings(data, workspace)
    assert state(data) == before


# Running again


def test_a_rerun_changes_no_file(data, workspace):
    write_call(data / "satisfied" / "GOOD.WAV", seed=1)
    write_zip(data / "calls.zip", {"average/a.wav": call_bytes(), "average/b.txt": b"note"})
    (data / "customers.csv").write_text("file,customer\na.wav,Ann\n")
    (data / "broken.zip").write_bytes(b"PK")
    first = convert_recordings(data, workspace)
    before = state(workspace.folder)
    second = convert_recordings(data, workspace)
    assert state(workspace.folder) == before
    assert second.equals(first)
    assert len(before) == 3 + len(["conversions.csv", "rejected_files.csv"])


def test_a_changed_file_is_converted_again_and_others_are_not(data, workspace):
    changing = write_call(data / "satisfied" / "changing.wav", seed=1)
    paths = converted(data, workspace)
    before = state(workspace.dataset)
    write_call(changing, 3.0, seed=2)
    assert converted(data, workspace) == paths
    after = state(workspace.dataset)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"satisfied/changing.wav", "conversions.csv"}
    table = read_conversions(workspace).set_index("path")
    assert table.loc["dataset/satisfied/changing.wav", "duration_s"] == 3.0


def test_a_changed_entry_of_a_zip_is_converted_again_and_others_are_not(data, workspace):
    files = {"average/a.wav": call_bytes(seed=1), "average/b.wav": call_bytes(seed=2)}
    write_zip(data / "calls.zip", files)
    convert_recordings(data, workspace)
    before = state(workspace.dataset)
    write_zip(data / "calls.zip", {**files, "average/b.wav": call_bytes(seed=3)})
    convert_recordings(data, workspace)
    after = state(workspace.dataset)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"calls/average/b.wav", "conversions.csv"}


def test_a_missing_result_is_converted_again(data, workspace):
    convert_recordings(data, workspace)
    before = (workspace.dataset / "satisfied" / "good.wav").read_bytes()
    (workspace.dataset / "satisfied" / "good.wav").unlink()
    convert_recordings(data, workspace)
    assert (workspace.dataset / "satisfied" / "good.wav").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file (0 bytes)"),
        (b"nothing here\n" * 9, "text, not sound"),
        (call_bytes(3.0)[:12_000], "cut off: the header promises 3.0 s"),
    ],
)
def test_a_recording_that_became_damaged_is_removed_and_listed(data, workspace, content, reason):
    spoilt = write_call(data / "satisfied" / "spoilt.wav", seed=1)
    assert "satisfied/spoilt.wav" in converted(data, workspace)
    spoilt.write_bytes(content)
    assert list(converted(data, workspace)) == ["satisfied/good.wav"]
    assert not (workspace.dataset / "satisfied" / "spoilt.wav").exists()
    assert rejected(data, workspace)["satisfied/spoilt.wav"].startswith(reason)


def test_a_damaged_recording_that_was_fetched_again_is_used_and_no_longer_listed(data, workspace):
    path = data / "satisfied" / "again.wav"
    path.write_bytes(call_bytes(3.0)[:12_000])
    convert_recordings(data, workspace)
    assert list(rejected(data, workspace)) == ["satisfied/again.wav"]
    path.write_bytes(call_bytes(3.0))
    assert "satisfied/again.wav" in converted(data, workspace)
    assert rejected(data, workspace) == {}


def test_recordings_whose_source_was_deleted_are_kept(data, workspace):
    write_call(data / "satisfied" / "gone.wav", seed=1)
    paths = converted(data, workspace)
    (data / "satisfied" / "gone.wav").unlink()
    assert converted(data, workspace) == paths


def test_what_a_killed_run_left_half_written_is_removed(data, workspace):
    part = workspace.dataset / "satisfied" / ".abc.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    convert_recordings(data, workspace)
    assert not part.exists()


# Names


@pytest.mark.parametrize(
    "names",
    [
        ("a.wav", "a.mp3"),
        ("a.wav", "A.WAV"),
        ("a.wav", "a.ulaw.wav", "a.ulaw"),
        ("\u0451.wav", "\u0401.wav"),
        (f"{'x' * 240}.wav", f"{'x' * 240}.mp3"),
        (f"{'x' * 240}1.wav", f"{'x' * 240}2.wav"),
        (".wav", ".ulaw.wav", "recording.wav"),
        ("a", "a.wav"),
        ("a/b.wav", "a.wav", "A/B.wav"),
        ("a.wav/b.wav", "a.mp3"),
        ("a.WAV/b.wav", "A.mp3"),
        ("a.wav/b.wav", "a/b.wav"),
        ("a.zip.wav", "a.wav"),
        ("conversions.csv.wav", "conversions.wav"),
        (os.fsdecode(b"\xff.wav"), os.fsdecode(b"\xfe.wav")),
        (os.fsdecode(b"\xff/a.wav"), os.fsdecode(b"\xfe/a.wav")),
    ],
    ids=ascii,
)
def test_recordings_of_almost_the_same_name_stay_apart_run_after_run(data, workspace, names):
    for seed, name in enumerate(names):
        write_file(data / "average" / name, call_bytes(seed=seed))
    first = convert_recordings(data, workspace)
    assert read_rejections(workspace).empty
    assert first["content_hash"].nunique() == len(names) + 1
    assert first["path"].str.casefold().is_unique
    assert len(list(workspace.dataset.rglob("*.wav"))) == len(names) + 1
    assert convert_recordings(data, workspace).equals(first)


def test_a_zip_beside_the_recording_it_holds_does_not_hide_it(data, workspace):
    write_call(data / "average" / "call.wav", seed=1)
    write_zip(data / "average" / "call.wav.zip", {"call.wav": call_bytes(seed=2)})
    write_zip(data / "average" / "call.zip", {"call.wav": call_bytes(seed=3)})
    table = convert_recordings(data, workspace)
    assert table["content_hash"].nunique() == 4
    assert convert_recordings(data, workspace).equals(table)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_the_same_name_are_two_recordings(data, workspace):
    bare = [call_bytes(seed=seed, format="RAW") for seed in (1, 2)]
    with zipfile.ZipFile(data / "calls.zip", "w") as archive:
        for content in bare:
            archive.writestr("average/a.ulaw.wav", content)
    table = convert_recordings(data, workspace)
    assert table["content_hash"].nunique() == 3
    assert read_rejections(workspace).empty


def test_a_recording_keeps_its_place_when_its_namesake_is_gone(data, workspace):
    first = write_call(data / "average" / "a.mp3", seed=1)
    second = write_call(data / "average" / "a.wav", seed=2)
    paths = converted(data, workspace)
    first.write_bytes(b"")
    write_call(second, 3.0, seed=3)
    assert converted(data, workspace) == {
        name: path for name, path in paths.items() if name != "average/a.mp3"
    }
    assert len(list(workspace.dataset.rglob("*.wav"))) == 2


@pytest.mark.parametrize(
    "name",
    [
        'a call, "it\'s" 50%.wav',
        "new\nline.wav",
        "Icon\r.wav",
        "\u0437\u0432\u043e\u043d\u043e\u043a \u8bdd \U0001f600.wav",
        "\u8bdd" * 80 + ".wav",
        "x" * 250 + ".wav",
        "\u8bdd" * 80 + "/" + "x" * 250 + ".WAV",
        "-n.wav",
        "...wav",
        " .wav ",
        "call 10:30.wav",
        os.fsdecode(b"caf\xe9 \xff.wav"),
        os.fsdecode(b"caf\xe9/a.wav"),
    ],
    ids=ascii,
)
def test_a_recording_of_any_name_is_converted_once(data, workspace, name):
    write_file(data / "average" / name, call_bytes())
    table = convert_recordings(data, workspace)
    assert len(table) == 2
    assert read_rejections(workspace).empty
    assert all((workspace.folder / path).is_file() for path in table["path"])
    before = state(workspace.folder)
    convert_recordings(data, workspace)
    assert state(workspace.folder) == before


@pytest.mark.parametrize(
    "name", ["new\nline.wav", "\u8bdd.wav", "call 10:30.wav", "x" * 400 + ".wav", "."]
)
def test_an_entry_of_any_name_is_converted_once(data, workspace, name):
    write_zip(data / "calls.zip", {name: call_bytes()})
    table = convert_recordings(data, workspace)
    assert len(table) == 2
    assert convert_recordings(data, workspace).equals(table)


def test_an_entry_too_deep_for_the_disk_is_listed(data, workspace):
    deep = "/".join(["folder" * 30] * 60) + "/a.wav"
    write_zip(data / "calls.zip", {deep: call_bytes(seed=1), "average/a.wav": call_bytes(seed=2)})
    assert set(converted(data, workspace)) == {"satisfied/good.wav", "calls.zip/average/a.wav"}
    assert list(rejected(data, workspace)) == [f"calls.zip/{deep}"]


# What is no recording


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("__MACOSX/satisfied/a.wav", call_bytes(), "macOS's own note beside a file"),
        ("__MACOSX/._a.wav", b"\0\5\x16\7", "macOS's own note beside a file"),
        ("satisfied/._a.wav", b"\0\5\x16\7", "macOS's own note beside a file"),
        (".DS_Store", b"\0\0\0\1Bud1", "the operating system's own note about a folder"),
        ("satisfied/Thumbs.db", b"\xd0\xcf", "the operating system's own note about a folder"),
        ("satisfied/desktop.ini", b"[x]", "the operating system's own note about a folder"),
        ("satisfied/inner.zip", b"PK\3\4", "a zip inside a zip; unpack it first"),
        ("satisfied/a.wav.crdownload", call_bytes(), "a download that has not finished"),
        ("satisfied/.a.wav.part", call_bytes(), "a download that has not finished"),
        ("satisfied/read me.txt", b"These are the calls of June.", "text, not sound"),
        ("satisfied/a.wav", b"", "empty file (0 bytes)"),
    ],
)
@pytest.mark.parametrize("is_zipped", [True, False], ids=["zipped", "plain"])
def test_what_is_no_recording_is_listed_with_its_reason(
    data, workspace, name, content, reason, is_zipped
):
    if is_zipped:
        write_zip(data / "calls.zip", {name: content, "average/b.wav": call_bytes(seed=2)})
        name = f"calls.zip/{name}"
    else:
        write_file(data / name, content)
        write_call(data / "average" / "b.wav", seed=2)
    if name == "satisfied/inner.zip":
        reason = "the zip cannot be opened"
    assert len(converted(data, workspace)) == 2
    (listed,) = rejected(data, workspace).items()
    assert listed[0] == name
    assert listed[1].startswith(reason)
    assert read_rejections(workspace)["step"].tolist() == ["01 conversion"]


def test_links_to_nothing_and_to_themselves_are_listed(data, workspace):
    (data / "gone.wav").symlink_to("nowhere.wav")
    (data / "loop.wav").symlink_to("loop.wav")
    (data / "gone.zip").symlink_to("nowhere.zip")
    assert list(converted(data, workspace)) == ["satisfied/good.wav"]
    assert set(rejected(data, workspace)) == {"gone.wav", "loop.wav", "gone.zip"}


def test_an_empty_zip_is_listed(data, workspace):
    write_zip(data / "nothing.zip", {})
    write_zip(data / "folders.zip", {"satisfied/": b""})
    assert list(converted(data, workspace)) == ["satisfied/good.wav"]
    reason = "the zip holds no file"
    assert rejected(data, workspace) == {"folders.zip": reason, "nothing.zip": reason}


def test_a_pipe_is_listed_and_not_waited_for(data, workspace):
    os.mkfifo(data / "pipe.wav")
    assert list(converted(data, workspace)) == ["satisfied/good.wav"]
    assert rejected(data, workspace) == {"pipe.wav": "no such file"}


def test_a_linked_folder_is_read_once_and_a_circle_ends(data, workspace, tmp_path):
    write_call(tmp_path / "elsewhere" / "a.wav")
    (data / "average").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "circle").symlink_to(data, target_is_directory=True)
    assert set(converted(data, workspace)) == {"satisfied/good.wav", "average/a.wav"}


@pytest.mark.parametrize("name", ["conversions.csv/a.wav", "average/a.wav/b.wav/c.wav"])
def test_a_folder_named_like_a_file_of_ours_does_not_stop_the_run(data, workspace, name):
    write_file(data / name, call_bytes())
    used = converted(data, workspace)
    assert sorted([*used, *rejected(data, workspace)]) == sorted([name, "satisfied/good.wav"])
    assert workspace.conversions.is_file()


# Folders


def test_a_missing_folder_says_what_to_set(tmp_path, workspace):
    with pytest.raises(MissingStepError, match=r"data is not a folder: set DATA to the folder"):
        convert_recordings(tmp_path / "data", workspace)
    assert not workspace.dataset.exists()


def test_a_file_in_place_of_the_folder_says_what_to_set(tmp_path, workspace):
    with pytest.raises(MissingStepError, match=r"a\.wav is not a folder: set DATA"):
        convert_recordings(write_call(tmp_path / "a.wav"), workspace)


def test_an_empty_folder_says_what_to_set(tmp_path, workspace):
    (tmp_path / "data").mkdir()
    with pytest.raises(MissingStepError, match=r"data is empty: set DATA to the folder that holds"):
        convert_recordings(tmp_path / "data", workspace)


def test_a_folder_without_any_recording_says_where_the_reasons_are(tmp_path, workspace):
    (tmp_path / "data" / "satisfied").mkdir(parents=True)
    for name in ("a.wav", "b.wav"):
        (tmp_path / "data" / name).touch()
    with pytest.raises(MissingStepError, match=r"^none of the 2 files in .*data is a recording"):
        convert_recordings(tmp_path / "data", workspace)
    assert list(rejected(tmp_path / "data", workspace)) == ["a.wav", "b.wav"]


def test_two_folders_one_after_the_other_keep_both_lists(data, workspace, tmp_path):
    other = tmp_path / "data 2"
    write_call(other / "average" / "b.wav", seed=1)
    for folder in (data, other):
        (folder / "empty.wav").touch()
        convert_recordings(folder, workspace)
    both = [str(data / "empty.wav"), str(other / "empty.wav")]
    assert sorted(read_rejections(workspace)["path"]) == sorted(both)
    assert set(read_conversions(workspace)["source"]) == {
        str(data / "satisfied" / "good.wav"),
        str(other / "average" / "b.wav"),
    }
    (data / "empty.wav").unlink()
    convert_recordings(data, workspace)
    assert read_rejections(workspace)["path"].tolist() == both[1:]


def test_two_folders_with_the_same_names_do_not_overwrite_each_other(data, workspace, tmp_path):
    other = tmp_path / "other"
    write_call(other / "satisfied" / "good.wav", seed=1)
    convert_recordings(data, workspace)
    table = convert_recordings(other, workspace)
    assert table["content_hash"].nunique() == table["path"].nunique() == 2


def test_the_folder_of_a_form_and_the_workspace_are_left_alone(tmp_path, data):
    write_call(data / "form" / "uploads" / "a.wav", seed=1)
    (data / "form" / "responses.csv").write_text("status,file\n")
    workspace = open_workspace(data / "workspace")
    convert_recordings(data, workspace)
    assert list(converted(data, workspace)) == ["satisfied/good.wav"]
    assert rejected(data, workspace) == {}


def test_sample_calls_and_others_do_not_mix(data, workspace, tmp_path):
    convert_recordings(data, workspace)
    before = state(workspace.folder)
    with pytest.raises(
        MissingStepError, match=r"synthetic sample calls .* choose another WORKSPACE"
    ):
        convert_recordings(SAMPLE_DATA, workspace)
    assert state(workspace.folder) == before
    samples = open_workspace(tmp_path / "samples")
    samples.dataset.mkdir()
    row = read_conversions(workspace).assign(
        source="sample_data/recordings/average_calls.zip/a.wav"
    )
    row.to_csv(samples.conversions, index=False)
    with pytest.raises(
        MissingStepError, match=r"synthetic sample calls .* choose another WORKSPACE"
    ):
        convert_recordings(data, samples)


# Customers


def test_customers_come_from_a_table_beside_the_recordings(data, workspace):
    write_zip(data / "calls.zip", {"average/a, 1.wav": call_bytes(), "b.wav": call_bytes(seed=1)})
    table = data / "customers.csv"
    table.write_text('customer,file\nAnn,"a, 1.wav"\nBob,calls.zip/b.wav\nCid,nowhere.wav\n')
    customers = convert_recordings(data, workspace).set_index("path")["customer"]
    assert customers.to_dict() == {
        "dataset/calls/average/a, 1.wav": "Ann",
        "dataset/calls/b.wav": "Bob",
        "dataset/satisfied/good.wav": "",
    }
    assert read_rejections(workspace).empty


def test_a_corrected_table_of_customers_changes_no_recording(data, workspace):
    (data / "customers.csv").write_text("file,customer\ngood.wav,Ann\n")
    convert_recordings(data, workspace)
    before = state(workspace.dataset)
    (data / "customers.csv").write_text("file,customer\ngood.wav,Bob\n")
    assert convert_recordings(data, workspace)["customer"].tolist() == ["Bob"]
    after = state(workspace.dataset)
    assert {name for name in after if after[name] != before[name]} == {"conversions.csv"}


def test_agent_gender_and_line_come_from_the_same_table(data, workspace):
    write_call(data / "average" / "b.wav", seed=1)
    rows = "file,agent,line,customer,gender\ngood.wav,Zoe,mobile,Ann,f\n"
    (data / "calls.csv").write_text(rows)
    (data / "more.csv").write_text("file,line\nb.wav,landline\n")
    table = convert_recordings(data, workspace).set_index("path")
    assert table[list(DETAILS)].to_dict("index") == {
        "dataset/average/b.wav": dict(customer="", agent="", gender="", line="landline"),
        "dataset/satisfied/good.wav": dict(customer="Ann", agent="Zoe", gender="f", line="mobile"),
    }
    assert read_rejections(workspace).empty


@pytest.mark.parametrize(
    ("text", "agents"),
    [("file,agent\ngood.wav,Yves\n", ["Yves"]), ("file,customer\ngood.wav,Ann\n", [""])],
)
def test_a_changed_table_changes_what_is_known_and_no_recording(data, workspace, text, agents):
    (data / "calls.csv").write_text("file,agent\ngood.wav,Zoe\n")
    convert_recordings(data, workspace)
    before = state(workspace.dataset)
    (data / "calls.csv").write_text(text)
    assert convert_recordings(data, workspace)["agent"].tolist() == agents
    after = state(workspace.dataset)
    assert {name for name in after if after[name] != before[name]} == {"conversions.csv"}


def test_a_workspace_from_before_the_details_is_read_and_completed(data, workspace):
    (data / "calls.csv").write_text("file,customer,agent\ngood.wav,Ann,Zoe\n")
    table = convert_recordings(data, workspace)
    table.drop(columns=["agent", "gender", "line"]).to_csv(workspace.conversions, index=False)
    earlier = read_conversions(workspace)
    assert list(earlier) == list(COLUMNS)
    assert earlier[list(DETAILS)].to_numpy().tolist() == [["Ann", "", "", ""]]
    before = state(workspace.dataset)
    assert convert_recordings(data, workspace).equals(table)
    after = state(workspace.dataset)
    assert {name for name in after if after[name] != before[name]} == {"conversions.csv"}


def test_any_other_csv_is_listed(data, workspace):
    (data / "notes.csv").write_text("call,comment\na.wav,nice\n")
    convert_recordings(data, workspace)
    assert rejected(data, workspace) == {"notes.csv": "text, not sound"}


def test_real_calls_are_all_converted(shared_calls, workspace, tmp_path):
    with zipfile.ZipFile(shared_calls / "average_calls.zip") as calls:
        names = [name for name in calls.namelist() if not name.endswith("/")][:6]
        write_zip(tmp_path / "data" / "calls.zip", {name: calls.read(name) for name in names})
    shutil.copy(shared_calls / "speakers.csv", tmp_path / "data")
    table = convert_recordings(tmp_path / "data", workspace)
    assert Counter(table["encoding"]) == {"WAV U-Law": 6}
    assert sorted(table["source"]) == sorted(f"{tmp_path}/data/calls.zip/{name}" for name in names)


@pytest.mark.parametrize("name", ["..wav", ".wav", "a..wav", "...wav"])
def test_a_name_of_dots_is_no_reason_to_stop(data, workspace, name):
    write_call(data / "average" / name, seed=5)
    conversions = convert_recordings(data, workspace)
    assert conversions["source"].str.endswith(f"/{name}").sum() == 1


def test_the_sample_calls_keep_their_names_when_the_project_is_moved(workspace):
    conversions = convert_recordings(SAMPLE_DATA / "recordings", workspace)
    assert conversions["source"].str.startswith("sample_data/recordings/").all()
    assert set(conversions["customer"]) == {f"customer_{number:02d}" for number in range(1, 9)}
