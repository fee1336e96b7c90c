import html
import re
import shutil
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import write_call

from helpers.call_emotions import ACTED_BANNER
from helpers.conversation import storybook
from helpers.conversation.customer import customer_feature_set
from helpers.conversation.judges import EmotionJudge, VerdictJudge
from helpers.conversation.listening import BOTH, CUSTOMER_ALONE, choose_listening
from helpers.conversation.pages import INDEX, NOT_EXPLAINED, name_agent_page, name_call_page
from helpers.conversation.roles import AGENT, CUSTOMER, USUAL, Roles
from helpers.conversation.story import read_stories
from helpers.conversation.storybook import (
    choose_call,
    introduce,
    list_calls,
    settle_roles,
    write_storybook,
)
from helpers.conversation.wording import format_share
from helpers.corpora import load_corpus
from helpers.customers import read_customers
from helpers.emotion import fit_emotion_model
from helpers.errors import MissingStepError, ModelError, RolesError
from helpers.features import PHONE
from helpers.hearing import read_recording
from helpers.model_store import add_version, load_champion, promote
from helpers.prediction import PROBABILITIES, predict_calls
from helpers.statuses import STATUSES
from helpers.workspace import SAMPLE_DATA, open_workspace

RATE = 8000


@pytest.fixture(scope="module")
def judge() -> EmotionJudge:
    corpus = load_corpus(SAMPLE_DATA / "voices")
    with joblib.parallel_config("sequential"):
        return EmotionJudge(fit_emotion_model(corpus, telephone=False, networks=0))


def write_dialogue(path, moods=("neutral",) * 3, *, level=1.0):
    """Write a two-channel call: in every 4 s the agent speaks, then the customer in a mood."""
    signal = 1e-4 * np.random.default_rng(0).standard_normal((4 * len(moods) * RATE, 2))
    for number, mood in enumerate(moods):
        for channel, name, start_s in (
            (1, "agent_01_neutral_door", 0.2),
            (0, f"customer_08_{mood}_letter", 2.1),
        ):
            voice = level * read_recording(SAMPLE_DATA / f"voices/{name}.wav")[: 18 * RATE // 10]
            first = round((4 * number + start_s) * RATE)
            signal[first : first + len(voice), channel] += voice
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, RATE, subtype="PCM_16", format="WAV")
    return path


@pytest.fixture
def calls(workspace):
    """Write two calls of one agent, one without an agent, a broken file, and the table."""
    return write_calls(workspace.dataset)


def write_calls(folder):
    write_dialogue(folder / "ann.wav")
    write_dialogue(folder / "cid.wav", ("neutral", "angry", "angry", "angry"))
    write_dialogue(folder / "below/who.wav", ("sad",) * 3)
    (folder / "broken.wav").write_text("this is no recording")
    (folder / ".ann.wav").write_text("left over")
    (folder / "speakers.csv").write_text("file,agent\nann.wav,Bob <b>\ncid.wav,Bob <b>\n")
    return folder


@pytest.fixture(scope="module")
def told_once(tmp_path_factory, judge):
    workspace = open_workspace(tmp_path_factory.mktemp("told") / "workspace")
    write_calls(workspace.dataset)
    tell(workspace, judge)
    return workspace


@pytest.fixture
def told(told_once, tmp_path):
    """Give a workspace of its own whose calls have their pages."""
    shutil.copytree(told_once.folder, tmp_path / "told")
    return open_workspace(tmp_path / "told")


def tell(workspace, judge):
    paths = list_calls(workspace, str(workspace.dataset))
    tables = read_customers(workspace.dataset)
    return write_storybook(paths, workspace, judge=judge, tables=tables)


def list_pages(workspace) -> set[str]:
    return {page.name for page in workspace.stories.iterdir()}


def expected_pages(stories) -> set[str]:
    told = stories[stories["error"] == ""]
    agents = set(stories["agent"]) - {""}
    return {INDEX, *map(name_call_page, told["path"]), *map(name_agent_page, agents)}


def stamps(workspace) -> dict[str, int]:
    files = [*workspace.stories.iterdir(), workspace.call_stories]
    return {file.name: file.stat().st_mtime_ns for file in files}


