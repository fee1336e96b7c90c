"""A run that is killed and started again ends with the files of one that was not."""

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import HIGH_AVERAGE, snapshot, train, write_archive, write_call, write_form

from forms_ingest.ingest import ingest_responses
from forms_ingest.offline_form import OfflineForm
from helpers.model_store import list_versions, load_version
from helpers.retraining import learn_from_form
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace, open_workspace

ANSWERS = {
    "call_1.wav": ("satisfied", "Satisfied"),
    "call_2.wav": ("average", "Not satisfied"),
    "call_3.wav": ("satisfied", "Average"),
    "call_4.wav": ("average", "Average"),
}
TIME = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\+00:00| UTC)")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_archive(folder / "archive")
    write_form(folder / "form", ANSWERS)
    write_call(folder / "form/uploads/call_4.wav", 46, seed=104, pitch=HIGH_AVERAGE - 4)
    (folder / "archive" / "notes.txt").write_text("not a recording")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(inputs, tmp_path_factory) -> dict[str, bytes]:
    workspace = run(inputs, tmp_path_factory.mktemp("whole") / "workspace")
    assert len(list_versions(workspace)) == 2  # one of notebook 04, one of notebook 06
    return contents(workspace)


def run(inputs: Path, folder: Path) -> Workspace:
    """Do what notebooks 01 to 06 do."""
    workspace = open_workspace(folder)
    train(workspace, inputs / "archive")
    ingest_responses(OfflineForm(inputs / "form"), workspace)
    learn_from_form(workspace)
    return workspace


def contents(workspace: Workspace) -> dict[str, bytes]:
    """Give every file without the times in it, and of files with a model what it answers."""
    files = {}
    for path in snapshot(workspace):
        content = TIME.sub(b"a time", (workspace.folder / path).read_bytes())
        for digest in digests_of_times(workspace.folder / path):
            content = content.replace(digest.encode(), b"a hash")
        files[path] = content.replace(b"notebook 04", b"feedback")  # whichever came to train it
    for path in workspace.models.glob("*/model.skops"):
        if path.with_name("card.json").is_file():
            answer = answers(load_version(workspace, path.parent.name))
            files[workspace.relative(path)] = answer
    for pair in filter(both_there, map(workspace.exports, ("", "_epic_retrained"))):
        classifier, scaler = map(joblib.load, pair)
        answer = answers(TrainedModel(scaler, classifier, "", frozenset()))
        files |= dict.fromkeys(map(workspace.relative, pair), answer)
    files.pop("models/exported.json", None)  # hashes of files that were written by two processes
    return files


def both_there(pair: tuple[Path, Path]) -> bool:
    return all(path.is_file() for path in pair)


def answers(model: TrainedModel) -> bytes:
    features = np.zeros((1, model.scaler.n_features_in_))
    return replace(model, temperature=1.0).predict_proba(features).tobytes()


def digests_of_times(path: Path) -> list[str]:
    """List the hashes of what holds times that are in a file of a version's folder."""
    card = path.with_name("card.json")
    if not card.is_file():
        return []
    content = json.loads(card.read_text())
    return [content["digest"], *content["sha256"].values()]


def run_and_kill(inputs: Path, folder: Path, *, at_write: int, after: bool) -> bool:
    """Run in a process of its own that dies as a file is put in place; whether it died."""
    process = os.fork()
    if process == 0:
        replace, writes = os.replace, 0

        def replace_or_die(source, target):
            nonlocal writes
            writes += 1
            if writes == at_write and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
            if writes == at_write:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace_or_die
        run(inputs, folder)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("at_write", [1, 13, 27, 30, 35, 47, 58, 63, 67])
def test_a_killed_run_ends_with_the_same_files(inputs, uninterrupted, tmp_path, at_write):
    folder = tmp_path / "workspace"
    assert run_and_kill(inputs, folder, at_write=at_write, after=bool(at_write % 2))
    assert contents(open_workspace(folder)) != uninterrupted
    assert contents(run(inputs, folder)) == uninterrupted


def test_a_run_that_is_killed_again_and_again_gets_through(inputs, uninterrupted, tmp_path):
    folder = tmp_path / "workspace"
    deaths = 0
    while run_and_kill(inputs, folder, at_write=12, after=False):
        deaths += 1
        assert deaths < 30
    assert deaths > 2
    assert contents(open_workspace(folder)) == uninterrupted
