import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import chain, cycle

import numpy as np
import pytest
import soundfile
from conftest import make_voice
from live_service import LOUD, QUIET, TOO_LOUD, find_loudness, live_service, say
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from apps.live.play import list_messages, main, play_call, read_call
from apps.live.switchboard import MOST_WAITING, Switchboard
from helpers.conversation.live import MoodNow
from helpers.workspace import open_workspace

TOKEN = "let me in ü"

CALL = {
    "inbound": say(QUIET, LOUD, LOUD, QUIET, QUIET, QUIET),
    "outbound": say(LOUD, QUIET, QUIET, LOUD),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> str:
    workspace = open_workspace(tmp_path_factory.mktemp("live"))
    with live_service(workspace, find_judge=find_loudness) as address:
        yield address


@pytest.fixture(scope="module")
def strict(tmp_path_factory) -> str:
    """Give a service with a token, room for one call, and no model."""
    workspace = open_workspace(tmp_path_factory.mktemp("strict"))
    with live_service(workspace, token=TOKEN, most_streams=1, idle_s=3.0) as address:
        yield address


def run(work: Coroutine) -> object:
    async def limited() -> object:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(limited())


@asynccontextmanager
async def watching(address: str, *, token: str = ""):
    """Watch; gives a function that waits for the next message with these facts."""
    async with connect(f"ws://{address}/live/watch") as connection:
        if token:
            await connection.send(json.dumps({"token": token}))

        async def wait_for(**facts) -> dict:
            async for text in connection:
                message = json.loads(text)
                if facts.items() <= message.items():
                    return message
            raise AssertionError(f"the connection was closed before {facts}")

        yield wait_for


def moods(answers: list[dict]) -> list[tuple]:
    names = ("at_s", "upset", "alert", "alert_since_s")
    return [tuple(each[name] for name in names) for each in answers if each["event"] == "mood"]


def problems(answers: list[dict]) -> list[str]:
    return [each["kind"] for each in answers if each["event"] == "problem"]


def play(address: str, tracks: dict[str, bytes] = CALL, **options) -> list[dict]:
    return run(play_call(tracks, f"ws://{address}/live/stream", **{"speed": 0, **options}))


@pytest.fixture(scope="module")
def expected(service) -> list[tuple]:
    """Give the moods of `CALL`."""
    return moods(play(service))


def test_the_alert_begins_and_ends_with_the_customers_loudness(expected):
    first = next(at_s for at_s, _, alert, _ in expected if alert)
    last = next(at_s for at_s, _, alert, _ in expected if at_s > first and not alert)
    assert 1.5 < first <= 4.5
    assert last > 4.5
    assert all(since_s == first for at_s, _, alert, since_s in expected if alert)
    assert all(since_s is None for _, _, alert, since_s in expected if not alert)


def test_a_customer_who_was_called_is_on_the_other_track(service, expected):
    swapped = {"inbound": CALL["outbound"], "outbound": CALL["inbound"]}
    assert moods(play(service, swapped, parameters={"customer": "outbound"})) == expected


def test_a_call_in_real_time_has_the_moods_of_a_fast_one(service):
    call = {"inbound": say(LOUD, QUIET)}
    fast, real = (play(service, call, speed=speed) for speed in (0, 1))
    assert moods(fast) == moods(real) != []


async def send_call(address: str, change: Callable[[list[dict]], list], **parameters) -> list[dict]:
    """Send the messages of `CALL` changed in some way, and give the answers."""
    parameters = {"answers": "yes", **parameters}
    messages = [message for _, message in list_messages(CALL, parameters=parameters)]
    answers = []
    async with connect(f"ws://{address}/live/stream") as connection:

        async def read() -> None:
            answers.extend([json.loads(text) async for text in connection])

        reading = asyncio.create_task(read())
        for message in change(messages):
            is_raw = isinstance(message, str | bytes)
            await connection.send(message if is_raw else json.dumps(message))
        await reading
    return answers


def shuffled(messages: list[dict]) -> list[dict]:
    """Let neighbouring pieces of sound change places, and some come twice."""
    media = messages[2:-1]
    for first in range(0, len(media), 8):
        media[first : first + 8] = media[first : first + 8][::-1]
    return [*messages[:2], *media[:50], *media[40:60], *media[50:], messages[-1]]


def littered(messages: list[dict]) -> list:
    """Put all kinds of rubbish between the pieces of sound."""
    far = {"track": "inbound", "chunk": "1", "timestamp": "80000000", "payload": "AAAA"}
    rubbish = [
        "no json",
        b"\xff\x00",
        "[]",
        "",
        json.dumps({"event": "surprise"}),
        json.dumps({"event": "media", "media": {"track": "inbound", "payload": 5}}),
        json.dumps({"event": "media", "media": {**far, "payload": "*"}}),
        json.dumps({"event": "media", "media": far}),
        "x" * 100_000,
        messages[1],
    ]
    between = chain.from_iterable(zip(messages[1:-1], cycle(rubbish), strict=False))
    return [messages[2], *between, messages[-1]]


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (lambda messages: messages[1:], set()),
        (shuffled, {"late sound", "missing sound"}),
        (
            littered,
            {"early sound", "no JSON", "bytes", "unknown event", "no sound", "no base64"}
            | {"leaping sound", "too long", "second start"},
        ),
    ],
)
def test_the_moods_are_the_same_whatever_else_arrives(service, expected, change, kinds):
    answers = run(send_call(service, change))
    assert moods(answers) == expected
    assert sorted(problems(answers)) == sorted(kinds)


