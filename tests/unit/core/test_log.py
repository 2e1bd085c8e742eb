"""The log: what a line holds, and that no message forges another."""

import asyncio
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastobj.core import log

NASTY = "a\nb\r\x1b[31m\x00\x7f\x9b\x85\u2028\u202e\u2066\t"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def root() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()  # pytest's own would be closed by a new configuration
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def stream(root: None) -> io.StringIO:
    stream = io.StringIO()
    log.configure("info", stream)
    return stream


@pytest.fixture
def objects(root: None) -> Callable[[], list[dict[str, Any]]]:
    """The lines of a log in JSON, decoded."""
    stream = io.StringIO()
    log.configure("info", stream, format="json")
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


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
    logging.getLogger("fastobj").info("%s", NASTY + "ö")
    line = stream.getvalue()
    escaped = "a\\nb\\r\\x1b[31m\\x00\\x7f\\x9b\\x85\\u2028\\u202e\\u2066\\tö\n"
    assert line.endswith(escaped)
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


def test_a_line_names_the_request_on_whose_behalf_it_is_written(stream: io.StringIO) -> None:
    async def request(name: str) -> None:
        log.request_id.set(name)
        await asyncio.sleep(0)
        logging.getLogger("fastobj").info("of %s", name)

    async def both() -> None:
        await asyncio.gather(request("AAAA"), request("BBBB"))

    asyncio.run(both())
    logging.getLogger("fastobj").info("of none")
    ends = [line.partition("]")[2] for line in stream.getvalue().splitlines()]
    assert ends == [" [AAAA] of AAAA", " [BBBB] of BBBB", " of none"]


def test_a_json_line_has_all_fields(objects: Callable[[], list[dict[str, Any]]]) -> None:
    log.set_role("worker")
    logging.getLogger("fastobj.worker").warning("took %d", 3)
    token = log.request_id.set("ABCD")
    logging.getLogger("fastobj.worker").info("more")
    log.request_id.reset(token)
    first, second = objects()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "warning",
        "role": "worker",
        "pid": os.getpid(),
        "logger": "fastobj.worker",
        "message": "took 3",
    }
    assert (second["request_id"], second["message"]) == ("ABCD", "more")


def test_a_json_line_keeps_every_character_and_shows_none_that_is_unsafe(
    objects: Callable[[], list[dict[str, Any]]], root: None
) -> None:
    handler = logging.getLogger().handlers[0]
    stream = handler.stream  # type: ignore[attr-defined]
    text = NASTY + 'ö"\\\udcff'
    # Past pytest's own capture, which cannot send a lone surrogate to another process.
    handler.handle(logging.makeLogRecord({"name": "fastobj", "levelname": "INFO", "msg": text}))
    assert not UNSAFE.search(stream.getvalue())
    assert stream.getvalue().count("\n") == 1
    assert objects()[0]["message"] == text


def test_a_json_line_holds_the_traceback(objects: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        raise ValueError("x\n2026-01-01 forged")
    except ValueError:
        log.exception_of_child("committer")
    (line,) = objects()
    assert line["level"] == "critical"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: x\n2026-01-01 forged")


def test_json_is_escaped_further_where_it_must_be() -> None:
    plain = b'{"a":"plain \\u0000"}'
    assert log.escaped_json(plain) is plain
    encoded = json.dumps({"a": NASTY + "ö"}, ensure_ascii=False).encode()
    escaped = log.escaped_json(encoded).decode()
    assert not UNSAFE.search(escaped)
    assert "ö" in escaped
    assert json.loads(escaped) == {"a": NASTY + "ö"}


def test_handlers_of_others_are_left_alone(root: None) -> None:
    handler = logging.StreamHandler(io.StringIO())
    formatter = logging.Formatter("%(message)s")
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    log.set_role("worker")
    assert handler.formatter is formatter
