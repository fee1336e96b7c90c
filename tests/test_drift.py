import numpy as np
import pandas as pd
import pytest
from conftest import make_voice
from scipy import signal as filters
from scipy import stats

from helpers.errors import TableError
from helpers.features import PHONE, phone_features
from helpers.feedback.drift import (
    EXACT_PAIRS,
    LEAST_CALLS,
    OTHER_SOUND,
    SOUNDS,
    VerdictDrift,
    compare_distributions,
    compare_verdicts,
    describe_drift,
    scores_over_time,
    summarise_sounds,
)
from helpers.statuses import STATUSES


def draw(calls: int, *, features: int = 60, causes: int = 5, seed: int) -> np.ndarray:
    """Draw calls whose features hang together, as those of voices do."""
    mixing = np.random.default_rng(99).standard_normal((causes, features))
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((calls, features))
    return generator.standard_normal((calls, causes)) @ mixing + noise


def names_of(features: np.ndarray) -> list[str]:
    return [f"feature {number}" for number in range(features.shape[1])]


def alarms_allowed(rounds: int) -> int:
    """So many false alarms in a thousand, at most, are chance where one in twenty is allowed."""
    return int(stats.binom.ppf(0.999, rounds, 0.05))


@pytest.mark.parametrize("calls, new_calls", [(30, 20), (100, 25), (60, 60)])
def test_draws_of_one_distribution_rarely_differ(calls, new_calls):
    alarms = 0
    for seed in range(100):
        features = draw(calls + new_calls, seed=seed)
        table = compare_distributions(features[:calls], features[calls:], names_of(features))
        alarms += table["drifted"].any()
    assert alarms <= alarms_allowed(100)


@pytest.mark.parametrize(
    "change",
    [lambda values: values + 3, lambda values: 0.1 * values, lambda values: np.abs(values)],
    ids=["shift", "gain", "shape"],
)
def test_features_that_change_are_found_and_come_first(change):
    training, new = draw(120, seed=0), draw(80, seed=1)
    new[:, 20:30] = change(new[:, 20:30])
    table = compare_distributions(training, new, names_of(training))
    changed = {f"feature {number}" for number in range(20, 30)}
    assert set(table["feature"][:10]) == changed
    assert table["drifted"][:10].all() and table["drifted"][10:].sum() <= 1
    assert (table["p"].diff()[1:] >= 0).all()


def test_the_shift_is_in_deviations_of_the_training():
    generator = np.random.default_rng(0)
    training, new = generator.normal(10, 2, (4000, 1)), generator.normal(5, 9, (4000, 1))
    table = compare_distributions(training, new, ["pitch"])
    assert table["shift"][0] == pytest.approx(-2.5, abs=0.2)


@pytest.mark.parametrize("calls, new_calls", [(1, 1), (3, 20), (40, 40), (37, 100), (500, 300)])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_distance_and_p_are_those_of_scipy_column_by_column(calls, new_calls, digits):
    training, new = draw(calls, seed=2).round(digits), draw(new_calls, seed=3).round(digits)
    new += np.linspace(0, 2, 60).round(digits)
    method = "auto" if calls * new_calls <= EXACT_PAIRS else "asymp"
    table = compare_distributions(training, new, range(60)).sort_values("feature")
    expected = [stats.ks_2samp(training[:, i], new[:, i], method=method) for i in range(60)]
    assert table["ks"].tolist() == pytest.approx([each.statistic for each in expected])
    assert table["p"].tolist() == pytest.approx([each.pvalue for each in expected], rel=1e-6)
    adjusted = stats.false_discovery_control([each.pvalue for each in expected])
    assert table["adjusted_p"].tolist() == pytest.approx(adjusted, rel=1e-6)


