import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import make_voice

from helpers.conversation.talk import (
    TALK_COLUMNS,
    find_hold,
    find_non_talk,
    find_talk_over,
    measure_talk,
)
from helpers.conversation.turn_taking import Conversation
from helpers.conversation.voices import Levels, count_syllables, find_channels, read_voice

RATE = 8000


def talk(*turns, duration_s=20.0, sounds=()) -> Conversation:
    """Make a conversation of turns such as `("customer", 1, 3)` and sounds like `("music", 5, 9)`.

    Where there is no sound it is called speech.
    """
    rows = [(start_s, end_s, speaker, 1.0) for speaker, start_s, end_s in turns]
    columns = ["start_s", "end_s", "speaker", "confidence"]
    edges, kinds = [0.0], []
    for kind, start_s, end_s in sounds:
        edges += [start_s, end_s]
        kinds += ["speech", kind]
    activity = pd.DataFrame(
        {"start_s": edges, "end_s": [*edges[1:], duration_s], "kind": [*kinds, "speech"]}
    )
    turns = pd.DataFrame(rows, columns=columns).sort_values("start_s", ignore_index=True)
    return Conversation(turns, activity, 1.0, "", duration_s)


def say(conversation: Conversation, levels, *, channels=1, rate=RATE, echo=0.0) -> np.ndarray:
    """Make the sound of a conversation, customer on channel 0; shape (samples, channels)."""
    signal = 1e-4 * np.random.default_rng(0).standard_normal(
        (round(conversation.duration_s * rate), channels)
    )
    for turn in conversation.turns.itertuples():
        first, last = round(turn.start_s * rate), round(turn.end_s * rate)
        level = levels[turn.speaker]
        level = level(turn.start_s) if callable(level) else level
        pitch = 200 if turn.speaker == "customer" else 120
        voice = level * make_voice((last - first) / rate + 0.01, sampling_rate=rate, pitch=pitch)
        own = (turn.speaker == "agent") * (channels - 1)
        signal[first:last, own] += voice[: last - first]
        if channels == 2:
            signal[first:last, 1 - own] += echo * voice[: last - first]
    return signal.astype(np.float32)


def write(path, signal, rate=RATE):
    soundfile.write(path, signal, rate, subtype="FLOAT", format="WAV")
    return path


def rows_of(table: pd.DataFrame) -> list[tuple]:
    return list(table.itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([], []),
        ([("agent", 0, 4), ("customer", 4, 8)], []),
        ([("agent", 0, 4), ("customer", 3, 8)], [(3, 4, "customer")]),
        ([("customer", 0, 4), ("agent", 3, 8)], [(3, 4, "agent")]),
        (
            [("customer", 0, 9), ("agent", 3, 4), ("agent", 6, 8)],
            [(3, 4, "agent"), (6, 8, "agent")],
        ),
        ([("agent", 0, 4), ("customer", 3.8, 8)], []),
        ([("agent", 0, 4), ("customer", 3.7, 8)], [(3.7, 4, "customer")]),
        ([("agent", 2, 4), ("customer", 2, 6)], [(2, 4, "")]),
        ([("agent", 0, 9), ("customer", 3, 3.3), ("customer", 3.5, 4)], [(3, 4, "customer")]),
        ([("agent", 0, 3), ("agent", 3, 6), ("customer", 2, 5)], [(2, 5, "customer")]),
    ],
    ids=["none", "turns", "customer", "agent", "twice", "short", "long", "both", "pause", "pieces"],
)
def test_who_starts_while_the_other_one_speaks_has_interrupted(turns, expected):
    assert rows_of(find_talk_over(talk(*turns))) == expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([], [(0, 20)]),
        ([("agent", 3, 16.9)], [(16.9, 20)]),
        ([("agent", 3.1, 17)], [(0, 3.1)]),
        ([("agent", 0, 5), ("customer", 8, 20)], []),
        ([("agent", 0, 5), ("customer", 8.5, 20)], [(5, 8.5)]),
        ([("agent", 0, 20), ("customer", 8, 9)], []),
    ],
)
def test_more_than_three_seconds_without_anybody_are_non_talk(turns, expected):
    assert rows_of(find_non_talk(talk(*turns))) == expected


@pytest.mark.parametrize(
    ("sounds", "expected"),
    [
        ([], []),
        ([("ringing", 0, 4), ("silence", 5, 9)], []),
        ([("ringing", 0, 4), ("music", 5, 9)], [(5, 9)]),
        ([("music", 1, 4), ("music", 6, 9)], [(1, 9)]),
        ([("music", 1, 4), ("music", 8, 9)], [(1, 4), (8, 9)]),
    ],
)
def test_hold_is_music_and_a_short_gap_does_not_end_it(sounds, expected):
    assert rows_of(find_hold(talk(sounds=sounds))) == expected


