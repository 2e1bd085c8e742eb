"""A store of each version of the format opens and reads back exactly."""

import tarfile
from pathlib import Path

import pytest

from fastobj.core.clock import FixedClock
from fastobj.core.errors import S3Error
from fastobj.objects import audit, buckets, get
from tests.golden.make import (
    BUCKET,
    CHECKSUMS,
    CREATED_NS,
    HEADERS,
    METADATA,
    OBJECTS,
    OWNER,
    TORN,
    content,
    opened,
    payload,
)

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("v*.tar.gz"))


@pytest.fixture(params=GOLDEN, ids=lambda path: path.name)
def directory(request, tmp_path):
    """An unpacked golden store."""
    with tarfile.open(request.param) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "store"


async def _body(store, bucket, key):
    record, body = await get.read_object(
        store, bucket, key, lambda record: get.Span(0, record.size)
    )
    return record, body if isinstance(body, bytes) else b"".join([bytes(p) async for p in body])


async def _check(store):
    bucket = await buckets.get(store, BUCKET)
    assert (bucket.record.owner, bucket.record.created_ns) == (OWNER, CREATED_NS)
    assert await buckets.usage(store, bucket) == buckets.Usage(len(OBJECTS), sum(OBJECTS.values()))
    for key, size in OBJECTS.items():
        record, body = await _body(store, bucket, key)
        assert body == payload(key, size)
        assert (record.size, record.etag) == (size, content(key, size).etag)
        assert (record.headers, record.metadata) == (HEADERS, METADATA)
        assert record.checksums == CHECKSUMS
    for key in (b"gone", TORN):
        with pytest.raises(S3Error):
            await get.find_object(store, bucket, key)
    assert await audit.differences(store) == []


async def test_it_reads_back_exactly(directory):
    for life in range(3):
        async with opened(directory, FixedClock(CREATED_NS)) as (local, store):
            assert (local.recovered.blocks_replayed > 5) == (life == 0)
            await _check(store)


def test_there_is_one_for_each_and_they_are_small():
    assert [path.name for path in GOLDEN] == ["v1.tar.gz", "v2.tar.gz"]
    assert all(path.stat().st_size < 100 * 1024 for path in GOLDEN)
