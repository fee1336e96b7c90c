import csv
import os

import pytest
import soundfile
from conftest import make_voice, snapshot, write_call

from helpers.clusters.labels import write_cluster_labels
from helpers.conversion import convert_recordings
from helpers.decisions import COLUMNS as DECISION_COLUMNS
from helpers.errors import MissingStepError, TableError
from helpers.files import read_csv
from helpers.records import (
    CLUSTER,
    STEP,
    build_records,
    by_people,
    count_by_status,
    find_recordings,
    list_calls,
    list_unlabelled,
    read_records,
    status_by_path,
)
from helpers.rejections import read_rejections
from helpers.workspace import Workspace


@pytest.fixture
def workspace(workspace) -> Workspace:
    workspace.audio_data.mkdir()
    return workspace


def write_calls(workspace, *paths: str, seed: int = 0, **format_) -> None:
    for path in paths:
        write_call(workspace.folder / path, 1.2, seed=seed, **format_)


def build(workspace) -> dict[str, str]:
    return status_by_path(build_records(workspace))


def reasons(workspace) -> dict[str, str]:
    table = read_rejections(workspace)
    assert set(table["step"]) <= {STEP}
    return dict(zip(table["path"], table["reason"], strict=True))


def decisions(workspace) -> list[list[str]]:
    return read_csv(workspace.decisions, DECISION_COLUMNS).to_numpy().tolist()


def write_decision(workspace, path: str, decision: str) -> None:
    others = [row for row in decisions(workspace) if row[0] != path]
    with workspace.decisions.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([DECISION_COLUMNS, *others, [path, "", decision]])


def state(workspace) -> dict[str, tuple[str, int]]:
    return snapshot(workspace)


SAT, AVG = "dataset/satisfied/a.wav", "dataset/average/a.wav"


def test_without_any_recording_the_records_are_empty(workspace):
    assert build(workspace) == {}
    assert read_records(workspace).empty
    assert not workspace.decisions.exists()


def test_without_any_folder_notebook_01_is_asked_for(workspace):
    workspace.audio_data.rmdir()
    with pytest.raises(MissingStepError, match="run notebook 01 first"):
        build_records(workspace)


def test_without_records_notebook_02_is_asked_for(workspace):
    with pytest.raises(MissingStepError, match="run notebook 02 first"):
        read_records(workspace)


@pytest.mark.parametrize(
    "path, status",
    [
        ("dataset/a.wav", None),
        ("dataset/calls/a_sat.wav", None),
        ("dataset/satisfied and average/a.wav", None),
        ("dataset/satisfied/a.wav", "satisfied"),
        ("dataset/Average_call_quailty_wav/2023/a.wav", "average"),
        ("dataset/not-satisfied/a.wav", "unsatisfied"),
        ("dataset/satisfied/unsatisfied/a.wav", "unsatisfied"),
        ("dataset/satisfied/a_unsat.wav", "satisfied"),
        ("audio_data/a.wav", None),
        ("audio_data/satisfied/a.wav", None),
        ("audio_data/sat.wav", None),
        ("audio_data/a_saturday.wav", None),
        ("audio_data/a_sat.wav", "satisfied"),
        ("audio_data/a_b, \"c\" 'd'_AVG.WAV", "average"),
        ("audio_data/звонок_unsat.wav", "unsatisfied"),
        ("audio_data/deeper/a_avg.wav", "average"),
    ],
)
def test_the_status_is_in_the_folder_of_the_archive_and_in_the_name_of_the_form(
    workspace, path, status
):
    write_calls(workspace, path)
    assert build(workspace) == ({path: status} if status else {})
    assert list(reasons(workspace)) == ([] if status else [path])
    if not status:
        assert reasons(workspace)[path].startswith("no status: put it in a folder named satisfied")


