import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.dataset import VERDICT_KINDS, Dataset, load_dataset, npy_bytes
from helpers.errors import GoldenSetError, MissingStepError
from helpers.features import PHONE
from helpers.feedback.golden import (
    CHOSEN,
    COLUMNS,
    PARTS,
    digest_golden,
    golden_features,
    grow_golden,
    read_golden,
    read_log,
    settle_golden,
    split_golden,
)
from helpers.files import write_bytes, write_csv
from helpers.records import COLUMNS as RECORD_COLUMNS
from helpers.statuses import STATUSES

REFUSED = r"golden_set\.json does not hold the \d+ calls that were frozen on \d{4}-.*bring the file"
DAMAGED = r"golden_set\.json is damaged: bring it back from a copy, or delete it to have a new"


def make_records(*, customers: int = 24, calls_each: int = 3) -> pd.DataFrame:
    """Records of archived calls, those of a customer of different statuses."""
    numbers = range(customers * calls_each)
    statuses = [STATUSES[(number + number // calls_each) % 3] for number in numbers]
    records = {
        "path": [f"dataset/{status}/{n:03}.wav" for n, status in enumerate(statuses)],
        "status": statuses,
        "content_hash": [f"hash {number:03}" for number in numbers],
        "customer": [f"customer {number // calls_each:02}" for number in numbers],
        "agent": [f"agent {number % 2}" for number in numbers],
        "gender": "female",
        "line": "8 kHz mono",
        "source": "archive",
        "duration_s": 60.0,
        "sampling_rate": 8000,
        "channels": 1,
    }
    return pd.DataFrame(records)[list(RECORD_COLUMNS)].sort_values("path", ignore_index=True)


def make_dataset(records: pd.DataFrame) -> Dataset:
    """A start and an end segment of each call; the feature of a row is its number."""
    segments = records.loc[records.index.repeat(2)].reset_index(drop=True)
    segments["kind"] = np.resize(["start", "end"], len(segments))
    return Dataset(np.arange(len(segments), dtype=np.float32)[:, None], segments)


def cached(workspace, content_hash: str) -> Path:
    return workspace.feature_cache / PHONE.name / f"{content_hash}.npy"


@pytest.fixture
def records(workspace) -> pd.DataFrame:
    """Records of calls that were described, each by its number in every column."""
    records = make_records()
    write_csv(workspace.records, records)
    for number, content in enumerate(records["content_hash"]):
        features = np.full((2, len(PHONE.names)), number, dtype=np.float32)
        write_bytes(cached(workspace, content), npy_bytes(features))
    return records


@pytest.fixture
def golden(workspace, records) -> pd.DataFrame:
    return settle_golden(workspace, make_dataset(records))


def edit(workspace, change) -> None:
    """Change the file as somebody with an editor would."""
    content = json.loads(workspace.golden_set.read_text())
    change(content)
    workspace.golden_set.write_text(json.dumps(content))


# Choosing


def test_a_quarter_of_the_customers_is_golden_with_all_their_calls(golden, records):
    customers = set(golden["customer"])
    assert len(customers) == pytest.approx(24 / PARTS, abs=1)
    assert set(golden["path"]) == set(records.loc[records["customer"].isin(customers), "path"])
    assert golden["path"].is_unique and golden["path"].is_monotonic_increasing


def test_every_status_is_in_it_as_often_as_in_the_archive(golden, records):
    for status in STATUSES:
        share = (records["status"] == status).sum() / PARTS
        assert (golden["status"] == status).sum() == pytest.approx(share, abs=2)


def test_it_holds_what_is_known_of_each_call(golden, records):
    assert list(golden) == list(COLUMNS)
    known = [name for name in COLUMNS if name in records]
    expected = records[records["path"].isin(golden["path"])][known].reset_index(drop=True)
    pd.testing.assert_frame_equal(golden[known], expected)
    assert set(golden["reason"]) == {CHOSEN}
    assert golden["added"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00").all()


def test_the_same_calls_give_the_same_golden_set(golden, records, workspace):
    workspace.golden_set.unlink()
    again = settle_golden(workspace, make_dataset(records))
    assert digest_golden(again) == digest_golden(golden)


def test_only_deciding_segments_are_looked_at(golden, workspace, records):
    workspace.golden_set.unlink()
    dataset = make_dataset(records)
    starts = dataset.segments["kind"] == "start"
    misled = dataset.segments.assign(status=dataset.labels)
    misled.loc[starts, "status"] = "average"
    again = settle_golden(workspace, Dataset(dataset.features, misled))
    assert digest_golden(again) == digest_golden(golden)


def test_calls_of_unknown_customers_are_chosen_one_by_one(workspace, records):
    golden = settle_golden(workspace, make_dataset(records.assign(customer="")))
    assert len(golden) == pytest.approx(len(records) / PARTS, abs=1)
    assert set(golden["customer"]) == {""}


def test_it_is_chosen_once_whatever_calls_come_later(golden, workspace):
    before = workspace.golden_set.read_bytes()
    for customers in (40, 3, 90):
        later = settle_golden(workspace, make_dataset(make_records(customers=customers)))
        pd.testing.assert_frame_equal(later, golden)
    assert workspace.golden_set.read_bytes() == before


@pytest.mark.parametrize(
    "statuses, customers",
    [
        (["average"], ["Ann"]),
        (["average"] * 6, list("ABCDEF")),
        (list(STATUSES), list("ABC")),
        (list(STATUSES) * 3, ["Ann"] * 9),
        (["satisfied", "average"] * 4 + ["unsatisfied"], list("ABCDEFGHI")),
    ],
    ids=["one call", "one status", "one of each", "one customer", "one unsatisfied"],
)
def test_too_few_customers_give_an_empty_golden_set(workspace, statuses, customers):
    records = make_records(customers=len(statuses), calls_each=1)
    records = records.assign(status=statuses, customer=customers)
    golden = settle_golden(workspace, make_dataset(records))
    assert golden.empty and list(golden) == list(COLUMNS)
    assert not workspace.golden_set.exists()
    assert read_log(workspace) == []
    rest = split_golden(make_dataset(records), golden)
    assert len(rest.segments) == 2 * len(statuses)


def test_it_is_chosen_as_soon_as_there_are_customers_enough(workspace):
    assert settle_golden(workspace, make_dataset(make_records(customers=1))).empty
    assert len(settle_golden(workspace, make_dataset(make_records())))


def test_before_anything_ran_it_is_empty(workspace):
    assert read_golden(workspace).empty
    assert read_log(workspace) == []


# Reading


def test_what_is_read_is_what_was_chosen(golden, workspace):
    pd.testing.assert_frame_equal(read_golden(workspace), golden)
    (step,) = read_log(workspace)
    assert step["calls"] == len(golden)
    assert step["digest"] == digest_golden(golden)
    assert step["reason"] == CHOSEN


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["calls"][0].update(status="x"),
        lambda file: file["calls"][0].update(content_hash="x"),
        lambda file: file["calls"][0].update(customer=""),
        lambda file: file["calls"][0].pop("status"),
        lambda file: file["calls"].pop(),
        lambda file: file["calls"].clear(),
        lambda file: file["calls"].append(dict(file["calls"][0])),
        lambda file: file["log"][-1].update(digest="0" * 16),
    ],
    ids=["status", "content", "customer", "no status", "removed", "empty", "twice", "digest"],
)
def test_a_hand_edit_is_refused(golden, workspace, records, change):
    edit(workspace, change)
    before = workspace.golden_set.read_bytes()
    for use in (
        lambda: read_golden(workspace),
        lambda: settle_golden(workspace, make_dataset(records)),
        lambda: grow_golden(workspace, [records["path"][0]], reason="more"),
    ):
        with pytest.raises(GoldenSetError, match=REFUSED):
            use()
    assert workspace.golden_set.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b"\xff\xfe",
        b'{"log": [], "calls": []}',
        b'{"log": [], "calls": [{"path": "a"}]}',
        b'{"log": [{}], "calls": []}',
        b'{"log": 3, "calls": []}',
        b'{"calls": []}',
    ],
)
def test_a_damaged_file_is_refused(workspace, records, content):
    workspace.golden_set.write_bytes(content)
    for use in (
        lambda: read_golden(workspace),
        lambda: read_log(workspace),
        lambda: settle_golden(workspace, make_dataset(records)),
        lambda: grow_golden(workspace, [records["path"][0]], reason="more"),
    ):
        with pytest.raises(GoldenSetError, match=DAMAGED):
            use()
    assert workspace.golden_set.read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["log"].clear(),
        lambda file: file["log"][-1].pop("digest"),
        lambda file: file.update(calls=[1, 2]),
        lambda file: file.update(calls=["hash"]),
        lambda file: file.pop("calls"),
    ],
    ids=["no log", "no digest", "numbers", "texts", "no calls"],
)
def test_what_cannot_be_checked_is_refused(golden, workspace, change):
    edit(workspace, change)
    with pytest.raises(GoldenSetError, match=DAMAGED):
        read_golden(workspace)


