"""What can be set about the service."""

import os
from dataclasses import dataclass, field

from helpers.conversation.live import ALERT_FROM
from helpers.workspace import Workspace

TOKEN_VARIABLE = "CALL_EMOTION_TOKEN"
"""Environment variable of the token; on a command line everybody on the computer could see it."""

LEAST_TOKEN = 16
"""Fewest characters of a token; a shorter one can be guessed."""

LEAST_ALERT = 0.2
"""Lowest probability from which on a live call may alert; the alert ends 0.15 below."""


@dataclass(frozen=True)
class Settings:
    """Settings of the service.

    Attributes:
        workspace: whose models judge
        token: that callers must send as `Authorization: Bearer ...`, empty where none is needed
        workers: recordings that are listened to at once, each in a process of its own
        waiting: requests that may wait for a worker; more are asked to come back later
        largest_mb: most megabytes (10^6 bytes) of one upload
        silence_s: seconds after which an upload of which nothing arrives is given up
        upload_s: seconds that a whole upload may take
        judging_s: seconds after which a recording is given up
        alert_from: probability of being upset from which on a live call alerts
        live_workers: processes that judge live calls
    """

    workspace: Workspace
    token: str = field(default="", repr=False)
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    waiting: int = 64
    largest_mb: float = 200.0
    silence_s: float = 30.0
    upload_s: float = 600.0
    judging_s: float = 900.0
    alert_from: float = ALERT_FROM
    live_workers: int = 1

    @property
    def largest_bytes(self) -> int:
        """Most bytes of one upload."""
        return round(self.largest_mb * 1e6)
