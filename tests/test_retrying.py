"""The one retry policy: what passes, what does not, how long it waits, where it ends."""

import errno
import http.client
import time
from datetime import UTC, datetime, timedelta

import google.auth.exceptions
import httplib2
import pytest
import requests
from google_faults import error_answer
from googleapiclient.errors import HttpError

from forms_ingest.errors import AuthenticationError, RetryLaterError, StopRunError
from forms_ingest.retrying import RequestFailedError, RetryPolicy, ask, read_failure
from helpers.errors import FormError

QUICK = RetryPolicy(
    attempts=3,
    first_wait_s=0.0,
    longest_wait_s=0.01,
    all_attempts_s=5.0,
    one_attempt_s=0.3,
    socket_s=0.2,
)


class Answers:
    """A function that raises what it is given, one after the other, and then returns "done"."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def failure(status: int, style: str, reason: str | None = None, **options) -> RequestFailedError:
    answer = error_answer(status, style, reason, **options)
    return read_failure(answer.status, answer.headers, answer.body)


def http_error(status: int, style: str = "old", reason: str | None = None) -> HttpError:
    answer = error_answer(status, style, reason)
    headers = {"status": str(status), "content-type": answer.content_type}
    return HttpError(httplib2.Response(headers), answer.body)


STYLES = ("old", "new", "html", "string")


@pytest.mark.parametrize(
    "status, style, reason, passes",
    [
        *((status, style, None, True) for status in (408, 425, 429, 500, 502, 503, 504)
          for style in STYLES),
        *((status, style, None, False) for status in (400, 401, 403, 404, 409, 410, 412, 501)
          for style in STYLES),
        *((403, "old", reason, True) for reason in
          ("rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded")),
        *((403, "old", reason, False) for reason in
          ("insufficientFilePermissions", "appNotAuthorizedToFile", "cannotDownloadAbusiveFile",
           "dailyLimitExceeded", "downloadQuotaExceeded", "accessNotConfigured")),
        (403, "new", "RATE_LIMIT_EXCEEDED", True),
        (403, "new", "SERVICE_DISABLED", False),
        (429, "old", "dailyLimitExceeded", False),
        (404, "old", "rateLimitExceeded", False),
    ],
)  # fmt: skip
def test_status_and_reason_decide_whether_another_attempt_may_help(status, style, reason, passes):
    assert failure(status, style, reason).passes == passes


def test_a_resource_exhausted_403_of_the_new_style_passes():
    assert failure(403, "new", rpc_status="RESOURCE_EXHAUSTED").passes


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"null", b"[]", b"7", b'{"error": null}', b'{"error": []}', b'{"error": "x"}',
     b'{"error": {"errors": null}}', b'{"error": {"errors": [null]}}', "\u2026",
     b'{"error": {"errors": [{"reason": 7}]}}', b'{"error": {"details": {"a": 1}}}'],
)  # fmt: skip
def test_a_body_of_any_shape_is_only_a_status(body):
    error = read_failure(403, {}, body)
    assert (error.status, error.reasons, error.passes) == (403, frozenset(), False)
    assert str(error) == "Google answered 403"


@pytest.mark.parametrize(
    "error",
    [
        http_error(503),
        http_error(429, "html"),
        http_error(403, "old", "userRateLimitExceeded"),
        failure(0, "html"),
        http.client.IncompleteRead(b"half"),
        http.client.RemoteDisconnected("gone"),
        httplib2.ServerNotFoundError("no such host"),
        requests.exceptions.ChunkedEncodingError("cut"),
        requests.exceptions.ReadTimeout("silence"),
        requests.exceptions.JSONDecodeError("no JSON", "<html>", 0),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        BrokenPipeError(errno.EPIPE, "pipe"),
        TimeoutError("silence"),
        google.auth.exceptions.TransportError("no connection to the token service"),
        google.auth.exceptions.RefreshError("503", retryable=True),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(error, 'status_code', '')}",
)
def test_what_may_pass_is_tried_again(error):
    once = Answers(error)
    assert ask(once, policy=QUICK) == "done"
    assert once.calls == 2
    for_ever = Answers(*[error] * 9)
    with pytest.raises(RetryLaterError, match="tried again without success, the next run goes on"):
        ask(for_ever, policy=QUICK)
    assert for_ever.calls == QUICK.attempts


@pytest.mark.parametrize(
    "error, expected, sentence",
    [
        (http_error(403, "old", "insufficientFilePermissions"), RequestFailedError, "403"),
        (http_error(403, "html"), RequestFailedError, "Google answered 403$"),
        (http_error(404), RequestFailedError, r"404 \(notFound\)"),
        (http_error(401), AuthenticationError, "sign in again or renew the key"),
        (http_error(403, "old", "dailyLimitExceeded"), StopRunError, "run again tomorrow"),
        (http_error(429, "old", "quotaExceeded"), StopRunError, "run again tomorrow"),
        (google.auth.exceptions.RefreshError("invalid_grant"), AuthenticationError, "sign in"),
        (FormError("our own"), FormError, "^our own$"),
        (OSError(errno.ENOSPC, "full"), OSError, "full"),
        (ZeroDivisionError("a mistake of ours"), ZeroDivisionError, "a mistake of ours"),
        (KeyError("a mistake of ours"), KeyError, "a mistake of ours"),
    ],
)
def test_what_does_not_pass_is_asked_once(error, expected, sentence):
    function = Answers(error)
    with pytest.raises(expected, match=sentence):
        ask(function, policy=QUICK)
    assert function.calls == 1


def test_what_a_refusal_says_about_the_credentials_is_not_repeated():
    error = google.auth.exceptions.RefreshError("invalid_grant", {"assertion": "eyJsecret"})
    with pytest.raises(AuthenticationError) as caught:
        ask(Answers(error), policy=QUICK)
    assert "eyJ" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("30", 30),
        (" 7 ", 7),
        ("9" * 400, float("inf")),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),
        ("soon", None),
        ("Wed, 99 Foo 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds(value, expected):
    headers = {} if value is None else {"RETRY-After": value}
    assert read_failure(503, headers, b"").retry_after_s == expected


@pytest.mark.parametrize("zone", [" GMT", " -0000", ""])
@pytest.mark.parametrize("minutes, expected", [(2, 120), (60, 3600), (-2, 0)])
def test_retry_after_may_be_a_date(zone, minutes, expected):
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    headers = {"retry-after": moment.strftime(f"%a, %d %b %Y %H:%M:%S{zone}")}
    assert read_failure(503, headers, b"").retry_after_s == pytest.approx(expected, abs=5)


@pytest.mark.parametrize("style", ["old", "html"])
def test_retry_after_is_waited_for(style):
    began = time.monotonic()
    function = Answers(failure(503, style, retry_after=1))
    assert ask(function, policy=QUICK) == "done"
    assert 1 <= time.monotonic() - began < 2


@pytest.mark.parametrize("after", [6, 3600, "Thu, 21 Oct 2999 07:28:00 GMT"])
def test_a_wait_longer_than_the_budget_is_left_to_the_next_run_at_once(after):
    began = time.monotonic()
    function = Answers(failure(429, "old", retry_after=after))
    with pytest.raises(RetryLaterError, match="the next run goes on"):
        ask(function, policy=QUICK)
    assert function.calls == 1
    assert time.monotonic() - began < 1


def test_waits_grow_and_differ_from_each_other():
    policy = RetryPolicy(attempts=5, first_wait_s=0.02, longest_wait_s=0.1, all_attempts_s=60)
    spans = set()
    for _ in range(4):
        began = time.monotonic()
        with pytest.raises(RetryLaterError):
            ask(Answers(*[failure(503, "html")] * 9), policy=policy)
        spans.add(round(time.monotonic() - began, 3))
        assert time.monotonic() - began < 4 * 0.1 + 0.5
    assert len(spans) > 1


def test_one_attempt_is_bounded_even_where_something_always_comes():
    began = time.monotonic()

    def drip() -> None:
        time.sleep(5)

    with pytest.raises(RetryLaterError, match="no whole answer within"):
        ask(drip, policy=QUICK)
    assert time.monotonic() - began < 3


def test_the_default_policy_outlasts_a_minute_and_ends():
    policy = RetryPolicy()
    assert policy.all_attempts_s >= 120
    assert policy.longest_wait_s >= 60
    assert policy.attempts < 20
    assert policy.socket_s <= policy.one_attempt_s <= policy.all_attempts_s
