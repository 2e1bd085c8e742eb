"""Check 9: a header of S3 that nobody signed never counts: the request is refused, with 403."""

import pytest

from tests.hardening.raw import UNSIGNED, Connection
from tests.hardening.rows import COPIES
from tests.hardening.targets import Target
from tests.hardening.test_34_keys import keys_of

UNSIGNED_LINES = [
    b"x-amz-copy-source: /{bucket}/secret",
    b"X-Amz-Copy-Source: {bucket}/secret",
    b"x-amz-copy-source-if-match: *",
    b"x-amz-metadata-directive: REPLACE",
    b"x-amz-acl: private",
    b"x-amz-grant-read: id=1",
    b"x-amz-tagging: a=b",
    b"x-amz-tagging-directive: REPLACE",
    b"x-amz-server-side-encryption: AES256",
    b"x-amz-server-side-encryption-customer-key: a",
    b"x-amz-bypass-governance-retention: true",
    b"x-amz-meta-a: b",
    b"x-amz-storage-class: STANDARD",
    b"x-amz-expected-bucket-owner: somebody",
    b"x-amz-checksum-crc32: AAAAAA==",
    b"x-amz-unheard-of: 1",
]


@pytest.fixture
def secret(s3, bucket):
    """An object that the signer may read, and whoever holds the signed request may not."""
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    return bucket


def send(server, data):
    with Connection(server.port) as connection:
        connection.send(data)
        return connection.answer("PUT")


@pytest.mark.parametrize("line", UNSIGNED_LINES)
@pytest.mark.parametrize("payload", [UNSIGNED, None])
def test_an_unsigned_header_added_to_a_signed_put(
    caller, server, s3, secret, target, line, payload
):
    added = line.replace(b"{bucket}", secret.encode()) + b"\r\n"
    more = {} if payload is None else {"payload": payload}
    more["query"] = target.query
    data = caller.request("PUT", secret, "key", body=b"", lines=added, **more)
    answer = send(server, data)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert target.is_empty()
    assert keys_of(s3, secret) == [b"secret"]
    assert send(server, data.replace(added, b"", 1)).status == 200


@pytest.mark.parametrize("op", COPIES, ids=lambda op: op.name)
def test_a_signed_source_cannot_be_changed(caller, server, s3, secret, op):
    target = Target(op, s3, secret)
    s3.put_object(Bucket=secret, Key="public", Body=b"public")
    headers = {"x-amz-copy-source": f"{secret}/public"}
    data = caller.request("PUT", secret, "key", headers=headers, query=target.query)
    changed = data.replace(b"/public", b"/secret", 1)
    assert changed != data
    answer = send(server, changed)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    for line in (b"x-amz-copy-source: %b/secret\r\n" % secret.encode(), b"x-amz-copy-source:\r\n"):
        twice = data.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n", 1)
        assert send(server, twice).status == 403
    assert target.is_empty()
    assert send(server, data).status == 200
    assert target.found()["Body"].read() == b"public"
