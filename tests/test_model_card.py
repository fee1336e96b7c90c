import copy
import json
import math
from html.parser import HTMLParser

import mistune
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.feedback.gate import GROUP_CALLS
from helpers.model_card import FEW_CALLS, NOT_KNOWN, PURPOSE, card_markdown, card_page
from helpers.statuses import STATUSES

HASH = "0123456789abcdef" * 4

CARD = {
    "version": "0002-1a2b3c4d",
    "created": "2026-11-21T17:40:00+00:00",
    "parent": "0001-99aabbcc",
    "origin": "feedback",
    "decision": {
        "promoted": True,
        "against": "0001-99aabbcc",
        "reasons": ["The score rose by 0.03.", "No status is heard worse."],
    },
    "labels": list(STATUSES),
    "feature_set": "phone-1",
    "choice": "voice and emotions",
    "training": {
        "hash": HASH,
        "calls": 84,
        "by_status": {"satisfied": 29, "average": 28, "unsatisfied": 27},
        "feedback": 7,
        "named": 3,
        "customers": 14,
    },
    "golden": {
        "digest": "fedcba9876543210",
        "calls": 30,
        "customers": 25,
        "uar": 0.71,
        "uar_low": 0.55,
        "uar_high": 0.83,
        "recall": {"satisfied": 0.8, "average": 0.6, "unsatisfied": 0.73},
        "kappa": 0.62,
        "opposite": 0.03,
        "calibration_error_before": 0.11,
        "calibration_error": 0.06,
        "confusion": [[8, 2, 0], [2, 6, 2], [1, 2, 7]],
    },
    "cross_validation": {
        "uar": 0.68,
        "uar_low": 0.57,
        "uar_high": 0.79,
        "accuracy": 0.67,
        "calibration_error_before": 0.14,
        "calibration_error": 0.05,
        "confident_accuracy": 0.9,
        "coverage": 0.7,
    },
    "groups": [
        {"group": "agent", "name": "7", "calls": 12, "before": 0.8, "after": 0.83},
        {"group": "agent", "name": "8", "calls": 9, "before": 0.11, "after": 0.22},
    ],
    "temperature": 1.07,
    "libraries": {"python": "3.11.9", "scikit-learn": "1.9.1"},
    "sha256": {"model.skops": HASH[::-1]},
    "trained_on": [HASH, HASH[::-1]],
}

HOSTILE = (
    "<script>alert(1)</script>",
    "</table></style>",
    '"><img src=x onerror=alert(1)>',
    "a|b||c",
    "ends in a backslash\\",
    "two\nlines\r\n\n# and a heading",
    "**bold** _x_ __y__ `code` [link](http://example.com) ~~gone~~",
    "&lt;b&gt; &amp;",
    "customer_08_",
    "سارة",
)

to_html = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])
"""Another program's reading of Markdown, installed with nbconvert; it lets markup through."""


