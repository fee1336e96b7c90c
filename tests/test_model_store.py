import json

import joblib
import numpy as np
import pytest

from helpers.errors import ModelError
from helpers.model_store import (
    FIRST,
    RETRAINED,
    current_model,
    load_model,
    read_card,
    remove_model,
    save_model,
)
from helpers.statuses import STATUSES
from helpers.training import train_model


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def test_a_saved_model_gives_the_same_probabilities(trained):
    features = np.load(trained.feature_data)
    model = load_model(trained)
    save_model(trained, model, name=RETRAINED)
    again = load_model(trained, name=RETRAINED)
    assert np.array_equal(again.predict_proba(features), model.predict_proba(features))
    assert (again.version, again.trained_on) == (model.version, model.trained_on)


def test_probabilities_have_one_column_per_status_and_add_up_to_one(trained):
    probabilities = load_model(trained).predict_proba(np.load(trained.feature_data))
    assert probabilities.shape == (18, len(STATUSES))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_status_without_training_calls_has_probability_zero():
    features, labels = np.eye(4, 180, dtype=np.float32), np.array(["satisfied", "average"] * 2)
    model = train_model(features, labels, trained_on=frozenset())
    probabilities = model.predict_proba(features)
    assert (probabilities[:, STATUSES.index("unsatisfied")] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_the_exported_files_are_a_scaler_and_a_classifier_as_people_expect(trained):
    features = np.load(trained.feature_data)
    classifier = joblib.load(trained.folder / "emotion_model.joblib")
    scaler = joblib.load(trained.folder / "scaler.joblib")
    assert set(classifier.predict(scaler.transform(features))) <= set(STATUSES)


@pytest.mark.parametrize("place", [0, 1], ids=["classifier", "scaler"])
def test_a_pickle_bomb_in_place_of_a_model_is_refused_and_not_executed(trained, tmp_path, place):
    target = tmp_path / "exploded"
    joblib.dump(Bomb(target), trained.model_files(FIRST)[place])
    with pytest.raises(ModelError, match="is not the file this project wrote: run notebook 04"):
        load_model(trained)
    assert not target.exists()


@pytest.mark.parametrize("place", [0, 1, 2], ids=["classifier", "scaler", "card"])
def test_a_model_with_a_missing_part_is_refused(trained, place):
    trained.model_files(FIRST)[place].unlink()
    with pytest.raises(ModelError, match="is not there or incomplete: run notebook 04 again"):
        load_model(trained)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"sha256": {}}', '"text"', "null"])
def test_a_card_that_is_none_is_refused(trained, content):
    trained.model_files(FIRST)[-1].write_text(content)
    with pytest.raises(ModelError, match="incomplete: run notebook 04 again"):
        load_model(trained)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("scikit_learn", "0.24.2", "made with scikit-learn 0.24.2, this is .*: run notebook 04"),
        (
            "feature_set",
            "other-1",
            "'other-1' features, .*'phone-1' now: run notebooks 03 and 04",
        ),
    ],
)
def test_a_model_made_for_another_program_is_refused(trained, key, value, sentence):
    path = trained.model_files(FIRST)[-1]
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=sentence):
        load_model(trained)


def test_the_retrained_model_is_the_current_one_until_it_is_removed(trained):
    first = load_model(trained)
    features = np.load(trained.feature_data)
    labels = np.load(trained.feature_labels)
    second = train_model(features, labels, trained_on=frozenset(), seed=1)
    save_model(trained, second, name=RETRAINED, scores={"feedback": 1})
    assert current_model(trained).version == second.version != first.version
    assert read_card(trained, name=RETRAINED)["scores"] == {"feedback": 1}
    remove_model(trained, name=RETRAINED)
    assert current_model(trained).version == first.version
    assert read_card(trained, name=RETRAINED) is None


def test_a_damaged_retrained_model_is_not_silently_replaced_by_the_first(trained):
    save_model(trained, load_model(trained), name=RETRAINED)
    trained.model_files(RETRAINED)[0].write_bytes(b"")
    with pytest.raises(ModelError, match=r"epic_retrained\.joblib .* run notebook 06"):
        current_model(trained)


def test_without_any_model_the_notebook_to_run_is_named(workspace):
    with pytest.raises(ModelError, match=r"emotion_model\.joblib is not there .* run notebook 04"):
        current_model(workspace)
