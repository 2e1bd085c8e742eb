"""Check 68: trailers are never headers, and no process holds what belongs to another."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.hardening.processes import descriptors, pids_of
from tests.hardening.raw import UNSIGNED, Caller, Connection
from tests.hardening.smuggling import CHUNKED
from tests.s3.conftest import client_of

DOCUMENT = b"<Delete><Object><Key>key</Key></Object></Delete>"
RESTART_S_MAX = 30.0
# Maintenance locks the segments that it takes back, which needs a descriptor to write.
WRITERS = {"log": ("committer", "maintenance"), "meta.db": ("committer",)}


def with_trailers(lines):
    """The document in chunks, and these lines behind it."""
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(DOCUMENT), DOCUMENT, lines)


# --- trailers


@pytest.fixture
def filled(s3, bucket):
    """A bucket with the object that the document deletes."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"kept")
    return bucket


def test_a_signature_in_the_trailers_is_none(caller, server, s3, filled):
    """The head and its signature are right, but for the lines that come too late."""
    head = caller.head("POST", filled, query="delete", lines=CHUNKED)
    late = [line for line in head.split(b"\r\n") if line.lower().startswith((b"x-amz", b"auth"))]
    early = b"\r\n".join(line for line in head.split(b"\r\n") if line not in late)
    if caller.entry.auth == "query":
        early = re.sub(rb"&X-Amz-Signature=[^ ]*", b"", early)
        late = [b"X-Amz-Signature: a"]
    with Connection(server.port) as connection:
        connection.send(early + with_trailers(b"\r\n".join(late) + b"\r\n"))
        assert connection.answer().status in (400, 403)
    assert s3.list_objects_v2(Bucket=filled)["KeyCount"] == 1


def test_a_host_in_the_trailers_is_none(caller, server, s3, filled):
    head = caller.head("POST", filled, query="delete", lines=CHUNKED)
    host = re.search(rb"Host: [^\r]*\r\n", head)[0]
    with Connection(server.port) as connection:
        connection.send(head.replace(host, b"", 1) + with_trailers(host))
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert s3.list_objects_v2(Bucket=filled)["KeyCount"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "x-amz-expected-bucket-owner: nobody",
        "x-amz-checksum-sha512: a",
        "content-md5: AAAAAAAAAAAAAAAAAAAAAA==",
        "x-amz-content-sha256: " + "0" * 64,
        "Authorization: none",
        "Host: other",
        "Connection: close",
        "Expect: 100-continue",
    ],
)
def test_trailers_change_nothing(caller, server, s3, filled, line):
    """Each of them would have the request refused, or cut off, as a header."""
    head = caller.head("POST", filled, query="delete", lines=CHUNKED)
    with Connection(server.port) as connection:
        for _ in range(2):
            connection.send(head + with_trailers(f"{line}\r\n".encode()))
            answer = connection.answer()
            assert (answer.status, answer.code) == (200, None)
    assert s3.list_objects_v2(Bucket=filled)["KeyCount"] == 0


@pytest.mark.parametrize("line", ["Content-Length: 5", "Transfer-Encoding: gzip"])
def test_trailers_that_frame_are_refused(caller, server, s3, filled, line):
    head = caller.head("POST", filled, query="delete", lines=CHUNKED)
    with Connection(server.port) as connection:
        connection.send(head + with_trailers(f"{line}\r\n".encode()) + head)
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert s3.list_objects_v2(Bucket=filled)["KeyCount"] == 1


