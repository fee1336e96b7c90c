import base64
import contextlib
import io
import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.live.lag import Lag
from apps.live.messages import (
    LONGEST_MESSAGE,
    LONGEST_NAME,
    Media,
    MessageError,
    Start,
    Stop,
    clean_name,
    decode_mu_law,
    encode_mu_law,
    read_message,
)
from apps.live.track import GAP, IN_ORDER, LATE, LEAP, Joint, Stretch, Track

SOUND = base64.b64encode(bytes(range(160))).decode()


def media(**changes) -> dict:
    told = {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": SOUND, **changes}
    return {"event": "media", "sequenceNumber": "3", "media": told, "streamSid": "MZ1"}


def start(*, parameters: object = None, **changes) -> dict:
    told = {
        "accountSid": "AC1",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
        **changes,
    }
    return {"event": "start", "sequenceNumber": "1", "start": told, "streamSid": "MZ1"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, None),
        ({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "1"}}, None),
        ({"event": "mark", "mark": {"name": "greeting"}}, None),
        ({"event": "stop", "stop": {"callSid": "CA1"}}, Stop()),
        ({"event": "stop"}, Stop()),
        (start(), Start("MZ1", "CA1", "", "inbound", "", False, ())),
        (start(callSid=None), Start("MZ1", "MZ1", "", "inbound", "", False, ())),
        (start(tracks=None), Start("MZ1", "CA1", "", "inbound", "", False, ())),
        (
            start(parameters={"agent": " Ana\n", "customer": "outbound", "answers": "yes"}),
            Start("MZ1", "CA1", "Ana", "outbound", "", True, ()),
        ),
        (
            start(parameters={"agent": 7, "token": "a b", "answers": True, "more": []}),
            Start("MZ1", "CA1", "", "inbound", "a b", False, ()),
        ),
    ],
)
def test_a_message_says_what_twilio_documents(message, expected):
    assert read_message(json.dumps(message)) == expected


