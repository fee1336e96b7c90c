import pytest

from forms_ingest.form import Upload
from forms_ingest.reviews import KEY_DIGITS, list_reviews, reviewer_key

UPLOAD = Upload("id", "call.wav", 9, "sha256", "1")
AGAIN = UPLOAD._replace(file_id="id again", name="other.wav")
OTHER = UPLOAD._replace(file_id="id 2", checksum="2")
ANN, BOB = "ann@example.com", "bob@example.com"


def key(submitter: str, upload: Upload = UPLOAD, *, salt: str = "sheet") -> str:
    return reviewer_key(submitter, upload, salt=salt)


@pytest.mark.parametrize("submitter", [ANN, "Ann", "Энн Ли", "x" * 9999, "\udcff"])
def test_a_key_is_short_and_says_nobodys_name(submitter):
    assert len(key(submitter)) == KEY_DIGITS
    assert set(key(submitter)) <= set("0123456789abcdef")


@pytest.mark.parametrize("submitter", ["", " ", "\t\n"])
def test_nobody_has_no_key(submitter):
    assert key(submitter) == ""


def test_one_person_has_one_key_for_a_recording_however_it_is_sent_or_written():
    assert key(ANN) == key(" ANN@example.com ") == key(ANN, AGAIN)


@pytest.mark.parametrize(
    "other", [key(BOB), key(ANN, OTHER), key(ANN, salt="other sheet"), key(ANN, salt="")]
)
def test_another_person_recording_or_form_has_another_key(other):
    assert key(ANN) != other


def test_no_answers_give_no_reviews():
    assert list_reviews([], salt="") == {}


@pytest.mark.parametrize(
    "answers, expected",
    [
        ([(ANN, "average")], {ANN: "average"}),
        ([(ANN, "average"), (BOB, "satisfied")], {ANN: "average", BOB: "satisfied"}),
        ([(BOB, "satisfied"), (ANN, "average")], {ANN: "average", BOB: "satisfied"}),
        ([(ANN, "average"), (ANN.upper(), "satisfied")], {ANN: "satisfied"}),
        ([("", "average"), (ANN, "average"), ("", "satisfied")], {"": "satisfied", ANN: "average"}),
    ],
)
def test_of_one_persons_answers_the_last_counts(answers, expected):
    reviews = list_reviews([(UPLOAD, *answer) for answer in answers], salt="sheet")
    entries = [f"{key(submitter)}:{status}" for submitter, status in expected.items()]
    assert list(reviews) == ["id"]
    assert sorted(reviews["id"].split("|")) == sorted(entries)


def test_each_upload_has_its_own_reviews():
    answers = [(UPLOAD, ANN, "average"), (OTHER, ANN, "satisfied"), (AGAIN, BOB, "unsatisfied")]
    assert list_reviews(answers, salt="sheet") == {
        "id": f"{key(ANN)}:average",
        "id 2": f"{key(ANN, OTHER)}:satisfied",
        "id again": f"{key(BOB)}:unsatisfied",
    }