def test_the_order_and_the_look_of_the_file_do_not_matter(golden, workspace):
    edit(workspace, lambda file: file["calls"].reverse())
    read = read_golden(workspace)
    pd.testing.assert_frame_equal(read.sort_values("path", ignore_index=True), golden)
    assert digest_golden(read) == digest_golden(golden)


def test_deleting_the_file_has_a_new_one_chosen(golden, workspace, records):
    edit(workspace, lambda file: file["calls"].pop())
    workspace.golden_set.unlink()
    assert digest_golden(settle_golden(workspace, make_dataset(records))) == digest_golden(golden)
    assert len(read_log(workspace)) == 1


# Growing


def outside(records: pd.DataFrame, golden: pd.DataFrame) -> pd.DataFrame:
    return records[~records["content_hash"].isin(golden["content_hash"])]


def test_a_call_grows_it_by_all_calls_of_its_customer(golden, workspace, records):
    call = outside(records, golden).iloc[0]
    grown = grow_golden(workspace, [call["path"]], reason="more of the new line")
    added = grown[~grown["content_hash"].isin(golden["content_hash"])]
    assert set(added["path"]) == set(records.loc[records["customer"] == call["customer"], "path"])
    assert set(added["reason"]) == {"more of the new line"}
    kept = grown[grown["content_hash"].isin(golden["content_hash"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, golden)
    pd.testing.assert_frame_equal(read_golden(workspace), grown)


def test_a_call_of_an_unknown_customer_comes_alone(golden, workspace, records):
    path = outside(records, golden)["path"].iloc[0]
    unknown = records["path"].isin([path]) | (records.index % 2 == 0)
    write_csv(workspace.records, records.assign(customer=records["customer"].mask(unknown, "")))
    grown = grow_golden(workspace, [path], reason="more")
    assert set(grown["path"]) - set(golden["path"]) == {path}


def test_every_growth_is_logged_with_its_reason(golden, workspace, records):
    others = outside(records, golden).drop_duplicates("customer")["path"].tolist()
    sizes = [len(golden)]
    for number, path in enumerate(others[:3]):
        sizes.append(len(grow_golden(workspace, iter([path]), reason=f"reason {number}")))
    log = read_log(workspace)
    assert [step["reason"] for step in log] == [CHOSEN, "reason 0", "reason 1", "reason 2"]
    assert [step["calls"] for step in log] == sizes == [len(golden) + 3 * n for n in range(4)]
    assert len({step["digest"] for step in log}) == 4
    assert log[-1]["digest"] == digest_golden(read_golden(workspace))


def test_growing_freezes_the_present_status_of_a_call_it_has(golden, workspace, records):
    path, before = golden.loc[0, ["path", "status"]]
    after = STATUSES[STATUSES.index(before) - 1]
    status = records["status"].mask(records["path"] == path, after)
    write_csv(workspace.records, records.assign(status=status))
    assert read_golden(workspace)["status"][0] == before
    grown = grow_golden(workspace, [path], reason="a person has listened again")
    assert grown["status"].tolist() == [after, *golden["status"][1:]]
    assert grown["path"].tolist() == golden["path"].tolist()


def test_without_a_chosen_one_growing_makes_the_golden_set(workspace, records):
    grown = grow_golden(workspace, [records["path"][0]], reason="the first")
    assert len(grown) == 3
    assert [step["reason"] for step in read_log(workspace)] == ["the first"]
    assert settle_golden(workspace, make_dataset(records)).equals(grown)


@pytest.mark.parametrize(
    "paths, reason, message",
    [
        (["dataset/x.wav"], "more", r"dataset/x\.wav is not in CallRecords\.csv: give paths"),
        (["b.wav", "a.wav"], "more", r"a\.wav is not in CallRecords\.csv"),
        ([], "", "no reason was given: say why the golden set grows"),
        ([], " \n", "no reason was given"),
        (["dataset/x.wav"], "", "not in CallRecords"),
    ],
)
def test_unknown_paths_and_missing_reasons_are_refused(golden, workspace, paths, reason, message):
    before = workspace.golden_set.read_bytes()
    with pytest.raises(GoldenSetError, match=message):
        grow_golden(workspace, paths, reason=reason)
    assert workspace.golden_set.read_bytes() == before


def test_a_call_whose_status_is_only_its_clusters_name_stays_out(golden, workspace, records):
    path, customer = outside(records, golden).iloc[0][["path", "customer"]]
    lent = records.assign(source=records["source"].where(records["path"] != path, "cluster"))
    write_csv(workspace.records, lent)
    with pytest.raises(GoldenSetError, match=rf"{path} has only its cluster's name for a status"):
        grow_golden(workspace, [path], reason="more")
    others = lent[(lent["customer"] == customer) & (lent["path"] != path)]["path"]
    grown = grow_golden(workspace, others[:1], reason="more")
    assert set(others) <= set(grown["path"])
    assert path not in set(grown["path"])


def test_a_call_that_cannot_be_described_is_refused(golden, workspace, records):
    path, content = outside(records, golden).iloc[0][["path", "content_hash"]]
    cached(workspace, content).unlink()
    before = workspace.golden_set.read_bytes()
    with pytest.raises(GoldenSetError, match=rf"the golden call {path} cannot be described"):
        grow_golden(workspace, [path], reason="more")
    assert workspace.golden_set.read_bytes() == before


def test_a_known_path_without_a_reason_is_refused(golden, workspace, records):
    with pytest.raises(GoldenSetError, match="no reason was given"):
        grow_golden(workspace, [outside(records, golden)["path"].iloc[0]], reason=" ")
    assert len(read_log(workspace)) == 1


def test_growing_needs_the_records(workspace):
    with pytest.raises(MissingStepError, match="run notebook 02 first"):
        grow_golden(workspace, ["a.wav"], reason="more")


# Keeping it out of the training


def test_no_model_learns_from_golden_calls_or_their_customers(golden, records):
    dataset = make_dataset(records)
    rest = split_golden(dataset, golden)
    assert len(rest.segments) + 2 * len(golden) == len(dataset.segments)
    assert not set(rest.segments["customer"]) & set(golden["customer"])
    assert not set(rest.segments["content_hash"]) & set(golden["content_hash"])
    rows = rest.features[:, 0].astype(int)
    assert dataset.segments["path"][rows].tolist() == rest.segments["path"].tolist()


def test_later_calls_of_golden_customers_stay_out_too(golden, workspace, records):
    more = make_records(calls_each=5)
    more = more.assign(path="dataset/new/" + more["path"], content_hash="new " + more.content_hash)
    both = pd.concat([records, more], ignore_index=True)
    dataset = make_dataset(both)
    rest = split_golden(dataset, settle_golden(workspace, dataset))
    assert not set(rest.segments["customer"]) & set(golden["customer"])
    expected = (~both["customer"].isin(golden["customer"])).sum()
    assert len(rest.segments) == 2 * expected


def test_a_customer_who_becomes_known_later_stays_out_from_then_on(workspace, records):
    golden = settle_golden(workspace, make_dataset(records.assign(customer="")))
    rest = split_golden(make_dataset(records), golden)
    of_golden = records["content_hash"].isin(golden["content_hash"])
    known = records.loc[of_golden, "customer"]
    assert not set(rest.segments["customer"]) & set(known)
    assert len(rest.segments) == 2 * (~records["customer"].isin(known)).sum()


def test_an_unknown_customer_is_nobody_elses(workspace, records):
    dataset = make_dataset(records.assign(customer=""))
    golden = settle_golden(workspace, dataset)
    rest = split_golden(dataset, golden)
    assert len(rest.segments) == 2 * (len(records) - len(golden))


def test_without_a_golden_set_everything_may_be_learned(workspace, records):
    dataset = make_dataset(records)
    rest = split_golden(dataset, read_golden(workspace))
    assert np.array_equal(rest.features, dataset.features)
    pd.testing.assert_frame_equal(rest.segments, dataset.segments)


# The calls themselves


def test_golden_calls_are_described_by_how_they_end(trained):
    golden = read_golden(trained)
    assert len(golden) == 3
    ends = load_dataset(trained).only(VERDICT_KINDS)
    place = dict(zip(ends.segments["content_hash"], range(len(ends.segments)), strict=True))
    features = golden_features(trained, golden, PHONE)
    expected = ends.features[[place[content] for content in golden["content_hash"]]]
    assert features.dtype == np.float32
    assert np.array_equal(features, expected)


def test_a_golden_call_that_was_moved_is_found_by_its_content(golden, workspace, records):
    write_csv(workspace.records, records.assign(path="dataset/moved/" + records["path"]))
    features = golden_features(workspace, golden, PHONE)
    places = records.reset_index().set_index("content_hash")["index"]
    assert features[:, 0].tolist() == [places[content] for content in golden["content_hash"]]


def test_a_golden_call_that_is_gone_is_named(golden, workspace):
    cached(workspace, golden["content_hash"][0]).unlink()
    message = rf"the golden call {golden['path'][0]} cannot be described .*bring the recording back"
    with pytest.raises(GoldenSetError, match=message):
        golden_features(workspace, golden, PHONE)


def test_no_golden_calls_have_no_rows_but_every_column(workspace, records):
    assert golden_features(workspace, read_golden(workspace), PHONE).shape == (0, len(PHONE.names))


def test_the_digest_names_contents_statuses_and_customers():
    calls = pd.DataFrame(
        {"content_hash": ["a", "b"], "status": ["average"] * 2, "customer": ["Ann", "Bob"]}
    )
    digest = digest_golden(calls)
    assert digest_golden(calls.iloc[::-1]) == digest
    assert digest_golden(calls.assign(path="moved.wav", reason="x")) == digest
    changed = [
        calls.assign(content_hash=["a", "c"]),
        calls.assign(status=["average", "satisfied"]),
        calls.assign(customer=["Ann", ""]),
        calls.iloc[:1],
        calls.iloc[:0],
    ]
    assert len({digest, *map(digest_golden, changed)}) == 6
