import hashlib
import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from conftest import Bomb, snapshot, write_call

from helpers import model_store
from helpers.call_emotions import emotion_feature_set
from helpers.emotion import EmotionModel, LinearModel
from helpers.emotion_store import save_emotion_model
from helpers.errors import ModelError, TableError
from helpers.exports import FIRST, RETRAINED
from helpers.features import PHONE, FeatureSet
from helpers.functionals import FUNCTIONALS
from helpers.model_store import (
    HISTORY,
    KEPT_ASIDE,
    PROMOTED,
    ROLLED_BACK,
    add_version,
    export_champion,
    find_champion,
    list_versions,
    load_champion,
    load_version,
    promote,
    read_card,
    read_history,
    record_decision,
    rollback,
)
from helpers.prediction import predict_calls
from helpers.statuses import STATUSES
from helpers.trained_model import TRUSTED, TrainedModel
from helpers.training import train_model
from helpers.workspace import PROJECT_FOLDER, Workspace, open_workspace

COLUMNS = len(PHONE.names)
PROBES = np.random.default_rng(9).normal(size=(20, COLUMNS)).astype(np.float32)


def make_model(seed: int = 0, feature_set: FeatureSet = PHONE) -> TrainedModel:
    generator = np.random.default_rng(seed)
    labels = np.array(STATUSES * 2)
    features = generator.normal(size=(len(labels), len(feature_set.names))).astype(np.float32)
    calls = frozenset(f"call {seed} {number}" for number in range(len(labels)))
    groups = np.zeros(len(labels))  # one customer: nothing can be held out, which is fast
    return train_model(
        features, labels, trained_on=calls, groups=groups, feature_set=feature_set
    ).model


def store(workspace, seed: int, event: str = "", *, against: str = "", card=()) -> str:
    """Store a version and decide about it."""
    version = add_version(workspace, make_model(seed), dict(card), probes=PROBES).version
    if event:
        reasons = [f"because of {seed}."]
        record_decision(workspace, version, event=event, reasons=reasons, against=against)
    return version


def answers(workspace, name: str = FIRST) -> bytes:
    """Give what the exported files answer, as somebody else's program would ask them."""
    classifier, scaler = map(joblib.load, workspace.exports(name))
    return classifier.predict_proba(scaler.transform(PROBES)).tobytes()


def bare_answers(model: TrainedModel) -> bytes:
    """Give what a model answers before its calibration."""
    return model.classifier.predict_proba(model.scaler.transform(PROBES)).tobytes()


def reset_card(workspace, version: str, **changes) -> None:
    """Change a card as somebody who knows how it is checked."""
    path = workspace.models / version / "card.json"
    card = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**card, "digest": model_store._digest(card)}))


def replace_model(workspace, version: str, content: bytes) -> None:
    """Replace a model together with its hash."""
    path = workspace.models / version / "model.skops"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    reset_card(workspace, version, sha256={"model.skops": digest})


@pytest.fixture(scope="module")
def store_once(tmp_path_factory) -> Workspace:
    workspace = open_workspace(tmp_path_factory.mktemp("store") / "workspace")
    workspace.predictions.touch()
    first = store(workspace, 1, PROMOTED)
    second = store(workspace, 2, PROMOTED, against=first)
    third = store(workspace, 3, PROMOTED, against=second)
    store(workspace, 4, KEPT_ASIDE, against=third)
    return workspace


@pytest.fixture
def stored(store_once, tmp_path) -> Workspace:
    """Give a workspace of its own with three champions and a version that was kept aside."""
    shutil.copytree(store_once.folder, tmp_path / "stored")
    return open_workspace(tmp_path / "stored")


@pytest.fixture
def versions(stored) -> list[str]:
    return list_versions(stored)


def test_a_stored_model_is_the_one_that_was_trained(workspace):
    model = make_model()
    stored = add_version(workspace, model, {}, probes=PROBES)
    again = load_version(workspace, stored.version)
    assert again.predict_proba(PROBES).tobytes() == model.predict_proba(PROBES).tobytes()
    for field in fields(TrainedModel):
        if field.name not in ("scaler", "classifier", "version"):
            assert getattr(again, field.name) == getattr(model, field.name), field.name
    assert again.version == stored.version == f"0001-{model.training_hash[:8]}"


