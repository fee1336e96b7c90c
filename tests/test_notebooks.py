"""Every notebook is well made, and all of them run on the sample calls."""

import contextlib
import html
import io
import itertools
import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import snapshot

from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.story import read_stories
from helpers.dataset import find_feature_set
from helpers.features import PHONE
from helpers.prediction import predict_calls
from helpers.runner import FAILED, NOTEBOOKS, main
from helpers.statuses import STATUSES, parse_status
from helpers.workspace import PROJECT_FOLDER, Workspace

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
REPOSITORY = tomllib.loads((PROJECT_FOLDER / "pyproject.toml").read_text())["project"]["urls"][
    "Repository"
]
MAX_LINES = 15


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


class Demo(NamedTuple):
    workspace: Workspace
    printed: str


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory) -> Demo:
    """Run all six notebooks once."""
    folder = tmp_path_factory.mktemp("demo") / "workspace"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["demo", "--workspace", str(folder)]) == 0
    return Demo(Workspace(folder), printed.getvalue())


@pytest.fixture(scope="module")
def demo(demo_run) -> Workspace:
    return demo_run.workspace


def test_the_six_notebooks_are_there():
    assert [path.name[:2] for path in PATHS][:6] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
class TestForm:
    def test_is_valid(self, path):
        nbformat.validate(read(path))

    def test_is_stripped(self, path):
        assert [cell.outputs for cell in code_cells(path) if cell.outputs] == []
        assert {cell.execution_count for cell in code_cells(path)} == {None}

    def test_begins_with_a_title_and_the_badge_of_its_own_path(self, path):
        first = read(path).cells[0].source
        number = int(path.name[:2])
        target = REPOSITORY.removeprefix("https://") + f"/blob/main/notebooks/{path.name}"
        target = target.replace("github.com/", "github/", 1)
        assert first.startswith(f"# {number} · ")
        assert f"](https://colab.research.google.com/{target})" in first
        assert "**In:**" in first
        assert "**Out:**" in first

    def test_has_one_guarded_set_up_cell_which_is_the_same_everywhere(self, path):
        cells = [cell.source for cell in code_cells(path) if "google.colab" in cell.source]
        assert cells == [code_cells(PATHS[0])[0].source]
        assert f'"{REPOSITORY}"' in cells[0]

    def test_has_one_parameters_cell_of_plain_literals(self, path):
        cells = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
        assert len(cells) == 1
        for line in cells[0].source.splitlines():
            assert re.fullmatch(r'[A-Z_]+ = (".*"|[\d.]+|True|False)  # .+', line), line

    def test_has_short_cells_after_a_sentence(self, path):
        lines = [len(cell.source.splitlines()) for cell in code_cells(path)]
        assert max(lines) <= MAX_LINES
        kinds = [cell.cell_type for cell in read(path).cells]
        assert ("code", "code") not in set(itertools.pairwise(kinds))

    def test_ends_with_what_we_have_now(self, path):
        assert read(path).cells[-1].source.startswith("## What we have now")

    def test_links_only_to_notebooks_that_exist(self, path):
        text = "".join(cell.source for cell in read(path).cells)
        for name in re.findall(r"\]\(([^)]+\.ipynb)\)", text):
            assert name.startswith("https://") or (NOTEBOOKS / name).is_file(), name


def test_the_readme_links_to_the_repository_and_to_notebooks_that_exist():
    readme = (PROJECT_FOLDER / "README.md").read_text()
    owner = REPOSITORY.removeprefix("https://github.com/")
    for address in re.findall(r"colab\.research\.google\.com/github/(\S+?)\)", readme):
        assert address.startswith(f"{owner}/blob/main/notebooks/")
    for name in re.findall(r"\]\((?!https|#)([^)]+)\)|/blob/main/(notebooks/[^)\s]+)\)", readme):
        assert (PROJECT_FOLDER / "".join(name)).is_file(), name


def test_the_demo_writes_every_file_that_people_expect(demo):
    for name in (
        "CallRecords.csv",
        "rejected_files.csv",
        "segments_info.pkl",
        "feature_data.npy",
        "feature_labels.npy",
        "features.pkl",
        "emotion_model.joblib",
        "scaler.joblib",
        "feature_data_updated.npy",
        "feature_labels_updated.npy",
        "emotion_model_epic_retrained.joblib",
        "scaler_epic_retrained.joblib",
        "predictions.csv",
    ):
        assert (demo.folder / name).is_file(), name


