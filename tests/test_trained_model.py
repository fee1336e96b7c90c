import io
import json
import os
import pickle
import warnings
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from conftest import Bomb
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from helpers.calibration import apply_temperature
from helpers.classifiers import make_candidates, make_classifier, make_majority
from helpers.errors import ModelError
from helpers.features import PHONE
from helpers.statuses import STATUSES
from helpers.trained_model import (
    PROBES,
    TOLERANCE,
    TRUSTED,
    TrainedModel,
    dump_model,
    restore_model,
)

COLUMNS = 7000
KNOWN = {"training_hash": "abc", "trained_on": frozenset({"one"})}
ALPHABETICAL = np.argsort(STATUSES)
"""Columns of `STATUSES` in the order in which scikit-learn gives them."""


def draw(rows: int = 24, columns: int = COLUMNS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw features, as 32-bit numbers, that tell satisfied calls from the others."""
    labels = np.resize(STATUSES, rows)
    features = np.random.default_rng(seed).standard_normal((rows, columns))
    return (features + 0.3 * (labels == "satisfied")[:, None]).astype(np.float32), labels


def as_model(pipeline: Pipeline, **known) -> TrainedModel:
    scaler, classifier = (step for _, step in pipeline.steps)
    return TrainedModel(scaler, classifier, **KNOWN, **known)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    features, labels = draw(columns=5)
    return make_candidates(5)["linear"].fit(features, labels)


@pytest.fixture(scope="module")
def model(pipeline) -> TrainedModel:
    return as_model(pipeline)


@pytest.fixture(scope="module")
def content(model) -> bytes:
    return dump_model(model, draw(columns=5)[0])


def unpack(content: bytes) -> dict[str, object]:
    return skops.io.loads(content, trusted=list(TRUSTED))


def repack(content: bytes, **changes) -> bytes:
    """Write the file anew with other parts, as anybody with the library could."""
    return skops.io.dumps({**unpack(content), **changes})


def rewrite(content: bytes, change) -> bytes:
    """Write every file of the zip as `change` of its name and content gives it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


# What it answers


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_it_answers_what_scaler_and_classifier_do_in_the_order_of_the_statuses(
    pipeline, temperature
):
    features = draw(columns=5, seed=1)[0].astype(np.float64)
    found = as_model(pipeline, temperature=temperature).predict_proba(features)
    assert found.shape == (24, 3)
    bare = pipeline.predict_proba(features)
    np.testing.assert_allclose(found[:, ALPHABETICAL], apply_temperature(bare, temperature))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (np.array(STATUSES)[found.argmax(axis=1)] == pipeline.predict(features)).all()


@pytest.mark.parametrize("present", [STATUSES[:2], STATUSES[1:], STATUSES[::2], STATUSES[:1]])
def test_a_status_that_no_training_call_had_is_impossible(present):
    features, _ = draw(columns=5)
    pipeline = make_pipeline(StandardScaler(), make_majority())
    model = as_model(pipeline.fit(features, np.resize(present, 24)), temperature=2.0)
    found = model.predict_proba(features)
    assert [status for status, column in zip(STATUSES, found.T, strict=True) if column.any()] == [
        status for status in STATUSES if status == model.classifier.predict(features[:1])[0]
    ]
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("coverage", [0.1, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("calls", [10, 11, 97])
def test_the_least_confidence_is_reached_by_the_wanted_share_of_calls(model, coverage, calls):
    confidences = np.sort(np.random.default_rng(calls).uniform(1 / 3, 1, calls))
    least = replace(model, confidences=tuple(confidences.tolist())).least_confidence(coverage)
    assert (confidences >= least).mean() == pytest.approx(coverage, abs=1 / calls)


@pytest.mark.parametrize("confidences", [(), (0.5,), (0.4, 0.9)])
def test_where_all_calls_shall_be_judged_no_confidence_is_too_low(model, confidences):
    assert replace(model, confidences=confidences).least_confidence(1.0) == 0.0


def test_a_model_that_does_not_know_how_sure_it_is_sends_every_call_to_a_human(model):
    assert model.least_confidence(0.7) == 1.0


@pytest.mark.parametrize("coverage", [-0.1, 1.01, 70, float("nan")])
def test_a_coverage_that_is_no_share_is_named(model, coverage):
    with pytest.raises(ValueError, match=rf"coverage is {coverage}, expected a share between 0"):
        model.least_confidence(coverage)


# There and back


@pytest.mark.parametrize("name", make_candidates(COLUMNS))
def test_every_candidate_comes_back_bit_by_bit(name):
    features, labels = draw()
    model = as_model(make_candidates(COLUMNS)[name].fit(features, labels))
    unseen = np.concatenate([features, draw(seed=1)[0]])
    restored = restore_model(dump_model(model, features), **KNOWN)
    assert np.array_equal(restored.predict_proba(unseen), model.predict_proba(unseen))
    assert type(restored.classifier) is type(model.classifier)


@pytest.mark.parametrize("columns", [10, len(PHONE.names) + 9])
def test_what_was_chosen_comes_back_bit_by_bit(columns):
    features, labels = draw(9, columns=columns)
    model = as_model(make_classifier().fit(features, labels).pipeline_)
    restored = restore_model(dump_model(model, features), **KNOWN)
    assert np.array_equal(restored.predict_proba(features), model.predict_proba(features))


def test_what_else_is_known_is_given_beside_the_file(model, content):
    known = {**KNOWN, "choice": "linear", "temperature": 2.0, "version": "0003-abc"}
    restored = restore_model(content, **known, confidences=(0.4, 0.9), feature_set=PHONE)
    expected = {**known, "confidences": (0.4, 0.9), "feature_set": PHONE}
    assert {name: getattr(restored, name) for name in expected} == expected
    features, _ = draw(columns=5)
    calibrated = apply_temperature(model.predict_proba(features), 2.0)
    np.testing.assert_allclose(restored.predict_proba(features), calibrated)


@pytest.mark.parametrize("rows", [1, 2, 3, 24])
def test_a_few_rows_are_kept_with_the_answers_before_calibration(model, rows):
    features, _ = draw(rows, columns=5, seed=2)
    parts = unpack(dump_model(replace(model, temperature=5.0), features))
    assert set(parts) == {"scaler", "classifier", "probes", "answers"}
    assert np.array_equal(parts["probes"], features[:PROBES])
    assert np.array_equal(parts["answers"], model.predict_proba(parts["probes"]))


def test_a_model_of_another_scikit_learn_that_answers_the_same_comes_back_without_a_word(
    model, content
):
    version = sklearn.__version__.encode()
    other = rewrite(content, lambda name, text: text.replace(version, b"1.2.3"))
    assert other != rewrite(content, lambda name, text: text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restored = restore_model(other, **KNOWN)
    features, _ = draw(columns=5)
    assert np.array_equal(restored.predict_proba(features), model.predict_proba(features))


# What is refused


@pytest.mark.parametrize(
    "changes",
    [
        {"answers": np.full((3, 3), 1 / 3)},
        {"probes": np.zeros((3, 5))},
        {"scaler": StandardScaler().fit(draw(columns=5, seed=9)[0])},
        {"classifier": make_majority().fit(*draw(columns=5))},
    ],
    ids=["answers", "probes", "scaler", "classifier"],
)
def test_a_model_that_answers_differently_is_refused(content, changes):
    with pytest.raises(ModelError, match=r"^it answers differently than it did$"):
        restore_model(repack(content, **changes), **KNOWN)


@pytest.mark.parametrize("change, refused", [(1e-9, False), (100 * TOLERANCE, True), (0.1, True)])
def test_one_changed_weight_is_noticed_where_it_matters(content, change, refused):
    classifier = unpack(content)["classifier"]
    classifier.intercept_[0] += change
    changed = repack(content, classifier=classifier)
    if not refused:
        assert restore_model(changed, **KNOWN)
        return
    with pytest.raises(ModelError, match="answers differently"):
        restore_model(changed, **KNOWN)


def test_a_weight_that_is_no_number_is_refused(content):
    classifier = unpack(content)["classifier"]
    classifier.coef_ = classifier.coef_ * np.nan
    with pytest.raises(ModelError):
        restore_model(repack(content, classifier=classifier), **KNOWN)


@pytest.mark.parametrize(
    "changes",
    [
        {"scaler": StandardScaler()},
        {"scaler": None},
        {"scaler": "scaler"},
        {"classifier": StandardScaler()},
        {"probes": np.zeros((3, 4))},
        {"probes": np.zeros((0, 5))},
        {"answers": np.zeros((7, 3))},
    ],
    ids=["not fitted", "nothing", "text", "no classifier", "columns", "no rows", "shape"],
)
def test_parts_that_do_not_fit_together_are_refused(content, changes):
    with pytest.raises(ModelError, match=r"^it cannot be read, \w+$"):
        restore_model(repack(content, **changes), **KNOWN)


def pack(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"PK",
        np.random.default_rng(0).bytes(5000),
        b"model = 1\n",
        pack(),
        pack(**{"word/document.xml": "<document/>"}),
        pack(**{"schema.json": ""}),
        pack(**{"schema.json": "[]"}),
        pack(**{"schema.json": "{}"}),
        skops.io.dumps([1, 2]),
        skops.io.dumps({"scaler": StandardScaler()}),
    ],
    ids=["empty", "two bytes", "random", "text", "empty zip", "document", "no schema", "list",
         "no type", "other content", "half a model"],
)  # fmt: skip
def test_a_foreign_file_is_refused(foreign):
    with pytest.raises(ModelError, match=r"^it cannot be read, \w+$"):
        restore_model(foreign, **KNOWN)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_half_a_file_is_refused(content, share):
    with pytest.raises(ModelError, match="it cannot be read"):
        restore_model(content[: int(share * len(content))], **KNOWN)


@pytest.mark.parametrize("encode", [pickle.dumps, joblib.dump], ids=["pickle", "joblib"])
def test_a_pickle_is_refused_and_not_executed(tmp_path, encode):
    marker, path = tmp_path / "marker", tmp_path / "model"
    if encode is joblib.dump:
        joblib.dump(Bomb(marker), path)
    else:
        path.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(ModelError, match="it cannot be read"):
        restore_model(path.read_bytes(), **KNOWN)
    assert not marker.exists()
    joblib.load(path)
    assert marker.exists(), "the bomb is none"


class Explosive(StandardScaler):
    """A scaler that makes a file when it is used, or only made."""

    def __init__(self, marker: str = "") -> None:
        self.marker = marker

    def __setstate__(self, state: dict) -> None:
        Path(state["marker"]).touch()

    def transform(self, features):
        Path(self.marker).touch()
        return features


@pytest.mark.parametrize(
    "make",
    [
        Bomb,
        lambda marker: Explosive(str(marker)),
        lambda marker: partial(os.system, f"touch {marker}"),
        lambda marker: FunctionTransformer(partial(np.save, str(marker))),
        lambda marker: FunctionTransformer(
            np.save, kw_args={"arr": np.zeros(1)}, inv_kw_args={"file": str(marker)}
        ),
        lambda marker: [StandardScaler(), {"deep": Explosive(str(marker))}],
    ],
    ids=["reduce", "class", "partial", "transformer", "function", "deep"],
)
def test_types_that_are_not_trusted_are_refused_and_nothing_is_executed(content, tmp_path, make):
    marker = tmp_path / "marker"
    hostile = repack(content, scaler=make(marker))
    marker.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="it cannot be read, UntrustedTypesFoundException"):
        restore_model(hostile, **KNOWN)
    assert not list(tmp_path.iterdir())


def test_a_call_written_into_the_file_by_hand_is_refused_and_not_executed(content, tmp_path):
    marker = tmp_path / "marker"
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps((f"touch {marker}",)))) as file:
        arguments = json.loads(file.read("schema.json"))
    call = {"__class__": "system", "__module__": "os", "__loader__": "ConstructorFromReduceNode"}

    def insert(name: str, text: bytes) -> bytes:
        if name != "schema.json":
            return text
        schema = json.loads(text)
        schema["content"]["scaler"] = {**call, "__id__": 1, "content": arguments}
        return json.dumps(schema).encode()

    hostile = rewrite(content, insert)
    with pytest.raises(ModelError, match="it cannot be read, UntrustedTypesFoundException"):
        restore_model(hostile, **KNOWN)
    assert not marker.exists()
    skops.io.loads(hostile, trusted=[*TRUSTED, "os.system"])
    assert marker.exists(), "the call is none"


def test_a_pickle_in_place_of_an_array_is_refused_and_not_executed(content, tmp_path):
    marker = tmp_path / "marker"
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb(marker)], dtype=object), allow_pickle=True)
    for bomb in (buffer.getvalue(), pickle.dumps(Bomb(marker))):
        hostile = rewrite(content, lambda name, old, bomb=bomb: bomb if ".npy" in name else old)
        with pytest.raises(ModelError, match="it cannot be read"):
            restore_model(hostile, **KNOWN)
    assert not marker.exists()
