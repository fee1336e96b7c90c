"""What can go wrong between a Google Form and `audio_data`, and how each case has to end.

The clients are the real ones; Google is `google_server.py` on this computer. A test of case 7 has
`case-7` or `case_7` in its id. After every test all calls in place are byte for byte the uploads,
see the fixture `site`.
"""

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import soundfile
from conftest import make_voice, snapshot
from filelock import FileLock
from google.oauth2 import service_account
from google_server import SPREADSHEET_EPOCH
from google_site import BRISK, FAST, FIRST_DAY, HASTY, HEADER, LARGE, TAB, link, outcomes, wav

from forms_ingest.auth import READ_SCOPES
from forms_ingest.errors import (
    AuthenticationError,
    RetryLaterError,
    SettingsError,
    StopRunError,
)
from forms_ingest.ingest import AlreadyRunningError, ingest_responses
from forms_ingest.names import short_id
from forms_ingest.responses import ColumnTitles
from helpers import runner
from helpers.errors import FormError
from helpers.rejections import read_rejections
from helpers.workspace import PROJECT_FOLDER

CASES = {
    1: "Google asks to slow down",
    2: "a server error, whatever its page looks like",
    3: "a failure that does not end",
    4: "one upload is not there, or not shared",
    5: "the sheet is not there, or not shared",
    6: "a daily limit is reached",
    7: "Google takes an upload for malware",
    8: "the token expires in the middle of an upload",
    9: "the key is revoked, or the sign-in has ended",
    10: "the content breaks off, and one can tell",
    11: "the content breaks off and looks whole, or is a web page",
    12: "a bit is flipped",
    13: "the server ignores the range, or sends too much",
    14: "the upload is replaced while it is fetched",
    15: "the connection falls silent, or drips",
    16: "the run is killed",
    17: "the disk is full",
    18: "the checksum at the source is wrong",
    19: "there is no checksum",
    20: "an upload of 0 bytes",
    21: "no recording, or another encoding under the name .wav",
    22: "several uploads in one cell",
    23: "the same upload in two responses",
    24: "two uploads of the same name",
    25: "an answer is corrected later",
    26: "a response is deleted from the sheet",
    27: "an upload is put into the bin",
    28: "the cell holds a name instead of a link",
    29: "the cell is empty, or holds something else",
    30: "titles are missing, repeated, moved or spelt differently",
    31: "a column is inserted",
    32: "short rows, blank rows, an empty sheet",
    33: "times as the sheet's language shows them",
    34: "ids and names that look like numbers",
    35: "an answer nobody knows",
    36: "the sheet has far fewer responses than before, or the tab is gone",
    37: "a list of files in pages",
    38: "an upload that Drive does not know yet",
    39: "shortcuts and shared drives",
    40: "names that no disk would take",
    41: "two runs at once",
    42: "the ledger is lost or damaged",
    43: "a call in place is damaged",
    44: "secrets",
}

RATE = "rateLimitExceeded"
EXHAUSTED = {"reason": "RATE_LIMIT_EXCEEDED", "rpc_status": "RESOURCE_EXHAUSTED"}
PASSING = {
    "1-429-old": (429, {"style": "old", "retry_after": 0}),
    "1-429-new": (429, {"style": "new"}),
    "1-429-html": (429, {"style": "html"}),
    "1-403-rate": (403, {"style": "old", "reason": RATE}),
    "1-403-user-rate": (403, {"style": "old", "reason": "userRateLimitExceeded"}),
    "1-403-sharing-rate": (403, {"style": "old", "reason": "sharingRateLimitExceeded"}),
    "1-403-new": (403, {"style": "new", **EXHAUSTED}),
    "2-500-old": (500, {"style": "old"}),
    "2-502-html": (502, {"style": "html"}),
    "2-503-html": (503, {"style": "html"}),
    "2-503-new": (503, {"style": "new"}),
    "2-503-string": (503, {"style": "string"}),
    "2-504-old": (504, {"style": "old"}),
    "2-408-old": (408, {"style": "old"}),
    "10-cut": ("cut", {}),
    "10-cut-at-once": ("cut", {"at": 0}),
    "10-length-too-long": ("long_content_length", {}),
    "10-chunks-cut": ("chunked_cut", {}),
    "10-reset": ("reset", {}),
    "10-closed-before-status": ("close_before_status", {}),
    "11-html-page": ("html_200", {}),
    "12-first-bit-flipped": ("bit_flip", {}),
    "13-too-much": ("overshoot", {}),
    "13-length-too-short": ("short_content_length", {}),
}
"""Faults that pass, for every kind of request."""

ONLY_CONTENT = {
    "11-half-body": ("cut_consistent", {}),
    "11-half-chunked": ("chunked_no_length", {"at": 9000}),
    "11-half-until-closed": ("no_length", {"at": 9000}),
    "11-whole-chunked": ("chunked_no_length", {}),
    "11-whole-until-closed": ("no_length", {}),
    "11-empty": ("cut_consistent", {"at": 0}),
    "11-short-range": ("short_range", {"at": 9000}),
    "11-short-range-dishonest": ("short_range", {"at": 9000, "honest": False}),
    "12-bit-flipped": ("bit_flip", {"at": 20_000}),
    "13-range-ignored": ("ignore_range", {}),
}
ONLY_JSON = {
    "11-half-json": ("truncated_json", {}),
    "11-a-number": ("body", {"body": b"7"}),
    "11-a-list": ("body", {"body": b"[]"}),
    "11-nothing": ("body", {"body": b""}),
    "11-bytes": ("body", {"body": b"\xff\xfe\x00"}),
}
SILENCE = {
    "15-stall": ("stall", {}),
    "15-stall-in-the-middle": ("stall", {"at": 20}),
    "15-drip": ("drip", {"bytes": 20, "interval": 0.2}),
}
KINDS = ("media", "meta", "list", "values", "sheet")
TYPICAL = {
    label: PASSING[label]
    for label in (
        "1-403-user-rate",
        "2-503-html",
        "10-cut",
        "10-closed-before-status",
        "13-too-much",
    )
}