def test_a_record_says_what_the_recording_is(workspace):
    soundfile.write(workspace.audio_data / "a_sat.wav", make_voice(2.5), 8000, format="WAV")
    stereo = make_voice(3, sampling_rate=16_000).reshape(-1, 2)
    (workspace.dataset / "average").mkdir(parents=True)
    soundfile.write(workspace.dataset / "average" / "b.wav", stereo, 16_000)
    table = build_records(workspace)
    assert table.drop(columns="content_hash").to_numpy().tolist() == [
        ["audio_data/a_sat.wav", "satisfied", "form", 2.5, 8000, 1, "", "", "", "8 kHz mono"],
        ["dataset/average/b.wav", "average", "archive", 1.5, 16_000, 2, "", "", "",
         "16 kHz two-channel"],
    ]  # fmt: skip
    assert read_records(workspace).equals(table)


def test_what_notebook_01_knows_of_a_recording_is_taken_over(workspace, tmp_path):
    data = tmp_path / "data"
    write_call(data / "satisfied" / "a.ulaw.wav", 1.2, seed=0)
    write_call(data / "average" / "b.wav", 1.3, seed=1)
    rows = "file,customer,agent,gender,line\nsatisfied/a.ulaw.wav,Ann,Zoe,f,mobile\n"
    (data / "customers.csv").write_text(rows)
    conversions = convert_recordings(data, workspace).set_index("path")
    table = build_records(workspace)
    assert status_by_path(table) == {AVG.replace("a.", "b."): "average", SAT: "satisfied"}
    assert table[["customer", "agent", "gender", "line"]].to_numpy().tolist() == [
        ["", "", "", "8 kHz mono"],
        ["Ann", "Zoe", "f", "mobile"],
    ]
    for column in ("content_hash", "duration_s", "sampling_rate", "channels"):
        assert table[column].tolist() == conversions[column].tolist()


def test_a_changed_table_beside_the_zips_changes_the_records(workspace, tmp_path):
    data = tmp_path / "data"
    write_call(data / "satisfied" / "a.wav", 1.2)
    for text, expected in [
        ("file,line\na.wav,mobile\n", ["", "mobile"]),
        ("file,agent\na.wav,Zoe\n", ["Zoe", "8 kHz mono"]),
    ]:
        (data / "calls.csv").write_text(text)
        convert_recordings(data, workspace)
        (row,) = build_records(workspace)[["agent", "line"]].to_numpy().tolist()
        assert row == expected


def test_tables_from_before_the_details_are_read_and_completed(workspace, tmp_path):
    write_call(tmp_path / "data" / "satisfied" / "a.wav", 1.2)
    (tmp_path / "data" / "calls.csv").write_text("file,customer\na.wav,Ann\n")
    table = convert_recordings(tmp_path / "data", workspace)
    records = build_records(workspace)
    later = ["agent", "gender", "line"]
    table.drop(columns=later).to_csv(workspace.conversions, index=False)
    records.drop(columns=later).to_csv(workspace.records, index=False)
    assert read_records(workspace).equals(records.assign(line=""))
    assert build_records(workspace).equals(records)


@pytest.mark.parametrize("samples", [359_999, 360_000, 360_001, 360_003])
def test_a_duration_stays_on_its_side_of_45_seconds(workspace, samples):
    signal = make_voice(46)[:samples]
    soundfile.write(workspace.audio_data / "a_sat.wav", signal, 8000)
    build_records(workspace)
    (duration_s,) = read_records(workspace)["duration_s"]
    assert (duration_s > 45) == (samples > 45 * 8000)


def test_the_same_recording_under_other_names_is_one_row(workspace):
    twins = ["dataset/satisfied/b.wav", "dataset/zip/satisfied/c.wav", "audio_data/d_sat.wav"]
    write_calls(workspace, SAT, *twins)
    write_calls(workspace, "dataset/satisfied/other.wav", seed=1)
    assert list(build(workspace)) == [SAT, "dataset/satisfied/other.wav"]
    assert reasons(workspace) == dict.fromkeys(twins, f"the same recording as {SAT}")
    assert not workspace.decisions.exists()


def test_a_twin_is_known_by_its_sound_not_by_its_file(workspace):
    write_calls(workspace, SAT)
    sound, sampling_rate = soundfile.read(workspace.folder / SAT, dtype="int16")
    soundfile.write(workspace.audio_data / "twin_sat.flac", sound, sampling_rate)
    assert list(build(workspace)) == [SAT]


