from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms_ingest.errors import RetryLaterError
from forms_ingest.form import Upload
from forms_ingest.ledger import ORPHANED, PENDING, PLACED, QUARANTINED, RETRY, SUPERSEDED
from forms_ingest.links import Reference
from forms_ingest.plan import Disk, failed_row, make_plan, orphans, pending_row
from forms_ingest.responses import Response
from forms_ingest.reviews import reviewer_key
from helpers.errors import FormError
from helpers.statuses import SUFFIXES, parse_status, status_of_suffix

UPLOADS = {
    "a": Upload("id-a", "call - Ann.wav", 9, "sha256", "1"),
    "a2": Upload("id-a2", "call - Ann.wav", 9, "sha256", "1"),  # sent a second time
    "b": Upload("id-b", "call - Bob.wav", 9, "sha256", "2"),
    "b1": Upload("id-b1", "call - Bob.wav", 9, "sha256", "1"),  # Ann's recording, sent by Bob
    "c": Upload("id-c", "other.m4a", 9, "md5", "3"),
    "empty": Upload("id-e", "empty.wav", 0, "sha256", "0"),
}
SAT, AVG, UNSAT = (f"audio_data/call_{suffix}.wav" for suffix in ("sat", "avg", "unsat"))
FREE_B, FREE_B1 = (f"audio_data/call-{short}" for short in ("4f206f19", "b6eeedb8"))


def respond(*answers: tuple) -> list[Response]:
    return [
        Response(number, *(time or [""]), Reference(name=name), "call.wav", answer)
        for number, (name, answer, *time) in enumerate(answers, start=2)
    ]


def find(response: Response) -> Upload | FormError:
    name = response.reference.name
    if name == "later":
        return RetryLaterError("the upload has not arrived on Drive yet")
    return UPLOADS.get(name) or FormError(f"no upload is called {name!r}")


def plan(*answers, ledger=(), files=(), adopted=None, spoilt=()):
    present = {path.casefold() for path in files}
    disk = Disk(
        intact=lambda row: row["path"] in files and row["path"] not in spoilt,
        exists=lambda path: path.casefold() in present,
        adopted=adopted or {},
        folder="audio_data",
    )
    responses = respond(*answers)
    return make_plan(
        responses,
        [find(response) for response in responses],
        parse_status,
        ledger={row["file_id"]: row for row in ledger},
        disk=disk,
    )


def row_of(name: str, path: str, **cells: str) -> dict[str, str]:
    upload = UPLOADS[name]
    row = {
        "file_id": upload.file_id,
        "upload": upload.name,
        "timestamp": "",
        "answer": "",
        "status": status_of_suffix(PurePosixPath(path)) or "",
        "outcome": PLACED,
        "reason": "",
        "path": path,
        "replaces": "",
        "fingerprint": upload.fingerprint,
        "placed_sha256": "hash",
        "reviews": "",
    }
    return {**row, **cells}


def decided(actions) -> list[tuple[str, str]]:
    return [(action.kind, action.path) for action in actions]


