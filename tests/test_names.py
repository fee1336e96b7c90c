import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms_ingest.names import (
    MAX_STEM_BYTES,
    call_stem,
    ending_of,
    match_name,
    short_id,
    submitter_of,
    without_submitter,
)
from helpers.errors import FormError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    "name, uploads, expected",
    [
        ("call.wav", ["call.wav"], "call.wav"),
        ("call.wav", ["call - Ann.wav", "other.wav"], "call - Ann.wav"),
        ("call.wav", ["call - Ann.wav", "call.wav"], "call.wav"),
        ("call - Ann.wav", ["call - Ann.wav", "call - Ann - Ann.wav"], "call - Ann.wav"),
        ("call.m4a", ["call - Ann.wav", "call - Ann.m4a"], "call - Ann.m4a"),
        ("a/b.wav", ["a/b - Ann.wav"], "a/b - Ann.wav"),
    ],
)
def test_a_name_means_the_upload_with_or_without_its_submitter(name, uploads, expected):
    assert match_name(name, uploads) == expected


@pytest.mark.parametrize("wanted", [composed, decomposed])
@pytest.mark.parametrize("stored", [composed, decomposed])
@pytest.mark.parametrize("upload", ["größe - Zoë.wav", "größe.wav"])
def test_composed_and_decomposed_letters_are_the_same(wanted, stored, upload):
    assert match_name(wanted("größe.wav"), [stored(upload)]) == stored(upload)
    assert call_stem(stored(upload), wanted("größe.wav")) == composed("größe")


@pytest.mark.parametrize(
    "name, uploads, sentence",
    [
        ("call.wav", [], "no upload is called 'call.wav'; put it into the folder of uploads"),
        ("call.wav", ["Call.wav", "call.WAV"], "no upload is called"),
        ("call.wav", ["call - Bob.wav", "call - Ann.wav"],
         "2 uploads could be 'call.wav': call - Ann.wav, call - Bob.wav; keep the right one"),
        ("größe.wav", [composed("größe.wav"), decomposed("größe.wav")], "2 uploads could be"),
    ],
)  # fmt: skip
def test_where_none_or_several_fit_nothing_is_guessed(name, uploads, sentence):
    with pytest.raises(FormError, match=sentence):
        match_name(name, uploads)


@pytest.mark.parametrize(
    "upload, without, submitter",
    [
        ("call.wav", "call.wav", ""),
        ("call - Ann.wav", "call.wav", "Ann"),
        ("a - b - Ann Lee.wav", "a - b.wav", "Ann Lee"),
        ("call -Ann.wav", "call -Ann.wav", ""),
        ("call-1.wav", "call-1.wav", ""),
        ("v1.2 - Dr. Lee.wav", "v1.2.wav", "Dr. Lee"),
        ("call - Ann", "call", "Ann"),
        ("", "", ""),
    ],
)
def test_the_submitter_is_at_the_end_of_the_name(upload, without, submitter):
    assert (without_submitter(upload), submitter_of(upload)) == (without, submitter)


@pytest.mark.parametrize(
    "upload, typed, stem",
    [
        ("call - Ann.wav", "call.wav", "call"),
        ("call - Ann.wav", "other.wav", "call - Ann"),
        ("a/b - Ann.wav", "a/b.wav", "a_b"),
        ("../../etc/passwd.wav", "", "_.._etc_passwd"),
        ("C:\\calls\\x.wav", "", "C__calls_x"),
        ("line\nbreak\0\x7f.wav", "", "line_break__"),
        (" . .wav", "", "call"),
        ("📞 - Ann.wav", "📞.wav", "📞"),
        ("\u202efdp.wav", "", "\u202efdp"),
        ("आ" * 100 + ".wav", "", "आ" * 66),
        ("", "", "call"),
    ],
)
def test_a_hostile_name_becomes_a_plain_stem(upload, typed, stem):
    assert call_stem(upload, typed) == stem


@given(upload=NAMES, typed=NAMES)
def test_no_stem_leaves_the_folder_or_is_too_long(upload, typed):
    stem = call_stem(upload, typed)
    assert stem
    assert stem == stem.strip()
    assert not set(stem) & set('\\/:*?"<>|\0\n\r')
    assert len(stem.encode()) <= MAX_STEM_BYTES


@pytest.mark.parametrize(
    "upload, ending",
    [
        ("call.wav", ".wav"),
        ("call - Ann.M4A", ".m4a"),
        ("call", ".wav"),
        ("call.", ".wav"),
        ("", ".wav"),
        ("call." + "x" * 300, ".wav"),
        ("call.w\0v", ".wav"),
        ("call.wav/../x", ".wav"),
        ("call.mp3\n", ".wav"),
        ("звонок.звук", ".wav"),
    ],
)
def test_an_ending_is_one_that_every_disk_takes(upload, ending):
    assert ending_of(upload) == ending


@given(upload=NAMES)
def test_an_ending_is_always_short_and_plain(upload):
    ending = ending_of(upload)
    assert ending.startswith(".")
    assert ending[1:].isascii() and ending[1:].isalnum()
    assert len(ending) <= 9


@given(file_id=NAMES)
def test_a_short_id_has_eight_plain_characters(file_id):
    assert len(short_id(file_id)) == 8
    assert set(short_id(file_id)) <= set("0123456789abcdef")
