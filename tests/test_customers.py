import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.customers import DETAILS, describe_line, read_customers


def read(folder, text: str | bytes, name: str = "customers.csv"):
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    return read_customers(folder)


def customers(table, *recordings: str) -> list[str]:
    return [table.details_of(recording)["customer"] for recording in recordings]


@pytest.mark.parametrize(
    ("written", "recording", "customer"),
    [
        ("", "/data/a.wav", ""),
        ("a.wav", "", ""),
        ("a.wav", "/data/b.wav", ""),
        ("a.wav", "/data/aa.wav", ""),
        ("x/a.wav", "/data/a.wav", ""),
        ("a", "/data/a.wav", ""),
        ("a.wav", "/data/a.wav", "Ann"),
        ("A.WAV", "/data/a.wav", "Ann"),
        ("a.wav", "/Data/CALLS.zip/satisfied/A.wav", "Ann"),
        (" satisfied/a.wav ", "/data/calls.zip/satisfied/a.wav", "Ann"),
        ("satisfied\\a.wav", "/data/calls.zip/satisfied/a.wav", "Ann"),
        ("calls.zip/satisfied/a.wav", "/data/calls.zip/satisfied/a.wav", "Ann"),
        ("/data/calls.zip/a.wav", "/data/calls.zip/a.wav", "Ann"),
        ('"a, ""b"".wav"', '/data/a, "b".wav', "Ann"),
        ("\u0441\u0447\u0451\u0442 \u8bdd.wav", "/data/\u0421\u0427\u0401\u0422 \u8bdd.wav", "Ann"),
    ],
)
def test_a_table_names_a_recording_whole_or_from_any_folder_on(
    tmp_path, written, recording, customer
):
    table = read(tmp_path, f"file,customer\n{written},Ann\n")
    assert customers(table, recording) == [customer]


def test_a_longer_path_is_believed_before_a_shorter_one(tmp_path):
    table = read(tmp_path, "file,customer\na.wav,Ann\nsatisfied/a.wav,Bob\n")
    assert customers(table, "/data/satisfied/a.wav", "/data/average/a.wav") == ["Bob", "Ann"]


def test_a_file_given_to_two_customers_has_none(tmp_path):
    rows = "a.wav,Ann\nA.wav,Bob\nb.wav,Ann\nb.wav, Ann \n"
    table = read(tmp_path, f"file,customer\n{rows}")
    assert customers(table, "a.wav", "b.wav") == ["", "Ann"]


def test_a_third_row_does_not_settle_a_contradiction(tmp_path):
    table = read(tmp_path, "file,customer\na.wav,Ann\na.wav,Bob\na.wav,Bob\n")
    assert customers(table, "a.wav") == [""]


def test_customers_stay_text(tmp_path):
    table = read(tmp_path, "file,customer\na.wav,007\nb.wav,NA\nc.wav,\n")
    assert customers(table, "a.wav", "b.wav", "c.wav") == ["007", "NA", ""]


@pytest.mark.parametrize(
    "text",
    [
        "customer,comment,file\nAnn,nice,a.wav\n",
        "\ufefffile,customer\na.wav,Ann\n",
        "file,customer\r\na.wav,Ann\r\n",
        "file,customer\na.wav,Ann",
    ],
)
def test_column_order_byte_mark_and_line_ends_do_not_matter(tmp_path, text):
    assert customers(read(tmp_path, text), "a.wav") == ["Ann"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"file,customer",
        b"name,customer\na.wav,Ann\n",
        b'file,customer\n"a.wav,Ann\n',
        b"file,customer\na,b,c,d\ne\n",
        b"\xff\xfe\x00file",
        b"RIFF\x00\x00\x00\x00WAVE" + bytes(range(256)),
    ],
)
def test_any_other_csv_gives_no_customer(tmp_path, content):
    assert customers(read(tmp_path, content), "a.wav") == [""]


@given(st.binary())
def test_no_csv_whatever_it_holds_stops_the_run(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("data")
    assert read(folder, content).details_of("nowhere.wav") == dict.fromkeys(DETAILS, "")


def test_several_tables_are_read_also_in_deeper_folders(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "deeper").mkdir()
    read(tmp_path / "deeper", "file,customer\nc.wav,Cid\n")
    read(tmp_path, "file,customer\na.wav,Ann\n", "one.csv")
    table = read(tmp_path, "file,customer\nb.wav,Bob\n", "two.csv")
    assert customers(table, "a.wav", "b.wav", "c.wav") == ["Ann", "Bob", "Cid"]
    assert {file.name for file in table.files} == {"one.csv", "two.csv", "customers.csv"}


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("file,customer,agent\na.wav,Ann,Zoe\n", "Zoe"),
        ("file,agent\na.wav,Zoe\n", "Zoe"),
        ("Agent;file\n Zoe ;a.wav\n", "Zoe"),
        ("file,customer,agent\na.wav,Ann,007\n", "007"),
        ("file,customer,agent\na.wav,Ann,\n", ""),
        ("file,customer,agent\na.wav,Ann,Zoe\na.wav,Ann,Yves\n", ""),
        ("file,customer,agent\na.wav,Ann,Zoe\na.wav,Bob,Zoe\n", "Zoe"),
        ("file,agent,Agent\na.wav,Zoe,Yves\n", "Zoe"),
        ("file,customer\na.wav,Ann\n", ""),
    ],
)
def test_who_spoke_to_the_customer_is_another_column(tmp_path, text, agent):
    table = read(tmp_path, text)
    assert table.details_of("/data/a.wav")["agent"] == agent
    assert table.files


@pytest.mark.parametrize("column", DETAILS)
def test_a_column_alone_tells_nothing_but_itself(tmp_path, column):
    table = read(tmp_path, f"file,{column}\na.wav,told\n")
    assert table.details_of("a.wav") == {**dict.fromkeys(DETAILS, ""), column: "told"}


@pytest.mark.parametrize(
    "rows",
    [
        "a.wav,Ann,\na.wav,,f\n",
        "a.wav,,f\na.wav,Ann,\n",
        "a.wav,Ann,f\na.wav,,\n",
        "satisfied/a.wav,,f\na.wav,Ann,\n",
        "satisfied/a.wav,,f\na.wav,Ann,m\n",
    ],
)
def test_an_empty_cell_says_nothing(tmp_path, rows):
    details = read(tmp_path, f"file,customer,gender\n{rows}").details_of("satisfied/a.wav")
    assert details == {"customer": "Ann", "agent": "", "gender": "f", "line": ""}


def test_tables_of_different_columns_complete_each_other(tmp_path):
    read(tmp_path, "file,customer\na.wav,Ann\nb.wav,Bob\n", "one.csv")
    table = read(tmp_path, "line,file\nmobile,a.wav\n", "two.csv")
    assert table.details_of("a.wav") == {"customer": "Ann", "agent": "", "gender": "",
                                         "line": "mobile"}  # fmt: skip
    assert table.details_of("b.wav")["line"] == ""


@pytest.mark.parametrize(
    ("sampling_rate", "channels", "line"),
    [
        (8000, 1, "8 kHz mono"),
        (8000, 2, "8 kHz two-channel"),
        (16_000, 1, "16 kHz mono"),
        (44_100, 2, "44.1 kHz two-channel"),
        (11_025, 1, "11.025 kHz mono"),
    ],
)
def test_a_line_is_said_in_words(sampling_rate, channels, line):
    assert describe_line(sampling_rate=sampling_rate, channels=channels) == line
