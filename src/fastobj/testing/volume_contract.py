"""What every volume must do: subclass `VolumeContract` in a test file and say how one is opened.

Tests are coroutines; each opens a volume of its own. Needs pytest.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Final

import pytest

from fastobj.core.errors import ChecksumMismatch, StaleLocation
from fastobj.core.limits import MIB, PIECE_BYTES, PIECE_FRAME_BYTES
from fastobj.storage.base import (
    LOCATION_BYTES,
    Digest,
    Location,
    Volume,
    fill,
    new_data_id,
)

LENGTHS: Final = (
    1,
    4097,
    PIECE_FRAME_BYTES,
    PIECE_BYTES - 1,
    PIECE_BYTES,
    PIECE_BYTES + 1,
    3 * PIECE_BYTES + PIECE_FRAME_BYTES + 13,
)
CONCURRENT: Final = 5


def body_of(length: int, seed: int = 1) -> bytes:
    """A body that tells its places apart."""
    return random.Random(seed * 1_000_003 + length).randbytes(length)


async def store(
    volume: Volume, body: bytes, data_id: bytes, digests: tuple[Digest, ...] = ()
) -> Location:
    """A body written, made durable and kept."""
    writer = await volume.writer(len(body), data_id, digests)
    await fill(writer, body)
    location = await writer.finish()
    writer.sent()
    writer.settled()
    return location


async def read_slices(
    volume: Volume, location: Location, data_id: bytes, offset: int, length: int
) -> bytes:
    """What a stream gives, each slice copied before the next is asked for."""
    stream = volume.stream(location, data_id, offset, length)
    return b"".join([bytes(part) async for part in stream])


class VolumeContract(ABC):
    """The tests; `opened` gives a fresh, empty volume."""

    @abstractmethod
    def opened(self) -> AbstractAsyncContextManager[Volume]:
        """A volume, closed at the end."""

    async def damage(self, volume: Volume, location: Location) -> None:
        """Changes a byte of a stored body where it is stored; skips where that cannot be done."""
        pytest.skip("this volume's bytes are out of reach")

    @pytest.mark.parametrize("length", LENGTHS)
    async def test_a_body_comes_back(self, length: int) -> None:
        """By read and by stream, whole."""
        body, data_id = body_of(length), new_data_id()
        async with self.opened() as volume:
            location = await store(volume, body, data_id)
            assert location.length == length
            assert await volume.read(location, data_id, 0, length) == body
            assert await read_slices(volume, location, data_id, 0, length) == body

    async def test_any_range_comes_back(self) -> None:
        """Also across pieces, and of no bytes."""
        length = 2 * PIECE_BYTES + 3 * PIECE_FRAME_BYTES + 5
        body, data_id = body_of(length), new_data_id()
        edges = [0, 1, PIECE_FRAME_BYTES, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, length - 1]
        async with self.opened() as volume:
            location = await store(volume, body, data_id)
            for offset in edges:
                for size in {0, 1, 2, PIECE_FRAME_BYTES + 1, PIECE_BYTES, length - offset}:
                    size = min(size, length - offset)
                    wanted = body[offset : offset + size]
                    assert await volume.read(location, data_id, offset, size) == wanted
                    assert await read_slices(volume, location, data_id, offset, size) == wanted

    async def test_a_location_survives_its_encoding(self) -> None:
        """Rows hold 32 bytes, and nothing else is needed to find the body."""
        body, data_id = body_of(70_000), new_data_id()
        async with self.opened() as volume:
            raw = (await store(volume, body, data_id)).encode()
            assert len(raw) == LOCATION_BYTES
            assert await volume.read(Location.decode(raw), data_id, 0, len(body)) == body

    async def test_digests_see_every_byte_in_order(self) -> None:
        """All that are given."""
        body = body_of(5 * MIB + 1)
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        async with self.opened() as volume:
            await store(volume, body, new_data_id(), (md5, sha256))
        assert md5.digest() == hashlib.md5(body, usedforsecurity=False).digest()
        assert sha256.digest() == hashlib.sha256(body).digest()

    @pytest.mark.parametrize("promised", [1, PIECE_BYTES, 2 * PIECE_BYTES + 5])
    async def test_a_body_that_ends_sooner(self, promised: int) -> None:
        """Cut in its last piece or at the end of one, as many pieces as were promised or fewer."""
        async with self.opened() as volume:
            for length in {1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 7, promised}:
                body, data_id = body_of(length), new_data_id()
                md5 = hashlib.md5(usedforsecurity=False)
                writer = await volume.writer(length + promised, data_id, (md5,))
                view = memoryview(body)
                while len(view) > (count := len(await writer.buffer())):
                    (await writer.buffer())[:] = view[:count]
                    await writer.push(count)
                    view = view[count:]
                (await writer.buffer())[: len(view)] = view
                writer.cut(length)
                await writer.push(len(view))
                location = await writer.finish()
                writer.sent()
                writer.settled()
                assert location.length == length
                assert await volume.read(location, data_id, 0, length) == body
                assert md5.digest() == hashlib.md5(body, usedforsecurity=False).digest()
                assert volume.accounts(location, +1).size_bytes > 0

    async def test_bodies_side_by_side(self) -> None:
        """Writers do not disturb each other."""
        bodies = [body_of(PIECE_BYTES * (1 + seed) + seed, seed) for seed in range(CONCURRENT)]
        names = [new_data_id() for _ in bodies]
        async with self.opened() as volume:
            pairs = list(zip(bodies, names, strict=True))
            locations = await asyncio.gather(*(store(volume, *pair) for pair in pairs))
            assert len(set(locations)) == len(locations)
            reads = (
                volume.read(location, name, 0, location.length)
                for location, name in zip(locations, names, strict=True)
            )
            assert await asyncio.gather(*reads) == bodies

    async def test_another_data_id_is_stale(self) -> None:
        """A location alone never gives bytes away."""
        body, data_id = body_of(100_000), new_data_id()
        async with self.opened() as volume:
            location = await store(volume, body, data_id)
            for wrong in (location, location._replace(generation=location.generation ^ 1)):
                name = new_data_id() if wrong is location else data_id
                with pytest.raises(StaleLocation):
                    await volume.read(wrong, name, 0, 1)
                with pytest.raises(StaleLocation):
                    await read_slices(volume, wrong, name, 0, len(body))

    async def test_damage_is_noticed(self) -> None:
        """By read and by stream, before a wrong byte is out."""
        body, data_id = body_of(100_000), new_data_id()
        async with self.opened() as volume:
            location = await store(volume, body, data_id)
            await self.damage(volume, location)
            with pytest.raises(ChecksumMismatch):
                await volume.read(location, data_id, 0, len(body))
            with pytest.raises(ChecksumMismatch):
                await read_slices(volume, location, data_id, 0, len(body))

    async def test_accounts_cancel_out(self) -> None:
        """What keeping adds, releasing takes away; at least the bytes of the body."""
        async with self.opened() as volume:
            location = await store(volume, body_of(100_000), new_data_id())
            kept, released = volume.accounts(location, 1), volume.accounts(location, -1)
            assert kept.segment == released.segment == location.segment
            assert (-kept.size_bytes, -kept.bodies) == (released.size_bytes, released.bodies)
            assert kept.size_bytes >= location.length
            assert kept.bodies == 1

    async def test_an_aborted_body_disturbs_nobody(self) -> None:
        """At any point before it is sent."""
        body, data_id = body_of(2 * PIECE_BYTES + 1), new_data_id()
        async with self.opened() as volume:
            unwritten = await volume.writer(len(body), new_data_id())
            await unwritten.abort()
            half = await volume.writer(len(body), new_data_id())
            await fill(half, body[:PIECE_BYTES])
            await half.buffer()
            await half.abort()
            whole = await volume.writer(len(body), new_data_id())
            await fill(whole, body)
            await whole.finish()
            await whole.abort()
            location = await store(volume, body, data_id)
            assert await volume.read(location, data_id, 0, len(body)) == body

    async def test_a_stream_can_be_left(self) -> None:
        """After its first slice, and then the body can be read again."""
        body, data_id = body_of(4 * PIECE_BYTES), new_data_id()
        async with self.opened() as volume:
            location = await store(volume, body, data_id)
            for _ in range(3):
                stream = volume.stream(location, data_id, 7, len(body) - 7)
                first = await anext(stream)
                assert bytes(first) == body[7 : 7 + len(first)]
                await stream.aclose()
            assert await volume.read(location, data_id, 0, len(body)) == body
