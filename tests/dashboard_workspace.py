"""A small workspace in which every page of the dashboard has something to show."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import place_call

from helpers.conversation.story import STORY_COLUMNS
from helpers.files import write_csv
from helpers.model_store import (
    KEPT_ASIDE,
    PROMOTED,
    add_version,
    load_champion,
    record_decision,
)
from helpers.prediction import PROBABILITIES
from helpers.records import build_records
from helpers.retraining import COLUMNS, list_reviews
from helpers.workspace import Workspace

WAITING = ("audio_data/bill_sat.wav", "audio_data/tariff_avg.wav")
"""Calls on the review list, the likeliest wrong answer first."""

GOLDEN = {
    **{"digest": "a", "calls": 6, "uar": 0.8, "uar_low": 0.6, "uar_high": 0.9},
    **{"kappa": 0.7, "calibration_error": 0.1},
}


def fill_workspace(workspace: Workspace, *recordings: Path) -> Workspace:
    """Add two calls to review, stories, and two versions: one promoted, one kept aside.

    Args:
        workspace: with a model, such as the fixture `trained`
        recordings: to review instead of sounds that are made, as many as `WAITING`
    """
    place_call(workspace, "bill", pitch=260, answer="satisfied", duration_s=6, seed=70)
    place_call(workspace, "tariff", pitch=180, answer="average", duration_s=6, seed=71)
    for recording, path in zip(recordings, WAITING, strict=False):
        shutil.copy(recording, workspace.folder / path)
    records = build_records(workspace)
    _write_predictions(workspace, records)
    _write_stories(workspace, records)
    first = load_champion(workspace)
    probes = np.random.default_rng(0).normal(size=(3, len(first.feature_set.names)))
    for event, reason in ((PROMOTED, "It is better."), (KEPT_ASIDE, "It is *worse* in the draws.")):
        version = add_version(workspace, first, {"golden": GOLDEN}, probes=probes).version
        against = load_champion(workspace).version
        record_decision(workspace, version, event=event, reasons=[reason], against=against)
    return workspace


def _write_predictions(workspace: Workspace, records: pd.DataFrame) -> None:
    rows = records[records["path"].isin(WAITING)].sort_values("path")
    table = pd.DataFrame(
        {
            **{"path": rows["path"], "expected": rows["status"], "status": "unsatisfied"},
            **{"start_status": "average", "end_status": "unsatisfied"},
            **dict(zip(PROBABILITIES, (0.05, 0.05, 0.9), strict=True)),
            **{"confidence": 0.9, "needs_human": False, "mismatch": True},
            **{"cause": "likely wrong label", "label_error": [0.9, 0.6][: len(rows)]},
            **dict.fromkeys(("retrained", "disputed", "confirmed"), False),
            **{"counted": True, "unseen": True, "duration_s": 6.0, "model": "0001-aaaaaaaa"},
            **{"judged_at": "2026-11-02T09:00:00+00:00", "content_hash": rows["content_hash"]},
            **{"triaged_as": rows["status"], "faults": "", "error": "", "source": "form"},
        }
    )
    write_csv(workspace.predictions, table[list(COLUMNS)])
    write_csv(workspace.review_list, list_reviews(table))


def _write_stories(workspace: Workspace, records: pd.DataFrame) -> None:
    numbers = np.arange(len(records))
    known = {name: records[name] for name in ("path", "customer", "duration_s", "content_hash")}
    stories = pd.DataFrame(
        {
            **known,
            **{"agent": np.where(numbers % 2, "Ann", "Bob"), "status": records["status"]},
            **{"p_unsatisfied": numbers / len(records), "trend": "steady", "upset_end": 0.5},
            **{"upset_peak": 0.6, "role_certainty": 0.95, "told_with": "test"},
        }
    )
    write_csv(workspace.call_stories, stories.reindex(columns=list(STORY_COLUMNS)))
