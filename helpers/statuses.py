"""The three statuses of a call, and every spelling they are met in."""

import re
from pathlib import PurePath

STATUSES = ("satisfied", "average", "unsatisfied")
"""How the customer left, best first; also the order of every table and plot."""

SUFFIXES = {"satisfied": "sat", "average": "avg", "unsatisfied": "unsat"}
"""The file name endings under `audio_data`: `call_sat.wav`."""

_WORDS = {
    "satisfied": "satisfied",
    "average": "average",
    "neutral": "average",
    "unsatisfied": "unsatisfied",
    "dissatisfied": "unsatisfied",
}
_NEGATED = re.compile(r"\b(not|non|un|dis) satisfied\b")
_DOUBTFUL = {"not", "no", "never", "hardly", "barely", "isn", "wasn", "less", "without"}
_STATUS_OF_SUFFIX = {suffix: status for status, suffix in SUFFIXES.items()}


def parse_status(text: str) -> str | None:
    """Read a status from a folder name or a form answer.

    Case, underscores and hyphens do not matter. The short forms `sat`, `avg` and `unsat` count
    only as the whole text, because "sat" inside a longer name may be a Saturday. What is denied in
    another way than "not satisfied", such as "not very satisfied", is left to a person.

    Args:
        text: what somebody wrote, such as `not-satisfied_call_quailty_wav`

    Returns:
        one of `STATUSES`, or `None` where the text names none or more than one of them

    Examples:
        >>> parse_status("Not satisfied")
        'unsatisfied'
        >>> parse_status("average_call_quailty_wav")
        'average'
        >>> parse_status("satisfied and unsatisfied")
    """
    named = _named_statuses(text)
    return named.pop() if len(named) == 1 else None


def status_of_folders(path: PurePath) -> str | None:
    """Read a recording's status from the innermost folder that names one.

    Returns:
        one of `STATUSES`, or `None` where no folder names a status or that folder names several
    """
    for folder in reversed(path.parent.parts):
        if _named_statuses(folder):
            return parse_status(folder)
    return None


def status_of_suffix(path: PurePath) -> str | None:
    """Read a recording's status from its file name's ending `_sat`, `_avg` or `_unsat`."""
    _, underscore, ending = path.stem.rpartition("_")
    return _STATUS_OF_SUFFIX.get(ending.casefold()) if underscore else None


def _named_statuses(text: str) -> set[str]:
    words = " ".join(re.findall(r"[^\W_]+", text.casefold()))
    if words in _STATUS_OF_SUFFIX:
        return {_STATUS_OF_SUFFIX[words]}
    words = _NEGATED.sub("unsatisfied", words).split()
    named = {_WORDS[word] for word in words if word in _WORDS}
    return set(STATUSES) if named and _DOUBTFUL & set(words) else named
