"""The only module that opens recordings: any telephone encoding in, samples out, window by window.

libsndfile reads most encodings, `helpers.telephony` the ones with unfinished or missing headers,
and `helpers.ffmpeg` the rest: m4a, aac, amr.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import soundfile

from helpers import ffmpeg, telephony
from helpers.errors import AudioError

BLOCK_S = 10.0
"""Seconds of sound held in memory at once while a whole recording is read."""

MIN_DURATION_S = 1.0
"""Shortest recording that is taken for a call."""

SILENCE_PEAK = 0.002
"""Largest deviation from rest, of full scale 1, that counts as silence (-54 dB)."""

FULL_SCALE = 32767 / 32768
"""Largest sample value; what lies beyond it is clipped, never wrapped."""

MISSING_TOLERANCE_S = 0.5
"""How much less than its header promises a complete recording may hold."""

CHANNELS = (1, 2)
"""Channel counts of a call: a mix, or one channel a side."""

SAMPLING_RATES = (4000, 192_000)
"""Lowest and highest believable sampling rate in Hz."""

HEADERLESS_SUFFIXES = {".wav", ".ulaw", ".ul", ".mulaw", ".alaw", ".al", ".g711", ".pcm", ".raw"}
"""File endings under which bare G.711 bytes are looked for."""

_UNKNOWN_FRAMES = 1 << 40


class Recording:
    """One open recording.

    Attributes:
        encoding: container and codec in words, such as `WAV U-Law`
        is_wav: whether it is a WAV file that any program can read as it is
        sampling_rate: in Hz
        channels: 1 or 2
        frames: samples in each channel
    """

    def __init__(self, file: soundfile.SoundFile, encoding: str) -> None:
        self._file = file
        self.encoding = encoding
        self.is_wav = encoding.startswith("WAV") and isinstance(file.name, bytes)
        self.sampling_rate = file.samplerate
        self.channels = file.channels
        self.frames = file.frames

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sampling_rate

    def read(self, *, start_s: float = 0.0, duration_s: float | None = None) -> np.ndarray:
        """Read one window; only this window is held in memory.

        Args:
            start_s: beginning in seconds, rounded to the nearest sample
            duration_s: length in seconds; up to the end by default

        Returns:
            signal of shape (channels, samples), float32 in [-1, 1), clipped; what lies beyond the
            end of the recording is left out

        Raises:
            AudioError: where the window cannot be decoded, holds values that are no numbers, or
                is not there although the header promises it
        """
        start = min(round(start_s * self.sampling_rate), self.frames)
        count = self.frames - start
        if duration_s is not None:
            count = min(count, round(duration_s * self.sampling_rate))
        self._seek(start)
        signal = self._read(count).T
        missing_s = (count - signal.shape[1]) / self.sampling_rate
        if missing_s > MISSING_TOLERANCE_S:
            raise AudioError(_cut_off(self.duration_s, missing_s))
        return signal

    def pcm_blocks(self) -> Iterator[np.ndarray]:
        """Read the whole recording as 16-bit samples, `BLOCK_S` at a time.

        Values beyond full scale are clipped, never wrapped.

        Yields:
            int16 array of shape (samples, channels)

        Raises:
            AudioError: where a block cannot be decoded or holds values that are no numbers
        """
        self._seek(0)
        while len(block := self._read(int(BLOCK_S * self.sampling_rate))):
            yield np.rint(block * 32768).astype("<i2")

    def _seek(self, frame: int) -> None:
        with _sound_errors():
            self._file.seek(frame)

    def _read(self, count: int) -> np.ndarray:
        with _sound_errors():
            samples = self._file.read(count, dtype="float32", always_2d=True)
        if not np.isfinite(samples).all():
            raise AudioError("damaged: some samples are not numbers")
        return np.clip(samples, -1, FULL_SCALE)


@contextmanager
def open_recording(path: Path | str) -> Iterator[Recording]:
    """Open a recording in any encoding that telephone systems write.

    Args:
        path: RIFF mu-law, A-law, GSM 6.10, PCM or float WAV, also with unfinished header or a
            wrong name; bare G.711 bytes; FLAC, Ogg, MP3; with ffmpeg also m4a, aac and amr

    Yields:
        the open recording

    Raises:
        AudioError: with the reason, where the file is missing, empty, cut off, or no sound
    """
    path = Path(path)
    with ExitStack() as stack:
        file, encoding = _open(path, stack)
        low, high = SAMPLING_RATES
        if file.channels not in CHANNELS:
            raise AudioError(f"{file.channels} channels; a call has 1 or 2")
        if not low <= file.samplerate <= high:
            raise AudioError(f"sampling rate {file.samplerate} Hz is not between {low} and {high}")
        if not file.frames:
            raise AudioError("a header without any sound")
        yield Recording(file, encoding)


def write_pcm(recording: Recording, target: Path) -> str:
    """Write a recording as standard 16-bit PCM WAV at its own rate, and check it on the way.

    Args:
        recording: an open recording
        target: the file to write

    Returns:
        content hash, see `content_hash`

    Raises:
        AudioError: where the recording is silent, too short, cut off or damaged
    """
    with soundfile.SoundFile(
        target, "w", recording.sampling_rate, recording.channels, subtype="PCM_16", format="WAV"
    ) as pcm:
        return _checked_hash(recording, write=pcm.write)


def content_hash(recording: Recording) -> str:
    """Hash what a recording sounds like, whatever it is wrapped in, and check it on the way.

    Returns:
        SHA-256 over rate, channels and 16-bit samples: the same for a mu-law file, its bare
        bytes and its PCM conversion

    Raises:
        AudioError: where the recording is silent, too short, cut off or damaged
    """
    return _checked_hash(recording, write=lambda block: None)


def check_duration(recording: Recording) -> None:
    """Check that a recording is long enough for a call.

    Raises:
        AudioError: where it is shorter than `MIN_DURATION_S`
    """
    if recording.duration_s < MIN_DURATION_S:
        raise AudioError(
            f"too short: {recording.duration_s:.2f} s; a call has at least {MIN_DURATION_S:.0f} s"
        )


def to_mono(signal: np.ndarray) -> np.ndarray:
    """Mix channels: shape (channels, samples) to (samples,)."""
    return signal.mean(axis=0, dtype=np.float32)


def _checked_hash(recording: Recording, *, write) -> str:
    check_duration(recording)
    digest = hashlib.sha256(f"{recording.sampling_rate} {recording.channels} ".encode())
    lowest, highest, frames = 32767, -32768, 0
    for block in recording.pcm_blocks():
        lowest, highest = min(lowest, block.min()), max(highest, block.max())
        frames += len(block)
        digest.update(block.tobytes())
        write(block)
    missing_s = (recording.frames - frames) / recording.sampling_rate
    if missing_s > MISSING_TOLERANCE_S:
        raise AudioError(_cut_off(recording.duration_s, missing_s))
    if int(highest) - int(lowest) < 2 * SILENCE_PEAK * 32768:
        raise AudioError("silent: nothing is heard from beginning to end")
    return digest.hexdigest()


def _open(path: Path, stack: ExitStack) -> tuple[soundfile.SoundFile, str]:
    if not path.is_file():
        raise AudioError("no such file")
    if not path.stat().st_size:
        raise AudioError("empty file (0 bytes)")
    file, encoding = _open_with_libsndfile(path, stack) or (None, "")
    if file is None:
        file, encoding = _open_headerless(path, stack) or (None, "")
    if file is None:
        wave = _folder(stack) / "decoded.wav"
        encoding = ffmpeg.decode(path, wave)
        file = stack.enter_context(soundfile.SoundFile(wave))
    elif not file.seekable() or file.frames > _UNKNOWN_FRAMES:
        wave = _folder(stack) / "decoded.wav"
        _decode_with_libsndfile(file, wave)
        file = stack.enter_context(soundfile.SoundFile(wave))
    return file, encoding


def _open_with_libsndfile(path: Path, stack: ExitStack) -> tuple[soundfile.SoundFile, str] | None:
    source: object = os.fsencode(path)
    if path.suffix.casefold() == ".raw":  # a name that soundfile takes for bare samples
        source = os.open(path, os.O_RDONLY)
    if data := telephony.find_wave_data(path):
        if not data.present_bytes:
            raise AudioError("a header without any sound")
        if data.missing_s > MISSING_TOLERANCE_S:
            promised_s = data.declared_bytes / data.bytes_per_second
            raise AudioError(_cut_off(promised_s, data.missing_s))
        if data.is_streamed:
            source = stack.enter_context(telephony.repair_header(path, data))
    try:
        file = stack.enter_context(soundfile.SoundFile(source))
    except soundfile.LibsndfileError:
        return None
    return file, f"{file.format} {file.subtype_info}"


def _open_headerless(path: Path, stack: ExitStack) -> tuple[soundfile.SoundFile, str] | None:
    if path.suffix.casefold() not in HEADERLESS_SUFFIXES:
        return None
    law = telephony.recognise_g711(path)
    if law is None:
        return None
    file = stack.enter_context(
        soundfile.SoundFile(
            os.fsencode(path),
            samplerate=telephony.SAMPLING_RATE,
            channels=1,
            format="RAW",
            subtype=law,
        )
    )
    return file, f"headerless {file.subtype_info}"


def _decode_with_libsndfile(file: soundfile.SoundFile, wave: Path) -> None:
    block_frames = int(BLOCK_S * file.samplerate)
    with (
        _sound_errors(),
        soundfile.SoundFile(wave, "w", file.samplerate, file.channels, subtype="PCM_16") as pcm,
    ):
        while len(block := file.read(block_frames, dtype="int16", always_2d=True)):
            pcm.write(block)


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="call-emotion-")))


def _cut_off(promised_s: float, missing_s: float) -> str:
    return (
        f"cut off: the header promises {promised_s:.1f} s, the last {missing_s:.1f} s are missing; "
        "fetch the recording again"
    )


@contextmanager
def _sound_errors() -> Iterator[None]:
    try:
        yield
    except soundfile.LibsndfileError as error:
        raise AudioError(f"damaged: {error}") from error
