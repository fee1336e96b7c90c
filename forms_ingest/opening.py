"""Opening the form that the settings name."""

from pathlib import Path

from forms_ingest.form import Form
from forms_ingest.offline_form import OfflineForm
from forms_ingest.settings import GOOGLE, FormSettings


def open_form(settings: FormSettings, folder: Path) -> Form:
    """Open Google's form where the settings name a sheet, else the offline form.

    Args:
        settings: which form
        folder: of the offline form, with `responses.csv` and `uploads`

    Raises:
        AuthenticationError: where there are no usable credentials for Google
    """
    if settings.form != GOOGLE:
        return OfflineForm(folder)
    from forms_ingest.auth import find_credentials
    from forms_ingest.google_form import GoogleForm

    return GoogleForm(settings, find_credentials(settings))
