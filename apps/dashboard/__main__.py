"""Starts the dashboard; everything slow to import is there before the first page is asked for."""

import argparse
import ipaddress
import sys
from pathlib import Path

try:
    from streamlit.web import cli
except ImportError:
    sys.exit("The dashboard needs Streamlit: install requirements-apps.txt (make apps).")

from apps.dashboard import hearing  # noqa: F401

APP = Path(__file__).with_name("app.py")
"""The script that Streamlit runs."""

OPEN_TO_ALL = (
    "Warning: the dashboard asks for no password. Anybody who reaches {host}:{port} can listen to "
    "every call, decide about it, and change the version that judges."
)
"""Printed where other computers can reach it."""


def main(arguments: list[str] | None = None) -> None:
    """Serve the dashboard of a workspace until it is interrupted."""
    parser = argparse.ArgumentParser("python -m apps.dashboard", description=__doc__)
    parser.add_argument("workspace", help="folder that `make train` or `make demo` has written")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    options = parser.parse_args(arguments)
    if is_open(options.host):
        print(OPEN_TO_ALL.format(host=options.host, port=options.port), file=sys.stderr)
    settings = [f"--server.port={options.port}", f"--server.address={options.host}"]
    workspace = ["--", "--workspace", options.workspace]
    cli.main(["run", str(APP), *settings, *workspace], prog_name="streamlit")


def is_open(host: str) -> bool:
    """Tell whether other computers reach a server that listens on this address."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


if __name__ == "__main__":
    main()
