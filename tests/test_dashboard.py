import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import write_call
from dashboard_workspace import WAITING, fill_workspace

from helpers.decisions import read_decisions
from helpers.model_store import list_versions
from helpers.records import decide
from helpers.workspace import open_workspace

streamlit = pytest.importorskip(
    "streamlit", reason="the dashboard's packages are not installed: make apps"
)
testing = pytest.importorskip(
    "streamlit.testing.v1", reason="the dashboard's packages are not installed: make apps"
)

APP = Path(__file__).parents[1] / "apps/dashboard/app.py"
PAGES = ("judge", "review", "calls", "overview", "agents", "models")


@pytest.fixture(scope="module")
def filled_once(trained_once, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboard") / "workspace"
    shutil.copytree(trained_once.folder, folder)
    return fill_workspace(open_workspace(folder))


@pytest.fixture
def filled(filled_once, tmp_path):
    """Give a workspace of its own in which every page has something to show."""
    shutil.copytree(filled_once.folder, tmp_path / "filled")
    return open_workspace(tmp_path / "filled")


@pytest.fixture
def visit(monkeypatch):
    """Open a page of the dashboard of a workspace."""

    def open_page(folder, page: str = "judge", **query):
        streamlit.config.set_option("runner.magicEnabled", False)  # as in our config.toml
        monkeypatch.setattr(sys, "argv", ["app.py", "--workspace", str(folder)])
        app = testing.AppTest.from_file(str(APP), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        return app if page == "judge" else app.switch_page(f"views/{page}.py").run()

    return open_page


def read_page(app) -> str:
    """Give all text of a page."""
    assert not app.exception
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info")
    parts = [each.value for kind in kinds for each in getattr(app, kind)]
    parts += [each.value for each in app.success]
    parts += [each.value.to_string() for each in app.table]
    return "\n".join(parts).replace("\\", "")


def read_header(app) -> str:
    """Give the first heading of the page under its title."""
    return app.header[0].value.replace("\\", "")


def press(app, label: str):
    """Press the button whose label begins like this; in a dialog before the one behind it."""
    fitting = [each for each in app.button if each.label.startswith(label)]
    return next((each for each in fitting if each.label == label), fitting[-1]).click().run()


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        *(("0.0.0.0", True), ("::", True), ("192.168.1.4", True), ("office.example", True)),
        *(("127.0.0.1", False), ("::1", False), ("localhost", False)),
    ],
)
def test_it_is_known_whether_others_reach_the_dashboard(host, is_open):
    server = importlib.import_module("apps.dashboard.__main__")
    assert server.is_open(host) == is_open


def test_without_a_workspace_it_says_how_to_make_one(visit, tmp_path):
    app = visit(tmp_path / "none")
    assert "There is no workspace yet" in read_page(app)
    assert "make demo" in read_page(app)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("judge", "No model has been trained yet"),
        ("review", "Nothing waits for you"),
        ("calls", "No calls yet"),
        ("overview", "No calls yet"),
        ("agents", "No stories yet"),
        ("models", "No model yet"),
    ],
)
def test_in_an_empty_workspace_every_page_says_what_to_do(visit, workspace, page, sentence):
    text = read_page(visit(workspace.folder, page))
    assert sentence in text
    assert "make " in text


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("judge", "Judge a call"),
        ("review", "2 calls wait"),
        ("calls", "11 of 11 calls"),
        ("overview", "How customers left"),
        ("agents", "do not rank people"),
        ("models", "judges calls now"),
    ],
)
def test_every_page_is_shown(visit, filled_once, page, sentence):
    app = visit(filled_once.folder, page)
    assert sentence in read_page(app)
    assert len(app.title) == 1


@pytest.mark.parametrize("page", ["calls", "overview", "review", "agents"])
def test_a_damaged_table_is_told_in_words(visit, filled, page):
    for table in (filled.call_stories, filled.review_list):
        table.write_bytes(b"\xff\xfe nothing")
    app = visit(filled.folder, page)
    assert "This page cannot be shown" in read_page(app)
    assert "save it as CSV in UTF-8" in read_page(app)


