import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import PITCHES, make_voice, snapshot, write_call
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from helpers.clusters.choice import STABLE, compare_counts, suggest_count
from helpers.clusters.clustering import (
    COMPONENTS,
    Clustering,
    DescribedCalls,
    cluster_calls,
    describe_calls,
    find_nearest,
    name_groups,
    reduce_features,
)
from helpers.clusters.forest import CAVEAT, NAMES, PEOPLE, TOO_FEW_NAMES, report_forest
from helpers.clusters.labels import read_cluster_labels
from helpers.clusters.maps import lay_out
from helpers.clusters.naming import (
    COLUMNS,
    OUTDATED,
    compare_with,
    current_names,
    describe_likeness,
    imitate_listener,
    lend_names,
    parse_names,
    settle_names,
)
from helpers.clusters.plots import plot_counts, plot_map
from helpers.clusters.profile import LIKE_OTHERS, NO_WORDS, describe_clusters
from helpers.errors import CallEmotionError, TableError
from helpers.features import PHONE
from helpers.files import read_csv, write_csv
from helpers.records import (
    CLUSTER,
    build_records,
    decide,
    find_recordings,
    list_unlabelled,
    read_records,
)
from helpers.retraining import list_form_calls
from helpers.statuses import STATUSES
from helpers.workspace import Workspace, open_workspace

CENTRES = {"satisfied": [9, 0, 0, 0], "average": [0, 9, 0, 0], "unsatisfied": [0, 0, 9, 0]}


