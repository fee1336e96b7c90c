import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import place_call, write_call
from dashboard_workspace import WAITING, fill_workspace

from apps.dashboard.call_table import (
    COLUMNS,
    LONGEST,
    NAME,
    NO_VERDICT,
    WORST,
    count_verdicts,
    count_weeks,
    filter_calls,
    list_calls,
    order_calls,
)
from apps.dashboard.hearing import find_end, hear_recording, to_wave, write_csv_row, write_json
from apps.dashboard.pictures import draw_spectrogram, to_svg
from apps.dashboard.waiting import (
    TWO_STATUSES,
    AlreadyDecidedError,
    list_waiting,
    other_statuses,
    settle,
)
from helpers.conversation.verdict import open_listener
from helpers.decisions import read_decisions, withdraw_decision
from helpers.errors import TableError
from helpers.records import build_records, decide
from helpers.workspace import open_workspace


@pytest.fixture(scope="module")
def filled(trained_once, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "workspace"
    shutil.copytree(trained_once.folder, folder)
    return fill_workspace(open_workspace(folder))


@pytest.fixture
def forms(workspace):
    """Give a workspace with ten calls of the form."""
    for number in range(10):
        pitch = 120 + 10 * number
        place_call(workspace, f"call{number}", pitch=pitch, answer="average", duration_s=2)
    return workspace


def make_calls(**cells) -> pd.DataFrame:
    texts = ("verdict", "agent", "trend", "path", "customer", "note", "name")
    table = pd.DataFrame({**dict.fromkeys(texts, ""), **cells})
    return table.reindex(columns=list(COLUMNS))


def test_every_recording_is_listed_once_with_what_is_known_of_it(filled):
    calls = list_calls(filled)
    assert list(calls.columns) == list(COLUMNS)
    assert len(calls) == 11
    assert calls["path"].is_unique
    assert set(calls["agent"]) == {"Ann", "Bob"}
    assert calls["p_unsatisfied"].is_monotonic_decreasing
    assert set(calls["answer"]) == {"satisfied", "average", "unsatisfied"}


def test_a_workspace_without_any_table_has_no_calls(workspace):
    assert list_calls(workspace).empty


def test_without_stories_the_verdict_is_that_of_the_day_the_call_came(trained):
    fill_workspace(trained).call_stories.unlink()
    calls = list_calls(trained).set_index("path")
    assert calls.loc[WAITING[0], "verdict"] == "unsatisfied"
    assert calls.loc[WAITING[0], "p_unsatisfied"] == 0.9
    assert calls["verdict"].value_counts().to_dict() == {"": 9, "unsatisfied": 2}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({}, [0, 1, 2]),
        ({"text": "ANN"}, [0]),
        ({"text": "b.wav "}, [1]),
        ({"text": "("}, []),
        ({"verdicts": ["satisfied"]}, [0]),
        ({"verdicts": [NO_VERDICT, "satisfied"]}, [0, 2]),
        ({"agents": ["Bob"]}, [1]),
        ({"moods": ["steady"], "agents": ["Ann"]}, []),
    ],
)
def test_calls_are_kept_that_fit_every_filter(wanted, kept):
    calls = make_calls(
        path=["x/a.wav", "x/b.wav", "x/c.wav"],
        verdict=["satisfied", "average", ""],
        agent=["Ann", "Bob", ""],
        trend=["worsening", "steady", "steady"],
    )
    assert filter_calls(calls, **wanted).index.tolist() == kept


@pytest.mark.parametrize(("order", "first"), [(WORST, "b"), (LONGEST, "c"), (NAME, "a")])
def test_what_is_not_known_comes_last_in_every_order(order, first):
    calls = make_calls(
        **{"name": ["a", "b", "c"], "p_unsatisfied": [np.nan, 0.9, 0.1]},
        duration_s=[np.nan, 1.0, 9.0],
    )
    ordered = order_calls(calls, order)
    assert ordered["name"].iloc[0] == first
    if order != NAME:
        assert ordered["name"].iloc[-1] == "a"


def test_shares_are_not_known_where_nobody_has_said_anything():
    counts = count_verdicts(make_calls(answer=["", ""], verdict=["satisfied", ""]))
    assert counts["people"].tolist() == [0, 0, 0]
    assert counts["people_share"].isna().all()
    assert counts["models_share"].tolist() == [1, 0, 0]


