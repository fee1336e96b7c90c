import shutil
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import write_voices

from helpers.corpora import load_corpus
from helpers.emotion import fit_heard
from helpers.fold_models import FoldModels
from helpers.hearing import CLEAN, LINES, hear_corpus

NO_TORCH = "PyTorch is not installed: pip install -r requirements-network.txt"


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    return load_corpus(write_voices(tmp_path_factory.mktemp("data") / "x", speakers=3, takes=1))


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    torch.set_num_threads(1)
    return torch


def make_models(table: pd.DataFrame, folder: Path, **options) -> FoldModels:
    with joblib.parallel_config("sequential"):
        return FoldModels(table, folder=folder, **options)


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.npz")}


def weights(model) -> np.ndarray:
    return model.networks[0].arrays()["alone.weight"]


def test_a_corpus_is_heard_once_and_numbered_from_0(table, tmp_path):
    shuffled = table.iloc[[8, 0, 4, 2, 6]]
    models = make_models(shuffled, tmp_path)
    assert models.table["path"].tolist() == shuffled["path"].tolist()
    assert list(models.table.index) == list(range(5))
    assert models.labels.tolist() == shuffled["emotion"].tolist()
    assert models.groups.tolist() == shuffled["speaker"].tolist()
    with joblib.parallel_config("sequential"):
        heard = hear_corpus(shuffled["path"].tolist())
    assert list(models.heard) == list(LINES)
    for line in LINES:
        np.testing.assert_array_equal(models.heard[line].features, heard[line].features)


def test_speakers_with_the_same_recording_are_one_group(table, tmp_path):
    signal, sampling_rate = soundfile.read(table["path"][4])
    soundfile.write(tmp_path / "louder.wav", 1.5 * signal, sampling_rate, subtype="FLOAT")
    copy = {**table.iloc[0], "path": str(tmp_path / "louder.wav"), "speaker": "y-01"}
    models = make_models(pd.concat([table, pd.DataFrame([copy])]), tmp_path)
    assert models.groups.tolist() == [*table["speaker"], "x-02"]
    assert models.table["speaker"].tolist() == [*table["speaker"], "y-01"]


def test_light_models_are_kept_nowhere(table, tmp_path):
    models, rows = make_models(table, tmp_path / "none"), np.arange(6)
    model = models.fit(rows)
    heard = {line: heard.take(rows) for line, heard in models.heard.items()}
    expected = fit_heard(table.iloc[rows], heard, networks=0)
    assert model.networks == ()
    np.testing.assert_array_equal(model.alone.weights, expected.alone.weights)
    assert not (tmp_path / "none").exists()
    assert list(models.list_trainings()) == ["utterances", "seconds"]
    assert models.list_trainings().empty


def test_a_model_has_its_networks_and_the_light_part_beside_them(table, tmp_path, torch):
    models, rows = make_models(table, tmp_path, networks=2, epochs=1), np.arange(9)
    model, light = models.fit(rows), models.fit(rows, networks=0)
    assert (len(model.networks), len(light.networks), len(kept(tmp_path))) == (2, 0, 2)
    assert models.list_trainings()["utterances"].tolist() == [9, 9]
    np.testing.assert_array_equal(model.alone.weights, light.alone.weights)
    for network, seed in zip(model.networks, (0, 1), strict=True):
        heard = models.heard
        alone = fit_heard(table, heard, networks=1, epochs=1, seed=seed).networks[0]
        found = network.predict_proba(network.embed(heard[CLEAN].spectra))
        expected = alone.predict_proba(alone.embed(heard[CLEAN].spectra))
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_kept_network_is_used_again_and_not_trained(table, tmp_path, torch):
    options, rows = {"networks": 1, "epochs": 1}, np.arange(9)
    first = make_models(table, tmp_path / "a", **options).fit(rows)
    other = make_models(table, tmp_path / "b", **options, seed=1).fit(rows)
    (name,), (other_name,) = kept(tmp_path / "a"), kept(tmp_path / "b")
    shutil.copy(tmp_path / "b" / other_name, tmp_path / "a" / name)  # tells what is read
    again = make_models(table, tmp_path / "a", **options)
    np.testing.assert_array_equal(weights(again.fit(rows)), weights(other))
    assert (weights(first) != weights(other)).any()
    assert kept(tmp_path / "a") == {name}
    assert len(again.list_trainings()) == 1


def test_another_training_is_another_network(table, tmp_path, torch):
    models = make_models(table, tmp_path, networks=1, epochs=1)
    rows, names = np.arange(6), set()
    for number, (options, chosen) in enumerate(
        [
            ({}, rows),
            ({}, np.arange(9)),
            ({}, np.arange(3, 9)),
            ({"seed": 1}, rows),
            ({"epochs": 2}, rows),
            ({"table": table.assign(speaker="x-01")}, rows),
            ({"table": table.assign(emotion=table["emotion"].to_numpy()[::-1])}, rows),
            ({"heard": {**models.heard, CLEAN: models.heard[list(LINES)[2]]}}, rows),
        ]
    ):
        changed = make_copy(models, **options)
        changed.fit(chosen)
        names |= kept(tmp_path)
        assert len(names) == len(kept(tmp_path)) == number + 1
        changed.fit(chosen)
        assert kept(tmp_path) == names


def make_copy(models: FoldModels, **changes) -> FoldModels:
    """Copy models with some attributes changed, without hearing the corpus again."""
    copy = object.__new__(FoldModels)
    copy.__dict__ = {**models.__dict__, **changes}
    return copy