def faults(*tables: dict, kinds=KINDS, times=2) -> list:
    return [
        pytest.param(kind, fault, options, times, id=f"case-{label}-of-{kind}")
        for kind in kinds
        for table in tables
        for label, (fault, options) in table.items()
    ]


@pytest.mark.parametrize(
    "kind, fault, options, times",
    [
        *faults(PASSING, kinds=["media", "meta", "values"]),
        *faults(TYPICAL, kinds=["list", "sheet"]),
        *faults(ONLY_CONTENT, kinds=["media"]),
        *faults(ONLY_JSON, kinds=KINDS[1:]),
        *faults(SILENCE, times=1),
    ],
)
def test_a_fault_that_passes_is_tried_again_until_all_is_in_place(
    site, kind, fault, options, times
):
    if kind in ("list", "sheet"):
        site.add(name="call - Ann.wav")
        site.respond("call - Ann.wav")
    else:
        site.upload()
    site.upload(name="other.wav", answer="Average")
    injected = site.server.fail(kind, fault, times, **options)
    table = site.run(policy=BRISK if fault in ("stall", "drip") else FAST)
    assert outcomes(table) == ["placed", "placed"]
    assert injected.used == times


@pytest.mark.parametrize("label", ["429-new", "403-rate", "503-html", "cut", "reset"])
@pytest.mark.parametrize("kind", ["media", "meta"])
def test_case_3_a_failure_that_does_not_end_is_left_to_the_next_run(site, kind, label):
    fault, options = next(value for name, value in PASSING.items() if name.endswith(label))
    failing, _ = site.upload(), site.upload(name="other.wav")
    injected = site.server.fail(kind, fault, None, file_id=failing, **options)
    table = site.run(policy=HASTY)
    assert outcomes(table) == ["to be retried", "placed"]
    assert "the next run goes on" in table["reason"][0]
    assert injected.used == HASTY.attempts
    assert runner.count_unused(site.workspace) == 1
    site.server.faults.clear()
    assert outcomes(site.run()) == ["placed", "unchanged"]


@pytest.mark.parametrize("kind", ["values", "sheet", "list"])
def test_case_3_what_cannot_be_read_this_time_changes_nothing(site, kind):
    site.add(name="call.wav")
    site.respond("call.wav")
    site.server.fail(kind, 503, None)
    if kind == "list":
        assert outcomes(site.run(policy=HASTY)) == ["to be retried"]
        return
    with pytest.raises(RetryLaterError, match=r"Google answered 503.*the next run goes on"):
        site.run(policy=HASTY)
    assert list(site.workspace.folder.rglob("*.*")) == [site.workspace.form_lock]
    assert runner.EXIT_CODES["RetryLaterError"] == 1


BAD_UPLOADS = [
    ("4-not-shared", {"denied": "insufficientFilePermissions"}, "not shared.*share the folder"),
    ("4-not-there", {"denied": "notFound"}, "not there or not shared.*as Viewer"),
    ("4-app-not-allowed", {"denied": "appNotAuthorizedToFile"}, "appNotAuthorizedToFile"),
    ("7-malware", {"abusive": True}, "cannotDownloadAbusiveFile"),
    ("18-wrong-sha256", {"sha256Checksum": "0" * 64}, "its content never matched its sha256"),
    (
        "18-wrong-md5",
        {"sha256Checksum": None, "md5Checksum": "0" * 32},
        "its content never matched its md5",
    ),
    ("18-wrong-size", {"size": "9"}, "never matched"),
    ("18-size-too-large", {"size": "99999"}, "never matched"),
    ("19-no-checksum", {"sha256Checksum": None, "md5Checksum": None}, "no checksum"),
    ("19-no-size", {"size": None}, "no checksum"),
    ("20-empty", {"content": b""}, r"empty file \(0 bytes\)"),
    ("21-text", {"content": b"Call me back, please."}, "text, not sound"),
    ("21-noise", {"content": bytes(range(256)) * 9, "name": "call.mp3"}, "not a recording"),
    ("21-half-a-wav", {"content": wav()[:9000]}, "cut off"),
    ("27-in-the-bin", {"trashed": True}, "in Drive's bin"),
    ("40-nothing-but-a-bad-name", {"content": b"x", "name": "../../\0"}, ""),
]


@pytest.mark.parametrize(
    "options, reason", [pytest.param(*rest, id=f"case-{label}") for label, *rest in BAD_UPLOADS]
)
def test_an_upload_that_cannot_be_used_is_quarantined_and_the_rest_goes_on(site, options, reason):
    bad = site.upload(**options)
    site.upload(name="other.wav")
    table = site.run()
    assert outcomes(table) == ["quarantined", "placed"]
    assert re.search(reason, table["reason"][0])
    assert site.names() == ["other_sat.wav"]
    assert site.server.count("media", file_id=bad) <= 6
    assert len(read_rejections(site.workspace)) == runner.count_unused(site.workspace) == 1
    assert outcomes(site.run()) == ["quarantined", "unchanged"]
    if options.get("content"):
        assert site.server.count("media", file_id=bad) == 1  # a content is judged once


FORBIDDEN = [
    ("4-403-html", 403, {"style": "html"}, "quarantined", 1),
    ("4-403-permission", 403, {"reason": "insufficientFilePermissions"}, "quarantined", 1),
    ("4-403-permission-new", 403, {"style": "new"}, "quarantined", 1),
    ("4-404", 404, {}, "quarantined", 1),
    ("4-400", 400, {}, "quarantined", 1),
    ("6-download-quota", 403, {"reason": "downloadQuotaExceeded"}, "to be retried", 1),
    ("6-daily-limit", 403, {"reason": "dailyLimitExceeded"}, "to be retried", 1),
    ("12-flipped-for-ever", "bit_flip", {"at": 99}, "quarantined", 3),
    ("11-page-for-ever", "html_200", {}, "quarantined", 6),
    ("11-half-for-ever", "cut_consistent", {}, "quarantined", 6),
    ("13-too-much-for-ever", "overshoot", {}, "quarantined", 3),
    ("15-drip-for-ever", "drip", {"bytes": 500, "interval": 0.1}, "to be retried", 3),
    ("16-cut-for-ever", "cut", {}, "to be retried", 3),
]


