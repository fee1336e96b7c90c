import warnings
from itertools import combinations, pairwise

import numpy as np
import pytest
from conftest import make_voice
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.fft import dct
from scipy.signal import periodogram
from scipy.stats import skew

from helpers.descriptors import DESCRIPTORS, HOP_S, MEL_BANDS, VOICED, Frames, describe_frames
from helpers.functionals import (
    COURSE,
    FUNCTIONALS,
    MODULATION_BANDS,
    MODULATION_HZ,
    PARTS,
    PERCENTILES,
    summarise,
)

RELATED = DESCRIPTORS[MEL_BANDS:]
ENERGY = DESCRIPTORS.index("energy")
RHYTHM = [name for name in FUNCTIONALS if name.startswith("rhythm")]
EDGES = list(pairwise(MODULATION_HZ))
TEN = np.arange(10)


def make_frames(count=100, *, seed=0, active=None, harmonicity=None, pitch_hz=None) -> Frames:
    """Make frames of random numbers, all active unless `active` says otherwise."""
    generator = np.random.default_rng(seed)
    values = generator.gamma(2, 5, (len(DESCRIPTORS), count)) - generator.uniform(0, 40, (69, 1))
    harmonicity = generator.uniform(0, 1, count) if harmonicity is None else harmonicity
    return Frames(
        values.astype(np.float32),
        np.ones(count, bool) if active is None else np.asarray(active, bool),
        generator.uniform(80, 400, count) if pitch_hz is None else np.asarray(pitch_hz, float),
        np.broadcast_to(np.asarray(harmonicity, float), count),
    )


def name_all(frames: Frames) -> dict[str, float]:
    return dict(zip(FUNCTIONALS, summarise(frames).tolist(), strict=True))


def rows(named: dict[str, float], ending: str) -> np.ndarray:
    """Give the number with this ending of each descriptor."""
    return np.array([named[f"{name}_{ending}"] for name in DESCRIPTORS])


@pytest.fixture(scope="module", params=[(100, 0), (333, 1), (16, 2), (7, 3)], ids=str)
def frames(request) -> Frames:
    """Give frames of which four in five are active."""
    count, seed = request.param
    return make_frames(count, seed=seed, active=np.arange(count) % 5 != 2)


def test_each_number_has_a_name_of_its_own():
    assert len(FUNCTIONALS) == len(set(FUNCTIONALS)) == 3484
    vector = summarise(describe_frames(make_voice(1), 8000))
    assert (vector.shape, vector.dtype) == ((len(FUNCTIONALS),), np.float32)


def test_the_statistics_are_those_of_numpy_and_scipy_over_active_frames(frames):
    named = name_all(frames)
    values = frames.values.astype(float)
    for infix, spoken in (
        ("", values[:, frames.active]),
        ("change_", np.gradient(values, axis=1)[:, frames.active]),
    ):
        percentiles = np.percentile(spoken, PERCENTILES, axis=1)
        time = np.linspace(-1, 1, spoken.shape[1])
        expected = {
            "mean": spoken.mean(axis=1),
            "deviation": spoken.std(axis=1),
            "p05": percentiles[0],
            "p25": percentiles[1],
            "p50": percentiles[2],
            "p75": percentiles[3],
            "p95": percentiles[4],
            "range_95_05": percentiles[4] - percentiles[0],
            "range_75_25": percentiles[3] - percentiles[1],
            "slope": np.polyfit(time, spoken.T, 1)[0],
            "skewness": skew(spoken, axis=1),
        }
        for statistic, numbers in expected.items():
            found = rows(named, infix + statistic)
            np.testing.assert_allclose(found, numbers, rtol=1e-3, atol=1e-3, err_msg=statistic)


def test_the_bend_is_the_change_of_the_change(frames):
    values = frames.values.astype(float)
    bend = np.gradient(np.gradient(values, axis=1), axis=1)[:, frames.active]
    np.testing.assert_allclose(rows(name_all(frames), "bend_deviation"), bend.std(axis=1), 1e-3)


