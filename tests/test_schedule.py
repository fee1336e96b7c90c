from helpers.feedback.schedule import benchmark_schedule
from helpers.model_store import list_versions, read_history
from helpers.records import read_records
from helpers.retraining import read_predictions
from helpers.workspace import Workspace


def test_a_stream_is_learned_from_run_by_run_and_undone(trained, tmp_path):
    row = benchmark_schedule(trained, tmp_path / "schedule", runs=2).iloc[0]
    workspace = Workspace(tmp_path / "schedule" / "workspace")
    assert row["runs"] == 2
    assert row["calls"] == len(read_predictions(workspace)) == 3
    assert row["versions"] == row["loadable"] == len(list_versions(workspace))
    assert row["explained"] == row["promoted"] + row["kept aside"]
    assert row["rollbacks"] == row["identical"] == row["promoted"] - 1
    assert len(read_history(workspace)) == row["explained"] + row["rollbacks"]
    assert len(read_records(workspace)) == len(read_records(trained))
