import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from helpers.feedback.triage import (
    AGREES,
    AMBIGUOUS,
    BAD_AUDIO,
    CONFIRMED,
    CONTRADICTION,
    DOUBTFUL,
    LEARNED,
    MODEL_ERROR,
    PRIOR_WRONG,
    REVIEWED,
    WRONG,
    WRONG_LABEL,
    contradicts,
    describe_cause,
    estimate_label_errors,
    may_be_learned,
    triage,
    triage_clusters,
)
from helpers.records import CLUSTER
from helpers.statuses import STATUSES

SURE, HALF_SURE, UNSURE = [0.98, 0.01, 0.01], [0.82, 0.15, 0.03], [0.40, 0.35, 0.25]
"""Probabilities of three calls that sound satisfied."""

RIGHT = [0.9, 0.05, 0.05]


def simulate(calls: int, *, accuracy: float = 0.75, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw calibrated probabilities of about this accuracy, and statuses from them."""
    generator = np.random.default_rng(seed)
    highest = np.clip(generator.normal(accuracy, 0.15, calls), 0.4, 0.99)
    share = generator.uniform(0.2, 0.8, calls)
    rest = 1 - highest
    probabilities = np.stack([highest, rest * share, rest * (1 - share)], axis=1)
    probabilities = generator.permuted(probabilities, axis=1)
    drawn = (generator.random(calls)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    return probabilities, drawn


def answer(ranks: np.ndarray, *, wrong: float = 0.0, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Answer with the statuses, but for a share; return the answers and which are wrong."""
    generator = np.random.default_rng(seed)
    flipped = generator.random(len(ranks)) < wrong
    steps = generator.integers(1, 3, len(ranks)) * flipped
    return np.array(STATUSES)[(ranks + steps) % 3], flipped


def make_calls(*rows: tuple) -> tuple[pd.DataFrame, np.ndarray]:
    """Make new calls from probabilities, answers and what else is not as usual."""
    usual = {
        "faults": "",
        "confirmed": False,
        "mismatch": False,
        "cause": "",
        "label_error": 0.0,
        "triaged_as": "",
    }
    probabilities = np.array([row[0] for row in rows]).reshape(-1, 3)
    calls = [{**usual, "expected": row[1], **(row[2] if len(row) > 2 else {})} for row in rows]
    table = pd.DataFrame(calls, columns=["expected", *usual])
    table["end_status"] = np.array(STATUSES)[probabilities.argmax(axis=1)]
    return table, probabilities


def triage_all(*rows: tuple) -> pd.DataFrame:
    calls, probabilities = make_calls(*rows)
    return triage(calls, probabilities, known=np.ones(len(calls), dtype=bool))


def good_answers(count: int = 30) -> list[tuple]:
    """Calls whose answers the model agrees with, so that few answers are taken to be wrong."""
    return [(RIGHT, "satisfied")] * count


# How likely an answer is wrong


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_the_share_of_wrong_answers_is_found(rate, seed):
    probabilities, ranks = simulate(3000, seed=seed)
    answers, wrong = answer(ranks, wrong=rate, seed=seed)
    found = estimate_label_errors(probabilities, answers)
    assert found.rate == pytest.approx(wrong.mean(), abs=0.025)
    assert found.probabilities.mean() == pytest.approx(found.rate, abs=0.002)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_likely_wrong_answers_are_wrong_as_often_as_promised(rate):
    probabilities, ranks = simulate(20_000, seed=7)
    answers, wrong = answer(ranks, wrong=rate, seed=7)
    found = estimate_label_errors(probabilities, answers).probabilities
    for low, high in [(WRONG, 1.01), (DOUBTFUL, WRONG), (0, DOUBTFUL)]:
        chosen = (found >= low) & (found < high)
        assert chosen.sum() > 50
        assert wrong[chosen].mean() == pytest.approx(found[chosen].mean(), abs=0.07)


@pytest.mark.parametrize("seed", range(5))
def test_hardly_any_answer_is_called_wrong_where_all_are_right(seed):
    probabilities, ranks = simulate(200, seed=seed)
    found = estimate_label_errors(probabilities, answer(ranks)[0])
    assert found.rate < 0.07
    assert (found.probabilities >= WRONG).mean() <= 0.03


def test_one_answer_is_judged_by_bayes_rule():
    """The fixed point of rate and probability for one call, found by a search of its own."""
    right = 0.02

    def posterior(rate: float) -> float:
        if_wrong = rate / 2 * (1 - right)
        return if_wrong / (if_wrong + (1 - rate) * right)

    rates = np.linspace(0, 1, 100_001)
    distance = np.abs((posterior(rates) + 10 * PRIOR_WRONG) / 11 - rates)
    found = estimate_label_errors(np.array([[0.97, 0.01, right]]), np.array(["unsatisfied"]))
    assert found.rate == pytest.approx(rates[distance.argmin()], abs=1e-4)
    assert found.probabilities[0] == pytest.approx(posterior(found.rate), abs=1e-4)


def test_an_answer_is_the_likelier_wrong_the_less_the_model_believes_it():
    believed = np.linspace(0.0, 1.0, 21)
    probabilities = np.stack([believed, 1 - believed, 0 * believed], axis=1)
    found = estimate_label_errors(probabilities, np.repeat("satisfied", 21)).probabilities
    assert (np.diff(found) < 0).all()
    assert found[0] == pytest.approx(1) and found[-1] == pytest.approx(0)


def test_without_answers_the_rate_is_the_one_expected_beforehand():
    found = estimate_label_errors(np.empty((0, 3)), np.empty(0, dtype=str))
    assert found.probabilities.shape == (0,)
    assert found.rate == pytest.approx(PRIOR_WRONG)


# Batches that contradict


@pytest.mark.parametrize("calls", [1, 5, 12, 30, 100])
def test_right_answers_hardly_ever_contradict(calls):
    alarms = []
    for seed in range(1000):
        probabilities, ranks = simulate(calls, seed=seed)
        alarms.append(contradicts(probabilities, answer(ranks)[0]))
    assert np.mean(alarms) < 0.01


@pytest.mark.parametrize("calls, noticed", [(12, 0.9), (30, 0.999)])
def test_rotated_answers_contradict(calls, noticed):
    alarms = []
    for seed in range(200):
        probabilities, ranks = simulate(calls, seed=seed)
        alarms.append(contradicts(probabilities, np.array(STATUSES)[(ranks + 1) % 3]))
    assert np.mean(alarms) >= noticed


@pytest.mark.parametrize("calls", [30, 100, 1000])
@pytest.mark.parametrize("wrong", [0.1, 0.2])
def test_some_wrong_answers_do_not_condemn_their_batch(wrong, calls):
    alarms = []
    for seed in range(300):
        probabilities, ranks = simulate(calls, seed=seed)
        alarms.append(contradicts(probabilities, answer(ranks, wrong=wrong, seed=seed)[0]))
    assert np.mean(alarms) < 0.1


@pytest.mark.parametrize("calls, noticed", [(30, 0.8), (100, 0.99), (1000, 1)])
def test_answers_filled_in_at_random_contradict(calls, noticed):
    alarms = []
    for seed in range(200):
        probabilities, _ = simulate(calls, seed=seed)
        answers = np.random.default_rng(seed).choice(STATUSES, calls)
        alarms.append(contradicts(probabilities, answers))
    assert np.mean(alarms) >= noticed


@pytest.mark.parametrize("calls", [3, 12, 30])
def test_in_a_small_batch_the_limit_is_that_of_the_binomial_distribution(calls):
    probabilities = np.tile([0.75, 0.15, 0.1], (calls, 1))
    for agree in range(calls + 1):
        answers = np.where(np.arange(calls) < agree, "satisfied", "average")
        assert contradicts(probabilities, answers) == (binom.cdf(agree, calls, 0.75) < 0.001)


@pytest.mark.parametrize("agree, found", [(0, True), (299, True), (300, False), (450, False)])
def test_in_a_large_batch_the_limit_is_two_thirds_of_what_is_promised(agree, found):
    probabilities = np.tile([0.75, 0.15, 0.1], (600, 1))
    answers = np.where(np.arange(600) < agree, "satisfied", "average")
    assert contradicts(probabilities, answers) is found


def test_no_answers_contradict_nothing():
    assert contradicts(np.empty((0, 3)), np.empty(0, dtype=str)) is False


# Triage


@pytest.mark.parametrize(
    "probabilities, answered, cause",
    [
        (SURE, "satisfied", AGREES),
        (UNSURE, "satisfied", AGREES),
        (SURE, "unsatisfied", WRONG_LABEL),
        (SURE, "average", WRONG_LABEL),
        (HALF_SURE, "unsatisfied", AMBIGUOUS),
        (HALF_SURE, "average", MODEL_ERROR),
        (UNSURE, "average", MODEL_ERROR),
        (UNSURE, "unsatisfied", MODEL_ERROR),
    ],
)
def test_the_surer_the_model_the_less_an_answer_against_it_is_believed(
    probabilities, answered, cause
):
    table = triage_all((probabilities, answered), *good_answers())
    assert table["cause"].tolist() == [cause] + [AGREES] * 30
    assert table["triaged_as"].tolist() == [answered] + ["satisfied"] * 30
    low, high = {WRONG_LABEL: (WRONG, 1), AMBIGUOUS: (DOUBTFUL, WRONG)}.get(cause, (0, DOUBTFUL))
    assert low <= table["label_error"][0] < high


@pytest.mark.parametrize("probabilities", [SURE, HALF_SURE, UNSURE])
@pytest.mark.parametrize("answered", STATUSES)
@pytest.mark.parametrize("confirmed", [False, True])
def test_bad_audio_wins_over_all_and_stays_out_of_learning(probabilities, answered, confirmed):
    fault = {"faults": "clipped", "confirmed": confirmed}
    table = triage_all((probabilities, answered, fault), *good_answers())
    assert table["cause"][0] == BAD_AUDIO
    assert not may_be_learned(table.assign(mismatch=table["end_status"] != table["expected"])).any()


@pytest.mark.parametrize(
    "probabilities, answered",
    [(SURE, "unsatisfied"), (HALF_SURE, "average"), (UNSURE, "average"), (SURE, "satisfied")],
)
def test_a_decision_by_a_person_ends_the_review(probabilities, answered):
    before = triage_all((probabilities, answered), *good_answers())
    calls, given = make_calls((probabilities, answered), *good_answers())
    calls = calls.assign(**before[["cause", "label_error", "triaged_as"]])
    calls.loc[0, "confirmed"] = True
    after = triage(calls, given, known=np.ones(len(calls), dtype=bool))
    assert after["cause"].tolist() == [CONFIRMED, *before["cause"][1:]]
    assert after["label_error"].equals(before["label_error"])
    at_once = triage_all((probabilities, answered, {"confirmed": True}), *good_answers())
    assert at_once["cause"].tolist() == after["cause"].tolist()


def test_a_decision_that_is_withdrawn_is_judged_anew():
    first = triage_all((SURE, "average", {"confirmed": True}), *good_answers())
    assert first["cause"][0] == CONFIRMED
    calls, probabilities = make_calls((SURE, "average"), *good_answers())
    calls = calls.assign(**first[["cause", "label_error", "triaged_as"]])
    table = triage(calls, probabilities, known=np.ones(len(calls), dtype=bool))
    assert table["cause"].tolist() == [WRONG_LABEL] + [AGREES] * 30


def test_a_decision_is_learned_even_from_a_batch_that_contradicts():
    rows = [(RIGHT, "unsatisfied")] * 12
    table = triage_all((SURE, "unsatisfied", {"confirmed": True}), *rows, (RIGHT, "satisfied"))
    assert table["cause"].tolist() == [CONFIRMED] + [CONTRADICTION] * 13
    learned = may_be_learned(table.assign(mismatch=table["end_status"] != table["expected"]))
    assert learned.tolist() == [True] + [False] * 13


def test_what_was_decided_stays_whatever_comes_later():
    rows = [(HALF_SURE, "unsatisfied"), (UNSURE, "average"), (SURE, "average"), *good_answers()]
    first = triage_all(*rows)
    calls, probabilities = make_calls(*rows, *[(RIGHT, "average")] * 20)
    calls.loc[first.index, first.columns] = first
    later = triage(calls, probabilities, known=np.ones(len(calls), dtype=bool))
    columns = ["cause", "label_error", "triaged_as"]
    pd.testing.assert_frame_equal(
        later.loc[first.index, columns], first[columns], check_dtype=False
    )
    assert set(later["cause"][len(first) :]) == {CONTRADICTION}
    afresh = triage_all(*rows, *[(RIGHT, "average")] * 20)
    assert set(afresh["cause"]) == {CONTRADICTION}


@pytest.mark.parametrize("before, now", [("satisfied", "average"), ("average", "satisfied")])
def test_a_batch_is_tested_without_the_calls_of_earlier_ones(before, now):
    """After 40 calls, 12 come whose answers all contradict, or all agree."""
    rows, more = [(RIGHT, before)] * 40, [(RIGHT, now)] * 12
    first = triage_all(*rows)
    calls, probabilities = make_calls(*rows, *more)
    calls.loc[first.index, first.columns] = first
    later = triage(calls, probabilities, known=np.ones(52, dtype=bool))
    causes = {"satisfied": {AGREES}, "average": {CONTRADICTION}}
    assert set(later["cause"][:40]) == causes[before]
    assert set(later["cause"][40:]) == causes[now]


def test_an_answer_that_agrees_is_no_wrong_label_however_many_others_are():
    rows = [(SURE, "average", {"triaged_as": "average", "cause": WRONG_LABEL})] * 40
    table = triage_all(*rows, (UNSURE, "satisfied"))
    assert table["label_error"][40] > WRONG
    assert table["cause"][40] == AGREES


def test_a_run_with_nothing_new_changes_nothing():
    rows = [(SURE, "average"), (HALF_SURE, "unsatisfied"), (UNSURE, "average"), *good_answers()]
    first = triage_all(*rows)
    calls, probabilities = make_calls(*rows)
    again = triage(
        calls.assign(**first[["cause", "label_error", "triaged_as"]]),
        probabilities,
        known=np.ones(len(calls), dtype=bool),
    )
    pd.testing.assert_frame_equal(again, first, check_dtype=False)


@pytest.mark.parametrize(
    "before, after, cause",
    [
        ("unsatisfied", "satisfied", AGREES),
        ("satisfied", "unsatisfied", WRONG_LABEL),
        ("unsatisfied", "average", WRONG_LABEL),
    ],
)
def test_an_edited_answer_is_judged_anew(before, after, cause):
    first = triage_all((SURE, before), *good_answers())
    calls, probabilities = make_calls((SURE, after), *good_answers())
    calls = calls.assign(**first[["cause", "label_error", "triaged_as"]])
    table = triage(calls, probabilities, known=np.ones(len(calls), dtype=bool))
    assert table.loc[0, ["cause", "triaged_as"]].tolist() == [cause, after]
    assert (table["label_error"][0] >= WRONG) == (cause == WRONG_LABEL)
    assert table["cause"][1:].tolist() == [AGREES] * 30


def test_calls_that_are_no_evidence_stay_untouched_and_bear_on_nothing():
    rows = [(HALF_SURE, "unsatisfied"), *good_answers()]
    disputed = [(SURE, "unsatisfied")] * 50
    calls, probabilities = make_calls(*rows, *disputed)
    probabilities[len(rows) :] = np.nan
    known = np.arange(len(calls)) < len(rows)
    table = triage(calls, probabilities, known=known)
    alone = triage_all(*rows)
    pd.testing.assert_frame_equal(table[known], alone, check_dtype=False)
    assert table[~known][["cause", "triaged_as"]].eq("").all(axis=None)
    assert table[~known]["label_error"].eq(0).all()


def test_triage_of_no_calls_is_an_empty_table():
    table = triage_all()
    assert table.empty and {"cause", "label_error", "triaged_as"} <= set(table)


@pytest.mark.parametrize("rate", [0.1, 0.2])
def test_most_of_what_is_learned_from_flipped_answers_is_right(rate):
    probabilities, ranks = simulate(3000, seed=3)
    answers, wrong = answer(ranks, wrong=rate, seed=3)
    table = triage_all(*zip(probabilities.tolist(), answers.tolist(), strict=True))
    called = (table["cause"] == WRONG_LABEL).to_numpy()
    against = (table["expected"] != table["end_status"]).to_numpy()
    errors = (table["cause"] == MODEL_ERROR).to_numpy()
    assert wrong[called].mean() > 0.5 > wrong[errors].mean()
    assert wrong[errors].mean() < wrong[against].mean() < wrong[called].mean()


# Names of clusters


@pytest.mark.parametrize(
    "probabilities, named, cause",
    [
        (SURE, "satisfied", AGREES),
        (SURE, "unsatisfied", WRONG_LABEL),
        (HALF_SURE, "unsatisfied", AMBIGUOUS),
        (HALF_SURE, "average", AMBIGUOUS),
        (UNSURE, "average", AMBIGUOUS),
    ],
)
def test_the_name_of_a_cluster_is_never_taken_for_an_error_of_the_model(
    probabilities, named, cause
):
    calls, given = make_calls((probabilities, named), *good_answers())
    table = triage_clusters(calls, given, known=np.ones(len(calls), dtype=bool))
    assert table["cause"].tolist() == [cause] + [AGREES] * 30
    learned = may_be_learned(table.assign(mismatch=table["end_status"] != table["expected"]))
    assert not learned.any()
    again = triage_clusters(table, given, known=np.ones(len(calls), dtype=bool))
    pd.testing.assert_frame_equal(again, table, check_dtype=False)


def test_a_learned_name_that_is_changed_is_not_learned_any_more():
    calls, given = make_calls((SURE, "satisfied"), *good_answers())
    everybody = np.ones(len(calls), dtype=bool)
    before = triage_clusters(calls, given, known=everybody)
    other = ["unsatisfied", *before["expected"][1:]]
    after = triage_clusters(before.assign(expected=other), given, known=everybody)
    beside_an_error = pd.DataFrame({"cause": [MODEL_ERROR], "mismatch": [True]})
    for table, learned in ((before, True), (after, False)):
        named = table.assign(mismatch=table["end_status"] != table["expected"])
        both = pd.concat([named[:1], beside_an_error], ignore_index=True)
        assert may_be_learned(both).tolist() == [learned, True]
        assert not may_be_learned(named).any()


@pytest.mark.parametrize("cause", REVIEWED)
def test_the_reason_says_that_the_status_is_a_clusters(cause):
    row = {"expected": "average", "end_status": "satisfied", "label_error": 0.62}
    row |= {"cause": cause, "faults": "clipped", "source": CLUSTER}
    (call,) = pd.DataFrame([row]).itertuples()
    assert "cluster" in describe_cause(call)


# Learning


@pytest.mark.parametrize(
    "calls, learned",
    [
        ([], []),
        ([(AGREES, False)], [False]),
        ([(AGREES, False)] * 3, [False] * 3),
        ([(AGREES, False), (MODEL_ERROR, True)], [True, True]),
        ([(AGREES, False), (CONFIRMED, True)], [True, True]),
        ([(AGREES, False), (CONFIRMED, False)], [False, False]),
        ([(AGREES, False), (WRONG_LABEL, True)], [False, False]),
        ([(AGREES, False), (AMBIGUOUS, True)], [False, False]),
        ([(AGREES, False), (BAD_AUDIO, True)], [False, False]),
        ([(CONTRADICTION, False), (CONTRADICTION, True)], [False, False]),
        ([(MODEL_ERROR, True), (WRONG_LABEL, True), (AMBIGUOUS, True)], [True, False, False]),
        ([("", True), (MODEL_ERROR, True)], [False, True]),
    ],
)
def test_agreements_are_learned_only_along_with_an_error(calls, learned):
    table = pd.DataFrame(calls, columns=["cause", "mismatch"]).astype({"mismatch": bool})
    found = may_be_learned(table)
    assert found.dtype == bool
    assert found.tolist() == learned


def test_every_cause_is_either_learned_or_reviewed():
    causes = {AGREES, MODEL_ERROR, WRONG_LABEL, AMBIGUOUS, BAD_AUDIO, CONTRADICTION, CONFIRMED}
    assert {*LEARNED, *REVIEWED} == causes
    assert not set(LEARNED) & set(REVIEWED)


# Reasons


@pytest.mark.parametrize(
    "cause, said",
    [
        (WRONG_LABEL, ["answered average, sounds satisfied", "probability of 62%", "decide"]),
        (AMBIGUOUS, ["answered average, sounds satisfied", "62%", "second person should listen"]),
        (BAD_AUDIO, ["cannot be relied on: clipped; music"]),
        (CONTRADICTION, ["answered average, sounds satisfied", "whole batch", "mixed up"]),
    ],
)
def test_the_reason_on_the_review_list_is_a_sentence(cause, said):
    row = {
        "expected": "average",
        "end_status": "satisfied",
        "cause": cause,
        "label_error": 0.62,
        "faults": "clipped; music",
        "source": "form",
    }
    (call,) = pd.DataFrame([row]).itertuples()
    assert all(part in describe_cause(call) for part in said)


@pytest.mark.parametrize("cause", [*LEARNED, ""])
def test_what_is_not_reviewed_needs_no_reason(cause):
    row = {"expected": "average", "end_status": "average", "cause": cause, "label_error": 0.0}
    row["source"] = "form"
    (call,) = pd.DataFrame([{**row, "faults": ""}]).itertuples()
    assert describe_cause(call) == ""
