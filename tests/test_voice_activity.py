import librosa
import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from test_line_sounds import read_voices
from test_quality import RATE, SEVENTH, TRIAD, make_keys, make_music, make_noise, make_tones

from helpers.channel import simulate_telephone
from helpers.conversation.voice_activity import (
    KINDS,
    MUSIC,
    RINGING,
    SILENCE,
    SPEECH,
    find_activity,
    speech_spans,
)
from helpers.corpora import load_corpus
from helpers.hearing import read_recording
from helpers.workspace import SAMPLE_DATA

RINGING_SOUNDS = {
    "American": make_tones(440, 480, on_s=2, off_s=4),
    "European": make_tones(425, on_s=1, off_s=4),
    "British": make_tones(400, 450, on_s=0.4, off_s=0.2),
    "busy": make_tones(480, 620, on_s=0.5, off_s=0.5),
    "fast busy": make_tones(480, 620, on_s=0.25, off_s=0.25),
    "dial": make_tones(350, 440),
    "beeps": make_tones(1400, on_s=0.15, off_s=1.35),
    "50 ms keys": make_keys(on_s=0.05),
    "100 ms keys": make_keys(on_s=0.1),
    "200 ms keys": make_keys(on_s=0.2),
}


def make_melody(*, note_s: float, decay: float, root=220.0, vibrato=0.0) -> np.ndarray:
    """Make 12 s of single notes, a broken chord up and down."""
    steps = (0, 4, 7, 12, 16, 12, 7, 4)
    notes = [
        make_music(
            (step + 12 * np.log2(root / 262),),
            chord_s=note_s,
            duration_s=note_s,
            vibrato=vibrato,
            decay=decay,
        )
        for step in steps
    ]
    return np.resize(np.concatenate(notes), 12 * RATE)


def make_drums(*, beat_s=0.3, seed=0) -> np.ndarray:
    """Make 12 s of a bass drum, a snare and a cymbal in turn."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(beat_s * RATE)) / RATE
    noise = generator.standard_normal((2, len(times)))
    bass = np.sin(2 * np.pi * (60 * times + 8 * (1 - np.exp(-30 * times)))) * np.exp(-12 * times)
    snare = 0.5 * noise[0] * np.exp(-18 * times)
    cymbal = 0.15 * np.diff(noise[1], prepend=0) * np.exp(-60 * times)
    return np.resize(np.concatenate([bass, cymbal, snare, cymbal]), 12 * RATE)


HOLD_MUSIC = {
    "chords": make_music(TRIAD),
    "sevenths with vibrato": make_music(SEVENTH, chord_s=1, vibrato=0.01),
    "a piano's chords": make_music(TRIAD, chord_s=1, decay=3),
    "low notes with vibrato": make_melody(note_s=0.5, decay=0, root=110, vibrato=0.01),
    "a fast harp": make_melody(note_s=0.125, decay=4),
    "a flute": make_melody(note_s=0.25, decay=0, root=440),
    "chords with drums": make_music(TRIAD) + 0.3 * make_drums(),
}


def read_speech(*emotions: str, count: int) -> np.ndarray:
    """Read utterances of the sample corpus, 0.1 s apart, at a level of 0.1 where they are loud."""
    corpus = load_corpus(SAMPLE_DATA / "voices")
    paths = corpus[corpus["emotion"].isin(emotions)].sort_values("path")["path"][::5][:count]
    gap = np.zeros(round(0.1 * RATE))
    speech = np.concatenate([part for path in paths for part in (trim(read_recording(path)), gap)])
    return level(speech[: -len(gap)])


def waver(signal: np.ndarray, *, share=0.04, times_a_second=6.0) -> np.ndarray:
    """Let a synthetic voice, which holds its pitch as no person does, swing to and fro."""
    generator = np.random.default_rng(0)
    knots = generator.uniform(-share, share, round(len(signal) / RATE * times_a_second) + 2)
    pace = 1 + np.interp(np.linspace(0, len(knots) - 1, len(signal)), range(len(knots)), knots)
    return np.interp(np.cumsum(pace), range(len(signal)), signal)


def trim(signal: np.ndarray) -> np.ndarray:
    return librosa.effects.trim(signal, top_db=30)[0]


def level(signal: np.ndarray, loud=0.1) -> np.ndarray:
    blocks = np.square(signal[: len(signal) // 80 * 80]).reshape(-1, 80).mean(axis=1)
    return signal * loud / np.sqrt(np.percentile(blocks, 95))


def speak_in_monotone(signal: np.ndarray, pitch: float, *, hop=160) -> np.ndarray:
    """Say the same with pulses that never change their pitch, through the voice's own filters."""
    pulses = np.diff(np.floor(np.arange(len(signal) + 1) * pitch / RATE)) * np.sqrt(RATE / pitch)
    said, state = [], np.zeros(10)
    for start in range(0, len(signal) - 2 * hop, hop):
        frame = signal[start : start + 2 * hop] * np.hanning(2 * hop)
        frame = frame + make_noise(-80, duration_s=2 * hop / RATE, seed=start)
        filter_ = librosa.lpc(frame, order=len(state))
        rest = np.sqrt(2.6 * np.mean(np.square(lfilter(filter_, 1, frame))))
        part, state = lfilter([1], filter_, rest * pulses[start : start + hop], zi=state)
        said.append(part)
    return np.concatenate(said)


