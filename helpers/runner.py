"""Running the notebooks without a browser: `python -m helpers.runner demo`."""

import argparse
import json
import re
import shutil
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pandas as pd
import papermill
from filelock import FileLock, Timeout
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from papermill.exceptions import PapermillExecutionError

import forms_ingest.errors
import helpers.errors
from helpers.conversation.listening import BOTH, CUSTOMER_ALONE
from helpers.conversation.pages import INDEX
from helpers.errors import CallEmotionError
from helpers.files import write_bytes, write_json
from helpers.report import summarise, write_report
from helpers.workspace import PROJECT_FOLDER, SAMPLE_DATA, Workspace, open_workspace

NOTEBOOKS = PROJECT_FOLDER / "notebooks"
"""Where the notebooks are."""

PARTS = {
    "demo": ("01", "02", "03", "04", "05", "06"),
    "train": ("01", "02", "03", "04"),
    "loop": ("05", "06"),
    "review": ("07",),
    "story": ("08",),
    "emotions": ("09",),
    "explore": ("10",),
    "models": ("11",),
    "clusters": ("12",),
}
"""Notebooks of each command, by number."""

EXIT_CODES = {
    "AlreadyRunningError": 0,
    "RolesError": 2,
    "SettingsError": 2,
    "TableError": 2,
    "AuthenticationError": 3,
    "RetryLaterError": 1,
    "StopRunError": 1,
}
"""Exit code by the error that stopped a notebook."""

FAILED = 4
"""Exit code of everything else that stops a run."""


class NotebookError(CallEmotionError):
    """A notebook that stopped.

    Attributes:
        kind: name of the error that stopped it
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def run_notebooks(
    numbers: tuple[str, ...], workspace: Workspace, *, parameters: dict[str, object]
) -> list[Path]:
    """Execute notebooks and keep them, with outputs, in the workspace's reports.

    Args:
        numbers: which ones, such as `("05", "06")`
        workspace: becomes the parameter `WORKSPACE`
        parameters: values for the cell tagged `parameters`; a notebook gets those it has

    Returns:
        the executed notebooks' HTML pages

    Raises:
        NotebookError: with the notebook and its last error, where one fails
    """
    workspace.reports.mkdir(exist_ok=True)
    return [_run(find_notebook(number), workspace, parameters) for number in numbers]


def find_notebook(number: str) -> Path:
    """Find a notebook by its number."""
    return next(NOTEBOOKS.glob(f"{number}_*.ipynb"))


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands in `PARTS`.

    Returns:
        0 where all went well; for `loop` 1 where a response could not be used or is to be tried
        again; 2 where a setting or a permission is wrong, 3 where Google does not accept the
        credentials, `FAILED` for everything else that stops a notebook
    """
    options = _parse(arguments)
    folders = {"DATA": options.data, "FORM": options.form, "CORPUS": options.corpus}
    parameters = {name: str(_absolute(folder)) for name, folder in folders.items()}
    parameters |= {"NETWORKS": options.networks, "LISTEN_TO": options.listen_to}
    parameters |= {"CALLS": str(_absolute(options.calls)) if options.calls else ""}
    try:
        workspace = open_workspace(_absolute(options.workspace))
        with FileLock(workspace.run_lock, timeout=0):
            pages = run_notebooks(PARTS[options.command], workspace, parameters=parameters)
            if not workspace.records.is_file():
                print(f"\nno calls in this workspace yet; see {pages[-1]}")
                return 0
            summary, report = summarise(workspace), write_report(workspace)
            keep_copy(workspace, summary)
    except Timeout:
        print(f"another run is already working on {workspace.folder}; nothing was done")
        return 0
    except NotebookError as error:
        print(f"\n{error}", file=sys.stderr)
        return EXIT_CODES.get(error.kind, FAILED)
    except CallEmotionError as error:
        print(f"\n{error}", file=sys.stderr)
        return FAILED
    shown = {"page": pages[-1]} if len(pages) == 1 else {}
    _print_summary(summary, {**shown, "report": report, "stories": workspace.stories / INDEX})
    return int(options.command == "loop" and count_unused(workspace) > 0)


