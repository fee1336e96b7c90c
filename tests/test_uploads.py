import asyncio
import contextlib
import io
import json
import logging
import os
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from api_server import (
    Service,
    encode,
    make_call,
    read_answer,
    serve,
    store_version,
    wait_for,
)
from conftest import make_voice
from fastapi import Request

from apps.api.benchmark import ask, read_memory, write_call
from apps.api.inbox import Inbox
from apps.api.listening import describe, judge
from apps.api.problems import KINDS, MEDIA_TYPE
from apps.api.settings import Settings
from apps.api.uploads import receive_recording
from helpers.audio import SILENCE_PEAK
from helpers.calibration import COVERAGE
from helpers.conversation.turn_taking import listen
from helpers.conversation.verdict import Listener, open_listener
from helpers.errors import AudioError
from helpers.workspace import PROJECT_FOLDER, Workspace

BARE = {"Content-Type": "application/octet-stream"}
NAMED = {**BARE, "Content-Disposition": 'attachment; filename="call.wav"'}
FORM = "multipart/form-data; boundary=limit"


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    store_version(workspace, 0)
    folder = tmp_path_factory.mktemp("inbox")
    limits = {"largest_mb": 1.0, "silence_s": 3.0, "waiting": 2}
    with serve(workspace, folder, workers=1, **limits) as service:
        yield service
    assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def listener(service) -> Listener:
    return open_listener(service.workspace)


@pytest.fixture(autouse=True)
def nothing_kept(service) -> Iterator[None]:
    yield
    wait_for(lambda: not service.uploads())


def check_problem(service: Service, answer, kind: str, words: str = "") -> None:
    """Check that an answer tells one kind of problem, in words that give nothing away."""
    problem = answer.json()
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert (problem["type"], answer.status_code) == (f"/problems/{kind}", KINDS[kind].status)
    assert problem["status"] == answer.status_code
    assert problem["title"] == KINDS[kind].title
    assert words in problem["detail"]
    folders = (service.workspace.folder, service.folder, PROJECT_FOLDER, sys.prefix)
    for folder in (*folders, tempfile.gettempdir()):
        assert str(folder) not in answer.text


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("call.wav", bytes(20_000_000))
    return file.getvalue()


def wave(content: bytes, *, channels=1, sampling_rate=8000, declared: int | None = None) -> bytes:
    """Write a 16-bit PCM header by hand, before some content."""
    size = len(content) if declared is None else declared
    block = 2 * channels
    speed = sampling_rate * block & 0xFFFFFFFF
    format_ = struct.pack("<HHIIHH", 1, channels, sampling_rate, speed, block & 0xFFFF, 16)
    head = struct.pack("<4sI4s4sI", b"RIFF", min(36 + size, 0xFFFFFFFF), b"WAVE", b"fmt ", 16)
    return head + format_ + struct.pack("<4sI", b"data", size) + content


