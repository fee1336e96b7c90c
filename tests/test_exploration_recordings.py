from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from joblib import parallel_config

from helpers.corpora import load_corpus
from helpers.errors import CallEmotionError
from helpers.exploration.recordings import (
    choose_examples,
    count_by_speaker,
    count_recordings,
    describe_durations,
    describe_sound,
    examine_corpus,
    find_faults,
    find_gaps,
    sort_emotions,
)
from helpers.hearing import hear_recordings

FRAME_S = 0.035
"""Frames are 32 ms long and 15 ms apart, so that edges are found about so exactly."""


def make_voice(pitch_hz, *, bursts=5, level_db=-30.0, sampling_rate=16_000, rest_s=0.4):
    """Make bursts of 0.2 s of a hum, 0.1 s apart, between two rests; the hum has the level."""
    time = np.arange(round((0.3 * bursts - 0.1) * sampling_rate)) / sampling_rate
    hum = sum(np.sin(2 * np.pi * pitch_hz * number * time) / number for number in range(1, 8))
    hum *= 10 ** (level_db / 20) / np.sqrt(np.mean(hum**2))
    spoken = np.where(time % 0.3 < 0.2, hum, 0)
    return np.pad(spoken, round(rest_s * sampling_rate))


def write_corpus(folder: Path, *, sampling_rate=16_000, **signals) -> pd.DataFrame:
    """Write recordings by name, and give the table of them; a name tells speaker and emotion."""
    rows = []
    for name, signal in signals.items():
        path = folder / f"{name}.wav"
        soundfile.write(path, signal, sampling_rate)
        rows.append((str(path), *name.split("_")[:2]))
    return pd.DataFrame(rows, columns=["path", "speaker", "emotion"])


def make_table(*rows, **more) -> pd.DataFrame:
    """Make a table of rows such as `ann angry`; more columns have one value or one for each."""
    table = pd.DataFrame([row.split() for row in rows], columns=["speaker", "emotion"])
    return table.assign(path=[f"{number:02d}.wav" for number in range(len(rows))], **more)


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize(("pitch_hz", "bursts", "level_db"), [(110, 4, -20.0), (240, 7, -38.0)])
def test_a_recording_is_measured_as_it_was_made(
    tmp_path, sampling_rate, pitch_hz, bursts, level_db
):
    options = {"bursts": bursts, "level_db": level_db, "sampling_rate": sampling_rate}
    voice = make_voice(pitch_hz, **options)
    stereo = np.stack([voice, voice], axis=1)
    signals = {"ann_angry": voice, "ann_neutral": stereo}
    table = write_corpus(tmp_path, sampling_rate=sampling_rate, **signals)
    recordings = examine_corpus(table).recordings
    for row in recordings.itertuples():
        speech_s = 0.3 * bursts - 0.1
        info = soundfile.info(row.path)
        assert row.duration_s == info.duration
        assert row.speech_s == pytest.approx(speech_s, abs=FRAME_S)
        assert row.pace == pytest.approx(bursts / speech_s, rel=0.05)
        for pitch in (row.pitch_low_hz, row.pitch_hz, row.pitch_high_hz):
            assert pitch == pytest.approx(pitch_hz, rel=0.01)
        assert row.level_db == pytest.approx(level_db, abs=0.7)
        assert row.full_scale == 0
    assert recordings["channels"].tolist() == [1, 2]
    assert set(recordings["sampling_rate"]) == {sampling_rate}


def test_a_constant_offset_is_no_loudness(tmp_path):
    voice = make_voice(150, level_db=-30.0, rest_s=0)
    table = write_corpus(tmp_path, ann_angry=voice, ann_sad=voice + 0.1)
    recordings = examine_corpus(table).recordings
    assert recordings["level_db"].tolist() == pytest.approx([-30, -30], abs=0.5)


def test_a_corpus_is_heard_as_models_hear_it(tmp_path):
    voices = {"ann_angry": make_voice(150), "ann_sad": make_voice(120, bursts=3)}
    table = write_corpus(tmp_path, **voices)
    expected = hear_recordings(table["path"]).features
    np.testing.assert_array_equal(examine_corpus(table).features, expected)
    with parallel_config(backend="threading"):
        np.testing.assert_array_equal(examine_corpus(table, jobs=2).features, expected)


def test_a_corpus_as_downloaded_keeps_its_columns(tmp_path):
    for name, pitch_hz in {"03a01Fa": 120, "08a01Wa": 220}.items():
        soundfile.write(tmp_path / f"{name}.wav", make_voice(pitch_hz), 16_000)
    recordings = examine_corpus(load_corpus(tmp_path)).recordings
    assert recordings["sex"].tolist() == ["male", "female"]
    assert recordings["pitch_hz"].round().tolist() == [120, 220]
    assert describe_sound(recordings).index.tolist() == [("emodb", 16_000, 1)]


def test_faults_are_listed_with_their_reason(tmp_path):
    voice = make_voice(150)
    table = write_corpus(
        tmp_path,
        ann_neutral=voice,
        ann_sad=np.zeros(16_000),
        ann_calm=np.full(16_000, 0.3),
        ann_fearful=make_voice(150, level_db=-58.0),
        ann_angry=np.clip(80 * voice, -1, 1),
        ann_happy=voice[: round(0.65 * 16_000)],
    )
    (tmp_path / "bad.wav").write_text("no sound")
    table.loc[len(table)] = [str(tmp_path / "bad.wav"), "bob", "sad"]
    examined = examine_corpus(table)
    faults = find_faults(examined)
    found = dict(
        zip(faults["path"].map(lambda path: Path(path).stem), faults["fault"], strict=True)
    )
    assert list(found) == ["ann_angry", "ann_calm", "ann_fearful", "ann_happy", "ann_sad", "bad"]
    assert found["ann_angry"].startswith("clipped: ")
    assert found["ann_calm"] == found["ann_sad"] == "silent from beginning to end"
    assert found["ann_fearful"] == "nearly silent: speech at -58 dB of full scale"
    assert found["ann_happy"] == "hardly any speech: 0.2 s"
    assert found["bad"].startswith("cannot be read: ")
    silent = examined.recordings[examined.recordings["emotion"].isin(["sad", "calm"])]
    assert silent[["level_db", "pitch_hz", "pace"]].isna().all(axis=None)
    assert len(examined.recordings) == len(examined.features) == len(table) - 1


