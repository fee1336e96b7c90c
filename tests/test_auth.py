"""Who we are for Google: the ladder of credentials, what they may do, and the way out."""

import io
import json
import logging
import sys

import google
import pytest
from google.oauth2.credentials import Credentials as Token
from google_site import outcomes

from forms_ingest.auth import (
    READ_SCOPES,
    TALKATIVE_LOGGERS,
    WRITE_SCOPES,
    find_credentials,
    hide_addresses,
)
from forms_ingest.errors import AuthenticationError
from helpers.runner import EXIT_CODES

DRIVE = "https://www.googleapis.com/auth/drive.readonly"
SHEETS = "https://www.googleapis.com/auth/spreadsheets"

COLAB = """
calls = []

def authenticate_user():
    calls.append("asked")
"""
REFUSING = """
def authenticate_user():
    raise RuntimeError("Error: credential propagation was unsuccessful")
"""


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    """Hide what this computer has; no service is asked whether it runs in Google's cloud."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Make a stand-in for Colab's own package, with the given content of `google.colab.auth`."""

    def install(content: str) -> None:
        package = tmp_path / "packages" / "google" / "colab"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "auth.py").write_text(content)
        monkeypatch.setattr(google, "__path__", [*google.__path__, str(package.parent)])

    yield install
    for name in ("google.colab.auth", "google.colab"):
        sys.modules.pop(name, None)
    if hasattr(google, "colab"):
        del google.colab


@pytest.fixture
def key(site, tmp_path):
    return site.server.service_account_file(tmp_path / "key.json")


@pytest.fixture
def identity(site, tmp_path):
    return site.server.workload_identity_file(tmp_path / "identity.json")


def scopes_given(site) -> list[set[str]]:
    return [set(grant["scopes"]) for grant in site.server.auth.grants]


def test_a_service_account_reads_with_reading_scopes_only(site, key):
    site.upload()
    credentials = find_credentials(site.settings(service_account=str(key)))
    assert outcomes(site.run(credentials=credentials)) == ["placed"]
    assert scopes_given(site) == [{DRIVE, f"{SHEETS}.readonly"}] * len(scopes_given(site))
    assert {grant["kind"] for grant in site.server.auth.grants} == {"service account"}


def test_application_default_credentials_are_a_key_file_too(site, key, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    site.upload()
    assert outcomes(site.run(credentials=find_credentials(site.settings()))) == ["placed"]
    assert set().union(*scopes_given(site)) == set(READ_SCOPES)


def test_workload_identity_is_exchanged_and_limited(site, identity, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(identity))
    site.upload()
    assert outcomes(site.run(credentials=find_credentials(site.settings()))) == ["placed"]
    grants = {grant["kind"]: set(grant["scopes"]) for grant in site.server.auth.grants}
    assert set(grants) == {"federated", "impersonated"}
    assert grants["impersonated"] == set(READ_SCOPES)


@pytest.mark.parametrize("write_back, scopes", [(False, READ_SCOPES), (True, WRITE_SCOPES)])
def test_writing_is_asked_for_only_where_it_is_switched_on(site, key, write_back, scopes):
    settings = site.settings(service_account=str(key), write_back=write_back)
    form = site.form(credentials=find_credentials(settings))
    site.publish()
    form.read_rows()
    assert set().union(*scopes_given(site)) == set(scopes)
    assert (SHEETS in scopes) == write_back
    assert "https://www.googleapis.com/auth/drive" not in scopes


def test_default_credentials_come_before_the_key_file(site, identity, key, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(identity))
    site.publish()
    credentials = find_credentials(site.settings(service_account=str(key)))
    site.form(credentials=credentials).read_rows()
    assert "impersonated" in {grant["kind"] for grant in site.server.auth.grants}


def test_in_colab_the_user_is_asked_first_and_default_credentials_are_taken(
    site, key, colab, monkeypatch
):
    colab(COLAB)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    site.upload()
    credentials = find_credentials(site.settings())
    from google.colab import auth

    assert auth.calls == ["asked"]
    assert outcomes(site.run(credentials=credentials)) == ["placed"]


def test_in_colab_a_refused_access_is_one_sentence(site, colab):
    colab(REFUSING)
    with pytest.raises(AuthenticationError, match=r"Colab gave no access to Google.*set-up cell"):
        find_credentials(site.settings())


def test_without_any_credentials_the_ways_out_are_named(site):
    with pytest.raises(AuthenticationError, match="there are no credentials for Google") as error:
        find_credentials(site.settings())
    for way in (
        "set-up cell",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CALL_EMOTION_SERVICE_ACCOUNT",
        "CALL_EMOTION_FORM=offline",
    ):
        assert way in str(error.value)
    assert EXIT_CODES["AuthenticationError"] == 3
    assert site.server.requests == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "{}",
        '{"type": "service_account"}',
        '{"type": "unheard of"}',
        json.dumps({"type": "service_account", "client_email": "a@b", "token_uri": "x",
                    "private_key": "-----BEGIN SECRET-----"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rung", ["default", "key file"])
def test_a_file_that_is_no_key_is_one_sentence_without_its_content(
    site, tmp_path, monkeypatch, content, rung
):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_text(content)
    if rung == "default":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        settings = site.settings()
    else:
        settings = site.settings(service_account=str(path))
    with pytest.raises(AuthenticationError) as error:
        find_credentials(settings)
    assert "SECRET" not in str(error.value)
    assert "a@b" not in str(error.value)


def test_a_token_that_cannot_be_renewed_is_an_authentication_error(site):
    site.upload()
    with pytest.raises(AuthenticationError, match="sign in again or renew the key"):
        site.run(credentials=Token("revoked"))


def test_a_subject_token_that_is_gone_is_an_authentication_error(site, identity, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(identity))
    credentials = find_credentials(site.settings())
    identity.with_suffix(".subject").unlink()
    with pytest.raises(AuthenticationError):
        site.run(credentials=credentials)


def test_scopes_that_do_not_allow_writing_end_in_a_sentence(site, key):
    site.publish()
    form = site.form(credentials=find_credentials(site.settings(service_account=str(key))))
    from forms_ingest.errors import SettingsError

    with pytest.raises(SettingsError, match="share it as Editor"):
        form.write_rows("Call Emotion", [["a"]])


@pytest.mark.parametrize("name", TALKATIVE_LOGGERS)
@pytest.mark.parametrize("sign", ["@", "%40"])
def test_the_libraries_below_write_no_address_into_their_logs(monkeypatch, name, sign):
    # heard at the logger itself: google-auth stops its records on their way to the root
    heard = io.StringIO()
    logger = logging.getLogger(name)
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(heard)])
    hide_addresses()
    hide_addresses()
    address = f"robot-7{sign}calls.iam.gserviceaccount.com"
    logger.warning("Retrying %d: /serviceAccounts/%s/allowed", 2, address)
    assert heard.getvalue() == "Retrying 2: /serviceAccounts/<address>/allowed\n"
