from pathlib import Path

import pytest

from forms_ingest.errors import SettingsError
from forms_ingest.settings import GOOGLE, OFFLINE, ColumnTitles, FormSettings, read_settings

SHEET = "1SheEt-id_0123456789abcdefghijklmnopqrstuvwxy"
FOLDER = "1FolDer-id_0123456789"


def write_file(folder: Path, text: str) -> dict[str, str]:
    (folder / "form.toml").write_text(text, encoding="utf-8")
    return {"CALL_EMOTION_SETTINGS": str(folder / "form.toml")}


def test_without_any_setting_the_form_is_offline():
    assert read_settings({}) == FormSettings()
    assert FormSettings().form == OFFLINE


def test_the_environment_of_the_process_is_read(monkeypatch):
    monkeypatch.setenv("CALL_EMOTION_SHEET_TAB", "Answers")
    assert read_settings().sheet_tab == "Answers"


def test_every_simple_setting_has_a_variable():
    settings = read_settings(
        {
            "CALL_EMOTION_FORM": "google",
            "CALL_EMOTION_SHEET_ID": SHEET,
            "CALL_EMOTION_SHEET_TAB": " Answers ",
            "CALL_EMOTION_DRIVE_FOLDER": FOLDER,
            "CALL_EMOTION_DRIVE_ENDPOINT": "http://127.0.0.1:8/drive/v3",
            "CALL_EMOTION_SHEETS_ENDPOINT": "http://127.0.0.1:8",
            "CALL_EMOTION_SERVICE_ACCOUNT": "key.json",
            "CALL_EMOTION_WRITE_BACK": "yes",
            "CALL_EMOTION_ALLOW_FEWER": "1",
            "CALL_EMOTION_SOMETHING_ELSE": "is not ours",
        }
    )
    assert settings == FormSettings(
        GOOGLE,
        SHEET,
        "Answers",
        FOLDER,
        "http://127.0.0.1:8/drive/v3/",
        "http://127.0.0.1:8/",
        "key.json",
        write_back=True,
        allow_fewer=True,
    )


def test_an_override_wins_over_the_environment_and_that_over_the_file(tmp_path):
    environment = write_file(tmp_path, f'sheet_id = "{SHEET}"\nsheet_tab = "file"')
    assert read_settings(environment).sheet_tab == "file"
    environment["CALL_EMOTION_SHEET_TAB"] = "environment"
    assert read_settings(environment).sheet_tab == "environment"
    assert read_settings(environment, sheet_tab="override").sheet_tab == "override"
    assert read_settings(environment, sheet_tab="").sheet_tab == "environment"
    environment["CALL_EMOTION_SHEET_TAB"] = " "
    assert read_settings(environment).sheet_tab == "file"


def test_a_file_may_hold_titles_and_statuses(tmp_path):
    environment = write_file(
        tmp_path,
        f"""
        sheet_id = "{SHEET}"
        write_back = true
        [titles]
        timestamp = "Zeitstempel"
        status = "Stimmung"
        [statuses]
        zufrieden = "satisfied"
        "Nicht zufrieden" = "unsatisfied"
        geht = "average"
        """,
    )
    settings = read_settings(environment)
    assert settings.titles == ColumnTitles(timestamp="Zeitstempel", status="Stimmung")
    assert (settings.form, settings.write_back, settings.allow_fewer) == (GOOGLE, True, False)
    answers = [
        "zufrieden",
        " ZUFRIEDEN ",
        "nicht zufrieden",
        "geht",
        "Satisfied",
        "avg",
        "prima",
        "",
    ]
    assert [settings.parse_answer(answer) for answer in answers] == [
        "satisfied", "satisfied", "unsatisfied", "average", "satisfied", "average", None, None,
    ]  # fmt: skip


def test_a_configured_answer_may_mean_something_else_than_in_english():
    settings = FormSettings(statuses={"average": "unsatisfied"})
    assert settings.parse_answer("Average") == "unsatisfied"


@pytest.mark.parametrize(
    "form, sheet_id, expected",
    [
        ("", SHEET, GOOGLE),
        ("google", SHEET, GOOGLE),
        ("offline", SHEET, OFFLINE),
        ("", "", OFFLINE),
    ],
)
def test_the_form_is_googles_where_a_sheet_is_named(form, sheet_id, expected):
    environment = {"CALL_EMOTION_FORM": form, "CALL_EMOTION_SHEET_ID": sheet_id}
    assert read_settings(environment).form == expected
    assert read_settings({}, form=form, sheet_id=sheet_id).form == expected