@pytest.mark.parametrize(
    "fault, options, outcome, requests",
    [pytest.param(*rest, id=f"case-{label}") for label, *rest in FORBIDDEN],
)
def test_content_that_never_comes_is_not_asked_for_without_end(
    site, fault, options, outcome, requests
):
    failing = site.upload()
    site.server.fail("media", fault, None, file_id=failing, **options)
    assert outcomes(site.run(policy=HASTY)) == [outcome]
    assert site.names() == []
    assert site.server.count("media") <= requests
    site.server.faults.clear()
    assert outcomes(site.run()) == ["placed"]


REFUSALS = [
    ("5-sheet-not-shared", "values", 403, {}, SettingsError, "share the sheet as Viewer", 2),
    ("5-sheet-not-there", "values", 404, {}, SettingsError, "check CALL_EMOTION_SHEET_ID", 2),
    ("5-sheet-html", "values", 403, {"style": "html"}, SettingsError, "Google answered 403", 2),
    (
        "6-sheet-limit",
        "values",
        403,
        {"reason": "dailyLimitExceeded"},
        StopRunError,
        "run again tomorrow",
        1,
    ),
    ("9-no-credentials", "values", 401, {}, AuthenticationError, "sign in again", 3),
    ("9-no-credentials-drive", "meta", 401, {}, AuthenticationError, "sign in again", 3),
]


@pytest.mark.parametrize(
    "kind, status, options, error, sentence, code",
    [pytest.param(*rest, id=f"case-{label}") for label, *rest in REFUSALS],
)
def test_a_refusal_that_concerns_everything_ends_the_run_before_anything_is_written(
    site, kind, status, options, error, sentence, code
):
    site.upload()
    site.server.fail(kind, status, None, **options)
    with pytest.raises(error, match=sentence):
        site.run()
    assert site.names() == []
    assert not site.workspace.form_ledger.exists()
    assert runner.EXIT_CODES[error.__name__] == code
    assert site.server.count(kind) <= 3


def test_case_5_a_sheet_that_is_really_not_shared(site):
    site.upload()
    site.publish()
    site.server.spreadsheet().denied = True
    with pytest.raises(SettingsError, match="share the sheet as Viewer with the account"):
        site.run(published=True)
    with pytest.raises(SettingsError, match="check CALL_EMOTION_SHEET_ID"):
        site.run(sheet_id="another")


def test_case_6_after_a_daily_limit_nothing_more_is_fetched(site):
    for number in range(40):
        site.upload(name=f"call_{number}.wav")
    site.server.fail("media", 403, None, reason="downloadQuotaExceeded")
    assert set(outcomes(site.run())) == {"to be retried"}
    assert site.server.count("media") <= 16
    site.server.faults.clear()
    assert set(outcomes(site.run())) == {"placed"}


@pytest.fixture
def account(site, tmp_path):
    """Credentials that can be renewed, as a service account's."""
    path = site.server.service_account_file(tmp_path / "key.json")
    return service_account.Credentials.from_service_account_file(path, scopes=READ_SCOPES)


def test_case_8_a_token_that_expires_in_the_middle_is_renewed_and_the_range_asked_again(
    site, account
):
    content = wav(1, LARGE)
    site.upload(content)
    site.server.expire_tokens(after_media_bytes=1_200_000)
    assert outcomes(site.run(credentials=account)) == ["placed"]
    assert site.content("call_sat.wav") == content
    chunk = 1 << 20
    assert site.ranges() == [
        f"bytes=0-{chunk - 1}",
        f"bytes={chunk}-{2 * chunk - 1}",
        f"bytes={2 * chunk}-{len(content) - 1}",
        f"bytes={2 * chunk}-{len(content) - 1}",
    ]
    assert [each.status for each in site.server.requests if each.kind == "media"][-2:] == [401, 206]
    assert {grant["kind"] for grant in site.server.auth.grants} == {"service account"}


@pytest.mark.parametrize("kind", ["values", "meta", "media"])
def test_case_8_any_request_may_find_its_token_expired(site, account, kind):
    site.upload()
    site.server.fail(kind, "token_expires")
    assert outcomes(site.run(credentials=account)) == ["placed"]


def test_case_9_a_revoked_key_ends_the_run_in_one_sentence(site, account):
    site.upload()
    site.server.fail("token", "invalid_grant", None)
    with pytest.raises(AuthenticationError, match="sign in again or renew the key"):
        site.run(credentials=account)
    assert site.names() == []
    assert runner.EXIT_CODES["AuthenticationError"] == 3


def test_case_9_a_key_revoked_in_the_middle_keeps_what_is_in_place(site, account):
    for number in range(20):
        site.upload(name=f"call_{number}.wav")
    site.server.fail("media", "token_expires", nth=18)
    fault = site.server.fail("token", "invalid_grant", None, nth=2)
    with pytest.raises(AuthenticationError, match="sign in again"):
        site.run(credentials=account)
    assert fault.used
    assert len(site.names()) >= 16
    site.server.faults.clear()
    table = site.run(credentials=account)
    assert set(outcomes(table)) == {"placed", "unchanged"}
    assert len(site.names()) == 20


@pytest.mark.parametrize("fault", ["close_before_status", "reset", "html_200"])
def test_case_2_a_token_service_that_fails_for_a_moment_is_asked_again(site, account, fault):
    site.upload()
    site.server.fail("token", fault, 3)
    assert outcomes(site.run(credentials=account)) == ["placed"]


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("fault", ["cut", "reset", "chunked_cut", "long_content_length"])
def test_case_10_a_chunk_that_breaks_off_is_asked_for_again_and_no_other(site, fault, nth):
    content = wav(1, LARGE)
    site.upload(content)
    site.server.fail("media", fault, nth=nth)
    assert outcomes(site.run()) == ["placed"]
    asked = site.ranges()
    assert len(asked) == 4
    assert asked[nth - 1] == asked[nth]
    assert len(set(asked)) == 3


