import librosa
import numpy as np
import pytest
from conftest import make_voice
from scipy.signal import butter, sosfiltfilt
from scipy.stats import entropy

from helpers.descriptors import (
    ACTIVE_DB,
    BAND_HZ,
    CEPSTRA,
    DESCRIPTORS,
    FLOOR_DB,
    MEL_BANDS,
    VOICED,
    Frames,
    describe_frames,
)

RATES = [8000, 16_000, 22_050, 44_100, 48_000]
PITCHES = [80, 93, 110, 135, 170, 215, 260, 310, 370, 450]


def make_tone(pitch, *, sampling_rate=8000, duration_s=1.0, low_hz=0.0) -> np.ndarray:
    """Make a steady harmonic tone below 3700 Hz without the harmonics below `low_hz`."""
    times = np.arange(round(duration_s * sampling_rate)) / sampling_rate
    numbers = [number for number in range(1, int(3700 / pitch) + 1) if number * pitch >= low_hz]
    waves = (np.sin(2 * np.pi * number * pitch * times + number**2) / number for number in numbers)
    return (0.1 * sum(waves)).astype(np.float32)


def make_sweep(sampling_rate=8000) -> np.ndarray:
    """Make two seconds of a voice that glides and swells, the same at every sampling rate."""
    times = np.arange(2 * sampling_rate) / sampling_rate
    phase = 2 * np.pi * 150 * times - 30 / 0.7 * np.cos(2 * np.pi * 0.7 * times)
    swell = np.clip(np.sin(4 * np.pi * times) + 0.3, 0, None)
    waves = sum(np.sin(number * phase) / number for number in range(1, 20))
    return (0.1 * swell * waves).astype(np.float32)


def row(frames: Frames, name: str) -> np.ndarray:
    return frames.values[DESCRIPTORS.index(name)]


def power_spectra(signal: np.ndarray) -> np.ndarray:
    """Take the frames' power spectra with librosa, which centres the window in `n_fft` samples."""
    spectrum = librosa.stft(
        np.pad(signal, 128), n_fft=512, win_length=256, hop_length=120, center=False
    )
    return np.abs(spectrum) ** 2


@pytest.fixture(scope="module")
def noisy_voice() -> np.ndarray:
    """Give a voice in so much noise that every frame is active."""
    noise = np.random.default_rng(1).standard_normal(2 * 8000)
    return (make_voice(2, seed=4) + 0.05 * noise).astype(np.float32)


def assert_well_formed(frames: Frames, count: int) -> None:
    assert (frames.values.shape, frames.values.dtype) == ((len(DESCRIPTORS), count), np.float32)
    for each in (frames.active, frames.pitch_hz, frames.harmonicity):
        assert each.shape == (count,)
    assert frames.active.dtype == bool
    for each in (frames.values, frames.pitch_hz, frames.harmonicity):
        assert np.isfinite(each).all()


def test_each_row_has_a_name_of_its_own():
    assert len(set(DESCRIPTORS)) == len(DESCRIPTORS) == MEL_BANDS + CEPSTRA + 9
    assert (DESCRIPTORS[0], DESCRIPTORS[40], DESCRIPTORS[-1]) == (
        "mel_01",
        "cepstrum_01",
        "low_to_high",
    )
    assert_well_formed(describe_frames(make_tone(200), 8000), 65)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sampling_rate", RATES)
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-5, 0.25, 1.0])
@pytest.mark.parametrize("samples, frames", [(0, 1), (1, 1), (2, 1), (100, 1), (50_000, None)])
def test_sound_without_content_gives_finite_numbers(samples, frames, value, sampling_rate):
    frames = frames or 1 + (samples - round(0.032 * sampling_rate)) // round(0.015 * sampling_rate)
    signal = np.full(samples, value, np.float32)
    assert_well_formed(describe_frames(signal, sampling_rate), frames)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "signal",
    [
        np.eye(1, 8000, 4000)[0],
        np.tile([1.0, -1.0], 4000),
        np.random.default_rng(0).choice([-1.0, 1.0], 8000),
        np.sign(make_tone(120)),
        np.arange(8000) / 8000,
    ],
    ids=["click", "half the sampling rate", "loudest noise", "clipped", "ramp"],
)
def test_extreme_sounds_give_finite_numbers(signal):
    frames = describe_frames(signal, 8000)
    assert_well_formed(frames, frames.values.shape[1])


@pytest.mark.parametrize(
    "samples, frames",
    [(1, 1), (255, 1), (256, 1), (257, 1), (375, 1), (376, 2), (495, 2), (496, 3), (8000, 65)],
)
def test_frames_of_256_samples_begin_every_120(samples, frames):
    assert_well_formed(describe_frames(make_tone(200)[:samples], 8000), frames)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_signal_stays_as_it_is(dtype):
    signal = make_voice(1).astype(dtype)
    before = signal.copy()
    first, again = describe_frames(signal, 8000), describe_frames(signal, 8000)
    np.testing.assert_array_equal(signal, before)
    np.testing.assert_array_equal(first.values, again.values)


