"""The speakers of a corpus in tables: their voices, what tells them apart, and copies."""

import warnings

import numpy as np
import pandas as pd

from helpers.duplicates import join_duplicates
from helpers.exploration.recordings import Examined, sort_emotions
from helpers.functionals import FUNCTIONALS

NEUTRAL = "neutral"
"""The emotion that a speaker's others are compared with."""

MEASURES = {
    "pitch_mean": "pitch",
    "pitch_range_75_25": "pitch range",
    "voiced_onsets_per_s": "pace",
    "pause_share": "pauses",
    "centroid_mean": "brightness",
    "low_to_high_mean": "body (below against above 1 kHz)",
    "energy_deviation": "swing of loudness",
    "harmonicity_mean": "clearness of the voice",
}
"""Functionals that have a name in plain words, by their name in `FUNCTIONALS`."""


def describe_speakers(recordings: pd.DataFrame) -> pd.DataFrame:
    """Describe each speaker's voice by the medians over the recordings, lowest pitch first.

    Returns:
        a row a speaker: `corpus, sex, recordings, pitch_low_hz, pitch_hz, pitch_high_hz,
        pitch_range_semitones, pace, level_db`
    """
    groups = recordings.groupby("speaker")
    medians = groups[["pitch_low_hz", "pitch_hz", "pitch_high_hz", "pace", "level_db"]].median()
    octaves = np.log2(recordings["pitch_high_hz"] / recordings["pitch_low_hz"])
    medians.insert(3, "pitch_range_semitones", 12 * octaves.groupby(recordings["speaker"]).median())
    known = groups[["corpus", "sex"]].first().assign(recordings=groups.size())
    return known.join(medians).sort_values("pitch_hz")


def shift_from_neutral(recordings: pd.DataFrame) -> pd.DataFrame:
    """Say how each speaker's voice changes from the speaker's own neutral, emotion by emotion.

    Returns:
        medians, a row a speaker and emotion: `speaker, sex, emotion, pitch_semitones,
        pace_percent, level_db`; speakers without a neutral recording are left out, and where that
        is everybody the table is empty and a warning says so
    """
    columns = ["pitch_hz", "pace", "level_db"]
    medians = recordings.groupby(["speaker", "sex", "emotion"])[columns].median().reset_index()
    baseline = medians[medians["emotion"] == NEUTRAL].set_index("speaker")[columns]
    others = medians[(medians["emotion"] != NEUTRAL) & medians["speaker"].isin(baseline.index)]
    if others.empty:
        warnings.warn(
            f"no speaker has {NEUTRAL} recordings and others: a voice is compared with its own "
            "neutral, so there is nothing to compare here",
            stacklevel=2,
        )
    own = baseline.loc[others["speaker"]].set_axis(others.index)
    pace = others["pace"] / own["pace"].where(own["pace"] > 0)
    return others[["speaker", "sex", "emotion"]].assign(
        pitch_semitones=12 * np.log2(others["pitch_hz"] / own["pitch_hz"]),
        pace_percent=100 * (pace - 1),
        level_db=others["level_db"] - own["level_db"],
    )


def summarise_shifts(shifts: pd.DataFrame) -> pd.DataFrame:
    """Give the median shift of each emotion, and how many speakers go up (`..._up`).

    Args:
        shifts: as `shift_from_neutral` gives them
    """
    columns = ["pitch_semitones", "pace_percent", "level_db"]
    groups = shifts.groupby("emotion")[columns]
    raised = (shifts[columns] > 0).groupby(shifts["emotion"]).sum().add_suffix("_up")
    table = groups.size().to_frame("speakers").join(groups.median()).join(raised)
    order = [name for column in columns for name in (column, f"{column}_up")]
    return table.loc[sort_emotions(shifts["emotion"]), ["speakers", *order]]


def explain_functionals(examined: Examined) -> pd.DataFrame:
    """Say how much of each functional's variance the speaker explains, and how much the emotion.

    Omega squared (Hays 1963), which unlike eta squared does not grow with the number of groups;
    0 where it would be negative, `nan` where nothing varies or there is one group only.

    Returns:
        a row a functional: `speaker`, `emotion`, and `emotion_own_baseline`, which is what the
        emotion explains once each speaker's mean is taken away
    """
    speakers, emotions = (examined.recordings[name] for name in ("speaker", "emotion"))
    values = examined.features.astype(float)
    own = values - _means(values, speakers)
    columns = {
        "speaker": _omega_squared(values, speakers),
        "emotion": _omega_squared(values, emotions),
        "emotion_own_baseline": _omega_squared(own, emotions, lost=speakers.nunique() - 1),
    }
    return pd.DataFrame(columns, index=list(FUNCTIONALS))


def find_duplicates(examined: Examined) -> pd.DataFrame:
    """List recordings that are nearly the same as another, see `helpers.duplicates`.

    Returns:
        `same_as` (path of the first of them), `path`, `speaker`, `emotion`, and `group`: the
        speakers of one group have a recording in common and belong on one side of a split
    """
    columns = examined.recordings[["path", "speaker", "emotion"]]
    table = columns.assign(
        same_as=join_duplicates(columns["path"], examined.features),
        group=join_duplicates(columns["speaker"], examined.features),
    )
    copies = table[table["same_as"].duplicated(keep=False)]
    order = ["same_as", "path", "speaker", "emotion", "group"]
    return copies[order].sort_values(["same_as", "path"], ignore_index=True)


def _means(values: np.ndarray, groups: pd.Series) -> np.ndarray:
    return pd.DataFrame(values).groupby(groups.to_numpy()).transform("mean").to_numpy()


def _omega_squared(values: np.ndarray, groups: pd.Series, *, lost: int = 0) -> np.ndarray:
    """Give omega squared of each column; `lost` degrees of freedom went into other means."""
    between_freedom = groups.nunique() - 1
    within_freedom = len(values) - 1 - between_freedom - lost
    if between_freedom < 1 or within_freedom < 1:
        return np.full(values.shape[1], np.nan)
    centred = values - values.mean(axis=0)
    total = np.square(centred).sum(axis=0)
    between = np.square(_means(centred, groups)).sum(axis=0)
    error = (total - between) / within_freedom
    varies = centred.std(axis=0) > 1e-6 * (1 + np.abs(values.mean(axis=0)))
    share = (between - between_freedom * error) / np.where(varies, total + error, 1)
    return np.where(varies, np.maximum(share, 0), np.nan)
