"""Messages of Twilio's Media Streams, read with suspicion: whatever comes, the call goes on."""

import base64
import binascii
import io
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import soundfile

from helpers.errors import CallEmotionError
from helpers.telephony import SAMPLING_RATE

INBOUND, OUTBOUND = TRACKS = "inbound", "outbound"
"""What the phone system hears from the one who called in, and what it plays to them."""

MEDIA_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": SAMPLING_RATE, "channels": 1}
"""The only sound that Media Streams carries: 8-bit mu-law, one channel a track."""

IGNORED = ("connected", "dtmf", "mark")
"""Events that tell nothing about the mood."""

LONGEST_S = 1.0
"""A piece of sound may be so many seconds long; Twilio sends 0.02."""

LONGEST_MESSAGE = 64 * 1024
"""Characters of a message; Twilio's have some hundreds."""

LATEST_S = 24 * 3600.0
"""No call lasts longer than this, in seconds."""

LONGEST_NAME = 80
"""Names and identifiers are cut to so many characters."""

_QUOTED = 60
_MILLISECONDS = re.compile("[0-9]{1,8}")


class MessageError(CallEmotionError):
    """A message that is left out.

    Attributes:
        kind: short name of what is wrong: messages with the same one are told of once
    """

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


class Start(NamedTuple):
    """A stream begins.

    Attributes:
        stream: its identifier
        call: identifier of the call
        agent: name for the page, empty where the phone system gives none
        customer: the track on which the customer is heard
        token: what the phone system shows to be let in
        wants_answers: whether moods are sent back on the same connection
        problems: kind and words of what is wrong with the announcement
    """

    stream: str
    call: str
    agent: str
    customer: str
    token: str
    wants_answers: bool
    problems: tuple[MessageError, ...]

    @property
    def is_heard(self) -> bool:
        """Whether the sound that is announced can be decoded."""
        return all(problem.kind != "sound format" for problem in self.problems)


class Media(NamedTuple):
    """A piece of sound.

    Attributes:
        track: one of `TRACKS`
        at_s: where it begins, in seconds from the beginning of the stream
        content: mu-law, one byte a sample at 8000 Hz, see `decode_mu_law`
    """

    track: str
    at_s: float
    content: bytes


class Stop(NamedTuple):
    """The stream is over."""


def read_message(content: str | bytes) -> Start | Media | Stop | None:
    """Read a message.

    Args:
        content: of a WebSocket's message, text or bytes

    Returns:
        what it says, `None` where it says nothing about the call's sound

    Raises:
        MessageError: where it cannot be used, with what came and what was expected
    """
    if not isinstance(content, str):
        raise MessageError("bytes", "A message holds bytes; Media Streams are JSON text.")
    if len(content) > LONGEST_MESSAGE:
        raise MessageError("too long", f"A message is longer than {LONGEST_MESSAGE} characters.")
    try:
        message = json.loads(content)
    except (ValueError, RecursionError):
        raise MessageError("no JSON", f"A message is no JSON: {_quote(content)}.") from None
    event = message.get("event") if isinstance(message, dict) else None
    if event == "media":
        return _read_media(_part(message, "media"))
    if event == "start":
        return _read_start(message, _part(message, "start"))
    if event == "stop":
        return Stop()
    if isinstance(event, str) and event in IGNORED:
        return None
    raise MessageError(
        "unknown event",
        f"A message is none of Media Streams: its event is {_quote(event)}, expected connected, "
        "start, media, dtmf, mark or stop.",
    )


def encode_mu_law(signal: np.ndarray) -> bytes:
    """Encode sound as Media Streams carry it.

    Args:
        signal: shape (samples,), floats at 8000 Hz; what is beyond full scale is clipped

    Returns:
        one byte a sample
    """
    buffer = io.BytesIO()
    buffer.name = "sound.raw"
    clipped = np.clip(np.asarray(signal, np.float32), -1, 1)
    soundfile.write(buffer, clipped, SAMPLING_RATE, format="RAW", subtype="ULAW")
    return buffer.getvalue()


def decode_mu_law(content: bytes) -> np.ndarray:
    """Decode one byte a sample, shape (samples,), float32 in (-1, 1)."""
    return _DECODED[np.frombuffer(content, np.uint8)]


