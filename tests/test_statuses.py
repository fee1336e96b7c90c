from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.statuses import (
    STATUSES,
    SUFFIXES,
    parse_status,
    status_of_folders,
    status_of_suffix,
)

NEUTRAL_WORDS = st.lists(st.sampled_from(["calls", "call", "quality", "wav", "2024", "06", "new"]))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", None),
        (" ", None),
        ("_", None),
        ("\0", None),
        ("call_0001", None),
        ("not very satisfied", None),
        ("never satisfied", None),
        ("isn't satisfied", None),
        ("not average", None),
        ("saturday", None),
        ("Sat 12 June", None),
        ("calls_sat", None),
        ("satisfactory", None),
        ("averages", None),
        ("satisfied or average", None),
        ("satisfied and unsatisfied", None),
        ("satisfied_not-satisfied", None),
        ("satisfied", "satisfied"),
        ("SATISFIED", "satisfied"),
        (" Satisfied \n", "satisfied"),
        ("satisfied satisfied", "satisfied"),
        ("satisfied_call_quality_wav", "satisfied"),
        ("satisfied_calls (2)", "satisfied"),
        ("sat", "satisfied"),
        ("Sat", "satisfied"),
        ("average", "average"),
        ("Neutral", "average"),
        ("average/neutral", "average"),
        ("average_call_quailty_wav", "average"),
        ("AVG", "average"),
        ("unsatisfied", "unsatisfied"),
        ("Unsatisfied!", "unsatisfied"),
        ("un-satisfied", "unsatisfied"),
        ("not satisfied", "unsatisfied"),
        ("NOT_SATISFIED", "unsatisfied"),
        ("not - satisfied", "unsatisfied"),
        ("not-satisfied_call_quailty_wav", "unsatisfied"),
        ("non satisfied", "unsatisfied"),
        ("dissatisfied", "unsatisfied"),
        ("dis-satisfied", "unsatisfied"),
        ("unsat", "unsatisfied"),
    ],
)
def test_every_spelling_names_one_status_or_none(text, status):
    assert parse_status(text) == status


@given(st.text())
def test_any_text_is_read_without_a_crash(text):
    assert parse_status(text) in (None, *STATUSES)


@given(
    st.sampled_from(STATUSES),
    NEUTRAL_WORDS,
    NEUTRAL_WORDS,
    st.sampled_from(["_", "-", " ", ".", ", ", "--"]),
    st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
)
def test_other_words_separators_and_case_do_not_matter(status, before, after, separator, case):
    assert parse_status(case(separator.join([*before, status, *after]))) == status


@given(st.sampled_from(STATUSES), st.sampled_from(STATUSES), NEUTRAL_WORDS)
def test_two_statuses_in_one_text_are_none(first, second, between):
    expected = first if first == second else None
    assert parse_status(" ".join([first, *between, second])) == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", None),
        ("satisfied.wav", None),
        ("calls/satisfied.wav", None),
        ("satisfied/call.wav", "satisfied"),
        ("dataset/not-satisfied_call_quailty_wav/call_0081.ulaw.wav", "unsatisfied"),
        ("satisfied/2024/06/call.wav", "satisfied"),
        ("satisfied/unsatisfied/call.wav", "unsatisfied"),
        ("unsatisfied/satisfied/call.wav", "satisfied"),
        ("average/satisfied and unsatisfied/call.wav", None),
        ("average/unsatisfied.wav", "average"),
        ("/average/call.wav", "average"),
    ],
)
def test_the_innermost_folder_that_names_a_status_decides(path, status):
    assert status_of_folders(PurePosixPath(path)) == status


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("", None),
        ("sat.wav", None),
        ("call.wav", None),
        ("callsat.wav", None),
        ("call_sat_1.wav", None),
        ("call_satisfied.wav", None),
        ("call_.wav", None),
        ("_sat.wav", "satisfied"),
        ("call_sat.wav", "satisfied"),
        ("call_UNSAT.WAV", "unsatisfied"),
        ("call_sat_avg.wav", "average"),
        ("a, 'b' \u8bdd_avg.wav", "average"),
    ],
)
def test_the_ending_of_a_name_in_audio_data_decides(name, status):
    assert status_of_suffix(PurePosixPath(name)) == status


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_comes_back_from_its_own_suffix(status):
    assert status_of_suffix(PurePosixPath(f"call_{SUFFIXES[status]}.wav")) == status
    assert parse_status(SUFFIXES[status]) == status