@pytest.mark.parametrize(
    "training, new, shift, ks, drifted",
    [
        ([1.0] * 20, [1.0] * 20, 0, 0, False),
        ([1.0] * 20, [2.0] * 20, np.inf, 1, True),
        ([1.0] * 20, [0.0] * 20, -np.inf, 1, True),
        ([0.0, 2.0] * 10, [1.0] * 20, 0, 0.5, True),
        ([0.0, 2.0] * 10, [9.0] * 20 + [np.nan] * 5, 8, 1, True),
        ([0.0, 2.0, np.inf] * 10, [0.0, 2.0] * 10 + [-np.inf], 0, 0, False),
        ([np.nan] * 20, [1.0] * 20, np.nan, np.nan, False),
        ([1.0] * 20, [np.inf] * 20, np.nan, np.nan, False),
        ([1.0, 2.0], [], np.nan, np.nan, False),
    ],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_constant_and_missing_values_are_no_trouble(training, new, shift, ks, drifted, kind):
    columns = (np.array(values, dtype=kind).reshape(-1, 1) for values in (training, new))
    row = compare_distributions(*columns, ["energy_mean"]).iloc[0]
    assert row["shift"] == pytest.approx(shift, nan_ok=True)
    assert row["ks"] == pytest.approx(ks, nan_ok=True)
    assert row["drifted"] == drifted
    assert np.isnan(row["p"]) == np.isnan(row["adjusted_p"]) == np.isnan(ks)


def test_a_feature_that_cannot_be_compared_changes_no_other_and_comes_last():
    training, new = draw(50, seed=0), draw(50, seed=1)
    alone = compare_distributions(training, new, names_of(training))
    training = np.insert(training, 7, np.nan, axis=1)
    new = np.insert(new, 7, 0, axis=1)
    names = [f"feature {number}" for number in range(60)]
    both = compare_distributions(training, new, [*names[:7], "silent", *names[7:]])
    assert both["feature"].iloc[-1] == "silent"
    pd.testing.assert_frame_equal(both[:-1], alone)


def test_other_features_are_refused():
    with pytest.raises(ValueError, match="180 features in training, 60 in the new calls and 60"):
        compare_distributions(np.zeros((5, 180)), np.zeros((5, 60)), range(60))


def phone_calls(count: int, *, seed: int, change=lambda signal: signal) -> np.ndarray:
    voices = (make_voice(1.5, seed=seed + number) for number in range(count))
    return np.concatenate([phone_features([change(voice)], 8000) for voice in voices])


@pytest.fixture(scope="module")
def phone_training() -> np.ndarray:
    return phone_calls(30, seed=0)


def muffle(signal: np.ndarray) -> np.ndarray:
    """Take away what is above 1.5 kHz, as a bad line does."""
    low_pass = filters.butter(8, 1500, fs=8000, output="sos")
    return filters.sosfilt(low_pass, signal).astype(np.float32)


@pytest.mark.parametrize(
    "change, begins",
    [
        (lambda signal: signal, "no drift: 0 of 6968 features differ (25 calls)"),
        (lambda signal: 0.2 * signal, "no drift: 0 of 6968 features differ (25 calls)"),
        (muffle, "the new calls sound different: "),
    ],
    ids=["same", "quieter", "muffled"],
)
def test_a_bad_line_is_heard_and_a_quiet_one_is_none(phone_training, change, begins):
    new = phone_calls(25, seed=100, change=change)
    features = compare_distributions(phone_training, new, PHONE.names)
    verdicts = compare_verdicts(["average"] * 30, ["average"] * 25)
    assert describe_drift(features, verdicts, calls=25).startswith(begins)


def test_every_phone_feature_is_about_one_sound():
    table = pd.DataFrame({"feature": PHONE.names, "drifted": True})
    sounds = summarise_sounds(table)
    assert sounds["features"].sum() == len(PHONE.names)
    assert set(sounds["sound"]) == {*SOUNDS} - {"emotions"}


def test_sounds_count_their_features():
    rows = [
        ("energy_mean", True),
        ("energy_p95_against_call", False),
        ("mel_01_mean", False),
        ("mel_13_with_x", False),
        ("mel_14_mean", True),
        ("mel_40_mean", False),
        ("emotion_anger_mean", False),
        ("f0", True),
    ]
    table = summarise_sounds(pd.DataFrame(rows, columns=["feature", "drifted"]))
    found = {row.sound: (row.features, row.drifted, row.share) for row in table.itertuples()}
    assert found == {
        "middle tones": (1, 1, 1),
        OTHER_SOUND: (1, 1, 1),
        "loudness": (2, 1, 0.5),
        "low tones": (2, 0, 0),
        "high tones": (1, 0, 0),
        "emotions": (1, 0, 0),
    }
    assert table["share"].is_monotonic_decreasing


def verdicts_of(satisfied: int, average: int, unsatisfied: int) -> list[str]:
    return [*np.repeat(STATUSES, [satisfied, average, unsatisfied])]


def test_shares_of_verdicts_by_hand():
    table, p = compare_verdicts(verdicts_of(2, 1, 1), verdicts_of(0, 5, 5))
    assert table["status"].tolist() == list(STATUSES)
    assert table["training"].tolist() == [0.5, 0.25, 0.25]
    assert table["new"].tolist() == [0, 0.5, 0.5]
    assert table["difference"].tolist() == [-0.5, 0.25, 0.25]
    assert 0 < p < 1


@pytest.mark.parametrize(
    "training, new",
    [
        ((60, 50, 40), (50, 50, 50)),
        ((100, 80, 60), (40, 40, 50)),
        ((200, 10, 10), (180, 30, 25)),
    ],
)
def test_with_many_calls_the_p_of_verdicts_is_that_of_chi_square(training, new):
    counts = np.array([training, new])
    expected = stats.chi2_contingency(counts[:, counts.any(axis=0)], correction=False).pvalue
    p = compare_verdicts(verdicts_of(*training), verdicts_of(*new)).p
    assert p == pytest.approx(expected, abs=0.02)
    assert p == compare_verdicts(verdicts_of(*training), verdicts_of(*new)).p


@pytest.mark.parametrize(
    "training, new", [((50, 50), (40, 60)), ((9, 1), (5, 5)), ((4, 4), (8, 0))]
)
def test_with_few_calls_and_two_statuses_it_is_that_of_fisher(training, new):
    p = compare_verdicts(verdicts_of(*training, 0), verdicts_of(*new, 0)).p
    assert p == pytest.approx(stats.fisher_exact([training, new]).pvalue, abs=0.01)


@pytest.mark.parametrize("calls, new_calls", [(30, 10), (60, 30)])
def test_like_verdicts_rarely_differ(calls, new_calls):
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        drawn = generator.choice(STATUSES, calls + new_calls, p=[0.7, 0.2, 0.1])
        alarms += compare_verdicts(drawn[:calls], drawn[calls:]).p < 0.05
    assert alarms <= alarms_allowed(100)


@pytest.mark.parametrize(
    "training, new, p",
    [
        (verdicts_of(5, 0, 0), verdicts_of(9, 0, 0), 1),
        (verdicts_of(40, 0, 0), verdicts_of(0, 0, 40), 0.0001),
        (verdicts_of(5, 5, 5), [], np.nan),
        ([], verdicts_of(5, 5, 5), np.nan),
    ],
)
def test_the_p_of_verdicts_at_its_ends(training, new, p):
    assert compare_verdicts(training, new).p == pytest.approx(p, nan_ok=True)


def test_an_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match=r"verdicts are \['angry'\], expected some of"):
        compare_verdicts(["average"], ["angry"])


