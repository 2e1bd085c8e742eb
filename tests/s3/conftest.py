"""One server for all tests of this folder, real clients, and a bucket for each test.

FASTOBJ_TEST_SERVER chooses the form of the server: `process` (all processes, two workers, on a
disk; the default) or `inprocess` (one thread of this process, all in memory).
"""

import itertools
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from fastobj.iam.identity import Identity
from fastobj.testing.process_server import ProcessServer
from fastobj.testing.server import InProcessServer, new_identity
from tests.s3.calls import REGION, Sender
from tests.s3.forms import Poster

_numbers = itertools.count()

# Somebody else, with buckets of their own.
OTHER = Identity(
    id="other-owner-id",
    display_name="Somebody Else",
    access_key="other-access-key",
    secret_key="other-secret-key",
    email="else@example.com",
)
GIVEN = {
    "id": OTHER.id,
    "access-key": OTHER.access_key,
    "secret-key": OTHER.secret_key,
    "display-name": OTHER.display_name,
    "email": OTHER.email,
}

# Targets of events; nobody listens there.
WEBHOOKS = [{"id": name, "endpoint": "http://127.0.0.1:9/events"} for name in ("one", "Two_2")]


@contextmanager
def start_server():
    """A server with `endpoint`, `access_key` and `secret_key`, in the form that was chosen."""
    form = os.environ.get("FASTOBJ_TEST_SERVER", "process")
    if form == "process":
        with (
            tempfile.TemporaryDirectory() as directory,
            ProcessServer(
                Path(directory) / "store",
                workers=2,
                arguments=("--domain", "s3.test"),
                environment={
                    "FASTOBJ_IDENTITIES": json.dumps([GIVEN]),
                    "FASTOBJ_NOTIFY_WEBHOOK": json.dumps(WEBHOOKS),
                },
            ) as running,
        ):
            yield running
    else:
        assert form == "inprocess", f"there is no server of the form {form}"
        with InProcessServer(identities=[new_identity("tester"), OTHER]) as running:
            running.store.event_targets = frozenset([hook["id"] for hook in WEBHOOKS])
            yield running
            assert running.differences() == []


def client_of(server, identity=None, **settings):
    """A boto3 client that shows every error instead of trying again; the root user's by default."""
    keys = identity or server
    config = {"retries": {"total_max_attempts": 1}, "max_pool_connections": 70, **settings}
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name=REGION,
        config=Config(**config),
    )


@pytest.fixture(scope="session")
def server():
    """The running server."""
    with start_server() as running:
        yield running


@pytest.fixture(scope="session")
def s3(server):
    """A client with the defaults of boto3, apart from its retries."""
    client = client_of(server)
    yield client
    client.close()


@pytest.fixture(scope="session")
def other_s3(server):
    """A client of somebody else."""
    client = client_of(server, OTHER)
    yield client
    client.close()


@pytest.fixture(scope="session")
def s3v4(server):
    """A client that presigns with Signature Version 4, which is not boto3's default."""
    client = client_of(server, signature_version="s3v4")
    yield client
    client.close()


@pytest.fixture(scope="session")
def send(server):
    """Sends requests by hand."""
    return Sender(server)


@pytest.fixture
def new_name():
    """Makes names of buckets that no other test uses."""
    return lambda: f"test-bucket-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def bucket(s3, new_name):
    """An empty bucket."""
    name = new_name()
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def post(server, bucket):
    """Sends forms to an empty bucket."""
    return Poster(server, bucket)
