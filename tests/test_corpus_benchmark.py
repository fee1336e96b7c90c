from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
from conftest import make_voice, write_voices

from helpers.corpora import load_corpus
from helpers.corpus_benchmark import (
    AGAINST_BASELINE,
    ALONE,
    CLASSIC_PERCEPTRON,
    FULL,
    LIGHT,
    RANDOM,
    SPEAKERS,
    CorpusBenchmark,
    benchmark_corpus,
    name_upset,
)
from helpers.errors import CallEmotionError
from helpers.evaluation import divide
from helpers.fold_models import FoldModels
from helpers.hearing import CLEAN, LINES, MU_LAW

COLUMNS = [*("model", "judged", "line", "split"), *("uar", "low", "high", "macro_f1", "accuracy")]


class Listed(FoldModels):
    """Models that write down which rows they were fitted to."""

    def fit(self, rows, **options):
        self.__dict__.setdefault("fitted", []).append(rows)
        return super().fit(rows, **options)


def run(folder: Path, models_of=FoldModels, **options) -> tuple[FoldModels, CorpusBenchmark]:
    with joblib.parallel_config("sequential"):
        models = models_of(load_corpus(folder), folder=folder / "models", **options)
        return models, benchmark_corpus(models, jobs=1)


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[Listed, CorpusBenchmark]:
    return run(write_voices(tmp_path_factory.mktemp("data") / "x"), Listed)


def test_every_model_is_scored_on_every_line_and_split(ran):
    _, benchmark = ran
    light = {
        (LIGHT, baseline, line, split)
        for baseline in (ALONE, AGAINST_BASELINE)
        for line in LINES
        for split in (SPEAKERS, RANDOM)
    }
    earlier = {
        (CLASSIC_PERCEPTRON, ALONE, line, split)
        for line in (CLEAN, MU_LAW)
        for split in (SPEAKERS, RANDOM)
    }
    assert set(benchmark.emotions) == set(benchmark.upset) == light | earlier
    expected = {
        (model, split) for model in (LIGHT, CLASSIC_PERCEPTRON) for split in (SPEAKERS, RANDOM)
    }
    assert set(benchmark.seconds) == expected
    assert benchmark.fullest_model == LIGHT


@pytest.mark.parametrize("task", ["emotions", "upset"])
def test_every_evaluation_judges_each_recording_once(ran, task):
    models, benchmark = ran
    true = models.labels if task == "emotions" else name_upset(models.labels != "neutral")
    classes = ("neutral", "sad", "angry") if task == "emotions" else ("upset", "not upset")
    for key, evaluation in getattr(benchmark, task).items():
        assert evaluation.rows["path"].tolist() == models.table["path"].tolist()
        assert evaluation.rows["true"].tolist() == true.tolist()
        assert set(evaluation.rows["predicted"]) <= set(classes)
        split = {SPEAKERS: "customer", RANDOM: "segment"}[key[-1]]
        assert (evaluation.classes, evaluation.task, evaluation.split) == (classes, task, split)
        apart = evaluation.rows["group"].tolist() == models.table["speaker"].tolist()
        assert apart == (key[-1] == SPEAKERS)


def test_no_speaker_is_judged_by_a_model_that_has_heard_them(ran):
    models, _ = ran
    folds = divide(models.labels, groups=models.groups, split="customer", seed=models.seed)
    apart, random = models.fitted[: len(folds)], models.fitted[len(folds) :]
    assert len(apart) == len(random) == 5
    speakers = models.table["speaker"].to_numpy()
    for fitted, (train, test) in zip(apart, folds, strict=True):
        np.testing.assert_array_equal(fitted, train)
        assert not set(speakers[fitted]) & set(speakers[test])
    assert all(set(speakers[fitted]) == set(speakers) for fitted in random)