def test_a_customer_who_is_known_for_one_twin_is_the_customer_of_all(workspace, tmp_path):
    for name in ("a", "b"):
        write_call(tmp_path / "data" / "satisfied" / f"{name}.wav", 1.2)
    (tmp_path / "data" / "customers.csv").write_text("file,customer\nb.wav,Bob\n")
    convert_recordings(tmp_path / "data", workspace)
    (row,) = build_records(workspace).to_dict("records")
    assert (row["path"], row["customer"]) == (SAT, "Bob")


def test_what_is_told_of_any_twin_is_told_of_all(workspace, tmp_path):
    for name in ("a", "b", "c"):
        write_call(tmp_path / "data" / "satisfied" / f"{name}.wav", 1.2)
    (tmp_path / "data" / "one.csv").write_text("file,line\nc.wav,mobile\n")
    (tmp_path / "data" / "two.csv").write_text("file,agent,gender\nb.wav,Zoe,f\n")
    convert_recordings(tmp_path / "data", workspace)
    (row,) = build_records(workspace).to_dict("records")
    assert [row[name] for name in ("path", "agent", "gender", "line")] == [
        SAT,
        "Zoe",
        "f",
        "mobile",
    ]


def test_a_recording_with_two_statuses_is_kept_out_and_listed(workspace):
    write_calls(workspace, SAT, AVG)
    write_calls(workspace, "audio_data/b_avg.wav", seed=1)
    assert list(build(workspace)) == ["audio_data/b_avg.wav"]
    names = f"average: {AVG} | satisfied: {SAT}"
    assert decisions(workspace) == [[AVG, names, ""]]
    assert list(reasons(workspace)) == [AVG, SAT]
    for reason in reasons(workspace).values():
        assert reason.startswith(f"conflict: the same recording has two statuses ({names}); write")


@pytest.mark.parametrize(
    "path, decision, status",
    [
        (AVG, "satisfied", "satisfied"),
        (AVG, " Average ", "average"),
        (SAT, "avg", "average"),
        (AVG, "not satisfied", "unsatisfied"),
    ],
)
def test_a_decision_settles_a_conflict_and_survives_every_rerun(workspace, path, decision, status):
    write_calls(workspace, SAT, AVG)
    build_records(workspace)
    write_decision(workspace, path, decision)
    for _ in range(3):
        records = build(workspace)
        assert list(records.values()) == [status]
        (kept,) = records
        (other,) = {SAT, AVG} - {kept}
        assert reasons(workspace) == {other: f"the same recording as {kept}"}
        assert kept == {"satisfied": SAT}.get(status, AVG)
        names = f"average: {AVG} | satisfied: {SAT}"
        assert decisions(workspace) == [[AVG, names, decision.strip()]]


def test_a_decision_can_be_changed_and_withdrawn(workspace):
    write_calls(workspace, SAT, AVG)
    for decision, expected in [
        ("average", {AVG: "average"}),
        ("satisfied", {SAT: "satisfied"}),
        ("", {}),
    ]:
        write_decision(workspace, AVG, decision)
        assert build(workspace) == expected


def test_a_decision_holds_when_another_twin_appears(workspace):
    write_calls(workspace, SAT, AVG)
    write_decision(workspace, SAT, "satisfied")
    build_records(workspace)
    write_calls(workspace, "dataset/average/0.wav")
    assert build(workspace) == {SAT: "satisfied"}
    assert [row[0::2] for row in decisions(workspace)] == [["dataset/average/0.wav", "satisfied"]]


@pytest.mark.parametrize("decision", ["good", "satisfied or average", "?", 'ask, please: "Ann"'])
def test_a_decision_nobody_can_interpret_is_reported_and_kept(workspace, decision):
    write_calls(workspace, SAT, AVG)
    write_decision(workspace, AVG, decision)
    for _ in range(2):
        assert build(workspace) == {}
        assert decisions(workspace)[0][2] == decision
        for reason in reasons(workspace).values():
            assert reason.endswith(f"(it says {decision!r}, which is none of them)")


