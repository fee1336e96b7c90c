import numpy as np
import pandas as pd
import pytest

from helpers.conversation.mood import IMPROVING, STEADY, TOO_LITTLE, WORSENING
from helpers.conversation.story import STORY_COLUMNS
from helpers.conversation.wording import (
    NO_ESCALATION,
    TRENDS,
    format_fact,
    format_time,
    list_facts,
    tell_story,
)
from helpers.model_card import NOT_KNOWN


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0:00"), (0.99, "0:00"), (59.99, "0:59"), (60, "1:00"), (600, "10:00"), (3661, "61:01")],
)
def test_a_place_is_told_in_minutes_and_seconds(seconds, told):
    assert format_time(seconds) == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("duration_s", 83.4, "1:23"),
        ("upset_s", 12.34, "12.3 s"),
        ("upset_end", 0.0, "0 %"),
        ("upset_quarter_4", 0.777, "78 %"),
        ("agent_talk_share", 0.5, "50 %"),
        ("agent_talk_speed", 4.25, "4.2 syllables a second"),
        ("customer_loudness_db", -28.7, "-28.7 dB"),
        ("customer_loudness_change_db", 2.0, "2.0 dB"),
        ("customer_turns", np.int64(10), "10"),
        ("customer_turns", pd.NA, NOT_KNOWN),
        ("trend_change", -0.3, "-30 percentage points"),
        ("trend_change", 0.3, "+30 percentage points"),
        ("escalated_at_s", np.nan, NO_ESCALATION),
        ("agent", "", NOT_KNOWN),
        ("agent", "Maria", "Maria"),
        *((name, np.nan, NOT_KNOWN) for name in ("upset_s", "upset_end", "hold_s", "duration_s")),
        *((name, None, NOT_KNOWN) for name in ("upset_s", "agent", "agent_talk_share")),
    ],
)
def test_a_figure_has_the_unit_that_its_name_says(name, value, told):
    assert format_fact(name, value) == told


def test_every_column_has_words_whatever_is_in_it():
    for value in (np.nan, None, "", "text", 0, 1.5):
        for meaning, told in list_facts(dict.fromkeys(STORY_COLUMNS, value)):
            assert meaning and told
            assert "nan" not in told.split() and "None" not in told


def test_what_is_for_programs_is_not_listed():
    row = dict.fromkeys(STORY_COLUMNS, "x")
    row |= {"content_hash": "deadbeef", "told_with": "cafe", "path": "/home/somebody/call.wav"}
    told = [value for _, value in list_facts(row)]
    assert set(told) == {"x"}


@pytest.mark.parametrize("trend", [IMPROVING, STEADY, WORSENING, TOO_LITTLE])
def test_every_trend_has_a_sentence(trend):
    assert tell_story({"trend": trend}) == [TRENDS[trend]]


@pytest.mark.parametrize(
    ("row", "sentences"),
    [
        ({}, []),
        (dict.fromkeys(STORY_COLUMNS, np.nan), []),
        ({"upset_s": 0.0}, ["The customer sounds upset for 0 s."]),
        (
            {"upset_s": 12.0, "customer_talk_s": 30.2, "escalated_at_s": 68, "upset_from_s": 55},
            [
                "The customer sounds upset for 12 s of the 30 s that the customer speaks.",
                "The call had escalated at 1:08, upset since 0:55.",
            ],
        ),
        ({"agent_talk_share": 0.45}, ["The agent has 45 % of the talk time."]),
        (
            {"agent_interruptions": 0, "customer_interruptions": 1},
            ["The agent interrupts the customer never; the customer interrupts the agent once."],
        ),
        (
            {"agent_interruptions": 2, "customer_interruptions": 5},
            ["The agent interrupts the customer twice; the customer interrupts the agent 5 times."],
        ),
        ({"non_talk_s": 0.0}, []),
        ({"non_talk_s": 7.0}, ["For 7 s in all nobody speaks, 3 s or more on end."]),
    ],
)
def test_the_story_is_told_in_sentences(row, sentences):
    assert tell_story(row) == sentences
