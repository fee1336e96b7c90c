import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import PITCHES, write_call, write_voices

from helpers.call_benchmark import (
    LIGHT_EMOTIONS,
    NETWORK_EMOTIONS,
    _find_voices,
    benchmark_calls,
    fit_without_voices,
    tabulate_calls,
)
from helpers.conversion import convert_recordings
from helpers.corpora import load_corpus
from helpers.dataset import Dataset, build_dataset
from helpers.errors import CallEmotionError
from helpers.evaluation import divide
from helpers.fold_models import FoldModels
from helpers.records import build_records
from helpers.workspace import Workspace, open_workspace

AGENT = "6"
SIZES = {"customer": 4, "segment": 12}
STEPS = [
    "180 means of start and end, perceptron",
    "180 means of the end, perceptron",
    "functionals of the end, linear",
    "and their difference to the call, linear",
    f"{LIGHT_EMOTIONS} alone, linear",
    f"{LIGHT_EMOTIONS} and functionals, chosen (default)",
]


class Listed(FoldModels):
    """Models that write down which rows each was fitted to."""

    def fit(self, rows, **options):
        model = super().fit(rows, **options)
        self.__dict__.setdefault("rows_of", {})[model.fingerprint] = rows
        return model


def write_calls(folder: Path, *, customers: dict[str, str], agent: str = AGENT) -> Path:
    """Write a zip with a call of each status for each customer, and who speaks in a table."""
    rows = ["file,customer,agent"]
    folder.mkdir()
    with zipfile.ZipFile(folder / "calls.zip", "w") as archive:
        for number, (name, customer) in enumerate(customers.items()):
            for status, pitch in PITCHES.items():
                file = f"{status}/{name}.wav"
                seed = 100 + len(rows)
                path = write_call(folder.parent / file, 2, seed=seed, pitch=pitch + 4 * number)
                archive.write(path, f"calls/{file}")
                rows.append(f"{file},{customer},{agent}")
    (folder / "speakers.csv").write_text("\n".join(rows) + "\n")
    return folder


def take(folder: Path, workspace: Workspace) -> Dataset:
    convert_recordings(folder, workspace)
    build_records(workspace)
    return build_dataset(workspace)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Listed:
    folder = tmp_path_factory.mktemp("corpus")
    with joblib.parallel_config("sequential"):
        return Listed(load_corpus(write_voices(folder / "x", takes=1)), folder=folder / "models")


