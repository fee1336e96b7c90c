"""Which version judges: what a person may change, and how."""

from filelock import FileLock, Timeout

from helpers.conversation.wording import is_known
from helpers.errors import CallEmotionError
from helpers.model_store import find_champion, list_champions, promote, read_card, rollback
from helpers.workspace import Workspace

MISSING_REASON = "write in a few words why, then confirm again: it is kept in the history"
"""Said where somebody gives no reason."""

BUSY = (
    "a run is working on this workspace and may decide about versions itself; try again when it "
    "has finished"
)
"""Said where somebody runs a command on the workspace at the same time."""


class ChangeError(CallEmotionError):
    """A change that is not made now; the message is the reason."""


def has_judged(workspace: Workspace, version: str) -> bool:
    """Tell whether a version has judged calls at any time."""
    return version in list_champions(workspace)


def let_judge(workspace: Workspace, version: str, *, reason: str) -> None:
    """Roll back to a version that has judged before, or promote one that never has.

    Args:
        workspace: with the version
        version: to judge from now on
        reason: why, for the history

    Raises:
        ChangeError: where there is no reason, or a run is working on the workspace
        ModelError: where the version cannot be used; nothing has changed then, as above
    """
    if not reason.strip():
        raise ChangeError(MISSING_REASON)
    change = rollback if has_judged(workspace, version) else promote
    try:
        with FileLock(workspace.run_lock, timeout=0):
            change(workspace, version, reason=reason.strip())
    except Timeout as error:
        raise ChangeError(BUSY) from error


def tell_change(workspace: Workspace, version: str) -> list[str]:
    """Tell in sentences what changes when a version judges from now on.

    Raises:
        ModelError: where there is no such version
    """
    champion = find_champion(workspace) or "none"
    sentences = [f"{version} judges calls from now on, instead of {champion}."]
    if has_judged(workspace, version):
        sentences.append(
            f"{champion} is kept, but not promoted a second time for the same training data."
        )
    else:
        reasons = (read_card(workspace, version).get("decision") or {}).get("reasons") or []
        told = " ".join(map(str, reasons))
        sentences += [f"It was kept aside because: {told}"] if told else []
    return [
        *sentences,
        "Verdicts that are written down already stay as they are.",
        "The exported model files are replaced.",
        "You can go back on this page at any time.",
    ]


def tell_score(uar: float, low: float, high: float) -> str:
    """Write a score with its interval, such as `0.80 (0.60 to 0.95)`, or that it is not known."""
    return f"{uar:.2f} ({low:.2f} to {high:.2f})" if is_known(uar) else "not known"