class Elements(HTMLParser):
    """Checks that every element that is opened is closed, and notes what there is."""

    VOID = ("meta",)

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.names, self.attributes = [], set(), {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tables(page: str) -> list[list[list[str]]]:
    """Texts of the cells of each table of a page."""
    return [
        [
            [cell.get_text().strip() for cell in row.find_all(["th", "td"])]
            for row in table.find_all("tr")
        ]
        for table in BeautifulSoup(page, "html.parser").find_all("table")
    ]


def texts(page: str) -> list[str]:
    """Texts of the headings, paragraphs and list items of a page."""
    found = BeautifulSoup(page, "html.parser").find_all(["h1", "h2", "p", "li"])
    return [element.get_text().strip() for element in found]


def values(card: dict) -> dict[str, str]:
    """The two-column tables of a card, as one dictionary."""
    rows = [row for table in tables(card_page(card)) for row in table if len(row) == 2]
    return dict(rows)


def change(*path_and_value) -> dict:
    """The card with one entry changed: `change("golden", "uar", None)`."""
    *path, last, value = path_and_value
    card = copy.deepcopy(CARD)
    part = card
    for name in path:
        part = part[name]
    part[last] = value
    return card


def replace_strings(part, text: str):
    """Replace every name and every text of a card, but not the names of its entries."""
    if isinstance(part, dict):
        return {name: replace_strings(value, text) for name, value in part.items()}
    if isinstance(part, list):
        return [replace_strings(value, text) for value in part]
    return text if isinstance(part, str) else part


def paths(part: dict, above: tuple = ()) -> list[tuple]:
    """Path to every entry of a card."""
    found = [(*above, name) for name in part]
    for name, value in part.items():
        if isinstance(value, dict):
            found += paths(value, (*above, name))
    return found


@pytest.mark.parametrize(
    "name, value",
    [
        ("version", "0002-1a2b3c4d"),
        ("made", "2026-11-21 17:40 UTC"),
        ("made by", "feedback"),
        ("made from version", "0001-99aabbcc"),
        ("answers it gives", "satisfied, average, unsatisfied"),
        ("how it hears calls", "phone-1"),
        ("classifier", "voice and emotions"),
        ("calls", "84"),
        ("satisfied calls", "29"),
        ("unsatisfied calls", "27"),
        ("calls that came through feedback", "7"),
        ("of these, with only their cluster's name", "3"),
        ("customers", "14"),
        ("fingerprint of the training data", HASH),
        ("golden set", "fedcba9876543210"),
        ("calls in it", "30"),
        ("customers in it", "25"),
        ("kappa (quadratic weights)", "0.62"),
        ("satisfied heard as unsatisfied or the reverse", "3 %"),
        ("calls judged right", "67 %"),
        ("temperature", "1.07"),
        ("calibration error, cross-validation, before", "14 percentage points"),
        ("calibration error, cross-validation, after", "5 percentage points"),
        ("calibration error, golden set, before", "11 percentage points"),
        ("calibration error, golden set, after", "6 percentage points"),
        ("share of calls it judges alone", "70 %"),
        ("judged right among these", "90 %"),
        ("scikit-learn", "1.9.1"),
        ("model.skops", HASH[::-1]),
    ],
)
def test_the_card_tells(name, value):
    assert values(CARD)[name] == value


@pytest.mark.parametrize(
    "part, name, value, told",
    [
        ("golden", "kappa", 0.5, "0.71 (95 % interval: 0.55 to 0.83)"),
        ("golden", "uar_low", None, "0.71 (95 % interval: not known)"),
        ("golden", "uar_high", None, "0.71 (95 % interval: not known)"),
        ("golden", "uar", None, "not known (95 % interval: 0.55 to 0.83)"),
        ("cross_validation", "accuracy", 0.5, "0.68 (95 % interval: 0.57 to 0.79)"),
        ("cross_validation", "uar_low", None, "0.68 (95 % interval: not known)"),
    ],
)
def test_a_score_comes_with_its_interval_and_with_chance(part, name, value, told):
    page = card_page(change(part, name, value))
    golden, cross_validation = (
        row[1] for table in tables(page) for row in table if row[0] == "UAR"
    )
    assert {"golden": golden, "cross_validation": cross_validation}[part] == told
    assert "guessing gives 0.33" in page


def test_the_confusion_and_the_recall_are_one_table():
    (table,) = [
        table for table in tables(card_page(CARD)) if len(table[0]) == 5 and len(table) == 4
    ]
    assert table == [
        ["how they left", *(f"heard as {status}" for status in STATUSES), "heard right"],
        ["satisfied", "8", "2", "0", "80 %"],
        ["average", "2", "6", "2", "60 %"],
        ["unsatisfied", "1", "2", "7", "73 %"],
    ]


@pytest.mark.parametrize("confusion", [None, [], [[1]], [None, 3, "x"], [[None] * 9] * 9])
def test_a_confusion_of_another_shape_is_not_known(confusion):
    card = change("golden", "confusion", confusion)
    (row,) = [row for table in tables(card_page(card)) for row in table if row[0] == "average"]
    assert row == ["average", *[NOT_KNOWN] * 3, "60 %"]


def test_a_status_without_golden_calls_has_no_recall():
    card = change("golden", "confusion", [[8, 2, 0], [0, 0, 0], [1, 2, 7]])
    card["golden"]["recall"]["average"] = 0.0
    (row,) = [row for table in tables(card_page(card)) for row in table if row[0] == "average"]
    assert row == ["average", "0", "0", "0", "no calls"]


def test_what_it_is_not_for_is_said():
    page = card_page({})
    assert all(sentence in texts(page) for sentence in PURPOSE)
    for words in ("sole ground", "few voices", "acted", "other languages", "telephone lines"):
        assert words in " ".join(PURPOSE)
    assert "Model Cards for Model Reporting" in page


@pytest.mark.parametrize("calls, shown", [(0, False), (FEW_CALLS - 1, False), (FEW_CALLS, True)])
def test_a_group_of_few_calls_gets_no_score(calls, shown):
    group = {"group": "line", "name": "mobile", "calls": calls, "before": 0.8, "after": 0.83}
    row = tables(card_page(change("groups", [group])))[5][1]
    scores = ["80 %", "83 %"] if shown else ["too few to judge"] * 2
    assert row == ["line", "mobile", str(calls), *scores]


def test_the_first_version_was_compared_in_no_group():
    group = {"group": "line", "name": "mobile", "calls": 12, "before": None, "after": 0.5}
    row = tables(card_page(change("groups", [group])))[5][1]
    assert row == ["line", "mobile", "12", "not compared", "50 %"]


def test_a_group_that_is_too_small_to_judge_is_too_small_to_stop_a_promotion():
    assert FEW_CALLS == GROUP_CALLS


@pytest.mark.parametrize("groups", [None, [], "agent", [None, 3]])
def test_without_groups_it_says_what_cannot_be_told(groups):
    assert "Figures by group: not known. Whether" in card_page(change("groups", groups))


@pytest.mark.parametrize(
    "decision, sentences",
    [
        (
            {"promoted": True, "against": "0001-a", "reasons": ["Better."]},
            ["Promoted: it judged calls", "Compared with: 0001-a.", "Reason: Better."],
        ),
        (
            {"promoted": False, "against": "0001-a", "reasons": ["Worse."]},
            ["Kept aside: it did not become", "Compared with: 0001-a.", "Reason: Worse."],
        ),
        (
            {"promoted": True, "against": "", "reasons": []},
            ["Promoted: ", "no other version.", "Reasons: not known."],
        ),
        (
            {"promoted": "yes", "reasons": "Better."},
            ["Whether it was promoted or kept aside is not known.", "Reasons: not known."],
        ),
        (None, ["kept aside is not known", "Compared with: not known.", "Reasons: not known."]),
    ],
)
def test_the_decision_and_its_reasons_are_told(decision, sentences):
    for told in (card_page, card_markdown):
        for sentence in sentences:
            assert sentence in told(change("decision", decision))


@pytest.mark.parametrize(
    "part, value, doubt",
    [
        ("uar_low", 1 / 3, "reaches down to guessing"),
        ("uar_low", 0.34, None),
        ("customers", 19, "rests on 19 customers"),
        ("customers", 20, None),
        ("customers", None, None),
    ],
)
def test_a_doubtful_score_is_said_to_be_doubtful(part, value, doubt):
    told = card_markdown(change("golden", part, value))
    assert ("The interval" in told) == bool(doubt)
    assert not doubt or doubt in told


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("parent", "", "none, it is the first"),
        ("parent", None, NOT_KNOWN),
        ("created", "2026-11-21T23:40:00-05:00", "2026-11-22 04:40 UTC"),
        ("created", "2026-11-21T17:40:00", "2026-11-21T17:40:00"),
        ("created", "last week", "last week"),
        ("created", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("created", 7, "7"),
    ],
)
def test_parent_and_time(name, value, told):
    assert values(change(name, value))["made" if name == "created" else "made from version"] == told


