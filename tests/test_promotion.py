import html
import shutil
from itertools import combinations, cycle

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import HIGH_AVERAGE, SUFFIXES, Bomb, place_call, snapshot
from sklearn.metrics import recall_score

from helpers.conversion import convert_recordings
from helpers.dataset import build_dataset, load_dataset
from helpers.errors import GoldenSetError, ModelError
from helpers.features import PHONE
from helpers.feedback.golden import grow_golden, read_golden, settle_golden
from helpers.model_store import (
    KEPT_ASIDE,
    PROMOTED,
    ROLLED_BACK,
    find_champion,
    list_versions,
    load_champion,
    load_version,
    promote,
    read_card,
    read_history,
    rollback,
)
from helpers.prediction import predict_calls
from helpers.promotion import (
    FIRST_REASON,
    UNUSABLE_REASON,
    TrainingData,
    collect_training,
    compare_with_champion,
    update_champion,
)
from helpers.records import CLUSTER, FORM, build_records, read_records
from helpers.retraining import list_form_calls
from helpers.statuses import STATUSES
from helpers.workspace import SAMPLE_DATA, Workspace, open_workspace

NOTHING_NEW = "nothing new since the last training"


def collect(workspace) -> TrainingData:
    """Collect the archive and every call of the form, whatever its answer."""
    return collect_training(workspace, list_form_calls(workspace))


def rotate(data: TrainingData, steps: int = 1) -> TrainingData:
    """Replace every label by another status."""
    labels = [STATUSES[(STATUSES.index(label) + steps) % 3] for label in data.labels]
    return data._replace(labels=np.array(labels))


def judge(workspace) -> bytes:
    """Judge some archived calls; the table as CSV."""
    paths = [workspace.folder / path for path in read_records(workspace)["path"][:4]]
    table = predict_calls(paths, workspace=workspace).drop(columns="path")
    return table.to_csv(index=False).encode()


def assert_exports_are_the_champion(workspace) -> None:
    features = load_dataset(workspace).features
    champion = load_champion(workspace)
    expected = champion.classifier.predict_proba(champion.scaler.transform(features))
    for name in ("", "_epic_retrained")[: 1 + workspace.predictions.is_file()]:
        classifier, scaler = map(joblib.load, workspace.exports(name))
        assert np.array_equal(classifier.predict_proba(scaler.transform(features)), expected)


@pytest.fixture(scope="module")
def decided_once(improvable_once, tmp_path_factory) -> Workspace:
    """A workspace whose first version is always wrong, the second good and the third bad."""
    folder = tmp_path_factory.mktemp("decided") / "workspace"
    shutil.copytree(improvable_once.folder, folder)
    workspace = open_workspace(folder)
    shutil.rmtree(workspace.models)
    workspace.predictions.touch()
    data = collect(workspace)
    for each in (rotate(data, 2), data, rotate(data)):
        update_champion(workspace, each, origin="test")
    return workspace


@pytest.fixture
def decided(decided_once, tmp_path) -> Workspace:
    shutil.copytree(decided_once.folder, tmp_path / "decided")
    return open_workspace(tmp_path / "decided")


@pytest.fixture
def data(decided) -> TrainingData:
    """Give what the second version has learned from."""
    return collect(decided)


def test_the_golden_calls_are_in_no_training_data(improvable):
    data = collect(improvable)
    golden = read_golden(improvable)
    assert len(golden) == 3
    assert len(data.calls) == 6
    assert set(golden["content_hash"]).isdisjoint(data.calls)
    assert set(golden["content_hash"]).isdisjoint(load_champion(improvable).trained_on)
    assert set(data.groups) == {"customer_0", "customer_1"}
    assert data.feedback == 0


def test_another_call_of_a_golden_customer_is_in_no_training_data_either(improvable):
    for number in (0, 2):
        source = improvable.dataset / "satisfied" / f"call_{number}.wav"
        signal, rate = soundfile.read(source)
        soundfile.write(source.with_name(f"new_{number}.wav"), signal[::-1], rate)
    no_feedback, records = list_form_calls(improvable), build_records(improvable)
    for number in (0, 2):
        mine = records["path"] == f"dataset/satisfied/new_{number}.wav"
        records.loc[mine, "customer"] = f"customer_{number}"
    records.to_csv(improvable.records, index=False)
    build_dataset(improvable)
    data = collect_training(improvable, no_feedback)
    hashes = records.set_index("path")["content_hash"]
    assert hashes["dataset/satisfied/new_0.wav"] in data.calls
    assert hashes["dataset/satisfied/new_2.wav"] not in data.calls
    assert len(load_dataset(improvable).labels) == 22
    assert len(data.calls) == 7


