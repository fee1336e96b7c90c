import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from helpers.errors import CallEmotionError
from helpers.evaluation import unweighted_average_recall
from helpers.zoo import models
from helpers.zoo.boosting import FEWEST_ROUNDS, GradientBoosting
from helpers.zoo.feature_sets import FRAME_BANDS
from helpers.zoo.held_out import hold_out
from helpers.zoo.models import (
    FRAMES,
    NEIGHBOURS,
    VECTORS,
    ZOO,
    ScaledClassifier,
    ZooModel,
    find_model,
    list_models,
)
from helpers.zoo.selection import ChosenModel
from helpers.zoo.support_vectors import SupportVectors

CLASSES = np.array(["angry", "calm", "sad"])
INSTALLED = list_models()


def make_rows(*, columns=12, speakers=9, each=6, seed=0):
    """Draw vectors whose first three columns tell the class, moved by who speaks."""
    generator = np.random.default_rng(seed)
    labels = np.tile(CLASSES, speakers * each // 3)
    groups = np.repeat([f"speaker {number}" for number in range(speakers)], each)
    features = generator.standard_normal((len(labels), columns))
    features[:, :3] += 3 * (labels[:, None] == CLASSES)
    features += np.repeat(generator.standard_normal((speakers, columns)), each, axis=0) * 0.3
    return features, labels, groups


def make_spectra(*, seed=0):
    """Draw spectra over time whose loud third of the bands tells the class."""
    generator = np.random.default_rng(seed)
    _, labels, groups = make_rows()
    spectra = generator.normal(-40, 3, (len(labels), FRAME_BANDS, 12))
    thirds = np.arange(FRAME_BANDS) * 3 // FRAME_BANDS
    spectra += 25 * (CLASSES[thirds] == labels[:, None])[:, :, None]
    return spectra.reshape(len(labels), -1), labels, groups


def make_data(name):
    return make_spectra() if find_model(name).takes == FRAMES else make_rows()


@pytest.mark.parametrize("name", INSTALLED)
class TestEveryModel:
    def test_judges_speakers_it_has_not_heard(self, name):
        features, labels, groups = make_data(name)
        known = ~np.isin(groups, ["speaker 0", "speaker 1", "speaker 2"])
        model = ScaledClassifier(name).fit(features[known], labels[known], groups[known])
        assert unweighted_average_recall(labels[~known], model.predict(features[~known])) > 0.7

    def test_gives_probabilities_in_the_order_of_its_classes(self, name):
        features, labels, groups = make_data(name)
        model = ScaledClassifier(name).fit(features, labels, groups)
        probabilities = model.predict_proba(features)
        assert list(model.classes_) == list(CLASSES)
        assert probabilities.shape == (len(labels), 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert (model.predict(features) == CLASSES[probabilities.argmax(axis=1)]).all()

    def test_gives_the_same_answer_for_the_same_seed(self, name):
        features, labels, groups = make_data(name)
        first, second = (
            ScaledClassifier(name, seed=3).fit(features, labels, groups).predict_proba(features)
            for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("entry", ZOO, ids=lambda entry: entry.name)
def test_every_entry_says_what_it_is_and_when_to_pick_it(entry):
    assert entry.what.endswith(".") and entry.pick.endswith(".")
    assert entry.takes in (VECTORS, FRAMES)


def test_every_name_is_there_once():
    names = [entry.name for entry in ZOO]
    assert len(names) == len(set(names)) == 12


def test_vectors_are_standardised_and_frames_are_left_alone():
    features, labels, groups = make_rows()
    scaler = ScaledClassifier("k-nearest neighbours").fit(features, labels, groups).scaler_
    np.testing.assert_allclose(scaler.transform(features).std(axis=0), 1)
    frames = [name for name in list_models(takes=FRAMES)][:1]
    for name in frames:
        spectra, labels, groups = make_spectra()
        scaler = ScaledClassifier(name).fit(spectra, labels, groups).scaler_
        np.testing.assert_array_equal(scaler.transform(spectra), spectra)


def test_an_unknown_model_is_refused_with_the_names_that_there_are():
    with pytest.raises(CallEmotionError, match=r"no model 'oracle' in the zoo; .*random forest"):
        find_model("oracle")


def test_a_model_whose_package_is_missing_says_what_to_install(monkeypatch):
    entry = ZooModel("oracle", "It knows.", "Never.", lambda seed: None, needs=("no_such_module",))
    monkeypatch.setattr(models, "ZOO", (*ZOO, entry))
    assert "oracle" not in list_models()
    with pytest.raises(CallEmotionError, match=r"needs no_such_module, .*make zoo"):
        find_model("oracle")


def test_one_entry_more_is_all_that_a_new_model_takes(monkeypatch):
    entry = ZooModel("flat", "Weak.", "Never.", lambda seed: LogisticRegression(C=1e-9))
    monkeypatch.setattr(models, "ZOO", (*ZOO, entry))
    features, labels, groups = make_rows()
    model = ScaledClassifier("flat").fit(features, labels, groups)
    np.testing.assert_allclose(model.predict_proba(features), 1 / 3, atol=1e-3)


@pytest.mark.parametrize("name", ["gradient boosting", "random forest", "logistic regression"])
def test_a_rare_class_is_not_drowned(name):
    generator = np.random.default_rng(0)
    labels = np.array(["rare"] * 15 + ["usual"] * 285)
    features = generator.standard_normal((300, 4)) + 1.5 * (labels == "rare")[:, None]
    model = ScaledClassifier(name).fit(features, labels, np.arange(300) % 30)
    assert (model.predict(features)[:15] == "rare").mean() > 0.6


def test_fewer_rows_than_neighbours_vote_all_of_them():
    features, labels, groups = make_rows(speakers=3, each=3)
    model = ScaledClassifier("k-nearest neighbours").fit(features, labels, groups)
    assert model.classifier_.voters_.n_neighbors == 9 < NEIGHBOURS
    assert (model.predict(features) == labels).all()


class TestHoldOut:
    def test_no_speaker_is_on_both_sides(self):
        _, labels, groups = make_rows()
        learned, held = hold_out(labels, groups)
        assert len(learned) + len(held) == len(labels)
        assert not set(groups[learned]) & set(groups[held])
        assert set(labels[learned]) == set(CLASSES)

    def test_nobody_is_held_out_of_too_few(self):
        _, labels, _ = make_rows()
        learned, held = hold_out(labels, np.zeros(len(labels)))
        assert len(learned) == len(labels) and not len(held)

    def test_rows_without_groups_are_on_their_own(self):
        _, labels, _ = make_rows()
        _, held = hold_out(labels)
        assert 0 < len(held) < len(labels) / 2


def test_boosting_stops_where_held_out_speakers_gain_nothing():
    features, labels, groups = make_rows()
    noise = np.random.default_rng(1).permutation(labels)
    assert GradientBoosting().fit(features, noise, groups).rounds_ == FEWEST_ROUNDS
    assert GradientBoosting().fit(features, labels, groups).rounds_ > FEWEST_ROUNDS


def test_boosting_without_speakers_to_hold_out_makes_the_fewest_rounds():
    features, labels, _ = make_rows()
    model = GradientBoosting().fit(features, labels, np.zeros(len(labels)))
    assert model.rounds_ == FEWEST_ROUNDS


def test_support_vectors_of_one_speaker_are_calibrated_by_rows():
    features, labels, _ = make_rows()
    model = SupportVectors().fit(features, labels, np.zeros(len(labels)))
    by_rows = SupportVectors().fit(features, labels)
    np.testing.assert_array_equal(model.predict_proba(features), by_rows.predict_proba(features))


def test_support_vectors_with_a_single_row_of_a_class_are_refused_in_words():
    features, labels, groups = make_rows()
    rows = np.concatenate([[0], np.flatnonzero(labels != labels[0])])
    with pytest.raises(CallEmotionError, match="too few customers or speakers"):
        SupportVectors().fit(features[rows], labels[rows], groups[rows])


class TestChosenModel:
    def test_keeps_the_best_on_speakers_of_its_training_rows(self):
        features, labels, groups = make_rows()
        model = ChosenModel(("k-nearest neighbours", "logistic regression")).fit(
            features, labels, groups
        )
        assert model.scores_[model.choice_] == max(model.scores_.values())
        assert set(model.scores_) == {"k-nearest neighbours", "logistic regression"}

    def test_takes_the_first_where_nobody_can_be_held_out(self):
        features, labels, _ = make_rows()
        names = ("logistic regression", "k-nearest neighbours")
        model = ChosenModel(names).fit(features, labels, np.zeros(len(labels)))
        assert (model.choice_, model.scores_) == (names[0], {})

    def test_is_a_classifier_like_any_other(self):
        model = clone(ChosenModel(("logistic regression",), seed=5))
        assert model.get_params() == {"models": ("logistic regression",), "seed": 5}