@pytest.mark.parametrize("value", [None, math.nan, math.inf, 10**400, True, "0.7", [], {}])
@pytest.mark.parametrize("part, name", [("golden", "kappa"), ("training", "customers")])
def test_what_is_no_number_is_not_known(part, name, value):
    told = {"kappa": "kappa (quadratic weights)", "customers": "customers"}[name]
    assert values(change(part, name, value))[told] == NOT_KNOWN


def test_a_card_from_before_clusters_had_names_does_not_know_how_many_it_learned():
    card = change("training", "feedback", 7)
    del card["training"]["named"]
    told = values(card)
    assert told["of these, with only their cluster's name"] == NOT_KNOWN
    assert told["calls that came through feedback"] == "7"


def test_an_empty_card_says_of_everything_that_it_is_not_known():
    for card in ({}, dict.fromkeys(CARD)):
        cells = values(card)
        assert {value for name, value in cells.items() if name != "what"} == {NOT_KNOWN}
        assert texts(card_page(card))[0] == "Model card: version not known"
        assert {"None", "nan"}.isdisjoint(card_page(card).split())
        assert card_page(card).casefold().count(NOT_KNOWN) > 20


@pytest.mark.parametrize("path", paths(CARD), ids=".".join)
def test_any_entry_may_be_missing_or_of_another_kind(path):
    without = change(*path, None)
    part = without
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    cards = [without, *(change(*path, value) for value in (None, "x", -0.5, [[None]], {}))]
    for card in cards:
        assert "None" not in card_markdown(card)
        Elements(card_page(card))
        for rows in tables(to_html(card_markdown(card))):
            assert len({len(row) for row in rows}) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_becomes_markup(text):
    card = replace_strings(CARD, text)
    card["sha256"] = card["libraries"] = {text: text}
    plain, shown = " ".join(text.split()), Elements(card_page(card))
    assert shown.names == Elements(card_page(CARD)).names
    assert [plain, plain] in tables(card_page(card))[-1]
    rendered = to_html(card_markdown(card))
    markup = {"script", "img", "strong", "em", "code", "a", "del", "b"}
    assert markup.isdisjoint(Elements(rendered).names)
    assert [plain, plain] in tables(rendered)[-1]
    assert f"Reason: {plain}" in texts(rendered)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))))
