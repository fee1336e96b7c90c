"""Page: versions of the model, how good each is, and which of them judges."""

import pandas as pd
import streamlit as st

from apps.dashboard import elements, session, versions
from apps.dashboard.pictures import to_svg
from helpers.conversation.wording import is_known
from helpers.errors import CallEmotionError, ModelError
from helpers.feedback.plots import plot_versions
from helpers.model_card import card_markdown
from helpers.model_store import find_champion, list_versions, read_card
from helpers.monitoring import tabulate_versions
from helpers.workspace import Workspace

EMPTY = ("Run `make train DATA=<folder with zips of calls> WORKSPACE=<this workspace>`.",)
"""What to do where there is no version."""


def main() -> None:
    """Show the page."""
    st.title("Versions of the model")
    workspace = session.get_workspace()
    names, champion = list_versions(workspace), find_champion(workspace)
    elements.show_notice()
    if not names:
        elements.show_nothing("No model yet", "No version has been trained.", steps=EMPTY)
        return
    st.markdown(
        f"**{elements.plain(champion or 'None')}** judges calls now. Every version is kept."
    )
    history = session.load(tabulate_versions, workspace, *_list_files(workspace))
    _show_versions(workspace, names, champion, history)
    _show_history(history)


def _list_files(workspace: Workspace) -> list:
    cards = [workspace.models / version / "card.json" for version in list_versions(workspace)]
    return [workspace.models / "history.csv", *cards]


def _show_versions(
    workspace: Workspace, names: list[str], champion: str, history: pd.DataFrame
) -> None:
    known = history.drop_duplicates("version", keep="last").set_index("version")
    known = known.reindex(names[::-1])
    table = pd.DataFrame(
        {
            "version": known.index,
            "in use": ["● judges calls now" if name == champion else "" for name in known.index],
            "score (UAR, 95 % interval)": _tell_scores(known),
            "kappa": known["kappa"].map(_tell_number).to_numpy(),
            "calibration error": known["calibration_error"].map(_tell_number).to_numpy(),
            "golden calls": known["calls"].map(lambda calls: _tell_number(calls, ".0f")).to_numpy(),
        }
    )
    elements.show_table(table.set_index("version"))
    st.caption(
        "Scores are on the golden set of calls that no version has learned from: the mean share of "
        "each status that is judged right. Guessing gives 0.33. Intervals that overlap show no "
        "sure difference."
    )
    _show_version(workspace, st.selectbox("Look at version", known.index.tolist()), champion)


def _show_version(workspace: Workspace, version: str, champion: str) -> None:
    st.header(f"Version {elements.plain(version)}", anchor=False)
    if version == champion:
        st.markdown("It judges calls now, so there is nothing to change.")
    elif versions.has_judged(workspace, version):
        st.markdown("It has judged calls before, and can again.")
        if st.button("Roll back to this version …", icon=":material/undo:"):
            _confirm(workspace, version, "Roll back")
    else:
        st.markdown("It was kept aside: it has never judged calls.")
        if st.button("Let this version judge calls …", icon=":material/publish:"):
            _confirm(workspace, version, "Let it judge calls")
    with st.expander("Model card", icon=":material/description:"):
        try:
            card = card_markdown(read_card(workspace, version))
        except ModelError as error:
            elements.show_error("The card cannot be read", str(error))
        else:
            st.markdown(card.replace("\n## ", "\n#### ").replace("# Model", "### Model", 1))


@st.dialog("Change the version that judges?")
def _confirm(workspace: Workspace, version: str, label: str) -> None:
    elements.show_list(versions.tell_change(workspace, version))
    with st.form("why", border=False):
        reason = st.text_input("Why? It is kept in the history.", max_chars=300)
        agreed = st.form_submit_button(label, type="primary")
    if not agreed:
        return
    try:
        versions.let_judge(workspace, version, reason=reason)
    except (CallEmotionError, ImportError) as error:
        elements.show_error("Nothing has changed", str(error))
    else:
        st.session_state["done"] = f"Version {version} judges calls from now on."
        st.rerun()


def _show_history(history: pd.DataFrame) -> None:
    st.header("What was decided", anchor=False)
    scored = history[history["uar"].notna()]
    if len(scored):
        told = "Score of each version on the golden set over time; the table below tells the same."
        elements.show_picture(to_svg(plot_versions, scored), description=told)
    shown = history[::-1].assign(score=_tell_scores(history[::-1]))
    columns = {"time": "when", "version": "version", "event": "what", "against": "instead of"}
    shown = shown.rename(columns=columns | {"reason": "why"})
    shown["when"] = shown["when"].str.replace("T", " ").str.replace("+00:00", " UTC")
    elements.show_table(shown[[*columns.values(), "score", "why"]].set_index("when"))


def _tell_scores(table: pd.DataFrame) -> list[str]:
    figures = table[["uar", "uar_low", "uar_high"]].itertuples(index=False)
    return [versions.tell_score(*row) for row in figures]


def _tell_number(value: float, form: str = ".2f") -> str:
    return format(value, form) if is_known(value) else "not known"


if __name__ == "__main__":
    main()
