"""Who spoke when, and the verdict on the customer alone, against what is known to be true.

python -m helpers.conversation.benchmark CORPUS CALLS --results FOLDER
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from helpers.call_benchmark import (
    LIGHT_EMOTIONS,
    describe_calls,
    fit_without_voices,
    make_linear,
)
from helpers.call_emotions import emotion_feature_set
from helpers.classifiers import make_classifier, make_earlier
from helpers.conversation.customer import read_customer
from helpers.conversation.robustness import CHANGES, count_changes
from helpers.conversation.roles import AGENT, CUSTOMER
from helpers.conversation.speaker_embedding import CEPSTRA, Encoder, find_encoder
from helpers.conversation.turn_taking import Conversation, listen
from helpers.conversion import convert_recordings, read_conversions
from helpers.corpora import load_corpus
from helpers.dataset import VERDICT_KINDS, Dataset, build_dataset
from helpers.errors import CallEmotionError, TableError
from helpers.evaluation import evaluate
from helpers.features import CLASSIC, PHONE, FeatureSet
from helpers.files import write_csv
from helpers.fold_models import FoldModels
from helpers.progress import progress
from helpers.records import build_records
from helpers.segments import KINDS
from helpers.workspace import Workspace, open_workspace

TRUTH = "turns.csv"
"""Table beside the recordings that tells who spoke when: `file, start_s, end_s, speaker`."""

COLLAR_S = 0.25
"""Around each true edge this much is not scored."""

MIXED, ALONE, CEILING = "both people", "the customer alone", "the customer's true turns (ceiling)"
"""Whom the classifier hears."""

Heard = dict[str, tuple[Conversation, float]]


def read_truth(folder: Path, workspace: Workspace) -> dict[str, pd.DataFrame]:
    """Read who really spoke when: turns by path in the workspace.

    Raises:
        TableError: where there is no such table, or a recording is not in it
    """
    if not (folder / TRUTH).is_file():
        raise TableError(f"{folder / TRUTH} is not there: it tells who really spoke when")
    turns = pd.read_csv(folder / TRUTH)
    by_file = {Path(name).name: rows for name, rows in turns.groupby("file")}
    sources = read_conversions(workspace).set_index("path")["source"]
    if missing := [path for path, source in sources.items() if Path(source).name not in by_file]:
        raise TableError(f"{TRUTH} says nothing about {missing[0]}")
    columns = ["start_s", "end_s", "speaker"]
    return {
        path: by_file[Path(source).name][columns].reset_index(drop=True)
        for path, source in sources.items()
    }


def listen_to_all(workspace: Workspace, paths: Sequence[str], encoder: Encoder) -> Heard:
    """Listen to recordings; by path the conversation and the processor seconds it took."""
    work = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_listen)(workspace.folder / path, encoder) for path in paths
    )
    found = progress(work, f"Turns, {encoder.name}", total=len(paths))
    return dict(zip(paths, found, strict=True))


def score_turns(heard: Heard, truth: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    """Score conversations: a row of the table.

    The diarization error rate is that of Fiscus et al. (2006), roles mapped as fits best; `roles
    right` is the share of calls in which customer and agent are not swapped.

    Raises:
        ImportError: where pyannote.metrics is not installed
    """
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate
    from pyannote.metrics.identification import IdentificationErrorRate

    diarization, right, parts = DiarizationErrorRate(collar=COLLAR_S), [], []
    identification = IdentificationErrorRate(collar=COLLAR_S)
    for path, (conversation, _) in heard.items():
        reference, found = _annotate(truth[path]), _annotate(conversation.turns)
        all_of_it = Timeline([Segment(0, conversation.duration_s)])
        parts.append(diarization(reference, found, uem=all_of_it, detailed=True))
        swapped = found.rename_labels({CUSTOMER: AGENT, AGENT: CUSTOMER})
        errors = [identification(reference, each, uem=all_of_it) for each in (found, swapped)]
        right.append(errors[0] < errors[1])
    sums = pd.DataFrame(parts).sum()
    shares = {name: sums[name] / sums["total"] for name in _PARTS}
    sound_s = sum(conversation.duration_s for conversation, _ in heard.values())
    return {
        "calls": len(heard),
        "error rate": round(abs(diarization), 3),
        **{name: round(float(share), 3) for name, share in shares.items()},
        "roles right": round(float(np.mean(right)), 3),
        "said to be unsure": sum(bool(conversation.doubt) for conversation, _ in heard.values()),
        "times real time": round(sound_s / sum(seconds for _, seconds in heard.values()), 1),
    }


def compare_paths(
    phone: Dataset,
    workspace: Workspace,
    feature_sets: Mapping[str, FeatureSet],
    conversations: Mapping[str, Mapping[str, Conversation]],
) -> tuple[pd.DataFrame, Dataset]:
    """Score verdicts by whom the classifier hears, customers kept apart.

    Args:
        phone: the calls, both people described by the phone features
        workspace: of the calls
        feature_sets: how each call is described, by path
        conversations: by whom is heard, then by path

    Returns:
        the table, and the calls as the customer alone describes them
    """
    data = {MIXED: describe_calls(phone, workspace, feature_sets.__getitem__)}
    for name, known in conversations.items():
        data[name] = describe_calls(phone, workspace, _alone(feature_sets, known, workspace))
    classic = describe_calls(phone, workspace, lambda path: CLASSIC)
    rows = [_score("180 means, perceptron: the earlier notebook", MIXED, classic, make_earlier)]
    for name, calls in data.items():
        voice = Dataset(calls.features[:, : len(PHONE.names)], calls.segments)
        rows.append(_score("functionals, linear", name, voice.only(VERDICT_KINDS), make_linear))
    for name, calls in data.items():
        only = calls.only(VERDICT_KINDS)
        rows.append(_score("functionals and emotions, chosen", name, only, make_classifier))
    return pd.DataFrame(rows), data[ALONE]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from a command line."""
    parser = argparse.ArgumentParser(prog="python -m helpers.conversation.benchmark")
    parser.add_argument("corpus", type=Path, help="folder with one or more corpora")
    parser.add_argument("calls", type=Path, help=f"folder with zips of calls and {TRUTH}")
    parser.add_argument("--results", type=Path, default=Path("benchmark"), help="tables go here")
    options = parser.parse_args(arguments)
    try:
        run(options.corpus, options.calls, options.results)
    except (CallEmotionError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(corpus: Path, folder: Path, results: Path) -> None:
    """Make all tables, print them and write them as CSV files."""
    workspace = open_workspace(results.absolute() / "calls")
    convert_recordings(folder, workspace)
    records = build_records(workspace)
    truth = read_truth(folder, workspace)
    heard = _report_turns(workspace, records, truth, results)
    phone = build_dataset(workspace)
    models = FoldModels(load_corpus(corpus), folder=results / "models")
    fitted = fit_without_voices(phone, folder, workspace, models, -1)[LIGHT_EMOTIONS]
    feature_sets = {path: emotion_feature_set(model) for path, model in fitted.items()}
    known = {
        ALONE: {path: conversation for path, (conversation, _) in heard.items()},
        CEILING: {path: _as_true(each, truth[path]) for path, (each, _) in heard.items()},
    }
    table, calls = compare_paths(phone, workspace, feature_sets, known)
    _show(table, "verdicts by whom is heard", results)
    changes = count_changes(calls.only(VERDICT_KINDS), workspace, feature_sets, truth)
    _show(changes, f"verdicts that change with {', '.join(CHANGES)}", results)


def _report_turns(workspace, records, truth, results: Path) -> Heard:
    if missing := {1, 2} - set(records["channels"]):
        raise TableError(f"no call has {missing.pop()} channel(s): calls of both kinds are scored")
    mono, two = (records.loc[records["channels"] == count, "path"].tolist() for count in (1, 2))
    best = find_encoder()
    heard = listen_to_all(workspace, mono, best)
    rows = [{"recordings": f"one channel, {best.name}", **score_turns(heard, truth)}]
    if best is not CEPSTRA:
        lighter = listen_to_all(workspace, mono, CEPSTRA)
        rows.append({"recordings": f"one channel, {CEPSTRA.name}", **score_turns(lighter, truth)})
    by_channel = listen_to_all(workspace, two, best)
    rows.append({"recordings": "two channels", **score_turns(by_channel, truth)})
    _show(pd.DataFrame(rows), "who spoke when", results)
    return heard | by_channel


_PARTS = ("missed detection", "false alarm", "confusion")


def _listen(path: Path, encoder: Encoder) -> tuple[Conversation, float]:
    began = time.process_time()
    return listen(path, encoder=encoder), time.process_time() - began


def _annotate(turns: pd.DataFrame):
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, turn in enumerate(turns.itertuples()):
        annotation[Segment(turn.start_s, turn.end_s), number] = turn.speaker
    return annotation


def _as_true(conversation: Conversation, turns: pd.DataFrame) -> Conversation:
    return conversation._replace(turns=turns.assign(confidence=1.0), certainty=1.0, doubt="")


def _alone(feature_sets, conversations, workspace: Workspace):
    def find(path: str) -> FeatureSet:
        read = partial(read_customer, conversation=conversations[path])
        return feature_sets[path]._replace(read=read)

    return find


def _score(name: str, heard: str, calls: Dataset, make) -> dict[str, object]:
    kinds = KINDS if make is make_earlier else VERDICT_KINDS
    evaluation = evaluate(calls.only(kinds), make, split="customer")
    low, high = np.round(evaluation.uar_interval, 3)
    return {
        "what is heard": name,
        "of whom": heard,
        "accuracy": round(evaluation.accuracy, 3),
        "low": low,
        "high": high,
    }


def _show(table: pd.DataFrame, name: str, results: Path) -> None:
    write_csv(results / f"conversation_{'_'.join(name.split()[:3])}.csv", table)
    print(f"\n{name}\n{table.to_string(index=False)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
