import csv
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_voice, write_call

from forms_ingest.form import Upload
from forms_ingest.ingest import STEP, ingest_responses
from forms_ingest.ledger import read_ledger
from forms_ingest.offline_form import OfflineForm
from forms_ingest.responses import ColumnTitles
from helpers.errors import FormError, TableError
from helpers.rejections import Rejection, read_rejections, record_rejections
from helpers.workspace import PROJECT_FOLDER, Workspace, open_workspace

HEADER = ["Timestamp", "Call recording", "File name", "Status"]
OUTCOMES = {"placed", "renamed", "unchanged", "repeated", "rejected"}


class CountingForm(OfflineForm):
    """An offline form that remembers what was fetched from it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fetched: list[str] = []

    def download(self, upload: Upload, target: Path) -> None:
        self.fetched.append(upload.name)
        super().download(upload, target)


class OddlyNamedForm:
    """A form whose uploads have names that no disk would take."""

    def __init__(self, recording: Path, names: list[str]) -> None:
        self.recording, self.names = recording, names

    def read_rows(self) -> list[list[str]]:
        return [HEADER, *(["", str(number), "", "avg"] for number in range(len(self.names)))]

    def find_upload(self, reference: str, _file_name: str) -> Upload:
        return Upload(reference, self.names[int(reference)], "1")

    def download(self, _upload: Upload, target: Path) -> None:
        shutil.copyfile(self.recording, target)


@pytest.fixture
def form(tmp_path) -> CountingForm:
    (tmp_path / "form" / "uploads").mkdir(parents=True)
    return CountingForm(tmp_path / "form")


@pytest.fixture
def uploads(tmp_path, form) -> Path:
    return tmp_path / "form" / "uploads"


def answer(uploads: Path, *responses: tuple[str, str], typed: str = "") -> None:
    with (uploads.parent / "responses.csv").open("w", newline="") as file:
        rows = [["monday", name, typed, status] for name, status in responses]
        csv.writer(file).writerows([HEADER, *rows])


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def outcomes(table) -> list[str]:
    return table["outcome"].tolist()


def assert_same_sound(placed: Path, source: Path) -> None:
    info, expected_info = soundfile.info(placed), soundfile.info(source)
    assert (info.format, info.subtype) == ("WAV", "PCM_16")
    assert (info.samplerate, info.channels) == (expected_info.samplerate, expected_info.channels)
    sound, expected = (soundfile.read(path, dtype="int16")[0] for path in (placed, source))
    np.testing.assert_array_equal(sound, expected)


def test_a_form_without_responses_gives_an_empty_table(form, uploads, workspace):
    answer(uploads)
    table = ingest_responses(form, workspace)
    assert table.empty
    assert list(table) == ["row", "upload", "answer", "status", "outcome", "path", "reason"]
    assert names_of(workspace.audio_data) == []


@pytest.mark.parametrize(
    "given, status, name",
    [
        ("Satisfied", "satisfied", "call_sat.wav"),
        (" AVERAGE ", "average", "call_avg.wav"),
        ("neutral", "average", "call_avg.wav"),
        ("Not satisfied", "unsatisfied", "call_unsat.wav"),
        ("dissatisfied", "unsatisfied", "call_unsat.wav"),
    ],
)
def test_a_call_is_placed_with_its_status_in_the_name(
    form, uploads, workspace, given, status, name
):
    source = write_call(uploads / "call - Ann.wav")
    answer(uploads, ("call.wav", given), typed="call.wav")
    (row,) = ingest_responses(form, workspace).to_dict("records")
    assert row == {
        "row": 2,
        "upload": "call - Ann.wav",
        "answer": given.strip(),
        "status": status,
        "outcome": "placed",
        "path": f"audio_data/{name}",
        "reason": "",
    }
    assert_same_sound(workspace.audio_data / name, source)
    assert names_of(workspace.folder) == [name, "form_ledger.csv", "rejected_files.csv"]


def test_two_channels_at_another_rate_stay_as_they_are(form, uploads, workspace):
    stereo = np.stack([make_voice(1.5, sampling_rate=16_000, seed=seed) for seed in (0, 1)], axis=1)
    soundfile.write(uploads / "call.wav", stereo, 16_000, subtype="PCM_24")
    answer(uploads, ("call.wav", "avg"))
    ingest_responses(form, workspace)
    info = soundfile.info(workspace.audio_data / "call_avg.wav")
    assert (info.samplerate, info.channels, info.frames) == (16_000, 2, 24_000)


@pytest.mark.parametrize(
    "ending, format_",
    [
        (".mp3", {"format": "MP3", "subtype": "MPEG_LAYER_III"}),
        (".ogg", {"format": "OGG", "subtype": "VORBIS"}),
        (".FLAC", {"format": "FLAC", "subtype": "PCM_16"}),
    ],
)
def test_an_upload_in_another_format_becomes_wav(form, uploads, workspace, ending, format_):
    source = write_call(uploads / f"call{ending}", **format_)
    answer(uploads, (source.name, "avg"))
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    placed = workspace.audio_data / "call_avg.wav"
    assert (soundfile.info(placed).format, soundfile.info(placed).subtype) == ("WAV", "PCM_16")
    sound, expected = soundfile.read(placed)[0], soundfile.read(source)[0]
    np.testing.assert_allclose(sound, expected, atol=1e-4)


def test_an_m4a_upload_becomes_wav(form, uploads, workspace, ffmpeg, tmp_path):
    ffmpeg("-i", write_call(tmp_path / "call.wav"), uploads / "call.m4a")
    answer(uploads, ("call.m4a", "avg"))
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    info = soundfile.info(workspace.audio_data / "call_avg.wav")
    assert (info.format, info.samplerate) == ("WAV", 8000)
    assert info.duration == pytest.approx(2, abs=0.3)


def test_a_second_run_fetches_and_changes_nothing(form, uploads, workspace):
    write_call(uploads / "good.wav")
    write_call(uploads / "also good - Ann.wav", seed=1)
    (uploads / "broken.wav").write_text("no sound")
    answer(
        uploads,
        ("good.wav", "sat"),
        ("also good.wav", "avg"),
        ("good.wav", "sat"),
        ("good.wav", "avg"),
        ("broken.wav", "avg"),
        ("missing.wav", "avg"),
        ("also good.wav", "great"),
    )
    first = ingest_responses(form, workspace)
    assert outcomes(first) == ["placed", "placed", "repeated", *["rejected"] * 4]
    before, stamps = contents(workspace.folder), times(workspace.folder)
    form.fetched.clear()
    second = ingest_responses(form, workspace)
    assert outcomes(second) == ["unchanged", "unchanged", "repeated", *["rejected"] * 4]
    assert form.fetched == ["broken.wav"]  # its reason may be gone: ffmpeg, say, is there now
    assert contents(workspace.folder) == before
    assert times(workspace.folder) == stamps


def test_every_response_has_one_outcome_and_every_unused_one_a_rejection(form, uploads, workspace):
    write_call(uploads / "good.wav")
    (uploads / "broken.wav").touch()
    answer(
        uploads,
        ("good.wav", "sat"),
        ("", ""),
        ("good.wav", "sat"),
        ("good.wav", "unsat"),
        ("broken.wav", "avg"),
        ("missing.wav", "avg"),
    )
    table = ingest_responses(form, workspace)
    assert table["row"].tolist() == [2, 3, 4, 5, 6, 7]
    assert set(table["outcome"]) <= OUTCOMES
    unused = table[table["outcome"].isin(["rejected", "repeated"])]
    rejections = read_rejections(workspace)
    assert set(rejections["step"]) == {STEP}
    assert rejections[["path", "reason"]].to_numpy().tolist() == [
        ["form row 3: ", "the response names no file"],
        ["form row 4: good.wav", "repeats row 2"],
        ["form row 5: good.wav",
         "row 2 gives the same upload the status satisfied; correct one of them"],
        ["form row 6: broken.wav", "empty file (0 bytes)"],
        ["form row 7: missing.wav",
         "no upload is called 'missing.wav'; put it into the folder uploads"],
    ]  # fmt: skip
    assert unused["reason"].tolist() == rejections["reason"].tolist()
    assert names_of(workspace.audio_data) == ["good_sat.wav"]


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty file"),
        (b"hello", "text, not sound"),
        (b"RIFF\0\0\0\0WAVE", "not a recording, or damaged"),
        (np.random.default_rng(0).bytes(9000), "not a recording, or damaged"),
    ],
)
def test_a_broken_upload_is_rejected_with_its_reason(form, uploads, workspace, content, reason):
    (uploads / "call.wav").write_bytes(content)
    answer(uploads, ("call.wav", "avg"))
    (row,) = ingest_responses(form, workspace).to_dict("records")
    assert (row["outcome"], row["path"]) == ("rejected", "")
    assert row["reason"].startswith(reason)
    assert names_of(workspace.audio_data) == []
    (kept,) = read_ledger(workspace).values()
    assert (kept["outcome"], kept["reason"], kept["path"]) == ("rejected", row["reason"], "")


def test_a_rejected_upload_is_placed_once_it_is_repaired(form, uploads, workspace):
    (uploads / "call.wav").write_text("no sound")
    answer(uploads, ("call.wav", "avg"))
    ingest_responses(form, workspace)
    source = write_call(uploads / "call.wav")
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    assert_same_sound(workspace.audio_data / "call_avg.wav", source)
    assert read_rejections(workspace).empty


def test_a_corrected_answer_renames_the_call_without_fetching_it(form, uploads, workspace):
    source = write_call(uploads / "call.wav")
    for status in ("sat", "avg", "unsat", "sat"):
        answer(uploads, ("call.wav", status))
        (row,) = ingest_responses(form, workspace).to_dict("records")
        assert row["path"] == f"audio_data/call_{status}.wav"
        assert names_of(workspace.audio_data) == [f"call_{status}.wav"]
        assert_same_sound(workspace.folder / row["path"], source)
    assert row["outcome"] == "renamed"
    assert form.fetched == ["call.wav"]


def test_a_changed_upload_is_fetched_again(form, uploads, workspace):
    write_call(uploads / "call.wav", seed=0)
    answer(uploads, ("call.wav", "sat"))
    ingest_responses(form, workspace)
    source = write_call(uploads / "call.wav", 2.5, seed=1)
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    assert_same_sound(workspace.audio_data / "call_sat.wav", source)
    source = write_call(uploads / "call.wav", 3.0, seed=2)
    answer(uploads, ("call.wav", "avg"))
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    assert names_of(workspace.audio_data) == ["call_avg.wav"]
    assert_same_sound(workspace.audio_data / "call_avg.wav", source)


@pytest.mark.parametrize("status", ["sat", "avg"])
def test_a_call_whose_upload_was_spoilt_stays_and_is_replaced_by_the_repaired_one(
    form, uploads, workspace, status
):
    source = write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"))
    ingest_responses(form, workspace)
    good = contents(workspace.audio_data)
    (uploads / "call.wav").write_text("no sound")
    answer(uploads, ("call.wav", status))
    for _ in range(2):
        assert outcomes(ingest_responses(form, workspace)) == ["rejected"]
        assert contents(workspace.audio_data) == good
    source = write_call(uploads / "call.wav", 2.5, seed=1)
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    assert names_of(workspace.audio_data) == [f"call_{status}.wav"]
    assert_same_sound(workspace.audio_data / f"call_{status}.wav", source)


def test_a_call_that_was_deleted_from_audio_data_is_fetched_again(form, uploads, workspace):
    source = write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"))
    ingest_responses(form, workspace)
    (workspace.audio_data / "call_sat.wav").unlink()
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    assert_same_sound(workspace.audio_data / "call_sat.wav", source)


def test_two_uploads_with_the_same_typed_name_are_two_calls(form, uploads, workspace):
    sources = [
        write_call(uploads / f"call - {name}.wav", seed=seed)
        for seed, name in enumerate(["Ann", "Bob"])
    ]
    answer(uploads, *((source.name, "sat") for source in sources), typed="call.wav")
    first = ingest_responses(form, workspace)
    assert first["path"][0] == "audio_data/call_sat.wav"
    assert first["path"].nunique() == 2
    answer(uploads, *((source.name, "avg") for source in reversed(sources)), typed="call.wav")
    second = ingest_responses(form, workspace)
    assert outcomes(second) == ["renamed", "renamed"]
    assert second["path"][0] == "audio_data/call_avg.wav"
    assert len(names_of(workspace.audio_data)) == 2
    for path, source in zip(second["path"], reversed(sources), strict=True):
        assert_same_sound(workspace.folder / path, source)


@pytest.mark.parametrize("first, second", [("sat", "sat"), ("avg", "sat")])
def test_a_call_put_there_by_hand_is_never_overwritten(form, uploads, workspace, first, second):
    by_hand = write_call(workspace.audio_data / "call_sat.wav", seed=7)
    content = by_hand.read_bytes()
    source = write_call(uploads / "call.wav")
    for status in (first, second, second):
        answer(uploads, ("call.wav", status))
        (row,) = ingest_responses(form, workspace).to_dict("records")
    assert by_hand.read_bytes() == content
    assert row["path"] != "audio_data/call_sat.wav"
    assert len(names_of(workspace.audio_data)) == 2
    assert_same_sound(workspace.folder / row["path"], source)


@pytest.mark.parametrize(
    "name",
    ["../../x", "../../x.wav", "/etc/passwd.wav", "a/b", "", "..", "....", "~", "x" * 5000 + ".wav",
     "आ" * 300 + ".wav", "-rf.wav", "a\nb.wav", "call.wav/../../../x_avg.wav", "C:\\x.wav"],
)  # fmt: skip
def test_a_hostile_name_becomes_a_plain_one(workspace, tmp_path, name):
    recording = write_call(tmp_path / "recording.wav")
    before = names_of(tmp_path)
    form = OddlyNamedForm(recording, [name, name])
    table = ingest_responses(form, workspace)
    assert outcomes(table) == ["placed", "placed"]
    placed = names_of(workspace.audio_data)
    assert sorted(table["path"]) == [f"audio_data/{file}" for file in placed]
    assert len(placed) == 2
    assert names_of(tmp_path) == sorted([*before, *placed, "form_ledger.csv", "rejected_files.csv"])
    assert outcomes(ingest_responses(form, workspace)) == ["unchanged", "unchanged"]


def test_an_upload_named_in_another_encoding_is_placed(form, uploads, workspace):
    name = os.fsdecode("call - Müller.wav".encode("latin-1"))
    write_call(uploads / "call.wav").rename(uploads / name)
    answer(uploads, ("call.wav", "avg"), typed="call.wav")
    assert outcomes(ingest_responses(form, workspace)) == ["placed"]
    assert names_of(workspace.audio_data) == ["call_avg.wav"]


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(form, uploads, workspace):
    write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"), ("missing.wav", "sat"))
    table = ingest_responses(form, workspace, dry_run=True)
    assert names_of(workspace.folder) == form.fetched == []
    assert not workspace.audio_data.exists()
    assert table.equals(ingest_responses(form, workspace))


def test_rejections_of_other_steps_stay(form, uploads, workspace):
    record_rejections(workspace, [Rejection("form row 2: call.wav", "old")], step="02 labels")
    answer(uploads, ("call.wav", "sat"))
    ingest_responses(form, workspace)
    assert read_rejections(workspace)["step"].tolist() == ["02 labels", STEP]


def test_a_form_that_cannot_be_read_changes_nothing(form, uploads, workspace):
    with pytest.raises(FormError, match=r"responses\.csv cannot be read"):
        ingest_responses(form, workspace)
    answer(uploads)
    with pytest.raises(TableError, match="the column 'Mood' is missing"):
        ingest_responses(form, workspace, titles=ColumnTitles(status="Mood"))
    assert names_of(workspace.folder) == []


def test_an_interrupted_run_goes_on_where_it_was(form, uploads, workspace):
    class Interrupted(CountingForm):
        def download(self, upload: Upload, target: Path) -> None:
            if upload.name == "c.wav":
                raise KeyboardInterrupt
            super().download(upload, target)

    for seed, name in enumerate("abcd"):
        write_call(uploads / f"{name}.wav", seed=seed)
    answer(uploads, *((f"{name}.wav", "avg") for name in "abcd"))
    with pytest.raises(KeyboardInterrupt):
        ingest_responses(Interrupted(uploads.parent), workspace)
    assert names_of(workspace.audio_data) == ["a_avg.wav", "b_avg.wav"]
    ingest_responses(form, workspace)
    assert form.fetched[-2:] == ["c.wav", "d.wav"]
    assert "a.wav" not in form.fetched
    assert names_of(workspace.audio_data) == [f"{name}_avg.wav" for name in "abcd"]


KILLING = """
import os, shutil, sys
from itertools import count
from pathlib import Path
from forms_ingest.ingest import ingest_responses
from forms_ingest.offline_form import OfflineForm
from helpers.workspace import open_workspace

