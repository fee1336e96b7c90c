"""The gate: whether a newly trained model may judge calls in place of the present one."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.evaluation import draw_groups, unweighted_average_recall
from helpers.feedback.golden import FEW
from helpers.statuses import STATUSES

RISK, NEGLIGIBLE = 0.1, 0.005
"""The challenger's probabilities may be worse by more than the second in this share of draws."""

RECALL_LIMIT = 0.1
"""No status may be recognised less often by more than this."""

GROUP_LIMIT = 0.1
"""In no group may accuracy drop by more than this."""

GROUP_CALLS = 10
"""Groups with fewer golden calls are shown, but are too small to stop a promotion."""

GROUPS = ("agent", "gender", "line")
"""Columns by which calls are grouped."""


class Comparison(NamedTuple):
    """What the golden set says about challenger and champion.

    Attributes:
        table: one row per figure: `what`, `before` (champion), `after` (challenger), `low` and
            `high` (95 % interval of the difference where it was drawn), `limit` (drop that is
            allowed, `nan` where none is set) and `passed`
        reasons: sentences: why the challenger is refused, or why it is not
        groups: see `score_groups`
    """

    table: pd.DataFrame
    reasons: list[str]
    groups: list[dict[str, object]]

    @property
    def passed(self) -> bool:
        """Whether the challenger may become the champion."""
        return bool(len(self.table)) and bool(self.table["passed"].all())


def compare_models(
    champion: np.ndarray, challenger: np.ndarray, golden: pd.DataFrame, *, seed: int = 0
) -> Comparison:
    """Compare two models on calls that neither has learned from.

    The challenger passes where on these calls its UAR is not lower; in a paired bootstrap over
    whole customers its probabilities are worse, by more than is `NEGLIGIBLE`, in at most `RISK`
    of the draws; no status loses more than `RECALL_LIMIT` of its recall; and no group of
    `GROUP_CALLS` calls or more loses more than `GROUP_LIMIT` of its accuracy. Probabilities are
    scored by the ranked probability score (Epstein 1969; Murphy 1971), because statuses are ordered
    and because a few dozen calls tell two models apart by their probabilities long before they do
    by their verdicts.

    Args:
        champion: its calibrated probabilities, shape (calls, 3)
        challenger: likewise
        golden: the calls, with the columns `status, customer, content_hash` and `GROUPS`
        seed: of the draws

    Returns:
        the comparison; one without rows, which does not pass, where there is no call
    """
    if golden.empty:
        return Comparison(
            _tabulate([]),
            ["There is no golden set to judge it on: more customers are needed, two per status."],
            [],
        )
    missing = [status for status in STATUSES if status not in set(golden["status"])]
    if missing:
        reason = f"The golden set has no {' and no '.join(missing)} call to compare them on."
        return Comparison(_tabulate([]), [reason], [])
    true = golden["status"].to_numpy(dtype=str)
    before, after = (np.array(STATUSES)[each.argmax(axis=1)] for each in (champion, challenger))
    groups = score_groups(golden, champion, challenger)
    draws = _draw_differences(champion, challenger, golden, seed)
    rows = [
        _compare_uar(true, before, after, draws[:, 0]),
        _compare_skill(champion, challenger, true, draws[:, 1]),
        *_compare_recalls(true, before, after),
        *_compare_groups(groups),
    ]
    table = _tabulate(rows)
    failed = table[~table["passed"]]
    reasons = [_explain(row) for row in failed.itertuples()] or [_praise(table)]
    if len(golden) < FEW:
        reasons.append(f"The golden set has {len(golden)} calls; below {FEW} it says little.")
    return Comparison(table, reasons, groups)


