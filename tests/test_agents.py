import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.conversation.agents import (
    EVERYBODY,
    FEEDBACK_BANNER,
    LEAST_CALLS,
    MEANS,
    SHARES,
    summarise_agents,
)


def make_stories(count: int, agent: str = "Bob", **cells) -> pd.DataFrame:
    """Make rows of told calls; a cell may be one value or one for each call."""
    told = {
        "path": [f"{agent}_{number}.wav" for number in range(count)],
        "error": "",
        "customer": "",
        "agent": agent,
        "status": "average",
        "trend": "steady",
        "upset_end": 0.2,
        "upset_peak": 0.5,
        "escalated_at_s": np.nan,
        "duration_s": 100.0,
        "non_talk_s": 10.0,
        "agent_interruptions": 1,
        "agent_interruptions_s": 0.5,
        "agent_talk_share": 0.5,
        "agent_talk_speed": 4.0,
        "agent_response_s": 0.4,
        "role_certainty": 0.99,
    }
    return pd.DataFrame({**told, **cells}, index=range(count))


def read(table: pd.DataFrame, agent: str, measure: str) -> pd.Series:
    return table[(table["agent"] == agent) & (table["measure"] == measure)].iloc[0]


def test_every_agent_has_every_measure_and_everybody_comes_first():
    stories = pd.concat([make_stories(2, "Zoe"), make_stories(3, "Bob"), make_stories(1, "")])
    table = summarise_agents(stories)
    assert table["agent"].drop_duplicates().tolist() == [EVERYBODY, "Bob", "Zoe"]
    measures = [*SHARES, *MEANS]
    assert table["measure"].tolist() == measures * 3
    assert read(table, EVERYBODY, "non_talk_share")["calls"] == 6


@pytest.mark.parametrize(
    ("measure", "cells"),
    [
        ("unsatisfied", {"status": ["unsatisfied"] * 6 + ["satisfied"] * 14}),
        ("ends_upset", {"upset_end": [0.9] * 6 + [0.1] * 14}),
        ("escalated", {"escalated_at_s": [50.0] * 6 + [np.nan] * 14}),
        ("improving", {"trend": ["improving"] * 6 + ["steady"] * 14}),
        ("worsening", {"trend": ["worsening"] * 6 + ["improving"] * 14}),
    ],
)
def test_shares_and_their_intervals_are_wilsons(measure, cells):
    found = read(summarise_agents(make_stories(20, **cells)), "Bob", measure)
    z, share = stats.norm.ppf(0.975), 0.3
    middle = (share + z**2 / 40) / (1 + z**2 / 20)
    half = z / (1 + z**2 / 20) * np.sqrt(share * 0.7 / 20 + z**2 / 1600)
    expected = [20, share, middle - half, middle + half]
    assert found[["calls", "mean", "low", "high"]].tolist() == pytest.approx(expected, abs=1e-3)


def test_means_have_about_the_interval_of_the_textbook():
    values = np.random.default_rng(0).normal(5, 2, 40)
    found = read(
        summarise_agents(make_stories(40, agent_interruptions_s=values)),
        "Bob",
        "agent_interruptions_s",
    )
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert found["mean"] == pytest.approx(values.mean(), abs=1e-3)
    assert [found["low"], found["high"]] == pytest.approx([low, high], abs=0.15)


def test_calls_of_one_customer_make_the_interval_wider():
    values = np.repeat(np.random.default_rng(0).normal(5, 2, 10), 4)
    customers = np.repeat([f"customer {number}" for number in range(10)], 4)
    cells = {"agent_response_s": values}
    widths = [
        np.diff(read(summarise_agents(each), "Bob", "agent_response_s")[["low", "high"]])[0]
        for each in (make_stories(40, **cells), make_stories(40, **cells, customer=customers))
    ]
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.parametrize("calls", [1, LEAST_CALLS - 1, LEAST_CALLS])
def test_a_few_calls_have_a_mean_but_no_interval(calls):
    found = read(summarise_agents(make_stories(calls)), "Bob", "unsatisfied")
    assert (found["calls"], found["mean"]) == (calls, 0)
    is_enough = calls >= LEAST_CALLS
    assert found[["low", "high"]].notna().all() == is_enough
    assert ("too few for an interval" in found["note"]) != is_enough


def test_what_is_not_known_of_a_call_does_not_count():
    cells = {
        "trend": ["too little speech to say"] * 10 + ["worsening"] * 10,
        "status": [""] * 5 + ["unsatisfied"] * 15,
        "upset_peak": [np.nan] * 15 + [0.9] * 5,
    }
    table = summarise_agents(make_stories(20, **cells))
    found = {name: read(table, "Bob", name) for name in ("worsening", "unsatisfied", "escalated")}
    assert [each["calls"] for each in found.values()] == [10, 15, 5]
    assert [each["mean"] for each in found.values()] == [1, 1, 0]


def test_calls_that_could_not_be_told_or_are_unsure_are_left_out_and_that_is_said():
    stories = make_stories(
        14,
        error=["damaged"] + [""] * 13,
        role_certainty=[np.nan, 0.5, 0.6, *[0.9] * 11],
        status=["unsatisfied"] * 3 + ["satisfied"] * 11,
    )
    found = read(summarise_agents(stories), "Bob", "unsatisfied")
    assert (found["calls"], found["mean"]) == (11, 0)
    assert found["note"] == "calls left out because it is unsure who is customer and agent: 2"


@pytest.mark.parametrize("stories", [make_stories(0), make_stories(1, error="damaged")])
def test_without_any_call_there_is_nothing_to_tell(stories):
    table = summarise_agents(stories)
    assert (table["calls"] == 0).all() and table["mean"].isna().all()


def test_the_banner_says_what_the_table_is_not_for():
    assert "do not rank" in FEEDBACK_BANNER
