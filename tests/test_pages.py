import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from bs4 import BeautifulSoup
from test_conversation_plots import converse, feel, write_recording

from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.evidence import NO_EVIDENCE
from helpers.conversation.pages import (
    INDEX,
    NOT_EXPLAINED,
    call_page,
    link_recording,
    name_agent_page,
    name_call_page,
    write_page,
)
from helpers.conversation.story import Story
from helpers.errors import AudioError

ROW = {
    "path": "/home/somebody/calls/call_7.wav",
    "duration_s": 60.0,
    "status": "unsatisfied",
    "p_unsatisfied": 0.71,
    "trend": "worsening",
    "upset_s": 12.0,
    "customer_talk_s": 23.5,
    "agent_talk_share": 0.23,
    "upset_end": 0.9,
    "hold_s": np.nan,
    "judge": "verdicts 0001-1a2b",
}
VERDICT = {
    "path": "/home/somebody/calls/call_7.wav",
    "status": "unsatisfied",
    "p_satisfied": 0.09,
    "p_average": 0.2,
    "p_unsatisfied": 0.71,
    "confidence": 0.71,
    "needs_human": False,
    "error": "",
}
EVIDENCE = pd.DataFrame(
    {
        "start_s": [45.0, 30.0],
        "end_s": [47.5, 32.0],
        "effect": [0.124, 0.0101],
        "words": ["6 dB louder than at the start", "voice livelier than at the start"],
    }
)
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', 'a & b\'s "call".wav')


def make_story(row=ROW, *, mood=None, **conversation) -> Story:
    return Story(row, converse(**conversation), mood or feel())


def parse(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser")


def say(page: str) -> str:
    """Give all words of a page but those of its picture and script, with single blanks."""
    shown = parse(page)
    for element in shown.find_all(["svg", "script", "style"]):
        element.decompose()
    return " ".join(shown.get_text(" ").split())


@pytest.fixture
def recording(tmp_path):
    (tmp_path / "dataset").mkdir()
    return write_recording(tmp_path / "dataset" / "call 7#.wav")


def test_the_verdict_is_told_with_all_probabilities():
    page = call_page(make_story(), verdict=VERDICT)
    table = parse(page).find("table")
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])][:2] for row in table("tr")]
    assert rows[1:] == [["satisfied", "9 %"], ["average", "20 %"], ["unsatisfied", "71 %"]]
    assert "Unsatisfied, 71 % sure" in say(page)
    assert "A person should listen" not in say(page)


@pytest.mark.parametrize(
    ("row", "verdict", "sentence"),
    [
        (ROW, VERDICT | {"needs_human": True}, "A person should listen: the model is not sure"),
        (ROW, None, "Unsatisfied, 71 % sure"),
        (ROW | {"p_unsatisfied": 0.998}, None, "Unsatisfied, more than 99 % sure"),
        (ROW | {"status": "satisfied"}, None, "Satisfied"),
        (ROW | {"status": "", "p_unsatisfied": np.nan}, None, "There is no verdict: no model"),
        (ROW, {"status": "", "error": "silent", "needs_human": True}, "not be judged: silent."),
    ],
)
def test_the_verdict_is_told_in_words(row, verdict, sentence):
    assert sentence in say(call_page(make_story(row), verdict=verdict))


@pytest.mark.parametrize(
    ("certainty", "doubt", "told", "not_told"),
    [
        (0.95, "", None, "who is the agent"),
        (0.95, "the agent spoke late", "95 % sure who is the customer", "on both people"),
        (0.62, "both begin at once", "the agent: both begin at once. The verdict is on both", None),
        (
            0.62,
            "",
            "62 % sure who is the customer and who is the agent. The verdict is on both",
            None,
        ),
    ],
)
def test_doubt_about_the_roles_is_said_plainly(certainty, doubt, told, not_told):
    words = say(call_page(make_story(certainty=certainty, doubt=doubt)))
    assert told is None or told in words
    assert not_told is None or not_told not in words


