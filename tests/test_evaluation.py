import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    classification_report,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    recall_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.dataset import Dataset
from helpers.errors import CallEmotionError
from helpers.evaluation import (
    CEILINGS,
    FOLDS,
    SPLITS,
    Evaluation,
    bootstrap_interval,
    cross_validate,
    divide,
    evaluate,
    group_segments,
    unweighted_average_recall,
)
from helpers.statuses import STATUSES

STATUS = st.sampled_from(STATUSES)


class Witness(ClassifierMixin, BaseEstimator):
    """A classifier that writes down what it is shown, and always answers `average`."""

    def __init__(self, seen: list) -> None:
        self.seen = seen

    def fit(self, features, labels):
        self.classes_ = np.unique(labels)
        self.seen.append({"fit": features.copy(), "labels": list(labels)})
        return self

    def predict(self, features):
        self.seen[-1]["predict"] = features.copy()
        return np.full(len(features), "average")


def make_dataset(statuses, *, customers=None, kinds=("start", "end"), features=None) -> Dataset:
    """Make a dataset with one row per call and kind; by default a row's feature is its number."""
    customers = customers or [""] * len(statuses)
    rows = [
        {"path": f"{call}.wav", "status": status, "kind": kind, "content_hash": f"hash {call}",
         "customer": customer}
        for call, (status, customer) in enumerate(zip(statuses, customers, strict=True))
        for kind in kinds
    ]  # fmt: skip
    if features is None:
        features = np.arange(len(rows), dtype=np.float64).reshape(-1, 1)
    return Dataset(features, pd.DataFrame(rows))


def witness(dataset: Dataset, **options) -> list[dict]:
    seen: list[dict] = []
    evaluate(dataset, lambda: Witness(seen), **options)
    return seen


def rows_of(features: np.ndarray) -> list[int]:
    return features[:, 0].astype(int).tolist()


def leaking(*, customers: int, calls_each: int, seed: int = 0) -> Dataset:
    """A dataset whose features tell the customer and nothing else."""
    generator = np.random.default_rng(seed)
    statuses = np.repeat(generator.permutation(np.resize(STATUSES, customers)), calls_each)
    names = [f"customer {number // calls_each}" for number in range(len(statuses))]
    identity = np.repeat(generator.standard_normal((customers, 20)), 2 * calls_each, axis=0)
    features = identity + 0.001 * generator.standard_normal(identity.shape)
    return make_dataset(statuses.tolist(), customers=names, features=features)


@pytest.mark.parametrize(
    "split, expected",
    [
        ("segment", ["0", "1", "2", "3", "4", "5"]),
        ("call", ["hash 0", "hash 0", "hash 1", "hash 1", "hash 2", "hash 2"]),
        ("customer", ["Ann", "Ann", "hash 1", "hash 1", "Ann", "Ann"]),
    ],
)
def test_a_call_of_an_unknown_customer_is_a_group_of_its_own(split, expected):
    dataset = make_dataset(["average"] * 3, customers=["Ann", "", "Ann"])
    assert group_segments(dataset, split).tolist() == expected


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match=r"split is 'speaker', expected one of \['customer'"):
        evaluate(make_dataset(STATUSES * 3), DummyClassifier, split="speaker")


@settings(max_examples=50, deadline=None)
@given(
    calls=st.lists(st.tuples(STATUS, st.sampled_from(["", *"ABCDEFG"])), min_size=6, max_size=30),
    split=st.sampled_from(["customer", "call"]),
    seed=st.integers(0, 9),
)
@example(
    calls=[(name, customer) for name in STATUSES for customer in ("", "B")],
    split="customer",
    seed=0,
)
def test_no_group_is_ever_on_both_sides(calls, split, seed):
    statuses, customers = zip(*calls, strict=True)
    dataset = make_dataset(statuses, customers=customers)
    groups = group_segments(dataset, split)
    counts = pd.Series(groups).groupby(dataset.labels).nunique()
    if len(counts) < 2 or counts.min() < 2:
        with pytest.raises(CallEmotionError, match="too few customers or"):
            witness(dataset, split=split, seed=seed)
        return
    try:
        folds = witness(dataset, split=split, seed=seed)
    except CallEmotionError:  # with so few, no draw may leave every class in every training part
        assert counts.min() < FOLDS
        return
    assert 2 <= len(folds) <= FOLDS
    for fold in folds:
        train, test = rows_of(fold["fit"]), rows_of(fold["predict"])
        assert not set(groups[train]) & set(groups[test])
        assert fold["labels"] == dataset.labels[train].tolist()
        assert sorted(train + test) == list(range(len(groups)))
    judged = [row for fold in folds for row in rows_of(fold["predict"])]
    assert sorted(judged) == list(range(len(groups)))


