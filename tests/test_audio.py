import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_voice, write_call
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.audio import content_hash, open_recording, to_mono, write_pcm
from helpers.errors import AudioError
from helpers.features import call_features

CODES = np.arange(256, dtype=np.uint8)
UNFINISHED_SIZES = [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF]


def read(path, **window) -> np.ndarray:
    with open_recording(path) as recording:
        return recording.read(**window)


def hash_of(path) -> str:
    with open_recording(path) as recording:
        return content_hash(recording)


def truth(path) -> np.ndarray:
    """Read the samples with libsndfile, shape (channels, samples)."""
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def bare(path: Path) -> bytes:
    """Take the sample data of a mu-law or A-law WAV that soundfile wrote."""
    content = path.read_bytes()
    return content[content.index(b"data") + 8 :]


def make_streamed(path: Path, size: int) -> Path:
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[4:8] = content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


# Encodings


@pytest.mark.parametrize(
    ("format_", "subtype"),
    [
        *(("WAV", name) for name in ("ULAW", "ALAW", "GSM610", "IMA_ADPCM", "MS_ADPCM")),
        *(("WAV", name) for name in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
        *(("WAVEX", name) for name in ("ULAW", "ALAW", "PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
        *(("RF64", "PCM_16"), ("W64", "ULAW"), ("AU", "ULAW"), ("AIFF", "ALAW"), ("CAF", "ULAW")),
        *(("FLAC", "PCM_16"), ("FLAC", "PCM_24")),
        *(("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")),
    ],
)
def test_every_encoding_under_a_wav_name_reads_as_libsndfile_reads_it(tmp_path, format_, subtype):
    path = write_call(tmp_path / "a.wav", 2.0, format=format_, subtype=subtype)
    with open_recording(path) as recording:
        signal = recording.read()
        assert (recording.sampling_rate, recording.channels) == (8000, 1)
        assert recording.duration_s == pytest.approx(2.0, abs=0.04)
        assert recording.encoding.startswith(format_)
    assert (signal.dtype, signal.shape) == (np.float32, (1, recording.frames))
    assert np.array_equal(signal, truth(path))


@pytest.mark.parametrize(
    ("subtype", "step"),
    [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23), ("FLOAT", 0), ("DOUBLE", 0)],
)
def test_linear_samples_are_the_ones_that_were_written(tmp_path, subtype, step):
    path = write_call(tmp_path / "a.wav", subtype=subtype)
    assert np.abs(read(path)[0] - make_voice(2.0)).max() <= step


def decode_ulaw(code: int) -> int:
    code = ~code & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -size if code & 0x80 else size


def decode_alaw(code: int) -> int:
    code ^= 0x55
    segment, size = (code & 0x70) >> 4, (code & 0x0F) << 4
    size = size + 0x108 << segment - 1 if segment else size + 8
    return size if code & 0x80 else -size


@pytest.mark.parametrize(("law", "decode"), [("ULAW", decode_ulaw), ("ALAW", decode_alaw)])
@pytest.mark.parametrize("has_header", [True, False])
def test_all_256_codes_of_both_laws_read_as_the_standard_says(tmp_path, law, decode, has_header):
    rising = sorted(CODES.tolist(), key=decode)
    codes = np.array((rising + rising[::-1]) * 20, dtype=np.uint8)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(len(codes)), 8000, subtype=law)
    head = path.read_bytes().removesuffix(bare(path)) if has_header else b""
    path.write_bytes(head + codes.tobytes())
    expected = np.array([decode(code) for code in codes.tolist()]) / 32768
    assert np.array_equal(read(path)[0], expected)


@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
@pytest.mark.parametrize(
    "name", ["a.ulaw.wav", "a.wav", "a.WAV", "a.ulaw", "a.ul", "a.alaw", "a.al", "a.raw", "A.ULAW"]
)
def test_headerless_g711_is_read_with_the_law_it_was_written_in(tmp_path, law, name):
    whole = write_call(tmp_path / "whole.wav", 2.0, subtype=law)
    path = tmp_path / name
    path.write_bytes(bare(whole))
    with open_recording(path) as recording:
        assert (recording.sampling_rate, recording.channels) == (8000, 1)
        assert recording.duration_s == 2.0
        assert recording.encoding.startswith("headerless")
        assert np.array_equal(recording.read(), truth(whole))


@pytest.mark.parametrize("size", UNFINISHED_SIZES)
@pytest.mark.parametrize(
    "format_",
    [
        {"subtype": "ULAW"},
        {"subtype": "ALAW"},
        {"subtype": "PCM_16"},
        {"subtype": "GSM610"},
        {"subtype": "FLOAT"},
        {"subtype": "PCM_16", "format": "WAVEX"},
    ],
    ids=lambda format_: " ".join(format_.values()),
)
def test_a_header_written_before_the_length_was_known_is_read_to_the_end(tmp_path, size, format_):
    whole = write_call(tmp_path / "whole.wav", 2.0, **format_)
    streamed = shutil.copy(whole, tmp_path / "streamed.wav")
    make_streamed(streamed, size)
    with open_recording(streamed) as recording:
        assert recording.duration_s == pytest.approx(2.0, abs=0.04)
        assert np.array_equal(recording.read(), truth(whole))


@pytest.mark.parametrize(
    ("name", "arguments", "encoding"),
    [
        ("a.m4a", (), "ffmpeg aac"),
        ("a.M4A", ("-f", "ipod"), "ffmpeg aac"),
        ("a.wav", ("-f", "ipod"), "ffmpeg aac"),
        ("a.aac", (), "ffmpeg aac"),
        ("a.mp4", ("-metadata:s:a:0", "language=deu"), "ffmpeg aac"),
        ("a.3gp", ("-c:a", "aac"), "ffmpeg aac"),
        ("a.wma", (), "ffmpeg wmav2"),
        ("a.webm", ("-c:a", "libopus", "-ar", "16000"), "ffmpeg opus"),
        ("-i a%d.m4a", (), "ffmpeg aac"),
        ("http:a.m4a", (), "ffmpeg aac"),
    ],
)
def test_what_libsndfile_cannot_read_is_read_with_ffmpeg(
    tmp_path, ffmpeg, name, arguments, encoding
):
    path, plain = tmp_path / name, tmp_path / "plain.wav"
    whole = write_call(tmp_path / "whole.wav", 2.0, sampling_rate=16000)
    ffmpeg("-i", whole, *arguments, f"file:{path}")
    ffmpeg("-i", f"file:{path}", "-c:a", "pcm_s16le", plain)
    with open_recording(path) as recording:
        assert (recording.encoding, recording.channels) == (encoding, 1)
        assert recording.duration_s == pytest.approx(2.0, abs=0.2)
        assert recording.sampling_rate == soundfile.info(plain).samplerate
        assert np.array_equal(recording.read(), truth(plain))


@pytest.mark.parametrize("sampling_rate", [4000, 8000, 11025, 16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_rates_and_channels_are_kept(tmp_path, sampling_rate, channels):
    path = tmp_path / "a.wav"
    sides = [make_voice(1.5, sampling_rate=sampling_rate, seed=seed) for seed in range(channels)]
    soundfile.write(path, np.stack(sides, axis=1), sampling_rate, subtype="PCM_16")
    with open_recording(path) as recording:
        assert (recording.sampling_rate, recording.channels) == (sampling_rate, channels)
        assert recording.duration_s == pytest.approx(1.5, abs=1 / sampling_rate)
        assert np.abs(recording.read() - np.stack(sides)).max() <= 2**-15


@pytest.mark.parametrize(
    "name",
    [
        "A.WAV",
        "a call.wav",
        "a, b; c.wav",
        'it\'s "quoted".wav',
        "new\nline.wav",
        "\u0437\u0432\u043e\u043d\u043e\u043a \u8bdd \U0001f600.wav",
        "\u00e9 e\u0301.wav",
        "-n.wav",
        "100%d.wav",
        os.fsdecode(b"not utf-8 \xff\xe9.wav"),
    ],
)
@pytest.mark.parametrize("subtype", ["ULAW", None], ids=["header", "headerless"])
def test_a_recording_of_any_name_is_read(tmp_path, name, subtype):
    whole = write_call(tmp_path / "whole.wav")
    path = tmp_path / name
    path.write_bytes(whole.read_bytes() if subtype else bare(whole))
    assert np.array_equal(read(path), truth(whole))


def test_a_path_may_be_text(tmp_path):
    path = write_call(tmp_path / "a.wav")
    assert np.array_equal(read(str(path)), truth(path))


def test_every_real_call_is_read(tmp_path, shared_calls):
    shutil.unpack_archive(shared_calls / "satisfied_calls.zip", tmp_path)
    for path in sorted(tmp_path.rglob("*.wav"))[:5]:
        with open_recording(path) as recording:
            assert recording.encoding == "WAV U-Law"
            assert np.array_equal(recording.read(), truth(path))


# Windows


@pytest.mark.parametrize(
    "format_",
    [
        {"subtype": "ULAW"},
        {"subtype": "GSM610"},
        {"subtype": "PCM_24"},
        {"subtype": "PCM_16", "format": "FLAC"},
        {"subtype": "OPUS", "format": "OGG"},
    ],
    ids=lambda format_: " ".join(format_.values()),
)
@pytest.mark.parametrize(
    ("start_s", "duration_s"),
    [
        (0.0, None),
        (0.0, 0.0),
        (0.0, 1.0),
        (0.0, 99.0),
        (0.5, 1.25),
        (0.00006, 0.00006),
        (0.00007, 0.00007),
        (2.0, 1.0),
        (2.5, None),
        (2.9999, 1.0),
        (3.0, 1.0),
        (3.0, None),
        (50.0, 1.0),
    ],
)
def test_a_window_is_a_slice_of_the_whole(tmp_path, format_, start_s, duration_s):
    path = write_call(tmp_path / "a.wav", 3.0, **format_)
    whole = read(path)
    start = round(start_s * 8000)
    stop = None if duration_s is None else start + round(duration_s * 8000)
    assert np.array_equal(read(path, start_s=start_s, duration_s=duration_s), whole[:, start:stop])


def test_windows_may_be_read_in_any_order(tmp_path):
    path = write_call(tmp_path / "a.wav", 3.0, subtype="GSM610")
    with open_recording(path) as recording:
        end = recording.read(start_s=2.0)
        start = recording.read(duration_s=2.0)
        whole = recording.read()
    assert np.array_equal(np.concatenate([start, end], axis=1), whole)


@pytest.mark.parametrize("duration_s", [1.0, 10.0, 10.000125, 23.5])
def test_blocks_put_together_are_the_whole(tmp_path, duration_s):
    path = write_call(tmp_path / "a.wav", duration_s)
    with open_recording(path) as recording:
        blocks = list(recording.pcm_blocks())
        assert {(block.dtype, block.ndim) for block in blocks} == {(np.dtype("<i2"), 2)}
        assert np.array_equal(np.concatenate(blocks).T / 32768, recording.read())


def test_channels_are_mixed_by_their_mean():
    signal = np.array([[0.5, -1.0, 0.0], [0.25, 1.0, 0.0]], dtype=np.float32)
    mono = to_mono(signal)
    assert (mono.dtype, mono.tolist()) == (np.float32, [0.375, 0.0, 0.0])


# Content


def test_the_same_sound_has_the_same_hash_whatever_it_is_wrapped_in(tmp_path):
    whole = write_call(tmp_path / "whole.wav", 2.0)
    twins = [shutil.copy(whole, tmp_path / f"{size}.wav") for size in UNFINISHED_SIZES]
    twins = [make_streamed(path, size) for path, size in zip(twins, UNFINISHED_SIZES, strict=True)]
    for name in ("a.ulaw.wav", "a.ulaw"):
        twins.append(tmp_path / name)
        twins[-1].write_bytes(bare(whole))
    for format_, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16")):
        twins.append(tmp_path / f"{format_} {subtype}.wav")
        soundfile.write(twins[-1], truth(whole).T, 8000, format=format_, subtype=subtype)
    twins.append(tmp_path / "converted.wav")
    with open_recording(whole) as recording:
        assert write_pcm(recording, twins[-1]) == hash_of(whole)
    assert {hash_of(path) for path in twins} == {hash_of(whole)}


def test_other_sound_rate_or_channels_have_another_hash(tmp_path):
    signal = np.rint(make_voice(2.0) * 32768).astype(np.int16)
    changed, stereo = signal.copy(), np.stack([signal, signal], axis=1)
    changed[7] += 1
    calls = [
        *((signal, 8000), (changed, 8000), (signal[:-1], 8000), (signal, 16000)),
        *((stereo, 8000), (stereo.reshape(-1), 8000)),
    ]
    hashes = set()
    for number, (samples, sampling_rate) in enumerate(calls):
        soundfile.write(tmp_path / f"{number}.wav", samples, sampling_rate, subtype="PCM_16")
        hashes.add(hash_of(tmp_path / f"{number}.wav"))
    assert len(hashes) == len(calls)


def test_a_converted_recording_is_16_bit_pcm_at_its_own_rate(tmp_path):
    source, target = tmp_path / "source.wav", tmp_path / "target.part"
    signal = np.stack([make_voice(1.5, sampling_rate=11025, seed=seed) for seed in (0, 1)], axis=1)
    soundfile.write(source, signal, 11025, subtype="PCM_24")
    with open_recording(source) as recording:
        write_pcm(recording, target)
    info = soundfile.info(target)
    assert (info.format, info.subtype, info.samplerate, info.channels) == (
        "WAV",
        "PCM_16",
        11025,
        2,
    )
    assert np.abs(truth(target) - truth(source)).max() <= 2**-15


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, 0),
        (0.5, 16384),
        (32767 / 32768, 32767),
        (1.0, 32767),
        (1.5, 32767),
        (1e30, 32767),
        (-1.0, -32768),
        (-1.00002, -32768),
        (-1e30, -32768),
    ],
)
def test_sound_beyond_full_scale_is_clipped_and_never_wrapped(tmp_path, subtype, value, expected):
    signal = make_voice(1.0)
    signal[100] = value
    source, target = tmp_path / "source.wav", tmp_path / "target.wav"
    soundfile.write(source, signal, 8000, subtype=subtype)
    with open_recording(source) as recording:
        write_pcm(recording, target)
        assert -1 <= recording.read().min() <= recording.read().max() <= 1
    assert soundfile.read(target, dtype="int16")[0][100] == expected