def test_a_decision_for_a_recording_without_conflict_corrects_its_status(workspace):
    write_calls(workspace, SAT)
    write_calls(workspace, "audio_data/b_avg.wav", seed=1)
    write_decision(workspace, SAT, "unsatisfied")
    write_decision(workspace, "audio_data/b_avg.wav", "sat")
    for _ in range(2):
        assert build(workspace) == {"audio_data/b_avg.wav": "satisfied", SAT: "unsatisfied"}
    assert reasons(workspace) == {}
    assert decisions(workspace) == [
        ["audio_data/b_avg.wav", "average: audio_data/b_avg.wav", "sat"],
        [SAT, f"satisfied: {SAT}", "unsatisfied"],
    ]


UNTOLD = ["dataset/calls/a.wav", "audio_data/a.wav"]


@pytest.mark.parametrize("path", UNTOLD)
def test_a_decision_gives_a_recording_without_status_its_status(workspace, path):
    write_calls(workspace, path)
    assert build(workspace) == {}
    for text, status in [("Not satisfied", "unsatisfied"), ("avg", "average")]:
        write_decision(workspace, path, text)
        for _ in range(2):
            assert build(workspace) == {path: status}
            assert reasons(workspace) == {}
            assert decisions(workspace) == [[path, "", text]]
            (found,) = find_recordings(workspace).recordings["status"]
            assert found == status
    write_decision(workspace, path, "")
    assert build(workspace) == {}
    assert reasons(workspace)[path].startswith("no status: ")


def test_a_decision_without_a_status_is_reported_beside_the_recording_and_kept(workspace):
    write_calls(workspace, *UNTOLD)
    write_decision(workspace, UNTOLD[0], "good")
    for _ in range(2):
        assert build(workspace) == {}
        assert list(reasons(workspace)) == [*UNTOLD[::-1], f"decisions.csv: {UNTOLD[0]}"]
        assert decisions(workspace) == [[UNTOLD[0], "", "good"]]
    write_decision(workspace, UNTOLD[1], "sat")
    assert build(workspace) == {UNTOLD[1]: "satisfied"}
    assert decisions(workspace) == [[UNTOLD[0], "", "sat"]]


def test_a_twin_without_status_is_the_same_recording(workspace):
    write_calls(workspace, "dataset/a.wav", SAT)
    assert build(workspace) == {SAT: "satisfied"}
    assert reasons(workspace) == {"dataset/a.wav": f"the same recording as {SAT}"}
    write_decision(workspace, SAT, "average")
    assert build(workspace) == {SAT: "average"}
    write_decision(workspace, SAT, "")
    write_decision(workspace, "dataset/a.wav", "unsatisfied")
    assert build(workspace) == {"dataset/a.wav": "unsatisfied"}
    assert decisions(workspace) == [["dataset/a.wav", f"satisfied: {SAT}", "unsatisfied"]]


def test_a_twin_without_status_does_not_settle_a_conflict(workspace):
    write_calls(workspace, "dataset/a.wav", SAT, AVG)
    assert build(workspace) == {}
    names = f"average: {AVG} | satisfied: {SAT}"
    assert decisions(workspace) == [["dataset/a.wav", names, ""]]
    assert all(f"two statuses ({names})" in reason for reason in reasons(workspace).values())
    write_decision(workspace, "dataset/a.wav", "satisfied")
    assert list(build(workspace).values()) == ["satisfied"]


def test_recordings_without_any_status_are_listed_once(workspace):
    write_calls(workspace, *UNTOLD)
    write_calls(workspace, "dataset/b.wav", "dataset/calls/b.wav", seed=1)
    write_calls(workspace, SAT, "dataset/a twin.wav", seed=2)
    write_calls(workspace, AVG, "dataset/satisfied/conflict.wav", "audio_data/c.wav", seed=3)
    (workspace.audio_data / "d.wav").write_text("no sound")
    table = list_unlabelled(workspace)
    assert table[["path", "duration_s"]].to_numpy().tolist() == [
        ["dataset/b.wav", 1.2],
        ["dataset/calls/a.wav", 1.2],
    ]
    hashes = find_recordings(workspace).usable.set_index("path")["content_hash"]
    assert table["content_hash"].tolist() == hashes[table["path"]].tolist()
    write_decision(workspace, "dataset/calls/b.wav", "sat")
    assert list_unlabelled(workspace)["path"].tolist() == ["dataset/calls/a.wav"]
    write_decision(workspace, "audio_data/a.wav", "unclear")
    assert list_unlabelled(workspace)["path"].tolist() == ["dataset/calls/a.wav"]


