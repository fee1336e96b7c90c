"""Whether a call's moods come late, against the least delay so far of the sound itself."""

import math

LATE_S, CAUGHT_UP_S = 5.0, 1.0
"""Moods that come later than the first are late, in seconds, until the lag is below the second."""


class Lag:
    """Follows how late moods come.

    Attributes:
        is_long: whether they are late at present
    """

    def __init__(self) -> None:
        self.is_long = False
        self._least_s = math.inf

    def follow(self, now_s: float, at_s: float) -> bool:
        """Follow the lag.

        Args:
            now_s: when something was judged, by any clock in seconds
            at_s: where the sound of it lies, in seconds of the stream

        Returns:
            whether `is_long` has changed
        """
        delay_s = now_s - at_s
        self._least_s = min(self._least_s, delay_s)
        was_long = self.is_long
        self.is_long = delay_s - self._least_s > (CAUGHT_UP_S if was_long else LATE_S)
        return self.is_long != was_long
