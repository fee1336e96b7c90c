"""Plays a recording to the live service as Twilio would, and prints what it hears.

python -m apps.live.play CALL ws://127.0.0.1:8000/live/stream --agent Ana
"""

import argparse
import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from apps.live.messages import INBOUND, MEDIA_FORMAT, OUTBOUND, TRACKS, encode_mu_law
from helpers.audio import open_recording
from helpers.errors import CallEmotionError
from helpers.hearing import to_telephone_rate
from helpers.telephony import SAMPLING_RATE

PIECE_S = 0.02
"""Seconds of sound in a message."""

PIECE = round(PIECE_S * SAMPLING_RATE)
"""The same in samples, which are bytes too."""

Answer = dict[str, object]


def read_call(path: Path | str) -> dict[str, bytes]:
    """Read a recording as the tracks of a phone call.

    Args:
        path: any recording that `helpers.audio.open_recording` reads

    Returns:
        mu-law at 8000 Hz by track: the first channel is inbound, the second, if any, outbound

    Raises:
        AudioError: where the recording cannot be read
    """
    with open_recording(path) as recording:
        channels, sampling_rate = recording.read(), recording.sampling_rate
    tracks = (encode_mu_law(to_telephone_rate(channel, sampling_rate)) for channel in channels)
    return dict(zip(TRACKS, tracks, strict=False))


def list_messages(
    tracks: Mapping[str, bytes], *, parameters: Mapping[str, str], stream: str = ""
) -> Iterator[tuple[float, Answer]]:
    """List what Twilio sends for a call.

    Args:
        tracks: see `read_call`
        parameters: custom parameters of the stream, see `apps.live.messages.Start`
        stream: identifier; a new one by default

    Yields:
        when the message is due, in seconds from the beginning, and the message
    """
    stream = stream or f"MZ{uuid4().hex}"
    start = {
        "streamSid": stream,
        "callSid": f"CA{stream[2:]}",
        "tracks": list(tracks),
        "mediaFormat": MEDIA_FORMAT,
        "customParameters": dict(parameters),
    }
    yield 0.0, {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    yield 0.0, {"event": "start", "streamSid": stream, "start": start}
    length = max(map(len, tracks.values()), default=0)
    for number, first in enumerate(range(0, length, PIECE)):
        for track, content in tracks.items():
            if piece := content[first : first + PIECE]:
                media = {
                    "track": track,
                    "chunk": str(number + 1),
                    "timestamp": str(round(1000 * number * PIECE_S)),
                    "payload": base64.b64encode(piece).decode(),
                }
                due_s = first / SAMPLING_RATE + PIECE_S  # a piece is sent when it has been said
                yield due_s, {"event": "media", "streamSid": stream, "media": media}
    yield length / SAMPLING_RATE, {"event": "stop", "streamSid": stream, "stop": {}}


async def play_call(
    tracks: Mapping[str, bytes],
    url: str,
    *,
    speed: float = 1.0,
    parameters: Mapping[str, str] | None = None,
    hear: Callable[[Answer, float], None] = lambda answer, came_s: None,
) -> list[Answer]:
    """Play a call and wait for all that the service says of it.

    Args:
        tracks: see `read_call`
        url: of the service's `/live/stream`
        speed: 1 for real time, 2 for twice as fast, 0 for as fast as the service takes it
        parameters: custom parameters of the stream; answers are asked for in any case
        hear: called with each answer when it comes, and the seconds since the call began

    Returns:
        the answers

    Raises:
        OSError: where nobody listens at the address
        InvalidHandshake: where no live service is there
        ConnectionClosed: where the service refuses the call, with its reason
    """
    parameters = {"answers": "yes", **(parameters or {})}
    async with connect(url, compression=None) as connection:
        began, answers = time.monotonic(), []
        sending = asyncio.create_task(_send(connection, tracks, speed, parameters))
        try:
            async for text in connection:
                answers.append(json.loads(text))
                hear(answers[-1], time.monotonic() - began)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return answers


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a call from a command line.

    Returns:
        0 where the call was played, 1 where the recording or the service was of no use
    """
    options = _parse(arguments)
    known = {"token": options.token, "agent": options.agent, "customer": options.customer}
    try:
        tracks = read_call(options.call)
        if OUTBOUND not in tracks:
            print("one channel: whoever speaks is taken for the customer", file=sys.stderr)
        playing = play_call(
            tracks, options.url, speed=options.speed, parameters=known, hear=_print_answer
        )
        asyncio.run(playing)
    except CallEmotionError as error:
        print(f"{options.call}: {error}", file=sys.stderr)
    except ConnectionClosed as error:
        reason = error.rcvd.reason if error.rcvd and error.rcvd.reason else "it went away"
        print(f"the service ended the call: {reason}", file=sys.stderr)
    except (OSError, InvalidHandshake, InvalidURI) as error:
        print(f"no live service at {options.url} ({error}): start it with make api, and give "
              "ws://HOST:PORT/live/stream", file=sys.stderr)  # fmt: skip
    else:
        return 0
    return 1


async def _send(
    connection: ClientConnection,
    tracks: Mapping[str, bytes],
    speed: float,
    parameters: Mapping[str, str],
) -> None:
    began = time.monotonic()
    for due_s, message in list_messages(tracks, parameters=parameters):
        if speed and (early_s := began + due_s / speed - time.monotonic()) > 0:
            await asyncio.sleep(early_s)
        await connection.send(json.dumps(message))


def _print_answer(answer: Answer, came_s: float) -> None:
    if answer["event"] != "mood":
        print(f"{answer['event']}: {answer.get('words', '')}", flush=True)
        return
    bar = "#" * round(20 * answer["upset"])
    alert = f"  ALERT since {answer['alert_since_s']:.1f} s" if answer["alert"] else ""
    print(f"{answer['at_s']:7.1f} s  {answer['upset']:4.0%} {bar:20}{alert}", flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m apps.live.play", description=__doc__)
    parser.add_argument("call", type=Path, help="recording; the customer on the first channel")
    parser.add_argument("url", help="such as ws://127.0.0.1:8000/live/stream")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="1: real time; 0: as fast as possible"
    )
    parser.add_argument("--token", default="", help="the service's, where it has one")
    parser.add_argument("--agent", default="", help="name for the page")
    parser.add_argument("--customer", default=INBOUND, choices=(INBOUND, OUTBOUND))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
