"""The AWS command line, as its users type it."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.conftest import link_tree, same_trees
from tools.client_env import ensure


class Aws:
    """Runs `aws` against the server."""

    def __init__(self, server: ProcessServer, home: Path) -> None:
        self.program = ensure("aws") / "aws"
        self.endpoint = server.endpoint
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        self.environment = {
            **kept,
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def __call__(self, *arguments: str) -> str:
        """Standard output; asserts success."""
        done = subprocess.run(
            [str(self.program), "--endpoint-url", self.endpoint, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def aws(server: ProcessServer, tmp_path: Path) -> Aws:
    return Aws(server, tmp_path)


def go_around(aws: Aws, tree: Path, bucket: str, back: Path) -> None:
    """Up, a listing, back down, and everything removed."""
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "cp", "--recursive", "--no-progress", str(tree), f"s3://{bucket}/in")
    listed = aws("s3", "ls", "--recursive", f"s3://{bucket}/in").splitlines()
    assert len(listed) == sum(1 for path in tree.rglob("*") if path.is_file())
    aws("s3", "cp", "--recursive", "--no-progress", f"s3://{bucket}/in", str(back))
    same_trees(tree, back)
    aws("s3", "rm", "--recursive", f"s3://{bucket}")
    assert aws("s3", "ls", "--recursive", f"s3://{bucket}") == ""
    aws("s3", "rb", f"s3://{bucket}")


def test_tree_comes_back_equal(aws: Aws, small_tree: Path, tmp_path: Path) -> None:
    go_around(aws, small_tree, "tree", tmp_path / "back")


@pytest.mark.long
def test_whole_standard_library(aws: Aws, standard_library: Path, tmp_path: Path) -> None:
    tree = link_tree(standard_library, tmp_path / "tree")
    go_around(aws, tree, "library", tmp_path / "back")


def test_listing_by_folders(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    aws("s3", "mb", "s3://folders")
    for key in ("a", "a/b", "c/d/e"):
        aws("s3", "cp", str(file), f"s3://folders/{key}")
    lines = [line.split() for line in aws("s3", "ls", "s3://folders").splitlines()]
    assert [line[-1] for line in lines] == ["a/", "c/", "a"]


def test_a_file_in_parts(aws: Aws, tmp_path: Path) -> None:
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(os.urandom(20 << 20))
    aws("s3", "mb", "s3://in-parts")
    aws("s3", "cp", "--no-progress", str(file), "s3://in-parts/file")
    found = json.loads(aws("s3api", "head-object", "--bucket", "in-parts", "--key", "file"))
    assert found["ETag"].endswith('-3"')
    aws("s3", "cp", "--no-progress", "s3://in-parts/file", str(back))
    assert back.read_bytes() == file.read_bytes()
    aws("s3", "cp", "--no-progress", "s3://in-parts/file", "s3://in-parts/copy")
    aws("s3", "cp", "--no-progress", "s3://in-parts/copy", str(back))
    assert back.read_bytes() == file.read_bytes()
    assert "Uploads" not in aws("s3api", "list-multipart-uploads", "--bucket", "in-parts")


def test_presigned_url(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "a file.txt"
    file.write_bytes(b"for everybody with the link")
    aws("s3", "mb", "s3://shared")
    aws("s3", "cp", str(file), "s3://shared/a file.txt")
    for version, sign in (("", "AWSAccessKeyId="), ("s3v4", "X-Amz-Signature=")):
        if version:
            aws("configure", "set", "default.s3.signature_version", version)
        url = aws("s3", "presign", "s3://shared/a file.txt").strip()
        assert sign in url
        with urllib.request.urlopen(url) as response:
            assert response.read() == b"for everybody with the link"


def test_errors_name_their_cause(aws: Aws) -> None:
    done = subprocess.run(
        [str(aws.program), "--endpoint-url", aws.endpoint, "s3", "ls", "s3://no-such-bucket"],
        env=aws.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "NoSuchBucket" in done.stderr
