import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.customers import read_customers


def read(folder, text: str | bytes, name: str = "customers.csv", **options):
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    return read_customers(folder, **options)


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
    assert read(tmp_path, f"file,customer\n{written},Ann\n").customer_of(recording) == customer


def test_a_longer_path_is_believed_before_a_shorter_one(tmp_path):
    table = read(tmp_path, "file,customer\na.wav,Ann\nsatisfied/a.wav,Bob\n")
    assert table.customer_of("/data/satisfied/a.wav") == "Bob"
    assert table.customer_of("/data/average/a.wav") == "Ann"


def test_a_file_given_to_two_customers_has_none(tmp_path):
    rows = "a.wav,Ann\nA.wav,Bob\nb.wav,Ann\nb.wav, Ann \n"
    table = read(tmp_path, f"file,customer\n{rows}")
    assert table.customer_of("a.wav") == ""
    assert table.customer_of("b.wav") == "Ann"


def test_a_third_row_does_not_settle_a_contradiction(tmp_path):
    table = read(tmp_path, "file,customer\na.wav,Ann\na.wav,Bob\na.wav,Bob\n")
    assert table.customer_of("a.wav") == ""


def test_customers_stay_text(tmp_path):
    table = read(tmp_path, "file,customer\na.wav,007\nb.wav,NA\nc.wav,\n")
    assert [table.customer_of(name) for name in ("a.wav", "b.wav", "c.wav")] == ["007", "NA", ""]


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
    assert read(tmp_path, text).customer_of("a.wav") == "Ann"


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
    assert read(tmp_path, content).customer_of("a.wav") == ""


@given(st.binary())
def test_no_csv_whatever_it_holds_stops_the_run(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("data")
    assert read(folder, content).customer_of("nowhere.wav") == ""


def test_several_tables_are_read_also_in_deeper_folders(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "deeper").mkdir()
    read(tmp_path / "deeper", "file,customer\nc.wav,Cid\n")
    read(tmp_path, "file,customer\na.wav,Ann\n", "one.csv")
    table = read(tmp_path, "file,customer\nb.wav,Bob\n", "two.csv")
    assert [table.customer_of(name) for name in ("a.wav", "b.wav", "c.wav")] == [
        "Ann",
        "Bob",
        "Cid",
    ]
    assert {file.name for file in table.files} == {"one.csv", "two.csv", "customers.csv"}


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("file,customer,agent\na.wav,Ann,Zoe\n", "Zoe"),
        ("Agent;file\n Zoe ;a.wav\n", "Zoe"),
        ("file,customer,agent\na.wav,Ann,007\n", "007"),
        ("file,customer,agent\na.wav,Ann,\n", ""),
        ("file,customer,agent\na.wav,Ann,Zoe\na.wav,Ann,Yves\n", ""),
        ("file,customer,agent\na.wav,Ann,Zoe\na.wav,Bob,Zoe\n", "Zoe"),
        ("file,customer\na.wav,Ann\n", ""),
    ],
)
def test_who_spoke_to_the_customer_is_another_column(tmp_path, text, agent):
    table = read(tmp_path, text, column="agent")
    assert table.customer_of("/data/a.wav") == agent
    assert bool(table.files) == ("agent" in text.casefold())


def test_a_table_of_agents_alone_gives_no_customer(tmp_path):
    assert read(tmp_path, "file,agent\na.wav,Zoe\n").customer_of("a.wav") == ""
