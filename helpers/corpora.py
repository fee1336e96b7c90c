"""Published corpora of acted emotions, and people's own: who speaks in which file, and how."""

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from helpers.conversion import AUDIO_SUFFIXES
from helpers.corpus_names import CORPORA, Recording, parse_name
from helpers.emotions import EMOTIONS, parse_emotion
from helpers.errors import AudioError, CallEmotionError, TableError
from helpers.files import read_csv
from helpers.sources import display

COLUMNS = (
    *("path", "emotion", "emotion_id", "upset", "status"),
    *("speaker", "corpus", "statement", "intensity", "sex"),
)
"""Columns of `load_corpus`; the last three are empty where nothing tells."""

TABLE = "corpus.csv"
"""File that describes the recordings below its folder, for corpora that `CORPORA` lacks."""

TABLE_COLUMNS = ("path", "emotion", "speaker", "corpus", "statement", "intensity", "sex")
"""Columns of `TABLE`; three are needed, and without `corpus` its folder's name is the corpus."""

DEMOGRAPHICS = "VideoDemographics.csv"
"""File of CREMA-D that tells the sex of its speakers; it lies beside the folder of recordings."""

_NOT_WANTED = {
    "a song of RAVDESS; only speech is used": re.compile(r"(?a)03-02(-\d\d){5}"),
    "a video of RAVDESS; its sound is published alone": re.compile(r"(?a)0[12]-0[12](-\d\d){5}"),
}
_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}


def load_corpus(folder: Path | str) -> pd.DataFrame:
    """Describe every recording of the corpora below a folder.

    Warns of audio files that are not used because nothing describes them or they cannot be read.
    The sex of CREMA-D's speakers is told where `DEMOGRAPHICS` lies below the folder or beside it.

    Args:
        folder: one or more corpora, unpacked, in any arrangement of folders

    Returns:
        a row a recording, see `COLUMNS`, sorted by path; each path starts with `folder`

    Raises:
        CallEmotionError: where `folder` is no folder, or no file in it is recognised
        TableError: where a `corpus.csv` cannot be read
    """
    search = _Search(Path(folder))
    if search.used.empty:
        raise CallEmotionError(
            f"none of the {len(search.unused)} files in {display(folder)} is recognised"
            f"{_first_reasons(search.unused)}. {_expected()}. Calls with a status are no corpus: "
            "they are what notebook 01 takes"
        )
    if names := [Path(item.path).name for item in sorted(search.unused) if item.unexpected]:
        warnings.warn(
            f"audio files in {display(folder)} that are not used: {len(names)}, such as "
            f"{', '.join(names[:3])}; list_corpus says why",
            stacklevel=2,
        )
    return search.used


