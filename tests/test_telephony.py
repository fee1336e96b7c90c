import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
import soundfile
from conftest import make_voice, write_call
from hypothesis import given
from hypothesis import strategies as st

from helpers.telephony import find_wave_data, recognise_g711, repair_header

FORMAT_CHUNK = b"fmt " + struct.pack("<IHHIIHH", 16, 7, 1, 8000, 8000, 1, 8)
CHUNKS = st.lists(
    st.tuples(st.sampled_from([b"fmt ", b"fact", b"LIST", b"data", b"\0\0\0\0"]), st.binary())
)


def bare_bytes(subtype: str, duration_s: float = 2.0, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    signal = make_voice(duration_s, seed=seed)
    soundfile.write(buffer, signal, 8000, format="RAW", subtype=subtype)
    return buffer.getvalue()


def wave_bytes(*chunks: tuple[bytes, bytes]) -> bytes:
    content = b"".join(
        name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for name, body in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WAVE" + content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"R",
        b"RIFF",
        b"RIFF\0\0\0\0WAV",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0AVI data\0\0\0\0",
        b"RIFX\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVEdata\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff",
        wave_bytes((b"fmt ", b"\x07\0")),
        bytes(range(256)),
    ],
)
def test_a_file_without_wave_data_has_none(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert find_wave_data(path) is None


@given(st.binary() | st.binary().map(lambda tail: b"RIFF\0\0\0\0WAVE" + tail))
def test_arbitrary_bytes_never_crash_the_search(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "arbitrary.wav"
    path.write_bytes(content)
    data = find_wave_data(path)
    if data is not None:
        assert content[data.offset - 8 : data.offset - 4] == b"data"
        assert data.present_bytes == len(content) - data.offset >= 0
        assert data.missing_s >= 0


@given(CHUNKS, st.binary())
def test_other_chunks_before_the_data_are_stepped_over(tmp_path_factory, chunks, samples):
    before = [chunk for chunk in chunks if chunk[0] != b"data"]
    path = tmp_path_factory.getbasetemp() / "chunks.wav"
    path.write_bytes(wave_bytes(*before, (b"data", samples)))
    data = find_wave_data(path)
    assert path.read_bytes()[data.offset :][: data.declared_bytes] == samples


@pytest.mark.parametrize("format_", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("subtype", "sample_bytes"),
    [("ULAW", 1), ("ALAW", 1), ("PCM_U8", 1), ("PCM_16", 2), ("PCM_24", 3), ("FLOAT", 4)],
)
def test_the_data_that_libsndfile_wrote_is_found(
    tmp_path, format_, channels, subtype, sample_bytes
):
    path = tmp_path / "a.wav"
    signal = np.stack([make_voice(1.0, seed=seed) for seed in range(channels)], axis=1)
    soundfile.write(path, signal, 8000, format=format_, subtype=subtype)
    data = find_wave_data(path)
    assert data.declared_bytes == data.present_bytes == 8000 * channels * sample_bytes
    assert data.bytes_per_second == 8000 * channels * sample_bytes
    assert (data.is_streamed, data.missing_s) == (False, 0.0)
    bare = io.BytesIO(path.read_bytes()[data.offset :])
    options = {"format": "RAW", "subtype": subtype, "samplerate": 8000, "channels": channels}
    samples, _ = soundfile.read(bare, **options, always_2d=True)
    assert np.array_equal(samples, soundfile.read(path, always_2d=True)[0])


@pytest.mark.parametrize(
    ("declared", "present", "is_streamed", "missing_s"),
    [
        (0, 0, False, 0.0),
        (0, 16000, True, 0.0),
        (16000, 16000, False, 0.0),
        (15999, 16000, False, 0.0),
        (16000, 15999, False, 1 / 8000),
        (16000, 0, False, 2.0),
        (80000, 16000, False, 8.0),
        (0x7FFFEFFF, 16000, False, (0x7FFFEFFF - 16000) / 8000),
        (0x7FFFF000, 16000, True, 0.0),
        (0xFFFFFFFF, 16000, True, 0.0),
        (0xFFFFFFFF, 0, True, 0.0),
    ],
)
def test_a_header_is_unfinished_or_promises_too_much(
    tmp_path, declared, present, is_streamed, missing_s
):
    path = tmp_path / "a.wav"
    head = b"RIFF\0\0\0\0WAVE" + FORMAT_CHUNK + b"data" + struct.pack("<I", declared)
    path.write_bytes(head + bytes(present))
    data = find_wave_data(path)
    assert data.is_streamed == is_streamed
    assert data.missing_s == pytest.approx(missing_s)


def test_a_rate_of_zero_promises_nothing(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wave_bytes((b"fmt ", bytes(16)), (b"data", b""))[:-4] + b"\xff\0\0\0")
    assert find_wave_data(path).missing_s == 0.0


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_repaired_header_is_seen_by_the_reader_and_not_written(tmp_path, size):
    path = write_call(tmp_path / "a.wav")
    whole = path.read_bytes()
    offset = find_wave_data(path).offset
    streamed = bytearray(whole)
    streamed[4:8] = streamed[offset - 4 : offset] = struct.pack("<I", size)
    path.write_bytes(streamed)
    with repair_header(path, find_wave_data(path)) as file:
        assert file.read() == whole
        assert (file.seek(2), file.read(4)) == (2, whole[2:6])
        assert (file.seek(-5, io.SEEK_END), file.read(9)) == (len(whole) - 5, whole[-5:])
    assert path.read_bytes() == streamed


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_S8", "PCM_24", "GSM610", "VOX_ADPCM"])
@pytest.mark.parametrize("seed", range(3))
def test_bare_bytes_of_a_voice_in_another_encoding_are_not_recognised(tmp_path, subtype, seed):
    path = tmp_path / "a.wav"
    path.write_bytes(bare_bytes(subtype, seed=seed))
    assert recognise_g711(path) is None


@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
@pytest.mark.parametrize("seed", range(8))
def test_bare_bytes_of_a_voice_are_recognised_with_their_law(tmp_path, law, seed):
    path = tmp_path / "a.wav"
    path.write_bytes(bare_bytes(law, seed=seed))
    assert recognise_g711(path) == law


def test_bare_bytes_of_every_real_call_are_recognised(tmp_path, shared_calls):
    path, unrecognised = tmp_path / "a.ulaw", []
    for archive in sorted(shared_calls.glob("*.zip")):
        with zipfile.ZipFile(archive) as calls:
            for name in calls.namelist()[:12]:
                if name.endswith(".wav"):
                    signal, _ = soundfile.read(io.BytesIO(calls.read(name)), frames=160_000)
                    mono = signal.reshape(len(signal), -1).mean(axis=1)
                    soundfile.write(path, mono, 8000, format="RAW", subtype="ULAW")
                    unrecognised += [name] if recognise_g711(path) != "ULAW" else []
    assert unrecognised == []


RANDOM = np.random.default_rng(0)
WORDS = "The customer called about a bill, was told to wait, and hung up after 12 minutes. "
RUSSIAN = "\u041a\u043b\u0438\u0435\u043d\u0442 \u043f\u043e\u0437\u0432\u043e\u043d\u0438\u043b. "
CHINESE = "\u5ba2\u6237\u6253\u6765\u7535\u8bdd\u3002"
VOICE = np.clip(np.rint(make_voice(2.0) * 32768), -32768, 32767)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"\xff" * 16000,
        bytes(16000),
        b"\xd5" * 16000,
        b"\x7f\xff" * 8000,
        WORDS.encode() * 200,
        RUSSIAN.encode() * 500,
        CHINESE.encode() * 500,
        b"\n".join(b"call_%04d.wav,satisfied,2024-06-%02d" % (n, n % 30) for n in range(400)),
        RANDOM.bytes(40_000),
        b"\xff\xd8\xff\xe0\0\x10JFIF\0" + RANDOM.bytes(40_000),
        gzip.compress(WORDS.encode() * 10 + RANDOM.bytes(20_000)),
        VOICE.astype("<i2").tobytes(),
        VOICE.astype(">i2").tobytes(),
        VOICE.astype("<i4").tobytes(),
        (VOICE / 32768).astype("<f4").tobytes(),
    ],
    ids=[
        *("empty", "one byte", "mu-law rest", "mu-law minimum", "A-law rest", "two zeros"),
        *("English", "Russian", "Chinese", "CSV", "random", "JPEG", "gzip"),
        *("PCM 16", "PCM 16 big endian", "PCM 32", "float"),
    ],
)
def test_what_is_no_g711_sound_is_not_taken_for_it(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert recognise_g711(path) is None
