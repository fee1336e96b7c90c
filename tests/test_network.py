import io

import numpy as np
import pytest

from helpers.descriptors import MEL_BANDS

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install -r requirements-network.txt"
)

from helpers import network  # noqa: E402
from helpers.network import (  # noqa: E402
    CROP_FRAMES,
    EMBEDDING,
    GROUP_SIZE,
    EmotionNetwork,
    TrainedNetwork,
    train_network,
)

torch.set_num_threads(1)


def make_spectra(count=16, *, classes=2, frames=40, speakers=1, seed=0):
    """Make utterances whose class is the group of bands that is loud.

    Returns:
        spectra in dB, labels, names of the speakers
    """
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    names = np.array([f"speaker {number * speakers // count}" for number in range(count)])
    spectra = []
    for label in labels:
        spectrum = generator.normal(-30, 5, (MEL_BANDS, frames + generator.integers(9)))
        width = MEL_BANDS // classes
        spectrum[label * width : (label + 1) * width] += 12
        spectra.append(spectrum.astype(np.float32))
    return spectra, labels, names


def train(*, epochs=2, seed=0, classes=2, variants=1, **options) -> TrainedNetwork:
    spectra, labels, names = make_spectra(classes=classes, **options)
    return train_network(
        [spectra] * variants, labels, names, classes=classes, epochs=epochs, seed=seed
    )


