"""What a run came to, in a few lines and as a page."""

import html
from pathlib import Path

import pandas as pd

from helpers.feedback.agreement import list_answers, measure_agreement
from helpers.files import write_bytes
from helpers.model_card import STYLE
from helpers.model_store import find_champion, read_card, read_history
from helpers.prediction import PROBABILITIES
from helpers.records import ARCHIVE, CLUSTER, by_people, count_by_status, read_records
from helpers.rejections import read_rejections
from helpers.retraining import list_reviews, read_predictions, score_predictions
from helpers.statuses import STATUSES
from helpers.training import read_evaluations
from helpers.workspace import Workspace

ALONG = "with only their cluster's name, which the verdict agrees with"
"""What calls are that are learned together with people's answers."""


def summarise(workspace: Workspace) -> pd.DataFrame:
    """Put what the notebooks found in one table of two columns, `what` and `result`."""
    records, rejected = read_records(workspace), read_rejections(workspace)
    lines = [
        ("calls used", _count_calls(records)),
        ("files rejected", f"{len(rejected)}, see rejected_files.csv"),
        (_name_score(records), _describe_score(read_evaluations(workspace))),
    ]
    if len(records) > len(by_people(records)):
        lines.insert(1, ("calls named by their cluster", _count_lent(records)))
    predictions = read_predictions(workspace)
    answered = by_people(predictions)
    if workspace.predictions.is_file():
        lines += [
            ("calls from the form", str(len(answered))),
            ("verdict differs from the answer", _describe_mismatches(answered)),
            ("for a person to listen to", _describe_reviews(list_reviews(predictions))),
            ("score on the form's calls", _describe_form_score(predictions)),
            ("people among themselves", measure_agreement(list_answers(workspace)).sentence),
            ("retrained", _describe_retraining(workspace)),
        ]
    along = int((predictions["retrained"] & (predictions["source"] == CLUSTER)).sum())
    if along:
        lines.append(("learned along", f"{along}, {ALONG}"))
    if find_champion(workspace):
        lines.append(("model that judges", _describe_champion(workspace)))
    return pd.DataFrame(lines, columns=["what", "result"])


def write_report(workspace: Workspace) -> Path:
    """Write `reports/index.html`: the summary, the tables behind it, the executed notebooks.

    Returns:
        path of the page
    """
    page = workspace.reports / "index.html"
    notebooks = sorted(workspace.reports.glob("[0-9]*.html"))
    links = "".join(_link(path) for path in notebooks)
    sections = [
        ("Summary", _table(summarise(workspace))),
        ("Calls", _table(count_by_status(read_records(workspace)).reset_index())),
        ("Scores", _table(read_evaluations(workspace))),
        ("Calls from the form", _table(_verdicts(by_people(read_predictions(workspace))))),
        ("For a person to listen to", _table(list_reviews(read_predictions(workspace)))),
        ("Versions of the model", _table(read_history(workspace))),
        ("Rejected files", _table(read_rejections(workspace))),
        ("Notebooks", f"<ul>{links}</ul>" if links else "<p>Run them with make to keep them.</p>"),
    ]
    body = "".join(f"<h2>{title}</h2>{content}" for title, content in sections)
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Call Emotion</title>'
        f"<style>{STYLE}</style></head><body><h1>Call Emotion</h1>{body}</body></html>\n"
    )
    write_bytes(page, content.encode())
    return page


def _count_calls(records: pd.DataFrame) -> str:
    counts = count_by_status(records)["calls"]
    return f"{counts.sum()} ({', '.join(f'{count} {status}' for status, count in counts.items())})"


def _count_lent(records: pd.DataFrame) -> str:
    return f"{len(records) - len(by_people(records))}, which nobody has listened to one by one"


def _name_score(records: pd.DataFrame) -> str:
    archived = records[records["source"] == ARCHIVE]
    known = int((archived["customer"] != "").sum())
    if known == len(archived):
        return "score on unseen customers"
    return f"score on unseen calls (customer known for {known} of {len(archived)})"


def _describe_score(evaluations: pd.DataFrame) -> str:
    if evaluations.empty:
        return "not trained yet"
    by_split = evaluations.set_index(["trained_on", "split"])
    score = by_split.loc[("end segments", "customer")]
    return (
        f"UAR {score.uar:.2f} (95 % interval {score.uar_low:.2f} to {score.uar_high:.2f}), "
        f"accuracy {score.accuracy:.2f}; guessing gives {1 / len(STATUSES):.2f}"
    )


def _describe_mismatches(predictions: pd.DataFrame) -> str:
    return f"{predictions['mismatch'].sum()} of {len(predictions)}"


def _describe_form_score(predictions: pd.DataFrame) -> str:
    evaluation = score_predictions(predictions)
    if evaluation is None:
        return "no call that the model had not learned from"
    calls = len(evaluation.rows)
    return f"accuracy {evaluation.accuracy:.2f}, UAR {evaluation.uar:.2f} on {calls} unseen calls"


def _describe_reviews(reviews: pd.DataFrame) -> str:
    if reviews.empty:
        return "none"
    counts = reviews["cause"].value_counts(sort=False)
    return (
        ", ".join(f"{count} {cause}" for cause, count in counts.items()) + ", see review_list.csv"
    )


def _describe_retraining(workspace: Workspace) -> str:
    history = read_history(workspace)
    if len(history) < 2:
        return "no: no mismatch was an error of the model"
    last = history.iloc[-1]
    return f"{last['version']} {last['event']} on {last['time'][:10]}: {last['reason']}"


def _describe_champion(workspace: Workspace) -> str:
    version = find_champion(workspace)
    golden = read_card(workspace, version).get("golden")
    if not golden:
        return f"{version}, without a golden set to judge it on"
    return (
        f"{version}; golden set of {golden['calls']} calls: UAR {golden['uar']:.2f} (95 % interval "
        f"{golden['uar_low']:.2f} to {golden['uar_high']:.2f})"
    )


def _verdicts(predictions: pd.DataFrame) -> pd.DataFrame:
    flags = ["mismatch", "needs_human", "retrained", "counted"]
    columns = ["path", "expected", "end_status", "cause", *PROBABILITIES, *flags]
    table = predictions[columns].round(2)
    table[flags] = table[flags].replace({True: "yes", False: ""})
    return table.sort_values(["mismatch", "path"], ascending=[False, True])


def _link(path: Path) -> str:
    title = html.escape(path.stem.replace("_", " "))
    return f'<li><a href="{html.escape(path.name)}">{title}</a></li>'


def _table(table: pd.DataFrame) -> str:
    if table.empty:
        return "<p>None.</p>"
    with pd.option_context("display.max_colwidth", None):
        return table.to_html(index=False, border=0)
