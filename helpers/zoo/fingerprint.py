"""A name for the code that made something, so that nothing made by other code is taken for it."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("librosa", "numpy", "scipy", "scikit-learn", "soxr")
"""Packages whose version is part of the name."""


@lru_cache
def fingerprint_code(modules: Sequence[str]) -> str:
    """Name the code of modules, which are not imported for it, and of what they stand on.

    Args:
        modules: dotted names, as a tuple

    Returns:
        eight hexadecimal digits, which change with any of the files and with `LIBRARIES`
    """
    digest = hashlib.sha256(",".join(map(metadata.version, LIBRARIES)).encode())
    for name in modules:
        digest.update(Path(find_spec(name).origin).read_bytes())
    return digest.hexdigest()[:8]
