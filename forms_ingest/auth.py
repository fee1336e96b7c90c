"""Who we are for Google: one ladder from Colab's user to a service account's key file."""

import logging
import os
import re
from importlib.util import find_spec

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.oauth2 import service_account

from forms_ingest.errors import AuthenticationError
from forms_ingest.settings import FormSettings

READ_SCOPES = (
    "https://www.googleapis.com/auth/drive.readonly",
    "https://www.googleapis.com/auth/spreadsheets.readonly",
)
"""What reading the responses and uploads needs; nothing can be changed with it."""

WRITE_SCOPES = (
    "https://www.googleapis.com/auth/drive.readonly",
    "https://www.googleapis.com/auth/spreadsheets",
)
"""What writing verdicts back needs, asked for only where it is switched on."""

_UNUSABLE = (GoogleAuthError, ValueError, OSError, AttributeError)  # the last: JSON, no object

TALKATIVE_LOGGERS = (
    "urllib3.connectionpool",
    "google.auth._regional_access_boundary_utils",
    "google.oauth2._client",
)
"""Loggers of the libraries below that write the account's address where Google is out of reach."""

_ADDRESS = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")

_WAY_OUT = (
    "In Colab run the notebook's set-up cell and allow access; elsewhere set "
    "GOOGLE_APPLICATION_CREDENTIALS, or CALL_EMOTION_SERVICE_ACCOUNT to a service account's key "
    "file, or use the offline form with CALL_EMOTION_FORM=offline"
)


def find_credentials(settings: FormSettings) -> Credentials:
    """Find credentials: Colab's user, then application default credentials, then the key file.

    Args:
        settings: names the key file, and whether verdicts are written back

    Returns:
        credentials limited to the scopes that are needed

    Raises:
        AuthenticationError: where there are none, with the ways out
    """
    hide_addresses()
    scopes = WRITE_SCOPES if settings.write_back else READ_SCOPES
    _sign_in_to_colab()
    try:
        credentials, _ = google.auth.default(scopes=scopes)
    except DefaultCredentialsError:
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            raise AuthenticationError(
                "the file that GOOGLE_APPLICATION_CREDENTIALS names is not there or not usable"
            ) from None
        return _read_key_file(settings.service_account, scopes)
    except _UNUSABLE as error:
        raise AuthenticationError(
            f"the default credentials cannot be used ({type(error).__name__}). {_WAY_OUT}"
        ) from None
    return credentials


def hide_addresses() -> None:
    """Let the libraries below write `<address>` instead of an e-mail address into their logs."""
    for name in TALKATIVE_LOGGERS:
        logger = logging.getLogger(name)
        if _hide_address not in logger.filters:
            logger.addFilter(_hide_address)


def _hide_address(record: logging.LogRecord) -> bool:
    record.msg, record.args = _ADDRESS.sub("<address>", record.getMessage()), ()
    return True


def _sign_in_to_colab() -> None:
    if find_spec("google.colab") is None:
        return
    from google.colab import auth

    try:
        auth.authenticate_user()
    except Exception as error:  # Colab does not say which
        raise AuthenticationError(
            f"Colab gave no access to Google ({type(error).__name__}): run the notebook's set-up "
            "cell again and allow it"
        ) from None


def _read_key_file(path: str, scopes: tuple[str, ...]) -> Credentials:
    if not path:
        raise AuthenticationError(f"there are no credentials for Google. {_WAY_OUT}")
    try:
        return service_account.Credentials.from_service_account_file(path, scopes=scopes)
    except _UNUSABLE as error:
        raise AuthenticationError(
            f"the key file {path} cannot be used ({type(error).__name__}): download a new key in "
            "the Google Cloud console"
        ) from None