VOICE = (make_voice(3.0, seed=4) * 32767).astype("<i2").tobytes()
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 9999, 9999, 8, 2, 0, 0, 0)
NOISE = np.random.default_rng(1).bytes(30_000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "empty file", id="empty"),
        pytest.param(b"hello", "text, not sound", id="text"),
        pytest.param(b"<html><script>alert(1)</script></html>", "text", id="html"),
        pytest.param(bytes(5000), "", id="zeros"),
        pytest.param(NOISE, "", id="noise"),
        pytest.param(zip_bomb(), "", id="zip bomb"),
        pytest.param(PNG + NOISE, "", id="png"),
        pytest.param(b"\x7fELF" + NOISE, "", id="program"),
        pytest.param(make_call()[:9000], "cut off", id="cut off"),
        pytest.param(make_call()[:30], "", id="half a header"),
        pytest.param(wave(b""), "without any sound", id="header only"),
        pytest.param(wave(VOICE, channels=0), "", id="no channel"),
        pytest.param(wave(VOICE, channels=10), "10 channels", id="10 channels"),
        pytest.param(wave(VOICE, channels=65535), "", id="65535 channels"),
        pytest.param(wave(VOICE, sampling_rate=0), "", id="0 Hz"),
        pytest.param(wave(VOICE, sampling_rate=1), "sampling rate 1 Hz", id="1 Hz"),
        pytest.param(wave(VOICE, sampling_rate=2**32 - 1), "", id="4 GHz"),
        pytest.param(wave(VOICE, declared=10**6), "cut off", id="too much declared"),
        pytest.param(make_call(0.5), "too short: 0.50 s", id="half a second"),
        pytest.param(encode(np.full(24000, SILENCE_PEAK / 4)), "", id="silent"),
        pytest.param(
            encode(np.full(24000, np.nan), subtype="FLOAT"), "not numbers", id="not a number"
        ),
        pytest.param(encode(np.zeros((24000, 3)), format="FLAC", subtype="PCM_16"), "3 channels"),
        pytest.param(make_call(format="FLAC", subtype="PCM_16")[:5000], "", id="half a FLAC"),
        pytest.param(b"OggS" + NOISE, "", id="Ogg with noise"),
        pytest.param(b"\xff\xfb\x90\x00" + NOISE, "", id="MP3 with noise"),
        pytest.param(b"#EXTM3U\nfile:///etc/passwd\n", "text", id="playlist"),
        pytest.param(b"....ftypM4A " + NOISE, "", id="m4a with noise"),
    ],
)
def test_what_is_no_recording_is_told_in_words(service, content, words):
    check_problem(service, service.post(content), "unusable-recording", words)


def test_a_header_of_unknown_length_is_believed_in_what_is_there(service):
    answer = service.post(wave(VOICE, declared=0xFFFFFFFF))
    assert answer.status_code == 200
    assert answer.json()["duration_s"] == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(
    "name",
    [
        *("../../../etc/passwd", "..\\..\\call.wav", "/", "a\0b.wav", "x" * 4000 + ".wav"),
        *("通話.wav", "a\r\nSet-Cookie: a=b.wav", "call.php", ".wav", "call.wav/"),
        *("con.wav", '".wav', "%00"),
    ],
)
def test_no_name_does_any_harm(service, name):
    answer = service.post(make_call(), name)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("content", "kind", "headers", "problem", "words"),
    [
        (b"--limit\r\n", "multipart/form-data", {}, "broken-form", "cannot be told apart"),
        (b"", FORM, {}, "broken-form", "before its last boundary"),
        (b"no form at all", FORM, {}, "broken-form", "cannot be told apart"),
        (b"x", FORM.replace("limit", "l" * 500), {}, "broken-form", "cannot be told apart"),
        (b"--limit\r\nContent-Disposition: form-data", FORM, {}, "broken-form", "send it whole"),
        (b"--limit\r\n" + b"a" * 100_000, FORM, {}, "broken-form", "cannot be told apart"),
        (b"x", "application/json", {}, "unsupported-media-type", "application/json"),
        (b"x", "text/plain; charset=x", {}, "unsupported-media-type", "text/plain"),
        (b"x", "\xff\xfe", {}, "unsupported-media-type", "expected"),
        (b"x", BARE["Content-Type"], {"Content-Encoding": "gzip"}, "unsupported-media-type", ""),
        (b"x", BARE["Content-Type"], {}, "missing-file", "Content-Disposition"),
        (
            *(b"x", "audio/wav", {"Content-Disposition": "attachment"}),
            *("missing-file", "Content-Disposition"),
        ),
        (
            *(b"x", "audio/wav", {"Content-Disposition": "attachment; filename*=x''%ff.wav"}),
            *("unusable-recording", "text"),
        ),
        (
            *(b"x", "audio/wav", {"Content-Disposition": ";;=;filename*9*=\xff;" * 100}),
            *("unusable-recording", "text"),
        ),
    ],
)
def test_a_body_that_holds_no_recording_is_told_in_words(
    service, content, kind, headers, problem, words
):
    headers = {"Content-Type": kind, **headers}
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = service.client.post("/api/predict/", content=content, headers=encoded)
    check_problem(service, answer, problem, words)


