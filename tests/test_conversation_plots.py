import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import make_voice
from matplotlib.colors import to_rgb

from helpers.conversation.mood import describe_mood
from helpers.conversation.plots import (
    ENVELOPE_POINTS,
    LEAST_SILENCE_S,
    SOUNDS,
    TURN_COLORS,
    plot_conversation,
)
from helpers.conversation.roles import AGENT, CUSTOMER
from helpers.conversation.turn_taking import Conversation

ROWS = [
    (4.0, 8.0, AGENT),
    (8.5, 12.0, CUSTOMER),
    (30.0, 34.0, CUSTOMER),
    (33.0, 36.0, AGENT),
    (42.0, 58.0, CUSTOMER),
]
ACTIVITY = [
    (0.0, 4.0, "ringing"),
    (4.0, 8.0, "speech"),
    (8.0, 8.5, "silence"),
    (8.5, 12.0, "speech"),
    (12.0, 30.0, "music"),
    (30.0, 36.0, "speech"),
    (36.0, 42.0, "silence"),
    (42.0, 60.0, "speech"),
]


def converse(rows=ROWS, activity=ACTIVITY, *, duration_s=60.0, certainty=0.95, doubt=""):
    turns = pd.DataFrame(rows, columns=["start_s", "end_s", "speaker"]).assign(confidence=0.9)
    sounds = pd.DataFrame(activity, columns=["start_s", "end_s", "kind"])
    turns = turns.astype({"start_s": float, "end_s": float})
    return Conversation(turns, sounds, certainty, doubt, duration_s)


def feel(upset=(0.2, 0.3, 0.3, 0.9, 0.9, 0.9, 0.9), *, duration_s=60.0):
    starts = [8.5, 30.0, 32.0, 42.0, 45.0, 48.0, 51.0][: len(upset)]
    utterances = pd.DataFrame({"start_s": starts, "upset": upset}, dtype=float)
    utterances = utterances.assign(end_s=utterances["start_s"] + 3.0, emotion="")
    return describe_mood(utterances, duration_s)


def write_recording(path, duration_s=60.0, *, channels=1, rate=8000):
    signal = make_voice(duration_s, sampling_rate=rate)
    soundfile.write(path, np.column_stack([signal] * channels), rate, subtype="PCM_16")
    return path


def labels(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def bars(axes) -> list[tuple[float, float]]:
    """First and last second of every bar that is filled."""
    return [
        (path.vertices[:, 0].min(), path.vertices[:, 0].max())
        for collection in axes.collections
        if len(collection.get_facecolor())
        for path in collection.get_paths()
    ]


def test_a_whole_picture_has_sound_turns_and_mood_along_one_axis(tmp_path):
    path = write_recording(tmp_path / "call.wav")
    figure = plot_conversation(converse(), path=path, mood=feel())
    sound, turns, mood = figure.axes
    assert sound.get_xlim() == turns.get_xlim() == mood.get_xlim() == (0, 60)
    assert "minutes:seconds" in mood.get_xlabel() and "full scale" in sound.get_ylabel()
    assert [tick.get_text() for tick in turns.get_yticklabels()] == [CUSTOMER, AGENT]
    assert bars(turns) == [row[:2] for row in sorted(ROWS, key=lambda row: row[2] == AGENT)]


@pytest.mark.parametrize(("with_sound", "with_mood"), [(0, 0), (1, 0), (0, 1)])
def test_rows_without_anything_to_show_are_left_out(tmp_path, with_sound, with_mood):
    path = write_recording(tmp_path / "call.wav") if with_sound else None
    figure = plot_conversation(converse(), path=path, mood=feel() if with_mood else None)
    assert len(figure.axes) == 1 + with_sound + with_mood
    assert ("probability of being upset" in labels(figure)) == bool(with_mood)


@pytest.mark.parametrize("kind", list(SOUNDS))
def test_the_legend_explains_what_is_in_the_picture_and_nothing_else(kind):
    other = converse(activity=[row for row in ACTIVITY if row[2] != kind])
    assert kind in labels(plot_conversation(converse()))
    assert kind not in labels(plot_conversation(other))


def test_pauses_between_utterances_are_not_shaded():
    pauses = [(0.0, 8.0, "speech"), (8.0, 8.0 + LEAST_SILENCE_S - 0.01, "silence")]
    assert "silence" not in labels(plot_conversation(converse(activity=pauses)))


def test_the_escalation_is_marked_where_it_was():
    mood = feel()
    figure = plot_conversation(converse(), mood=mood)
    assert "escalated at 0:48" in labels(figure)
    places = [line.get_xdata()[0] for line in figure.axes[-1].lines if len(line.get_xdata()) == 2]
    assert mood.escalated_at_s in places
    calm = plot_conversation(converse(), mood=feel(upset=(0.2, 0.2, 0.3)))
    assert not any("escalated" in label for label in labels(calm))


def test_clips_are_marked_with_their_numbers():
    evidence = pd.DataFrame({"start_s": [42.0, 30.0], "end_s": [45.0, 33.0]})
    figure = plot_conversation(converse(), evidence=evidence)
    texts = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert texts == {"1": 43.5, "2": 31.5}
    assert "clip that moved the verdict" in labels(figure)
    assert "clip that moved the verdict" not in labels(
        plot_conversation(converse(), evidence=evidence[:0])
    )


@pytest.mark.parametrize(
    ("duration_s", "kinds"), [(60.0, ["start", "end"]), (45.0, ["whole"]), (1.0, ["whole"])]
)
def test_the_segments_that_are_judged_are_tinted(duration_s, kinds):
    figure = plot_conversation(converse(rows=ROWS[:0], activity=[], duration_s=duration_s))
    assert [label for label in labels(figure) if "of the call" in label] == [
        f"{kind} of the call" for kind in kinds
    ]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("duration_s", [1.0, 25.0])
def test_the_waveform_has_few_points_and_the_right_extremes(tmp_path, channels, duration_s):
    path = write_recording(tmp_path / "call.wav", duration_s, channels=channels)
    conversation = converse(rows=ROWS[:0], activity=[], duration_s=duration_s)
    (band,) = plot_conversation(conversation, path=path).axes[0].collections
    points = band.get_paths()[0].vertices
    signal, _ = soundfile.read(path, always_2d=True)
    assert len(points) < 2.2 * ENVELOPE_POINTS
    assert points[:, 1].max() == pytest.approx(signal.max())
    assert points[:, 1].min() == pytest.approx(signal.min())
    assert 0.99 * duration_s < points[:, 0].max() <= duration_s


def test_a_call_without_speech_or_mood_can_be_drawn(tmp_path):
    silent = converse(rows=ROWS[:0], activity=[(0.0, 60.0, "silence")])
    mood = describe_mood(feel().utterances[:0].drop(columns="is_upset"), 60.0)
    figure = plot_conversation(silent, mood=mood)
    figure.savefig(tmp_path / "call.png")
    assert bars(figure.axes[0]) == []


def test_roles_differ_in_brightness_and_sounds_in_their_hatches():
    weights = np.array([0.2126, 0.7152, 0.0722])
    customer, agent = (weights @ np.array(to_rgb(color)) for color in TURN_COLORS.values())
    assert abs(customer - agent) > 0.15
    assert len({style["hatch"] for style in SOUNDS.values()}) == len(SOUNDS)
