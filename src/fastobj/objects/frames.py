"""Bodies as ciphertext: frames of AES-256-GCM that can be read in ranges.

A stored frame is 64 KiB: 65,520 bytes of the body and a tag of 16; the last one may be shorter. So
each frame is one unit of checksum of the volume, sixteen make a whole piece, and where a byte of
the body stands is arithmetic.

The key of the frames is HKDF-SHA256 of the object's key with the body's data id as salt, so it is
of one body only, and the nonce of a frame is its number. A data id is never used for other bytes.
Bound into each frame are the format, the data id, the frame's number, and whether it is the last:
a frame that was changed, moved, left out or put into another body does not open.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from typing import Final

from fastobj.core.errors import ChecksumMismatch
from fastobj.core.limits import (
    FRAME_TAG_BYTES,
    FRAMES_OPENED_AT_ONCE_MAX,
    PIECE_BYTES,
    PIECE_FRAME_BYTES,
)
from fastobj.core.secret import Secret
from fastobj.kms.wrapping import derive
from fastobj.storage.base import BodyStream, Location, Volume

STORED_BYTES: Final = PIECE_FRAME_BYTES
PLAIN_BYTES: Final = STORED_BYTES - FRAME_TAG_BYTES
_IN_PIECE: Final = PIECE_BYTES // STORED_BYTES
_FORMAT: Final = 1
_PURPOSE: Final = b"fastobj frames 1"
_BOUND: Final = struct.Struct(">B16sQ?")
_NONCE_BYTES: Final = 12


def stored_size(size: int) -> int:
    """Bytes that a body of `size` bytes takes as frames."""
    return size + FRAME_TAG_BYTES * _count(size)


def plain_size(stored: int) -> int:
    """Bytes of the body whose frames take `stored` bytes."""
    return stored - FRAME_TAG_BYTES * -(-stored // STORED_BYTES)


def _count(size: int) -> int:
    return -(-size // PLAIN_BYTES)


class FrameCipher:
    """Seals and opens the frames of one body, which has `size` bytes (storage.base.Cipher)."""

    piece_bytes = _IN_PIECE * PLAIN_BYTES

    def __init__(self, key: Secret, data_id: bytes, size: int) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.cut(size)
        self._data_id = data_id
        self._gcm = AESGCM(derive(key, data_id, _PURPOSE))

    def cut(self, size: int) -> None:
        """The body has `size` bytes, fewer than was said: its last piece is not sealed yet."""
        self.stored_bytes = stored_size(size)
        self._last = _count(size) - 1

    def seal(self, room: memoryview, piece: int, length: int) -> None:
        """Turns the first `length` bytes of the room, piece `piece`, into what is stored of it.

        In place, from its end: what is stored of a frame reaches into the next one.
        """
        for index in reversed(range(_count(length))):
            start = index * PLAIN_BYTES
            plain = room[start : min(start + PLAIN_BYTES, length)]
            number = piece * _IN_PIECE + index
            sealed = self._gcm.encrypt(_nonce(number), plain, self._bound(number))
            start = index * STORED_BYTES
            room[start : start + len(sealed)] = sealed

    def seal_all(self, body: bytes) -> bytes:
        """The frames of the whole body."""
        room = bytearray(self.stored_bytes)
        room[: len(body)] = body
        with memoryview(room) as view:
            self.seal(view, 0, len(body))
        return bytes(room)

    def open(self, frames: bytes | memoryview, first: int) -> bytes:
        """The bytes in whole frames, of which the first is number `first`.

        Raises ChecksumMismatch where one of them does not open.
        """
        from cryptography.exceptions import InvalidTag

        found: list[bytes] = []
        for at in range(0, len(frames), STORED_BYTES):
            number = first + at // STORED_BYTES
            frame = frames[at : at + STORED_BYTES]
            try:
                found.append(self._gcm.decrypt(_nonce(number), frame, self._bound(number)))
            except InvalidTag:
                raise ChecksumMismatch(
                    f"frame {number} of an encrypted body does not open with the object's key"
                ) from None
        return found[0] if len(found) == 1 else b"".join(found)

    def _bound(self, number: int) -> bytes:
        return _BOUND.pack(_FORMAT, self._data_id, number, number == self._last)


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")


class OpenedVolume:
    """Reads bodies of a volume that are encrypted with one object's key: in plain offsets."""

    def __init__(self, volume: Volume, key: Secret) -> None:
        self._volume = volume
        self._key = key

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        if not length:
            return b""
        cipher = self._cipher(location, data_id)
        first, start, stored = _span(location, offset, length)
        frames = await self._volume.read(location, data_id, first * STORED_BYTES, stored)
        if stored > STORED_BYTES:
            plain = await asyncio.to_thread(cipher.open, frames, first)
        else:
            plain = cipher.open(frames, first)
        return plain if len(plain) == length else plain[start : start + length]

    async def stream(
        self, location: Location, data_id: bytes, offset: int, length: int
    ) -> AsyncGenerator[memoryview, None]:
        """Verified bytes in slices. It raises what `read` raises."""
        if not length:
            return
        cipher = self._cipher(location, data_id)
        number, start, stored = _span(location, offset, length)
        slices = self._volume.stream(location, data_id, number * STORED_BYTES, stored)
        try:
            async for frames in _whole(slices, stored):
                plain = await asyncio.to_thread(cipher.open, frames, number)
                number += -(-len(frames) // STORED_BYTES)
                part = memoryview(plain)[start : start + length]
                start = 0
                length -= len(part)
                yield part
        finally:
            await slices.aclose()

    def _cipher(self, location: Location, data_id: bytes) -> FrameCipher:
        return FrameCipher(self._key, data_id, plain_size(location.length))


def _span(location: Location, offset: int, length: int) -> tuple[int, int, int]:
    """The first frame of a range, where the range begins in it, and the bytes to read."""
    first, start = divmod(offset, PLAIN_BYTES)
    end = _count(offset + length) * STORED_BYTES
    return first, start, min(end, location.length) - first * STORED_BYTES


async def _whole(slices: BodyStream, left: int) -> AsyncGenerator[bytes, None]:
    """The slices as some whole frames at a time: copies, for a slice does not last."""
    most = FRAMES_OPENED_AT_ONCE_MAX * STORED_BYTES
    held = bytearray()
    async for piece in slices:
        while piece:
            wanted = min(most, left)
            taken = piece[: wanted - len(held)]
            piece = piece[len(taken) :]
            held += taken
            if len(held) == wanted:
                left -= wanted
                yield bytes(held)
                held.clear()
