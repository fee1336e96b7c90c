import math

import pytest
from dashboard_workspace import fill_workspace
from filelock import FileLock

from apps.dashboard.versions import ChangeError, has_judged, let_judge, tell_change, tell_score
from helpers.errors import ModelError
from helpers.model_store import PROMOTED, ROLLED_BACK, find_champion, list_versions, read_history


@pytest.fixture
def filled(trained):
    return fill_workspace(trained)


def test_a_version_that_never_judged_is_promoted_and_a_former_one_rolled_back_to(filled):
    first, second, third = list_versions(filled)
    assert [has_judged(filled, name) for name in (first, second, third)] == [True, True, False]
    let_judge(filled, third, reason=" we listened to 20 calls ")
    let_judge(filled, first, reason="too many complaints missed")
    events = read_history(filled).tail(2)
    assert events["event"].tolist() == [PROMOTED, ROLLED_BACK]
    assert events["version"].tolist() == [third, first]
    assert events["against"].tolist() == [second, third]
    assert events["reason"].tolist() == [
        "Promoted by a person: we listened to 20 calls",
        "too many complaints missed",
    ]
    assert find_champion(filled) == first


def test_without_a_reason_and_while_a_run_is_working_nothing_changes(filled):
    first, second, _ = list_versions(filled)
    with pytest.raises(ChangeError, match="write in a few words why"):
        let_judge(filled, first, reason="  ")
    with (
        FileLock(filled.run_lock),
        pytest.raises(ChangeError, match="a run is working on this workspace"),
    ):
        let_judge(filled, first, reason="because")
    assert find_champion(filled) == second


def test_a_version_that_cannot_be_used_does_not_become_the_champion(filled):
    first, second, _ = list_versions(filled)
    (filled.models / first / "model.skops").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="is not the file this project wrote"):
        let_judge(filled, first, reason="because")
    with pytest.raises(ModelError, match="no usable version 'none'"):
        tell_change(filled, "none")
    assert find_champion(filled) == second


@pytest.mark.parametrize(
    ("score", "told"),
    [((0.8, 0.6, 0.95), "0.80 (0.60 to 0.95)"), ((math.nan, math.nan, math.nan), "not known")],
)
def test_a_score_is_told_with_its_interval(score, told):
    assert tell_score(*score) == told