def blobs(*sizes: int, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw points around as many centres, and say which is around which."""
    centres = np.array(list(CENTRES.values()))[: len(sizes)]
    return make_blobs(sizes, centers=centres, cluster_std=spread, random_state=seed)


def describe(points: np.ndarray, kinds: np.ndarray, *, customers: int = 8) -> DescribedCalls:
    """Take points for calls of customers, whose status is their kind."""
    calls = pd.DataFrame(
        {
            "path": [f"dataset/calls/{number:03}.wav" for number in range(len(points))],
            "content_hash": [f"hash {number}" for number in range(len(points))],
            "duration_s": 50.0,
            "customer": [f"customer {number % customers}" for number in range(len(points))],
            "status": np.array(STATUSES, object)[kinds],
            "told": False,
        }
    )
    return DescribedCalls(calls, points, tuple("abcd"), "")


@pytest.fixture
def described() -> DescribedCalls:
    return describe(*blobs(20, 14, 10))


@pytest.fixture
def clustering(described) -> Clustering:
    return cluster_calls(described, described.features, count=3)


@pytest.fixture(scope="module")
def unnamed_once(tmp_path_factory) -> Workspace:
    """A workspace with four calls of each status that nobody has given a status."""
    workspace = open_workspace(tmp_path_factory.mktemp("unnamed"))
    workspace.audio_data.mkdir()
    for number in range(12):
        pitch = PITCHES[STATUSES[number % 3]] * (1 + number / 300)
        write_call(workspace.dataset / "calls" / f"{number:02}.wav", 46, seed=number, pitch=pitch)
    describe_calls(workspace)
    return workspace


@pytest.fixture
def unnamed(unnamed_once, tmp_path) -> Workspace:
    shutil.copytree(unnamed_once.folder, tmp_path / "unnamed")
    return open_workspace(tmp_path / "unnamed")


def divide_calls(workspace: Workspace) -> Clustering:
    calls = describe_calls(workspace)
    return cluster_calls(calls, reduce_features(calls.features), count=3)


def lend(workspace: Workspace, **names: str) -> pd.DataFrame:
    """Name clusters by their letter, as notebook 12 does."""
    clustering = divide_calls(workspace)
    by_letter = {name[0]: name for name in clustering.names}
    given = {by_letter[letter]: name for letter, name in names.items()}
    table = settle_names(workspace, clustering, given)
    return lend_names(workspace, clustering, current_names(clustering, table))


# Clusters


def test_calls_around_three_centres_are_three_clusters_the_largest_first():
    points, kinds = blobs(10, 14, 20)
    clustering = cluster_calls(describe(points, kinds), points, count=3)
    assert adjusted_rand_score(kinds, clustering.calls["cluster"]) == 1
    assert [name[0] for name in clustering.names] == ["A", "B", "C"]
    sizes = clustering.calls["cluster"].value_counts()
    assert [sizes[name] for name in clustering.names] == [20, 14, 10]


def test_the_nearest_calls_are_the_most_certain_ones_of_their_cluster(clustering):
    nearest = find_nearest(clustering, count=2)
    for name in clustering.names:
        calls = clustering.calls[clustering.calls["cluster"] == name]
        assert set(nearest.index[nearest["cluster"] == name]) == set(
            calls["distance"].nsmallest(2).index
        )
    assert clustering.calls["certainty"].between(0, 1).all()
    assert nearest["certainty"].min() > clustering.calls["certainty"].median()


def test_a_cluster_keeps_its_name_whatever_the_order_of_its_calls(described, clustering):
    order = np.random.default_rng(0).permutation(len(described.calls))
    shuffled = DescribedCalls(
        described.calls.iloc[order].reset_index(drop=True), described.features[order], (), ""
    )
    assert cluster_calls(shuffled, shuffled.features, count=3).names == clustering.names


def test_with_one_call_more_a_cluster_is_another_one(described, clustering):
    fewer = DescribedCalls(described.calls[:-1], described.features[:-1], (), "")
    names = cluster_calls(fewer, fewer.features, count=3).names
    assert len({*names, *clustering.names}) == 4


@pytest.mark.parametrize("count", [0, 1, 23, 27])
def test_a_number_of_clusters_that_makes_no_sense_is_refused(described, count):
    with pytest.raises(CallEmotionError, match=f"{count} clusters of 44 calls .* expected 2 to 22"):
        cluster_calls(described, described.features, count=count)


def test_features_of_any_unit_become_few_components():
    points = np.random.default_rng(0).normal(size=(60, 100)) * 10.0 ** np.arange(-50, 50)
    components = reduce_features(np.column_stack([points, np.ones(60)]))
    assert components.shape == (60, COMPONENTS)
    assert np.abs(components.mean(axis=0)).max() < 1e-6


# How many


@pytest.mark.parametrize("sizes", [(20, 20), (20, 14, 10)])
def test_the_number_of_clusters_that_are_there_is_suggested(sizes):
    points, _ = blobs(*sizes)
    table = compare_counts(points, groups=np.arange(len(points)))
    assert table["clusters"].tolist() == list(range(2, 9))
    suggestion = suggest_count(table)
    assert (suggestion.count, suggestion.found) == (len(sizes), True)
    assert "clearer than chance" in suggestion.sentence
    assert f"the smallest has {min(sizes)} calls" in suggestion.sentence


@pytest.mark.parametrize("seed", range(2))
def test_in_a_cloud_without_clusters_none_are_suggested(seed):
    points = np.random.default_rng(seed).normal(size=(60, 6)) * [3, 1, 1, 1, 1, 1]
    suggestion = suggest_count(compare_counts(points, groups=np.arange(60)))
    assert (suggestion.count, suggestion.found) == (3, False)
    assert suggestion.sentence.startswith("nothing suggests that there are clusters at all")


def test_clusters_of_one_voice_each_are_not_stable():
    points, kinds = blobs(15, 15, 15)
    apart = compare_counts(points, groups=kinds).set_index("clusters")["stability"]
    together = compare_counts(points, groups=np.arange(45)).set_index("clusters")["stability"]
    assert together[3] == 1 > STABLE > apart[3]


def test_few_calls_are_not_divided_into_many_clusters():
    points = np.random.default_rng(0).normal(size=(10, 3))
    assert compare_counts(points, groups=np.arange(10))["clusters"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(0.5, 0.3, 0.9, 1), (0.4, 0.3, 0.8, 2)], "the clear and stable ones split off single"),
        ([(0.5, 0.3, 0.9, 1), (0.2, 0.3, 0.9, 9)], "the clear and stable ones split off single"),
        ([(0.5, 0.3, 0.4, 9), (0.2, 0.3, 0.9, 9)], "the clear ones are not the stable ones"),
        ([(0.5, 0.3, 0.4, 9), (0.4, 0.3, 0.2, 1)], "halves of the calls show different ones"),
        ([(0.2, 0.3, 0.9, 9), (0.2, 0.3, 0.9, 1)], "none is clearer than in a cloud without"),
        (
            [(0.2, 0.3, 0.4, 9), (0.2, 0.3, 0.4, 1)],
            "none is clearer than in a cloud without clusters and halves of the calls show",
        ),
    ],
)
def test_where_none_are_suggested_the_reason_is_the_true_one(rows, reason):
    columns = ["clusters", "silhouette", "by_chance", "stability", "smallest"]
    table = pd.DataFrame([(2, *rows[0]), (3, *rows[1])], columns=columns)
    suggestion = suggest_count(table)
    assert (suggestion.count, suggestion.found) == (3, False)
    assert f"clusters at all: {reason}" in suggestion.sentence


# Words and pictures


def test_a_cluster_is_described_by_what_differs_most(described, clustering):
    traits = ("pitch_mean", "voiced_onsets_per_s_against_call", "pause_share", "energy_slope")
    words = describe_clusters(described._replace(names=traits), clustering).set_index("cluster")
    assert words["calls"].tolist() == [20, 14, 10]
    said = [text.split(", ")[0] for text in words["sounds"]]
    assert said == ["higher voices", "speaks faster", "more silence"]
    assert not words["sounds"].str.contains("loud").any()


def test_features_without_plain_words_say_so(described, clustering):
    assert set(describe_clusters(described, clustering)["sounds"]) == {NO_WORDS}
    flat = described._replace(names=("pause_share", *"bcd"), features=np.zeros((44, 4)))
    assert set(describe_clusters(flat, clustering)["sounds"]) == {LIKE_OTHERS}


def test_a_map_shows_every_call_and_a_picture_the_choice(clustering):
    places = lay_out(clustering.points)
    assert np.array_equal(places, clustering.points[:, :2])
    axes = plot_map(clustering, places, title="calls").axes[0]
    assert sum(len(dots.get_offsets()) for dots in axes.collections[:3]) == 44
    assert len(axes.collections[3].get_offsets()) == 9
    rows = [(2, 0.5, 0.3, 0.7, 20), (3, 0.7, 0.2, 1.0, 10)]
    columns = ["clusters", "silhouette", "by_chance", "stability", "smallest"]
    table = pd.DataFrame(rows, columns=columns)
    left, right = plot_counts(table, suggest_count(table)).axes
    assert np.array_equal(left.lines[0].get_ydata(), table["silhouette"])
    assert np.array_equal(right.lines[0].get_ydata(), table["stability"])


def test_one_component_is_a_line_and_another_map_is_refused():
    assert lay_out(np.ones((5, 1))).tolist() == [[1, 0]] * 5
    with pytest.raises(CallEmotionError, match="the map 'tsne' is unknown, expected pca or umap"):
        lay_out(np.ones((5, 2)), method="tsne")


def test_without_umap_the_map_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(ImportError, match=r"needs umap-learn, which is not installed: make zoo"):
        lay_out(np.ones((5, 2)), method="umap")


def test_umap_keeps_clusters_together(clustering):
    pytest.importorskip("umap", reason="umap-learn is not installed: make zoo")
    places = lay_out(clustering.points, method="umap")
    middles = {name: np.median(places[clustering.calls["cluster"] == name], axis=0)
               for name in clustering.names}  # fmt: skip
    nearest = [
        min(middles, key=lambda name: np.linalg.norm(place - middles[name])) for place in places
    ]
    assert adjusted_rand_score(nearest, clustering.calls["cluster"]) > 0.9


# Which calls


def test_calls_without_a_status_are_described_by_their_end(unnamed):
    described = describe_calls(unnamed)
    assert described.features.shape == (12, len(PHONE.names))
    assert described.sentence == "12 calls have no status in their folder or name"
    assert set(described.calls["status"]) == {""}
    cached = np.load(next(unnamed.feature_cache.rglob(f"{described.calls['content_hash'][0]}.npy")))
    assert np.array_equal(described.features[0].astype(np.float32), cached[-1])


def test_a_decision_changes_no_cluster_but_a_folder_does(unnamed):
    before = divide_calls(unnamed).names
    decide(unnamed, {"dataset/calls/00.wav": "average"})
    assert divide_calls(unnamed).names == before
    (unnamed.dataset / "satisfied").mkdir()
    (unnamed.dataset / "calls" / "00.wav").rename(unnamed.dataset / "satisfied" / "00.wav")
    assert len(describe_calls(unnamed).calls) == 11


def test_where_every_call_has_a_status_all_are_taken_as_if_they_had_none(unnamed):
    (unnamed.dataset / "calls").rename(unnamed.dataset / "satisfied")
    described = describe_calls(unnamed)
    assert described.sentence == (
        "every call has a status; the 12 calls are taken as if they had none"
    )
    assert set(described.calls["status"]) == {"satisfied"}


def test_only_the_change_within_the_call_is_kept_where_it_is_asked_for(unnamed):
    described = describe_calls(unnamed, change_only=True)
    assert described.features.shape == (12, len(PHONE.names) // 2)
    assert all(name.endswith("_against_call") for name in described.names)
    absolute = PHONE._replace(
        name="other", names=PHONE.names[:2], describe=lambda call: PHONE.describe(call)[:, :2]
    )
    with pytest.raises(CallEmotionError, match="no feature compares the end of a call with"):
        describe_calls(unnamed, feature_set=absolute, change_only=True)
    assert describe_calls(unnamed, feature_set=absolute).features.shape == (12, 2)


def test_recordings_that_cannot_be_described_are_left_out_and_few_are_too_few(unnamed):
    signal = np.zeros(60 * 8000, np.float32)
    signal[22 * 8000 : 30 * 8000] = make_voice(8)  # neither in the first 20 nor in the last 25 s
    soundfile.write(unnamed.dataset / "calls" / "silent.wav", signal, 8000, subtype="PCM_16")
    assert describe_calls(unnamed).sentence.endswith("; 1 more cannot be used")
    for number in range(3):
        (unnamed.dataset / "calls" / f"{number:02}.wav").unlink()
    with pytest.raises(CallEmotionError, match=r"9 calls .* can be described, expected 10 or more"):
        describe_calls(unnamed)


# Names


def test_a_name_from_the_parameter_or_the_table_is_kept(unnamed):
    clustering = divide_calls(unnamed)
    first, second, third = clustering.names
    table = settle_names(unnamed, clustering, parse_names(f"{first}: Sat, {second}:not satisfied"))
    assert list(table) == list(COLUMNS)
    assert table["name"].tolist() == ["satisfied", "unsatisfied", ""]
    written = read_csv(unnamed.cluster_names, COLUMNS)
    listed = written["nearest"].str.count("dataset/calls/")
    assert listed.tolist() == [min(3, int(calls)) for calls in written["calls"]]
    write_csv(unnamed.cluster_names, written.assign(name=["satisfied", "", " Neutral "]))
    again = current_names(clustering, settle_names(unnamed, clustering))
    assert again == {first: "satisfied", third: "average"}
    before = snapshot(unnamed)
    settle_names(unnamed, clustering)
    assert snapshot(unnamed) == before


def test_a_note_that_somebody_wrote_is_kept(unnamed):
    clustering = divide_calls(unnamed)
    first, second, third = clustering.names
    table = settle_names(unnamed, clustering, {first: "average"})
    write_csv(unnamed.cluster_names, table.assign(note=["hold music", "", "ask the night shift"]))
    notes = settle_names(unnamed, clustering, {first: "satisfied"}).set_index("cluster")["note"]
    assert notes.to_dict() == {first: "hold music", second: "", third: "ask the night shift"}
    assert read_csv(unnamed.cluster_names, COLUMNS)["note"].tolist() == notes.tolist()


def test_a_cluster_that_is_back_is_outdated_no_more(unnamed):
    clustering = divide_calls(unnamed)
    settle_names(unnamed, clustering, {clustering.names[0]: "average"})
    calls = describe_calls(unnamed)
    other = cluster_calls(calls, reduce_features(calls.features), count=2)
    note = settle_names(unnamed, other).set_index("cluster").loc[clustering.names[0], "note"]
    assert note.startswith(OUTDATED)
    again = settle_names(unnamed, clustering)
    assert again["note"].tolist() == [""] * 3
    assert again["name"].tolist() == ["average", "", ""]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("angry", r"row 3 of cluster_names.csv: the name 'angry' of cluster B-\w+ is none of"),
        ("not very satisfied", "satisfied, average, unsatisfied, or another spelling"),
    ],
)
def test_nonsense_in_the_table_is_refused_with_its_row(unnamed, name, sentence):
    clustering = divide_calls(unnamed)
    table = settle_names(unnamed, clustering)
    write_csv(unnamed.cluster_names, table.assign(name=["satisfied", name, ""]))
    with pytest.raises(TableError, match=sentence):
        settle_names(unnamed, clustering)


def test_two_names_for_one_cluster_are_refused(unnamed):
    clustering = divide_calls(unnamed)
    table = settle_names(unnamed, clustering, {clustering.names[0]: "average"})
    twice = pd.concat([table, table[:1].assign(name="satisfied")])
    write_csv(unnamed.cluster_names, twice)
    with pytest.raises(TableError, match=r"row 5 .* has another name above; keep one"):
        settle_names(unnamed, clustering)


def test_a_name_for_a_cluster_of_another_run_is_refused(unnamed):
    clustering = divide_calls(unnamed)
    with pytest.raises(TableError, match=r"'A-000000' is no cluster of these calls, they are A-"):
        settle_names(unnamed, clustering, {"A-000000": "average"})
    with pytest.raises(TableError, match="the names given: the name 'sad' of cluster A-"):
        settle_names(unnamed, clustering, {clustering.names[0]: "sad"})
    with pytest.raises(TableError, match="the names hold 'satisfied', expected cluster and name"):
        parse_names("A-000000: average, satisfied")
    assert not unnamed.cluster_names.exists()


def test_a_name_is_not_carried_to_a_cluster_of_other_calls(unnamed):
    clustering = divide_calls(unnamed)
    assert len(lend(unnamed, A="satisfied", B="average", C="unsatisfied")) == 12
    gone = find_nearest(clustering, count=1)["path"].iloc[0]
    (unnamed.folder / gone).unlink()
    lent = lend(unnamed)
    assert set(lent["cluster"]) <= set(clustering.names[1:])
    assert set(read_records(unnamed)["path"]) == set(lent["path"])
    table = read_csv(unnamed.cluster_names, COLUMNS)
    note = table.set_index("cluster").loc[clustering.names[0], "note"]
    assert note.startswith(f"{OUTDATED}; its nearest calls")
    assert table.set_index("cluster").loc[clustering.names[0], "name"] == "satisfied"
    write_csv(unnamed.cluster_names, table.assign(name=""))
    lend(unnamed)
    assert clustering.names[0] not in set(read_csv(unnamed.cluster_names, COLUMNS)["cluster"])


# Statuses that names lend


def test_calls_of_named_clusters_are_records_with_a_source_of_their_own(unnamed):
    lent = lend(unnamed, A="satisfied", B="not satisfied")
    records = read_records(unnamed)
    assert set(records["source"]) == {CLUSTER}
    assert dict(zip(records["path"], records["status"], strict=True)) == dict(
        zip(lent["path"], lent["status"], strict=True)
    )
    assert len(read_cluster_labels(unnamed)) == 12
    assert len(list_unlabelled(unnamed)) == 12
    assert find_recordings(unnamed).recordings.empty
    assert list_form_calls(unnamed).empty
    before = snapshot(unnamed)
    lend(unnamed)
    assert snapshot(unnamed) == before


def test_a_name_that_is_taken_away_takes_its_statuses_along(unnamed):
    lend(unnamed, A="satisfied", B="average")
    assert lend(unnamed, A="")["status"].unique().tolist() == ["average"]
    assert set(read_records(unnamed)["status"]) == {"average"}
    assert lend(unnamed, B="").empty
    assert read_records(unnamed).empty


def test_people_always_win_over_a_name(unnamed):
    decide(unnamed, {"dataset/calls/00.wav": "average"})
    lend(unnamed, A="unsatisfied", B="unsatisfied", C="unsatisfied")
    records = read_records(unnamed).set_index("path")
    assert records.loc["dataset/calls/00.wav", ["status", "source"]].tolist() == [
        "average",
        "archive",
    ]
    assert (records["source"] == CLUSTER).sum() == 11
    decide(unnamed, {"dataset/calls/01.wav": "satisfied"})
    assert "dataset/calls/01.wav" not in set(lend(unnamed)["path"])


def test_calls_that_have_a_status_get_none_from_a_name(unnamed):
    (unnamed.dataset / "calls").rename(unnamed.dataset / "satisfied")
    assert lend(unnamed, A="average", B="average").empty
    assert not unnamed.cluster_labels.exists()
    assert set(read_records(unnamed)["source"]) == {"archive"}


def test_a_status_that_somebody_wrote_into_the_labels_is_refused(unnamed):
    lend(unnamed, A="satisfied")
    write_csv(unnamed.cluster_labels, read_cluster_labels(unnamed).assign(status="angry"))
    with pytest.raises(TableError, match=r"cluster_labels.csv says 'angry', expected satisfied"):
        build_records(unnamed)
    lend(unnamed)
    assert set(build_records(unnamed)["status"]) == {"satisfied"}


# What names are worth


def test_clusters_are_compared_with_statuses_and_customers(clustering):
    table, index = compare_with(clustering, "status")
    assert table.to_numpy().tolist() == [[20, 0, 0], [0, 14, 0], [0, 0, 10]]
    assert list(table) == list(STATUSES)
    assert index == 1
    assert abs(compare_with(clustering, "customer")[1]) < 0.1
    assert re.search(r"to statuses 1\.00, to customers -?0\.0", describe_likeness(clustering))


def test_without_statuses_nothing_is_compared(clustering):
    unknown = clustering._replace(calls=clustering.calls.assign(status="", customer=""))
    table, index = compare_with(unknown, "status")
    assert table.empty and np.isnan(index)
    assert describe_likeness(unknown).endswith("to statuses not known, to customers not known")
    assert imitate_listener(unknown) == {}


def test_who_hears_the_nearest_calls_names_a_cluster_by_them(clustering):
    assert imitate_listener(clustering) == dict(zip(clustering.names, STATUSES, strict=True))


@pytest.fixture(scope="module")
def noisy_report():
    """A forest taught by clusters that have nothing to do with the statuses."""
    described = describe(*blobs(24, 16, 12), customers=26)
    statuses = np.random.default_rng(0).choice(STATUSES, 52)
    described = described._replace(calls=described.calls.assign(status=statuses))
    clustering = cluster_calls(described, described.features, count=3)
    names = dict(zip(clustering.names, ("satisfied", "unsatisfied"), strict=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("helpers.clusters.forest.TREES", 8)
        return clustering, report_forest(described, clustering, names)


def test_agreeing_with_the_clusters_proves_nothing_about_people(noisy_report):
    _, report = noisy_report
    scores = report.scores.set_index(["compared_with", "split"])["uar"]
    assert scores[NAMES].min() > 0.9
    assert scores[PEOPLE].max() < 0.5
    assert set(scores.index.get_level_values("split")) == {"customer", "segment"}
    assert (report.scores.loc[report.scores["compared_with"] == NAMES, "calls"] == 40).all()
    assert report.sentence.startswith(CAVEAT)


def test_calls_that_told_the_names_are_not_compared_with_people(noisy_report):
    clustering, report = noisy_report
    nearest = find_nearest(clustering)
    heard = nearest[nearest["cluster"].isin(clustering.names[:2])]
    taught = clustering.calls[clustering.calls["cluster"].isin(clustering.names[:2])]
    left = (~taught["customer"].isin(heard["customer"])).sum()
    assert 0 < left < 34
    people = report.scores[report.scores["compared_with"] == PEOPLE]
    assert people["calls"].tolist() == [left, left]
    assert f"For it {left} of 40 calls with a status remain" in report.sentence


def test_where_every_customer_told_a_name_nothing_is_compared_with_people(monkeypatch):
    monkeypatch.setattr("helpers.clusters.forest.TREES", 4)
    described = describe(*blobs(20, 14, 10), customers=4)
    clustering = cluster_calls(described, described.features, count=3)
    report = report_forest(described, clustering, imitate_listener(clustering))
    assert set(report.scores["compared_with"]) == {NAMES}
    assert "For it 0 of 44 calls with a status remain" in report.sentence


def test_a_call_whose_status_gave_a_name_is_not_scored_against_it(monkeypatch):
    """Where the nearest calls alone have the status that they lend, every name is wrong."""
    monkeypatch.setattr("helpers.clusters.forest.TREES", 8)
    described = describe(*blobs(20, 14, 10, spread=0.3), customers=44)
    clustering = cluster_calls(described, described.features, count=3)
    another = dict(zip(clustering.names, (*STATUSES[1:], STATUSES[0]), strict=True))
    shifted = clustering.calls["cluster"].map(another)
    nearest = find_nearest(clustering)
    shifted[nearest.index] = nearest["status"]
    clustering = clustering._replace(calls=clustering.calls.assign(status=shifted))
    report = report_forest(described, clustering, imitate_listener(clustering))
    scores = report.scores.set_index(["compared_with", "split"])
    assert (scores.loc[NAMES, "uar"] > 0.9).all()
    assert (scores.loc[PEOPLE, "uar"] < 0.1).all()
    assert (scores.loc[PEOPLE, "calls"] == 44 - len(nearest)).all()


def test_a_forest_judges_the_calls_of_no_named_cluster(noisy_report):
    clustering, report = noisy_report
    rest = clustering.calls[clustering.calls["cluster"] == clustering.names[2]]
    assert set(report.rest["path"]) == set(rest["path"])
    assert set(report.rest["verdict"]) <= {"satisfied", "unsatisfied"}
    assert report.rest["confidence"].is_monotonic_decreasing


@pytest.mark.parametrize("names", [{}, {"A": "satisfied"}, {"A": "average", "B": "average"}])
def test_without_two_names_there_is_no_forest(described, clustering, names):
    by_letter = {name[0]: name for name in clustering.names}
    report = report_forest(described, clustering, {by_letter[key]: names[key] for key in names})
    assert report.scores.empty and report.rest.empty
    assert report.sentence == TOO_FEW_NAMES


def test_with_one_customer_there_is_no_forest(described, clustering):
    calls = clustering.calls.assign(customer="the same")
    names = dict(zip(clustering.names, STATUSES, strict=True))
    report = report_forest(described, clustering._replace(calls=calls), names)
    assert report.scores.empty
    assert report.sentence.startswith("no forest: too few customers")


def test_a_call_of_an_unknown_customer_is_a_group_of_its_own(described):
    calls = described.calls.assign(customer=["", *described.calls["customer"][1:]])
    assert name_groups(calls)[:2].tolist() == ["hash 0", "customer 1"]
