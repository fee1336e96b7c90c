"""Parts of pages by which a person says how a customer left, and takes that back."""

from pathlib import Path

import streamlit as st

from apps.dashboard import elements, session, waiting
from helpers.errors import CallEmotionError
from helpers.statuses import STATUSES
from helpers.workspace import Workspace

QUESTION = "How did the customer leave?"
"""Asked of a person who has listened."""

LEARNED = "The next `make loop` learns from it."
"""What comes of a decision."""


def show_question(workspace: Workspace, path: str, answer: str) -> None:
    """Ask how the customer left, with a button per status.

    Args:
        workspace: with the call
        path: of the call
        answer: what people say so far, which one click confirms; empty where nobody has said
    """
    st.subheader(QUESTION, anchor=False)
    for status in sorted(STATUSES, key=lambda status: status != answer):
        wrong = ": the answer is wrong" if answer else ""
        label, look = f"{elements.SIGNS[status]} {status.capitalize()}{wrong}", {}
        if status == answer:
            label = f"{answer.capitalize()}: the answer is right"
            look = {"type": "primary", "icon": ":material/check:"}
        st.button(
            label,
            key=f"{status} {path}",
            on_click=_decide,
            args=(workspace, path, status),
            width="stretch",
            **look,
        )


def show_decision(workspace: Workspace, path: str, status: str) -> None:
    """Say what was decided about a call and what comes of it, and offer to take it back."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        name = elements.plain(Path(path).name)
        st.markdown(
            f":material/check_circle: **{name}** is {status}: written down. {LEARNED}",
            width="stretch",
        )
        st.button(
            "Undo",
            key=f"undo {path}",
            icon=":material/undo:",
            on_click=_undo,
            args=(workspace, path, status),
            help=f"Takes the decision about {name} back.",
        )


def show_last(workspace: Workspace) -> None:
    """Show what this visitor has decided last, as long as it stands."""
    decided = st.session_state.get("decided", [])
    standing = set(session.load_decided(workspace).itertuples(index=False, name=None))
    if decided and decided[-1] in standing:
        show_decision(workspace, *decided[-1])


def show_decided(workspace: Workspace) -> None:
    """List everything that was decided, by anybody, and offer to take one of it back."""
    decided = session.load_decided(workspace)
    if decided.empty:
        return
    with st.expander(f"Decided ({len(decided):,})", icon=":material/history:"):
        st.caption("Select a decision to take it back. The table can be searched and sorted.")
        shown = decided.assign(call=decided["path"].map(lambda path: Path(path).name))
        event = st.dataframe(
            shown[["call", "status", "path"]].rename(columns={"status": "decided"}),
            key=f"decided {decided['path'].iloc[0]} {len(decided)}",
            hide_index=True,
            height=min(38 + 35 * len(decided), 320),
            on_select="rerun",
            selection_mode="single-row-required",
            selection_default={"selection": {"rows": [0]}},
            alt="Decisions; select a row to take its decision back",
        )
        rows = event.selection.rows
        chosen = decided.iloc[rows[0] if rows and rows[0] < len(decided) else 0]
        path, status = chosen["path"], chosen["status"]
        st.button(
            f"Undo: {elements.plain(Path(path).name)} is {status}",
            key="undo the selected",
            icon=":material/undo:",
            on_click=_undo,
            args=(workspace, path, status),
        )


def _decide(workspace: Workspace, path: str, status: str) -> None:
    try:
        waiting.settle(workspace, path, status)
    except CallEmotionError as error:
        st.session_state["failed"] = str(error)
    else:
        st.session_state.setdefault("decided", []).append((path, status))


def _undo(workspace: Workspace, path: str, status: str) -> None:
    decided = st.session_state.get("decided", [])
    st.session_state["decided"] = [each for each in decided if each[0] != path]
    try:
        st.session_state["done"] = waiting.take_back(workspace, path, status)
    except CallEmotionError as error:
        st.session_state["failed"] = str(error)