@pytest.mark.parametrize("nth", [2, 3])
def test_case_13_a_range_ignored_in_the_middle_does_not_lengthen_the_file(site, nth):
    site.upload(wav(1, LARGE))
    site.server.fail("media", "ignore_range", nth=nth)
    assert outcomes(site.run()) == ["placed"]
    assert len(site.ranges()) == nth


@pytest.mark.parametrize("size", [LARGE, 1_500_000, 20_000, 3_500_000])
@pytest.mark.parametrize("nth", [1, 2])
def test_case_14_an_upload_replaced_while_it_is_fetched_comes_in_its_new_form(site, size, nth):
    new = wav(2, size)
    replaced = site.upload(wav(1, LARGE))
    site.contents[replaced].append(new)
    site.server.fail("media", "replace_during", nth=nth, content=new)
    assert outcomes(site.run()) == ["placed"]
    assert site.content("call_sat.wav") == new
    assert outcomes(site.run()) == ["unchanged"]


def test_case_14_an_upload_replaced_later_replaces_its_call(site):
    replaced = site.upload()
    site.run()
    site.replace(replaced, wav(9))
    assert outcomes(site.run()) == ["placed"]
    assert site.content("call_sat.wav") == wav(9)
    assert site.names() == ["call_sat.wav"]


def test_case_15_no_fault_holds_up_a_run_for_longer_than_its_bounds(site):
    failing, _ = site.upload(), site.upload(name="other.wav")
    site.server.fail("media", "drip", None, file_id=failing, bytes=100, interval=0.05)
    began = time.monotonic()
    table = site.run(policy=HASTY)
    assert outcomes(table) == ["to be retried", "placed"]
    assert "no whole answer within" in table["reason"][0]
    assert time.monotonic() - began < 8


INGESTING = """
import sys
from pathlib import Path
from google.oauth2.credentials import Credentials
from google_site import FAST
from forms_ingest.google_form import GoogleForm
from forms_ingest.ingest import ingest_responses
from forms_ingest.settings import FormSettings
from helpers.workspace import open_workspace

workspace, drive, sheets = sys.argv[1:]
settings = FormSettings(
    form="google", sheet_id="sheet", drive_endpoint=drive, sheets_endpoint=sheets
)
form = GoogleForm(settings, Credentials("test-token"), FAST)
ingest_responses(form, open_workspace(workspace), settings=settings)
"""


DYING = """
import os, sys

in_place = []

def watch(event, arguments):
    if in_place:
        os._exit(9)
    if event == "os.rename" and os.sep + "audio_data" + os.sep in str(arguments[1]):
        in_place.append(arguments[1])

sys.addaudithook(watch)
"""
"""Ends the process right after the first call came into its place."""


def start_ingesting(site, *, before: str = "") -> subprocess.Popen:
    """Bring the responses in with a process of its own, which first runs the code `before`."""
    site.publish()
    addresses = [site.server.drive_endpoint, site.server.sheets_endpoint]
    folders = os.pathsep.join([str(PROJECT_FOLDER), str(Path(__file__).parent)])
    return subprocess.Popen(
        [sys.executable, "-c", before + INGESTING, str(site.workspace.folder), *addresses],
        env={**os.environ, "PYTHONPATH": folders},
        cwd=PROJECT_FOLDER,
        stdout=subprocess.DEVNULL,
    )


def wait_until(true, *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def part_of(site, file_id: str) -> Path:
    (part,) = site.workspace.form_downloads.glob(f"{short_id(file_id)}-*.part")
    return part


def test_case_16_a_killed_run_is_continued_where_its_part_file_ended(site):
    content = wav(1, LARGE)
    file_id = site.upload(content)
    site.server.fail("media", "stall", nth=2)
    process = start_ingesting(site)
    wait_until(lambda: site.server.count("media") == 2)
    process.kill()
    assert process.wait() == -9
    assert site.names() == []
    assert part_of(site, file_id).read_bytes() == content[: 1 << 20]
    before = len(site.ranges())
    assert outcomes(site.run()) == ["placed"]
    assert site.ranges()[before:] == [
        f"bytes={1 << 20}-{(2 << 20) - 1}",
        f"bytes={2 << 20}-{len(content) - 1}",
    ]
    assert not site.workspace.form_downloads.exists()


def test_case_16_a_connection_lost_for_good_keeps_what_had_come(site):
    content = wav(1, LARGE)
    file_id = site.upload(content)
    site.server.fail("media", "reset", None, nth=2)
    assert outcomes(site.run(policy=HASTY)) == ["to be retried"]
    assert part_of(site, file_id).stat().st_size == 1 << 20
    site.server.faults.clear()
    before = len(site.ranges())
    assert outcomes(site.run()) == ["placed"]
    assert site.ranges()[before].startswith(f"bytes={1 << 20}-")


@pytest.mark.parametrize("spoilt", [b"", b"poison" * 10, wav(5), wav(1, LARGE) + b"more"])
def test_case_16_a_part_file_that_is_not_what_it_should_be_is_thrown_away(site, spoilt):
    content = wav(1, LARGE)
    file_id = site.upload(content)
    site.server.fail("media", "reset", None)
    site.run(policy=HASTY)
    part_of(site, file_id).write_bytes(spoilt)
    site.server.faults.clear()
    assert outcomes(site.run()) == ["placed"]
    assert site.content("call_sat.wav") == content


def flac(seed: int = 0) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, make_voice(20, seed=seed), 8000, format="FLAC")
    return target.getvalue()


def test_case_16_a_run_killed_right_after_placing_a_call_does_not_place_it_twice(site):
    site.upload(flac(), name="call.flac")
    site.other.add("audio_data/call_sat.wav")
    assert start_ingesting(site, before=DYING).wait() == 9
    assert site.names() == ["call_sat.wav"]
    assert outcomes(site.run()) == ["placed"]
    assert site.names() == ["call_sat.wav"]


