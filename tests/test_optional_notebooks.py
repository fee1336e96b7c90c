"""Notebooks 10 to 12 run on the sample corpus and a few calls."""

import json
import re

import pytest
from conftest import snapshot, write_archive

from helpers.clusters.naming import COLUMNS
from helpers.conversion import convert_recordings
from helpers.dataset import build_dataset
from helpers.files import read_csv
from helpers.records import build_records
from helpers.runner import FAILED, main
from helpers.workspace import Workspace
from helpers.zoo.store import list_zoo_models
from helpers.zoo.verify import verify_models


def run(command: str, workspace: Workspace, *arguments: str) -> str:
    """Run a notebook and give its page as text."""
    assert main([command, "--workspace", str(workspace.folder), *arguments]) == 0
    (notebook,) = workspace.reports.glob("1?_*.ipynb")
    for cell in json.loads(notebook.read_text())["cells"]:
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output.get("text")
    return notebook.with_suffix(".html").read_text()


def test_notebook_10_shows_what_is_in_a_corpus_and_writes_nothing_else(trained, capsys):
    before = snapshot(trained)
    page = run("explore", trained)
    path = trained.reports / "10_explore_a_corpus.html"
    assert f"{path}\n" in capsys.readouterr().out
    after = snapshot(trained)
    assert {path: after[path] for path in before} == before
    assert page.count("Figure size") >= 6 and "semitones" in page


def test_notebook_11_compares_keeps_and_verifies_models(trained):
    page = run("models", trained)
    kept = list_zoo_models(trained)
    assert kept["model"].tolist() == ["logistic regression"]
    assert (verify_models(trained)["error"] == "").all()
    shown = ("chosen inside the fold", "<th>not upset</th>", "drawn lines", kept["version"].iloc[0])
    assert [text for text in shown if text not in page] == []


@pytest.fixture
def described(workspace, tmp_path):
    """Give a workspace with twelve calls, converted and described."""
    convert_recordings(write_archive(tmp_path / "archive", customers=4), workspace)
    build_records(workspace)
    build_dataset(workspace)
    return workspace


def test_notebook_12_groups_calls_and_lends_no_name_where_people_gave_a_status(described):
    before = snapshot(described)
    page = run("clusters", described)
    names = read_csv(described.cluster_names, COLUMNS)
    assert len(names) >= 2 and set(names["name"]) == {""}
    assert "0 calls have a status from their cluster now" in page
    assert re.search(r"[A-Z]-[0-9a-f]{6}", page)
    after = snapshot(described)
    assert {path for path in before if after[path] != before[path]} == set()


@pytest.mark.parametrize("command", ["explore", "models"])
def test_a_folder_without_a_corpus_stops_with_a_sentence(command, workspace, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    arguments = ["--workspace", str(workspace.folder), "--corpus", str(tmp_path / "empty")]
    assert main([command, *arguments]) == FAILED
    assert "Expected unpacked corpora" in capsys.readouterr().err
