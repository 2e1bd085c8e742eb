"""The volume in memory keeps the contract of volumes."""

import hashlib

import pytest

from fastobj.core.errors import ChecksumMismatch, StaleLocation
from fastobj.storage.base import Location, Usage, new_data_id
from fastobj.storage.memory import MemoryVolume

BODY = bytes(range(256)) * 10


async def write(volume, body, data_id, digests=()):
    writer = await volume.writer(len(body), data_id, digests)
    rest = memoryview(body)
    while rest:
        room = await writer.buffer()
        room[:] = rest[: len(room)]
        await writer.push(len(room))
        rest = rest[len(room) :]
    return writer, await writer.finish()


@pytest.mark.parametrize("piece_bytes", [1, 100, 2559, 2560, 2561])
async def test_written_bytes_are_read(piece_bytes):
    volume, data_id, digest = (
        MemoryVolume(piece_bytes, slice_bytes=99),
        new_data_id(),
        hashlib.md5(),
    )
    writer, location = await write(volume, BODY, data_id, [digest])
    writer.sent()
    writer.settled()
    assert location.length == len(BODY)
    assert Location.decode(location.encode()) == location
    assert digest.digest() == hashlib.md5(BODY).digest()
    assert await volume.read(location, data_id, 0, len(BODY)) == BODY
    assert await volume.read(location, data_id, 2000, 7) == BODY[2000:2007]
    slices = [bytes(piece) async for piece in volume.stream(location, data_id, 50, 500)]
    assert b"".join(slices) == BODY[50:550]
    assert max(map(len, slices)) == 99


async def test_other_data_id_or_generation_is_stale():
    volume, data_id = MemoryVolume(), new_data_id()
    _, location = await write(volume, BODY, data_id)
    with pytest.raises(StaleLocation):
        await volume.read(location, new_data_id(), 0, 1)
    with pytest.raises(StaleLocation):
        await volume.read(location._replace(generation=9), data_id, 0, 1)
    with pytest.raises(StaleLocation):
        await anext(volume.stream(location._replace(segment=9), data_id, 0, 1))


async def test_aborted_body_is_gone():
    volume = MemoryVolume()
    writer, _ = await write(volume, BODY, new_data_id())
    await writer.abort()
    await (await volume.writer(5, new_data_id())).abort()
    assert len(volume) == 0


async def test_damage_is_noticed():
    volume, data_id = MemoryVolume(), new_data_id()
    _, location = await write(volume, BODY, data_id)
    volume.damage(location)
    with pytest.raises(ChecksumMismatch):
        await volume.read(location, data_id, 5, 1)


async def test_accounts_and_release():
    volume = MemoryVolume()
    _, location = await write(volume, BODY, new_data_id())
    kept, released = volume.accounts(location, +1), volume.accounts(location, -1)
    assert kept == Usage(location.segment, len(BODY), 1)
    assert released == Usage(location.segment, -len(BODY), -1)
    volume.committed([kept])
    assert len(volume) == 1
    volume.committed([released])
    assert len(volume) == 0
