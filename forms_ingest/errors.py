"""What can go wrong between the form and the workspace, by what it means for the run."""

from helpers.errors import FormError


class RetryLaterError(FormError):
    """A passing fault that outlasted its retries: the next run goes on from there."""


class SettingsError(FormError):
    """The sheet, the tab, a column or a folder is not what the settings say, or not shared."""


class AuthenticationError(FormError):
    """Google does not accept who we are: somebody has to sign in or renew a key."""


class StopRunError(FormError):
    """Going on would make it worse: a daily limit is reached."""