def test_trailers_are_no_metadata(caller, server, s3, bucket):
    head = caller.head("PUT", bucket, "key", lines=CHUNKED, payload=UNSIGNED)
    trailers = b"x-amz-meta-evil: 1\r\ncontent-type: text/evil\r\n"
    with Connection(server.port) as connection:
        connection.send(head + with_trailers(trailers))
        answer = connection.answer()
    assert answer.status == 411  # a body without a length is not stored at all
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# --- descriptors


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server that has served, and whose processes may be killed."""
    with ProcessServer(tmp_path_factory.mktemp("descriptors") / "store", workers=2) as server:
        use(server)
        yield server


def use(server):
    """Small and large bodies written and read, a listing, a refusal."""
    s3 = client_of(server)
    s3.create_bucket(Bucket="used")
    for size in (10, 300_000, 70_000_000):
        s3.put_object(Bucket="used", Key=f"{size}", Body=bytes(size))
        assert len(s3.get_object(Bucket="used", Key=f"{size}")["Body"].read()) == size
    s3.list_objects_v2(Bucket="used")
    caller = Caller(server)
    assert caller("GET", "used", "key", secret="wrong").status == 403
    caller.close()
    s3.close()


def listening(server):
    """The inodes of the listeners of the server."""
    ports = {f"{port:04X}" for port in (server.port, server.console_port)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].split(":")[1] in ports
    }


def check_descriptors(server):
    """Each process holds what its role needs, and shares only the standard streams."""
    held = {(role, pid): descriptors(pid) for role, pid in server.pids()}
    assert [role for role, _ in held].count("worker") == 2
    listeners = listening(server)
    assert len(listeners) == 2
    seen = {}
    for (role, pid), found in held.items():
        targets = {descriptor.target for descriptor in found if descriptor.number > 2}
        assert (role == "supervisor") == (listeners <= targets)
        assert (role == "supervisor") or not listeners & targets
        assert (role == "supervisor") == any(x.endswith("/server.lock") for x in targets)
        assert (role == "committer") == any(x.endswith("/store.lock") for x in targets)
        check_files(server, role, found)
        for target in targets:
            if target.startswith(("socket:", "pipe:")):
                assert seen.setdefault(target, pid) == pid, target


def check_files(server, role, found):
    """Files outside of the store are nobody's, the log and the database have their writers."""
    for descriptor in found:
        if descriptor.number <= 2:
            continue
        assert descriptor.flags & os.O_CLOEXEC, (role, descriptor)
        path = Path(descriptor.target)
        if not path.is_absolute() or descriptor.target.startswith(("/dev/", "/memfd:")):
            continue
        assert server.directory in path.parents, (role, descriptor)
        place = path.relative_to(server.directory).parts[0]
        if descriptor.may_write:
            assert role in WRITERS.get(place, (role,)), (role, descriptor)
        assert not place.startswith("credentials"), (role, descriptor)


def test_no_process_holds_what_is_not_its_own(own):
    check_descriptors(own)


@pytest.mark.parametrize("role", ["worker", "committer", "maintenance"])
def test_neither_does_one_that_was_started_again(own, role):
    """It is forked from a supervisor that holds the ends of all others by then."""
    victim = pids_of(own, role)[0]
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + RESTART_S_MAX
    while victim in dict.fromkeys(pids_of(own, role)) or not own.is_ready():
        assert time.monotonic() < deadline, own.log_end()
        time.sleep(0.02)
    s3 = client_of(own)
    for number in range(8):  # both workers, most likely
        s3.put_object(Bucket="used", Key="again", Body=bytes(100_000 * number))
    s3.close()
    check_descriptors(own)


def test_connections_leave_nothing_behind(own):
    settled = {pid: len(descriptors(pid)) for _, pid in own.pids()}
    for _ in range(200):
        with Connection(own.port) as connection:
            connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.answer().status == 403
    deadline = time.monotonic() + RESTART_S_MAX
    while any(len(descriptors(pid)) > count for pid, count in settled.items()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_secrets_are_on_no_command_line(own):
    for role, pid in own.pids():
        for name in ("cmdline", "comm", "maps"):
            text = Path(f"/proc/{pid}/{name}").read_text()
            assert own.secret_key not in text, (role, name)
        assert own.access_key not in Path(f"/proc/{pid}/cmdline").read_text()
    assert own.secret_key not in own.log_path.read_text()
    for path in own.directory.rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 20:
            assert own.secret_key.encode() not in path.read_bytes(), path
