import io
import os
import re
import warnings
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile
from conftest import SHARED_DATA
from hypothesis import given
from hypothesis import strategies as st

from helpers.corpora import COLUMNS, list_corpus, load_corpus
from helpers.corpus_names import CORPORA, parse_name
from helpers.emotions import EMOTIONS
from helpers.errors import CallEmotionError, TableError

HEADER = "path,emotion,speaker\n"
UNKNOWN = "no corpus names its files like this; describe it in a corpus.csv"
SHAPES = [re.sub(r"\(\?ai?\)", "", corpus.pattern.pattern) for corpus in CORPORA]


@pytest.fixture(scope="module")
def sound() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * np.ones(80), 8000, format="WAV")
    return buffer.getvalue()


@pytest.fixture
def write(tmp_path, sound):
    """Write short recordings, and texts where a content is given, below a folder."""

    def write_files(*names: str, **texts: str) -> Path:
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sound)
        for name, text in texts.items():
            (tmp_path / "data" / f"{name}.csv").write_text(text)
        return tmp_path / "data"

    return write_files


def names_in(folder: Path, paths) -> list[str]:
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def reasons(folder: Path) -> dict[str, str]:
    unused = list_corpus(folder)[1]
    return dict(zip(names_in(folder, unused["path"]), unused["reason"], strict=True))


@pytest.mark.parametrize(
    ("path", "speaker", "emotion", "statement", "intensity", "sex"),
    [
        ("03-01-01-01-01-01-01.wav", "ravdess-01", "neutral", "01", "normal", "male"),
        ("03-01-02-02-02-02-24.flac", "ravdess-24", "calm", "02", "strong", "female"),
        ("Actor_12/03-01-05-01-02-01-12.wav", "ravdess-12", "angry", "02", "normal", "female"),
        (
            "audio/Actor_19/03-01-08-02-01-01-19.MP3",
            "ravdess-19",
            "surprised",
            "01",
            "strong",
            "male",
        ),
        ("AudioWAV/1001_DFA_ANG_XX.wav", "cremad-1001", "angry", "dfa", "", ""),
        ("AudioMP3/1091_WSI_FEA_LO.mp3", "cremad-1091", "fearful", "wsi", "low", ""),
        ("1090_IEO_HAP_MD.ogg", "cremad-1090", "happy", "ieo", "medium", ""),
        ("1019_ieo_dis_hi.wav", "cremad-1019", "disgust", "ieo", "high", ""),
        ("1040_ITH_SAD_X.wav", "cremad-1040", "sad", "ith", "", ""),
        ("AudioData/DC/a01.wav", "savee-DC", "angry", "a01", "", "male"),
        ("audiodata/kl/SA15.WAV", "savee-KL", "sad", "sa15", "", "male"),
        ("ALL/JE_su02.wav", "savee-JE", "surprised", "su02", "", "male"),
        ("ALL/JK_n30.wav", "savee-JK", "neutral", "n30", "", "male"),
        ("DC/JK_d09.m4a", "savee-JK", "disgust", "d09", "", "male"),
        ("OAF_angry/OAF_back_angry.wav", "tess-OAF", "angry", "back", "", "female"),
        ("OAF_Pleasant_surprise/OAF_back_ps.wav", "tess-OAF", "surprised", "back", "", "female"),
        (
            "TESS data/YAF_neutral/YAF_youth_neutral.wav",
            "tess-YAF",
            "neutral",
            "youth",
            "",
            "female",
        ),
        ("yaf_FEAR/yaf_Bar_Fear.aiff", "tess-YAF", "fearful", "bar", "", "female"),
        ("OAF_neutral/OA_bite_neutral.wav", "tess-OAF", "neutral", "bite", "", "female"),
        ("wav/03a01Fa.wav", "emodb-03", "happy", "a01", "", "male"),
        ("wav/16b10Wb.wav", "emodb-16", "angry", "b10", "", "female"),
        ("08a07la.WAV", "emodb-08", "bored", "a07", "", "female"),
        ("10b03E.wav", "emodb-10", "disgust", "b03", "", "male"),
        ("11a02Ac.wav", "emodb-11", "fearful", "a02", "", "male"),
        ("12b09Tb.wav", "emodb-12", "sad", "b09", "", "male"),
        ("15a04Nc.wav", "emodb-15", "neutral", "a04", "", "male"),
    ],
)
def test_a_name_tells_who_says_what_and_how(path, speaker, emotion, statement, intensity, sex):
    recording = parse_name(PurePosixPath(path))
    assert (recording.speaker, recording.emotion.name) == (speaker, emotion)
    assert recording[3:6] == (statement, intensity, sex)
    assert recording.corpus == speaker.split("-")[0]


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".wav",
        "recording.wav",
        "03-01-00-01-01-01-01.wav",
        "03-01-09-01-01-01-01.wav",
        "03-01-01-03-01-01-01.wav",
        "03-01-01-01-01-01-25.wav",
        "03-01-01-01-01-01-1.wav",
        "03-01-01-01-01-01-01-01.wav",
        "03-01-01-01-01-01-01 (1).wav",
        "03-01-01-01-01-01-01\n.wav",
        "03-01-01-01-01-01-0\u0661.wav",
        "03-02-05-01-02-01-12.wav",
        "01-01-05-01-02-01-12.wav",
        "1000_DFA_ANG_XX.wav",
        "1092_DFA_ANG_XX.wav",
        "1001_DFB_ANG_XX.wav",
        "1001_DFA_SUR_XX.wav",
        "1001_DFA_ANG_X.wav",
        "1001_DFA_ANG.wav",
        "a01.wav",
        "XX/a01.wav",
        "DC/notes/a01.wav",
        "DC/a00.wav",
        "DC/a16.wav",
        "DC/n31.wav",
        "DC/a1.wav",
        "DC/su.wav",
        "DC_DC_a01.wav",
        "OAF_back.wav",
        "OAF_back_bored.wav",
        "OAF_back 2_angry.wav",
        "OA_back_neutral.wav",
        "XAF_back_angry.wav",
        "\u212aL_a01.wav",
        "04a01Fa.wav",
        "17a01Fa.wav",
        "03a03Fa.wav",
        "03c01Fa.wav",
        "03a01Xa.wav",
        "03a01Fab.wav",
    ],
)
def test_a_name_that_only_looks_alike_is_none_of_a_corpus(path):
    assert parse_name(PurePosixPath(path)) is None


