"""The page an agent or a team lead keeps open: how each call's customer sounds right now."""

import secrets
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TURNING = 2 / 3
"""From this share of the alert's probability on a customer is said to turn upset."""

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(*, needs_token: bool, alert_from: float) -> tuple[str, dict[str, str]]:
    """Make the page; it is one file and loads nothing.

    Args:
        needs_token: whether it has to ask for a token before it connects
        alert_from: probability from which on there is an alert

    Returns:
        the page and the headers to send with it, which let no other script or style run
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    content = _TEMPLATES.get_template("live.html.jinja").render(
        nonce=nonce,
        needs_token=needs_token,
        alert_from=alert_from,
        turning_from=TURNING * alert_from,
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return content, headers
