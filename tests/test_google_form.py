"""What is asked of Google, and how often: lean reading, chips, names, and the tab of verdicts."""

import pytest
from google_site import BRISK, TAB, link, outcomes

from forms_ingest.errors import RetryLaterError, SettingsError
from forms_ingest.google_form import FILE_FIELDS
from forms_ingest.ingest import ingest_responses

VERDICTS = [
    ["Submitted", "Recording", "Agree"],
    ["46053.5", "007.wav", "yes"],
    ["46054.5", "=1+1", ""],
    ["46055.5", "", ""],
]
OWN = "Call Emotion"


def queries(site, kind: str) -> list[dict]:
    return [each.query for each in site.server.requests if each.kind == kind]


def test_a_run_reads_the_sheet_once_and_each_upload_once(site):
    for number in range(5):
        site.upload(name=f"call_{number}.wav")
    site.run()
    assert site.counts("values", "sheet", "list", "meta", "media") == [1, 0, 0, 5, 5]


def test_a_second_run_with_nothing_new_reads_the_sheet_once_and_fetches_nothing(site):
    for number in range(5):
        site.upload(name=f"call_{number}.wav")
    site.run()
    site.server.requests.clear()
    assert set(outcomes(site.run())) == {"unchanged"}
    assert site.counts("values", "sheet", "list", "meta", "media") == [1, 0, 0, 5, 0]
    assert len(site.server.requests) == 6


def test_a_dry_run_asks_but_fetches_and_writes_nothing(site):
    site.upload()
    site.publish()
    table = ingest_responses(site.form(), site.workspace, settings=site.settings(), dry_run=True)
    assert outcomes(table) == ["placed"]
    assert site.counts("values", "meta", "media") == [1, 1, 0]
    assert list(site.workspace.folder.iterdir()) == []


def test_every_request_about_a_file_names_its_fields_and_covers_shared_drives(site):
    site.add(name="by name.wav")
    site.respond("by name.wav")
    site.upload()
    site.run()
    assert {query["fields"] for query in queries(site, "meta")} == {FILE_FIELDS}
    for kind in ("meta", "media", "list"):
        assert {query["supportsAllDrives"] for query in queries(site, kind)} == {"true"}
    (query,) = queries(site, "list")
    assert query["includeItemsFromAllDrives"] == "true"
    assert query["q"] == "'folder' in parents and trashed = false"
    assert "incompleteSearch" in query["fields"]
    assert "acknowledgeAbuse" not in str(queries(site, "media"))


def test_contents_are_asked_for_without_compression_and_in_small_ranges(site):
    site.upload()
    site.run()
    (request,) = [each for each in site.server.requests if each.kind == "media"]
    assert request.range == f"bytes=0-{len(site.contents[request.file_id][0]) - 1}"
    assert request.headers["accept-encoding"] == "identity"


def test_the_folder_is_listed_once_for_all_names(site):
    for number in range(4):
        site.add(name=f"call_{number} - Ann.wav")
        site.respond(f"call_{number}.wav")
    assert set(outcomes(site.run())) == {"placed"}
    assert site.server.count("list") == 1


def test_links_behind_names_are_read_with_one_more_call(site):
    first, second, third = (site.add(name=name) for name in ("a.wav", "b.wav", "c.wav"))
    site.respond("a.wav, b.wav", "Satisfied")
    site.respond("", "Average")
    site.respond("c.wav", "Average")
    site.publish(
        chips={(1, 2): [link(first), link(second)]},
        links={(3, 2): link(third), (0, 2): "https://example.org/the-question"},
    )
    table = site.run(published=True, drive_folder="")
    assert outcomes(table) == ["placed", "placed", "quarantined", "placed"]
    assert site.names() == ["a_sat.wav", "b_sat.wav", "c_avg.wav"]
    assert site.counts("values", "sheet", "list") == [1, 1, 0]
    (query,) = queries(site, "sheet")
    assert query["ranges"] == f"'{TAB}'!C:C"


