import hashlib
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forms_ingest import transfer
from forms_ingest.errors import RetryLaterError
from forms_ingest.form import Upload
from forms_ingest.links import Reference
from forms_ingest.responses import Response
from forms_ingest.transfer import ROUNDS, digest, fetch_verified, is_content
from helpers.errors import FormError

RESPONSE = Response(2, "", Reference(file_id="id"), "", "avg")
CONTENT = bytes(range(256)) * 40

Sender = Callable[[bytes, int, int], bytes]


def honest(content: bytes, start: int, count: int) -> bytes:
    return content[start : start + count]


def overshooting(content: bytes, start: int, count: int) -> bytes:
    return content[start : start + count] + b"more"


def from_the_beginning(content: bytes, _start: int, _count: int) -> bytes:
    return content


def stingy(content: bytes, start: int, _count: int) -> bytes:
    return content[start : start + 999]


def silent(_content: bytes, _start: int, _count: int) -> bytes:
    return b""


def flipping(content: bytes, start: int, count: int) -> bytes:
    return bytes(byte ^ (start == 0 and place == 7) for place, byte in enumerate(
        content[start : start + count]
    ))  # fmt: skip


def web_page(_content: bytes, _start: int, count: int) -> bytes:
    return b"<html>Sign in</html>"[:count]


class ServedForm:
    """A form with one upload, whose storage answers in the ways of its senders, one a request."""

    def __init__(self, *versions: bytes, senders: Iterator[Sender] | None = None) -> None:
        self.versions, self.senders = list(versions), senders or repeat(honest)
        self.asked: list[tuple[int, int]] = []

    def read_rows(self) -> list[list[str]]:
        return []

    def find_upload(self, _response: Response) -> Upload:
        if len(self.versions) > 1:
            self.versions.pop(0)
        return self.describe()

    def describe(self, algorithm: str = "sha256") -> Upload:
        content = self.versions[0]
        checksum = hashlib.new(algorithm, content).hexdigest()
        return Upload("id", "call.wav", len(content), algorithm, checksum)

    def read_part(self, _upload: Upload, start: int, count: int) -> bytes:
        self.asked.append((start, count))
        return next(self.senders)(self.versions[0], start, count)


def fetch(form: ServedForm, folder, upload: Upload | None = None):
    upload = upload or form.describe()
    return fetch_verified(form, RESPONSE, upload, folder, chunk_bytes=4000)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_an_upload_is_fetched_in_parts_and_compared(tmp_path, algorithm):
    form = ServedForm(CONTENT)
    upload = form.describe(algorithm)
    assert fetch(form, tmp_path / "new" / "folder", upload)[0] == upload
    ((part),) = (tmp_path / "new" / "folder").iterdir()
    assert part.read_bytes() == CONTENT
    assert form.asked == [(0, 4000), (4000, 4000), (8000, 2240)]
    assert digest(part, algorithm) == upload.checksum


@pytest.mark.parametrize("size", [0, 1, 3999, 4000, 4001])
def test_any_size_arrives_whole(tmp_path, size):
    _, part = fetch(ServedForm(CONTENT[:size]), tmp_path)
    assert part.read_bytes() == CONTENT[:size]


@pytest.mark.parametrize("kept", [0, 1, 4000, 5000, 10_239, 10_240])
def test_only_the_rest_is_asked_for_where_an_earlier_run_left_a_part(tmp_path, kept):
    _, part = fetch(ServedForm(CONTENT), tmp_path)
    part.write_bytes(CONTENT[:kept])
    form = ServedForm(CONTENT)
    assert fetch(form, tmp_path)[1].read_bytes() == CONTENT
    assert sum(count for _, count in form.asked) == len(CONTENT) - kept
    assert form.asked[:1] == [(kept, min(4000, len(CONTENT) - kept))] * (kept < len(CONTENT))


def test_a_part_of_another_content_is_not_gone_on_with(tmp_path):
    form = ServedForm(b"other" * 2048)
    with pytest.raises(RetryLaterError):
        fetch(ServedForm(CONTENT, senders=chain([honest], repeat(interrupted))), tmp_path)
    assert fetch(form, tmp_path)[1].read_bytes() == b"other" * 2048
    assert form.asked[0] == (0, 4000)


@pytest.mark.parametrize("left", [b"x" * 4000, CONTENT + b"more", b"x" * 10_240])
def test_a_spoilt_part_is_thrown_away_and_fetched_anew(tmp_path, left):
    _, part = fetch(ServedForm(CONTENT), tmp_path)
    part.write_bytes(left)
    form = ServedForm(CONTENT)
    assert fetch(form, tmp_path)[1].read_bytes() == CONTENT
    assert (0, 4000) in form.asked


