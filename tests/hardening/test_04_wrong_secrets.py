"""4: a right key id with a wrong secret opens nothing, for every row of the table."""

import pytest

from tests.hardening.rows import SIGNED, minimal, place


@pytest.mark.parametrize("op", SIGNED, ids=lambda op: op.name)
def test_every_operation(caller, bucket, op):
    names = place(op, bucket, "key")
    needs = minimal(op)
    wanted = {"query": needs.query, "headers": needs.headers, "body": needs.body}
    answer = caller(op.method, *names, secret="not-the-secret-key", **wanted)
    assert answer.status == 403
    if op.method != "HEAD":
        assert answer.code == "SignatureDoesNotMatch"
    assert caller("GET", bucket, query="list-type=2").body.count(b"<Contents>") == 0
