import zipfile

import numpy as np
import pytest
import soundfile
from conftest import make_voice

from helpers.duplicates import COPY_CORRELATION, find_copies, join_duplicates
from helpers.features import call_features
from helpers.hearing import hear_recordings


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> np.ndarray:
    """Features of six voices, then of copies of the first: as it is, louder, quieter."""
    folder = tmp_path_factory.mktemp("voices")
    signals = [make_voice(2, seed=seed) for seed in range(6)]
    signals += [gain * signals[0] for gain in (1, 1.9, 0.05)]
    paths = [folder / f"{number}.wav" for number in range(len(signals))]
    for path, signal in zip(paths, signals, strict=True):
        soundfile.write(path, signal, 8000, subtype="FLOAT")
    return hear_recordings(paths).features


@pytest.mark.parametrize(
    "rows, groups, joined",
    [
        ([0, 1, 2, 3, 4, 5], "ABCDEF", "ABCDEF"),
        ([0, 1, 2, 3, 4, 5], "AABBCC", "AABBCC"),
        ([0, 1, 2, 3, 6], "ABCDE", "ABCDA"),
        ([6, 1, 2, 3, 0], "EBCDA", "ABCDA"),
        ([0, 1, 2, 3, 7], "ABCDE", "ABCDA"),
        ([0, 1, 2, 3, 8], "ABCDE", "ABCDA"),
        ([0, 1, 2, 3, 6, 4], "ABCDEE", "ABCDAA"),
        ([0, 6, 1, 1, 2, 3], "ABBCCD", "AAAAAD"),
        ([0, 1, 2, 6, 1, 3], "ABCCDD", "ABAABB"),
    ],
    ids=["apart", "speakers", "copy", "order", "louder", "quieter", "whole", "chain", "two"],
)
def test_a_copy_under_another_name_joins_the_groups(voices, rows, groups, joined):
    assert "".join(join_duplicates(list(groups), voices[rows])) == joined


def test_a_copy_at_half_the_level_joins_the_groups_in_16_bits_too(tmp_path):
    signals = [make_voice(2, seed=seed) for seed in range(30)]
    paths = [tmp_path / f"{number}.wav" for number in range(31)]
    for path, signal in zip(paths, [*signals, 0.5 * signals[0]], strict=True):
        soundfile.write(path, signal, 8000, subtype="PCM_16")
    groups = join_duplicates(
        [f"{number:02}" for number in range(31)], hear_recordings(paths).features
    )
    assert groups.tolist() == [*(f"{number:02}" for number in range(30)), "00"]


# Copies of others


def draw_features(rows: int, *, columns: int = 400, seed: int = 0) -> np.ndarray:
    """Draw features of recordings, each column with a size of its own."""
    sizes = 10.0 ** np.linspace(-3, 3, columns)
    return (np.random.default_rng(seed).standard_normal((rows, columns)) + 5) * sizes


def blur(features: np.ndarray, noise: float, *, seed: int = 0) -> np.ndarray:
    """Change features by noise, in parts of the spread of their column."""
    generator = np.random.default_rng(seed + 1000)
    return features + noise * features.std(axis=0) * generator.standard_normal(features.shape)


@pytest.mark.parametrize("noise, found", [(0, True), (0.1, True), (0.5, True), (1.5, False)])
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_is_found_among_others_and_an_original_is_none(noise, found, seed):
    originals, others = draw_features(20, seed=seed), draw_features(10, seed=seed + 100)
    copies = blur(originals, noise, seed=seed)[3:7]
    features = np.concatenate([others[:5], copies, others[5:]])
    expected = [False] * 5 + [found] * 4 + [False] * 5
    assert find_copies(features, originals).tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_found_by_the_correlation_of_standardised_features(seed):
    originals = draw_features(12, seed=seed)
    features = np.concatenate([blur(originals, noise, seed=seed) for noise in (0.5, 0.9, 1.1)])
    both = np.concatenate([originals, features])
    correlations = np.corrcoef((both - both.mean(axis=0)) / both.std(axis=0))[12:, :12]
    expected = correlations.max(axis=1) > COPY_CORRELATION
    assert expected.any() and not expected.all()
    assert find_copies(features, originals).tolist() == expected.tolist()


@pytest.mark.parametrize("features, originals", [(0, 0), (0, 5), (5, 0)])
def test_nothing_has_no_copies(features, originals):
    found = find_copies(draw_features(features), draw_features(originals))
    assert found.dtype == bool
    assert found.tolist() == [False] * features


@pytest.mark.parametrize("originals", [2, 3, 30])
def test_one_copy_is_found_among_few_originals_too(originals):
    features = draw_features(originals).astype(np.float32)
    assert find_copies(features[:1], features).tolist() == [True]
    other = draw_features(1, seed=7).astype(np.float32)
    assert find_copies(other, features).tolist() == [False]


def test_columns_that_never_change_make_nothing_a_copy():
    originals, others = draw_features(20), draw_features(5, seed=1)
    constant = np.full((25, 5000), 1234.5, dtype=np.float32)
    wide = np.hstack([np.concatenate([originals, others]), constant]).astype(np.float32)
    assert not find_copies(wide[20:], wide[:20]).any()


def test_a_louder_or_quieter_voice_is_a_copy_and_another_voice_is_none(voices):
    assert find_copies(voices[6:], voices[:4]).all()
    assert not find_copies(voices[4:6], voices[:4]).any()


@pytest.mark.parametrize(
    "subtype, gain, least",
    [("PCM_16", 1, 1), ("ALAW", 1, 1), ("ULAW", 0.5, 1), ("MS_ADPCM", 1, 0.8)],
)
def test_real_calls_in_another_encoding_are_found(shared_calls, tmp_path, subtype, gain, least):
    paths = []
    for archive in sorted(shared_calls.glob("*.zip")):
        with zipfile.ZipFile(archive) as calls:
            names = sorted(name for name in calls.namelist() if name.endswith(".wav"))[:12]
            paths += [calls.extract(name, tmp_path) for name in names]
    features = np.array([call_features(path)[-1] for path in paths])
    copies = []
    for path in paths[::3]:
        signal, sampling_rate = soundfile.read(path)
        soundfile.write(tmp_path / "copy.wav", gain * signal, sampling_rate, subtype=subtype)
        copies.append(call_features(tmp_path / "copy.wav")[-1])
    golden, others = features[::3], features[1::3]
    found = find_copies(np.concatenate([copies, others]), golden)
    assert found[: len(copies)].mean() >= least
    assert not found[len(copies) :].any()