def test_a_status_without_training_calls_keeps_probability_zero(workspace):
    features, labels = np.eye(4, COLUMNS, dtype=np.float32), np.array(["satisfied", "average"] * 2)
    model = train_model(features, labels, trained_on=frozenset()).model
    version = add_version(workspace, model, {}, probes=features).version
    probabilities = load_version(workspace, version).predict_proba(features)
    assert (probabilities[:, STATUSES.index("unsatisfied")] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-9)


def test_versions_are_numbered_in_the_order_they_came(stored, versions):
    assert [version[:5] for version in versions] == ["0001-", "0002-", "0003-", "0004-"]
    assert [load_version(stored, version).version for version in versions] == versions


def test_a_card_holds_what_is_known_and_what_the_model_was_made_with(stored, versions):
    card = read_card(stored, versions[1])
    assert card["libraries"].keys() >= {"python", "scikit-learn", "numpy", "skops"}
    assert card["labels"] == list(STATUSES)
    assert card["feature_set"] == PHONE.name
    assert card["training"]["hash"] == make_model(2).training_hash
    assert card["decision"] == {
        "promoted": True,
        "against": versions[0],
        "reasons": ["because of 2."],
    }


def test_what_else_is_known_is_kept_with_the_version(workspace):
    card = {"origin": "notebook 04", "training": {"calls": 6}, "golden": {"uar": 0.5}}
    version = store(workspace, 1, PROMOTED, card=card)
    kept = read_card(workspace, version)
    assert (kept["origin"], kept["golden"]) == ("notebook 04", {"uar": 0.5})
    assert kept["training"] == {"calls": 6, "hash": make_model(1).training_hash}


def test_figures_of_a_decision_come_into_the_card_and_the_version_still_loads(workspace):
    version = store(workspace, 1, PROMOTED)
    groups = [{"group": "agent", "name": "Zoe", "calls": 12, "before": 0.5, "after": 0.75}]
    figures = {"event": KEPT_ASIDE, "reasons": ["Too bad."], "groups": groups}
    record_decision(workspace, version, **figures)
    assert read_card(workspace, version)["groups"] == groups
    assert load_version(workspace, version).version == version


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "model_card.html"])
def test_every_version_explains_itself_to_people(stored, versions, name):
    for number, version in enumerate(versions, 1):
        text = (stored.models / version / name).read_text()
        assert version in text
        assert f"because of {number}." in text


def test_a_version_that_nobody_decided_on_judges_nothing(workspace):
    store(workspace, 1)
    assert find_champion(workspace) == ""
    with pytest.raises(ModelError, match="holds no model yet: run notebooks 01 to 04 first"):
        load_champion(workspace)
    assert not workspace.exports()[0].exists()


def test_a_promoted_version_judges_and_one_kept_aside_does_not(workspace):
    first = store(workspace, 1, PROMOTED)
    assert find_champion(workspace) == load_champion(workspace).version == first
    store(workspace, 2, KEPT_ASIDE, against=first)
    assert find_champion(workspace) == load_champion(workspace).version == first
    third = store(workspace, 3, PROMOTED, against=first)
    assert find_champion(workspace) == load_champion(workspace).version == third


def test_the_history_says_what_was_decided_when_and_why(stored, versions):
    history = read_history(stored)
    assert list(history) == list(HISTORY)
    first, second, third, fourth = versions
    assert history.drop(columns="time").to_numpy().tolist() == [
        [first, PROMOTED, "", "because of 1."],
        [second, PROMOTED, first, "because of 2."],
        [third, PROMOTED, second, "because of 3."],
        [fourth, KEPT_ASIDE, third, "because of 4."],
    ]
    assert history["time"].is_monotonic_increasing


@pytest.mark.parametrize("name", [FIRST, RETRAINED], ids=["first name", "retrained name"])
def test_the_exported_files_are_the_champion_whatever_is_decided(stored, versions, name):
    first, second, third, fourth = versions
    own = {version: bare_answers(load_version(stored, version)) for version in versions}
    assert len(set(own.values())) == 4
    assert answers(stored, name) == own[third]
    record_decision(stored, fourth, event=KEPT_ASIDE, reasons=["Again."], against=third)
    assert answers(stored, name) == own[third]
    rollback(stored)
    assert answers(stored, name) == own[second]
    record_decision(stored, fourth, event=PROMOTED, reasons=["Better now."], against=second)
    assert answers(stored, name) == own[fourth]
    rollback(stored, first)
    assert answers(stored, name) == own[first]


