"""What settings change for clients: no signatures, few requests at once, small objects, parts."""

import asyncio
import hashlib
import http.client
import time

import blake3
import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from fastobj.meta import keys, records
from fastobj.testing.audited import audited_at, wrong_sums_at
from fastobj.testing.process_server import ProcessServer
from tests.s3.calls import refused, with_processes
from tests.s3.conftest import client_of
from tests.s3.uploading import MIB, PART, begin, complete, part, upload

pytestmark = with_processes("these tests start servers of their own, with all processes")


def ask(server, method, path, body=b"", headers=None):
    """Status, headers and body of an answer to an unsigned request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    answer = response.status, response.headers, response.read()
    connection.close()
    return answer


def test_a_server_without_signatures(tmp_path):
    with ProcessServer(tmp_path / "store", workers=1, arguments=("--no-auth",)) as server:
        assert ask(server, "PUT", "/open")[0] == 200
        assert ask(server, "PUT", "/open/key", b"hello")[0] == 200
        assert ask(server, "GET", "/open/key")[2] == b"hello"
        anybody = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            region_name="x",
            config=Config(signature_version=UNSIGNED),
        )
        assert anybody.get_object(Bucket="open", Key="key")["Body"].read() == b"hello"
        signed = client_of(server)
        assert signed.list_objects_v2(Bucket="open")["KeyCount"] == 1


def test_no_server_without_signatures_for_other_machines(tmp_path):
    server = ProcessServer(
        tmp_path / "store", arguments=("--no-auth", "--console-address", "0.0.0.0:0")
    )
    with pytest.raises(RuntimeError, match="no-auth"):
        server.start()


def test_requests_beyond_the_limit_are_told_to_slow_down(tmp_path):
    arguments = ("--requests-max", "1")
    with ProcessServer(tmp_path / "store", workers=1, arguments=arguments) as server:
        client = client_of(server)
        client.create_bucket(Bucket="busy")
        held = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        url = client_of(server, signature_version="s3v4").generate_presigned_url(
            "put_object", {"Bucket": "busy", "Key": "slow"}
        )
        path = url.partition(str(server.port))[2]
        held.putrequest("PUT", path)
        held.putheader("Content-Length", "10")
        held.endheaders(b"12345")  # the other half is still to come
        deadline = time.monotonic() + 20
        while (answer := ask(server, "GET", "/busy"))[0] != 503:
            assert time.monotonic() < deadline, answer
        assert answer[1]["retry-after"]
        assert b"<Code>SlowDown</Code>" in answer[2]
        held.send(b"67890")
        assert held.getresponse().status == 200
        held.close()
        assert client.head_object(Bucket="busy", Key="slow")["ContentLength"] == 10


def test_the_largest_object(tmp_path):
    arguments = ("--max-object-size", "1MiB")
    with ProcessServer(tmp_path / "store", workers=1, arguments=arguments) as server:
        client = client_of(server)
        client.create_bucket(Bucket="small")
        client.put_object(Bucket="small", Key="fits", Body=bytes(1 << 20))
        with pytest.raises(client.exceptions.ClientError, match="EntityTooLarge"):
            client.put_object(Bucket="small", Key="above", Body=bytes((1 << 20) + 1))
        named = begin(client, "small", "parts")
        fits = part(client, named, 1, bytes(1 << 20))
        with pytest.raises(client.exceptions.ClientError, match="EntityTooLarge"):
            part(client, named, 2, bytes((1 << 20) + 1))
        complete(client, named, [fits])


def test_the_most_parts(tmp_path):
    """Fewer parts from now on: no more are stored, and what is stored can be completed."""
    server = ProcessServer(tmp_path / "store", workers=1)
    with server:
        s3 = client_of(server)
        s3.create_bucket(Bucket="parts")
        named = begin(s3, "parts")
        many = [part(s3, named, number, bytes(PART)) for number in (1, 4)]
    few = ProcessServer(tmp_path / "store", workers=1, arguments=("--parts-max", "3"))
    with few:
        s3 = client_of(few)
        part(s3, named, 3, b"x")
        call = {**named, "PartNumber": 4}
        for size in (1, 1 << 20):
            assert refused(s3.upload_part, **call, Body=bytes(size)) == (400, "InvalidArgument")
        s3.put_object(Bucket="parts", Key="source", Body=b"x")
        copying = {**call, "CopySource": "parts/source"}
        assert refused(s3.upload_part_copy, **copying) == (400, "InvalidArgument")
        complete(s3, named, many)
        found = s3.head_object(Bucket="parts", Key="key", PartNumber=4)
        assert (found["PartsCount"], found["ContentLength"]) == (2, PART)


def test_the_largest_part_that_is_copied(tmp_path):
    """It is a body like that of a PUT, though its source, made of parts, may be larger."""
    arguments = ("--max-object-size", "6MiB")
    with ProcessServer(tmp_path / "store", workers=1, arguments=arguments) as server:
        client = client_of(server)
        client.create_bucket(Bucket="small")
        upload(client, "small", "source", [bytes(PART), bytes(PART)])
        copying = {**begin(client, "small"), "PartNumber": 1, "CopySource": "small/source"}
        client.upload_part_copy(**copying, CopySourceRange=f"bytes=0-{6 * MIB - 1}")
        for above in ({}, {"CopySourceRange": f"bytes=0-{6 * MIB}"}):
            with pytest.raises(client.exceptions.ClientError, match="EntityTooLarge"):
                client.upload_part_copy(**copying, **above)


async def rows_of(store):
    """Size and sum of each body: of objects, then of parts."""
    found = []
    for space, kind in ((keys.CURRENT, records.ObjectRecord), (keys.PARTS, records.PartRecord)):
        for _, value, _ in await store.meta.scan(space, keys.FIRST, keys.LAST, 100):
            record = records.decode(kind, value)
            found.append((record.size, record.blake3))
    return sorted(found)


def test_whole_bodies_have_a_blake3_sum_where_it_is_asked_for(tmp_path, rng):
    bodies = [b"", b"small", rng.randbytes(300_000), rng.randbytes(3 * MIB + 1)]
    arguments = ("--integrity", "blake3")
    with ProcessServer(tmp_path / "store", workers=1, arguments=arguments) as server:
        client = client_of(server)
        client.create_bucket(Bucket="sums")
        for number, body in enumerate(bodies):
            client.put_object(Bucket="sums", Key=f"{number}", Body=body)
        begun = begin(client, "sums", "parts")
        for number, body in enumerate(bodies[1:], 1):
            part(client, begun, number, body)
        for number, source in ((4, "1"), (5, "3")):
            client.upload_part_copy(
                **begun, PartNumber=number, CopySource={"Bucket": "sums", "Key": source}
            )
        assert client.get_object(Bucket="sums", Key="3")["ETag"] == (
            f'"{hashlib.md5(bodies[3]).hexdigest()}"'
        )
        client.close()
    stored = [*bodies, *bodies[1:], bodies[1], bodies[3]]
    expected = sorted((len(body), blake3.blake3(body).digest()) for body in stored)
    assert asyncio.run(audited_at(tmp_path / "store", rows_of)) == expected
    assert asyncio.run(wrong_sums_at(tmp_path / "store")) == []


def test_bodies_have_no_such_sum_by_default(tmp_path):
    with ProcessServer(tmp_path / "store", workers=1) as server:
        client = client_of(server)
        client.create_bucket(Bucket="sums")
        client.put_object(Bucket="sums", Key="key", Body=b"small")
        client.close()
    assert asyncio.run(audited_at(tmp_path / "store", rows_of)) == [(5, b"")]
