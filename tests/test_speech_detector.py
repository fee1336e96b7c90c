import os
import subprocess
import sys

import numpy as np
import pytest

from helpers.conversation.line_sounds import to_rate
from helpers.conversation.speech_detector import DETECTOR_RATE, DETECTOR_SAMPLES, detect_speech
from helpers.corpora import load_corpus
from helpers.hearing import read_recording
from helpers.workspace import PROJECT_FOLDER, SAMPLE_DATA

THREADS = """
import os
import numpy as np
before = os.environ.get("OMP_THREAD_LIMIT")
count = lambda: len(os.listdir("/proc/self/task"))
from helpers.conversation.speech_detector import DETECTOR_SAMPLES, detect_speech
started = count()
detect_speech(np.zeros((3, DETECTOR_SAMPLES)))
print(count() - started, os.environ.get("OMP_THREAD_LIMIT") == before)
"""


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Give an utterance in frames."""
    path = load_corpus(SAMPLE_DATA / "voices")["path"].iloc[0]
    sound = to_rate(read_recording(path), 8000, DETECTOR_RATE)
    return np.pad(sound, (0, -len(sound) % DETECTOR_SAMPLES)).reshape(-1, DETECTOR_SAMPLES)


def test_speech_is_told_from_noise(frames):
    noise = 0.001 * np.random.default_rng(0).standard_normal(frames.shape)
    assert detect_speech(frames).max() > 0.8
    assert detect_speech(noise).max() < 0.3


def test_a_reset_forgets_all_that_was_heard(frames):
    twice = np.concatenate([frames, frames])
    alone = detect_speech(frames)
    np.testing.assert_array_equal(
        detect_speech(twice, resets={len(frames)}), np.concatenate([alone, alone])
    )
    assert not np.array_equal(detect_speech(twice)[len(frames) :], alone)


def test_no_frame_has_no_answer():
    assert detect_speech(np.empty((0, DETECTOR_SAMPLES))).shape == (0,)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed in /proc on Linux alone")
@pytest.mark.parametrize("limit", [None, "7"])
def test_the_network_starts_no_threads_and_the_environment_stays(limit):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER)}
    environment |= {"OMP_THREAD_LIMIT": limit} if limit else {}
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["0", "True"]
