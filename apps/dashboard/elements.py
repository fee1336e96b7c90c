"""Parts of pages: style, messages, probabilities, pictures and the player."""

import html
import math
import string
from collections.abc import Iterable, Mapping

import pandas as pd
import streamlit as st

from apps.dashboard.call_table import COLUMNS
from apps.dashboard.pictures import to_link
from helpers.conversation.agents import EVERYBODY
from helpers.conversation.evidence import NO_EVIDENCE
from helpers.conversation.overviews import list_measures
from helpers.conversation.pages import tell_effect
from helpers.conversation.wording import format_share, format_time, is_known
from helpers.plots import COLORS

DARK_COLORS = {"satisfied": "#3fbf90", "average": "#a9b0b8", "unsatisfied": "#ff8a6e"}
"""The colours of `helpers.plots.COLORS` for a dark page."""

SIGNS = {"satisfied": "▲", "average": "◆", "unsatisfied": "▼"}
"""A sign per status, so that none is told by its colour alone."""

BEYOND_S = 1_000_000
"""Beyond the end of any call, in seconds; a player of another end plays again by itself."""

STYLE = """
<style>
.stMainBlockContainer { max-width: 76rem; padding-top: 3.5rem }
a:focus-visible, button:focus-visible, summary:focus-visible, audio:focus-visible,
.picture:focus-visible { outline: 3px solid #d08a1d !important;
  outline-offset: 2px }
.bars { border-collapse: collapse; width: 100%; max-width: 34rem; margin: .25rem 0 1rem }
.bars caption { text-align: left; font-size: .9rem; opacity: .8; padding-bottom: .4rem }
.bars th, .bars td { border: 0; padding: .3rem .75rem .3rem 0; text-align: left;
  font-weight: 500; white-space: nowrap }
.bars .number { text-align: right; font-variant-numeric: tabular-nums; width: 4.5rem }
.bars .track { width: 100%; min-width: 5rem; padding-right: 0 }
.bars .track div { height: 1.1rem; border-radius: .3rem; min-width: 3px }
.bars .chosen th, .bars .chosen .number { font-weight: 750 }
.verdict-line { font-size: 1.75rem; line-height: 1.25; font-weight: 700; margin: 0 0 .25rem }
.picture { overflow-x: auto }
.picture img { width: 100%; min-width: 40rem; height: auto; display: block }
.dark-picture img { filter: invert(1) hue-rotate(180deg) }
</style>
"""
"""What the theme in `.streamlit/config.toml` does not say."""


def apply_style() -> None:
    """Put the style on the page."""
    st.html(STYLE)


def is_dark() -> bool:
    """Tell whether the visitor's page is dark."""
    return st.context.theme.type == "dark"


def show_nothing(title: str, sentence: str, *, steps: Iterable[str] = ()) -> None:
    """Say that there is nothing to show yet, and what to do."""
    with st.container(border=True):
        st.header(title, anchor=False)
        st.markdown(sentence)
        st.markdown("\n".join(f"- {step}" for step in steps))


def show_error(title: str, reason: str) -> None:
    """Say what could not be done, and why, in words."""
    reason = f"{reason[:1].upper()}{reason[1:].removesuffix('.')}."
    st.error(f"**{plain(title)}.** {plain(reason)}", icon=":material/error:")


def show_list(sentences: Iterable[str]) -> None:
    """Show sentences as a list."""
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))


def show_probabilities(probabilities: Mapping[str, float], *, caption: str) -> None:
    """Show a probability per status as a table of bars with numbers."""
    colors = DARK_COLORS if is_dark() else COLORS
    likeliest = max(probabilities, key=probabilities.get)
    rows = "".join(
        f'<tr class="{"chosen" if status == likeliest else ""}">'
        f'<th scope="row"><span aria-hidden="true">{SIGNS[status]}</span> {status}</th>'
        f'<td class="number">{format_share(value)}</td><td class="track" aria-hidden="true">'
        f'<div style="width:{100 * value:.1f}%;background:{colors[status]}"></div></td></tr>'
        for status, value in probabilities.items()
    )
    told = f"<caption>{html.escape(caption)}</caption>"
    st.html(f'<table class="bars">{told}<tbody>{rows}</tbody></table>')


def show_verdict_line(sentence: str, status: str) -> None:
    """Show the verdict large, with its sign."""
    sign = SIGNS.get(status, "")
    color = (DARK_COLORS if is_dark() else COLORS).get(status, "inherit")
    st.html(
        f'<p class="verdict-line"><span aria-hidden="true" style="color:{color}">{sign}</span> '
        f"{html.escape(sentence)}</p>"
    )


