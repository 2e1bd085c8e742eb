"""6: a decoded length missing, off by one, negative, huge or twice: 4xx, and no object."""

import pytest

from tests.hardening.streaming import NAMES, Uploader

BODY = b"x" * 1000


@pytest.mark.parametrize("mode", NAMES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize(
    ("decoded", "status"),
    [
        ("", 411),
        ("999", 400),
        ("1001", 400),
        ("0", 400),
        ("-1", 400),
        ("+1000", 400),
        ("1e3", 400),
        (str(2**63), 400),
        (str(2**64), 400),
        (str(5 * 2**30 + 1), 400),
        ("1000, 1000", 400),
    ],
)
def test_lengths_that_are_none(server, call, bucket, target, mode, coding, decoded, status):
    upload = Uploader(call, server.secret_key)
    more = {"decoded": decoded, "coding": coding, "query": target.query}
    answer = upload(bucket, "key", BODY, mode, **more)
    assert answer.status == status
    assert target.is_empty()
