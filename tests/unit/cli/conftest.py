"""Stores for the tests of `fastobj check`."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.unit.cli.checking import make


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with some of everything."""
    directory = tmp_path_factory.mktemp("made") / "store"
    asyncio.run(make(directory))
    return directory


@pytest.fixture
def directory(made, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "store"))
