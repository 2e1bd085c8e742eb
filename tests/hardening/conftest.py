"""One server with all its processes for this folder, and callers for each way in."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.hardening.processes import MIB
from tests.hardening.raw import DOMAIN, ENTRIES, Caller
from tests.hardening.rows import STREAMED
from tests.hardening.targets import Target
from tests.s3.conftest import GIVEN, new_name, s3

__all__ = ["new_name", "s3"]


# Nothing here depends on a disk, and tens of thousands of commits would wait for one.
MEMORY = Path("/dev/shm")
STORE_BYTES_MAX = 2 * 1024 * MIB


def _folder_of_stores():
    """Memory where there is enough of it, else None: the usual place of temporary files."""
    if not os.access(MEMORY, os.W_OK):
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free >= STORE_BYTES_MAX else None


@pytest.fixture(scope="session")
def server():
    """The running server; nothing else is in the folder around its directory but its log."""
    with (
        tempfile.TemporaryDirectory(prefix="hardening-", dir=_folder_of_stores()) as folder,
        ProcessServer(
            Path(folder) / "store",
            workers=2,
            arguments=("--domain", DOMAIN),
            environment={"FASTOBJ_IDENTITIES": json.dumps([GIVEN])},
        ) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
def no_fault(server):
    """Whatever a client sends, the server never meets a fault of its own."""
    log = server.log_path
    start = log.stat().st_size
    yield
    told = log.read_bytes()[start:].decode(errors="replace")
    assert "Traceback" not in told, told
    assert "InternalError" not in told, told


@pytest.fixture
def bucket(call, new_name):
    """An empty bucket. There are thousands: a plain socket makes one in a third of boto3's time."""
    name = new_name()
    assert call("PUT", name).status == 200
    return name


@pytest.fixture(scope="session")
def unchanged(s3):
    """A bucket for all tests, and the listing of it: keys, times, sizes and digests of bodies."""
    name = f"unchanged-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    for key in ("a", "a/b", "key"):
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    listed = s3.list_objects_v2(Bucket=name)["Contents"]
    yield name, listed
    for key in ("a", "a/b", "key"):
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == key.encode()


@pytest.fixture
def other(s3, unchanged):
    """Another bucket, which must not change: nothing in it is so much as written again."""
    name, listed = unchanged
    yield name
    assert s3.list_objects_v2(Bucket=name)["Contents"] == listed


@pytest.fixture(params=STREAMED, ids=lambda op: op.name)
def target(request, s3, bucket):
    """Where each row stores its body that takes one of any size."""
    return Target(request.param, s3, bucket)


@pytest.fixture(scope="session", params=ENTRIES, ids="-".join)
def caller(server, request):
    """Sends requests by each way in: the tests that ask for it run once for each."""
    made = Caller(server, request.param)
    yield made
    made.close()


@pytest.fixture(scope="session")
def call(server):
    """Sends requests by the way in that most clients take."""
    made = Caller(server)
    yield made
    made.close()