def test_the_exported_files_are_a_scaler_and_a_classifier_of_statuses(stored):
    classifier, scaler = map(joblib.load, stored.exports())
    assert set(classifier.predict(scaler.transform(PROBES))) <= set(STATUSES)
    assert [path.name for path in stored.exports(RETRAINED)] == [
        "emotion_model_epic_retrained.joblib",
        "scaler_epic_retrained.joblib",
    ]


def test_before_any_feedback_there_is_no_retrained_model(workspace):
    store(workspace, 1, PROMOTED)
    assert all(path.is_file() for path in workspace.exports())
    assert not any(path.exists() for path in workspace.exports(RETRAINED))


@pytest.mark.parametrize("name", [FIRST, RETRAINED])
@pytest.mark.parametrize("part", [0, 1], ids=["classifier", "scaler"])
def test_an_exported_file_is_never_read_and_is_written_anew(stored, tmp_path, name, part):
    joblib.dump(Bomb(tmp_path / "exploded"), stored.exports(name)[part])
    export_champion(stored)
    assert not (tmp_path / "exploded").exists()
    assert answers(stored, name) == bare_answers(load_champion(stored))


EXPORT = """
import sys
from helpers.model_store import export_champion
from helpers.workspace import open_workspace
export_champion(open_workspace(sys.argv[1]))
"""


def test_exporting_the_same_champion_again_changes_no_file_in_another_process_either(stored):
    before = snapshot(stored)
    export_champion(stored)
    subprocess.run([sys.executable, "-c", EXPORT, stored.folder], check=True, cwd=PROJECT_FOLDER)
    assert snapshot(stored) == before


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"emotion_model.joblib": 3}'])
def test_exports_are_written_anew_where_nobody_knows_what_they_are(stored, content):
    for name in (FIRST, RETRAINED):
        for path in stored.exports(name):
            path.write_bytes(b"")
    (stored.models / "exported.json").write_text(content)
    export_champion(stored)
    for name in (FIRST, RETRAINED):
        assert answers(stored, name) == bare_answers(load_champion(stored))


def test_under_another_scikit_learn_the_exports_are_written_anew(stored):
    note = stored.models / "exported.json"
    note.write_text(note.read_text().replace(sklearn.__version__, "0.24.2"))
    export_champion(stored)
    assert set(json.loads(note.read_text())) == {
        path.name for name in (FIRST, RETRAINED) for path in stored.exports(name)
    }
    assert "0.24.2" not in note.read_text()


def swap_model(folder, other) -> None:
    shutil.copyfile(other / "model.skops", folder / "model.skops")


def swap_all(folder, other) -> None:
    for name in ("model.skops", "card.json"):
        shutil.copyfile(other / name, folder / name)


def change_byte(folder, other) -> None:
    content = bytearray((folder / "model.skops").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.skops").write_bytes(content)


def cut_model(folder, other) -> None:
    content = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(content[: len(content) // 2])


def change_card(folder, other, **changes) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **changes}))


ADVICE = r".*run notebook 04 again \(make train\)"
FOREIGN = f"is not the file this project wrote: {ADVICE}"
CHANGED = f"the card of version 0003-.* is damaged or was changed: {ADVICE}"
NONE = "there is no usable version '0003-.*'; there are: 0001-"
DAMAGES = {
    "one bit of the model": (change_byte, FOREIGN),
    "half of the model": (cut_model, FOREIGN),
    "an empty model": (lambda folder, _: (folder / "model.skops").write_bytes(b""), FOREIGN),
    "another version's model": (swap_model, FOREIGN),
    "another version's model and card": (swap_all, CHANGED),
    "no model": (lambda folder, _: (folder / "model.skops").unlink(), f"is incomplete: {ADVICE}"),
    "no card": (lambda folder, _: (folder / "card.json").unlink(), NONE),
    "no folder": (lambda folder, _: shutil.rmtree(folder), NONE),
    **{
        f"a card of {content!r}": (
            lambda folder, _, content=content: (folder / "card.json").write_text(content),
            sentence,
        )
        for content, sentence in (
            *((text, NONE) for text in ("", "{", "[" * 100_000)),
            *((text, "card.json is damaged") for text in ("[]", "null", "3", '"text"')),
            *((text, CHANGED) for text in ("{}", '{"sha256": {}}', '{"digest": null}')),
        )
    },
    "a card in another encoding": (
        lambda folder, _: (folder / "card.json").write_bytes(b"\xff\xfe{}"),
        NONE,
    ),
    **{
        f"{name} {value!r} in the card": (
            lambda folder, _, name=name, value=value: change_card(folder, _, **{name: value}),
            CHANGED,
        )
        for name, value in (
            *(("temperature", value) for value in (0, -1.0, 2.0, "1", None)),
            *(("confidences", value) for value in ([0.5], None, "abc")),
            *(("trained_on", value) for value in ([], None, ["other"])),
            ("sha256", {}),
            ("training", {}),
            ("feature_set", "../other"),
            ("choice", None),
            ("version", "0001"),
        )
    },
}


