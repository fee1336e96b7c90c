"""How upset a customer sounds while the call goes on, judged a little behind the present."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter1d

from helpers.channel import TELEPHONE_RATE
from helpers.conversation.judges import CONTEXT_S, Judge
from helpers.conversation.line_sounds import STEP as TONE_STEP
from helpers.conversation.line_sounds import find_line_sounds
from helpers.conversation.live_track import HOP_STEPS, KEPT_S, STEP, LiveTrack
from helpers.conversation.voices import Voice
from helpers.segments import END_S
from helpers.turns import SHORTEST_S, SMOOTHING_STEPS, SPEECH_DB

WINDOW_S = 2.0
"""A judge without a memory hears what is spoken in so many seconds, one with a memory in `END_S`:
the cost stays as the call goes on."""

MEMORY_STEP_S = 1.0
"""Seconds of speech from one of its judgements to the next: they cost more and change less."""

NEW_S = 0.05
"""With less speech since the last judgement there is nothing new."""

EDGE_STEPS = 5
"""So much is heard before and after the speech, 0.05 s: it begins and ends faintly."""

CONTEXT_STEPS = 100
"""Steps that levels and tones are measured in: 1 s."""

SILENT_DB, FAINTEST_DB = -120.0, -55.0
"""Level of no sound at all, and one that speech is louder than, in dB of full scale."""

NOISE_PERCENT, LOUD_PERCENT, ABOVE_NOISE_DB = 10, 95, 6.0
"""Percentiles of the levels kept that are the noise's and the loud speech's; speech tops noise."""

ROLLING_S = 0.5
"""Seconds of speech in which what was heard before loses two thirds of its weight."""

ALERT_FROM, ALERT_UNTIL = 0.75, 0.6
"""The alert begins at the first probability and ends below the second."""

CONFIRMED_BY = 2
"""So many judgements on end say so before it begins or ends."""

CERTAIN = 0.02
"""No single judgement is believed to be surer than this of either."""


class Excerpt(NamedTuple):
    """A piece of the customer's track that is due to be judged.

    Attributes:
        at_s: end of the piece, in seconds of the call
        start_s: where the speech begins that is to be judged, in seconds of the call
        speech_s: seconds of speech from there on
        signal: shape (samples,), float32, 8000 Hz; ends at `at_s`, and begins at `start_s` or,
            for a judge with a memory, earlier
    """

    at_s: float
    start_s: float
    speech_s: float
    signal: np.ndarray


class MoodNow(NamedTuple):
    """How upset the customer sounds at a moment.

    Attributes:
        at_s: the moment, in seconds of the call, `nan` before anything was judged
        upset: rolling probability, `nan` before anything was judged
        is_alert: whether the customer counts as upset
        alert_since_s: when the alert began, `nan` without one
    """

    at_s: float
    upset: float
    is_alert: bool
    alert_since_s: float


class RollingMood:
    """The mood so far, from one judgement to the next.

    It and the alert stay as they are while nothing is judged.

    Args:
        step_s: seconds of speech from one judgement to the next
        alert_from: see `ALERT_FROM`
        alert_until: see `ALERT_UNTIL`
    """

    def __init__(
        self,
        *,
        step_s: float = HOP_STEPS * STEP / TELEPHONE_RATE,
        alert_from: float = ALERT_FROM,
        alert_until: float = ALERT_UNTIL,
    ) -> None:
        self.now = MoodNow(math.nan, math.nan, False, math.nan)
        self._kept = math.exp(-step_s / ROLLING_S)
        self._alert_from, self._alert_until = alert_from, alert_until
        self._log_odds = math.nan
        self._confirmed = 0

    def follow(self, at_s: float, upset: float) -> MoodNow:
        """Follow the mood by one judgement; a probability that is `nan` changes nothing."""
        if math.isnan(upset):
            return self.now
        bounded = CERTAIN + (1 - 2 * CERTAIN) * upset
        log_odds = math.log(bounded / (1 - bounded))
        if not math.isnan(self._log_odds):
            log_odds += self._kept * (self._log_odds - log_odds)
        self._log_odds = log_odds
        upset = 1 / (1 + math.exp(-log_odds))
        self.now = self.now._replace(at_s=at_s, upset=upset)
        is_alert = self.now.is_alert
        turned = upset < self._alert_until if is_alert else upset >= self._alert_from
        self._confirmed = self._confirmed + 1 if turned else 0
        if self._confirmed == CONFIRMED_BY:
            self._confirmed = 0
            since_s = math.nan if is_alert else at_s
            self.now = MoodNow(at_s, upset, not is_alert, since_s)
        return self.now


class LiveMood:
    """One customer's track as it arrives, and the mood heard in it so far.

    The same sound gives the same answers in chunks of any size up to `BACKLOG_S`, in any order
    within `JITTER_S` and at any pace, if `next_excerpt` is asked after each until it has none.

    Args:
        memory_s: of the judge that is asked, see `helpers.conversation.judges.Judge`; one that
            has a memory is given more to hear, more seldom
        alert_from: probability from which on the customer counts as upset; the alert ends as far
            below as `ALERT_UNTIL` is below `ALERT_FROM`
    """

    def __init__(self, *, memory_s: float = 0.0, alert_from: float = ALERT_FROM) -> None:
        self._track = LiveTrack()
        self._levels = np.full(round(KEPT_S * TELEPHONE_RATE) // STEP, SILENT_DB, np.float32)
        self._spoken = np.zeros(len(self._levels), bool)
        self._marked = self._new = 0
        self._has_memory = memory_s > 0
        step_s = MEMORY_STEP_S if self._has_memory else HOP_STEPS * STEP / TELEPHONE_RATE
        alert_until = alert_from - (ALERT_FROM - ALERT_UNTIL)
        self._rolling = RollingMood(step_s=step_s, alert_from=alert_from, alert_until=alert_until)

    @property
    def mood(self) -> MoodNow:
        """The mood so far."""
        return self._rolling.now

    def hear(self, signal: np.ndarray, *, at_s: float) -> None:
        """Put sound where it belongs in time.

        What was judged already does not change any more, sound that arrives twice counts as it
        arrived last, and what never arrives is silence.

        Args:
            signal: shape (samples,), floats of full scale 1, 8000 Hz; what is no number is
                silence, and what is beyond full scale is clipped
            at_s: where it begins, in seconds of the call; what lies before 0 or is no time is left
                out, and what leaps ahead waits for more, see `LEAP_S`
        """
        self._track.put(signal, at_s)

    def next_excerpt(self) -> Excerpt | None:
        """Give the next piece that is due to be judged, `None` where there is none."""
        while (last := self._track.next_hop()) is not None:
            self._mark_speech(last)
            if excerpt := self._cut(last):
                return excerpt
        return None

    def take_in(self, excerpt: Excerpt, upset: float) -> MoodNow:
        """Follow the mood by one judgement.

        Args:
            excerpt: what was judged; excerpts are taken in in the order they were given, some may
                be left out
            upset: what `judge_excerpt` gave; `nan` changes nothing

        Returns:
            the mood at the end of the excerpt
        """
        return self._rolling.follow(excerpt.at_s, upset)

    def _mark_speech(self, last: int) -> None:
        """Tell the speech in the hop before a step from silence, steady noise and tones."""
        places = np.arange(max(self._marked, last - len(self._levels)), last) % len(self._levels)
        self._levels[places], self._spoken[places] = SILENT_DB, False
        self._marked = last
        sound = self._track.cut(max(0, last - CONTEXT_STEPS), last)
        sound = sound - sound.mean()
        power = uniform_filter1d(np.square(sound).reshape(-1, STEP).mean(axis=1), SMOOTHING_STEPS)
        levels = 10 * np.log10(power[-HOP_STEPS:] + 10 ** (SILENT_DB / 10))
        self._levels[places[-HOP_STEPS:]] = levels
        spoken = levels > FAINTEST_DB
        if spoken.any():
            noise = np.percentile(self._levels[:last], NOISE_PERCENT)
            loud = np.percentile(self._levels[self._levels > FAINTEST_DB], LOUD_PERCENT)
            spoken &= levels > max(loud - SPEECH_DB, noise + ABOVE_NOISE_DB)
            tones = find_line_sounds(sound, TELEPHONE_RATE).tones
            middles = len(sound) + STEP * (np.arange(-HOP_STEPS, 0) + 0.5)
            nearest = np.rint(middles / TONE_STEP).astype(int)
            spoken &= ~tones[np.minimum(nearest, len(tones) - 1)]
        self._spoken[places[-HOP_STEPS:]] = spoken
        self._new += int(spoken.sum())

    def _cut(self, last: int) -> Excerpt | None:
        """Cut out the last speech before a step, if there is enough, and enough of it new."""
        window_s = END_S if self._has_memory else WINDOW_S
        window = np.arange(max(0, last - _to_steps(window_s)), last)
        spoken = window[self._spoken[window % len(self._spoken)]][-_to_steps(CONTEXT_S) :]
        new_s = MEMORY_STEP_S if self._has_memory else NEW_S
        if self._new < _to_steps(new_s) or len(spoken) < _to_steps(SHORTEST_S):
            return None
        self._new = 0
        first = max(0, int(spoken[0]) - EDGE_STEPS)
        end = min(last, int(spoken[-1]) + 1 + EDGE_STEPS)
        begin = min(first, max(0, end - _to_steps(window_s))) if self._has_memory else first
        return Excerpt(
            at_s=end * STEP / TELEPHONE_RATE,
            start_s=first * STEP / TELEPHONE_RATE,
            speech_s=len(spoken) * STEP / TELEPHONE_RATE,
            signal=self._track.cut(begin, end),
        )


def judge_excerpt(judge: Judge, excerpt: Excerpt) -> float:
    """Ask a judge how upset the customer sounds in an excerpt.

    Args:
        judge: see `helpers.conversation.judges.find_judge`
        excerpt: from `LiveMood.next_excerpt`

    Returns:
        probability that the customer is upset
    """
    end_s = len(excerpt.signal) / TELEPHONE_RATE
    start_s = max(0.0, end_s - (excerpt.at_s - excerpt.start_s))
    span = pd.DataFrame({"start_s": [start_s], "end_s": [end_s]})
    return float(judge.judge(Voice(excerpt.signal), span)["upset"].iloc[0])


def _to_steps(seconds: float) -> int:
    return round(seconds * TELEPHONE_RATE / STEP)
