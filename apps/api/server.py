"""The HTTP server around the service."""

import uvicorn

from apps.api.app import create_app
from apps.api.settings import Settings

LARGEST_MESSAGE_BYTES = 64 * 1024
"""Largest message of a live call; a phone system's hold 20 ms of sound."""

KEPT_ALIVE_S = 15
"""Seconds that a connection without a request is kept."""

CLOSING_S = 20
"""Seconds that requests have to end when the service is stopped."""


def make_server(settings: Settings, *, host: str, port: int) -> uvicorn.Server:
    """Make a server that is not running yet.

    It writes no access log of its own, since that would hold addresses and parameters.

    Args:
        settings: of the service
        host: address to listen on
        port: port to listen on, 0 for a free one
    """
    config = uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_max_size=LARGEST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_keep_alive=KEPT_ALIVE_S,
        timeout_graceful_shutdown=CLOSING_S,
    )
    return uvicorn.Server(config)