@pytest.mark.parametrize("damage", DAMAGES, ids=[name[:40] for name in DAMAGES])
def test_what_this_project_did_not_write_is_refused_in_one_sentence(stored, versions, damage):
    do, sentence = DAMAGES[damage]
    do(stored.models / versions[2], stored.models / versions[0])
    before = snapshot(stored)
    for load in (load_champion, lambda workspace: rollback(workspace, versions[2])):
        with pytest.raises(ModelError, match=sentence) as error:
            load(stored)
        assert "\n" not in str(error.value)
    assert snapshot(stored) == before
    assert find_champion(stored) == versions[2]


@pytest.mark.parametrize("known", [False, True], ids=["unknown hash", "fitting hash"])
def test_a_pickle_bomb_in_place_of_the_model_is_not_executed(stored, versions, tmp_path, known):
    joblib.dump(Bomb(tmp_path / "exploded"), tmp_path / "bomb")
    content = (tmp_path / "bomb").read_bytes()
    (stored.models / versions[2] / "model.skops").write_bytes(content)
    if known:
        replace_model(stored, versions[2], content)
    with pytest.raises(ModelError, match="it cannot be read, " if known else FOREIGN):
        load_champion(stored)
    assert not (tmp_path / "exploded").exists()


class Foreign:
    """Is of a type that nobody knows here."""

    def __init__(self, target) -> None:
        self.target = target

    def __setstate__(self, state) -> None:
        Path(state["target"]).touch()


@pytest.mark.parametrize("whole", [False, True], ids=["part of a model", "instead of a model"])
def test_a_file_of_foreign_types_is_refused_and_none_of_them_is_made(
    stored, versions, tmp_path, whole
):
    foreign = Foreign(str(tmp_path / "exploded"))
    content = (stored.models / versions[2] / "model.skops").read_bytes()
    parts = skops.io.loads(content, trusted=list(TRUSTED))
    bomb = skops.io.dumps(foreign if whole else {**parts, "classifier": foreign})
    replace_model(stored, versions[2], bomb)
    with pytest.raises(ModelError, match="UntrustedTypesFoundException"):
        load_champion(stored)
    assert not (tmp_path / "exploded").exists()
    skops.io.loads(bomb, trusted=[*TRUSTED, *skops.io.get_untrusted_types(data=bomb)])
    assert (tmp_path / "exploded").exists()  # the file would have done it


@pytest.mark.parametrize("parts", [[], {}, {"scaler": 1, "classifier": 2}, "text", None])
def test_a_harmless_file_that_is_no_model_is_refused(stored, versions, parts):
    replace_model(stored, versions[2], skops.io.dumps(parts))
    with pytest.raises(
        ModelError, match=r"cannot be used \(it cannot be read, .*\): .*run notebook 04 "
    ):
        load_champion(stored)


def test_a_version_of_another_scikit_learn_loads_where_it_answers_as_it_did(stored, versions):
    before = load_champion(stored).predict_proba(PROBES)
    change_card(stored.models / versions[2], None, libraries={"scikit-learn": "0.24.2"})
    assert np.array_equal(load_champion(stored).predict_proba(PROBES), before)


def test_a_version_that_answers_differently_now_is_refused_naming_both_scikit_learns(
    stored, versions
):
    content = (stored.models / versions[2] / "model.skops").read_bytes()
    parts = skops.io.loads(content, trusted=list(TRUSTED))
    parts["answers"] = np.roll(parts["answers"], 1, axis=1)
    replace_model(stored, versions[2], skops.io.dumps(parts))
    change_card(stored.models / versions[2], None, libraries={"scikit-learn": "0.24.2"})
    installed = sklearn.__version__.replace(".", r"\.")
    sentence = (
        rf"made with scikit-learn 0\.24\.2, cannot be used with {installed} \(it answers "
        rf"differently than it did\): install scikit-learn 0\.24\.2, or {ADVICE}"
    )
    with pytest.raises(ModelError, match=sentence):
        load_champion(stored)


