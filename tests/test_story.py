import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import write_call

from helpers.conversation import story as story_module
from helpers.conversation.judges import EmotionJudge
from helpers.conversation.mood import STEADY, TOO_LITTLE, WORSENING
from helpers.conversation.story import STORY_COLUMNS, read_stories, tell_call, tell_calls
from helpers.corpora import load_corpus
from helpers.customers import read_customers
from helpers.emotion import fit_emotion_model
from helpers.emotion_store import save_emotion_model
from helpers.errors import ModelError
from helpers.files import write_csv
from helpers.hearing import read_recording
from helpers.records import COLUMNS
from helpers.workspace import SAMPLE_DATA, Workspace

RATE = 8000


MOODS = {"n": "neutral", "a": "angry", "s": "sad"}


@pytest.fixture(scope="module")
def judge() -> EmotionJudge:
    corpus = load_corpus(SAMPLE_DATA / "voices")
    others = corpus[~corpus["speaker"].str.endswith(("customer_08", "agent_01"))]
    with joblib.parallel_config("sequential"):
        return EmotionJudge(
            fit_emotion_model(others.reset_index(drop=True), telephone=False, networks=0)
        )


def write_dialogue(path, moods: str):
    """Write a two-channel call: in every 4 s the agent speaks, then the customer in a mood."""
    signal = 1e-4 * np.random.default_rng(0).standard_normal((4 * len(moods) * RATE, 2))
    for number, mood in enumerate(moods):
        statement = ("door", "letter", "train", "window")[number % 4]
        for channel, name, start_s in (
            (1, f"agent_01_neutral_{statement}", 0.2),
            (0, f"customer_08_{MOODS[mood]}_{statement}", 2.1),
        ):
            voice = read_recording(SAMPLE_DATA / f"voices/{name}.wav")[: 18 * RATE // 10]
            first = round((4 * number + start_s) * RATE)
            signal[first : first + len(voice), channel] += voice
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, RATE, subtype="PCM_16", format="WAV")
    return path


class Counter:
    """Counts the stories that are told, and stops before one of them like a killed run."""

    def __init__(self, stop_at: int = 0) -> None:
        self.paths, self.stop_at = [], stop_at

    def __call__(self, story) -> None:
        assert set(story.row) == set(STORY_COLUMNS)
        if len(self.paths) + 1 == self.stop_at:
            raise KeyboardInterrupt
        self.paths.append(story.row["path"])


def test_a_call_is_told_with_every_column_that_its_sound_can_fill(judge, tmp_path):
    path = write_dialogue(tmp_path / "call.wav", "n" * 10 + "a" * 10)
    story = tell_call(path, judge=judge)
    looked_up = {"twins", "error", "customer", "agent", "gender", "line"}
    assert set(STORY_COLUMNS) - set(story.row) == looked_up | {"told_with", "content_hash"}
    assert set(story.row) <= set(STORY_COLUMNS)
    assert story.row["trend"] == story.mood.trend == WORSENING
    assert 40 <= story.row["upset_from_s"] <= 46 < story.row["escalated_at_s"] < 62
    assert story.row["upset_quarter_1"] < 0.3 < 0.6 < story.row["upset_quarter_4"]
    assert story.row["customer_talk_s"] == pytest.approx(26, abs=8)
    assert story.row["status"] == ""


def test_calls_are_told_row_by_row_with_what_tables_know(judge, workspace, tmp_path):
    first = write_dialogue(tmp_path / "calls/first.wav", "nnnn")
    twin = write_dialogue(tmp_path / "calls/twin.wav", "nnnn")
    second = write_dialogue(workspace.folder / "dataset/second.wav", "anan")
    broken = tmp_path / "calls/broken.wav"
    broken.write_text("this is no recording")
    missing = tmp_path / "calls/missing.wav"
    (tmp_path / "calls/speakers.csv").write_text(
        "file,customer,agent\nfirst.wav,Ann,Bob\nsecond.wav,Cid,Dee\nbroken.wav,Eve,Bob\n"
    )
    tables = read_customers(tmp_path / "calls")
    paths = [broken, first, twin, missing, second, first, missing]
    table = tell_calls(paths, workspace, judge=judge, tables=tables)
    assert list(table.columns) == list(STORY_COLUMNS)
    assert table["path"].tolist() == [str(broken), str(first), str(missing), "dataset/second.wav"]
    assert table["twins"].tolist() == ["", str(twin), "", ""]
    assert table["agent"].tolist() == ["Bob", "Bob", "", "Dee"]
    assert table["error"].tolist() == ["text, not sound", "", "no such file", ""]
    assert table["line"].tolist() == ["", "8 kHz two-channel", "", "8 kHz two-channel"]
    assert table["trend"].isin([TOO_LITTLE, STEADY, ""]).all()
    assert table["duration_s"].isna().tolist() == [True, False, True, False]
    pd.testing.assert_frame_equal(table, read_stories(workspace))