def clean_name(value: object) -> str:
    """Make a name that can be shown of whatever came: printable, one line, not too long."""
    text = value if isinstance(value, str) else ""
    words = "".join(each if each.isprintable() else " " for each in text).split()
    return " ".join(words)[:LONGEST_NAME]


def _list_values() -> np.ndarray:
    codes = io.BytesIO(bytes(range(256)))
    values, _ = soundfile.read(
        codes, dtype="float32", format="RAW", subtype="ULAW", samplerate=SAMPLING_RATE, channels=1
    )
    return values


_DECODED = _list_values()


def _read_start(message: Mapping, start: Mapping) -> Start:
    parameters = start.get("customParameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    stream = clean_name(start.get("streamSid") or message.get("streamSid"))
    if not stream:
        raise MessageError("no streamSid", "A stream does not say its streamSid: it is not heard.")
    customer = parameters.get("customer", INBOUND)
    known = customer if customer in TRACKS else INBOUND
    token = parameters.get("token")
    return Start(
        stream=stream,
        call=clean_name(start.get("callSid")) or stream,
        agent=clean_name(parameters.get("agent")),
        customer=known,
        token=token if isinstance(token, str) else "",
        wants_answers=parameters.get("answers") == "yes",
        problems=tuple(_check_start(start, customer, known)),
    )


def _check_start(start: Mapping, customer: object, known: str) -> list[MessageError]:
    problems = []
    if customer != known:
        words = (
            f"The parameter customer is {_quote(customer)}, expected inbound or outbound; whoever "
            "called in is taken for the customer."
        )
        problems.append(MessageError("customer", words))
    tracks = start.get("tracks")
    if isinstance(tracks, list) and known not in tracks:
        words = (
            f"The customer is on the {known} track, and the stream carries {_quote(tracks)} only: "
            "nobody will be heard. Let the phone system send both tracks."
        )
        problems.append(MessageError("tracks", words))
    media_format = start.get("mediaFormat", MEDIA_FORMAT)
    if not _is_mu_law(media_format):
        words = (
            f"The sound is announced as {_quote(media_format)}, expected audio/x-mulaw at 8000 Hz "
            "with 1 channel: it cannot be heard. Let the phone system send that."
        )
        problems.append(MessageError("sound format", words))
    return problems


def _is_mu_law(media_format: object) -> bool:
    """Say whether a format is `MEDIA_FORMAT`; what it does not tell is taken to be right."""
    if not isinstance(media_format, dict):
        return False
    told = {name: media_format.get(name, value) for name, value in MEDIA_FORMAT.items()}
    return all(
        isinstance(told[name], str | int) and str(told[name]) == str(value)
        for name, value in MEDIA_FORMAT.items()
    )


def _read_media(media: Mapping) -> Media:
    track, payload = media.get("track"), media.get("payload")
    if track not in TRACKS:
        words = f"A piece of sound is on the track {_quote(track)}, expected inbound or outbound."
        raise MessageError("unknown track", words)
    if not isinstance(payload, str):
        raise MessageError("no sound", "A media message holds no payload: it is left out.")
    if len(payload) > 4 * (LONGEST_S * SAMPLING_RATE / 3 + 1):
        words = f"A piece of sound is longer than {LONGEST_S:g} s: it is left out."
        raise MessageError("too long", words)
    try:
        content = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise MessageError("no base64", f"A payload is no base64: {_quote(payload)}.") from None
    return Media(track, _read_time(media.get("timestamp")), content)


def _read_time(timestamp: object) -> float:
    text = str(timestamp) if isinstance(timestamp, str | int) else ""
    at_s = int(text) / 1000 if _MILLISECONDS.fullmatch(text) else math.inf
    if at_s > LATEST_S:
        raise MessageError(
            "bad timestamp",
            f"A piece of sound has the timestamp {_quote(timestamp)}, expected milliseconds from "
            "the beginning of the stream: it is left out.",
        )
    return at_s


def _part(message: Mapping, name: str) -> Mapping[str, Any]:
    part = message.get(name)
    if not isinstance(part, dict):
        words = f"A {name} message does not say what it is about: expected an object {name!r}."
        raise MessageError(f"no {name}", words)
    return part


def _quote(value: object) -> str:
    """Quote what came, however long or strange it is."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        text = "lists in lists in lists"
    text = "".join(each if each.isprintable() else "?" for each in text[: _QUOTED + 1])
    return repr(text if len(text) <= _QUOTED else text[:_QUOTED] + "...")
