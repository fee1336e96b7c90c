"""One page a call: verdict, story, timeline, player and clips; it needs nothing beside it.

Only the player of the whole call plays another file, by a relative link.
"""

import base64
import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import matplotlib as mpl
import pandas as pd
import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from helpers.audio import open_recording, to_mono
from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.evidence import NO_EVIDENCE
from helpers.conversation.plots import plot_conversation
from helpers.conversation.roles import SURE
from helpers.conversation.story import Story
from helpers.conversation.turn_taking import Conversation
from helpers.conversation.wording import (
    format_share,
    format_time,
    is_known,
    list_facts,
    tell_story,
)
from helpers.files import write_bytes
from helpers.model_card import STYLE
from helpers.prediction import PROBABILITIES
from helpers.statuses import STATUSES

INDEX = "index.html"
"""Name of the page that lists all calls, beside the other pages."""

NOT_EXPLAINED = "Nobody has looked yet for the clips that moved the verdict."
"""Said where there is no table of clips at all."""

PAGE_STYLE = """
audio { width: 100%; max-width: 30rem; display: block; margin: .5rem 0 }
audio[hidden] { display: none }
button { font: inherit; padding: .3rem .7rem; min-height: 2rem }
figure { margin: 1rem 0 }
.timeline { overflow-x: auto }
.picture { position: relative; min-width: 44rem }
.picture svg { display: block; width: 100%; height: auto }
.cursor { position: absolute; top: 0; bottom: 0; border-left: 2px solid currentColor }
.cursor[hidden] { display: none }
.verdict { font-size: 1.3rem }
.note { border-left: .3rem solid #b36b00; padding: .3rem .8rem; background: #fff4e0 }
.bar { width: 12rem; vertical-align: middle }
.bar div { height: .8rem; min-width: 1px; background: #0b5fa5 }
.figures td { white-space: nowrap } .figures .text { white-space: normal; min-width: 10rem }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
@media (prefers-color-scheme: dark) {
  a { color: #8ab8ff } .note { background: #33270f } .bar div { background: #6aa9e9 }
  .picture svg { filter: invert(1) hue-rotate(180deg) } }
"""
"""What these pages need beside the style of the model card."""

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_SVG = {"svg.fonttype": "none", "svg.hashsalt": "call", "font.family": "sans-serif"}


def call_page(
    story: Story,
    *,
    verdict: Mapping[str, object] | None = None,
    evidence: pd.DataFrame | None = None,
    recording: Path | str | None = None,
    audio: str = "",
    acted: bool = False,
    index: str = "",
) -> str:
    """Tell one call as an HTML page.

    Args:
        story: the call's row, its turns and its mood
        verdict: the call's row of `helpers.prediction.predict_calls`, for all probabilities and
            how sure the model is; without it only what the story's row holds is told
        evidence: see `helpers.conversation.evidence.find_evidence`; its clips become part of the
            page where the recording is given
        recording: the call's sound, for the waveform and the clips
        audio: link to the recording relative to the page, see `link_recording`; empty for none
        acted: whether the mood was heard by a model that knows acted emotions only
        index: link to the list of calls; empty for none

    Returns:
        the page; the same call gives the same text

    Raises:
        AudioError: where the recording cannot be read
    """
    no_evidence = NOT_EXPLAINED if evidence is None else NO_EVIDENCE
    evidence = pd.DataFrame() if evidence is None else evidence
    conversation = story.conversation
    row = {**story.row, **(verdict or {})}
    timeline, left, width = _draw(story, recording, evidence)
    return render(
        "call",
        title=Path(str(row["path"])).name,
        verdict=tell_verdict(row),
        probabilities=_list_probabilities(row),
        doubt=tell_doubt(conversation),
        banner=ACTED_BANNER if acted else "",
        sentences=tell_story(row),
        timeline=Markup(timeline),
        left=left,
        width=width,
        seconds=conversation.duration_s,
        audio=audio,
        clips=_list_clips(evidence, str(row.get("status", "")), recording),
        no_evidence=no_evidence,
        facts=list_facts(story.row),
        turns=_list_turns(conversation.turns),
        index=index,
    )


def render(name: str, **content) -> str:
    """Fill a template of `templates/`; everything but markup of our own is escaped."""
    style = Markup(STYLE + PAGE_STYLE)
    return _TEMPLATES.get_template(f"{name}.html.jinja").render(style=style, **content)


def write_page(path: Path, page: str) -> Path:
    """Write a page; where it is already written nothing is touched."""
    write_bytes(path, page.encode())
    return path


def name_call_page(path: str) -> str:
    """Name the page of a call by the call's path in `call_story.csv`; no two are called alike."""
    return _name_page("call", Path(path).stem, path)


def name_agent_page(agent: str) -> str:
    """Name the page of an agent; no two are called alike."""
    return _name_page("agent", agent, agent)


