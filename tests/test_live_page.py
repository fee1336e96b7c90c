import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from live_service import LOUD, QUIET, find_loudness, live_service, say
from websockets.sync.client import connect

from apps.live.play import list_messages
from helpers.workspace import open_workspace

browsers = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: make test installs it"
)
expect = browsers.expect
expect.set_options(timeout=60_000)

CALM_CALL = say(QUIET, 0.1, 0.07, 0.16, 0.12, QUIET, 0.09, 0.15)
ALERT_CALL = say(QUIET, 0.12, 0.08, 0.17, 0.36, LOUD, 0.35, LOUD)
AT_THE_END = re.compile("customer last heard at 0:1[01]$")
HEARD = re.compile(r"How upset the customer sounded\. 0:0\d: \d+ %, ")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(browser):
    """Give a page, on which no error may happen that the test does not know of."""
    context = browser.new_context(viewport={"width": 1000, "height": 760})
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return open_workspace(tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def service(workspace) -> Iterator[str]:
    with live_service(workspace, find_judge=find_loudness) as address:
        yield address


@pytest.fixture
def screenshot(tmp_path):
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder / f"{name}.png", animations="disabled")


@contextmanager
def calling(address: str, sound: bytes, **parameters: str):
    """Play all of a call but its end, wait until it has been judged, and keep it going."""
    messages = [text for _, text in list_messages({"inbound": sound}, parameters=parameters)]
    with connect(f"ws://{address}/live/stream") as stream:
        for message in messages[:-1]:
            stream.send(json.dumps(message))
        yield stream
        stream.send(json.dumps(messages[-1]))


def contrast(page, selector: str) -> float:
    """Compute the contrast of a text with what is behind it, after WCAG 2."""
    return page.evaluate(
        """(selector) => {
          const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((value) => value / 255)
            .map((share) => share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4)
            .reduce((sum, share, n) => sum + share * [0.2126, 0.7152, 0.0722][n], 0);
          const element = document.querySelector(selector);
          let behind = element;
          const opaque = (each) => (numbers(getComputedStyle(each).backgroundColor)[3] ?? 1) === 1;
          while (!opaque(behind)) behind = behind.parentElement;
          const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
            .map((colour) => light(numbers(colour)));
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }""",
        selector,
    )


def test_without_calls_the_page_says_so(service, page):
    response = page.goto(f"http://{service}/live")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    expect(page.get_by_role("heading", name="No call in progress")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("Connected")
    assert page.title() == "Live calls"


def test_a_calm_call_is_shown_while_it_lasts(service, page, screenshot):
    page.goto(f"http://{service}/live?agent=Ana")
    expect(page.get_by_role("heading", name="No call of Ana in progress")).to_be_visible()
    with calling(service, CALM_CALL, agent="Ana"), calling(service, CALM_CALL, agent="Ben"):
        card = page.get_by_role("article", name="Ana")
        expect(card.locator(".word")).to_have_text("Calm")
        expect(card.locator(".about")).to_have_text(AT_THE_END)
        expect(card.get_by_role("meter")).to_have_attribute("aria-valuetext", re.compile(r"\d %$"))
        expect(page.get_by_role("article")).to_have_count(1)
        screenshot(page, "live-calm")
    expect(card.locator(".word")).to_have_text("Call ended")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_upset_customer_turns_the_page_red_and_is_told_in_words(
    service, page, screenshot, scheme
):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"http://{service}/live?agent=Ana")
    with calling(service, ALERT_CALL, agent="Ana"):
        card = page.get_by_role("article", name="Ana")
        expect(card.locator(".word")).to_have_text("Upset")
        expect(card.locator(".since")).to_have_text(re.compile("^since 0:0[678] of the call$"))
        expect(page.locator("#alerts")).to_have_text(
            re.compile("^Ana: Upset, since 0:0[678] of the call$")
        )
        expect(page.locator("body")).to_have_css("background-color", "rgb(176, 17, 40)")
        expect(page).to_have_title("⚠ Upset | Live calls")
        expect(card.get_by_role("img")).to_have_attribute("aria-label", HEARD)
        expect(card.locator(".about")).to_have_text(AT_THE_END)
        if scheme == "light":
            screenshot(page, "live-alert")
    expect(page.locator("body")).not_to_have_css("background-color", "rgb(176, 17, 40)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_every_state(service, page, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"http://{service}/live")
    expect(page.locator("#empty")).to_be_visible()
    selectors = ["#empty h2", "#empty p", "#connection", "label[for=shown]", "#shown", "h1"]
    assert {each: contrast(page, each) for each in selectors if contrast(page, each) < 4.5} == {}
    with ExitStack() as calls:
        for agent, sound in {"Ana": CALM_CALL, "Ben": ALERT_CALL, "Cem": b""}.items():
            calls.enter_context(calling(service, sound, agent=agent)).send("no json")
        for agent, word in {"Ana": "Calm", "Ben": "Upset", "Cem": "Listening"}.items():
            card = page.get_by_role("article", name=agent)
            expect(card.locator(".word")).to_have_text(word)
            expect(card.get_by_role("listitem")).to_have_count(1)
        for state in ("calm", "upset", "waiting", "turning", "ended"):
            if state in ("turning", "ended"):
                card.evaluate("(card, name) => { card.className = name }", state)
            for part in ("h2", ".about", ".word", ".since", ".number", ".ends span", "li"):
                assert contrast(page, f".{state} {part}") >= 4.5, (state, part)


def test_all_calls_are_shown_and_one_can_be_chosen_with_the_keyboard(service, page, screenshot):
    page.goto(f"http://{service}/live")
    with ExitStack() as calls:
        for agent in ("Ana", "Ben", ""):
            sound = ALERT_CALL if agent == "Ben" else CALM_CALL
            calls.enter_context(calling(service, sound, agent=agent))
        expect(page.get_by_role("article")).to_have_count(3)
        expect(page.locator(".upset h2")).to_have_text("Ben")
        expect(page.locator("body")).not_to_have_class(re.compile(r"\balarm\b"))
        screenshot(page, "live-all")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Show")).to_be_focused()
        page.keyboard.type("Ana")
        expect(page.get_by_role("article")).to_have_count(1)
        expect(page).to_have_url(f"http://{service}/live?agent=Ana")
        expect(page).to_have_title("Live calls")


def test_names_and_problems_are_only_ever_text(service, page):
    page.goto(f"http://{service}/live")
    with calling(service, CALM_CALL, agent=HOSTILE) as stream:
        stream.send(HOSTILE)
        expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
        expect(page.get_by_role("listitem")).to_contain_text(HOSTILE)
        assert page.locator("main img").count() == 0


def test_a_lost_connection_is_said_and_made_anew(workspace, page, screenshot):
    with live_service(workspace, find_judge=find_loudness) as address:
        page.goto(f"http://{address}/live")
        with calling(address, b"", agent="Ana"):
            expect(page.locator(".word")).to_have_text("Listening")
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    screenshot(page, "live-lost")
    with live_service(workspace, find_judge=find_loudness, port=int(address.split(":")[1])):
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.get_by_role("heading", name="No call in progress")).to_be_visible()