def drifted(**counts: tuple[int, int]) -> pd.DataFrame:
    """Features by the beginning of their names: how many drifted, of how many."""
    rows = [
        (f"{name}_{number}", number < some)
        for name, (some, of) in counts.items()
        for number in range(of)
    ]
    return pd.DataFrame(rows, columns=["feature", "drifted"])


SAME = compare_verdicts(verdicts_of(10, 10, 10), verdicts_of(10, 10, 10))
WORSE = compare_verdicts(verdicts_of(300, 300, 200), verdicts_of(60, 60, 80))


@pytest.mark.parametrize(
    "features, verdicts, calls, sentence",
    [
        (drifted(energy=(9, 9)), WORSE, 4, "too few new calls (4) to tell: 20 are needed"),
        (
            drifted(energy=(0, 9)),
            SAME,
            412,
            "no drift: 0 of 9 features differ (412 calls), verdicts as in training",
        ),
        (
            drifted(energy=(0, 9)),
            VerdictDrift(SAME.table, float("nan")),
            LEAST_CALLS,
            "no drift: 0 of 9 features differ (20 calls), verdicts as in training",
        ),
        (
            drifted(energy=(3, 9), pitch=(4, 8), cepstrum_01=(1, 90)),
            SAME,
            50,
            "the new calls sound different: 8 of 107 features differ (50 calls), most of all pitch "
            "(4 of 8) and loudness (3 of 9); verdicts as in training: check the line or retrain",
        ),
        (
            drifted(energy=(3, 9), pitch=(0, 8)),
            WORSE,
            200,
            "the new calls sound different: 3 of 17 features differ (200 calls), most of all "
            "loudness (3 of 9); more unsatisfied than in training (40 % against 25 %): check the "
            "line or retrain",
        ),
        (
            drifted(energy=(0, 9)),
            WORSE,
            200,
            "the new calls sound as in training: 0 of 9 features differ (200 calls); but more "
            "unsatisfied than in training (40 % against 25 %): listen to some of them, and retrain "
            "if the verdicts are wrong",
        ),
    ],
    ids=["too few", "none", "no verdicts", "sound", "both", "verdicts"],
)
def test_drift_is_told_in_one_sentence(features, verdicts, calls, sentence):
    assert describe_drift(features, verdicts, calls=calls) == sentence


