"""Who is the customer and who the agent, and how sure that is."""

from typing import NamedTuple

from helpers.errors import RolesError

CUSTOMER, AGENT = "customer", "agent"
"""The two people of a call."""

SURE = 0.8
"""Certainty from which roles are used; below it both people are listened to together."""

SET_CERTAINTY = 0.99
"""How sure a channel is that the settings give, where nothing speaks against it."""

CONTRADICTED = 0.85
"""How sure such a channel is where the other one should have spoken first."""

FIRST_HOLDS = 0.95
"""How often who should speak first does, on one channel, where nothing else tells who is who."""


class Roles(NamedTuple):
    """How to tell customer and agent apart.

    Attributes:
        customer_channel: channel of the customer in two-channel calls, 0 or 1
        first_speaker: who speaks first, `agent` for calls that come in, `customer` where agents
            call people up who then say hello
    """

    customer_channel: int = 0
    first_speaker: str = AGENT


USUAL = Roles()
"""Calls that come in, with the customer on the first of two channels."""


def check_roles(roles: Roles) -> None:
    """Check what people have set.

    Raises:
        RolesError: where a channel is not 0 or 1, or the first speaker is neither of the two
    """
    if type(roles.customer_channel) is not int or roles.customer_channel not in (0, 1):
        raise RolesError(
            f"the customer's channel is set to {roles.customer_channel!r}, expected 0 or 1"
        )
    if roles.first_speaker not in (CUSTOMER, AGENT):
        raise RolesError(
            f"who speaks first is set to {roles.first_speaker!r}, "
            f"expected {CUSTOMER!r} or {AGENT!r}"
        )