@given(
    st.one_of(
        st.text(max_size=40),
        *(st.from_regex(re.compile(shape, re.ASCII), fullmatch=True) for shape in SHAPES),
        *(st.from_regex(re.compile(shape, re.IGNORECASE)) for shape in SHAPES),
    )
)
def test_any_name_is_of_one_corpus_or_none(stem):
    matching = [corpus.name for corpus in CORPORA if corpus.pattern.fullmatch(stem)]
    recording = parse_name(PurePosixPath(stem.replace("/", "_") + ".wav"))
    assert len(matching) <= 1
    if matching:
        assert recording.corpus == matching[0]
        assert recording.emotion in EMOTIONS


def test_corpora_below_one_folder_are_merged_and_sorted(write):
    folder = write(
        "tess/YAF_sad/YAF_back_sad.wav",
        "ravdess/Actor_01/03-01-06-01-02-01-01.wav",
        "b/AudioData/KL/su01.wav",
        "03a01Lb.wav",
        "1002_IEO_DIS_HI.flac",
    )
    table = load_corpus(folder)
    assert tuple(table.columns) == COLUMNS
    assert table.index.tolist() == [0, 1, 2, 3, 4]
    assert names_in(folder, table["path"]) == [
        "03a01Lb.wav",
        "1002_IEO_DIS_HI.flac",
        "b/AudioData/KL/su01.wav",
        "ravdess/Actor_01/03-01-06-01-02-01-01.wav",
        "tess/YAF_sad/YAF_back_sad.wav",
    ]
    assert table["emotion"].tolist() == ["bored", "disgust", "surprised", "fearful", "sad"]
    assert table["emotion_id"].tolist() == [9, 7, 8, 6, 4]
    assert table["upset"].tolist() == [False, True, False, True, True]
    assert table["status"].tolist() == [
        *("average", "unsatisfied", "satisfied", "unsatisfied", "unsatisfied"),
    ]
    assert table["speaker"].is_unique
    assert table["upset"].dtype == bool and table["emotion_id"].dtype == int


def test_paths_start_with_the_folder_as_it_was_given(write, monkeypatch):
    folder = write("DC/a01.wav")
    monkeypatch.chdir(folder / "DC")
    assert load_corpus(".")["path"].tolist() == ["a01.wav"]
    assert load_corpus("../DC")["path"].tolist() == ["../DC/a01.wav"]
    assert load_corpus(folder)["path"].tolist() == [str(folder / "DC" / "a01.wav")]