def test_feedback_comes_after_the_archive_with_its_answer_and_as_its_own_customer(improvable):
    place_call(improvable, "a", pitch=150, answer="average")
    place_call(improvable, "b", pitch=200, answer="unsatisfied", seed=51)
    data = collect(improvable)
    calls = list_form_calls(improvable)
    assert (data.feedback, data.named) == (2, 0)
    assert data.labels[-2:].tolist() == ["average", "unsatisfied"]
    assert data.calls[-2:].tolist() == data.groups[-2:].tolist() == calls["content_hash"].tolist()
    for row, content_hash in zip(data.features[-2:], calls["content_hash"], strict=True):
        cached = np.load(improvable.feature_cache / PHONE.name / f"{content_hash}.npy")
        assert np.array_equal(row, cached[-1])


def test_calls_that_have_only_their_clusters_name_are_counted_in_data_and_card(improvable):
    place_call(improvable, "a", pitch=150, answer="average")
    place_call(improvable, "b", pitch=200, answer="unsatisfied", seed=51)
    place_call(improvable, "c", pitch=180, answer="satisfied", seed=52)
    calls = list_form_calls(improvable).assign(source=[CLUSTER, FORM, CLUSTER])
    data = collect_training(improvable, calls)
    assert (data.feedback, data.named) == (3, 2)
    archived = load_dataset(improvable).segments["content_hash"].iloc[0]
    known = calls.assign(content_hash=[archived, *calls["content_hash"][1:]])
    assert collect_training(improvable, known)[-2:] == (2, 1)
    training = read_card(improvable, update_champion(improvable, data, origin="test").version)
    assert (training["training"]["feedback"], training["training"]["named"]) == (3, 2)


@pytest.fixture(scope="module")
def sample_once(tmp_path_factory) -> Workspace:
    """A workspace with the sample calls, a golden set, and a new call of the form."""
    workspace = open_workspace(tmp_path_factory.mktemp("sample") / "workspace")
    convert_recordings(SAMPLE_DATA / "recordings", workspace)
    build_records(workspace)
    settle_golden(workspace, build_dataset(workspace))
    place_call(workspace, "new", pitch=150, answer="average")
    return workspace


RECORDED_AGAIN = {
    "as it is": lambda signal: (signal, "ULAW"),
    "in floats": lambda signal: (signal * 0.9, "FLOAT"),
    "upside down": lambda signal: (-signal, "PCM_16"),
    "on two channels": lambda signal: (np.column_stack([signal, signal])[:, :2], "PCM_16"),
    "3 dB louder": lambda signal: (signal * 10 ** (3 / 20), "PCM_16"),
    "6 dB softer through mu-law again": lambda signal: (signal * 10 ** (-6 / 20), "ULAW"),
    "3 dB louder through mu-law again": lambda signal: (signal * 10 ** (3 / 20), "ULAW"),
}


@pytest.mark.parametrize("kind", ["golden", "archived"])
def test_a_known_call_that_comes_through_the_form_is_not_learned_again(sample_once, tmp_path, kind):
    shutil.copytree(sample_once.folder, tmp_path / "sample")
    workspace = open_workspace(tmp_path / "sample")
    golden, records = read_golden(workspace), read_records(workspace)
    known = records["content_hash"].isin(golden["content_hash"]) == (kind == "golden")
    known = cycle(records[known & (records["source"] == "archive")].itertuples())
    for way, record in zip(RECORDED_AGAIN, known, strict=False):
        signal, rate = soundfile.read(workspace.folder / record.path)
        signal, subtype = RECORDED_AGAIN[way](signal)
        path = workspace.audio_data / f"{way}_{SUFFIXES[record.status]}.wav"
        soundfile.write(path, signal, rate, subtype=subtype)
    calls = list_form_calls(workspace)
    assert len(calls) == len(RECORDED_AGAIN) + 1
    data = collect_training(workspace, calls)
    learned = calls["path"][calls["content_hash"].isin(data.calls[-data.feedback :])]
    assert learned.tolist() == ["audio_data/new_avg.wav"]


def test_feedback_that_is_archived_too_is_learned_once_as_the_archive_has_it(improvable):
    archived = improvable.dataset / "satisfied" / "call_0.wav"
    improvable.audio_data.mkdir()
    shutil.copyfile(archived, improvable.audio_data / "a_sat.wav")
    data = collect(improvable)
    assert list_form_calls(improvable)["content_hash"][0] in data.calls
    assert (len(data.calls), data.feedback) == (6, 0)


