"""A live call's sound as it arrives, late, twice or not at all, put in its place in time."""

import numpy as np

from helpers.channel import TELEPHONE_RATE

STEP = 80
"""Samples over which a level is measured: 10 ms."""

HOP_STEPS = 25
"""Steps that are looked at at once, and from one judgement to the next: 0.25 s."""

JITTER_S = 0.2
"""Sound is judged when so much more has arrived: what is late by less is in its place by then."""

KEPT_S, BACKLOG_S = 60.0, 30.0
"""Seconds of sound that are kept, and that may wait to be asked for: memory never grows."""

LEAP_S, AGREED_S = 1.0, 1.0
"""Sound that leaps ahead by more than the first is believed once more follows it this closely."""

LONGEST_CALL_S = 86_400.0
"""A later time is none."""


class LiveTrack:
    """The last `KEPT_S` of one customer's sound, each sample in its place in time."""

    def __init__(self) -> None:
        self._samples = np.zeros(round(KEPT_S * TELEPHONE_RATE), np.float32)
        self._heard = self._judged = 0
        self._leap: int | None = None

    def put(self, signal: np.ndarray, at_s: float) -> None:
        """Put sound where it belongs; what comes too late or at no possible time is left out."""
        if not abs(at_s) < LONGEST_CALL_S or not len(signal):
            return
        first = round(at_s * TELEPHONE_RATE)
        last = first + len(signal)
        if last <= 0 or not self._believes(first):
            return
        self._advance(last)
        oldest = max(self._judged, self._heard - len(self._samples))
        signal = np.nan_to_num(signal[max(0, oldest - first) :], posinf=0, neginf=0)
        self._samples[self._places(last - len(signal), last)] = np.clip(signal, -1, 1)

    def next_hop(self) -> int | None:
        """Give the step that the next hop ends at, once what belongs before it has arrived."""
        hop = HOP_STEPS * STEP
        if self._judged + hop + round(JITTER_S * TELEPHONE_RATE) > self._heard:
            return None
        self._judged += hop
        return self._judged // STEP

    def cut(self, first: int, last: int) -> np.ndarray:
        """Copy the samples between two steps."""
        return self._samples[self._places(first * STEP, last * STEP)]

    def _believes(self, first: int) -> bool:
        if first <= self._heard + LEAP_S * TELEPHONE_RATE:
            return True
        leap, self._leap = self._leap, first
        return leap is not None and 0 < first - leap <= AGREED_S * TELEPHONE_RATE

    def _advance(self, last: int) -> None:
        """Make room up to a sample: silence until its sound arrives."""
        size = len(self._samples)
        if last > self._heard:
            self._samples[self._places(max(self._heard, last - size), last)] = 0
            self._heard = last
        late = self._heard - round(BACKLOG_S * TELEPHONE_RATE) - self._judged
        if late > 0:
            self._judged += -(-late // (HOP_STEPS * STEP)) * HOP_STEPS * STEP

    def _places(self, first: int, last: int) -> np.ndarray:
        return np.arange(first, last) % len(self._samples)
