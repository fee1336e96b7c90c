import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import place_call, write_call
from dashboard_workspace import WAITING, fill_workspace

from apps.dashboard.call_table import (
    COLUMNS,
    DECIDED,
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
from apps.dashboard.waiting import TWO_STATUSES, list_decided, list_waiting, settle, take_back
from apps.limits import MOST_SAMPLES
from helpers.conversation.verdict import open_listener
from helpers.decisions import read_decisions
from helpers.errors import AudioError, DecidedError, TableError
from helpers.files import write_csv
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
    assert list(calls.columns) == [*COLUMNS, DECIDED]
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


@pytest.fixture
def twins(trained):
    """Give two names of one recording, one on the review list and one in no table of the list."""
    fill_workspace(trained)
    (trained.audio_data / "again_sat.wav").write_bytes((trained.folder / WAITING[0]).read_bytes())
    return trained, (WAITING[0], "audio_data/again_sat.wav")


def test_what_was_decided_leaves_the_list_and_returns_when_taken_back(trained):
    fill_workspace(trained)
    assert list_waiting(trained)["path"].tolist() == list(WAITING)
    settle(trained, WAITING[0], "unsatisfied")
    settle(trained, WAITING[0], "unsatisfied")
    assert list_waiting(trained)["path"].tolist() == [WAITING[1]]
    assert list_decided(trained).to_dict("records") == [
        {"path": WAITING[0], "status": "unsatisfied"}
    ]
    with pytest.raises(DecidedError, match="somebody has decided meanwhile"):
        settle(trained, WAITING[0], "average")
    assert take_back(trained, WAITING[0], "unsatisfied").endswith("bill_sat.wav waits again.")
    assert list_waiting(trained)["path"].tolist() == list(WAITING)
    assert list_decided(trained).empty


def test_of_two_names_of_one_sound_the_second_decision_is_refused(twins):
    workspace, (name, other) = twins
    settle(workspace, other, "unsatisfied")
    with pytest.raises(DecidedError, match=f"under its other name {other} was unsatisfied"):
        settle(workspace, name, "average")
    assert read_decisions(workspace) == {other: "unsatisfied"}
    build_records(workspace)
    assert name not in set(list_waiting(workspace)["path"])


def test_of_two_leads_who_decide_at_once_one_is_told(twins):
    workspace, names = twins
    barrier = Barrier(2)

    def decide_at_once(path, status) -> str:
        barrier.wait()
        try:
            settle(workspace, path, status)
        except DecidedError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(decide_at_once, names, ("average", "unsatisfied")))
    assert told[0] == ""
    assert "somebody has decided meanwhile" in told[1]
    assert len(read_decisions(workspace)) == 1


def test_what_somebody_has_changed_meanwhile_is_not_taken_back(trained):
    fill_workspace(trained)
    settle(trained, WAITING[0], "unsatisfied")
    decide(trained, {WAITING[0]: "average"})
    with pytest.raises(DecidedError, match=r"bill_sat\.wav meanwhile: it is average now"):
        take_back(trained, WAITING[0], "unsatisfied")
    assert read_decisions(trained) == {WAITING[0]: "average"}
    take_back(trained, WAITING[0], "average")
    with pytest.raises(DecidedError, match="nothing is decided about it"):
        take_back(trained, WAITING[0], "average")


def test_a_call_that_waited_for_nobody_does_not_wait_again(trained):
    fill_workspace(trained)
    path = "dataset/average/call_0.wav"
    settle(trained, path, "satisfied")
    assert "nothing is decided about call_0.wav any more" in take_back(trained, path, "satisfied")


def test_a_decision_is_what_people_say_at_once_under_whichever_name(trained):
    fill_workspace(trained)
    settle(trained, WAITING[0], "unsatisfied")
    call = list_calls(trained).set_index("path").loc[WAITING[0]]
    assert (call["answer"], call[DECIDED]) == ("unsatisfied", WAITING[0])
    other = list_calls(trained).set_index("path").loc[WAITING[1]]
    assert (other["answer"], other[DECIDED]) == ("average", "")


@pytest.mark.parametrize("written", ["", "?", "satisfied or average"])
def test_a_recording_with_two_statuses_waits_until_a_status_is_decided(forms, written):
    copy = forms.audio_data / "again_sat.wav"
    copy.write_bytes((forms.audio_data / "call0_avg.wav").read_bytes())
    build_records(forms)
    table = pd.read_csv(forms.decisions, dtype=str)
    write_csv(forms.decisions, table.assign(decision=written))
    (call,) = list_waiting(forms).to_dict("records")
    assert (call["cause"], call["answer"]) == (TWO_STATUSES, "")
    assert "satisfied: audio_data/again_sat.wav" in call["reason"]
    settle(forms, call["path"], "average")
    assert list_waiting(forms).empty
    assert "waits again" in take_back(forms, call["path"], "average")
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
    plt.close(figure)


def test_pictures_drawn_at_once_are_those_drawn_alone(tmp_path):
    paths = [write_call(tmp_path / f"{seed}.wav", 2, seed=seed) for seed in range(4)]
    alone = [to_svg(draw_spectrogram, path) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda path: to_svg(draw_spectrogram, path), paths * 4)) == alone * 4
    assert alone[0].startswith("<svg")
    assert len(set(alone)) == 4


def test_a_recording_that_is_too_long_is_neither_judged_nor_played(filled, tmp_path):
    path, rate = tmp_path / "long.wav", 192_000
    frames = MOST_SAMPLES // 2 + 1
    with soundfile.SoundFile(path, "w", rate, 2, "ULAW") as file:
        for start in range(0, frames, 60 * rate):
            file.write(np.zeros((min(60 * rate, frames - start), 2), "int16"))
    for use in (to_wave, lambda path: hear_recording(path, open_listener(filled), name="x")):
        with pytest.raises(AudioError, match=r"too long: 5 min; .* at most 5 min are judged"):
            use(path)