def test_where_a_token_is_needed_the_page_asks_for_it(workspace, page, screenshot):
    with live_service(workspace, find_judge=find_loudness, token="open sesame") as address:
        page.goto(f"http://{address}/live")
        expect(page.get_by_label("Token")).to_be_focused()
        page.keyboard.type("guess\n")
        expect(page.get_by_role("alert").first).to_have_text("This token was not accepted.")
        screenshot(page, "live-token")
        page.keyboard.type("open sesame\n")
        expect(page.get_by_role("heading", name="No call in progress")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="No call in progress")).to_be_visible()


def test_a_call_is_followed_from_calm_to_upset_to_its_end(service, page):
    page.goto(f"http://{service}/live")
    messages = [
        json.dumps(each) for _, each in list_messages({"inbound": ALERT_CALL}, parameters={})
    ]
    word = page.locator(".word")
    with connect(f"ws://{service}/live/stream") as stream:
        for message in messages[:200]:
            stream.send(message)
        expect(word).to_have_text("Calm")
        for message in messages[200:-1]:
            stream.send(message)
        expect(word).to_have_text("Upset")
        stream.send(messages[-1])
        expect(word).to_have_text("Call ended")


def test_the_end_of_one_alert_does_not_silence_another(service, page):
    page.goto(f"http://{service}/live")
    alerts = page.locator("#alerts")
    with ExitStack() as first, calling(service, ALERT_CALL, agent="Ben"):
        expect(alerts).to_have_text(re.compile("^Ben: Upset"))
        first.enter_context(calling(service, ALERT_CALL, agent="Ana"))
        expect(alerts).to_have_text(re.compile("^Ana: Upset"))
        with calling(service, ALERT_CALL, agent="Cem"):
            expect(alerts).to_have_text(re.compile("^Cem: Upset"))
            first.close()
            word = page.get_by_role("article", name="Ana").locator(".word")
            expect(word).to_have_text("Call ended")
            expect(alerts).to_have_text(re.compile("^Cem: Upset"))
        expect(alerts).to_have_text("")


def test_a_problem_that_is_over_is_shown_no_longer(service, page):
    name = {"stream": "MZ1", "call": "CA1", "agent": "Ana"}
    told = {"kind": "late moods", "words": "Moods come late."}
    events = [{"event": "calls", "banner": "", "calls": []}, {"event": "call started", **name}]
    events.append({"event": "problem", **name, **told})
    sockets = []

    def tell(socket) -> None:
        sockets.append(socket)
        for event in events:
            socket.send(json.dumps(event))

    page.route_web_socket(re.compile("/live/watch$"), tell)
    page.goto(f"http://{service}/live")
    expect(page.get_by_role("listitem")).to_have_text(told["words"])
    sockets[0].send(json.dumps({"event": "problem over", **name, **told}))
    expect(page.get_by_role("listitem")).to_have_count(0)
