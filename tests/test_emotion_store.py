import io
import json
from pathlib import Path

import numpy as np
import pytest

from helpers.descriptors import MEL_BANDS
from helpers.emotion import EmotionModel, LinearModel
from helpers.emotion_store import load_emotion_model, save_emotion_model
from helpers.emotions import EMOTIONS
from helpers.errors import ModelError
from helpers.functionals import FUNCTIONALS
from helpers.hearing import Heard

NAMES = [emotion.name for emotion in EMOTIONS]
SPEAKERS = ["own"] * 6 + ["few"] * 2


def make_linear(classes: int, seed: int) -> LinearModel:
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, 0.03, (len(FUNCTIONALS), classes))
    bias = generator.normal(size=classes)
    return LinearModel(weights.astype(np.float32), bias.astype(np.float32))


def make_model(classes: int = 3, *, seed: int = 0, networks: tuple = ()) -> EmotionModel:
    alone, against_baseline = (make_linear(classes, 2 * seed + number) for number in (0, 1))
    return EmotionModel(np.array(NAMES[:classes]), alone, against_baseline, networks)


def make_heard(count: int = 8) -> Heard:
    generator = np.random.default_rng(9)
    features = generator.standard_normal((count, len(FUNCTIONALS))).astype(np.float32)
    spectra = generator.normal(-30, 10, (count, MEL_BANDS, 40)).astype(np.float32)
    return Heard(features, list(spectra))


def assert_judges_alike(found: EmotionModel, expected: EmotionModel, *, atol: float) -> None:
    heard = make_heard()
    for speakers in (None, SPEAKERS):
        probabilities = expected.predict_heard(heard, speakers=speakers)
        assert np.std(probabilities, axis=0).max() > 0.1
        np.testing.assert_allclose(
            found.predict_heard(heard, speakers=speakers), probabilities, atol=atol
        )


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "emotions.npz"
    save_emotion_model(path, make_model())
    return path


@pytest.fixture(scope="module")
def networked() -> EmotionModel:
    """Give a model of every emotion with two networks that were never trained."""
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install -r requirements-network.txt"
    )
    from helpers.network import EmotionNetwork, TrainedNetwork

    torch.set_num_threads(1)
    torch.manual_seed(0)
    scale = np.full((MEL_BANDS, 1), -30.0, np.float32), np.full((MEL_BANDS, 1), 10.0, np.float32)
    networks = (TrainedNetwork(EmotionNetwork(len(NAMES)).eval(), *scale) for _ in range(2))
    return make_model(len(NAMES), networks=tuple(networks))


@pytest.mark.parametrize("classes", [2, 3, len(EMOTIONS)])
def test_a_model_comes_back_from_its_file(tmp_path, classes):
    model = make_model(classes, seed=classes)
    save_emotion_model(tmp_path / "emotions.npz", model)
    loaded = load_emotion_model(str(tmp_path / "emotions.npz"))
    assert loaded.classes_.tolist() == NAMES[:classes]
    assert loaded.networks == ()
    assert loaded.fingerprint == model.fingerprint
    for name in ("alone", "against_baseline"):
        for part in ("weights", "bias"):
            found, expected = (getattr(getattr(each, name), part) for each in (loaded, model))
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
    assert_judges_alike(loaded, model, atol=0)


def test_a_model_of_full_size_stays_below_5_mb(networked, tmp_path):
    save_emotion_model(tmp_path / "emotions.npz", networked.without_networks())
    light = (tmp_path / "emotions.npz").stat().st_size
    save_emotion_model(tmp_path / "emotions.npz", networked)
    assert light < (tmp_path / "emotions.npz").stat().st_size < 5_000_000


def test_networks_come_back_from_their_file(networked, tmp_path):
    save_emotion_model(tmp_path / "emotions.npz", networked)
    loaded = load_emotion_model(tmp_path / "emotions.npz")
    assert len(loaded.networks) == 2
    assert loaded.fingerprint == networked.fingerprint
    assert_judges_alike(loaded, networked, atol=0.01)
    for found, expected in zip(loaded.networks, networked.networks, strict=True):
        for name, value in expected.arrays().items():
            np.testing.assert_array_equal(found.arrays()[name], value)


