"""Operations that take long: what their clients are sent meanwhile, and how it ends."""

import asyncio
import http.client
import re
import threading
import time

import pytest
from botocore.exceptions import ClientError

from fastobj.core import limits
from fastobj.core.errors import Unknown
from fastobj.testing.server import InProcessServer
from tests.s3.calls import Sender
from tests.s3.conftest import client_of
from tests.s3.uploading import begin, part

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
BEGIN = re.escape(DECLARATION) + b" +"
BUCKET = "bucket"
OPERATIONS = ["CopyObject", "UploadPartCopy", "CompleteMultipartUpload"]


class Slowed:
    """Stands in front of a ledger. While it is `held`, commits wait; some of them fail then."""

    def __init__(self, ledger, loop):
        self.ledger = ledger
        self.loop = loop
        self.failures = []
        self.waiting = threading.Event()
        self._held = None

    async def commit(self, entry):
        if self._held is not None:
            self.waiting.set()
            await self._held.wait()
            if self.failures:
                raise self.failures.pop(0)
        await self.ledger.commit(entry)

    async def commit_many(self, entries):
        return await self.ledger.commit_many(entries)

    async def hold(self):
        self._held = asyncio.Event()

    async def release(self):
        self._held.set()
        self._held = None


@pytest.fixture
def slow(monkeypatch):
    """A server of this process that loses its patience soon."""
    monkeypatch.setattr(limits, "SLOW_HEAD_S", 0.05)
    monkeypatch.setattr(limits, "SLOW_SPACE_S", 0.02)
    with InProcessServer() as running:
        running.store.ledger = running.slowed = Slowed(running.store.ledger, running.loop)
        yield running
        assert running.differences() == []


@pytest.fixture
def s3(slow):
    """A client, with a bucket that has an object `source`."""
    client = client_of(slow)
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="source", Body=b"body")
    yield client
    client.close()


class Held:
    """While the block runs, commits wait for as long as takes some spaces, and then for `then`."""

    def __init__(self, server, then=None):
        self._server = server
        self._then = then

    def __enter__(self):
        self._server.slowed.waiting.clear()
        self._server.run(self._server.slowed.hold())
        self._thread = threading.Thread(target=self._release)
        self._thread.start()

    def _release(self):
        assert self._server.slowed.waiting.wait(30)
        time.sleep(0.2)  # the limits are a fraction of that
        if self._then is not None:
            self._then.wait(30)
        self._server.run(self._server.slowed.release())

    def __exit__(self, *_):
        self._thread.join()


def requested(s3, operation):
    """Query, headers and body of a request for an object `key`."""
    if operation == "CopyObject":
        return "", {"x-amz-copy-source": f"{BUCKET}/source"}, b""
    named = begin(s3, BUCKET)
    if operation == "UploadPartCopy":
        query = f"partNumber=1&uploadId={named['UploadId']}"
        return query, {"x-amz-copy-source": f"{BUCKET}/source"}, b""
    etag = part(s3, named, 1, b"body")["ETag"]
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    return f"uploadId={named['UploadId']}", {}, document.encode()


def sent(server, operation, wanted):
    """The answer to that request."""
    query, headers, body = wanted
    method = "POST" if operation == "CompleteMultipartUpload" else "PUT"
    return Sender(server)(method, f"/{BUCKET}/key", query=query, headers=headers, body=body)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_spaces_and_then_the_document(slow, s3, operation):
    wanted = requested(s3, operation)
    with Held(slow):
        answer = sent(slow, operation, wanted)
    assert answer.status == 200
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["x-amz-request-id"]
    assert re.fullmatch(BEGIN + rb"<\w+Result[ >].*</\w+Result>", answer.body), answer.body


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_done_soon_is_answered_as_ever(slow, s3, operation, monkeypatch):
    monkeypatch.setattr(limits, "SLOW_HEAD_S", 60.0)
    wanted = requested(s3, operation)
    answer = sent(slow, operation, wanted)
    assert (answer.status, int(answer.headers["Content-Length"])) == (200, len(answer.body))
    assert answer.body.startswith(DECLARATION + b"<")
    wanted = requested(s3, operation)  # an upload is completed but once
    slow.slowed.failures = [Unknown("lost")]
    with Held(slow):
        answer = sent(slow, operation, wanted)
    assert (answer.status, answer.code) == (500, "InternalError")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_error_behind_the_head(slow, s3, operation):
    wanted = requested(s3, operation)
    slow.slowed.failures = [Unknown("lost")]
    with Held(slow):
        answer = sent(slow, operation, wanted)
    assert (answer.status, answer.code) == (200, "InternalError")
    assert re.fullmatch(BEGIN + rb"<Error>.*</Error>", answer.body), answer.body
    told = re.search(rb"<RequestId>(.*)</RequestId>", answer.body)[1].decode()
    assert told == answer.headers["x-amz-request-id"]


