"""A live service of its own for tests, and calls to play to it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from conftest import make_voice

from helpers.conversation.voices import Voice
from helpers.workspace import Workspace

REASON = "packages of the apps are not installed: make test installs them"
fastapi = pytest.importorskip("fastapi", reason=REASON)
uvicorn = pytest.importorskip("uvicorn", reason=REASON)
pytest.importorskip("websockets", reason=REASON)

from apps.live.calls import LiveCalls  # noqa: E402
from apps.live.messages import encode_mu_law  # noqa: E402

QUIET, LOUD, TOO_LOUD = 0.06, 0.4, 0.9
"""Peaks of voices that sound calm, upset, and such that the judge gives up."""


class LoudnessJudge:
    """Takes whoever speaks loudly for upset."""

    name = "loudness"
    memory_s = 0.0

    def judge(self, voice: Voice, utterances: pd.DataFrame) -> pd.DataFrame:
        peaks = [np.abs(voice.cut(*span)).max() for span in utterances.itertuples(index=False)]
        if max(peaks) > (LOUD + TOO_LOUD) / 2:
            raise ValueError("this is too loud for me")
        upset = np.interp(peaks, [QUIET, LOUD], [0.05, 0.95])
        return pd.DataFrame({"upset": upset, "emotion": ""})


def find_loudness(workspace: Workspace) -> LoudnessJudge:
    return LoudnessJudge()


def say(*peaks: float, length_s: float = 1.5) -> bytes:
    """Let somebody speak as loudly as each of the peaks, as mu-law."""
    voice = make_voice(length_s, seed=3)
    return encode_mu_law(np.concatenate([2 * peak * voice for peak in peaks]))


@contextmanager
def live_service(workspace: Workspace, *, port: int = 0, **options) -> Iterator[str]:
    """Serve live calls on loopback; gives the address, `127.0.0.1:PORT`."""
    application = fastapi.FastAPI()
    application.include_router(LiveCalls(workspace, **options).router)
    config = uvicorn.Config(
        application, log_level="warning", ws_max_size=2**18, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=60)
    assert not thread.is_alive(), "the service did not end"
