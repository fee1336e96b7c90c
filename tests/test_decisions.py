from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import write_call

from helpers.decisions import COLUMNS, read_decisions, withdraw_decision
from helpers.errors import DecidedError, TableError
from helpers.files import read_csv
from helpers.records import (
    build_records,
    decide,
    find_recordings,
    list_unlabelled,
    status_by_path,
)
from helpers.rejections import read_rejections

SAT, AVG, UNTOLD = "dataset/satisfied/a.wav", "dataset/average/a.wav", "dataset/calls/b.wav"
OTHER, FORM = "dataset/average/c.wav", "audio_data/d_unsat.wav"


@pytest.fixture
def workspace(workspace):
    """A workspace with a conflict, a call without status, and two whose status is clear."""
    for seed, path in enumerate([SAT, UNTOLD, OTHER, FORM]):
        write_call(workspace.folder / path, 1.2, seed=seed)
    write_call(workspace.folder / AVG, 1.2, seed=0)
    return workspace


def rows(workspace) -> list[list[str]]:
    return read_csv(workspace.decisions, COLUMNS).to_numpy().tolist()


def build(workspace) -> dict[str, str]:
    return status_by_path(build_records(workspace))


UNDISPUTED = {OTHER: "average", FORM: "unsatisfied"}


def test_without_the_file_nothing_is_decided(workspace):
    assert read_decisions(workspace) == {}


def test_decisions_saved_by_a_spreadsheet_are_read(workspace):
    text = f"\ufeffpath,statuses,decision\r\n {AVG} ,, satisfied \r\n,,\r\n"
    workspace.decisions.write_bytes(text.encode())
    assert read_decisions(workspace) == {AVG: "satisfied"}


@pytest.mark.parametrize(
    "decisions, expected",
    [
        ({}, {}),
        ({UNTOLD: "satisfied"}, {UNTOLD: "satisfied"}),
        ({UNTOLD: " Not satisfied "}, {UNTOLD: "unsatisfied"}),
        ({OTHER: "sat"}, {OTHER: "satisfied"}),
        ({FORM: "avg", UNTOLD: "neutral"}, {FORM: "average", UNTOLD: "average"}),
        ({AVG: "average"}, {AVG: "average"}),
        ({SAT: "average"}, {AVG: "average"}),
        ({SAT: "average", AVG: "avg"}, {AVG: "average"}),
    ],
)
def test_what_is_decided_is_in_the_records_run_after_run(workspace, decisions, expected):
    decide(workspace, decisions)
    for _ in range(3):
        assert build(workspace) == {**UNDISPUTED, **expected}
    assert list_unlabelled(workspace)["path"].tolist() == [UNTOLD] * (UNTOLD not in decisions)
    assert not read_rejections(workspace)["path"].str.startswith("decisions.csv").any()


def test_earlier_decisions_and_open_conflicts_stay(workspace):
    build_records(workspace)
    names = f"average: {AVG} | satisfied: {SAT}"
    assert rows(workspace) == [[AVG, names, ""]]
    decide(workspace, {OTHER: "satisfied", UNTOLD: "average"})
    decide(workspace, {UNTOLD: "unsatisfied"})
    assert rows(workspace) == [
        [AVG, names, ""],
        [OTHER, "", "satisfied"],
        [UNTOLD, "", "unsatisfied"],
    ]


@pytest.mark.parametrize("first, second", [(AVG, SAT), (SAT, AVG), (AVG, AVG)])
def test_the_newest_decision_counts_whichever_name_it_is_for(workspace, first, second):
    decide(workspace, {first: "satisfied"})
    build_records(workspace)
    decide(workspace, {second: "average"})
    assert rows(workspace) == [[second, f"average: {AVG} | satisfied: {SAT}", "average"]]
    assert build(workspace) == {**UNDISPUTED, AVG: "average"}


def test_a_decision_about_a_recording_that_is_gone_stays(workspace):
    workspace.decisions.write_text("path,statuses,decision\ndataset/gone.wav,,perhaps\n")
    decide(workspace, {UNTOLD: "average"})
    assert rows(workspace) == [[UNTOLD, "", "average"], ["dataset/gone.wav", "", "perhaps"]]