# What is no recording


def jpeg(path):
    path.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0" + np.random.default_rng(0).bytes(30_000))


def shortened(path, keep: float, **format_):
    write_call(path, 3.0, **format_)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def with_value(path, value: float):
    signal = make_voice(2.0)
    signal[9000] = value
    soundfile.write(path, signal, 8000, subtype="FLOAT")


def samples(path, signal, sampling_rate=8000, subtype="PCM_16"):
    soundfile.write(path, signal, sampling_rate, subtype=subtype)


NOT_RECORDINGS = {
    "missing": (lambda path: None, "^no such file$"),
    "a folder": (lambda path: path.mkdir(), "^no such file$"),
    "a link to nothing": (lambda path: path.symlink_to("gone.wav"), "^no such file$"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "^no such file$"),
    "empty": (lambda path: path.touch(), r"^empty file \(0 bytes\)$"),
    "one byte": (lambda path: path.write_bytes(b"\xff"), "^not a recording, or damaged"),
    "header only": (lambda path: shortened(path, 0.002), "^not a recording, or damaged"),
    "header without data": (lambda path: samples(path, []), "^a header without any sound$"),
    "unfinished header without data": (
        lambda path: (samples(path, []), make_streamed(path, 0xFFFFFFFF)),
        "^a header without any sound$",
    ),
    "cut off": (
        lambda path: shortened(path, 0.5),
        r"^cut off: the header promises 3\.0 s, the last 1\.5 s are missing; fetch the recording",
    ),
    "cut off GSM": (
        lambda path: shortened(path, 0.5, subtype="GSM610"),
        r"^cut off: the header promises 3\.0 s, the last 1\.5 s are missing",
    ),
    "cut off FLAC": (
        lambda path: shortened(path, 0.5, format="FLAC", subtype="PCM_16"),
        "^(damaged: .*flac|cut off: the header promises 3.0 s)",
    ),
    "cut off MP3": (
        lambda path: shortened(path, 0.5, format="MP3", subtype="MPEG_LAYER_III"),
        "^cut off: the header promises 3.0 s",
    ),
    "silent": (lambda path: samples(path, np.zeros(16000)), "^silent: nothing is heard"),
    "silent mu-law": (
        lambda path: samples(path, np.zeros(16000), subtype="ULAW"),
        "^silent: nothing is heard",
    ),
    "silent beside rest": (
        lambda path: samples(path, np.full(16000, 0.3)),
        "^silent: nothing is heard",
    ),
    "silent on both sides": (
        lambda path: samples(path, np.zeros((16000, 2))),
        "^silent: nothing is heard",
    ),
    "too short": (
        lambda path: write_call(path, 0.98),
        r"^too short: 0\.98 s; a call has at least 1 s$",
    ),
    "one sample": (lambda path: samples(path, [0.5]), r"^too short: 0\.00 s"),
    "text": (lambda path: path.write_text("The recording is on the server.\n" * 3), "^text, not"),
    "long text": (
        lambda path: path.write_text("\u0417\u0432\u043e\u043d\u043e\u043a! " * 900),
        "^text, not sound$",
    ),
    "random bytes": (
        lambda path: path.write_bytes(np.random.default_rng(1).bytes(40_000)),
        "^not a recording, or damaged: neither libsndfile nor ffmpeg can read it$",
    ),
    "bare 16-bit samples": (
        lambda path: path.write_bytes((make_voice(2.0) * 32767).astype("<i2").tobytes()),
        "^not a recording, or damaged",
    ),
    "picture": (jpeg, "^not a recording, or damaged"),
    "not a number": (lambda path: with_value(path, np.nan), "^damaged: some samples are not num"),
    "infinite": (lambda path: with_value(path, -np.inf), "^damaged: some samples are not numbers$"),
    "six channels": (
        lambda path: samples(path, np.stack([make_voice(1.0)] * 6, axis=1)),
        "^6 channels; a call has 1 or 2$",
    ),
    "1 kHz": (
        lambda path: samples(path, make_voice(2.0), 1000),
        "^sampling rate 1000 Hz is not between 4000 and 192000$",
    ),
    "1 MHz": (
        lambda path: samples(path, make_voice(2.0), 1_000_000),
        "^sampling rate 1000000 Hz is not between 4000 and 192000$",
    ),
}


