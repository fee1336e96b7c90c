import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import PITCHES, place_call, snapshot, write_call
from scipy.stats import ks_2samp

from helpers.dataset import cached_features
from helpers.errors import FormError, ModelError
from helpers.features import PHONE
from helpers.feedback.labelling import CALL_PLACE
from helpers.model_store import KEPT_ASIDE, add_version, load_champion, read_card, record_decision
from helpers.monitoring import SCORES, rank_next, report_drift, tabulate_versions
from helpers.prediction import predict_calls
from helpers.promotion import TrainingData
from helpers.retraining import list_form_calls
from helpers.statuses import STATUSES
from helpers.workspace import Workspace, open_workspace

CALLS = 24
LINK = f"https://docs.google.com/forms/d/e/1FA/viewform?usp=pp_url&entry.1={CALL_PLACE}"


def judge(workspace) -> pd.DataFrame:
    """Judge the form's calls as `predictions.csv` has them."""
    calls = list_form_calls(workspace)
    paths = [workspace.folder / path for path in calls["path"]]
    return calls.join(predict_calls(paths, workspace=workspace).drop(columns="path"))


def describe(workspace, predictions: pd.DataFrame) -> np.ndarray:
    rows = [
        cached_features(workspace, call.path, call.content_hash, feature_set=PHONE)[-1]
        for call in predictions.itertuples()
    ]
    return np.array(rows)


def as_training(workspace, predictions: pd.DataFrame) -> TrainingData:
    features, calls = describe(workspace, predictions), predictions["content_hash"].to_numpy()
    labels = predictions["expected"].to_numpy(dtype=str)
    return TrainingData(features, labels, calls, calls, 0)


@pytest.fixture(scope="module")
def busy_once(trained_once, tmp_path_factory) -> Workspace:
    """A workspace with as many calls of the form as there were to learn from, both alike."""
    folder = tmp_path_factory.mktemp("busy") / "workspace"
    shutil.copytree(trained_once.folder, folder)
    workspace = open_workspace(folder)
    generator = np.random.default_rng(1)
    for number in range(2 * CALLS):
        status = STATUSES[number % 3]
        pitch = PITCHES[status] * generator.uniform(0.95, 1.05)
        kind = {"answer": status, "seed": 200 + number, "duration_s": 6}
        place_call(workspace, f"{'old' if number < CALLS else 'new'}_{number}", pitch=pitch, **kind)
    return workspace


@pytest.fixture(scope="module")
def predictions(busy_once) -> pd.DataFrame:
    return judge(busy_once)


@pytest.fixture(scope="module")
def new(predictions) -> pd.DataFrame:
    return predictions[predictions["path"].str.contains("/new_")]


@pytest.fixture(scope="module")
def training(busy_once, predictions) -> TrainingData:
    """Give the data of calls that sound like the new ones."""
    return as_training(busy_once, predictions[predictions["path"].str.contains("/old_")])


def test_calls_like_those_learned_from_have_not_drifted(busy_once, training, new):
    drift = report_drift(busy_once, training, new)
    assert not drift.features["drifted"].any()
    assert drift.verdicts.p > 0.05
    assert drift.verdicts.table["new"].sum() == pytest.approx(1)
    assert str(CALLS) in drift.sentence


def test_features_are_compared_with_those_of_the_new_calls(busy_once, training, new):
    drift = report_drift(busy_once, training, new)
    features = describe(busy_once, new)
    for row in drift.features.iloc[::40].itertuples():
        column = PHONE.names.index(row.feature)
        expected = ks_2samp(training.features[:, column], features[:, column])
        assert row.ks == pytest.approx(expected.statistic)


def test_calls_through_another_line_have_drifted_and_it_is_said_in_what(
    busy_once, tmp_path, training, new
):
    shutil.copytree(busy_once.folder, tmp_path / "muffled")
    workspace = open_workspace(tmp_path / "muffled")
    for path in new["path"]:
        signal, rate = soundfile.read(workspace.folder / path)
        muffled = np.convolve(signal, np.ones(8) / 8, mode="same")  # little above 800 Hz is left
        soundfile.write(workspace.folder / path, muffled, rate, subtype="PCM_16")
    judged = judge(workspace)
    drift = report_drift(workspace, training, judged[judged["path"].str.contains("/new_")])
    assert drift.features["drifted"].mean() > 0.05
    assert drift.sentence.startswith("the new calls sound different: ")
    assert "brightness" in drift.sentence
    assert "more satisfied than in training (100 % against 33 %)" in drift.sentence


def test_verdicts_are_compared_with_those_on_customers_that_were_not_heard(
    busy_once, training, new
):
    one_status = new.assign(end_status="unsatisfied")
    drift = report_drift(busy_once, training, one_status)
    assert drift.verdicts.p < 0.01
    table = drift.verdicts.table.set_index("status")
    assert table.loc["unsatisfied", "new"] == 1
    assert table["training"].to_numpy() == pytest.approx([1 / 3] * 3, abs=0.15)


def test_each_customer_counts_once_with_whichever_call(busy_once, training, new):
    rows = np.repeat(np.arange(12), 5)
    first = ~pd.Series(rows).duplicated().to_numpy()
    features = training.features[rows] + 9 * training.features.std(axis=0) * first[:, None]
    labels = np.where(first, "unsatisfied", training.labels[rows])
    many = TrainingData(features, labels, training.groups[rows], rows, 0)
    drift = report_drift(busy_once, many, new)
    assert drift.features["ks"].max() < 0.8  # all first calls sound unlike any new one