@pytest.mark.parametrize(
    "decisions, sentence",
    [
        (
            {"dataset/gone.wav": "average"},
            r"'dataset/gone.wav' was decided on, but is no usable rec",
        ),
        ({"CallRecords.csv": "average"}, "'CallRecords.csv' was decided on, but is no usable"),
        ({f"/{UNTOLD}": "average"}, "write its path in the workspace, such as dataset/"),
        ({UNTOLD: "good"}, f"'good' about {UNTOLD} is none of satisfied, average, unsatisfied; "),
        ({UNTOLD: ""}, f"'' about {UNTOLD} is none of satisfied"),
        ({SAT: "average", AVG: "sat"}, f"{SAT} and {AVG} are the same recording, but were decided"),
    ],
)
def test_a_wrong_decision_is_refused_and_none_is_written(workspace, decisions, sentence):
    decide(workspace, {FORM: "satisfied"})
    before = workspace.decisions.read_bytes()
    with pytest.raises(TableError, match=sentence):
        decide(workspace, {OTHER: "unsatisfied", **decisions})
    assert workspace.decisions.read_bytes() == before


def test_a_file_that_is_no_recording_cannot_be_decided_on(workspace):
    (workspace.audio_data / "note.wav").write_text("no sound")
    with pytest.raises(TableError, match="is no usable recording"):
        decide(workspace, {"audio_data/note.wav": "average"})


def test_deciding_the_same_again_changes_no_file(workspace):
    decide(workspace, {UNTOLD: "average", SAT: "satisfied"})
    build_records(workspace)
    before = workspace.decisions.stat()
    decide(workspace, {SAT: "satisfied", UNTOLD: "avg"})
    rewritten = rows(workspace)
    build_records(workspace)
    assert {path: text for path, _, text in rewritten} == {UNTOLD: "average", SAT: "satisfied"}
    assert build(workspace) == {**UNDISPUTED, SAT: "satisfied", UNTOLD: "average"}
    assert workspace.decisions.stat().st_size == before.st_size


def test_a_decision_that_shall_not_be_overruled_is_kept_under_every_name_of_the_call(workspace):
    for name in ("first_sat", "second_avg"):
        write_call(workspace.audio_data / f"{name}.wav", 1.2)
    decide(workspace, {"audio_data/first_sat.wav": "unsatisfied"}, keep_others=True)
    decide(workspace, {"audio_data/second_avg.wav": "not satisfied"}, keep_others=True)
    with pytest.raises(DecidedError, match=r"second_avg\.wav was unsatisfied"):
        decide(workspace, {"audio_data/first_sat.wav": "average"}, keep_others=True)
    assert read_decisions(workspace) == {"audio_data/second_avg.wav": "unsatisfied"}


def test_people_who_decide_at_the_same_time_lose_nothing(workspace):
    paths = [f"audio_data/call_{number}_sat.wav" for number in range(12)]
    for number, path in enumerate(paths):
        write_call(workspace.folder / path, 1.2, seed=number)
    with ThreadPoolExecutor(6) as people:
        list(people.map(lambda path: decide(workspace, {path: "average"}), paths))
    assert read_decisions(workspace) == dict.fromkeys(paths, "average")


def test_only_the_decision_that_is_meant_is_taken_back(workspace):
    write_call(workspace.folder / "audio_data/call_sat.wav", 1.2)
    decide(workspace, {"audio_data/call_sat.wav": "average"})
    assert not withdraw_decision(workspace, "audio_data/call_sat.wav", status="unsatisfied")
    assert read_decisions(workspace) == {"audio_data/call_sat.wav": "average"}
    assert withdraw_decision(workspace, "audio_data/call_sat.wav", status="average")
    assert read_decisions(workspace) == {}


def find_hash(workspace) -> str:
    usable = find_recordings(workspace, only=["audio_data/call_sat.wav"]).usable
    return usable["content_hash"].item()


def test_a_recording_that_changes_is_looked_at_again(workspace):
    write_call(workspace.folder / "audio_data/call_sat.wav", 1.2, seed=1)
    before = find_hash(workspace)
    write_call(workspace.folder / "audio_data/call_sat.wav", 1.2, seed=2)
    assert find_hash(workspace) != before
