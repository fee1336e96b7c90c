"""The dashboard: judge a call, review answers, look at calls, agents and versions of the model."""

import sys
from pathlib import Path

try:
    import streamlit as st
except ImportError:
    sys.exit("The dashboard needs Streamlit: install requirements-apps.txt (make apps).")

PROJECT_FOLDER = Path(__file__).resolve().parents[2]
"""Where `apps` and `helpers` are; Streamlit puts the script's own folder on the path instead."""

if str(PROJECT_FOLDER) not in sys.path:
    sys.path.insert(0, str(PROJECT_FOLDER))

from apps.dashboard import elements, session  # noqa: E402
from helpers.errors import CallEmotionError  # noqa: E402
from helpers.workspace import Workspace  # noqa: E402

ICON = str(Path(__file__).with_name("icon.svg"))
"""Shown on the browser's tab."""

START = (
    "Try it on the sample calls: `make demo`, then `make app WORKSPACE=workspace_demo`.",
    "Or train on your own: `make train DATA=<folder with zips of calls> WORKSPACE=<results>`, then "
    "`make app WORKSPACE=<results>`.",
)
"""What to do where there is no workspace."""


def main() -> None:
    """Show the page that is asked for, or what is missing for it."""
    st.set_page_config("Call emotion", page_icon=ICON, layout="wide")
    elements.apply_style()
    folder = session.find_folder()
    if not folder.is_dir():
        st.navigation([lambda: None], position="hidden")
        st.title("Call emotion")
        elements.show_nothing(
            "There is no workspace yet",
            f"No folder is at {elements.plain(str(folder))}.",
            steps=START,
        )
        return
    workspace = session.get_workspace()
    page = st.navigation(_list_pages(workspace))
    with st.sidebar:
        st.caption(f"Workspace: {elements.plain(workspace.folder.name)}")
    try:
        page.run()
    except (CallEmotionError, ImportError) as error:
        elements.show_error("This page cannot be shown", str(error))


def _list_pages(workspace: Workspace) -> dict[str, list]:
    waiting = session.count_waiting(workspace)
    review = f"To review ({waiting})" if waiting else "To review"
    return {
        "Calls": [
            st.Page("views/judge.py", title="Judge a call", icon=":material/graphic_eq:"),
            st.Page("views/review.py", title=review, icon=":material/rule:"),
            st.Page("views/calls.py", title="Calls", icon=":material/list:"),
        ],
        "Figures": [
            st.Page("views/overview.py", title="Overview", icon=":material/bar_chart:"),
            st.Page("views/agents.py", title="Agents", icon=":material/support_agent:"),
        ],
        "Model": [st.Page("views/models.py", title="Versions", icon=":material/history:")],
    }


main()