def test_a_version_for_other_features_is_refused(workspace):
    model = replace(make_model(), feature_set=FeatureSet("other-1", PHONE.names, PHONE.describe))
    version = add_version(workspace, model, {}, probes=PROBES).version
    sentence = "expects 'other-1' features, .* by 'phone-1': run notebooks 03 and 04 again"
    with pytest.raises(ModelError, match=sentence):
        load_version(workspace, version)


def make_emotions(seed: int) -> EmotionModel:
    generator = np.random.default_rng(seed)
    linear = [
        LinearModel(
            generator.normal(0, 0.03, (len(FUNCTIONALS), 2)).astype(np.float32),
            generator.normal(size=2).astype(np.float32),
        )
        for _ in ("alone", "against baseline")
    ]
    return EmotionModel(np.array(["angry", "neutral"]), *linear)


def test_a_version_asks_the_model_of_emotions_it_was_made_with(workspace, tmp_path):
    call = write_call(tmp_path / "call.wav", 3)
    verdicts = []
    for seed in (1, 2):
        emotions = make_emotions(seed)
        save_emotion_model(workspace.voice_emotions, emotions)
        feature_set = emotion_feature_set(emotions)
        model = make_model(seed, feature_set)
        probes = np.zeros((3, len(feature_set.names)))
        version = add_version(workspace, model, {}, probes=probes).version
        record_decision(workspace, version, event=PROMOTED, reasons=["Better."])
        verdicts.append(predict_calls(call, workspace=workspace))
    first, second = list_versions(workspace)
    assert not verdicts[0].equals(verdicts[1])
    rollback(workspace, first)
    assert predict_calls(call, workspace=workspace).equals(verdicts[0])
    workspace.voice_emotions.unlink()
    rollback(workspace, second)
    assert predict_calls(call, workspace=workspace).equals(verdicts[1])


def test_a_version_whose_model_of_emotions_is_gone_says_so(workspace):
    emotions = make_emotions(1)
    save_emotion_model(workspace.voice_emotions, emotions)
    feature_set = emotion_feature_set(emotions)
    model = make_model(1, feature_set)
    probes = np.zeros((3, len(feature_set.names)))
    version = add_version(workspace, model, {}, probes=probes).version
    save_emotion_model(workspace.models / "voice_emotions" / f"{feature_set.name}.npz",
                       make_emotions(2))  # fmt: skip
    sentence = f"expects {feature_set.name!r} features, .*: run notebooks 03 and 04 again"
    with pytest.raises(ModelError, match=sentence):
        load_version(workspace, version)


def test_a_folder_without_a_card_is_no_version_and_its_number_is_used(workspace):
    version = store(workspace, 1)
    content = (workspace.models / version / "model.skops").read_bytes()
    (workspace.models / version / "card.json").unlink()
    assert list_versions(workspace) == []
    assert store(workspace, 2, PROMOTED)[:4] == "0001"
    assert (workspace.models / version / "model.skops").read_bytes() == content
    assert store(workspace, 1, PROMOTED) == version.replace("0001", "0002")


@pytest.mark.parametrize("name", ["notes", "2024", "1-x", "voice_emotions", "00012-x"])
def test_other_folders_are_no_versions(stored, versions, name):
    (stored.models / name).mkdir()
    (stored.models / name / "card.json").write_text("{}")
    assert list_versions(stored) == versions
    assert store(stored, 5)[:4] == "0005"


def test_rolling_back_walks_back_from_champion_to_champion(stored, versions):
    first, second, _, _ = versions
    assert rollback(stored) == second == find_champion(stored)
    assert rollback(stored) == first == find_champion(stored)
    before = snapshot(stored)
    with pytest.raises(ModelError, match=f"there is no champion before {first} to go back to"):
        rollback(stored)
    assert snapshot(stored) == before