def test_the_predictions_are_those_of_the_models_of_the_folds(ran):
    models, benchmark = ran
    train, test = divide(models.labels, groups=models.groups, split="customer")[0]
    model = FoldModels.fit(models, train)
    for baseline, known in ((ALONE, None), (AGAINST_BASELINE, models.groups[test])):
        for line in LINES:
            probabilities = model.predict_heard(models.heard[line].take(test), speakers=known)
            emotions = model.classes_[probabilities.argmax(axis=1)].tolist()
            upset = name_upset(model.upset(probabilities) > 0.5).tolist()
            for scores, expected in ((benchmark.emotions, emotions), (benchmark.upset, upset)):
                rows = scores[LIGHT, baseline, line, SPEAKERS].rows
                assert rows["predicted"].iloc[test].tolist() == expected


def test_what_can_be_heard_is_found_and_warned_of_with_speakers_apart(ran):
    _, benchmark = ran
    for line in LINES:
        assert benchmark.emotions[LIGHT, ALONE, line, SPEAKERS].uar > 0.8
    assert f"{LIGHT}, {ALONE}, {MU_LAW}, {SPEAKERS}: UAR " in "".join(benchmark.warnings)
    assert RANDOM not in "".join(benchmark.warnings)


@pytest.mark.parametrize("task", ["emotions", "upset"])
def test_the_tables_hold_the_scores(ran, task):
    _, benchmark = ran
    table, scores = benchmark.table(task), getattr(benchmark, task)
    assert list(table) == COLUMNS
    assert list(table[COLUMNS[:4]].itertuples(index=False, name=None)) == list(scores)
    assert table["uar"].tolist() == [round(each.uar, 3) for each in scores.values()]
    assert table["accuracy"].tolist() == [round(each.accuracy, 3) for each in scores.values()]
    assert ((table["low"] <= table["uar"]) & (table["uar"] <= table["high"])).all()


def test_the_gaps_are_what_a_random_split_adds(ran):
    _, benchmark = ran
    gaps = benchmark.gaps
    models = [(CLASSIC_PERCEPTRON, ALONE), (LIGHT, ALONE), (LIGHT, AGAINST_BASELINE)]
    assert list(zip(gaps["model"], gaps["judged"], strict=True)) == models
    for row, (model, baseline) in zip(gaps.to_dict("records"), models, strict=True):
        for split in (SPEAKERS, RANDOM):
            uar = benchmark.emotions[model, baseline, MU_LAW, split].uar
            assert row[split] == pytest.approx(uar, abs=0.001)
        assert row["gap"] == pytest.approx(row[RANDOM] - row[SPEAKERS], abs=0.001)


def test_what_copies_alone_tell_is_found_by_the_random_split_alone(tmp_path):
    """Each voice speaks twice, in an emotion drawn by chance; a copy has another's name."""
    rows = ["path,emotion,speaker"]
    drawn = np.random.default_rng(0).permutation(np.resize(["sad", "angry"], 24))
    for number, emotion in enumerate(drawn):
        for name, gain in (("voice", 1), ("copy", 1.5)):
            rows.append(f"{name}_{number}.wav,{emotion},{name} {number // 2}")
            signal = gain * make_voice(1, seed=number)
            soundfile.write(tmp_path / f"{name}_{number}.wav", signal, 8000, subtype="FLOAT")
    (tmp_path / "corpus.csv").write_text("\n".join(rows))
    models, benchmark = run(tmp_path)
    assert len(set(models.groups)) == 12
    gaps = benchmark.gaps.set_index(["model", "judged"])
    assert gaps[RANDOM][LIGHT, ALONE] > 0.9 > 0.75 > gaps[SPEAKERS][LIGHT, ALONE]


def test_a_corpus_of_one_speaker_cannot_be_scored(tmp_path):
    with pytest.raises(CallEmotionError, match="too few"):
        run(write_voices(tmp_path / "x", speakers=1))


def test_networks_are_scored_with_speakers_apart(tmp_path):
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install -r requirements-network.txt"
    )
    torch.set_num_threads(1)
    models, benchmark = run(write_voices(tmp_path / "x", speakers=3), networks=1, epochs=1)
    added = [key for key in benchmark.emotions if key[0] == FULL]
    assert added == [
        (FULL, baseline, line, SPEAKERS) for baseline in (ALONE, AGAINST_BASELINE) for line in LINES
    ]
    assert benchmark.fullest_model == FULL
    assert sorted(models.list_trainings()["utterances"]) == [12, 12, 12]
