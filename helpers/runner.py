"""Running the notebooks without a browser: `python -m helpers.runner demo`."""

import argparse
import sys
import warnings
from pathlib import Path

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from helpers.errors import CallEmotionError
from helpers.files import write_bytes
from helpers.report import summarise, write_report
from helpers.workspace import PROJECT_FOLDER, Workspace, open_workspace

NOTEBOOKS = PROJECT_FOLDER / "notebooks"
"""Where the notebooks are."""

PARTS = {
    "demo": ("01", "02", "03", "04", "05", "06"),
    "train": ("01", "02", "03", "04"),
    "loop": ("05", "06"),
}
"""Notebooks of each command, by number."""


def run_notebooks(
    numbers: tuple[str, ...], workspace: Workspace, *, parameters: dict[str, str]
) -> list[Path]:
    """Execute notebooks and keep them, with outputs, in the workspace's reports.

    Args:
        numbers: which ones, such as `("05", "06")`
        workspace: becomes the parameter `WORKSPACE`
        parameters: values for the cell tagged `parameters`; a notebook gets those it has

    Returns:
        the executed notebooks' HTML pages

    Raises:
        CallEmotionError: with the notebook and its last error, where one fails
    """
    workspace.reports.mkdir(exist_ok=True)
    return [_run(find_notebook(number), workspace, parameters) for number in numbers]


def find_notebook(number: str) -> Path:
    """Find a notebook by its number."""
    return next(NOTEBOOKS.glob(f"{number}_*.ipynb"))


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands in `PARTS`; returns the exit code."""
    options = _parse(arguments)
    workspace = open_workspace(Path(options.workspace).absolute())
    folders = {"DATA": options.data, "FORM": options.form}
    parameters = {name: str(Path(folder).absolute()) for name, folder in folders.items()}
    try:
        run_notebooks(PARTS[options.command], workspace, parameters=parameters)
        summary, report = summarise(workspace), write_report(workspace)
    except CallEmotionError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    width = summary["what"].str.len().max() + 2
    print()
    for line in summary.itertuples():
        print(f"{line.what:{width}}{line.result}")
    print(f"{'report':{width}}{report}")
    return 0


def _run(notebook: Path, workspace: Workspace, parameters: dict[str, str]) -> Path:
    executed = workspace.reports / notebook.name
    known = papermill.inspect_notebook(str(notebook))
    values = {"WORKSPACE": str(workspace.folder), **parameters}
    print(f"{notebook.stem}", flush=True)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            parameters={name: value for name, value in values.items() if name in known},
            cwd=str(notebook.parent),
            extra_arguments=["--log-level=CRITICAL"],  # a notebook's own errors are in its cells
        )
    except PapermillExecutionError as error:
        raise CallEmotionError(
            f"{notebook.name} stopped: {error.evalue} ({error.ename}). What it had done is in "
            f"{executed}; run again to go on from there"
        ) from error
    page, _ = HTMLExporter().from_notebook_node(nbformat.read(executed, as_version=4))
    write_bytes(executed.with_suffix(".html"), page.encode())
    return executed.with_suffix(".html")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.runner", description=__doc__)
    parser.add_argument("command", choices=PARTS)
    parser.add_argument("--workspace", required=True, help="folder for all results")
    parser.add_argument("--data", default="sample_data", help="folder with zips of recordings")
    parser.add_argument("--form", default="sample_data/form", help="responses.csv and uploads")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="papermill")
    sys.exit(main())
