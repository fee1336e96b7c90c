import asyncio
import json
import logging
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from api_server import Service, make_call, read_answer, serve, store_version, wait_for
from conftest import make_voice
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from apps.api.__main__ import main
from apps.api.answers import Prediction
from apps.api.app import create_app
from apps.api.catalogue import list_models
from apps.api.envelope import Envelope
from apps.api.problems import KINDS, MEDIA_TYPE
from apps.api.service import Service as JudgingService
from apps.api.settings import TOKEN_VARIABLE, Settings
from apps.live.messages import encode_mu_law
from apps.live.play import play_call
from helpers.conversation.verdict import open_listener
from helpers.model_store import list_versions, promote, rollback
from helpers.workspace import PROJECT_FOLDER, Workspace

TOKEN = "a token that is long enough"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    """Serve a workspace with two versions of the model, the first of which judges."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    for seed in range(2):
        store_version(workspace, seed)
    folder = tmp_path_factory.mktemp("inbox")
    with serve(workspace, folder, workers=1, token=TOKEN) as service:
        service.client.headers.update(BEARER)
        yield service
    assert not list(folder.iterdir())


@pytest.fixture
def versions(service) -> list[str]:
    return [each["version"] for each in service.client.get("/api/models/").json()["versions"]]


def test_an_answer_is_what_openapi_promises_and_the_helpers_say(service, tmp_path):
    content = make_call(8.0)
    answer = service.post(content).json()
    Prediction.model_validate_json(json.dumps(answer), strict=True)
    path = tmp_path / "call.wav"
    path.write_bytes(content)
    verdict = open_listener(service.workspace).judge_recording(path)
    assert answer["probabilities"] == pytest.approx(verdict.probabilities)
    assert answer["status"] == verdict.row["status"]
    assert answer["turns"] == verdict.story.conversation.turns.to_dict("records")
    assert [span["start_s"] for span in answer["timeline"]["windows"]] == [0.0]
    assert answer["duration_s"] == 8.0
    assert answer["start"]["end_s"] == answer["end"]["end_s"] == 8.0
    assert answer["model_version"] == verdict.version


@pytest.mark.parametrize("path", ["/api/predict", "/api/predict/"])
def test_both_spellings_of_an_address_are_the_same(service, path):
    files = {"file": ("call.wav", make_call())}
    assert service.client.post(path, files=files).status_code == 200
    assert service.client.get(path.replace("predict", "models")).status_code == 200


def test_the_version_asked_for_judges(service, versions):
    answers = [service.post(make_call(), params={"version": each}).json() for each in versions]
    assert [answer["model_version"] for answer in answers] == versions
    assert answers[0]["probabilities"] != answers[1]["probabilities"]


@pytest.mark.parametrize(("coverage", "needs_human"), [(0, True), (1, False)])
def test_the_coverage_says_how_often_a_person_is_asked(service, coverage, needs_human):
    answer = service.post(make_call(), params={"coverage": coverage}).json()
    assert answer["needs_human"] == needs_human


@pytest.mark.parametrize(
    ("parameters", "problem", "words"),
    [
        ({"version": "0009-00000000"}, "unknown-version", "'0009-00000000'"),
        ({"version": "../models"}, "invalid-parameter", "version: Expected a name such as"),
        ({"version": "0001-" + "a" * 5000}, "invalid-parameter", "version:"),
        ({"version": "\0"}, "invalid-parameter", "version:"),
        ({"coverage": "2"}, "invalid-parameter", "coverage: Input should be less than"),
        ({"coverage": "nan"}, "invalid-parameter", "coverage:"),
        ({"coverage": "most"}, "invalid-parameter", "coverage: Input should be a valid number"),
    ],
)
def test_a_wrong_parameter_is_told_in_words(service, parameters, problem, words):
    answer = service.post(make_call(), params=parameters)
    assert answer.json()["type"] == f"/problems/{problem}"
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        ("GET", "/nothing", "not-found"),
        ("GET", "/api/models/../../etc/passwd", "not-found"),
        ("GET", "/problems/nothing", "not-found"),
        ("GET", "/api/predict/", "method-not-allowed"),
        ("PUT", "/api/predict", "method-not-allowed"),
        ("DELETE", "/api/models/", "method-not-allowed"),
        ("POST", "/health", "method-not-allowed"),
    ],
)
def test_a_wrong_address_or_method_is_a_problem_too(service, method, path, problem):
    answer = service.client.request(method, path)
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert answer.json()["type"] == f"/problems/{problem}"
    assert answer.status_code == KINDS[problem].status
    assert ("Allow" in answer.headers) == (problem == "method-not-allowed")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", "Basic YTpi", f"bearer {TOKEN}x", "Bearer \xff"]
)
@pytest.mark.parametrize("method", ["GET /api/models/", "POST /api/predict"])
def test_without_the_token_nothing_is_told(service, method, authorization):
    connection = service.send(f"{method} HTTP/1.1\nAuthorization: {authorization}")
    answer = read_answer(connection)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["type"] == "/problems/token-needed"


@pytest.mark.parametrize("path", ["/health", "/health/", "/docs", "/openapi.json", "/live", "/"])
def test_state_and_pages_need_no_token(service, path):
    answer = service.client.get(path, headers={"Authorization": ""}, follow_redirects=True)
    assert answer.status_code == 200


def test_the_next_request_after_a_promotion_is_judged_by_the_new_champion(service, versions):
    assert service.post(make_call()).json()["model_version"] == versions[0]
    promote(service.workspace, versions[1], reason="a test")
    assert service.post(make_call()).json()["model_version"] == versions[1]
    assert service.client.get("/health").json() == {"status": "ok", "champion": versions[1]}
    assert service.client.get("/api/models").json()["champion"] == versions[1]
    rollback(service.workspace)
    assert service.post(make_call()).json()["model_version"] == versions[0]


def test_a_promotion_and_a_rollback_reach_live_calls(service, versions):
    url = f"{service.url.replace('http', 'ws')}/live/stream"
    tracks = {"inbound": encode_mu_law(make_voice(6.0, seed=4))}

    def listen() -> list[float]:
        answers = asyncio.run(play_call(tracks, url, speed=0, parameters={"token": TOKEN}))
        return [answer["upset"] for answer in answers if answer["event"] == "mood"]

    before = listen()
    assert before
    promote(service.workspace, versions[1], reason="a test")
    wait_for(lambda: listen() != before)
    rollback(service.workspace)
    wait_for(lambda: listen() == before)


def test_models_are_listed_with_what_their_cards_say(service, versions):
    models = service.client.get("/api/models/").json()
    assert models["champion"] == versions[0]
    assert [each["is_champion"] for each in models["versions"]] == [True, False]
    assert all(each["feature_set"] == "phone-1" for each in models["versions"])
    assert all(each["golden"] is None for each in models["versions"])


def test_many_requests_at_once_are_all_answered_alike(service):
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: service.post(make_call()), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_the_log_tells_nothing_of_what_was_sent(service, caplog):
    caplog.set_level(logging.INFO)
    answer = service.post(make_call(), "secret.wav", params={"version": "", "secret": "secret"})
    assert answer.status_code == 200
    wait_for(lambda: "POST /api/predict/ 200" in caplog.text)
    lines = [each.getMessage() for each in caplog.records if each.name == "apps.api.access"]
    assert re.fullmatch(r"POST /api/predict/ 200, 24\d{3} bytes received, \d+\.\d{3} s", lines[-1])
    served = [each for each in caplog.records if each.name.startswith(("apps", "uvicorn.error"))]
    assert not any("secret" in each.getMessage() for each in served)
    assert not any(TOKEN in each.getMessage() for each in served)


@pytest.mark.parametrize("path", ["/health", "/api/models/", "/docs", "/nothing"])
def test_every_answer_has_headers_that_keep_it_safe(service, path):
    headers = service.client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


def test_the_page_shows_every_request_and_loads_nothing(service):
    page = service.client.get("/docs").text
    for words in ("POST /api/predict/", "GET /api/models/", "GET /health", "-F file=@call.wav"):
        assert words in page
    assert """-H 'Content-Disposition: attachment; filename="call.wav"'""" in page
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "<script" not in page


@pytest.mark.parametrize("name", KINDS)
def test_each_problem_has_a_page_and_most_are_in_the_description(service, name):
    assert KINDS[name].title in service.client.get(f"/problems/{name}").text
    description = json.dumps(service.client.get("/openapi.json").json())
    unlisted = {"bad-request", "unknown-host", "not-found", "method-not-allowed"}
    assert (f"/problems/{name}" in description) == (name not in unlisted)


def test_an_unexpected_error_is_a_problem_without_a_trace(caplog):
    async def fail(scope, receive, send) -> None:
        raise ZeroDivisionError(f"in {PROJECT_FOLDER}")

    async def receive() -> dict:
        return {"type": "http.request", "body": b""}

    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": []}
    asyncio.run(Envelope(fail)(scope, receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["type"] == "/problems/internal-error"
    assert str(PROJECT_FOLDER) not in str(sent)
    assert "ZeroDivisionError" in caplog.text


def test_without_a_model_the_service_says_so_until_there_is_one(tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    (tmp_path / "inbox").mkdir()
    with serve(workspace, tmp_path / "inbox", workers=1) as service:
        for answer in (service.client.get("/health"), service.post(make_call())):
            assert answer.status_code == 503
            assert answer.json()["type"] == "/problems/no-model"
        assert service.client.get("/api/models/").json() == {"champion": None, "versions": []}
        version = store_version(workspace, 0)
        wait_for(lambda: service.client.get("/health").json().get("champion") == version)
        assert service.post(make_call()).json()["model_version"] == version
        shutil.rmtree(workspace.models)
        assert service.client.get("/health").status_code == 503


def test_a_card_with_values_of_other_kinds_is_a_version_of_which_nothing_is_known(tmp_path):
    workspace = Workspace(tmp_path)
    cards = [{"created": 5}, {"golden": {"accuracy": math.nan}}, {"training": {"calls": "many"}}]
    for number, card in enumerate(cards):
        folder = workspace.models / f"{number:04}-00000000"
        folder.mkdir(parents=True)
        (folder / "card.json").write_text(json.dumps(card))
    versions = list_models(workspace).model_dump()["versions"]
    assert [each["version"] for each in versions] == list_versions(workspace)
    for each in versions:
        assert {name for name, value in each.items() if value is not None} == {
            "version",
            "is_champion",
        }


@pytest.fixture(scope="module")
def open_service(tmp_path_factory) -> Iterator[Service]:
    """Serve a workspace without a model and without a token."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    with serve(workspace, tmp_path_factory.mktemp("inbox"), workers=1) as service:
        yield service