def test_without_recordings_none_lacks_a_status(workspace):
    table = list_unlabelled(workspace)
    assert list(table) == ["path", "content_hash", "duration_s"]
    assert table.empty
    assert table["duration_s"].dtype == float


@pytest.mark.parametrize("decision", ["average", "nonsense"])
def test_a_decision_outlives_its_recording(workspace, decision):
    write_calls(workspace, SAT)
    write_decision(workspace, "dataset/average/gone.wav", decision)
    for _ in range(2):
        assert build(workspace) == {SAT: "satisfied"}
        assert decisions(workspace) == [["dataset/average/gone.wav", "", decision]]


def test_a_name_with_the_divider_of_the_list_stops_nothing(workspace):
    odd = "dataset/average/a | b: c.wav"
    write_calls(workspace, SAT, odd)
    write_decision(workspace, odd, "average")
    for _ in range(2):
        assert build(workspace) == {odd: "average"}
        assert [row[0] for row in decisions(workspace)] == [odd]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "path;statuses;decision\ndataset/average/a.wav;;satisfied\n",
        "path,statuses,decision\na,b,c,d,e,f\n",
        "path,statuses,decision\nGröße.wav,,average\n".encode("latin-1"),
    ],
)
def test_decisions_in_another_format_are_refused_and_left_as_they_are(workspace, content):
    content = content if isinstance(content, bytes) else content.encode()
    write_calls(workspace, SAT, AVG)
    workspace.decisions.write_bytes(content)
    with pytest.raises(TableError, match=r"save it as CSV in UTF-8, divided by commas"):
        build_records(workspace)
    assert workspace.decisions.read_bytes() == content


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty file (0 bytes)"),
        (b"hello", "text, not sound"),
        (bytes(2000), "not a recording, or damaged"),
    ],
)
@pytest.mark.parametrize("path", ["audio_data/b_sat.wav", "dataset/satisfied/b.wav"])
def test_a_file_that_is_no_recording_is_listed_and_stops_nothing(workspace, path, content, reason):
    write_calls(workspace, SAT)
    (workspace.folder / path).write_bytes(content)
    assert build(workspace) == {SAT: "satisfied"}
    assert reasons(workspace)[path].startswith(reason)


def test_silence_and_snippets_are_listed(workspace):
    soundfile.write(workspace.audio_data / "a_sat.wav", 0 * make_voice(2), 8000)
    soundfile.write(workspace.audio_data / "b_sat.wav", make_voice(0.5), 8000)
    assert build(workspace) == {}
    silent, short = reasons(workspace).values()
    assert silent.startswith("silent")
    assert short.startswith("too short: 0.50 s")


def test_a_name_in_another_encoding_is_listed_and_stops_nothing(workspace):
    write_calls(workspace, SAT, "audio_data/a_sat.wav")
    name = os.fsdecode("Müller_sat.wav".encode("latin-1"))
    (workspace.audio_data / "a_sat.wav").rename(workspace.audio_data / name)
    assert build(workspace) == {SAT: "satisfied"}
    assert reasons(workspace) == {
        "audio_data/M?ller_sat.wav": "its name is not written in UTF-8: rename it"
    }


def test_a_file_that_is_still_being_written_is_passed_over(workspace):
    write_calls(workspace, "audio_data/.x1_sat.wav.part")
    assert build(workspace) == reasons(workspace) == {}


def test_a_rerun_changes_no_file(workspace):
    write_calls(workspace, SAT, AVG, "dataset/nowhere/c.wav")
    write_calls(workspace, "audio_data/d_sat.wav", "dataset/average/d.wav", seed=1)
    write_calls(workspace, "audio_data/e_sat.wav", "dataset/satisfied/e.wav", seed=2)
    (workspace.audio_data / "f_sat.wav").write_text("no sound")
    build_records(workspace)
    write_decision(workspace, AVG, "satisfied")
    first = build_records(workspace)
    before = state(workspace)
    assert build_records(workspace).equals(first)
    assert state(workspace) == before


