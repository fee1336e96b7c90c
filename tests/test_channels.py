import numpy as np
import pytest
from composed_calls import RATE, compose

from helpers.conversation.bursts import find_bursts
from helpers.conversation.channels import find_speech_by_channel, hold_the_same

STEPS_S = 0.01
NEAR = 15
"""Steps around speech that are not counted as either."""


def mark(spans, count: int) -> np.ndarray:
    """Give for each hundredth of a second whether it is in a span."""
    steps = (np.arange(count) + 0.5) * STEPS_S
    inside = [(steps > start) & (steps < end) for start, end in spans]
    return np.any(inside, axis=0) if inside else np.zeros(count, bool)


def mark_truth(call) -> np.ndarray:
    """Give who speaks in each hundredth of a second, shape (2, steps): customer, agent."""
    count = call.channels.shape[1] // 80
    by = [call.turns[call.turns["speaker"] == who] for who in ("customer", "agent")]
    return np.stack([mark(own[["start_s", "end_s"]].to_numpy(), count) for own in by])


def grow(steps: np.ndarray) -> np.ndarray:
    return np.convolve(steps, np.ones(2 * NEAR + 1), mode="same") > 0


def add_echo(channels: np.ndarray, *, level_db: float, delay_s: float = 0.0) -> np.ndarray:
    """Let each channel be heard on the other one."""
    delay = round(delay_s * RATE)
    echo = np.pad(channels, ((0, 0), (delay, 0)))[::-1, : channels.shape[1]]
    return (channels + 10 ** (level_db / 20) * echo).astype(np.float32)


def test_without_leakage_each_channel_has_all_of_its_own_speech_and_hardly_more():
    call = compose("acacac")
    both = find_speech_by_channel(call.channels, RATE)
    for own, found in zip(mark_truth(call), both, strict=True):
        heard = mark(found, len(own))
        assert heard[own].all()
        assert heard[~grow(own)].mean() < 0.03


def test_people_who_speak_at_once_are_both_heard():
    call = compose("acacacac", pause_s=-0.5)
    truth = mark_truth(call)
    both = truth.all(axis=0)
    assert both.sum() * STEPS_S > 3
    for found in find_speech_by_channel(call.channels, RATE):
        assert mark(found, len(both))[both].all()


@pytest.mark.parametrize(("level_db", "most"), [(-12, 0.3), (-20, 0.12), (-30, 0.05), (-40, 0.05)])
@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.15, 0.3])
def test_leakage_and_echoes_are_not_taken_for_speech(level_db, most, delay_s):
    call = compose("acacacac")
    channels = add_echo(call.channels, level_db=level_db, delay_s=delay_s)
    truth = mark_truth(call)
    for channel, found in enumerate(find_speech_by_channel(channels, RATE)):
        own, other = truth[channel], truth[1 - channel] & ~grow(truth[channel])
        raw = mark(find_bursts(channels[channel], RATE), len(own))
        heard = mark(found, len(own))
        assert raw[other].mean() > 0.6  # it could have been taken for it
        assert heard[other].mean() < most
        assert heard[own].mean() > 0.92


@pytest.mark.parametrize(("level_db", "least"), [(-12, 0.5), (-20, 0.7), (-30, 0.9), (-40, 0.97)])
@pytest.mark.parametrize("delay_s", [0.0, 0.15])
def test_over_leakage_and_echoes_people_who_interrupt_are_heard(level_db, least, delay_s):
    call = compose("acacacac", pause_s=-0.5)
    channels = add_echo(call.channels, level_db=level_db, delay_s=delay_s)
    both = mark_truth(call).all(axis=0)
    for found in find_speech_by_channel(channels, RATE):
        assert mark(found, len(both))[both].mean() > least


def test_leakage_one_way_takes_nothing_from_the_other_channel():
    call = compose("acacac")
    channels = call.channels.copy()
    channels[0] += 0.1 * channels[1]
    clean = find_speech_by_channel(call.channels, RATE)
    np.testing.assert_array_equal(find_speech_by_channel(channels, RATE)[1], clean[1])


def test_exchanged_channels_give_exchanged_speech():
    channels = add_echo(compose("acac").channels, level_db=-20, delay_s=0.1)
    straight, exchanged = (
        find_speech_by_channel(each, RATE) for each in (channels, channels[::-1])
    )
    for found, expected in zip(exchanged, straight[::-1], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("samples", [560, 8000, 79_040, 129_360, 150_080, 79_041, 79_119])
def test_a_call_may_be_of_any_length(samples):
    channels = np.resize(compose("ac").channels, (2, samples))
    assert len(find_speech_by_channel(channels, RATE)) == 2


def test_silent_channels_hold_no_speech():
    assert [len(found) for found in find_speech_by_channel(np.zeros((2, 8000)), RATE)] == [0, 0]


def noise(level: float, count: int) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(count)


@pytest.mark.parametrize(
    ("make", "expected"),
    {
        "one channel": (lambda mix: mix[None], True),
        "the same in both": (lambda mix: np.stack([mix, mix]), True),
        "the same, one fainter": (lambda mix: np.stack([mix, 0.3 * mix]), True),
        "the same, one inverted": (lambda mix: np.stack([mix, -mix]), True),
        "the same, one noisier": (lambda mix: np.stack([mix, mix + noise(1e-4, len(mix))]), True),
        "one silent": (lambda mix: np.stack([mix, 0 * mix]), True),
        "one constant": (lambda mix: np.stack([0 * mix + 0.01, mix]), True),
        "one of a bit's noise": (lambda mix: np.stack([mix, noise(3e-5, len(mix))]), True),
        "nothing in either": (lambda mix: np.zeros((2, 800)), True),
        "one with noise": (lambda mix: np.stack([mix, noise(1e-3, len(mix))]), False),
        "two people": (lambda mix: compose("acacac").channels, False),
        "two people, leaking": (
            lambda mix: add_echo(compose("acacac").channels, level_db=-12),
            False,
        ),
    }.values(),
    ids=lambda value: "",
)
def test_what_is_no_two_channel_call_is_recognised(make, expected):
    assert hold_the_same(make(compose("acacac").mix)) is expected