def test_a_golden_set_that_was_edited_stops_the_run(improvable):
    path = improvable.golden_set
    path.write_text(path.read_text().replace('"status": "average"', '"status": "satisfied"'))
    before = snapshot(improvable)
    with pytest.raises(GoldenSetError, match="bring the file back as it was"):
        collect(improvable)
    assert snapshot(improvable) == before


def test_the_first_model_judges_and_says_why(decided_once):
    first = read_history(decided_once).iloc[0]
    assert (first["event"], first["against"], first["reason"]) == (PROMOTED, "", FIRST_REASON)
    card = read_card(decided_once, first["version"])
    assert card["decision"]["reasons"] == [FIRST_REASON]
    assert (card["parent"], card["origin"]) == ("", "test")


def test_a_better_challenger_judges_and_a_worse_one_is_kept_aside(decided):
    first, second, third = list_versions(decided)
    history = read_history(decided).set_index("version")
    assert history["event"].tolist() == [PROMOTED, PROMOTED, KEPT_ASIDE]
    assert history["against"].tolist() == ["", first, second]
    assert history["reason"][second].startswith("UAR on the golden set 0.0")
    assert history["reason"][third].startswith("UAR falls from 0.6")
    assert find_champion(decided) == second
    assert_exports_are_the_champion(decided)
    assert read_card(decided, second)["parent"] == first
    assert read_card(decided, third)["decision"]["promoted"] is False


def test_the_card_of_each_version_explains_the_decision_to_people(decided_once):
    for step in read_history(decided_once).itertuples():
        reasons = read_card(decided_once, step.version)["decision"]["reasons"]
        assert " ".join(reasons) == step.reason
        for name in ("MODEL_CARD.md", "model_card.html"):
            text = html.unescape((decided_once.models / step.version / name).read_text())
            assert [reason for reason in reasons if reason not in text] == []
            assert ("Kept aside" in text) == (step.event == KEPT_ASIDE)


def test_a_card_holds_the_figures_on_the_golden_set(decided):
    golden = read_golden(decided)
    paths = [decided.folder / path for path in golden["path"]]
    verdicts = predict_calls(paths, workspace=decided)["status"]
    card = read_card(decided, find_champion(decided))
    uar = recall_score(golden["status"], verdicts, average="macro")
    assert card["golden"]["uar"] == pytest.approx(uar, abs=1e-3)
    assert (card["golden"]["calls"], card["golden"]["customers"]) == (3, 1)
    assert card["training"]["by_status"] == dict.fromkeys(STATUSES, 2)
    assert (card["training"]["calls"], card["training"]["customers"]) == (6, 2)
    assert card["cross_validation"]["calls"] == 6
    group = {"group": "line", "name": "8 kHz mono", "calls": 3}
    assert [{name: each[name] for name in group} for each in card["groups"]] == [group]
    assert card["groups"][0]["after"] == pytest.approx(2 / 3, abs=1e-3)


def test_no_version_has_learned_from_the_golden_set(decided_once):
    golden = set(read_golden(decided_once)["content_hash"])
    for version in list_versions(decided_once):
        assert golden.isdisjoint(load_version(decided_once, version).trained_on)


@pytest.mark.parametrize("steps", [0, 1, 2], ids=["the champion's", "the refused", "the first's"])
def test_data_that_was_tried_before_changes_no_file(decided, data, steps):
    if steps == 2:  # the first version was never compared with the champion
        update_champion(decided, rotate(data, 2), origin="test")
    before = snapshot(decided)
    promotion = update_champion(decided, rotate(data, steps), origin="test")
    assert (promotion.trained, promotion.promoted) == (False, False)
    assert (promotion.version, promotion.reason) == ("", NOTHING_NEW)
    assert snapshot(decided) == before


def test_a_version_that_is_there_is_compared_without_training_it_again(decided, data):
    first, second, _ = list_versions(decided)
    promotion = update_champion(decided, rotate(data, 2), origin="test")
    assert (promotion.trained, promotion.promoted, promotion.version) == (False, False, first)
    assert len(list_versions(decided)) == 3
    last = read_history(decided).iloc[-1]
    assert (last["version"], last["event"], last["against"]) == (first, KEPT_ASIDE, second)


