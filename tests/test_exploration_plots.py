from itertools import combinations, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.emotions import EMOTIONS
from helpers.exploration.plots import (
    plot_balance,
    plot_explained,
    plot_lengths,
    plot_shifts,
    plot_speakers,
    plot_speakers_by_emotion,
)
from helpers.exploration.recordings import Examined
from helpers.exploration.speakers import (
    describe_speakers,
    explain_functionals,
    shift_from_neutral,
)
from helpers.functionals import FUNCTIONALS

NAMES = [emotion.name for emotion in EMOTIONS]


PLOTS = {
    "balance": lambda examined: plot_balance(examined.recordings),
    "speakers by emotion": lambda examined: plot_speakers_by_emotion(examined.recordings),
    "lengths": lambda examined: plot_lengths(examined.recordings),
    "speakers": lambda examined: plot_speakers(describe_speakers(examined.recordings)),
    "shifts": lambda examined: plot_shifts(shift_from_neutral(examined.recordings)),
    "explained": lambda examined: plot_explained(explain_functionals(examined)),
}


def make_examined(*, speakers, emotions, corpora=("x",), sexes=("unknown",)) -> Examined:
    """Make up two recordings of each emotion by each speaker; corpora and sexes take turns."""
    generator = np.random.default_rng(0)
    pairs = [pair for pair in product(range(speakers), emotions) for _ in range(2)]
    numbers, names = zip(*pairs, strict=True)
    corpus = [corpora[number % len(corpora)] for number in numbers]
    pitch = generator.uniform(80, 300, len(pairs))
    recordings = pd.DataFrame(
        {
            "path": [f"{row}.wav" for row in range(len(pairs))],
            "emotion": names,
            "speaker": [
                f"{where}-{number:03d}" for where, number in zip(corpus, numbers, strict=True)
            ],
            "corpus": corpus,
            "sex": [sexes[number % len(sexes)] for number in numbers],
            "duration_s": generator.uniform(2, 4, len(pairs)),
            "speech_s": generator.uniform(1, 2, len(pairs)),
            "pitch_low_hz": pitch * 0.9,
            "pitch_hz": pitch,
            "pitch_high_hz": pitch * 1.1,
            "pace": generator.uniform(2, 6, len(pairs)),
            "level_db": generator.uniform(-50, -20, len(pairs)),
        }
    )
    features = generator.standard_normal((len(pairs), len(FUNCTIONALS))).astype(np.float32)
    return Examined(recordings, features, recordings[:0])


def texts_of(figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(plt.Text) if text.get_visible()}


def overlaps(figure) -> list[str]:
    """List the pairs of level or upright labels and titles that cover each other."""
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in (*ticks_of(axes), *labels_of(axes))]
    shown = [text for text in texts if text.get_text() and text.get_rotation() in (0, 90)]
    boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in shown]
    return [
        f"{first} / {second}"
        for (first, one), (second, other) in combinations(boxes, 2)
        if one.overlaps(other)
    ]


def ticks_of(axes):
    """Give the labels of ticks that are drawn; others lie beyond the limits, or are shared."""
    for number, axis in enumerate((axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for text in axis.get_ticklabels():
            if text.get_visible() and low <= text.get_position()[number] <= high:
                yield text


def labels_of(axes):
    return (text for text in (axes.title, axes.xaxis.label, axes.yaxis.label) if text.get_visible())


@pytest.fixture(scope="module")
def large():
    sexes, corpora = ("female", "male", "unknown"), ("ravdess", "cremad", "savee", "emodb")
    return make_examined(speakers=20, emotions=NAMES, corpora=corpora, sexes=sexes)


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_labels_of_a_large_corpus_do_not_overlap(plot, large):
    plt.close("all")  # what other tests have left open
    figure = plot(large)
    assert overlaps(figure) == []
    assert plt.get_fignums() == []


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_one_speaker_of_unknown_sex_is_drawn(plot):
    figure = plot(make_examined(speakers=1, emotions=["neutral", "angry"]))
    assert overlaps(figure) == []
    assert "unknown" not in texts_of(figure)


@pytest.mark.parametrize("name", ["speakers by emotion", "speakers"])
def test_of_a_hundred_speakers_only_some_are_named(name):
    figure = PLOTS[name](make_examined(speakers=100, emotions=["neutral", "sad"]))
    assert overlaps(figure) == []
    assert 30 < len([text for text in texts_of(figure) if text.startswith("x-")]) <= 40


@pytest.mark.filterwarnings("ignore:no speaker has neutral")
def test_the_panels_of_shifts_stay_empty_where_nobody_is_neutral():
    figure = PLOTS["shifts"](make_examined(speakers=2, emotions=["angry", "sad"], sexes=("male",)))
    figure.draw_without_rendering()
    assert overlaps(figure) == [] and not figure.legends
    assert "pitch, semitones from own neutral" in texts_of(figure)


def test_what_a_speaker_lacks_stands_out():
    recordings = make_examined(speakers=3, emotions=["neutral", "sad"]).recordings
    lacking = (recordings["speaker"] == "x-001") & (recordings["emotion"] == "sad")
    figure = plot_speakers_by_emotion(recordings[~lacking])
    image = figure.axes[0].images[0]
    red, *others = image.to_rgba(image.get_array())[[1, 0, 2, 1], [1, 1, 1, 0], :3]
    assert red[0] > 2 * red[2]
    assert all(color[2] > color[0] for color in others)
    assert [text.get_text() for text in figure.axes[0].texts] == [*"2220", *"22"]


def test_the_balance_has_a_bar_for_each_sex_and_corpus():
    examined = make_examined(
        speakers=4, emotions=["calm", "sad"], corpora=("a", "b"), sexes=("female", "male")
    )
    figure = plot_balance(examined.recordings)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [[bar.get_width() for bar in axes.patches] for axes in figure.axes] == [[4, 4]] * 2
    assert {"female", "male"} <= texts_of(figure)
