"""3: no operation takes a request without a right signature, in any payload mode."""

import pytest

from fastobj.s3.operations import OPERATIONS
from tests.hardening.raw import Connection
from tests.hardening.rows import minimal, place
from tests.hardening.streaming import PAYLOADS
from tests.s3.conftest import OTHER

WRITES = [op for op in OPERATIONS if op.method in ("PUT", "POST", "DELETE")]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("op", WRITES, ids=lambda op: op.name)
def test_unsigned_badly_signed_and_anothers(server, call, bucket, s3, op, payload):
    names, needs = place(op, bucket, "key"), minimal(op)
    headers = {**needs.headers, "x-amz-decoded-content-length": str(len(needs.body))}
    lines = b"Content-Length: %d\r\n" % len(needs.body)
    for secret, without in (("wrong secret", False), (None, True), (OTHER.secret_key, False)):
        head = call.head(
            op.method,
            *names,
            query=needs.query,
            headers=headers,
            payload=payload,
            lines=lines,
            secret=secret,
        )
        if without:
            kept = [x for x in head.split(b"\r\n") if not x.startswith(b"Authorization")]
            head = b"\r\n".join(kept)
        with Connection(server.port) as connection:
            connection.send(head + needs.body)
            assert connection.answer(op.method).status == 403
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
