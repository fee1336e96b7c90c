"""The recordings of a corpus in tables: counts, durations, levels, faults and examples."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from helpers.audio import SILENCE_PEAK, open_recording, to_mono
from helpers.channel import TELEPHONE_RATE, measure_level
from helpers.descriptors import HOP_S, describe_frames
from helpers.emotion import check_table
from helpers.emotions import EMOTIONS
from helpers.errors import AudioError, CallEmotionError
from helpers.functionals import FUNCTIONALS, summarise
from helpers.hearing import to_telephone_rate
from helpers.progress import progress

UNKNOWN = "unknown"
"""Sex of a speaker where the corpus does not tell."""

QUIET_DB = -55.0
"""Speech below this level, in dB of full scale, is nearly silent."""

FULL_SCALE_FROM = 0.98
"""Share of full scale from which a sample lies at it; the largest value of mu-law does."""

MOST_AT_FULL_SCALE = 0.001
"""Share of the samples that may lie at full scale; more, and a recording is clipped."""

LEAST_SPEECH_S = 0.3
"""With less speech than this, in seconds, there is hardly any."""

VOICED_FRAMES = 3
"""With fewer voiced frames than this nothing is said about the pitch."""

PITCH_PERCENTILES = (25, 50, 75)
"""Low, middle and high pitch of a recording; further out lie creaks and octave errors."""

_OPTIONAL = ("corpus", "sex", "statement", "intensity")


class Examined(NamedTuple):
    """A corpus, each recording read once.

    Attributes:
        recordings: the columns of `helpers.corpora.load_corpus` and, for each recording,
            `duration_s`, `speech_s` (from the first sound to the last), `sampling_rate`,
            `channels`, `level_db` (of the speech, in dB of full scale), `full_scale` (share of the
            samples that lie there), `pitch_low_hz`, `pitch_hz`, `pitch_high_hz` (see
            `PITCH_PERCENTILES`) and `pace` (voiced onsets per second); `nan` where nothing sounds
        features: shape (recordings, functionals), float32, at 8000 Hz, see `FUNCTIONALS`
        unreadable: `path` and `reason` of the others
    """

    recordings: pd.DataFrame
    features: np.ndarray
    unreadable: pd.DataFrame


def examine_corpus(table: pd.DataFrame, *, jobs: int = 1) -> Examined:
    """Read and measure every recording of a corpus.

    Args:
        table: as `helpers.corpora.load_corpus` gives it; `path, emotion, speaker` are enough
        jobs: recordings that are read at once, each in a process of its own; -1 for one a core,
            which takes some seconds to start and pays from a few thousand recordings on

    Raises:
        CallEmotionError: where the table lacks a column or holds fewer than two emotions, or no
            recording can be read
    """
    check_table(table)
    found = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_examine)(path) for path in table["path"]
    )
    rows = list(progress(found, "Recordings", total=len(table)))
    reasons = np.array([reason for _, _, reason in rows], dtype=object)
    read = reasons == ""
    unreadable = pd.DataFrame({"path": table["path"].to_numpy()[~read], "reason": reasons[~read]})
    if not read.any():
        raise CallEmotionError(
            f"none of the {len(table)} recordings can be read, such as {table['path'].iloc[0]}: "
            f"{reasons[0]}. Check the folder, or unpack the corpus again"
        )
    measures = pd.DataFrame([measures for measures, _, _ in rows if measures])
    recordings = pd.concat([_complete(table)[read].reset_index(drop=True), measures], axis=1)
    features = np.stack([vector for _, vector, reason in rows if not reason])
    return Examined(recordings, features, unreadable)


def sort_emotions(emotions: Iterable[str]) -> list[str]:
    """Give the distinct emotions in the order of `helpers.emotions.EMOTIONS`."""
    present = set(emotions)
    return [emotion.name for emotion in EMOTIONS if emotion.name in present]


def count_recordings(table: pd.DataFrame) -> pd.DataFrame:
    """Count recordings by corpus and sex (rows) and emotion (columns; the last is `all`)."""
    table = _complete(table)
    counts = pd.crosstab([table["corpus"], table["sex"]], table["emotion"])
    counts = counts[sort_emotions(table["emotion"])].rename_axis(columns=None)
    return counts.assign(all=counts.sum(axis=1))


def count_by_speaker(table: pd.DataFrame) -> pd.DataFrame:
    """Count recordings by speaker (rows) and emotion (columns)."""
    counts = pd.crosstab(table["speaker"], table["emotion"])
    return counts[sort_emotions(table["emotion"])].rename_axis(columns=None)


def find_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """List the speakers who lack an emotion that others of their corpus show.

    Returns:
        `speaker, corpus, recordings, lacks`, a row a speaker, empty where nobody lacks any
    """
    rows = []
    for corpus, part in _complete(table).groupby("corpus"):
        counts = count_by_speaker(part)
        for speaker, row in counts[(counts == 0).any(axis=1)].iterrows():
            rows.append((speaker, corpus, int(row.sum()), ", ".join(row.index[row == 0])))
    return pd.DataFrame(rows, columns=["speaker", "corpus", "recordings", "lacks"])


def describe_durations(recordings: pd.DataFrame) -> pd.DataFrame:
    """Give median, shortest and longest duration of each emotion, and the median of its speech."""
    groups = recordings.groupby("emotion")
    durations = groups["duration_s"].agg(["size", "median", "min", "max"])
    durations.columns = ["recordings", "duration_s", "shortest_s", "longest_s"]
    durations["speech_s"] = groups["speech_s"].median()
    return durations.loc[sort_emotions(recordings["emotion"])]


def describe_sound(recordings: pd.DataFrame) -> pd.DataFrame:
    """Give the number of recordings of each corpus, rate and number of channels, and their levels.

    Returns:
        `recordings`, `level_db` (median) and `quietest_db, loudest_db` (5th and 95th percentile)
    """
    groups = recordings.groupby(["corpus", "sampling_rate", "channels"])
    table = groups.size().to_frame("recordings")
    columns = {"quietest_db": 0.05, "level_db": 0.5, "loudest_db": 0.95}
    return table.assign(**{name: groups["level_db"].quantile(at) for name, at in columns.items()})


def find_faults(examined: Examined) -> pd.DataFrame:
    """List recordings that are better left out or looked at: `path, fault`, sorted by path.

    Clipping is found where samples lie at full scale; what was turned down after it is not.
    """
    rows = [
        (path, f"cannot be read: {reason}")
        for path, reason in examined.unreadable.itertuples(index=False)
    ]
    for row in examined.recordings.itertuples():
        if not row.speech_s:
            rows.append((row.path, "silent from beginning to end"))
        elif row.level_db < QUIET_DB:
            rows.append((row.path, f"nearly silent: speech at {row.level_db:.0f} dB of full scale"))
        elif row.full_scale > MOST_AT_FULL_SCALE:
            share = f"{100 * row.full_scale:.1f} %"
            rows.append((row.path, f"clipped: {share} of the samples lie at full scale"))
        elif row.speech_s < LEAST_SPEECH_S:
            rows.append((row.path, f"hardly any speech: {row.speech_s:.1f} s"))
    return pd.DataFrame(sorted(rows), columns=["path", "fault"])


def choose_examples(table: pd.DataFrame) -> pd.DataFrame:
    """Choose one recording of each emotion, by the same speaker and of the same sentence if any.

    The speaker, sentence and intensity that show the most emotions are chosen; for an emotion that
    is missing there, the nearest: same speaker and sentence, same speaker, anybody.

    Returns:
        rows of the table, in the order of `EMOTIONS`
    """
    keys = ["speaker", "statement", "intensity"]
    table = _complete(table).sort_values("path")
    for depth in (1, 2, 3):
        table[depth] = table.groupby(keys[:depth])["emotion"].transform("nunique")
    best = table.sort_values([2, 3, 1], ascending=False, kind="stable").iloc[0]
    same = table[keys] == best[keys]
    distance = 3 - same.cumprod(axis=1).sum(axis=1)
    nearest = table.loc[distance.sort_values(kind="stable").index].drop_duplicates("emotion")
    chosen = nearest.drop(columns=[1, 2, 3]).set_index("emotion", drop=False)
    return chosen.loc[sort_emotions(chosen["emotion"])].reset_index(drop=True)


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    missing = {name: "" for name in _OPTIONAL if name not in table}
    table = table.assign(**missing)
    return table.assign(sex=table["sex"].replace("", UNKNOWN))


def _examine(path: Path | str) -> tuple[dict[str, float], np.ndarray | None, str]:
    try:
        with open_recording(path) as recording:
            signal = to_mono(recording.read(start_s=0, duration_s=recording.duration_s))
            rate, channels = recording.sampling_rate, recording.channels
    except AudioError as error:
        return {}, None, str(error)
    frames = describe_frames(to_telephone_rate(signal, rate), TELEPHONE_RATE)
    vector = summarise(frames)
    sounds = np.ptp(signal) >= 2 * SILENCE_PEAK
    pitch = frames.pitch_hz[frames.voiced]
    heard = sounds and len(pitch) >= VOICED_FRAMES
    low, middle, high = np.percentile(pitch, PITCH_PERCENTILES) if heard else [np.nan] * 3
    measures = {
        "duration_s": len(signal) / rate,
        "speech_s": len(frames.active) * HOP_S if sounds else 0.0,
        "sampling_rate": rate,
        "channels": channels,
        "level_db": measure_level(signal - signal.mean()) if sounds else np.nan,
        "full_scale": float(np.mean(np.abs(signal) >= FULL_SCALE_FROM)),
        "pitch_hz": middle,
        "pitch_low_hz": low,
        "pitch_high_hz": high,
        "pace": float(vector[FUNCTIONALS.index("voiced_onsets_per_s")]) if sounds else np.nan,
    }
    return measures, vector, ""