@pytest.fixture(scope="module")
def evaluations(models, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("calls")
    calls = write_calls(folder / "zips", customers={"a": "1", "b": "2", "c": "3", "d": "4"})
    with joblib.parallel_config("sequential"):
        return benchmark_calls(
            calls, models, workspace=open_workspace(folder / "workspace"), jobs=1
        )


@pytest.mark.parametrize(
    ("customer", "agent", "voices"),
    [
        ("1", "6", ["x-01", "x-06"]),
        ("01", "06", ["x-01", "x-06"]),
        ("2", "2", ["x-02", "x-02"]),
        ("3", "", ["x-03"]),
        ("", "4", ["x-04"]),
        ("12", "99", []),
        ("Ann", "Zoe", []),
        ("", "", []),
    ],
)
def test_voices_are_found_by_the_numbers_of_the_corpus(models, tmp_path, customer, agent, voices):
    workspace = open_workspace(tmp_path / "workspace")
    folder = write_calls(tmp_path / "zips", customers={"a": customer}, agent=agent)
    calls = take(folder, workspace)
    found = _find_voices(calls, folder, workspace, set(models.table["speaker"]))
    paths = [f"dataset/calls/calls/{status}/a.wav" for status in sorted(PITCHES)]
    assert found == dict.fromkeys(paths, voices)


def test_all_speakers_who_have_a_number_may_be_heard(models, tmp_path):
    workspace = open_workspace(tmp_path / "workspace")
    folder = write_calls(tmp_path / "zips", customers={"a": "1"})
    found = _find_voices(take(folder, workspace), folder, workspace, {"x-01", "y-01", "y-02"})
    assert list(map(sorted, found.values())) == [["x-01", "y-01"]] * len(PITCHES)


def test_a_corpus_too_small_to_leave_the_voices_out_is_refused(tmp_path):
    corpus = load_corpus(write_voices(tmp_path / "x", speakers=2))
    calls = write_calls(tmp_path / "zips", customers={"a": "1", "b": "2"}, agent="2")
    workspace = open_workspace(tmp_path / "workspace")
    with joblib.parallel_config("sequential"):
        models = FoldModels(corpus, folder=tmp_path / "models")
        with pytest.raises(CallEmotionError, match="take a corpus with more speakers"):
            benchmark_calls(calls, models, workspace=workspace, jobs=1)


def test_no_call_is_judged_by_a_model_that_has_heard_its_voices(models, workspace, tmp_path):
    customers = {"a": "1", "b": "02", "c": "5", "unknown": "Ann", "nobody": ""}
    folder = write_calls(tmp_path / "zips", customers=customers)
    calls = take(folder, workspace)
    fitted = fit_without_voices(calls, folder, workspace, models, jobs=1)
    assert list(fitted) == [LIGHT_EMOTIONS]
    folds = divide(models.labels, groups=models.groups, split="customer", seed=models.seed)
    speakers, by_path = models.table["speaker"].to_numpy(), fitted[LIGHT_EMOTIONS]
    assert set(by_path) == set(calls.segments["path"])
    for path, model in by_path.items():
        voices = {f"x-{int(number):02}" for number in (customers[Path(path).stem], AGENT)
                  if number.isdigit()}  # fmt: skip
        heard = set(speakers[models.rows_of[model.fingerprint]])
        assert not heard & voices
        kept = [test for _, test in folds if not set(speakers[test]) & voices]
        assert heard == set(speakers[np.concatenate(kept)])


def test_every_step_is_scored_for_both_splits(evaluations):
    assert set(evaluations) == {(step, split) for step in STEPS for split in SIZES}
    first = next(iter(evaluations.values())).rows
    assert len(first) == 12
    for (_, split), evaluation in evaluations.items():
        assert evaluation.split == split
        assert evaluation.rows[["path", "true"]].equals(first[["path", "true"]])
        assert evaluation.rows["group"].nunique() == SIZES[split]


def test_what_can_be_heard_in_calls_is_found(evaluations):
    assert evaluations[STEPS[-1], "customer"].accuracy > 0.8


def test_the_table_holds_the_scores_and_what_a_random_split_adds(evaluations):
    table = tabulate_calls(evaluations)
    assert table["step"].tolist() == STEPS
    for row in table.to_dict("records"):
        apart, random = (evaluations[row["step"], split] for split in ("customer", "segment"))
        low, high = apart.uar_interval
        expected = {"accuracy": apart.accuracy, "uar": apart.uar, "low": low, "high": high}
        expected |= {"macro_f1": apart.macro_f1, "random split (leaks)": random.accuracy}
        expected |= {"gap": random.accuracy - apart.accuracy}
        assert row.pop("step") in STEPS
        assert row == pytest.approx(expected, abs=6e-4)


def test_a_network_adds_two_steps(tmp_path, workspace):
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install -r requirements-network.txt"
    )
    torch.set_num_threads(1)
    corpus = load_corpus(write_voices(tmp_path / "x", speakers=3, takes=1))
    folder = write_calls(tmp_path / "zips", customers={"a": "1", "b": "2"}, agent="")
    with joblib.parallel_config("sequential"):
        models = FoldModels(corpus, folder=tmp_path / "models", networks=2, epochs=1)
        found = benchmark_calls(folder, models, workspace=workspace, jobs=1)
    added = [name for name, split in found if NETWORK_EMOTIONS in name and split == "customer"]
    assert added == [step.replace(LIGHT_EMOTIONS, NETWORK_EMOTIONS) for step in STEPS[-2:]]
    assert len(list((tmp_path / "models").glob("*.npz"))) == 2