def test_sound_that_never_arrives_is_a_problem_and_silence(service):
    answers = run(send_call(service, lambda messages: [*messages[:202], *messages[262:]]))
    assert problems(answers) == ["missing sound"]
    assert moods(answers)


def test_moments_that_cannot_be_judged_are_left_out(service):
    answers = play(service, {"inbound": say(QUIET, TOO_LOUD, QUIET, QUIET, QUIET)})
    assert problems(answers) == ["not judged"]
    assert {at_s > 3 for at_s, *_ in moods(answers)} == {True, False}


def test_sound_of_another_format_is_a_call_with_a_problem(service):
    def change(messages):
        messages[1]["start"]["mediaFormat"] = {"encoding": "audio/x-l16", "sampleRate": 16000}
        return messages

    answers = run(send_call(service, change))
    assert [each["event"] for each in answers] == ["problem"]
    assert "audio/x-l16" in answers[0]["words"]


def test_a_format_of_lists_in_lists_is_a_call_with_a_problem(service):
    def change(messages):
        start = json.dumps(messages[1]).replace('"audio/x-mulaw"', "[" * 992 + "]" * 992)
        return [messages[0], start, *messages[1:]]

    kinds = set(problems(run(send_call(service, change))))
    assert kinds in ({"sound format", "second start"}, {"no JSON"})


def test_who_asks_for_no_answers_gets_none(service):
    assert run(send_call(service, lambda messages: messages, answers="no")) == []


def test_screens_are_told_of_calls_from_beginning_to_end(service, expected):
    async def watch() -> list[dict]:
        seen = []
        async with watching(service) as wait_for:
            seen.append(await wait_for())
            await send_call(service, lambda messages: messages, agent="Ana <b>", answers="no")
            while seen[-1]["event"] != "call ended":
                seen.append(await wait_for())
        return seen

    state, started, *between, ended = run(watch())
    assert (state["event"], state["calls"]) == ("calls", [])
    assert (started["event"], started["agent"]) == ("call started", "Ana <b>")
    assert moods(between) == expected
    assert ended["reason"] == "stopped"
    assert {each["stream"] for each in (*between, ended)} == {started["stream"]}


@pytest.mark.parametrize("is_polite", [True, False])
def test_a_stream_that_drops_is_a_call_that_ends(service, is_polite):
    async def drop() -> dict:
        messages = list(list_messages(CALL, parameters={"answers": "yes"}, stream="MZdropped"))
        async with watching(service) as wait_for:
            async with connect(f"ws://{service}/live/stream") as connection:
                for _, message in messages[:400]:
                    await connection.send(json.dumps(message))
                await wait_for(event="mood", stream="MZdropped")
                if not is_polite:
                    connection.transport.abort()
            return await wait_for(event="call ended", stream="MZdropped")

    assert run(drop())["reason"] == "dropped"


