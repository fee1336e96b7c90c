from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import make_voice, write_voices

from helpers import evaluation
from helpers.augmentation import AUGMENTATIONS, Augmentation
from helpers.channel import random_telephone, simulate_telephone
from helpers.corpora import load_corpus
from helpers.descriptors import describe_frames
from helpers.effects import add_noise
from helpers.emotion import LinearModel
from helpers.errors import CallEmotionError
from helpers.evaluation import cross_validate, unweighted_average_recall
from helpers.functionals import summarise
from helpers.hearing import read_recording
from helpers.zoo import augmented_training
from helpers.zoo.augmented_training import (
    ALL,
    LINES,
    NOISY,
    NONE,
    UNCHANGED,
    compare_augmentations,
    hear_augmented,
)

NAMES = ["noise", "gain"]
ROWS = [NONE, UNCHANGED, *NAMES, LINES, ALL]


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    """Let intervals come from few draws: what they are is tested with the evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "BOOTSTRAP_ROUNDS", 25)
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    return load_corpus(write_voices(tmp_path_factory.mktemp("data") / "x", speakers=3, takes=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def compared(table, folder) -> pd.DataFrame:
    return compare_augmentations(table, folder=folder, names=NAMES, jobs=1)


def read_kept(folder, name) -> np.ndarray:
    (path,) = folder.glob(f"{name}-0-*.npy")
    return np.load(path)


def names_of(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_there_is_a_row_for_each_augmentation_and_for_what_it_is_compared_with(compared):
    assert compared["augmentation"].tolist() == ROWS
    assert compared["what"].str.len().min() > 10
    assert compared.notna().all(axis=None)
    for prefix in ("", "noisy_"):
        low, high = compared[f"{prefix}difference_low"], compared[f"{prefix}difference_high"]
        assert (compared[f"{prefix}low"] <= compared[f"{prefix}uar"]).all()
        assert (compared[f"{prefix}uar"] <= compared[f"{prefix}high"]).all()
        assert (low <= high).all()
        none = compared.iloc[0]
        assert (none[[f"{prefix}difference{end}" for end in ("", "_low", "_high")]] == 0).all()
        differences = compared[f"{prefix}uar"] - none[f"{prefix}uar"]
        np.testing.assert_allclose(compared[f"{prefix}difference"], differences, atol=0.0011)
    np.testing.assert_allclose(
        compared["gap"], compared["random_uar"] - compared["uar"], atol=0.0011
    )


def test_without_augmentation_the_score_is_that_of_the_light_model(table, compared):
    heard = [simulate_telephone(read_recording(path), 8000) for path in table["path"]]
    features = np.stack([summarise(describe_frames(signal, 8000)) for signal in heard])
    classes, codes = np.unique(table["emotion"].to_numpy(str), return_inverse=True)

    def learn(train):
        model = LinearModel.fit(features[train], codes[train])
        return lambda test: classes[model.log_proba(features[test]).argmax(axis=1)]

    predicted = cross_validate(learn, table["emotion"], groups=table["speaker"], split="customer")
    expected = unweighted_average_recall(table["emotion"], predicted)
    assert compared["uar"][0] == pytest.approx(expected, abs=0.0006)


def test_no_copy_of_a_judged_recording_or_speaker_is_ever_trained_on(table, tmp_path, monkeypatch):
    splits, fits = [], []

    class Spy(LinearModel):
        def log_proba(self, features):
            fits[-1].judged.append(features)
            return super().log_proba(features)

        @classmethod
        def fit(cls, features, labels):
            fits.append(SimpleNamespace(split=splits[-1], x=features, y=labels, judged=[]))
            return super().fit(features, labels)

    def note_split(*arguments, **options):
        splits.append(options["split"])
        return cross_validate(*arguments, **options)

    monkeypatch.setattr(augmented_training, "LinearModel", Spy)
    monkeypatch.setattr(augmented_training, "cross_validate", note_split)
    compare_augmentations(table, folder=tmp_path, names=["noise"], copies=2, jobs=1)
    owners = {
        row.tobytes(): (number, path.name.startswith("noisy"))
        for path in tmp_path.glob("*.npy")
        for number, row in enumerate(np.load(path))
    }
    speakers, codes = table["speaker"], np.unique(table["emotion"], return_inverse=True)[1]
    copies, shared = set(), {"customer": [], "segment": []}
    for fit in fits:
        trained, noisy = zip(*(owners[row.tobytes()] for row in fit.x), strict=True)
        judged = [owners[row.tobytes()][0] for row in fit.judged[0]]
        assert not any(noisy)
        assert not set(trained) & set(judged)
        assert sorted({*trained, *judged}) == list(range(len(table)))
        assert [owners[row.tobytes()] for row in fit.judged[1]] == [(row, True) for row in judged]
        np.testing.assert_array_equal(fit.y, codes[list(trained)])
        (times,) = set(Counter(trained).values())
        copies.add(times)
        both = set(speakers[list(trained)]) & set(speakers[judged])
        shared[fit.split].append(bool(both))
    assert copies == {1, 3}
    assert not any(shared["customer"])
    assert any(shared["segment"])


def test_a_killed_run_goes_on_and_ends_as_a_run_in_one_go(table, tmp_path, compared, monkeypatch):
    class KilledError(Exception):
        pass

    def fail(*arguments, **strengths):
        raise KilledError

    broken = Augmentation("fails", fail, lambda draw: {})
    with monkeypatch.context() as patch:
        patch.setitem(AUGMENTATIONS, "gain", broken)
        with pytest.raises(KilledError):
            compare_augmentations(table, folder=tmp_path, names=NAMES, jobs=1)
    with monkeypatch.context() as patch:
        patch.setattr(augmented_training, "_tabulate", fail)
        patch.setattr(augmented_training._Corpus, "judge", _judge_some(3))
        with pytest.raises(KeyboardInterrupt):
            compare_augmentations(table, folder=tmp_path, names=NAMES, jobs=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(list(tmp_path.glob("answers-*.json"))) == 3
    resumed = compare_augmentations(table, folder=tmp_path, names=NAMES, jobs=1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), compared.drop(columns="seconds"))


def _judge_some(most):
    judge, judged = augmented_training._Corpus.judge, []

    def judge_or_stop(corpus, parts):
        if len(judged) == most:
            raise KeyboardInterrupt
        judged.append(parts)
        return judge(corpus, parts)

    return judge_or_stop


def test_what_is_finished_is_not_done_again(table, folder, compared, monkeypatch):
    monkeypatch.setattr(augmented_training, "_hear", None)
    monkeypatch.setattr(augmented_training, "_learn", None)
    again = compare_augmentations(table, folder=folder, names=NAMES, jobs=1)
    pd.testing.assert_frame_equal(again, compared)


def test_other_code_other_sounds_and_other_seeds_are_heard_anew(table, tmp_path, monkeypatch):
    hear = {"folder": tmp_path, "seed": 0, "jobs": 1}
    heard = []
    monkeypatch.setattr(
        augmented_training, "_hear", lambda path, name, seed: heard.append(name) or _noise()
    )
    augmented_training._Corpus(table, **hear)
    assert Counter(heard) == {NONE: len(table), NOISY: len(table)}
    augmented_training._Corpus(table, **hear)
    assert len(heard) == 2 * len(table)
    augmented_training._Corpus(table, **{**hear, "seed": 1})
    augmented_training._Corpus(table.iloc[::-1], **hear)
    with monkeypatch.context() as patch:
        patch.setattr(augmented_training, "VERSION", -1)
        augmented_training._Corpus(table, **hear)
    assert len(heard) == 8 * len(table)
    assert len(names_of(tmp_path)) == 8


def _noise(generator=np.random.default_rng(0)) -> np.ndarray:  # noqa: B008
    return generator.standard_normal(8)


def test_an_unchanged_copy_is_the_recording_itself(folder, compared):
    np.testing.assert_array_equal(read_kept(folder, "unchanged_copy"), read_kept(folder, "none"))
    for name in ("noise", "gain", "noisy", "drawn_lines"):
        assert (read_kept(folder, name) != read_kept(folder, "none")).any(axis=1).all()


@pytest.mark.parametrize("name", [NONE, UNCHANGED, LINES, "mp3", "line filter", "noise"])
def test_what_is_done_comes_before_the_line_after_it_or_instead_of_its_band(name):
    voice, seed = make_voice(1.0, sampling_rate=16_000), (0, 1, 2)
    plain = simulate_telephone(voice, 16_000)
    expected = {
        NONE: plain,
        UNCHANGED: plain,
        LINES: random_telephone(voice, 16_000, seed=seed),
        "mp3": AUGMENTATIONS["mp3"].apply(plain, 8000, seed=seed),
        "line filter": simulate_telephone(
            AUGMENTATIONS["line filter"].apply(voice, 16_000, seed=seed), 16_000, band=False
        ),
        "noise": simulate_telephone(AUGMENTATIONS["noise"].apply(voice, 16_000, seed=seed), 16_000),
    }[name]
    np.testing.assert_array_equal(hear_augmented(voice, 16_000, name=name, seed=seed), expected)


def test_the_noisy_test_is_noisier_than_the_line_and_not_the_noise_that_is_trained(monkeypatch):
    asked = []

    def note(signal, sampling_rate, *, snr_db, slope, seed):
        asked.append((snr_db, slope))
        return add_noise(signal, sampling_rate, snr_db=snr_db, slope=slope, seed=seed)

    monkeypatch.setattr(augmented_training, "add_noise", note)
    voice = make_voice(1.0, sampling_rate=16_000)
    for row in range(20):
        hear_augmented(voice, 16_000, name=NOISY, seed=(0, row))
    levels, slopes = np.array(asked).T
    assert 10 <= levels.min() < 12 < 18 < levels.max() <= 20
    assert set(slopes) == {1.0}
    assert "slope" not in AUGMENTATIONS["noise"].draw(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"names": ["echo"]}, ValueError, r"called \['echo'\]; expected \['noise'"),
        ({"copies": 0}, ValueError, "copies is 0, expected 1 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(table, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        compare_augmentations(table, folder=tmp_path, **options)


def test_a_table_without_speakers_is_refused(table, tmp_path):
    with pytest.raises(CallEmotionError, match=r"lacks \['speaker'\]"):
        compare_augmentations(table.drop(columns="speaker"), folder=tmp_path)
