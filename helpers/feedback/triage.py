"""Triage: what is behind an answer that differs from the verdict, before anything is learned."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from helpers.records import CLUSTER
from helpers.statuses import STATUSES

AGREES = "agrees"
MODEL_ERROR = "model error"
WRONG_LABEL = "likely wrong label"
AMBIGUOUS = "ambiguous"
BAD_AUDIO = "bad audio"
CONTRADICTION = "contradicting batch"
CONFIRMED = "confirmed"
"""What a call's answer and verdict come to. `CONFIRMED`: a person decided on the status."""

LEARNED = (MODEL_ERROR, CONFIRMED, AGREES)
"""What may enter the training data."""

REVIEWED = (WRONG_LABEL, AMBIGUOUS, BAD_AUDIO, CONTRADICTION)
"""What goes to the review list."""

WRONG, DOUBTFUL = 0.5, 0.25
"""Probabilities of a wrong answer from which on it is likely wrong, and ambiguous."""

PRIOR_ANSWERS, PRIOR_WRONG = 10, 0.1
"""Before any answer is seen, one in ten is taken to be wrong, with the weight of ten answers."""

BATCH = 5
"""Fewer new calls at once are no batch; each is judged by itself."""

CHANCE = 0.001
"""A batch that agrees with the model so rarely would come up less often than this by chance."""

SHORTFALL = 2 / 3
"""It agrees less often than this share of what is promised too: in hundreds of calls chance leaves
little room, and the usual few wrong answers would pass for a mix-up."""

ROUNDS = 200
"""Rounds of the estimate of how many answers are wrong; it settles long before."""


class LabelErrors(NamedTuple):
    """How likely each answer is wrong.

    Attributes:
        probabilities: shape (calls,)
        rate: share of answers that are wrong, as estimated
    """

    probabilities: np.ndarray
    rate: float


def estimate_label_errors(probabilities: np.ndarray, answers: np.ndarray) -> LabelErrors:
    """Estimate how likely each answer is wrong.

    An answer is taken to be right, or with the same small rate for everybody to be one of the
    other statuses. The rate is estimated from all answers at once by expectation maximisation,
    each answer's probability follows by Bayes' rule (Dawid & Skene 1979, with the model as the
    second observer; in the manner of confident learning, Northcutt et al. 2021).

    Args:
        probabilities: calibrated, of models that have not learned from the call; shape (calls, 3)
        answers: statuses, shape (calls,)

    Returns:
        probabilities of being wrong, and the rate
    """
    answered = np.array([STATUSES.index(answer) for answer in answers], dtype=int)
    right = probabilities[np.arange(len(answered)), answered]
    others = len(STATUSES) - 1
    rate, wrong = PRIOR_WRONG, np.zeros(len(answered))
    for _ in range(ROUNDS):
        if_wrong = rate / others * (1 - right)
        wrong = if_wrong / (if_wrong + (1 - rate) * right + 1e-12)
        rate = (wrong.sum() + PRIOR_ANSWERS * PRIOR_WRONG) / (len(answered) + PRIOR_ANSWERS)
    return LabelErrors(wrong, float(rate))


def contradicts(probabilities: np.ndarray, answers: np.ndarray) -> bool:
    """Whether a batch of answers as a whole contradicts the model.

    It is tested whether answers and verdicts agree less often than calibrated probabilities
    promise, by more than `CHANCE` and `SHORTFALL` allow: swapped columns or a form filled in at
    random look like this, one wrong answer in five does not.

    Args:
        probabilities: calibrated, of a model that has not learned from the calls; shape (calls, 3)
        answers: statuses, shape (calls,)
    """
    if len(answers) < BATCH:
        return False
    agree = int((np.array(STATUSES)[probabilities.argmax(axis=1)] == answers).sum())
    promised = float(probabilities.max(axis=1).mean())
    chance = binomtest(agree, len(answers), promised, alternative="less").pvalue
    return bool(chance < CHANCE and agree < SHORTFALL * promised * len(answers))


