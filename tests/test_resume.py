"""A run that is killed and started again ends with the files of one that was not."""

import os
import signal
from pathlib import Path

import pytest
from conftest import snapshot, train, write_archive, write_form

from forms_ingest.ingest import ingest_responses
from forms_ingest.offline_form import OfflineForm
from helpers.retraining import learn_from_form
from helpers.workspace import Workspace, open_workspace

ANSWERS = {
    "call_1.wav": ("satisfied", "Satisfied"),
    "call_2.wav": ("average", "Not satisfied"),
    "call_3.wav": ("satisfied", "Average"),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_archive(folder / "archive", customers=2)
    write_form(folder / "form", ANSWERS)
    (folder / "archive" / "notes.txt").write_text("not a recording")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(inputs, tmp_path_factory) -> dict[str, str]:
    return contents(run(inputs, tmp_path_factory.mktemp("whole") / "workspace"))


def run(inputs: Path, folder: Path) -> Workspace:
    """Do what notebooks 01 to 06 do."""
    workspace = open_workspace(folder)
    train(workspace, inputs / "archive")
    ingest_responses(OfflineForm(inputs / "form"), workspace)
    learn_from_form(workspace)
    return workspace


def contents(workspace: Workspace) -> dict[str, str]:
    return {path: content for path, (content, _) in snapshot(workspace).items()}


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


@pytest.mark.parametrize("at_write", [1, 4, 9, 13, 19, 22, 26, 30, 33, 36])
def test_a_killed_run_ends_with_the_same_files(inputs, uninterrupted, tmp_path, at_write):
    folder = tmp_path / "workspace"
    assert run_and_kill(inputs, folder, at_write=at_write, after=bool(at_write % 2))
    assert contents(open_workspace(folder)) != uninterrupted
    assert contents(run(inputs, folder)) == uninterrupted


def test_a_run_that_is_killed_again_and_again_gets_through(inputs, uninterrupted, tmp_path):
    folder = tmp_path / "workspace"
    deaths = 0
    while run_and_kill(inputs, folder, at_write=9, after=False):
        deaths += 1
        assert deaths < 30
    assert deaths > 2
    assert contents(open_workspace(folder)) == uninterrupted