@pytest.mark.parametrize("count", [16, 32, 160, 1600])
def test_the_course_is_the_cosines_of_the_means_of_16_parts(count):
    frames = make_frames(count)
    parts = frames.values.astype(float).reshape(len(DESCRIPTORS), PARTS, -1).mean(axis=2)
    expected = dct(parts, axis=1, norm="ortho")[:, 1 : COURSE + 1]
    named = name_all(frames)
    for cosine in range(1, COURSE + 1):
        found = rows(named, f"course_{cosine}")
        np.testing.assert_allclose(found, expected[:, cosine - 1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [*range(1, 40), 100, 101])
def test_the_course_of_a_level_is_flat_and_that_of_a_rise_falls_off(count):
    frames = make_frames(count)
    frames.values[:] = 7.0
    named = name_all(frames)
    for cosine in range(1, COURSE + 1):
        np.testing.assert_allclose(rows(named, f"course_{cosine}"), 0, atol=1e-4)
    frames.values[:] = np.arange(count)
    if count > 1:
        assert (rows(name_all(frames), "course_1") < 0).all()


@pytest.mark.parametrize(
    "where, chosen",
    [
        ("voiced", lambda frames: frames.active & (frames.harmonicity > VOICED)),
        ("unvoiced", lambda frames: frames.active & (frames.harmonicity <= VOICED)),
        ("loud", lambda frames: frames.active * 10 ** (frames.values[ENERGY] / 20)),
    ],
)
def test_kinds_of_frames_have_weighted_means_and_deviations(where, chosen):
    frames = make_frames(200, active=np.arange(200) % 5 != 2)
    weights = chosen(frames).astype(float)
    values = frames.values.astype(float)
    mean = np.average(values, axis=1, weights=weights)
    square = np.average((values - mean[:, None]) ** 2, axis=1, weights=weights)
    named = name_all(frames)
    np.testing.assert_allclose(rows(named, f"mean_{where}"), mean, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(rows(named, f"deviation_{where}"), np.sqrt(square), rtol=5e-3)


@pytest.mark.parametrize("where, harmonicity", [("voiced", 0.0), ("unvoiced", 1.0)])
def test_where_no_frame_is_of_a_kind_all_active_ones_stand_for_it(where, harmonicity):
    named = name_all(make_frames(harmonicity=harmonicity))
    for statistic in ("mean", "deviation"):
        expected = rows(named, statistic)
        found = rows(named, f"{statistic}_{where}")
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_correlations_are_those_of_numpy(frames):
    named = name_all(frames)
    values = frames.values.astype(float)
    for ending, spoken in (("", values), ("_change", np.gradient(values, axis=1))):
        expected = np.corrcoef(spoken[MEL_BANDS:, frames.active])
        found = [named[f"{one}_with_{other}{ending}"] for one, other in combinations(RELATED, 2)]
        np.testing.assert_allclose(found, expected[np.triu_indices(len(RELATED), 1)], atol=1e-4)


def test_pitch_is_described_in_semitones_over_voiced_frames():
    frames = make_frames(120, active=np.arange(120) % 5 != 2)
    named = name_all(frames)
    voiced = frames.active & (frames.harmonicity > VOICED)
    pitch = 12 * np.log2(frames.pitch_hz[voiced] / 100)
    percentiles = np.percentile(pitch, PERCENTILES)
    jumps = np.abs(np.diff(pitch))
    thirds = [part.mean() - pitch.mean() for part in np.array_split(pitch, 3)]
    expected = {
        "mean": pitch.mean(),
        "deviation": pitch.std(),
        **{f"p{per:02d}": value for per, value in zip(PERCENTILES, percentiles, strict=True)},
        "range_95_05": percentiles[4] - percentiles[0],
        "range_75_25": percentiles[3] - percentiles[1],
        "jump_mean": jumps.mean(),
        "jump_median": np.median(jumps),
        "slope": np.polyfit(np.linspace(-1, 1, len(pitch)), pitch, 1)[0],
        "first_third": thirds[0],
        "second_third": thirds[1],
        "last_third": thirds[2],
    }
    found = {name: named[f"pitch_{name}"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert sum(name.startswith("pitch_") for name in FUNCTIONALS) == len(expected)


@pytest.mark.parametrize(
    "pitch_hz, semitones", [(50, -12), (100, 0), (200, 12), (400, 24), (106, 1.009)]
)
def test_an_octave_above_100_hz_is_12_semitones(pitch_hz, semitones):
    named = name_all(make_frames(30, harmonicity=0.9, pitch_hz=np.full(30, pitch_hz)))
    assert named["pitch_p50"] == pytest.approx(semitones, abs=1e-3)
    assert named["pitch_deviation"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "voiced, share, onsets, runs",
    [
        ("..........", 0.0, 0, [0]),
        ("VVVVVVVVVV", 1.0, 1, [10]),
        ("V.........", 0.1, 1, [1]),
        (".........V", 0.1, 1, [1]),
        ("V.V.V.V.V.", 0.5, 5, [1, 1, 1, 1, 1]),
        ("VVV..VVVVV", 0.8, 2, [3, 5]),
        (".VV.VVVV..", 0.6, 2, [2, 4]),
    ],
)
def test_runs_of_voiced_frames_are_counted(voiced, share, onsets, runs):
    is_voiced = np.array(list(voiced)) == "V"
    named = name_all(make_frames(10, harmonicity=np.where(is_voiced, 0.9, 0.2)))
    seconds = np.array(runs) * HOP_S
    assert named["voiced_share"] == pytest.approx(share)
    assert named["voiced_onsets_per_s"] == pytest.approx(onsets / (10 * HOP_S))
    assert named["voiced_run_mean_s"] == pytest.approx(seconds.mean())
    assert named["voiced_run_max_s"] == pytest.approx(seconds.max())
    assert named["voiced_run_deviation_s"] == pytest.approx(seconds.std(), abs=1e-6)


@pytest.mark.parametrize(
    "active, pauses", [(TEN >= 0, 0.0), (TEN % 2 == 0, 0.5), ((TEN < 1) | (TEN > 8), 0.8)]
)
def test_harmonicity_pauses_and_duration_are_those_of_the_frames(active, pauses):
    frames = make_frames(10, active=active)
    named = name_all(frames)
    spoken = frames.harmonicity[frames.active]
    found = [named[f"harmonicity_p{percent:02d}"] for percent in PERCENTILES]
    np.testing.assert_allclose(found, np.percentile(spoken, PERCENTILES), rtol=1e-5)
    assert named["harmonicity_mean"] == pytest.approx(spoken.mean())
    assert named["harmonicity_deviation"] == pytest.approx(spoken.std(), abs=1e-6)
    assert named["pause_share"] == pytest.approx(pauses)
    assert named["duration_s"] == pytest.approx(10 * HOP_S)


@pytest.mark.parametrize("count", [64, 333, 512, 777])
def test_the_rhythm_is_the_periodogram_of_the_loudness(count):
    frames = make_frames(count)
    window = np.hanning(count)
    loudness = frames.values[:MEL_BANDS].astype(float).reshape(MODULATION_BANDS, -1, count)
    hertz, power = periodogram(
        loudness.mean(axis=1), 1 / HOP_S, window, max(512, count), detrend="constant"
    )
    power *= (window**2).sum() / HOP_S / count / 2
    expected = [power[:, (hertz >= low) & (hertz < high)].mean(axis=1) for low, high in EDGES]
    found = [name_all(frames)[name] for name in RHYTHM]
    np.testing.assert_allclose(found, np.log(np.ravel(expected) + 1e-3), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [100, 300, 1000])
@pytest.mark.parametrize(
    "hertz, band",
    [
        (0.65, "0.3_to_1"),
        (1.5, "1_to_2"),
        (2.5, "2_to_3"),
        (4, "3_to_4.5"),
        (5.5, "4.5_to_6.5"),
        (8, "6.5_to_9"),
        (11, "9_to_13"),
        (15, "13_to_18"),
        (22, "18_to_25"),
    ],
)
def test_a_swelling_loudness_is_strongest_in_the_band_of_its_rhythm(hertz, band, count):
    frames = make_frames(count)
    frames.values[:] = 10 * np.sin(2 * np.pi * hertz * HOP_S * np.arange(count))
    named = name_all(frames)
    for number in range(1, MODULATION_BANDS + 1):
        of_band = {name: named[name] for name in RHYTHM if name.endswith(f"band_{number:02d}")}
        assert max(of_band, key=of_band.get) == f"rhythm_{band}_hz_band_{number:02d}"


def test_a_level_of_all_rows_moves_the_places_and_not_the_spreads():
    frames = make_frames()
    named = name_all(frames)
    frames.values[:] += 10
    moved = name_all(frames)
    for statistic in ("mean", "p05", "p50", "p95", "mean_voiced", "mean_unvoiced"):
        np.testing.assert_allclose(rows(moved, statistic), rows(named, statistic) + 10, atol=1e-3)
    for statistic in ("deviation", "range_95_05", "slope", "course_3", "change_p95"):
        np.testing.assert_allclose(rows(moved, statistic), rows(named, statistic), atol=1e-3)


@pytest.mark.parametrize(
    "count, value",
    [(count, value) for count in (1, 10, 100, 999) for value in (0.0, 0.25, 90.1, -90.0)],
)
def test_a_descriptor_that_stays_the_same_has_no_spread_skewness_or_correlation(count, value):
    frames = make_frames(count)
    frames.values[:] = value
    named = name_all(frames)
    np.testing.assert_allclose(rows(named, "mean"), value, rtol=1e-5)
    np.testing.assert_allclose(rows(named, "deviation"), 0, atol=1e-3)
    np.testing.assert_allclose(rows(named, "slope"), 0, atol=1e-3)
    np.testing.assert_allclose(rows(named, "skewness"), 0, atol=0.01)
    related = [named[f"{one}_with_{other}"] for one, other in combinations(RELATED, 2)]
    np.testing.assert_allclose(related, 0, atol=0.01)


@pytest.mark.parametrize("harmonicity", [0.0, 1.0, None], ids=["unvoiced", "voiced", "mixed"])
@pytest.mark.parametrize("active", ["all", "one", "first", "last"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16, 17, 513])
def test_any_number_of_frames_gives_finite_numbers(count, active, harmonicity):
    numbers = np.arange(count)
    masks = {"all": numbers >= 0, "one": numbers == count // 2}
    masks |= {"first": numbers == 0, "last": numbers == count - 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vector = summarise(make_frames(count, active=masks[active], harmonicity=harmonicity))
    assert vector.shape == (len(FUNCTIONALS),)
    assert np.isfinite(vector).all()


@st.composite
def any_frames(draw) -> Frames:
    count = draw(st.integers(1, 40))
    levels = st.floats(-200, 200, width=32)
    active = draw(arrays(bool, count))
    active[draw(st.integers(0, count - 1))] = True
    return Frames(
        draw(arrays(np.float32, (len(DESCRIPTORS), count), elements=levels)),
        active,
        draw(arrays(float, count, elements=st.floats(60, 500))),
        draw(arrays(float, count, elements=st.floats(-1, 1.5))),
    )


@settings(max_examples=60, deadline=None)
@given(any_frames())
def test_finite_frames_give_finite_numbers(frames):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vector = summarise(frames)
    assert (vector.shape, vector.dtype) == ((len(FUNCTIONALS),), np.float32)
    assert np.isfinite(vector).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("samples", [0, 1, 256, 400, 8000])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_sound_of_any_length_gives_finite_numbers(samples, level):
    noise = np.random.default_rng(0).standard_normal(samples)
    assert np.isfinite(summarise(describe_frames(level * noise, 8000))).all()


def test_the_frames_stay_as_they_are():
    frames, before = make_frames(), make_frames()
    summarise(frames)
    for name, value in vars(before).items():
        np.testing.assert_array_equal(getattr(frames, name), value)
