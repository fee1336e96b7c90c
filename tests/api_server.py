"""The REST API on a loopback port, and what tests send to it."""

import contextlib
import io
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_voice

REASON = "packages of the apps are not installed: make test installs them"
for name in ("fastapi", "uvicorn", "python_multipart", "websockets"):
    pytest.importorskip(name, reason=REASON)
httpx = pytest.importorskip("httpx", reason=REASON)

from apps.api.server import make_server  # noqa: E402
from apps.api.settings import Settings  # noqa: E402
from helpers.features import PHONE  # noqa: E402
from helpers.model_store import KEPT_ASIDE, PROMOTED, add_version, record_decision  # noqa: E402
from helpers.statuses import STATUSES  # noqa: E402
from helpers.training import train_model  # noqa: E402
from helpers.workspace import Workspace  # noqa: E402

RATE = 8000


class Service:
    """A running service: where it is, and where it keeps uploads."""

    def __init__(self, workspace: Workspace, folder: Path, address: tuple[str, int]) -> None:
        self.workspace, self.folder, self.address = workspace, folder, address
        self.url = f"http://{address[0]}:{address[1]}"
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def post(self, content: bytes, name: str = "call.wav", **options) -> httpx.Response:
        files = {"file": (name, content, "application/octet-stream")}
        return self.client.post("/api/predict/", files=files, **options)

    def uploads(self) -> list[Path]:
        """List the folders of requests whose uploads are kept at present."""
        return [path for path in self.folder.glob("call-emotion-api-*/*") if path.is_dir()]

    def send(self, head: str, body: bytes = b"") -> socket.socket:
        """Send a request as it is; whoever reads the answer sees the connection end after it."""
        connection = socket.create_connection(self.address, timeout=30)
        host = [] if "\nHost:" in head else ["Host: 127.0.0.1"]
        lines = [*head.splitlines(), *host, "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        return connection


@contextlib.contextmanager
def serve(workspace: Workspace, folder: Path, **settings) -> Iterator[Service]:
    """Serve a workspace; `folder` becomes the one for temporary files."""
    earlier, tempfile.tempdir = tempfile.tempdir, str(folder)
    server = make_server(Settings(workspace, **settings), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        address = server.servers[0].sockets[0].getsockname()
        service = Service(workspace, folder, address)
        with service.client:
            yield service
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        tempfile.tempdir = earlier
    assert not thread.is_alive(), "the service did not end"


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def read_answer(connection: socket.socket) -> httpx.Response:
    """Read an answer off a connection that is closed after it."""
    with connection:
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
    return httpx.Response(int(lines[0].split()[1]), headers=headers, content=body)


def store_version(workspace: Workspace, seed: int) -> str:
    """Store a model fitted to chance; the first one judges."""
    generator = np.random.default_rng(seed)
    labels = np.array(STATUSES * 2)
    features = generator.normal(size=(len(labels), len(PHONE.names))).astype(np.float32)
    calls = frozenset(f"call {seed} {number}" for number in range(len(labels)))
    groups = np.zeros(len(labels))  # one customer: nothing can be held out, which is fast
    model = train_model(features, labels, trained_on=calls, groups=groups, feature_set=PHONE).model
    version = add_version(workspace, model, {}, probes=features).version
    event = PROMOTED if seed == 0 else KEPT_ASIDE
    record_decision(workspace, version, event=event, reasons=[f"number {seed}."])
    return version


def encode(signal: np.ndarray, sampling_rate: int = RATE, **format_) -> bytes:
    """Encode a signal of shape (samples,) or (samples, channels), mu-law WAV by default."""
    file = io.BytesIO()
    options = {"format": "WAV", "subtype": "ULAW", **format_}
    soundfile.write(file, signal, sampling_rate, **options)
    return file.getvalue()


def make_call(duration_s: float = 3.0, **format_) -> bytes:
    return encode(make_voice(duration_s, seed=4), **format_)
