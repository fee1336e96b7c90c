"""The encodings that libsndfile does not read: m4a, aac, amr, through ffmpeg (found by pydub)."""

import subprocess
import warnings
from pathlib import Path

from helpers.errors import AudioError

FORMATS = "aac,amr,amrnb,amrwb,asf,caf,matroska,mov"
"""Containers that ffmpeg may open; playlists, which could name other files, are not among them."""


def decode(path: Path, wave: Path) -> str:
    """Decode a recording that libsndfile does not read to a WAV file.

    Args:
        path: the recording
        wave: the file to write, 16-bit PCM

    Returns:
        the codec, in words

    Raises:
        AudioError: where it is text or no recording, or ffmpeg is not installed
    """
    if _is_text(path):
        raise AudioError("text, not sound")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns where ffmpeg is missing; we say it below
        from pydub.utils import mediainfo_json, which
    ffmpeg = which("ffmpeg")
    if ffmpeg is None:
        raise AudioError(
            "no WAV, FLAC, Ogg, MP3 or G.711 sound; if it is m4a, aac or amr, install ffmpeg "
            "(Debian, Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg) and run again"
        )
    command = [ffmpeg, "-nostdin", "-v", "error", "-xerror", "-format_whitelist", FORMATS]
    command += ["-protocol_whitelist", "file", "-i", str(path.absolute())]
    command += ["-vn", "-c:a", "pcm_s16le", "-f", "wav", str(wave)]
    run = subprocess.run(command, capture_output=True, check=False)
    if run.returncode or not wave.is_file():
        raise AudioError("not a recording, or damaged: neither libsndfile nor ffmpeg can read it")
    streams = mediainfo_json(str(path)).get("streams", []) if which("ffprobe") else []
    codecs = [stream["codec_name"] for stream in streams if stream.get("codec_type") == "audio"]
    return f"ffmpeg {codecs[0] if codecs else 'unknown codec'}"


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)
