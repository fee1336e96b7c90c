"""The models of the zoo tried on the statuses of one's own calls."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from helpers.dataset import VERDICT_KINDS, load_dataset
from helpers.errors import MissingStepError
from helpers.evaluation import evaluate
from helpers.progress import progress
from helpers.workspace import Workspace
from helpers.zoo.comparison import APART, AT_RANDOM, CHOSEN
from helpers.zoo.models import FRAMES, ScaledClassifier, find_model
from helpers.zoo.selection import ChosenModel

COLUMNS = ("model", "uar", "low", "high", "random_uar", "gap")
"""Columns of the table of `compare_on_calls`."""


def compare_on_calls(workspace: Workspace, models: Sequence[str]) -> pd.DataFrame:
    """Score models on how the workspace's calls end, customers apart.

    Args:
        workspace: with the features of notebook 3
        models: names in the registry; those that take frames are left out, for calls are described
            by vectors

    Returns:
        one row a model, the best first, and one of the model that is chosen on training customers:
        `COLUMNS`; empty where no call has features yet

    Raises:
        CallEmotionError: where there are too few customers to hold some out
    """
    try:
        ends = load_dataset(workspace).only(VERDICT_KINDS)
    except MissingStepError as error:
        print(error)
        return pd.DataFrame(columns=list(COLUMNS))
    makers = {
        name: partial(ScaledClassifier, name) for name in models if find_model(name).takes != FRAMES
    }
    rows = []
    for name, make_model in progress({**makers, CHOSEN: ChosenModel}.items(), "Models on calls"):
        apart, random = (evaluate(ends, make_model, split=split) for split in (APART, AT_RANDOM))
        low, high = apart.uar_interval
        rows.append((name, apart.uar, low, high, random.uar, random.uar - apart.uar))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).round(3)
    return table.sort_values("uar", ascending=False, ignore_index=True, kind="stable")
