import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms_ingest.links import Reference, parse_references

ID, OTHER = "1AbC-d_9" * 4, "0BxYz" * 5
DRIVE = "https://drive.google.com"
NOTHING = Reference()

LINKS = [
    f"{DRIVE}/open?id={ID}",
    f"{DRIVE}/open?usp=forms_web&id={ID}",
    f"{DRIVE}/u/0/open?usp=forms_web&id={ID}",
    f"{DRIVE}/file/d/{ID}/view",
    f"{DRIVE}/file/d/{ID}/view?usp=drivesdk",
    f"{DRIVE}/file/d/{ID}/edit#heading=id.1",
    f"{DRIVE}/file/d/{ID}",
    f"{DRIVE}/file/u/1/d/{ID}/preview",
    f"{DRIVE}/uc?export=download&id={ID}",
    f"{DRIVE}/uc?id={ID}&export=download",
    f"https://drive.usercontent.google.com/download?id={ID}&export=download",
    f"https://docs.google.com/uc?id={ID}",
    f"HTTPS://Drive.Google.COM/open?id={ID}",
    f"http://drive.google.com/open?id={ID}",
]

IDS = st.text("abcXYZ019-_", min_size=1, max_size=44)
SHAPES = st.sampled_from(["/open?id={}", "/u/0/open?usp=forms_web&id={}", "/file/d/{}/view"])


@pytest.mark.parametrize("link", LINKS)
def test_every_form_of_link_gives_the_file_id(link):
    assert parse_references(link) == [Reference(file_id=ID)]
    assert parse_references(f"  {link}\n") == [Reference(file_id=ID)]


@pytest.mark.parametrize(
    "link",
    [
        f"{DRIVE}/open?id={ID}&resourcekey=0-key_1",
        f"{DRIVE}/file/d/{ID}/view?usp=sharing&resourcekey=0-key_1",
        f"{DRIVE}/uc?export=download&resourcekey=0-key_1&id={ID}",
    ],
)
def test_a_resource_key_is_read_beside_the_id(link):
    assert parse_references(link) == [Reference(file_id=ID, resource_key="0-key_1")]


@pytest.mark.parametrize("divider", [", ", ",", "\n", "\r\n", ";", "; ", " ", "\t", " \u00a0"])
def test_several_links_in_a_cell_are_several_files_in_order(divider):
    cell = divider.join([LINKS[0], f"{DRIVE}/file/d/{OTHER}/view", LINKS[2]])
    assert [reference.file_id for reference in parse_references(cell)] == [ID, OTHER, ID]


@pytest.mark.parametrize(
    "link",
    [
        f"{DRIVE}/drive/folders/{ID}",
        f"{DRIVE}/drive/u/0/folders/{ID}?usp=sharing",
        f"{DRIVE}/open",
        f"{DRIVE}/open?id=",
        f"{DRIVE}/open?id=a/../b",
        f"{DRIVE}/open?id=звонок",
        f"{DRIVE}/drive/my-drive",
        f"https://example.com/open?id={ID}",
        f"https://drive.google.com.example.com/open?id={ID}",
        f"https://notgoogle.com/open?id={ID}",
        f"https://drive.google.com@example.com/file/d/{ID}/view",
        "https://",
        "http://[",
        f"https://[::1/open?id={ID}",
    ],
)
def test_a_link_without_a_file_of_google_names_nothing(link):
    assert set(parse_references(link)) <= {NOTHING, Reference(name=link)}
    assert parse_references(f"{link}, {LINKS[0]}")[-1] == Reference(file_id=ID)


@pytest.mark.parametrize("cell", ["", " ", "\n\t", "\u00a0"])
def test_an_empty_cell_names_no_file(cell):
    assert parse_references(cell) == []


@pytest.mark.parametrize(
    "cell",
    ["call_7 - Ann.wav", "first, second.wav", "a;b.wav", "id=A1", "drive.google.com", "звонок"],
)
def test_text_that_is_no_link_is_a_file_name(cell):
    assert parse_references(f" {cell} ") == [Reference(name=cell)]


@given(
    ids=st.lists(IDS, min_size=1, max_size=5),
    shape=SHAPES,
    divider=st.sampled_from([", ", "\n", ";", " "]),
)
def test_any_ids_in_any_shape_come_back_in_order(ids, shape, divider):
    cell = divider.join(DRIVE + shape.format(file_id) for file_id in ids)
    assert [reference.file_id for reference in parse_references(cell)] == ids


@given(text=st.text(max_size=40), start=st.sampled_from(["", "https://", f"{DRIVE}/", LINKS[0]]))
def test_whatever_a_cell_holds_it_is_read_as_ids_or_a_name(text, start):
    for reference in parse_references(start + text):
        assert not (reference.file_id and reference.name)
        assert all(letter.isalnum() or letter in "-_" for letter in reference.file_id)