def score_probabilities(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Score each call's probabilities: 1 where the true status has all, 0 where the opposite has.

    One minus the ranked probability score (Epstein 1969).

    Args:
        probabilities: shape (calls, 3), in the order of `STATUSES`
        labels: statuses

    Returns:
        shape (calls,)
    """
    true = np.array([STATUSES.index(label) for label in labels])
    happened = np.arange(len(STATUSES)) >= true[:, None]
    distance = np.cumsum(probabilities, axis=1) - happened
    return 1 - (distance[:, :-1] ** 2).mean(axis=1)


def score_groups(
    golden: pd.DataFrame, before: np.ndarray | None, after: np.ndarray
) -> list[dict[str, object]]:
    """Give the accuracy in each group of calls.

    Args:
        golden: with the columns `status` and `GROUPS`
        before: probabilities of an earlier model, shape (calls, 3), where there is one
        after: of a later one

    Returns:
        for each group of a known name `group, name, calls, before` (`None` without) and `after`
    """
    true, groups = golden["status"].to_numpy(dtype=str), []
    right = [
        None if each is None else np.array(STATUSES)[each.argmax(axis=1)] == true
        for each in (before, after)
    ]
    for column in GROUPS:
        names = golden[column].to_numpy(dtype=str)
        for name in sorted(set(names.tolist()) - {""}):
            rows = names == name
            scores = [
                None if each is None else round(float(each[rows].mean()), 4) for each in right
            ]
            group = {"group": column, "name": name, "calls": int(rows.sum())}
            groups.append({**group, "before": scores[0], "after": scores[1]})
    return groups


def _draw_differences(
    champion: np.ndarray, challenger: np.ndarray, golden: pd.DataFrame, seed: int
) -> np.ndarray:
    """Draw customers with replacement: differences of UAR and of the skill, shape (draws, 2)."""
    true = golden["status"].to_numpy(dtype=str)
    groups = golden["customer"].where(golden["customer"] != "", golden["content_hash"])
    right = [
        (np.array(STATUSES)[each.argmax(axis=1)] == true).astype(float)
        for each in (champion, challenger)
    ]
    skill = [score_probabilities(each, true) for each in (champion, challenger)]
    gains = np.stack([right[1] - right[0], skill[1] - skill[0]], axis=1)
    return np.array([_balance(gains[rows], true[rows]) for rows in draw_groups(groups, seed=seed)])


def _balance(values: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Average over calls of each status that occurs, then over statuses."""
    return np.mean([values[true == status].mean(axis=0) for status in np.unique(true)], axis=0)


def _compare_uar(
    true: np.ndarray, before: np.ndarray, after: np.ndarray, draws: np.ndarray
) -> dict[str, object]:
    scores = [unweighted_average_recall(true, each) for each in (before, after)]
    return _row("UAR", *scores, draws=draws, limit=0.0)


def _compare_skill(
    champion: np.ndarray, challenger: np.ndarray, true: np.ndarray, draws: np.ndarray
) -> dict[str, object]:
    scores = [_balance(score_probabilities(each, true), true) for each in (champion, challenger)]
    passed = float((draws < -NEGLIGIBLE).mean()) <= RISK
    return {**_row("probabilities", *scores, draws=draws), "passed": passed}


def _compare_recalls(
    true: np.ndarray, before: np.ndarray, after: np.ndarray
) -> Iterator[dict[str, object]]:
    for status in STATUSES:
        of_status = true == status
        if of_status.any():
            recalls = [float((each[of_status] == status).mean()) for each in (before, after)]
            yield _row(f"recall {status}", *recalls, limit=RECALL_LIMIT)


def _compare_groups(groups: list[dict[str, object]]) -> Iterator[dict[str, object]]:
    for group in groups:
        calls = group["calls"]
        limit = GROUP_LIMIT if calls >= GROUP_CALLS else np.nan
        unit = "call" if calls == 1 else "calls"
        what = f"{group['group']} {group['name']} ({calls} {unit})"
        yield _row(what, group["before"], group["after"], limit=limit)


def _row(
    what: str,
    before: float,
    after: float,
    *,
    draws: np.ndarray | None = None,
    limit: float = np.nan,
) -> dict[str, object]:
    low, high = (np.nan, np.nan) if draws is None else np.percentile(draws, [2.5, 97.5])
    passed = bool(np.isnan(limit) or before - after <= limit + 1e-9)
    figures = {"before": before, "after": after, "low": low, "high": high}
    figures = {name: round(float(value), 4) for name, value in figures.items()}
    return {"what": what, **figures, "limit": limit, "passed": passed}


def _tabulate(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["what", "before", "after", "low", "high", "limit", "passed"])


def _explain(row) -> str:
    if row.what == "probabilities":
        return (
            f"Drawing customers anew, its probabilities are worse in more than {RISK:.0%} of the "
            f"draws (score {row.before:.3f} before, {row.after:.3f} after)."
        )
    allowed = f", a drop of at most {row.limit:.2f} is allowed" if row.limit else ""
    what = row.what[0].upper() + row.what[1:]
    return f"{what} falls from {row.before:.3f} to {row.after:.3f}{allowed}."


def _praise(table: pd.DataFrame) -> str:
    uar, skill = table.iloc[0], table.iloc[1]
    return (
        f"UAR on the golden set {uar.before:.2f} before, {uar.after:.2f} after (difference "
        f"{uar.low:+.2f} to {uar.high:+.2f}); probabilities {skill.before:.3f} before, "
        f"{skill.after:.3f} after; no status and no group of {GROUP_CALLS} calls falls beyond "
        "the limits."
    )
