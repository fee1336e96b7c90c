"""Page: all calls together, with intervals."""

import altair as alt
import pandas as pd
import streamlit as st

from apps.dashboard import call_table, elements, session
from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.agents import EVERYBODY
from helpers.conversation.wording import format_share, is_known
from helpers.model_store import find_champion
from helpers.monitoring import tabulate_versions
from helpers.plots import COLORS
from helpers.retraining import read_predictions
from helpers.statuses import STATUSES
from helpers.workspace import Workspace

WORST = 10
"""So many of the worst calls are listed."""

HEIGHT = 320
"""Of the charts, in pixels."""


def main() -> None:
    """Show the page."""
    st.title("Overview")
    workspace = session.get_workspace()
    calls = session.load_calls(workspace)
    if calls.empty:
        steps = ("Run `make train DATA=<folder with zips of calls> WORKSPACE=<this workspace>`.",)
        elements.show_nothing("No calls yet", "This workspace holds no recording.", steps=steps)
        return
    _show_figures(workspace, calls)
    _show_statuses(calls)
    _show_weeks(workspace)
    st.header("Worst calls", anchor=False)
    st.caption("By the probability that the customer left unsatisfied. Select one to open it.")
    elements.show_calls(calls[calls["p_unsatisfied"].notna()].head(WORST), key="worst")
    _show_shares(workspace)


def _show_figures(workspace: Workspace, calls: pd.DataFrame) -> None:
    versions = session.load(tabulate_versions, workspace, workspace.models / "history.csv")
    champion = versions[versions["version"] == find_champion(workspace)].tail(1)
    score, interval = "not known", "no golden set"
    if len(champion) and is_known(champion["uar"].iloc[0]):
        row = champion.iloc[0]
        score = f"{row['uar']:.2f}"
        interval = f"{row['uar_low']:.2f} to {row['uar_high']:.2f} on {row['calls']:.0f} calls"
    first, second, third, fourth = st.columns(4)
    first.metric("Calls", f"{len(calls):,}", border=True)
    second.metric("With a verdict", f"{(calls['verdict'] != '').sum():,}", border=True)
    third.metric("Wait for a person", session.count_waiting(workspace), border=True)
    fourth.metric(
        "Score of the model",
        score,
        border=True,
        help="Unweighted average recall: mean share of each status that the model which judges "
        f"calls now gets right, on the golden set; 95 % interval: {interval}. Guessing gives 0.33.",
    )


def _show_statuses(calls: pd.DataFrame) -> None:
    st.header("How customers left", anchor=False)
    counts = call_table.count_verdicts(calls)
    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    names = {"people": "as people say", "models": "as the model hears"}
    header = alt.Header(labelAngle=0, labelOrient="top", labelAnchor="start", labelFontSize=13)
    long = counts.melt("status", list(names), "who", "calls").replace({"who": names})
    chart = (
        alt.Chart(long)
        .mark_bar()
        .encode(
            x=alt.X("calls:Q", title="calls"),
            y=alt.Y("status:N", sort=list(STATUSES), title=None),
            row=alt.Row("who:N", title=None, sort=list(names.values()), header=header),
            color=_color(),
            tooltip=["who", "status", "calls"],
        )
        .properties(height=90)
    )
    left.altair_chart(chart, alt="Bars: calls by status; the table beside tells the same")
    shown = {
        "status": counts["status"],
        "people say": _count(counts, "people"),
        "model hears": _count(counts, "models"),
    }
    right.table(pd.DataFrame(shown).set_index("status"))


def _show_weeks(workspace: Workspace) -> None:
    predictions = session.load(read_predictions, workspace, workspace.predictions)
    weeks = call_table.count_weeks(predictions)
    if weeks.empty:
        return
    st.header("Calls of the form, week by week", anchor=False)
    st.caption("By the week in which the model judged them.")
    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    long = weeks.melt("week", list(STATUSES), "status", "calls")
    long["place"] = long["status"].map(STATUSES.index)
    chart = (
        alt.Chart(long)
        .mark_bar(size=28)
        .encode(
            x=alt.X("week:N", title=None, axis=alt.Axis(labelAngle=-40)),
            y=alt.Y("calls:Q", title="calls"),
            color=_color(legend=alt.Legend(title=None, orient="bottom")),
            order="place:Q",
            tooltip=["week", "status", "calls"],
        )
        .properties(height=HEIGHT)
    )
    left.altair_chart(chart, alt="Bars: verdicts by week; the table beside tells the same")
    height = min(HEIGHT, 38 + 35 * len(weeks))
    right.dataframe(weeks, hide_index=True, height=height, alt="Verdicts by week")


def _show_shares(workspace: Workspace) -> None:
    st.header("All agents together", anchor=False)
    if session.load_stories(workspace).empty:
        steps = ("Run `make story WORKSPACE=<this workspace>`.",)
        elements.show_nothing("No stories yet", "Nobody has listened for moods.", steps=steps)
        return
    elements.show_measures(EVERYBODY, session.load_figures(workspace))
    if workspace.voice_emotions.is_file():
        st.caption(ACTED_BANNER)


def _color(**options) -> alt.Color:
    colors = elements.DARK_COLORS if elements.is_dark() else COLORS
    scale = alt.Scale(domain=list(STATUSES), range=[colors[status] for status in STATUSES])
    return alt.Color("status:N", scale=scale, **({"legend": None} | options))


def _count(counts: pd.DataFrame, who: str) -> list[str]:
    pairs = zip(counts[who], counts[f"{who}_share"], strict=True)
    return [f"{count:,} ({format_share(share)})" if count else "0" for count, share in pairs]


if __name__ == "__main__":
    main()
