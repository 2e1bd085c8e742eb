"""The writer of one large body into its run of an extent file: pieces decoded, hashed, written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from fastobj._ext.chunked import ChunkedDecoder
from fastobj.core.limits import PIECE_BYTES, PIECE_CODING_BYTES, PIECES_IN_FLIGHT_MAX
from fastobj.storage.base import LOCAL_VOLUME, Cipher, Digest, Location, Sealing
from fastobj.storage.extents import STRIDE, Extents, Run, piece_count, piece_length
from fastobj.storage.pool import Buffer, BufferPool, Hashing, PieceName, Turns


class _Piece:
    """A piece in flight: its buffer is free when its jobs (decoder, write, digests) are done."""

    __slots__ = ("buffer", "index", "is_unhashed", "jobs", "length")

    def __init__(self, buffer: Buffer, index: int, length: int) -> None:
        self.buffer = buffer
        self.index = index
        self.length = length
        self.jobs = 0
        self.is_unhashed = False  # though it is written


class ExtentWriter:
    """The writer of one body (storage.base.Writer)."""

    def __init__(
        self,
        extents: Extents,
        run: Run,
        length: int,
        data_id: bytes,
        buffers: BufferPool,
        digests: Sequence[Digest],
        decoder: ChunkedDecoder | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        self._extents = extents
        self._run = run
        self._cipher = cipher
        self._given = length  # what the pieces are filled with
        self._length = length if cipher is None else cipher.stored_bytes
        self._piece_bytes = PIECE_BYTES if cipher is None else cipher.piece_bytes
        self._data_id = data_id
        self._buffers = buffers
        self._hashing = Hashing(extents.pool, digests)
        self._decoder = decoder
        self._decoding = Turns()
        self._index = 0  # of the piece being filled
        self._buffer: Buffer | None = None
        self._decoded = 0  # bytes in front of it that are decoded
        self._partial: asyncio.Future[None] | None = None  # what decodes some of it
        self._in_flight = 0
        self._unhashed = 0  # of these, the ones that are written
        self._is_waiting = False
        self._moved = asyncio.Event()
        self._failure: BaseException | None = None
        self._failed: Callable[[], None] | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._finished = self._was_sent = self._over = False

    async def buffer(self) -> memoryview:
        """Room for exactly the next piece; waits while too many pieces are in flight."""
        assert self._index < piece_count(self._length), "the body is complete"
        self._raise_failure()
        if self._buffer is None:
            await self._wait_below(PIECES_IN_FLIGHT_MAX)
            self._buffer = await self._buffers.acquire()
        coding = 0 if self._decoder is None else PIECE_CODING_BYTES
        return self._buffer.payload(0, self._next + coding)

    async def push(self, length: int) -> None:
        """Hands over a whole piece. Raises what an earlier one failed with."""
        self._raise_failure()
        buffer = self._buffer
        assert buffer is not None, "nothing to push: ask for the buffer first"
        piece = _Piece(buffer, self._index, self._next)
        is_coded = self._decoder is not None
        assert is_coded or length == piece.length, "a piece is filled whole"
        self._buffer = None
        self._in_flight += 1
        if is_coded:
            left = piece.length - self._decoded
            done = self._feed(buffer.payload(self._decoded, length), left)
            self._begin(piece, done, self._store)
        else:
            self._store(piece)
        self._decoded = 0
        self._index += 1

    def cut(self, length: int) -> None:
        """The body ends after `length` bytes: with the piece that is being filled."""
        assert self._decoder is None, "the end of a body that is decoded is known"
        assert 0 < length - self._index * self._piece_bytes <= self._piece_bytes, "another piece"
        assert length <= self._given, "a body is only made shorter"
        self._given = self._length = length
        if self._cipher is not None:
            self._cipher.cut(length)
            self._length = self._cipher.stored_bytes

    async def decode(self, length: int) -> int:
        """Decodes what the buffer has so far, and the pieces before it. Raises ChunkedError."""
        coded = memoryview(bytearray())
        if self._buffer is not None:
            coded = self._buffer.payload(self._decoded, length)
        self._partial = self._feed(coded)
        await asyncio.shield(self._partial)
        assert self._decoder is not None
        if self._buffer is not None:
            self._decoded = self._decoder.decoded - self._index * self._piece_bytes
        return self._decoded

    def watch(self, failed: Callable[[], None] | None) -> None:
        """Has `failed` called when a piece fails, until the next call."""
        self._failed = failed

    async def finish(self) -> Location:
        """Makes the body durable and returns its place. Raises NoSpace, SyncFailed."""
        assert self._index == piece_count(self._length), "the body is not complete"
        await self._wait_below(1)
        self._hashing.close()
        self._raise_failure()
        self._syncing = self._extents.spawn(self._run.file.sync())
        await asyncio.shield(self._syncing)
        self._finished = True
        segment = self._run.file.segment
        return Location(
            LOCAL_VOLUME, segment.id, segment.generation, self._run.offset, self._length
        )

    def sealing(self) -> Sealing | None:
        """A file of its own; nothing where other bodies share the file."""
        assert self._finished, "only a durable body may be committed"
        file = self._run.file
        return Sealing(file.segment, file.token) if self._run.own_file else None

    async def abort(self) -> None:
        """Gives the room back, also after a failure or a cancelled wait; may be repeated."""
        assert not self._was_sent, "only reclaim releases a body whose transaction was sent"
        if not self._over:
            self._over = True
            await asyncio.shield(self._extents.spawn(self._give_back()))

    def sent(self) -> None:
        """From here only reclaim may release the body."""
        assert self._finished, "only a durable body may be committed"
        self._was_sent = True

    def settled(self) -> None:
        """The room is no longer held open; may be repeated."""
        if not self._over:
            self._over = True
            self._extents.settle(self._run)

    def _feed(self, coded: memoryview, expected: int | None = None) -> asyncio.Future[None]:
        assert self._decoder is not None
        decode = partial(self._extents.pool.decode, self._decoder, coded, expected)
        return self._decoding.run(decode)

    @property
    def _next(self) -> int:
        """What the next piece is filled with, in bytes."""
        return min(self._piece_bytes, self._given - self._index * self._piece_bytes)

    def _store(self, piece: _Piece) -> None:
        """The payload is there: writes and hashes it."""
        jobs = self._hashing.update(piece.buffer.payload(0, piece.length))
        if self._cipher is not None:
            sealing = self._extents.spawn(self._seal(self._cipher, piece, jobs))
            self._begin(piece, sealing, self._store_sealed)
            return
        for job in jobs:
            self._begin(piece, job)
        self._begin(piece, self._write(piece), self._written)

    async def _seal(
        self, cipher: Cipher, piece: _Piece, hashing: Sequence[asyncio.Future[None]]
    ) -> None:
        """Encrypts the payload in place, once its digests have seen it as it was."""
        self._unhashed += 1
        self._hurry()
        try:
            if hashing:
                await asyncio.wait(hashing)
                for job in hashing:
                    job.result()
        finally:
            self._unhashed -= 1
        room = piece.buffer.payload(0, PIECE_BYTES)
        await self._extents.pool.run(partial(cipher.seal, room, piece.index, piece.length))
        piece.length = piece_length(self._length, piece.index)

    def _store_sealed(self, piece: _Piece) -> None:
        self._begin(piece, self._write(piece))

    def _written(self, piece: _Piece) -> None:
        piece.is_unhashed = piece.jobs > 1
        if piece.is_unhashed:
            self._unhashed += 1
            self._hurry()

    def _hurry(self) -> None:
        """Where somebody waits, a piece is urgent that nothing but its digests holds back."""
        is_held = self._unhashed > 0 or self._failure is not None
        self._hashing.hurry(self._is_waiting and is_held)

    def _write(self, piece: _Piece) -> asyncio.Future[None]:
        file = self._run.file
        segment, generation = file.segment.id, file.segment.generation
        name = PieceName(self._data_id, segment, generation, piece.index, piece.length)
        offset = self._run.offset + piece.index * STRIDE
        return self._extents.pool.write_piece(file.file, offset, piece.buffer, name)

    def _begin(
        self,
        piece: _Piece,
        job: asyncio.Future[None],
        and_then: Callable[[_Piece], None] | None = None,
    ) -> None:
        """A job of the piece; `and_then` is called if it ends well."""
        piece.jobs += 1
        job.add_done_callback(partial(self._job_ended, piece, and_then))

    def _job_ended(
        self,
        piece: _Piece,
        and_then: Callable[[_Piece], None] | None,
        job: asyncio.Future[None],
    ) -> None:
        error = job.exception()
        if error is not None:
            self._fail(error)
        elif and_then is not None and self._failure is None:
            and_then(piece)
        piece.jobs -= 1
        if not piece.jobs:
            self._buffers.release(piece.buffer)
            self._in_flight -= 1
            self._unhashed -= piece.is_unhashed
            self._moved.set()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
            self._hurry()
            if self._failed is not None:
                self._failed()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _wait_below(self, count: int) -> None:
        if self._in_flight < count:
            return
        self._is_waiting = True
        self._hurry()
        try:
            while self._in_flight >= count:
                self._moved.clear()
                await self._moved.wait()
        finally:
            self._is_waiting = False
            self._hurry()

    async def _give_back(self) -> None:
        await self._wait_below(1)
        self._hashing.close()
        if self._partial is not None:
            await asyncio.wait([self._partial])
        if self._buffer is not None:
            self._buffers.release(self._buffer)
            self._buffer = None
        if self._syncing is not None:
            await asyncio.wait([self._syncing])
        if self._run.own_file:
            await self._extents.discard(self._run)
        else:
            self._extents.settle(self._run)
