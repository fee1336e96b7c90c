import tempfile
from collections.abc import Iterator

import pytest
from api_server import REASON, Service, make_call, serve, store_version
from hypothesis import HealthCheck, given, settings

from helpers.workspace import PROJECT_FOLDER, Workspace

schemathesis = pytest.importorskip("schemathesis", reason=REASON)
GenerationMode = schemathesis.GenerationMode

CALL = make_call(1.0)


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    store_version(workspace, 0)
    folder = tmp_path_factory.mktemp("inbox")
    with serve(workspace, folder, workers=1, largest_mb=1.0, silence_s=3.0) as service:
        yield service
        assert not service.uploads()
    assert not list(folder.iterdir())


def list_operations(service: Service) -> list:
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    return [operation.ok() for operation in schema.get_all_operations()]


def fuzz(strategy, examples: int, check) -> None:
    limits = {"max_examples": examples, "deadline": None, "derandomize": True, "database": None}
    settings(**limits, suppress_health_check=list(HealthCheck))(given(strategy)(check))()


def test_whatever_is_sent_the_answer_is_one_that_openapi_promises(service):
    operations = list_operations(service)
    assert {operation.path for operation in operations} >= {"/api/predict/", "/api/models/"}
    met = set()
    for operation in operations:
        takes_anything = operation.method.upper() == "POST"  # the others take no parameter
        for mode in GenerationMode if takes_anything else [GenerationMode.POSITIVE]:
            strategy = operation.as_strategy(generation_mode=mode)
            fuzz(strategy, 25, lambda case: met.add(check(service, case)))
    assert met >= {200, 400, 422}


def test_whatever_comes_with_a_recording_the_answer_is_one_that_openapi_promises(service):
    def check_recording(case) -> None:
        if case.media_type == "multipart/form-data":
            case.body = {"file": CALL}
        else:
            case.body = CALL
            case.headers["Content-Disposition"] = 'attachment; filename="call.wav"'
        met.add(check(service, case))

    met = set()
    for operation in list_operations(service):
        if operation.path == "/api/predict/":
            fuzz(operation.as_strategy(), 20, check_recording)
    assert met == {200, 404}


def check(service: Service, case) -> int:
    answer = case.call()
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.checks.status_code_conformance,
        schemathesis.checks.content_type_conformance,
        schemathesis.checks.response_schema_conformance,
    ]
    case.validate_response(answer, checks=checks)
    for folder in (service.workspace.folder, PROJECT_FOLDER, tempfile.gettempdir()):
        assert str(folder) not in answer.text
    return answer.status_code
