import numpy as np
import pandas as pd
from conftest import write_voices
from matplotlib.image import imread

from helpers import evaluation
from helpers.zoo import ablation
from helpers.zoo.ablation import main, plot_ablation
from helpers.zoo.augmented_training import ALL, LINES, NONE, UNCHANGED

ROWS = [NONE, UNCHANGED, "noise", "gain", LINES, ALL]


def make_differences(seed) -> np.ndarray:
    """Give the lower end, the middle and the upper end of each row, none for the first."""
    ends = np.sort(np.random.default_rng(seed).normal(scale=0.05, size=(len(ROWS), 3)), axis=1)
    ends[0] = 0
    return ends.T


def test_the_picture_shows_every_difference_with_its_interval():
    table = pd.DataFrame({"augmentation": ROWS})
    for seed, column in enumerate(("difference", "noisy_difference")):
        low, middle, high = make_differences(seed)
        table[column], table[f"{column}_low"], table[f"{column}_high"] = middle, low, high
    panels = plot_ablation(table).axes
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    table = table.set_index("augmentation")
    assert sorted(labels) == sorted(ROWS[1:])
    assert table.loc[labels, "difference"].is_monotonic_increasing
    for axes, column in zip(panels, ("difference", "noisy_difference"), strict=True):
        (container,) = axes.containers
        np.testing.assert_allclose(container.lines[0].get_xdata(), 100 * table.loc[labels, column])
        (bars,) = container.lines[2]
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        expected = table.loc[labels, [f"{column}_low", f"{column}_high"]].to_numpy()
        np.testing.assert_allclose(ends, 100 * expected, atol=1e-9)
        assert any(np.all(np.asarray(line.get_xdata()) == 0) for line in axes.lines)


def test_the_command_writes_the_table_and_the_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluation, "BOOTSTRAP_ROUNDS", 25)
    monkeypatch.setattr(ablation, "installed_augmentations", lambda: ["gain"])
    corpus = write_voices(tmp_path / "voices", speakers=3, takes=1)
    assert main([str(corpus), "--results", str(tmp_path), "--jobs", "1"]) == 0
    written = pd.read_csv(tmp_path / "ablation.csv")
    assert written["augmentation"].tolist() == [NONE, UNCHANGED, "gain", LINES]
    assert imread(tmp_path / "ablation.png").std() > 0
    shown = capsys.readouterr().out
    assert "drawn lines" in shown
    assert "left out, for want of a package" in shown


def test_a_wrong_folder_is_a_sentence_and_no_traceback(tmp_path, capsys):
    assert main([str(tmp_path / "none"), "--results", str(tmp_path)]) == 1
    assert "is not a folder" in capsys.readouterr().err