def test_records_know_better_than_tables_who_answered(judge, workspace, tmp_path):
    path = write_dialogue(tmp_path / "call.wav", "nnn")
    key = tell_calls([path], workspace, judge=judge)["content_hash"][0]
    record = dict.fromkeys(COLUMNS, "") | {"duration_s": 1, "sampling_rate": 8000, "channels": 2}
    record |= {"content_hash": key, "agent": "Fay", "line": "Teams"}
    write_csv(workspace.records, pd.DataFrame([record]))
    counter = Counter()
    table = tell_calls([path], workspace, judge=judge, keep=counter)
    assert table[["agent", "line"]].to_numpy().tolist() == [["Fay", "Teams"]]
    assert not counter.paths


def test_a_second_run_tells_nothing_and_changes_nothing(judge, workspace, tmp_path):
    paths = [write_dialogue(tmp_path / f"{name}.wav", name) for name in ("nnn", "aaa")]
    first = tell_calls(paths, workspace, judge=judge)
    before = workspace.call_stories.stat().st_mtime_ns
    counter = Counter()
    again = tell_calls(paths, workspace, judge=judge, keep=counter)
    pd.testing.assert_frame_equal(first, again)
    assert not counter.paths
    assert workspace.call_stories.stat().st_mtime_ns == before


def test_a_run_that_was_killed_goes_on_where_it_was(judge, workspace, tmp_path):
    paths = [write_dialogue(tmp_path / f"{name}.wav", name) for name in ("nnn", "aaa", "sss")]
    with pytest.raises(KeyboardInterrupt):
        tell_calls(paths, workspace, judge=judge, keep=Counter(stop_at=3))
    assert len(read_stories(workspace)) == 2
    counter = Counter()
    table = tell_calls(paths, workspace, judge=judge, keep=counter)
    assert counter.paths == [str(paths[2])]
    assert table["path"].tolist() == [str(path) for path in paths]


def test_other_calls_stay_and_other_settings_tell_anew(judge, workspace, tmp_path, monkeypatch):
    paths = [write_dialogue(tmp_path / f"{name}.wav", name) for name in ("nnn", "aaa")]
    tell_calls(paths[:1], workspace, judge=judge)
    assert len(tell_calls(paths[1:], workspace, judge=judge)) == 1
    assert read_stories(workspace)["path"].tolist() == [str(path) for path in paths[::-1]]
    counter = Counter()
    tell_calls(paths[:1], workspace, judge=judge, escalation_s=3, keep=counter)
    assert len(counter.paths) == len(read_stories(workspace)) == 1
    monkeypatch.setattr(story_module, "VERSION", 2)
    tell_calls(paths[:1], workspace, judge=judge, escalation_s=3, keep=counter)
    assert len(counter.paths) == 2


def test_a_changed_recording_is_told_anew_under_its_name(judge, workspace, tmp_path):
    path = write_dialogue(tmp_path / "call.wav", "nnn")
    first = tell_calls([path], workspace, judge=judge)
    write_dialogue(path, "nnnn")
    second = tell_calls([path], workspace, judge=judge)
    assert (first["duration_s"][0], second["duration_s"][0]) == (12, 16)
    assert len(read_stories(workspace)) == 1


def test_the_champion_gives_the_verdict(trained, judge, tmp_path):
    path = write_call(tmp_path / "call.wav", 46, pitch=260, seed=1)
    save_emotion_model(trained.voice_emotions, judge.model)
    row = tell_calls([path], trained).iloc[0]
    assert (row["status"], row["judge"]) == ("unsatisfied", judge.name)
    assert row["p_unsatisfied"] > 0.5


def test_without_a_model_nothing_is_told(workspace: Workspace, tmp_path):
    with pytest.raises(ModelError, match="run notebooks 01 to 04 first"):
        tell_calls([write_call(tmp_path / "call.wav")], workspace)
    assert not workspace.call_stories.exists()