def test_every_input_is_listed_and_every_call_and_agent_has_a_page(told):
    stories = read_stories(told)
    names = [path.rsplit("/", 1)[-1] for path in stories["path"]]
    assert names == ["ann.wav", "who.wav", "broken.wav", "cid.wav"]
    assert stories["error"].tolist() == ["", "", "text, not sound", ""]
    assert list_pages(told) == expected_pages(stories)
    index = (told.stories / INDEX).read_text()
    assert "text, not sound" in index
    assert "Bob &lt;b&gt;" in index


def test_all_links_of_all_pages_lead_to_files_that_are_there(told):
    for page in told.stories.iterdir():
        links = re.findall(r'(?:href|src)="([^"#:]+)"', page.read_text())
        assert links
        assert [link for link in links if not (told.stories / link).is_file()] == []


def test_all_pages_say_that_the_emotions_were_acted(told):
    for page in told.stories.iterdir():
        assert html.escape(ACTED_BANNER) in page.read_text(), page.name


def test_a_second_run_writes_nothing(told, judge):
    before = stamps(told)
    pd.testing.assert_frame_equal(tell(told, judge), read_stories(told))
    assert stamps(told) == before


def test_a_page_that_is_missing_or_cut_off_is_the_same_after_a_second_run(told, judge):
    first, second = (next(told.stories.glob(f"call-{name}-*")) for name in ("ann", "cid"))
    before = first.read_bytes(), second.read_bytes()
    first.unlink()
    second.write_bytes(before[1][:-40])
    tell(told, judge)
    assert (first.read_bytes(), second.read_bytes()) == before


def test_a_run_that_was_killed_goes_on_and_leaves_no_half_page(
    workspace, calls, judge, monkeypatch
):
    def stop(path, page):
        if "who" in path.name:
            raise KeyboardInterrupt
        return write_page(path, page)

    write_page = storybook.write_page
    with monkeypatch.context() as patch:
        patch.setattr(storybook, "write_page", stop)
        with pytest.raises(KeyboardInterrupt):
            tell(workspace, judge)
    assert len(read_stories(workspace)) == len(list_pages(workspace)) == 1
    (workspace.stories / ".half.part").write_text("half")
    first = next(workspace.stories.glob("call-ann-*"))
    before = first.stat().st_mtime_ns
    stories = tell(workspace, judge)
    assert list_pages(workspace) == expected_pages(stories)
    assert first.stat().st_mtime_ns == before


def test_an_agent_that_becomes_known_enters_the_pages(told, judge):
    with (told.dataset / "speakers.csv").open("a") as file:
        file.write("who.wav,Dee\n")
    stories = tell(told, judge)
    assert list_pages(told) == expected_pages(stories)
    assert "Dee" in next(told.stories.glob("call-who-*")).read_text()


def test_an_agent_without_calls_has_no_page_any_more(told, judge):
    (told.dataset / "speakers.csv").unlink()
    tell(told, judge)
    assert not list(told.stories.glob("agent-*"))


def test_calls_of_earlier_runs_stay_until_recording_or_page_is_gone(told, judge, tmp_path):
    other = write_dialogue(tmp_path / "other.wav", ("angry",) * 3)
    write_storybook([other], told, judge=judge)
    assert len(read_stories(told)) == 5
    assert list_pages(told) == expected_pages(read_stories(told))
    (told.dataset / "cid.wav").unlink()
    next(told.stories.glob("call-who-*")).unlink()
    notes = told.stories / "my notes.html"
    notes.write_text("of a person")
    assert write_storybook([other], told, judge=judge)["path"].tolist() == [str(other)]
    stories = read_stories(told)
    names = [path.rsplit("/", 1)[-1] for path in stories["path"]]
    assert names == ["other.wav", "ann.wav", "broken.wav"]
    assert list_pages(told) == expected_pages(stories) | {notes.name}


def test_no_page_tells_how_folders_outside_of_the_workspace_are_called(workspace, judge, tmp_path):
    other = write_dialogue(tmp_path / "of somebody/other.wav")
    write_storybook([other], workspace, judge=judge)
    for page in workspace.stories.iterdir():
        assert "somebody" not in page.read_text()


def test_verdict_and_clips_are_those_of_the_champion(trained):
    path = write_call(trained.dataset / "call_0.wav", 50, seed=3, pitch=250)
    stories = write_storybook([path], trained)
    verdict = predict_calls(path, workspace=trained).iloc[0]
    assert stories["status"].tolist() == [verdict["status"]]
    page = next(trained.stories.glob("call-call-0-*")).read_text()
    for status, name in zip(STATUSES, PROBABILITIES, strict=True):
        assert f"{status}</th><td>{format_share(verdict[name])}</td>" in page
    assert ("A person should listen" in page) == verdict["needs_human"]
    assert NOT_EXPLAINED not in page
    assert html.escape(ACTED_BANNER) not in page
    assert 'src="../dataset/call_0.wav"' in page


