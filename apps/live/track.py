"""When each piece of a track belongs, and whether pieces are missing, late or there twice."""

from typing import NamedTuple

from helpers.conversation.live_track import HOP_STEPS, JITTER_S, LEAP_S, STEP
from helpers.telephony import SAMPLING_RATE

WAVER = 0.5
"""Timestamps waver, for they are whole milliseconds: a piece that is this share of its length from
the end of the one before is joined to it."""

IN_ORDER, LATE, GAP, LEAP = "in order", "late sound", "missing sound", "leaping sound"
"""How a piece follows the others: as it should, after its place has passed, after a hole, after one
so long that it is not believed until the next piece follows it."""

ORDERS = {
    LATE: "Pieces of sound arrive late, twice or in another order: what is late by more than "
    f"{JITTER_S:g} s may not be heard.",
    GAP: "Pieces of sound are missing: they count as silence.",
    LEAP: f"Pieces of sound are dated {LEAP_S:g} s and more after all others: such a hole counts "
    "as silence once more sound follows it.",
}
"""What is said of each disorder."""


class Track:
    """Follows the pieces of one track."""

    def __init__(self) -> None:
        self._end_s: float | None = None
        self._leapt_end_s: float | None = None

    def place(self, at_s: float, samples: int) -> tuple[float, str]:
        """Find the place of a piece that arrives.

        Args:
            at_s: where it begins by its timestamp, in seconds of the stream
            samples: its length, at 8000 Hz

        Returns:
            where it begins, in seconds, joined to the piece before where it is that one's
            neighbour; and `IN_ORDER`, `LATE`, `GAP`, or `LEAP` for what should not be heard
        """
        length_s = samples / SAMPLING_RATE
        for end_s in (self._end_s, self._leapt_end_s):
            if end_s is not None and abs(at_s - end_s) <= WAVER * length_s:
                self._end_s = end_s + length_s
                return end_s, IN_ORDER
        if at_s > (self._end_s or 0.0) + LEAP_S:
            self._leapt_end_s = at_s + length_s
            return at_s, LEAP
        if self._end_s is not None and at_s < self._end_s:
            return at_s, LATE
        order = IN_ORDER if self._end_s is None else GAP
        self._end_s = at_s + length_s
        return at_s, order


class Stretch(NamedTuple):
    """Neighbouring pieces as one.

    Attributes:
        at_s: where it begins, in seconds of the stream
        content: one byte a sample, at 8000 Hz
    """

    at_s: float
    content: bytes


class Joint:
    """Joins pieces until there is something new to judge: hearing one costs as much as many.

    Nothing is judged later for it, see `helpers.conversation.live_track.LiveTrack.next_hop`.
    """

    def __init__(self) -> None:
        self._first = self._last = self._hops = 0
        self._content = bytearray()

    def add(self, at_s: float, content: bytes) -> list[Stretch]:
        """Add a piece; gives what is to be heard now, in order."""
        first, due = round(at_s * SAMPLING_RATE), []
        if abs(first - self._last) > 1:  # a rounding apart
            due += self._take()
        if not self._content:
            self._first = self._last = first
        self._content += content
        self._last += len(content)
        if (hops := _count_hops(self._last)) > self._hops:
            self._hops = hops
            due += self._take()
        return due

    def _take(self) -> list[Stretch]:
        content, self._content = bytes(self._content), bytearray()
        return [Stretch(self._first / SAMPLING_RATE, content)] if content else []


def _count_hops(samples: int) -> int:
    """Count the hops that may be judged once so many samples have arrived."""
    return (samples - round(JITTER_S * SAMPLING_RATE)) // (HOP_STEPS * STEP)
