"""How long a recording may be that the apps judge or play."""

from pathlib import Path

from helpers.audio import open_recording
from helpers.errors import AudioError

MOST_SAMPLES = 2 * 60 * 60 * 8000 * 2
"""Longer recordings are not judged: two hours of two channels at 8 kHz, half a GB in memory."""


def check_size(path: Path) -> None:
    """Refuse a recording that is too long.

    Args:
        path: any recording that `helpers.audio.open_recording` reads

    Raises:
        AudioError: where it cannot be read, or has more samples than `MOST_SAMPLES` in all its
            channels together; the message says how many minutes are judged
    """
    with open_recording(path) as recording:
        samples, duration_s = recording.frames * recording.channels, recording.duration_s
    if samples > MOST_SAMPLES:
        most_s = duration_s * MOST_SAMPLES / samples
        raise AudioError(
            f"too long: {duration_s / 60:.0f} min; with its sampling rate and channels at most "
            f"{most_s / 60:.0f} min are judged"
        )