@pytest.mark.parametrize(
    "text",
    [
        SHEET,
        f" {SHEET}\n",
        f"https://docs.google.com/spreadsheets/d/{SHEET}",
        f"https://docs.google.com/spreadsheets/d/{SHEET}/edit?resourcekey=&gid=0#gid=0",
        f"https://docs.google.com/spreadsheets/u/1/d/{SHEET}/edit",
        f"docs.google.com/spreadsheets/d/{SHEET}/",
    ],
)
def test_a_sheet_may_be_named_by_its_link(text, tmp_path):
    assert read_settings({}, sheet_id=text).sheet_id == SHEET
    environment = write_file(tmp_path, f"sheet_id = '''{text}'''")
    assert read_settings(environment).sheet_id == SHEET


@pytest.mark.parametrize(
    "text",
    [
        FOLDER,
        f"https://drive.google.com/drive/folders/{FOLDER}",
        f"https://drive.google.com/drive/u/0/folders/{FOLDER}?usp=sharing",
    ],
)
def test_a_folder_may_be_named_by_its_link(text):
    assert read_settings({}, drive_folder=text).drive_folder == FOLDER


@pytest.mark.parametrize("value", ["yes", "YES", "1", "true", "True"])
def test_a_switch_can_be_on(value):
    assert read_settings({"CALL_EMOTION_WRITE_BACK": value}).write_back is True


@pytest.mark.parametrize("value", ["no", "0", "False", "", " "])
def test_a_switch_can_be_off(value):
    assert read_settings({"CALL_EMOTION_WRITE_BACK": value}).write_back is False


@pytest.mark.parametrize(
    "environment, sentence",
    [
        ({"FORM": "excel"}, "CALL_EMOTION_FORM is 'excel', expected google or offline"),
        ({"FORM": "google"}, "CALL_EMOTION_SHEET_ID is not set: it is the response sheet's link"),
        ({"WRITE_BACK": "perhaps"}, "CALL_EMOTION_WRITE_BACK is 'perhaps', expected yes or no"),
        ({"ALLOW_FEWER": "2"}, "CALL_EMOTION_ALLOW_FEWER is '2', expected yes or no"),
        ({"SHEET_ID": "https://docs.google.com/forms/d/x/edit"}, "neither an id nor its link"),
        ({"SHEET_ID": f"https://drive.google.com/drive/folders/{FOLDER}"}, "copy the link again"),
        ({"DRIVE_FOLDER": "Call recording (File responses)"}, "neither an id nor its link"),
        ({"SHEET_TAB": "Call Emotion"}, "CALL_EMOTION_SHEET_TAB is 'Call Emotion', where verdicts"),
        ({"SETTINGS": "nowhere.toml"}, "the settings file nowhere.toml cannot be read: .*No such"),
    ],
)
def test_a_value_that_is_not_understood_is_named(environment, sentence):
    environment = {f"CALL_EMOTION_{name}": value for name, value in environment.items()}
    with pytest.raises(SettingsError, match=sentence):
        read_settings(environment)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("sheet", "cannot be read: "),
        ('sheetid = "x"\ntab = "y"', "has sheetid, tab, which nothing reads; there are form,"),
        ('[titles]\nmood = "x"', r"titles has mood; there are \['timestamp', 'recording'"),
        ('[statuses]\nprima = "good"', "the answer 'prima' means 'good', expected one of"),
        ('titles = "Mood"', "titles in the settings file .* is no table of texts"),
        ("[titles]\nstatus = 5", "titles in the settings file .* is no table of texts"),
        ('statuses = ["prima"]', "statuses in the settings file .* is no table of texts"),
        ("[statuses]\nprima = 1", "statuses in the settings file .* is no table of texts"),
        ("sheet_id = 1.5", "neither an id nor its link"),
        ("write_back = 3", "CALL_EMOTION_WRITE_BACK is '3', expected yes or no"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_understood_is_named(tmp_path, text, sentence):
    with pytest.raises(SettingsError, match=sentence):
        read_settings(write_file(tmp_path, text))


def test_a_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "form.toml").write_bytes('sheet_tab = "Größe"'.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"form\.toml cannot be read"):
        read_settings({"CALL_EMOTION_SETTINGS": str(tmp_path / "form.toml")})
