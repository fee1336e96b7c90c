"""Page: judge an uploaded call or one of the workspace, and hear what moved the verdict."""

import pandas as pd
import streamlit as st

from apps.dashboard import call_table, deciding, elements, session
from apps.dashboard.hearing import Heard, write_csv_row, write_json
from helpers.conversation.pages import tell_doubt, tell_verdict
from helpers.conversation.wording import format_share, format_time, list_facts, tell_story
from helpers.errors import AudioError, ModelError
from helpers.model_store import find_champion, list_versions
from helpers.workspace import Workspace

UPLOAD, PICK = "Upload a recording", "Choose one of the workspace"
"""Where a call comes from."""

LISTED = 100
"""So many calls are listed to choose from at once: a browser is slow to search in thousands."""

KINDS = [
    *("wav", "mp3", "ogg", "oga", "opus", "flac", "m4a", "mp4", "aac", "amr"),
    *("ulaw", "ul", "mulaw", "alaw", "al", "g711"),
]
"""File endings that can be uploaded."""

NO_MODEL = (
    "Put zips or folders of calls with a known status into a folder.",
    "Run `make train DATA=<that folder> WORKSPACE=<this workspace>`, then reload this page.",
    "Or try it on the sample calls: `make demo`, then `make app WORKSPACE=workspace_demo`.",
)
"""What to do where there is no model."""

NOT_LABELLED = (
    "To say how the customer of this recording left, submit it through the form: nothing that is "
    "uploaded here is added to the workspace."
)
"""Said of an upload."""


def main() -> None:
    """Show the page."""
    st.title("Judge a call")
    workspace = session.get_workspace()
    if not find_champion(workspace):
        sentence = "This workspace holds no model, so no call can be judged."
        elements.show_nothing("No model has been trained yet", sentence, steps=NO_MODEL)
        return
    source, version = _choose(workspace)
    if source is None:
        return
    try:
        with st.spinner(f"Listening to {elements.plain(source.name)} …", show_time=True):
            heard = session.hear(workspace, source, version)
    except AudioError as error:
        elements.show_error(f"{source.name} cannot be judged", str(error))
        st.caption("Choose another recording, or fetch this one again from where it comes from.")
    except ModelError as error:
        elements.show_error("This version cannot judge", str(error))
        st.caption("Choose another version above.")
    else:
        _show(workspace, heard, source)


def _choose(workspace: Workspace) -> tuple[session.Source | None, str]:
    calls = session.load_calls(workspace)
    asked = st.query_params.get("call", "")
    asked = asked if (calls["path"] == asked).any() else ""
    with st.container(border=True):
        left, right = st.columns([3, 2])
        with left:
            options = {"key": "origin", "persist_state": "session"}
            if asked and asked != st.session_state.get("call"):
                st.session_state.update(origin=PICK, call=asked)
            origin = st.radio("Which call?", [UPLOAD, PICK], horizontal=True, **options)
        version = right.selectbox("Version of the model", **_list_versions(workspace))
        if origin == UPLOAD:
            st.query_params.pop("call", None)
            return _take_upload(), version
        path = _pick(calls, asked)
    return (session.take_call(workspace, path) if path else None), version


def _pick(calls: pd.DataFrame, asked: str) -> str | None:
    """Let one of the calls be chosen; of very many only those that fit a search are listed."""
    if calls.empty:
        st.info("This workspace holds no call yet: upload one, or run `make train`.")
        return None
    fitting = calls
    if len(calls) > LISTED:
        label = f"Search in {len(calls):,} calls"
        text = st.text_input(label, key="search", placeholder="Name, folder, customer or agent")
        fitting = call_table.filter_calls(calls, text=text)
    paths = fitting["path"].head(LISTED).tolist()
    paths += [asked] * (asked not in ["", *paths])
    return st.selectbox(
        f"Call ({len(fitting):,} to choose from{', the worst first' * (len(fitting) > LISTED)})",
        paths,
        index=None,
        key="call",
        placeholder="Choose a call" if paths else "No call fits",
        filter_mode="contains",
        on_change=_link,
    )


def _link() -> None:
    """Let the address of the page lead to the chosen call."""
    chosen = st.session_state["call"]
    st.query_params.from_dict({"call": chosen} if chosen else {})


def _list_versions(workspace: Workspace) -> dict[str, object]:
    champion, versions = find_champion(workspace), list_versions(workspace)[::-1]

    def name(version: str) -> str:
        return f"{version} (judges calls now)" if version == champion else version

    place = versions.index(champion) if champion in versions else 0
    return {"options": versions or [champion], "index": place, "format_func": name}