def test_calls_that_could_not_be_judged_are_no_drift(busy_once, training, new):
    broken = pd.DataFrame(
        {"path": "audio_data/gone_sat.wav", "content_hash": "0", "error": "no such file"}, index=[0]
    )
    expected = report_drift(busy_once, training, new)
    drift = report_drift(busy_once, training, pd.concat([new, broken]))
    pd.testing.assert_frame_equal(drift.features, expected.features)
    assert drift.sentence == expected.sentence


def test_a_few_calls_are_too_few_to_tell(busy_once, training, new):
    drift = report_drift(busy_once, training, new[:5])
    assert drift.sentence == "too few new calls (5) to tell: 20 are needed"


@pytest.fixture
def unsorted(trained) -> Workspace:
    """Give a workspace with three calls that nobody has given a status."""
    for name, pitch in (("clear", PITCHES["satisfied"]), ("between", 145), ("clear_too", 110)):
        write_call(trained.audio_data / f"{name}.wav", 46, seed=300, pitch=pitch)
    return trained


def test_the_call_the_model_is_least_sure_of_is_labelled_first(unsorted):
    table = rank_next(unsorted, link=LINK)
    assert table["call"][0] == "audio_data/between.wav"
    assert set(table["call"]) == {
        f"audio_data/{name}.wav" for name in ("clear", "between", "clear_too")
    }
    assert table["informativeness"].is_monotonic_decreasing
    paths = [unsorted.folder / path for path in table["call"]]
    verdicts = predict_calls(paths, workspace=unsorted)
    assert table["verdict"].tolist() == verdicts["status"].tolist()
    np.testing.assert_allclose(table["confidence"], verdicts["confidence"], atol=1e-5)


def test_each_has_a_link_to_the_form_with_its_name_filled_in(unsorted):
    table = rank_next(unsorted, link=LINK)
    assert table["link"][0] == LINK.replace(CALL_PLACE, "audio_data%2Fbetween.wav")
    assert set(rank_next(unsorted)["link"]) == {""}
    with pytest.raises(FormError, match="Get pre-filled link"):
        rank_next(unsorted, link="https://forms.gle/abc")


def test_the_list_is_as_long_as_asked_for(unsorted):
    assert rank_next(unsorted, count=1)["call"].tolist() == ["audio_data/between.wav"]
    assert rank_next(unsorted, count=0).empty


def test_calls_with_a_status_and_files_that_cannot_be_judged_are_not_asked_for(unsorted):
    place_call(unsorted, "answered", pitch=145, answer="average", seed=301)
    (unsorted.audio_data / "text.wav").write_text("no sound")
    signal = np.zeros(60 * 8000, np.float32)
    signal[22 * 8000 : 30 * 8000] = 0.1  # neither in the first 20 nor in the last 25 s
    soundfile.write(unsorted.audio_data / "silent.wav", signal, 8000)
    shutil.copyfile(unsorted.audio_data / "clear.wav", unsorted.audio_data / "copy.wav")
    calls = rank_next(unsorted)["call"]
    assert set(calls) == {f"audio_data/{name}.wav" for name in ("clear", "between", "clear_too")}


def test_where_every_call_has_a_status_there_is_nothing_to_label(trained):
    table = rank_next(trained, link=LINK)
    assert table.empty
    assert list(table) == ["call", "verdict", "confidence", "informativeness", "link"]


def test_without_a_model_nothing_can_be_ranked(workspace):
    with pytest.raises(ModelError, match="run notebooks 01 to 04 first"):
        rank_next(workspace)


@pytest.fixture
def two_versions(trained) -> list[str]:
    """Store the champion once more and keep it aside; give both names."""
    champion = load_champion(trained)
    probes = np.load(trained.feature_data)
    second = add_version(trained, champion, {"golden": None}, probes=probes).version
    decision = {"event": KEPT_ASIDE, "reasons": ["No better."], "against": champion.version}
    record_decision(trained, second, **decision)
    return [champion.version, second]


def test_every_decision_is_a_row_with_the_versions_figures(trained, two_versions):
    first, second = two_versions
    before = snapshot(trained)
    table = tabulate_versions(trained)
    assert snapshot(trained) == before
    assert table["version"].tolist() == [first, second]
    assert table["reason"][1] == "No better."
    golden = read_card(trained, first)["golden"]
    assert table.loc[0, list(SCORES)].to_dict() == {name: golden[name] for name in SCORES}
    assert table.loc[1, list(SCORES)].isna().all()


@pytest.mark.parametrize("lost", ["folder", "card"])
def test_a_version_that_was_deleted_is_still_in_the_table(trained, two_versions, lost):
    folder = trained.models / two_versions[0]
    if lost == "folder":
        shutil.rmtree(folder)
    else:
        (folder / "card.json").write_text("{")
    table = tabulate_versions(trained)
    assert table["version"].tolist() == two_versions
    assert table.loc[0, list(SCORES)].isna().all()


def test_without_versions_the_table_is_empty(workspace):
    table = tabulate_versions(workspace)
    assert table.empty
    assert list(table) == ["time", "version", "event", "against", "reason", *SCORES]