def test_a_call_is_measured_as_by_hand(tmp_path):
    call = talk(
        *[("agent", 4, 6), ("customer", 7, 10), ("agent", 9, 12), ("customer", 12.5, 14)],
        *[("customer", 15, 16), ("agent", 16.2, 17), ("agent", 30, 32), ("customer", 34, 36)],
        duration_s=45.0,
        sounds=[("ringing", 0, 3), ("music", 18, 29), ("silence", 37, 45)],
    )
    sound = say(call, {"customer": 0.5, "agent": 0.5}, channels=2)
    found = measure_talk(call, write(tmp_path / "call.wav", sound))
    assert list(found) == list(TALK_COLUMNS)
    expected = {
        "customer_talk_s": 7.5,
        "agent_talk_s": 7.8,
        "customer_talk_share": 0.49,
        "agent_talk_share": 0.51,
        "customer_turns": 3,
        "agent_turns": 4 - 1,
        "customer_response_s": 1.0,
        "agent_response_s": 0.2,
        "customer_interruptions": 0,
        "agent_interruptions": 1,
        "customer_interruptions_s": 0,
        "agent_interruptions_s": 1,
        "non_talk_count": 3,
        "non_talk_s": 4 + 13 + 9,
        "hold_count": 1,
        "hold_s": 11,
        "longest_silence_s": 9,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-3)


def test_a_call_without_talk_has_no_speed_and_no_loudness(tmp_path):
    call = talk(duration_s=5.0)
    found = measure_talk(call, write(tmp_path / "call.wav", say(call, {})))
    unknown = {name for name, value in found.items() if np.isnan(value)}
    assert unknown == {
        f"{role}_{name}"
        for role in ("customer", "agent")
        for name in (
            *("talk_share", "talk_speed", "response_s", "loudness_db"),
            *("interruptions", "interruptions_s"),
        )
    } | {"customer_loudness_change_db"}
    assert found["non_talk_s"] == found["longest_silence_s"] == 5


def test_on_one_channel_it_is_not_known_who_interrupts(tmp_path):
    call = talk(("agent", 0, 4), ("customer", 5, 9), duration_s=10.0)
    sound = say(call, {"customer": 0.5, "agent": 0.5})
    found = measure_talk(call, write(tmp_path / "call.wav", sound))
    assert np.isnan([found["agent_interruptions"], found["customer_interruptions_s"]]).all()


DIALOGUE = [
    (role, 3.0 * number + shift, 3.0 * number + shift + 2)
    for number in range(6)
    for role, shift in (("agent", 0.0), ("customer", 1.5))
]
"""Everybody speaks 2 s, the customer always into the agent's last half second."""


@pytest.mark.parametrize("customer_channel", [0, 1])
@pytest.mark.parametrize("rate", [8000, 11_025])
@pytest.mark.parametrize("agent_gain", [0.1, 1.0, 10.0])
def test_loudness_is_taken_from_the_own_channel(tmp_path, customer_channel, rate, agent_gain):
    call = talk(*DIALOGUE)
    signal = say(call, {"customer": 0.1, "agent": 0.1}, channels=2, rate=rate, echo=0.05)
    signal[:, 1] *= agent_gain
    if customer_channel:
        signal = signal[:, ::-1]
    found = measure_talk(call, write(tmp_path / "call.wav", signal, rate))
    gain_db = 20 * np.log10(agent_gain)
    difference = found["agent_loudness_db"] - found["customer_loudness_db"]
    assert difference == pytest.approx(gain_db, abs=0.7)
    assert -45 < found["customer_loudness_db"] < -25
    assert found["customer_loudness_change_db"] == pytest.approx(0, abs=1)


def test_loudness_of_a_mix_is_that_of_who_speaks_alone(tmp_path):
    call = talk(*DIALOGUE)
    signal = say(call, {"customer": 0.1, "agent": 1.0})
    found = measure_talk(call, write(tmp_path / "call.wav", signal))
    assert found["agent_loudness_db"] - found["customer_loudness_db"] == pytest.approx(20, abs=0.7)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("change_db", [-9, 0, 6])
def test_a_customer_who_gets_louder_is_told_in_db(tmp_path, channels, change_db):
    call = talk(*[(role, start, end - 0.6) for role, start, end in DIALOGUE])
    grow = 10 ** (change_db / 20)
    signal = say(
        call,
        {"customer": lambda at_s: 0.1 * (grow if at_s > 12 else 1), "agent": 0.2},
        channels=channels,
    )
    found = measure_talk(call, write(tmp_path / "call.wav", signal))
    assert found["customer_loudness_change_db"] == pytest.approx(change_db, abs=1)