@pytest.mark.parametrize("acted", [True, False])
def test_a_mood_that_rests_on_actors_is_said_to(acted):
    assert (ACTED_BANNER in say(call_page(make_story(), acted=acted))) == acted


def test_the_story_is_told_in_sentences_and_figures():
    words = say(call_page(make_story()))
    assert "The mood worsened along the call." in words
    assert "upset for 12 s of the 24 s that the customer speaks" in words
    assert "the agent's share of both people's talk time 23 %" in words
    assert "their seconds not known" in words


def test_every_turn_is_in_the_table_and_can_be_played():
    shown = parse(call_page(make_story(), audio="../dataset/call.wav"))
    buttons = [button["data-at"] for button in shown.find_all("table")[-1]("button")]
    assert buttons == ["4.0", "8.5", "30.0", "33.0", "42.0"]
    speakers = [row("td")[2].get_text() for row in shown.find_all("table")[-1]("tr")[1:]]
    assert speakers == ["agent", "customer", "customer", "agent", "customer"]


def test_without_turns_the_page_says_so():
    assert "No speech was found." in say(call_page(make_story(rows=[])))


def test_clips_are_part_of_the_page_and_hold_the_very_samples(recording):
    page = call_page(make_story(), verdict=VERDICT, evidence=EVIDENCE, recording=recording)
    players = parse(page).find(id="evidence").parent.find_all("audio")
    signal, rate = soundfile.read(recording, dtype="int16")
    for player, clip in zip(players, EVIDENCE.itertuples(), strict=True):
        kind, content = player["src"].split(",")
        assert kind == "data:audio/wav;base64"
        with soundfile.SoundFile(io.BytesIO(base64.b64decode(content))) as file:
            assert (file.samplerate, file.subtype) == (rate, "PCM_16")
            found = file.read(dtype="int16")
        expected = signal[round(clip.start_s * rate) : round(clip.end_s * rate)]
        np.testing.assert_array_equal(found, expected)


def test_clips_are_told_with_words_and_effect():
    words = say(call_page(make_story(), verdict=VERDICT, evidence=EVIDENCE))
    assert "0:45 to 0:47 : 6 dB louder than at the start. Without it the probability of" in words
    assert "“unsatisfied” would be 12 percentage points lower." in words
    assert "would be 1 percentage point lower." in words


@pytest.mark.parametrize(
    ("evidence", "sentence"), [(None, NOT_EXPLAINED), (EVIDENCE[:0], NO_EVIDENCE)]
)
def test_without_evidence_the_page_says_so(evidence, sentence):
    assert sentence in say(call_page(make_story(), evidence=evidence))


def test_the_player_has_a_relative_link_and_a_sentence_for_a_missing_file():
    shown = parse(call_page(make_story(), audio="../dataset/call.wav"))
    assert shown.find(id="call")["src"] == "../dataset/call.wav"
    missing = shown.find(id="missing")
    assert missing.has_attr("hidden") and "cannot be played" in missing.get_text()
    assert 'addEventListener("error", giveUp)' in shown.find("script").get_text()


def test_without_a_recording_nothing_pretends_to_play():
    shown = parse(call_page(make_story(), evidence=EVIDENCE))
    assert not shown.find_all(["audio", "button", "script"])
    assert "is not linked" in shown.get_text()


def test_a_click_on_the_picture_finds_its_time():
    page = call_page(make_story(), audio="call.wav")
    left, width, seconds = map(float, re.search(r"= \[(.*)\];", page).group(1).split(", "))
    assert 0 < left < 0.2 and 0.7 < left + width <= 1
    assert seconds == 60


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_becomes_markup(text):
    row = {**ROW, "path": text, "judge": text}
    story = make_story(row, doubt=text)
    evidence = EVIDENCE.assign(words=text)
    verdict = {**VERDICT, "path": text}
    page = call_page(story, verdict=verdict, evidence=evidence, audio=text, index=text)
    plain = call_page(
        make_story(doubt="x"), verdict=VERDICT, evidence=EVIDENCE, audio="x", index="x"
    )
    names, expected = (sorted(each.name for each in parse(one)()) for one in (page, plain))
    assert names == expected
    assert parse(page).find(id="call")["src"] == text


