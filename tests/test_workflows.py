"""The scheduled workflows, and the page that says how to connect a form."""

import re
from dataclasses import fields

import pytest
import yaml
from test_google_cases import CASES

from forms_ingest.settings import FILE_VARIABLE, GOOGLE, PREFIX, FormSettings, read_settings
from helpers.runner import EXIT_CODES, FAILED
from helpers.statuses import STATUSES
from helpers.workspace import PROJECT_FOLDER

WORKFLOWS = PROJECT_FOLDER / ".github" / "workflows"
INGEST = WORKFLOWS / "ingest.yml"
GUIDE = PROJECT_FOLDER / "forms_ingest" / "README.md"
SIMPLE = [item.name for item in fields(FormSettings) if item.name not in ("titles", "statuses")]
VARIABLES = {PREFIX + name.upper() for name in SIMPLE} | {FILE_VARIABLE}


def read_workflow(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in workflow.items()}  # YAML 1.1


def find_step(beginning):
    steps = read_workflow(INGEST)["jobs"]["ingest"]["steps"]
    return next(
        step for step in steps if (step.get("uses") or step.get("run", "")).startswith(beginning)
    )


def variables_in(text):
    return set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", text))


@pytest.mark.parametrize("path", sorted(WORKFLOWS.iterdir()), ids=lambda path: path.name)
class TestEveryWorkflow:
    def test_is_valid(self, path):
        workflow = read_workflow(path)
        assert {"name", "on", "permissions", "jobs"} <= set(workflow)
        for job in workflow["jobs"].values():
            assert all(("uses" in step) != ("run" in step) for step in job["steps"])

    def test_may_not_write_to_the_repository(self, path):
        assert read_workflow(path)["permissions"]["contents"] == "read"

    def test_pins_every_action_by_its_major_version(self, path):
        for job in read_workflow(path)["jobs"].values():
            for action in (step["uses"] for step in job["steps"] if "uses" in step):
                assert re.fullmatch(r"[\w-]+/[\w/-]+@v\d+", action), action

    def test_holds_no_secret(self, path):
        text = path.read_text(encoding="utf-8")
        for form in (
            r"secrets\.",
            r"-----BEGIN",
            r"private_key|client_secret|credentials_json|refresh_token",
            r"AIza[\w-]{10}|ya29\.|gh[pousr]_\w{10}",
            r"[\w.-]+@[\w-]+\.iam\.gserviceaccount\.com",
            r"projects/\d+",
            r"/spreadsheets/d/|/folders/",
        ):
            assert not re.search(form, text), form


def test_the_tests_workflow_runs_the_same_checks_as_everywhere():
    workflow = read_workflow(WORKFLOWS / "tests.yml")
    assert {"push", "pull_request"} <= set(workflow["on"])
    assert {"run": ".ci/run"} in workflow["jobs"]["tests"]["steps"]


def test_ingest_runs_on_a_schedule_and_by_hand_and_never_twice_at_once():
    workflow = read_workflow(INGEST)
    assert set(workflow["on"]) == {"schedule", "workflow_dispatch"}
    assert workflow["concurrency"] == {"group": "ingest", "cancel-in-progress": False}


def test_ingest_signs_in_without_a_key():
    assert read_workflow(INGEST)["permissions"] == {"contents": "read", "id-token": "write"}
    values = find_step("google-github-actions/auth")["with"]
    assert {"workload_identity_provider", "service_account"} <= set(values)
    assert all(re.fullmatch(r"\$\{\{ vars\.\w+ \}\}", value) for value in values.values())
    assert "GOOGLE_CLOUD_PROJECT" in find_step("make loop")["env"]


def test_ingest_refuses_a_public_repository_before_anything_else():
    first = read_workflow(INGEST)["jobs"]["ingest"]["steps"][0]
    assert '--jq .private)" != true' in first["run"]


