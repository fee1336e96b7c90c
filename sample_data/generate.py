"""Make the sample calls and the sample corpus of emotions out of synthetic voices.

Every call is a ringing tone, then a customer and an agent taking turns, sent through a telephone
channel: 8 kHz, 300-3400 Hz, faint line noise, mu-law. The agent always speaks neutrally. The
customer begins in a mood drawn at random and speaks the last 28 s or more in the mood that is the
call's status. Mood is carried by pitch, pitch range, pace, pauses and brightness of the voice,
never by loudness: every turn is set to the same speech level.

The corpus is single utterances through the same channel, see `voices.py`.

Randomness is seeded by the number of a call or utterance, so that each can be made alone:

    python sample_data/generate.py                              everything, into this folder
    python sample_data/generate.py --into X --only call_01      one call, X/call_01.ulaw.wav
"""

import argparse
import csv
import io
import itertools
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from speech import MOODS, NEUTRAL, SAMPLING_RATE, VOICES, add_line_noise, ringing_tone, speak
from voices import FOLDER, Utterance, make_utterance, plan_utterances

HERE = Path(__file__).resolve().parent
PHRASES = json.loads((HERE / "phrases.json").read_text(encoding="utf-8"))

SEED = 2026
CLOSING_SECONDS = 28.0
LONG_TURN_SECONDS = 7.0
CUSTOMER_CHANNEL, AGENT_CHANNEL = 0, 1
Turn = tuple[int, np.ndarray]

STATUSES = ("satisfied", "average", "unsatisfied")
FOLDERS = {
    "satisfied": "satisfied_call_quality_wav",
    "average": "average_call_quailty_wav",
    "unsatisfied": "not-satisfied_call_quailty_wav",
}
CALLS_PER_STATUS = 8
LONG_CALLS = (4, 19)
TWO_CHANNEL_CALLS = (6, 14, 22)


@dataclass(frozen=True)
class Call:
    """One call to make; `path` is where it belongs, `seconds` its least length."""

    number: int
    name: str
    path: str
    status: str
    customer: str
    agent: str
    channels: int = 1
    seconds: float = 51.0


@dataclass(frozen=True)
class Response:
    """One answer of the form; `sounds` is the true status, empty if unreadable."""

    timestamp: str
    upload: str
    file_name: str
    answer: str
    sounds: str
    customer: str


with (HERE / "form_plan.csv").open(encoding="utf-8", newline="") as plan:
    RESPONSES = [Response(**row) for row in csv.DictReader(plan)]
WRONGLY_ANSWERED = ("delivery_0303.wav", "new_tariff.wav")


def plan_calls() -> list[Call]:
    """Return the 24 calls of the three zips; each customer has one call of each status."""
    calls = []
    for index in range(len(STATUSES) * CALLS_PER_STATUS):
        status_index, place = divmod(index, CALLS_PER_STATUS)
        status, number = STATUSES[status_index], index + 1
        calls.append(
            Call(
                number=number,
                name=f"call_{number:02d}",
                path=f"{FOLDERS[status]}/call_{number:02d}.ulaw.wav",
                status=status,
                customer=f"customer_{(place + 3 * status_index) % CALLS_PER_STATUS + 1:02d}",
                agent=f"agent_{index % 3 + 1:02d}",
                channels=2 if number in TWO_CHANNEL_CALLS else 1,
                seconds=78.0 if number in LONG_CALLS else 51.0,
            )
        )
    return calls


def plan_form_calls() -> list[Call]:
    """Return the calls uploaded with the form, one for each readable response."""
    return [
        Call(
            number=101 + index,
            name=Path(response.file_name).stem,
            path=f"form/uploads/{response.upload}",
            status=response.sounds,
            customer=response.customer,
            agent=f"agent_{index % 3 + 1:02d}",
        )
        for index, response in enumerate(RESPONSES)
        if response.sounds
    ]


class Conversation:
    """The speakers of one call; their turns are (channel, samples) pairs."""

    def __init__(self, call: Call):
        """Seed the call's own randomness and shuffle what can be said."""
        self.call = call
        self.generator = np.random.default_rng([SEED, call.number])
        self.agent_lines = self.shuffled(PHRASES["agent"])
        self.customer_lines = {mood: self.shuffled(PHRASES["customer"][mood]) for mood in STATUSES}

    def shuffled(self, lines: list[str]) -> Iterator[str]:
        """Return an endless iterator over the lines in one random order."""
        return itertools.cycle(self.generator.permutation(lines).tolist())

    def agent_says(self, line: str) -> Turn:
        """Let the agent say a line, neutrally."""
        voice = VOICES[self.call.agent]
        return AGENT_CHANNEL, speak([line], voice=voice, mood=NEUTRAL, generator=self.generator)

    def customer_says(self, lines: list[str], *, mood: str) -> Turn:
        """Let the customer say some lines in a mood."""
        voice = VOICES[self.call.customer]
        return CUSTOMER_CHANNEL, speak(
            lines, voice=voice, mood=MOODS[mood], generator=self.generator
        )

    def greeting(self) -> list[Turn]:
        """Return the ringing and the agent's greeting."""
        line = self.generator.choice(PHRASES["agent_greeting"])
        return [(AGENT_CHANNEL, ringing_tone()), self.agent_says(line)]

    def talk(self, *, mood: str, seconds: float) -> list[Turn]:
        """Return turns in both voices, the customer's in `mood`, of at least `seconds`."""
        turns: list[Turn] = []
        while length(turns) < seconds:
            count = 2 if seconds - length(turns) > LONG_TURN_SECONDS else 1
            lines = list(itertools.islice(self.customer_lines[mood], count))
            turns += [self.customer_says(lines, mood=mood), self.agent_says(next(self.agent_lines))]
        return turns

    def goodbye(self) -> list[Turn]:
        """Return the last words of both speakers, the customer's in the mood of the status."""
        mood = self.call.status
        line = self.generator.choice(PHRASES["customer_goodbye"][mood])
        return [
            self.customer_says([line], mood=mood),
            self.agent_says(self.generator.choice(PHRASES["agent_goodbye"])),
        ]


