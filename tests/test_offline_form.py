import csv
import hashlib
import os
import unicodedata

import pytest

from forms_ingest.errors import SettingsError
from forms_ingest.links import Reference, parse_references
from forms_ingest.offline_form import OfflineForm
from forms_ingest.responses import Response
from helpers.errors import FormError

LINK = "https://drive.google.com/open?id=1AbC"


def make_form(folder, *names: str) -> OfflineForm:
    (folder / "uploads").mkdir(exist_ok=True)
    for name in names:
        (folder / "uploads" / name).write_text(name)
    return OfflineForm(folder)


def respond(cell: str, typed: str = "") -> Response:
    (reference, *_) = [*parse_references(cell), *parse_references(typed)] or [Reference()]
    return Response(2, "", reference, typed, "avg")


@pytest.mark.parametrize(
    "names, reference, typed, expected",
    [
        (["call.wav"], "call.wav", "", "call.wav"),
        (["call - Ann.wav"], "call.wav", "", "call - Ann.wav"),
        (["call - Ann.wav"], "call - Ann.wav", "", "call - Ann.wav"),
        (["call.wav", "call - Ann.wav"], "call.wav", "", "call.wav"),
        (["call - Ann.wav"], LINK, "call.wav", "call - Ann.wav"),
        (["call - Ann.wav"], LINK.upper(), "call.wav", "call - Ann.wav"),
        (["a.wav", "b.wav"], f"{LINK}, {LINK}", "b.wav", "b.wav"),
        (["call - Ann.wav"], "", "call.wav", "call - Ann.wav"),
        (["a.wav", "b.wav"], "a.wav", "b.wav", "a.wav"),
        (["first, second.wav"], "first, second.wav", "", "first, second.wav"),
        (['the "loud" one - Ann.wav'], 'the "loud" one.wav', "", 'the "loud" one - Ann.wav'),
        (["a - b - Ann.wav"], "a - b.wav", "", "a - b - Ann.wav"),
        (["a - b - Ann.wav", "a - Ann.wav"], "a.wav", "", "a - Ann.wav"),
        (["звонок - Мария.wav"], "звонок.wav", "", "звонок - Мария.wav"),
        (["call - Ann.m4a", "call - Ann.wav"], "call.m4a", "", "call - Ann.m4a"),
        (["v1.2 - Dr. Lee.wav"], "v1.2.wav", "", "v1.2 - Dr. Lee.wav"),
        (["call - Ann"], "call", "", "call - Ann"),
    ],
)
def test_an_upload_is_found_under_its_own_or_the_typed_name(
    tmp_path, names, reference, typed, expected
):
    upload = make_form(tmp_path, *names).find_upload(respond(reference, typed))
    assert upload[:3] == (expected, expected, len(expected.encode()))


@pytest.mark.parametrize(
    "names, reference, typed, sentence",
    [
        ([], "", "", "the response names no file"),
        (["call.wav"], LINK, "", "the response names no file"),
        ([], "call.wav", "", "no upload is called 'call.wav'; put it into the folder of uploads"),
        (["call.wav"], ".wav", "", "no upload is called '.wav'"),
        (["call.wav"], "../uploads/call.wav", "", "no upload is called '../uploads/call.wav'"),
        (["call.wav"], "*.wav", "", r"no upload is called '\*.wav'"),
        (["a - Ann.wav", "a - Bob.wav"], "a.wav", "",
         "2 uploads could be 'a.wav': a - Ann.wav, a - Bob.wav; keep the right one"),
    ],
)  # fmt: skip
def test_where_no_upload_or_more_than_one_fits_the_reason_says_so(
    tmp_path, names, reference, typed, sentence
):
    with pytest.raises(FormError, match=sentence):
        make_form(tmp_path, *names).find_upload(respond(reference, typed))


def test_without_the_folder_of_uploads_no_upload_is_found(tmp_path):
    with pytest.raises(FormError, match=r"no upload is called 'call\.wav'"):
        OfflineForm(tmp_path).find_upload(respond("call.wav"))


def test_a_folder_among_the_uploads_is_no_upload(tmp_path):
    form = make_form(tmp_path)
    (tmp_path / "uploads" / "call.wav").mkdir()
    with pytest.raises(FormError, match="no upload is called"):
        form.find_upload(respond("call.wav"))


def test_a_name_in_another_encoding_is_shown_readable_and_still_fetched(tmp_path):
    form = make_form(tmp_path)
    name = os.fsdecode("call - Müller.wav".encode("latin-1"))
    (tmp_path / "uploads" / name).write_text("sound")
    upload = form.find_upload(respond("call.wav"))
    assert upload.name == "call - M\ufffdller.wav"
    assert form.read_part(upload, 0, 99) == b"sound"


def test_the_fingerprint_is_the_checksum_of_the_content(tmp_path):
    form = make_form(tmp_path, "call.wav")
    first = form.find_upload(respond("call.wav"))
    assert form.find_upload(respond("call.wav")) == first
    assert first.fingerprint == f"sha256 {hashlib.sha256(b'call.wav').hexdigest()}"
    (tmp_path / "uploads" / "call.wav").write_text("another recording")
    assert form.find_upload(respond("call.wav")).fingerprint != first.fingerprint


@pytest.mark.parametrize("start, count", [(0, 4), (4, 4), (6, 100), (8, 1), (99, 1), (0, 0)])
def test_a_part_is_the_bytes_that_were_asked_for(tmp_path, start, count):
    form = make_form(tmp_path, "call.wav")
    upload = form.find_upload(respond("call.wav"))
    assert form.read_part(upload, start, count) == b"call.wav"[start : start + count]


def test_an_upload_that_has_gone_since_is_an_error(tmp_path):
    form = make_form(tmp_path, "call.wav")
    upload = form.find_upload(respond("call.wav"))
    (tmp_path / "uploads" / "call.wav").unlink()
    with pytest.raises(FormError, match="the upload cannot be read: No such file"):
        form.read_part(upload, 0, 1)
    with pytest.raises(FormError, match="the upload cannot be read: No such file"):
        form.find_upload(respond("call.wav"))


def test_composed_and_decomposed_letters_are_the_same(tmp_path):
    form = make_form(tmp_path, unicodedata.normalize("NFD", "größe - Zoë.wav"))
    assert form.find_upload(respond("größe.wav")).size


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [["Timestamp", "Status"]],
        [["Zeit", "Größe"], ["a,b", 'c"d'], ["line\nbreak", ""], ["007", "звонок"]],
    ],
)
def test_the_table_is_read_as_text_with_or_without_byte_order_mark(tmp_path, rows, encoding):
    with (tmp_path / "responses.csv").open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    assert OfflineForm(tmp_path).read_rows() == rows


@pytest.mark.parametrize(
    "content", [None, "Größe".encode("latin-1"), "Status".encode("utf-16"), b'"' + b"x" * 200_000]
)
def test_a_table_that_cannot_be_read_says_what_to_do(tmp_path, content):
    if content is not None:
        (tmp_path / "responses.csv").write_bytes(content)
    with pytest.raises(
        SettingsError, match=r"responses.csv cannot be read .*download the response"
    ):
        OfflineForm(tmp_path).read_rows()
