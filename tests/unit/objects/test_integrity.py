"""BLAKE3 over whole bodies: published sums, and bodies whose bytes are not those of the sum."""

import sys

import blake3
import msgspec
import pytest

from fastobj.meta import keys, records
from fastobj.meta.base import Row, Txn, new_txn_id
from fastobj.objects import audit, copy
from fastobj.objects.audit import WrongSum
from fastobj.objects.conditions import UNCONDITIONAL
from fastobj.objects.integrity import PackageMissing, WholeSum, whole_sum
from fastobj.storage.base import Location

# The published test vectors: bytes 0 to 250, again and again.
PATTERN = bytes(range(251))
PUBLISHED = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
}


def sum_of(body):
    return blake3.blake3(body).digest()


@pytest.mark.parametrize("length", PUBLISHED)
def test_published_sums(length):
    running = WholeSum()
    content = memoryview((PATTERN * 5)[:length])
    for at in range(0, length, 100):
        running.update(content[at : at + 100])
    assert running.digest().hex() == PUBLISHED[length]


def test_only_blake3_begins_a_sum():
    assert whole_sum("crc32c") is None
    assert whole_sum("blake3") is WholeSum


def test_without_the_package_a_start_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "blake3", None)
    assert whole_sum("crc32c") is None
    with pytest.raises(PackageMissing, match=r"pip install 'fastobj\[blake3\]'"):
        whole_sum("blake3")


async def test_right_sums(world):
    bucket = await world.bucket()
    for key, body in ((b"empty", b""), (b"small", b"body"), (b"large", b"x" * 5000)):
        await world.put(bucket, key, body, blake3=sum_of(body))
    await world.put(bucket, b"none", b"a body without a sum")
    assert await audit.wrong_sums(world.store) == []


async def test_a_copy_keeps_the_sum_of_the_body_that_it_shares(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key", b"body", blake3=sum_of(b"body"))

    async def same(record):
        return record

    source = copy.Source(bucket, b"key")
    await copy.copy_object(world.store, source, bucket, b"copy", same, UNCONDITIONAL)
    copied = await world.row(bucket, b"copy")
    assert (copied.location, copied.blake3) == (b"", sum_of(b"body"))
    assert await audit.wrong_sums(world.store) == []


async def test_damaged_bytes_have_no_sum(world):
    bucket = await world.bucket()
    record, _ = await world.put_large(bucket, b"key", b"x" * 5000)
    damaged = msgspec.structs.replace(record, blake3=sum_of(b"x" * 5000))
    row = keys.current(bucket.record.id, b"key")
    row_token = (await world.engine.get(keys.CURRENT, row))[1]
    change = Row(keys.CURRENT, row, row_token, records.encode(damaged))
    await world.engine.commit(Txn(new_txn_id(), [change], []))
    assert await audit.wrong_sums(world.store) == []
    world.volume.damage(Location.decode(record.location))
    assert await audit.wrong_sums(world.store) == [WrongSum(keys.CURRENT, row, damaged.blake3, b"")]


async def test_a_row_written_before_there_were_sums_has_none(world):
    """Older rows end before it."""
    bucket = await world.bucket()
    record = await world.put(bucket, b"key", b"body", blake3=sum_of(b"body"))
    part = records.PartRecord(1, b"l" * 32, b"d" * 16, 4, "etag", 7, {}, sum_of(b"body"))
    for written in (record, part):
        fields = msgspec.msgpack.decode(records.encode(written))
        older = msgspec.msgpack.encode(fields[: written.__struct_fields__.index("blake3")])
        expected = msgspec.structs.replace(written, blake3=b"")
        assert records.decode(type(written), older) == expected
        assert records.decode(type(written), records.encode(written)) == written


async def test_a_wrong_sum_is_found(world):
    bucket = await world.bucket()
    await world.put(bucket, b"right", b"body", blake3=sum_of(b"body"))
    await world.put(bucket, b"wrong", b"body", blake3=sum_of(b"bodY"))
    await world.put(bucket, b"none", b"", blake3=sum_of(b"bytes"))
    row = keys.current(bucket.record.id, b"wrong")
    empty = keys.current(bucket.record.id, b"none")
    assert await audit.wrong_sums(world.store) == [
        WrongSum(keys.CURRENT, empty, sum_of(b"bytes"), sum_of(b"")),
        WrongSum(keys.CURRENT, row, sum_of(b"bodY"), sum_of(b"body")),
    ]
