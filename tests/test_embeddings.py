import numpy as np
import pytest
import soundfile

REASON = "embeddings are not installed: make zoo"
torch = pytest.importorskip("torch", reason=REASON)
transformers = pytest.importorskip("transformers", reason=REASON)

from helpers.errors import CallEmotionError  # noqa: E402
from helpers.features import PHONE, call_features  # noqa: E402
from helpers.zoo.embeddings import (  # noqa: E402
    EMBEDDING_RATE,
    embed,
    embedding_feature_set,
    load_network,
)
from helpers.zoo.feature_sets import find_feature_set, of_calls  # noqa: E402

KINDS = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
}
WIDTH, LAYERS = 16, 2


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    """Make a tiny network with drawn weights, saved as the hub's files are."""
    torch.manual_seed(0)
    configuration, kind = KINDS[request.param]
    path = tmp_path_factory.mktemp("networks") / request.param
    config = configuration(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(8, 8, 8),
        conv_stride=(5, 8, 16),
        conv_kernel=(10, 8, 16),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    kind(config).save_pretrained(path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(path)
    return str(path)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def make_voice(seconds=1.0, rate=EMBEDDING_RATE):
    time = np.arange(round(seconds * rate)) / rate
    return (0.1 * np.sin(2 * np.pi * (150 + 40 * time) * time)).astype(np.float32)


def test_the_mean_over_layers_and_time_is_what_the_network_gives(folder):
    network = load_network(folder)
    signal = make_voice()
    inputs = network.extractor(signal, sampling_rate=EMBEDDING_RATE, return_tensors="pt")
    with torch.inference_mode():
        states = network.model(inputs.input_values, output_hidden_states=True).hidden_states
    layers = np.stack([state[0].numpy().mean(axis=0) for state in states])
    assert layers.shape == (LAYERS + 1, WIDTH)
    embedding = embed(signal, EMBEDDING_RATE, source=folder)
    np.testing.assert_allclose(embedding, layers.mean(axis=0), atol=1e-5)
    for number in range(LAYERS + 1):
        one = embed(signal, EMBEDDING_RATE, source=folder, layer=number)
        np.testing.assert_allclose(one, layers[number], atol=1e-5)


def test_a_call_is_described_segment_by_segment(folder, tmp_path):
    path = tmp_path / "call.wav"
    soundfile.write(path, np.tile(make_voice(1.0, 8000), 50), 8000, subtype="ULAW")
    feature_set = of_calls(embedding_feature_set(folder))
    matrix = call_features(path, feature_set=feature_set)
    assert matrix.shape == (2, WIDTH) and np.isfinite(matrix).all()


@pytest.mark.parametrize("samples", [1, 40, 1599])
def test_a_sound_shorter_than_the_first_convolutions_is_filled_up(folder, samples):
    assert np.isfinite(embed(make_voice()[:samples], EMBEDDING_RATE, source=folder)).all()


@pytest.mark.parametrize("layer", [None, 0, LAYERS])
def test_a_set_is_found_again_by_its_name(folder, layer):
    feature_set = embedding_feature_set(folder, layer=layer)
    again = find_feature_set(feature_set.name)
    assert (again.name, again.names) == (feature_set.name, feature_set.names)
    assert "/" not in feature_set.name and len(feature_set.names) == WIDTH


def test_a_layer_that_is_not_there_is_refused(folder):
    with pytest.raises(CallEmotionError, match=f"layers 0 to {LAYERS}, not 7"):
        embedding_feature_set(folder, layer=7)


@pytest.mark.parametrize("source", ["no/such-network", "/no/such/folder"])
def test_a_network_that_is_not_there_is_refused_in_words(source):
    with pytest.raises(CallEmotionError, match=r"no network that can be loaded .*facebook/wav"):
        embedding_feature_set(source)


def test_the_names_of_calls_are_not_taken_for_networks():
    with pytest.raises(CallEmotionError):
        find_feature_set(PHONE.name)
