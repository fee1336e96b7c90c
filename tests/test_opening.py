import json

import pytest
from google_server import pem, private_key

from forms_ingest.errors import AuthenticationError
from forms_ingest.google_form import GoogleForm
from forms_ingest.offline_form import OfflineForm
from forms_ingest.opening import open_form
from forms_ingest.settings import GOOGLE, FormSettings


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def test_without_a_sheet_the_offline_form_is_opened(tmp_path):
    (tmp_path / "responses.csv").write_text("Timestamp\n")
    form = open_form(FormSettings(), tmp_path)
    assert isinstance(form, OfflineForm)
    assert form.read_rows() == [["Timestamp"]]


def test_an_offline_form_needs_no_credentials(tmp_path, no_credentials):
    assert isinstance(open_form(FormSettings(), tmp_path), OfflineForm)


def test_a_sheet_without_credentials_is_refused_with_the_ways_out(tmp_path, no_credentials):
    settings = FormSettings(form=GOOGLE, sheet_id="1x")
    with pytest.raises(AuthenticationError, match=r"no credentials for Google\. In Colab run"):
        open_form(settings, tmp_path)


@pytest.mark.parametrize("content", [None, "{}", "no json"])
def test_a_key_file_that_is_no_key_is_refused(tmp_path, no_credentials, content):
    if content:
        (tmp_path / "key.json").write_text(content)
    settings = FormSettings(form=GOOGLE, sheet_id="1x", service_account=str(tmp_path / "key.json"))
    with pytest.raises(AuthenticationError, match=r"key\.json cannot be used .* download a new"):
        open_form(settings, tmp_path)


def test_a_sheet_with_a_key_file_is_opened_without_asking_anybody(tmp_path, no_credentials):
    key = {
        "type": "service_account",
        "client_email": "robot@example.iam.gserviceaccount.com",
        "private_key": pem(private_key()),
        "token_uri": "http://127.0.0.1:9/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(key))
    settings = FormSettings(form=GOOGLE, sheet_id="1x", service_account=str(tmp_path / "key.json"))
    assert isinstance(open_form(settings, tmp_path), GoogleForm)
