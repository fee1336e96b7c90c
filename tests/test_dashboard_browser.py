import contextlib
import os
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest
from conftest import train
from dashboard_workspace import WAITING, fill_workspace

from helpers.decisions import read_decisions, withdraw_decision
from helpers.model_store import ROLLED_BACK, find_champion, list_versions, read_history
from helpers.records import build_records, decide, read_records
from helpers.workspace import PROJECT_FOLDER, SAMPLE_DATA, open_workspace

REASON = "the dashboard's packages are not installed: make apps"
pytest.importorskip("streamlit", reason=REASON)
playwright = pytest.importorskip("playwright.sync_api", reason=REASON)

UPLOADS = SAMPLE_DATA / "form/uploads"
COMPLAINT, REFUND = UPLOADS / "complaint_104 - Maria Lopez.wav", UPLOADS / "refund_call_2.wav"
TIMEOUT_S = 60
"""How long to wait for the server and for what is seen on a page."""

PAGES = ("", "review", "calls", "overview", "agents", "models")

UNNAMED = """() => [...document.querySelectorAll(
    '.stMain button, .stMain input, .stMain select, .stMain audio, .stMain textarea')]
    .filter(each => each.offsetParent && !each.getAttribute('aria-label')
        && !each.labels?.length && !each.innerText?.trim())
    .map(each => each.outerHTML.slice(0, 200))"""
"""Visible controls that a screen reader has no name for."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Give a workspace trained on the sample calls."""
    workspace = open_workspace(tmp_path_factory.mktemp("browser") / "sample_calls")
    train(workspace, SAMPLE_DATA / "recordings")
    return fill_workspace(workspace, UPLOADS / "delivery_0303 - Maria Lopez.wav", REFUND)


@pytest.fixture(scope="module")
def address(filled, tmp_path_factory):
    """Serve the dashboard as `make app` does; where its port is taken meanwhile, on another."""
    log = tmp_path_factory.mktemp("server") / "output.txt"
    for _ in range(3):
        process, address = start_server(filled.folder, log)
        if wait_until_healthy(process, address):
            break
    else:
        raise RuntimeError(log.read_text())
    yield address
    process.terminate()
    process.wait(timeout=60)


def start_server(folder: Path, log: Path) -> tuple[subprocess.Popen, str]:
    """Start the dashboard on a port that is free at this moment; it writes to `log`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "apps.dashboard", str(folder), "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=PROJECT_FOLDER,
            env={**os.environ, "STREAMLIT_SERVER_HEADLESS": "true", "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return process, f"http://127.0.0.1:{port}"


def wait_until_healthy(process: subprocess.Popen, address: str) -> bool:
    """Tell whether the server answers before it ends; one that does neither is ended."""
    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urlopen(f"{address}/_stcore/health", timeout=5):
            return process.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
    process.kill()
    process.wait()
    return False


@pytest.fixture
def visit(browser, address):
    """Open pages; afterwards none may have asked another computer for anything."""
    contexts, hosts = [], set()

    def open_page(path: str = "", **options):
        options = {"viewport": {"width": 1280, "height": 960}, **options}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(1000 * TIMEOUT_S)
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.goto(f"{address}/{path}")
        page.get_by_role("heading", level=1).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert hosts <= {"127.0.0.1", None}


@pytest.fixture
def screenshot(tmp_path):
    """Take a picture of a page as it is seen, or of all of it."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def take(page, name: str, *, height: int = 0) -> None:
        if height:
            page.set_viewport_size({"width": 1280, "height": height})
        wait_until_done(page)
        page.screenshot(path=folder / f"dashboard-{name}.png")

    return take


def wait_until_done(page) -> None:
    """Wait until nothing is being made or drawn any more."""
    for part in ("stStatusWidget", "stSpinner", "stSkeleton"):
        count = playwright.expect(page.get_by_test_id(part))
        count.to_have_count(0, timeout=1000 * TIMEOUT_S)
    page.wait_for_function("() => [...document.images].every(each => each.complete)")


def read_player(page) -> tuple[float, bool]:
    """Give where the player stands, and whether it plays."""
    return page.locator("audio").evaluate("each => [each.currentTime, !each.paused]")


def wait_for_play(page, seconds: int) -> None:
    page.wait_for_function(
        "place => [...document.querySelectorAll('audio')].some(each => !each.paused"
        " && each.currentTime >= place && each.currentTime < place + 6)",
        arg=seconds,
    )


def test_a_mu_law_call_is_uploaded_judged_and_heard_at_its_clips(visit, screenshot):
    page = visit()
    page.locator("input[type=file]").set_input_files(COMPLAINT)
    page.get_by_role("heading", name=COMPLAINT.name).wait_for()
    verdict = page.locator(".verdict-line")
    assert "% sure." in verdict.inner_text()
    bars = page.get_by_role("table", name="How the customer left")
    assert bars.get_by_role("row").count() == 3
    screenshot(page, "verdict", height=1000)
    clip = page.get_by_role("button", name="Clip 1").first
    minutes, seconds = clip.inner_text().split("Clip 1: ")[1].split(" to ")[0].split(":")
    place = 60 * int(minutes) + int(seconds)
    assert read_player(page) == [0, False]
    clip.click()
    wait_for_play(page, place)
    page.locator("audio").evaluate("each => { each.pause(); each.currentTime = 1 }")
    clip.focus()
    page.keyboard.press("Enter")
    wait_for_play(page, place)
    page.get_by_role("heading", name="Listen").scroll_into_view_if_needed()
    screenshot(page, "evidence", height=2000)
    timeline = page.get_by_role("img", name="turns of customer and agent")
    assert timeline.evaluate("each => each.naturalWidth") > 100
    with page.expect_download() as download:
        page.get_by_role("tab", name="Download").click()
        page.get_by_role("button", name="Table (CSV)").click()
    assert download.value.path().read_text().startswith("path,")


