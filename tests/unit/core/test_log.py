"""The log: what a line holds, and that no message forges another."""

import io
import logging
import os
import re
from collections.abc import Iterator

import pytest

from fastobj.core import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()  # pytest's own would be closed by a new configuration
    stream = io.StringIO()
    log.configure("info", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_has_time_level_role_and_pid(stream: io.StringIO) -> None:
    log.set_role("worker")
    logging.getLogger("fastobj.worker").info("took %d", 3)
    pattern = (
        rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z INFO    worker\[{os.getpid()}\] took 3\n"
    )
    assert re.fullmatch(pattern, stream.getvalue())


def test_lower_levels_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("fastobj").debug("unseen")
    assert stream.getvalue() == ""


def test_control_characters_are_escaped(stream: io.StringIO) -> None:
    logging.getLogger("fastobj").info("a\nb\r\x1b[31m\x00\x9b\u2028\u202e\tö")
    line = stream.getvalue()
    assert line.endswith("a\\nb\\r\\x1b[31m\\x00\\x9b\\u2028\\u202e\\tö\n")
    assert line.count("\n") == 1


def test_a_traceback_is_indented_and_escaped(stream: io.StringIO) -> None:
    try:
        raise ValueError("x\x1b[0m\n2026-01-01 forged")
    except ValueError:
        log.exception_of_child("committer")
    first, *rest = stream.getvalue().splitlines()
    assert "CRITICAL" in first
    assert all(line.startswith("  ") for line in rest)
    assert "\\x1b[0m" in rest[-2]
    log.flush()