@pytest.mark.parametrize(
    "answers, ledger, files, expected",
    [
        ([], [], [], []),
        ([("a", "Satisfied")], [], [], [("place", SAT)]),
        ([("a", "not satisfied")], [], [], [("place", UNSAT)]),
        ([("c", "avg")], [], [], [("place", "audio_data/other_avg.wav")]),
        ([("x", "Satisfied")], [], [], [("quarantine", "")]),
        ([("later", "Satisfied")], [], [], [("retry", "")]),
        ([("a", "")], [], [], [("quarantine", "")]),
        ([("a", "great")], [], [], [("quarantine", "")]),
        ([("empty", "sat")], [], [], [("quarantine", "")]),
        ([("a", "great"), ("a", "avg")], [], [], [("quarantine", ""), ("place", AVG)]),
        ([("a", "sat"), ("b", "sat")], [], [], [("place", SAT), ("place", f"{FREE_B}_sat.wav")]),
        ([("a", "sat"), ("b", "avg")], [], [], [("place", SAT), ("place", AVG)]),
        ([("b", "sat")], [], [SAT], [("place", f"{FREE_B}_sat.wav")]),
        ([("b", "sat")], [], [SAT.upper()], [("place", f"{FREE_B}_sat.wav")]),
        ([("a", "sat")], [row_of("a", SAT)], [SAT], [("keep", SAT)]),
        ([("a", "sat")], [row_of("a", SAT, outcome=ORPHANED)], [SAT], [("keep", SAT)]),
        ([("a", "sat")], [row_of("a", SAT)], [], [("place", SAT)]),
        ([("a", "sat")], [row_of("a", SAT, outcome=PENDING)], [SAT], [("place", SAT)]),
        ([("a", "sat")], [row_of("a", SAT, fingerprint="0")], [SAT], [("place", SAT)]),
        ([("a", "sat")], [row_of("a", SAT, outcome=RETRY)], [SAT], [("place", SAT)]),
        ([("a", "sat")], [row_of("a", "", outcome=SUPERSEDED)], [], [("place", SAT)]),
        ([("a", "avg")], [row_of("a", SAT)], [SAT], [("rename", AVG)]),
        ([("a", "avg")], [row_of("a", SAT)], [], [("place", AVG)]),
        ([("a", "avg")], [row_of("a", SAT, fingerprint="0")], [SAT], [("place", AVG)]),
        ([("a", "great")], [row_of("a", SAT)], [SAT], [("quarantine", SAT)]),
        ([("b", "avg")], [row_of("b", SAT)], [SAT, AVG], [("rename", f"{FREE_B}_avg.wav")]),
        ([("b", "sat"), ("a", "avg")], [row_of("a", SAT)], [SAT],
         [("place", f"{FREE_B}_sat.wav"), ("rename", AVG)]),
        ([("b", "sat"), ("a", "avg")], [row_of("a", AVG, outcome=PENDING, replaces=SAT)], [AVG],
         [("place", f"{FREE_B}_sat.wav"), ("place", AVG)]),
        ([("a", "sat")], [row_of("a", AVG, outcome=PENDING, replaces=SAT)], [SAT],
         [("place", SAT)]),
    ],
)  # fmt: skip
def test_each_response_gets_its_action(answers, ledger, files, expected):
    actions = plan(*answers, ledger=ledger, files=files)
    assert decided(actions) == expected
    assert [action.response for action in actions] == respond(*answers)


def test_a_call_that_was_damaged_is_placed_again():
    actions = plan(("a", "sat"), ledger=[row_of("a", SAT)], files=[SAT], spoilt=[SAT])
    assert decided(actions) == [("place", SAT)]


@pytest.mark.parametrize(
    "answers, kinds",
    [
        ([("a", "sat", ""), ("a", "sat", "")], ["repeat", "place"]),
        ([("a", "sat", "5"), ("a", "sat", "5")], ["repeat", "place"]),
        ([("a", "sat", "6"), ("a", "sat", "5")], ["place", "repeat"]),
        ([("a", "sat", "5"), ("a", "avg", "5")], ["quarantine", "quarantine"]),
        ([("a", "sat", ""), ("a", "avg", "5")], ["quarantine", "quarantine"]),
        ([("a", "sat", "1/2/2026"), ("a", "avg", "3/2/2026")], ["quarantine", "quarantine"]),
        ([("a", "sat", "5"), ("a", "avg", "6")], ["repeat", "place"]),
        ([("a", "sat", "6"), ("a", "avg", "5")], ["place", "repeat"]),
        ([("a", "sat", "2026-01-02"), ("a", "avg", "2026-01-01")], ["place", "repeat"]),
        ([("a", "sat", "5"), ("a", "avg", "6"), ("a", "avg", "6")], ["quarantine"] * 3),
        ([("a", "avg", "5"), ("a", "avg", "6"), ("a", "avg", "6")], ["repeat", "repeat", "place"]),
        ([("a", "sat", "5"), ("a", "great", "6")], ["place", "quarantine"]),
        ([("a", "sat", "5"), ("a2", "sat", "6")], ["supersede", "place"]),
        ([("a", "sat", "5"), ("a2", "avg", "6")], ["supersede", "place"]),
        ([("a", "sat", "6"), ("a2", "avg", "5")], ["place", "supersede"]),
        ([("a", "sat", "5"), ("a2", "avg", "5")], ["quarantine", "quarantine"]),
        ([("a", "sat", "5"), ("a", "avg", "6"), ("a2", "unsat", "7")],
         ["repeat", "supersede", "place"]),
        ([("a", "sat", "5"), ("b1", "sat", "6")], ["place", "place"]),
        ([("a", "sat", "5"), ("b1", "avg", "6")], ["place", "place"]),
        ([("a", "sat", "5"), ("b", "avg", "5")], ["place", "place"]),
    ],
)  # fmt: skip
def test_of_two_responses_for_one_recording_the_newer_counts(answers, kinds):
    actions = plan(*answers)
    assert [action.kind for action in actions] == kinds


