"""The access log: what a line says and never says, and how lines reach the file."""

import asyncio
import contextlib
import json
import os
import re
import resource
import stat

import pytest

from fastobj.core import codes
from fastobj.core.clock import FixedClock
from fastobj.http.message import BytesBody, Request
from fastobj.iam.identity import Identity
from fastobj.node.access_log import STANDARD_OUTPUT, AccessLog, redacted
from fastobj.s3.context import Exchange
from fastobj.s3.operations import OPERATIONS

OPS = {op.name: op for op in OPERATIONS}
NOON_NS = 1_795_176_000_000_000_000  # 2026-11-20T12:00:00Z
SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
SENDER = Identity("owner-id", "owner", "AKIDEXAMPLE", "very/secret+key")


class Opened:
    """An access log, and how many lines it has lost."""

    def __init__(self, path) -> None:
        self.lost = 0
        self.path = path
        clock = FixedClock(NOON_NS)
        self.log = AccessLog(str(path), asyncio.get_running_loop(), clock, self._lose)

    def _lose(self, lines: int) -> None:
        self.lost += lines

    def write(self, one=None, elapsed_ns: int = 1_500_000) -> None:
        self.log.write(one or exchange(), elapsed_ns)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]


def exchange(target=b"/b/k", headers=(), body=b"", method=b"GET", secure=False, **fields):
    request = Request(method, target, list(headers), BytesBody(body), peer="10.1.2.3")
    request.secure = secure
    return Exchange(request, "0123456789ABCDEF", 0, **fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access.log"


async def test_a_line_says_who_asked_for_what_and_what_became_of_it(path):
    opened = Opened(path)
    headers = [(b"user-agent", b"curl/8"), (b"referer", b"https://example.com/a?b=c")]
    one = exchange(
        b"/bucket/a%2Fb?x-id=PutObject",
        headers,
        b"12345",
        b"PUT",
        True,
        op=OPS["PutObject"],
        identity=SENDER,
        bucket="bucket",
        key=b"a/b",
        error=codes.BAD_DIGEST,
        status=400,
        sent_bytes=321,
        complete=False,
    )
    opened.write(one)
    opened.log.flush()
    assert opened.lines() == [
        {
            "time": "2026-11-20T11:59:59.998Z",
            "request_id": "0123456789ABCDEF",
            "remote": "10.1.2.3",
            "tls": True,
            "requester": "owner-id",
            "access_key": "AKIDEXAMPLE",
            "operation": "PutObject",
            "bucket": "bucket",
            "key": "a/b",
            "method": "PUT",
            "target": "/bucket/a%2Fb?x-id=PutObject",
            "status": 400,
            "error": "BadDigest",
            "bytes_in": 5,
            "bytes_out": 321,
            "duration_us": 1500,
            "user_agent": "curl/8",
            "referer": "https://example.com/a?b=c",
            "complete": False,
        }
    ]


async def test_what_is_not_known_is_empty(path):
    opened = Opened(path)
    opened.write(exchange(b"*"))
    opened.log.flush()
    (line,) = opened.lines()
    names = ["requester", "access_key", "operation", "bucket", "key", "error", "referer"]
    assert [line[name] for name in names] == [""] * 7
    assert line["complete"] is True


PRESIGNED = (
    "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20261120%2Fus-east-1%2Fs3"
    f"%2Faws4_request&X-Amz-Date=20261120T120000Z&X-Amz-Signature={SIGNATURE}"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/b/k", "/b/k"),
        ("/b/a=b/c%3Dd?prefix=x%3D1&y", "/b/a=b/c%3Dd?prefix=x%3D1&y"),
        (PRESIGNED, PRESIGNED.replace(SIGNATURE, "*")),
        ("/?X-Amz-Security-Token=abc&a=b", "/?X-Amz-Security-Token=*&a=b"),
        ("/?x-amz-signature=abc;a=b", "/?x-amz-signature=*"),
        ("/?X%2DAmz%2D%53ignature=abc", "/?X%2DAmz%2D%53ignature=*"),
        ("/?X-Amz-Signature%3Dabc", "/?*"),
        ("/?AWSAccessKeyId=AK&Signature=abc%3D&E=1", "/?AWSAccessKeyId=AK&Signature=*&E=1"),
        ("/?a=b&amp;X-Amz-Signature=abc", "/?a=b&amp;X-Amz-Signature=*"),
        ("/?a=b;X-Amz-Signature=abc", "/?a=*"),
        ("/b/k%3FX-Amz-Signature=abc", "/b/k%3FX-Amz-Signature=*"),
        ("/?url=https%3A%2F%2Fh%2Fk%3Fa%3D1%26X-Amz-Signature%3Dabc", "/?url=*"),
        ("/?password=abc&PASSWD=abc&client_secret=abc", "/?password=*&PASSWD=*&client_secret=*"),
        ("/?api-key=abc&ApiKey=abc&api_key=abc", "/?api-key=*&ApiKey=*&api_key=*"),
        ("/?token=abc&auth_token=abc", "/?token=*&auth_token=*"),
        ("/?password=a;b?c#d&e=f", "/?password=*&e=f"),
        ("https://h/?u=https://x/?Signature=abc&e=f", "https://h/?u=*&e=f"),
        ("/?authorization=abc", "/?authorization=*"),
        ("/?x-encryption-customer-key=abc", "/?x-encryption-customer-key=*"),
        ("/?continuation-token=abc&prefix=secret/", "/?continuation-token=abc&prefix=secret/"),
        ("https://h/k?X-Amz-Signature=abc#frag", "https://h/k?X-Amz-Signature=*"),
        ("/?X-Amz-Signature", "/?X-Amz-Signature"),
        ("/?X-Amz-Signature=", "/?X-Amz-Signature=*"),
    ],
)  # fmt: skip
def test_secrets_in_a_target_are_replaced(text, shown):
    assert redacted(text) == shown


