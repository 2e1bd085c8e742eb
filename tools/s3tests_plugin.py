"""A plugin of pytest for ceph/s3-tests: it runs inside the suite's environment, not in ours.

Each test gets a bucket prefix of its own, so that a bucket which cannot be emptied fails the test
that made it and no other. What was collected and how each test ended goes, a JSON line each, to
the file that FASTOBJ_S3TESTS_RESULTS names.
"""

import json
import os
import random
import string
import sys
from collections.abc import Generator
from typing import Any

import pytest

_RESULTS = os.environ["FASTOBJ_S3TESTS_RESULTS"]
_RANDOM_LENGTH = 26
_MESSAGE_MAX = 300
_RANDOM = random.SystemRandom()

_ended: dict[str, list[pytest.TestReport]] = {}


def _write(row: dict[str, Any]) -> None:
    with open(_RESULTS, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Says what will run, so that what never ends is missed."""
    _write({"collected": [item.nodeid for item in session.items]})


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: "pytest.FixtureDef[Any]") -> Generator[None, object, object]:
    """Makes the prefix anew before the suite's own fixture looks for buckets that begin with it."""
    if fixturedef.argname == "setup_teardown":  # its `configfile` has been made by now
        suite: Any = sys.modules["s3tests.functional"]
        suite.prefix = _new_prefix()
    return (yield)


def _new_prefix() -> str:
    signs = string.ascii_lowercase + string.digits
    return f"fo-{''.join(_RANDOM.choices(signs, k=_RANDOM_LENGTH))}-"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keeps the reports of a test's phases until it has ended."""
    _ended.setdefault(report.nodeid, []).append(report)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Writes how a test ended."""
    reports = _ended.pop(nodeid, [])
    bad = next((report for report in reports if report.outcome != "passed"), None)
    word = "passed"
    if bad is not None:
        word = "error" if bad.outcome == "failed" and bad.when != "call" else bad.outcome
    seconds = sum(report.duration for report in reports)
    row = {"id": nodeid, "word": word, "seconds": round(seconds, 2), "why": _why(bad)}
    _write(row)


def _why(report: pytest.TestReport | None) -> str:
    if report is None:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    lines: list[str] = text.strip().splitlines() or [""]
    return lines[0][:_MESSAGE_MAX]
