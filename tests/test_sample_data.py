import csv
import itertools
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile

from helpers.corpora import list_corpus, load_corpus
from helpers.segments import END_S, START_S
from helpers.statuses import STATUSES, parse_status
from helpers.workspace import SAMPLE_DATA

GENERATOR_VERSION = "1.51"
"""The espeak-ng that the committed recordings were made with."""

VOICES = SAMPLE_DATA / "voices"
SPOKEN_EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful")


def entries() -> dict[str, bytes]:
    content = {}
    for status in STATUSES:
        with zipfile.ZipFile(SAMPLE_DATA / "recordings" / f"{status}_calls.zip") as archive:
            content |= {name: archive.read(name) for name in archive.namelist()}
    return content


def test_each_status_has_eight_calls_of_50_to_90_seconds(tmp_path):
    counts = dict.fromkeys(STATUSES, 0)
    for name, content in entries().items():
        path = tmp_path / "call.wav"
        path.write_bytes(content)
        info = soundfile.info(path)
        assert (info.samplerate, info.subtype) == (8000, "ULAW")
        assert START_S + END_S < 50 <= info.duration <= 90
        counts[parse_status(name.split("/")[0])] += 1
    assert min(counts.values()) >= 8


def test_every_customer_has_a_call_of_every_status():
    with (SAMPLE_DATA / "recordings" / "speakers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["file"] for row in rows) == sorted(entries())
    statuses = {}
    for row in rows:
        statuses.setdefault(row["customer"], set()).add(row["status"])
    assert set(map(frozenset, statuses.values())) == {frozenset(STATUSES)}


def test_the_form_has_enough_responses_and_every_upload_is_there():
    with (SAMPLE_DATA / "form" / "responses.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 6
    assert {row["Call recording"] for row in rows} == {
        path.name for path in (SAMPLE_DATA / "form" / "uploads").iterdir()
    }


def test_every_voice_says_the_same_four_sentences_in_every_emotion():
    corpus = load_corpus(VOICES)
    said = list(zip(corpus["speaker"], corpus["statement"], corpus["emotion"], strict=True))
    speakers, statements = sorted(set(corpus["speaker"])), sorted(set(corpus["statement"]))
    assert (len(speakers), len(statements)) == (8, 4)
    assert sorted(said) == sorted(itertools.product(speakers, statements, SPOKEN_EMOTIONS))


def test_nothing_in_the_corpus_is_left_out_or_there_twice():
    used, unused = list_corpus(VOICES)
    assert unused.empty
    assert sorted(used["path"]) == sorted(str(path) for path in VOICES.glob("*.wav"))
    assert len({path.read_bytes() for path in VOICES.glob("*.wav")}) == len(used)


def test_utterances_are_telephone_recordings_of_1_to_2_seconds_and_equally_loud():
    levels = {emotion: [] for emotion in SPOKEN_EMOTIONS}
    for row in load_corpus(VOICES).itertuples():
        info = soundfile.info(row.path)
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "ULAW")
        assert 1 <= info.duration <= 2
        signal, _ = soundfile.read(row.path)
        assert abs(signal).max() < 0.9
        levels[row.emotion].append(10 * np.log10(np.mean(signal**2)))
    means = [np.mean(level) for level in levels.values()]
    assert max(means) - min(means) < 1


def test_the_corpus_takes_less_than_2_and_a_half_megabytes():
    assert sum(path.stat().st_size for path in VOICES.iterdir()) < 2.5e6


def test_it_all_takes_less_than_15_megabytes():
    files = [path for path in SAMPLE_DATA.rglob("*") if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 15e6


@pytest.mark.parametrize("name", ["call_06", "call_13", "complaint_104", "agent_02_angry_door"])
def test_the_generator_makes_the_committed_recordings_again(tmp_path, name):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed (Debian, Ubuntu: apt-get install espeak-ng)")
    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True).stdout
    if GENERATOR_VERSION not in re.findall(r"\d+\.\d+", version):
        pytest.skip(
            f"the recordings were made with espeak-ng {GENERATOR_VERSION}, this is: {version}"
        )
    command = [sys.executable, SAMPLE_DATA / "generate.py", "--into", tmp_path, "--only", name]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = tmp_path.rglob("*.wav")
    committed = {name.split("/")[-1]: content for name, content in entries().items()}
    for path in (*(SAMPLE_DATA / "form" / "uploads").iterdir(), *VOICES.glob("*.wav")):
        committed[path.name] = path.read_bytes()
    assert made.read_bytes() == committed[made.name]
