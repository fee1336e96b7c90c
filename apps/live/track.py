"""When each piece of a track belongs, and whether pieces are missing, late or there twice."""

from helpers.conversation.live_track import JITTER_S, LEAP_S
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
