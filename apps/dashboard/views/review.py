"""Page: calls a person should listen to, and one click to say what was heard."""

from pathlib import Path

import pandas as pd
import streamlit as st

from apps.dashboard import deciding, elements, session
from apps.dashboard.hearing import find_end
from helpers.conversation.wording import is_known
from helpers.errors import AudioError, ModelError
from helpers.model_store import find_champion
from helpers.prediction import PROBABILITIES
from helpers.statuses import STATUSES
from helpers.workspace import Workspace

EMPTY = (
    "Calls come here when an answer of the form and the model differ and it is likelier that the "
    "answer is wrong, or hard to tell.",
    "Run `make loop FORM=<responses and uploads> WORKSPACE=<this workspace>` to judge new answers.",
)
"""What to do where nothing waits."""

NAMES = {"call": "call", "answer": "people say", "verdict": "model hears", "cause": "why"}
"""Columns of the list."""


def main() -> None:
    """Show the page."""
    st.title("To review")
    workspace = session.get_workspace()
    deciding.show_last(workspace)
    elements.show_notice()
    calls = session.load_waiting(workspace)
    if calls.empty:
        elements.show_nothing(
            "Nothing waits for you", "Every call is settled for now.", steps=EMPTY
        )
    else:
        _show_waiting(workspace, calls)
    deciding.show_decided(workspace)


def _show_waiting(workspace: Workspace, calls: pd.DataFrame) -> None:
    count = "One call waits" if len(calls) == 1 else f"{len(calls)} calls wait"
    st.markdown(
        f"{count} for somebody to listen. Nothing is learned from a call on this list until a "
        "person has decided; likeliest wrong answers come first."
    )
    _show_call(workspace, _choose(calls))


def _choose(calls: pd.DataFrame) -> pd.Series:
    shown = calls.assign(call=calls["path"].map(lambda path: Path(path).name))
    event = st.dataframe(
        shown[list(NAMES)].rename(columns=NAMES),
        key=f"waiting {calls['path'].iloc[0]} {len(calls)}",
        hide_index=True,
        height=min(38 + 35 * len(calls), 250),
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [0]}},
        alt="Calls that wait for a person; select a row to listen to its call",
    )
    rows = event.selection.rows
    return calls.iloc[rows[0] if rows and rows[0] < len(calls) else 0]


def _show_call(workspace: Workspace, call: pd.Series) -> None:
    st.header(elements.plain(Path(call["path"]).name), anchor=False)
    st.markdown(elements.plain(f"{call['reason'][:1].upper()}{call['reason'][1:]}."))
    left, right = st.columns(2, gap="large")
    with left:
        deciding.show_question(workspace, call["path"], call["answer"])
    with right:
        known = {
            status: float(call[name]) for status, name in zip(STATUSES, PROBABILITIES, strict=True)
        }
        if all(map(is_known, known.values())):
            caption = "How the customer left, as the model heard it when the answer came"
            elements.show_probabilities(known, caption=caption)
    st.subheader("Listen", anchor=False)
    _listen(workspace, call)


@st.fragment
def _listen(workspace: Workspace, call: pd.Series) -> None:
    """Show the player at the part that decides, and the clips as soon as they are found."""
    source, key = session.take_call(workspace, call["path"]), f"review {call['path']}"
    try:
        start_s = find_end(workspace.folder / call["path"])
        elements.show_player(session.load_sound(source), key=key, start_s=start_s)
        if find_champion(workspace):
            with st.spinner("Looking for the clips that moved the verdict …"):
                heard = session.hear(workspace, source)
            elements.show_clips(heard.evidence, status=str(heard.row["status"]), key=key)
    except AudioError as error:
        elements.show_error("This call cannot be played", str(error))
    except ModelError as error:
        elements.show_error("The clips cannot be found", str(error))


if __name__ == "__main__":
    main()
