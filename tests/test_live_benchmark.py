import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import VOICE_PITCHES, make_voice, write_voices

from helpers.conversation.live_benchmark import find_upset, main, read_track
from helpers.conversation.live_scores import (
    LOUDNESS,
    MOOD,
    THRESHOLDS,
    TUNED_ON,
    LiveCall,
    choose_thresholds,
    compare,
    count_calls,
    find_alerts,
    score_call,
    summarise,
)
from helpers.errors import TableError

RATE = 8000


def speak(*turns: tuple[float, float, str, str]) -> pd.DataFrame:
    return pd.DataFrame(turns, columns=["start_s", "end_s", "speaker", "emotion"])


def hold(answers: list[float], *, upset=(), customer="1", step_s=0.25) -> LiveCall:
    """Make a call that was judged every so many seconds, with these answers."""
    arrived = step_s * (1 + np.arange(len(answers)))
    table = pd.DataFrame({"arrived_s": arrived, MOOD: answers, LOUDNESS: 0.5})
    duration_s = step_s * len(answers) + 1
    return LiveCall(customer, duration_s, np.reshape(upset, (-1, 2)).astype(float), table)


@pytest.mark.parametrize(
    ("turns", "upset"),
    [
        ([], []),
        ([(0, 2, "agent", "angry")], []),
        ([(0, 2, "customer", "calm"), (3, 4, "customer", "happy")], []),
        ([(1, 2, "customer", "angry")], [(1, 20)]),
        ([(1, 2, "customer", "calm"), (3, 4, "customer", "sad")], [(3, 20)]),
        (
            [(1, 2, "customer", "sad"), (3, 4, "agent", "calm"), (5, 6, "customer", "angry")],
            [(1, 20)],
        ),
        (
            [
                (1, 2, "customer", "fearful"),
                (3, 4, "agent", "neutral"),
                (5, 6, "customer", "surprised"),
                (7, 8, "customer", "disgust"),
                (9, 10, "customer", "neutral"),
            ],
            [(1, 5), (7, 9)],
        ),
    ],
)
def test_the_customer_is_upset_until_something_else_is_said(turns, upset):
    assert find_upset(speak(*turns), 20.0).tolist() == [list(map(float, each)) for each in upset]


@pytest.mark.parametrize(
    ("answers", "alerts"),
    [
        ([], []),
        ([0.1] * 8, []),
        ([0.9] * 8, [(0.5, 3.0)]),
        ([0.1] * 4 + [0.9] * 8 + [0.1] * 8, [(2.0, 4.0)]),
    ],
)
def test_alerts_last_from_the_answer_that_raised_them_to_the_one_that_ended_them(answers, alerts):
    found = find_alerts(hold(answers), alert_from=0.7, alert_until=0.5)
    assert found.shape == (len(alerts), 2)
    np.testing.assert_allclose(found, np.reshape(alerts, (-1, 2)), atol=0.5)


@pytest.mark.parametrize(
    ("upset", "alerts", "counts"),
    [
        ([], [], {"turns": 0, "false": 0, "calm": 1, "calm, false": 0}),
        ([], [(1, 3)], {"false": 1, "calm, false": 1, "false hours": 2}),
        ([(2, 8)], [], {"turns": 1, "never": 1, "within 10 s": 0, "calm": 0}),
        ([(2, 8)], [(4, 9)], {"within 3 s": 1, "never": 0, "false": 0, "false hours": 1}),
        ([(2, 8)], [(5.5, 8)], {"within 3 s": 0, "within 5 s": 1, "false hours": 0}),
        ([(2, 8)], [(1, 9)], {"already on": 1, "within 10 s": 0, "false": 1, "false hours": 2}),
        ([(2, 8)], [(1, 3), (4, 6)], {"already on": 1, "within 3 s": 0, "false": 1}),
        ([(2, 8)], [(0, 1), (8, 9)], {"never": 1, "false": 2, "false hours": 2}),
        ([(2, 4), (6, 8)], [(3, 7)], {"turns": 2, "within 3 s": 1, "already on": 1}),
        ([(2, 4), (6, 8)], [(3, 5), (7, 9)], {"within 3 s": 2, "false": 0, "calm hours": 7}),
    ],
)
def test_what_happened_in_a_call_is_counted(upset, alerts, counts):
    call = hold([0.5] * 40, upset=upset)
    found = score_call(call, np.reshape(alerts, (-1, 2)).astype(float))
    assert found["hours"] == call.duration_s / 3600
    for name, expected in counts.items():
        in_hours = 3600 if name.endswith("hours") else 1
        assert found[name] * in_hours == pytest.approx(expected), name


def test_sums_have_intervals_that_hold_them():
    caught = hold([0.02] * 20 + [0.98] * 20, upset=[(5, 11)], customer="1")
    missed = hold([0.02] * 40, upset=[(5, 11)], customer="2")
    row = summarise(count_calls([caught, missed, caught], MOOD, (0.7, 0.55)))
    assert (row["calls"], row["turned upset"]) == (3, 3)
    assert row["within 3 s"] == "0.67 (0.00 to 1.00)"
    assert row["never"] == "0.33 (0.00 to 1.00)"
    assert row["calm calls with a false alarm"] == ""
    assert 0.3 < row["median delay, s"] < 1.5


