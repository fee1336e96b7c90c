"""What telephone systems write and audio libraries refuse: unfinished headers, bare G.711 bytes."""

import io
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

SAMPLING_RATE = 8000
"""Rate in Hz of G.711 sound that has no header to say so."""

UNKNOWN_SIZE = 0x7FFFF000
"""From this data size in bytes on, a WAV header means "I do not know yet"."""

PROBE_BYTES = 2_000_000
"""How much of a headerless file is looked at before it is believed to be sound."""

MIN_SMOOTHNESS = 0.4
"""Least correlation of neighbouring samples that still passes for a voice on the line."""

MAX_OFFSET = 0.1
"""Most constant offset, against the level, that a telephone line carries."""


class WaveData(NamedTuple):
    """Where a WAV file's samples are, and how many bytes of them."""

    offset: int
    declared_bytes: int
    present_bytes: int
    bytes_per_second: int

    @property
    def is_streamed(self) -> bool:
        """Whether the header was written before the length was known, and never corrected."""
        unfinished = self.declared_bytes == 0 and self.present_bytes > 0
        return unfinished or self.declared_bytes >= UNKNOWN_SIZE

    @property
    def missing_s(self) -> float:
        """Seconds that the header promises and the file does not hold."""
        missing = self.declared_bytes - self.present_bytes
        if self.is_streamed or missing <= 0 or not self.bytes_per_second:
            return 0.0
        return missing / self.bytes_per_second


def find_wave_data(path: Path) -> WaveData | None:
    """Find the sample data of a RIFF WAVE file.

    Returns:
        its place and size, or `None` where the file is no RIFF WAVE or has no data chunk
    """
    size = path.stat().st_size
    bytes_per_second = 0
    with path.open("rb") as file:
        riff, _, wave = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
        if (riff, wave) != (b"RIFF", b"WAVE"):
            return None
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            if name == b"data":
                offset = file.tell()
                return WaveData(offset, length, size - offset, bytes_per_second)
            body = file.tell()
            if name == b"fmt " and length >= 12:
                bytes_per_second = struct.unpack("<8xI", file.read(12).ljust(12, b"\0"))[0]
            file.seek(body + length + length % 2)
    return None


def repair_header(path: Path, data: WaveData) -> io.BufferedReader:
    """Open a WAV file whose header lacks its sizes as if it had them.

    Args:
        path: a file for which `find_wave_data` gave `data`
        data: the place of its samples

    Returns:
        readable file; the file on disk stays as it is
    """
    with path.open("rb") as file:
        header = bytearray(file.read(data.offset))
    size = min(data.present_bytes, 0xFFFFFFFF - data.offset)
    header[4:8] = struct.pack("<I", data.offset - 8 + size)
    header[-4:] = struct.pack("<I", size)
    return io.BufferedReader(_Overlay(path, bytes(header)))


def recognise_g711(path: Path) -> str | None:
    """Tell whether a file without any header holds 8 kHz mu-law or A-law sound.

    Both laws are tried on the content; the one under which neighbouring samples belong together
    wins. Text has all its bytes in one half of the codes, compressed or encrypted bytes have no
    correlation, linear PCM has it only at every other byte: none of them passes.

    Returns:
        `"ULAW"`, `"ALAW"`, or `None` where the bytes are no such sound
    """
    with path.open("rb") as file:
        content = file.read(PROBE_BYTES)
    smoothness = {law: _smoothness(content, law) for law in ("ULAW", "ALAW")}
    law = max(smoothness, key=smoothness.__getitem__)
    return law if smoothness[law] >= MIN_SMOOTHNESS else None


def _smoothness(content: bytes, law: str) -> float:
    signal, _ = soundfile.read(
        io.BytesIO(content),
        dtype="float64",
        format="RAW",
        subtype=law,
        samplerate=SAMPLING_RATE,
        channels=1,
    )
    level = signal.std() if signal.size else 0.0
    if level == 0 or abs(signal.mean()) > MAX_OFFSET * level:
        return 0.0
    signal = signal - signal.mean()
    return float(np.dot(signal[1:], signal[:-1]) / np.dot(signal, signal))


class _Overlay(io.RawIOBase):
    """A file of which the first bytes are replaced."""

    def __init__(self, path: Path, head: bytes) -> None:
        self._file = path.open("rb", buffering=0)
        self._head = head

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer) -> int:
        start = self._file.tell()
        count = self._file.readinto(buffer)
        replaced = self._head[start : start + count]
        buffer[: len(replaced)] = replaced
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