def test_a_call_of_the_workspace_is_judged_and_told(visit, filled_once):
    app = visit(filled_once.folder, call=WAITING[0])
    assert app.radio[0].value.startswith("Choose one")
    assert app.selectbox(key="call").value == WAITING[0]
    assert read_header(app) == "bill_sat.wav"
    (verdict,) = [each for each in app.get("html") if 'class="verdict-line"' in each.value]
    assert re.search(r"(Satisfied|Average|Unsatisfied), (more than )?\d+ % sure\.", verdict.value)
    (bars,) = [each.value for each in app.get("html") if "<table" in each.value]
    assert bars.count('scope="row"') == 3
    pictures = [each.value for each in app.get("html") if "<img" in each.value]
    assert len(pictures) == 2
    assert all(re.search('alt="[^"]{60,}"', picture) for picture in pictures)


def test_a_call_that_is_none_of_the_workspace_is_not_opened(visit, filled_once):
    app = visit(filled_once.folder, call="../../etc/passwd")
    assert app.radio[0].value.startswith("Upload")
    assert not app.header


def test_an_uploaded_call_is_judged_by_the_chosen_version_and_leaves_nothing(
    visit, filled_once, tmp_path
):
    before = sorted(filled_once.folder.rglob("*"))
    content = write_call(tmp_path / "call.wav", 12, pitch=200).read_bytes()
    app = visit(filled_once.folder)
    app.selectbox[0].select(list_versions(filled_once)[0])
    app.file_uploader[0].set_value(("My call.wav", content, "audio/wav")).run()
    assert read_header(app) == "My call.wav"
    bars = next(each.value for each in app.get("html") if "<table" in each.value)
    assert list_versions(filled_once)[0] in bars
    assert "submit it through the form" in read_page(app)
    assert not [each for each in app.button if "Satisfied" in each.label]
    assert sorted(filled_once.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", "empty"),
        ("text.wav", b"not a sound at all, but a letter", "cannot be judged"),
        ("short.ulaw", b"\xff" * 800, "cannot be judged"),
    ],
)
def test_what_cannot_be_judged_is_said_in_words(visit, filled_once, name, content, reason):
    app = visit(filled_once.folder)
    app.file_uploader[0].set_value((name, content, "audio/wav")).run()
    assert len(app.error) == 1
    assert f"{name} cannot be judged" in read_page(app)
    assert reason in read_page(app).casefold()
    assert not app.header


def test_a_call_that_was_deleted_meanwhile_is_said_to_be_missing(visit, filled):
    (filled.folder / WAITING[0]).unlink()
    assert "No such file" in read_page(visit(filled.folder, call=WAITING[0]))


def test_a_damaged_version_is_told_and_another_one_can_be_chosen(visit, filled):
    first, second, _ = list_versions(filled)
    (filled.models / first / "model.skops").write_bytes(b"damaged")
    app = visit(filled.folder, call=WAITING[0])
    app.selectbox[0].select(first).run()
    assert "This version cannot judge" in read_page(app)
    assert not app.header
    app.selectbox[0].select(f"{second} (judges calls now)").run()
    assert read_header(app) == "bill_sat.wav"


@pytest.mark.parametrize(
    ("button", "status"),
    [("Satisfied: the answer is right", "satisfied"), ("▼ Unsatisfied", "unsatisfied")],
)
def test_one_click_decides_and_another_takes_it_back(visit, filled, button, status):
    app = press(visit(filled.folder, "review"), button)
    assert read_decisions(filled) == {WAITING[0]: status}
    assert f"**bill_sat.wav** is {status}" in read_page(app)
    assert "make loop" in read_page(app)
    assert read_header(app) == "tariff_avg.wav"
    app = press(app, "Undo")
    assert read_decisions(filled) == {}
    assert read_header(app) == "bill_sat.wav"
    assert "Taken back" in read_page(app)


def test_when_all_is_decided_the_list_says_so_and_the_last_can_be_taken_back(visit, filled):
    app = visit(filled.folder, "review")
    press(press(app, "Satisfied"), "Average")
    assert "Nothing waits for you" in read_page(app)
    assert [each.value for each in app.header] == ["Nothing waits for you"]
    assert read_header(press(app, "Undo")) == "tariff_avg.wav"


def test_what_somebody_else_decided_meanwhile_stays(visit, filled):
    app = visit(filled.folder, "review")
    decide(filled, {WAITING[0]: "average"})
    app = press(app, "Satisfied: the answer is right")
    assert read_decisions(filled) == {WAITING[0]: "average"}
    assert "Somebody has decided meanwhile" in read_page(app)
    assert "was average" in read_page(app)


