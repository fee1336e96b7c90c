"""Pages about many calls: the list of all of them, and one page an agent."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.agents import EVERYBODY, FEEDBACK_BANNER, LEAST_CALLS, SHARES
from helpers.conversation.pages import name_agent_page, name_call_page, render
from helpers.conversation.wording import format_share, format_time, is_known
from helpers.model_card import NOT_KNOWN


def index_page(stories: pd.DataFrame, *, acted: bool = False) -> str:
    """List all calls, the worst first, and all agents, with links to their pages.

    Args:
        stories: rows of `call_story.csv`
        acted: whether the moods were heard by a model that knows acted emotions only

    Returns:
        the page, which belongs beside those of the calls and agents
    """
    counts = stories.loc[stories["agent"] != "", "agent"].value_counts().sort_index()
    agents = [
        {"name": name, "page": name_agent_page(name), "calls": _count(count)}
        for name, count in counts.items()
    ]
    return render(
        "index",
        title="Calls",
        banner=ACTED_BANNER if acted else "",
        calls=_list_calls(stories),
        agents=agents,
        index="",
    )


def agent_page(
    agent: str,
    stories: pd.DataFrame,
    summary: pd.DataFrame,
    *,
    acted: bool = False,
    index: str = "",
) -> str:
    """Tell an agent's calls as an HTML page, for feedback and training.

    Args:
        agent: name of the agent
        stories: rows of `call_story.csv`
        summary: see `helpers.conversation.agents.summarise_agents`
        acted: see `index_page`
        index: link to the list of calls; empty for none

    Returns:
        the page: each figure with its interval and number of calls beside that of all agents, and
        the agent's calls with links to their pages
    """
    own = stories[stories["agent"] == agent]
    return render(
        "agent",
        title=f"Agent {agent}",
        feedback=FEEDBACK_BANNER,
        banner=ACTED_BANNER if acted else "",
        measures=list_measures(agent, summary),
        calls=_list_calls(own),
        index=index,
    )


def list_measures(agent: str, summary: pd.DataFrame) -> list[dict[str, object]]:
    """List an agent's figures beside those of all agents, in words.

    Args:
        agent: name of the agent
        summary: see `helpers.conversation.agents.summarise_agents`

    Returns:
        `meaning, own, everybody, note` of each measure
    """
    rows = summary.to_dict("records")
    everybody = {row["measure"]: _tell_interval(row) for row in rows if row["agent"] == EVERYBODY}
    return [
        {
            "meaning": row["meaning"],
            "own": _tell_interval(row),
            "everybody": everybody.get(row["measure"], NOT_KNOWN),
            "note": row["note"],
        }
        for row in rows
        if row["agent"] == agent
    ]


def _list_calls(stories: pd.DataFrame) -> list[dict[str, str]]:
    """List calls for a table, the worst first; calls that nothing is known of are last."""
    badness = stories["p_unsatisfied"].fillna(stories["upset_end"])
    order = badness.sort_values(ascending=False, kind="stable").index
    return [_list_call(row) for row in stories.loc[order].to_dict("records")]


def _list_call(row: Mapping[str, object]) -> dict[str, str]:
    path, agent, error = (str(row[name]) for name in ("path", "agent", "error"))
    escalated_at_s = row["escalated_at_s"]
    return {
        "name": Path(path).name,
        "page": "" if error else name_call_page(path),
        "status": row["status"],
        "unsatisfied": _share(row["p_unsatisfied"]),
        "upset_end": _share(row["upset_end"]),
        "trend": row["trend"],
        "escalated": format_time(escalated_at_s) if is_known(escalated_at_s) else "",
        "agent": agent,
        "agent_page": name_agent_page(agent) if agent else "",
        "note": error or ("unsure who is customer and who is agent" if row["role_doubt"] else ""),
    }


def _tell_interval(row: Mapping[str, object]) -> str:
    if not row["calls"]:
        return NOT_KNOWN
    mean, low, high = (_figure(row["measure"], row[name]) for name in ("mean", "low", "high"))
    calls = _count(row["calls"])
    return (
        f"{mean} ({calls})" if row["calls"] < LEAST_CALLS else f"{mean} ({low} to {high}, {calls})"
    )


def _figure(name: str, value: float) -> str:
    return format_share(value) if name in SHARES or name.endswith("_share") else f"{value:.1f}"


def _share(value: object) -> str:
    return format_share(value) if is_known(value) else ""


def _count(calls: int) -> str:
    return f"{calls} call{'' if calls == 1 else 's'}"
