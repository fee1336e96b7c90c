"""Whom a workspace listens to: the customer alone, or both people together."""

import json

from helpers.conversation.customer import customer_feature_set
from helpers.conversation.roles import Roles, check_roles
from helpers.errors import RolesError
from helpers.features import FeatureSet
from helpers.files import write_json
from helpers.workspace import Workspace

CUSTOMER_ALONE, BOTH = "customer", "both"
"""The two ways to listen."""


def choose_listening(workspace: Workspace, listen_to: str, *, roles: Roles) -> None:
    """Set whom this workspace listens to; features are computed anew where that changes.

    Args:
        workspace: that the choice is kept in
        listen_to: `customer` or `both`
        roles: how customer and agent are told apart

    Raises:
        RolesError: where one of them cannot be understood
    """
    if listen_to not in (CUSTOMER_ALONE, BOTH):
        raise RolesError(
            f"LISTEN_TO is {listen_to!r}, expected {CUSTOMER_ALONE!r} or {BOTH!r}: correct it in "
            "the parameters of notebook 03"
        )
    check_roles(roles)
    write_json(workspace.listening, {"listen_to": listen_to, **roles._asdict()})


def as_listened(workspace: Workspace, feature_set: FeatureSet) -> FeatureSet:
    """Make the feature set listen as this workspace does.

    A workspace in which nothing was chosen listens to both people, as before there was a choice.
    """
    if not workspace.listening.is_file():
        return feature_set
    chosen = json.loads(workspace.listening.read_text(encoding="utf-8"))
    if chosen.pop("listen_to") == BOTH:
        return feature_set
    return customer_feature_set(feature_set, roles=Roles(**chosen))
