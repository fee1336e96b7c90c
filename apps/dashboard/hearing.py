"""All that is shown of one recording, so that the recording itself need not be kept."""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from apps.dashboard.pictures import draw_spectrogram, to_svg
from apps.limits import check_size
from helpers.audio import open_recording, write_pcm
from helpers.conversation.evidence import find_evidence
from helpers.conversation.pages import tell_verdict
from helpers.conversation.plots import plot_conversation
from helpers.conversation.verdict import Listener, Verdict
from helpers.conversation.wording import tell_story
from helpers.segments import split_call


class Heard(NamedTuple):
    """One judged recording.

    Attributes:
        name: of the file, as people know it
        verdict: with turns and mood
        evidence: clips that moved the verdict, see `helpers.conversation.evidence.find_evidence`
        sound: the recording as 16-bit PCM WAV, which every browser plays
        timeline: picture of sound, turns and mood, SVG
        spectrogram: picture of the sound's frequencies, SVG
    """

    name: str
    verdict: Verdict
    evidence: pd.DataFrame
    sound: bytes
    timeline: str
    spectrogram: str

    @property
    def row(self) -> dict[str, object]:
        """All figures of the call in one row; the path is the name that people know."""
        return {**self.verdict.story.row, **self.verdict.row, "path": self.name}


def hear_recording(path: Path, listener: Listener, *, name: str) -> Heard:
    """Judge a recording and draw its pictures.

    Args:
        path: any recording that `helpers.audio.open_recording` reads
        listener: judges it
        name: of the file, as people know it

    Raises:
        AudioError: where it cannot be read or judged, or is too long
    """
    sound = to_wave(path)
    verdict = listener.judge_recording(path)
    conversation, mood = verdict.story.conversation, verdict.story.mood
    evidence = find_evidence(path, listener.model, conversation)
    return Heard(
        name=name,
        verdict=verdict,
        evidence=evidence,
        sound=sound,
        timeline=to_svg(plot_conversation, conversation, path=path, mood=mood, evidence=evidence),
        spectrogram=to_svg(draw_spectrogram, path),
    )


def to_wave(path: Path) -> bytes:
    """Convert a recording to 16-bit PCM WAV at its own rate, which every browser plays.

    Raises:
        AudioError: where it cannot be read, or is too long, see `apps.limits.check_size`
    """
    check_size(path)
    with tempfile.TemporaryDirectory(prefix="call-emotion-") as folder:
        wave = Path(folder) / "call.wav"
        with open_recording(path) as recording:
            write_pcm(recording, wave)
        return wave.read_bytes()


def find_end(path: Path) -> float:
    """Give where the part that decides a call begins, in seconds."""
    with open_recording(path) as recording:
        return split_call(recording.duration_s)[-1].start_s


def write_csv_row(heard: Heard) -> bytes:
    """Write the result as a table of one row, UTF-8."""
    return pd.DataFrame([heard.row]).to_csv(index=False, lineterminator="\r\n").encode()


def write_json(heard: Heard) -> bytes:
    """Write the result with sentences, clips and turns as JSON; what is not known is `null`."""
    status = {"probabilities": heard.verdict.probabilities, "version": heard.verdict.version}
    content = {
        "name": heard.name,
        "verdict": tell_verdict(heard.row),
        **status,
        "story": tell_story(heard.row),
        "figures": _to_records(pd.DataFrame([heard.row]))[0],
        "evidence": _to_records(heard.evidence),
        "turns": _to_records(heard.verdict.story.conversation.turns),
        "note": heard.verdict.banner,
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _to_records(table: pd.DataFrame) -> list[dict[str, object]]:
    return json.loads(table.to_json(orient="records"))
