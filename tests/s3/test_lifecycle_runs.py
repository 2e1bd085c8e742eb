"""Lifecycle rules at work on a real server whose day lasts a second."""

import itertools
import re
import tempfile
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.s3.calls import with_processes
from tests.s3.conftest import client_of
from tests.s3.test_bucket_lifecycle import matching, put, rule, tag
from tests.s3.versioned import set_status, stack
from tests.unit.node.running import wait_until

pytestmark = with_processes("maintenance works in a process of its own, which these tests start")

ALL = matching()
DAY = {"Expiration": {"Days": 1}}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server():
    with (
        tempfile.TemporaryDirectory() as directory,
        ProcessServer(
            Path(directory) / "store", workers=2, arguments=("--lifecycle-day-seconds", "1")
        ) as running,
    ):
        yield running
        running.stop()
        assert running.differences() == []


@pytest.fixture(scope="module")
def s3(server):
    client = client_of(server)
    yield client
    client.close()


@pytest.fixture
def bucket(s3):
    name = f"bucket-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return name


def names(s3, bucket):
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def versions(s3, bucket):
    """How many versions there are, and how many delete markers."""
    return [len(found) for found in stack(s3.list_object_versions(Bucket=bucket))]


def fill(s3, bucket, *keys, **more):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345", **more)


def metrics(server):
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r"^fastobj_lifecycle_(\w+)_total (\d+)$", text, re.MULTILINE)
    return {name: int(count) for name, count in found}


def test_objects_expire_by_rules_that_come_before_and_behind(server, s3, bucket):
    before = metrics(server)
    fill(s3, bucket, "old/1", "keep/1")
    put(s3, bucket, rule("one", where=matching(Prefix="old/"), **DAY))
    fill(s3, bucket, "old/2", "keep/2")
    wait_until(lambda: names(s3, bucket) == ["keep/1", "keep/2"], "two objects go")
    put(s3, bucket, rule("date", where=ALL, Expiration={"Date": _midnight()}))
    wait_until(lambda: names(s3, bucket) == [], "the date has passed")
    after = metrics(server)
    assert after["expired_objects"] - before["expired_objects"] == 4
    assert after["runs"] > before["runs"]
    assert after["judged"] - before["judged"] >= 4
    assert after["errors"] == 0


def _midnight():
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=1)


def test_tags_and_sizes(s3, bucket):
    both = {"And": {"Tags": [tag("t", "1")], "ObjectSizeGreaterThan": 4}}
    put(s3, bucket, rule("both", where={"Filter": both}, **DAY))
    fill(s3, bucket, "a-tagged", "b-later", Tagging="t=1")
    fill(s3, bucket, "c-other", Tagging="t=2")
    s3.put_object(Bucket=bucket, Key="d-small", Body=b"1", Tagging="t=1")
    wait_until(lambda: names(s3, bucket) == ["c-other", "d-small"], "the tagged ones go")
    tags = {"TagSet": [{"Key": "t", "Value": "1"}]}
    s3.put_object_tagging(Bucket=bucket, Key="c-other", Tagging=tags)
    wait_until(lambda: names(s3, bucket) == ["d-small"], "the one that is tagged later goes")


def test_versions_go_until_nothing_is_left(server, s3, bucket):
    set_status(s3, bucket, "Enabled")
    before = metrics(server)
    noncurrent = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    markers = {"Expiration": {"ExpiredObjectDeleteMarker": True}}
    put(
        s3,
        bucket,
        rule("current", where=ALL, **DAY, **noncurrent),
        rule("markers", where=ALL, **markers),
    )
    for _ in range(3):
        fill(s3, bucket, "one", "two")
    wait_until(lambda: versions(s3, bucket) == [0, 0], "all versions and markers go")
    after = metrics(server)
    counted = {name: after[name] - before[name] for name in after}
    assert counted["expired_objects"] == 2
    assert counted["expired_versions"] == 6
    assert counted["expired_markers"] == 2
    s3.delete_bucket(Bucket=bucket)


def test_so_many_noncurrent_versions_stay(s3, bucket):
    set_status(s3, bucket, "Enabled")
    kept = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}
    put(s3, bucket, rule("kept", where=ALL, NoncurrentVersionExpiration=kept))
    for _ in range(6):
        fill(s3, bucket, "key")
    wait_until(lambda: versions(s3, bucket) == [3, 0], "the current one and two more stay")
    fill(s3, bucket, "key")
    wait_until(lambda: versions(s3, bucket) == [3, 0], "one more was pushed out")


def test_uploads_are_aborted(server, s3, bucket):
    before = metrics(server)["aborted_uploads"]
    old = s3.create_multipart_upload(Bucket=bucket, Key="old")
    s3.upload_part(
        Bucket=bucket, Key="old", UploadId=old["UploadId"], PartNumber=1, Body=bytes(100_000)
    )
    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    put(s3, bucket, rule("abort", where=ALL, **abort))
    s3.create_multipart_upload(Bucket=bucket, Key="new")
    wait_until(
        lambda: "Uploads" not in s3.list_multipart_uploads(Bucket=bucket), "both are aborted"
    )
    assert metrics(server)["aborted_uploads"] - before == 2


def test_maintenance_that_is_killed_goes_on_where_it_was(tmp_path):
    """Each life ends by SIGKILL: behind the second page of hints, or in the midst of expiries."""
    killed = {"FASTOBJ_CRASH_AT": "lifecycle.hinted:2,lifecycle.judged:80"}
    arguments = ("--lifecycle-day-seconds", "1")
    store = tmp_path / "store"
    with ProcessServer(store, workers=1, arguments=arguments, environment=killed) as server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        for number in range(220):
            fill(s3, "bucket", f"{number:04d}")
        put(s3, "bucket", rule("all", where=ALL, **DAY))
        wait_until(lambda: names(s3, "bucket") == [], "all go, over several lives")
        assert server.log_path.read_text().count("maintenance ended with status -9") >= 2
    assert server.differences() == []
