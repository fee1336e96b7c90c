"""The errors people see: what came, what was expected, what to do."""


class CallEmotionError(Exception):
    """Base of every error that this project raises on purpose."""


class AudioError(CallEmotionError):
    """A file that cannot be used as a recording; the message is the reason."""


class ArchiveError(CallEmotionError):
    """A zip, or one of its entries, that cannot be unpacked safely."""


class TableError(CallEmotionError):
    """A table that lacks a column or holds a value nobody can interpret."""


class DecidedError(CallEmotionError):
    """A decision about a call that somebody else has decided otherwise meanwhile."""


class MissingStepError(CallEmotionError):
    """A file that an earlier notebook should have written is not there."""


class ModelError(CallEmotionError):
    """A stored model that is missing, changed, or made elsewhere."""


class GoldenSetError(CallEmotionError):
    """A golden set that was changed by hand, or is to be changed in a way that breaks it."""


class RolesError(CallEmotionError):
    """A setting of who is the customer that cannot be understood."""


class FormError(CallEmotionError):
    """A form's responses or uploads that cannot be read."""
