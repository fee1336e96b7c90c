from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms_ingest.form import Upload
from forms_ingest.ledger import PENDING, PLACED, REJECTED
from forms_ingest.plan import make_plan, pending_row, rejected_row
from forms_ingest.responses import Response
from helpers.errors import FormError
from helpers.statuses import SUFFIXES

UPLOADS = {
    "a": Upload("id-a", "call - Ann.wav", "1"),
    "b": Upload("id-b", "call - Bob.wav", "1"),
    "c": Upload("id-c", "other.m4a", "1"),
}
FREE_B = "audio_data/call-4f206f19"  # sha256 of id-b


def find(reference: str, _file_name: str) -> Upload:
    if reference not in UPLOADS:
        raise FormError(f"no upload is called {reference!r}")
    return UPLOADS[reference]


def respond(*answers: tuple[str, str]) -> list[Response]:
    return [
        Response(number, "", reference, "call.wav", answer)
        for number, (reference, answer) in enumerate(answers, start=2)
    ]


def plan(*answers, ledger=None, files=(), find_upload=find):
    ledger = {row["file_id"]: row for row in ledger or []}
    exists = set(files).__contains__
    return make_plan(
        respond(*answers), find_upload, ledger=ledger, exists=exists, folder="audio_data"
    )


def row_of(upload: str, path: str, **cells: str) -> dict[str, str]:
    status = {f"_{suffix}": status for status, suffix in SUFFIXES.items()}
    ending = PurePosixPath(path).stem.rpartition("_")[-1]
    row = {"file_id": f"id-{upload}", "path": path, "status": status.get(f"_{ending}", "")}
    rest = {"replaces": "", "fingerprint": "1", "outcome": PLACED, "content_hash": "hash"}
    return {**row, **rest, **cells}


SAT, AVG, UNSAT = (f"audio_data/call_{suffix}.wav" for suffix in ("sat", "avg", "unsat"))