def test_mel_bands_are_those_of_librosa(noisy_voice):
    frames = describe_frames(noisy_voice, 8000)
    bank = librosa.filters.mel(
        sr=8000, n_fft=512, n_mels=40, fmin=60, fmax=4000, htk=True, norm=None
    )
    power = power_spectra(noisy_voice)
    level = np.percentile(10 * np.log10(power.sum(axis=0)), 90)
    expected = 10 * np.log10(bank / bank.sum(axis=1, keepdims=True) @ power) - level
    np.testing.assert_allclose(frames.values[:MEL_BANDS], expected, atol=0.02)


def test_cepstra_are_the_mfcc_of_librosa_without_the_zeroth(noisy_voice):
    values = describe_frames(noisy_voice, 8000).values
    expected = librosa.feature.mfcc(S=values[:MEL_BANDS], n_mfcc=CEPSTRA + 1)[1:]
    np.testing.assert_allclose(values[MEL_BANDS : MEL_BANDS + CEPSTRA], expected, atol=1e-3)


def test_the_shape_of_the_spectrum_is_that_of_librosa(noisy_voice):
    frames, power = describe_frames(noisy_voice, 8000), power_spectra(noisy_voice)
    centroid = librosa.feature.spectral_centroid(S=power, sr=8000)[0]
    spread = librosa.feature.spectral_bandwidth(S=power, sr=8000)[0]
    crossings = librosa.feature.zero_crossing_rate(
        noisy_voice, frame_length=256, hop_length=120, center=False, pad=False
    )[0]
    np.testing.assert_allclose(row(frames, "centroid"), centroid / 1000, rtol=1e-3)
    np.testing.assert_allclose(row(frames, "spread"), spread / 1000, rtol=1e-3)
    np.testing.assert_allclose(row(frames, "zero_crossings"), crossings * 256 / 255, atol=1e-6)


def test_entropy_rolloff_flux_and_energy_follow_their_definitions(noisy_voice):
    frames, power = describe_frames(noisy_voice, 8000), power_spectra(noisy_voice)
    bands = 10 ** (frames.values[:MEL_BANDS].astype(float) / 10)
    shares = bands / bands.sum(axis=0)
    for share, name in ((0.85, "rolloff_85"), (0.25, "rolloff_25")):
        expected = [np.searchsorted(np.cumsum(column), share) for column in shares.T]
        assert np.mean(row(frames, name) == expected) > 0.99
    np.testing.assert_allclose(row(frames, "entropy"), entropy(shares), rtol=1e-4)
    overlap = np.sqrt(shares[:, 1:] * shares[:, :-1]).sum(axis=0)
    np.testing.assert_allclose(row(frames, "flux")[1:], np.log(2 - 2 * overlap), atol=0.01)
    energy = 10 * np.log10(power.sum(axis=0))
    np.testing.assert_allclose(row(frames, "energy"), energy - np.percentile(energy, 90), atol=0.01)
    below = power[np.arange(257) * 8000 / 512 < 1000].sum(axis=0)
    expected = np.log(below / (power.sum(axis=0) - below))
    np.testing.assert_allclose(row(frames, "low_to_high"), expected, atol=0.01)


def test_the_level_is_the_90th_percentile_of_the_active_frames(noisy_voice):
    frames = describe_frames(noisy_voice, 8000)
    assert frames.active.all()
    assert np.percentile(row(frames, "energy"), 90) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("gain_db", [-20, -12, -6, 6, 12, 20])
@pytest.mark.parametrize(
    "signal", [make_tone(123), make_voice(2, seed=1)], ids=["tone", "voice with pauses"]
)
def test_a_gain_changes_nothing(signal, gain_db):
    before = describe_frames(signal, 8000)
    after = describe_frames(signal * 10 ** (gain_db / 20), 8000)
    np.testing.assert_array_equal(after.active, before.active)
    np.testing.assert_allclose(after.values, before.values, atol=0.01)
    np.testing.assert_allclose(after.pitch_hz, before.pitch_hz, rtol=1e-4)
    np.testing.assert_allclose(after.harmonicity, before.harmonicity, atol=1e-4)


@pytest.mark.parametrize("gain_db", [-20, -12, 12, 20])
def test_a_gain_changes_no_level_in_a_muted_pause(gain_db):
    muted = np.concatenate([make_tone(150), np.zeros(4000), make_tone(150)])
    before = describe_frames(muted, 8000)
    after = describe_frames(muted * 10 ** (gain_db / 20), 8000)
    assert not before.active.all()
    for rows in (slice(MEL_BANDS), DESCRIPTORS.index("energy")):
        np.testing.assert_allclose(after.values[rows], before.values[rows], atol=0.01)
    active = before.active
    np.testing.assert_allclose(after.values[:, active], before.values[:, active], atol=0.01)


@pytest.mark.parametrize("low_hz", [0, 300])
@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("pitch", PITCHES)
def test_the_pitch_of_a_tone_is_found_also_without_its_fundamental(pitch, sampling_rate, low_hz):
    tone = make_tone(pitch, sampling_rate=sampling_rate, low_hz=low_hz)
    frames = describe_frames(tone, sampling_rate)
    np.testing.assert_allclose(frames.pitch_hz, pitch, rtol=0.02)
    assert frames.harmonicity.min() > 0.85


