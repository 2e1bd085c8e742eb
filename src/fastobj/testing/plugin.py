"""The pytest plugin: fixture `fastobj_server` is a server in memory for the whole test run.

@pytest.fixture
def s3(fastobj_server):
    return boto3.client("s3", **fastobj_server.boto3_options())
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastobj.testing.server import InProcessServer


@pytest.fixture(scope="session")
def fastobj_server() -> Iterator[InProcessServer]:
    """A running server; see InProcessServer for its endpoint and keys."""
    with InProcessServer() as server:
        yield server