@pytest.mark.parametrize(
    ("track", "timestamp", "at_s"),
    [("inbound", "0", 0.0), ("outbound", "20", 0.02), ("inbound", 86_400_000, 86_400.0)],
)
def test_a_piece_of_sound_has_a_track_and_a_time(track, timestamp, at_s):
    message = read_message(json.dumps(media(track=track, timestamp=timestamp)))
    assert isinstance(message, Media)
    assert (message.track, message.at_s) == (track, at_s)
    assert message.content == bytes(range(160))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x00\x01", "bytes"),
        ("", "no JSON"),
        ("hello", "no JSON"),
        ('{"event": "media"', "no JSON"),
        ("[" * 50_000, "no JSON"),
        ("1" * 10_000, "no JSON"),
        (" " * (LONGEST_MESSAGE + 1), "too long"),
        ("NaN", "unknown event"),
        ("[]", "unknown event"),
        ('"media"', "unknown event"),
        ("{}", "unknown event"),
        ({"event": "Media"}, "unknown event"),
        ({"event": ["media"]}, "unknown event"),
        ({"event": {}}, "unknown event"),
        ({"event": "media"}, "no media"),
        ({"event": "media", "media": []}, "no media"),
        ({"event": "start", "start": "now"}, "no start"),
        ({"event": "start", "start": {}}, "no streamSid"),
        ({"event": "start", "start": {"streamSid": ["MZ1"]}}, "no streamSid"),
        (media(track="sideways"), "unknown track"),
        (media(track=["inbound"]), "unknown track"),
        (media(track=None), "unknown track"),
        (media(payload=None), "no sound"),
        (media(payload=5), "no sound"),
        (media(payload="not base64!"), "no base64"),
        (media(payload="AAA"), "no base64"),
        (media(payload="é" * 8), "no base64"),
        (media(payload="A" * 20_000), "too long"),
        (media(timestamp=None), "bad timestamp"),
        (media(timestamp="soon"), "bad timestamp"),
        (media(timestamp=True), "bad timestamp"),
        (media(timestamp=1.5), "bad timestamp"),
        (media(timestamp=[]), "bad timestamp"),
        (media(timestamp="-20"), "bad timestamp"),
        (media(timestamp="1_0"), "bad timestamp"),
        (media(timestamp=" 5 "), "bad timestamp"),
        (media(timestamp="\u0665"), "bad timestamp"),
        (media(timestamp="86400001"), "bad timestamp"),
        (media(timestamp="9" * 400), "bad timestamp"),
        (media(timestamp="9" * 5000), "bad timestamp"),
        (media(timestamp=float("nan")), "bad timestamp"),
    ],
)
def test_a_message_that_cannot_be_used_is_told_in_plain_words(content, kind):
    content = json.dumps(content) if isinstance(content, dict) else content
    with pytest.raises(MessageError, match=r"^[A-Z].+\.$") as caught:
        read_message(content)
    assert caught.value.kind == kind
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("message", "kinds", "is_heard"),
    [
        (start(parameters={"customer": "caller"}), ["customer"], True),
        (start(parameters={"customer": ["inbound"]}), ["customer"], True),
        (start(tracks=["outbound"]), ["tracks"], True),
        (start(tracks=["inbound"], parameters={"customer": "outbound"}), ["tracks"], True),
        (start(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": "8000"}), [], True),
        (start(mediaFormat={"encoding": "audio/x-l16"}), ["sound format"], False),
        (start(mediaFormat={"sampleRate": 16000}), ["sound format"], False),
        (start(mediaFormat={"channels": 2}), ["sound format"], False),
        (start(mediaFormat={"channels": True}), ["sound format"], False),
        (start(mediaFormat="mulaw", tracks=[]), ["tracks", "sound format"], False),
    ],
)
def test_a_wrong_announcement_is_a_call_with_a_problem(message, kinds, is_heard):
    told = read_message(json.dumps(message))
    assert [problem.kind for problem in told.problems] == kinds
    assert told.is_heard == is_heard


@pytest.mark.parametrize("place", ["%s", '{"encoding": %s}', '{"more": %s}'])
def test_lists_of_any_depth_end_no_call(place):
    before, after = json.dumps(start(mediaFormat="here")).split('"here"')
    for depth in range(700, 1000):
        announced = place % ("[" * depth + "]" * depth)
        with contextlib.suppress(MessageError):
            read_message(before + announced + after)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (5, ""),
        ("  Ana  María ", "Ana María"),
        ("Ana\x00\n\u202eevil\ud800", "Ana evil"),
        ("x" * 1000, "x" * LONGEST_NAME),
        ("<script>", "<script>"),
    ],
)
def test_a_name_can_be_shown_whatever_came(value, expected):
    assert clean_name(value) == expected


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def changed(message: dict, part: str) -> st.SearchStrategy:
    """Make messages in which anything stands in the place of some things."""
    inner = st.dictionaries(st.sampled_from(sorted(message[part])), ANY_JSON)
    return inner.map(lambda changes: {**message, part: {**message[part], **changes}})


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.binary(),
        ANY_JSON.map(json.dumps),
        changed(media(), "media").map(json.dumps),
        changed(start(), "start").map(json.dumps),
        st.dictionaries(st.sampled_from(["agent", "customer", "token", "answers"]), ANY_JSON).map(
            lambda parameters: json.dumps(start(parameters=parameters))
        ),
    )
)
def test_anything_is_a_message_or_a_problem(content):
    try:
        message = read_message(content)
    except MessageError as error:
        assert str(error).isprintable()
    else:
        assert message is None or isinstance(message, Start | Media | Stop)


