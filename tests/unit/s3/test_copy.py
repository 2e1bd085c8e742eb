"""What a copy is to be: what clients cannot reach over the wire yet."""

from typing import Any

import pytest

from fastobj.core.errors import S3Error
from fastobj.core.limits import OBJECT_BYTES_MAX
from fastobj.meta import records
from fastobj.meta.records import BucketRecord, ObjectRecord
from fastobj.objects.buckets import Bucket
from fastobj.objects.copy import Source
from fastobj.s3.context import Context
from fastobj.s3.handlers import copy
from fastobj.s3.names import CopySource
from fastobj.s3.operations import OPERATIONS
from tests.unit.s3 import signing

OP = next(op for op in OPERATIONS if op.name == "CopyObject")


def source_of(size: int, **more: Any) -> ObjectRecord:
    return ObjectRecord(records.FORMAT, bytes(32), bytes(16), size, "etag", 0, **more)


def wish(**headers: str) -> Any:
    nothing: Any = None
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = signing.unsigned("PUT", "/bucket/key", sent)
    source = CopySource("bucket", b"source")
    record = BucketRecord(records.FORMAT, bytes(8), "owner-id", 0, "us-east-1")
    found = Bucket("bucket", record, b"token")
    context = Context(OP, request, "id", nothing, nothing, "bucket", b"key", source, found=found)
    return copy._Wish(context, Source(nothing, source.key), None)


async def test_the_largest_source() -> None:
    largest = source_of(OBJECT_BYTES_MAX)
    assert await wish().describe(largest) == largest
    with pytest.raises(S3Error) as caught:
        await wish().describe(source_of(OBJECT_BYTES_MAX + 1))
    assert caught.value.code.name == "InvalidRequest"


async def test_of_stored_checksums_the_one_that_is_asked_for_is_kept() -> None:
    stored = {"crc32": "AAAAAA==", "sha1": "AAAA"}
    described = await wish(x_amz_checksum_algorithm="CRC32").describe(
        source_of(1, checksums=stored)
    )
    assert described.checksums == {"crc32": "AAAAAA=="}
    described = await wish().describe(source_of(1, checksums=stored))
    assert described.checksums == stored


async def test_what_is_not_known_here_is_kept() -> None:
    source = source_of(1, headers={"content-type": "a/b"}, metadata={"n": "v"})
    described = await wish(x_amz_metadata_directive="replace", x_amz_meta_m="w").describe(source)
    assert (described.headers, described.metadata) == ({}, {"m": "w"})
    assert (described.etag, described.data_id) == (source.etag, source.data_id)
