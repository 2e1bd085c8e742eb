"""Lifecycle rules, set and seen to act by each client, on a server whose day is a second."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.programs import Aws, Rclone
from tests.clients.scripts import Script
from tests.clients.site import Site

WAIT_S_MAX = 60.0
RULE = {
    "ID": "logs",
    "Status": "Enabled",
    "Filter": {"Prefix": "logs/"},
    "Expiration": {"Days": 1},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
}
RULES = {"Rules": [RULE], "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The only way to a server that is in a hurry."""
    directory = tmp_path_factory.mktemp("lifecycle") / "store"
    hurry = ("--lifecycle-day-seconds", "1")
    with ProcessServer(directory, workers=1, arguments=hurry) as server:
        yield Site(server, "http", "path")


def bucket_of(site: Site, name: str) -> Any:
    """A client and a new bucket that has the rule."""
    s3 = site.boto3()
    s3.create_bucket(Bucket=name)
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [RULE]})
    return s3


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Until then; nothing is due sooner than a second from now."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def names(s3: Any, bucket: str) -> list[str]:
    """The keys of a bucket."""
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_boto3(site: Site) -> None:
    s3, name = bucket_of(site, "boto3-lifecycle"), "boto3-lifecycle"
    found = s3.get_bucket_lifecycle_configuration(Bucket=name)
    assert found["Rules"] == [RULE]
    status = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)
    assert 'rule-id="logs"' in s3.put_object(Bucket=name, Key="logs/1", Body=b"1")["Expiration"]
    s3.put_object(Bucket=name, Key="kept", Body=b"1")
    s3.put_object(Bucket=name, Key="kept", Body=b"2")

    def left() -> list[str]:
        found = s3.list_object_versions(Bucket=name)
        return [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in found.get(kind, [])]

    # The object, then its version, then the delete marker; what the prefix does not name stays.
    wait_until(lambda: left() == ["kept", "kept"], "all goes that the rule names")


def test_aws(site: Site, tmp_path: Path) -> None:
    aws, file = Aws(site, tmp_path), tmp_path / "file"
    file.write_text("a line")
    aws("s3", "mb", "s3://aws-lifecycle")
    s3api = ("--bucket", "aws-lifecycle")
    wanted = ("--lifecycle-configuration", json.dumps({"Rules": [RULE]}))
    aws("s3api", "put-bucket-lifecycle-configuration", *s3api, *wanted)
    assert json.loads(aws("s3api", "get-bucket-lifecycle-configuration", *s3api)) == RULES
    aws("s3", "cp", str(file), "s3://aws-lifecycle/logs/1")
    aws("s3", "cp", str(file), "s3://aws-lifecycle/kept")
    wait_until(lambda: names(site.boto3(), "aws-lifecycle") == ["kept"], "the object expires")
    listed = aws("s3", "ls", "--recursive", "s3://aws-lifecycle").split()
    assert listed[-1] == "kept"


def test_rclone(site: Site, tmp_path: Path) -> None:
    rclone, file = Rclone(site, tmp_path), tmp_path / "file"
    file.write_text("a line")
    s3 = bucket_of(site, "rclone-lifecycle")
    rclone("copyto", str(file), "fo:rclone-lifecycle/logs/1")
    rclone("copyto", str(file), "fo:rclone-lifecycle/kept")
    wait_until(lambda: names(s3, "rclone-lifecycle") == ["kept"], "the object expires")
    assert rclone("lsf", "--recursive", "--files-only", "fo:rclone-lifecycle").split() == ["kept"]


def test_minio_py(site: Site, tmp_path: Path) -> None:
    Script(site, tmp_path, "minio-py lifecycle").everyday("minio-lifecycle")