def show_measures(agent: str, summary: pd.DataFrame) -> None:
    """Show an agent's figures as a table; what is to be said of all of them is said once.

    Args:
        agent: name, or `EVERYBODY`
        summary: see `helpers.conversation.agents.summarise_agents`
    """
    table = pd.DataFrame(list_measures(agent, summary)).set_index("meaning")
    names = {"own": "value (95 % interval)", "everybody": "all agents", "note": "note"}
    said_once = table["note"].nunique() == 1
    hidden = ["note"] * said_once + ["everybody"] * (agent == EVERYBODY)
    show_table(table.drop(columns=hidden).rename(columns=names).rename_axis("figure"))
    if said_once and table["note"].iloc[0]:
        note = table["note"].iloc[0]
        st.caption(f"{plain(note[:1].upper() + note[1:])}.")


def show_table(table: pd.DataFrame) -> None:
    """Show a small table of texts as they are.

    Args:
        table: whose index is shown as the first column
    """
    shown = table.map(lambda cell: plain(str(cell)))
    st.table(shown.set_axis(shown.index.map(lambda cell: plain(str(cell)))))


def show_picture(svg: str, *, description: str) -> None:
    """Show a picture, inverted on a dark page, with its description for those who hear the page."""
    dark = " dark-picture" if is_dark() else ""
    link, description = to_link(svg), html.escape(description)
    st.html(
        f'<div class="picture{dark}" tabindex="0" role="group" aria-label="Picture">'
        f'<img src="{link}" alt="{description}"></div>'
    )


def show_player(sound: bytes, *, key: str, start_s: float = 0.0) -> None:
    """Show a player, which plays by itself after a button of `show_clips` was pressed.

    Args:
        sound: the recording as WAV
        key: of the recording
        start_s: where the player stands at first, in seconds
    """
    jumps = st.session_state.get(f"jumps {key}", [])
    place_s = jumps[-1] if jumps else start_s
    with st.container(key=f"player-{len(jumps) % 2}"):
        place = {"start_time": math.floor(place_s), "end_time": BEYOND_S + len(jumps)}
        st.audio(sound, alt="The call", autoplay=bool(jumps), **place)


def show_clips(evidence: pd.DataFrame, *, status: str, key: str) -> None:
    """Show a button per clip that makes the player jump there and play.

    Args:
        evidence: see `helpers.conversation.evidence.find_evidence`
        status: the verdict that the clips moved
        key: of the recording
    """
    if evidence.empty:
        st.caption(NO_EVIDENCE)
    for number, clip in enumerate(evidence.itertuples(), start=1):
        button, words = st.columns([1, 3], vertical_alignment="center")
        button.button(
            f"Clip {number}: {format_time(clip.start_s)} to {format_time(clip.end_s)}",
            key=f"clip {number} {key}",
            icon=":material/play_arrow:",
            on_click=_jump,
            args=(key, clip.start_s),
            width="stretch",
        )
        told = clip.words[:1].upper() + clip.words[1:]
        words.markdown(f"{plain(told)}. {tell_effect(clip.effect, status)}")


def show_notice() -> None:
    """Show once what the last click has done, or why it could not be done."""
    done, failed = (st.session_state.pop(name, "") for name in ("done", "failed"))
    if done:
        st.success(plain(done), icon=":material/check_circle:")
    if failed:
        show_error("Nothing has changed", failed)


def plain(text: str) -> str:
    """Keep a text as it is where Markdown is shown: in sentences, headings, buttons and tables."""
    return "".join(f"\\{sign}" if sign in string.punctuation else sign for sign in text)


def show_calls(calls: pd.DataFrame, *, key: str, height: int | str = "auto") -> None:
    """Show calls as a table; a selected one is opened on the page that judges.

    Args:
        calls: see `apps.dashboard.call_table.list_calls`
        key: of the table
        height: in pixels, or `auto`
    """
    shown = calls[list(COLUMNS)].rename(columns=COLUMNS)
    shown["verdict"] = shown["verdict"].map(lambda status: f"{SIGNS.get(status, '')} {status}")
    for name in ("escalated at", "length"):
        shown[name] = shown[name].map(lambda value: format_time(value) if is_known(value) else "")
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    event = st.dataframe(
        shown,
        key=key,
        height=height,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={COLUMNS["p_unsatisfied"]: share, COLUMNS["upset_end"]: share},
        alt="Calls; select a row to open its call",
    )
    if event.selection.rows:
        path = calls["path"].iloc[event.selection.rows[0]]
        st.switch_page("views/judge.py", query_params={"call": path})


def _jump(key: str, place_s: float) -> None:
    st.session_state.setdefault(f"jumps {key}", []).append(place_s)