@pytest.mark.parametrize("first, second, kinds", [
    ("ann@example.com", " ANN@example.com", ["supersede", "place"]),
    ("ann@example.com", "bob@example.com", ["place", "place"]),
])  # fmt: skip
def test_who_sent_it_is_told_by_the_address_before_the_name(first, second, kinds):
    responses = [
        response._replace(submitter=submitter)
        for response, submitter in zip(
            respond(("a", "sat", "5"), ("a2", "avg", "6")), (first, second), strict=True
        )
    ]
    disk = Disk(lambda row: True, lambda path: False, {}, "audio_data")
    found = [find(response) for response in responses]
    actions = make_plan(responses, found, parse_status, ledger={}, disk=disk)
    assert [action.kind for action in actions] == kinds


def test_recordings_without_any_sender_are_never_taken_for_one_persons():
    responses = respond(("x", "sat", "5"), ("y", "avg", "6"))
    found = [Upload(name, f"{name}.wav", 9, "md5", "1") for name in "xy"]
    disk = Disk(lambda row: True, lambda path: False, {}, "audio_data")
    actions = make_plan(responses, found, parse_status, ledger={}, disk=disk)
    assert [action.kind for action in actions] == ["place", "place"]


def key(name: str, submitter: str, salt: str = "") -> str:
    return reviewer_key(submitter, UPLOADS[name], salt=salt)


@pytest.mark.parametrize(
    "answers, reviews",
    [
        ([("x", "sat")], [[]]),
        ([("a", "great")], [[]]),
        ([("a", "sat")], [[("Ann", "satisfied")]]),
        ([("c", "sat")], [[("", "satisfied")]]),
        ([("a", "sat", "5"), ("a", "avg", "6")], [[("Ann", "average")]] * 2),
        ([("a", "sat", "6"), ("a", "avg", "5")], [[("Ann", "satisfied")]] * 2),
        ([("a", "sat", "5"), ("a", "great", "6")], [[("Ann", "satisfied")]] * 2),
        ([("a", "sat", "5"), ("a2", "avg", "6")], [[("Ann", "satisfied")], [("Ann", "average")]]),
        ([("a", "sat"), ("b1", "avg")], [[("Ann", "satisfied")], [("Bob", "average")]]),
    ],
)
def test_what_each_person_answered_about_an_upload_is_noted(answers, reviews):
    for action, expected in zip(plan(*answers), reviews, strict=True):
        entries = [f"{key(action.response.reference.name, who)}:{what}" for who, what in expected]
        assert action.reviews == "|".join(entries)


@pytest.mark.parametrize("times", [("5", "6"), ("6", "5"), ("", "")])
def test_both_answers_about_one_upload_are_noted_whichever_counts(times):
    responses = [
        response._replace(submitter=submitter)
        for response, submitter in zip(
            respond(("a", "sat", times[0]), ("a", "avg", times[1])), ("Cid", "Dan"), strict=True
        )
    ]
    disk = Disk(lambda row: True, lambda path: False, {}, "audio_data")
    found = [find(response) for response in responses]
    actions = make_plan(responses, found, parse_status, ledger={}, disk=disk, salt="sheet")
    expected = {
        f"{key('a', 'Cid', 'sheet')}:satisfied",
        f"{key('a', 'Dan', 'sheet')}:average",
    }
    for action in actions:
        assert set(action.reviews.split("|")) == expected
        assert pending_row(action, {})["reviews"] == action.reviews
        assert failed_row(action, row_of("a", SAT), QUARANTINED)["reviews"] == action.reviews