def test_a_screen_that_comes_later_gets_the_calls_in_progress(service):
    async def come_later() -> dict:
        messages = list(list_messages(CALL, parameters={"answers": "yes"}, stream="MZearly"))
        async with connect(f"ws://{service}/live/stream") as connection:
            for text in ("no json", *(json.dumps(message) for _, message in messages[:400])):
                await connection.send(text)
            while json.loads(await connection.recv())["event"] != "mood":
                pass
            async with watching(service) as wait_for:
                return await wait_for(event="calls")

    (call,) = run(come_later())["calls"]
    assert call["stream"] == "MZearly"
    assert call["mood"]["upset"] == call["history"][-1][1]
    assert [words[:20] for words in call["problems"]] == ["A message is no JSON"]


def test_a_flood_beside_a_call_changes_nothing_for_it(service):
    call = {"inbound": say(QUIET, LOUD)}
    piece = base64.b64encode(CALL["inbound"][:8000]).decode()

    async def flood() -> None:
        start = list(list_messages({}, parameters={}))[1][1]
        async with connect(f"ws://{service}/live/stream") as connection:
            try:
                await connection.send(json.dumps(start))
                for number in range(10**9):
                    media = {"track": "inbound", "timestamp": str(1000 * number), "payload": piece}
                    await connection.send(json.dumps({"event": "media", "media": media}))
                    await connection.send("rubbish")
            finally:
                connection.transport.abort()

    async def call_beside() -> list[dict]:
        flooding = asyncio.create_task(flood())
        try:
            return await play_call(call, f"ws://{service}/live/stream", speed=0)
        finally:
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)

    assert moods(run(call_beside())) == moods(play(service, call)) != []


def test_a_screen_that_reads_slowly_gets_the_state_of_all_calls_instead():
    async def fall_behind() -> list[str]:
        switchboard = Switchboard()
        watcher = switchboard.connect()
        name = switchboard.begin("MZ1", "CA1", "Ana")
        texts = [await watcher.next()]
        for number in range(MOST_WAITING + 5):
            switchboard.tell_mood(name, MoodNow(float(number), 0.5, False, float("nan")))
        texts.append(await watcher.next())
        switchboard.end(name, "stopped")
        return [*texts, await watcher.next()]

    first, second, third = (json.loads(text) for text in run(fall_behind()))
    assert [each["event"] for each in (first, second, third)] == ["calls", "calls", "call ended"]
    assert second["calls"][0]["mood"]["at_s"] == MOST_WAITING + 4


def test_a_problem_that_is_over_is_told_and_forgotten():
    async def get_over_it() -> list[str]:
        switchboard = Switchboard()
        watcher = switchboard.connect()
        name = switchboard.begin("MZ1", "CA1", "Ana")
        switchboard.tell_problem(name, "late moods", "Moods come late.")
        texts = [await watcher.next()]
        switchboard.end_problem(name, "late moods")
        return [*texts, await watcher.next(), switchboard.tell_all()]

    before, over, after = (json.loads(text) for text in run(get_over_it()))
    assert before["calls"][0]["problems"] == ["Moods come late."]
    assert (over["event"], over["kind"]) == ("problem over", "late moods")
    assert over["words"] == "Moods come late."
    assert after["calls"][0]["problems"] == []


def test_two_streams_under_one_name_are_two_calls():
    switchboard = Switchboard()
    names = [switchboard.begin("MZ1", "CA1", "").stream for _ in range(3)]
    assert names == ["MZ1", "MZ1 (2)", "MZ1 (3)"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_in_the_head_lets_in_however_its_scheme_is_written(strict, scheme):
    async def come_in() -> dict:
        header = {"Authorization": f"{scheme} {TOKEN}"}
        async with (
            watching(strict, token=TOKEN) as wait_for,
            connect(f"ws://{strict}/live/stream", additional_headers=header) as connection,
        ):
            await connection.send(json.dumps(start_message()))
            started = await wait_for(event="call started")
            await connection.close()
            return await wait_for(event="call ended", stream=started["stream"])

    assert run(come_in())["reason"] == "dropped"


async def close_of(address: str, path: str, *messages: object, **headers: str) -> tuple[int, str]:
    """Send some messages, and give code and reason with which the service closes."""
    async with connect(f"ws://{address}{path}", additional_headers=headers) as connection:
        for message in messages:
            await connection.send(message if isinstance(message, str) else json.dumps(message))
        with pytest.raises(ConnectionClosedError) as caught:
            while True:
                await connection.recv()
    return caught.value.rcvd.code, caught.value.rcvd.reason


def start_message(**parameters: str) -> dict:
    return list(list_messages(CALL, parameters=parameters))[1][1]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/live/watch", {"token": "guess"}),
        ("/live/watch", {"token": None}),
        ("/live/watch", ["token"]),
        ("/live/watch", "no json"),
        ("/live/watch", "[" * 100_000),
        ("/live/stream", start_message()),
        ("/live/stream", start_message(token="guess")),
        ("/live/stream", start_message(token="\ud800")),
    ],
)
def test_who_lacks_the_token_is_refused(strict, path, message):
    assert run(close_of(strict, path, message)) == (1008, "the token is missing or wrong")


