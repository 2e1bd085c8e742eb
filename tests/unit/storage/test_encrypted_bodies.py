"""Bodies that are encrypted on their way into an extent, as they are and in aws-chunked coding."""

import hashlib
import os

import pytest

from fastobj._ext.chunked import ChunkedDecoder, Mode
from fastobj._ext.digest import Md5
from fastobj.core.errors import StoreError
from fastobj.core.limits import KIB, MIB
from fastobj.core.secret import Secret
from fastobj.objects.frames import PLAIN_BYTES, FrameCipher, OpenedVolume, stored_size
from fastobj.storage.base import fill, new_data_id
from tests.unit.storage.volumes import Rows, local_volume

PIECE = 16 * PLAIN_BYTES
SIZES = [1, PLAIN_BYTES, PLAIN_BYTES + 1, PIECE - 1, PIECE, PIECE + 1, MIB, 5 * PIECE + 12345]


async def joined(stream):
    return b"".join([bytes(part) async for part in stream])


def coded(body, chunk):
    """The body as unsigned chunks, without a trailer."""
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_written_is_read(tmp_path, size):
    async with local_volume(tmp_path, Rows()) as volume:
        body, data_id, key = os.urandom(size), new_data_id(), Secret(os.urandom(32))
        md5, slow = Md5(), hashlib.sha512()
        cipher = FrameCipher(key, data_id, size)
        writer = await volume.writer(size, data_id, [md5, slow], cipher=cipher)
        await fill(writer, body)
        location = await writer.finish()
        assert location.length == stored_size(size)
        assert md5.digest() == hashlib.md5(body).digest()
        assert slow.digest() == hashlib.sha512(body).digest()
        opened = OpenedVolume(volume, key)
        assert await opened.read(location, data_id, 0, size) == body
        assert await joined(opened.stream(location, data_id, 0, size)) == body
        assert await volume.read(location, data_id, 0, location.length) == cipher.seal_all(body)
        half = size // 2
        assert await joined(opened.stream(location, data_id, half, size - half)) == body[half:]
        writer.sent()
        writer.settled()


@pytest.mark.parametrize("chunk", [8 * KIB, 64 * KIB, 3 * MIB])
async def test_a_coded_body(tmp_path, chunk):
    async with local_volume(tmp_path, Rows()) as volume:
        size = 2 * PIECE + 777
        body, data_id, key = os.urandom(size), new_data_id(), Secret(os.urandom(32))
        decoder = ChunkedDecoder(Mode.UNSIGNED_TRAILER, size)
        md5, cipher = Md5(), FrameCipher(key, data_id, size)
        writer = await volume.writer(size, data_id, [md5], decoder, cipher)
        for at in range(0, size, PIECE):
            piece = coded(body[at : at + PIECE], chunk).removesuffix(b"0\r\n\r\n")
            room = await writer.buffer()
            half = len(piece) // 2
            room[:half] = piece[:half]
            decoded = await writer.decode(half)
            rest = piece[half:]
            room[decoded : decoded + len(rest)] = rest
            await writer.push(decoded + len(rest))
        location = await writer.finish()
        assert md5.digest() == hashlib.md5(body).digest()
        assert await OpenedVolume(volume, key).read(location, data_id, 0, size) == body
        await writer.abort()


async def test_a_cipher_that_fails_fails_the_body(tmp_path):
    class Broken(FrameCipher):
        def seal(self, room, piece, length):
            raise StoreError("no")

    async with local_volume(tmp_path, Rows()) as volume:
        data_id, size = new_data_id(), 3 * PIECE
        cipher = Broken(Secret(bytes(32)), data_id, size)
        writer = await volume.writer(size, data_id, [Md5()], cipher=cipher)

        async def write():
            await fill(writer, os.urandom(size))
            await writer.finish()

        with pytest.raises(StoreError, match="no"):
            await write()
        await writer.abort()
        assert not volume._extents._tasks