HOSTS = {
    **dict.fromkeys(["127.0.0.1", "LOCALHOST:8000", "[::1]:8000"], 200),
    **dict.fromkeys(["evil.example", "127.0.0.1.evil.example:8000", "", "[", "[::2]"], 400),
}


@pytest.mark.parametrize(("host", "status"), HOSTS.items())
def test_without_a_token_only_names_of_this_computer_are_answered(open_service, host, status):
    answer = read_answer(open_service.send(f"GET /docs HTTP/1.1\nHost: {host}"))
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["Content-Type"] == MEDIA_TYPE
        assert answer.json()["type"] == "/problems/unknown-host"


@pytest.mark.parametrize(("host", "is_let_in"), [("localhost", True), ("evil.example", False)])
def test_without_a_token_sockets_too_answer_to_names_of_this_computer(
    open_service, host, is_let_in
):
    url = f"ws://{host}:{open_service.address[1]}/live/watch"
    connection = socket.create_connection(open_service.address, timeout=60)
    refused = nullcontext() if is_let_in else pytest.raises(InvalidStatus, match="403")
    with refused, connect(url, sock=connection):
        pass


def test_the_state_is_told_to_many_at_once_however_busy_the_workers_are(tmp_path, monkeypatch):
    monkeypatch.setattr("apps.api.service.HEALTH_S", 0.1)
    workspace = Workspace(tmp_path)
    service = JudgingService(Settings(workspace, workers=1))
    store_version(workspace, 0)
    asked = []

    async def never(function, *arguments) -> None:
        asked.append(function)
        await asyncio.Event().wait()

    async def ask_often() -> None:
        for _ in range(2):
            problems = await asyncio.gather(
                *(service.find_champion() for _ in range(50)), return_exceptions=True
            )
            assert {each.kind for each in problems} == {"busy"}

    monkeypatch.setattr(service._workers, "run", never)
    asyncio.run(ask_often())
    assert len(asked) == 1