@pytest.mark.parametrize(
    "answers, ledger, files, expected",
    [
        ([], [], [], []),
        ([("a", "Satisfied")], [], [], [("place", SAT)]),
        ([("a", "not satisfied")], [], [], [("place", UNSAT)]),
        ([("c", "avg")], [], [], [("place", "audio_data/other_avg.wav")]),
        ([("x", "Satisfied")], [], [], [("reject", "")]),
        ([("a", "")], [], [], [("reject", "")]),
        ([("a", "great")], [], [], [("reject", "")]),
        ([("a", "sat"), ("a", "sat")], [], [], [("place", SAT), ("repeat", SAT)]),
        ([("a", "sat"), ("a", "avg"), ("a", "sat")], [], [],
         [("place", SAT), ("reject", ""), ("repeat", SAT)]),
        ([("a", "great"), ("a", "avg")], [], [], [("reject", ""), ("place", AVG)]),
        ([("a", "sat"), ("b", "sat")], [], [], [("place", SAT), ("place", f"{FREE_B}_sat.wav")]),
        ([("a", "sat"), ("b", "avg")], [], [], [("place", SAT), ("place", AVG)]),
        ([("b", "sat")], [], [SAT], [("place", f"{FREE_B}_sat.wav")]),
        ([("a", "sat")], [row_of("a", SAT)], [SAT], [("keep", SAT)]),
        ([("a", "sat")], [row_of("a", SAT)], [], [("place", SAT)]),
        ([("a", "sat")], [row_of("a", SAT, outcome=PENDING)], [SAT], [("place", SAT)]),
        ([("a", "sat")], [row_of("a", SAT, fingerprint="0")], [SAT], [("place", SAT)]),
        ([("a", "sat")], [row_of("a", SAT, outcome=REJECTED)], [SAT], [("place", SAT)]),
        ([("a", "avg")], [row_of("a", SAT)], [SAT], [("rename", AVG)]),
        ([("a", "avg")], [row_of("a", SAT)], [], [("place", AVG)]),
        ([("a", "avg")], [row_of("a", SAT, fingerprint="0")], [SAT], [("place", AVG)]),
        ([("a", "great")], [row_of("a", SAT)], [SAT], [("reject", "")]),
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
    assert [(action.kind, action.path) for action in actions] == expected
    assert [action.response for action in actions] == respond(*answers)


@pytest.mark.parametrize(
    "answers, sentence",
    [
        ([("x", "sat")], "no upload is called 'x'"),
        ([("a", "")], "the status is '', expected one of satisfied, average, unsatisfied"),
        ([("a", "great")], "the status is 'great', expected one of satisfied"),
        ([("a", "sat"), ("a", "sat")], "repeats row 2"),
        ([("b", "sat"), ("a", "sat"), ("a", "avg")],
         "row 3 gives the same upload the status satisfied; correct one of them"),
    ],
)  # fmt: skip
def test_what_is_not_used_has_a_reason(answers, sentence):
    assert plan(*answers)[-1].reason.startswith(sentence)


@pytest.mark.parametrize(
    "name, typed, expected",
    [
        ("", "", "call"),
        (".", "", "call"),
        ("..", "", "call"),
        ("....", "", "call"),
        ("   .wav", "", "call"),
        ("call.wav", "", "call"),
        ("call", "call", "call"),
        ("call - Ann.wav", "", "call - Ann"),
        ("call - Ann.wav", "call.wav", "call"),
        ("call - Ann.wav", "other.wav", "call - Ann"),
        ("a - b - Ann.wav", "a - b.wav", "a - b"),
        ("a/b.wav", "", "a_b"),
        ("a\\b.wav", "", "a_b"),
        ("../../etc/passwd.wav", "", "_.._etc_passwd"),
        ("C:\\calls\\x.wav", "", "C__calls_x"),
        ('a|b<c>d"e?f*g.wav', "", "a_b_c_d_e_f_g"),
        ("line\nbreak\0.wav", "", "line_break_"),
        ("звонок - Мария.wav", "звонок.wav", "звонок"),
        ("x" * 300 + ".wav", "", "x" * 200),
        ("आ" * 100 + ".wav", "", "आ" * 66),
    ],
)
def test_a_call_is_named_after_its_upload_and_stays_in_its_folder(name, typed, expected):
    upload = Upload("id", name, "1")
    responses = [Response(2, "", "ref", typed, "average")]
    (action,) = make_plan(
        responses, lambda *_: upload, ledger={}, exists=lambda _: False, folder="audio_data"
    )
    assert action.path == f"audio_data/{expected}_avg.wav"


@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=4),
    typed=st.text(max_size=20),
    answer=st.sampled_from(["satisfied", "average", "unsatisfied"]),
)
def test_no_name_leads_out_of_the_folder_or_onto_another_call(names, typed, answer):
    uploads = {str(number): Upload(str(number), name, "1") for number, name in enumerate(names)}
    responses = [Response(2, "", file_id, typed, answer) for file_id in uploads]
    actions = make_plan(
        responses,
        lambda reference, _: uploads[reference],
        ledger={},
        exists=lambda _: False,
        folder="audio_data",
    )
    assert [action.kind for action in actions] == ["place"] * len(names)
    assert len({action.path for action in actions}) == len(names)
    for action in actions:
        folder, name = action.path.split("/")
        assert folder == "audio_data"
        assert name.endswith(f"_{SUFFIXES[answer]}.wav")
        assert name != f"_{SUFFIXES[answer]}.wav"
        assert not set(name) & set('\\:*?"<>|\0\n\r')
        assert len(name.encode()) <= 255


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
        (None, ("average", "", "")),
        (row_of("a", "", outcome=REJECTED), ("average", "", "")),
        (row_of("a", SAT), ("satisfied", SAT, "")),
        (row_of("a", UNSAT, outcome=PENDING, replaces=SAT), ("unsatisfied", UNSAT, SAT)),
    ],
)
def test_a_rejected_upload_keeps_the_call_it_gave_earlier(earlier, expected):
    (action,) = plan(("a", "average"))
    row = rejected_row(action, earlier, "damaged")
    assert (row["status"], row["path"], row["replaces"]) == expected
    assert (row["outcome"], row["reason"]) == (REJECTED, "damaged")
