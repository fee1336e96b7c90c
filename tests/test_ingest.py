import csv
import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import make_voice, snapshot, write_call
from filelock import FileLock

from forms_ingest.errors import AuthenticationError, RetryLaterError, SettingsError, StopRunError
from forms_ingest.form import Upload
from forms_ingest.ingest import STEP, AlreadyRunningError, ingest_responses
from forms_ingest.ledger import ORPHANED, PLACED, QUARANTINED, read_ledger
from forms_ingest.offline_form import OfflineForm
from forms_ingest.responses import Response
from forms_ingest.settings import ColumnTitles, FormSettings
from helpers.errors import FormError
from helpers.records import build_records
from helpers.rejections import Rejection, read_rejections, record_rejections
from helpers.workspace import PROJECT_FOLDER, Workspace, open_workspace

HEADER = ["Timestamp", "Call recording", "File name", "Status"]
OUTCOMES = {"placed", "renamed", "unchanged", "superseded", "quarantined", "to be retried"}
OWN_FILES = [".form.lock", "form_ledger.csv", "form_run.json", "rejected_files.csv"]


class CountingForm(OfflineForm):
    """An offline form that remembers whose content was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fetched: list[str] = []

    def read_part(self, upload: Upload, start: int, count: int) -> bytes:
        self.fetched.append(upload.name)
        return super().read_part(upload, start, count)


class FailingForm(CountingForm):
    """An offline form some of whose uploads cannot be fetched."""

    def __init__(self, folder: Path, **errors: BaseException) -> None:
        super().__init__(folder)
        self.errors = {f"{name}.wav": error for name, error in errors.items()}

    def read_part(self, upload: Upload, start: int, count: int) -> bytes:
        if upload.name in self.errors:
            raise self.errors[upload.name]
        return super().read_part(upload, start, count)


class OddlyNamedForm:
    """A form whose uploads have names that no disk would take."""

    def __init__(self, recording: Path, names: list[str]) -> None:
        self.content, self.names = recording.read_bytes(), names

    def read_rows(self) -> list[list[str]]:
        return [HEADER, *(["", str(number), "", "avg"] for number in range(len(self.names)))]

    def find_upload(self, response: Response) -> Upload:
        number = response.reference.name
        checksum = hashlib.md5(self.content).hexdigest()
        return Upload(number, self.names[int(number)], len(self.content), "md5", checksum)

    def read_part(self, _upload: Upload, start: int, count: int) -> bytes:
        return self.content[start : start + count]


@pytest.fixture
def uploads(tmp_path) -> Path:
    (tmp_path / "form" / "uploads").mkdir(parents=True)
    return tmp_path / "form" / "uploads"


def answer(uploads: Path, *responses: tuple[str, ...], typed: str = "") -> None:
    """Write the responses: name and answer, and a time where it matters."""
    with (uploads.parent / "responses.csv").open("w", newline="") as file:
        rows = [[*time, name, typed, given] if time else ["monday", name, typed, given]
                for name, given, *time in responses]  # fmt: skip
        csv.writer(file).writerows([HEADER, *rows])


def ingest(uploads: Path, workspace: Workspace, form=CountingForm, **options):
    """Ingest what is there now: the table, and whose content was asked for."""
    form = form(uploads.parent)
    return ingest_responses(form, workspace, **options), form.fetched


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def outcomes(table: pd.DataFrame) -> list[str]:
    return table["outcome"].tolist()


def counts(workspace: Workspace) -> dict[str, int]:
    return json.loads(workspace.form_run.read_text())


def assert_counts_add_up(table: pd.DataFrame, workspace: Workspace) -> None:
    written = counts(workspace)
    orphans, responses = written.pop("orphans"), written.pop("responses")
    assert orphans >= 0
    assert responses == len(table) == sum(written.values())
    assert written == table["outcome"].value_counts().to_dict()


def test_a_form_without_responses_gives_an_empty_table(uploads, workspace):
    answer(uploads)
    table, _ = ingest(uploads, workspace)
    assert table.empty
    assert list(table) == ["row", "upload", "answer", "status", "outcome", "path", "reason"]
    assert names_of(workspace.audio_data) == []
    assert counts(workspace) == {"responses": 0, "orphans": 0}


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
def test_a_call_is_placed_with_its_status_in_the_name(uploads, workspace, given, status, name):
    source = write_call(uploads / "call - Ann.wav")
    answer(uploads, ("call.wav", given), typed="call.wav")
    table, _ = ingest(uploads, workspace)
    (row,) = table.to_dict("records")
    assert row == {
        "row": 2,
        "upload": "call - Ann.wav",
        "answer": given.strip(),
        "status": status,
        "outcome": "placed",
        "path": f"audio_data/{name}",
        "reason": "",
    }
    assert (workspace.audio_data / name).read_bytes() == source.read_bytes()
    assert names_of(workspace.folder) == sorted([name, *OWN_FILES])


def test_an_answer_in_another_language_is_read_as_the_settings_say(uploads, workspace):
    write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "Zufrieden"))
    settings = FormSettings(statuses={"zufrieden": "satisfied"})
    assert outcomes(ingest(uploads, workspace)[0]) == ["quarantined"]
    assert outcomes(ingest(uploads, workspace, settings=settings)[0]) == ["placed"]
    assert names_of(workspace.audio_data) == ["call_sat.wav"]
    assert outcomes(ingest(uploads, workspace)[0]) == ["quarantined"]
    assert outcomes(ingest(uploads, workspace, settings=settings)[0]) == ["unchanged"]


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_16", "ULAW", "ALAW", "FLOAT"])
def test_a_wav_upload_stays_byte_for_byte(uploads, workspace, subtype):
    sound = np.stack([make_voice(1.5, sampling_rate=16_000, seed=seed) for seed in (0, 1)], axis=1)
    soundfile.write(uploads / "call.wav", sound, 16_000, subtype=subtype)
    answer(uploads, ("call.wav", "avg"))
    ingest(uploads, workspace)
    placed = workspace.audio_data / "call_avg.wav"
    assert placed.read_bytes() == (uploads / "call.wav").read_bytes()


@pytest.mark.parametrize(
    "ending, format_",
    [
        (".mp3", {"format": "MP3", "subtype": "MPEG_LAYER_III"}),
        (".ogg", {"format": "OGG", "subtype": "VORBIS"}),
        (".FLAC", {"format": "FLAC", "subtype": "PCM_16"}),
        (".wav", {"format": "FLAC", "subtype": "PCM_16"}),
        (".wav", {"format": "WAV", "subtype": "GSM610"}),
    ],
)
def test_an_upload_in_another_format_becomes_wav(uploads, workspace, ending, format_):
    source = write_call(uploads / f"call{ending}", **format_)
    answer(uploads, (source.name, "avg"))
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"]
    placed = workspace.audio_data / "call_avg.wav"
    assert (soundfile.info(placed).format, soundfile.info(placed).subtype) == ("WAV", "PCM_16")
    sound, expected = soundfile.read(placed)[0], soundfile.read(source)[0]
    np.testing.assert_allclose(sound, expected, atol=1e-4)
    before = snapshot(workspace)
    table, fetched = ingest(uploads, workspace)
    assert (outcomes(table), fetched, snapshot(workspace)) == (["unchanged"], [], before)


def test_an_m4a_upload_becomes_wav(uploads, workspace, ffmpeg, tmp_path):
    ffmpeg("-i", write_call(tmp_path / "call.wav"), uploads / "call.m4a")
    answer(uploads, ("call.m4a", "avg"))
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"]
    info = soundfile.info(workspace.audio_data / "call_avg.wav")
    assert (info.format, info.samplerate) == ("WAV", 8000)
    assert info.duration == pytest.approx(2, abs=0.3)


EVERYTHING = [
    ("good.wav", "sat"),
    ("also good.wav", "avg"),
    ("good.wav", "sat"),
    ("two.wav", "sat"),
    ("two.wav", "avg"),
    ("broken.wav", "avg"),
    ("missing.wav", "avg"),
    ("", "avg"),
    ("also good.wav", "great"),
]


def test_a_second_run_fetches_and_changes_nothing(uploads, workspace):
    write_call(uploads / "good.wav")
    write_call(uploads / "two.wav", seed=2)
    write_call(uploads / "also good - Ann.wav", seed=1)
    (uploads / "broken.wav").write_text("no sound")
    answer(uploads, *EVERYTHING)
    first, _ = ingest(uploads, workspace)
    assert outcomes(first) == ["unchanged", "placed", "placed", *["quarantined"] * 6]
    assert_counts_add_up(first, workspace)
    before = snapshot(workspace)
    for _ in range(2):
        second, fetched = ingest(uploads, workspace)
        assert outcomes(second) == ["unchanged"] * 3 + ["quarantined"] * 6
        assert fetched == []
        assert snapshot(workspace) == before
        assert_counts_add_up(second, workspace)


def test_every_response_has_one_outcome_and_every_unused_one_a_rejection(uploads, workspace):
    write_call(uploads / "good.wav")
    write_call(uploads / "two.wav", seed=2)
    write_call(uploads / "also good - Ann.wav", seed=1)
    (uploads / "broken.wav").touch()
    answer(uploads, *EVERYTHING)
    table, _ = ingest(uploads, workspace)
    assert table["row"].tolist() == list(range(2, 11))
    assert set(table["outcome"]) <= OUTCOMES
    rejections = read_rejections(workspace)
    assert set(rejections["step"]) == {STEP}
    different = "the rows 5, 6 give the same upload different statuses; correct one of them"
    assert rejections[["path", "reason"]].to_numpy().tolist() == [
        ["form row 10: also good - Ann.wav",
         "the status is 'great', expected one of satisfied, average, unsatisfied; its earlier "
         "call audio_data/also good - Ann_avg.wav stays in use"],
        ["form row 5: two.wav", different],
        ["form row 6: two.wav", different],
        ["form row 7: broken.wav", "empty file (0 bytes)"],
        ["form row 8: missing.wav",
         "no upload is called 'missing.wav'; put it into the folder of uploads"],
        ["form row 9: ", "the response names no file"],
    ]  # fmt: skip
    for line in table[table["outcome"] == "quarantined"].itertuples():
        (reason,) = rejections["reason"][
            rejections["path"] == f"form row {line.row}: {line.upload}"
        ]
        assert reason.startswith(line.reason)
    assert names_of(workspace.audio_data) == ["also good - Ann_avg.wav", "good_sat.wav"]


BROKEN = [
    (b"", "empty file"),
    (b"hello", "text, not sound"),
    (b"RIFF\0\0\0\0WAVE", "not a recording, or damaged"),
    (np.random.default_rng(0).bytes(9000), "not a recording, or damaged"),
]


@pytest.mark.parametrize("content, reason", BROKEN)
def test_a_broken_upload_is_quarantined_with_its_reason(uploads, workspace, content, reason):
    (uploads / "call.wav").write_bytes(content)
    answer(uploads, ("call.wav", "avg"))
    (row,) = ingest(uploads, workspace)[0].to_dict("records")
    assert (row["outcome"], row["path"]) == ("quarantined", "")
    if "install ffmpeg" not in row["reason"]:
        assert row["reason"].startswith(reason)
    assert names_of(workspace.audio_data) == []
    (kept,) = read_ledger(workspace).values()
    assert (kept["outcome"], kept["reason"], kept["path"]) == (QUARANTINED, row["reason"], "")


def test_a_useless_upload_is_fetched_again_only_when_answer_or_content_changes(uploads, workspace):
    (uploads / "call.wav").write_text("no sound")
    steps = [("avg", None, True), ("avg", None, False), ("sat", None, True), ("sat", None, False),
             ("sat", "nothing to hear", True), ("sat", None, False)]  # fmt: skip
    for given, content, is_fetched in steps:
        if content:
            (uploads / "call.wav").write_text(content)
        answer(uploads, ("call.wav", given))
        table, fetched = ingest(uploads, workspace)
        assert outcomes(table) == ["quarantined"]
        assert table["reason"][0].startswith("text, not sound")
        assert bool(fetched) is is_fetched
    source = write_call(uploads / "call.wav")
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"]
    assert (workspace.audio_data / "call_sat.wav").read_bytes() == source.read_bytes()
    assert read_rejections(workspace).empty


def test_a_corrected_answer_renames_the_call_without_fetching_it(uploads, workspace):
    source = write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "avg"))
    ingest(uploads, workspace)
    for status in ("sat", "avg", "unsat", "sat"):
        answer(uploads, ("call.wav", status))
        table, fetched = ingest(uploads, workspace)
        (row,) = table.to_dict("records")
        assert (row["outcome"], row["path"]) == ("renamed", f"audio_data/call_{status}.wav")
        assert names_of(workspace.audio_data) == [f"call_{status}.wav"]
        assert (workspace.folder / row["path"]).read_bytes() == source.read_bytes()
        assert fetched == []
    assert read_ledger(workspace)["call.wav"]["answer"] == "sat"


def test_an_answer_that_is_no_status_any_more_keeps_the_call_and_says_so(uploads, workspace):
    write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"))
    ingest(uploads, workspace)
    placed = contents(workspace.audio_data)
    answer(uploads, ("call.wav", "great"))
    for _ in range(2):
        (row,) = ingest(uploads, workspace)[0].to_dict("records")
        assert (row["outcome"], row["path"]) == ("quarantined", "audio_data/call_sat.wav")
        assert contents(workspace.audio_data) == placed
        (reason,) = read_rejections(workspace)["reason"]
        assert reason.startswith("the status is 'great', expected one of")
        assert reason.endswith("; its earlier call audio_data/call_sat.wav stays in use")
    answer(uploads, ("call.wav", "avg"))
    table, fetched = ingest(uploads, workspace)
    assert (outcomes(table), fetched) == (["renamed"], [])
    assert read_rejections(workspace).empty


@pytest.mark.parametrize("settled", ["sat", "avg"])
def test_two_answers_that_disagree_about_a_placed_call_can_be_settled(uploads, workspace, settled):
    write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"))
    ingest(uploads, workspace)
    answer(uploads, ("call.wav", "sat"), ("call.wav", "avg"))
    assert outcomes(ingest(uploads, workspace)[0]) == ["quarantined"] * 2
    assert names_of(workspace.audio_data) == ["call_sat.wav"]
    answer(uploads, ("call.wav", settled), ("call.wav", settled))
    table, fetched = ingest(uploads, workspace)
    assert "quarantined" not in outcomes(table)
    assert (names_of(workspace.audio_data), fetched) == ([f"call_{settled}.wav"], [])


def test_a_changed_upload_is_fetched_again(uploads, workspace):
    for number, status in enumerate(["sat", "sat", "avg"]):
        source = write_call(uploads / "call.wav", 2 + number / 2, seed=number)
        answer(uploads, ("call.wav", status))
        assert outcomes(ingest(uploads, workspace)[0]) == ["placed"]
        assert names_of(workspace.audio_data) == [f"call_{status}.wav"]
        placed = workspace.audio_data / f"call_{status}.wav"
        assert placed.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("status", ["sat", "avg"])
def test_a_call_whose_upload_was_spoilt_stays_and_is_replaced_by_the_repaired_one(
    uploads, workspace, status
):
    write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"))
    ingest(uploads, workspace)
    good = contents(workspace.audio_data)
    (uploads / "call.wav").write_text("no sound")
    answer(uploads, ("call.wav", status))
    for _ in range(2):
        table, _ = ingest(uploads, workspace)
        assert outcomes(table) == ["quarantined"]
        assert table["path"].tolist() == ["audio_data/call_sat.wav"]
        assert contents(workspace.audio_data) == good
    source = write_call(uploads / "call.wav", 2.5, seed=1)
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"]
    assert names_of(workspace.audio_data) == [f"call_{status}.wav"]
    placed = workspace.audio_data / f"call_{status}.wav"
    assert placed.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("damage", [None, b"", b"other"])
def test_a_call_that_was_deleted_or_damaged_in_audio_data_is_fetched_again(
    uploads, workspace, damage
):
    source = write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"))
    ingest(uploads, workspace)
    placed = workspace.audio_data / "call_sat.wav"
    if damage is None:
        placed.unlink()
    else:
        placed.write_bytes(placed.read_bytes()[:-10] + damage)
    table, fetched = ingest(uploads, workspace)
    assert (outcomes(table), fetched) == (["placed"], ["call.wav"])
    assert placed.read_bytes() == source.read_bytes()
    assert names_of(workspace.audio_data) == ["call_sat.wav"]


def test_two_uploads_with_the_same_typed_name_are_two_calls(uploads, workspace):
    sources = [
        write_call(uploads / f"call - {name}.wav", seed=seed)
        for seed, name in enumerate(["Ann", "Bob"])
    ]
    answer(uploads, *((source.name, "sat") for source in sources), typed="call.wav")
    first, _ = ingest(uploads, workspace)
    assert first["path"][0] == "audio_data/call_sat.wav"
    assert first["path"].nunique() == 2
    answer(uploads, *((source.name, "avg") for source in reversed(sources)), typed="call.wav")
    second, _ = ingest(uploads, workspace)
    assert outcomes(second) == ["renamed", "renamed"]
    assert second["path"][0] == "audio_data/call_avg.wav"
    assert len(names_of(workspace.audio_data)) == 2
    for path, source in zip(second["path"], reversed(sources), strict=True):
        assert (workspace.folder / path).read_bytes() == source.read_bytes()


def test_one_person_who_sends_a_recording_again_replaces_the_first_answer(uploads, workspace):
    for name in ("call - Ann.wav", "call again - Ann.wav"):
        write_call(uploads / name)
    answer(uploads, ("call - Ann.wav", "sat", "2026-03-01"))
    ingest(uploads, workspace)
    answer(
        uploads,
        ("call - Ann.wav", "sat", "2026-03-01"),
        ("call again - Ann.wav", "avg", "2026-03-02"),
    )
    first, _ = ingest(uploads, workspace)
    assert outcomes(first) == ["superseded", "placed"]
    assert names_of(workspace.audio_data) == ["call again - Ann_avg.wav"]
    (rejection,) = read_rejections(workspace)[["path", "reason"]].to_numpy().tolist()
    assert rejection == ["form row 2: call - Ann.wav", "row 3 is newer and takes its place"]
    before = snapshot(workspace)
    second, fetched = ingest(uploads, workspace)
    assert (outcomes(second), fetched) == (["superseded", "unchanged"], [])
    assert snapshot(workspace) == before
    assert_counts_add_up(second, workspace)
    answer(uploads, ("call - Ann.wav", "sat", "2026-03-01"))
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"]


def test_two_people_who_disagree_about_a_recording_make_a_conflict(uploads, workspace):
    for name in ("call - Ann.wav", "call - Bob.wav"):
        write_call(uploads / name)
    answer(uploads, ("call - Ann.wav", "sat", "46000"), ("call - Bob.wav", "avg", "46001"))
    table, _ = ingest(uploads, workspace)
    assert outcomes(table) == ["placed", "placed"]
    assert names_of(workspace.audio_data) == ["call - Ann_sat.wav", "call - Bob_avg.wav"]
    assert build_records(workspace).empty
    decisions = pd.read_csv(workspace.decisions)
    assert decisions["statuses"].tolist() == [
        "satisfied: audio_data/call - Ann_sat.wav | average: audio_data/call - Bob_avg.wav"
    ]


def test_of_two_answers_for_one_upload_the_newer_wins(uploads, workspace):
    write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat", "46000"), ("call.wav", "avg", "46000"))
    assert outcomes(ingest(uploads, workspace)[0]) == ["quarantined"] * 2
    assert names_of(workspace.audio_data) == []
    answer(uploads, ("call.wav", "sat", "46000"), ("call.wav", "avg", "46000.5"))
    assert outcomes(ingest(uploads, workspace)[0]) == ["unchanged", "placed"]
    assert names_of(workspace.audio_data) == ["call_avg.wav"]
    answer(uploads, ("call.wav", "sat", "46001"), ("call.wav", "avg", "46000.5"))
    assert outcomes(ingest(uploads, workspace)[0]) == ["renamed", "unchanged"]
    assert names_of(workspace.audio_data) == ["call_sat.wav"]


@pytest.mark.parametrize("first, second", [("sat", "sat"), ("avg", "sat")])
def test_a_call_put_there_by_hand_is_never_overwritten(uploads, workspace, first, second):
    by_hand = write_call(workspace.audio_data / "call_sat.wav", seed=7)
    content = by_hand.read_bytes()
    source = write_call(uploads / "call.wav")
    for status in (first, second, second):
        answer(uploads, ("call.wav", status))
        (row,) = ingest(uploads, workspace)[0].to_dict("records")
    assert by_hand.read_bytes() == content
    assert row["path"] != "audio_data/call_sat.wav"
    assert len(names_of(workspace.audio_data)) == 2
    assert (workspace.folder / row["path"]).read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["../../x", "../../x.wav", "/etc/passwd.wav", "a/b", "", "..", "....", "~", "x" * 5000 + ".wav",
     "आ" * 300 + ".wav", "-rf.wav", "a\nb.wav", "call.wav/../../../x_avg.wav", "C:\\x.wav",
     "call.w\0v", "call\0.wav", "call." + "x" * 300, "call.", "\u202evaw.x", "📞.wav"],
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
    assert names_of(tmp_path) == sorted([*before, *placed, *OWN_FILES])
    assert outcomes(ingest_responses(form, workspace)) == ["unchanged", "unchanged"]


def test_an_upload_named_in_another_encoding_is_placed(uploads, workspace):
    name = os.fsdecode("call - Müller.wav".encode("latin-1"))
    write_call(uploads / "call.wav").rename(uploads / name)
    answer(uploads, ("call.wav", "avg"), typed="call.wav")
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"]
    assert len(names_of(workspace.audio_data)) == 1


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(uploads, workspace):
    write_call(uploads / "call.wav")
    answer(uploads, ("call.wav", "sat"), ("missing.wav", "sat"))
    table, fetched = ingest(uploads, workspace, dry_run=True)
    assert names_of(workspace.folder) == fetched == []
    assert not workspace.audio_data.exists()
    assert table.equals(ingest(uploads, workspace)[0])


def test_rejections_of_other_steps_stay(uploads, workspace):
    record_rejections(workspace, [Rejection("form row 2: call.wav", "old")], step="02 labels")
    answer(uploads, ("call.wav", "sat"))
    ingest(uploads, workspace)
    assert read_rejections(workspace)["step"].tolist() == ["02 labels", STEP]


def test_a_form_that_cannot_be_read_changes_nothing(uploads, workspace):
    with pytest.raises(SettingsError, match=r"responses\.csv cannot be read"):
        ingest(uploads, workspace)
    answer(uploads)
    settings = FormSettings(titles=ColumnTitles(status="Mood"))
    with pytest.raises(SettingsError, match="the column 'Mood' is missing"):
        ingest(uploads, workspace, settings=settings)
    assert set(names_of(workspace.folder)) <= {".form.lock"}


@pytest.fixture
def four(uploads) -> list[str]:
    names = ["a.wav", "b.wav", "c.wav", "d.wav"]
    for seed, name in enumerate(names):
        write_call(uploads / name, 1.2, seed=seed)
    answer(uploads, *((name, "avg") for name in names))
    return names


def test_an_interrupted_run_goes_on_where_it_was(uploads, workspace, four):
    with pytest.raises(KeyboardInterrupt):
        ingest(uploads, workspace, lambda folder: FailingForm(folder, c=KeyboardInterrupt()))
    assert set(names_of(workspace.audio_data)) <= {"a_avg.wav", "b_avg.wav"}
    table, fetched = ingest(uploads, workspace)
    assert set(outcomes(table)) <= {"placed", "unchanged"}
    assert "a.wav" not in fetched
    assert names_of(workspace.audio_data) == [f"{name}_avg.wav" for name in "abcd"]


def test_an_upload_that_cannot_be_fetched_now_is_fetched_by_the_next_run(uploads, workspace, four):
    error = RetryLaterError("no answer")
    table, _ = ingest(uploads, workspace, lambda folder: FailingForm(folder, b=error))
    assert outcomes(table) == ["placed", "to be retried", "placed", "placed"]
    assert read_rejections(workspace)["reason"].tolist() == ["no answer"]
    assert_counts_add_up(table, workspace)
    table, fetched = ingest(uploads, workspace)
    assert outcomes(table) == ["unchanged", "placed", "unchanged", "unchanged"]
    assert fetched == ["b.wav"]


def test_a_fault_in_fetching_says_nothing_about_a_call_in_place(uploads, workspace, four):
    ingest(uploads, workspace)
    good = contents(workspace.audio_data)
    (workspace.audio_data / "b_avg.wav").unlink()
    error = FormError("not shared")
    table, _ = ingest(uploads, workspace, lambda folder: FailingForm(folder, b=error))
    assert outcomes(table) == ["unchanged", "quarantined", "unchanged", "unchanged"]
    assert outcomes(ingest(uploads, workspace)[0])[1] == "placed"
    assert contents(workspace.audio_data) == good


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_the_run_and_leaves_nothing_partial(uploads, workspace, four, code):
    error = OSError(code, os.strerror(code))
    with pytest.raises(StopRunError, match="the disk is full: free some space and run again"):
        ingest(uploads, workspace, lambda folder: FailingForm(folder, c=error))
    for placed in workspace.audio_data.iterdir():
        name = placed.name.replace("_avg", "")
        assert placed.read_bytes() == (uploads / name).read_bytes()
    ingest(uploads, workspace)
    assert names_of(workspace.audio_data) == [f"{name}_avg.wav" for name in "abcd"]
    assert not workspace.form_downloads.exists()


@pytest.mark.parametrize("error, raised", [
    (OSError(errno.EIO, "Input/output error"), OSError),
    (AuthenticationError("sign in again"), AuthenticationError),
])  # fmt: skip
def test_a_fault_that_concerns_every_upload_ends_the_run(uploads, workspace, four, error, raised):
    with pytest.raises(raised, match=str(error)[-12:]):
        ingest(uploads, workspace, lambda folder: FailingForm(folder, a=error))
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"] * 4


def test_after_a_daily_limit_the_rest_is_left_to_the_next_run(uploads, workspace, four):
    error = StopRunError("a daily limit is reached; run again tomorrow")
    table, _ = ingest(uploads, workspace, lambda folder: FailingForm(folder, b=error))
    assert outcomes(table)[1] == "to be retried"
    assert_counts_add_up(table, workspace)
    assert "to be retried" not in outcomes(ingest(uploads, workspace)[0])


def test_a_second_run_at_the_same_time_is_refused(uploads, workspace, four):
    with FileLock(workspace.form_lock):
        with pytest.raises(AlreadyRunningError, match="another run is already working on"):
            ingest(uploads, workspace)
        assert names_of(workspace.folder) == [".form.lock"]
        assert outcomes(ingest(uploads, workspace, dry_run=True)[0]) == ["placed"] * 4
    assert outcomes(ingest(uploads, workspace)[0]) == ["placed"] * 4


def test_a_sheet_with_far_fewer_rows_is_believed_only_when_told_so(uploads, workspace, four):
    ingest(uploads, workspace)
    before = snapshot(workspace)
    answer(uploads, ("a.wav", "avg"))
    for dry_run in (True, False):
        with pytest.raises(SettingsError, match=r"hold 1 uploads, 4 are in place: .*ALLOW_FEWER"):
            ingest(uploads, workspace, dry_run=dry_run)
    answer(uploads)
    with pytest.raises(SettingsError, match="hold 0 uploads, 4 are in place"):
        ingest(uploads, workspace)
    assert snapshot(workspace) == before
    answer(uploads, ("a.wav", "avg"))
    table, _ = ingest(uploads, workspace, settings=FormSettings(allow_fewer=True))
    assert outcomes(table) == ["unchanged"]
    assert counts(workspace) == {"responses": 1, "unchanged": 1, "orphans": 3}
    assert names_of(workspace.audio_data) == [f"{name}_avg.wav" for name in "abcd"]
    assert outcomes(ingest(uploads, workspace)[0]) == ["unchanged"]  # once was enough


def test_an_orphan_stays_and_is_known_when_its_response_comes_back(uploads, workspace, four):
    ingest(uploads, workspace)
    calls, everything = contents(workspace.audio_data), snapshot(workspace)
    answer(uploads, *((name, "avg") for name in four[:3]))
    ingest(uploads, workspace)
    assert counts(workspace)["orphans"] == 1
    outcome = {name: row["outcome"] for name, row in read_ledger(workspace).items()}
    assert outcome == {**dict.fromkeys(four, PLACED), "d.wav": ORPHANED}
    assert contents(workspace.audio_data) == calls
    answer(uploads, *((name, "avg") for name in four))
    table, fetched = ingest(uploads, workspace)
    assert (outcomes(table), fetched) == (["unchanged"] * 4, [])
    assert counts(workspace)["orphans"] == 0
    assert {path: content for path, (content, _) in snapshot(workspace).items()} == {
        path: content for path, (content, _) in everything.items()
    }


@pytest.mark.parametrize("ledger", [None, b"", b"damaged"])
def test_a_lost_ledger_is_rebuilt_without_reading_any_upload(uploads, workspace, four, ledger):
    write_call(uploads / "a - Ann.wav", 1.2, seed=0)  # what a.wav holds, sent by somebody else
    write_call(uploads / "a - Bob.wav", 1.2, seed=0)
    names = [*four, "a - Ann.wav", "a - Bob.wav"]
    answer(uploads, *zip(names, ["avg"] * 5 + ["sat"], strict=True))
    ingest(uploads, workspace)
    before = snapshot(workspace)
    if ledger is None:
        workspace.form_ledger.unlink()
    else:
        workspace.form_ledger.write_bytes(ledger)
    table, fetched = ingest(uploads, workspace)
    assert (outcomes(table), fetched) == (["unchanged"] * 6, [])
    assert_counts_add_up(table, workspace)
    after = snapshot(workspace)
    assert after.pop("form_ledger.csv.damaged", None) is None or ledger is not None
    assert after.pop("form_ledger.csv")[0] == before.pop("form_ledger.csv")[0]
    assert after == before


def test_a_lost_ledger_and_a_changed_answer_rename_the_call(uploads, workspace, four):
    ingest(uploads, workspace)
    workspace.form_ledger.unlink()
    answer(uploads, *((name, "sat") for name in four))
    table, fetched = ingest(uploads, workspace)
    assert (outcomes(table), fetched) == (["renamed"] * 4, [])
    assert names_of(workspace.audio_data) == [f"{name}_sat.wav" for name in "abcd"]


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
def changed_form(uploads, workspace) -> Path:
    """Uploads that were ingested and have changed in every way since."""
    for seed, name in enumerate(["renamed", "changed", "changed and renamed", "kept"]):
        write_call(uploads / f"{name}.wav", 1.2, seed=seed)
    write_call(uploads / "twice - Ann.wav", 1.2, seed=8)
    answers = ["renamed.wav", "changed.wav", "changed and renamed.wav", "kept.wav"]
    answer(uploads, *((name, "sat") for name in answers), ("twice.wav", "sat", "2026-03-01"))
    ingest(uploads, workspace)
    for seed, name in enumerate(["changed", "changed and renamed", "new"], start=4):
        write_call(uploads / f"{name}.wav", 1.3, seed=seed)
    write_call(uploads / "converted.flac", 1.3, seed=7, format="FLAC", subtype="PCM_16")
    write_call(uploads / "twice again - Ann.wav", 1.2, seed=8)
    (uploads / "broken.wav").write_text("no sound")
    statuses = ["avg", "sat", "unsat", "sat"]
    answer(
        uploads,
        *zip(answers, statuses, strict=True),
        ("new.wav", "avg"),
        ("broken.wav", "avg"),
        ("new.wav", "avg"),
        ("converted.flac", "avg"),
        ("twice.wav", "sat", "2026-03-01"),
        ("twice again.wav", "avg", "2026-03-02"),
    )
    return uploads


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
    ingest(uploads, workspace)
    expected = contents(workspace.folder)
    assert names_of(workspace.audio_data) == [
        "changed and renamed_unsat.wav", "changed_sat.wav", "converted_avg.wav", "kept_sat.wav",
        "new_avg.wav", "renamed_avg.wav", "twice again - Ann_avg.wav",
    ]  # fmt: skip
    assert len(killed) > 30
    assert len({str(contents(folder)) for folder in killed}) > 10
    del expected["reports/form_run.json"]
    for folder in killed:
        for placed in (folder / "audio_data").glob("[!.]*"):
            soundfile.info(placed)
        ingest(uploads, open_workspace(folder))
        found = contents(folder)
        del found["reports/form_run.json"]  # says what the last run did, and that differs
        assert found == expected, folder.name


def test_an_answer_that_changes_after_a_kill_leaves_one_call(
    changed_form, uploads, workspace, tmp_path
):
    killed = kill_everywhere(uploads.parent, workspace, tmp_path)
    names = ["renamed.wav", "changed.wav", "changed and renamed.wav", "new.wav", "converted.flac"]
    statuses = ["unsat", "avg", "sat", "sat", "sat"]
    answer(
        uploads,
        *zip(names, statuses, strict=True),
        ("kept.wav", "sat"),
        ("twice.wav", "unsat", "2026-03-03"),
        ("twice again.wav", "avg", "2026-03-02"),
    )
    for folder in killed:
        ingest(uploads, open_workspace(folder))
        assert names_of(folder / "audio_data") == [
            "changed and renamed_sat.wav", "changed_avg.wav", "converted_sat.wav", "kept_sat.wav",
            "new_sat.wav", "renamed_unsat.wav", "twice - Ann_unsat.wav",
        ], folder.name  # fmt: skip


def test_who_answered_is_kept_as_a_key_that_needs_the_sheets_id(uploads, workspace):
    write_call(uploads / "call - Ann.wav")
    answer(uploads, ("call - Ann.wav", "sat"))
    keys = []
    for sheet_id in ("", "sheet", "sheet"):
        ingest(uploads, workspace, settings=FormSettings(sheet_id=sheet_id))
        (row,) = read_ledger(workspace).values()
        key, status = row["reviews"].split(":")
        assert status == "satisfied"
        keys.append(key)
    assert keys[0] != keys[1] == keys[2]


def test_a_ledger_from_before_the_reviews_is_completed_without_fetching(uploads, workspace):
    write_call(uploads / "call - Ann.wav")
    answer(uploads, ("call - Ann.wav", "sat"))
    ingest(uploads, workspace)
    complete = workspace.form_ledger.read_bytes()
    pd.read_csv(workspace.form_ledger).drop(columns="reviews").to_csv(
        workspace.form_ledger, index=False
    )
    table, fetched = ingest(uploads, workspace)
    assert (outcomes(table), fetched) == (["unchanged"], [])
    assert workspace.form_ledger.read_bytes() == complete
