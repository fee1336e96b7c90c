import html
import re
import shutil

import pytest
from conftest import HIGH_AVERAGE, PITCHES, place_call, write_call

from helpers.clusters.labels import write_cluster_labels
from helpers.errors import MissingStepError
from helpers.model_store import (
    KEPT_ASIDE,
    find_champion,
    list_versions,
    read_card,
    read_history,
    record_decision,
    rollback,
)
from helpers.records import list_unlabelled
from helpers.rejections import Rejection, record_rejections
from helpers.report import summarise, write_report
from helpers.retraining import learn_from_form
from helpers.workspace import Workspace, open_workspace

AFTER_TRAINING = ["calls used", "files rejected", "score on unseen customers", "model that judges"]


def lines(workspace) -> dict[str, str]:
    return dict(summarise(workspace).itertuples(index=False))


@pytest.fixture(scope="module")
def learned_once(improvable_once, tmp_path_factory) -> Workspace:
    """A workspace whose champion was replaced after a model error, beside a wrong answer."""
    folder = tmp_path_factory.mktemp("learned") / "workspace"
    shutil.copytree(improvable_once.folder, folder)
    workspace = open_workspace(folder)
    place_call(workspace, "error", pitch=HIGH_AVERAGE - 4, answer="average")
    place_call(workspace, "error_too", pitch=HIGH_AVERAGE - 6, seed=51, answer="average")
    place_call(workspace, "right", pitch=PITCHES["satisfied"], seed=52, answer="satisfied")
    place_call(workspace, "wrong", pitch=PITCHES["satisfied"], seed=55, answer="unsatisfied")
    learn_from_form(workspace)
    return workspace


@pytest.fixture
def learned(learned_once, tmp_path) -> Workspace:
    shutil.copytree(learned_once.folder, tmp_path / "learned")
    return open_workspace(tmp_path / "learned")


def date_of(workspace) -> str:
    """Day of the last decision."""
    return read_history(workspace)["time"].iloc[-1][:10]


def test_before_the_form_the_summary_is_about_the_archive_and_the_model(trained):
    assert list(lines(trained)) == AFTER_TRAINING
    assert lines(trained)["calls used"] == "9 (3 satisfied, 3 average, 3 unsatisfied)"
    version = find_champion(trained)
    assert lines(trained)["model that judges"] == (
        f"{version}; golden set of 3 calls: UAR 1.00 (95 % interval 1.00 to 1.00)"
    )


def test_before_the_training_no_model_is_named(trained):
    shutil.rmtree(trained.models)
    trained.evaluation.unlink()
    assert list(lines(trained)) == AFTER_TRAINING[:-1]
    assert lines(trained)["score on unseen customers"] == "not trained yet"


def test_the_summary_names_mismatches_reviews_and_what_became_of_the_new_version(learned_once):
    summary = lines(learned_once)
    assert list(summary) == [
        *AFTER_TRAINING[:-1],
        "calls from the form",
        "verdict differs from the answer",
        "for a person to listen to",
        "score on the form's calls",
        "people among themselves",
        "retrained",
        "model that judges",
    ]
    assert summary["calls from the form"] == "4"
    assert summary["verdict differs from the answer"] == "3 of 4"
    assert summary["for a person to listen to"] == "1 likely wrong label, see review_list.csv"
    assert summary["score on the form's calls"] == "accuracy 0.25, UAR 0.33 on 4 unseen calls"
    assert summary["people among themselves"].startswith("no call was answered by two people yet")
    version = find_champion(learned_once)
    reason = "UAR on the golden set 0.6"
    assert summary["retrained"].startswith(
        f"{version} promoted on {date_of(learned_once)}: {reason}"
    )
    assert summary["model that judges"].startswith(f"{version}; golden set of 3 calls: UAR 1.00")


def test_a_version_that_was_kept_aside_is_named_with_the_reason_and_the_old_one_judges(learned):
    first, second = list_versions(learned)
    rollback(learned, first, reason="complaints of the night shift")
    when = f"rolled back on {date_of(learned)}"
    assert lines(learned)["retrained"] == f"{first} {when}: complaints of the night shift"
    decision = {"event": KEPT_ASIDE, "reasons": ["Recall falls."], "against": first}
    record_decision(learned, second, **decision)
    assert (
        lines(learned)["retrained"] == f"{second} kept aside on {date_of(learned)}: Recall falls."
    )
    assert lines(learned)["model that judges"].startswith(first)


def test_a_form_whose_calls_all_agree_is_no_reason_to_retrain(trained):
    place_call(trained, "a", pitch=PITCHES["satisfied"], answer="satisfied")
    learn_from_form(trained)
    assert lines(trained)["retrained"] == "no: no mismatch was an error of the model"
    assert lines(trained)["for a person to listen to"] == "none"


def test_names_of_clusters_that_were_learned_along_are_counted(improvable):
    write_call(improvable.dataset / "calls" / "a.wav", 46, seed=80, pitch=PITCHES["satisfied"])
    details = {"cluster": "A-000000", "distance": 1.0, "certainty": 0.5, "status": "satisfied"}
    write_cluster_labels(improvable, list_unlabelled(improvable).assign(**details))
    learn_from_form(improvable)
    assert "learned along" not in lines(improvable)
    place_call(improvable, "error", pitch=HIGH_AVERAGE - 4, answer="average")
    _, promotion = learn_from_form(improvable)
    assert lines(improvable)["learned along"] == (
        "1, with only their cluster's name, which the verdict agrees with"
    )
    assert read_card(improvable, promotion.version)["training"]["named"] == 1


def test_the_page_shows_every_version_with_its_reason_and_every_call_to_listen_to(learned_once):
    page = html.unescape(write_report(learned_once).read_text())
    for version in list_versions(learned_once):
        assert version in page
    assert "It is the first model: there was none to compare it with." in page
    assert "no status and no group of 10 calls falls beyond the limits" in page  # not cut short
    (row,) = re.findall(r"<tr>(?:(?!</tr>).)*wrong_unsat(?:(?!</tr>).)*Listen", page, re.DOTALL)
    assert "likely wrong label" in row
    assert "..." not in page


def test_the_page_shows_every_rejected_file_and_no_markup_of_theirs(trained):
    name = "<script>alert(1)</script>.wav"
    record_rejections(trained, [Rejection(name, "text, not sound")], step="01 conversion")
    trained.reports.mkdir()
    (trained.reports / "01_setup.html").touch()
    page = write_report(trained).read_text()
    assert html.escape(name) in page
    assert "<script>" not in page
    assert '<a href="01_setup.html">01 setup</a>' in page


def test_the_names_of_the_forms_calls_become_no_markup_either(trained):
    place_call(trained, "<b>a", pitch=PITCHES["satisfied"], answer="unsatisfied")
    learn_from_form(trained)
    page = write_report(trained).read_text()
    assert "&lt;b&gt;a" in page
    assert "<b>" not in page


def test_an_empty_workspace_names_the_notebook_to_run(workspace):
    with pytest.raises(MissingStepError, match="run notebook 02 first"):
        write_report(workspace)
