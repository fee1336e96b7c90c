import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.segments import KINDS, split_call


@pytest.mark.parametrize(
    ("duration_s", "segments"),
    [
        (0.001, [("whole", 0.0, 0.001)]),
        (1.0, [("whole", 0.0, 1.0)]),
        (44.999875, [("whole", 0.0, 44.999875)]),
        (45.0, [("whole", 0.0, 45.0)]),
        (45.000125, [("start", 0.0, 20.0), ("end", 20.000125, 25.0)]),
        (60.0, [("start", 0.0, 20.0), ("end", 35.0, 25.0)]),
        (3600.0, [("start", 0.0, 20.0), ("end", 3575.0, 25.0)]),
    ],
)
def test_a_call_above_45_s_gives_its_first_20_and_last_25_s(duration_s, segments):
    found = [(part.kind, part.start_s, part.duration_s) for part in split_call(duration_s)]
    assert found == [
        (kind, pytest.approx(start_s), length_s) for kind, start_s, length_s in segments
    ]


@pytest.mark.parametrize("duration_s", [0, 0.0, -0.0, -1, -45.5, math.nan])
def test_a_call_without_length_has_no_segments(duration_s):
    with pytest.raises(ValueError, match=r"^duration is .+ s, expected more than 0$"):
        split_call(duration_s)


@given(st.floats(min_value=1e-3, max_value=1e6))
def test_segments_lie_inside_the_call_in_order_and_never_overlap(duration_s):
    segments = split_call(duration_s)
    assert [part.kind for part in segments] in (["whole"], ["start", "end"])
    assert {part.kind for part in segments} <= set(KINDS)
    assert segments[0].start_s == 0
    assert segments[-1].start_s + segments[-1].duration_s == pytest.approx(duration_s)
    for before, after in pairwise(segments):
        assert before.start_s + before.duration_s <= after.start_s