def test_without_any_model_it_is_said_what_to_run(workspace, calls):
    with pytest.raises(ModelError, match="run notebooks 01 to 04 first"):
        write_storybook(list_calls(workspace), workspace)


def test_recordings_of_the_workspace_are_listed_where_no_folder_is_given(workspace):
    dataset = write_call(workspace.dataset / "b/one.wav")
    form = write_call(workspace.audio_data / "a_sat.wav")
    (workspace.dataset / "conversions.csv").write_text("path\n")
    assert list_calls(workspace) == [dataset, form]


def test_files_of_a_folder_are_listed_but_its_table(workspace, calls):
    names = [path.name for path in list_calls(workspace, str(calls))]
    assert names == ["ann.wav", "who.wav", "broken.wav", "cid.wav"]


def test_the_first_recording_that_can_be_listened_to_is_chosen(workspace, calls):
    paths = list_calls(workspace, str(calls))
    assert choose_call(paths[2:]) == calls / "cid.wav"
    with pytest.raises(MissingStepError, match=r"\(broken.wav: text, not sound\)"):
        choose_call(paths[2:3])


@pytest.mark.parametrize(
    ("folder", "advice"), [("", "run notebook 01 first, or set CALLS"), ("empty", "set CALLS to")]
)
def test_no_recording_at_all_says_what_to_do(workspace, tmp_path, folder, advice):
    with pytest.raises(MissingStepError, match=advice):
        list_calls(workspace, folder and str(tmp_path / folder))


@pytest.mark.parametrize(
    ("chosen", "channel", "first", "expected"),
    [
        (None, "", "", USUAL),
        (None, "1", CUSTOMER, Roles(1, CUSTOMER)),
        ((CUSTOMER_ALONE, Roles(1, CUSTOMER)), "", "", Roles(1, CUSTOMER)),
        ((BOTH, Roles(1, AGENT)), "", "", Roles(1, AGENT)),
        ((CUSTOMER_ALONE, Roles(1, CUSTOMER)), "0", "", Roles(0, CUSTOMER)),
        ((CUSTOMER_ALONE, Roles(1, CUSTOMER)), 0, "", Roles(0, CUSTOMER)),
        ((CUSTOMER_ALONE, Roles(1, CUSTOMER)), "", AGENT, Roles(1, AGENT)),
    ],
)
def test_roles_are_those_given_then_those_of_the_workspace(
    workspace, chosen, channel, first, expected
):
    if chosen:
        choose_listening(workspace, chosen[0], roles=chosen[1])
    assert settle_roles(workspace, customer_channel=channel, first_speaker=first) == expected


@pytest.mark.parametrize(
    ("channel", "first", "said"),
    [("2", "", "set to '2'"), ("left", "", "set to 'left'"), ("", "boss", "set to 'boss'")],
)
def test_roles_that_nobody_understands_are_refused(workspace, channel, first, said):
    with pytest.raises(RolesError, match=said):
        settle_roles(workspace, customer_channel=channel, first_speaker=first)


def test_who_judges_is_said_in_words(trained, judge):
    champion = load_champion(trained)
    emotions, verdicts = introduce(judge, champion), introduce(VerdictJudge(champion), champion)
    assert ACTED_BANNER in emotions
    assert ACTED_BANNER not in verdicts
    assert "learned how both people sound together" in verdicts
    assert champion.version in emotions and champion.version in verdicts
    assert "no model of calls is trained yet" in introduce(judge, None)


def test_roles_that_the_champion_does_not_listen_by_are_refused(trained):
    alone = customer_feature_set(PHONE, roles=Roles(1, AGENT))
    model = replace(load_champion(trained), feature_set=alone)
    probes = np.zeros((2, len(PHONE.names)), np.float32)
    promote(trained, add_version(trained, model, {}, probes=probes).version, reason="a test")
    with pytest.raises(RolesError, match="takes channel 1 and the agent: leave CUSTOMER_CHANNEL"):
        settle_roles(trained)
    assert settle_roles(trained, customer_channel="1") == Roles(1, AGENT)
    assert "learned how both" not in introduce(VerdictJudge(model), model)
