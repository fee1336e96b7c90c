from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import FormError
from helpers.feedback.labelling import (
    prefill_link,
    rank_unlabelled,
)

FORM = "https://docs.google.com/forms/d/e/1FAIpQLSd_x-1/viewform"

LINK = f"{FORM}?usp=pp_url&entry.123=CALL_ID"


def calls_named(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"path": list(names), "duration_s": 60.0})


def random_calls(count: int, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    probabilities = np.random.default_rng(seed).dirichlet([1, 1, 1], count)
    return calls_named(*(f"call {number}.wav" for number in range(count))), probabilities


def test_the_list_by_hand():
    probabilities = [[0.9, 0.1, 0.0], [0.1, 0.5, 0.4], [0.0, 0.3, 0.7], [0.5, 0.0, 0.5]]
    table = rank_unlabelled(calls_named("a", "b", "c", "d"), probabilities, link=LINK, count=3)
    assert table["call"].tolist() == ["d", "b", "c"]
    assert table["verdict"].tolist() == ["satisfied", "average", "unsatisfied"]
    assert table["confidence"].tolist() == [0.5, 0.5, 0.7]
    assert table["informativeness"].tolist() == pytest.approx([1, 0.9, 0.6])
    assert table["link"].tolist() == [f"{FORM}?usp=pp_url&entry.123={name}" for name in "dbc"]


@pytest.mark.parametrize("calls, count, listed", [(0, 20, 0), (1, 20, 1), (30, 20, 20), (5, 0, 0)])
@pytest.mark.parametrize("with_features", [False, True])
def test_there_are_as_many_rows_as_wanted_or_as_there_are_calls(
    calls, count, listed, with_features
):
    features = np.random.default_rng(1).standard_normal((calls, 50)) if with_features else None
    table = rank_unlabelled(*random_calls(calls), features=features, count=count)
    assert list(table) == ["call", "verdict", "confidence", "informativeness", "link"]
    assert len(table) == table["call"].nunique() == listed
    assert not table["link"].any()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("columns", [None, 2, 100])
def test_no_call_teaches_more_than_one_above_it(seed, columns):
    generator = np.random.default_rng(seed)
    features = None if columns is None else generator.standard_normal((40, columns))
    worth = rank_unlabelled(*random_calls(40, seed=seed), features=features)["informativeness"]
    assert worth.is_monotonic_decreasing
    assert worth.between(0, 1).all()


@pytest.mark.parametrize("seed", range(10))
def test_calls_unlike_each_other_are_listed_by_their_margins(seed):
    calls, probabilities = random_calls(12, seed=seed)
    ordered = np.sort(probabilities, axis=1)
    by_margin = np.argsort(ordered[:, 2] - ordered[:, 1])
    for features in (None, np.eye(12)):
        table = rank_unlabelled(calls, probabilities, features=features)
        assert table["call"].tolist() == calls["path"][by_margin].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_of_near_copies_one_is_listed(seed):
    generator = np.random.default_rng(seed)
    originals = generator.standard_normal((6, 200)) * 10 ** generator.uniform(-3, 3, 200)
    features = np.repeat(originals, 4, axis=0) * (1 + 0.02 * generator.standard_normal((24, 200)))
    calls, probabilities = random_calls(24, seed=seed)
    table = rank_unlabelled(calls, probabilities, features=features)
    voices = table["call"].str.extract(r"(\d+)")[0].astype(int) // 4
    assert sorted(voices) == list(range(6))


def test_a_surer_call_of_another_kind_comes_before_more_of_the_same():
    generator = np.random.default_rng(0)
    one, *others = generator.standard_normal((12, 100))
    alike = [one + 0.5 * generator.standard_normal(100) for _ in range(3)]
    calls = calls_named(
        "a", "like a", "like a too", "b", *(f"sure {number}" for number in range(10))
    )
    margins = np.array([0, 0.02, 0.04, 0.4, *np.repeat(0.98, 10)])
    probabilities = np.stack([(1 + margins) / 2, (1 - margins) / 2, 0 * margins], axis=1)
    plain = rank_unlabelled(calls, probabilities)
    varied = rank_unlabelled(calls, probabilities, features=np.array([*alike, *others]))
    assert plain["call"].tolist()[:4] == ["a", "like a", "like a too", "b"]
    assert varied["call"].tolist()[:2] == ["a", "b"]


@pytest.mark.parametrize(
    "probabilities, features, message",
    [
        (np.ones((2, 3)) / 3, None, r"probabilities of shape \(2, 3\), expected \(3, 3\)"),
        (np.ones((3, 2)) / 2, None, r"probabilities of shape \(3, 2\), expected \(3, 3\)"),
        (np.ones((3, 3)) / 3, np.ones((2, 9)), "features of 2 calls, expected 3"),
    ],
)
def test_rows_that_do_not_fit_the_calls_are_refused(probabilities, features, message):
    with pytest.raises(ValueError, match=message):
        rank_unlabelled(calls_named("a", "b", "c"), probabilities, features=features)


@pytest.mark.parametrize(
    "call",
    [
        "call.wav",
        "audio_data/Ann & Bob, 2nd call #1+2=3?.wav",
        "дзвінок клієнта.wav",
        "通話 100%.wav",
        "CALL_ID",
        "%20",
        "",
    ],
)
def test_the_form_reads_the_call_as_it_is(call):
    query = parse_qsl(urlsplit(prefill_link(LINK, call)).query, keep_blank_values=True)
    assert query == [("usp", "pp_url"), ("entry.123", call)]


@given(call=st.text(), other=st.text())
def test_any_name_and_any_other_answer_come_through(call, other):
    answers = [("usp", "pp_url"), ("entry.1", other), ("entry.2", "CALL_ID"), ("entry.3", "")]
    filled = prefill_link(f"{FORM}?{urlencode(answers)}", call)
    other = call if other.strip() == "CALL_ID" else other
    expected = [("usp", "pp_url"), ("entry.1", other), ("entry.2", call), ("entry.3", "")]
    assert parse_qsl(urlsplit(filled).query, keep_blank_values=True) == expected
    assert filled.startswith(f"{FORM}?") and filled.isascii() and " " not in filled


@pytest.mark.parametrize(
    "link, filled",
    [
        ("", ""),
        ("  ", ""),
        (f" {LINK}\n", f"{FORM}?usp=pp_url&entry.123=a%2Fb"),
        (f"{FORM}?entry.1=CALL_ID+&hl=en", f"{FORM}?entry.1=a%2Fb&hl=en"),
        (f"{FORM}?entry.1=CALL_ID&entry.2=CALL_ID", f"{FORM}?entry.1=a%2Fb&entry.2=a%2Fb"),
        (
            f"{FORM}?entry.1=CALL_ID&entry.2=my+CALL_ID",
            f"{FORM}?entry.1=a%2Fb&entry.2=my%20CALL_ID",
        ),
        (
            "https://docs.google.com/a/calls.com/forms/d/1x/viewform?entry.1=CALL_ID",
            "https://docs.google.com/a/calls.com/forms/d/1x/viewform?entry.1=a%2Fb",
        ),
    ],
)
def test_links_as_people_paste_them(link, filled):
    assert prefill_link(link, "a/b") == filled


@pytest.mark.parametrize(
    "link, fault",
    [
        ("https://forms.gle/AbC1", "is a shortened one, which cannot carry an answer"),
        ("https://example.com/forms/d/viewform?entry.1=CALL_ID", "does not begin with"),
        ("https://docs.google.com@example.com/forms/d/viewform?entry.1=CALL_ID", "does not begin"),
        ("http://docs.google.com/forms/d/x/viewform?entry.1=CALL_ID", "does not begin with https"),
        ("docs.google.com/forms/d/x/viewform?entry.1=CALL_ID", "does not begin with https"),
        ("javascript://docs.google.com/forms/viewform?entry.1=CALL_ID", "does not begin with"),
        ("https://[docs/forms/viewform?entry.1=CALL_ID", "does not begin with https"),
        ("the form", "does not begin with https://docs.google.com/"),
        ("https://docs.google.com/forms/d/1x/edit", "is not that of a form's page"),
        ("https://docs.google.com/forms/d/1x/prefill?entry.1=CALL_ID", "is not that of a form's"),
        ("https://docs.google.com/spreadsheets/d/1x/viewform?entry.1=CALL_ID", "is not that of a"),
        (FORM, "holds no CALL_ID as an answer"),
        (f"{FORM}?usp=pp_url&entry.1=call+id", "holds no CALL_ID as an answer"),
        (f"{FORM}?usp=CALL_ID", "holds no CALL_ID as an answer"),
    ],
)
def test_a_link_that_cannot_be_filled_in_says_why_and_what_to_do(link, fault):
    with pytest.raises(FormError) as caught:
        prefill_link(link, "call.wav")
    message = str(caught.value)
    assert message.startswith(f"the form's link {link!r} {fault}")
    assert message.endswith(
        '. In the form\'s editor choose "Get pre-filled link" in the menu, type CALL_ID as the '
        'answer of "File name", choose "Get link", then "Copy link", and give that'
    )