def test_ingest_keeps_the_workspace_from_run_to_run():
    restored, saved = find_step("actions/cache/restore"), find_step("actions/cache/save")
    assert restored["with"]["path"] == saved["with"]["path"] == "workspace"
    assert restored["with"]["key"] == saved["with"]["key"]
    assert saved["with"]["key"].startswith(restored["with"]["restore-keys"])
    assert "run_id" in saved["with"]["key"]
    assert find_step("make loop")["run"] == "make loop WORKSPACE=workspace"


@pytest.mark.parametrize("action", ["actions/cache/save", "actions/upload-artifact"])
def test_ingest_keeps_what_was_done_also_after_a_failure(action):
    assert find_step(action)["if"].startswith("always()")


def test_every_variable_in_the_ingest_workflow_is_a_setting():
    assert variables_in(INGEST.read_text(encoding="utf-8")) <= VARIABLES


def test_a_workflow_variable_that_is_not_set_is_empty_and_changes_nothing():
    assert read_settings(dict.fromkeys(VARIABLES, "")) == FormSettings()


def test_the_guide_explains_every_setting_and_no_other():
    guide = GUIDE.read_text(encoding="utf-8")
    assert variables_in(guide) == VARIABLES
    assert {name for name in VARIABLES if f"| `{name}` |" in guide} == VARIABLES


def test_the_guide_gives_the_defaults_that_the_settings_have():
    table = dict(
        re.findall(r"^\| `(CALL_EMOTION_\w+)` \| ([^|]+) \| .+ \|$", _section("Settings"), re.M)
    )
    for name in SIMPLE:
        default = getattr(FormSettings(), name)
        shown = {"": "none", False: "`no`", "offline": "`offline`"}.get(default, f"`{default}`")
        assert table[PREFIX + name.upper()].endswith(shown), name


def test_the_guides_settings_file_is_understood(tmp_path):
    (block,) = re.findall(r"^```toml\n(.+?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    file = tmp_path / "form.toml"
    file.write_text(block, encoding="utf-8")
    settings = read_settings({FILE_VARIABLE: str(file)})
    assert settings.form == GOOGLE
    assert settings.sheet_id == "1AbCdEfGhIjKlMnOpQrStUvWxYz"
    assert settings.titles.recording == "Anrufaufnahme"
    answers = [settings.parse_answer(text) for text in ("Zufrieden", "mittel", "nicht zufrieden")]
    assert answers == list(STATUSES)


def test_the_guide_names_every_exit_code():
    codes = set(re.findall(r"^\| (\d) \|", _section("What a run says"), re.M))
    assert codes == {str(code) for code in (0, *EXIT_CODES.values(), FAILED)}


def test_the_guide_names_the_sentences_that_the_program_says():
    code = " ".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for folder in ("forms_ingest", "helpers")
        for path in (PROJECT_FOLDER / folder).glob("*.py")
    )
    cells = re.findall(r"^\| (`[^|]+) \|", _section("When something is wrong"), re.M)
    assert len(cells) > 20
    for sentence in re.findall(r"`([^`]+)`", "\n".join(cells)):
        for part in re.split(r"…|\d+(?:, \d+)*|'Ok'|\(Google", sentence):
            words = part.strip(" ,").removesuffix(" satisfied, average, unsatisfied")
            assert words in code, sentence


def test_the_guide_links_to_files_and_headings_that_exist():
    guide = GUIDE.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", guide, re.M)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}
    links = re.findall(r"\]\(([^)]+)\)", guide)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif "/blob/main/" in link:
            assert (PROJECT_FOLDER / link.partition("/blob/main/")[2]).is_file(), link
        elif not link.startswith("https://"):
            assert (GUIDE.parent / link).is_file(), link


def _section(title):
    return GUIDE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_guide_lists_every_case_that_is_tested():
    guide = GUIDE.read_text(encoding="utf-8")
    for number, sentence in CASES.items():
        assert f"| {number} | {sentence} | `case-{number}-` `case_{number}_` |" in guide
