"""Bring many responses in from the Google server of the tests, and say what that takes.

python tests/ingest_many.py 1000
"""

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from google.oauth2.credentials import Credentials
from google_server import GoogleServer
from google_site import FIRST_DAY, HEADER, TAB, link, wav

from forms_ingest.google_form import GoogleForm
from forms_ingest.ingest import ingest_responses
from forms_ingest.settings import FormSettings
from helpers.workspace import open_workspace

SECONDS = 2  # of each call
ANSWERS = ("Satisfied", "Average", "Not satisfied")


def serve(count: int, connection) -> None:
    """Be Google, in a process of its own, whose memory is not counted."""
    with GoogleServer() as server:
        rows = [list(HEADER)]
        for number in range(count):
            content = wav(number, SECONDS * 16_000)
            file_id = server.add_file(content, name=f"call_{number:05}.wav")
            answer = ANSWERS[number % len(ANSWERS)]
            rows.append([FIRST_DAY + number / 1440, "", link(file_id), "", answer])
        server.set_rows(TAB, rows, date_columns=[0])
        connection.send((server.drive_endpoint, server.sheets_endpoint))
        connection.recv()


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line)


def main(count: int) -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(count, there))
    process.start()
    drive, sheets = here.recv()
    settings = FormSettings(
        form="google", sheet_id="sheet", drive_endpoint=drive, sheets_endpoint=sheets
    )
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_workspace(folder)
        before = peak_mib()
        for run in ("first", "second"):
            began = time.perf_counter()
            form = GoogleForm(settings, Credentials("test-token"))
            table = ingest_responses(form, workspace, settings=settings)
            seconds = time.perf_counter() - began
            print(
                f"{run} run: {count} responses in {seconds:.1f} s, "
                f"{table['outcome'].value_counts().to_dict()}, "
                f"peak memory {before:.0f} + {peak_mib() - before:.0f} MiB"
            )
    here.send("done")
    process.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
