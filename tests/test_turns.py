from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.turns import LONGEST_S, SHORTEST_S, find_turns

TOLERANCE_S = 0.06
"""The level is averaged over 90 ms, so a turn is found a little longer than it is."""


def make_bursts(*spans, duration_s=6.0, sampling_rate=8000, noise=1e-4, seed=0) -> np.ndarray:
    """Make noise at a steady level between the seconds of each span, and faint noise elsewhere."""
    generator = np.random.default_rng(seed)
    signal = noise * generator.standard_normal(round(duration_s * sampling_rate))
    for start_s, end_s in spans:
        burst = slice(round(start_s * sampling_rate), round(end_s * sampling_rate))
        signal[burst] = 0.1 * generator.standard_normal(burst.stop - burst.start)
    return signal.astype(np.float32)


def assert_turns(found, expected) -> None:
    assert len(found) == len(expected), found
    np.testing.assert_allclose(found, expected, atol=TOLERANCE_S)


@pytest.mark.parametrize(
    ("bursts", "turns"),
    [
        ([(1, 2)], [(1, 2)]),
        ([(0, 1), (5, 6)], [(0, 1), (5, 6)]),
        ([(0.5, 1.5), (3, 4.25)], [(0.5, 1.5), (3, 4.25)]),
        ([(1, 2), (2.5, 3.5)], [(1, 2), (2.5, 3.5)]),
        ([(1, 2), (2.3, 3.3)], [(1, 3.3)]),
        ([(1, 1.2), (1.35, 1.5), (1.7, 2)], [(1, 2)]),
        ([(1, 1.35), (3, 4)], [(3, 4)]),
        ([(1, 1.6), (3, 4)], [(1, 1.6), (3, 4)]),
    ],
    ids=["one", "edges", "two", "pause", "short pause", "pauses", "click", "short"],
)
@pytest.mark.parametrize("sampling_rate", [8000, 11_025, 16_000, 22_050, 44_100])
def test_turns_are_found_where_somebody_speaks(bursts, turns, sampling_rate):
    assert_turns(
        find_turns(make_bursts(*bursts, sampling_rate=sampling_rate), sampling_rate), turns
    )


@pytest.mark.parametrize(
    ("length_s", "pieces"), [(3, 1), (3.3, 1), (3.7, 2), (6.8, 2), (7.2, 3), (20, 6)]
)
def test_a_long_turn_is_cut_evenly(length_s, pieces):
    turns = find_turns(make_bursts((1, 1 + length_s), duration_s=length_s + 2), 8000)
    edges = np.linspace(1, 1 + length_s, pieces + 1)
    assert_turns(turns, list(pairwise(edges)))
    assert np.ptp([end_s - start_s for start_s, end_s in turns]) < 0.005
    assert all(before.end_s == after.start_s for before, after in pairwise(turns))


@pytest.mark.parametrize("gain", [0.003, 0.1, 2.0, 5.0])
def test_the_level_of_a_recording_does_not_matter(gain):
    signal = make_bursts((0.5, 1.5), (3, 4.25))
    assert find_turns(gain * signal, 8000) == find_turns(signal, 8000)


@pytest.mark.parametrize(("below_db", "heard"), [(10, True), (20, True), (30, False), (40, False)])
def test_a_voice_far_below_the_loud_one_is_none(below_db, heard):
    signal = make_bursts((1, 2), (3, 5))
    signal[8000:16_000] *= 10 ** (-below_db / 20)
    assert_turns(find_turns(signal, 8000), [(1, 2), (3, 5)] if heard else [(3, 5)])


@pytest.mark.parametrize("samples", [0, 1, 79, 80, 400, 3999])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_a_signal_shorter_than_a_turn_is_one(samples, level):
    signal = np.full(samples, level, np.float32)
    assert find_turns(signal, 8000) == [(0, samples / 8000)]


@pytest.mark.parametrize("bursts", [[(2, 2.3)], [(1, 1.3), (3, 3.3), (5, 5.3)]])
def test_without_any_turn_the_whole_signal_is_one(bursts):
    assert find_turns(make_bursts(*bursts), 8000) == [(0, 6)]


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_silence_and_steady_noise_have_no_pauses(noise):
    turns = find_turns(make_bursts(duration_s=7.5, noise=noise), 8000)
    assert turns == [(0, 2.5), (2.5, 5), (5, 7.5)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.05, 4), min_size=2, max_size=12))
def test_turns_are_in_order_inside_the_signal_and_of_a_length_to_judge(lengths):
    edges = np.cumsum(lengths)
    spans = list(pairwise(edges))[::2]
    turns = find_turns(make_bursts(*spans, duration_s=edges[-1]), 8000)
    assert turns[0].start_s >= 0
    assert turns[-1].end_s <= edges[-1] + 1e-3
    assert all(before.end_s <= after.start_s for before, after in pairwise(turns))
    if turns != [(0, round(edges[-1] * 8000) / 8000)]:
        for start_s, end_s in turns:
            assert SHORTEST_S - 1e-3 <= end_s - start_s <= LONGEST_S + 1e-3


def test_turns_end_inside_a_long_signal_of_an_odd_rate():
    signal = make_bursts((23, 25), duration_s=25, sampling_rate=11_025)
    assert find_turns(signal, 11_025)[-1].end_s <= 25
