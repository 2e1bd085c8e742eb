"""One server with all its processes for this folder, and callers for each way in."""

import json

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.hardening.raw import DOMAIN, ENTRIES, Caller
from tests.hardening.rows import STREAMED
from tests.hardening.targets import Target
from tests.s3.conftest import GIVEN, bucket, new_name, s3

__all__ = ["bucket", "new_name", "s3"]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The running server; nothing else is in the folder around its directory but its log."""
    directory = tmp_path_factory.mktemp("hardening") / "store"
    with ProcessServer(
        directory,
        workers=2,
        arguments=("--domain", DOMAIN),
        environment={"FASTOBJ_IDENTITIES": json.dumps([GIVEN])},
    ) as running:
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
