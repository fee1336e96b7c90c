import html

import pytest
from conftest import PITCHES, write_call

from helpers.errors import MissingStepError
from helpers.rejections import Rejection, record_rejections
from helpers.report import summarise, write_report
from helpers.retraining import learn_from_form


def lines(workspace) -> dict[str, str]:
    return dict(summarise(workspace).itertuples(index=False))


def test_before_the_form_the_summary_is_about_the_archive(trained):
    assert list(lines(trained)) == ["calls used", "files rejected", "score on unseen customers"]
    assert lines(trained)["calls used"] == "9 (3 satisfied, 3 average, 3 unsatisfied)"


def test_the_summary_names_mismatches_and_what_was_retrained(trained):
    path = trained.audio_data / "a_unsat.wav"
    write_call(path, 46, seed=50, pitch=PITCHES["satisfied"])
    learn_from_form(trained)
    summary = lines(trained)
    assert summary["verdict differs from the answer"] == "1 of 1"
    assert summary["score on the form's calls"] == "accuracy 0.00, UAR 0.00 on 1 unseen calls"
    assert summary["retrained"].startswith("yes, with 1 end segments of mismatched calls; UAR")


def test_a_form_whose_calls_all_agree_is_no_reason_to_retrain(trained):
    write_call(trained.audio_data / "a_sat.wav", 46, seed=50, pitch=PITCHES["satisfied"])
    learn_from_form(trained)
    assert lines(trained)["retrained"] == "no: no mismatch on a call longer than 45 s"


def test_the_page_shows_every_rejected_file_and_no_markup_of_theirs(trained):
    name = "<script>alert(1)</script>.wav"
    record_rejections(trained, [Rejection(name, "text, not sound")], step="01 conversion")
    trained.reports.mkdir()
    (trained.reports / "01_setup.html").touch()
    page = write_report(trained).read_text()
    assert html.escape(name) in page
    assert "<script>" not in page
    assert '<a href="01_setup.html">01 setup</a>' in page


def test_an_empty_workspace_names_the_notebook_to_run(workspace):
    with pytest.raises(MissingStepError, match="run notebook 02 first"):
        write_report(workspace)