async def test_no_field_shows_a_signature(path):
    opened = Opened(path)
    target = PRESIGNED.encode()
    headers = [(b"referer", b"https://h" + target), (b"user-agent", b"x signature=abc")]
    opened.write(exchange(target, headers, key=target))
    opened.log.flush()
    assert SIGNATURE not in path.read_text()
    assert "abc" not in path.read_text()


NASTY = 'a\r\n{"forged":1}\x00\x1b[31m\x7f\x9b\x85\u2028\u202e\u2066'


async def test_nothing_that_a_client_sends_forges_a_line_or_steers_a_terminal(path):
    opened = Opened(path)
    nasty = NASTY.encode()
    headers = [(b"user-agent", nasty), (b"referer", b"\xff\xfe" + nasty)]
    opened.write(exchange(nasty, headers, method=nasty, bucket=NASTY, key=nasty))
    opened.log.flush()
    text = path.read_text()
    assert not UNSAFE.search(text)
    assert text.count("\n") == 1
    (line,) = opened.lines()
    assert line["bucket"] == line["key"] == line["user_agent"] == line["method"] == NASTY
    assert line["referer"] == "\\xff\\xfe" + NASTY


async def test_fields_are_bounded(path):
    opened = Opened(path)
    long = b"x" * 40_000
    headers = [(b"user-agent", long), (b"referer", long)]
    opened.write(exchange(long, headers, method=long, bucket="b" * 40_000, key=long))
    opened.log.flush()
    assert len(path.read_bytes()) < 5000
    assert opened.lines()[0]["user_agent"] == "x" * 256 + "..."


# --- the file


async def test_a_file_is_its_owners_alone(path):
    opened = Opened(path)
    before = os.umask(0)
    try:
        opened.write()
        opened.log.flush()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_lines_are_gathered_and_flushed_by_themselves(path):
    opened = Opened(path)
    opened.write()
    opened.write()
    assert not path.exists()
    while not path.exists():
        await asyncio.sleep(0.001)
    assert len(opened.lines()) == 2
    assert opened.log._timer is None  # none runs while nothing happens


async def test_many_lines_do_not_wait(path):
    opened = Opened(path)
    for _ in range(400):
        opened.write()
    assert path.stat().st_size >= 64 * 1024
    opened.log.close()
    assert len(opened.lines()) == 400


async def test_two_processes_share_a_file(path):
    first, second = Opened(path), Opened(path)
    for _ in range(3):
        for opened in (first, second):
            opened.write()
            opened.log.flush()
    assert len(first.lines()) == 6


async def test_a_file_that_was_moved_away_is_let_go(path):
    opened = Opened(path)
    opened.write()
    opened.log.flush()
    moved = path.rename(path.with_suffix(".1"))
    opened.write()  # still pending when the signal comes
    opened.log.reopen()
    opened.write()
    opened.log.close()
    assert len(moved.read_bytes().splitlines()) == 2
    assert len(opened.lines()) == 1


async def test_a_full_disk_loses_lines_and_says_so_once(path, caplog):
    path.symlink_to("/dev/full")
    opened = Opened(path)
    for _ in range(3):
        opened.write()
        opened.write()
        opened.log.flush()
    assert opened.lost == 6
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "No space left" in caplog.text
    path.unlink()
    opened.log.reopen()
    opened.write()
    opened.log.flush()
    assert (len(opened.lines()), opened.lost) == (1, 6)


async def test_a_folder_that_is_missing_may_come_later(tmp_path, caplog):
    opened = Opened(tmp_path / "folder" / "access.log")
    opened.write()
    opened.log.flush()
    assert opened.lost == 1
    assert "cannot be written" in caplog.text
    opened.path.parent.mkdir()
    opened.write()
    opened.log.flush()
    assert len(opened.lines()) == 1


@contextlib.contextmanager
def files_up_to(size: int):
    """No file can grow beyond: a write is cut there, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_line_that_was_cut_spoils_no_other(path):
    opened = Opened(path)
    opened.write()
    opened.log.flush()
    with files_up_to(path.stat().st_size + 10):
        opened.write()
        opened.log.flush()
    opened.write()
    opened.log.flush()
    whole, torn, after = path.read_bytes().splitlines()
    assert json.loads(whole) == json.loads(after)
    assert torn == whole[:10]
    assert opened.lost == 1


async def test_a_pipe_that_nobody_reads_stops_nothing(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    opened = Opened(pipe)
    opened.write()
    opened.log.flush()  # nobody has it open
    assert opened.lost == 1
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for _ in range(1000):
        opened.write()
    opened.log.flush()
    received = b""
    with contextlib.suppress(BlockingIOError):
        while block := os.read(reader, 1 << 20):
            received += block
    os.close(reader)
    lines = [json.loads(line) for line in received.splitlines()]  # none is cut
    assert 0 < len(lines) < 1000
    assert opened.lost == 1001 - len(lines)


async def test_standard_output_takes_lines_too(capfd, path):
    opened = Opened(STANDARD_OUTPUT)
    opened.write()
    opened.log.reopen()
    opened.write()
    opened.log.close()
    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["remote"] for line in lines] == ["10.1.2.3"] * 2