def judged(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["judged_at", "model", "expected", "end_status", "counted"])


def test_scores_by_week_and_version_by_hand():
    table = scores_over_time(
        judged(
            ("2025-01-06T10:00:00", "v10", "average", "average", True),
            ("2025-01-05T23:59:59", "v9", "average", "satisfied", True),
            ("2024-12-30T00:00:00", "v9", "average", "average", True),
            ("2025-01-01T00:00:00Z", "v9", "satisfied", "satisfied", True),
            ("2025-01-06T09:00:00.5", "v9", "unsatisfied", "average", True),
            ("2025-01-06T09:00:01+00:00", "v9", "unsatisfied", "unsatisfied", False),
        )
    )
    assert table.to_dict("split")["data"] == [
        ["2025-W01", "v9", 3, pytest.approx(2 / 3), 0.75],
        ["2025-W02", "v9", 1, 0, 0],
        ["2025-W02", "v10", 1, 1, 1],
    ]
    assert list(table) == ["week", "model", "calls", "accuracy", "uar"]


def test_a_time_zone_is_brought_to_utc():
    row = ("2025-01-06T00:30:00+01:00", "v1", "average", "average", True)
    assert scores_over_time(judged(row))["week"].tolist() == ["2025-W01"]


def test_no_counted_call_gives_no_score():
    row = ("2025-01-06T00:30:00", "v1", "average", "average", False)
    for predictions in (judged(row), judged()):
        table = scores_over_time(predictions)
        assert table.empty and list(table) == ["week", "model", "calls", "accuracy", "uar"]


@pytest.mark.parametrize("time", ["", "yesterday", "14.02.2025 09:30"])
def test_a_time_that_cannot_be_read_is_named(time):
    with pytest.raises(TableError, match=f"judged_at holds '{time}', expected .* correct the cell"):
        scores_over_time(judged((time, "v1", "average", "average", True)))