def test_who_takes_no_chunks_waits(slow, s3, monkeypatch):
    monkeypatch.setattr(http.client.HTTPConnection, "_http_vsn", 10)
    monkeypatch.setattr(http.client.HTTPConnection, "_http_vsn_str", "HTTP/1.0")
    wanted = "", {"x-amz-copy-source": f"{BUCKET}/source", "host": slow.endpoint[7:]}, b""
    with Held(slow):
        answer = sent(slow, "CopyObject", wanted)
    assert (answer.status, int(answer.headers["Content-Length"])) == (200, len(answer.body))
    assert answer.body.startswith(DECLARATION + b"<CopyObjectResult")


def test_boto3_reads_the_document(slow, s3):
    with Held(slow):
        copied = s3.copy_object(Bucket=BUCKET, Key="key", CopySource=f"{BUCKET}/source")
    assert copied["CopyObjectResult"]["ETag"] == s3.head_object(Bucket=BUCKET, Key="key")["ETag"]
    named = begin(s3, BUCKET)
    with Held(slow):
        answer = s3.upload_part_copy(**named, PartNumber=1, CopySource=f"{BUCKET}/source")
    listed = [{"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}]
    with Held(slow):
        made = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
    assert made["ETag"] == s3.head_object(Bucket=BUCKET, Key="key")["ETag"]


def test_boto3_takes_the_error_for_one(slow, s3):
    slow.slowed.failures = [Unknown("lost")]
    with Held(slow), pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=BUCKET, Key="key", CopySource=f"{BUCKET}/source")
    assert caught.value.response["Error"]["Code"] == "InternalError"


def test_boto3_tries_again_behind_the_error(slow, s3):
    patient = client_of(slow, retries={"total_max_attempts": 3, "mode": "standard"})
    slow.slowed.failures = [Unknown("lost")]
    with Held(slow):
        answer = patient.copy_object(Bucket=BUCKET, Key="key", CopySource=f"{BUCKET}/source")
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert s3.get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"body"
    patient.close()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_client_that_leaves_stops_nothing(slow, s3, operation):
    """Before the head has left, and behind it."""
    for seconds in (0, 0.15):
        wanted = requested(s3, operation)
        gone = threading.Event()
        with Held(slow, then=gone):
            thread = threading.Thread(target=leave_after, args=(slow, operation, wanted, seconds))
            thread.start()
            thread.join()
            gone.set()
        assert_done(s3, operation, wanted[0])


def leave_after(server, operation, wanted, seconds):
    """Sends the request, and goes away that long after the server has begun to commit."""

    class Leaving(http.client.HTTPConnection):
        def getresponse(self):
            assert server.slowed.waiting.wait(30)
            time.sleep(seconds)
            self.sock.close()
            raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.client, "HTTPConnection", Leaving)
        with pytest.raises(ConnectionResetError):
            sent(server, operation, wanted)


def assert_done(s3, operation, query):
    """What the request asked for has come to be."""
    for _ in range(300):
        if operation != "UploadPartCopy":
            found = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
            done = "key" in found
        else:
            upload = query.partition("uploadId=")[2]
            listed = s3.list_parts(Bucket=BUCKET, Key="key", UploadId=upload)
            done = bool(listed.get("Parts"))
        if done:
            s3.delete_object(Bucket=BUCKET, Key="key")
            return
        time.sleep(0.02)
    raise AssertionError(f"{operation} has not been done")
