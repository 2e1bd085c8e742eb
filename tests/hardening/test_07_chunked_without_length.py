"""7: aws-chunked inside HTTP's own chunked coding, with the edges of both anywhere."""

import itertools
import random

import pytest

from tests.hardening.raw import STYLES, Caller, Entry
from tests.hardening.streaming import NAMES, Uploader


@pytest.mark.parametrize("mode", NAMES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("size", [0, 1, 5, 70_000, 1_100_000])
@pytest.mark.parametrize("style", STYLES)
def test_the_right_bytes(server, bucket, target, mode, size, style, rng: random.Random):
    # A presigned request signs no chunks: test_01 has them refused.
    upload = Uploader(Caller(server, Entry("header", style)), server.secret_key)
    body = rng.randbytes(size)
    cuts = sorted({0, size, *(rng.randrange(size + 1) for _ in range(5))})
    chunks = [body[start:stop] for start, stop in itertools.pairwise(cuts)]
    edges = sorted(rng.randrange(size + 200) for _ in range(12))
    more = {"chunks": chunks, "coding": "chunked", "edges": edges, "query": target.query}
    answer = upload(bucket, "key", body, mode, **more)
    assert answer.status == 200
    found = target.found()
    assert found["Body"].read() == body
    assert "ContentEncoding" not in found