def test_where_nothing_can_be_read_the_first_reason_is_told(tmp_path):
    table = make_table("ann sad", "ann calm")
    with pytest.raises(CallEmotionError, match=r"none of the 2 .*00\.wav: no such file\. Check"):
        examine_corpus(table.assign(path=[str(tmp_path / path) for path in table["path"]]))


def test_a_table_that_lacks_a_column_is_refused():
    with pytest.raises(CallEmotionError, match=r"the table lacks \['speaker'\]"):
        examine_corpus(make_table("ann sad", "ann calm").drop(columns="speaker"))


def test_recordings_are_counted_by_corpus_and_sex():
    rows = ("ann sad", "ann angry", "bob angry", "cy angry")
    table = make_table(*rows, corpus=[*("x", "x", "x", "y")], sex=["female", "female", "male", ""])
    counts = count_recordings(table)
    assert counts.columns.tolist() == ["sad", "angry", "all"]
    assert counts.to_dict("index") == {
        ("x", "female"): {"sad": 1, "angry": 1, "all": 2},
        ("x", "male"): {"sad": 0, "angry": 1, "all": 1},
        ("y", "unknown"): {"sad": 0, "angry": 1, "all": 1},
    }


def test_recordings_are_counted_without_a_column_of_sex():
    assert count_recordings(make_table("ann sad")).index.tolist() == [("", "unknown")]
    counts = count_by_speaker(make_table("ann sad", "bob neutral", "ann sad"))
    assert counts.to_dict("index") == {
        "ann": {"neutral": 0, "sad": 2},
        "bob": {"neutral": 1, "sad": 0},
    }


@pytest.mark.parametrize(
    ("rows", "corpora", "gaps"),
    [
        (["ann sad", "ann calm"], "xx", {}),
        (["ann sad", "bob sad", "ann calm", "bob calm"], "xxxx", {}),
        (["ann sad", "ann calm", "bob sad"], "xxx", {"bob": "calm"}),
        (["ann sad", "ann calm", "bob happy"], "xxx", {"ann": "happy", "bob": "calm, sad"}),
        (["ann sad", "ann calm", "bob happy"], "xxy", {}),
    ],
    ids=["one speaker", "complete", "one lacks", "both lack", "another corpus"],
)
def test_a_speaker_who_lacks_an_emotion_of_the_corpus_is_named(rows, corpora, gaps):
    found = find_gaps(make_table(*rows, corpus=list(corpora)))
    assert dict(zip(found["speaker"], found["lacks"], strict=True)) == gaps


def test_durations_are_given_by_emotion_in_the_usual_order():
    durations = {"duration_s": [1.0, 2.0, 6.0, 4.0], "speech_s": [0.5, 1.0, 3.0, 2.0]}
    table = make_table("ann angry", "ann angry", "bob angry", "bob neutral", **durations)
    assert describe_durations(table).to_dict("split")["data"] == [
        [1, 4.0, 4.0, 4.0, 2.0],
        [3, 2.0, 1.0, 6.0, 1.0],
    ]
    assert sort_emotions(["bored", "angry", "neutral", "angry"]) == ["neutral", "angry", "bored"]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        (["ann sad a x", "ann calm a x"], [1, 0]),
        (["ann sad a x", "bob calm a x", "bob sad a x"], [1, 2]),
        (["ann sad a x", "ann calm b x", "ann calm a x"], [2, 0]),
        (["ann sad a y", "ann calm a x", "ann sad a x"], [1, 2]),
        (["ann sad a x", "ann calm a x", "bob angry a x"], [1, 0, 2]),
        (["ann sad sa1 x", "ann calm c1 x", "bob sad sa1 x"], [1, 0]),
        (["bob sad sa1 x", "ann sad sa1 x", "ann calm c1 x"], [2, 1]),
        (
            ["ann sad a x", "ann calm b x", "ann angry c x", "bob sad a x", "bob calm a x"],
            [4, 3, 2],
        ),
        (["bob angry a x", "ann sad a x", "ann calm a x", "ann angry b y"], [2, 1, 3]),
    ],
    ids=[
        *("all", "speaker", "sentence", "intensity", "missing", "own sentences", "later speaker"),
        *("sentence before speaker", "speaker before sentence"),
    ],
)
def test_examples_are_as_alike_as_the_corpus_allows(rows, chosen):
    parts = pd.DataFrame([row.split() for row in rows])
    columns = {"statement": parts[2], "intensity": parts[3]}
    table = make_table(*(" ".join(row.split()[:2]) for row in rows), **columns)
    examples = choose_examples(table)
    assert examples["path"].tolist() == table["path"][chosen].tolist()
    assert examples["emotion"].is_unique


def test_examples_of_a_table_without_sentences_are_of_one_speaker():
    examples = choose_examples(make_table("ann sad", "bob calm", "bob sad", "bob sad"))
    assert examples["path"].tolist() == ["01.wav", "02.wav"]