def test_making_the_app_starts_nothing(tmp_path):
    assert isinstance(create_app(Settings(Workspace(tmp_path))), FastAPI)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "token", "words"),
    [
        (["nowhere"], "", "nowhere is no folder"),
        (["."], "short", "can be guessed"),
        (["."], f" {TOKEN}", "sent by nobody"),
        (["."], f"{TOKEN}ü", "sent by nobody"),
        ([".", "--host", "0.0.0.0"], "", "export CALL_EMOTION_TOKEN=$(openssl rand -hex 16)"),
        ([".", "--host", "::"], "", "which have to show a token"),
        ([".", "--host", ""], "", "which have to show a token"),
        ([".", "--host", "example.org"], "", "which have to show a token"),
        ([".", "--live-workers", "0"], "", "--live-workers is 0, expected 1 or more"),
        ([".", "--workers", "0"], "", "--workers is 0, expected 1 or more"),
        ([".", "--waiting", "-1"], "", "--waiting is -1"),
        ([".", "--largest-mb", "0"], "", "--largest-mb is 0"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(options, token, words, monkeypatch, capsys):
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    assert main(options) == 2
    assert words in capsys.readouterr().err


def test_a_missing_package_is_told_in_a_sentence(tmp_path):
    program = "import sys; sys.modules['fastapi'] = None\n"
    program += f"from apps.api.__main__ import main; sys.exit(main([{str(tmp_path)!r}]))"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER)}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "requirements-apps.txt" in run.stderr
