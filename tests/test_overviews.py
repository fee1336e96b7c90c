import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from test_pages import HOSTILE

from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.agents import FEEDBACK_BANNER, summarise_agents
from helpers.conversation.overviews import agent_page, index_page
from helpers.conversation.pages import INDEX, name_agent_page, name_call_page
from helpers.conversation.story import STORY_COLUMNS

EMPTY = {name: "" if column.kind is str else np.nan for name, column in STORY_COLUMNS.items()}
TOLD = {
    "status": "average",
    "p_unsatisfied": 0.3,
    "trend": "steady",
    "upset_peak": 0.4,
    "upset_end": 0.2,
    "agent_talk_share": 0.4,
    "agent_interruptions": 2,
    "duration_s": 60.0,
    "non_talk_s": 6.0,
    "role_certainty": 0.95,
}


def tell(*rows) -> pd.DataFrame:
    """Make stories of calls: each row's path, agent, and what differs from `TOLD`."""
    cells = [
        {**EMPTY, **TOLD, "path": f"dataset/{name}.wav", "agent": agent, "customer": name, **more}
        for name, agent, more in rows
    ]
    return pd.DataFrame(cells)


BAD = {"status": "unsatisfied", "p_unsatisfied": 0.9, "escalated_at_s": 48.0}
BROKEN = {**EMPTY, "error": "silent: nothing is heard"}
STORIES = tell(
    ("calm", "Maria", {"p_unsatisfied": 0.1}),
    ("bad", "Łukasz", BAD),
    ("broken", "Maria", {**BROKEN, "path": "dataset/broken.wav", "agent": "Maria"}),
    ("new", "", {"status": "", "p_unsatisfied": np.nan, "upset_end": 0.5}),
    ("unsure", "Maria", {"role_doubt": "both begin at once", "role_certainty": 0.5}),
)


def rows_of(page: str, *, table=0) -> list[list[str]]:
    found = BeautifulSoup(page, "html.parser").find_all("table")[table]
    return [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in found("tr")[1:]]


def links_of(page: str) -> list[str]:
    return [link["href"] for link in BeautifulSoup(page, "html.parser").find_all("a")]


def test_the_worst_call_is_first_and_one_that_was_not_told_is_last():
    names = [row[0] for row in rows_of(index_page(STORIES))]
    assert names == ["bad.wav", "new.wav", "unsure.wav", "calm.wav", "broken.wav"]


def test_a_call_is_told_in_a_line():
    bad, new, unsure, _, broken = rows_of(index_page(STORIES))
    assert bad == ["bad.wav", "unsatisfied", "90 %", "20 %", "steady", "0:48", "Łukasz", ""]
    assert new == ["new.wav", "", "", "50 %", "steady", "", "", ""]
    assert unsure[-1] == "unsure who is customer and who is agent"
    assert broken == ["broken.wav", "", "", "", "", "", "Maria", "silent: nothing is heard"]


def test_calls_and_agents_are_linked_but_no_call_without_a_page():
    links = links_of(index_page(STORIES))
    for name in ("calm", "bad", "new", "unsure"):
        assert name_call_page(f"dataset/{name}.wav") in links
    assert name_call_page("dataset/broken.wav") not in links
    assert {name_agent_page("Maria"), name_agent_page("Łukasz")} < set(links)
    assert "Maria: 3 calls" in BeautifulSoup(index_page(STORIES), "html.parser").get_text()


def test_an_empty_list_says_so():
    assert "<p>None.</p>" in index_page(STORIES[:0])


@pytest.mark.parametrize("acted", [True, False])
def test_moods_that_rest_on_actors_are_said_to(acted):
    pages = (
        index_page(STORIES, acted=acted),
        agent_page("Maria", STORIES, summarise_agents(STORIES), acted=acted),
    )
    assert all((ACTED_BANNER in page) == acted for page in pages)


def test_a_page_of_an_agent_tells_own_calls_only():
    page = agent_page("Maria", STORIES, summarise_agents(STORIES), index=INDEX)
    assert [row[0] for row in rows_of(page, table=1)] == ["unsure.wav", "calm.wav", "broken.wav"]
    assert INDEX in links_of(page)
    assert FEEDBACK_BANNER in page


@pytest.mark.parametrize(
    ("calls", "told"), [(1, "100 % (1 call)"), (9, "100 % (9 calls)"), (10, "to 100 %, 10 calls)")]
)
def test_an_interval_is_told_from_enough_calls_on(calls, told):
    stories = tell(*((f"call_{number}", "Maria", BAD) for number in range(calls)))
    page = agent_page("Maria", stories, summarise_agents(stories))
    meaning, own, _, note = rows_of(page)[0]
    assert meaning == "share of calls that the customer left unsatisfied"
    assert own.endswith(told)
    assert ("too few for an interval" in note) == (calls < 10)


def test_figures_stand_beside_those_of_all_agents():
    rows = [("a", "Maria", BAD), ("b", "Łukasz", {}), ("c", "Łukasz", {})]
    stories = tell(*rows)
    own = {
        row[0]: row[1:3] for row in rows_of(agent_page("Maria", stories, summarise_agents(stories)))
    }
    assert own["share of calls that the customer left unsatisfied"] == [
        "100 % (1 call)",
        "33 % (3 calls)",
    ]
    assert own["times the agent interrupts, by call"] == ["2.0 (1 call)", "2.0 (3 calls)"]
    assert own["median seconds until the agent answers"] == ["not known", "not known"]


def test_an_agent_without_figures_has_a_page():
    page = agent_page("Nobody", STORIES, summarise_agents(STORIES))
    assert page.count("<p>None.</p>") == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_becomes_markup(text):
    def names(name):
        stories = tell((name, name, {"trend": name, "status": name}))
        summary = summarise_agents(stories)
        pages = (index_page(stories), agent_page(name, stories, summary, index=name))
        return [[each.name for each in BeautifulSoup(page, "html.parser")()] for page in pages]

    assert names(text) == names("plain")


def test_no_page_tells_a_folder_or_loads_anything():
    stories = tell(("x", "Maria", {"path": "/home/somebody/calls/x.wav"}))
    for page in (index_page(stories), agent_page("Maria", stories, summarise_agents(stories))):
        assert "/home" not in page and "http" not in page and "src=" not in page
        assert "prefers-color-scheme: dark" in page
