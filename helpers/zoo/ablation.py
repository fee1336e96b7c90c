"""What each augmentation buys on telephone speech, quiet and noisy, with intervals.

python -m helpers.zoo.ablation CORPUS --results FOLDER
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.augmentation import AUGMENTATIONS, installed_augmentations
from helpers.corpora import load_corpus
from helpers.errors import CallEmotionError
from helpers.files import write_csv
from helpers.zoo.augmented_training import NONE, compare_augmentations

_TESTS = {
    "difference": ("judged on the telephone", "#0072b2"),
    "noisy_difference": ("judged on the telephone, noise behind the voice", "#d55e00"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the augmentations from a command line."""
    options = _parse(arguments)
    results, names = options.results, installed_augmentations()
    how = {"folder": results / "kept", "copies": options.copies, "jobs": options.jobs}
    try:
        table = compare_augmentations(load_corpus(options.corpus), names=names, **how)
    except (CallEmotionError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if missing := sorted(set(AUGMENTATIONS) - set(names)):
        print(f"left out, for want of a package (make zoo brings it): {', '.join(missing)}")
    write_csv(results / "ablation.csv", table)
    plot_ablation(table).savefig(results / "ablation.png", dpi=120)
    print(table.drop(columns="what").to_string(index=False))
    return 0


def plot_ablation(table: pd.DataFrame) -> Figure:
    """Draw what each augmentation adds to the UAR, one panel a test, the best at the top.

    The panels have scales of their own: against noise far more is to be won.

    Args:
        table: what `helpers.zoo.augmented_training.compare_augmentations` gives
    """
    table = table[table["augmentation"] != NONE].sort_values("difference")
    size = (10, 1.2 + 0.32 * len(table))
    figure, panels = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    places = range(len(table))
    for axes, (column, (title, color)) in zip(panels, _TESTS.items(), strict=True):
        middle = 100 * table[column].to_numpy()
        ends = 100 * table[[f"{column}_low", f"{column}_high"]].to_numpy().T
        bars = {"xerr": np.abs(ends - middle), "fmt": "o", "color": color, "capsize": 2}
        axes.errorbar(middle, places, **bars)
        axes.axvline(0, color="black", linewidth=1)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(places, table["augmentation"])
    panels[0].set_ylim(-0.6, len(table) - 0.4)
    label = "points of UAR more than without augmentation, with 95 % interval"
    figure.supxlabel(label, fontsize=10)
    plt.close(figure)
    return figure


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.zoo.ablation", description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder with one or more corpora")
    parser.add_argument("--copies", type=int, default=1, help="augmented copies a recording")
    parser.add_argument("--jobs", type=int, default=-1, help="recordings at once, -1: one a core")
    parser.add_argument("--results", type=Path, default=Path("ablation"), help="tables go here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