@pytest.mark.parametrize("pitch", PITCHES)
def test_the_pitch_of_a_tone_is_found_behind_a_high_pass_at_300_hz(pitch):
    high_pass = butter(6, 300, "highpass", fs=8000, output="sos")
    frames = describe_frames(sosfiltfilt(high_pass, make_tone(pitch)), 8000)
    np.testing.assert_allclose(frames.pitch_hz, pitch, rtol=0.02)


@pytest.mark.parametrize("pitch", PITCHES)
def test_the_pitch_of_a_tone_is_found_in_noise(pitch):
    tone = make_tone(pitch)
    noise = np.random.default_rng(pitch).standard_normal(len(tone))
    frames = describe_frames(tone + 0.1 * tone.std() * noise, 8000)
    assert np.mean(np.abs(frames.pitch_hz / pitch - 1) < 0.02) > 0.95


def test_a_gliding_pitch_is_followed():
    frames = describe_frames(make_sweep(16_000), 16_000)
    begin = np.flatnonzero(describe_everything(make_sweep(16_000), 16_000))[0] * 0.015
    times = begin + 0.016 + 0.015 * np.arange(len(frames.active))
    expected = 150 + 30 * np.sin(2 * np.pi * 0.7 * times)
    found = frames.active & (frames.harmonicity > 0.8)
    assert found.sum() > 60
    np.testing.assert_allclose(frames.pitch_hz[found], expected[found], rtol=0.03)


def describe_everything(signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Tell for every frame of a signal whether it is active, by its energy below 4 kHz."""
    length, hop = round(0.032 * sampling_rate), round(0.015 * sampling_rate)
    cut = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    power = np.abs(np.fft.rfft(cut * np.hanning(length + 1)[:-1])) ** 2
    energy_db = 10 * np.log10(power[:, : 1 + int(0.032 * BAND_HZ[1])].sum(axis=1) + 1e-12)
    return energy_db > np.percentile(energy_db, 95) - ACTIVE_DB


def test_noise_is_not_voiced_and_a_tone_is():
    noise = np.random.default_rng(0).standard_normal(8000)
    assert np.mean(describe_frames(noise, 8000).harmonicity > VOICED) < 0.05
    assert describe_frames(make_tone(140), 8000).harmonicity.min() > 0.9


@pytest.mark.parametrize("sampling_rate", RATES)
def test_the_same_sound_gives_nearly_the_same_frames_at_every_sampling_rate(sampling_rate):
    phone = describe_frames(make_sweep(), 8000)
    wide = describe_frames(make_sweep(sampling_rate), sampling_rate)
    assert wide.values.shape == phone.values.shape
    both = phone.active & wide.active
    difference = wide.values[:MEL_BANDS, both] - phone.values[:MEL_BANDS, both]
    assert np.abs(np.median(difference)) < 0.2
    assert np.percentile(np.abs(difference), 90) < 1.5
    for name in ("centroid", "spread"):
        np.testing.assert_allclose(row(wide, name)[both], row(phone, name)[both], atol=0.02)


@pytest.mark.parametrize("level", [0.0, 1e-4])
@pytest.mark.parametrize("lead_s, trail_s", [(0, 0), (0.9, 0), (0, 0.9), (0.9, 1.5)])
def test_silence_before_and_after_is_cut(lead_s, trail_s, level):
    parts = [np.zeros(round(lead_s * 8000)), make_tone(150), np.zeros(round(trail_s * 8000))]
    signal = np.concatenate(parts)
    signal += level * np.random.default_rng(0).standard_normal(len(signal))
    frames = describe_frames(signal, 8000)
    assert len(frames.active) == pytest.approx(66, abs=2)
    assert frames.active.all()
    assert np.median(frames.pitch_hz) == pytest.approx(150, rel=0.01)


def test_a_pause_inside_stays_and_is_not_active():
    pause = 1e-4 * np.random.default_rng(0).standard_normal(4000)
    frames = describe_frames(np.concatenate([make_tone(150), pause, make_tone(300)]), 8000)
    assert frames.active[[0, -1]].all()
    edges = np.flatnonzero(np.diff(frames.active)) * 0.015
    assert edges == pytest.approx([1.0, 1.5], abs=0.05)
    inner = ~frames.active
    assert not frames.pitch_hz[inner].any()
    assert not frames.harmonicity[inner].any()
    assert row(frames, "energy")[inner].max() < -ACTIVE_DB + 10


def test_mel_bands_end_at_the_floor():
    frames = describe_frames(make_tone(450), 8000)
    assert frames.values[:MEL_BANDS].min() >= FLOOR_DB
    muted = np.concatenate([make_tone(450), np.zeros(4000), make_tone(450)])
    silent = ~describe_frames(muted, 8000).active
    assert (describe_frames(muted, 8000).values[:MEL_BANDS, silent].min(axis=0) == FLOOR_DB).any()
