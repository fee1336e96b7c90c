"""What alerts of live calls are worth: how soon they come, and how often falsely."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.conversation.live import ALERT_FROM, ALERT_UNTIL, RollingMood
from helpers.errors import TableError
from helpers.evaluation import draw_groups

SOON_S = (3.0, 5.0, 10.0)
"""Alerts are counted that come within so many seconds of the customer turning upset."""

TUNED_ON = 5
"""Thresholds are chosen on the calls of so many customers; the figures are of all others."""

LIMITS = (0.1, 0.2, 0.3)
"""Shares of the time in which these are not upset that the alert may be on."""

THRESHOLDS = tuple(
    (begin / 20, round(begin / 20 - gap, 2)) for begin, gap in product(range(8, 20), (0.15, 0.3))
)
"""Probabilities that are tried for the alert to begin at and to end below."""

MOOD, LOUDNESS = "upset", "loudness"
"""What an alert may go by: the model of emotions, or how loud the customer speaks."""


class LiveCall(NamedTuple):
    """A call that was streamed.

    Attributes:
        customer: whose call it is
        duration_s: its length
        upset: start and end of each stretch in which the customer is upset, in seconds; it lasts
            until the customer says something without being upset, or the call ends
        answers: columns `arrived_s`, when the excerpt was due, and `upset`, `loudness`: what was
            said about it
    """

    customer: str
    duration_s: float
    upset: np.ndarray
    answers: pd.DataFrame


def find_alerts(
    call: LiveCall,
    by: str = MOOD,
    *,
    alert_from: float = ALERT_FROM,
    alert_until: float = ALERT_UNTIL,
) -> np.ndarray:
    """Give when alerts were raised and ended, shape (alerts, 2), in seconds.

    Args:
        call: streamed
        by: `MOOD` or `LOUDNESS`
        alert_from: see `helpers.conversation.live.ALERT_FROM`
        alert_until: see `helpers.conversation.live.ALERT_UNTIL`
    """
    rolling = RollingMood(alert_from=alert_from, alert_until=alert_until)
    times, states = call.answers["arrived_s"].tolist(), []
    for at_s, upset in zip(times, call.answers[by], strict=True):
        states.append(rolling.follow(at_s, upset).is_alert)
    changes = np.flatnonzero(np.diff(states, prepend=False))
    edges = [times[number] for number in changes]
    return np.array(edges + [call.duration_s] * (len(edges) % 2)).reshape(-1, 2)


def score_call(call: LiveCall, alerts: np.ndarray) -> dict[str, object]:
    """Count what happened in one call.

    An alert belongs to the stretch in which it begins. One that is on already when the customer
    turns upset does not count as having come soon.
    """
    began, ended = alerts.T
    inside, delays = np.zeros(len(began), bool), []
    alert_s, upset_s = (ended - began).sum(), np.diff(call.upset).sum()
    for start_s, end_s in call.upset:
        here = (began >= start_s) & (began < end_s)
        inside |= here
        was_on = ((began < start_s) & (ended > start_s)).any()
        delays.append(np.nan if was_on else began[here][0] - start_s if here.any() else np.inf)
        alert_s -= np.clip(np.minimum(ended, end_s) - np.maximum(began, start_s), 0, None).sum()
    return {
        "customer": call.customer,
        "hours": call.duration_s / 3600,
        "calm hours": (call.duration_s - upset_s) / 3600,
        "false hours": alert_s / 3600,
        "delays": delays,
        "turns": len(delays),
        **{_name(soon): sum(delay <= soon for delay in delays) for soon in SOON_S},
        "already on": int(np.isnan(delays).sum()),
        "never": int(np.isinf(delays).sum()),
        "false": int((~inside).sum()),
        "calm": int(not delays),
        "calm, false": int(not delays and len(began) > 0),
    }


def summarise(counts: pd.DataFrame) -> dict[str, object]:
    """Sum up the counts of calls: shares and rates with 95 % intervals, drawing customers."""
    size = len(counts)
    draws = [np.bincount(rows, minlength=size) for rows in draw_groups(counts["customer"])]
    delays = np.concatenate([np.asarray(each, float) for each in counts["delays"]])
    row: dict[str, object] = {"calls": size, "turned upset": int(counts["turns"].sum())}
    for name, part, whole in _RATIOS:
        parts, wholes = (counts[column].to_numpy(float) for column in (part, whole))
        if not wholes.sum():
            row[name] = ""
            continue
        drawn = np.array(draws) @ np.column_stack([parts, wholes])
        drawn = drawn[drawn[:, 1] > 0]
        low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
        value = parts.sum() / wholes.sum()
        row[name] = f"{value:.2f} ({low:.2f} to {high:.2f})"
        if name == _name(SOON_S[-1]):
            caught = delays[np.isfinite(delays)]
            row["median delay, s"] = round(float(np.median(caught)), 2) if len(caught) else np.nan
    return row


def choose_thresholds(
    calls: Sequence[LiveCall], by: str, limits: Sequence[float]
) -> list[tuple[float, float]]:
    """Choose, for each limit, what raises most alerts within 3 s and is on little enough.

    Where every pair of `THRESHOLDS` is on for too long, the one that is on least is chosen.

    Args:
        calls: to choose on
        by: `MOOD` or `LOUDNESS`
        limits: see `LIMITS`
    """
    tried = []
    for pair in THRESHOLDS:
        counts = count_calls(calls, by, pair)
        falsely_on = counts["false hours"].sum() / counts["calm hours"].sum()
        tried.append((-counts[_name(SOON_S[0])].sum(), falsely_on, pair))
    fallback = min(tried, key=lambda each: each[1])
    return [
        min((each for each in tried if each[1] <= limit), default=fallback)[-1] for limit in limits
    ]


def count_calls(
    calls: Sequence[LiveCall], by: str, thresholds: tuple[float, float]
) -> pd.DataFrame:
    """Count what happens in calls with these thresholds, a row a call, see `score_call`."""
    begin, end = thresholds
    found = (find_alerts(call, by, alert_from=begin, alert_until=end) for call in calls)
    return pd.DataFrame(
        [score_call(call, alerts) for call, alerts in zip(calls, found, strict=True)]
    )


def compare(calls: Sequence[LiveCall]) -> pd.DataFrame:
    """Score each way to raise alerts, on the customers it was tuned on and on the others.

    Raises:
        TableError: where there are no others
    """
    customers = sorted({call.customer for call in calls}, key=lambda name: (len(name), name))
    if len(customers) <= TUNED_ON:
        raise TableError(
            f"the calls are of {len(customers)} customer(s), expected more than the {TUNED_ON} "
            "whose calls thresholds are chosen on; add a column customer to the table of speakers"
        )
    tuning = set(customers[:TUNED_ON])
    parts = {
        "tuned on": [call for call in calls if call.customer in tuning],
        "others": [call for call in calls if call.customer not in tuning],
    }
    points = [(MOOD, "as LiveMood is set", (ALERT_FROM, ALERT_UNTIL))]
    for by in (MOOD, LOUDNESS):
        pairs = choose_thresholds(parts["tuned on"], by, LIMITS)
        rules = (f"falsely on at most {limit:.0%}" for limit in LIMITS)
        points += [(by, rule, pair) for rule, pair in zip(rules, pairs, strict=True)]
    rows = []
    for by, rule, pair in points:
        for name, part in parts.items():
            row = {"alert by": by, "rule": rule, "from": pair[0], "until": pair[1]}
            row |= {"customers": f"{len({call.customer for call in part})} {name}"}
            rows.append(row | summarise(count_calls(part, by, pair)))
    return pd.DataFrame(rows)


def _name(soon_s: float) -> str:
    return f"within {soon_s:g} s"


_RATIOS = (
    *((_name(soon), _name(soon), "turns") for soon in SOON_S),
    ("already on", "already on", "turns"),
    ("never", "never", "turns"),
    ("false alarms an hour", "false", "hours"),
    ("on while not upset", "false hours", "calm hours"),
    ("calm calls with a false alarm", "calm, false", "calm"),
)
"""What is reported, and the two counts whose sums are divided."""
