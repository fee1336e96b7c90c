"""Page: the calls of one agent, for feedback and training."""

import streamlit as st

from apps.dashboard import call_table, elements, session
from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.agents import FEEDBACK_BANNER

NO_STORIES = ("Run `make story WORKSPACE=<this workspace>`, then reload this page.",)
NO_AGENTS = (
    "Put a table beside the recordings, such as `speakers.csv`, with the columns `file` and "
    "`agent`, one row a recording.",
    "Run `make train` and `make story` again.",
)
"""What to do where there is nothing to show."""


def main() -> None:
    """Show the page."""
    st.title("Agents")
    workspace = session.get_workspace()
    stories = session.load_stories(workspace)
    agents = sorted(set(stories["agent"]) - {""})
    if stories.empty:
        elements.show_nothing("No stories yet", "No call has been told yet.", steps=NO_STORIES)
        return
    if not agents:
        sentence = "It is not known who answered which call."
        elements.show_nothing("No agents", sentence, steps=NO_AGENTS)
        return
    st.info(FEEDBACK_BANNER, icon=":material/info:")
    agent = st.selectbox("Agent", agents, key="agent", bind="query-params")
    st.header(f"Agent {elements.plain(agent)}", anchor=False)
    elements.show_measures(agent, session.load_figures(workspace, agent))
    if workspace.voice_emotions.is_file():
        st.caption(ACTED_BANNER)
    calls = call_table.filter_calls(session.load_calls(workspace), agents=[agent])
    st.subheader(f"Calls of agent {elements.plain(agent)}", anchor=False)
    st.caption(f"{len(calls):,} calls, the likeliest unsatisfied first. Select one to open it.")
    elements.show_calls(calls, key=f"calls of {agent}")


if __name__ == "__main__":
    main()
