"""Who speaks when in a call, how the customer's mood goes, and what shows it."""

from helpers.conversation.roles import AGENT, CUSTOMER, USUAL, Roles
from helpers.conversation.turn_taking import Conversation, listen, turns

__all__ = ["AGENT", "CUSTOMER", "USUAL", "Conversation", "Roles", "listen", "turns"]