def triage(calls: pd.DataFrame, probabilities: np.ndarray, *, known: np.ndarray) -> pd.DataFrame:
    """Say what is behind each answer.

    What was decided in an earlier run stays, unless the answer has changed since or a person has
    decided: a call is judged by the evidence of its own time, and a run with nothing new changes
    nothing.

    Args:
        calls: with the columns `expected` (answer), `end_status` (verdict), `faults` (of the
            sound), `confirmed` (a person has decided) and the earlier `cause, label_error,
            triaged_as`, empty where it is new
        probabilities: calibrated, given before the model learned from the call; shape (calls, 3)
        known: which calls may be evidence for the rate of wrong answers, shape (calls,), bool

    Returns:
        the calls with `cause`, `label_error` and `triaged_as`
    """
    answers = calls["expected"].to_numpy(dtype=str)
    new = known & (calls["triaged_as"] != calls["expected"]).to_numpy()
    confirmed = calls["confirmed"].to_numpy(dtype=bool)
    new |= known & (calls["cause"] == CONFIRMED).to_numpy() & ~confirmed
    usual = new | (known & ~calls["cause"].isin([CONTRADICTION, CONFIRMED]).to_numpy())
    errors = np.zeros(len(calls))
    errors[usual] = estimate_label_errors(probabilities[usual], answers[usual]).probabilities
    contradicting = np.full(len(calls), contradicts(probabilities[new], answers[new]))
    agrees = (calls["end_status"] == calls["expected"]).to_numpy()
    tests = {
        BAD_AUDIO: (calls["faults"] != "").to_numpy(),
        CONFIRMED: confirmed,
        CONTRADICTION: contradicting,
        AGREES: agrees,
        WRONG_LABEL: errors >= WRONG,
        AMBIGUOUS: errors >= DOUBTFUL,
    }
    cause = np.select(list(tests.values()), list(tests), MODEL_ERROR)
    return calls.assign(
        cause=np.where(new | (known & confirmed), cause, calls["cause"]),
        label_error=np.where(new, errors.round(4), calls["label_error"]),
        triaged_as=np.where(new, answers, calls["triaged_as"]),
    )


def triage_clusters(
    calls: pd.DataFrame, probabilities: np.ndarray, *, known: np.ndarray
) -> pd.DataFrame:
    """Say what is behind each name that a call has from its cluster, see `triage`.

    Nobody has heard most of these calls, and a cluster may follow lines as well as moods: a name
    that differs from the verdict is never taken for an error of the model, but is at best ambiguous
    and for a person to listen to. Give these calls apart from those that people answered about, so
    that neither is evidence about the other.
    """
    table = triage(calls, probabilities, known=known)
    return table.assign(cause=table["cause"].replace(MODEL_ERROR, AMBIGUOUS))


def may_be_learned(calls: pd.DataFrame) -> np.ndarray:
    """Say which triaged calls enter the training data.

    Those the model was wrong about, those a person has decided on, and, where there is one of
    them, the calls whose answer the verdict agrees with: learning from contradictions alone would
    teach the model that it is always wrong. The name of a cluster is learned only where the verdict
    agrees with it, so that no name makes other calls be learned. A learned name that is taken away
    or no longer agrees leaves the training data again, and that alone causes a training without it.

    Args:
        calls: with the columns `cause` and `mismatch`

    Returns:
        shape (calls,), bool
    """
    learned = calls["cause"].isin(LEARNED)
    return (learned & (learned & calls["mismatch"]).any()).to_numpy(dtype=bool)


def describe_cause(call) -> str:
    """Say in a sentence why a call is on the review list.

    Args:
        call: row of the triaged table, as `itertuples` gives it
    """
    if call.source == CLUSTER:
        return _describe_cluster_cause(call)
    answered = f"answered {call.expected}, sounds {call.end_status}"
    return {
        WRONG_LABEL: f"{answered}: the answer is wrong with a probability of "
        f"{call.label_error:.0%}. Listen and decide",
        AMBIGUOUS: f"{answered}: hard to tell (wrong answer: {call.label_error:.0%}). A second "
        "person should listen",
        BAD_AUDIO: f"the sound cannot be relied on: {call.faults}",
        CONTRADICTION: f"{answered}: the answers of its whole batch contradict the model more than "
        "chance allows. Check whether columns or people were mixed up, then decide",
    }.get(call.cause, "")


def _describe_cluster_cause(call) -> str:
    named = (
        f"sounds {call.end_status}, but its cluster was named {call.expected}; nobody has listened "
        "to this call"
    )
    return {
        WRONG_LABEL: f"{named}. The name is wrong for it with a probability of "
        f"{call.label_error:.0%}. Listen and decide",
        AMBIGUOUS: f"{named}. Listen and decide",
        BAD_AUDIO: f"the sound cannot be relied on: {call.faults}; its status, {call.expected}, is "
        "only its cluster's name",
        CONTRADICTION: f"{named}. The names of the clusters as a whole contradict the model more "
        "than chance allows: listen to the nearest calls again and correct cluster_names.csv",
    }.get(call.cause, "")