def interrupted(_content: bytes, _start: int, _count: int) -> bytes:
    raise RetryLaterError("no answer")


def forbidden(_content: bytes, _start: int, _count: int) -> bytes:
    raise FormError("not shared")


LASTING = [overshooting, silent, flipping, web_page]


@pytest.mark.parametrize("fault", [*LASTING, stingy, from_the_beginning])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_fault_that_passes_does_no_harm(tmp_path, fault, good):
    form = ServedForm(CONTENT, senders=chain(repeat(honest, good), [fault], repeat(honest)))
    assert fetch(form, tmp_path)[1].read_bytes() == CONTENT


def test_small_answers_are_put_together(tmp_path):
    form = ServedForm(CONTENT, senders=repeat(stingy))
    assert fetch(form, tmp_path)[1].read_bytes() == CONTENT
    assert [start for start, _ in form.asked] == list(range(0, len(CONTENT), 999))


@pytest.mark.parametrize("fault", LASTING)
@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_fault_that_stays_ends_after_some_rounds_without_any_file(tmp_path, fault, algorithm):
    form = ServedForm(CONTENT, senders=repeat(fault))
    form.describe = lambda: ServedForm.describe(form, algorithm)
    with pytest.raises(FormError, match=f"never matched its {algorithm} checksum; upload it again"):
        fetch(form, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert [start for start, _ in form.asked].count(0) == ROUNDS


@pytest.mark.parametrize("replaced", [CONTENT[::-1], b"shorter", CONTENT * 2, b""])
def test_a_content_that_is_replaced_meanwhile_is_followed(tmp_path, replaced):
    form = ServedForm(CONTENT, replaced)
    upload = form.describe()
    form.senders = chain([honest, honest, flipping_now], repeat(honest))
    found, part = fetch(form, tmp_path, upload)
    assert (found.size, found.checksum) == (len(replaced), hashlib.sha256(replaced).hexdigest())
    assert part.read_bytes() == replaced
    assert list(tmp_path.iterdir()) == [part]


def flipping_now(_content: bytes, _start: int, count: int) -> bytes:
    return b"?" * count


def test_an_upload_that_goes_away_between_rounds_is_an_error(tmp_path):
    form = ServedForm(CONTENT, senders=repeat(web_page))

    def gone(_response: Response) -> Upload:
        raise FormError("the upload is in Drive's bin")

    form.find_upload = gone
    with pytest.raises(FormError, match="in Drive's bin"):
        fetch(form, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault, error", [(interrupted, RetryLaterError), (forbidden, FormError)])
def test_what_came_before_a_fault_is_kept_for_the_next_run(tmp_path, fault, error):
    with pytest.raises(error):
        fetch(ServedForm(CONTENT, senders=chain([honest], repeat(fault))), tmp_path)
    (part,) = tmp_path.iterdir()
    assert part.read_bytes() == CONTENT[:4000]
    form = ServedForm(CONTENT)
    fetch(form, tmp_path)
    assert form.asked[0] == (4000, 4000)


def test_an_upload_that_takes_too_long_is_left_to_the_next_run(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "LONGEST_S", -1.0)
    with pytest.raises(RetryLaterError, match="it took longer than"):
        fetch(ServedForm(CONTENT), tmp_path)


def test_a_full_disk_is_no_fault_of_the_form(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        fetch(ServedForm(CONTENT), tmp_path / "file")


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"x", b""])
def test_only_the_content_itself_is_the_content(tmp_path, content):
    upload = ServedForm(CONTENT).describe()
    (tmp_path / "part").write_bytes(content)
    assert not is_content(tmp_path / "part", upload)
    (tmp_path / "part").write_bytes(CONTENT)
    assert is_content(tmp_path / "part", upload)


SENDERS = [honest, stingy, overshooting, from_the_beginning, silent, flipping, web_page,
           interrupted, forbidden]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(faults=st.lists(st.sampled_from(SENDERS), max_size=12), size=st.integers(0, 9000))
def test_whatever_the_storage_does_a_wrong_content_never_arrives(tmp_path_factory, faults, size):
    folder = tmp_path_factory.mktemp("parts")
    form = ServedForm(CONTENT[:size], senders=chain(faults, repeat(honest)))
    for _ in range(len(faults) + 1):
        try:
            _, part = fetch(form, folder)
        except FormError:
            continue
        assert part.read_bytes() == CONTENT[:size]
        return
    pytest.fail("the storage is honest in the end, and still nothing arrives")
