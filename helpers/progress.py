"""One look for every progress bar."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], description: str, *, total: int | None = None) -> tqdm:
    """Show a progress bar while `items` are worked through; several lines an hour in a log file."""
    return tqdm(items, desc=description, total=total, file=sys.stdout, ncols=80, mininterval=0.5)
