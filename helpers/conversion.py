"""From zips and folders to plain PCM recordings in the workspace."""

import hashlib
import tempfile
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import pandas as pd

from helpers.archives import extract_entry, open_archive, require_space
from helpers.audio import HEADERLESS_SUFFIXES, open_recording, write_pcm
from helpers.customers import DETAILS, CustomerTable, read_customers
from helpers.errors import ArchiveError, AudioError, MissingStepError
from helpers.files import PART_SUFFIX, read_csv, remove_parts, replacing, write_csv
from helpers.progress import progress
from helpers.rejections import Rejection, record_rejections
from helpers.sources import Source, list_inputs, list_sources, source_name
from helpers.workspace import SAMPLE_DATA, Workspace

STEP = "01 conversion"
"""Name of this step in `rejected_files.csv`."""

COLUMNS = {
    "path": str,
    "source": str,
    "fingerprint": str,
    "encoding": str,
    "sampling_rate": int,
    "channels": int,
    "duration_s": float,
    **dict.fromkeys(DETAILS, str),
    "content_hash": str,
}
"""Columns of `conversions.csv`; `path` is relative to the workspace, what nobody told is empty."""

AUDIO_SUFFIXES = HEADERLESS_SUFFIXES | {
    *(".wave", ".w64", ".rf64", ".au", ".aif", ".aiff", ".caf", ".flac", ".gsm"),
    *(".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".amr", ".wma", ".3gp"),
}
"""File endings that are dropped when a recording gets its `.wav` name."""

SAVE_EVERY_S = 5.0
"""Seconds between two writes of the table; a killed run repeats at most as much."""

MAX_NAME_BYTES = 200
"""Longest file or folder name that is kept whole."""


def convert_recordings(data: Path, workspace: Workspace) -> pd.DataFrame:
    """Convert every recording below a folder to 16-bit PCM WAV in `workspace.dataset`.

    Zips are unpacked entry by entry, never as a whole. What was converted before and has not
    changed is skipped; recordings whose source has since been deleted are kept. Each input ends
    either in the returned table or in `rejected_files.csv`.

    Args:
        data: folder with zips and folders of recordings; a CSV beside them with the column `file`
            and any of `customer`, `agent`, `gender` and `line` says what is known of each
        workspace: where to write

    Returns:
        all conversions of the workspace, see `COLUMNS`, sorted by path

    Raises:
        MissingStepError: where `data` is no folder or holds no usable recording, or the workspace
            holds the sample calls and `data` other ones
    """
    list_inputs(data)
    data = data.absolute()
    _refuse_mixing(data, read_conversions(workspace))
    workspace.dataset.mkdir(parents=True, exist_ok=True)
    remove_parts(workspace.dataset)
    with _Run(workspace, customers=read_customers(data)) as run:
        for source in progress(run.list_sources(data), "Converting"):
            run.convert(source)
    record_rejections(workspace, run.rejections, step=STEP, below=source_name(data))
    conversions = read_conversions(workspace)
    if conversions.empty:
        raise MissingStepError(
            f"none of the {len(run.rejections)} files in {data} is a recording that can be used; "
            f"{workspace.rejected_files} says why"
        )
    return conversions


def read_conversions(workspace: Workspace) -> pd.DataFrame:
    """Read what was converted so far, see `COLUMNS`."""
    return read_csv(workspace.conversions, COLUMNS)


class _Run:
    """One pass over the inputs: what is converted, by source, and what is rejected."""

    def __init__(self, workspace: Workspace, *, customers: CustomerTable) -> None:
        self.workspace = workspace
        self.customers = customers
        self.rejections: list[Rejection] = []
        self.rows = {row["source"]: row for row in read_conversions(workspace).to_dict("records")}
        self.sources_by_target = {row["path"].casefold(): name for name, row in self.rows.items()}
        self.saved_at = time.monotonic()
        self.archives = ExitStack()
        self.archive: zipfile.ZipFile | None = None

    def __enter__(self) -> "_Run":
        self._save()  # the table takes its name before a folder of recordings can
        return self

    def __exit__(self, *_error) -> None:
        self._close_archive()
        self._save()

    def list_sources(self, data: Path) -> list[Source]:
        sources, rejections = list_sources(
            data, without=self.customers.files, outside=self.workspace.folder
        )
        self.rejections += rejections
        return sources

    def convert(self, source: Source) -> None:
        row = self.rows.get(source.name)
        unchanged = row and row["fingerprint"] == source.fingerprint
        if unchanged and (self.workspace.folder / row["path"]).is_file():
            row.update(self.customers.details_of(source.name))
            return
        try:
            _refuse_notes(source.relative)
            self.rows[source.name] = self._converted(source)
        except (ArchiveError, AudioError) as error:
            self._reject(source, str(error))
        except OSError as error:
            self._reject(source, f"cannot be read or stored: {error.strerror}")
        if time.monotonic() - self.saved_at > SAVE_EVERY_S:
            self._save()

    def _converted(self, source: Source) -> dict[str, object]:
        target = self._target(source)
        with tempfile.TemporaryDirectory(prefix="call-emotion-") as folder:
            file = source.file
            if source.entry:
                file = Path(folder) / f"entry{source.relative.suffix.casefold()}"
                extract_entry(self._archive_of(source.file), source.entry, file)
            with open_recording(file) as recording, replacing(target) as part:
                require_space(part.parent, 2 * recording.frames * recording.channels)
                content_hash = write_pcm(recording, part)
        path = self.workspace.relative(target)
        self.sources_by_target[path.casefold()] = source.name
        return {
            "path": path,
            "source": source.name,
            "fingerprint": source.fingerprint,
            "encoding": recording.encoding,
            "sampling_rate": recording.sampling_rate,
            "channels": recording.channels,
            "duration_s": round(recording.duration_s, 6),
            **self.customers.details_of(source.name),
            "content_hash": content_hash,
        }

    def _target(self, source: Source) -> Path:
        if row := self.rows.get(source.name):
            return self.workspace.folder / row["path"]
        *folders, stem = (_short(_stem(part)) for part in source.relative.parts)
        folder = self.workspace.dataset.joinpath(*folders)
        target = folder / f"{stem}.wav"
        owner = self.sources_by_target.get(self.workspace.relative(target).casefold(), source.name)
        if owner == source.name:
            return target
        return folder / f"{stem}-{_short_hash(source.name)}.wav"

    def _reject(self, source: Source, reason: str) -> None:
        self.rejections.append(Rejection(source.name, reason))
        if row := self.rows.pop(source.name, None):
            (self.workspace.folder / row["path"]).unlink(missing_ok=True)
            self.sources_by_target.pop(row["path"].casefold(), None)

    def _archive_of(self, file: Path) -> zipfile.ZipFile:
        if self.archive is None or self.archive.filename != str(file):
            self._close_archive()
            self.archive = self.archives.enter_context(open_archive(file))
        return self.archive

    def _close_archive(self) -> None:
        self.archives.close()
        self.archive = None

    def _save(self) -> None:
        table = pd.DataFrame(list(self.rows.values()), columns=list(COLUMNS))
        write_csv(self.workspace.conversions, table.sort_values("path"))
        self.saved_at = time.monotonic()


def _refuse_mixing(data: Path, conversions: pd.DataFrame) -> None:
    are_samples = conversions["source"].str.startswith(f"{SAMPLE_DATA.name}/")
    if len(conversions) and are_samples.any() != data.is_relative_to(SAMPLE_DATA):
        raise MissingStepError(
            "the synthetic sample calls and real ones must not be mixed in one workspace: choose "
            "another WORKSPACE for these recordings"
        )


def _refuse_notes(relative: PurePosixPath) -> None:
    name = relative.name
    if "__MACOSX" in relative.parts or name.startswith("._"):
        raise AudioError("macOS's own note beside a file, not a recording")
    if name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        raise AudioError("the operating system's own note about a folder, not a recording")
    if relative.suffix.casefold() == ".zip":
        raise AudioError("a zip inside a zip; unpack it first")
    if name.endswith(PART_SUFFIX) or relative.suffix.casefold() == ".crdownload":
        raise AudioError("a download that has not finished")


def _stem(name: str) -> str:
    while (suffix := PurePosixPath(name).suffix) and suffix.casefold() in AUDIO_SUFFIXES:
        name = name.removesuffix(suffix)
    return "recording" if name.casefold() in {*AUDIO_SUFFIXES, "", "."} else name


def _short(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return f"{name[:40]}-{_short_hash(name)}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