def test_chips_in_a_column_after_z_are_found(site):
    site.header[2:2] = [f"Question {number}" for number in range(30)]
    file_id = site.add()
    site.respond("call.wav")
    site.rows[0][2:2] = [""] * 30
    site.publish(chips={(1, 32): [link(file_id)]})
    assert outcomes(site.run(published=True)) == ["placed"]
    assert queries(site, "sheet")[0]["ranges"].endswith("!AG:AG")


def test_a_tab_with_a_quote_in_its_name_is_read(site):
    site.upload()
    site.publish(tab="Ann's answers")
    assert outcomes(site.run(published=True, sheet_tab="Ann's answers")) == ["placed"]


def test_a_tab_without_rows_is_possible(site):
    site.publish()
    assert site.form(write_back=True).write_rows(OWN, []) is False


def test_verdicts_get_a_tab_of_their_own_in_one_write(site):
    site.upload()
    site.publish()
    before = site.server.rows(TAB)
    assert site.form(write_back=True).write_rows(OWN, VERDICTS) is True
    assert [row[: len(VERDICTS[0])] for row in site.server.rows(OWN)] == VERDICTS
    assert site.server.rows(TAB) == before
    assert site.server.count("write") == 2  # the tab, and all rows in one batch


def test_verdicts_that_are_there_are_not_written_again(site):
    site.publish()
    form = site.form(write_back=True)
    form.write_rows(OWN, VERDICTS)
    writes = site.server.count("write")
    assert form.write_rows(OWN, VERDICTS) is False
    assert site.server.count("write") == writes


@pytest.mark.parametrize("rows", [VERDICTS[:2], [*VERDICTS, ["46056.5", "new.wav", "no"]]])
def test_the_tab_holds_exactly_the_rows_of_the_last_time(site, rows):
    site.publish()
    form = site.form(write_back=True)
    form.write_rows(OWN, VERDICTS)
    assert form.write_rows(OWN, rows) is True
    shown = [row for row in site.server.rows(OWN) if any(row)]
    assert shown == rows
    assert form.write_rows(OWN, rows) is False


def test_a_tab_of_fewer_columns_leaves_nothing_of_the_wider_one(site):
    site.publish()
    site.server.set_rows(OWN, [["a", "b", "c", "somebody's note"], ["1", "2", "3", "4"]])
    site.form(write_back=True).write_rows(OWN, VERDICTS)
    assert site.server.rows(OWN) == [[*row, ""] for row in VERDICTS]
    assert site.form(write_back=True).write_rows(OWN, VERDICTS) is False


@pytest.mark.parametrize("there", [False, True])
def test_more_verdicts_than_a_new_tab_has_rows_are_written(site, there):
    site.publish()
    if there:
        site.form(write_back=True).write_rows(OWN, VERDICTS)
    rows = [[str(number), "x"] for number in range(2500)]
    assert site.form(write_back=True).write_rows(OWN, rows) is True
    assert [row[:2] for row in site.server.rows(OWN)] == rows
    assert site.form(write_back=True).write_rows(OWN, rows) is False


@pytest.mark.parametrize("fault", [503, 429, "cut", "reset", "close_before_status"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_write_whose_answer_is_lost_is_repeated_without_harm(site, fault, nth):
    site.publish()
    site.server.fail("write", fault, nth=nth)
    assert site.form(write_back=True).write_rows(OWN, VERDICTS) is True
    assert [row[: len(VERDICTS[0])] for row in site.server.rows(OWN)] == VERDICTS


def test_without_the_permission_to_write_nothing_is_written(site):
    site.publish()
    site.server.fail("write", 403, None)
    with pytest.raises(SettingsError, match="share it as Editor with the account"):
        site.form(write_back=True).write_rows(OWN, VERDICTS)
    assert list(site.server.spreadsheet().tabs) == [TAB]


def test_a_sheet_that_cannot_be_written_this_time_is_left_to_the_next_run(site):
    site.publish()
    site.server.fail("write", 503, None)
    with pytest.raises(RetryLaterError, match="the next run goes on"):
        site.form(write_back=True, policy=BRISK).write_rows(OWN, VERDICTS)


def test_reading_never_writes(site):
    site.upload()
    site.run()
    site.run()
    assert {each.method for each in site.server.requests} == {"GET"}
