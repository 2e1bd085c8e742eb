"""Uploads that nobody completes: gone once they are as old as the setting says, on a real server.

The days pass for the server alone: its processes are started with their clock put forward. It
takes requests without a signature meanwhile, for a signature is good for minutes only.
"""

import time

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.s3.calls import refused, with_processes
from tests.s3.conftest import client_of
from tests.s3.uploading import PART, begin, part

pytestmark = with_processes("maintenance works in a process of its own, which these tests start")

DAY_S = 24 * 3600
OWN_FILE = 64 << 20  # so large a part has a file of its own, which can be seen to go
WAIT_S_MAX = 30.0

# Run by each Python that finds it on its path, before anything of the server is imported.
CLOCK = """
import time
_time_ns = time.time_ns
time.time_ns = lambda: _time_ns() + {offset_s} * 10**9
"""


@pytest.fixture
def after(tmp_path):
    """Makes a server of the one store of this test, for which so many days have passed."""

    def make(days, *arguments):
        place = tmp_path / f"clock-{days}"
        place.mkdir(exist_ok=True)
        (place / "sitecustomize.py").write_text(CLOCK.format(offset_s=int(days * DAY_S)))
        return ProcessServer(
            tmp_path / "store",
            workers=1,
            arguments=("--no-auth", *arguments),
            environment={"PYTHONPATH": str(place)},
        )

    return make


def begun(server, size):
    """An upload with one part; how it is named."""
    with server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="bucket")
        named = begin(s3, "bucket")
        part(s3, named, 1, bytes(size))
    return named


def wait_for_files(server, count):
    deadline = time.monotonic() + WAIT_S_MAX
    while len(list((server.directory / "extents").iterdir())) != count:
        assert time.monotonic() < deadline, f"{count} files were expected"
        time.sleep(0.01)


def open_uploads(s3):
    listed = s3.list_multipart_uploads(Bucket="bucket")
    return [upload["UploadId"] for upload in listed.get("Uploads", [])]


def test_gone_after_seven_days(after):
    named = begun(after(0), OWN_FILE)
    with after(7.05) as server:  # the index counts in hours
        wait_for_files(server, 0)
        s3 = client_of(server)
        gone = (404, "NoSuchUpload")
        assert open_uploads(s3) == []
        assert refused(s3.list_parts, **named) == gone
        assert refused(s3.upload_part, **named, PartNumber=2, Body=b"late") == gone
        assert refused(s3.upload_part, **named, PartNumber=2, Body=bytes(PART)) == gone
        assert refused(s3.abort_multipart_upload, **named) == gone
        listed = {"Parts": [{"PartNumber": 1, "ETag": "0" * 32}]}
        call = {**named, "MultipartUpload": listed}
        assert refused(s3.complete_multipart_upload, **call) == gone
        s3.delete_bucket(Bucket="bucket")


@pytest.mark.parametrize(
    ("days", "setting", "stays"),
    [(6.9, 7, True), (1.05, 1, False), (0.9, 1, True), (400, 0, True)],
)
def test_the_setting(after, days, setting, stays):
    arguments = ("--upload-expiry-days", str(setting))
    old = begun(after(0, *arguments), 1000)
    with after(days, *arguments) as server:
        s3 = client_of(server)
        young = begin(s3, "bucket", "young")
        part(s3, young, 1, bytes(OWN_FILE))
        wait_for_files(server, 1)
        s3.abort_multipart_upload(**young)
        wait_for_files(server, 0)  # so maintenance has looked at all that is due
        assert open_uploads(s3) == ([old["UploadId"]] if stays else [])
