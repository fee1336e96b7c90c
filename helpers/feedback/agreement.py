"""How far people agree with each other about how a customer left, where several answered."""

import math
from collections.abc import Iterator, Sequence
from math import comb
from typing import NamedTuple

import pandas as pd

from helpers.errors import TableError
from helpers.files import read_csv
from helpers.records import ARCHIVE, FORM, find_recordings
from helpers.statuses import STATUSES
from helpers.workspace import Workspace

FOLDER = "folder"
"""Reviewer of the status that an archived recording has: whoever sorted it into its folder."""

SUPERSEDED = "superseded"
"""Outcome in the form's ledger of an upload whose sender has sent the same recording again."""

LEDGER_COLUMNS = dict.fromkeys(
    ("file_id", "status", "outcome", "path", "fingerprint", "reviews"), str
)
"""Columns of `form_ledger.csv` that are read here."""


class Agreement(NamedTuple):
    """How far people agree with each other.

    Attributes:
        kappa: agreement beyond chance, 1 at most, 0 for guessing, below 0 where people agree less
            than by chance; a neighbouring status is a smaller disagreement than the opposite one.
            `nan` where nothing was answered twice, or every answer is the same
        calls: answered by two people or more
        answers: about these calls
        exact: share of pairs of answers about one call that are the same status; `nan` without any
    """

    kappa: float
    calls: int
    answers: int
    exact: float

    @property
    def sentence(self) -> str:
        """Say it in one sentence, to print beside a model's score."""
        if not self.calls:
            return "no call was answered by two people yet, so it is not known how far people agree"
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        often = "twice" if self.answers == 2 * self.calls else "twice or more"
        if math.isnan(self.kappa):
            return (
                f"every answer about {calls} answered {often} is the same status, so it is not "
                "known how far people agree beyond chance"
            )
        kappa = f"weighted kappa {round(self.kappa, 2) + 0.0:.2f}"  # no minus before zero
        return f"people agree with each other: {kappa} over {calls} answered {often}"


def measure_agreement(answers: pd.DataFrame) -> Agreement:
    """Measure how far people agree about the same calls.

    The kappa is Krippendorff's alpha over the statuses as equal steps, see `krippendorff_alpha`:
    people are interchangeable, and a call may have any number of answers.

    Args:
        answers: columns `call` (any id), `status` and, where it is known, `reviewer`; of the
            answers of one reviewer about one call the last counts; without a reviewer, or with an
            empty one, each is another person's

    Returns:
        the agreement, over the calls with two answers or more

    Raises:
        TableError: where a column is missing or a status is none of `STATUSES`
    """
    missing = {"call", "status"} - set(answers.columns)
    if missing:
        raise TableError(
            f"the answers lack the column {' and '.join(sorted(missing))}; they have "
            f"{', '.join(map(str, answers.columns)) or 'none'}"
        )
    wrong = sorted(set(map(str, answers["status"])) - set(STATUSES))
    if wrong:
        raise TableError(
            f"the answers hold {', '.join(map(repr, wrong[:10]))}, expected {', '.join(STATUSES)}"
        )
    answers = _one_a_person(answers)
    twice = answers[answers["call"].map(answers["call"].value_counts()) > 1]
    counts = pd.crosstab(twice["call"], twice["status"]).to_numpy()
    pairs = sum(comb(int(count), 2) for count in counts.sum(axis=1))
    same = sum(comb(int(count), 2) for count in counts.flat)
    kappa = krippendorff_alpha(twice["status"].map(STATUSES.index), twice["call"])
    return Agreement(kappa, len(counts), len(twice), same / pairs if pairs else math.nan)


def krippendorff_alpha(values: Sequence[float], units: Sequence[str]) -> float:
    """Compute Krippendorff's alpha with the interval metric: squared differences, as they are met.

    It is 1 less the variance within units over the variance of all values. For two values a unit it
    is Cohen's kappa with quadratic weights of the table in which each pair stands both ways round,
    but for the correction of small samples.

    Source: Krippendorff (2004), Content Analysis, 2nd edition, chapter 11; Hayes and Krippendorff
    (2007), Answering the call for a standard reliability measure for coding data.

    Args:
        values: one for each answer
        units: what each is about; units with one value say nothing and are left out

    Returns:
        at most 1; `nan` where no unit has two values, or all values are the same
    """
    table = pd.DataFrame(
        {
            "value": pd.Series(list(values), dtype=float),
            "unit": pd.Series(list(units), dtype=object),
        }
    )
    grouped = table.groupby("unit")["value"]
    table = table[grouped.transform("count") > 1]
    overall = table["value"].var()
    if not overall > 0:
        return math.nan
    grouped = table.groupby("unit")["value"]
    within = (grouped.var() * grouped.count()).sum() / len(table)
    return float(1 - within / overall)


def list_answers(workspace: Workspace) -> pd.DataFrame:
    """Collect what people answered about each call, from the form's ledger and the folders.

    A recording that was sent by two people, or is in the archive too, has two answers; so has an
    upload that two people answered about, although one status counts. Of one person's answers the
    last counts. The archive is one person: where it has a recording under two statuses, it says
    nothing, because copies in one folder cannot be told from two opinions. A recording in
    `audio_data` that the ledger does not know is one answer.

    Returns:
        columns `call, status, reviewer`: the content hash, or what the ledger knows of an upload
        that is not in place; one of `STATUSES`; `FOLDER`, or a key that tells people apart within
        one call and nowhere else, empty where nobody knows who it was

    Raises:
        TableError: where somebody saved the ledger in another format
    """
    recordings = find_recordings(workspace).recordings
    ledger = read_csv(workspace.form_ledger, LEDGER_COLUMNS)
    archive = recordings[recordings["source"] == ARCHIVE]
    rows = [
        (call, statuses.iloc[0], FOLDER)
        for call, statuses in archive.groupby("content_hash")["status"]
        if statuses.nunique() == 1
    ]
    unknown = (recordings["source"] == FORM) & ~recordings["path"].isin(ledger["path"])
    rows += [(each.content_hash, each.status, "") for each in recordings[unknown].itertuples()]
    ledger = ledger.assign(call=_calls_of_uploads(ledger, recordings))
    for upload in sorted(ledger.itertuples(), key=lambda row: row.outcome != SUPERSEDED):
        rows += [(upload.call, *review) for review in _reviews_of(upload)]
    answers = pd.DataFrame(rows, columns=["call", "status", "reviewer"])
    known = answers["status"].isin(STATUSES)
    return _one_a_person(answers[known]).sort_values(["call", "reviewer"], ignore_index=True)


def _reviews_of(upload) -> Iterator[tuple[str, str]]:
    for review in filter(None, upload.reviews.split("|")):
        key, _, status = review.rpartition(":")
        yield status, key
    if not upload.reviews and upload.outcome != SUPERSEDED:
        yield upload.status, ""


def _calls_of_uploads(ledger: pd.DataFrame, recordings: pd.DataFrame) -> list[str]:
    hashes = dict(zip(recordings["path"], recordings["content_hash"], strict=True))
    contents = [upload.fingerprint or upload.file_id for upload in ledger.itertuples()]
    uploads = list(zip(contents, ledger["path"], strict=True))
    placed = {content: hashes[path] for content, path in uploads if path in hashes}
    return [hashes.get(path) or placed.get(content, content) for content, path in uploads]


def _one_a_person(answers: pd.DataFrame) -> pd.DataFrame:
    if "reviewer" not in answers.columns:
        return answers
    unknown = answers["reviewer"].isna() | (answers["reviewer"] == "")
    return answers[unknown | ~answers.duplicated(["call", "reviewer"], keep="last")]