@pytest.mark.parametrize(
    ("used", "other"),
    [
        (
            "Actor_01/03-01-05-01-02-01-01.wav",
            "audio_speech_actors_01-24/Actor_01/03-01-05-01-02-01-01.wav",
        ),
        ("AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3"),
        ("b/1040_ITH_SAD_XX.WAV", "a/1040_ith_sad_x.flac"),
        ("ALL/DC_a01.wav", "AudioData/DC/a01.wav"),
        ("a/OAF_bite_neutral.wav", "b/OA_bite_neutral.wav"),
        ("03a01Fa.wav", "wav/03A01FA.wav"),
    ],
)
def test_a_recording_met_twice_is_used_once(write, used, other):
    folder = write(used, other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = load_corpus(folder)
    assert names_in(folder, table["path"]) == [used]
    assert reasons(folder) == {other: f"the same recording as {folder / used}"}


def test_repetitions_and_versions_are_different_recordings(write):
    names = ["03-01-05-01-02-01-01.wav", "03-01-05-01-02-02-01.wav", "03a01Fa.wav", "03a01Fb.wav"]
    folder = write(*names)
    assert names_in(folder, load_corpus(folder)["path"]) == names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("README", "not an audio file"),
        ("labels.txt", "not an audio file"),
        ("VideoFlash/1001_DFA_ANG_XX.flv", "not an audio file"),
        ("03a01Fa.lablaut", "not an audio file"),
        ("archive.zip", "a zip; unpack it first"),
        (".DS_Store", "the operating system's own note, not a recording"),
        ("__MACOSX/Actor_01/03-01-05-01-02-01-01.wav", "the operating system's own note"),
        ("Actor_01/._03-01-05-01-02-01-01.wav", "the operating system's own note"),
        ("Actor_01/03-02-05-01-02-01-01.wav", "a song of RAVDESS; only speech is used"),
        ("01-01-05-01-02-01-01.mp4", "a video of RAVDESS; its sound is published alone"),
        ("02-02-05-01-02-01-01.mp4", "a video of RAVDESS; its sound is published alone"),
    ],
)
def test_what_is_no_speech_is_listed_without_a_warning(write, name, reason):
    folder = write("03a01Fa.wav", name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_corpus(folder)) == 1
    assert list(reasons(folder)) == [name]
    assert reasons(folder)[name].startswith(reason)


def test_unknown_recordings_are_listed_and_warned_of(write):
    folder = write("03a01Fa.wav", "d.wav", "x/c.MP3", "b.m4a", "a.flac", "notes.txt")
    sentence = r"not used: 4, such as a\.flac, b\.m4a, d\.wav; list_corpus says why"
    with pytest.warns(UserWarning, match=sentence):
        assert len(load_corpus(folder)) == 1
    names = ["a.flac", "b.m4a", "d.wav", "notes.txt", "x/c.MP3"]
    assert list(reasons(folder)) == names
    assert [reasons(folder)[name] == UNKNOWN for name in names] == [True, True, True, False, True]


NEEDS_SPEAKERS = (
    "names the emotion, but without the speaker the voices that are learned from and those that "
    "are scored cannot be kept apart; describe it in a corpus.csv with the columns path, emotion, "
    "speaker"
)


@pytest.mark.parametrize(
    ("folder", "needs_speakers"),
    [
        *[("angry", True), ("Happiness", True), ("SAD", True), ("Pleasant_surprise", True)],
        *[("Ärger", True), ("A\u0308rger", True), ("_neutral_", True)],
        *[("OAF_angry", False), ("not happy", False), ("hello", False), ("_", False)],
    ],
)
def test_a_folder_for_each_emotion_lacks_the_speakers(write, folder, needs_speakers):
    data = write("03a01Fa.wav", f"mine/{folder}/1.wav", f"{folder}/ann/1.wav")
    with pytest.warns(UserWarning, match="not used: 2, such as 1.wav, 1.wav; list_corpus says"):
        assert len(load_corpus(data)) == 1
    expected = f"its folder {folder!r} {NEEDS_SPEAKERS}" if needs_speakers else UNKNOWN
    assert reasons(data) == {f"mine/{folder}/1.wav": expected, f"{folder}/ann/1.wav": UNKNOWN}