def test_both_ways_of_telling_say_the_same(text):
    card = replace_strings(CARD, text)
    page, rendered = card_page(card), to_html(card_markdown(card))
    assert tables(page) == tables(rendered)
    assert texts(page) == texts(rendered)


def test_the_page_is_whole_and_needs_nothing_beside_it():
    page = card_page(CARD)
    shown = Elements(page)
    assert page.startswith("<!doctype html>\n")
    assert shown.attributes["html"] == [{"lang": "en"}]
    assert "prefers-color-scheme: dark" in page
    assert shown.names.isdisjoint({"a", "link", "script", "img", "iframe", "object"})
    assert {name for each in shown.attributes.values() for one in each for name in one} == {
        "lang",
        "charset",
        "name",
        "content",
        "scope",
    }
    assert "url(" not in page and "@import" not in page
    assert "http" not in page


def test_long_names_and_hashes_are_told_in_full():
    reason = "word " * 200 + "end"
    card = change("decision", "reasons", [reason])
    assert reason in card_page(card) and reason in card_markdown(card)
    assert HASH in card_page(card) and HASH in card_markdown(card)


def test_the_same_card_gives_the_same_bytes_before_and_after_it_was_stored():
    stored = json.loads(json.dumps(CARD))
    for tell in (card_markdown, card_page):
        assert tell(CARD) == tell(CARD) == tell(stored)
        before = copy.deepcopy(CARD)
        tell(CARD)
        assert before == CARD