CALL = ("call.wav", make_call())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([("recording", CALL)], "no field 'file'"),
        ([("file", CALL), ("file", CALL)], "several fields 'file'"),
        ([("file", (None, b"hello"))], "no file name"),
        ([("file", ("", b"hello"))], "no file name"),
        ([("file", (" ", b"hello"))], "no file name"),
        ([("other", (None, b"hello"))], "no field 'file'"),
    ],
)
def test_a_form_without_exactly_one_recording_is_told_in_words(service, fields, words):
    answer = service.client.post("/api/predict/", files=fields)
    check_problem(service, answer, "missing-file", words)


def test_other_fields_of_a_form_do_not_matter(service):
    fields = [("note", (None, "hello")), ("file", CALL), ("picture", ("a.png", PNG))]
    assert service.client.post("/api/predict/", files=fields).status_code == 200


POST = "POST /api/predict/ HTTP/1.1\nContent-Type: audio/wav\n"
POST += 'Content-Disposition: attachment; filename="call.wav"\n'


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 99999999999999", b"RIFF"),
        ("Content-Length: 99999999999999\nExpect: 100-continue", b""),
        ("Content-Length: 1000001", b"RIFF"),
        ("Transfer-Encoding: chunked", b"f4250\r\n" + bytes(1_000_016) + b"\r\n0\r\n\r\n"),
    ],
)
def test_an_upload_that_is_too_large_is_refused_as_soon_as_that_is_known(service, head, body):
    connection = service.send(POST + head, body)
    check_problem(service, read_answer(connection), "too-large", "larger than 1 MB")


def test_a_form_that_is_too_large_is_refused(service):
    check_problem(service, service.post(bytes(3_000_000)), "too-large", "larger than 1 MB")


def test_an_upload_that_never_ends_is_given_up(service):
    connections = [
        service.send(POST + "Content-Length: 500000", b"RIFF"),
        service.send(POST + "Transfer-Encoding: chunked", b"4\r\nRIFF\r\n"),
    ]
    for connection in connections:
        answer = read_answer(connection)
        check_problem(service, answer, "upload-too-slow", "Nothing arrived for 3 s")


def test_a_client_that_hangs_up_leaves_nothing_behind(service, caplog):
    caplog.set_level(logging.INFO, "apps.api.access")
    connection = service.send(POST + "Content-Length: 500000", bytes(400_000))
    wait_for(service.uploads)
    connection.close()
    wait_for(lambda: not service.uploads())
    wait_for(lambda: "POST /api/predict/ 499, 400000 bytes received" in caplog.text)


