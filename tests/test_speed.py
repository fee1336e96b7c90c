import sys
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import write_call, write_voices

from helpers import speed
from helpers.corpora import load_corpus
from helpers.emotion import EmotionModel, fit_emotion_model
from helpers.emotion_store import save_emotion_model
from helpers.speed import EARLIER_RECIPE, time_features, time_model


@pytest.fixture
def recordings(tmp_path) -> list[Path]:
    return [write_call(tmp_path / f"{seed}.wav", 2, seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> EmotionModel:
    corpus = load_corpus(write_voices(tmp_path_factory.mktemp("x"), speakers=2, takes=1))
    with joblib.parallel_config("sequential"):
        return fit_emotion_model(corpus, networks=0)


@pytest.mark.parametrize("opensmile", [True, False])
def test_every_way_to_describe_a_call_is_timed(recordings, monkeypatch, opensmile):
    if opensmile and not find_spec("opensmile"):
        pytest.skip("openSMILE is not installed: pip install opensmile")
    if not opensmile:
        monkeypatch.setitem(sys.modules, "opensmile", None)
    monkeypatch.setattr(speed, "CALL_S", 50.0)
    monkeypatch.setattr(speed, "ROUNDS", 1)
    table = time_features(recordings)
    assert list(table) == ["what", "ms", "times as fast"]
    expected = [EARLIER_RECIPE, "180 means", "phone features", "openSMILE eGeMAPS"]
    assert table["what"].tolist() == expected[: 4 if opensmile else 3]
    assert (table["ms"] > 0).all()
    assert table["times as fast"][0] == 1
    expected = table["ms"][0] / table["ms"]
    np.testing.assert_allclose(table["times as fast"], expected, rtol=0.05, atol=0.06)


def test_the_light_model_and_the_whole_one_are_timed(model, recordings, tmp_path):
    table = time_model(model, recordings)
    columns = ["model", "judged, ms", "read, described and judged, ms", "MB"]
    assert list(table) == columns
    assert table["model"].tolist() == ["light", "whole"]
    assert (table[columns[2]] > 0).all()
    save_emotion_model(tmp_path / "model.npz", model)
    size = (tmp_path / "model.npz").stat().st_size / 1e6
    assert table["MB"].tolist() == pytest.approx([size, size], abs=0.01)