def test_the_demo_uses_all_sample_calls_and_asks_a_person_about_the_wrong_answers(demo):
    records = pd.read_csv(demo.records)
    assert records["source"].value_counts().to_dict() == {"archive": 24, "form": 8}
    assert np.load(demo.feature_data).shape == (48, len(PHONE.names))
    predictions = pd.read_csv(demo.predictions)
    learned = predictions["retrained"].sum()
    assert np.load(demo.feature_data_updated).shape == (48 + learned, len(PHONE.names))
    assert set(predictions["end_status"]) <= set(STATUSES)
    plan = pd.read_csv(PROJECT_FOLDER / "sample_data" / "form_plan.csv")
    wrong = {Path(row.file_name).stem for row in plan.itertuples() if is_wrong(row)}
    reviewed = pd.read_csv(demo.review_list)["path"]
    assert {Path(path).stem.rsplit("_", 1)[0] for path in reviewed} == wrong


def is_wrong(row) -> bool:
    return isinstance(row.sounds, str) and parse_status(row.answer) != row.sounds


def test_the_review_notebook_shows_versions_and_what_to_decide_and_changes_nothing(demo):
    before = snapshot(demo)
    assert main(["review", "--workspace", str(demo.folder)]) == 0
    after = snapshot(demo)
    added = [path for path in after if path not in before]
    assert {path: after[path] for path in before} == before
    assert all(path.startswith("features/") for path in added), added
    page = (demo.reports / "07_review_and_versions.html").read_text()
    shown = ("Model card: version 0001-", "likely wrong label", "labelled calls", "judges calls")
    assert [text for text in shown if text not in page] == []


def test_the_demo_lists_the_broken_upload_with_its_reason(demo):
    rejected = pd.read_csv(demo.rejected_files).set_index("step")
    assert rejected.loc["05 form", "reason"] == "text, not sound"


def test_the_demo_prints_its_summary_and_the_report(demo_run):
    demo, printed = demo_run
    for line in (
        r"calls used +32 \(11 satisfied, 10 average, 11 unsatisfied\)",
        r"files rejected +\d+, see rejected_files.csv",
        r"score on unseen customers +UAR [01]\.\d\d \(95 % interval",
        r"verdict differs from the answer +\d of 8",
        r"for a person to listen to +2 likely wrong label",
        r"retrained +no: no mismatch was an error of the model",
        r"model that judges +0001-[0-9a-f]{8}; golden set of 6 calls",
        rf"report +{re.escape(str(demo.reports / 'index.html'))}",
    ):
        assert re.search(line, printed), line
    page = (demo.reports / "index.html").read_text()
    assert 'href="06_predict_and_retrain.html"' in page


def test_the_readme_shows_what_the_demo_prints(demo_run):
    readme = (PROJECT_FOLDER / "README.md").read_text()
    for what in ("calls used", "files rejected", "calls from the form"):
        line = next(line for line in demo_run.printed.splitlines() if line.startswith(what))
        assert f"\n{line}\n" in readme


def test_the_pages_load_nothing_from_elsewhere_and_link_each_other(demo):
    for page in demo.reports.glob("*.html"):
        text = page.read_text()
        assert re.findall(r'(?:src|data-src)="(https?:[^"]+)', text) == [], page.name
        assert re.findall(r'href="\d\d_\w+\.ipynb"', text) == [], page.name


@pytest.fixture(scope="module")
def with_emotions(demo, tmp_path_factory):
    """Run notebook 9 on a copy of the demo's workspace, then 1 to 4 again."""
    folder = tmp_path_factory.mktemp("emotions") / "workspace"
    shutil.copytree(demo.folder, folder)
    assert main(["emotions", "--workspace", str(folder)]) == 0
    assert main(["train", "--workspace", str(folder), "--listen-to", "both"]) == 0
    return Workspace(folder)


def test_notebook_9_shows_scores_and_a_cold_start_with_its_banner(with_emotions):
    text = (with_emotions.reports / "09_voice_emotions.ipynb").read_text()
    for shown in ("180 means + perceptron", "own baseline", "cold start", "upset"):
        assert shown in text, shown