def test_verdicts_are_counted_by_week_and_unreadable_dates_left_out():
    dates = ["2026-11-02T09:00:00+00:00", "2026-11-10", "some day", ""]
    predictions = pd.DataFrame({"judged_at": dates, "end_status": "average"})
    weeks = count_weeks(predictions)
    assert weeks["week"].tolist() == ["2026-W45", "2026-W46"]
    assert weeks["average"].tolist() == [1, 1]
    assert count_weeks(predictions[:0]).empty


def test_what_was_decided_leaves_the_list_and_returns_when_taken_back(trained):
    fill_workspace(trained)
    assert list_waiting(trained)["path"].tolist() == list(WAITING)
    assert settle(trained, WAITING[0], "unsatisfied")
    assert list_waiting(trained)["path"].tolist() == [WAITING[1]]
    assert not settle(trained, WAITING[0], "unsatisfied")
    with pytest.raises(AlreadyDecidedError, match="this call is unsatisfied; it was left at that"):
        settle(trained, WAITING[0], "average")
    withdraw_decision(trained, WAITING[0])
    assert list_waiting(trained)["path"].tolist() == list(WAITING)
    assert read_decisions(trained) == {}


def test_a_recording_with_two_statuses_waits_and_keeps_waiting_after_an_undo(forms):
    copy = forms.audio_data / "again_sat.wav"
    copy.write_bytes((forms.audio_data / "call0_avg.wav").read_bytes())
    build_records(forms)
    (call,) = list_waiting(forms).to_dict("records")
    assert (call["cause"], call["answer"]) == (TWO_STATUSES, "")
    assert "satisfied: audio_data/again_sat.wav" in call["reason"]
    settle(forms, call["path"], "average")
    assert list_waiting(forms).empty
    withdraw_decision(forms, call["path"])
    assert list_waiting(forms)["path"].tolist() == [call["path"]]


def test_people_who_decide_at_once_lose_nothing(forms):
    paths = [f"audio_data/call{number}_avg.wav" for number in range(10)]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda path: decide(forms, {path: "satisfied"}), paths))
    assert read_decisions(forms) == dict.fromkeys(paths, "satisfied")


def test_nothing_can_be_decided_about_a_call_that_is_gone(forms):
    with pytest.raises(TableError, match="is no usable recording"):
        settle(forms, "audio_data/gone.wav", "average")
    with pytest.raises(TableError, match="is no usable recording"):
        settle(forms, "../../etc/passwd", "average")


def test_a_call_can_be_corrected_to_every_other_status():
    assert other_statuses("average") == ("satisfied", "unsatisfied")
    assert len(other_statuses("")) == 3


def test_a_judged_recording_can_be_downloaded_and_never_tells_where_it_was(filled):
    path = filled.folder / WAITING[0]
    heard = hear_recording(path, open_listener(filled), name="bill.wav")
    content = json.loads(write_json(heard))
    assert content["name"] == content["figures"]["path"] == "bill.wav"
    assert sum(content["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert content["figures"]["escalated_at_s"] is None
    table = pd.read_csv(io.BytesIO(write_csv_row(heard)))
    assert table.loc[0, "p_unsatisfied"] == pytest.approx(content["probabilities"]["unsatisfied"])
    shown = write_json(heard) + write_csv_row(heard) + heard.timeline.encode()
    assert str(filled.folder).encode() not in shown
    assert heard.timeline.startswith("<svg")


@pytest.mark.parametrize("format_", [{"subtype": "ULAW"}, {"format": "FLAC", "subtype": "PCM_16"}])
def test_every_recording_becomes_pcm_for_the_browser(tmp_path, format_):
    path = write_call(tmp_path / "call.wav", 3, **format_)
    wave = soundfile.info(io.BytesIO(to_wave(path)))
    assert (wave.subtype, wave.samplerate, wave.frames) == ("PCM_16", 8000, 24000)
    assert find_end(path) == 0


@pytest.mark.parametrize("duration_s", [1.0, 61.0])
def test_a_spectrogram_is_dark_where_the_sound_is(tmp_path, duration_s):
    times = np.arange(round(8000 * duration_s)) / 8000
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * times), 8000)
    figure = draw_spectrogram(tmp_path / "tone.wav")
    levels = figure.axes[0].images[0].get_array()
    loudest = levels.mean(axis=1).argmax() / levels.shape[0] * 4000
    assert loudest == pytest.approx(1000, abs=40)
    assert levels.shape[1] <= 1201
    assert levels.max() == 0
    assert to_svg(figure).startswith("<svg")
