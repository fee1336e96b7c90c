"""Which parts of a call are listened to: its start and its end, or the whole of a short one."""

from typing import NamedTuple

START_S = 20.0
"""Length of the start segment in seconds."""

END_S = 25.0
"""Length of the end segment in seconds."""

LIMIT_S = START_S + END_S
"""A call longer than this has a start and an end; a shorter one is judged as a whole."""

KINDS = ("start", "end", "whole")
"""Names of the segments, in the order they are stored."""


class Segment(NamedTuple):
    """A part of a call, in seconds from its beginning."""

    kind: str
    start_s: float
    duration_s: float


def split_call(duration_s: float) -> tuple[Segment, ...]:
    """Choose the segments of a call.

    A call longer than 45 s gives its first 20 s and its last 25 s, which never overlap; what lies
    between them is not used. A call of 45 s or less is one segment.

    Args:
        duration_s: length of the call in seconds, above 0

    Returns:
        `start` and `end`, or `whole`

    Raises:
        ValueError: where the duration is not above 0

    Examples:
        >>> split_call(60.0)[1]
        Segment(kind='end', start_s=35.0, duration_s=25.0)
        >>> [segment.kind for segment in split_call(45.0)]
        ['whole']
    """
    if not duration_s > 0:
        raise ValueError(f"duration is {duration_s!r} s, expected more than 0")
    if duration_s > LIMIT_S:
        return (
            Segment("start", 0.0, START_S),
            Segment("end", duration_s - END_S, END_S),
        )
    return (Segment("whole", 0.0, duration_s),)
