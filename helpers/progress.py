"""One look for every progress bar."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], description: str, *, total: int | None = None) -> tqdm:
    """Show a progress bar while `items` are worked through.

    Args:
        items: worked through one by one
        description: what is being done
        total: number of items, where they do not know it themselves
    """
    return tqdm(items, desc=description, total=total, file=sys.stdout, ncols=80, mininterval=0.5)
