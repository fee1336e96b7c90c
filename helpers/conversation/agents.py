"""What the stories of calls say about each agent: for feedback and training, not for a ranking."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from helpers.conversation.mood import IMPROVING, TOO_LITTLE, UPSET_FROM, WORSENING
from helpers.conversation.roles import SURE
from helpers.evaluation import BOOTSTRAP_ROUNDS

EVERYBODY = "all agents"
"""Name of the rows for all agents together, unknown ones among them."""

LEAST_CALLS = 10
"""With fewer calls no interval is told: chance alone would decide about it."""

SHARES = {
    "unsatisfied": "share of calls that the customer left unsatisfied",
    "ends_upset": "share of calls with an upset customer in the last 25 s",
    "escalated": "share of calls that escalated",
    "improving": "share of calls in which the mood improved, of those with a trend",
    "worsening": "share of calls in which the mood worsened, of those with a trend",
}
"""Measures that a call has or has not."""

MEANS = {
    "agent_interruptions": "times the agent interrupts, by call",
    "agent_interruptions_s": "seconds of talk-over that the agent started, by call",
    "non_talk_share": "share of the call in which nobody speaks for more than 3 s",
    "agent_talk_share": "the agent's share of both people's talk time",
    "agent_talk_speed": "the agent's syllables a second, estimated",
    "agent_response_s": "median seconds until the agent answers",
}
"""Measures of which each call has an amount."""

FEEDBACK_BANNER = (
    "These figures are for feedback and training. They do not rank people: an agent who is given "
    "the hard calls has more upset customers, and intervals that overlap show no difference."
)
"""Said beside every table of agents."""


def summarise_agents(stories: pd.DataFrame) -> pd.DataFrame:
    """Sum up the calls of each agent.

    Shares have Wilson's interval (1927), means that of a bootstrap which draws whole customers,
    whose calls are alike. Show `FEEDBACK_BANNER` beside the table.

    Args:
        stories: rows of `helpers.conversation.story.tell_calls`; calls that could not be told, or
            in which it is unsure who is who (`SURE`), are left out

    Returns:
        one row per agent and measure, `EVERYBODY` first, then by name: `agent, measure, meaning,
        calls` (that the measure is known of), `mean, low, high` (95 % interval) and `note`, which
        says in words why there is no interval, or that calls were left out
    """
    told = stories[stories["error"] == ""]
    sure = told[told["role_certainty"] >= SURE]
    names = [EVERYBODY, *sorted(set(told["agent"]) - {""})]
    rows = []
    for name in names:
        own = sure if name == EVERYBODY else sure[sure["agent"] == name]
        everything = told if name == EVERYBODY else told[told["agent"] == name]
        rows += _summarise(name, own, left_out=len(everything) - len(own))
    columns = ["agent", "measure", "meaning", "calls", "mean", "low", "high", "note"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"calls": int, "mean": float, "low": float, "high": float})


def _summarise(agent: str, calls: pd.DataFrame, *, left_out: int) -> list[tuple]:
    values = _measure(calls)
    customers = np.where(calls["customer"] == "", calls["path"], calls["customer"])
    rows = []
    for measure, meaning in {**SHARES, **MEANS}.items():
        is_known = values[measure].notna().to_numpy()
        known = values[measure].to_numpy(float)[is_known]
        low, high = np.nan, np.nan
        if len(known) >= LEAST_CALLS:
            interval = _share_interval if measure in SHARES else _mean_interval
            low, high = interval(known, customers[is_known])
        mean = known.mean() if len(known) else np.nan
        figures = (round(each, 3) for each in (mean, low, high))
        note = _note(len(known), left_out)
        rows.append((agent, measure, meaning, len(known), *figures, note))
    return rows


def _measure(calls: pd.DataFrame) -> pd.DataFrame:
    """Give every measure of every call, `nan` where it is not known."""
    has_trend = ~calls["trend"].isin(["", TOO_LITTLE])
    return pd.DataFrame(
        {
            "unsatisfied": (calls["status"] == "unsatisfied").where(calls["status"] != ""),
            "ends_upset": (calls["upset_end"] >= UPSET_FROM).where(calls["upset_end"].notna()),
            "escalated": calls["escalated_at_s"].notna().where(calls["upset_peak"].notna()),
            "improving": (calls["trend"] == IMPROVING).where(has_trend),
            "worsening": (calls["trend"] == WORSENING).where(has_trend),
            "non_talk_share": calls["non_talk_s"] / calls["duration_s"],
            **{name: calls[name] for name in MEANS if name in calls},
        }
    ).astype(float)


def _share_interval(values: np.ndarray, _customers: np.ndarray) -> tuple[float, float]:
    test = binomtest(int(values.sum()), len(values))
    return tuple(test.proportion_ci(0.95, method="wilson"))


def _mean_interval(values: np.ndarray, customers: np.ndarray) -> tuple[float, float]:
    """Draw whole customers as `helpers.evaluation.draw_groups` does, by their sums alone."""
    _, numbers = np.unique(customers, return_inverse=True)
    sums, counts = np.bincount(numbers, values), np.bincount(numbers)
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(sums), size=(BOOTSTRAP_ROUNDS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return tuple(np.percentile(means, [2.5, 97.5]))


def _note(calls: int, left_out: int) -> str:
    notes = []
    if calls < LEAST_CALLS:
        notes.append(f"too few for an interval: known of {calls} calls, expected {LEAST_CALLS}")
    if left_out:
        notes.append(f"calls left out because it is unsure who is customer and agent: {left_out}")
    return "; ".join(notes)
