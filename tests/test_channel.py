import io
from collections import Counter

import numpy as np
import pytest
import soundfile
from conftest import make_voice

from helpers.channel import (
    BAND_HZ,
    BAND_SHARE,
    CODEC_SHARES,
    CODECS,
    DRAWN_GAIN_DB,
    DRAWN_NOISE_DB,
    LEVEL_BLOCK,
    LEVEL_RANGE_DB,
    NOMINAL_LEVEL_DB,
    TELEPHONE_RATE,
    draw_telephone,
    measure_level,
    random_telephone,
    simulate_telephone,
)

LAGS = range(-170, 171)
LINES = {
    "telephone": {"codec": "mu-law"},
    "a-law": {"codec": "a-law"},
    "gsm": {"codec": "gsm"},
    "noisy": {"codec": "mu-law", "noise_db": -40.0},
    "quiet": {"codec": "mu-law", "gain_db": -20.0},
}
WIRE = {"codec": "none", "band": False}
ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)
SUBTYPES = {"mu-law": "ULAW", "a-law": "ALAW"}


def round_trip(samples: np.ndarray, subtype: str) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, samples, TELEPHONE_RATE, format="WAV", subtype=subtype)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def make_sine(frequency, *, sampling_rate=8000, duration_s=1.0, peak=0.5) -> np.ndarray:
    times = np.arange(round(duration_s * sampling_rate)) / sampling_rate
    return (peak * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def level_db(signal: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(signal, dtype=np.float64))))


def loss_db(frequency, *, sampling_rate, **options) -> float:
    sine = make_sine(frequency, sampling_rate=sampling_rate, duration_s=2.0)
    line = simulate_telephone(sine, sampling_rate, **{"codec": "none", **options})
    bin_db = 20 * np.log10(np.abs(np.fft.rfft(line[4000:12_000])[frequency]) / 4000 / 0.5 + 1e-9)
    return -float(bin_db)


@pytest.mark.parametrize("codec", SUBTYPES)
def test_each_16_bit_value_is_coded_as_libsndfile_codes_it(codec):
    line = simulate_telephone(ALL_SAMPLES / 32768, 8000, codec=codec, band=False)
    np.testing.assert_array_equal(line, round_trip(ALL_SAMPLES, SUBTYPES[codec]))
    assert len(np.unique(line)) == {"mu-law": 255, "a-law": 256}[codec]


@pytest.mark.parametrize(
    ("codec", "value", "coded"),
    [
        ("mu-law", 0.0, 0),
        ("mu-law", -0.0, 0),
        ("mu-law", 1.0, 32124),
        ("mu-law", -1.0, -32124),
        ("mu-law", 1.5, 32124),
        ("mu-law", -7.9, -32124),
        ("mu-law", 3.4 / 32768, 0),
        ("mu-law", 3.6 / 32768, 8),
        ("a-law", 0.0, 8),
        ("a-law", -0.4 / 32768, 8),
        ("a-law", -0.6 / 32768, -8),
        ("a-law", 1.0, 32256),
        ("a-law", -1.0, -32256),
        ("a-law", 1.5, 32256),
        ("none", 1.5, 32768),
        ("none", -1.5, -32768),
        ("none", 0.25 / 32768, 0.25),
    ],
)
def test_full_scale_is_clipped_never_wrapped_and_codecs_round_to_16_bits(codec, value, coded):
    line = simulate_telephone(np.array([value]), 8000, codec=codec, band=False)
    assert line.tolist() == [coded / 32768]


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 319, 320, 321, 8000, 8001])
def test_gsm_keeps_the_length_whatever_its_blocks(samples):
    line = simulate_telephone(make_voice(1.1)[:samples], 8000, codec="gsm", band=False)
    assert line.shape == (samples,)


