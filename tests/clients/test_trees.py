"""Each client moves a tree of files up and down again: what comes back is equal.

The trees of `make long` are 10,000 small files, and one file of 2 GiB.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from tests.clients.boto3_client import Boto3
from tests.clients.programs import Aws, Rclone, S3cmd
from tests.clients.scripts import SCRIPTS, Script
from tests.clients.site import Site
from tests.clients.trees import same_trees, write_large, write_many


class Mover(Protocol):
    """A client that can move trees."""

    def go_around(self, bucket: str, tree: Path, back: Path) -> None:
        """Makes the bucket, moves the tree up and down again, removes everything."""


CLIENTS: dict[str, Callable[[Site, Path], Mover]] = {
    "boto3": Boto3,
    "aws1": Aws,
    "aws2": partial(Aws, version=2),
    "rclone": Rclone,
    "s3cmd": S3cmd,
    **{name: partial(Script, client=name) for name in SCRIPTS},
}


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Path]:
    """10,000 files."""
    tree = write_many(tmp_path_factory.mktemp("many") / "tree", random.Random(seed))
    yield tree
    shutil.rmtree(tree)


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree of one file of 2 GiB."""
    tree = write_large(tmp_path_factory.mktemp("large") / "tree")
    yield tree
    shutil.rmtree(tree)


def go_around(client: str, site: Site, tree: Path, home: Path) -> None:
    """There and back, and nothing is left."""
    bucket, back = f"{tree.parent.name}-{client}-{site.name}", home / "back"
    try:
        CLIENTS[client](site, home).go_around(bucket, tree, back)
        same_trees(tree, back)
    finally:
        shutil.rmtree(back, ignore_errors=True)
    left = [entry["Name"] for entry in site.boto3().list_buckets()["Buckets"]]
    assert bucket not in left


@pytest.mark.long
@pytest.mark.parametrize("client", CLIENTS)
def test_ten_thousand_files(client: str, http_site: Site, many_files: Path, tmp_path: Path) -> None:
    go_around(client, http_site, many_files, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("client", CLIENTS)
def test_two_gibibytes(
    client: str, scheme: str, sites: Callable[[str, str], Site], large_file: Path, tmp_path: Path
) -> None:
    go_around(client, sites(scheme, "path"), large_file, tmp_path)


@pytest.mark.parametrize("client", CLIENTS)
def test_few_files(client: str, http_site: Site, few_files: Path, tmp_path: Path) -> None:
    go_around(client, http_site, few_files, tmp_path)