def telephone(*parts: np.ndarray, noise_db=-50) -> np.ndarray:
    return simulate_telephone(np.concatenate(parts), RATE, noise_db=noise_db)


def silence(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * RATE))


def seconds(activity, kind: str, start_s=0.0, end_s=np.inf) -> float:
    """Give how long a kind lasts between two times."""
    part = activity[activity["kind"] == kind]
    inside = part["end_s"].clip(upper=end_s) - part["start_s"].clip(lower=start_s)
    return float(inside.clip(lower=0).sum())


@pytest.mark.parametrize("emotion", ["neutral", "happy", "sad", "angry", "fearful"])
def test_speech_is_found_and_the_silence_around_it(emotion):
    speech = read_speech(emotion, count=3)
    activity = find_activity(telephone(silence(2), speech, silence(2)), RATE)
    end_s = 2 + len(speech) / RATE
    assert seconds(activity, SPEECH, 2, end_s) > 0.85 * (end_s - 2)
    assert seconds(activity, SPEECH, 0, 1.8) == seconds(activity, SPEECH, end_s + 0.3) == 0
    assert seconds(activity, RINGING) + seconds(activity, MUSIC) == 0


@pytest.mark.parametrize("name", RINGING_SOUNDS)
def test_ringing_busy_signals_keys_and_beeps_are_no_speech(name):
    activity = find_activity(telephone(RINGING_SOUNDS[name][: 6 * RATE]), RATE)
    assert seconds(activity, SPEECH) == seconds(activity, MUSIC) == 0
    assert seconds(activity, RINGING) > 0.09 * 6


@pytest.mark.parametrize("name", HOLD_MUSIC)
def test_hold_music_is_no_speech(name):
    activity = find_activity(telephone(HOLD_MUSIC[name][: 6 * RATE]), RATE)
    assert seconds(activity, SPEECH) == seconds(activity, RINGING) == 0
    assert seconds(activity, MUSIC) > 0.9 * 6


@pytest.fixture(scope="module")
def heard_alone_s() -> float:
    """Give the seconds of speech in two utterances with silence around them."""
    alone = telephone(silence(0.5), waver(read_speech("angry", "fearful", count=2)), silence(0.5))
    return seconds(find_activity(alone, RATE), SPEECH)


@pytest.mark.parametrize(
    ("name", "gap_s", "noise_db"),
    [(name, 0.0, -50) for name in [*RINGING_SOUNDS, *HOLD_MUSIC]]
    + [(name, 0.3, -45) for name in ("American", "busy", "100 ms keys", "chords", "a fast harp")],
)
def test_sounds_between_speech_are_no_speech_and_the_speech_is_kept(
    name, gap_s, noise_db, heard_alone_s
):
    speech, gap = waver(read_speech("angry", "fearful", count=2)), silence(gap_s)
    sound = level((RINGING_SOUNDS | HOLD_MUSIC)[name][: 4 * RATE])
    sound = sound[: np.flatnonzero(np.abs(sound) > 1e-3)[-1]]
    call = telephone(speech, gap, sound, gap, speech, noise_db=noise_db)
    activity = find_activity(call, RATE)
    start_s = len(speech) / RATE + gap_s
    end_s = start_s + len(sound) / RATE
    assert seconds(activity, SPEECH, start_s, end_s) < 0.02
    assert seconds(activity, SPEECH, 0, start_s) > 0.8 * heard_alone_s
    assert seconds(activity, SPEECH, end_s) > 0.7 * heard_alone_s


def test_drums_beside_speech_are_speech_for_a_moment_at_most():
    speech, drums = read_speech("neutral", count=2), level(make_drums()[: 6 * RATE])
    activity = find_activity(telephone(speech, drums, speech), RATE)
    start_s = len(speech) / RATE
    assert seconds(activity, SPEECH, start_s, start_s + 6) < 0.4