def test_a_rollback_brings_back_the_very_same_answers(stored, versions):
    _, second, third, _ = versions
    expected = {
        version: load_version(stored, version).predict_proba(PROBES).tobytes()
        for version in (second, third)
    }
    rollback(stored)
    assert load_champion(stored).predict_proba(PROBES).tobytes() == expected[second]
    rollback(stored, third)
    assert load_champion(stored).predict_proba(PROBES).tobytes() == expected[third]


def test_a_rollback_is_in_the_history_with_its_reason(stored, versions):
    _, second, third, _ = versions
    rollback(stored, reason="complaints of the night shift")
    last = read_history(stored).iloc[-1]
    assert (last["version"], last["event"], last["against"]) == (second, ROLLED_BACK, third)
    assert last["reason"] == "complaints of the night shift"


def test_the_version_a_rollback_leaves_keeps_its_card(stored, versions):
    cards = [read_card(stored, version) for version in versions]
    rollback(stored, versions[0])
    assert [read_card(stored, version) for version in versions] == cards


def test_going_back_to_the_present_champion_changes_nothing(stored, versions):
    before = snapshot(stored)
    assert rollback(stored, versions[2]) == versions[2]
    assert snapshot(stored) == before


def test_a_later_champion_can_be_gone_forward_to(stored, versions):
    rollback(stored, versions[0])
    assert rollback(stored, versions[2]) == find_champion(stored) == versions[2]


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("0009-01234567", "no usable version '0009-01234567'; there are: 0001-.*, 0004-"),
        ("0001", "no usable version '0001'"),
        ("../models", "no usable version"),
        ("kept aside", "never judged calls, so there is no way back to it"),
        ("not decided", "never judged calls, so there is no way back to it"),
    ],
)
def test_there_is_no_way_back_to_what_was_never_champion(stored, versions, version, sentence):
    undecided = store(stored, 5)
    version = {"kept aside": versions[3], "not decided": undecided}.get(version, version)
    before = snapshot(stored)
    with pytest.raises(ModelError, match=sentence):
        rollback(stored, version)
    assert snapshot(stored) == before
    assert find_champion(stored) == versions[2]


def test_a_person_may_promote_what_the_gate_kept_aside_and_go_back_again(stored, versions):
    *_, third, fourth = versions
    promote(stored, fourth, reason="the golden set was wrong")
    assert find_champion(stored) == fourth
    assert answers(stored) == bare_answers(load_version(stored, fourth))
    last = read_history(stored).iloc[-1]
    assert last[["event", "against"]].tolist() == [PROMOTED, third]
    assert last["reason"] == "Promoted by a person: the golden set was wrong"
    assert last["reason"] in (stored.models / fourth / "MODEL_CARD.md").read_text()
    assert rollback(stored) == third


@pytest.mark.parametrize("version", ["0009-01234567", "champion", "damaged"])
def test_a_person_cannot_promote_what_is_not_there_or_judges_already(stored, versions, version):
    change_byte(stored.models / versions[3], None)
    named = {"champion": versions[2], "damaged": versions[3]}.get(version, version)
    before = snapshot(stored)
    with nullcontext() if version == "champion" else pytest.raises(ModelError):
        promote(stored, named, reason="it is liked")
    assert snapshot(stored) == before


def test_an_unusable_version_cannot_be_gone_back_to(stored, versions):
    change_byte(stored.models / versions[1], None)
    before = snapshot(stored)
    with pytest.raises(ModelError, match=FOREIGN):
        rollback(stored)
    assert snapshot(stored) == before
    assert rollback(stored, versions[0]) == find_champion(stored) == versions[0]


def test_an_unusable_champion_is_left_by_a_rollback(stored, versions):
    change_byte(stored.models / versions[2], None)
    assert rollback(stored) == load_champion(stored).version == versions[1]
    assert answers(stored) == bare_answers(load_version(stored, versions[1]))


def test_without_any_model_the_notebooks_to_run_are_named(workspace):
    assert find_champion(workspace) == ""
    assert read_history(workspace).empty
    with pytest.raises(ModelError, match="holds no model yet: run notebooks 01 to 04 first"):
        load_champion(workspace)
    with pytest.raises(ModelError, match="no champion before the first model to go back to"):
        rollback(workspace)


def test_a_history_that_is_no_table_is_named(stored):
    (stored.models / "history.csv").write_text("when;what\n1;2\n")
    with pytest.raises(TableError, match=r"history\.csv is not the table with the columns"):
        load_champion(stored)