def test_a_folder_for_each_emotion_with_a_table_is_a_corpus(write):
    rows = "angry/1.wav,angry,ann\nhappy/1.wav,happy,ann\n"
    folder = write("angry/1.wav", "happy/1.wav", corpus=HEADER + rows)
    assert load_corpus(folder)["emotion"].tolist() == ["angry", "happy"]
    assert reasons(folder) == {}


def test_each_reason_is_told_once_where_nothing_is_used(write, monkeypatch):
    folder = write("angry/1.wav", "angry/2.wav", "happy/3.wav", "4.wav", "notes.txt")
    sentence = (
        r"none of the 5 .*, such as 4\.wav \(no .*\), 1\.wav \(.*'angry'.*\), 3\.wav \(.*\)\. E"
    )
    with pytest.raises(CallEmotionError, match=sentence) as stopped:
        load_corpus(folder)
    assert str(stopped.value).count("'angry'") == 1
    monkeypatch.chdir(folder / "angry")
    with pytest.raises(CallEmotionError, match=f"1.wav \\(its folder 'angry' {NEEDS_SPEAKERS}"):
        load_corpus(".")


ACTORS = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,x,y\n"
QUOTED = '"ActorID","Age","Sex"\r\n1001,51,"Male"\r\n1002,21," female"\r\n1003,21,"?"\r\n'
CREMAD = [f"AudioWAV/{actor}_DFA_ANG_XX.wav" for actor in (1001, 1002, 1003)]


@pytest.mark.parametrize("below", ["", "AudioWAV"])
def test_the_speakers_of_cremad_have_the_sex_that_their_table_tells(write, below):
    folder = write(*CREMAD, "03a01Fa.wav", VideoDemographics="\ufeff" + QUOTED)
    table = load_corpus(folder / below).set_index("speaker")
    told = {"cremad-1001": "male", "cremad-1002": "female", "cremad-1003": ""}
    assert table.loc[list(told), "sex"].to_dict() == told
    assert below or table.loc["emodb-03", "sex"] == "male"
    assert reasons(folder) == {"VideoDemographics.csv": "not an audio file"}


def test_a_recording_of_cremad_met_twice_is_used_once_with_its_sex(write):
    other = CREMAD[0].replace("WAV", "MP3").replace("wav", "mp3")
    folder = write(CREMAD[0], other, VideoDemographics=ACTORS)
    assert load_corpus(folder)["sex"].tolist() == ["male"]


def test_a_row_of_a_table_goes_before_the_sex_that_cremad_tells(write):
    texts = {"corpus": f"{HEADER}{CREMAD[0]},sad,1001\n", "VideoDemographics": ACTORS}
    table = load_corpus(write(*CREMAD[:1], **texts))
    assert table[["speaker", "sex"]].to_numpy().tolist() == [["data-1001", ""]]


@pytest.mark.parametrize(
    "content",
    [
        *[b"", b"\0" * 99, b"\xff\xfe\xfa", b"ActorID,Sex\n", b"ActorID;Sex\n1001;Male\n"],
        *[b"ActorID,Age\n1001,51\n", b"Sex\nMale\n", b"ActorID,Sex\n1001\n", b"<html>\n<p>,</p>"],
        *[b"ActorID,Sex\n1001,Male,x\n", b"ActorID,Sex\n1001,Ma", b'ActorID,Sex\n1001,"Male\n'],
    ],
)
def test_a_damaged_table_of_cremad_changes_nothing_but_the_sex(write, content):
    folder = write(*CREMAD)
    before = load_corpus(folder)
    (folder / "VideoDemographics.csv").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_corpus(folder).equals(before)
    assert set(before["sex"]) == {""}
    assert reasons(folder) == {"VideoDemographics.csv": "not an audio file"}


@pytest.mark.parametrize("kind", ["folder", "link to nowhere"])
def test_what_only_has_the_name_of_the_table_of_cremad_does_no_harm(write, kind):
    folder = write(*CREMAD)
    path = folder / "VideoDemographics.csv"
    path.mkdir() if kind == "folder" else path.symlink_to("nowhere")
    assert set(load_corpus(folder)["sex"]) == set(load_corpus(folder / "AudioWAV")["sex"]) == {""}


