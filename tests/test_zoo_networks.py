import copy
import pickle
import warnings

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

REASON = "the networks of the zoo are not installed: make zoo"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("skorch", reason=REASON)

from torch.nn import functional  # noqa: E402

from helpers.evaluation import unweighted_average_recall  # noqa: E402
from helpers.zoo.architectures import ARCHITECTURES, PERCEPTRON  # noqa: E402
from helpers.zoo.feature_sets import FLOOR_DB  # noqa: E402
from helpers.zoo.held_out import hold_out  # noqa: E402
from helpers.zoo.networks import NetworkClassifier  # noqa: E402

BANDS, FRAMES = 8, 24
NAMES = np.array(["angry", "calm", "sad"])
SEQUENCES = [name for name in ARCHITECTURES if name != PERCEPTRON]
TRUSTED = ["helpers.zoo.networks.NetworkClassifier"]

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def silence(capsys):
    """Let nothing be printed and nobody be warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert not any(capsys.readouterr())


def make_rows(architecture, speakers=8, *, start=0, each=12, apart=4.0, shares=None):
    """Make speakers with a voice of their own and classes that are told from one another.

    Returns:
        features, labels, speaker of each row
    """
    make = make_vectors if architecture == PERCEPTRON else make_spectra
    features, labels, groups = [], [], []
    for speaker in range(start, start + speakers):
        generator = np.random.default_rng(speaker)
        codes = np.arange(each) % 3 if shares is None else generator.choice(3, each, p=shares)
        features.append(make(codes, apart, generator).reshape(each, -1))
        labels.append(NAMES[codes])
        groups.append(np.full(each, f"speaker {speaker:02d}"))
    return np.concatenate(features), np.concatenate(labels), np.concatenate(groups)


def make_vectors(codes, apart, generator) -> np.ndarray:
    """Make a column per class that is higher in it, beside others."""
    vectors = generator.normal(0, 1, (len(codes), BANDS)) + generator.normal(0, 0.3, BANDS)
    vectors[np.arange(len(codes)), codes] += apart
    return vectors


def make_spectra(codes, apart, generator) -> np.ndarray:
    """Make two bands per class that are loud first, then faint; the mean says nothing."""
    spectra = generator.normal(-30, 5, (len(codes), BANDS, FRAMES))
    spectra += generator.normal(0, 3, (BANDS, 1))
    for spectrum, code in zip(spectra, codes, strict=True):
        bands = spectrum[2 * code : 2 * code + 2]
        bands[:, 2:10] += 3 * apart
        bands[:, 10:18] -= 3 * apart
        spectrum[:, generator.integers(18, FRAMES) :] = FLOOR_DB
    return np.maximum(spectra, FLOOR_DB)


def make_classifier(architecture, **options) -> NetworkClassifier:
    return NetworkClassifier(architecture, **{"bands": BANDS, "epochs": 25} | options)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trained(request) -> NetworkClassifier:
    return make_classifier(request.param).fit(*make_rows(request.param))


@pytest.fixture(scope="module")
def quick() -> NetworkClassifier:
    return make_classifier("1-D CNN", epochs=1).fit(*make_rows("1-D CNN", 4))


def test_every_network_learns_what_unseen_speakers_do(trained):
    features, labels, _ = make_rows(trained.architecture, start=100)
    assert unweighted_average_recall(labels, trained.predict(features)) > 0.8


def test_probabilities_sum_to_one_and_the_largest_is_the_answer(trained):
    features, _, _ = make_rows(trained.architecture, 2, start=100)
    probabilities = trained.predict_proba(features)
    assert probabilities.shape == (len(features), len(NAMES))
    np.testing.assert_array_equal(trained.classes_, NAMES)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(
        trained.predict(features), NAMES[np.argmax(probabilities, axis=1)]
    )


def test_a_row_is_judged_alike_alone_and_among_others(trained):
    features, _, _ = make_rows(trained.architecture, 2, start=100)
    alone = np.concatenate([trained.predict_proba(row[None]) for row in features])
    np.testing.assert_allclose(alone, trained.predict_proba(features), atol=1e-5)


def restore_from_skops(classifier):
    content = skops.io.dumps(classifier)
    assert skops.io.get_untrusted_types(data=content) == TRUSTED
    return skops.io.loads(content, trusted=TRUSTED)


def restore_from_pickle(classifier):
    return pickle.loads(pickle.dumps(classifier))


@pytest.mark.parametrize("restore", [restore_from_skops, restore_from_pickle, copy.deepcopy])
def test_a_restored_network_answers_the_same(trained, restore):
    features, _, _ = make_rows(trained.architecture, 2, start=100)
    before = torch.get_rng_state()
    restored = restore(trained)
    assert torch.equal(before, torch.get_rng_state())
    assert restored.get_params() == trained.get_params()
    assert restored.epochs_ == trained.epochs_
    np.testing.assert_array_equal(restored.predict_proba(features), trained.predict_proba(features))


@pytest.mark.parametrize("restore", [clone, restore_from_skops, restore_from_pickle])
def test_an_unfitted_network_can_be_copied_and_fitted(restore):
    copied = restore(make_classifier("GRU", epochs=1, seed=3))
    assert copied.get_params() == make_classifier("GRU", epochs=1, seed=3).get_params()
    with pytest.raises(NotFittedError):
        copied.predict(np.zeros((1, BANDS * FRAMES)))
    assert copied.fit(*make_rows("GRU", 3)).epochs_ == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_network_and_another_seed_another(architecture):
    rows = make_rows(architecture, 4)
    answers = []
    for seed in (1, 1, 2):
        torch.rand(1)
        classifier = make_classifier(architecture, epochs=2, seed=seed)
        answers.append(classifier.fit(*rows).predict_proba(rows[0]))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.allclose(answers[0], answers[2])


def test_training_leaves_the_random_numbers_of_others_alone():
    before = torch.get_rng_state()
    make_classifier(PERCEPTRON, epochs=1).fit(*make_rows(PERCEPTRON, 3))
    assert torch.equal(before, torch.get_rng_state())


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    """Unlike with a regression that weighs every row the same."""
    rows = make_rows(PERCEPTRON, 12, each=30, apart=1.5, shares=[0.9, 0.05, 0.05])
    features, labels, _ = make_rows(PERCEPTRON, 12, each=30, apart=1.5, start=100)
    weighed = make_classifier(PERCEPTRON).fit(*rows).predict(features)
    unweighed = LogisticRegression().fit(*rows[:2]).predict(features)
    assert np.mean(unweighed != "angry") < 0.35
    assert 0.55 < np.mean(weighed != "angry") < 0.85
    scores = [unweighted_average_recall(labels, answer) for answer in (weighed, unweighed)]
    assert scores[0] > scores[1] + 0.1


@pytest.mark.parametrize("architecture", [PERCEPTRON, "1-D CNN"])
def test_training_ends_when_the_speakers_held_out_say_so(architecture):
    """Wrong labels of theirs end it at once, and never reach what is learned."""
    features, labels, groups = make_rows(architecture)
    learned, held = hold_out(labels, groups, seed=0)
    assert set(groups[learned]).isdisjoint(groups[held])
    wrong = labels.copy()
    wrong[held] = NAMES[(np.searchsorted(NAMES, labels[held]) + 1) % 3]
    options = {"patience": 3, "epochs": 25}
    heeded = make_classifier(architecture, **options).fit(features, labels, groups)
    misled = make_classifier(architecture, **options).fit(features, wrong, groups)
    assert misled.epochs_ < heeded.epochs_
    scores = [
        unweighted_average_recall(labels[held], each.predict(features[held]))
        for each in (heeded, misled)
    ]
    assert scores[0] > 0.8
    assert scores[1] < scores[0]


def test_the_weights_of_the_best_pass_are_kept():
    features, labels, groups = make_rows("1-D CNN")
    _, held = hold_out(labels, groups, seed=0)
    labels[held] = np.roll(labels[held], 1)
    longer, first = (
        make_classifier("1-D CNN", epochs=epochs, patience=6).fit(features, labels, groups)
        for epochs in (30, 1)
    )
    assert longer.epochs_ == 7
    np.testing.assert_array_equal(longer.predict_proba(features), first.predict_proba(features))


@pytest.mark.parametrize("architecture", SEQUENCES)
def test_nothing_but_when_to_end_is_learned_from_those_held_out(architecture):
    features, labels, groups = make_rows(architecture, 5)
    _, held = hold_out(labels, groups, seed=0)
    louder = features.copy()
    louder[held] += 20
    answers = [
        make_classifier(architecture, epochs=1).fit(each, labels, groups).predict_proba(features)
        for each in (features, louder)
    ]
    np.testing.assert_array_equal(*answers)


def test_one_speaker_is_learned_from_whole_to_the_last_pass():
    features, labels, _ = make_rows(PERCEPTRON, 1, each=30)
    groups = np.full(len(labels), "the only one")
    assert not len(hold_out(labels, groups, seed=0)[1])
    classifier = make_classifier(PERCEPTRON, epochs=9, patience=1).fit(features, labels, groups)
    assert classifier.epochs_ == 9


def test_without_groups_each_row_is_its_own():
    features, labels, _ = make_rows(PERCEPTRON, 4)
    rows = [f"{number:03d}" for number in range(len(labels))]
    answers = [
        make_classifier(PERCEPTRON, epochs=2).fit(features, labels, groups).predict_proba(features)
        for groups in (None, rows)
    ]
    np.testing.assert_array_equal(*answers)


def test_how_much_silence_follows_is_not_listened_to():
    """Convolutions reach 13 frames at most, here all of them spectra or silence."""
    torch.manual_seed(0)
    network = ARCHITECTURES["1-D CNN"](BANDS, 3).eval()
    spectra = torch.from_numpy(np.float32(make_rows("1-D CNN", 1)[0].reshape(-1, BANDS, FRAMES)))
    odds = [network(functional.pad(spectra, (0, more), value=FLOOR_DB)) for more in (20, 60)]
    torch.testing.assert_close(*odds)


@pytest.mark.parametrize("architecture", SEQUENCES)
@pytest.mark.parametrize("rows", [2, 33])
def test_few_and_short_rows_can_be_learned_from(architecture, rows):
    generator = np.random.default_rng(0)
    features = generator.normal(-30, 5, (rows, BANDS * 5))
    labels = np.resize(NAMES[:2], rows)
    classifier = make_classifier(architecture, epochs=1).fit(features, labels, np.zeros(rows))
    assert np.isfinite(classifier.predict_proba(features)).all()


@pytest.mark.parametrize("architecture", SEQUENCES)
def test_silence_alone_has_probabilities(architecture):
    silence = np.full((6, BANDS * FRAMES), FLOOR_DB)
    classifier = make_classifier(architecture, epochs=1).fit(silence, np.resize(NAMES, 6))
    assert np.isfinite(classifier.predict_proba(silence)).all()


@pytest.mark.parametrize("architecture", SEQUENCES)
@pytest.mark.parametrize(("bands", "columns"), [(0, 40), (-8, 40), (7, 40), (40, 41), (8, 32)])
def test_columns_that_are_no_frames_of_so_many_bands_are_refused(architecture, bands, columns):
    expected = f"^{columns} columns are not 5 or more whole frames of {bands} bands: give `bands`"
    with pytest.raises(ValueError, match=expected):
        make_classifier(architecture, bands=bands).fit(np.zeros((6, columns)), np.resize(NAMES, 6))


@pytest.mark.parametrize(
    ("options", "features", "labels", "message"),
    [
        ({"architecture": "mind"}, np.zeros((6, 4)), np.resize(NAMES, 6), "'mind' is no network: "),
        ({}, np.zeros((6, 4)), np.resize(NAMES[:1], 6), "every row is .*'angry'"),
        ({}, np.full((6, 4), np.nan), np.resize(NAMES, 6), "NaN"),
        ({}, np.zeros(6), np.resize(NAMES, 6), "2D array"),
        ({}, np.zeros((6, 4)), np.resize(NAMES, 5), "inconsistent numbers of samples"),
    ],
    ids=["architecture", "one class", "missing", "one column", "lengths"],
)
def test_what_cannot_be_learned_from_is_refused(options, features, labels, message):
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(**options).fit(features, labels)


def test_other_columns_than_were_learned_from_are_refused(quick):
    with pytest.raises(ValueError, match=f"expecting {BANDS * FRAMES} features"):
        quick.predict(np.zeros((1, BANDS * 10)))


def change_weights(**changes):
    return lambda state: {**state, "weights": {**state["weights"], **changes}}


HEAD = "head.1.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {**state, "architecture": "mind"}, "'mind' is no network"),
        (lambda state: {**state, "architecture": ["GRU"]}, "is no network"),
        (lambda state: {**state, "architecture": "GRU"}, "not those of GRU"),
        (lambda state: {**state, "bands": 7}, "whole frames of 7 bands"),
        (lambda state: {**state, "bands": 4}, "shape or value: mean, deviation, layers.0.weight$"),
        (lambda state: {**state, "bands": "8"}, "sizes"),
        (lambda state: {**state, "n_features_in_": 10**30}, "sizes"),
        (lambda state: {**state, "classes_": NAMES[:2]}, "shape or value: head.1.weight, head.1"),
        (lambda state: {**state, "classes_": NAMES[::-1]}, "classes"),
        (lambda state: {**state, "classes_": np.arange(3)}, "classes"),
        (lambda state: {**state, "classes_": list(NAMES)}, "classes"),
        (lambda state: {**state, "forward": "me"}, "not what a network is stored as"),
        (lambda state: {"architecture": "GRU"}, "not what a network is stored as"),
        (lambda state: {**state, "weights": None}, "not those of 1-D CNN"),
        (lambda state: {**state, "weights": {}}, "not those of 1-D CNN"),
        (change_weights(another=np.zeros(3, np.float32)), "not those of 1-D CNN"),
        (change_weights(**{HEAD: np.zeros(4, np.float32)}), HEAD),
        (change_weights(**{HEAD: np.zeros(3)}), HEAD),
        (change_weights(**{HEAD: np.full(3, np.nan, np.float32)}), HEAD),
        (change_weights(**{HEAD: np.array([None] * 3)}), HEAD),
        (change_weights(**{HEAD: [0.0, 0.0, 0.0]}), HEAD),
    ],
)
def test_a_stored_network_that_was_changed_is_refused(quick, change, message):
    with pytest.raises(ValueError, match=message):
        NetworkClassifier().__setstate__(change(quick.__getstate__()))


def test_what_is_stored_are_parameters_and_plain_arrays(quick):
    state = quick.__getstate__()
    weights = state.pop("weights")
    assert {type(array) for array in weights.values()} == {np.ndarray}
    assert {type(value) for value in state.values()} == {str, int, np.ndarray}
