from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score

from helpers.evaluation import unweighted_average_recall
from helpers.feedback.gate import (
    GROUP_CALLS,
    GROUP_LIMIT,
    NEGLIGIBLE,
    RECALL_LIMIT,
    RISK,
    compare_models,
    score_groups,
    score_probabilities,
)
from helpers.statuses import STATUSES

COLUMNS = ["what", "before", "after", "low", "high", "limit", "passed"]


def make_golden(true, *, customers=None, **groups) -> pd.DataFrame:
    """Make golden calls, each of a customer of its own unless told otherwise."""
    names = [f"hash {number:03}" for number in range(len(true))]
    table = {"status": list(true), "customer": customers or "", "content_hash": names}
    return pd.DataFrame({**table, "agent": "", "gender": "", "line": "", **groups})


def sound(verdicts, *, sure: float = 0.8) -> np.ndarray:
    """Give probabilities with these verdicts, the rest shared by the others."""
    ranks = [STATUSES.index(verdict) for verdict in verdicts]
    return np.eye(3)[ranks] * (sure - (1 - sure) / 2) + (1 - sure) / 2


def wrong_at(true, *places: int) -> list[str]:
    """Verdicts that are the status next to the true one at these places."""
    next_to = {"satisfied": "average", "average": "unsatisfied", "unsatisfied": "average"}
    return [next_to[status] if number in places else status for number, status in enumerate(true)]


