"""The service on a workspace: `python -m apps.api WORKSPACE`."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from ipaddress import ip_address

from apps.api.settings import LEAST_ALERT, LEAST_TOKEN, TOKEN_VARIABLE, Settings
from helpers.workspace import Workspace, resolve

_MISSING = "{} is not installed: make api installs what the service needs (requirements-apps.txt)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped.

    Returns:
        0 after an end that was asked for, 1 where the service cannot start, 2 where a setting is
        wrong or a package is missing
    """
    options = _parse(arguments)
    try:
        settings = _make_settings(options)
        from apps.api.server import make_server
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(_MISSING.format(error.name), file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    server = make_server(settings, host=options.host, port=options.port)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m apps.api",
        description="Judge recordings that other systems post, and live calls.",
        epilog=f"Callers need a token where the environment variable {TOKEN_VARIABLE} holds one.",
    )
    parser.add_argument("workspace", help="folder with a trained model")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="recordings at once (%(default)s)"
    )
    parser.add_argument(
        "--live-workers",
        type=int,
        default=Settings.live_workers,
        help="processes that judge live calls (%(default)s)",
    )
    parser.add_argument(
        "--waiting",
        type=int,
        default=Settings.waiting,
        help="requests that may wait (%(default)s)",
    )
    parser.add_argument(
        "--largest-mb",
        type=float,
        default=Settings.largest_mb,
        help="most megabytes of one upload (%(default)g)",
    )
    parser.add_argument(
        "--alert-from",
        type=float,
        default=Settings.alert_from,
        help="probability of being upset from which on a live call alerts (%(default)g)",
    )
    return parser.parse_args(arguments)


def _make_settings(options: argparse.Namespace) -> Settings:
    """Check what was set.

    Raises:
        ValueError: with a sentence, where a setting cannot be used
    """
    folder = resolve(options.workspace)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give the workspace that make train has filled")
    _check_token(token, options.host)
    for name, least in (("workers", 1), ("live_workers", 1), ("waiting", 0), ("largest_mb", 0.001)):
        if getattr(options, name) < least:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} is {getattr(options, name)}, expected {least} or more")
    if not LEAST_ALERT <= options.alert_from < 1:
        raise ValueError(
            f"--alert-from is {options.alert_from:g}, expected at least {LEAST_ALERT:g}, below 1"
        )
    return Settings(
        workspace=Workspace(folder),
        token=token,
        workers=options.workers,
        live_workers=options.live_workers,
        waiting=options.waiting,
        largest_mb=options.largest_mb,
        alert_from=options.alert_from,
    )


def _check_token(token: str, host: str) -> None:
    if not token and not _is_loopback(host):
        raise ValueError(
            f"--host {host} lets other computers in, which have to show a token: put one into the "
            f"environment first: export {TOKEN_VARIABLE}=$(openssl rand -hex 16)"
        )
    can_be_sent = token.isascii() and token.isprintable() and token == token.strip()
    if not can_be_sent or 0 < len(token) < LEAST_TOKEN:
        raise ValueError(
            f"the token in {TOKEN_VARIABLE} can be guessed or sent by nobody: take {LEAST_TOKEN} "
            "printable ASCII characters or more, no blank at either end, such as from: openssl "
            "rand -hex 16"
        )


def _is_loopback(host: str) -> bool:
    """Say whether only this computer reaches what listens on an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


if __name__ == "__main__":
    sys.exit(main())
