"""Reads: what is found, and bodies that move or vanish between row and bytes."""

import msgspec
import pytest

from fastobj.core import codes
from fastobj.core.errors import ChecksumMismatch, S3Error
from fastobj.meta import keys, records
from fastobj.meta.base import Row, Txn, new_txn_id
from fastobj.objects import get
from fastobj.objects.get import Span
from fastobj.storage.base import Location


def raises(code):
    return pytest.raises(S3Error, check=lambda error: error.code is code)


async def test_nothing_there(world):
    bucket = await world.bucket()
    with raises(codes.NO_SUCH_KEY):
        await get.find_object(world.store, bucket, b"key")
    with raises(codes.NO_SUCH_KEY):
        await world.read(bucket, b"key")


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 300_000])
async def test_spans(world, size):
    bucket = await world.bucket()
    body = bytes(index % 251 for index in range(size))
    await world.put_large(bucket, b"key", body)
    assert await world.read(bucket, b"key") == body
    for offset in (0, size // 2, size - 1):
        assert await world.read(bucket, b"key", offset) == body[offset:]
        assert await world.read(bucket, b"key", offset, 1) == body[offset : offset + 1]


async def test_no_bytes_are_read_that_nobody_wants(world):
    bucket = await world.bucket()
    record = await world.put(bucket, b"key", b"body")
    world.volume.drop(Location.decode((await world.row(bucket, b"key")).location))
    for chosen in (None, Span(2, 0)):
        found, body = await get.read_object(world.store, bucket, b"key", lambda _, c=chosen: c)
        assert (found.etag, body) == (record.etag, b"")


async def test_what_choose_raises_is_passed_on(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key")

    def refuse(record):
        raise S3Error(codes.INVALID_RANGE)

    with raises(codes.INVALID_RANGE):
        await get.read_object(world.store, bucket, b"key", refuse)


@pytest.mark.parametrize("size", [5, 200_000])
async def test_body_replaced_under_the_reader(world, size):
    bucket = await world.bucket()
    await world.put_large(bucket, b"key", b"a" * size)
    seen = []
    read = world.volume.read

    async def replace_first(*args):
        world.volume.read = read
        await world.put_large(bucket, b"key", b"b" * (size + 1))
        return await read(*args)

    def choose(record):
        seen.append(record.size)
        return Span(0, record.size)

    world.volume.read = replace_first
    record, body = await get.read_object(world.store, bucket, b"key", choose)
    if not isinstance(body, bytes):
        body = b"".join([bytes(piece) async for piece in body])
    assert body == b"b" * (size + 1)
    assert record.size == size + 1
    assert seen == [size, size + 1]


@pytest.mark.parametrize("left_behind", ["drop", "damage"])
async def test_body_moved_under_the_reader(world, left_behind):
    """Its place holds nothing, or half of something else: no sum fits that, whatever its id."""
    bucket = await world.bucket()
    await world.put(bucket, b"key", b"body")
    read = world.volume.read

    async def move_first(location, data_id, *args):
        world.volume.read = read
        getattr(world.volume, left_behind)(location)
        await move(world, bucket, b"key", world.volume.store(data_id, b"body"))
        return await read(location, data_id, *args)

    world.volume.read = move_first
    assert await world.read(bucket, b"key") == b"body"


async def move(world, bucket, key, location):
    row_key = keys.current(bucket.record.id, key)
    value, token = await world.engine.get(keys.CURRENT, row_key)
    record = records.decode(records.ObjectRecord, value)
    moved = records.encode(msgspec.structs.replace(record, location=location.encode()))
    await world.engine.commit(Txn(new_txn_id(), [Row(keys.CURRENT, row_key, token, moved)]))


@pytest.mark.parametrize("size", [5, 200_000])
async def test_missing_body_with_an_unmoved_row_is_damage(world, size):
    bucket = await world.bucket()
    await world.put_large(bucket, b"key", b"a" * size)
    world.volume.drop(Location.decode((await world.row(bucket, b"key")).location))
    with pytest.raises(ChecksumMismatch):
        await world.read(bucket, b"key")


@pytest.mark.parametrize("size", [5, 200_000])
async def test_damage_shows_before_the_first_byte(world, size):
    bucket = await world.bucket()
    await world.put_large(bucket, b"key", b"a" * size)
    world.volume.damage(Location.decode((await world.row(bucket, b"key")).location))
    with pytest.raises(ChecksumMismatch):
        await get.read_object(world.store, bucket, b"key", lambda record: Span(0, record.size))


async def test_stream_that_nobody_reads_to_its_end(world):
    bucket = await world.bucket()
    await world.put_large(bucket, b"key", b"a" * 300_000)
    whole = Span(0, 300_000)
    _, body = await get.read_object(world.store, bucket, b"key", lambda _: whole)
    assert bytes(await anext(body)) == b"a" * 65_536
    await body.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(body)