def test_the_page_needs_nothing_from_elsewhere_and_tells_no_folder(recording):
    page = call_page(make_story(), evidence=EVIDENCE, recording=recording, index=INDEX)
    shown = parse(page)
    assert "/home" not in page and str(recording.parent) not in page
    assert not shown.find_all(["link", "iframe", "img", "object", "image"])
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    assert {each["href"] for each in shown.find_all(href=True)} == {INDEX}
    assert all(each["src"].startswith("data:audio/wav") for each in shown.find_all(src=True))
    addresses = set(re.findall(r"https?://[^\"' ]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_page_can_be_used_without_eyes_and_at_night():
    shown = parse(call_page(make_story(), verdict=VERDICT, evidence=EVIDENCE, audio="call.wav"))
    assert shown.html["lang"] == "en" and shown.title.get_text() == "call_7.wav"
    assert [each.get_text() for each in shown.find_all("h1")] == ["call_7.wav"]
    assert shown.svg["role"] == "img" and shown.svg["aria-label"]
    assert all(player.has_attr("aria-label") for player in shown.find_all("audio"))
    assert all(button["type"] == "button" for button in shown.find_all("button"))
    for table in shown.find_all("table"):
        assert all(cell["scope"] == "col" for cell in table.thead.find_all("th"))
    assert "prefers-color-scheme: dark" in shown.style.get_text()
    assert "width=device-width" in str(shown.find("meta", {"name": "viewport"}))


def test_ids_are_not_given_twice(recording):
    shown = parse(call_page(make_story(), evidence=EVIDENCE, recording=recording, audio="x.wav"))
    ids = [each["id"] for each in shown.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_the_same_call_gives_the_same_bytes(recording):
    first, second = (
        call_page(make_story(), verdict=VERDICT, evidence=EVIDENCE, recording=recording)
        for _ in range(2)
    )
    assert first == second


def test_a_page_is_written_once(tmp_path):
    path = write_page(tmp_path / "stories" / "call.html", "<p>ü</p>")
    before = path.stat()
    write_page(path, "<p>ü</p>")
    assert path.read_text(encoding="utf-8") == "<p>ü</p>"
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_recording_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        call_page(make_story(), recording=tmp_path / "call.wav")


@pytest.mark.parametrize(
    ("inside", "link"),
    [
        ("dataset/call.wav", "../dataset/call.wav"),
        ("dataset/a b#1?.wav", "../dataset/a%20b%231%3F.wav"),
        ("stories/call.wav", "../stories/call.wav"),
        ("call.wav", "../call.wav"),
    ],
)
def test_a_recording_of_the_workspace_is_linked_from_beside_it(tmp_path, inside, link):
    page = tmp_path / "stories" / "call.html"
    assert link_recording(tmp_path / inside, page) == link


def test_a_recording_outside_of_the_workspace_is_not_linked(tmp_path):
    page = tmp_path / "workspace" / "stories" / "call.html"
    assert link_recording(tmp_path / "secret" / "call.wav", page) == ""


@pytest.mark.parametrize("name", [name_call_page, name_agent_page])
def test_pages_have_plain_names_of_their_own(name):
    paths = ["dataset/a/call.wav", "dataset/b/call.wav", "Call.wav", "../x", "سارة", "a" * 300, ""]
    names = [name(path) for path in paths]
    assert len(set(names)) == len(paths)
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,90}\.html", each) for each in names)
    assert names == [name(path) for path in paths]