def test_an_answer_is_corrected_with_one_click_and_is_on_disk(visit, filled, screenshot):
    page = visit("review")
    page.get_by_role("heading", name="bill_sat.wav").wait_for()
    page.get_by_role("button", name="Clip 1").or_(page.get_by_text("No single clip")).wait_for()
    screenshot(page, "review", height=1100)
    page.get_by_role("button", name="Unsatisfied: the answer is wrong").click()
    page.get_by_text("bill_sat.wav is unsatisfied").wait_for()
    assert read_decisions(filled) == {WAITING[0]: "unsatisfied"}
    page.get_by_role("heading", name="tariff_avg.wav").wait_for()
    page.get_by_role("link", name="To review (1)").wait_for()
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_text("waits again").wait_for()
    assert read_decisions(filled) == {}


def test_a_decision_chosen_from_the_list_is_taken_back(visit, filled, screenshot):
    first, second = sorted(read_records(filled)["path"])[-4:-2]
    decide(filled, {first: "average", second: "average"})
    page = visit("review")
    page.get_by_text("Decided (2)").click()
    page.get_by_role("button", name=f"Undo: {Path(first).name}").wait_for()
    table = page.get_by_test_id("stExpander").get_by_test_id("stDataFrame")
    table.click(position={"x": 17, "y": 87})
    undo = page.get_by_role("button", name=f"Undo: {Path(second).name}")
    undo.wait_for()
    screenshot(page, "decided", height=1200)
    undo.click()
    page.get_by_text("Taken back").wait_for()
    assert read_decisions(filled) == {first: "average"}
    withdraw_decision(filled, first, status="average")


def test_a_call_is_corrected_where_it_is_judged_and_named_as_it_is(visit, filled, screenshot):
    name = "refund:fire:_$5_$9_sat.wav"
    (filled.audio_data / name).write_bytes(COMPLAINT.read_bytes())
    build_records(filled)
    page = visit(f"?call={quote('audio_data/' + name)}")
    page.get_by_role("heading", name=name, exact=True).wait_for()
    screenshot(page, "judged", height=1000)
    page.get_by_role("button", name="Unsatisfied: the answer is wrong").click()
    page.get_by_text(f"{name} is unsatisfied").wait_for()
    assert read_decisions(filled) == {f"audio_data/{name}": "unsatisfied"}
    screenshot(page, "corrected", height=1000)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Taken back").wait_for()
    assert read_decisions(filled) == {}


def test_a_version_is_rolled_back_after_a_confirmation_with_a_reason(visit, filled, screenshot):
    first = list_versions(filled)[0]
    page = visit("models")
    page.get_by_role("combobox", name="Look at version").fill(first)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Roll back to this version").click()
    dialog = page.get_by_role("dialog")
    reason = dialog.get_by_role("textbox")
    reason.fill("complaints were missed")
    screenshot(page, "models")
    reason.fill("")
    dialog.get_by_role("button", name="Roll back").click()
    dialog.get_by_text("Write in a few words why").wait_for()
    assert find_champion(filled) != first
    reason.fill("complaints were missed")
    dialog.get_by_role("button", name="Roll back").click()
    page.get_by_text(f"Version {first} judges calls from now on.").wait_for()
    last = read_history(filled).iloc[-1]
    assert (last["version"], last["event"]) == (first, ROLLED_BACK)
    assert last["reason"] == "complaints were missed"
    page.get_by_role("cell", name="complaints were missed").wait_for()


def test_a_dark_page_has_dark_pictures(visit, screenshot):
    page = visit(f"?call={WAITING[0]}", color_scheme="dark")
    page.get_by_role("heading", name="bill_sat.wav").wait_for()
    screenshot(page, "dark", height=1600)
    picture = page.get_by_role("img", name="turns of customer and agent")
    assert "invert" in picture.evaluate("each => getComputedStyle(each).filter")
    color = page.locator(".stApp").evaluate("each => getComputedStyle(each).backgroundColor")
    assert color == "rgb(18, 22, 28)"


def test_another_call_can_be_uploaded_after_one_was_opened_by_its_link(visit):
    page = visit(f"?call={WAITING[1]}")
    page.get_by_role("heading", name="tariff_avg.wav").wait_for()
    page.get_by_text("Upload a recording").click()
    page.locator("input[type=file]").set_input_files(REFUND)
    page.get_by_role("heading", name=REFUND.name).wait_for()
    assert "call=" not in page.url


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_names_headings_in_order_and_room_at_twice_the_size(visit, path):
    page = visit(path, viewport={"width": 640, "height": 900})
    wait_until_done(page)
    assert page.evaluate(UNNAMED) == []
    levels = [
        int(each.evaluate("each => each.tagName")[1])
        for each in page.locator(".stMain").get_by_role("heading").all()
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    wide = "() => document.querySelector('.stMain').scrollWidth - window.innerWidth"
    assert page.evaluate(wide) <= 0
