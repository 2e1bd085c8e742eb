"""Large bodies in aws-chunked coding on their way into a volume: what they are read as, and how
they fail, is what a reader finds that decodes them as they come."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager

import pytest

from fastobj._ext.crc import Crc32c, crc32c
from fastobj._ext.digest import Md5, Sha256
from fastobj.core.errors import S3Error
from fastobj.core.limits import KIB, MIB
from fastobj.http.message import BodyIncomplete, ReadInterrupted, Request
from fastobj.s3.chunked_body import ChunkedBody, Chunking
from fastobj.storage.base import new_data_id
from fastobj.storage.memory import MemoryVolume
from tests.reference.chunked import Chain, Mode, encode
from tests.unit.storage.volumes import local_volume, settle_down

KEY, DATE, SCOPE, SEED = b"k" * 32, b"20261120T120000Z", b"20261120/r/s3/aws4_request", b"0" * 64
TRAILER = (b"x-amz-checksum-crc32", b"AAAAAA==")


class Source:
    """A body that has arrived up to `stop`; then it waits, or its client has gone."""

    def __init__(self, coded: bytes, stop: int | None = None, gone: bool = False) -> None:
        self.coded = coded
        self.received = 0
        self.length = len(coded)
        self.stop = len(coded) if stop is None else stop
        self.gone = gone
        self.reads = 0
        self.waits = asyncio.Event()
        self.wait: asyncio.Future[None] | None = None

    async def readinto(self, buffer: memoryview) -> int:
        self.reads += 1
        count = min(len(buffer), len(self.coded) - self.received)
        if self.received + count > self.stop:
            if self.gone:
                raise BodyIncomplete("the client went away")
            self.waits.set()
            self.wait = asyncio.get_running_loop().create_future()
            await self.wait
        buffer[:count] = self.coded[self.received : self.received + count]
        self.received += count
        await asyncio.sleep(0)
        return count

    def interrupt(self) -> None:
        if self.wait is not None:
            self.wait.set_exception(ReadInterrupted())


def payload_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def coded_of(payload: bytes, mode: Mode, chunk_bytes: int) -> bytes:
    chunks = [payload[at : at + chunk_bytes] for at in range(0, len(payload), chunk_bytes)]
    trailers = [TRAILER] if mode != Mode.SIGNED else []
    return encode(mode, Chain(KEY, DATE, SCOPE, SEED), chunks, trailers)


def body_of(source: Source, mode: Mode, length: int) -> ChunkedBody:
    headers = [(b"x-amz-decoded-content-length", str(length).encode())]
    request = Request(b"PUT", b"/b/k", headers, source)
    return ChunkedBody(request, Chunking(mode, KEY, DATE, SCOPE, SEED))


@asynccontextmanager
async def volume_of(kind, root):
    if kind == "memory":
        yield MemoryVolume(piece_bytes=100_000)
    else:
        async with local_volume(root) as volume:
            yield volume


async def poured(volume, body: ChunkedBody, digests=()) -> bytes:
    """Stores the body and reads it back; gives the room back where that fails."""
    data_id = new_data_id()
    writer = await volume.writer(body.length, data_id, digests, body.decoder)
    try:
        await body.pour(writer)
        location = await writer.finish()
    except BaseException:
        await writer.abort()
        raise
    writer.sent()
    writer.settled()
    return await volume.read(location, data_id, 0, body.length)


@pytest.mark.parametrize("kind", ["local", "memory"])
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("size", "chunk_bytes"),
    [
        (1, 1),
        (70_000, 1),  # the framing is longer than its room, again and again
        (MIB, 64 * KIB),
        (MIB + 1, MIB + 1),
        (3 * MIB + 7, 64 * KIB),
        (3 * MIB + 7, 8 * KIB),
        (2 * MIB, 1_000_003),
    ],
)
async def test_any_size_in_chunks_of_any_size(tmp_path, kind, mode, size, chunk_bytes):
    if chunk_bytes == 1 and mode != Mode.UNSIGNED_TRAILER:
        size = min(size, 3000)
    payload = payload_of(size)
    digests = (Md5(), Sha256(), Crc32c())
    async with volume_of(kind, tmp_path) as volume:
        body = body_of(Source(coded_of(payload, mode, chunk_bytes)), mode, size)
        assert await poured(volume, body, digests) == payload
    md5, sha256, crc = (each.digest() for each in digests)
    assert md5 == hashlib.md5(payload, usedforsecurity=False).digest()
    assert sha256 == hashlib.sha256(payload).digest()
    assert crc == crc32c(payload).to_bytes(4, "big")
    assert body.trailers == ({} if mode == Mode.SIGNED else dict([TRAILER]))


async def test_a_piece_of_regular_chunks_is_received_at_once(tmp_path):
    size = 8 * MIB
    source = Source(coded_of(payload_of(size), Mode.SIGNED, 64 * KIB))
    async with local_volume(tmp_path) as volume:
        await poured(volume, body_of(source, Mode.SIGNED, size))
    assert source.reads <= 8 + 2 + 1  # the first piece in two, and the end of the body


async def _read(coded: bytes, mode: Mode, length: int) -> bytes | str:
    try:
        return await body_of(Source(coded), mode, length).read(length)
    except S3Error as error:
        return error.code.name


async def _poured(volume, coded: bytes, mode: Mode, length: int) -> bytes | str:
    try:
        return await poured(volume, body_of(Source(coded), mode, length))
    except S3Error as error:
        return error.code.name


@pytest.mark.parametrize("mode", list(Mode))
async def test_damaged_bodies_fail_as_for_a_reader(tmp_path, mode, rng):
    """One byte changed, a part taken out, or the end cut off, near the framing as a rule."""
    size = 2 * MIB + 4321
    whole = coded_of(payload_of(size), mode, 300_000)
    seen = set()
    async with local_volume(tmp_path) as volume:
        free = volume.buffers.free
        for _ in range(60):
            coded = bytearray(whole)
            at = rng.choice([rng.randrange(len(coded)), coded.find(b"\r\n", rng.randrange(size))])
            way = rng.randrange(3)
            if way == 0:
                coded[at] ^= 1 << rng.randrange(8)
            elif way == 1:
                del coded[at : at + rng.randrange(1, 100)]
            else:
                del coded[at:]
            found = await _poured(volume, bytes(coded), mode, size)
            assert found == await _read(bytes(coded), mode, size)
            seen.add(found if isinstance(found, str) else "whole")
        assert volume.buffers.free == free
    assert len(seen) > 1


def _wrongly_signed(payload: bytes) -> bytes:
    coded = bytearray(coded_of(payload, Mode.SIGNED, 64 * KIB))
    coded[1000] ^= 1
    return bytes(coded)


async def test_a_wrong_piece_ends_the_wait_for_the_next(tmp_path):
    """A client that waits for an answer is told, though it has sent a part only."""
    source = Source(_wrongly_signed(payload_of(4 * MIB)), stop=2 * MIB + 100)
    async with local_volume(tmp_path) as volume:
        free = volume.buffers.free
        with pytest.raises(S3Error) as caught:
            await poured(volume, body_of(source, Mode.SIGNED, 4 * MIB))
        assert volume.buffers.free == free
    assert caught.value.code.name == "SignatureDoesNotMatch"
    assert asyncio.current_task().cancelling() == 0


async def test_what_is_wrong_before_goes_before_a_client_that_leaves(tmp_path):
    source = Source(_wrongly_signed(payload_of(4 * MIB)), stop=MIB + 5000, gone=True)
    async with local_volume(tmp_path) as volume:
        with pytest.raises(S3Error) as caught:
            await poured(volume, body_of(source, Mode.SIGNED, 4 * MIB))
    assert caught.value.code.name == "SignatureDoesNotMatch"
    whole = coded_of(payload_of(4 * MIB), Mode.SIGNED, 64 * KIB)
    async with local_volume(tmp_path) as volume:
        with pytest.raises(BodyIncomplete):
            await poured(
                volume, body_of(Source(whole, 2 * MIB + 9999, gone=True), Mode.SIGNED, 4 * MIB)
            )


async def test_a_cancelled_request_gives_everything_back(tmp_path):
    coded = coded_of(payload_of(4 * MIB), Mode.SIGNED, 64 * KIB)
    async with local_volume(tmp_path) as volume:
        free = volume.buffers.free
        for stop in (0, MIB, 3 * MIB):
            source = Source(coded, stop)
            task = asyncio.ensure_future(poured(volume, body_of(source, Mode.SIGNED, 4 * MIB)))
            await source.waits.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await settle_down(lambda: volume.buffers.free == free)