def test_a_rollback_restores_every_verdict_to_the_byte_and_stays(decided, data):
    first, second, _ = list_versions(decided)
    now = judge(decided)
    rollback(decided)
    before = judge(decided)
    assert before != now
    assert_exports_are_the_champion(decided)
    promotion = update_champion(decided, data, origin="test")
    assert (promotion.promoted, promotion.reason) == (False, NOTHING_NEW)
    assert find_champion(decided) == first
    assert judge(decided) == before
    rollback(decided, second)
    assert judge(decided) == now
    assert_exports_are_the_champion(decided)


def test_new_data_may_replace_what_a_rollback_brought_back(decided, data):
    first, second, _ = list_versions(decided)
    rollback(decided)
    more = data._replace(features=data.features + np.float32(1e-3))
    promotion = update_champion(decided, more, origin="test")
    assert promotion.promoted
    assert find_champion(decided) == promotion.version not in (first, second)


@pytest.mark.parametrize("at_once", [False, True], ids=["step by step", "at once"])
def test_a_version_left_by_going_back_two_steps_is_not_promoted_again(decided, data, at_once):
    first = find_champion(decided)
    better = place_call(decided, "a", pitch=HIGH_AVERAGE + 2, answer="average")
    place_call(decided, "b", pitch=HIGH_AVERAGE - 2, answer="average", seed=51)
    more = collect(decided)
    assert update_champion(decided, more, origin="test").promoted
    worst = list_versions(decided)[0]
    if at_once:
        rollback(decided, worst)
    else:
        assert (rollback(decided), rollback(decided)) == (first, worst)
    before = snapshot(decided)
    assert update_champion(decided, more, origin="test").reason == NOTHING_NEW
    assert snapshot(decided) == before
    assert find_champion(decided) == worst
    assert better.is_file()


def damage(workspace, version: str) -> None:
    (workspace.models / version / "model.skops").write_bytes(b"half")


def test_an_unusable_champion_gives_way_to_the_one_before_which_a_new_one_must_beat(decided, data):
    first, second, _ = list_versions(decided)
    damage(decided, second)
    promotion = update_champion(decided, data, origin="notebook 04")
    assert (promotion.trained, promotion.promoted) == (True, True)
    steps = read_history(decided).iloc[-2:]
    columns = ["version", "event", "against"]
    assert steps[columns].to_numpy().tolist() == [
        [first, ROLLED_BACK, second],
        [promotion.version, PROMOTED, first],
    ]
    assert steps["reason"].tolist() == [UNUSABLE_REASON, promotion.reason]
    assert load_champion(decided).version == promotion.version
    assert_exports_are_the_champion(decided)
    before = snapshot(decided)
    assert update_champion(decided, data, origin="notebook 04").reason == NOTHING_NEW
    assert snapshot(decided) == before


def test_a_challenger_that_is_worse_than_the_usable_champion_before_is_kept_aside(decided, data):
    promote(decided, list_versions(decided)[2], reason="a mistake")
    second, third = list_versions(decided)[1:]
    damage(decided, third)
    promotion = update_champion(decided, rotate(data), origin="notebook 04")
    assert (promotion.trained, promotion.promoted) == (True, False)
    assert find_champion(decided) == second
    assert_exports_are_the_champion(decided)


@pytest.mark.parametrize("fresh", [False, True], ids=["the same data", "other data"])
def test_nobody_is_brought_back_to_a_version_that_was_left_on_purpose(decided, data, fresh):
    first, second, _ = list_versions(decided)
    rollback(decided, first, reason="complaints")
    damage(decided, first)
    if fresh:
        more = data._replace(features=data.features + np.float32(1e-3))
        promotion = update_champion(decided, more, origin="notebook 04")
        assert find_champion(decided) == promotion.version not in (first, second)
    else:
        before = snapshot(decided)
        with pytest.raises(ModelError, match="was refused before: bring the champion's folder"):
            update_champion(decided, data, origin="notebook 04")
        assert snapshot(decided) == before


def test_where_no_champion_can_be_used_a_new_one_is_trained_and_says_so(decided, data):
    first, second, third = list_versions(decided)
    for version in (first, second):
        damage(decided, version)
    promotion = update_champion(decided, data, origin="notebook 04")
    assert (promotion.trained, promotion.promoted) == (True, True)
    assert promotion.reason == read_history(decided)["reason"].iloc[-1] == UNUSABLE_REASON
    assert load_champion(decided).version == promotion.version not in (first, second, third)
    assert_exports_are_the_champion(decided)
    before = snapshot(decided)
    assert update_champion(decided, data, origin="notebook 04").reason == NOTHING_NEW
    assert snapshot(decided) == before


