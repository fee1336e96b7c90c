"""A call's story in plain words: sentences, and figures with what they mean."""

import re
from collections.abc import Mapping
from numbers import Real

import numpy as np

from helpers.conversation.mood import IMPROVING, STEADY, TOO_LITTLE, WORSENING
from helpers.conversation.story import STORY_COLUMNS
from helpers.model_card import NOT_KNOWN

TRENDS = {
    IMPROVING: "The mood improved along the call.",
    STEADY: "The mood stayed as it was along the call.",
    WORSENING: "The mood worsened along the call.",
    TOO_LITTLE: "The customer says too little to tell whether the mood changed.",
}
"""What is said of each trend."""

PLACES = ("duration_s", "escalated_at_s", "upset_from_s", "upset_peak_s")
"""Columns that are told as minutes and seconds."""

ESCALATION = ("escalated_at_s", "upset_from_s")
NO_ESCALATION = "no escalation heard"
"""What is said where these columns are empty."""

APART = ("path", "twins", "error", "status", "p_unsatisfied", "trend", "role_certainty")
HIDDEN = ("role_doubt", "told_with", "content_hash")
"""Columns that a page tells in another place, and columns for programs."""

_ASIDES = re.compile(r",? in seconds( from the beginning)?$|, (0 to 1|in dB|empty where .*)$")
"""What the meaning of a column says about its cells in the file."""

_SHARES = ("_share", "upset_peak", "upset_end", *(f"upset_quarter_{each}" for each in range(1, 5)))
_UNITS = {"_db": "dB", "_speed": "syllables a second", "_s": "s"}


def tell_story(row: Mapping[str, object]) -> list[str]:
    """Tell the most important of a call's story in sentences.

    Args:
        row: columns of `STORY_COLUMNS`, of which any may be missing, empty or `nan`

    Returns:
        a sentence for each thing that is known
    """
    sentences = [TRENDS[row["trend"]]] if row.get("trend") in TRENDS else []
    return [*sentences, *_tell_upset(row), *_tell_talk(row)]


def list_facts(row: Mapping[str, object]) -> list[tuple[str, str]]:
    """List what each figure of a call's story means, and the figure with its unit.

    Args:
        row: see `tell_story`

    Returns:
        meaning and value for the columns that `row` has, in the order of `STORY_COLUMNS`
    """
    return [
        (_ASIDES.sub("", column.meaning), format_fact(name, row[name]))
        for name, column in STORY_COLUMNS.items()
        if name in row and name not in (*APART, *HIDDEN)
    ]


def format_fact(name: str, value: object) -> str:
    """Write a figure with the unit that the ending of its name says.

    Examples:
        >>> format_fact("upset_end", 0.623)
        '62 %'
        >>> format_fact("escalated_at_s", 83.4)
        '1:23'
        >>> format_fact("hold_s", float("nan"))
        'not known'
    """
    if isinstance(value, str):
        return value or NOT_KNOWN
    if not is_known(value):
        return NO_ESCALATION if name in ESCALATION else NOT_KNOWN
    if name in PLACES:
        return format_time(value)
    if name.endswith(_SHARES) or name in _SHARES:
        return format_share(value)
    if name == "trend_change":
        return f"{100 * value:+.0f} percentage points"
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    return f"{value:.1f} {unit}" if unit else f"{value:g}"


def format_time(seconds: float) -> str:
    """Write a place in a call as minutes and seconds.

    Examples:
        >>> format_time(83.4)
        '1:23'
        >>> format_time(3661)
        '61:01'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def format_share(share: float) -> str:
    """Write a share or a probability in percent; what is not known is said to be so.

    Examples:
        >>> format_share(0.625)
        '62 %'
    """
    return f"{100 * share:.0f} %" if is_known(share) else NOT_KNOWN


def is_known(value: object) -> bool:
    """Tell whether a value is a number that is not `nan`."""
    return isinstance(value, Real) and bool(np.isfinite(value))


def _tell_upset(row: Mapping[str, object]) -> list[str]:
    upset_s, talk_s = row.get("upset_s"), row.get("customer_talk_s")
    if not is_known(upset_s):
        return []
    of = f" of the {talk_s:.0f} s that the customer speaks" if is_known(talk_s) else ""
    sentences = [f"The customer sounds upset for {upset_s:.0f} s{of}."]
    escalated_at_s, upset_from_s = row.get("escalated_at_s"), row.get("upset_from_s")
    if is_known(escalated_at_s):
        since = f", upset since {format_time(upset_from_s)}" if is_known(upset_from_s) else ""
        sentences.append(f"The call had escalated at {format_time(escalated_at_s)}{since}.")
    return sentences


def _tell_talk(row: Mapping[str, object]) -> list[str]:
    sentences = []
    if is_known(row.get("agent_talk_share")):
        share = format_share(row["agent_talk_share"])
        sentences.append(f"The agent has {share} of the talk time.")
    counts = [row.get(f"{role}_interruptions") for role in ("agent", "customer")]
    if all(map(is_known, counts)):
        agent, customer = map(_count_times, counts)
        sentences.append(
            f"The agent interrupts the customer {agent}; the customer interrupts the agent "
            f"{customer}."
        )
    if is_known(row.get("non_talk_s")) and row["non_talk_s"]:
        sentences.append(f"For {row['non_talk_s']:.0f} s in all nobody speaks, 3 s or more on end.")
    return sentences


def _count_times(count: float) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:g} times")
