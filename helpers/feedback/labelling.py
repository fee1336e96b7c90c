"""What to label next: which calls teach the most, and the link to answer for each."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler, normalize

from helpers.duplicates import DUPLICATE_CORRELATION
from helpers.errors import FormError
from helpers.statuses import STATUSES

CALL_PLACE = "CALL_ID"
"""What stands in the form's link where the name of the call shall be."""

FORMS_SITE = "https://docs.google.com/"
"""What the link of every Google form begins with."""


def rank_unlabelled(
    calls: pd.DataFrame,
    probabilities: np.ndarray,
    *,
    features: np.ndarray | None = None,
    link: str = "",
    count: int = 20,
) -> pd.DataFrame:
    """List the calls without a label that teach the most, most informative first.

    A call's worth is how close its two likeliest statuses are (margin sampling, Settles 2009),
    times its cosine distance from the nearest call above it on the list, so that the list does
    not ask the same again and again (Brinker 2003). A near-copy of a call on the list is left out.

    Args:
        calls: one row per call without a label, with the column `path`
        probabilities: shape (calls, 3), calibrated, in the order of `STATUSES`
        features: shape (calls, features), finite, in any units; without them only the
            probabilities count
        link: of the form, see `prefill_link`
        count: number of calls to list at most

    Returns:
        one row per listed call with the columns `call` (its path), `verdict, confidence`
        (probability of the verdict), `informativeness` (0: certain, or known from a call above;
        1: a coin toss unlike the calls above) and `link`

    Raises:
        ValueError: where there are not as many rows as calls
        FormError: where the link cannot be filled in
    """
    probabilities = np.asarray(probabilities, dtype=float)
    if probabilities.shape != (len(calls), len(STATUSES)):
        raise ValueError(
            f"probabilities of shape {probabilities.shape}, expected {(len(calls), len(STATUSES))}"
        )
    if features is not None and len(features) != len(calls):
        raise ValueError(f"features of {len(features)} calls, expected {len(calls)}")
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    chosen, worths = _choose(1 - (first - second), features, count)
    paths = calls["path"].to_numpy(dtype=object)[chosen]
    columns = {
        "call": paths,
        "verdict": np.array(STATUSES, dtype=object)[probabilities[chosen].argmax(axis=1)],
        "confidence": first[chosen],
        "informativeness": worths,
        "link": [prefill_link(link, path) for path in paths],
    }
    return pd.DataFrame(columns)


def prefill_link(link: str, call: str) -> str:
    """Fill a call's name into the link of the form.

    Whoever keeps the form chooses "Get pre-filled link" in its menu, types `CALL_ID` as the answer
    of the question "File name" and copies the link.

    Args:
        link: such as `https://docs.google.com/forms/d/e/1FA/viewform?usp=pp_url&entry.1=CALL_ID`;
            empty where there is no form
        call: any text

    Returns:
        the link with the call in place of `CALL_ID`; empty without a link

    Raises:
        FormError: where the link is not that of a Google form, or has no place for the call

    Examples:
        >>> form = "https://docs.google.com/forms/d/e/1FA/viewform"
        >>> prefill_link(form + "?entry.1=CALL_ID", "Ann & Bob.wav").removeprefix(form)
        '?entry.1=Ann%20%26%20Bob.wav'
    """
    link = link.strip()
    if not link:
        return ""
    fault = _find_fault(link)
    if fault:
        raise FormError(
            f"the form's link {link!r} {fault}. In the form's editor choose "
            f'"Get pre-filled link" in the menu, type {CALL_PLACE} as the answer of "File name", '
            'choose "Get link", then "Copy link", and give that'
        )
    answers = [
        (name, call if _is_place(name, text) else text) for name, text in _read_answers(link)
    ]
    query = urlencode(answers, quote_via=quote, safe="")
    return urlsplit(link)._replace(query=query).geturl()


def _choose(
    uncertainty: np.ndarray, features: np.ndarray | None, count: int
) -> tuple[list[int], list[float]]:
    directions = np.empty((len(uncertainty), 0))
    if features is not None and len(features):
        directions = normalize(StandardScaler().fit_transform(features))
    distance, free = np.ones(len(uncertainty)), np.ones(len(uncertainty), dtype=bool)
    chosen, worths = [], []
    while free.any() and len(chosen) < count:
        worth = np.where(free, uncertainty * distance, -1)
        best = int(worth.argmax())
        chosen.append(best)
        worths.append(float(worth[best]))
        free[best] = False
        distance = np.minimum(distance, np.clip(1 - directions @ directions[best], 0, 1))
        free &= distance > 1 - DUPLICATE_CORRELATION
    return chosen, worths


def _find_fault(link: str) -> str:
    """Say why a link cannot be filled in; empty where it can."""
    if "forms.gle/" in link:
        return "is a shortened one, which cannot carry an answer"
    if not link.casefold().startswith(FORMS_SITE):
        return f"does not begin with {FORMS_SITE}"
    path = urlsplit(link).path
    if "/forms/" not in path or not path.endswith("/viewform"):
        return "is not that of a form's page, which ends in viewform"
    if not any(_is_place(*answer) for answer in _read_answers(link)):
        return f"holds no {CALL_PLACE} as an answer"
    return ""


def _read_answers(link: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(link).query, keep_blank_values=True)


def _is_place(name: str, text: str) -> bool:
    return name.startswith("entry.") and text.strip() == CALL_PLACE