def test_empty_files_and_links_without_a_file_are_listed(write):
    folder = write("03a01Fa.wav")
    (folder / "03a01Fb.wav").touch()
    (folder / "03a01Fc.wav").symlink_to("nowhere.wav")
    (folder / "03a01Fd.wav").symlink_to("03a01Fd.wav")
    (folder / "03a01Fe.wav").mkdir()
    with pytest.warns(UserWarning, match="3, such as 03a01Fb.wav, 03a01Fc.wav, 03a01Fd.wav"):
        assert len(load_corpus(folder)) == 1
    assert reasons(folder) == {
        "03a01Fb.wav": "an empty file",
        "03a01Fc.wav": "a link that leads nowhere, or no file at all",
        "03a01Fd.wav": "a link that leads nowhere, or no file at all",
    }


def test_links_to_folders_are_followed_but_never_in_circles(write, tmp_path, sound):
    folder = write("a/03a01Fa.wav")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "03a02Fa.wav").write_bytes(sound)
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    for name, target in {
        "self": folder,
        "above": "/",
        "copy": "a",
        "drive": "../elsewhere",
    }.items():
        (folder / name).symlink_to(target)
    table, unused = list_corpus(folder)
    assert names_in(folder, table["path"]) == ["a/03a01Fa.wav", "drive/03a02Fa.wav"]
    assert names_in(folder, unused["path"]) == ["above", "copy", "drive/back", "self"]
    assert set(unused["reason"]) == {"a folder that was read already, or that holds this one"}


def test_a_path_that_is_no_text_is_listed(write, sound):
    folder = write("03a01Fa.wav")
    other = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    other.mkdir()
    (other / "03a01Fb.wav").write_bytes(sound)
    assert reasons(folder) == {"caf\\xe9/03a01Fb.wav": "its path is not UTF-8; rename it"}


def test_a_table_describes_recordings_whose_names_do_not(write):
    rows = [
        "path,emotion,speaker,sex,statement,intensity,corpus,note",
        "one.wav,Wut,ann,F,hello,strong,,loud",
        "sub\\two.flac, joy ,bob,male,,,Shop,",
        "./sub/../sub/three.mp3,boredom,007,x,,,,",
        "03a01Fa.wav,calm,ann,,,,,",
    ]
    names = ["03a01Fa.wav", "one.wav", "sub/three.mp3", "sub/two.flac"]
    folder = write(*names, "1001_DFA_ANG_XX.wav", corpus="\ufeff" + "\r\n".join(rows))
    table = load_corpus(folder).drop(columns=["emotion_id", "upset", "status"])
    assert names_in(folder, table.pop("path")) == ["03a01Fa.wav", "1001_DFA_ANG_XX.wav", *names[1:]]
    assert [tuple(row) for row in table.to_numpy()] == [
        ("calm", "data-ann", "data", "", "", ""),
        ("angry", "cremad-1001", "cremad", "dfa", "", ""),
        ("angry", "data-ann", "data", "hello", "strong", "female"),
        ("bored", "data-007", "data", "", "", ""),
        ("happy", "shop-bob", "shop", "", "", "male"),
    ]
    assert reasons(folder) == {}


def test_each_table_speaks_for_its_own_folder(write):
    folder = write("mine/a.wav", "yours/a.wav", "a.wav")
    (folder / "mine" / "corpus.csv").write_text(HEADER + "a.wav,sad,1\n../a.wav,sad,1\n")
    (folder / "yours" / "Corpus.CSV").write_text(HEADER + "a.wav,sad,1\n")
    table, unused = list_corpus(folder)
    assert table["speaker"].tolist() == ["mine-1", "yours-1"]
    assert names_in(folder, unused["path"]) == ["a.wav", "mine/../a.wav"]


