import numpy as np
import pytest

from helpers.conversation.roles import (
    AGENT,
    CONTRADICTED,
    CUSTOMER,
    SET_CERTAINTY,
    SURE,
    USUAL,
    Roles,
    check_roles,
)
from helpers.errors import CallEmotionError, RolesError


@pytest.mark.parametrize("customer_channel", [0, 1])
@pytest.mark.parametrize("first_speaker", [AGENT, CUSTOMER])
def test_these_settings_are_understood(customer_channel, first_speaker):
    check_roles(Roles(customer_channel, first_speaker))


def test_usually_the_customer_is_on_the_first_channel_and_the_agent_speaks_first():
    assert USUAL == Roles() == Roles(customer_channel=0, first_speaker="agent")


@pytest.mark.parametrize("channel", [2, -1, "0", "left", None, 0.5, np.nan, [0]])
def test_a_channel_that_no_call_has_is_refused(channel):
    with pytest.raises(RolesError) as error:
        check_roles(Roles(customer_channel=channel))
    assert f"channel is set to {channel!r}, expected 0 or 1" in str(error.value)


@pytest.mark.parametrize("speaker", ["Agent", "customer ", "", None, 0])
def test_a_first_speaker_who_is_neither_of_the_two_is_refused(speaker):
    with pytest.raises(RolesError) as error:
        check_roles(Roles(first_speaker=speaker))
    assert f"is set to {speaker!r}, expected 'customer' or 'agent'" in str(error.value)


def test_an_error_about_roles_is_one_that_people_see():
    assert issubclass(RolesError, CallEmotionError)


def test_a_channel_is_used_unless_something_speaks_against_it():
    assert SURE < CONTRADICTED < SET_CERTAINTY
