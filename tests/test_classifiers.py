import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.base import clone, is_classifier

from helpers import classifiers
from helpers.classifiers import (
    HIDDEN_UNITS,
    PERCEPTRON,
    make_candidates,
    make_classifier,
    make_earlier,
    make_majority,
)
from helpers.evaluation import unweighted_average_recall
from helpers.features import PHONE
from helpers.statuses import STATUSES

VOICE = len(PHONE.names)
WIDE = VOICE + 9
"""Columns of a feature set with a model's emotions."""


def ring(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two statuses that a straight line cannot part: one lies around the other."""
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((rows, 2))
    radius = np.repeat([0.3, 2.0], rows // 2)
    points *= (radius / np.linalg.norm(points, axis=1))[:, None]
    return points, np.repeat(["satisfied", "average"], rows // 2)


def hear(*, voice: float, emotions: float, rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Draw features of which voice and emotions tell the status so well."""
    generator = np.random.default_rng(0)
    labels = np.resize(STATUSES, rows)
    ranks = np.resize([-1, 0, 1], rows)[:, None]
    strengths = np.repeat([voice, emotions], [VOICE, WIDE - VOICE])
    signs = generator.choice([-1, 1], WIDE)
    return generator.standard_normal((rows, WIDE)) + ranks * strengths * signs, labels


@pytest.mark.parametrize("columns", [3, VOICE, WIDE])
def test_every_candidate_is_a_scaler_and_a_classifier(columns):
    candidates = make_candidates(columns)
    for candidate in candidates.values():
        scaler, classifier = (step for _, step in candidate.steps)
        assert type(scaler).__name__ == "StandardScaler"
        assert is_classifier(classifier)
    assert ("voice and emotions" in candidates) == (columns > VOICE)


def test_the_simplest_candidate_comes_first():
    assert list(make_candidates(VOICE)) == ["linear", PERCEPTRON]
    expected = ["linear", "voice", "emotions", "voice and emotions", PERCEPTRON]
    assert list(make_candidates(VOICE + 1)) == expected


@pytest.mark.parametrize("name, heard", [("voice", slice(VOICE)), ("emotions", slice(VOICE, None))])
def test_a_candidate_for_some_columns_hears_no_others(name, heard):
    features, labels = hear(voice=0.1, emotions=1, rows=12)
    candidate = make_candidates(WIDE)[name].fit(features, labels)
    others = np.random.default_rng(1).standard_normal(features.shape)
    others[:, heard] = features[:, heard]
    assert np.array_equal(candidate.predict_proba(others), candidate.predict_proba(features))
    assert not np.array_equal(candidate.predict_proba(-others), candidate.predict_proba(others))


def test_voice_and_emotions_are_averaged_with_their_weights():
    features, labels = hear(voice=0.1, emotions=1, rows=12)
    candidates = make_candidates(WIDE)
    voice, emotions, both = (
        candidates[name].fit(features, labels).predict_proba(features)
        for name in ("voice", "emotions", "voice and emotions")
    )
    np.testing.assert_allclose(both, (voice + 2 * emotions) / 3)


def test_the_baseline_is_the_perceptron_of_the_earlier_notebook():
    network = make_earlier().steps[-1][1].steps[-1][1]
    assert (type(network).__name__, network.hidden_layer_sizes) == ("MLPClassifier", (300,))
    assert HIDDEN_UNITS == 300


def test_the_other_baseline_always_answers_the_most_frequent_status():
    labels = ["average", "satisfied", "average", "unsatisfied"]
    majority = make_majority().fit(np.zeros((4, 2)), labels)
    assert set(majority.predict(np.ones((5, 2)))) == {"average"}


@pytest.mark.parametrize("make", [make_classifier, make_earlier])
def test_the_seed_decides_how_a_perceptron_starts(make):
    features, labels = ring(40)
    first, again, other = (
        make(seed).fit(features, labels).predict_proba(features) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


# The choice


def test_the_classifier_that_suits_the_data_is_chosen():
    features, labels = ring(80)
    assert make_classifier().fit(features, labels).choice_ == PERCEPTRON
    noise = np.random.default_rng(0).standard_normal((80, 300))
    spread = noise + 0.3 * (labels == "average")[:, None]
    assert make_classifier().fit(spread, labels).choice_ == "linear"


@pytest.mark.parametrize(
    "voice, emotions, choices",
    [(0, 2, {"emotions", "voice and emotions"}), (0.2, 0, {"linear", "voice"})],
)
def test_what_tells_the_status_is_listened_to(voice, emotions, choices):
    features, labels = hear(voice=voice, emotions=emotions)
    assert make_classifier().fit(features, labels).choice_ in choices


def test_the_choice_has_the_highest_of_the_scores_on_held_out_groups():
    features, labels = hear(voice=0.03, emotions=0.5)
    chosen = make_classifier().fit(features, labels)
    assert list(chosen.scores_) == list(make_candidates(WIDE))
    assert chosen.scores_[chosen.choice_] == max(chosen.scores_.values())
    assert all(0 <= score <= 1 for score in chosen.scores_.values())


def test_of_equal_candidates_the_simplest_is_chosen():
    labels = np.resize(["satisfied", "average"], 40)
    features = np.random.default_rng(0).standard_normal((40, 300))
    features += 5 * (labels == "average")[:, None]
    chosen = make_classifier().fit(features, labels)
    assert set(chosen.scores_.values()) == {1.0}
    assert chosen.choice_ == "linear"


def test_a_choice_is_not_made_by_recognising_groups():
    """Features that tell the group perfectly and the status not at all score chance inside."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 4)
    features = np.repeat(generator.standard_normal((20, 5)), 4, axis=0)
    labels = np.repeat(np.resize(["satisfied", "average"], 20), 4)
    told, untold = (
        max(make_classifier().fit(features, labels, given).scores_.values())
        for given in (groups, None)
    )
    assert told < 0.75 < 0.95 < untold


def test_with_too_few_groups_to_hold_some_out_the_simplest_is_taken():
    features, labels = ring(8)
    groups = np.where(labels == "average", "Ann", "Bob")
    chosen = make_classifier().fit(features, labels, groups)
    assert chosen.choice_ == "linear"
    assert chosen.scores_ == {}


@pytest.mark.parametrize("name", make_candidates(WIDE))
def test_what_is_kept_answers_as_the_candidate_and_is_no_larger_as_a_file(monkeypatch, name):
    """Where it is the only candidate: weights on some columns become weights on all."""
    features, labels = hear(voice=0.05, emotions=0.5, rows=18)
    candidate = make_candidates(WIDE)[name]
    monkeypatch.setattr(classifiers, "make_candidates", lambda *_: {name: clone(candidate)})
    chosen = make_classifier().fit(features, labels)
    assert chosen.choice_ == name
    candidate.fit(features, labels)
    unseen = np.concatenate([features, hear(voice=0, emotions=0, rows=18)[0]])
    np.testing.assert_allclose(
        chosen.predict_proba(unseen), candidate.predict_proba(unseen), atol=1e-12
    )
    assert (chosen.predict(unseen) == candidate.predict(unseen)).all()
    kept, whole = (
        len(skops.io.dumps(each, compression=zipfile.ZIP_DEFLATED))
        for each in (chosen.pipeline_, candidate)
    )
    assert kept < {"voice": 1, "emotions": 0.8, "voice and emotions": 0.6}.get(name, 1.01) * whole


def test_the_choice_is_a_classifier_for_scikit_learn():
    chosen = make_classifier(3)
    assert is_classifier(chosen)
    assert clone(chosen).seed == 3
    features, labels = ring(40)
    assert chosen.fit(features, labels) is chosen
    assert chosen.classes_.tolist() == ["average", "satisfied"]
    assert chosen.predict_proba(features).shape == (40, 2)
    assert unweighted_average_recall(labels, chosen.predict(features)) > 0.9
