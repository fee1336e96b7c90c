"""The one retry policy for everything that is asked of Google.

Decided by HTTP status and reason, never by the text of a page; Retry-After is honoured; attempts,
each attempt's time and the time of all together are bounded, so that neither an endless fault nor
a dripping connection holds up a run.
"""

import errno
import http.client
import json
import queue
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import google.auth.exceptions
import httplib2
import requests
from googleapiclient.errors import HttpError
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.stop import stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from forms_ingest.errors import AuthenticationError, RetryLaterError, StopRunError
from helpers.errors import FormError

Result = TypeVar("Result")

PASSING_STATUSES = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses that another attempt may cure."""

PASSING_REASONS = {
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "sharingRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "backendError",
}
"""Reasons of a 403 that another attempt may cure, in Google's old and new style."""

STOPPING_REASONS = {"dailyLimitExceeded", "downloadQuotaExceeded", "quotaExceeded"}
"""Reasons after which nothing more should be asked today."""


_BROKEN = (
    http.client.HTTPException,
    httplib2.HttpLib2Error,
    requests.RequestException,
    UnicodeDecodeError,  # from googleapiclient, where an answer is no text at all
    TypeError,  # from google.auth, where a token's answer is a web page
)


@dataclass(frozen=True)
class RetryPolicy:
    """How long and how often to try; all times in seconds.

    Google's per-minute quotas refill each minute, so giving up sooner would fail for no reason.
    """

    attempts: int = 8
    first_wait_s: float = 1.0
    longest_wait_s: float = 64.0
    all_attempts_s: float = 240.0
    one_attempt_s: float = 60.0
    socket_s: float = 30.0


class RequestFailedError(FormError):
    """An answer that is no success.

    Attributes:
        status: HTTP status, 0 where there was no whole answer
        reasons: Google's words for why, possibly none
        retry_after_s: seconds the server asks to wait, `None` where it does not say
    """

    def __init__(
        self, status: int, reasons: frozenset[str], retry_after_s: float | None, text: str
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reasons = reasons
        self.retry_after_s = retry_after_s

    @property
    def passes(self) -> bool:
        """Whether another attempt may cure it."""
        if self.reasons & STOPPING_REASONS:
            return False
        if self.status == 0 or self.status in PASSING_STATUSES:
            return True
        return self.status == 403 and bool(self.reasons & PASSING_REASONS)


class _PassingError(FormError):
    def __init__(self, failure: RequestFailedError) -> None:
        super().__init__(str(failure))
        self.retry_after_s = failure.retry_after_s


def ask(function: Callable[[], Result], *, policy: RetryPolicy) -> Result:
    """Call `function` until it succeeds, fails for good, or the policy's bounds are reached.

    Args:
        function: one request; run in a thread of its own, because only that bounds a connection
            that drips
        policy: the bounds

    Raises:
        RetryLaterError: where the fault did not pass in time
        StopRunError: where a daily limit is reached
        AuthenticationError: where the credentials are not accepted
        RequestFailedError: where another attempt would not help
    """
    retrying = Retrying(
        retry=retry_if_exception_type(_PassingError),
        wait=lambda state: _wait_s(state, policy),
        stop=stop_after_attempt(policy.attempts) | stop_before_delay(policy.all_attempts_s),
        reraise=True,
    )
    try:
        return retrying(_attempt, function, policy)
    except _PassingError as error:
        raise RetryLaterError(
            f"{error}; tried again without success, the next run goes on"
        ) from error


def read_failure(status: int, headers: Mapping[str, str], body: bytes | str) -> RequestFailedError:
    """Describe an answer that is no success, whatever its body is.

    Args:
        status: HTTP status
        headers: of the answer, names in any case
        body: JSON in Google's old or new style, HTML, or anything else; never shown

    Returns:
        the error to raise
    """
    reasons = frozenset(_reasons(body))
    named = f" ({', '.join(sorted(reasons))})" if reasons else ""
    lower = {name.casefold(): value for name, value in headers.items()}
    after = _retry_after_s(lower.get("retry-after"))
    return RequestFailedError(status, reasons, after, f"Google answered {status}{named}")


def expect_object(answer: Any) -> dict[str, Any]:
    """Return an answer that is a JSON object; anything else counts as no whole answer.

    Raises:
        RequestFailedError: that another attempt may cure
    """
    if not isinstance(answer, dict):
        raise _unanswered("Google answered with something else")
    return answer


def _attempt(function: Callable[[], Result], policy: RetryPolicy) -> Result:
    try:
        return _within(function, policy.one_attempt_s)
    except FormError as error:
        failure = error
    except HttpError as error:
        failure = read_failure(error.resp.status, error.resp, error.content)
    except google.auth.exceptions.GoogleAuthError as error:
        unanswered = isinstance(error, google.auth.exceptions.TransportError)
        if not unanswered and not error.retryable:
            raise AuthenticationError(
                "Google does not accept the credentials any more; sign in again or renew the key"
            ) from None
        failure = _unanswered("signing in failed")
    except _BROKEN as error:
        failure = _unanswered(f"the connection broke ({type(error).__name__})")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        failure = _unanswered(f"the connection broke ({type(error).__name__})")
    if not isinstance(failure, RequestFailedError):
        raise failure
    raise _verdict(failure) from None


def _verdict(failure: RequestFailedError) -> FormError:
    if failure.passes:
        return _PassingError(failure)
    if failure.reasons & STOPPING_REASONS:
        return StopRunError(f"{failure}: a daily limit is reached; run again tomorrow")
    if failure.status == 401:
        return AuthenticationError(f"{failure}: sign in again or renew the key")
    return failure


def _within(function: Callable[[], Result], seconds: float) -> Result:
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((function(), None))
        except BaseException as error:  # handed to the caller, who raises it
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise _unanswered(f"no whole answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result


def _unanswered(text: str) -> RequestFailedError:
    return RequestFailedError(0, frozenset(), None, text)


def _wait_s(state: RetryCallState, policy: RetryPolicy) -> float:
    asked = state.outcome.exception().retry_after_s
    if asked is not None:
        return asked
    return wait_random_exponential(policy.first_wait_s, max=policy.longest_wait_s)(state)


def _retry_after_s(value: str | None) -> float | None:
    if not value:
        return None
    if re.fullmatch(r"\s*\d+\s*", value, re.ASCII):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _reasons(body: bytes | str) -> list[str]:
    try:
        error = json.loads(body)["error"]
        groups = [error.get("errors", []), error.get("details", []), [error]]
        found = [
            item.get(key) for group in groups for item in group for key in ("reason", "status")
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [reason for reason in found if isinstance(reason, str)]
