"""Parts that nobody needs any more give back their space on a running server."""

import os
import signal
from contextlib import closing

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.s3.conftest import client_of
from tests.unit.node.running import pids, wait_until

MIB = 1 << 20
LARGE = 64 * MIB  # has a file of its own


@pytest.fixture
def server(tmp_path):
    with ProcessServer(tmp_path / "store", arguments=("--parts-grace-seconds", "1")) as running:
        with closing(client_of(running)) as s3:
            s3.create_bucket(Bucket="bucket")
        yield running


def files(server):
    return list((server.directory / "extents").iterdir())


def begin(s3):
    upload = s3.create_multipart_upload(Bucket="bucket", Key="key")
    return {"Bucket": "bucket", "Key": "key", "UploadId": upload["UploadId"]}


def part(s3, named, number, size=LARGE):
    stored = s3.upload_part(**named, PartNumber=number, Body=bytes(size))
    return {"PartNumber": number, "ETag": stored["ETag"]}


def test_parts_of_every_end(server):
    with closing(client_of(server)) as s3:
        aborted = begin(s3)
        part(s3, aborted, 1)
        named = begin(s3)
        listed = [part(s3, named, 1)]
        part(s3, named, 2)
        assert len(files(server)) == 3
        s3.abort_multipart_upload(**aborted)
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
        wait_until(lambda: len(files(server)) == 1, "the end of what is aborted and not listed")
        assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == bytes(LARGE)
        s3.delete_object(Bucket="bucket", Key="key")
        wait_until(lambda: not files(server), "the end of the object's part")
        named = begin(s3)
        part(s3, named, 1)
        s3.delete_bucket(Bucket="bucket")
        wait_until(lambda: not files(server), "the end of the bucket's upload")


def test_a_download_outlives_its_object(tmp_path):
    """Parts that it has not come to yet stay where they are, though others have gone meanwhile."""
    with ProcessServer(tmp_path / "store") as server, closing(client_of(server)) as s3:
        s3.create_bucket(Bucket="bucket")
        named = begin(s3)
        listed = [part(s3, named, number) for number in (1, 2)]
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
        body = s3.get_object(Bucket="bucket", Key="key")["Body"]
        begun = body.read(MIB)
        s3.delete_object(Bucket="bucket", Key="key")
        aborted = begin(s3)
        part(s3, aborted, 1)
        assert len(files(server)) == 3
        s3.abort_multipart_upload(**aborted)
        wait_until(lambda: len(files(server)) == 2, "the end of what is aborted")
        assert begun + body.read() == bytes(2 * LARGE)


def test_after_a_kill(server):
    """What was due when everything died is worked off at the next start."""
    (maintenance,) = pids(server, "maintenance")
    with closing(client_of(server)) as s3:
        named = begin(s3)
        part(s3, named, 1)
        os.kill(maintenance, signal.SIGSTOP)
        s3.abort_multipart_upload(**named)
    server.kill_supervisor()
    assert files(server)
    server.start()
    wait_until(lambda: not files(server), "the end of the part")