@pytest.mark.parametrize("seed", range(3))
def test_gsm_is_like_its_input_changed_and_not_late(seed):
    voice = make_voice(3.0, seed=seed)
    line = simulate_telephone(voice, 8000, codec="gsm", band=False)
    likeness = [np.corrcoef(voice[200:-200], np.roll(line, -lag)[200:-200])[0, 1] for lag in LAGS]
    assert LAGS[int(np.argmax(likeness))] == 0
    assert 0.9 < max(likeness) < 0.999
    assert level_db(line) == pytest.approx(level_db(voice), abs=0.5)


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize(
    ("frequency", "least_db", "most_db"),
    [
        (50, 40, 200),
        (100, 35, 45),
        (200, 12, 18),
        (300, 2.5, 3.5),
        (500, -0.1, 0.2),
        (1000, -0.1, 0.1),
        (2000, -0.1, 0.1),
        (3000, -0.1, 0.2),
        (3400, 2.5, 3.5),
        (3700, 18, 60),
        (3900, 40, 200),
    ],
)
def test_the_band_passes_what_a_telephone_passes(frequency, least_db, most_db, sampling_rate):
    assert least_db <= loss_db(frequency, sampling_rate=sampling_rate) <= most_db


@pytest.mark.parametrize("frequency", [50, 300, 1000, 3400])
@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 44_100])
def test_without_the_band_a_line_loses_nothing(frequency, sampling_rate):
    assert loss_db(frequency, sampling_rate=sampling_rate, band=False) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("frequency", [4600, 5000, 7000, 7900])
def test_what_is_above_the_new_rate_is_gone_and_not_folded_down(frequency):
    sine = make_sine(frequency, sampling_rate=16_000)
    assert level_db(simulate_telephone(sine, 16_000, **WIRE)[400:-400]) < -80


@pytest.mark.parametrize("gain_db", [-120, -20.0, -6.5, 0, 6, 20.0])
def test_the_gain_is_in_db_and_nothing_is_normalised(gain_db):
    sine = make_sine(1000, peak=0.05)
    line = simulate_telephone(sine, 8000, **WIRE, gain_db=gain_db)
    assert level_db(line) - level_db(sine) == pytest.approx(gain_db, abs=1e-3)


@pytest.mark.parametrize(("peak", "gain_db", "expected"), [(0.5, 20, 1.0), (4.0, -20, 0.4)])
def test_clipping_comes_after_the_gain(peak, gain_db, expected):
    line = simulate_telephone(make_sine(1000, peak=peak), 8000, **WIRE, gain_db=gain_db)
    assert (line.max(), line.min()) == pytest.approx((expected, -expected))


@pytest.mark.parametrize("band", [True, False])
@pytest.mark.parametrize("gain_db", [0.0, -20.0])
@pytest.mark.parametrize("noise_db", [-90.0, -60.0, -40, -20.0])
def test_noise_has_its_level_whatever_the_gain_and_is_white(noise_db, gain_db, band):
    silence = np.zeros(80_000)
    options = {"codec": "none", "gain_db": gain_db, "noise_db": noise_db, "band": band}
    line = simulate_telephone(silence, 8000, **options)
    assert level_db(line) == pytest.approx(noise_db, abs=0.1)
    power = np.abs(np.fft.rfft(line)[1:-1]) ** 2
    quarters = [part.mean() for part in np.array_split(power, 4)]
    assert quarters == pytest.approx([power.mean()] * 4, rel=0.05)


def test_the_loudest_noise_stays_inside_full_scale():
    line = simulate_telephone(np.zeros(8000), 8000, **WIRE, noise_db=0)
    assert (line.min(), line.max()) == (-1.0, 1.0)


@pytest.mark.parametrize("codec", CODECS)
def test_silence_stays_silence(codec):
    line = simulate_telephone(np.zeros(1600), 8000, codec=codec)
    assert np.abs(line).max() <= 16 / 32768