@pytest.mark.parametrize("case", NOT_RECORDINGS)
def test_what_is_no_recording_says_why(tmp_path, ffmpeg, case):
    ffmpeg("-version")
    spoil, reason = NOT_RECORDINGS[case]
    path, target = tmp_path / "a.wav", tmp_path / "target.wav"
    spoil(path)
    with pytest.raises(AudioError, match=reason), open_recording(path) as recording:
        content_hash(recording)
    with pytest.raises(AudioError, match=reason), open_recording(path) as recording:
        write_pcm(recording, target)
    with pytest.raises(AudioError, match=reason):
        call_features(path)


@pytest.mark.parametrize("missing_bytes", [1, 3999])
def test_a_recording_cut_off_by_less_than_half_a_second_is_used(tmp_path, missing_bytes):
    path = write_call(tmp_path / "a.wav", 2.0)
    path.write_bytes(path.read_bytes()[:-missing_bytes])
    assert read(path).shape[1] == 16000 - missing_bytes
    assert len(hash_of(path)) == 64


@pytest.mark.parametrize("arguments", [(), ("-movflags", "+faststart")])
@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_a_cut_off_m4a_is_damaged(tmp_path, ffmpeg, arguments, keep):
    path = tmp_path / "a.m4a"
    ffmpeg("-i", write_call(tmp_path / "whole.wav", 3.0), *arguments, path)
    content = path.read_bytes()
    assert read(path).shape[1] >= 3 * 8000
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(AudioError, match=r"^not a recording, or damaged"):
        read(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.0,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.ts\n",
    ],
    ids=["HLS", "ffconcat"],
)
@pytest.mark.parametrize("tail", ["", "#\x01\x02\n"], ids=["text", "not quite text"])
@pytest.mark.parametrize("name", ["a.m4a", "a.wav"])
def test_a_playlist_cannot_make_ffmpeg_read_another_file(tmp_path, ffmpeg, playlist, tail, name):
    ffmpeg("-i", write_call(tmp_path / "whole.wav"), "-c:a", "aac", tmp_path / "secret.ts")
    path = tmp_path / name
    path.write_text(playlist + tail)
    ffmpeg("-i", path, tmp_path / "stolen.wav")  # left to itself, ffmpeg would
    with pytest.raises(AudioError, match=r"^(text, not sound|not a recording, or damaged.*)$"):
        read(path)