def link_recording(recording: Path, page: Path) -> str:
    """Link from a page to a recording, relative, so that both can be moved together.

    Args:
        recording: anywhere
        page: in a folder of the workspace

    Returns:
        the link, empty where the recording lies outside of the workspace: a link to it would tell
        how somebody's folders are called
    """
    folder = page.resolve().parent
    if not recording.resolve().is_relative_to(folder.parent):
        return ""
    inside = recording.resolve().relative_to(folder.parent).as_posix()
    return quote(f"../{inside}")


def tell_verdict(row: Mapping[str, object]) -> list[str]:
    """Tell in sentences how the customer left, how sure that is, and if a person should listen.

    Args:
        row: columns of `helpers.prediction.COLUMNS` or `STORY_COLUMNS`, of which any may be missing
    """
    if row.get("error"):
        return [f"This call could not be judged: {row['error']}."]
    status = row.get("status")
    if not status:
        return ["There is no verdict: no model of calls has been trained yet."]
    probability = row.get(f"p_{status}")
    sure = f", {_tell_sureness(probability)} sure" if is_known(probability) else ""
    sentences = [f"{status.capitalize()}{sure}"]
    if row.get("needs_human"):
        sentences.append("A person should listen: the model is not sure enough to judge it alone.")
    return sentences


def tell_doubt(conversation: Conversation) -> str:
    """Tell why it is unsure who is the customer, and what that means; empty where it is sure."""
    if not conversation.doubt and conversation.certainty >= SURE:
        return ""
    mixed = (
        " The verdict is on both people together then; mood and figures are of whoever is taken "
        "for the customer."
        if conversation.certainty < SURE
        else ""
    )
    reason = f": {conversation.doubt}" if conversation.doubt else ""
    return (
        f"It is {format_share(conversation.certainty)} sure who is the customer and who is the "
        f"agent{reason}.{mixed}"
    )


def tell_effect(effect: float, status: str) -> str:
    """Tell what a clip did to the verdict.

    Examples:
        >>> tell_effect(0.12, "unsatisfied")
        'Without it the probability of “unsatisfied” would be 12 percentage points lower.'
    """
    points = round(100 * effect)
    fall = f"{points} percentage point{'' if points == 1 else 's'}"
    return f"Without it the probability of “{status}” would be {fall} lower."


def _name_page(kind: str, name: str, key: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
    return f"{kind}-{plain}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.html"


def _draw(
    story: Story, recording: Path | str | None, evidence: pd.DataFrame
) -> tuple[str, float, float]:
    """Draw the timeline as SVG; also give left end and width of its axis, in shares of it."""
    buffer = io.StringIO()
    with mpl.rc_context(_SVG):
        figure = plot_conversation(
            story.conversation, path=recording, mood=story.mood, evidence=evidence
        )
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    place = figure.axes[0].get_position()
    svg = buffer.getvalue()
    label = "Who speaks when, and how upset the customer sounds along the call"
    svg = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return svg, round(place.x0, 5), round(place.width, 5)


def _tell_sureness(probability: float) -> str:
    return "more than 99 %" if probability >= 0.995 else format_share(probability)


def _list_probabilities(row: Mapping[str, object]) -> list[dict[str, object]]:
    known = [(status, row.get(name)) for status, name in zip(STATUSES, PROBABILITIES, strict=True)]
    return [
        {"status": status, "told": format_share(value), "percent": round(100 * value, 1)}
        for status, value in known
        if is_known(value)
    ]


def _list_clips(
    evidence: pd.DataFrame, status: str, recording: Path | str | None
) -> list[dict[str, object]]:
    return [
        {
            "at": round(clip.start_s, 2),
            "start": format_time(clip.start_s),
            "end": format_time(clip.end_s),
            "words": clip.words,
            "effect": tell_effect(clip.effect, status),
            "sound": _embed(recording, clip.start_s, clip.end_s) if recording else "",
        }
        for clip in evidence.itertuples()
    ]


def _embed(path: Path | str, start_s: float, end_s: float) -> str:
    """Cut a clip out of a recording and write it into a link: 16-bit WAV at the call's rate."""
    with open_recording(path) as recording:
        clip = to_mono(recording.read(start_s=start_s, duration_s=end_s - start_s))
        rate = recording.sampling_rate
    buffer = io.BytesIO()
    soundfile.write(buffer, clip, rate, subtype="PCM_16", format="WAV")
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _list_turns(turns: pd.DataFrame) -> list[dict[str, object]]:
    return [
        {
            "at": round(turn.start_s, 2),
            "start": format_time(turn.start_s),
            "end": format_time(turn.end_s),
            "speaker": turn.speaker,
            "confidence": format_share(turn.confidence),
        }
        for turn in turns.itertuples()
    ]
