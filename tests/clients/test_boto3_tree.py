"""boto3 moves a real tree of files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.conftest import link_tree, same_trees


@pytest.fixture
def client(server: ProcessServer) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
    )


def go_around(client: Any, tree: Path, bucket: str, back: Path) -> None:
    """Up with four threads, listed by pages, back down, removed by DeleteObjects."""
    client.create_bucket(Bucket=bucket)
    files = [path for path in tree.rglob("*") if path.is_file()]

    def up(path: Path) -> None:
        key = str(path.relative_to(tree))
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(up, files))
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 100}
    )
    listed = [entry for page in pages for entry in page["Contents"]]
    assert [entry["Key"] for entry in listed] == sorted(
        (str(path.relative_to(tree)) for path in files), key=str.encode
    )
    for entry in listed:
        place = back / entry["Key"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
    same_trees(tree, back)
    for start in range(0, len(listed), 1000):
        keys = [{"Key": entry["Key"]} for entry in listed[start : start + 1000]]
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        assert "Errors" not in answer
    client.delete_bucket(Bucket=bucket)


def test_tree_comes_back_equal(client: Any, small_tree: Path, tmp_path: Path) -> None:
    go_around(client, small_tree, "boto3-tree", tmp_path / "back")


@pytest.mark.long
def test_whole_standard_library(client: Any, standard_library: Path, tmp_path: Path) -> None:
    tree = link_tree(standard_library, tmp_path / "tree")
    go_around(client, tree, "boto3-library", tmp_path / "back")