@pytest.mark.parametrize("name", ["a.m4a", "a.wav"])
def test_where_ffmpeg_is_missing_the_reason_says_what_to_install(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\x18ftypM4A " + np.random.default_rng(0).bytes(20_000))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioError, match=r"install ffmpeg \(Debian, Ubuntu: apt-get install ffm"):
        read(path)


def test_without_ffmpeg_everything_but_its_own_formats_is_read(tmp_path, monkeypatch):
    path = write_call(tmp_path / "a.wav", format="MP3", subtype="MPEG_LAYER_III")
    monkeypatch.setenv("PATH", "")
    assert read(path).shape[1] >= 2 * 8000


def test_ffmpeg_alone_is_enough(tmp_path, ffmpeg, monkeypatch):
    ffmpeg("-i", write_call(tmp_path / "whole.wav"), tmp_path / "a.m4a")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(shutil.which("ffmpeg"))
    monkeypatch.setenv("PATH", str(programs))
    assert read(tmp_path / "a.m4a").shape[1] >= 2 * 8000


FORMATS = [
    ("WAV", "ULAW"),
    ("WAV", "GSM610"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_16"),
    ("AU", "ALAW"),
]
FORMATS += [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("CAF", "PCM_24")]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3),
    st.floats(0, 1),
)
def test_a_damaged_recording_is_read_or_says_so_and_nothing_else_happens(
    tmp_path_factory, format_, in_body, in_head, keep
):
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    write_call(path, 1.5, format=format_[0], subtype=format_[1])
    content = bytearray(path.read_bytes())
    places = [(int(place * len(content)), value) for place, value in in_body] + in_head
    for place, value in places:
        content[place] = value
    path.write_bytes(content[: max(int(keep * len(content)), len(content) // 2)])
    try:
        assert len(hash_of(path)) == 64
    except AudioError as error:
        assert str(error)


# Memory

MEASURE = """
import sys
from pathlib import Path

from helpers.audio import content_hash, open_recording
from helpers.features import PHONE, call_features

for path in sys.argv[1:]:
    assert call_features(path).shape == (2, len(PHONE.names))
    with open_recording(path) as recording:
        content_hash(recording)
    print(next(line for line in Path("/proc/self/status").read_text().splitlines()
               if line.startswith("VmHWM:")).split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peak memory is in /proc")
def test_an_hour_needs_no_more_memory_than_two_minutes(tmp_path):
    block = write_call(tmp_path / "block.wav", 60.0)
    codes = soundfile.read(block, dtype="float32")[0]
    calls = {2: tmp_path / "short.wav", 60: tmp_path / "long.wav"}
    for minutes, path in calls.items():
        with soundfile.SoundFile(path, "w", 8000, 1, subtype="ULAW") as file:
            for _ in range(minutes):
                file.write(codes)
    assert calls[60].stat().st_size > 28_800_000
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, calls.values())],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    short_kib, long_kib = map(int, run.stdout.split())
    assert (long_kib - short_kib) / 1024 < 50


@pytest.mark.parametrize("subtype", ["ULAW", "PCM_16"])
def test_a_wav_file_named_raw_is_read_by_its_header(tmp_path, subtype):
    path = write_call(tmp_path / "call.raw", subtype=subtype)
    truth, _ = soundfile.read(write_call(tmp_path / "call.wav", subtype=subtype), dtype="float32")
    with open_recording(path) as recording:
        np.testing.assert_array_equal(recording.read()[0], truth)