def draw_models(calls: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw statuses and the probabilities of two models that know something of them."""
    generator = np.random.default_rng(seed)
    true = generator.permutation(np.resize(np.arange(3), calls))
    models = generator.dirichlet([1.0] * 3, (2, calls)) + 0.6 * np.eye(3)[true]
    return *(models / models.sum(axis=2, keepdims=True)), np.array(STATUSES)[true]


def row_of(comparison, what: str) -> pd.Series:
    return comparison.table.set_index("what").loc[what]


def uar(true, probabilities) -> float:
    verdicts = np.array(STATUSES)[probabilities.argmax(axis=1)]
    return recall_score(true, verdicts, labels=sorted(set(true)), average="macro")


FORTY = list(np.resize(STATUSES, 42))
"""42 true statuses, 14 of each."""


# Scores of probabilities


@pytest.mark.parametrize(
    "probabilities, true, expected",
    [
        ([1, 0, 0], "satisfied", 1),
        ([0, 1, 0], "satisfied", 1 / 2),
        ([0, 0, 1], "satisfied", 0),
        ([1, 0, 0], "average", 1 / 2),
        ([0, 1, 0], "average", 1),
        ([0, 0, 1], "average", 1 / 2),
        ([1, 0, 0], "unsatisfied", 0),
        ([0, 0, 1], "unsatisfied", 1),
        ([1 / 3, 1 / 3, 1 / 3], "satisfied", 1 - (4 / 9 + 1 / 9) / 2),
        ([1 / 3, 1 / 3, 1 / 3], "average", 1 - (1 / 9 + 1 / 9) / 2),
        ([0.6, 0.3, 0.1], "satisfied", 1 - (0.16 + 0.01) / 2),
        ([0.6, 0.3, 0.1], "unsatisfied", 1 - (0.36 + 0.81) / 2),
        ([0.5, 0.0, 0.5], "average", 1 - (0.25 + 0.25) / 2),
    ],
)
def test_the_ranked_probability_score_by_hand(probabilities, true, expected):
    found = score_probabilities(np.array([probabilities], dtype=float), np.array([true]))
    assert found.tolist() == pytest.approx([expected])


@pytest.mark.parametrize("seed", range(5))
def test_telling_what_one_believes_scores_best(seed):
    """The score is proper: no other probabilities have a higher mean score than the true ones."""
    generator = np.random.default_rng(seed)
    believed = generator.dirichlet([1] * 3)

    def mean_score(told: np.ndarray) -> float:
        return float(believed @ score_probabilities(np.tile(told, (3, 1)), np.array(STATUSES)))

    others = generator.dirichlet([1] * 3, 200)
    assert mean_score(believed) >= max(map(mean_score, others))


# The table of cases


@pytest.mark.parametrize("seed", range(3))
def test_the_same_model_again_passes(seed):
    model, _, true = draw_models(40, seed=seed)
    comparison = compare_models(model, model.copy(), make_golden(true))
    assert comparison.passed
    assert (comparison.table["before"] == comparison.table["after"]).all()
    assert comparison.table.loc[:1, ["low", "high"]].eq(0).all(axis=None)
    assert len(comparison.reasons) == 1


@pytest.mark.parametrize(
    "before, after, failed",
    [
        ([], [], []),
        ([0, 1, 2], [], []),
        ([0, 1, 2], [3, 4, 5], []),
        ([1, 2], [0], []),
        ([], [0], ["UAR"]),
        ([0, 1, 2], [0, 1, 2, 3], ["UAR"]),
        ([1, 2, 4, 5], [0, 3], ["recall satisfied"]),
        ([1], [0, 3], ["UAR", "recall satisfied"]),
    ],
    ids=["same", "better", "elsewhere", "recall within", "worse", "one more", "recall", "both"],
)
def test_what_passes_and_what_does_not(before, after, failed):
    """The challenger is surer everywhere, so that its probabilities are better in any case."""
    models = [
        sound(wrong_at(FORTY, *places), sure=sure) for places, sure in ((before, 0.5), (after, 0.9))
    ]
    comparison = compare_models(*models, make_golden(FORTY))
    table = comparison.table
    assert table.loc[~table["passed"], "what"].tolist() == failed
    assert comparison.passed == (not failed)
    assert len(comparison.reasons) == max(len(failed), 1)
    for what, reason in zip(failed, comparison.reasons, strict=False):
        assert reason.casefold().startswith(f"{what} falls from ".casefold())


def test_a_recall_that_drops_beyond_the_limit_stops_a_model_with_a_higher_uar():
    before = sound(wrong_at(FORTY, *range(1, 42, 3)))
    after = sound(wrong_at(FORTY, 0, 3))
    comparison = compare_models(before, after, make_golden(FORTY))
    assert row_of(comparison, "UAR")["after"] > row_of(comparison, "UAR")["before"] + 0.2
    assert row_of(comparison, "probabilities")["passed"]
    assert not comparison.passed
    assert comparison.reasons == [
        "Recall satisfied falls from 1.000 to 0.857, a drop of at most 0.10 is allowed."
    ]


@pytest.mark.parametrize(
    "size, lost, passed",
    [(10, 0, True), (10, 1, True), (10, 2, False), (9, 2, True), (9, 9, True)],
)
@pytest.mark.parametrize("column", ["agent", "gender", "line"])
def test_a_group_of_10_calls_is_protected_and_one_of_9_is_shown(column, size, lost, passed):
    """The group loses some calls, spread over the statuses, and the others gain as many."""
    true = list(np.resize(STATUSES, 120))
    golden = make_golden(true, **{column: np.where(np.arange(120) < size, "Ann", "")})
    before = sound(wrong_at(true, *range(60, 60 + lost)), sure=0.5)
    after = sound(wrong_at(true, *range(lost)), sure=0.9)
    comparison = compare_models(before, after, golden)
    what = f"{column} Ann ({size} calls)"
    row = row_of(comparison, what)
    assert (row["before"], row["after"]) == pytest.approx((1, 1 - lost / size), abs=1e-4)
    assert np.isnan(row["limit"]) == (size < GROUP_CALLS)
    assert comparison.passed == row["passed"] == passed
    reason = f"{column.capitalize()} Ann (10 calls) falls from 1.000 to 0.800, a drop of at most 0"
    assert any(text.startswith(reason) for text in comparison.reasons) == (not passed)


@pytest.mark.parametrize("limit", [RECALL_LIMIT, GROUP_LIMIT])
def test_exactly_the_limit_is_allowed(limit):
    assert limit == 0.1
    true = ["satisfied"] * 10 + ["average"] * 10 + ["unsatisfied"] * 10
    golden = make_golden(true, agent=np.repeat(["Ann", "Bob", "Cid"], 10))
    before, after = sound(wrong_at(true, 15), sure=0.5), sound(wrong_at(true, 3), sure=0.9)
    comparison = compare_models(before, after, golden)
    assert comparison.passed
    assert row_of(comparison, "recall satisfied")["passed"]
    assert row_of(comparison, "agent Ann (10 calls)")["passed"]


def test_probabilities_that_got_worse_stop_a_model_with_the_same_verdicts():
    before, after = sound(FORTY), sound(FORTY, sure=0.5)
    comparison = compare_models(before, after, make_golden(FORTY))
    assert row_of(comparison, "UAR")["passed"]
    assert not comparison.passed
    assert comparison.reasons == [
        "Drawing customers anew, its probabilities are worse in more than 10% of the draws (score "
        f"{score_probabilities(before, np.array(FORTY)).mean():.3f} before, "
        f"{score_probabilities(after, np.array(FORTY)).mean():.3f} after)."
    ]


def test_probabilities_that_got_negligibly_worse_pass():
    before, after = sound(FORTY, sure=0.80), sound(FORTY, sure=0.79)
    lost = score_probabilities(before, FORTY) - score_probabilities(after, FORTY)
    assert 0 < lost.max() < NEGLIGIBLE
    assert compare_models(before, after, make_golden(FORTY)).passed


def test_without_a_golden_set_nothing_is_promoted():
    nothing = np.empty((0, 3))
    comparison = compare_models(nothing, nothing, make_golden([]))
    assert not comparison.passed
    assert comparison.reasons == [
        "There is no golden set to judge it on: more customers are needed, two per status."
    ]
    assert comparison.table.empty and list(comparison.table) == COLUMNS
    assert comparison.groups == []


@pytest.mark.parametrize(
    "true, missing",
    [
        (["average"], "no satisfied and no unsatisfied"),
        (["satisfied", "unsatisfied"] * 20, "no average"),
    ],
)
def test_a_golden_set_without_every_status_promotes_nothing(true, missing):
    comparison = compare_models(sound(true), sound(true), make_golden(true))
    assert not comparison.passed
    assert comparison.reasons == [f"The golden set has {missing} call to compare them on."]
    assert list(comparison.table) == COLUMNS and comparison.groups == []


@pytest.mark.parametrize("calls, warned", [(3, True), (29, True), (30, False), (42, False)])
def test_a_small_golden_set_says_so(calls, warned):
    model = sound(FORTY[:calls])
    reasons = compare_models(model, model, make_golden(FORTY[:calls])).reasons
    sentence = f"The golden set has {calls} calls; below 30 it says little."
    assert (sentence in reasons) == warned


# Draws


def draw_exactly(true, customers, before, after) -> pd.DataFrame:
    """Differences of UAR and skill for every way to draw customers, all equally likely."""
    rows_by_customer = [np.flatnonzero(customers == name) for name in np.unique(customers)]
    gain = score_probabilities(after, true) - score_probabilities(before, true)
    rows = []
    for drawn in product(rows_by_customer, repeat=len(rows_by_customer)):
        chosen = np.concatenate(drawn)
        verdicts = (np.array(STATUSES)[each.argmax(axis=1)][chosen] for each in (before, after))
        uars = [unweighted_average_recall(true[chosen], each) for each in verdicts]
        of_status = [gain[chosen[true[chosen] == name]] for name in set(true[chosen])]
        rows.append((uars[1] - uars[0], np.mean([each.mean() for each in of_status])))
    return pd.DataFrame(rows, columns=["UAR", "probabilities"])


@pytest.mark.parametrize("seed", range(4))
def test_the_draws_are_those_of_all_ways_to_draw_customers(seed):
    before, after, true = draw_models(14, seed=seed)
    customers = np.array(list("AAAABBBBCCCDDE"))
    exact = draw_exactly(true, customers, before, after)
    comparison = compare_models(before, after, make_golden(true, customers=list(customers)))
    for what, differences in exact.items():
        row = row_of(comparison, what)
        tails = np.quantile(differences, [0.01, 0.045, 0.955, 0.99])
        assert tails[0] - 1e-4 <= row["low"] <= tails[1] + 1e-4
        assert tails[2] - 1e-4 <= row["high"] <= tails[3] + 1e-4
    worse = (exact["probabilities"] < -NEGLIGIBLE).mean()
    assert abs(worse - RISK) > 0.03
    assert row_of(comparison, "probabilities")["passed"] == (worse <= RISK)


@pytest.mark.parametrize("seed", range(4))
def test_the_scores_are_those_of_scikit_learn(seed):
    before, after, true = draw_models(50, seed=seed)
    comparison = compare_models(before, after, make_golden(true))
    expected = [uar(true, each) for each in (before, after)]
    assert row_of(comparison, "UAR")[["before", "after"]].tolist() == pytest.approx(
        expected, abs=1e-4
    )
    for status in STATUSES:
        expected = [
            (np.array(STATUSES)[each.argmax(axis=1)] == true)[true == status].mean()
            for each in (before, after)
        ]
        found = row_of(comparison, f"recall {status}")[["before", "after"]].tolist()
        assert found == pytest.approx(expected, abs=1e-4)


def test_one_customer_with_many_calls_cannot_decide_alone():
    """One customer's 30 calls are judged more surely, those of 10 others a little less so."""
    true = list(np.resize(STATUSES, 60))
    before = sound(true, sure=0.8)
    after = np.concatenate([sound(true[:30], sure=0.95), sound(true[30:], sure=0.75)])
    customers = ["Ann"] * 30 + [f"customer {number // 3}" for number in range(30)]
    apart = compare_models(before, after, make_golden(true))
    together = compare_models(before, after, make_golden(true, customers=customers))
    assert apart.passed and not together.passed
    assert together.table.loc[~together.table["passed"], "what"].tolist() == ["probabilities"]
    assert row_of(together, "probabilities")["after"] > row_of(together, "probabilities")["before"]


def test_calls_of_one_customer_make_a_wider_interval():
    before, after, true = draw_models(60, seed=1)
    after[:30], before[:30] = before[:30].copy(), sound(wrong_at(true, *range(60)))[:30]
    widths = []
    for each in (60, 6):
        customers = [f"customer {number * each // 60}" for number in range(60)]
        row = row_of(compare_models(before, after, make_golden(true, customers=customers)), "UAR")
        widths.append(row["high"] - row["low"])
    assert widths[1] > 1.5 * widths[0]


def test_the_same_seed_gives_the_same_draws_and_the_order_of_calls_does_not_matter():
    before, after, true = draw_models(40)
    customers = [f"customer {number // 3}" for number in range(40)]
    golden = make_golden(true, customers=customers)
    first, again, other = (
        compare_models(before, after, golden, seed=seed).table for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    order = np.random.default_rng(0).permutation(40)
    shuffled = compare_models(before[order], after[order], golden.iloc[order]).table
    pd.testing.assert_frame_equal(shuffled, first)


@pytest.mark.parametrize("seed", range(5))
def test_a_poisoned_model_never_passes(seed):
    before, _, true = draw_models(45, seed=seed)
    assert not compare_models(before, np.roll(before, 1, axis=1), make_golden(true)).passed


# Groups and reasons


def test_groups_are_scored_by_hand():
    true = ["satisfied", "average", "unsatisfied", "satisfied"]
    golden = make_golden(true, agent=["Ann", "Ann", "", "Bob"], line=["a", "b", "b", "a"])
    before, after = sound(wrong_at(true, 0, 2)), sound(wrong_at(true, 3))
    expected = [
        ("agent", "Ann", 2, 0.5, 1.0),
        ("agent", "Bob", 1, 1.0, 0.0),
        ("line", "a", 2, 0.5, 0.5),
        ("line", "b", 2, 0.5, 1.0),
    ]
    names = ("group", "name", "calls", "before", "after")
    expected = [dict(zip(names, row, strict=True)) for row in expected]
    assert score_groups(golden, before, after) == expected
    assert compare_models(before, after, golden).groups == expected
    alone = score_groups(golden, None, after)
    assert alone == [{**row, "before": None} for row in expected]


def test_no_calls_have_no_groups():
    assert score_groups(make_golden([]), None, np.empty((0, 3))) == []


@pytest.mark.parametrize("seed", range(10))
def test_every_reason_is_a_sentence_that_names_its_figures(seed):
    before, after, true = draw_models(45, seed=seed)
    golden = make_golden(true, agent=np.resize(["Ann", "Bob", "Cid"], 45))
    comparison = compare_models(before, after, golden)
    failed = comparison.table[~comparison.table["passed"]]
    expected = failed if len(failed) else comparison.table.iloc[:1]
    assert len(comparison.reasons) == len(expected)
    for reason, row in zip(comparison.reasons, expected.itertuples(), strict=True):
        assert reason[0].isupper() and reason.endswith(".") and "\n" not in reason
        for figure in (row.before, row.after):
            assert f"{figure:.3f}" in reason or f"{figure:.2f}" in reason


def test_a_reason_never_names_the_same_figure_twice():
    """One call of 300 is a fall of UAR that two decimals would hide."""
    true = list(np.resize(STATUSES, 300))
    comparison = compare_models(sound(true), sound(wrong_at(true, 0)), make_golden(true))
    assert comparison.reasons == ["UAR falls from 1.000 to 0.997."]


def test_a_promotion_is_explained_by_both_figures():
    true = FORTY
    before, after = sound(wrong_at(true, 0, 1, 2)), sound(true)
    comparison = compare_models(before, after, make_golden(true))
    assert comparison.passed
    (reason,) = comparison.reasons
    assert reason.startswith("UAR on the golden set 0.93 before, 1.00 after (difference +0.0")
    assert "probabilities 0." in reason and reason.endswith("falls beyond the limits.")