def length(turns: list[Turn]) -> float:
    """Return how many seconds the turns last."""
    return sum(len(signal) for _, signal in turns) / SAMPLING_RATE


def lay_out(turns: list[Turn]) -> np.ndarray:
    """Return the turns one after the other, shape (samples, 2): customer, agent."""
    tracks = [np.zeros((len(signal), 2)) for _, signal in turns]
    for track, (channel, signal) in zip(tracks, turns, strict=True):
        track[:, channel] = signal
    return np.concatenate(tracks)


def make_call(call: Call) -> tuple[np.ndarray, int]:
    """Return one call, float samples of shape (samples, channels), and its rate of 8000 Hz."""
    conversation = Conversation(call)
    generator = conversation.generator
    greeting, goodbye = conversation.greeting(), conversation.goodbye()
    closing = conversation.talk(mood=call.status, seconds=CLOSING_SECONDS - length(goodbye))
    opening = conversation.talk(
        mood=str(generator.choice(STATUSES)),
        seconds=call.seconds - length(greeting + closing + goodbye),
    )
    signal = lay_out(greeting + opening + closing + goodbye)
    if call.channels == 1:
        signal = signal.sum(axis=1, keepdims=True)
    signal = signal * call.channels
    return add_line_noise(signal, SAMPLING_RATE, generator=generator), SAMPLING_RATE


def make(recording: Call | Utterance) -> bytes:
    """Return the bytes of one call or utterance, a mu-law WAV file."""
    if isinstance(recording, Call):
        return encode(*make_call(recording))
    generator = np.random.default_rng([SEED, recording.number])
    return encode(*make_utterance(recording, generator=generator))


def encode(signal: np.ndarray, sampling_rate: int) -> bytes:
    """Return the bytes of a mu-law WAV file; signal of shape (samples, channels)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, sampling_rate, format="WAV", subtype="ULAW")
    return buffer.getvalue()


def write_atomically(content: bytes, *, path: Path) -> None:
    """Write a file under a temporary name beside it, then move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def zip_bytes(members: dict[str, bytes]) -> bytes:
    """Return a zip of {path inside: content}, in sorted order and with a fixed date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, members[name], compresslevel=9)
    return buffer.getvalue()


def csv_bytes(rows: list[tuple]) -> bytes:
    """Return rows as the bytes of a CSV file."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode("utf-8")


def generate_zips(into: Path) -> None:
    """Write the three zips and speakers.csv."""
    members = {status: {} for status in STATUSES}
    rows = [("file", "status", "customer", "agent", "channels", "seconds")]
    for call in plan_calls():
        signal, sampling_rate = make_call(call)
        members[call.status][call.path] = encode(signal, sampling_rate)
        seconds = f"{len(signal) / sampling_rate:.1f}"
        rows.append((call.path, call.status, call.customer, call.agent, call.channels, seconds))
        print(f"{call.name}: {call.status}, {call.customer}, {seconds} s")
    for status in STATUSES:
        write_atomically(
            zip_bytes(members[status]), path=into / "recordings" / f"{status}_calls.zip"
        )
    write_atomically(csv_bytes(rows), path=into / "recordings" / "speakers.csv")


def generate_form(into: Path) -> None:
    """Write the form's uploads and its response sheet."""
    for call in plan_form_calls():
        write_atomically(make(call), path=into / call.path)
        print(f"{call.name}: {call.status}, {call.customer}")
    rows = [("Timestamp", "Call recording", "File name", "Status")]
    for response in RESPONSES:
        if not response.sounds:
            upload = into / "form/uploads" / response.upload
            write_atomically(b"this is not a recording\n", path=upload)
        rows.append((response.timestamp, response.upload, response.file_name, response.answer))
    write_atomically(csv_bytes(rows), path=into / "form/responses.csv")


def generate_voices(into: Path) -> None:
    """Write the corpus of emotions and its corpus.csv."""
    rows = [("path", "emotion", "speaker", "corpus", "statement")]
    for utterance in plan_utterances():
        write_atomically(make(utterance), path=into / utterance.path)
        said = (utterance.emotion, utterance.speaker, "sample", utterance.statement)
        rows.append((Path(utterance.path).name, *said))
    write_atomically(csv_bytes(rows), path=into / FOLDER / "corpus.csv")
    print(f"{FOLDER}: {len(rows) - 1} utterances")


def main() -> None:
    """Read the command line and make everything, or only one recording."""
    parser = argparse.ArgumentParser(description="Make the sample recordings with espeak-ng.")
    parser.add_argument("--into", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--only", metavar="NAME", help="make this one alone, such as call_01")
    arguments = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng is missing; install it with: apt-get install espeak-ng")
    if arguments.only is None:
        generate_zips(arguments.into)
        generate_form(arguments.into)
        generate_voices(arguments.into)
        return
    planned = plan_calls() + plan_form_calls() + plan_utterances()
    recordings = {recording.name: recording for recording in planned}
    if arguments.only not in recordings:
        parser.error(f"there is no {arguments.only}; there are {', '.join(recordings)}")
    recording = recordings[arguments.only]
    write_atomically(make(recording), path=arguments.into / Path(recording.path).name)


if __name__ == "__main__":
    main()