def keep_copy(workspace: Workspace, summary: pd.DataFrame) -> Path:
    """Keep this run's summary as JSON and its pages in a folder named by the time.

    Returns:
        the folder
    """
    now = datetime.now(UTC)
    folder = workspace.reports / "runs" / now.strftime("%Y-%m-%d_%H%M%S_%f")
    folder.mkdir(parents=True)
    for page in workspace.reports.glob("*.html"):
        shutil.copyfile(page, folder / page.name)
    lines = dict(summary.itertuples(index=False))
    counts = _read_form_run(workspace)
    write_json(folder / "summary.json", {"time": now.isoformat(), **lines, "form": counts})
    return folder


def count_unused(workspace: Workspace) -> int:
    """Count the responses of the last run that could not be used or are to be tried again."""
    counts = _read_form_run(workspace)
    return counts.get("quarantined", 0) + counts.get("to be retried", 0)


def _read_form_run(workspace: Workspace) -> dict[str, int]:
    return json.loads(workspace.form_run.read_text()) if workspace.form_run.is_file() else {}


def _print_summary(summary: pd.DataFrame, pages: dict[str, Path]) -> None:
    """Print the summary, and where the pages are that have been written so far."""
    width = summary["what"].str.len().max() + 2
    print()
    for line in summary.itertuples():
        print(f"{line.what:{width}}{line.result}")
    for name, page in pages.items():
        if page.is_file():
            print(f"{name:{width}}{page}")


def _run(notebook: Path, workspace: Workspace, parameters: dict[str, object]) -> Path:
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
        raise NotebookError(
            f"{notebook.name} stopped: {error.evalue}{_name_unknown(error.ename)}\n"
            f"What it had done is in {executed}",
            kind=error.ename,
        ) from error
    exporter = HTMLExporter(preprocessors=[CoalesceStreamsPreprocessor])  # progress bars: one line
    page, _ = exporter.from_notebook_node(nbformat.read(executed, as_version=4))
    write_bytes(executed.with_suffix(".html"), _self_contained(page).encode())
    return executed.with_suffix(".html")


def _self_contained(page: str) -> str:
    """Take out what a page would load from elsewhere, and link pages instead of notebooks."""
    page = re.sub(r'<script[^>]*\ssrc="https?:[^>]*>\s*</script>', "", page)
    page = re.sub(r'<a [^>]*><img [^>]*src="https?:[^>]*></a>', "", page)
    return re.sub(r'href="(\d\d_\w+)\.ipynb"', r'href="\1.html"', page)


def _name_unknown(kind: str) -> str:
    """Name a kind of error that has no sentence of ours."""
    ours = hasattr(helpers.errors, kind) or hasattr(forms_ingest.errors, kind)
    return "" if ours or kind in EXIT_CODES else f" ({kind})"


def _absolute(folder: str) -> Path:
    return Path(folder).expanduser().absolute()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.runner", description=__doc__)
    parser.add_argument("command", choices=PARTS)
    parser.add_argument("--workspace", required=True, help="folder for all results")
    parser.add_argument(
        "--data", default=str(SAMPLE_DATA / "recordings"), help="folder with zips of recordings"
    )
    parser.add_argument(
        "--form", default=str(SAMPLE_DATA / "form"), help="responses.csv and uploads"
    )
    parser.add_argument(
        "--corpus", default=str(SAMPLE_DATA / "voices"), help="folder with acted emotions"
    )
    parser.add_argument(
        "--calls", default="", help="folder with recordings whose stories are told, not zips"
    )
    parser.add_argument(
        "--listen-to", default=CUSTOMER_ALONE, choices=(CUSTOMER_ALONE, BOTH), help="whom to judge"
    )
    parser.add_argument("--networks", type=int, default=0, help="networks beside the light model")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="papermill")
    sys.exit(main())