def test_echo_and_levels_do_not_confuse_the_channels():
    call = talk(("customer", 0, 8), ("agent", 8, 16))
    own, echo = np.full(800, 1e-2), np.full(800, 1e-4)
    quiet = np.full(400, 1e-9)
    customer = np.concatenate([own, echo, quiet])
    agent = np.concatenate([echo, own, quiet])
    for gain in (1e-3, 1, 1e3):
        levels = Levels(np.stack([customer, gain * agent]), 0.01)
        assert find_channels(levels, call.turns) == {"customer": 0, "agent": 1}
        swapped = Levels(levels.power[::-1], 0.01)
        assert find_channels(swapped, call.turns) == {"customer": 1, "agent": 0}


@pytest.mark.parametrize("second", ["silent", "the same", "the same, louder"])
def test_a_mix_on_two_channels_is_measured_as_a_mix(tmp_path, second):
    call = talk(*DIALOGUE)
    mix = say(call, {"customer": 0.1, "agent": 0.4})[:, 0]
    other = {"silent": 0 * mix, "the same": mix, "the same, louder": 2 * mix}[second]
    one, two = (
        measure_talk(call, write(tmp_path / "call.wav", signal))
        for signal in (mix, np.c_[mix, other])
    )
    gain_db = 20 * np.log10(2) if second.endswith("louder") else 0
    for role in ("customer", "agent"):
        assert two[f"{role}_loudness_db"] == pytest.approx(
            one[f"{role}_loudness_db"] + gain_db, abs=0.01
        )
        assert two[f"{role}_talk_speed"] == one[f"{role}_talk_speed"]


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_the_customer_is_heard_alone_where_they_speak(tmp_path, rate):
    call = talk(("agent", 0, 4), ("customer", 5, 8.5), ("agent", 8, 12), duration_s=13.0)
    signal = say(call, {"customer": 0.5, "agent": 0.5}, channels=2, rate=rate)
    voice = read_voice(call, write(tmp_path / "call.wav", signal, rate))
    assert (voice.signal.shape, voice.signal.dtype) == ((13 * 8000,), np.float32)
    assert not voice.cut(0, 5).any() and not voice.cut(8.5, 13).any()
    if rate == 8000:
        np.testing.assert_allclose(voice.cut(5, 8.5), signal[5 * rate : 68_000, 0], atol=1e-6)
    assert voice.cut(5, 8.5).std() == pytest.approx(
        signal[5 * rate : 17 * rate // 2, 0].std(), rel=0.05
    )


def speak(syllables_per_s: float, duration_s: float, *, rate=RATE) -> np.ndarray:
    """Make vowels of 120 Hz that swell and fade so many times a second."""
    times = np.arange(round(duration_s * rate)) / rate
    vowel = sum(np.sin(2 * np.pi * 120 * number * times) / number for number in range(1, 12))
    swell = 0.02 + np.sin(np.pi * syllables_per_s * times) ** 2
    noise = 1e-3 * np.random.default_rng(0).standard_normal(len(times))
    return (0.2 * vowel * swell + noise).astype(np.float32)


@pytest.mark.parametrize("speed", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("gain", [0.1, 1.0])
def test_syllables_are_counted_where_they_are_known(speed, gain):
    assert count_syllables(gain * speak(speed, 10), RATE) == pytest.approx(10 * speed, abs=2)


@pytest.mark.parametrize("sound", ["noise", "clicks", "nothing"])
def test_what_has_no_voice_has_no_syllables(sound):
    generator = np.random.default_rng(0)
    signal = 0.1 * generator.standard_normal(5 * RATE)
    if sound == "clicks":
        signal = np.zeros(5 * RATE)
        signal[:: RATE // 3] = 0.5
    if sound == "nothing":
        signal = np.zeros(5 * RATE)
    assert count_syllables(signal.astype(np.float32), RATE) <= 2


def test_talk_speed_is_told_by_role(tmp_path):
    call = talk(("customer", 1, 7), ("agent", 8, 14), duration_s=15.0)
    signal = np.zeros(15 * RATE, np.float32)
    signal[RATE : 7 * RATE] = speak(5, 6)
    signal[8 * RATE : 14 * RATE] = speak(3, 6)
    found = measure_talk(call, write(tmp_path / "call.wav", signal))
    assert found["customer_talk_speed"] == pytest.approx(5, abs=0.5)
    assert found["agent_talk_speed"] == pytest.approx(3, abs=0.5)


def test_acted_sentences_of_seven_syllables_have_about_seven(shared_calls):
    files = sorted((shared_calls.parent / "ravdess").glob("Actor_*/*-01.flac"))[::40]
    if not files:
        pytest.skip("the acted sentences are not here: ../shared/data/ravdess is missing")
    counts = [count_syllables(soundfile.read(path)[0], 16_000) for path in files]
    assert np.mean(counts) == pytest.approx(7, abs=1)
    assert np.std(counts) < 2