def test_calls_are_described_by_emotions_after_notebook_9(with_emotions):
    names = find_feature_set(with_emotions).names
    assert names[: len(PHONE.names)] == PHONE.names
    assert "emotion_angry_strongest_mean" in names
    assert np.load(with_emotions.feature_data).shape == (48, len(names))
    records = pd.read_csv(with_emotions.records)
    form = [with_emotions.folder / path for path in records["path"][records["source"] == "form"]]
    assert set(predict_calls(form, workspace=with_emotions)["error"]) == {""}


@pytest.fixture(scope="module")
def with_stories(demo, tmp_path_factory):
    """Run notebook 8 on four calls of a copy of the demo's workspace."""
    folder = tmp_path_factory.mktemp("stories") / "workspace"
    shutil.copytree(demo.folder, folder)
    calls = tmp_path_factory.mktemp("four")
    for path in sorted((folder / "dataset" / "unsatisfied_calls").rglob("*.wav"))[:4]:
        shutil.copy(path, calls)
    assert main(["story", "--workspace", str(folder), "--calls", str(calls)]) == 0
    return Workspace(folder)


def test_notebook_8_tells_each_call_with_the_model_of_calls(with_stories):
    stories = read_stories(with_stories)
    assert stories["error"].tolist() == [""] * 4
    assert (stories["status"] == "unsatisfied").mean() > 0.5
    assert set(stories["agent"]) == {"agent_01", "agent_02", "agent_03"}
    pages = sorted(page.name.split("-")[0] for page in with_stories.stories.iterdir())
    assert pages == ["agent"] * 3 + ["call"] * 4 + ["index.html"]
    page = (with_stories.reports / "08_conversation.html").read_text()
    assert "The mood is heard by the model of calls" in page
    assert "learned from acted speech alone" not in page
    links = re.findall(r'href="(\.\./stories/[^"]+)"', page)
    assert len(links) == 5
    assert all((with_stories.reports / link).is_file() for link in links)


def test_notebook_8_hears_emotions_after_notebook_9_and_says_that_they_were_acted(
    with_emotions, tmp_path, capsys
):
    for path in sorted(with_emotions.audio_data.glob("*.wav"))[:2]:
        shutil.copy(path, tmp_path)
    (tmp_path / "a letter.wav").write_text("no call")
    arguments = ["story", "--workspace", str(with_emotions.folder), "--calls", str(tmp_path)]
    assert main(arguments) == 0
    assert read_stories(with_emotions)["error"].tolist() == ["text, not sound", "", ""]
    page = (with_emotions.reports / "08_conversation.html").read_text()
    assert "The mood is heard by the model of acted emotions" in page
    assert html.escape(ACTED_BANNER) in page
    assert re.search(rf"stories +{re.escape(str(with_emotions.stories))}", capsys.readouterr().out)


def test_notebook_8_without_any_recording_says_what_to_run(tmp_path, capsys):
    assert main(["story", "--workspace", str(tmp_path)]) == FAILED
    message = capsys.readouterr().err
    assert "08_conversation.ipynb stopped: this workspace holds no recording" in message


def test_a_second_loop_with_nothing_new_changes_no_file(demo):
    before = snapshot(demo)
    assert main(["loop", "--workspace", str(demo.folder)]) == 1  # one upload is quarantined
    assert snapshot(demo) == before


def test_a_notebook_that_fails_says_which_one_and_why(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    arguments = ["train", "--workspace", str(tmp_path / "w"), "--data", str(tmp_path / "empty")]
    assert main(arguments) == FAILED
    message = capsys.readouterr().err
    assert "01_setup_and_conversion.ipynb stopped" in message
    assert "set DATA to the folder that holds the zips" in message


def test_executed_notebooks_show_no_warning_and_no_error(with_stories):
    paths = sorted(with_stories.reports.glob("*.ipynb"))
    assert [path.name[:2] for path in paths[:6]] == ["01", "02", "03", "04", "05", "06"]
    for path in paths:
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell.get("outputs", []):
                assert output["output_type"] != "error", path.name
                assert output.get("name") != "stderr", (path.name, output.get("text"))
