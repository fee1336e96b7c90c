"""The notebooks' Colab branch, with a stand-in for Colab's own package, disk and Drive."""

import importlib.metadata
import re
import shutil
import subprocess
from pathlib import Path

import papermill
import pytest
from packaging.requirements import Requirement

from helpers.colab import KEPT_PACKAGES, home_folder, install_requirements
from helpers.runner import NOTEBOOKS
from helpers.workspace import PROJECT_FOLDER

STAND_IN = """
from pathlib import Path

def mount(mountpoint):
    assert Path(mountpoint).parent == Path.cwd(), mountpoint
    Path(mountpoint, "MyDrive").mkdir(parents=True, exist_ok=True)
"""


@pytest.fixture
def content(tmp_path, monkeypatch):
    """A runtime: `content` is its disk, `google.colab` can be imported, git serves the code."""
    package = tmp_path / "packages" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "drive.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv("CALL_EMOTION_CODE", f"file://{publish(tmp_path / 'published')}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


def publish(target: Path) -> Path:
    """Commit the present state of the project to a repository that can be cloned."""
    listing = ["git", "-C", str(PROJECT_FOLDER), "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (PROJECT_FOLDER / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT_FOLDER / name, target / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "test"]):
        subprocess.run(["git", "-C", str(target), *identity, *command], check=True)
    return target


def run_all(content: Path) -> None:
    for notebook in sorted(NOTEBOOKS.glob("0[1-6]_*.ipynb")):
        papermill.execute_notebook(
            str(notebook), None, cwd=str(content), progress_bar=False, log_output=False
        )


def colab_versions() -> dict[str, str]:
    lines = (PROJECT_FOLDER / "constraints-colab.txt").read_text().splitlines()
    return dict(line.casefold().split("==") for line in lines if "==" in line)


def has_colab_versions() -> bool:
    names = ("numpy", "pandas", "scikit-learn")
    return all(importlib.metadata.version(name) == colab_versions()[name] for name in names)


@pytest.mark.skipif(not has_colab_versions(), reason="with Colab's versions: make test-colab")
def test_the_notebooks_run_in_colab_and_on_a_fresh_runtime_with_only_the_drive_kept(content):
    versions = {name: importlib.metadata.version(name) for name in KEPT_PACKAGES}
    run_all(content)
    workspace = content / "drive" / "MyDrive" / "call-emotion" / "workspace_demo"
    assert (workspace / "emotion_model_epic_retrained.joblib").is_file()
    first = {path: path.stat().st_mtime_ns for path in files(workspace)}

    shutil.rmtree(content / "call-emotion")
    assert [path.name for path in content.iterdir()] == ["drive"]
    run_all(content)
    assert {path: path.stat().st_mtime_ns for path in files(workspace)} == first
    assert {name: importlib.metadata.version(name) for name in KEPT_PACKAGES} == versions


def files(workspace: Path) -> list[Path]:
    return [
        path
        for path in sorted(workspace.rglob("*"))
        if path.is_file() and "reports" not in path.parts and path.suffix != ".lock"
    ]


def requirements() -> list[Requirement]:
    lines = (PROJECT_FOLDER / "requirements.txt").read_text().splitlines()
    return [Requirement(re.sub(r"\s+#.*", "", line)) for line in lines if line and line[0] != "#"]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_what_colab_brings_satisfies_the_requirements(requirement):
    if requirement.name == "papermill":
        assert requirement.name not in colab_versions()  # the one package the set-up adds
    else:
        assert requirement.specifier.contains(colab_versions()[requirement.name.casefold()])


def test_installing_fails_rather_than_replace_what_colab_brings(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    before = importlib.metadata.version("numpy")
    wish = tmp_path / "requirements.txt"
    wish.write_text(f"numpy != {before}\n")
    with pytest.raises(subprocess.CalledProcessError):
        install_requirements(wish)
    assert importlib.metadata.version("numpy") == before


def test_outside_colab_paths_start_from_the_project():
    assert home_folder(default=PROJECT_FOLDER) == PROJECT_FOLDER
