"""A server for each file of this folder, and clients that it knows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import Client


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[ProcessServer]:
    """One with an access log, beside its directory."""
    place: Path = tmp_path_factory.mktemp("server")
    arguments = ("--access-log", str(place / "access.log"), "--log-level", "debug")
    with ProcessServer(place / "store", arguments=arguments) as running:
        yield running


@pytest.fixture
def client(server: ProcessServer) -> Iterator[Client]:
    """A connection of its own."""
    with Client(server) as connection:
        yield connection


@pytest.fixture
def make_s3(server: ProcessServer) -> Callable[..., object]:
    """Makes boto3 clients."""

    def make(secret_key: str = server.secret_key, running: ProcessServer = server):
        return boto3.client(
            "s3",
            endpoint_url=running.endpoint,
            region_name="us-east-1",
            aws_access_key_id=running.access_key,
            aws_secret_access_key=secret_key,
            config=Config(signature_version="s3v4", retries={"max_attempts": 1}),
        )

    return make
