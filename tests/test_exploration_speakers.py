import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway
from test_exploration_recordings import make_table, make_voice, write_corpus

from helpers.exploration.recordings import Examined, examine_corpus
from helpers.exploration.speakers import (
    describe_speakers,
    explain_functionals,
    find_duplicates,
    shift_from_neutral,
    summarise_shifts,
)
from helpers.functionals import FUNCTIONALS


def make_examined(features, speakers, emotions) -> Examined:
    rows = zip(speakers, emotions, strict=True)
    table = make_table(*(" ".join(row) for row in rows))
    return Examined(table, np.asarray(features, np.float32), table[:0])


VOICES = {
    "pitch_low_hz": [90.0, 180.0, 150.0, 100.0],
    "pitch_hz": [100.0, 200.0, 200.0, 150.0],
    "pitch_high_hz": [180.0, 360.0, 300.0, 200.0],
    "pace": [4.0, 6.0, 0.0, 2.0],
    "level_db": [-30.0, -20.0, -40.0, -45.0],
    "corpus": "x",
    "sex": ["male", "male", "female", "female"],
}


def test_speakers_are_described_lowest_first():
    table = make_table("ann neutral", "ann angry", "bob neutral", "bob angry", **VOICES)
    speakers = describe_speakers(table)
    assert speakers.index.tolist() == ["ann", "bob"]
    assert speakers.loc["ann", ["pitch_low_hz", "pitch_hz", "pitch_high_hz"]].tolist() == [
        *(135.0, 150.0, 270.0),
    ]
    assert speakers["pitch_range_semitones"].tolist() == pytest.approx([12.0, 12.0])
    assert speakers["sex"].tolist() == ["male", "female"]


def test_a_voice_is_compared_with_its_own_neutral():
    table = make_table("ann neutral", "ann angry", "bob neutral", "bob angry", **VOICES)
    shifts = shift_from_neutral(table).set_index("speaker")
    assert shifts["emotion"].tolist() == ["angry", "angry"]
    assert shifts["pitch_semitones"].tolist() == pytest.approx([12.0, 12 * np.log2(0.75)])
    assert shifts["level_db"].tolist() == [10.0, -5.0]
    assert shifts.loc["ann", "pace_percent"] == pytest.approx(50)
    assert np.isnan(shifts.loc["bob", "pace_percent"])
    summary = summarise_shifts(shifts.reset_index()).loc["angry"]
    assert summary[["speakers", "pitch_semitones_up", "pace_percent_up"]].tolist() == [2, 1, 1]
    assert summary["level_db"] == 2.5


def test_who_has_no_neutral_recording_is_left_out():
    table = make_table("ann neutral", "ann angry", "bob sad", "bob angry", **VOICES)
    assert shift_from_neutral(table)["speaker"].tolist() == ["ann"]


@pytest.mark.parametrize("second", ["sad", "neutral"])
def test_without_a_neutral_voice_and_another_nothing_is_compared(second):
    rows = ("ann sad", "ann angry") if second == "sad" else ("ann neutral", "bob angry")
    voices = {name: column[:2] for name, column in VOICES.items()} | {"corpus": "x"}
    with pytest.warns(UserWarning, match="no speaker has neutral recordings and others"):
        shifts = shift_from_neutral(make_table(*rows, **voices))
    compared = shift_from_neutral(make_table("ann neutral", "ann angry", **voices))
    assert shifts.empty and shifts.columns.equals(compared.columns)
    summary = summarise_shifts(shifts)
    assert summary.empty and summary.columns.equals(summarise_shifts(compared).columns)


def draw_features(*, seed=0):
    """Draw features that depend on speaker, on emotion, on both, on none, and one constant."""
    generator = np.random.default_rng(seed)
    speakers = np.repeat(["ann", "bob", "cy"], 20)
    emotions = np.tile(["sad", "angry"], 30)
    noise = generator.standard_normal((60, len(FUNCTIONALS)))
    noise[:, 0] += 3 * (speakers == "bob")
    noise[:, 1] += 2 * (emotions == "sad")
    noise[:, 2] += 9 * (speakers == "bob") + 2 * (emotions == "sad")
    noise[:, 4] = 0.25
    return make_examined(noise, speakers, emotions)


@pytest.mark.parametrize("column", ["speaker", "emotion"])
def test_the_explained_variance_follows_from_the_analysis_of_variance(column):
    examined = draw_features()
    groups = examined.recordings[column]
    values = examined.features.astype(float)[:, :4]
    ratio = f_oneway(*(values[groups == name] for name in groups.unique())).statistic
    excess = (groups.nunique() - 1) * (ratio - 1)
    explained = explain_functionals(examined)[column]
    np.testing.assert_allclose(explained[:4], np.maximum(excess / (excess + 60), 0), rtol=1e-6)
    assert np.isnan(explained.iloc[4])


def test_the_own_baseline_shows_what_speakers_hide():
    examined = draw_features()
    explained = explain_functionals(examined)
    value = examined.features[:, 2].astype(float)
    alone, joint = (
        np.sum((value - each @ np.linalg.lstsq(each, value, rcond=None)[0]) ** 2)
        for each in (
            pd.get_dummies(examined.recordings[names], dtype=float).to_numpy()
            for names in (["speaker"], ["speaker", "emotion"])
        )
    )
    error = joint / (60 - 1 - 2 - 1)
    expected = (alone - joint - error) / (alone + error)
    own = explained["emotion_own_baseline"]
    assert own.iloc[2] == pytest.approx(expected, rel=1e-5)
    assert own.iloc[2] > 5 * explained["emotion"].iloc[2]
    assert own.index.tolist() == list(FUNCTIONALS)


def test_of_one_speaker_only_the_emotion_is_explained():
    examined = draw_features()
    recordings = examined.recordings.assign(speaker="ann")
    explained = explain_functionals(examined._replace(recordings=recordings))
    assert explained["speaker"].isna().all()
    np.testing.assert_allclose(explained["emotion"], explained["emotion_own_baseline"], atol=1e-9)


def test_copies_are_listed_and_join_their_speakers():
    features = np.random.default_rng(0).standard_normal((12, 300))
    features[7] = features[2] + 0.01
    features[9] = features[8]
    speakers = [*("ann",) * 4, *("bob",) * 4, *("cy",) * 4]
    copies = find_duplicates(make_examined(features, speakers, ["sad", "calm"] * 6))
    columns = ["same_as", "path", "speaker", "group"]
    assert [tuple(row) for row in copies[columns].to_numpy()] == [
        ("02.wav", "02.wav", "ann", "ann"),
        ("02.wav", "07.wav", "bob", "ann"),
        ("08.wav", "08.wav", "cy", "cy"),
        ("08.wav", "09.wav", "cy", "cy"),
    ]


def test_different_recordings_are_no_copies():
    features = np.random.default_rng(0).standard_normal((12, 300))
    assert find_duplicates(make_examined(features, ["ann"] * 12, ["sad"] * 12)).empty


def test_a_recording_under_two_names_is_found_by_its_sound(tmp_path):
    voices = {f"s{number}_angry": make_voice(100 + 20 * number, bursts=3) for number in range(4)}
    table = write_corpus(tmp_path, **voices, s4_sad=voices["s1_angry"])
    copies = find_duplicates(examine_corpus(table))
    assert copies["speaker"].tolist() == ["s1", "s4"]
    assert set(copies["group"]) == {"s1"}
