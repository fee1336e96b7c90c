"""Whether every stored model still loads and judges a recording it has never met.

python -m helpers.zoo.verify WORKSPACE
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import soundfile

from helpers.emotion_store import load_emotion_model
from helpers.errors import CallEmotionError
from helpers.features import call_features
from helpers.model_store import list_versions, load_version
from helpers.workspace import Workspace, resolve

CLIP_S, CLIP_RATE = 50.0, 8000
"""Length in seconds and rate in Hz of the clip: long enough for a start and an end."""

COLUMNS = ("model", "kind", "answer", "ms", "error")
"""Columns of the table of `verify_models`."""


def verify_models(workspace: Workspace, *, clip: Path | str | None = None) -> pd.DataFrame:
    """Load every stored model and ask it about a fresh clip.

    Args:
        workspace: its versions, its model of emotions and its zoo are looked at
        clip: recording that is judged; by default one that is made now (`make_clip`)

    Returns:
        one row per model: `model` (version or file), `kind`, `answer`, `ms` for loading and
        judging, and `error`, empty where all is well
    """
    with tempfile.TemporaryDirectory() as folder:
        if clip is None:
            clip = Path(folder) / "clip.wav"
            soundfile.write(clip, make_clip(), CLIP_RATE, subtype="ULAW")
        rows = [
            _verify(name, kind, partial(ask, clip)) for name, kind, ask in _list_models(workspace)
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def make_clip(*, seed: int = 0) -> np.ndarray:
    """Make something like a voice: a gliding pitch with formants, in syllables with pauses.

    Returns:
        shape (samples,), float32 at `CLIP_RATE`, `CLIP_S` long
    """
    generator = np.random.default_rng(seed)
    time = np.arange(round(CLIP_S * CLIP_RATE)) / CLIP_RATE
    pitch = 160 + 40 * np.sin(2 * np.pi * 0.3 * time) + 10 * np.sin(2 * np.pi * 1.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / CLIP_RATE
    voice = sum(np.sin(number * phase) / number for number in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, None)
    sentences = np.sin(2 * np.pi * time / 5) > -0.5
    noise = 0.002 * generator.standard_normal(len(time))
    return (0.1 * voice * syllables * sentences + noise).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify from a command line.

    Returns:
        0 where every model is well, 1 where one is not, 2 where there is no workspace
    """
    parser = argparse.ArgumentParser(prog="python -m helpers.zoo.verify", description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--clip", type=Path, default=None, help="recording to judge")
    options = parser.parse_args(arguments)
    workspace = Workspace(resolve(options.workspace.absolute()))
    if not workspace.folder.is_dir():
        print(f"{workspace.folder} is no folder; give the workspace's", file=sys.stderr)
        return 2
    table = verify_models(workspace, clip=options.clip)
    print(table.to_string(index=False) if len(table) else "no model is stored here yet")
    return int((table["error"] != "").any())


def _list_models(workspace: Workspace) -> list[tuple[str, str, Callable[[Path], str]]]:
    calls = [
        (version, "status of calls", partial(_ask_version, workspace, version))
        for version in list_versions(workspace)
    ]
    zoo = [
        (f"zoo/{version}", "emotions, zoo", partial(_ask_version, workspace.zoo, version))
        for version in list_versions(workspace.zoo)
    ]
    path = workspace.voice_emotions
    voice = [(path.name, "emotions in the voice", partial(_ask_emotions, path))]
    return calls + voice * path.is_file() + zoo


def _verify(name: str, kind: str, ask: Callable[[], str]) -> dict[str, object]:
    clock = perf_counter()
    answer, problem = "", ""
    try:
        answer = ask()
    except (CallEmotionError, ImportError) as error:
        problem = str(error)
    milliseconds = round((perf_counter() - clock) * 1000)
    return {"model": name, "kind": kind, "answer": answer, "ms": milliseconds, "error": problem}


def _ask_version(workspace: Workspace, version: str, clip: Path) -> str:
    model = load_version(workspace, version)
    features = call_features(clip, feature_set=model.feature_set)
    return _most_probable(model.classes, model.predict_proba(features)[-1])


def _ask_emotions(path: Path, clip: Path) -> str:
    model = load_emotion_model(path)
    return _most_probable(model.classes_, model.predict_proba([clip])[0])


def _most_probable(classes: Sequence[str], probabilities: np.ndarray) -> str:
    if not (np.isfinite(probabilities).all() and np.isclose(probabilities.sum(), 1)):
        raise CallEmotionError(f"its probabilities are {probabilities}; expected shares of 1")
    return f"{classes[probabilities.argmax()]} {probabilities.max():.2f}"


if __name__ == "__main__":
    sys.exit(main())