def test_the_segment_split_does_separate_the_segments_of_a_call():
    dataset = make_dataset(STATUSES * 5)
    calls = group_segments(dataset, "call")
    folds = witness(dataset, split="segment")
    assert any(
        set(calls[rows_of(fold["fit"])]) & set(calls[rows_of(fold["predict"])]) for fold in folds
    )


def test_scaling_is_learned_inside_the_fold():
    dataset, seen = make_dataset(STATUSES * 5), []
    evaluate(dataset, lambda: make_pipeline(StandardScaler(), Witness(seen)))
    for fold in seen:
        assert fold["fit"].mean() == pytest.approx(0, abs=1e-12)
        assert fold["fit"].std() == pytest.approx(1)
    assert max(abs(fold["predict"].mean()) for fold in seen) > 0.01


def test_every_fold_has_a_new_model():
    models = []
    evaluate(make_dataset(STATUSES * 5), lambda: models.append(Witness([])) or models[-1])
    assert len(models) == 5
    assert [len(model.seen) for model in models] == [1] * 5


def test_only_the_segments_that_decide_a_call_are_judged():
    dataset = make_dataset(STATUSES * 5, kinds=("start", "end", "whole"))
    evaluation = evaluate(dataset, lambda: Witness([]), split="call")
    expected = dataset.segments[dataset.segments["kind"] != "start"].reset_index(drop=True)
    assert list(evaluation.rows) == ["path", "true", "predicted", "group"]
    assert evaluation.rows["path"].tolist() == expected["path"].tolist()
    assert evaluation.rows["true"].tolist() == expected["status"].tolist()
    assert evaluation.rows["group"].tolist() == expected["content_hash"].tolist()
    assert set(evaluation.rows["predicted"]) == {"average"}


def test_extra_rows_train_in_every_fold_and_are_never_judged():
    dataset = make_dataset(STATUSES * 5)
    extra = (np.array([[-1.0], [-2.0]]), np.array(["satisfied", "unsatisfied"]))
    folds = witness(dataset, extra=extra)
    plain = witness(dataset)
    assert len(folds) == 5
    for fold, without in zip(folds, plain, strict=True):
        np.testing.assert_array_equal(fold["fit"], np.concatenate([without["fit"], extra[0]]))
        assert fold["labels"] == [*without["labels"], "satisfied", "unsatisfied"]
        np.testing.assert_array_equal(fold["predict"], without["predict"])
        assert fold["predict"].min() >= 0


@pytest.mark.parametrize(
    "customers, calls_each, split, low, high",
    [
        (90, 1, "segment", 0.8, 1.0),
        (90, 1, "call", 0.15, 0.5),
        (90, 1, "customer", 0.15, 0.5),
        (45, 4, "segment", 0.95, 1.0),
        (45, 4, "call", 0.95, 1.0),
        (45, 4, "customer", 0.15, 0.5),
    ],
)
def test_who_calls_is_worth_nothing_where_the_split_is_honest(
    customers, calls_each, split, low, high
):
    dataset = leaking(customers=customers, calls_each=calls_each)
    evaluation = evaluate(dataset, lambda: KNeighborsClassifier(1), split=split)
    assert low <= evaluation.uar <= high


def test_what_is_really_in_the_features_is_found_by_every_split():
    statuses = np.resize(STATUSES, 60).tolist()
    codes = np.repeat([STATUSES.index(status) for status in statuses], 2)
    dataset = make_dataset(statuses, features=codes.reshape(-1, 1).astype(float))
    for split in SPLITS:
        assert evaluate(dataset, lambda: KNeighborsClassifier(1), split=split).uar == 1


@pytest.mark.parametrize(
    "statuses, customers",
    [
        (["average"], None),
        (["average"] * 9, None),
        (["average", "satisfied"], None),
        (["average"] * 5 + ["satisfied"], None),
        (["average", "satisfied"] * 4, ["Ann"] * 8),
        (["average", "satisfied"] * 4, ["Ann", "Bob"] * 4),
    ],
)
def test_too_few_customers_to_hold_some_out_are_counted(statuses, customers):
    dataset = make_dataset(statuses, customers=customers)
    with pytest.raises(CallEmotionError, match=r"too few customers .*'average': .*Add recordings"):
        evaluate(dataset, lambda: Witness([]))


