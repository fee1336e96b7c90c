import numpy as np
import pytest
from test_quality import RATE, SEVENTH, TRIAD, make_keys, make_music, make_tones

from helpers.channel import simulate_telephone
from helpers.conversation.line_sounds import STEP, STEP_S, find_line_sounds
from helpers.corpora import load_corpus
from helpers.hearing import read_recording
from helpers.workspace import SAMPLE_DATA


def read_voices() -> np.ndarray:
    """Read an utterance of each voice in each emotion of the sample corpus."""
    corpus = load_corpus(SAMPLE_DATA / "voices")
    said = corpus.groupby(["speaker", "emotion"])["path"].first()
    return np.concatenate([read_recording(path) for path in said])


@pytest.mark.parametrize("noise_db", [-70, -45])
@pytest.mark.parametrize(
    "tones",
    [
        make_tones(440, 480, on_s=2, off_s=4),
        make_tones(425, on_s=1, off_s=4),
        make_tones(400, 450, on_s=0.4, off_s=0.2),
        make_tones(480, 620, on_s=0.25, off_s=0.25),
        make_tones(1400, on_s=0.1, off_s=1.4),
        make_keys(on_s=0.05),
        make_keys(on_s=0.1),
    ],
    ids=["American", "European", "British", "busy", "beeps", "50 ms keys", "100 ms keys"],
)
def test_tones_are_found_where_they_sound(tones, noise_db):
    line = simulate_telephone(tones, RATE, noise_db=noise_db)
    found = find_line_sounds(line, RATE).tones
    frames = np.pad(tones, (STEP // 2, STEP)).astype(np.float32)[: len(found) * STEP]
    sounding = np.abs(frames.reshape(-1, STEP)).max(axis=1) > 0.02
    assert np.mean(found[sounding]) == 1
    near = np.convolve(sounding, np.ones(17), "same") > 0
    assert not found[~near].any()


def test_voices_have_hardly_any_tones():
    assert np.mean(find_line_sounds(read_voices(), RATE).tones) < 0.03


@pytest.mark.parametrize("noise_db", [-70, -50])
@pytest.mark.parametrize("decay", [0, 1.5])
@pytest.mark.parametrize("vibrato", [0, 0.01])
@pytest.mark.parametrize(("chord", "chord_s"), [(TRIAD, 2), (SEVENTH, 1), ((0,), 0.5), ((0,), 0.2)])
def test_music_is_steadier_than_voices(chord, chord_s, vibrato, decay, noise_db):
    music = make_music(chord, chord_s=chord_s, vibrato=vibrato, decay=decay)
    steady = find_line_sounds(simulate_telephone(music, RATE, noise_db=noise_db), RATE).steady
    voices = find_line_sounds(read_voices(), RATE).steady
    assert np.percentile(steady, 10) > np.percentile(voices, 90)


@pytest.mark.parametrize("samples", [1, 127, 128, 129, 512, 8000])
def test_there_is_a_frame_for_every_step_that_has_begun(samples):
    sounds = find_line_sounds(np.zeros(samples, np.float32), RATE)
    assert {len(part) for part in sounds} == {-(-samples // STEP)}


def test_a_signal_without_sound_has_no_tones_and_nothing_steady():
    sounds = find_line_sounds(np.zeros(RATE, np.float32), RATE)
    assert not sounds.tones.any()
    assert not sounds.sounding.any()
    assert not sounds.steady.any()


def test_long_signals_that_are_heard_in_blocks_are_heard_alike_everywhere():
    music = make_music(duration_s=150).astype(np.float32)
    whole = find_line_sounds(music, RATE)
    start = round(60 / STEP_S)
    part = find_line_sounds(music[start * STEP :], RATE)
    inner = slice(50, -50)
    np.testing.assert_allclose(part.steady[inner], whole.steady[start:][inner], atol=1e-4)
    np.testing.assert_array_equal(part.tones[inner], whole.tones[start:][inner])