@pytest.mark.parametrize(
    ("row", "path", "reason"),
    [
        ("a.wav,furious,ann", "a.wav", "corpus.csv calls it 'furious'; expected one of neutral, "),
        ("a.wav,,ann", "a.wav", "corpus.csv calls it ''; expected one of neutral, "),
        ("a.wav,sad,", "a.wav", "corpus.csv does not say who speaks; fill in the column speaker"),
        ("a.wav,sad", "a.wav", "corpus.csv does not say who speaks; fill in the column speaker"),
        ("a.wav,sad,ann\na.wav,sad,bob", "a.wav", "corpus.csv describes it twice, not in the same"),
        (
            "a.wav,sad,ann\na.wav,calm,ann",
            "a.wav",
            "corpus.csv describes it twice, not in the same",
        ),
        ("c.wav,sad,ann", "c.wav", "corpus.csv names it, but no such audio file is below its"),
        ("../c.wav,sad,ann", "../c.wav", "corpus.csv names it, but no such audio file is below"),
        ("/c.wav,sad,ann", None, "corpus.csv names it, but no such audio file is below its folder"),
        (",sad,ann", ".", "corpus.csv names it, but no such audio file is below its folder"),
        ("\0,sad,ann", None, "corpus.csv names it, but no such audio file is below its folder"),
        ("corpus.csv,sad,ann", "corpus.csv", "corpus.csv names it, but no such audio file is"),
    ],
)
def test_a_row_that_cannot_be_used_is_listed_and_warned_of(write, row, path, reason):
    folder = write("a.wav", "b.wav", corpus=f"{HEADER}b.wav,sad,ann\n{row}\n")
    with pytest.warns(UserWarning, match="not used: "):
        assert names_in(folder, load_corpus(folder)["path"]) == ["b.wav"]
    unused = list_corpus(folder)[1]
    named = unused[unused["reason"].str.startswith("corpus.csv")]
    assert named["reason"].str.startswith(reason).tolist() == [True]
    assert path is None or named["path"].tolist() == [str(folder / path)]


def test_the_same_row_twice_is_one(write):
    folder = write("a.wav", corpus=f"{HEADER}a.wav,sad,ann\n./a.wav,sadness, ann\n")
    assert len(load_corpus(folder)) == 1
    assert reasons(folder) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\na.wav,sad\n", "is not the table with the columns path, emotion, speaker"),
        ("path;emotion;speaker\na.wav;sad;ann\n", "divided by commas"),
        (HEADER, "says nothing in the column path, emotion, speaker; give each recording a row"),
        ("path,emotion\na.wav,sad\n", "says nothing in the column speaker; give each recording"),
    ],
)
def test_a_table_that_cannot_be_read_stops_with_a_sentence(write, text, sentence):
    folder = write("a.wav", "03a01Fa.wav", corpus=text)
    with pytest.raises(TableError, match=sentence):
        load_corpus(folder)


LAYOUTS = (
    r"Expected unpacked corpora: ravdess \(Actor_01/03-01-05-01-02-01-01\.wav\), cremad .*, "
    r"or a corpus\.csv with the columns path, emotion, speaker"
)


@pytest.mark.parametrize(
    ("names", "count"),
    [([], 0), (["a.wav"], 1), (["a.wav", "b.txt", "03-02-05-01-02-01-01.wav"], 3)],
)
def test_a_folder_with_nothing_known_stops_with_the_layouts(write, tmp_path, names, count):
    (tmp_path / "data").mkdir()
    folder = write(*names)
    with pytest.raises(CallEmotionError, match=f"none of the {count} files .* {LAYOUTS}"):
        load_corpus(folder)
    table, unused = list_corpus(folder)
    assert table.empty and tuple(table.columns) == COLUMNS
    assert len(unused) == count and unused.columns.tolist() == ["path", "reason"]


@pytest.mark.parametrize("read", [load_corpus, list_corpus])
@pytest.mark.parametrize("name", ["nowhere", "03a01Fa.wav", "03a01Fa.wav/x", ""])
def test_what_is_no_folder_stops_with_the_layouts(write, read, name):
    folder = write("03a01Fa.wav")
    if not name:
        (folder / "03a01Fa.wav").unlink()
        folder.rmdir()
    with pytest.raises(CallEmotionError, match=f"is not a folder. {LAYOUTS}"):
        read(folder / name)


@pytest.fixture
def shared_ravdess() -> Path:
    ravdess = SHARED_DATA / "ravdess"
    if not ravdess.is_dir():
        pytest.skip("the recordings of real voices are not here: ../shared/data/ravdess is missing")
    return ravdess


def test_real_ravdess_is_read_whole(shared_ravdess):
    table, unused = list_corpus(shared_ravdess)
    assert len(table) == 1200 and unused.empty
    assert table["path"].is_monotonic_increasing
    assert table["speaker"].value_counts().tolist() == [60] * 20
    assert table["emotion_id"].value_counts().sort_index().tolist() == [80, *[160] * 7]
    assert table["sex"].value_counts().to_dict() == {"male": 600, "female": 600}
    assert table["statement"].value_counts().to_dict() == {"01": 600, "02": 600}
    assert set(table.loc[table["emotion"] == "neutral", "intensity"]) == {"normal"}
