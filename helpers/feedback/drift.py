"""Whether new calls still sound, and are judged, as the calls a model was trained on."""

import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import TableError
from helpers.evaluation import unweighted_average_recall
from helpers.statuses import STATUSES

LEVEL = 0.05
"""Share of comparisons without any drift that may be called drift all the same."""

LEAST_CALLS = 20
"""New calls below which nothing is said about drift."""

EXACT_PAIRS = 100_000
"""Training calls times new calls up to which the exact Kolmogorov-Smirnov p is computed."""

RESAMPLES = 9999
"""Random tables behind the p of the verdicts, so that it is 0.0001 at least."""

SOUNDS = {
    "low tones": r"mel_(0\d|1[0-3])_",
    "middle tones": r"mel_(1[4-9]|2[0-7])_",
    "high tones": r"mel_(2[89]|3\d|40)_",
    "timbre": r"cepstrum_",
    "brightness": r"(centroid|spread|rolloff|entropy|flux|low_to_high|zero_crossings)_",
    "loudness": r"energy_",
    "pitch": r"pitch_",
    "clearness of the voice": r"harmonicity_",
    "pauses": r"(voiced|pause|duration)_",
    "rhythm": r"rhythm_",
    "emotions": r"emotion_",
}
"""What features are about, by how their names begin; the tones part at about 700 and 1900 Hz."""

OTHER_SOUND = "other"
"""What features of any other name are about."""

_BLOCK = 500


class VerdictDrift(NamedTuple):
    """How often each status was the verdict, in training and in new calls.

    Attributes:
        table: one row per status, best first, with the columns `status, training, new,
            difference`: shares, `nan` without calls, and new less training
        p: probability of shares at least as different by chance; `nan` without calls on a side
    """

    table: pd.DataFrame
    p: float


def compare_distributions(
    training: np.ndarray, new: np.ndarray, names: Sequence[str], *, level: float = LEVEL
) -> pd.DataFrame:
    """Compare every feature of new calls with the training's by a Kolmogorov-Smirnov test.

    The p are adjusted for the number of features (Benjamini and Hochberg 1995), so that among like
    calls no feature at all is said to drift in `1 - level` of the comparisons. That holds for one
    call per customer: with six calls of each of 20 real speakers, 15 to 20 % found drift among
    like calls. Values that are not finite are left out; a feature without any on a side has `nan`
    everywhere and has not drifted.

    Args:
        training: shape (calls, features)
        new: shape (calls, features)
        names: of the features
        level: adjusted p from which downwards a feature has drifted

    Returns:
        one row per feature, worst first, with the columns `feature`, `shift` (difference of the
        medians in standard deviations of the training; infinite where the training never varied),
        `ks` (largest distance of the cumulative distributions, 0 to 1), `p`, `adjusted_p` and
        `drifted`

    Raises:
        ValueError: where the numbers of features differ
    """
    if not training.shape[1] == new.shape[1] == len(names):
        raise ValueError(
            f"{training.shape[1]} features in training, {new.shape[1]} in the new calls and "
            f"{len(names)} names, expected the same number: describe both by one feature set"
        )
    width = len(names)
    blocks = [slice(start, start + _BLOCK) for start in range(0, width, _BLOCK)]
    found = [_compare(training[:, block], new[:, block]) for block in blocks]
    shift, ks, p = np.concatenate(found, axis=1) if found else np.empty((3, 0))
    adjusted = np.full(width, np.nan)
    known = np.isfinite(p)
    adjusted[known] = stats.false_discovery_control(p[known]) if known.any() else []
    columns = {"feature": list(names), "shift": shift, "ks": ks, "p": p, "adjusted_p": adjusted}
    table = pd.DataFrame({**columns, "drifted": adjusted <= level})
    return table.iloc[np.lexsort((-np.abs(shift), -ks, p))].reset_index(drop=True)