@pytest.mark.parametrize("sampling_rate", [4000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("samples", [1, 2, 5, 6, 7, 441, 1000, 12_345])
def test_a_line_has_8000_samples_a_second_rounded_up(samples, sampling_rate):
    line = simulate_telephone(np.full(samples, 0.1), sampling_rate)
    assert line.shape == (-(-samples * 8000 // sampling_rate),)
    assert line.dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "sampling_rate", "expected"),
    [
        (0, 44_100, 0),
        (2141, 4282, 4000),  # 2141 times 8000/4282 is above 4000 in floating point
        (44_100, np.float32(44_100), 8000),
        (44_101, np.int64(44_100), 8001),
        (22_051, 11_025.5, 16_000),
        (192_000, 192_000, 8000),
    ],
)
def test_lengths_are_exact_at_odd_rates(samples, sampling_rate, expected):
    line = simulate_telephone(np.zeros(samples), sampling_rate)
    assert line.shape == (expected,)
    assert line.dtype == np.float32


@pytest.mark.parametrize("sampling_rate", [4000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_a_voice_sounds_the_same_from_any_rate(sampling_rate):
    frequencies = (200, 700, 1500)
    there = sum(make_sine(hz, sampling_rate=sampling_rate, peak=0.2) for hz in frequencies)
    here = sum(make_sine(hz, peak=0.2) for hz in frequencies)
    line = simulate_telephone(there, sampling_rate, **WIRE)
    np.testing.assert_allclose(line[400:-400], here[400:-400], atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("sampling_rate", [8000, 16_000])
def test_the_input_is_never_modified_nor_given_back(dtype, sampling_rate):
    signal = make_voice(0.5, sampling_rate=sampling_rate).astype(dtype)
    before = signal.copy()
    signal.flags.writeable = False
    for options in (WIRE, {"gain_db": 20.0, "noise_db": -30.0}):
        line = simulate_telephone(signal, sampling_rate, **options)
        assert not np.shares_memory(line, signal)
        assert line.dtype == np.float32
    np.testing.assert_array_equal(signal, before)


def test_a_list_and_every_second_sample_will_do():
    voice = make_voice(0.5)
    expected = simulate_telephone(voice, 8000)
    np.testing.assert_array_equal(simulate_telephone(voice.tolist(), 8000), expected)
    np.testing.assert_array_equal(simulate_telephone(np.repeat(voice, 2)[::2], 8000), expected)


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.zeros((2, 800)), r"^signal has shape \(2, 800\), expected \(samples,\); mix channels"),
        (np.zeros((1, 0)), r"^signal has shape \(1, 0\), expected"),
        (np.float32(0.5), r"^signal has shape \(\), expected"),
        (np.zeros(8, np.int16), r"^signal is int16, expected floats in \[-1, 1\]; divide 16-bit"),
        (np.zeros(0, np.int16), r"^signal is int16, expected floats"),
        (np.zeros(8, bool), r"^signal is bool, expected floats"),
        (np.zeros(8, complex), r"^signal is complex128, expected floats"),
        ([0.1, np.nan, 0.1], r"^signal has 1 of 3 samples that are NaN or infinite, expected"),
        ([np.inf, -np.inf], r"^signal has 2 of 2 samples that are NaN or infinite"),
        ([0.1, -12_000.0], r"^signal peaks at 12000, expected floats in \[-1, 1\]; divide 16-bit"),
        ([1e300], r"^signal peaks at 1e\+300, expected"),
    ],
)
@pytest.mark.parametrize("codec", CODECS)
def test_what_is_no_mono_sound_is_refused(signal, reason, codec):
    with pytest.raises(ValueError, match=reason):
        simulate_telephone(signal, 8000, codec=codec)


@pytest.mark.parametrize(
    ("sampling_rate", "options", "reason"),
    [
        (0, {}, r"^sampling_rate is 0, expected a number between 4000 and 192000 Hz$"),
        (-8000, {}, r"^sampling_rate is -8000, expected a number"),
        (8, {}, r"^sampling_rate is 8, expected a number"),
        (np.nan, {}, r"^sampling_rate is nan, expected a number"),
        (np.inf, {}, r"^sampling_rate is inf, expected a number"),
        ("8000", {}, r"^sampling_rate is '8000', expected a number"),
        (None, {}, r"^sampling_rate is None, expected a number"),
        (8000, {"codec": "opus"}, r"^codec is 'opus', expected one of: none, mu-law, a-law, gsm$"),
        (8000, {"codec": None}, r"^codec is None, expected one of"),
        (8000, {"gain_db": np.nan}, r"^gain_db is nan, expected a number between -120 and 120 dB$"),
        (8000, {"gain_db": 1e9}, r"^gain_db is 1000000000.0, expected"),
        (8000, {"noise_db": 40}, r"^noise_db is 40, expected a number between -120 and 0 dB$"),
        (8000, {"noise_db": -np.inf}, r"^noise_db is -inf, expected"),
    ],
)
@pytest.mark.parametrize("signal", [np.zeros(800), np.zeros(0)], ids=["sound", "empty"])
def test_what_is_no_line_is_refused(signal, sampling_rate, options, reason):
    with pytest.raises(ValueError, match=reason):
        simulate_telephone(signal, sampling_rate, **options)


@pytest.mark.parametrize("codec", CODECS)
def test_one_seed_is_one_noise(codec):
    voice = make_voice(0.5, sampling_rate=16_000)
    options = {"codec": codec, "noise_db": -40.0}
    first, again, other = (
        simulate_telephone(voice, 16_000, seed=seed, **options) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_seed_of_no_noise_changes_nothing():
    voice = make_voice(0.5)
    lines = [simulate_telephone(voice, 8000, seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*lines)


@pytest.mark.parametrize("name", LINES)
def test_each_named_line_carries_a_voice(name):
    voice = make_voice(1.0, sampling_rate=24_000)
    line = simulate_telephone(voice, 24_000, **LINES[name])
    plain = simulate_telephone(voice, 24_000, codec="none")
    assert line.shape == (8000,)
    assert np.corrcoef(line, plain)[0, 1] > 0.9
    lost_db = level_db(plain) - level_db(line)
    assert lost_db == pytest.approx(20 if name == "quiet" else 0, abs=0.5)


def test_named_lines_differ_from_each_other():
    voice = make_voice(1.0)
    lines = [simulate_telephone(voice, 8000, **options) for options in LINES.values()]
    assert len({line.tobytes() for line in lines}) == len(LINES)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, (5, 17)])
def test_a_random_line_is_the_line_its_seed_draws(seed):
    voice = make_voice(0.5, sampling_rate=16_000)
    voice *= 10 ** ((NOMINAL_LEVEL_DB - measure_level(voice)) / 20)
    line = random_telephone(voice, 16_000, seed=seed)
    np.testing.assert_array_equal(line, random_telephone(voice, 16_000, seed=seed))
    drawn = draw_telephone(seed=seed)
    expected = simulate_telephone(voice, 16_000, **drawn)
    assert np.mean(line == expected) > 0.99
    assert np.corrcoef(line, expected)[0, 1] > 0.999
    assert not np.array_equal(line, random_telephone(voice, 16_000, seed=99))


@pytest.mark.parametrize("gain_db", [-60, -30, 12])
@pytest.mark.parametrize("seed", range(8))
def test_a_random_line_does_not_depend_on_how_loud_a_voice_was_recorded(seed, gain_db):
    voice = 0.2 * make_voice(1.0, seed=seed)
    line = random_telephone(voice, 8000, seed=seed)
    found = random_telephone(voice * 10 ** (gain_db / 20), 8000, seed=seed)
    assert np.corrcoef(found, line)[0, 1] > 0.999
    assert level_db(found) == pytest.approx(level_db(line), abs=0.02)


@pytest.mark.parametrize("recorded_db", [-70, -26, -6])
@pytest.mark.parametrize("seed", range(4))
def test_a_random_line_has_its_drawn_gain_from_the_nominal_level(seed, recorded_db):
    sine = make_sine(1000, peak=np.sqrt(2) * 10 ** (recorded_db / 20))
    drawn = draw_telephone(seed=seed)
    parts_db = np.array([-26 + drawn["gain_db"], drawn["noise_db"]])
    found = level_db(random_telephone(sine, 8000, seed=seed))
    assert found == pytest.approx(10 * np.log10(np.sum(10 ** (parts_db / 10))), abs=0.2)


@pytest.mark.parametrize("signal", [np.zeros(800), np.zeros(0), np.full(LEVEL_BLOCK - 1, 0.1)])
@pytest.mark.parametrize("seed", range(4))
def test_a_random_line_leaves_what_has_no_level_as_loud_as_it_is(signal, seed):
    expected = simulate_telephone(signal, 8000, **draw_telephone(seed=seed))
    np.testing.assert_array_equal(random_telephone(signal, 8000, seed=seed), expected)


def test_a_random_line_carries_a_whisper_too():
    assert random_telephone(1e-9 * make_voice(0.5), 8000, seed=0).shape == (4000,)


@pytest.mark.parametrize("peak", [1.0, 0.5, 1e-3, 1e-6])
@pytest.mark.parametrize("hertz, sampling_rate", [(50, 8000), (1000, 8000), (300, 48_000)])
def test_the_level_of_a_sine_is_its_rms(peak, hertz, sampling_rate):
    sine = make_sine(hertz, sampling_rate=sampling_rate, peak=peak)
    expected = 20 * np.log10(peak / np.sqrt(2))
    assert measure_level(sine) == pytest.approx(expected, abs=0.01)
    assert measure_level(sine.astype(float).tolist()) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    "signal, expected",
    [
        ([], NOMINAL_LEVEL_DB),
        ([0.5], NOMINAL_LEVEL_DB),
        (np.full(LEVEL_BLOCK - 1, 0.5), NOMINAL_LEVEL_DB),
        (np.zeros(8000), NOMINAL_LEVEL_DB),
        (np.full(LEVEL_BLOCK, 0.1), -20.0),
        (np.full(LEVEL_BLOCK, -1.0), 0.0),
        (np.repeat([0.1, 1.0], [LEVEL_BLOCK, LEVEL_BLOCK - 1]), -20.0),
        (np.repeat([1.0, 0.1], LEVEL_BLOCK), 10 * np.log10((1 + 0.01) / 2)),
        (np.full(8000, 1e-20, np.float32), -400.0),
    ],
)
def test_a_level_is_of_whole_blocks_and_nominal_where_there_are_none(signal, expected):
    assert measure_level(np.asarray(signal)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "below_db, counts", [(20, True), (29.9, True), (30.1, False), (50, False), (np.inf, False)]
)
def test_pauses_do_not_count(below_db, counts):
    assert LEVEL_RANGE_DB == 30
    loud = np.full(10 * LEVEL_BLOCK, 0.5)
    soft = np.full(30 * LEVEL_BLOCK, 0.5 * 10 ** (-below_db / 20))
    mixed = np.concatenate([soft[: 7 * LEVEL_BLOCK], loud, soft[7 * LEVEL_BLOCK :]])
    expected = level_db(mixed) if counts else level_db(loud)
    assert measure_level(mixed) == pytest.approx(expected, abs=1e-6)


def test_lines_are_drawn_as_often_as_documented():
    drawn = [draw_telephone(seed=seed) for seed in range(2000)]
    codecs = Counter(line["codec"] for line in drawn)
    assert set(CODEC_SHARES) == set(CODECS)
    assert max(codecs, key=codecs.__getitem__) == "mu-law"
    shares = {codec: codecs[codec] / len(drawn) for codec in CODECS}
    assert shares == pytest.approx(CODEC_SHARES, abs=0.04)
    assert np.mean([line["band"] for line in drawn]) == pytest.approx(BAND_SHARE, abs=0.04)
    assert len({line["seed"] for line in drawn}) == len(drawn)


@pytest.mark.parametrize(
    ("name", "limits"), [("gain_db", DRAWN_GAIN_DB), ("noise_db", DRAWN_NOISE_DB)]
)
def test_levels_are_drawn_evenly_from_their_range(name, limits):
    drawn = [draw_telephone(seed=seed)[name] for seed in range(2000)]
    low, high = limits
    assert low <= min(drawn) < low + 0.1
    assert high - 0.1 < max(drawn) < high
    assert np.mean(drawn) == pytest.approx((low + high) / 2, abs=0.5)


def test_the_band_is_the_one_of_the_standard():
    assert BAND_HZ == (300, 3400)
    assert TELEPHONE_RATE == 8000