def test_thresholds_are_those_that_tell_upset_from_calm():
    calm, upset = [0.6] * 40, [0.75] * 40
    calls = [hold(calm + upset, upset=[(10, 21)]), hold(calm)]
    strict, lax = choose_thresholds(calls, MOOD, [0.05, 1.0])
    assert 0.6 <= strict[0] < 0.75
    for pair in (strict, lax):
        counts = count_calls(calls, MOOD, pair)
        assert (counts["within 3 s"].sum(), counts["false"].sum()) == (1, 0)


def test_where_every_alert_is_on_for_too_long_the_shortest_is_chosen():
    calls = [hold([0.97] * 40 + [0.02] * 40)]
    chosen = choose_thresholds(calls, MOOD, [0.0])[0]
    on = {pair: count_calls(calls, MOOD, pair)["false hours"].sum() for pair in THRESHOLDS}
    assert on[chosen] == min(on.values()) > 0


def test_figures_are_of_customers_that_nothing_was_tuned_on():
    answers = [0.02] * 20 + [0.98] * 20
    calls = [hold(answers, upset=[(5, 11)], customer=str(number)) for number in range(1, 12)]
    table = compare(calls)
    by_mood = table[table["alert by"] == MOOD]
    assert set(table["customers"]) == {f"{TUNED_ON} tuned on", "6 others"}
    assert set(by_mood["within 3 s"]) == {"1.00 (1.00 to 1.00)"}
    assert set(table.loc[table["alert by"] == LOUDNESS, "never"]) == {"1.00 (1.00 to 1.00)"}
    with pytest.raises(TableError, match="of 5 customer"):
        compare(calls[:5])


@pytest.mark.parametrize("channels", [1, 2])
def test_the_customers_track_holds_nobody_else(tmp_path, channels):
    customer, agent = np.zeros((2, 4 * RATE), np.float32)
    customer[:RATE], agent[2 * RATE : 3 * RATE] = make_voice(1, seed=1), make_voice(1, seed=2)
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(2, 4 * RATE)).astype(np.float32)
    both = np.stack([customer, agent]) + noise
    sound = both if channels == 2 else both.sum(axis=0, keepdims=True)
    soundfile.write(tmp_path / "call.wav", sound.T, RATE, subtype="FLOAT")
    turns = speak((0, 1, "customer", "calm"), (2, 3, "agent", "calm"))
    track = read_track(tmp_path / "call.wav", turns)
    assert track.shape == (4 * RATE,)
    np.testing.assert_array_equal(track[:RATE], sound[0, :RATE])
    assert 5e-4 < track[2 * RATE : 3 * RATE].std() < 2e-3


def write_live_calls(folder, *, customers: int):
    """Write a call of each customer, who turns angry after two neutral turns, and its truth."""
    speakers, turns = ["file,customer,agent"], ["file,start_s,end_s,speaker,emotion"]
    for number in range(1, customers + 1):
        status = ("satisfied", "average", "unsatisfied")[number % 3]
        name = f"{status}/call_{number}.wav"
        sound, pitch = np.zeros((2, 14 * RATE), np.float32), 130 + 8 * number
        for turn, emotion in enumerate(["neutral", "neutral", "angry", "angry"]):
            start_s = 1 + 3 * turn
            voice = make_voice(2, seed=10 * number + turn, pitch=pitch * VOICE_PITCHES[emotion])
            sound[0, start_s * RATE :][: len(voice)] = voice
            turns.append(f"{name},{start_s},{start_s + 2},customer,{emotion}")
        turns.append(f"{name},13,13.5,agent,neutral")
        sound += np.random.default_rng(number).normal(scale=1e-3, size=sound.shape)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        heard = sound if number % 2 else sound[:1]
        soundfile.write(folder / name, heard.T, RATE, subtype="ULAW", format="WAV")
        speakers.append(f"{name},{number},")
    (folder / "speakers.csv").write_text("\n".join(speakers) + "\n")
    (folder / "turns.csv").write_text("\n".join(turns) + "\n")
    return folder


def test_the_command_measures_alerts_and_their_cost(tmp_path, capsys):
    corpus = write_voices(tmp_path / "x", speakers=7, takes=1)
    calls = write_live_calls(tmp_path / "calls", customers=7)
    with joblib.parallel_config("sequential"):
        assert main([str(corpus), str(calls), "--results", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "4 calls with a track of the customer's own, 3 whose" in printed
    alerts = pd.read_csv(tmp_path / "results" / "live_alerts.csv")
    assert alerts["turned upset"].tolist() == [5, 2] * (len(alerts) // 2)
    assert not alerts["within 10 s"].str.startswith("0.00").all()
    cost = pd.read_csv(tmp_path / "results" / "live_cost.csv")
    assert cost["streams a core"].iloc[0] >= 1


def test_calls_without_the_truth_are_refused(tmp_path, capsys):
    corpus = write_voices(tmp_path / "x", speakers=2, takes=1)
    calls = write_live_calls(tmp_path / "calls", customers=1)
    (calls / "turns.csv").unlink()
    assert main([str(corpus), str(calls), "--results", str(tmp_path / "results")]) == 1
    assert "tells who really spoke when" in capsys.readouterr().err
