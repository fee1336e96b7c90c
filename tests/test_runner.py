import pytest

from helpers.runner import NOTEBOOKS, PARTS, find_notebook, main


def test_every_command_runs_notebooks_that_exist():
    for numbers in PARTS.values():
        assert [find_notebook(number).parent for number in numbers] == [NOTEBOOKS] * len(numbers)


def test_the_demo_is_training_and_loop():
    assert PARTS["demo"] == PARTS["train"] + PARTS["loop"]


def test_every_notebook_is_run_by_some_command():
    numbers = {number for part in PARTS.values() for number in part}
    assert {path.name[:2] for path in NOTEBOOKS.glob("*.ipynb")} == numbers


@pytest.mark.parametrize("arguments", [[], ["fly", "--workspace", "w"], ["demo"]])
def test_wrong_arguments_end_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: python -m helpers.runner" in capsys.readouterr().err