def _take_upload() -> session.Source | None:
    file = st.file_uploader(
        "Recording: WAV (mu-law and A-law, too), MP3, OGG, FLAC, M4A, AAC",
        type=KINDS,
        help="It is forgotten when you leave this page; nothing is added to the workspace.",
    )
    return session.take_upload(file.name, file.getvalue()) if file else None


def _show(workspace: Workspace, heard: Heard, source: session.Source) -> None:
    verdict = heard.verdict
    first, *others = tell_verdict(heard.row)
    st.header(elements.plain(heard.name), anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        elements.show_verdict_line(f"{first}.", str(heard.row["status"]))
        for sentence in others:
            st.warning(sentence, icon=":material/hearing:")
        caption = f"How the customer left, as version {verdict.version} hears it"
        elements.show_probabilities(verdict.probabilities, caption=caption)
        _show_question(workspace, source)
    with right:
        st.subheader("What happened", anchor=False)
        elements.show_list(tell_story(heard.row))
    _show_doubts(heard)
    st.subheader("Listen", anchor=False)
    st.caption("The clips are those without which the verdict would be least sure.")
    _listen(heard, source.key)
    st.subheader("Along the call", anchor=False)
    elements.show_picture(heard.timeline, description=_describe_timeline(heard))
    _show_details(heard)


def _show_question(workspace: Workspace, source: session.Source) -> None:
    """Let a call of the workspace be confirmed or corrected; an upload is none."""
    elements.show_notice()
    if source.path is None:
        st.caption(NOT_LABELLED)
        return
    path = workspace.relative(source.path)
    calls = session.load_calls(workspace)
    for call in calls[calls["path"] == path].to_dict("records"):
        if call[call_table.DECIDED]:
            st.subheader(deciding.QUESTION, anchor=False)
            deciding.show_decision(workspace, call[call_table.DECIDED], call["answer"])
        else:
            deciding.show_question(workspace, path, call["answer"])


@st.fragment
def _listen(heard: Heard, key: str) -> None:
    elements.show_player(heard.sound, key=key)
    elements.show_clips(heard.evidence, status=str(heard.row["status"]), key=key)


def _show_doubts(heard: Heard) -> None:
    doubt, banner = tell_doubt(heard.verdict.story.conversation), heard.verdict.banner
    if not doubt and not banner:
        return
    with st.container(border=True):
        st.markdown("**Take with care**")
        elements.show_list(filter(None, (doubt, banner)))


def _describe_timeline(heard: Heard) -> str:
    """Describe the picture to those who do not see it."""
    conversation, mood = heard.verdict.story.conversation, heard.verdict.story.mood
    quarters = ", ".join(map(format_share, mood.quarters))
    clips = " and ".join(format_time(start) for start in heard.evidence["start_s"])
    return (
        f"Waveform, turns of customer and agent, and how upset the customer sounds along "
        f"{format_time(conversation.duration_s)} minutes: {len(conversation.turns)} turns; upset "
        f"by quarter {quarters}; clips that moved the verdict at {clips or 'no place'}. The table "
        "of turns below tells the same."
    )


def _show_details(heard: Heard) -> None:
    spectrogram, turns, figures, download = st.tabs(
        ["Spectrogram", "Turns", "Figures", "Download the result"]
    )
    with spectrogram:
        told = "Spectrogram: how loud each frequency is along the call, dark for loud."
        elements.show_picture(heard.spectrogram, description=told)
    with turns:
        table = heard.verdict.story.conversation.turns
        shown = table.assign(
            start_s=table["start_s"].map(format_time), end_s=table["end_s"].map(format_time)
        )
        names = {"start_s": "from", "end_s": "to", "speaker": "who", "confidence": "how sure"}
        shown["confidence"] = shown["confidence"].map(format_share)
        st.dataframe(shown.rename(columns=names), hide_index=True, alt="Turns of the call")
    with figures:
        facts = list_facts({**heard.verdict.story.row, "path": heard.name})
        elements.show_table(pd.DataFrame(facts, columns=["figure", "value"]).set_index("figure"))
    with download:
        stem = heard.name.rsplit(".", 1)[0]
        st.markdown("Verdict, probabilities and all figures of this call.")
        csv, json = write_csv_row(heard), write_json(heard)
        options = {"on_click": "ignore", "icon": ":material/download:"}
        st.download_button("Table (CSV)", csv, f"{stem}.csv", "text/csv", **options)
        st.download_button(
            "Everything, with turns (JSON)", json, f"{stem}.json", "application/json", **options
        )


if __name__ == "__main__":
    main()
