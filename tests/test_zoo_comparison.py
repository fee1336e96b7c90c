from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score

from helpers.corpora import load_corpus
from helpers.dataset import VERDICT_KINDS, load_dataset
from helpers.errors import AudioError, CallEmotionError
from helpers.evaluation import evaluate
from helpers.workspace import SAMPLE_DATA
from helpers.zoo import benchmark, comparison, fingerprint
from helpers.zoo.calls import compare_on_calls
from helpers.zoo.comparison import (
    APART,
    AT_RANDOM,
    CHOSEN,
    find_best,
    list_cells,
    score_cells,
    tabulate,
)
from helpers.zoo.described_corpus import (
    LINES,
    TELEPHONE,
    WIDE_BAND,
    DescribedCorpus,
    describe_recording,
)
from helpers.zoo.feature_sets import CLASSIC_UTTERANCE, FEATURE_SETS, OVER_TIME, SIMPLE
from helpers.zoo.fingerprint import fingerprint_code
from helpers.zoo.models import ScaledClassifier, list_models
from helpers.zoo.plots import plot_comparison, plot_costs
from helpers.zoo.tasks import TASKS, find_task

QUICK = ["logistic regression", "k-nearest neighbours"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    table = load_corpus(SAMPLE_DATA / "voices")
    return DescribedCorpus(table, folder=tmp_path_factory.mktemp("zoo"), jobs=1)


@pytest.fixture(scope="module")
def scored(corpus):
    cells = list_cells(QUICK, [SIMPLE], lines=[TELEPHONE])
    return score_cells(corpus, cells, folder=corpus.folder, jobs=1)


def test_the_table_has_every_model_on_every_set_it_takes():
    cells = list_cells()
    found = {(cell.model, cell.feature_set.name) for cell in cells}
    vectors = {each.name for each in FEATURE_SETS} - {OVER_TIME.name}
    models = {*list_models(takes="vectors"), CHOSEN}
    expected = {(model, name) for model in models for name in vectors}
    expected |= {(model, OVER_TIME.name) for model in list_models(takes="frames")}
    assert found == expected
    assert {(cell.line, cell.split) for cell in cells} == {
        (line, split) for line in (WIDE_BAND, TELEPHONE) for split in (APART, AT_RANDOM)
    }


def test_a_model_without_features_that_it_takes_is_named(capsys):
    assert list_cells(["logistic regression"], [OVER_TIME]) == []
    assert "left out: logistic regression" in capsys.readouterr().out
    assert tabulate([]).empty


def test_what_other_code_has_made_is_not_taken(tmp_path, monkeypatch):
    module, names = tmp_path / "helper.py", set()
    for content in ("one", "two"):
        module.write_text(content)
        monkeypatch.setattr(fingerprint, "find_spec", lambda _: SimpleNamespace(origin=module))
        fingerprint_code.cache_clear()
        names.add(fingerprint_code(("helper",)))
    fingerprint_code.cache_clear()
    assert len(names) == 2


def test_an_unknown_model_is_refused_before_anything_is_scored():
    with pytest.raises(CallEmotionError, match="no model 'oracle'"):
        list_cells(["oracle"])


class TestScores:
    def test_the_figures_follow_from_the_answers(self, scored):
        table = tabulate(scored)
        for each in scored:
            rows = each.evaluation.rows
            row = table[table["model"] == each.cell.model].iloc[0]
            uar = recall_score(rows["true"], rows["predicted"], average="macro")
            column = "random_uar" if each.cell.split == AT_RANDOM else "uar"
            assert row[column] == pytest.approx(uar, abs=6e-4)
            upset = recall_score(rows["is_upset"], rows["upset"], average="macro")
            assert each.upset_uar == pytest.approx(upset)
        assert table["gap"].tolist() == pytest.approx(
            (table["random_uar"] - table["uar"]).tolist(), abs=2e-3
        )
        assert (table["low"] <= table["uar"]).all() and (table["uar"] <= table["high"]).all()
        assert (table[["train_s", "latency_ms", "size_mb"]] >= 0).all(axis=None)

    def test_who_is_upset_is_read_from_the_emotions(self, scored):
        rows = scored[0].evaluation.rows
        assert set(rows.loc[rows["is_upset"], "emotion"]) == {"angry", "fearful", "sad"}

    def test_no_speaker_trains_the_model_that_judges_them(self, corpus, tmp_path, monkeypatch):
        met = []

        class Spy(comparison.ScaledClassifier):
            def fit(self, features, labels, groups=None):
                met.append({tuple(row) for row in features})
                return super().fit(features, labels, groups)

            def predict_proba(self, features):
                judged.extend((tuple(row), len(met) - 1) for row in features)
                return super().predict_proba(features)

        judged = []
        monkeypatch.setattr(comparison, "ScaledClassifier", Spy)
        cells = list_cells(QUICK[:1], [SIMPLE], lines=[TELEPHONE], splits=[APART])
        score_cells(corpus, cells, folder=tmp_path, jobs=1)
        features = corpus.describe(SIMPLE, TELEPHONE)
        speaker_of = {tuple(row): name for row, name in zip(features, corpus.groups, strict=True)}
        assert len(met) == 5 and {row for row, _ in judged} == set(speaker_of)
        for row, fold in judged:
            assert speaker_of[row] not in {speaker_of[other] for other in met[fold]}

    def test_a_second_run_reads_what_the_first_has_scored(self, corpus, scored, monkeypatch):
        monkeypatch.setattr(comparison, "_answer", None)
        again = score_cells(corpus, [each.cell for each in scored], folder=corpus.folder, jobs=1)
        pd.testing.assert_frame_equal(tabulate(again), tabulate(scored))

    def test_other_labels_are_scored_anew(self, corpus, scored, tmp_path):
        table = corpus.table.assign(emotion=np.random.default_rng(0).permutation(corpus.labels))
        other = DescribedCorpus(table, folder=corpus.folder, jobs=1)
        cell = scored[0].cell
        again = score_cells(other, [cell], folder=corpus.folder, jobs=1)[0]
        assert again.evaluation.uar < scored[0].evaluation.uar

    def test_the_choice_inside_the_fold_is_scored_like_any_model(self, corpus, tmp_path):
        cells = list_cells([CHOSEN], [SIMPLE], lines=[TELEPHONE], splits=[APART])
        (chosen,) = score_cells(corpus, cells, folder=tmp_path, jobs=1)
        assert chosen.evaluation.uar > 0.4


class TestTasks:
    @pytest.mark.parametrize(
        ("name", "classes"),
        [("all emotions", 9), ("7 emotions", 7), ("6 emotions", 6), ("upset or not", 2)],
    )
    def test_each_has_its_classes(self, name, classes):
        assert len(find_task(name).classes) == classes

    def test_six_and_seven_leave_out_and_join(self):
        emotions = np.array(["calm", "bored", "surprised", "happy", "neutral"])
        rows, labels = find_task("7 emotions").take(emotions)
        assert (rows.tolist(), labels.tolist()) == (
            [0, 2, 3, 4],
            ["neutral", "surprised", "happy", "neutral"],
        )
        rows, labels = find_task("6 emotions").take(emotions)
        assert (rows.tolist(), labels.tolist()) == ([0, 3, 4], ["neutral", "happy", "neutral"])

    def test_upset_are_anger_disgust_fear_and_sadness(self):
        emotions = np.array(["angry", "calm", "disgust", "fearful", "happy", "sad", "surprised"])
        _, labels = find_task("upset or not").take(emotions)
        assert emotions[labels == "upset"].tolist() == ["angry", "disgust", "fearful", "sad"]

    @pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
    def test_every_task_is_scored_on_speakers_apart(self, corpus, task):
        cells = list_cells(QUICK[:1], [SIMPLE], lines=[TELEPHONE], splits=[APART], tasks=[task])
        (scored,) = score_cells(corpus, cells, folder=corpus.folder, jobs=1)
        rows, _ = task.take(corpus.labels)
        assert scored.evaluation.confusion.to_numpy().sum() == len(rows)
        assert scored.evaluation.report.index.isin(task.classes).all()

    def test_a_corpus_without_two_classes_is_refused(self):
        with pytest.raises(CallEmotionError, match=r"too little for the task '6 emotions'"):
            find_task("6 emotions").take(np.array(["bored", "happy"]))

    def test_an_unknown_task_is_refused(self):
        with pytest.raises(CallEmotionError, match="no task 'magic'; there are: all emotions"):
            find_task("magic")


class TestCorpus:
    def test_is_described_once(self, corpus, monkeypatch):
        first = corpus.describe(SIMPLE, TELEPHONE)
        monkeypatch.setattr("helpers.zoo.described_corpus.describe_recording", None)
        np.testing.assert_array_equal(corpus.describe(SIMPLE, TELEPHONE), first)

    def test_the_telephone_changes_what_is_heard(self, corpus):
        path = corpus.table["path"].iloc[0]
        wide, telephone = (
            describe_recording(path, LINES[line](CLASSIC_UTTERANCE))
            for line in (WIDE_BAND, TELEPHONE)
        )
        assert not np.allclose(wide, telephone)

    def test_a_recording_that_cannot_be_read_is_named(self, tmp_path):
        path = tmp_path / "broken.wav"
        path.write_bytes(b"RIFF")
        with pytest.raises(AudioError, match=r"broken\.wav: "):
            describe_recording(path, SIMPLE)


class TestCommand:
    def test_writes_tables_and_pictures(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(benchmark, "OURS", SIMPLE)
        monkeypatch.setattr(benchmark, "TASKS", TASKS[2:3])
        chosen = ["--models", QUICK[0], "--features", SIMPLE.name, "--jobs", "1"]
        arguments = [str(SAMPLE_DATA / "voices"), "--results", str(tmp_path), *chosen]
        assert benchmark.main(arguments) == 0
        names = {path.name for path in tmp_path.iterdir() if path.is_file()}
        assert names >= {"models_and_features.csv", "tasks.csv", "models_telephone.png"}
        assert "6 emotions, telephone: confusion" in capsys.readouterr().out

    def test_a_folder_without_a_corpus_is_refused(self, tmp_path, capsys):
        assert benchmark.main([str(tmp_path), "--results", str(tmp_path / "results")]) == 1
        assert "corpus" in capsys.readouterr().err.lower()

    def test_networks_are_only_asked_for_with_deep(self):
        assert "perceptron" not in benchmark.select_models("all", deep=False)
        assert benchmark.select_models("All") == list_models()

    def test_models_and_features_are_asked_for_by_name(self):
        assert benchmark.select_models(" SVM , extra trees,") == ["SVM", "extra trees"]
        chosen = benchmark.select_feature_sets("means-180, simple-28")
        assert chosen == [CLASSIC_UTTERANCE, SIMPLE]
        assert benchmark.select_feature_sets("all") == list(FEATURE_SETS)

    @pytest.mark.parametrize(
        ("select", "text"),
        [(benchmark.select_models, "oracle"), (benchmark.select_feature_sets, "magic")],
    )
    def test_what_is_not_there_is_refused(self, select, text):
        with pytest.raises(CallEmotionError, match=f"{text!r}.*there are: "):
            select(text)


class TestOnCalls:
    def test_customers_are_kept_apart_and_the_leak_is_beside(self, trained):
        table = compare_on_calls(trained, ["logistic regression"])
        assert set(table["model"]) == {"logistic regression", CHOSEN}
        row = table.set_index("model").loc["logistic regression"]
        ends = load_dataset(trained).only(VERDICT_KINDS)
        truth = evaluate(ends, lambda: ScaledClassifier("logistic regression"))
        assert row["uar"] == pytest.approx(truth.uar, abs=6e-4)

    def test_a_workspace_without_calls_gives_an_empty_table(self, workspace, capsys):
        assert compare_on_calls(workspace, ["SVM"]).empty
        assert "run notebook" in capsys.readouterr().out


def test_the_best_features_of_a_model_are_found():
    table = pd.DataFrame({"model": ["SVM", "SVM", "GRU"], "uar": [0.3, 0.5, 0.6], "x": [1, 2, 3]})
    table = pd.concat([table.assign(task="all emotions"), table.assign(task="upset", uar=0.9)])
    best = find_best(table, "SVM")
    assert (best["x"], best["features_tried"]) == (2, 2)
    assert find_best(table, "k") == {}


def test_the_pictures_show_every_model(scored):
    table = tabulate(scored)
    figure = plot_comparison(table, line=TELEPHONE, classes=5)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert set(shown) == set(QUICK)
    costs = plot_costs(table, line=TELEPHONE)
    assert {text.get_text() for text in costs.legends[0].get_texts()} == set(QUICK)