def test_the_same_seed_gives_the_same_folds_and_another_one_others():
    dataset = make_dataset(STATUSES * 8)
    first, again, other = (
        [rows_of(fold["predict"]) for fold in witness(dataset, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    "true, predicted, expected",
    [
        (["average"], ["average"], 1),
        (["average"], ["satisfied"], 0),
        (["average", "average", "satisfied"], ["average"] * 3, 1 / 2),
        (["average"] * 3 + ["satisfied"], ["average", "x", "x", "satisfied"], 2 / 3),
        (list(STATUSES), list(STATUSES), 1),
    ],
)
def test_every_status_weighs_the_same(true, predicted, expected):
    assert unweighted_average_recall(true, predicted) == pytest.approx(expected)


def test_no_calls_have_no_average_recall():
    assert np.isnan(unweighted_average_recall([], []))


@given(st.lists(st.tuples(STATUS, STATUS), min_size=1))
def test_the_average_recall_is_that_of_scikit_learn(pairs):
    true, predicted = zip(*pairs, strict=True)
    expected = recall_score(true, predicted, labels=sorted(set(true)), average="macro")
    assert unweighted_average_recall(true, predicted) == pytest.approx(expected)


def random_evaluation(calls: int = 60, seed: int = 0) -> Evaluation:
    generator = np.random.default_rng(seed)
    true, guessed = generator.choice(STATUSES, (2, calls))
    predicted = np.where(generator.random(calls) < 0.5, true, guessed)
    columns = {"path": "call.wav", "true": true, "predicted": predicted}
    return Evaluation("call", pd.DataFrame({**columns, "group": np.arange(calls).astype(str)}))


@pytest.mark.parametrize("calls, seed", [(1, 0), (2, 0), (60, 0), (60, 1)])
def test_report_and_confusion_are_those_of_scikit_learn(calls, seed):
    evaluation = random_evaluation(calls, seed)
    true, predicted = evaluation.rows["true"], evaluation.rows["predicted"]
    expected = classification_report(
        true, predicted, labels=STATUSES, output_dict=True, zero_division=0
    )
    for status, row in evaluation.report.iterrows():
        for name in ("precision", "recall", "f1-score"):
            assert row[name] == pytest.approx(expected[status][name], abs=0.005)
        assert row["recordings"] == expected[status]["support"]
    assert list(evaluation.report.index) == list(STATUSES)
    matrix = confusion_matrix(true, predicted, labels=STATUSES)
    np.testing.assert_array_equal(evaluation.confusion, matrix)
    assert list(evaluation.confusion.index) == list(evaluation.confusion) == list(STATUSES)
    assert evaluation.confusion.to_numpy().sum() == calls
    assert evaluation.accuracy == pytest.approx(np.mean(true == predicted))


def test_the_summary_holds_plain_numbers():
    evaluation = random_evaluation()
    summary = evaluation.summary()
    low, high = evaluation.uar_interval
    assert summary == {
        "split": "call",
        "calls": 60,
        "accuracy": round(evaluation.accuracy, 3),
        "uar": round(evaluation.uar, 3),
        "uar_low": round(low, 3),
        "uar_high": round(high, 3),
        "macro_f1": round(evaluation.macro_f1, 3),
        "kappa": round(evaluation.weighted_kappa, 3),
        "opposite": round(evaluation.opposite, 3),
    }
    assert {type(value) for value in summary.values()} == {str, int, float}


@pytest.mark.parametrize("answer, expected", [("right", (1, 1)), ("wrong", (0, 0))])
def test_without_any_doubt_the_interval_is_a_point(answer, expected):
    true = np.resize(STATUSES, 30)
    predicted = true if answer == "right" else np.roll(true, 1)
    assert bootstrap_interval(true, predicted, groups=np.arange(30)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_holds_the_score(seed):
    evaluation = random_evaluation(seed=seed)
    low, high = evaluation.uar_interval
    assert low < evaluation.uar < high


def test_calls_of_fewer_customers_give_a_wider_interval():
    true = np.resize(STATUSES, 120)
    right = np.repeat(np.resize([True, False, True], 12), 10)
    predicted = np.where(right, true, np.roll(true, 1))

    def width(groups) -> float:
        low, high = bootstrap_interval(true, predicted, groups=groups)
        return high - low

    by_call, by_customer = width(np.arange(120)), width(np.repeat(np.arange(12), 10))
    assert by_customer > 2 * by_call > 0


def test_the_interval_is_the_same_each_time_and_follows_its_seed():
    evaluation = random_evaluation()
    columns = [evaluation.rows[name] for name in ("true", "predicted")]
    first, again, other = (
        bootstrap_interval(*columns, groups=evaluation.rows["group"], seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again == evaluation.uar_interval != other


def test_groups_of_one_size_give_the_interval_of_drawing_their_scores():
    true = np.repeat("average", 200)
    predicted = np.where(np.arange(200) < 120, "average", "satisfied")
    low, high = bootstrap_interval(true, predicted, groups=np.arange(200))
    spread = 1.96 * np.sqrt(0.6 * 0.4 / 200)  # of a share, where each call is drawn by itself
    assert (low, high) == pytest.approx((0.6 - spread, 0.6 + spread), abs=0.01)


@pytest.mark.parametrize(
    "true, predicted, expected",
    [
        (["average"] * 2, ["average"] * 2, 1),
        (["average"] * 2, ["satisfied"] * 2, 0),
        (["average", "average", "satisfied"], ["average"] * 3, 0.8 / 2),
        (["average", "average", "satisfied"], ["average", "x", "satisfied"], (2 / 3 + 1) / 2),
    ],
)
def test_macro_f1_by_hand(true, predicted, expected):
    rows = pd.DataFrame({"true": true, "predicted": predicted})
    assert Evaluation("call", rows).macro_f1 == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_macro_f1_is_that_of_scikit_learn(seed):
    rows = random_evaluation(seed=seed).rows
    expected = f1_score(rows["true"], rows["predicted"], average="macro")
    assert Evaluation("call", rows).macro_f1 == pytest.approx(expected)


def judged(true, predicted, task: str = "statuses") -> Evaluation:
    rows = pd.DataFrame({"true": list(true), "predicted": list(predicted)})
    rows = rows.assign(path="call.wav", group=np.arange(len(rows)).astype(str))
    return Evaluation("call", rows, task=task)


RANDOM = [random_evaluation(calls, seed) for calls in (2, 3, 10, 60) for seed in range(4)]


@pytest.mark.parametrize("evaluation", RANDOM)
def test_the_weighted_kappa_is_that_of_scikit_learn(evaluation):
    columns = (evaluation.rows["true"], evaluation.rows["predicted"])
    expected = cohen_kappa_score(*columns, weights="quadratic", labels=list(STATUSES))
    assert evaluation.weighted_kappa == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_weighted_kappa_by_its_definition(seed):
    """Squared distances of true and judged, over those of every true with every judged one."""
    rows = random_evaluation(seed=seed).rows
    true, predicted = (rows[name].map(STATUSES.index).to_numpy() for name in ("true", "predicted"))
    met = ((true - predicted) ** 2).mean()
    by_chance = ((true[:, None] - predicted) ** 2).mean()
    kappa = random_evaluation(seed=seed).weighted_kappa
    assert kappa == pytest.approx(1 - met / by_chance)


S, A, U = STATUSES


@pytest.mark.parametrize(
    "true, predicted, kappa, opposite",
    [
        ([S, A, U], [S, A, U], 1, 0),
        ([S, U], [U, S], -1, 1),
        ([S, U], [S, S], 0, 1 / 2),
        ([S, U, U, U], [S, U, S, A], 1 - 20 / 32, 1 / 4),
        ([S, S, U, U], [S, A, A, U], 2 / 3, 0),
        ([A, A, S], [S, U, A], 0, 0),
    ],
)
def test_kappa_and_opposite_by_hand(true, predicted, kappa, opposite):
    evaluation = judged(true, predicted)
    assert evaluation.weighted_kappa == pytest.approx(kappa)
    assert evaluation.opposite == pytest.approx(opposite)


def test_the_opposite_status_costs_more_agreement_than_the_next():
    right = [S, A, U] * 10
    near, far = [A, *right[1:]], [U, *right[1:]]
    kappas = [judged(right, verdicts).weighted_kappa for verdicts in (right, near, far)]
    assert kappas[0] > kappas[1] > kappas[2]
    assert judged(right, near).accuracy == judged(right, far).accuracy


@pytest.mark.parametrize("true, predicted", [([], []), ([S], [S]), ([A, A], [A, A])])
def test_agreement_on_one_status_alone_is_not_known(true, predicted):
    assert np.isnan(judged(true, predicted).weighted_kappa)


@pytest.mark.parametrize("true", [[], [A], [A, A]])
def test_without_a_satisfied_or_unsatisfied_call_none_is_judged_the_opposite(true):
    assert np.isnan(judged(true, true).opposite)


def test_what_has_no_order_has_no_kappa():
    evaluation = judged(["calm", "angry"] * 3, ["calm", "calm"] * 3, task="upset")
    assert np.isnan(evaluation.weighted_kappa) and np.isnan(evaluation.opposite)
    assert not {"kappa", "opposite"} & set(evaluation.summary())


@pytest.mark.parametrize("task, ceiling", [("emotions", 85), ("upset", 90), ("statuses", 83)])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_score_above_anything_published_is_warned_of(task, ceiling, beyond):
    right = np.tile(np.arange(100) < ceiling + beyond, 2)
    true = np.repeat(["one", "other"], 100)
    rows = pd.DataFrame({"true": true, "predicted": np.where(right, true, "none")})
    evaluation = Evaluation("customer", rows, ("one", "other"), task)
    assert evaluation.uar == pytest.approx((ceiling + beyond) / 100)
    sentence = f"UAR 0.{ceiling + 1} is above 0.{ceiling}: {CEILINGS[task][1]}. Look for "
    assert evaluation.warning.startswith(sentence) if beyond == 1 else not evaluation.warning


def make_groups(rows: int = 60, groups: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of rows, in no order; every group has every label."""
    order = np.random.default_rng(seed).permutation(rows)
    return np.resize(STATUSES, rows)[order], (np.arange(rows) // (rows // groups))[order]


def learn_numbers(train: np.ndarray):
    """Answer each row by its number and by the sum of the numbers that were learned from."""
    return lambda test: np.column_stack([test, np.full(len(test), train.sum())])


@pytest.mark.parametrize("split", ["customer", "segment"])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_row_is_predicted_once_by_what_has_not_seen_its_group(split, seed):
    labels, groups = make_groups()
    folds = divide(labels, groups=groups, split=split, seed=seed)
    assert len(folds) == 5
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(60))
        assert set(labels[test]) == set(STATUSES)
        assert (split == "segment") == bool(set(groups[train]) & set(groups[test]))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(60))
    found = cross_validate(learn_numbers, labels, groups=groups, split=split, seed=seed)
    assert found.shape == (60, 2)
    assert found[:, 0].tolist() == list(range(60))
    learned = {row: train.sum() for train, test in folds for row in test}
    assert found[:, 1].tolist() == [learned[row] for row in range(60)]


@pytest.mark.parametrize("shape", [(), (4,), (4, 3)])
def test_answers_come_in_the_order_of_the_rows_and_in_their_shape(shape):
    labels, groups = make_groups()
    answers = np.broadcast_to(labels.reshape(-1, *(1 for _ in shape)), (60, *shape)).astype(object)
    found = cross_validate(
        lambda train: lambda test: answers[test], labels, groups=groups, split="customer"
    )
    np.testing.assert_array_equal(found, answers)


def test_folds_in_several_processes_give_the_same():
    labels, groups = make_groups()
    one, two = (
        cross_validate(learn_numbers, labels, groups=groups, split="customer", jobs=jobs)
        for jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("groups, folds", [(2, 2), (3, 3), (4, 4), (5, 5), (12, 5)])
def test_there_are_no_more_folds_than_groups(groups, folds):
    labels, names = make_groups(groups=groups)
    assert len(divide(labels, groups=names, split="customer")) == folds


@pytest.mark.parametrize("folds", [2, 3, 4, 5])
@pytest.mark.parametrize("calls_each", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_every_fold_has_its_share_of_every_class(folds, calls_each, seed):
    labels = np.repeat(np.resize(["a", "a", "b", "c"], 60), calls_each)
    groups = np.array([f"group {number // calls_each}" for number in range(len(labels))])
    for _, test in divide(labels, groups=groups, split="customer", folds=folds, seed=seed):
        for name in "abc":
            share = (labels == name).sum() / folds
            assert (labels[test] == name).sum() == pytest.approx(share, abs=1.5 * calls_each)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "labels",
    ["abab", "aabb", "aaaabb", "abcabc"],
    ids=["two of each", "in a row", "more of one", "three classes"],
)
def test_every_class_is_among_the_training_rows_of_every_fold(labels, seed):
    groups = [f"group {number}" for number in range(len(labels))]
    for train, test in divide(list(labels), groups=groups, split="customer", seed=seed):
        assert {labels[row] for row in train} == set(labels)
        assert not set(train) & set(test)


def test_a_class_that_cannot_be_in_every_training_part_is_said():
    each_in_two_of_three = ["A", "B", "A", "C", "B", "C"]
    with pytest.raises(CallEmotionError, match="too few customers"):
        divide(list("aabbcc"), groups=each_in_two_of_three, split="customer")
