import sys
from pathlib import Path

import joblib
import pandas as pd
import pytest
from conftest import PITCHES, write_call, write_voices

from helpers import speed
from helpers.benchmark import main
from helpers.hearing import LINES

LIGHT_TABLES = {
    f"{task}_light_{judged}_8_khz_mu_law_speakers_apart_{kind}.csv"
    for task in ("emotions", "upset")
    for judged in ("utterance_alone", "own_baseline")
    for kind in ("report", "confusion")
}
TABLES = LIGHT_TABLES | {
    *("emotions.csv", "upset.csv", "what_a_random_split_adds.csv"),
    *("speed_features_of_a_call_of_5_minutes.csv", "speed_one_recording_one_core.csv"),
}
CALL_TABLES = {"calls.csv", "calls_report.csv", "calls_confusion.csv"}


def write_calls(folder: Path) -> Path:
    rows = ["file,customer,agent"]
    for customer in (1, 2):
        for number, (status, pitch) in enumerate(PITCHES.items()):
            file = f"{status}/{customer}.wav"
            write_call(folder / file, 2, seed=10 * customer + number, pitch=pitch)
            rows.append(f"{file},{customer},3")
    (folder / "speakers.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the command on short calls, and give its exit code, what it printed and its errors."""

    def run_main(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(speed, "CALL_S", 5.0)
        monkeypatch.setattr(speed, "ROUNDS", 1)
        with joblib.parallel_config("sequential"):
            code = main([*map(str, arguments), "--results", str(tmp_path / "results")])
        return code, *capsys.readouterr()

    return run_main


def read_results(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.name: pd.read_csv(path) for path in (folder / "results").glob("*.csv")}


def test_a_corpus_and_calls_give_tables_on_the_screen_and_as_files(run, tmp_path):
    corpus = write_voices(tmp_path / "x", takes=1)
    code, printed, errors = run(corpus, "--calls", write_calls(tmp_path / "calls"))
    assert (code, errors) == (0, "")
    tables = read_results(tmp_path)
    assert set(tables) == TABLES | CALL_TABLES
    assert len(tables["emotions.csv"]) == len(tables["upset.csv"]) == 4 * len(LINES) + 4
    assert tables["calls.csv"]["random split (leaks)"].between(0, 1).all()
    assert len(tables["calls.csv"]) == 6
    for name in LIGHT_TABLES:
        if name.endswith("confusion.csv"):
            assert tables[name].select_dtypes("number").to_numpy().sum() == 18
    assert tables["calls_confusion.csv"].select_dtypes("number").to_numpy().sum() == 6
    assert tables["calls_report.csv"]["status"].tolist() == list(PITCHES)
    for title in (
        "emotions",
        "upset, light, own baseline, 8 kHz mu-law, speakers apart: report",
        "what a random split adds",
        "speed: one recording, one core",
        "calls: confusion",
    ):
        assert f"\n{title}\n" in printed
    assert "light, random (leaks): " in printed
    assert tables["emotions.csv"].to_string(index=False).splitlines()[0] in printed


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda folder: folder, "is not a folder. Expected unpacked corpora: ravdess"),
        (lambda folder: folder.mkdir() or folder, "none of the 0 files in "),
        (lambda folder: write_voices(folder, speakers=1), "too few "),
    ],
    ids=["missing", "empty", "one speaker"],
)
def test_a_corpus_that_cannot_be_used_is_named_in_a_sentence(run, tmp_path, prepare, sentence):
    code, _, errors = run(prepare(tmp_path / "x"))
    assert code == 1
    assert sentence in errors
    assert "Traceback" not in errors
    assert read_results(tmp_path) == {}


def test_calls_that_are_not_there_are_noticed_first(run, tmp_path):
    corpus = write_voices(tmp_path / "x", speakers=2, takes=1)
    code, _, errors = run(corpus, "--calls", tmp_path / "missing")
    assert code == 1
    assert errors.count("\n") == 1
    assert str(tmp_path / "missing") in errors
    assert set(read_results(tmp_path)) == set()


def test_without_pytorch_networks_are_refused_in_a_sentence(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "helpers.network", raising=False)
    corpus = write_voices(tmp_path / "x", speakers=2, takes=1)
    code, _, errors = run(corpus, "--networks", "1", "--epochs", "1")
    assert code == 1
    assert "pip install -r requirements-network.txt" in errors


@pytest.mark.parametrize("arguments", [[], ["x", "--networks", "many"], ["x", "--nonsense"]])
def test_a_wrong_command_line_is_explained(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: python -m helpers.benchmark" in capsys.readouterr().err