def test_who_comes_when_all_places_are_taken_is_asked_to_come_back(service):
    waiting = [service.send(POST + "Content-Length: 500000", b"R") for _ in range(3)]
    wait_for(lambda: len(service.uploads()) == 3)
    answer = service.post(make_call())
    check_problem(service, answer, "busy", "judged or waiting for it: 3,")
    assert int(answer.headers["Retry-After"]) > 0
    for connection in waiting:
        connection.close()
    wait_for(lambda: not service.uploads())
    assert service.post(make_call()).status_code == 200


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("call.wav", {}),
        ("call.wav", {"subtype": "ALAW"}),
        ("call.wav", {"subtype": "GSM610"}),
        ("call.WAV", {"subtype": "PCM_16"}),
        ("call.wav", {"subtype": "FLOAT"}),
        ("call.flac", {"format": "FLAC", "subtype": "PCM_16"}),
        ("call.ogg", {"format": "OGG", "subtype": "VORBIS"}),
        ("call.mp3", {"format": "MP3", "subtype": "MPEG_LAYER_III"}),
        ("no ending", {"format": "MP3", "subtype": "MPEG_LAYER_III"}),
        ("call.ulaw", {"format": "RAW", "subtype": "ULAW"}),
        ("call.al", {"format": "RAW", "subtype": "ALAW"}),
    ],
)
@pytest.mark.parametrize("way", ["form", "body"])
def test_every_encoding_is_judged_as_the_helpers_judge_it(
    service, listener, tmp_path, name, format_, way
):
    path = tmp_path / name
    path.write_bytes(make_call(**format_))
    if way == "form":
        answer = service.post(path.read_bytes(), name)
    else:
        headers = {**BARE, "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        answer = service.client.post("/api/predict", content=path.read_bytes(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json() == json.loads(json.dumps(describe(listener.judge_recording(path))))


@pytest.mark.parametrize("name", ["call.m4a", "call.aac"])
def test_what_ffmpeg_decodes_is_judged_as_well(service, listener, tmp_path, ffmpeg, name):
    (tmp_path / "call.wav").write_bytes(make_call())
    path = tmp_path / name
    ffmpeg("-i", tmp_path / "call.wav", path)
    answer = service.post(path.read_bytes(), name)
    assert answer.json() == json.loads(json.dumps(describe(listener.judge_recording(path))))


def test_the_benchmark_counts_what_is_no_verdict(service, tmp_path):
    call, text = tmp_path / "call.wav", tmp_path / "text.wav"
    call.write_bytes(make_call(1.0))
    text.write_text("hello")
    counts = [
        [answer.is_verdict for answer in ask(service.url, file, requests=3, clients=2)]
        for file in (call, text)
    ]
    assert counts == [3 * [True], 3 * [False]]


def test_the_benchmark_sends_a_call_of_two_people(tmp_path):
    heard = listen(write_call(tmp_path / "call.wav"))
    assert heard.duration_s == 60
    assert set(heard.turns["speaker"]) == {"customer", "agent"}


def test_the_benchmark_adds_up_the_memory_of_a_process_and_its_children():
    alone = read_memory(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        with_child = read_memory(os.getpid())
        child.communicate(b"\n")
    assert np.isnan(alone) or with_child > alone > 0


def test_an_upload_is_never_whole_in_memory(tmp_path):
    pieces = 512 * [bytes(64 * 1024)]

    async def receive() -> dict:
        piece = pieces.pop()
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    headers = [(name.lower().encode(), value.encode()) for name, value in NAMED.items()]
    request = Request({"type": "http", "headers": headers}, receive)
    settings = Settings(Workspace(tmp_path))
    tracemalloc.start()
    path = asyncio.run(receive_recording(request, tmp_path, settings))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size == 32 * 2**20
    assert most < 6 * 2**20


@pytest.mark.parametrize("content", [make_call(), b"hello"])
def test_what_was_judged_is_removed_where_nobody_waits_for_it_any_more(service, tmp_path, content):
    path = tmp_path / "request" / "call.wav"
    path.parent.mkdir()
    path.write_bytes(content)
    with contextlib.suppress(AudioError):
        judge(service.workspace, path, "", COVERAGE)
    assert not path.parent.exists()


def test_a_worker_lets_others_go_first_and_keeps_a_lower_limit_for_files(tmp_path):
    program = """if True:
        import os, resource, sys
        from pathlib import Path
        from apps.api.listening import prepare
        from helpers.workspace import Workspace
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 20_000_000))
        before = os.nice(0)
        prepare(Workspace(Path(sys.argv[1])))
        print(*resource.getrlimit(resource.RLIMIT_FSIZE), os.nice(0) > before or before == 19)
    """
    command = [sys.executable, "-c", program, tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER)}
    printed = subprocess.check_output(command, env=environment, text=True)
    assert printed.split() == ["20000000", "20000000", "True"]


def test_folders_that_another_service_removes_meanwhile_are_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "call-emotion-api-left"
    left.mkdir()
    look = Path.is_symlink

    def remove_first(path) -> bool:
        if path == left:
            path.rmdir()
        return look(path)

    monkeypatch.setattr(Path, "is_symlink", remove_first)
    inbox = Inbox()
    inbox.open()
    assert list(tmp_path.iterdir()) == [inbox.folder]
    inbox.close()


def test_what_a_killed_service_left_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    running, killed, foreign = Inbox(), Inbox(), tmp_path / "call-emotion-api-foreign"
    running.open()
    killed.open()
    with killed.make_folder() as folder:
        (folder / "call.wav").touch()
        killed._lock.release()
        foreign.mkdir()
        fresh = Inbox()
        fresh.open()
        left = set(tmp_path.iterdir())
        assert left == {running.folder, fresh.folder, foreign}
    for inbox in (running, fresh):
        inbox.close()
    assert list(tmp_path.iterdir()) == [foreign]
