"""What differs in Google Colab: packages, and a folder on Drive that outlives the runtime."""

import importlib.metadata
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

DRIVE_HOME = Path("drive") / "MyDrive" / "call-emotion"
"""Where workspaces and recordings are looked for on Drive, below the folder of the runtime."""

KEPT_PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy")
"""Packages that Colab brings and that must stay at its versions."""


def set_up(project: Path | str) -> Path:
    """Prepare a Colab runtime: install what it lacks and mount Drive. Safe to repeat.

    Args:
        project: folder of the project's code

    Returns:
        the folder on Drive that relative paths in the notebooks' parameters start from

    Raises:
        CalledProcessError: where pip cannot satisfy the requirements without touching what Colab
            brings
    """
    from google.colab import drive

    project = Path(project).absolute()
    install_requirements(project / "requirements.txt")
    drive.mount(str(project.parent / "drive"))
    home = project.parent / DRIVE_HOME
    home.mkdir(parents=True, exist_ok=True)
    return home


def install_requirements(requirements: Path) -> None:
    """Install missing requirements; the preinstalled scientific packages keep their versions."""
    kept = [f"{name}=={importlib.metadata.version(name)}\n" for name in KEPT_PACKAGES]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.writelines(kept)
        constraints.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet"]
        command += ["--disable-pip-version-check", "--requirement", str(requirements)]
        subprocess.run([*command, "--constraint", constraints.name], check=True)


def home_folder(*, default: Path) -> Path:
    """Folder that relative paths start from.

    Args:
        default: the answer outside Colab

    Returns:
        in Colab `call-emotion` on the mounted Drive, elsewhere `default`
    """
    if find_spec("google") is None or find_spec("google.colab") is None:
        return default
    return Path(__file__).resolve().parents[2] / DRIVE_HOME