def test_what_the_gate_kept_aside_does_not_judge_where_no_champion_can_be_used(decided, data):
    for version in list_versions(decided)[:2]:
        damage(decided, version)
    before = snapshot(decided)
    with pytest.raises(ModelError, match="was refused before: bring the champion's folder back"):
        update_champion(decided, rotate(data), origin="notebook 04")
    assert snapshot(decided) == before


def test_a_damaged_version_that_does_not_judge_stops_nothing(decided, data):
    first, second, third = list_versions(decided)
    for version in (first, third):
        damage(decided, version)
    promotion = update_champion(decided, rotate(data), origin="test")
    assert (promotion.trained, promotion.promoted) == (True, False)
    assert find_champion(decided) == second


def test_a_run_that_was_killed_while_it_stored_a_version_is_done_anew(decided, data):
    first, _, third = list_versions(decided)
    more = rotate(data._replace(features=data.features + np.float32(1e-3)))
    expected = update_champion(decided, more, origin="test")
    (decided.models / expected.version / "card.json").unlink()
    history = (decided.models / "history.csv").read_text().splitlines()[:-1]
    (decided.models / "history.csv").write_text("\r\n".join(history) + "\r\n")
    assert list_versions(decided)[-1] == third
    again = update_champion(decided, more, origin="test")
    assert (again.trained, again.version) == (True, expected.version)
    assert again.reason == expected.reason
    assert first in list_versions(decided)


@pytest.mark.parametrize("last", [1, 2, 3])
def test_a_run_that_was_killed_before_the_decision_decides_the_same(decided, data, last):
    history = read_history(decided)
    lines = (decided.models / "history.csv").read_bytes().splitlines(keepends=True)
    (decided.models / "history.csv").write_bytes(b"".join(lines[: last + 1]))
    for version in list_versions(decided)[last:]:
        shutil.rmtree(decided.models / version)
    cards = {version: read_card(decided, version) for version in list_versions(decided)}
    lines = (decided.models / "history.csv").read_bytes().splitlines(keepends=True)
    (decided.models / "history.csv").write_bytes(b"".join(lines[:-1]))
    promotion = update_champion(decided, rotate(data, (2, 0, 1)[last - 1]), origin="test")
    assert not promotion.trained
    columns = ["version", "event", "against", "reason"]
    assert read_history(decided)[columns].equals(history[columns][:last])
    assert {version: read_card(decided, version) for version in cards} == cards
    assert_exports_are_the_champion(decided)


def test_a_run_that_was_killed_before_the_export_exports_next_time(decided, data):
    for name in ("", "_epic_retrained"):
        for path in decided.exports(name):
            path.unlink()
    update_champion(decided, data, origin="test")
    assert_exports_are_the_champion(decided)


def test_without_a_golden_set_nothing_replaces_the_first_model(decided, data):
    shutil.rmtree(decided.models)
    decided.golden_set.unlink()
    first = update_champion(decided, rotate(data), origin="test")
    assert first.promoted
    assert read_card(decided, first.version)["golden"] is None
    second = update_champion(decided, data, origin="test")
    assert not second.promoted
    assert second.reason.startswith("There is no golden set to judge it on")
    assert find_champion(decided) == first.version


def test_golden_calls_that_a_model_has_learned_from_do_not_judge_it(decided):
    grow_golden(decided, ["dataset/average/call_0.wav"], reason="a new line")
    assert len(read_golden(decided)) == 6
    models = [load_version(decided, version) for version in list_versions(decided)]
    for champion, challenger in combinations(models, 2):
        comparison = compare_with_champion(decided, champion, challenger)
        assert comparison.groups[0]["calls"] == 3
    data = collect(decided)
    assert set(data.groups) == {"customer_1"}


def test_nothing_that_was_put_into_the_workspace_is_executed(decided, data, tmp_path):
    champion = find_champion(decided)
    traps = [
        decided.features,
        decided.segments_info,
        *decided.exports(""),
        *decided.exports("_epic_retrained"),
        decided.models / champion / "model.skops",
        decided.models / "extra.pkl",
    ]
    for path in traps:
        joblib.dump(Bomb(tmp_path / "exploded"), path)
    collected = collect(decided)
    assert update_champion(decided, collected, origin="test").promoted
    rollback(decided)
    predict_calls([], workspace=decided)
    assert not (tmp_path / "exploded").exists()
    assert_exports_are_the_champion(decided)
    assert pd.DataFrame(collected.features).equals(pd.DataFrame(data.features))
