"""How requests may be signed, beyond what boto3 does by itself."""

import hashlib
import http.client

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3.calls import REGION, Answer

MIB = 1024 * 1024


@pytest.fixture
def send_without_hash(server):
    """Sends a request that is signed with its body's hash, and does not send the hash."""

    def send(method, path, body, *, sent=None, chunked=False):
        url = server.endpoint + path
        request = AWSRequest(method=method, url=url, data=body)
        keys = Credentials(server.access_key, server.secret_key)
        SigV4Auth(keys, "s3", REGION).add_auth(request)
        headers = dict(request.headers.items())
        assert "X-Amz-Content-SHA256" not in headers
        body = sent if sent is not None else body
        connection = http.client.HTTPConnection(server.endpoint.partition("//")[2], timeout=60)
        pieces = iter([body]) if chunked else body
        connection.request(method, path, body=pieces, headers=headers, encode_chunked=chunked)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    return send


def test_a_body_without_its_hash(send_without_hash, s3, bucket):
    for size in (0, 1, 70_000, 16 * MIB):
        body = b"x" * size
        assert send_without_hash("PUT", f"/{bucket}/key", body).status == 200
        found = s3.get_object(Bucket=bucket, Key="key")["Body"].read()
        assert hashlib.sha256(found).digest() == hashlib.sha256(body).digest()


def test_another_body_than_was_signed(send_without_hash, s3, bucket):
    answer = send_without_hash("PUT", f"/{bucket}/key", b"signed", sent=b"forged")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_body_too_large_to_be_read_for_its_hash(send_without_hash, s3, bucket):
    body = bytes(16 * MIB + 1)
    answer = send_without_hash("PUT", f"/{bucket}/key", body)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    answer = send_without_hash("PUT", f"/{bucket}/key", body, chunked=True)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_date_header_in_place_of_x_amz_date(send, bucket):
    answer = send("GET", f"/{bucket}", headers={"Date": "now"})
    assert answer.status == 200