def test_many_networks_do_not_mix_up_their_arrays(networked, tmp_path):
    networks = (*networked.networks, *networked.networks[::-1] * 5)
    model = make_model(len(NAMES), networks=networks)
    save_emotion_model(tmp_path / "emotions.npz", model)
    assert load_emotion_model(tmp_path / "emotions.npz").fingerprint == model.fingerprint


def test_a_fingerprint_changes_with_what_was_learned():
    model = make_model()
    renamed = EmotionModel(model.classes_[::-1], model.alone, model.against_baseline)
    assert make_model().fingerprint == model.fingerprint
    assert len({each.fingerprint for each in (model, make_model(seed=1), renamed)}) == 3


def test_the_file_holds_plain_arrays_and_is_written_the_same_each_time(saved, tmp_path):
    again = tmp_path / "new" / "folder" / "emotions.npz"
    save_emotion_model(again, make_model())
    with np.load(saved, allow_pickle=False) as one, np.load(again, allow_pickle=False) as other:
        assert one.files == other.files
        for name in one.files:
            assert one[name].dtype.kind in "fU"
            np.testing.assert_array_equal(one[name], other[name])


def write_npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def write_npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def flip_the_middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def rewrite(content: bytes, *, without: str = "", **changes) -> bytes:
    with np.load(io.BytesIO(content)) as file:
        arrays = {name: value for name, value in file.items() if name != without}
    return write_npz(**{**arrays, **changes})


def rewrite_card(content: bytes, **changes) -> bytes:
    with np.load(io.BytesIO(content)) as file:
        card = json.loads(str(file["card"]))
    return rewrite(content, card=np.array(json.dumps({**card, **changes})))


DAMAGE = {
    "missing": lambda content: None,
    "empty": lambda content: b"",
    "text": lambda content: b"path,emotion\n",
    "the beginning": lambda content: content[:10],
    "cut off in the middle": lambda content: content[: len(content) // 2],
    "cut off at the end": lambda content: content[:-1],
    "one byte changed": flip_the_middle,
    "one array": lambda content: write_npy(np.zeros(3)),
    "other arrays": lambda content: write_npz(weights=np.zeros(3)),
    "only a card": lambda content: write_npz(card=np.load(io.BytesIO(content))["card"]),
    "a pickled card": lambda content: write_npz(card=np.array({"format": 1}, dtype=object)),
    "pickled weights": lambda content: rewrite(content, **{"alone.bias": np.array([print, 1])}),
    "no classes": lambda content: rewrite(content, without="classes"),
    "no weights": lambda content: rewrite(content, without="against_baseline.weights"),
    "no JSON": lambda content: rewrite(content, card=np.array("format 1")),
    "another JSON": lambda content: rewrite(content, card=np.array("[]")),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_file_is_refused(saved, tmp_path, damage):
    path = tmp_path / "emotions.npz"
    content = DAMAGE[damage](saved.read_bytes())
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"emotions\.npz .+: fit it again with notebook"):
        load_emotion_model(path)


@pytest.mark.parametrize(
    "change", [{"format": 0}, {"format": 2}, {"format": None}, {"features": 180}]
)
def test_a_file_of_another_version_is_refused(saved, tmp_path, change):
    path = tmp_path / "emotions.npz"
    path.write_bytes(rewrite_card(saved.read_bytes(), **change))
    with pytest.raises(ModelError, match="was made by another version: fit it again with notebook"):
        load_emotion_model(path)


def test_a_file_that_lacks_its_network_is_refused(networked, saved, tmp_path):
    assert networked.networks
    path = tmp_path / "emotions.npz"
    path.write_bytes(rewrite_card(saved.read_bytes(), networks=1))
    with pytest.raises(ModelError, match="is no emotion model: fit it again with notebook"):
        load_emotion_model(path)


@pytest.mark.usefixtures("no_torch")
def test_a_network_without_pytorch_says_what_to_install(saved, tmp_path):
    path = tmp_path / "emotions.npz"
    path.write_bytes(rewrite_card(saved.read_bytes(), networks=1))
    with pytest.raises(ImportError, match=r"needs PyTorch.+ -r requirements-network\.txt"):
        load_emotion_model(path)
