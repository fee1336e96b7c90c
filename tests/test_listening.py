import json

import numpy as np
import pytest
from composed_calls import compose, write

from helpers.conversation.customer import customer_feature_set, split_name
from helpers.conversation.listening import BOTH, CUSTOMER_ALONE, as_listened, choose_listening
from helpers.conversation.roles import Roles
from helpers.dataset import find_feature_set
from helpers.errors import RolesError
from helpers.features import CLASSIC, PHONE, call_features
from helpers.workspace import open_workspace


@pytest.mark.parametrize("base", [PHONE, CLASSIC], ids=lambda base: base.name)
def test_a_workspace_in_which_nothing_was_chosen_listens_to_both_people(workspace, base):
    assert as_listened(workspace, base) is base
    assert not workspace.listening.exists()


@pytest.mark.parametrize("roles", [Roles(), Roles(1), Roles(1, "customer")])
def test_the_customer_alone_is_listened_to_with_the_roles_that_were_set(workspace, roles):
    choose_listening(workspace, CUSTOMER_ALONE, roles=roles)
    listened = as_listened(workspace, PHONE)
    assert listened.name == customer_feature_set(PHONE, roles=roles).name
    assert split_name(listened.name)[:2] == (PHONE.name, roles)


def test_both_people_may_be_chosen(workspace):
    choose_listening(workspace, BOTH, roles=Roles(1))
    assert as_listened(workspace, PHONE) is PHONE


def test_the_last_choice_counts(workspace):
    for listen_to in (CUSTOMER_ALONE, BOTH, CUSTOMER_ALONE):
        choose_listening(workspace, listen_to, roles=Roles(1))
        alone = as_listened(workspace, PHONE) is not PHONE
        assert alone == (listen_to == CUSTOMER_ALONE)


def test_a_choice_lasts_when_the_workspace_is_opened_again(workspace):
    choose_listening(workspace, CUSTOMER_ALONE, roles=Roles(0, "customer"))
    again = open_workspace(workspace.folder)
    assert as_listened(again, PHONE).name == as_listened(workspace, PHONE).name
    assert json.loads(again.listening.read_text()) == {
        "listen_to": "customer",
        "customer_channel": 0,
        "first_speaker": "customer",
    }


def test_features_of_the_dataset_are_listened_to_as_chosen(workspace):
    before = find_feature_set(workspace).name
    choose_listening(workspace, CUSTOMER_ALONE, roles=Roles())
    assert split_name(find_feature_set(workspace).name)[:2] == (before, Roles())


def test_what_is_chosen_is_what_is_heard(workspace, tmp_path):
    path = write(tmp_path / "call.wav", compose("acacac").channels)
    both = call_features(path, feature_set=as_listened(workspace, PHONE))
    choose_listening(workspace, CUSTOMER_ALONE, roles=Roles())
    alone = call_features(path, feature_set=as_listened(workspace, PHONE))
    assert alone.shape == both.shape
    assert not np.allclose(alone, both)


@pytest.mark.parametrize("listen_to", ["agent", "Customer", "", None, "customer,both"])
def test_a_choice_that_is_none_is_refused_and_says_where_to_correct_it(workspace, listen_to):
    with pytest.raises(RolesError) as error:
        choose_listening(workspace, listen_to, roles=Roles())
    assert str(error.value) == (
        f"LISTEN_TO is {listen_to!r}, expected 'customer' or 'both': correct it in "
        "the parameters of notebook 03"
    )
    assert not workspace.listening.exists()


@pytest.mark.parametrize("listen_to", [CUSTOMER_ALONE, BOTH])
@pytest.mark.parametrize("roles", [Roles(2), Roles(0, "caller")])
def test_roles_that_are_none_are_refused(workspace, listen_to, roles):
    with pytest.raises(RolesError, match="expected"):
        choose_listening(workspace, listen_to, roles=roles)
    assert not workspace.listening.exists()