def compare_verdicts(training: Sequence[str], new: Sequence[str]) -> VerdictDrift:
    """Compare how often each status was the verdict.

    The p is that of Pearson's chi-square among random tables with the same sums, not its
    asymptotic one, so that it holds for few calls too (Hope 1968).

    Args:
        training: verdict of each call of the training
        new: verdict of each new call

    Returns:
        the shares and their p; the same verdicts give the same p

    Raises:
        ValueError: where a verdict is none of `STATUSES`
    """
    unknown = sorted({*training, *new} - {*STATUSES})
    if unknown:
        raise ValueError(f"verdicts are {unknown}, expected some of {list(STATUSES)}")
    sides = {"training": pd.Series(training, dtype=str), "new": pd.Series(new, dtype=str)}
    counts = pd.DataFrame(
        {side: verdicts.value_counts().reindex(STATUSES) for side, verdicts in sides.items()}
    ).fillna(0)
    shares = (counts / counts.sum()).assign(
        difference=lambda table: table["new"] - table["training"]
    )
    table = shares.rename_axis("status").reset_index()
    return VerdictDrift(table, _permutation_p(counts.to_numpy(dtype=int)))


def summarise_sounds(features: pd.DataFrame) -> pd.DataFrame:
    """Count the features that drifted by what they are about.

    Args:
        features: as `compare_distributions` gives it

    Returns:
        one row per key of `SOUNDS` that occurs, the largest share first, with the columns `sound,
        features, drifted, share`
    """
    sounds = features["feature"].map(_sound_of)
    table = features["drifted"].groupby(sounds).agg(["size", "sum"]).reset_index()
    table.columns = ["sound", "features", "drifted"]
    table["share"] = table["drifted"] / table["features"]
    return table.sort_values("share", ascending=False, kind="stable", ignore_index=True)


def describe_drift(features: pd.DataFrame, verdicts: VerdictDrift, *, calls: int) -> str:
    """Say in one sentence whether there is drift, in what, and what to do.

    Args:
        features: as `compare_distributions` gives it
        verdicts: as `compare_verdicts` gives it; they differ where their p is below `LEVEL`
        calls: number of new calls
    """
    if calls < LEAST_CALLS:
        return f"too few new calls ({calls}) to tell: {LEAST_CALLS} are needed"
    drifted = int(features["drifted"].sum())
    differ = f"{drifted} of {len(features)} features differ ({calls} calls)"
    moved = _describe_verdicts(verdicts)
    if drifted:
        sounds = " and ".join(
            f"{row.sound} ({row.drifted} of {row.features})"
            for row in summarise_sounds(features).head(2).query("drifted > 0").itertuples()
        )
        return (
            f"the new calls sound different: {differ}, most of all {sounds}; "
            f"{moved or 'verdicts as in training'}: check the line or retrain"
        )
    if moved:
        return (
            f"the new calls sound as in training: {differ}; but {moved}: listen to some of them, "
            "and retrain if the verdicts are wrong"
        )
    return f"no drift: {differ}, verdicts as in training"