def test_all_256_codes_of_mu_law_are_those_of_soundfile():
    codes = bytes(range(256))
    expected, _ = soundfile.read(
        io.BytesIO(codes), format="RAW", subtype="ULAW", samplerate=8000, channels=1
    )
    assert np.array_equal(decode_mu_law(codes), expected.astype(np.float32))
    there_and_back = decode_mu_law(encode_mu_law(decode_mu_law(codes)))
    assert np.array_equal(there_and_back, decode_mu_law(codes))


def test_what_is_too_loud_is_clipped_and_never_wrapped():
    there_and_back = decode_mu_law(encode_mu_law(np.array([-9.0, -1.0, 0.0, 1.0, 9.0])))
    assert np.allclose(there_and_back, [-1, -1, 0, 1, 1], atol=0.03)


def test_a_repeated_tiny_piece_does_not_follow_itself():
    track = Track()
    track.place(0.0, 160)
    assert [track.place(80_000.0, 3)[1] for _ in range(3)] == [LEAP] * 3


@pytest.mark.parametrize(
    ("times_ms", "expected"),
    [
        ([0, 20, 40], [(0, IN_ORDER), (20, IN_ORDER), (40, IN_ORDER)]),
        ([57, 77, 97], [(57, IN_ORDER), (77, IN_ORDER), (97, IN_ORDER)]),
        ([0, 21, 39, 60], [(0, IN_ORDER), (20, IN_ORDER), (40, IN_ORDER), (60, IN_ORDER)]),
        ([0, 40, 20, 60], [(0, IN_ORDER), (40, GAP), (20, LATE), (60, IN_ORDER)]),
        ([0, 20, 20, 40], [(0, IN_ORDER), (20, IN_ORDER), (20, LATE), (40, IN_ORDER)]),
        ([0, 900, 920], [(0, IN_ORDER), (900, GAP), (920, IN_ORDER)]),
        ([0, 80_000, 20, 40], [(0, IN_ORDER), (80_000, LEAP), (20, IN_ORDER), (40, IN_ORDER)]),
        ([0, 80_000, 80_021], [(0, IN_ORDER), (80_000, LEAP), (80_020, IN_ORDER)]),
        ([80_000, 0, 19], [(80_000, LEAP), (0, IN_ORDER), (20, IN_ORDER)]),
    ],
)
def test_pieces_are_joined_where_they_are_neighbours(times_ms, expected):
    track = Track()
    placed = [track.place(time_ms / 1000, 160) for time_ms in times_ms]
    assert [(round(1000 * at_s), order) for at_s, order in placed] == expected


def test_neighbouring_pieces_are_joined_until_there_is_something_to_judge():
    joint, joined = Joint(), []
    for number in range(60):
        joined += joint.add(number * 0.02, bytes([number]) * 160)
    ends_s = [stretch.at_s + len(stretch.content) / 8000 for stretch in joined]
    assert ends_s == pytest.approx([0.46, 0.7, 0.96, 1.2])
    heard = b"".join(stretch.content for stretch in joined)
    assert heard == b"".join(bytes([number]) * 160 for number in range(60))


def test_pieces_that_are_no_neighbours_are_kept_apart_and_in_order():
    joint = Joint()
    assert joint.add(0.0, b"a" * 160) == []
    assert joint.add(0.06, b"b" * 160) == [Stretch(0.0, b"a" * 160)]
    assert joint.add(0.02, b"c" * 160) == [Stretch(0.06, b"b" * 160)]
    assert joint.add(0.9, b"d" * 160) == [Stretch(0.02, b"c" * 160), Stretch(0.9, b"d" * 160)]


def test_moods_are_late_until_they_have_caught_up():
    lag = Lag()
    delays_s = [3.0, 2.0, 6.9, 7.1, 9.0, 3.1, 2.9, 2.1, 6.0, 8.0]
    changes = [lag.follow(100.0 + delay_s, 100.0) for delay_s in delays_s]
    assert [delay_s for delay_s, new in zip(delays_s, changes, strict=True) if new] == [
        *(7.1, 2.9, 8.0),
    ]
    assert lag.is_long