def list_corpus(folder: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Describe every recording of the corpora below a folder, and list what is not used.

    Args:
        folder: as for `load_corpus`

    Returns:
        what `load_corpus` gives, here possibly empty, and a table `path, reason` of everything
        else, sorted by path

    Raises:
        CallEmotionError: where `folder` is no folder
        TableError: where a `corpus.csv` cannot be read
    """
    search = _Search(Path(folder))
    rows = [(item.path, item.reason) for item in sorted(search.unused)]
    return search.used, pd.DataFrame(rows, columns=["path", "reason"])


class _Unused(NamedTuple):
    path: str
    reason: str
    unexpected: bool


class _Search:
    """One pass over a folder: `used` is the table of recordings, `unused` is everything else."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise CallEmotionError(f"{display(root)} is not a folder. {_expected()}")
        self.unused: list[_Unused] = []
        self.recordings: dict[Path, set[Recording]] = {}
        self.sexes = _read_sexes(root.resolve().parent / DEMOGRAPHICS)
        files = set(self._list_files(root))
        tables = {path for path in files if path.name.casefold() == TABLE}
        for path in tables:
            self._read_table(path, files - tables)
        for path in files - tables - self.recordings.keys():
            self._read_name(path)
        self.used = self._tabulate()

    def _leave(self, path: Path, reason: str, *, unexpected: bool = True) -> None:
        self.unused.append(_Unused(display(path), reason, unexpected))

    def _list_files(self, root: Path) -> Iterator[Path]:
        """List tables and audio files; links to folders are followed, each folder once."""
        seen = set(root.resolve().parents)
        for name, subfolders, names in os.walk(root, followlinks=True, onerror=self._note_error):
            folder = Path(name)
            subfolders.sort()
            if folder.resolve() in seen:
                subfolders.clear()
                reason = "a folder that was read already, or that holds this one"
                self._leave(folder, reason, unexpected=False)
                continue
            seen.add(folder.resolve())
            if DEMOGRAPHICS in names:
                self.sexes |= _read_sexes(folder / DEMOGRAPHICS)
            for path in (folder / name for name in names):
                if reason := _why_no_sound(path):
                    self._leave(path, reason, unexpected=False)
                elif reason := _why_unreadable(path):
                    self._leave(path, reason)
                else:
                    yield path

    def _note_error(self, error: OSError) -> None:
        self._leave(Path(error.filename), f"a folder that cannot be read: {error.strerror}")

    def _read_table(self, table_path: Path, files: set[Path]) -> None:
        table = read_csv(table_path, dict.fromkeys(TABLE_COLUMNS, str)).fillna("").map(str.strip)
        if missing := [name for name in TABLE_COLUMNS[:3] if not table[name].any()]:
            raise TableError(
                f"{display(table_path)} says nothing in the column {', '.join(missing)}; give "
                f"each recording a row with {', '.join(TABLE_COLUMNS[:3])}"
            )
        folder = table_path.parent
        for row in table.itertuples(index=False):
            path = folder / os.path.normpath(row.path.replace("\\", "/"))
            if path not in files or folder not in path.parents:
                self._leave(path, f"{TABLE} names it, but no such audio file is below its folder")
                continue
            readings = self.recordings.setdefault(path, set())
            try:
                readings.add(_read_row(row, path, corpus=folder.absolute().name))
            except AudioError as error:
                self._leave(path, str(error))

    def _read_name(self, path: Path) -> None:
        if recording := parse_name(path.absolute()):
            sex = recording.sex or self.sexes.get(recording.speaker, "")
            self.recordings[path] = {recording._replace(sex=sex)}
            return
        for reason, pattern in _NOT_WANTED.items():
            if pattern.fullmatch(path.stem):
                self._leave(path, reason, unexpected=False)
                return
        self._leave(path, _why_unknown(path.absolute().parent.name))

    def _tabulate(self) -> pd.DataFrame:
        first: dict[Recording, Path] = {}
        for path in sorted(self.recordings, key=lambda path: (path.suffix.lower() != ".wav", path)):
            if len(self.recordings[path]) > 1:
                self._leave(path, f"{TABLE} describes it twice, not in the same way")
                continue
            for recording in self.recordings[path]:
                if first.setdefault(recording, path) != path:
                    reason = f"the same recording as {first[recording]}"
                    self._leave(path, reason, unexpected=False)
        rows = [
            {
                **recording._asdict(),
                **recording.emotion._asdict(),
                "path": str(path),
                "emotion": recording.emotion.name,
                "emotion_id": recording.emotion.id,
            }
            for recording, path in first.items()
        ]
        return pd.DataFrame(rows, columns=COLUMNS).sort_values("path", ignore_index=True)


def _read_row(row: tuple, path: Path, *, corpus: str) -> Recording:
    emotion = parse_emotion(row.emotion)
    if emotion is None:
        names = ", ".join(emotion.name for emotion in EMOTIONS)
        raise AudioError(f"{TABLE} calls it {row.emotion!r}; expected one of {names}")
    if not row.speaker:
        raise AudioError(f"{TABLE} does not say who speaks; fill in the column speaker")
    corpus = (row.corpus or corpus).casefold()
    sex = _SEXES.get(row.sex.casefold(), "")
    speaker = f"{corpus}-{row.speaker}"
    return Recording(corpus, speaker, emotion, row.statement, row.intensity, sex, take=str(path))


def _read_sexes(path: Path) -> dict[str, str]:
    """Read the sex of CREMA-D's speakers; nothing where the file is missing or damaged."""
    try:
        table = read_csv(path, {"ActorID": str, "Sex": str}).map(str.strip)
    except (TableError, OSError):
        return {}
    words = zip(table["ActorID"], table["Sex"].str.casefold(), strict=True)
    return {f"cremad-{actor}": _SEXES[word] for actor, word in words if word in _SEXES}


def _why_unknown(folder: str) -> str:
    if parse_emotion(folder):
        return (
            f"its folder {folder!r} names the emotion, but without the speaker the voices that are "
            "learned from and those that are scored cannot be kept apart; describe it in a "
            f"{TABLE} with the columns {', '.join(TABLE_COLUMNS[:3])}"
        )
    return f"no corpus names its files like this; describe it in a {TABLE}"


def _why_no_sound(path: Path) -> str:
    if path.name.startswith(".") or "__MACOSX" in path.parts:
        return "the operating system's own note, not a recording"
    if path.suffix.casefold() == ".zip":
        return "a zip; unpack it first"
    is_sound = path.suffix.casefold() in AUDIO_SUFFIXES or path.name.casefold() == TABLE
    return "" if is_sound else "not an audio file"


def _why_unreadable(path: Path) -> str:
    if not path.is_file():
        return "a link that leads nowhere, or no file at all"
    if display(path) != str(path):
        return "its path is not UTF-8; rename it"
    return "" if path.stat().st_size else "an empty file"


def _first_reasons(unused: list[_Unused]) -> str:
    """Name a file for each of the first three reasons."""
    first = {item.reason: item for item in sorted(unused, reverse=True)}.values()
    reasons = [f"{Path(item.path).name} ({item.reason})" for item in sorted(first)[:3]]
    return ", such as " * bool(reasons) + ", ".join(reasons)


def _expected() -> str:
    layouts = ", ".join(f"{corpus.name} ({corpus.layout})" for corpus in CORPORA)
    columns = ", ".join(TABLE_COLUMNS[:3])
    return f"Expected unpacked corpora: {layouts}, or a {TABLE} with the columns {columns}"