@pytest.fixture(scope="module")
def quick():
    """Let a network follow its last steps more closely: the usual average begins too slowly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_AVERAGING", 0.8)
        yield


def write_npz(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    return train(classes=3, count=24, speakers=2)


@pytest.fixture(scope="module")
def spectra() -> list[np.ndarray]:
    return make_spectra(8, classes=3, seed=1)[0]


def test_the_same_seed_gives_the_same_network(trained):
    same = train(classes=3, count=24, speakers=2).arrays()
    other = train(classes=3, count=24, speakers=2, seed=1).arrays()
    for name, value in trained.arrays().items():
        np.testing.assert_array_equal(same[name], value)
    assert (other["alone.weight"] != same["alone.weight"]).mean() > 0.9


def test_the_input_is_scaled_by_the_bands_of_the_first_variant():
    spectra, labels, names = make_spectra()
    low = [spectrum - 100 for spectrum in spectra]
    trained = train_network([spectra, low], labels, names, classes=2, epochs=1)
    frames = np.concatenate(spectra, axis=1)
    np.testing.assert_allclose(trained.mean[:, 0], frames.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(trained.deviation[:, 0], frames.std(axis=1), rtol=1e-2)


@pytest.mark.parametrize("frames", [1, 2, 3, 23, 24, 25, 150, 151, 3000])
def test_utterances_of_any_length_are_embedded_and_judged(trained, frames):
    spectrum = np.random.default_rng(frames).normal(-30, 10, (MEL_BANDS, frames))
    embeddings = trained.embed([spectrum.astype(np.float32)])
    assert (embeddings.shape, embeddings.dtype) == ((1, EMBEDDING), np.float32)
    assert np.isfinite(embeddings).all()
    assert trained.predict_proba(embeddings).sum() == pytest.approx(1)


def test_each_utterance_is_embedded_as_if_it_were_alone(trained, spectra):
    lengths = [1, 8, 300, 40, 2000, 5, 24, 25]
    cut = [np.resize(each, (MEL_BANDS, n)) for each, n in zip(spectra, lengths, strict=True)]
    together = trained.embed(cut)
    assert together.shape == (8, EMBEDDING)
    for row, spectrum in zip(together, cut, strict=True):
        np.testing.assert_array_equal(trained.embed([spectrum])[0], row)
    np.testing.assert_array_equal(trained.embed(cut[::-1]), together[::-1])


def test_the_spectra_stay_as_they_are(trained, spectra):
    before = [spectrum.copy() for spectrum in spectra]
    trained.embed(spectra)
    for spectrum, copy in zip(spectra, before, strict=True):
        np.testing.assert_array_equal(spectrum, copy)


def test_no_utterances_have_no_embeddings(trained):
    embeddings = trained.embed([])
    assert embeddings.shape == (0, EMBEDDING)
    assert trained.predict_proba(embeddings).shape == (0, 3)


@pytest.mark.parametrize("judge", ["predict_proba", "predict_against_baseline"])
def test_probabilities_are_positive_and_sum_to_1(trained, spectra, judge):
    probabilities = getattr(trained, judge)(trained.embed(spectra))
    assert (probabilities.shape, probabilities.dtype) == ((8, 3), np.float64)
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_the_baseline_takes_away_what_all_utterances_have_in_common(trained, spectra):
    embeddings = trained.embed(spectra)
    expected = trained.predict_against_baseline(embeddings)
    common = np.random.default_rng(0).standard_normal(EMBEDDING).astype(np.float32)
    moved = trained.predict_against_baseline(embeddings + common)
    np.testing.assert_allclose(moved, expected, atol=1e-3)
    alone = [trained.predict_proba(embeddings[[row]])[0] for row in range(8)]
    np.testing.assert_allclose(trained.predict_proba(embeddings), alone, atol=1e-6)


def test_what_lies_far_below_the_voice_is_not_looked_at(trained, spectra):
    spectrum = np.where(spectra[0] < -30, -60, spectra[0])
    lower = np.where(spectra[0] < -30, -90, spectra[0])
    np.testing.assert_array_equal(trained.embed([lower]), trained.embed([spectrum]))


def test_a_network_comes_back_from_its_arrays(trained, spectra):
    arrays = trained.arrays()
    assert {value.dtype for value in arrays.values()} == {np.dtype(np.float16)}
    assert all(np.isfinite(value).all() for value in arrays.values())
    content = write_npz(arrays)
    assert len(content) < 5_000_000
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        again = TrainedNetwork.from_arrays(dict(file))
    for judge in ("predict_proba", "predict_against_baseline"):
        expected = getattr(trained, judge)(trained.embed(spectra))
        found = getattr(again, judge)(again.embed(spectra))
        np.testing.assert_allclose(found, expected, atol=0.01)
    for name, value in again.arrays().items():
        np.testing.assert_array_equal(value, arrays[name])


@pytest.mark.parametrize(
    "lost",
    ["convolutions.0.weight", "attention.bias", "alone.bias", "input.mean"],
)
def test_arrays_that_lack_one_are_refused(trained, lost):
    lacking = {name: value for name, value in trained.arrays().items() if name != lost}
    with pytest.raises(ValueError, match=lost):
        TrainedNetwork.from_arrays(lacking)


@pytest.mark.parametrize("wrong", ["convolutions.0.weight", "alone.bias"])
def test_arrays_of_another_shape_are_refused(trained, wrong):
    with pytest.raises(ValueError, match=r"convolutions\.0\.weight|alone\.weight"):
        TrainedNetwork.from_arrays({**trained.arrays(), wrong: np.zeros((7, 7, 7), np.float16)})


@pytest.mark.parametrize(
    "count, speakers", [(2, 1), (4, 2), (GROUP_SIZE - 1, 1), (GROUP_SIZE, 1), (34, 1), (40, 5)]
)
def test_speakers_with_any_number_of_utterances_train(count, speakers):
    trained = train(count=count, speakers=speakers, epochs=1)
    assert all(np.isfinite(value).all() for value in trained.arrays().values())


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 8])
def test_any_number_of_epochs_trains(epochs):
    trained = train(epochs=epochs, count=4, frames=8)
    assert all(np.isfinite(value).all() for value in trained.arrays().values())


@pytest.mark.parametrize("frames", [1, 2, CROP_FRAMES - 1, CROP_FRAMES, CROP_FRAMES + 1, 400])
def test_utterances_of_any_length_train(frames):
    spectra, labels, names = make_spectra(frames=frames + 20)
    cut = [spectrum[:, :frames] for spectrum in spectra]
    trained = train_network([cut, cut], labels, names, classes=2, epochs=1)
    assert np.isfinite(trained.embed(cut)).all()


@pytest.mark.parametrize("classes", [2, 5, 9])
def test_a_network_has_as_many_outputs_as_classes(classes):
    embedding = EmotionNetwork(classes).eval().embed(torch.zeros(2, 1, MEL_BANDS, 32))
    assert embedding.shape == (2, EMBEDDING)
    assert EmotionNetwork(classes).judge(embedding).shape == (2, classes)
    against = EmotionNetwork(classes).judge_against_baseline(embedding[None])
    assert against.shape == (1, 2, classes)


def test_silence_and_utterances_that_are_all_alike_train():
    spectra = [np.full((MEL_BANDS, 30), -90, np.float32)] * 8
    names = np.array(["a"] * 8)
    trained = train_network([spectra], np.arange(8) % 2, names, classes=2, epochs=1)
    for judge in ("predict_proba", "predict_against_baseline"):
        assert np.isfinite(getattr(trained, judge)(trained.embed(spectra))).all()


def test_a_band_that_only_some_variants_fill_keeps_numbers_small():
    spectra, labels, names = make_spectra()
    narrow = [np.where(np.arange(MEL_BANDS)[:, None] < 30, each, -90) for each in spectra]
    trained = train_network([narrow, spectra], labels, names, classes=2, epochs=2)
    assert all(np.isfinite(value).all() for value in trained.arrays().values())


@pytest.fixture(scope="module")
def learned(quick) -> TrainedNetwork:
    return train(epochs=30)


@pytest.mark.parametrize("judge", ["predict_against_baseline", "predict_proba"])
def test_a_network_learns_which_bands_are_loud(learned, judge):
    spectra, labels, _ = make_spectra(32, seed=7)
    probabilities = getattr(learned, judge)(learned.embed(spectra))
    assert np.mean(probabilities.argmax(axis=1) == labels) > 0.9


@pytest.mark.usefixtures("quick")
def test_a_class_that_is_rare_in_training_is_not_held_for_rare():
    spectra, _, names = make_spectra(32, classes=1)
    rare = np.arange(32) % 8 == 0
    trained = train_network([spectra], rare.astype(int), names, classes=2, epochs=18)
    embeddings = trained.embed(make_spectra(32, classes=1, seed=1)[0])
    for judge in (trained.predict_against_baseline, trained.predict_proba):
        assert judge(embeddings)[:, 1].mean() == pytest.approx(0.5, abs=0.12)
