"""Page: every call of the workspace, to filter and to open."""

import streamlit as st

from apps.dashboard import call_table, elements, session
from helpers.conversation.mood import IMPROVING, STEADY, TOO_LITTLE, WORSENING
from helpers.statuses import STATUSES

EMPTY = (
    "Put zips or folders of calls into a folder and run `make train DATA=<that folder> "
    "WORKSPACE=<this workspace>`.",
)
"""What to do where there is no call."""


def main() -> None:
    """Show the page."""
    st.title("Calls")
    calls = session.load_calls(session.get_workspace())
    if calls.empty:
        elements.show_nothing("No calls yet", "This workspace holds no recording.", steps=EMPTY)
        return
    shown = _filter(calls)
    if calls["upset_end"].isna().all():
        st.info("Moods are not known yet: `make story` tells the story of each call.")
    if shown.empty:
        elements.show_nothing("No call fits", "Take a filter away to see more calls.")
        return
    st.caption(f"{len(shown):,} of {len(calls):,} calls. Select one to open it.")
    elements.show_calls(shown, key="calls", height=620)


def _filter(calls):
    """Show the filters and give the calls that fit, in the order that is asked for."""
    options = {"persist_state": "session"}
    with st.container(border=True):
        first, second, third, fourth, fifth = st.columns([3, 3, 2, 2, 2])
        text = first.text_input(
            "Search", placeholder="Name, customer, agent", key="text", **options
        )
        verdicts = second.multiselect(
            "Verdict",
            [*STATUSES, call_table.NO_VERDICT],
            key="verdicts",
            placeholder="All",
            **options,
        )
        moods = [WORSENING, IMPROVING, STEADY, TOO_LITTLE]
        moods = third.multiselect("Mood", moods, key="moods", placeholder="All", **options)
        agents = sorted(set(calls["agent"]) - {""})
        agents = fourth.multiselect("Agent", agents, key="agents", placeholder="All", **options)
        order = fifth.selectbox("Order", list(call_table.ORDERS), key="order", **options)
    kept = call_table.filter_calls(calls, text=text, verdicts=verdicts, agents=agents, moods=moods)
    return call_table.order_calls(kept, order)


if __name__ == "__main__":
    main()
