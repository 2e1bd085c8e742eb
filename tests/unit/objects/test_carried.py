"""Bodies whose end is known only when it is there: received whole, or nothing is left."""

import hashlib

import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.http.message import BytesBody
from fastobj.objects import carried

PIECE = 1000  # of the volume in these tests
SIZES = [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7]


@pytest.fixture
def pieces(world):
    """A store with small pieces."""
    world.store.volume.piece_bytes = PIECE
    return world.store


class Ending(BytesBody):
    """A body that tells when it is over."""

    @property
    def is_over(self):
        return self._position == self.length


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("more", [0, 1, 7, PIECE, 5 * PIECE])
async def test_a_body_up_to_a_most(pieces, size, more):
    body, md5 = bytes(index % 251 for index in range(size)), hashlib.md5()
    large = await carried.receive_up_to(pieces, size + more, [md5], Ending(body))
    assert large.location.length == size
    assert md5.digest() == hashlib.md5(body).digest()
    assert await pieces.volume.read(large.location, large.data_id, 0, size) == body
    await large.close()
    assert len(pieces.volume) == 0


@pytest.mark.parametrize("size", SIZES[1:])
async def test_more_than_the_most(pieces, size):
    body = Ending(bytes(size))
    with pytest.raises(S3Error, check=lambda error: error.code is codes.ENTITY_TOO_LARGE):
        await carried.receive_up_to(pieces, size - 1, [], body)
    assert len(pieces.volume) == 0


@pytest.mark.parametrize("size", SIZES)
async def test_a_reader_that_fails(pieces, size):
    class Failing(Ending):
        calls = 0

        async def readinto(self, room):
            self.calls += 1
            if self.calls == -(-size // PIECE):
                raise S3Error(codes.MALFORMED_POST_REQUEST)
            return await super().readinto(room)

    with pytest.raises(S3Error, check=lambda e: e.code is codes.MALFORMED_POST_REQUEST):
        await carried.receive_up_to(pieces, size + 10, [], Failing(bytes(size)))
    assert len(pieces.volume) == 0
