"""Bodies on their way into rows: received into a volume, then carried by the transaction that
names them. The same for objects, parts and manifests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import NamedTuple, Protocol

from fastobj._ext.chunked import ChunkedDecoder
from fastobj._ext.crc import crc32c
from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.secret import Secret
from fastobj.meta import records
from fastobj.meta.base import Add, BodyRef, Row
from fastobj.objects.frames import FrameCipher
from fastobj.objects.segment_rows import sealing_rows, usage_add
from fastobj.objects.store import Store
from fastobj.storage.base import (
    NO_LOCATION,
    Digest,
    Location,
    SmallBody,
    Writer,
    fill,
    new_data_id,
)


class LargeBody:
    """A body that its writer has finished, and that no transaction names yet."""

    def __init__(self, writer: Writer, data_id: bytes, location: Location) -> None:
        self.writer = writer
        self.data_id = data_id
        self.location = location
        self._is_sent = False

    def send(self) -> None:
        """A transaction that names the body is about to be sent."""
        if not self._is_sent:
            self._is_sent = True
            self.writer.sent()

    async def close(self, error: BaseException | None = None) -> None:
        """No transaction will be sent any more; `error` is how the last one ended.

        Gives the room back where none was sent. A cancelled commit may still be on its way, so
        its body stays held.
        """
        if not self._is_sent:
            await self.writer.abort()
        elif not isinstance(error, asyncio.CancelledError):
            self.writer.settled()


async def write(
    store: Store,
    length: int,
    fill: Callable[[Writer], Awaitable[None]],
    digests: Sequence[Digest] = (),
    decoder: ChunkedDecoder | None = None,
    data_id: bytes | None = None,
    key: Secret | None = None,
) -> LargeBody:
    """A body of `length` bytes in the volume; `fill` writes them, coded where there is a decoder.

    It gets a fresh data id, unless it is one that is stored again; where there is a `key`, it is
    encrypted with it. Raises what `fill` raises, and NoSpace. Nothing is left then.
    """
    data_id = data_id or new_data_id()
    cipher = None if key is None else FrameCipher(key, data_id, length)
    writer = await store.volume.writer(length, data_id, digests, decoder, cipher)
    try:
        await fill(writer)
        return LargeBody(writer, data_id, await writer.finish())
    except BaseException:
        await writer.abort()
        raise


async def receive(
    store: Store,
    length: int,
    digests: Sequence[Digest],
    readinto: Callable[[memoryview], Awaitable[int]],
    key: Secret | None = None,
) -> LargeBody:
    """Takes a body of `length` bytes into the volume; `readinto` fills what it is given.

    Raises IncompleteBody where it fills less, what it raises itself, and NoSpace. Nothing is
    left then.
    """

    async def receive_all(writer: Writer) -> None:
        left = length
        while left:
            room = (await writer.buffer())[:left]
            if await readinto(room) != len(room):
                raise S3Error(codes.INCOMPLETE_BODY)
            await writer.push(len(room))
            left -= len(room)

    return await write(store, length, receive_all, digests, key=key)


class Ending(Protocol):
    """A body whose end is known once its last byte has been read, and no sooner."""

    @property
    def is_over(self) -> bool:
        """Whether all of it has been read."""
        ...

    async def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, and stops short only at the end."""
        ...


async def receive_up_to(
    store: Store,
    most: int,
    digests: Sequence[Digest],
    body: Ending,
    key: Secret | None = None,
) -> LargeBody:
    """Takes a body of 1 to `most` bytes.

    Room is reserved for `most`, so that should be close. Raises EntityTooLarge where there is
    more, what reading raises, and NoSpace. Nothing is left then.
    """

    async def fill(writer: Writer) -> None:
        size, is_over = 0, False
        while not is_over:
            if size == most:
                await body.readinto(memoryview(bytearray(1)))  # which may know better what is wrong
                raise S3Error(codes.ENTITY_TOO_LARGE, extra=[("MaxSizeAllowed", str(most))])
            count = await body.readinto(await writer.buffer())
            size, is_over = size + count, body.is_over
            if is_over and size < most:
                writer.cut(size)
            await writer.push(count)

    return await write(store, most, fill, digests, key=key)


class Carried(NamedTuple):
    """What the body puts into its record, and into each try of the transaction.

    `large` is a body that is in its volume already. As a context, it is settled or given back
    at the end.
    """

    data_id: bytes
    location: bytes
    bodies: tuple[SmallBody, ...] = ()
    rows: tuple[Row, ...] = ()
    adds: tuple[Add, ...] = ()
    large: LargeBody | None = None

    def refs(self, row: int, value: bytes) -> list[BodyRef]:
        """Where the ledger writes the place of a small body: into `value`, that of row `row`."""
        offset = records.location_offset(value)
        return [BodyRef(body.data_id, row, offset) for body in self.bodies]

    def send(self) -> None:
        """A transaction that names the body is about to be sent."""
        if self.large is not None:
            self.large.send()

    async def __aenter__(self) -> Carried:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.large is not None:
            await self.large.close(error)


def carry_small(payload: bytes, hint: bytes, key: Secret | None = None) -> Carried:
    """A body that travels with its transaction; an empty one is no body at all.

    Where there is a `key`, it is encrypted with it.
    """
    if not payload:
        return Carried(b"", NO_LOCATION)
    data_id = new_data_id()
    if key is not None:
        payload = FrameCipher(key, data_id, len(payload)).seal_all(payload)
    return Carried(data_id, NO_LOCATION, (SmallBody(data_id, payload, crc32c(payload), hint),))


def carry_large(store: Store, body: LargeBody) -> Carried:
    """A body that is durable in its volume."""
    return Carried(
        body.data_id,
        body.location.encode(),
        rows=tuple(sealing_rows(body.writer)),
        adds=(usage_add(store.volume.accounts(body.location, +1)),),
        large=body,
    )


async def carry(store: Store, payload: bytes, hint: bytes) -> Carried:
    """A body that is in memory as a whole, small or large. Raises NoSpace."""
    if len(payload) <= store.small_body_bytes_max:
        return carry_small(payload, hint)
    return carry_large(store, await write(store, len(payload), partial(fill, body=payload)))
