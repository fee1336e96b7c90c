import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_voice
from scipy.signal import butter, sosfilt

from helpers.channel import simulate_telephone
from helpers.conversion import convert_recordings
from helpers.features import read_segments
from helpers.feedback.quality import check_recording, find_faults, measure_quality
from helpers.workspace import SAMPLE_DATA

RATE = 8000
TRIAD, SEVENTH, FIFTH = (0, 4, 7), (0, 4, 7, 10), (0, 7)


def make_noise(level_db: float, *, duration_s=12.0, seed=0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return 10 ** (level_db / 20) * generator.standard_normal(round(duration_s * RATE))


def make_tones(*hertz: float, on_s=12.0, off_s=0.0, duration_s=12.0) -> np.ndarray:
    """Make tones that sound and pause in turn, as ringing does."""
    times = np.arange(round(duration_s * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * frequency * times) for frequency in hertz) / len(hertz)
    return 0.2 * tones * (times % (on_s + off_s) < on_s)


def make_keys(*, on_s: float, seed=0) -> np.ndarray:
    """Make 12 s of a telephone's keys, each as long as the pause after it."""
    generator = np.random.default_rng(seed)
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    keys = [
        make_tones(generator.choice(rows), generator.choice(columns), on_s=on_s, duration_s=on_s)
        for _ in range(round(12 / (2 * on_s)))
    ]
    return np.concatenate([np.append(key, np.zeros(len(key))) for key in keys])


def make_music(chord=TRIAD, *, chord_s=2.0, vibrato=0.0, decay=0.0, duration_s=12.0) -> np.ndarray:
    """Make a chord that wanders through four keys, struck anew each time.

    Args:
        chord: of semitones
        chord_s: how long each chord sounds
        vibrato: how far its pitch swings 5.5 times a second, such as 0.01 for 17 cents
        decay: how fast its tones die away, per second, as a piano's do
        duration_s: how long all of it lasts
    """
    times = np.arange(round(chord_s * RATE)) / RATE
    bars = []
    for key in (0, -4, 5, 3) * round(np.ceil(duration_s / chord_s / 4)):
        bar = np.zeros(len(times))
        for number, semitone in enumerate(chord):
            pitch = 262 * 2 ** ((key + semitone) / 12)
            swing = vibrato * pitch / 5.5 * np.sin(2 * np.pi * 5.5 * times + number)
            phase = 2 * np.pi * pitch * times + swing
            bar += sum(np.sin(partial * phase) / partial**1.5 for partial in range(1, 7))
        bars.append(bar * np.exp(-decay * times) * np.minimum(times / 0.02, 1))
    music = np.concatenate(bars)[: round(duration_s * RATE)]
    return 0.4 * music / np.abs(music).max()


def low_pass(signal: np.ndarray, hertz: float, *, order=8) -> np.ndarray:
    return sosfilt(butter(order, hertz, fs=RATE, output="sos"), signal)


def names(faults: tuple[str, ...]) -> list[str]:
    return [fault.split(":")[0] for fault in faults]


LINES = {
    "as it is": lambda signal: signal.astype(np.float32),
    "mu-law": lambda signal: simulate_telephone(signal, RATE, band=False),
    "faint noise": lambda signal: simulate_telephone(signal, RATE, band=False, noise_db=-70),
    "telephone": lambda signal: simulate_telephone(signal, RATE, noise_db=-55),
    "GSM": lambda signal: simulate_telephone(signal, RATE, codec="gsm"),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_wrong_with_a_voice(seed, line):
    assert find_faults(LINES[line](make_voice(12, seed=seed)), RATE) == ()


@pytest.mark.parametrize("line", ["as it is", "faint noise"])
@pytest.mark.parametrize("gain", [0.02, 0.1, 1.0, 1.99])
@pytest.mark.parametrize("pitch", [110, 260, 450])
def test_nothing_is_wrong_with_a_quiet_a_loud_and_a_shouting_voice(pitch, gain, line):
    assert find_faults(LINES[line](gain * make_voice(12, pitch=pitch)), RATE) == ()


@pytest.mark.parametrize("sampling_rate", [8000, 11_025, 16_000, 44_100, 48_000])
def test_nothing_is_wrong_with_a_voice_at_any_rate(sampling_rate):
    assert find_faults(make_voice(12, sampling_rate=sampling_rate), sampling_rate) == ()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_wrong_with_a_voice_10_db_above_the_noise(seed):
    voice = make_voice(12, seed=seed)
    level_db = 10 * np.log10(np.mean(voice**2))
    assert find_faults(voice + make_noise(level_db - 10, seed=seed), RATE) == ()


@pytest.mark.parametrize("line", ["as it is", "mu-law"])
@pytest.mark.parametrize("gain", [3, 4, 8, 30])
@pytest.mark.parametrize("seed", range(2))
def test_a_clipped_voice_is_found(seed, gain, line):
    clipped = np.clip(gain * make_voice(12, seed=seed), -1, 1)
    assert names(find_faults(LINES[line](clipped), RATE)) == ["clipped"]


@pytest.mark.parametrize("sampling_rate", [8000, 44_100])
@pytest.mark.parametrize("gain", [4, 8])
def test_the_share_of_clipped_samples_is_about_right(gain, sampling_rate):
    loud = gain * make_voice(12, sampling_rate=sampling_rate)
    blocks = loud[: len(loud) // 500 * 500].reshape(-1, 500)
    spoken = blocks[np.square(blocks).mean(axis=1) > 1e-3]
    share = measure_quality(np.clip(loud, -1, 1), sampling_rate).clipped
    assert share == pytest.approx(np.mean(np.abs(spoken) >= 0.97), rel=0.15)


@pytest.mark.parametrize("factor", [0.03, 0.5])
@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_clipping_is_found_below_full_scale_and_beside_a_click(factor, offset):
    signal = factor * np.clip(6 * make_voice(12), -1, 1) + factor * offset
    signal[1000] = 2 * factor
    assert names(find_faults(signal, RATE)) == ["clipped"]


def test_a_voice_that_is_cut_off_on_one_side_is_clipped():
    assert names(find_faults(np.minimum(make_voice(12), 0.1), RATE)) == ["clipped"]


@pytest.mark.parametrize("line", ["as it is", "mu-law"])
@pytest.mark.parametrize("level_db", [-60, -40, -20])
def test_noise_without_a_voice_is_silence(level_db, line):
    (fault,) = find_faults(LINES[line](make_noise(level_db)), RATE)
    assert fault == f"silence: no voice is heard, only noise at {level_db} dB"


@pytest.mark.parametrize("offset", [0.0, 0.25])
@pytest.mark.parametrize("samples", [0, 1, 100, 1023, 1024, 8000, 200_000])
def test_a_signal_without_any_sound_is_silence(samples, offset):
    (fault,) = find_faults(np.full(samples, offset, np.float32), RATE)
    assert fault == "silence: no voice is heard, only noise at -100 dB"


@pytest.mark.parametrize(
    "ringing",
    [
        make_tones(440, 480, on_s=2, off_s=4),
        make_tones(425, on_s=1, off_s=4),
        make_tones(400, 450, on_s=0.4, off_s=0.2),
        make_tones(480, 620, on_s=0.5, off_s=0.5),
        make_tones(350, 440),
        make_tones(1000),
        make_keys(on_s=0.05),
        make_keys(on_s=0.1),
        make_keys(on_s=0.2),
    ],
    ids=["American", "German", "British", "busy", "dial", "single", "50 ms", "100 ms", "200 ms"],
)
@pytest.mark.parametrize("line", ["as it is", "telephone"])
def test_ringing_and_keys_are_tones_and_no_speech(ringing, line):
    signal = LINES[line](ringing)
    assert names(find_faults(signal, RATE)) == ["music or tones", "too little speech"]
    assert measure_quality(signal, RATE).speech_s < 0.5


@pytest.mark.parametrize("noise_db", [-70, -50])
@pytest.mark.parametrize("decay", [0, 3])
@pytest.mark.parametrize("vibrato", [0, 0.01])
@pytest.mark.parametrize(("chord", "chord_s"), [(TRIAD, 2), (SEVENTH, 1), (FIFTH, 3), ((0,), 0.5)])
def test_hold_music_is_found(chord, chord_s, vibrato, decay, noise_db):
    music = make_music(chord, chord_s=chord_s, vibrato=vibrato, decay=decay)
    signal = simulate_telephone(music, RATE, noise_db=noise_db)
    assert names(find_faults(signal, RATE)) == ["music or tones", "too little speech"]


@pytest.mark.parametrize("level", [0.1, 1.0])
@pytest.mark.parametrize("hold_s", [3, 8, 20])
def test_music_before_a_voice_counts_by_its_length(hold_s, level):
    music, voice = make_music(duration_s=hold_s), make_voice(25 - hold_s, pitch=200)
    signal = simulate_telephone(np.concatenate([level * music, voice]), RATE, noise_db=-60)
    quality = measure_quality(signal, RATE)
    assert quality.tones == pytest.approx(hold_s / (hold_s + 0.75 * (25 - hold_s)), abs=0.12)
    assert names(find_faults(signal, RATE)) == (["music or tones"] if hold_s > 12 else [])


@pytest.mark.parametrize(
    "background", [make_noise(-60), make_noise(-60) + make_tones(440, on_s=8, off_s=9)]
)
@pytest.mark.parametrize("spoken_s", [1.0, 2.0])
def test_too_little_speech_is_told_in_seconds(spoken_s, background):
    signal = LINES["mu-law"](background)
    span = slice(9 * RATE, 9 * RATE + round(spoken_s * RATE))
    signal[span] = make_voice(spoken_s, seed=3)
    (fault,) = [fault for fault in find_faults(signal, RATE) if fault.startswith("too little")]
    seconds = measure_quality(signal, RATE).speech_s
    assert fault == f"too little speech: {seconds:.1f} s, expected at least 3 s"
    assert 0.4 * spoken_s < seconds < spoken_s + 0.2


@pytest.mark.parametrize("duration_s", [1.0, 2.0])
def test_a_short_call_says_too_little(duration_s):
    assert names(find_faults(make_voice(duration_s), RATE)) == ["too little speech"]


@pytest.mark.parametrize("line", ["as it is", "mu-law"])
@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("hertz", [800, 1200])
def test_a_narrow_band_is_found(hertz, order, line):
    signal = LINES[line](low_pass(make_voice(12, pitch=240), hertz, order=order))
    assert names(find_faults(signal, RATE)) == ["narrow band"]
    assert hertz <= measure_quality(signal, RATE).highest_hz < 2 * hertz + 200


@pytest.mark.parametrize("noise_db", [-60, -45])
def test_noise_up_to_the_end_of_the_band_shows_that_the_line_is_whole(noise_db):
    voice = low_pass(make_voice(12, pitch=240), 1200)
    assert find_faults(simulate_telephone(voice, RATE, noise_db=noise_db), RATE) == ()


def test_a_recording_at_4000_hz_has_a_narrow_band():
    assert names(find_faults(make_voice(12, sampling_rate=4000), 4000)) == ["narrow band"]


def test_music_is_told_before_what_is_wrong_with_the_voice():
    music = make_music(duration_s=15)
    for fault, voice in (
        ("clipped", np.clip(6 * make_voice(10), -1, 1)),
        ("narrow band", low_pass(make_voice(10, pitch=240), 1000)),
    ):
        signal = np.concatenate([low_pass(music, 1000), voice])
        assert names(find_faults(signal, RATE)) == ["music or tones", fault]


@pytest.mark.parametrize("gain", [0.01, 0.3])
def test_the_level_does_not_matter(gain):
    for signal in (make_voice(12), make_music(), np.clip(6 * make_voice(12), -1, 1)):
        assert find_faults(gain * signal, RATE) == find_faults(signal, RATE)


def test_only_the_segment_that_decides_is_checked(tmp_path):
    music, voice = make_music(duration_s=40), make_voice(40)
    for parts, expected in (((music, voice), []), ((voice, music), ["music or tones"])):
        soundfile.write(tmp_path / "call.wav", np.concatenate(parts), RATE, subtype="ULAW")
        assert names(check_recording(tmp_path / "call.wav"))[:1] == expected


def test_a_recording_that_cannot_be_read_is_one_fault(tmp_path):
    (tmp_path / "text.wav").write_text("no sound at all")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE * 60), RATE)
    assert check_recording(tmp_path / "missing.wav") == ("no such file",)
    assert check_recording(tmp_path / "text.wav") == ("text, not sound",)
    (fault,) = check_recording(tmp_path / "silent.wav")
    assert fault.startswith("silent:")


def test_nothing_is_wrong_with_the_sample_calls(workspace):
    conversions = convert_recordings(SAMPLE_DATA / "recordings", workspace)
    assert len(conversions) == 24
    for path in conversions["path"]:
        assert check_recording(workspace.folder / path) == ()


def test_nothing_is_wrong_with_the_sample_uploads_but_the_one_that_is_no_sound():
    uploads = (SAMPLE_DATA / "form" / "uploads").iterdir()
    faults = {path.name: check_recording(path) for path in uploads}
    assert faults.pop("voicemail_9 - Sam Reed.wav") == ("text, not sound",)
    assert set(faults.values()) == {()}


def unpack(calls: Path, folder: Path, *, every: int) -> list[Path]:
    """Unpack every so many of the calls of real voices."""
    paths = []
    for archive in sorted(calls.glob("*.zip")):
        with zipfile.ZipFile(archive) as file:
            entries = [name for name in sorted(file.namelist()) if name.endswith(".wav")]
            paths += [Path(file.extract(entry, folder)) for entry in entries[::every]]
    return paths


def test_hardly_any_call_of_real_voices_is_flagged(shared_calls, tmp_path):
    calls = unpack(shared_calls, tmp_path, every=1)
    flagged = {path.name: faults for path in calls if (faults := check_recording(path))}
    assert len(calls) == 120
    assert len(flagged) <= 0.02 * len(calls), flagged


@pytest.fixture
def real_segments(shared_calls, tmp_path) -> list[np.ndarray]:
    calls = unpack(shared_calls, tmp_path, every=13)
    return [read_segments(path).signals[-1] for path in calls]


def cover(signal: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Put another sound over the beginning of a signal."""
    return np.concatenate([other, signal[len(other) :]])


SPOILT = {
    "clipped": lambda voice: np.clip(voice * 0.4 / np.sqrt(np.mean(voice**2)), -1, 1),
    "music or tones": lambda voice: cover(voice, make_music(duration_s=16)),
    "silence": lambda voice: cover(voice, make_noise(-50, duration_s=25)),
    "narrow band": lambda voice: low_pass(voice, 800),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_every_fault_is_found_in_real_voices(fault, real_segments):
    for signal in real_segments:
        spoilt = LINES["mu-law"](SPOILT[fault](signal))
        assert fault in names(find_faults(spoilt, RATE))


@pytest.mark.parametrize("gain_db", [-30, -15])
def test_nothing_is_wrong_with_quiet_real_voices(gain_db, real_segments):
    for signal in real_segments:
        assert find_faults(LINES["mu-law"](10 ** (gain_db / 20) * signal), RATE) == ()
