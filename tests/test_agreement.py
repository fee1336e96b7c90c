import csv
import hashlib
import math
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import write_call
from sklearn.metrics import cohen_kappa_score

from forms_ingest import ledger as form_ledger
from forms_ingest.ingest import ingest_responses
from forms_ingest.offline_form import OfflineForm
from helpers.errors import TableError
from helpers.feedback.agreement import (
    FOLDER,
    LEDGER_COLUMNS,
    SUPERSEDED,
    Agreement,
    krippendorff_alpha,
    list_answers,
    measure_agreement,
)
from helpers.records import decide, find_recordings
from helpers.statuses import STATUSES

TEXTBOOK = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def tabulate(*answers: tuple[str, ...]) -> pd.DataFrame:
    width = max(map(len, answers), default=2)
    return pd.DataFrame(answers, columns=["call", "status", "reviewer"][:width])


def draw_pairs(seed: int, *, calls: int = 40, agreeing: float = 0.5) -> tuple[list, list]:
    """Draw what two people answered, who agree in a share of the calls and guess in the others."""
    generator = np.random.default_rng(seed)
    first = generator.choice(STATUSES, calls, p=[0.5, 0.3, 0.2])
    guess = generator.choice(STATUSES, calls)
    return first.tolist(), np.where(generator.random(calls) < agreeing, first, guess).tolist()


def kappa_of_pairs(first: list, second: list) -> float:
    """Cohen's weighted kappa with each pair both ways round, corrected for a small sample."""
    kappa = cohen_kappa_score(first + second, second + first, weights="quadratic", labels=STATUSES)
    count = 2 * len(first)
    return 1 - (1 - kappa) * (count - 1) / count


def alpha_by_pairs(answers: dict[str, list[int]]) -> float:
    """Krippendorff's alpha as it is defined: disagreement of pairs, observed over expected."""
    units = [values for values in answers.values() if len(values) > 1]
    pooled = list(chain(*units))
    observed = sum(
        2 * (one - other) ** 2 / (len(values) - 1)
        for values in units
        for one, other in combinations(values, 2)
    ) / len(pooled)
    expected = sum(2 * (one - other) ** 2 for one, other in combinations(pooled, 2))
    return 1 - observed * len(pooled) * (len(pooled) - 1) / expected


# Measuring