@pytest.mark.parametrize(
    "answers, sentence",
    [
        ([("x", "sat")], "no upload is called 'x'"),
        ([("later", "sat")], "the upload has not arrived on Drive yet"),
        ([("a", "")], "the status is '', expected one of satisfied, average, unsatisfied"),
        ([("a", "great")], "the status is 'great', expected one of satisfied"),
        ([("empty", "sat")], "empty file (0 bytes)"),
        ([("a", "sat", "6"), ("a", "sat", "5")], "says the same as row 2"),
        ([("a", "avg", "6"), ("a", "sat", "5")], "row 2 is newer and takes its place"),
        ([("a", "avg", "6"), ("a2", "sat", "5")], "row 2 is newer and takes its place"),
        ([("b", "sat"), ("a", "sat"), ("a", "avg")],
         "the rows 3, 4 give the same upload different statuses; correct one of them"),
    ],
)  # fmt: skip
def test_what_is_not_used_has_a_reason(answers, sentence):
    assert plan(*answers)[-1].reason.startswith(sentence)


@pytest.mark.parametrize(
    "cells, answer, expected",
    [
        ({}, "sat", "quarantine"),
        ({}, "avg", "place"),
        ({"fingerprint": "sha256 0"}, "sat", "place"),
        ({"reason": "neither can read it; install ffmpeg"}, "sat", "place"),
        ({"outcome": RETRY}, "sat", "place"),
    ],
)
def test_a_useless_upload_is_judged_again_only_where_something_changed(cells, answer, expected):
    row = row_of("a", "", outcome=QUARANTINED, answer="sat", reason="silent")
    (action,) = plan(("a", answer), ledger=[{**row, **cells}])
    assert action.kind == expected
    assert action.reason == ("silent" if expected == "quarantine" else "")


FINGERPRINT = "sha256 1"


@pytest.mark.parametrize(
    "answers, known, expected",
    [
        ([("a", "sat")], [SAT], [("keep", SAT, "")]),
        ([("a", "sat")], ["audio_data/New_SAT.wav"], [("keep", "audio_data/New_SAT.wav", "")]),
        ([("a", "avg")], [SAT], [("rename", AVG, SAT)]),
        ([("a", "avg")], ["audio_data/x.wav"], [("rename", AVG, "audio_data/x.wav")]),
        ([("a", "sat")], [AVG, SAT], [("keep", SAT, "")]),
        ([("a", "sat"), ("b1", "avg")], [AVG, SAT], [("keep", SAT, ""), ("keep", AVG, "")]),
        ([("b1", "avg"), ("a", "sat")], [AVG, SAT], [("keep", AVG, ""), ("keep", SAT, "")]),
        ([("a", "sat"), ("b1", "sat")], [f"{FREE_B1}_sat.wav", SAT],
         [("keep", SAT, ""), ("keep", f"{FREE_B1}_sat.wav", "")]),
        ([("b1", "sat"), ("a", "sat")], [f"{FREE_B1}_sat.wav", SAT],
         [("keep", f"{FREE_B1}_sat.wav", ""), ("keep", SAT, "")]),
        ([("a", "sat"), ("b1", "sat")], [SAT],
         [("keep", SAT, ""), ("place", f"{FREE_B1}_sat.wav", "")]),
        ([("a", "great")], [SAT], [("quarantine", "", "")]),
    ],
)  # fmt: skip
def test_a_call_in_place_that_the_ledger_does_not_know_is_adopted(answers, known, expected):
    actions = plan(*answers, files=known, adopted={FINGERPRINT: known})
    assert [(action.kind, action.path, action.source) for action in actions] == expected


def test_a_call_that_another_upload_has_is_not_adopted():
    actions = plan(("a", "sat"), ledger=[row_of("b1", SAT)], adopted={FINGERPRINT: [SAT]})
    assert actions[0].kind == "place"
    assert actions[0].path != SAT


@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=4),
    typed=st.text(max_size=20),
    answer=st.sampled_from(["satisfied", "average", "unsatisfied"]),
)
def test_no_name_leads_out_of_the_folder_or_onto_another_call(names, typed, answer):
    found = [Upload(str(n), name, 9, "md5", str(n)) for n, name in enumerate(names)]
    responses = [Response(2, "", Reference(upload.file_id), typed, answer) for upload in found]
    disk = Disk(lambda row: True, lambda path: False, {}, "audio_data")
    actions = make_plan(responses, found, parse_status, ledger={}, disk=disk)
    assert [action.kind for action in actions] == ["place"] * len(names)
    assert len({action.path.casefold() for action in actions}) == len(names)
    for action in actions:
        folder, name = action.path.split("/")
        assert folder == "audio_data"
        assert name.endswith(f"_{SUFFIXES[answer]}.wav")
        assert name != f"_{SUFFIXES[answer]}.wav"
        assert not set(name) & set('\\:*?"<>|\0\n\r')
        assert len(name.encode()) <= 255


