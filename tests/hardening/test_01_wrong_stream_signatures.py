"""1, 2: a known key id and a wrong signature store nothing, whatever the body's mode."""

import pytest

from tests.hardening.streaming import NAMES, Uploader


@pytest.mark.parametrize("mode", NAMES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("query", ["", "uploadId=1&partNumber=1"])
def test_nothing_is_stored(server, caller, bucket, s3, mode, query):
    upload = Uploader(caller, server.secret_key)
    answer = upload(bucket, "key", b"x" * 70_000, mode, secret="a wrong secret", query=query)
    assert answer.status == 403
    assert answer.code == "SignatureDoesNotMatch"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("mode", NAMES, ids=lambda mode: mode.name)
def test_a_credential_in_the_query_without_a_signature(server, call, bucket, s3, mode):
    head = (
        f"PUT /{bucket}/key?X-Amz-Credential={server.access_key} HTTP/1.1\r\nHost: h\r\n"
        f"x-amz-content-sha256: {NAMES[mode]}\r\nx-amz-decoded-content-length: 5\r\n"
        "Content-Length: 5\r\n\r\nhello"
    )
    answer = call.exchange(head.encode(), "PUT")
    assert answer.status in (400, 403)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