def test_the_example_of_the_textbook_comes_out():
    rows = [line.split() for line in TEXTBOOK.strip().splitlines()]
    values = [(float(cell), unit) for row in rows for unit, cell in enumerate(row) if cell != "."]
    assert krippendorff_alpha(*zip(*values, strict=True)) == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("agreeing", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_for_two_answers_a_call_it_is_cohens_weighted_kappa(seed, agreeing):
    first, second = draw_pairs(seed, agreeing=agreeing)
    answers = tabulate(*[(str(n), s) for each in (first, second) for n, s in enumerate(each)])
    agreement = measure_agreement(answers.sample(frac=1, random_state=seed))
    assert agreement.kappa == pytest.approx(kappa_of_pairs(first, second))
    assert (agreement.calls, agreement.answers) == (40, 80)
    assert agreement.exact == pytest.approx(np.mean(np.equal(first, second)))


@pytest.mark.parametrize("seed", range(5))
def test_any_number_of_answers_a_call_is_measured(seed):
    generator = np.random.default_rng(seed)
    given = {
        f"call {number}": generator.integers(3, size=generator.integers(1, 6)).tolist()
        for number in range(30)
    }
    rows = [(call, STATUSES[value]) for call, values in given.items() for value in values]
    agreement = measure_agreement(tabulate(*rows))
    assert agreement.kappa == pytest.approx(alpha_by_pairs(given))
    several = [values for values in given.values() if len(values) > 1]
    assert agreement.calls == len(several)
    assert agreement.answers == sum(map(len, several))
    pairs = [one == other for values in several for one, other in combinations(values, 2)]
    assert agreement.exact == pytest.approx(np.mean(pairs))


def test_guessing_agrees_no_more_than_by_chance():
    kappas = []
    for seed in range(20):
        first, second = draw_pairs(seed, calls=200, agreeing=0.0)
        rows = [(str(n), s) for each in (first, second) for n, s in enumerate(each)]
        kappas.append(measure_agreement(tabulate(*rows)).kappa)
    assert abs(np.mean(kappas)) < 0.05


def test_a_neighbouring_status_is_a_smaller_disagreement_than_the_opposite_one():
    same = [(f"{n}", status) for n, status in enumerate(STATUSES * 4) for _ in range(2)]
    near = measure_agreement(tabulate(*same, ("x", "satisfied"), ("x", "average")))
    far = measure_agreement(tabulate(*same, ("x", "satisfied"), ("x", "unsatisfied")))
    assert near.exact == far.exact < 1
    assert far.kappa < near.kappa < 1 == measure_agreement(tabulate(*same)).kappa


@pytest.mark.parametrize(
    "answers, calls, count, kappa, exact",
    [
        ([], 0, 0, math.nan, math.nan),
        ([("a", "average"), ("b", "satisfied")], 0, 0, math.nan, math.nan),
        ([("a", "average"), ("a", "average")], 1, 2, math.nan, 1.0),
        ([("a", "average"), ("a", "satisfied")], 1, 2, 0.0, 0.0),
        ([("a", "average")] * 3 + [("b", "satisfied")] * 2, 2, 5, 1.0, 1.0),
        ([("a", "average", ""), ("a", "average", "")], 1, 2, math.nan, 1.0),
        ([("a", "average", None), ("a", "average", None)], 1, 2, math.nan, 1.0),
        ([("a", "average", "Ann"), ("a", "satisfied", "Ann")], 0, 0, math.nan, math.nan),
        ([("a", "satisfied", "Ann"), ("a", "average", "Ann"), ("a", "average", "Bob")], 1, 2,
         math.nan, 1.0),
        ([("a", "average", "Ann"), ("b", "satisfied", "Ann")], 0, 0, math.nan, math.nan),
    ],
)  # fmt: skip
def test_only_answers_of_several_people_about_one_call_count(answers, calls, count, kappa, exact):
    agreement = measure_agreement(tabulate(*answers))
    assert (agreement.calls, agreement.answers) == (calls, count)
    assert agreement.kappa == pytest.approx(kappa, nan_ok=True)
    assert agreement.exact == pytest.approx(exact, nan_ok=True)


@pytest.mark.parametrize(
    "agreement, sentence",
    [
        (Agreement(0.612, 14, 28, 0.7),
         "people agree with each other: weighted kappa 0.61 over 14 calls answered twice"),
        (Agreement(-0.001, 1, 3, 0.7),
         "people agree with each other: weighted kappa 0.00 over 1 call answered twice or more"),
        (Agreement(math.nan, 0, 0, math.nan),
         "no call was answered by two people yet, so it is not known how far people agree"),
        (Agreement(math.nan, 2, 4, 1.0),
         "every answer about 2 calls answered twice is the same status, so it is not known how far "
         "people agree beyond chance"),
    ],
)  # fmt: skip
def test_the_agreement_is_said_in_one_sentence(agreement, sentence):
    assert agreement.sentence == sentence


@pytest.mark.parametrize(
    "answers, sentence",
    [
        (pd.DataFrame({"call": []}), "the answers lack the column status; they have call"),
        (pd.DataFrame(), "the answers lack the column call and status; they have none"),
        (tabulate(("a", "good")), "the answers hold 'good', expected satisfied, average, unsat"),
    ],
)
def test_a_table_that_holds_no_answers_is_refused(answers, sentence):
    with pytest.raises(TableError, match=sentence):
        measure_agreement(answers)


# Collecting


class Form(OfflineForm):
    """An offline form whose uploads are written as they are answered."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.rows: list[tuple[str, ...]] = []
        (folder / "uploads").mkdir(parents=True)

    def answer(
        self, name: str, status: str, *, by: str = "", seed: int = 0, time: str = ""
    ) -> None:
        write_call(self.folder / "uploads" / name, 1.2, seed=seed)
        self.rows.append((time or str(len(self.rows) + 1), name, name, status, by))

    def ingest(self, workspace) -> None:
        header = ("Timestamp", "Call recording", "File name", "Status", "Email Address")
        with (self.folder / "responses.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *self.rows])
        ingest_responses(OfflineForm(self.folder), workspace)


@pytest.fixture
def form(tmp_path) -> Form:
    return Form(tmp_path / "form")


def statuses(workspace) -> list[list[str]]:
    """What was answered about each call, calls and answers in alphabetical order."""
    answers = list_answers(workspace)
    assert list(answers) == ["call", "status", "reviewer"]
    return sorted(sorted(each) for _, each in answers.groupby("call")["status"])


def test_without_anything_there_are_no_answers(workspace):
    assert list_answers(workspace).empty
    assert measure_agreement(list_answers(workspace)).calls == 0


def test_one_answer_a_call_is_listed_under_its_content(form, workspace):
    form.answer("a.wav", "satisfied", by="ann@example.com", seed=0)
    form.answer("b.wav", "average", by="ann@example.com", seed=1)
    form.ingest(workspace)
    answers = list_answers(workspace)
    recordings = find_recordings(workspace).recordings
    assert set(zip(answers["call"], answers["status"], strict=True)) == set(
        zip(recordings["content_hash"], recordings["status"], strict=True)
    )
    assert answers["reviewer"].nunique() == 2  # nobody's answers can be gathered


@pytest.mark.parametrize("second", ["satisfied", "unsatisfied"])
def test_a_recording_sent_by_two_people_has_two_answers(form, workspace, second):
    form.answer("a.wav", "satisfied", by="ann@example.com")
    form.answer("b.wav", second, by="bob@example.com")
    form.ingest(workspace)
    assert statuses(workspace) == [["satisfied", second]]
    assert measure_agreement(list_answers(workspace)).exact == (second == "satisfied")


@pytest.mark.parametrize("time", ["", "3/1/2026 9:00:00"])
@pytest.mark.parametrize("second", ["satisfied", "unsatisfied"])
def test_one_upload_that_two_people_answered_about_has_two_answers(form, workspace, second, time):
    form.answer("a.wav", "satisfied", by="ann@example.com", time=time)
    form.answer("a.wav", second, by="bob@example.com", time=time)
    for _ in range(2):
        form.ingest(workspace)
        assert statuses(workspace) == [["satisfied", second]]


def test_a_second_answer_that_nobody_can_order_is_counted_after_the_first_was_placed(
    form, workspace
):
    form.answer("a.wav", "satisfied", by="ann@example.com", time="3/1/2026 9:00:00")
    form.ingest(workspace)
    form.answer("a.wav", "average", by="bob@example.com", time="4/1/2026 9:00:00")
    form.ingest(workspace)
    assert statuses(workspace) == [["average", "satisfied"]]


@pytest.mark.parametrize("name", ["a.wav", "b.wav"])
def test_a_person_who_answers_again_has_one_answer(form, workspace, name):
    form.answer("a.wav", "satisfied", by="ann@example.com")
    form.answer(name, "unsatisfied", by=" ANN@example.com")
    form.ingest(workspace)
    assert statuses(workspace) == [["unsatisfied"]]


def test_of_an_upload_that_was_sent_again_only_other_peoples_answers_count(form, workspace):
    form.answer("a.wav", "average", by="bob@example.com")
    form.answer("a.wav", "satisfied", by="ann@example.com")
    form.answer("b.wav", "unsatisfied", by="ann@example.com")
    form.ingest(workspace)
    assert statuses(workspace) == [["average", "unsatisfied"]]


def test_answers_of_nobody_knows_whom_about_one_upload_are_one(form, workspace):
    form.answer("a.wav", "satisfied")
    form.answer("a.wav", "average")
    form.answer("b.wav", "satisfied")
    form.ingest(workspace)
    assert statuses(workspace) == [["average", "satisfied"]]


def test_the_folder_of_the_archive_is_an_answer_too(form, workspace):
    write_call(workspace.dataset / "unsatisfied" / "x.wav", 1.2, seed=0)
    write_call(workspace.dataset / "unsatisfied" / "copy.wav", 1.2, seed=0)
    write_call(workspace.dataset / "average" / "y.wav", 1.2, seed=1)
    form.answer("a.wav", "average", by="ann@example.com", seed=0)
    form.ingest(workspace)
    assert statuses(workspace) == [["average"], ["average", "unsatisfied"]]
    assert (list_answers(workspace)["reviewer"] == FOLDER).sum() == 2


def test_an_archive_that_contradicts_itself_is_no_answer(workspace):
    write_call(workspace.dataset / "unsatisfied" / "x.wav", 1.2)
    write_call(workspace.dataset / "average" / "x.wav", 1.2)
    assert list_answers(workspace).empty


def test_a_status_that_was_decided_is_an_answer_where_there_was_none(workspace):
    write_call(workspace.dataset / "x.wav", 1.2, seed=0)
    write_call(workspace.dataset / "average" / "y.wav", 1.2, seed=1)
    decide(workspace, {"dataset/x.wav": "satisfied", "dataset/average/y.wav": "unsatisfied"})
    assert statuses(workspace) == [["average"], ["satisfied"]]


def test_calls_that_the_ledger_does_not_know_are_answers(workspace):
    write_call(workspace.audio_data / "x_sat.wav", 1.2)
    write_call(workspace.audio_data / "y_unsat.wav", 1.2)
    assert statuses(workspace) == [["satisfied", "unsatisfied"]]


def test_a_call_that_was_deleted_by_hand_is_still_known_by_its_upload(form, workspace):
    form.answer("a.wav", "satisfied", by="ann@example.com")
    form.answer("b.wav", "average", by="bob@example.com")
    form.ingest(workspace)
    (workspace.audio_data / "b_avg.wav").unlink()
    assert statuses(workspace) == [["average", "satisfied"]]
    (workspace.audio_data / "a_sat.wav").unlink()
    assert statuses(workspace) == [["average", "satisfied"]]


def test_a_ledger_from_before_the_reviews_is_read(form, workspace):
    form.answer("a.wav", "satisfied", by="ann@example.com")
    form.answer("b.wav", "average", by="bob@example.com")
    form.answer("c.wav", "average", by="bob@example.com")
    form.ingest(workspace)
    pd.read_csv(workspace.form_ledger).drop(columns="reviews").to_csv(
        workspace.form_ledger, index=False
    )
    assert statuses(workspace) == [["average", "satisfied"]]
    assert set(list_answers(workspace)["reviewer"]) == {""}
    form.ingest(workspace)
    assert "" not in set(list_answers(workspace)["reviewer"])


def test_a_ledger_that_was_edited_by_hand_stops_nothing(form, workspace):
    form.answer("a.wav", "satisfied", by="ann@example.com")
    form.ingest(workspace)
    table = pd.read_csv(workspace.form_ledger, dtype=str, keep_default_na=False)
    table.assign(reviews="x|:|k:good||k2:average").to_csv(workspace.form_ledger, index=False)
    assert statuses(workspace) == [["average"]]


def test_no_address_is_stored(form, workspace):
    form.answer("a.wav", "satisfied", by="ann@example.com")
    form.ingest(workspace)
    text = workspace.form_ledger.read_text()
    assert "ann" not in text
    assert "example.com" not in text
    assert hashlib.sha256(b"ann@example.com").hexdigest()[:8] not in text


def test_the_words_of_the_ledger_are_those_of_the_ingestion():
    assert form_ledger.SUPERSEDED == SUPERSEDED
    assert set(LEDGER_COLUMNS) <= set(form_ledger.COLUMNS)