def test_a_status_that_is_corrected_by_moving_the_file_is_followed(workspace):
    write_calls(workspace, "audio_data/a_sat.wav")
    build_records(workspace)
    (workspace.audio_data / "a_sat.wav").rename(workspace.audio_data / "a_unsat.wav")
    assert build(workspace) == {"audio_data/a_unsat.wav": "unsatisfied"}


def test_calls_and_customers_are_counted_by_status(workspace):
    assert count_by_status(build_records(workspace)).to_numpy().tolist() == [[0, 0, 0, 0]] * 3
    write_calls(workspace, SAT)
    soundfile.write(workspace.audio_data / "b_sat.wav", make_voice(30).reshape(-1, 2), 8000)
    write_calls(workspace, "audio_data/c_avg.wav", seed=2)
    records = build_records(workspace).assign(customer=["Ann", "Ann", ""])
    table = count_by_status(records)
    assert list(table.index) == ["satisfied", "average", "unsatisfied"]
    assert table["calls"].tolist() == [2, 1, 0]
    assert table["minutes"].tolist() == [0.3, 0.0, 0.0]
    assert table["two_channel"].tolist() == [1, 0, 0]
    assert table["customers"].tolist() == [1, 1, 0]


def lend(workspace, status: str, *paths: str) -> None:
    """Give calls the status that their cluster was named."""
    calls = list_calls(workspace)
    calls = calls[calls["path"].isin(paths)]
    details = {"cluster": "A-000000", "distance": 1.0, "certainty": 0.5}
    write_cluster_labels(workspace, calls.assign(status=status, **details))


def test_a_call_without_a_status_takes_the_name_of_its_cluster_and_nothing_else_changes(workspace):
    write_calls(workspace, SAT)
    write_calls(workspace, "dataset/calls/b.wav", "dataset/calls/c.wav", seed=1)
    write_calls(workspace, "audio_data/d.wav", seed=2)
    lend(workspace, "average", SAT, "dataset/calls/b.wav", "audio_data/d.wav")
    assert build(workspace) == {
        SAT: "satisfied", "dataset/calls/b.wav": "average", "audio_data/d.wav": "average"
    }  # fmt: skip
    records = read_records(workspace)
    assert dict(zip(records["path"], records["source"], strict=True)) == {
        SAT: "archive", "dataset/calls/b.wav": CLUSTER, "audio_data/d.wav": CLUSTER
    }  # fmt: skip
    assert set(records["line"]) == {"8 kHz mono"}
    assert reasons(workspace) == {
        "dataset/calls/c.wav": "the same recording as dataset/calls/b.wav"
    }
    assert by_people(records)["path"].tolist() == [SAT]
    assert count_by_status(records)["calls"].sum() == 1
    assert len(list_unlabelled(workspace)) == 2
    before = state(workspace)
    build(workspace)
    assert state(workspace) == before


def test_a_conflict_is_not_settled_by_the_name_of_a_cluster(workspace):
    write_calls(workspace, SAT, AVG.replace("a.", "b."))
    lend(workspace, "unsatisfied", SAT)
    assert build(workspace) == {}


def test_calls_are_listed_with_what_people_say_and_what_place_and_name_tell(workspace):
    write_calls(workspace, SAT, "dataset/calls/z.wav")
    write_calls(workspace, "dataset/calls/b.wav", seed=1)
    write_calls(workspace, "dataset/calls/c.wav", seed=2)
    write_calls(workspace, "audio_data/d_sat.wav", "audio_data/e_avg.wav", seed=3)
    write_decision(workspace, "dataset/calls/b.wav", "neutral")
    table = list_calls(workspace)[["path", "status", "told"]]
    assert table.to_numpy().tolist() == [
        ["audio_data/d_sat.wav", "", True],
        ["dataset/calls/b.wav", "average", False],
        ["dataset/calls/c.wav", "", False],
        [SAT, "satisfied", True],
    ]
