"""Break one safeguard of `forms_ingest` at a time and see whether the tests notice.

python tests/break_safeguards.py [words of a safeguard's name]

Each is broken in a copy of the project, by replacing a text that has to be there once. The exit
code is 1 where a safeguard is broken and no test fails, or where its text is not there any more.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
ENOUGH = 5  # failing tests after which it is clear


class Safeguard(NamedTuple):
    """What protects, the text that does it, what it is replaced by, and the tests to run."""

    name: str
    module: str
    text: str
    broken: str
    tests: str
    words: str


CASES, FORM, RETRYING, AUTH = (
    f"tests/test_{name}.py" for name in ("google_cases", "google_form", "retrying", "auth")
)
SAFEGUARDS = [
    Safeguard("content is verified", "transfer",
              "if is_content(part, upload):", "if True:",
              CASES, "case-11 or case-12 or case-18 or case_14"),
    Safeguard("content is verified by more than its size", "transfer",
              "return digest(path, upload.algorithm) == upload.checksum", "return True",
              CASES, "case-12 or case-18 or case_14"),
    Safeguard("metadata is asked anew in each round", "transfer",
              "upload = form.find_upload(response)", "pass",
              CASES, "case_14"),
    Safeguard("a spoilt part file is thrown away", "transfer",
              "        part.unlink()\n    raise", "    raise",
              CASES, "case-11 or case-12 or case_16"),
    Safeguard("a killed run is continued", "transfer",
              'part.open("ab", buffering=0)', 'part.open("wb", buffering=0)',
              CASES, "case_16"),
    Safeguard("what came is on disk at once", "transfer",
              'part.open("ab", buffering=0)', 'part.open("ab", buffering=8 << 20)',
              CASES, "case_16"),
    Safeguard("broken connections are retried", "retrying",
              "except _BROKEN as error:", "except () as error:",
              CASES, "case-10"),
    Safeguard("403 with a rate reason is retried", "retrying",
              "return self.status == 403 and bool(self.reasons & PASSING_REASONS)",
              "return False",
              CASES, "case-1"),
    Safeguard("403 without a rate reason is not retried", "retrying",
              "return self.status == 403 and bool(self.reasons & PASSING_REASONS)",
              "return self.status == 403",
              CASES, "case-4"),
    Safeguard("Retry-After is waited for", "retrying",
              "if asked is not None:", "if False:",
              RETRYING, "retry_after or budget"),
    Safeguard("all attempts together are bounded", "retrying",
              " | stop_before_delay(policy.all_attempts_s)", "",
              RETRYING, "longer_than_the_budget and [6]"),
    Safeguard("each attempt has a deadline", "retrying",
              "answers.get(timeout=seconds)", "answers.get()",
              f"{CASES} {RETRYING}", "case_15 or bounded"),
    Safeguard("a daily limit stops the run", "retrying",
              "    if failure.reasons & STOPPING_REASONS:\n        return StopRunError",
              "    if False:\n        return StopRunError",
              CASES, "case-6 or case_6"),
    Safeguard("a failing token service is no wrong key", "retrying",
              "if not unanswered and not error.retryable:", "if True:",
              CASES, "case_2"),
    Safeguard("one run at a time", "ingest",
              "with FileLock(workspace.form_lock, timeout=0):", "if True:",
              CASES, "case_41"),
    Safeguard("calls are put in place at once", "placement",
              "replacing(workspace.folder / action.path) as file:",
              '__import__("contextlib").nullcontext(workspace.folder / action.path) as file:',
              CASES, "case_16 or case_21"),
    Safeguard("what will be placed is written down before", "placement",
              "            note()\n", "            pass\n",
              CASES, "case_16"),
    Safeguard("what will be renamed is written down before", "placement",
              "        _note(workspace, ledger, row)\n        os.replace(",
              "        os.replace(",
              CASES, "case_16"),
    Safeguard("calls in place are looked at again", "ingest",
              'return path.is_file() and digest(path, "sha256") == row["placed_sha256"]',
              "return path.is_file()",
              CASES, "case_43"),
    Safeguard("a sheet that shrank is not believed", "ingest",
              "and not settings.allow_fewer:", "and False:",
              CASES, "case_36"),
    Safeguard("an answer of 200 to a range is cut", "google_form",
              "return content[start:] if statuses[-1] == 200 else content", "return content",
              CASES, "case_13"),
    Safeguard("the bin is left alone", "google_form",
              'if file.get("trashed"):', "if False:",
              CASES, "case-27 or case_27"),
    Safeguard("an incomplete list is not believed", "google_form",
              'if page.get("incompleteSearch"):', "if False:",
              CASES, "case_37"),
    Safeguard("a young upload is waited for", "google_form",
              "if error.status == 404 and self._is_young(response.time):", "if False:",
              CASES, "case_38"),
    Safeguard("writing is asked for only where it is needed", "auth",
              "WRITE_SCOPES if settings.write_back else READ_SCOPES", "WRITE_SCOPES",
              AUTH, "scopes or writing or limited"),
    Safeguard("verdicts that are there are not written", "google_sheet",
              "if _padded(written, width, height) == _padded(texts, width, height):", "if False:",
              FORM, "again or exactly"),
]  # fmt: skip


def copy_project(target: Path) -> None:
    for name in ("forms_ingest", "helpers", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, target / name, ignore=ignored)
    shutil.copyfile(PROJECT / "pyproject.toml", target / "pyproject.toml")


def count_failures(folder: Path, tests: str, words: str) -> int:
    """Run tests in a copy of the project; -1 where they did not run at all."""
    command = [sys.executable, "-m", "pytest", *tests.split(), "-k", words]
    options = [f"--maxfail={ENOUGH}", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        print(done.stdout[-2000:], done.stderr[-2000:])
        return -1
    return len(re.findall(r"^(?:FAILED|ERROR) ", done.stdout, re.MULTILINE))


def try_without(safeguard: Safeguard) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        copy_project(folder)
        module = folder / "forms_ingest" / f"{safeguard.module}.py"
        code = module.read_text()
        if code.count(safeguard.text) != 1:
            return f"NOT FOUND in {safeguard.module}.py ({code.count(safeguard.text)} times)"
        module.write_text(code.replace(safeguard.text, safeguard.broken))
        failures = count_failures(folder, safeguard.tests, safeguard.words)
    if failures > 0:
        return f"noticed by {failures} tests" + " or more" * (failures >= ENOUGH)
    return "NOT NOTICED" if failures == 0 else "NOT TESTED: the tests did not run"


def main(words: list[str]) -> int:
    chosen = [each for each in SAFEGUARDS if all(word in each.name for word in words)]
    width = max(len(each.name) for each in chosen) + 2
    results = []
    for safeguard in chosen:
        results.append(try_without(safeguard))
        print(f"{safeguard.name:{width}}{results[-1]}", flush=True)
    return int(not all(result.startswith("noticed") for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