form, start, runs = map(Path, sys.argv[1:])

def die_before(last_step):
    passed = count(1)
    def dying(step):
        def stepping(*arguments, **options):
            if next(passed) == last_step:
                os._exit(9)
            return step(*arguments, **options)
        return stepping
    for name in ("replace", "fsync", "unlink"):
        setattr(os, name, dying(getattr(os, name)))

for last_step in count(1):
    folder = runs / f"before-step-{last_step:03d}"
    shutil.copytree(start, folder)
    child = os.fork()
    if not child:
        try:
            die_before(last_step)
            ingest_responses(OfflineForm(form), open_workspace(folder))
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 9:
        sys.exit(code)
"""
"""Runs the ingestion in children that die before the n-th move, sync or removal of a file."""


@pytest.fixture
def changed_form(form, uploads, workspace) -> CountingForm:
    """A form that was ingested and has changed in every way since."""
    for seed, name in enumerate(["renamed", "changed", "changed and renamed", "kept"]):
        write_call(uploads / f"{name}.wav", 1.2, seed=seed)
    answers = ["renamed.wav", "changed.wav", "changed and renamed.wav", "kept.wav"]
    answer(uploads, *((name, "sat") for name in answers))
    ingest_responses(form, workspace)
    for seed, name in enumerate(["changed", "changed and renamed", "new"], start=4):
        write_call(uploads / f"{name}.wav", 1.3, seed=seed)
    (uploads / "broken.wav").write_text("no sound")
    statuses = ["avg", "sat", "unsat", "sat"]
    answer(
        uploads,
        *zip(answers, statuses, strict=True),
        ("new.wav", "avg"),
        ("broken.wav", "avg"),
        ("new.wav", "avg"),
    )
    return form


def kill_everywhere(form_folder: Path, workspace: Workspace, folder: Path) -> list[Path]:
    (folder / "runs").mkdir()
    (folder / "tmp").mkdir()
    subprocess.run(
        [sys.executable, "-c", KILLING, form_folder, workspace.folder, folder / "runs"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=PROJECT_FOLDER,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(PROJECT_FOLDER)},
    )
    return sorted((folder / "runs").iterdir())


def test_a_run_killed_at_any_point_is_completed_by_the_next(
    changed_form, uploads, workspace, tmp_path
):
    killed = kill_everywhere(uploads.parent, workspace, tmp_path)
    ingest_responses(changed_form, workspace)
    expected = contents(workspace.folder)
    assert names_of(workspace.audio_data) == [
        "changed and renamed_unsat.wav", "changed_sat.wav", "kept_sat.wav", "new_avg.wav",
        "renamed_avg.wav",
    ]  # fmt: skip
    assert len(killed) > 30
    assert len({str(contents(folder)) for folder in killed}) > 10
    for folder in killed:
        ingest_responses(changed_form, open_workspace(folder))
        assert contents(folder) == expected, folder.name


def test_an_answer_that_changes_after_a_kill_leaves_one_call(
    changed_form, uploads, workspace, tmp_path
):
    killed = kill_everywhere(uploads.parent, workspace, tmp_path)
    names = ["renamed.wav", "changed.wav", "changed and renamed.wav", "new.wav"]
    answer(uploads, *zip(names, ["unsat", "avg", "sat", "sat"], strict=True), ("kept.wav", "sat"))
    for folder in killed:
        ingest_responses(changed_form, open_workspace(folder))
        assert names_of(folder / "audio_data") == [
            "changed and renamed_sat.wav", "changed_avg.wav", "kept_sat.wav", "new_sat.wav",
            "renamed_unsat.wav",
        ], folder.name  # fmt: skip