ANSWERS = st.tuples(
    st.sampled_from([*UPLOADS, "x", "later"]),
    st.sampled_from(["sat", "avg", "great"]),
    st.sampled_from(["", "1", "2", "3"]),
)


@given(answers=st.lists(ANSWERS, max_size=8))
def test_every_response_has_one_action_and_every_file_at_most_one_call(answers):
    actions = plan(*answers)
    assert [action.response for action in actions] == respond(*answers)
    calls = [action.upload.file_id for action in actions if action.kind == "place"]
    assert len(set(calls)) == len(calls)
    assert all(action.reason for action in actions if action.kind != "place")


@pytest.mark.parametrize(
    "path, replaces, new_path, expected",
    [
        ("", "", SAT, ""),
        (SAT, "", SAT, ""),
        (SAT, "", AVG, SAT),
        (AVG, SAT, AVG, SAT),
        (AVG, SAT, SAT, AVG),
        (AVG, SAT, UNSAT, f"{AVG}|{SAT}"),
        (UNSAT, f"{AVG}|{SAT}", UNSAT, f"{AVG}|{SAT}"),
    ],
)
def test_every_place_where_a_call_may_still_be_is_written_down(path, replaces, new_path, expected):
    earlier = row_of("a", path, outcome=PENDING, replaces=replaces)
    (action,) = plan(("a", "sat"))
    row = pending_row(action._replace(path=new_path), earlier)
    assert (row["path"], row["replaces"], row["outcome"]) == (new_path, expected, PENDING)


@pytest.mark.parametrize(
    "earlier, expected",
    [
        ({}, ("", "", "", "")),
        (row_of("a", "", outcome=RETRY, fingerprint=""), ("", "", "", "")),
        (row_of("a", SAT), ("satisfied", SAT, "", FINGERPRINT)),
        (row_of("a", UNSAT, outcome=PENDING, replaces=SAT),
         ("unsatisfied", UNSAT, SAT, FINGERPRINT)),
    ],
)  # fmt: skip
def test_a_failed_upload_keeps_the_call_it_gave_earlier(earlier, expected):
    (action,) = plan(("a", "average"))
    row = failed_row(action._replace(reason="damaged"), earlier, QUARANTINED)
    assert (row["status"], row["path"], row["replaces"], row["fingerprint"]) == expected
    assert (row["outcome"], row["reason"]) == (QUARANTINED, "damaged")


@pytest.mark.parametrize(
    "answers, rows, expected",
    [
        ([], [], []),
        ([], [row_of("a", SAT)], ["id-a"]),
        ([], [row_of("b", SAT, outcome=ORPHANED), row_of("a", AVG)], ["id-a", "id-b"]),
        ([("b", "sat")], [row_of("a", SAT)], ["id-a"]),
        ([("a", "great")], [row_of("a", SAT)], []),
        ([], [row_of("a", "", outcome=outcome) for outcome in (RETRY,)], []),
        ([], [row_of("a", "", outcome=SUPERSEDED), row_of("b", "", outcome=QUARANTINED)], []),
    ],
)
def test_a_placed_call_that_no_response_names_is_an_orphan(answers, rows, expected):
    ledger = {row["file_id"]: row for row in rows}
    assert orphans(plan(*answers, ledger=rows), ledger) == expected


def test_a_call_whose_upload_is_in_the_bin_is_no_orphan_and_stays_known():
    response = Response(2, "", Reference(file_id="id-a"), "", "sat")
    ledger = {"id-a": row_of("a", SAT)}
    disk = Disk(lambda row: True, lambda path: True, {}, "audio_data")
    gone = [FormError("the upload is in Drive's bin")]
    actions = make_plan([response], gone, parse_status, ledger=ledger, disk=disk)
    assert decided(actions) == [("quarantine", SAT)]
    assert orphans(actions, ledger) == []
