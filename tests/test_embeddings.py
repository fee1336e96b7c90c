import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

REASON = "embeddings are not installed: make zoo"
torch = pytest.importorskip("torch", reason=REASON)
transformers = pytest.importorskip("transformers", reason=REASON)

from helpers.errors import CallEmotionError  # noqa: E402
from helpers.features import PHONE, CallSegments, call_features  # noqa: E402
from helpers.zoo.embeddings import (  # noqa: E402
    EMBEDDING_RATE,
    LONGEST_NAME,
    embed,
    embedding_feature_set,
    load_network,
)
from helpers.zoo.feature_sets import by_telephone, find_feature_set, of_calls  # noqa: E402

KINDS = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
}
WIDTH, LAYERS = 16, 2


def save_network(path, *, name="wav2vec2", seed=0):
    """Make a tiny network with drawn weights, saved as the hub's files are."""
    torch.manual_seed(seed)
    configuration, kind = KINDS[name]
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


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    return save_network(tmp_path_factory.mktemp("networks") / request.param, name=request.param)


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
@pytest.mark.parametrize(
    "change", [of_calls, by_telephone, lambda each: of_calls(by_telephone(each))]
)
def test_a_set_is_found_again_by_its_name(folder, layer, change):
    feature_set = change(embedding_feature_set(folder, layer=layer))
    again = find_feature_set(feature_set.name)
    assert (again.name, again.names) == (feature_set.name, feature_set.names)
    assert "/" not in feature_set.name and len(feature_set.names) == WIDTH


@pytest.mark.parametrize(
    "name", ["models--tiny--net", "a b", "a%2Fb", "netz-größe", "x-01234567-all", "x-of-calls"]
)
def test_a_folder_may_have_any_name(tmp_path, name):
    feature_set = embedding_feature_set(save_network(tmp_path / name))
    again = find_feature_set(feature_set.name)
    assert again.name == feature_set.name and feature_set.name.isascii()
    assert again.describe.args[0].keywords["source"] == str(tmp_path / name)


def test_two_folders_never_share_a_name(tmp_path):
    folders = [tmp_path / "a--b", tmp_path / "a" / "b", tmp_path / "a-b"]
    assert len({embedding_feature_set(save_network(each)).name for each in folders}) == 3


def test_a_relative_folder_is_found_from_another_working_directory(tmp_path, monkeypatch):
    whole = save_network(tmp_path / "networks" / "tiny")
    monkeypatch.chdir(tmp_path)
    name = embedding_feature_set("networks/tiny").name
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find_feature_set(name).name == name == embedding_feature_set(whole).name


def change_setting(folder, file, **values):
    path = Path(folder) / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


OTHERS = {
    "weights": lambda folder: save_network(folder, seed=1),
    "kind": lambda folder: save_network(folder, name="wavlm"),
    "config": lambda folder: change_setting(folder, "config.json", hidden_act="relu"),
    "scale": lambda folder: change_setting(folder, "preprocessor_config.json", do_normalize=False),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_network_in_the_same_folder_is_not_taken_for_the_old_one(tmp_path, other):
    old = embedding_feature_set(save_network(tmp_path))
    before = embed_by(old)
    other(tmp_path)
    with pytest.raises(CallEmotionError, match=r"another version now.*Put the earlier files back"):
        find_feature_set(old.name)
    new = embedding_feature_set(str(tmp_path))
    assert new.name != old.name and not np.allclose(embed_by(new), before)


def test_the_same_files_in_the_folder_again_are_the_same_network(tmp_path):
    name = embedding_feature_set(save_network(tmp_path)).name
    save_network(tmp_path, seed=1)
    save_network(tmp_path)
    (tmp_path / "README.md").write_text("read me")
    assert find_feature_set(name).name == name


def test_a_network_of_the_hub_is_known_by_its_commit(tmp_path, monkeypatch):
    kept = tmp_path / "models--some--net"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (kept / "refs").mkdir(parents=True)
    for seed, commit in enumerate(["0123abcd" * 5, "4567abcd" * 5]):
        save_network(kept / "snapshots" / commit, seed=seed)
        (kept / "refs" / "main").write_text(commit)
        feature_set = embedding_feature_set("some/net")
        assert feature_set.name == f"embedding-some%2Fnet-{commit[:8]}-all"
        assert find_feature_set(feature_set.name).name == feature_set.name
        local = embedding_feature_set(str(kept / "snapshots" / commit))
        np.testing.assert_array_equal(embed_by(feature_set), embed_by(local))
    with pytest.raises(CallEmotionError, match="another version now"):
        find_feature_set("embedding-some%2Fnet-0123abcd-all")


def embed_by(feature_set):
    signal = make_voice(0.3)
    return feature_set.describe(CallSegments((), [signal], EMBEDDING_RATE))[0]


def test_weights_that_can_run_code_are_not_opened(tmp_path):
    save_network(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")
    for load in (embedding_feature_set, load_network):
        with pytest.raises(CallEmotionError, match="convert it to safetensors"):
            load(str(tmp_path))


def test_a_path_too_long_for_the_name_of_a_file_is_refused(tmp_path):
    with pytest.raises(CallEmotionError, match=f"at most {LONGEST_NAME}.*shorter path"):
        embedding_feature_set(save_network(tmp_path / ("long" * 45)))


@pytest.mark.parametrize("name", ["embedding-some--net-all", "embedding-", "embedding-x-0123abcd"])
def test_a_name_that_does_not_say_the_version_is_refused(name):
    with pytest.raises(CallEmotionError, match=r"does not say which network.*train again"):
        find_feature_set(name)


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