def test_what_somebody_else_changed_meanwhile_is_not_taken_back(visit, filled):
    app = press(visit(filled.folder, "review"), "Satisfied: the answer is right")
    decide(filled, {WAITING[0]: "average"})
    app = press(app, "Undo")
    assert read_decisions(filled) == {WAITING[0]: "average"}
    assert "it is average now, and was left at that" in read_page(app)


def test_any_earlier_decision_can_be_taken_back(visit, filled):
    decide(filled, {WAITING[0]: "average", "dataset/average/call_0.wav": "satisfied"})
    app = visit(filled.folder, "review")
    (decided,) = app.expander
    assert decided.label == "Decided (2)"
    assert decided.dataframe[0].value["decided"].tolist() == ["average", "satisfied"]
    app = press(app, "Undo: bill")
    assert read_decisions(filled) == {"dataset/average/call_0.wav": "satisfied"}
    assert "bill_sat.wav waits again" in read_page(app)
    app = press(app, "Undo: call")
    assert read_decisions(filled) == {}
    assert "waits again" not in read_page(app)
    assert not app.expander


def test_a_call_is_corrected_where_it_is_judged(visit, filled):
    path = "dataset/average/call_0.wav"
    app = visit(filled.folder, call=path)
    assert "How did the customer leave?" in read_page(app)
    app = press(app, "Average: the answer is right")
    assert read_decisions(filled) == {path: "average"}
    app = press(app, "Undo")
    assert read_decisions(filled) == {}
    app = press(app, "▲ Satisfied: the answer is wrong")
    assert read_decisions(filled) == {path: "satisfied"}
    assert "call_0.wav** is satisfied" in read_page(app)
    assert not [each for each in app.button if "the answer" in each.label]


NAMES = ("call_$5_$9.wav", "refund:fire:.wav", "![](https:evil.example).wav", "*a* &amp; _b_.wav")


def escape(text: str) -> str:
    return re.sub("(?=[^ a-zA-Z0-9])", r"\\", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(visit, filled, name):
    path = (filled.folder / WAITING[0]).rename(filled.audio_data / name.replace(".wav", "_sat.wav"))
    for table in (filled.records, filled.predictions, filled.review_list, filled.call_stories):
        text = table.read_text(encoding="utf-8").replace("bill_sat.wav", path.name)
        table.write_text(text.replace("Bob", name), encoding="utf-8")
    for page, query in (("judge", {"call": f"audio_data/{path.name}"}), ("review", {})):
        app = visit(filled.folder, page, **query)
        assert app.header[0].value == escape(path.name)
        app = press(app, "▼ Unsatisfied")
        told = [each.value for each in app.markdown]
        assert any(f"**{escape(path.name)}** is unsatisfied" in each for each in told)
        assert escape(path.name) in press(app, "Undo").success[0].value
    app = visit(filled.folder, "agents", agent=name)
    assert app.header[0].value == f"Agent {escape(name)}"


def test_before_a_version_judges_it_is_said_what_changes(visit, filled_once):
    first, second, third = list_versions(filled_once)
    app = visit(filled_once.folder, "models")
    text = read_page(press(app, "Let this version judge"))
    assert f"{third} judges calls from now on, instead of {second}." in text
    assert "It was kept aside because: It is *worse* in the draws." in text
    app = visit(filled_once.folder, "models")
    app.selectbox[0].select(first).run()
    text = read_page(press(app, "Roll back to this version"))
    assert f"{second} is kept, but not promoted a second time" in text
    assert app.text_input[0].label.startswith("Why?")


def test_calls_are_filtered(visit, filled_once):
    app = visit(filled_once.folder, "calls")
    app.text_input[0].set_value("tariff").run()
    assert "1 of 11 calls" in read_page(app)
    app.text_input[0].set_value("no such call").run()
    assert "No call fits" in read_page(app)


def test_an_agents_page_opens_by_its_link(visit, filled_once):
    app = visit(filled_once.folder, "agents", agent="Bob")
    assert read_header(app) == "Agent Bob"
    assert "share of calls that escalated" in str(app.table[0].value)


def test_the_page_is_up_to_date_after_a_file_has_changed(visit, filled):
    app = visit(filled.folder, "review")
    filled.review_list.unlink()
    assert "Nothing waits for you" in read_page(app.run())
    assert json.dumps(read_decisions(filled)) == "{}"
