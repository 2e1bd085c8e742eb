"""Frames: every length around their edges, ranges, and whatever must not open."""

import os

import pytest

from fastobj._ext.crc import crc32c
from fastobj.core.errors import ChecksumMismatch, StaleLocation
from fastobj.core.limits import OBJECT_BYTES_MAX, PIECE_BYTES, STORED_BYTES_MAX
from fastobj.core.secret import Secret
from fastobj.objects import carried, frames
from fastobj.objects.frames import PLAIN_BYTES, STORED_BYTES, FrameCipher, OpenedVolume
from fastobj.storage.base import fill, new_data_id
from fastobj.storage.memory import MemoryVolume
from fastobj.testing.store import assemble

PIECE = 16 * PLAIN_BYTES
EDGES = [*range(1, 40), PLAIN_BYTES * 2 - 1, PLAIN_BYTES * 2, PLAIN_BYTES * 2 + 1]
EDGES += [edge + by for edge in (PLAIN_BYTES, STORED_BYTES) for by in range(-17, 18)]
EDGES += [PIECE - 1, PIECE, PIECE + 1, PIECE_BYTES, 2 * PIECE + PLAIN_BYTES + 1]


def key():
    return Secret(os.urandom(32))


def bits_turned(frame):
    """The frame with one bit turned, at places all over it."""
    for at in {0, 1, len(frame) // 2, len(frame) - 17, len(frame) - 1}:
        turned = bytearray(frame)
        turned[at] ^= 0x10
        yield bytes(turned)


@pytest.mark.parametrize("size", EDGES)
def test_what_is_sealed_opens(size):
    cipher, body = FrameCipher(key(), new_data_id(), size), os.urandom(size)
    sealed = cipher.seal_all(body)
    assert len(sealed) == frames.stored_size(size) == cipher.stored_bytes
    assert frames.plain_size(len(sealed)) == size
    assert size < 16 or body[:16] not in sealed
    assert cipher.open(sealed, 0) == body


def test_sizes_are_one_to_one():
    sizes = [*range(200_000), *range(OBJECT_BYTES_MAX - 200_000, OBJECT_BYTES_MAX + 1)]
    stored = [frames.stored_size(size) for size in sizes]
    assert [frames.plain_size(size) for size in stored] == sizes
    assert stored[-1] == STORED_BYTES_MAX


def test_pieces_are_whole():
    """A whole piece of the volume is made of whole frames, and no byte is left."""
    assert FrameCipher.piece_bytes == PIECE
    assert frames.stored_size(PIECE) == PIECE_BYTES


def test_pieces_seal_as_the_whole_does():
    size = 2 * PIECE + 70_000
    cipher, body = FrameCipher(key(), new_data_id(), size), os.urandom(size)
    found = b""
    for number, at in enumerate(range(0, size, PIECE)):
        piece = body[at : at + PIECE]
        room = bytearray(PIECE_BYTES)
        room[: len(piece)] = piece
        cipher.seal(memoryview(room), number, len(piece))
        found += room[: frames.stored_size(len(piece))]
    assert found == cipher.seal_all(body)


@pytest.fixture
def sealed():
    """A cipher, and the three frames of its body."""
    cipher = FrameCipher(key(), new_data_id(), 2 * PLAIN_BYTES + 100)
    body = cipher.seal_all(os.urandom(2 * PLAIN_BYTES + 100))
    return cipher, [body[at : at + STORED_BYTES] for at in range(0, len(body), STORED_BYTES)]


def test_a_changed_frame_does_not_open(sealed):
    cipher, found = sealed
    for number, frame in enumerate(found):
        assert cipher.open(frame, number)
        for changed in [*bits_turned(frame), frame[:-1], frame + b"x", frame[:10]]:
            with pytest.raises(ChecksumMismatch, match="does not open"):
                cipher.open(changed, number)


def test_frames_cannot_change_places(sealed):
    cipher, (first, second, third) = sealed
    for at, frame in [(0, second), (1, first), (1, third), (2, second), (3, third)]:
        with pytest.raises(ChecksumMismatch):
            cipher.open(frame, at)
    with pytest.raises(ChecksumMismatch):
        cipher.open(second + first, 0)


def test_frames_of_another_body_or_key_do_not_open():
    data_id, secret, body = new_data_id(), key(), os.urandom(100)
    frame = FrameCipher(secret, data_id, 100).seal_all(body)
    assert FrameCipher(secret, data_id, 100).open(frame, 0) == body
    for other in (FrameCipher(secret, new_data_id(), 100), FrameCipher(key(), data_id, 100)):
        with pytest.raises(ChecksumMismatch):
            other.open(frame, 0)


def test_a_body_cannot_be_cut_or_grown():
    """The last frame says so: the rest of a body is none."""
    data_id, secret = new_data_id(), key()
    size = 3 * PLAIN_BYTES
    body = FrameCipher(secret, data_id, size).seal_all(os.urandom(size))
    shorter = FrameCipher(secret, data_id, 2 * PLAIN_BYTES)
    assert shorter.open(body[:STORED_BYTES], 0)
    with pytest.raises(ChecksumMismatch, match="frame 1 "):
        shorter.open(body[: 2 * STORED_BYTES], 0)
    longer = FrameCipher(secret, data_id, size + 1)
    with pytest.raises(ChecksumMismatch, match="frame 2 "):
        longer.open(body, 0)


# --- read from a volume


async def store_body(volume, body, secret):
    """The location and the data id of an encrypted body."""
    store = assemble(volume=volume)

    async def write(writer):
        await fill(writer, body)

    large = await carried.write(store, len(body), write, key=secret)
    return large.location, large.data_id


async def joined(stream):
    return b"".join([bytes(part) async for part in stream])


@pytest.mark.parametrize("slice_bytes", [STORED_BYTES, 1000, 3 * STORED_BYTES + 5, PIECE_BYTES])
async def test_ranges(slice_bytes):
    volume, secret = MemoryVolume(slice_bytes=slice_bytes), key()
    body = os.urandom(6 * PLAIN_BYTES + 777)
    location, data_id = await store_body(volume, body, secret)
    assert location.length == frames.stored_size(len(body))
    opened = OpenedVolume(volume, secret)
    edges = [0, 1, PLAIN_BYTES - 1, PLAIN_BYTES, PLAIN_BYTES + 1, 4 * PLAIN_BYTES]
    edges += [4 * PLAIN_BYTES + 9, 5 * PLAIN_BYTES - 1, 6 * PLAIN_BYTES, len(body) - 1, len(body)]
    for begin in edges:
        for end in edges:
            if begin <= end:
                place = (location, data_id, begin, end - begin)
                assert await opened.read(*place) == body[begin:end]
                assert await joined(opened.stream(*place)) == body[begin:end]


async def test_a_range_reads_its_frames_only():
    class Watched(MemoryVolume):
        wanted = (0, 0)

        async def read(self, location, data_id, offset, length):
            self.wanted = (offset, length)
            return await super().read(location, data_id, offset, length)

    volume, secret = Watched(), key()
    location, data_id = await store_body(volume, os.urandom(10 * PLAIN_BYTES), secret)
    opened = OpenedVolume(volume, secret)
    await opened.read(location, data_id, 3 * PLAIN_BYTES + 5, 10)
    assert volume.wanted == (3 * STORED_BYTES, STORED_BYTES)
    await opened.read(location, data_id, 4 * PLAIN_BYTES - 1, 2)
    assert volume.wanted == (3 * STORED_BYTES, 2 * STORED_BYTES)


async def test_nothing_leaves_before_its_tag_is_verified():
    volume, secret = MemoryVolume(), key()
    body = os.urandom(9 * PLAIN_BYTES)
    location, data_id = await store_body(volume, body, secret)
    stored = volume._bodies[location.segment]
    payload = bytearray(stored.payload)
    payload[6 * STORED_BYTES + 7] ^= 1
    volume._bodies[location.segment] = stored._replace(
        payload=bytes(payload), crc32c=crc32c(payload)
    )
    opened = OpenedVolume(volume, secret)
    found = bytearray()

    async def read():
        async for part in opened.stream(location, data_id, 0, len(body)):
            found.extend(part)

    with pytest.raises(ChecksumMismatch, match="frame 6 "):
        await read()
    assert body.startswith(found)
    assert len(found) <= 6 * PLAIN_BYTES
    with pytest.raises(ChecksumMismatch):
        await opened.read(location, data_id, 6 * PLAIN_BYTES, 1)
    assert await opened.read(location, data_id, 5 * PLAIN_BYTES, 100)


async def test_a_body_that_has_gone_is_told_as_such():
    volume, secret = MemoryVolume(), key()
    location, data_id = await store_body(volume, b"x" * 100, secret)
    volume.drop(location)
    opened = OpenedVolume(volume, secret)
    with pytest.raises(StaleLocation):
        await opened.read(location, data_id, 0, 10)
    with pytest.raises(StaleLocation):
        await joined(opened.stream(location, data_id, 0, 10))