@pytest.mark.parametrize("pitch", [110, 180, 240])
def test_a_voice_without_melody_is_speech(pitch):
    speech = speak_in_monotone(read_speech("neutral", "angry", count=3), pitch)
    activity = find_activity(telephone(silence(1), speech, silence(1)), RATE)
    assert seconds(activity, SPEECH, 1) > 0.8 * len(speech) / RATE
    assert seconds(activity, MUSIC) == 0


@pytest.mark.parametrize("vowel_s", [0.6, 1.2])
def test_a_long_loud_vowel_is_speech(vowel_s):
    speech = read_speech("angry", count=2)
    pulses = np.tile(speak_in_monotone(speech[: RATE // 2], 200)[1600:2400], round(10 * vowel_s))
    activity = find_activity(telephone(speech, level(pulses, 0.2), speech), RATE)
    start_s = len(speech) / RATE
    assert seconds(activity, SPEECH, start_s, start_s + vowel_s) > 0.8 * vowel_s


def test_voices_keep_nearly_all_of_their_speech():
    voices = read_voices()
    activity = find_activity(telephone(voices, noise_db=-60), RATE)
    tones_s = seconds(activity, RINGING) + seconds(activity, MUSIC)
    assert tones_s < 0.02 * seconds(activity, SPEECH)


@pytest.mark.parametrize("sampling_rate", [4000, 8000, 11_025, 44_100, 192_000])
@pytest.mark.parametrize("samples", [1, 2, 129, 511, 513, 4000])
def test_a_short_signal_without_speech_is_silence_from_beginning_to_end(samples, sampling_rate):
    noise = np.random.default_rng(samples).standard_normal(samples)
    for signal in (np.zeros(samples), np.full(samples, 0.25), 0.01 * noise - 0.7):
        activity = find_activity(signal, sampling_rate)
        assert activity.values.tolist() == [[0, samples / sampling_rate, SILENCE]]


def test_an_empty_signal_has_no_activity():
    activity = find_activity(np.zeros(0, np.float32), RATE)
    assert activity.empty
    assert list(activity) == ["start_s", "end_s", "kind"]
    assert speech_spans(activity) == []


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    """Give ringing, speech, hold music and speech, with pauses."""
    ringing, music = RINGING_SOUNDS["European"][: 3 * RATE], level(HOLD_MUSIC["chords"][: 3 * RATE])
    speech = read_speech("neutral", "happy", count=2)
    return telephone(ringing, speech, silence(1), music, silence(0.5), speech, silence(1.01))


@pytest.fixture(scope="module")
def heard(call) -> pd.DataFrame:
    return find_activity(call, RATE)


def test_the_activity_covers_a_call_without_gaps_in_order(call, heard):
    starts, ends = heard["start_s"].to_numpy(), heard["end_s"].to_numpy()
    assert (starts[0], ends[-1]) == (0, len(call) / RATE)
    np.testing.assert_array_equal(starts[1:], ends[:-1])
    assert (ends > starts).all()
    assert (heard["kind"].to_numpy()[1:] != heard["kind"].to_numpy()[:-1]).all()
    assert set(heard["kind"]) == set(KINDS)


def test_speech_spans_are_the_rows_with_speech(heard):
    rows = heard[heard["kind"] == SPEECH]
    assert speech_spans(heard) == list(zip(rows["start_s"], rows["end_s"], strict=True))


@pytest.mark.parametrize(("gain", "offset"), [(0.001, 0.0), (0.05, 0.3), (8.0, 0.0)])
def test_neither_level_nor_a_constant_offset_matters(call, heard, gain, offset):
    found = find_activity(gain * call + offset, RATE)
    for kind in KINDS:
        assert seconds(found, kind) == pytest.approx(seconds(heard, kind), abs=0.1)


@pytest.mark.parametrize(
    ("sampling_rate", "tolerance_s"), [(4000, 1.0), (11_025, 0.1), (44_100, 0.1), (192_000, 0.1)]
)
def test_the_sampling_rate_hardly_matters(call, heard, sampling_rate, tolerance_s):
    signal = librosa.resample(call, orig_sr=RATE, target_sr=sampling_rate)
    found = find_activity(signal, sampling_rate)
    for kind in KINDS:
        assert seconds(found, kind) == pytest.approx(seconds(heard, kind), abs=tolerance_s)


def test_a_call_is_heard_the_same_way_twice(call, heard):
    assert find_activity(call, RATE).equals(heard)


def test_faint_speech_after_long_digital_silence_is_found():
    speech = 0.01 * read_speech("neutral", count=1)
    activity = find_activity(np.concatenate([silence(40), speech]).astype(np.float32), RATE)
    assert seconds(activity, SPEECH, 40) > 0.7 * len(speech) / RATE
    assert seconds(activity, SPEECH, 0, 39.5) == 0