def scores_over_time(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score the verdicts of each week and model version.

    Args:
        predictions: one row per judged call with the columns `judged_at` (ISO date and time, UTC),
            `model`, `expected`, `end_status` and `counted`, without which a row is left out

    Returns:
        one row per ISO week and version, sorted by time, with the columns `week` (`2025-W07`),
        `model, calls, accuracy, uar`

    Raises:
        TableError: where a time cannot be read
    """
    rows = predictions[predictions["counted"].astype(bool)]
    times = pd.to_datetime(rows["judged_at"], utc=True, format="ISO8601", errors="coerce")
    if times.isna().any():
        raise TableError(
            f"judged_at holds {rows['judged_at'][times.isna()].iloc[0]!r}, expected a date and "
            "time such as 2025-02-14T09:30:00: correct the cell or delete its row"
        )
    weeks = times.dt.strftime("%G-W%V")
    scores = [
        {
            "week": week,
            "model": model,
            "calls": len(group),
            "accuracy": float((group["expected"] == group["end_status"]).mean()),
            "uar": unweighted_average_recall(group["expected"], group["end_status"]),
            "first": times[group.index].min(),
        }
        for (week, model), group in rows.groupby([weeks, "model"])
    ]
    columns = ["week", "model", "calls", "accuracy", "uar", "first"]
    table = pd.DataFrame(scores, columns=columns).sort_values("first", ignore_index=True)
    return table.drop(columns="first")


def _compare(training: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Give shift, distance and p of each feature, shape (3, features)."""
    training, new = (
        np.where(np.isfinite(side), side, np.nan).astype(np.float64) for side in (training, new)
    )
    counts = [np.isfinite(side).sum(axis=0) for side in (training, new)]
    gaps = _largest_gaps(training, new, counts)
    found = np.full((3, training.shape[1]), np.nan)
    known = np.minimum(*counts) > 0
    found[0, known] = _shift(training[:, known], new[:, known])
    p_by_gap: dict[tuple[int, int, int], float] = {}
    for column in np.flatnonzero(known):
        key = (int(counts[0][column]), int(counts[1][column]), int(gaps[column]))
        if key not in p_by_gap:
            p_by_gap[key] = _kolmogorov_smirnov_p(training[:, column], new[:, column])
        found[1:, column] = key[2] / (key[0] * key[1]), p_by_gap[key]
    return found


def _largest_gaps(
    training: np.ndarray, new: np.ndarray, counts: Sequence[np.ndarray]
) -> np.ndarray:
    """Give the Kolmogorov-Smirnov distance times both numbers of calls, a whole number."""
    values = np.concatenate([training, new]).T
    order = np.argsort(values, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    steps = np.where(order < len(training), counts[1][:, None], -counts[0][:, None])
    gaps = np.abs(np.cumsum(np.where(np.isnan(values), 0, steps), axis=1))
    last_of_equals = values[:, 1:] != values[:, :-1]
    return np.max(gaps[:, :-1] * last_of_equals, axis=1, initial=0)


def _kolmogorov_smirnov_p(training: np.ndarray, new: np.ndarray) -> float:
    training, new = (side[np.isfinite(side)] for side in (training, new))
    method = "auto" if len(training) * len(new) <= EXACT_PAIRS else "asymp"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "ks_2samp: Exact calculation unsuccessful")
        return float(stats.ks_2samp(training, new, method=method).pvalue)


def _shift(training: np.ndarray, new: np.ndarray) -> np.ndarray:
    difference = np.nanmedian(new, axis=0) - np.nanmedian(training, axis=0)
    varies = np.nanmax(training, axis=0) > np.nanmin(training, axis=0)
    shift = np.where(difference == 0, 0, np.copysign(np.inf, difference))
    return np.divide(difference, np.nanstd(training, axis=0), out=shift, where=varies)


def _permutation_p(counts: np.ndarray) -> float:
    statuses, sides = (counts.sum(axis=axis) for axis in (1, 0))
    if not sides.all():
        return float("nan")
    met = statuses > 0
    expected = np.outer(statuses[met], sides) / sides.sum()
    tables = stats.random_table(statuses[met], sides, seed=0).rvs(RESAMPLES)
    observed, drawn = (
        np.sum((each - expected) ** 2 / expected, axis=(-2, -1)) for each in (counts[met], tables)
    )
    return float((1 + np.sum(drawn >= observed * (1 - 1e-9))) / (1 + RESAMPLES))


def _sound_of(feature: str) -> str:
    return next((sound for sound, name in SOUNDS.items() if re.match(name, feature)), OTHER_SOUND)


def _describe_verdicts(verdicts: VerdictDrift) -> str:
    if not verdicts.p < LEVEL:
        return ""
    row = verdicts.table.loc[verdicts.table["difference"].idxmax()]
    new, training = (f"{100 * row[side]:.0f} %" for side in ("new", "training"))
    return f"more {row['status']} than in training ({new} against {training})"