def test_case_16_a_run_killed_right_after_renaming_a_call_leaves_one(site):
    site.upload(flac(), name="call.flac")
    site.other |= {"audio_data/call_sat.wav", "audio_data/call_unsat.wav"}
    site.run()
    site.rows[0][4] = "Not satisfied"
    assert start_ingesting(site, before=DYING).wait() == 9
    assert site.names() == ["call_unsat.wav"]
    site.run()
    assert site.names() == ["call_unsat.wav"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_case_17_a_full_disk_stops_the_run_and_leaves_nothing_half_done(site):
    file_id = site.upload()
    site.server.fail("media", 503, None)
    site.run(policy=HASTY)
    part = part_of(site, file_id)
    part.unlink()
    part.symlink_to("/dev/full")
    site.server.faults.clear()
    with pytest.raises(StopRunError, match="the disk is full: free some space and run again"):
        site.run()
    assert site.names() == []
    part.unlink()
    assert outcomes(site.run()) == ["placed"]


def test_case_19_where_there_is_no_sha256_the_md5_counts(site):
    site.upload(sha256Checksum=None)
    site.server.fail("media", "bit_flip", at=99)
    assert outcomes(site.run()) == ["placed"]


def test_case_19_a_google_document_is_no_upload(site):
    document = site.server.add_file(
        None, name="Notes", mime_type="application/vnd.google-apps.document"
    )
    site.respond(link(document))
    table = site.run()
    assert outcomes(table) == ["quarantined"]
    assert "as for a Google document" in table["reason"][0]


@pytest.mark.parametrize("format_", ["MP3", "OGG", "FLAC"])
@pytest.mark.parametrize("name", ["call.wav", "call", "call.mp3"])
def test_case_21_another_encoding_is_stored_as_wav_whatever_its_name(site, format_, name):
    target = io.BytesIO()
    soundfile.write(target, make_voice(2), 8000, format=format_)
    site.upload(target.getvalue(), name=name)
    site.other.add("audio_data/call_sat.wav")
    assert outcomes(site.run()) == ["placed"]
    sound, rate = soundfile.read(io.BytesIO(site.content("call_sat.wav")))
    target.seek(0)
    np.testing.assert_allclose(sound, soundfile.read(target)[0], atol=1e-4)
    assert rate == 8000
    assert soundfile.info(site.workspace.audio_data / "call_sat.wav").subtype == "PCM_16"
    assert outcomes(site.run()) == ["unchanged"]


def test_case_21_half_a_recording_in_another_encoding_leaves_nothing_in_place(site):
    content = flac()
    site.upload(content[: len(content) // 2], name="call.flac")
    assert outcomes(site.run()) == ["quarantined"]
    assert site.names() == []


def test_case_22_each_upload_of_a_cell_is_a_call_with_the_same_status(site):
    names = ["second.wav", "first.wav", "third.wav"]
    ids = [site.add(name=name) for name in names]
    site.respond(", ".join(link(file_id) for file_id in ids), "Not satisfied")
    table = site.run()
    assert table["upload"].tolist() == names
    assert table["row"].tolist() == [2, 2, 2]
    assert set(table["status"]) == {"unsatisfied"}
    assert site.names() == ["first_unsat.wav", "second_unsat.wav", "third_unsat.wav"]


@pytest.mark.parametrize(
    "answers, times, expected, name",
    [
        (["sat", "sat"], [1, 2], ["unchanged", "placed"], "call_sat.wav"),
        (["sat", "unsat"], [1, 2], ["unchanged", "placed"], "call_unsat.wav"),
        (["sat", "unsat"], [2, 1], ["placed", "unchanged"], "call_sat.wav"),
        (["sat", "unsat"], [1, 1], ["quarantined", "quarantined"], None),
        (["sat", "unsat"], ["", ""], ["quarantined", "quarantined"], None),
        (["sat", "unsat"], ["1/2/2026", "2/1/2026"], ["quarantined", "quarantined"], None),
    ],
)
def test_case_23_of_two_responses_with_one_upload_the_newer_counts(
    site, answers, times, expected, name
):
    file_id = site.add()
    for answer, moment in zip(answers, times, strict=True):
        site.respond(link(file_id), answer, time=moment)
    table = site.run()
    assert outcomes(table) == expected
    assert site.names() == [name] * (name is not None)
    assert site.server.count("media") == (name is not None)
    if "unchanged" in expected:
        assert re.search(r"row \d", table["reason"][expected.index("unchanged")])


def test_case_24_two_uploads_of_one_name_are_two_calls(site):
    ids = [site.upload(name="call.wav") for _ in range(2)]
    site.upload(name="CALL.wav")
    table = site.run()
    assert outcomes(table) == ["placed"] * 3
    assert table["path"].str.casefold().nunique() == 3
    for file_id, path in zip(ids, table["path"], strict=False):
        assert (site.workspace.folder / path).read_bytes() == site.contents[file_id][0]


def test_case_25_a_corrected_answer_renames_the_call_without_fetching_it(site):
    site.upload(answer="Average")
    site.run()
    for answer, name in (("Not satisfied", "call_unsat.wav"), ("Satisfied", "call_sat.wav")):
        site.rows[0][4] = answer
        assert outcomes(site.run()) == ["renamed"]
        assert site.names() == [name]
    assert site.server.count("media") == 1


def test_case_26_the_call_of_a_deleted_response_stays_and_is_reported(site):
    for name in ("a.wav", "b.wav", "c.wav"):
        site.upload(name=name)
    site.run()
    del site.rows[1]
    assert outcomes(site.run()) == ["unchanged", "unchanged"]
    assert site.names() == ["a_sat.wav", "b_sat.wav", "c_sat.wav"]
    assert json.loads(site.workspace.form_run.read_text())["orphans"] == 1


@pytest.mark.parametrize("vanish", ["trash_file", "delete_file"])
def test_case_27_a_call_stays_when_its_upload_is_removed_later(site, vanish):
    file_id = site.upload()
    site.upload(name="other.wav")
    site.run()
    getattr(site.server, vanish)(file_id)
    table = site.run()
    assert outcomes(table) == ["quarantined", "unchanged"]
    assert site.names() == ["call_sat.wav", "other_sat.wav"]
    assert "its earlier call audio_data/call_sat.wav stays in use" in "".join(
        read_rejections(site.workspace)["reason"]
    )


NAMES = [
    ("call_7.wav", ["call_7.wav"], "placed", ""),
    ("call_7.wav", ["call_7 - Maria Lopez.wav"], "placed", ""),
    ("call_7 - Maria Lopez.wav", ["call_7 - Maria Lopez.wav"], "placed", ""),
    ("call_7.wav", ["call_7.wav", "call_7 - Ann.wav"], "placed", ""),
    ("Gespr\u00e4ch.wav", ["Gespra\u0308ch.wav"], "placed", ""),
    ("call_7.wav", ["call_8.wav"], "quarantined", "no upload is called 'call_7.wav'"),
    ("call_7.wav", ["call_7 - Ann.wav", "call_7 - Bob.wav"], "quarantined", "2 uploads could be"),
    ("call_7.wav", ["call_7.wav", "call_7.wav"], "quarantined", "2 uploads are called"),
]


@pytest.mark.parametrize("cell, uploads, outcome, reason", NAMES)
def test_case_28_a_name_is_looked_for_in_the_folder_and_never_guessed(
    site, cell, uploads, outcome, reason
):
    for name in uploads:
        site.add(name=name)
    site.add(name="elsewhere.wav", parents=["another folder"])
    site.add(name="call_7.wav", trashed=True)
    site.respond(cell)
    table = site.run()
    assert outcomes(table) == [outcome]
    assert reason in table["reason"][0]


def test_case_28_a_name_without_a_folder_to_look_in_is_quarantined(site):
    site.add(name="call.wav")
    site.respond("call.wav")
    table = site.run(drive_folder="")
    assert outcomes(table) == ["quarantined"]
    assert "set CALL_EMOTION_DRIVE_FOLDER" in table["reason"][0]


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "https://drive.google.com/drive/folders/folder",
        "https://drive.google.com/open?id=",
        "https://example.org/open?id=ABC",
        "https://drive.google.com.example.org/open?id=ABC",
        "https://[broken/open?id=ABC",
    ],
)
def test_case_29_a_cell_without_an_upload_is_quarantined_with_its_row(site, cell):
    site.respond(cell)
    site.upload()
    table = site.run()
    assert outcomes(table) == ["quarantined", "placed"]
    assert read_rejections(site.workspace)["path"].tolist() == ["form row 2: "]


@pytest.mark.parametrize(
    "header",
    [
        ["Status", "File name", "Call recording", "Email Address", "Timestamp"],
        ["  timestamp ", "EMAIL address", "Call\u00a0recording", "File  name", "status\n"],
        ["Timestamp", "E-Mail", "Call recording", "File name", "Status"],
        ["Timestamp", "", "Call recording", "File name", "Status"],
    ],
)
def test_case_30_titles_are_found_wherever_and_however_they_are_written(site, header):
    site.upload()
    if header[0] == "Status":
        site.rows[0].reverse()
    site.header = header
    assert outcomes(site.run()) == ["placed"]


@pytest.mark.parametrize(
    "header, sentence",
    [
        (["Zeitstempel", *HEADER[1:]], "the column 'Timestamp' is missing"),
        ([*HEADER[:4], "Stimmung"], "the column 'Status' is missing"),
        ([*HEADER[:3], "Status", "Status"], "'Status' appears 2 times"),
        ([*HEADER[:3], "call recording", "Status"], "'Call recording' appears 2 times"),
        (["", "", "", "", ""], "is missing"),
    ],
)
def test_case_30_a_missing_or_repeated_title_ends_the_run_before_anything_is_written(
    site, header, sentence
):
    site.upload()
    site.header = header
    with pytest.raises(SettingsError, match=sentence):
        site.run()
    assert not site.workspace.audio_data.exists()


def test_case_30_titles_and_answers_in_another_language_are_configured(site):
    site.upload(answer=" ZUFRIEDEN")
    site.header = ["Zeitstempel", "E-Mail-Adresse", "Anruf", "Dateiname", "Stimmung"]
    titles = ColumnTitles("Zeitstempel", "Anruf", "Dateiname", "Stimmung", "E-Mail-Adresse")
    table = site.run(titles=titles, statuses={"zufrieden": "satisfied"})
    assert table["status"].tolist() == ["satisfied"]


def test_case_31_an_inserted_column_does_not_matter(site):
    site.upload()
    site.run()
    site.upload(name="new.wav")
    site.header.insert(1, "Branch")
    for row in site.rows:
        row.insert(1, "North")
    assert outcomes(site.run()) == ["unchanged", "placed"]


def test_case_32_short_and_blank_rows_are_read_as_they_are(site):
    site.upload()
    site.rows += [[], ["", None, ""], [FIRST_DAY]]
    site.upload(name="late.wav")
    table = site.run()
    assert table["row"].tolist() == [2, 5, 6]
    assert outcomes(table) == ["placed", "quarantined", "placed"]


@pytest.mark.parametrize("header", [[], list(HEADER)])
def test_case_32_an_empty_sheet_is_no_error(site, header):
    site.header = header
    assert site.run().empty


@pytest.mark.parametrize("pattern", ["%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d.%m.%y"])
def test_case_33_times_are_numbers_whatever_the_sheet_shows(site, pattern):
    spreadsheet = site.server.spreadsheet()
    spreadsheet.date_pattern, spreadsheet.locale = pattern, "de_DE"
    file_id = site.add()
    january, february = 46024.5, 46054.5  # shown as 1/2 and 2/1, or the other way round
    site.respond(link(file_id), "Satisfied", time=february)
    site.respond(link(file_id), "Average", time=january)
    assert outcomes(site.run()) == ["placed", "unchanged"]
    assert site.names() == ["call_sat.wav"]
    (request,) = [each for each in site.server.requests if each.kind == "values"]
    assert request.query["valueRenderOption"] == "UNFORMATTED_VALUE"
    assert request.query["dateTimeRenderOption"] == "SERIAL_NUMBER"


@pytest.mark.parametrize("file_id", ["8085807e40000000", "0071234567", "1e5", "infinity", "-1_x"])
def test_case_34_ids_that_look_like_numbers_stay_as_they_are(site, file_id):
    site.upload(file_id=file_id, name="007.wav")
    site.rows[0][3] = "007.wav"
    table = site.run()
    assert outcomes(table) == ["placed"]
    assert table["path"].tolist() == ["audio_data/007_sat.wav"]
    assert outcomes(site.run()) == ["unchanged"]


@pytest.mark.parametrize("answer", ["Ok", "", "zufrieden", 5, True, "not very satisfied"])
def test_case_35_an_answer_nobody_knows_is_quarantined(site, answer):
    site.upload(answer=answer)
    site.upload(name="other.wav", answer=" NOT Satisfied ")
    table = site.run()
    assert outcomes(table) == ["quarantined", "placed"]
    assert "expected one of satisfied, average, unsatisfied" in table["reason"][0]
    assert site.names() == ["other_unsat.wav"]


def test_case_36_a_sheet_that_shrank_is_not_believed(site):
    for number in range(5):
        site.upload(name=f"call_{number}.wav")
    site.run()
    before = snapshot(site.workspace)
    for rows in ([], site.rows[:1], site.rows[:2]):
        site.server.set_rows(TAB, [site.header, *rows], date_columns=[0])
        with pytest.raises(SettingsError, match="is it the right sheet and tab"):
            site.run(published=True)
        assert snapshot(site.workspace) == before
    assert len(site.run(published=True, allow_fewer=True)) == 2
    assert len(site.names()) == 5


def test_case_36_a_tab_that_is_gone_ends_the_run(site):
    site.upload()
    site.publish(tab="Form Responses 2")
    with pytest.raises(SettingsError, match="the sheet has no tab 'Form Responses 1'"):
        site.run(published=True)
    assert outcomes(site.run(published=True, sheet_tab="Form Responses 2")) == ["placed"]


def test_case_37_a_list_in_pages_is_read_to_its_end(site):
    for number in range(7):
        site.add(name=f"call_{number}.wav")
        site.respond(f"call_{number}.wav")
    site.server.drive.largest_page, site.server.drive.empty_pages = 3, 2
    assert set(outcomes(site.run())) == {"placed"}
    assert site.server.count("list") == 5


def test_case_37_a_rejected_page_token_begins_the_list_again_once(site):
    for number in range(5):
        site.add(name=f"call_{number}.wav")
        site.respond(f"call_{number}.wav")
    site.server.drive.largest_page, site.server.drive.reject_page_tokens = 3, 1
    assert set(outcomes(site.run())) == {"placed"}
    assert site.server.count("list") == 4


def test_case_37_an_incomplete_list_is_not_taken_for_the_whole(site):
    site.add(name="call - Ann.wav")
    site.respond("call.wav")
    site.server.drive.incomplete_search = True
    table = site.run()
    assert outcomes(table) == ["to be retried"]
    assert "did not list the whole folder" in table["reason"][0]
    site.server.drive.incomplete_search = False
    assert outcomes(site.run()) == ["placed"]


def serial_now(zone: str, **ago: float) -> float:
    moment = datetime.now(ZoneInfo(zone)).replace(tzinfo=None) - timedelta(**ago)
    return (moment - SPREADSHEET_EPOCH) / timedelta(days=1)


ZONES = ["Europe/London", "Asia/Kolkata", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"]


@pytest.mark.parametrize("zone", ZONES)
def test_case_38_an_upload_that_drive_does_not_know_yet_is_waited_for(site, zone):
    site.server.spreadsheet().time_zone = zone
    site.respond(link("file-to-come"), time=serial_now(zone, minutes=2))
    site.respond(link("file-that-never-came"), time=serial_now(zone, minutes=20))
    site.upload()
    table = site.run()
    assert outcomes(table) == ["to be retried", "quarantined", "placed"]
    assert "has not arrived on Drive yet" in table["reason"][0]
    assert "not there or not shared" in table["reason"][1]
    site.contents["file-to-come"] = [wav(8)]
    site.server.add_file(wav(8), name="new.wav", file_id="file-to-come")
    assert outcomes(site.run()) == ["placed", "quarantined", "unchanged"]


@pytest.mark.parametrize("zone", ["GMT-07:00", "Nowhere/At_all"])
def test_case_38_a_zone_that_nobody_knows_is_no_reason_to_stop(site, zone):
    site.server.spreadsheet().time_zone = zone
    site.respond(link("missing"), time=serial_now("Europe/London", minutes=2))
    site.upload()
    assert outcomes(site.run())[1] == "placed"


def test_case_38_an_upload_that_no_list_shows_yet_is_found_by_its_id(site):
    site.upload(listed=False)
    assert outcomes(site.run()) == ["placed"]


def test_case_39_a_shortcut_is_followed_once(site):
    target = site.add(name="target.wav")
    site.respond(link(site.server.add_shortcut(target, name="short.wav")))
    second = site.server.add_shortcut(target, name="again.wav")
    site.respond(link(site.server.add_shortcut(second, name="to a shortcut.wav")))
    site.respond(link(site.server.add_shortcut("nowhere", name="to nothing.wav")))
    table = site.run()
    assert outcomes(table) == ["placed", "quarantined", "quarantined"]
    assert site.names() == ["target_sat.wav"]


def test_case_39_uploads_on_a_shared_drive_are_read(site):
    site.upload(name="by link.wav", driveId="shared")
    site.add(name="by name.wav", driveId="shared")
    site.respond("by name.wav")
    assert outcomes(site.run()) == ["placed", "placed"]


HOSTILE = ["../../x.wav", "/etc/passwd", "a\0b.wav", "\U0001f600.wav", "x" * 300 + ".wav", "..",
           "a." + "y" * 300, "\u202egpj.wav", "con.wav", "a\nb.wav", "", ".", "-rf.wav", "a|b.wav",
           "call.\0", "call./x", "call.p\u00e4rt", "=1+1.wav", "\u0939" * 300 + ".wav"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_case_40_a_hostile_name_becomes_a_plain_one_in_the_folder(site, name):
    for _ in range(2):
        site.upload(name=name)
    table = site.run()
    assert outcomes(table) == ["placed", "placed"]
    names = site.names()
    assert sorted(table["path"]) == [f"audio_data/{name}" for name in names]
    assert all(len(name.encode()) <= 255 and name.endswith("_sat.wav") for name in names)
    assert {path.name for path in site.workspace.folder.parent.iterdir()} == {"workspace"}
    assert outcomes(site.run()) == ["unchanged", "unchanged"]


def test_case_41_a_second_run_at_the_same_time_does_nothing(site):
    site.upload()
    site.server.fail("media", "stall", seconds=60)
    process = start_ingesting(site)
    wait_until(lambda: site.server.count("media") == 1)
    asked = len(site.server.requests)
    with pytest.raises(AlreadyRunningError, match="another run is already working on"):
        ingest_responses(site.form(), site.workspace, settings=site.settings())
    assert len(site.server.requests) == asked
    assert runner.EXIT_CODES["AlreadyRunningError"] == 0
    process.kill()
    process.wait()
    site.server.faults.clear()
    assert outcomes(site.run()) == ["placed"]


HOLDING = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_case_41_the_second_command_says_so_and_ends_well(site, capsys):
    command = [sys.executable, "-c", HOLDING, str(site.workspace.run_lock)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert runner.main(["loop", "--workspace", str(site.workspace.folder)]) == 0
        process.communicate("")
    assert "another run is already working on" in capsys.readouterr().out
    assert site.names() == []


def test_case_41_two_threads_are_two_runs_too(site):
    site.upload()
    site.publish()
    with FileLock(site.workspace.form_lock):
        caught: list[Exception] = []

        def second() -> None:
            try:
                ingest_responses(site.form(), site.workspace, settings=site.settings())
            except AlreadyRunningError as error:
                caught.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(caught) == 1
    assert site.server.requests == []


@pytest.mark.parametrize("damage", [None, b"", b"\xff\xfe\0", b"a,b\n1,2\n", b'file_id\n"x'])
def test_case_42_a_lost_ledger_is_rebuilt_without_fetching_anything(site, damage):
    for number in range(3):
        site.upload(name=f"call_{number}.wav")
    site.run()
    media, before = site.server.count("media"), site.workspace.form_ledger.read_bytes()
    if damage is None:
        site.workspace.form_ledger.unlink()
    else:
        site.workspace.form_ledger.write_bytes(damage)
    table = site.run()
    assert set(outcomes(table)) <= {"unchanged", "renamed"}
    assert site.server.count("media") == media
    assert site.workspace.form_ledger.read_bytes() == before
    assert site.names() == ["call_0_sat.wav", "call_1_sat.wav", "call_2_sat.wav"]


def test_case_42_a_lost_ledger_and_a_corrected_answer_give_one_call(site):
    site.upload()
    site.run()
    site.workspace.form_ledger.unlink()
    site.rows[0][4] = "Average"
    assert outcomes(site.run()) == ["renamed"]
    assert site.names() == ["call_avg.wav"]
    assert site.server.count("media") == 1


@pytest.mark.parametrize("damage", [b"", b"damaged", wav(99), None])
def test_case_43_a_damaged_call_is_fetched_again(site, damage):
    site.upload()
    site.run()
    path = site.workspace.audio_data / "call_sat.wav"
    path.unlink() if damage is None else path.write_bytes(damage)
    assert outcomes(site.run()) == ["placed"]
    assert path.read_bytes() == wav(0)
    assert site.server.count("media") == 2


def test_case_44_nothing_secret_is_written_or_shown(site, account, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    file_id = site.add()
    site.respond(link(file_id, rest="&resourcekey=0-SeCrEtKey"), email="ann@example.org")
    secret = link("missing", rest="&usp=forms_web&resourcekey=0-SeCrEtKey")
    site.respond(secret, email="bob@example.org")
    site.respond(secret.removeprefix("https://"), email="bob@example.org")
    site.upload(denied="insufficientFilePermissions")
    site.server.fail("meta", 503)
    site.server.fail("media", "reset")
    table = site.run(credentials=account)
    assert outcomes(table) == ["placed", *["quarantined"] * 3]
    keys = {each.headers.get("x-goog-drive-resource-keys") for each in site.server.requests}
    assert f"{file_id}/0-SeCrEtKey" in keys
    site.server.fail("token", "invalid_grant", None)
    site.server.expire_tokens()
    with pytest.raises(AuthenticationError) as error:
        site.run(credentials=account)
    everything = [str(error.value), caplog.text, *capfd.readouterr(), table.to_csv()]
    for path in site.workspace.folder.rglob("*"):
        everything.append(path.read_text(errors="replace") if path.suffix == ".csv" else "")
    shown = "\n".join(everything)
    for word in ("Authorization", "Bearer", "token-", "PRIVATE KEY", "assertion"):
        assert word not in shown
    for word in ("SeCrEtKey", "@example.org", "gserviceaccount.com"):
        assert word not in shown


def test_all_errors_that_come_out_are_of_one_family():
    for error in (AuthenticationError, RetryLaterError, SettingsError, StopRunError):
        assert issubclass(error, FormError)
    assert issubclass(AlreadyRunningError, FormError)


def numbers_in_ids() -> set[int]:
    """Numbers of the cases in the ids of this module's tests."""
    ids = [name for name in globals() if name.startswith("test_")]
    for test in [value for name, value in globals().items() if name.startswith("test_")]:
        for mark in getattr(test, "pytestmark", []):
            if mark.name == "parametrize":
                ids += [row.id for row in mark.args[1] if isinstance(getattr(row, "id", 0), str)]
    return {int(number) for each in ids for number in re.findall(r"case[-_](\d+)", each)}


def test_every_case_has_a_test():
    assert list(CASES) == list(range(1, 45))
    assert numbers_in_ids() == set(CASES)
