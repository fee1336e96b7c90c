import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from test_exploration_plots import NAMES, make_examined, overlaps

from helpers.corpora import load_corpus
from helpers.exploration.recordings import choose_examples
from helpers.exploration.sound_plots import (
    EMOTION_COLORS,
    play_examples,
    plot_averages,
    plot_examples,
    plot_telephone,
)
from helpers.workspace import PROJECT_FOLDER


def test_every_emotion_has_a_colour_of_its_own():
    assert list(EMOTION_COLORS) == NAMES
    assert len(set(EMOTION_COLORS.values())) == len(NAMES)


@pytest.mark.parametrize(("speakers", "emotions"), [(1, ["neutral", "angry"]), (20, NAMES)])
def test_the_averages_of_each_emotion_are_a_column_of_two_pictures(speakers, emotions):
    plt.close("all")  # what other tests have left open
    figure = plot_averages(make_examined(speakers=speakers, emotions=emotions))
    assert overlaps(figure) == []
    assert plt.get_fignums() == []
    columns = len(emotions)
    assert [axes.get_title() for axes in figure.axes] == [*emotions, *[""] * columns]
    colors = [axes.lines[0].get_color() for axes in figure.axes]
    assert colors == [EMOTION_COLORS[emotion] for emotion in emotions] * 2


@pytest.fixture(scope="module")
def examples():
    return choose_examples(load_corpus(PROJECT_FOLDER / "sample_data" / "voices"))


def test_each_emotion_is_a_row_of_three_pictures(examples):
    figure = plot_examples(examples)
    assert overlaps(figure) == []
    assert len(figure.axes) == 3 * len(examples)
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == examples["emotion"].tolist()
    lines = [axes.lines[0] for axes in figure.axes[::3]]
    seconds = [soundfile.info(path).duration for path in examples["path"]]
    assert [line.get_xdata()[-1] for line in lines] == pytest.approx(seconds, abs=0.001)


def test_the_players_play_the_recordings(examples):
    page = play_examples(examples.assign(speaker="<ann>")).data
    sounds = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    for path, sound in zip(examples["path"], sounds, strict=True):
        signal, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)))
        original, original_rate = soundfile.read(path)
        assert rate == original_rate
        np.testing.assert_allclose(signal, original, atol=1e-4)
    assert "&lt;ann&gt;" in page and "<ann>" not in page


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 44_100])
def test_the_telephone_leaves_the_band_from_300_to_3400_hz(tmp_path, sampling_rate):
    noise = 0.05 * np.random.default_rng(0).standard_normal(sampling_rate)
    soundfile.write(tmp_path / "noise.wav", noise, sampling_rate)
    figure = plot_telephone(str(tmp_path / "noise.wav"))
    before, after = (axes.images[0] for axes in figure.axes[:2])
    assert before.get_extent()[3] == sampling_rate / 2000
    assert after.get_extent()[3] == 4
    assert figure.axes[1].get_ylim() == (0, sampling_rate / 2000)
    assert before.get_array().max() == pytest.approx(0)
    levels = np.median(np.asarray(after.get_array()), axis=1)
    kilohertz = np.linspace(0, 4, len(levels))
    inside = levels[(kilohertz > 0.5) & (kilohertz < 3.2)]
    assert np.ptp(inside) < 6
    assert levels[kilohertz < 0.15].max() < inside.mean() - 15
    assert levels[kilohertz > 3.9].max() < inside.mean() - 6