def test_who_has_the_token_is_let_in(strict):
    async def come_in() -> list[dict]:
        async with watching(strict, token=TOKEN) as wait_for:
            state = await wait_for(event="calls")
        answers = await send_call(strict, lambda messages: messages, token=TOKEN)
        return [state, *answers]

    state, problem = run(come_in())
    assert state["calls"] == []
    assert problem["kind"] == "no model"
    assert "/" not in problem["words"]


def test_more_calls_than_there_is_room_for_are_refused_and_silent_ones_closed(strict):
    async def fill() -> list[tuple[int, str]]:
        header = {"Authorization": f"Bearer {TOKEN}"}
        async with watching(strict, token=TOKEN) as wait_for:
            messages = list(list_messages(CALL, parameters={}, stream="MZ1"))
            address = f"ws://{strict}/live/stream"
            async with connect(address, additional_headers=header) as first:
                await first.send(json.dumps(messages[1][1]))
                await wait_for(event="call started", stream="MZ1")
                full = await close_of(strict, "/live/stream", start_message(token=TOKEN))
                await first.wait_closed()
                return (
                    full,
                    (first.close_code, first.close_reason),
                    await wait_for(event="call ended", stream="MZ1"),
                )

    full, idle, ended = run(fill())
    assert full == (1013, "the limit of calls in progress is reached: 1")
    assert idle == (1001, "no sound came for too long")
    assert ended["reason"] == "idle"


@pytest.mark.parametrize("path", ["/live/stream", "/live/watch"])
@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        ("http://{}", True),
        ("http://{}.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
def test_pages_of_other_sites_are_refused(service, path, origin, is_let_in):
    async def come() -> bool:
        try:
            async with connect(f"ws://{service}{path}", origin=origin.format(service)):
                return True
        except InvalidStatus as error:
            assert error.response.status_code == 403
            return False

    assert run(come()) == is_let_in


def test_a_recording_is_played_from_a_command_line(service, tmp_path, capsys):
    channels = np.stack([make_voice(2, sampling_rate=16000), np.zeros(32000)], axis=1)
    soundfile.write(tmp_path / "call.wav", channels, 16000)
    assert list(map(len, read_call(tmp_path / "call.wav").values())) == [16000, 16000]
    arguments = [str(tmp_path / "call.wav"), f"ws://{service}/live/stream", "--speed", "0"]
    assert main(arguments) == 0
    assert "ALERT since " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "url", "words"),
    [
        ("missing.wav", "ws://{}/live/stream", "missing.wav: no such file"),
        ("call.wav", "ws://{}/elsewhere", "no live service at ws://"),
        ("call.wav", "nonsense", "no live service at nonsense"),
    ],
)
def test_what_cannot_be_played_is_told(service, tmp_path, capsys, call, url, words):
    soundfile.write(tmp_path / "call.wav", make_voice(1), 8000)
    assert main([str(tmp_path / call), url.format(service)]) == 1
    assert words in capsys.readouterr().err


def test_a_refused_call_is_told_with_the_reason(strict, tmp_path, capsys):
    soundfile.write(tmp_path / "call.wav", make_voice(1), 8000)
    assert main([str(tmp_path / "call.wav"), f"ws://{strict}/live/stream"]) == 1
    assert "the token is missing or wrong" in capsys.readouterr().err
