"""Damage in words: what a log or a terminal shows can be read, and steers nothing."""

import pytest

from fastobj.meta import keys
from fastobj.objects import damage
from fastobj.objects.verify import Fault
from fastobj.storage.base import NO_LOCATION, Location

PLACE = Location(1, 1 << 63, 7, 4096, 10).encode()


async def test_an_object(world):
    bucket = await world.bucket()
    key = keys.current(bucket.record.id, 'a\n\x1b[2J\u202e"ü'.encode())
    words = await damage.words(
        world.engine, Fault(keys.CURRENT, key, b"d" * 16, PLACE, "it is torn")
    )
    assert (words.bucket, words.place) == (
        "bucket",
        "extents/8000000000000000.ext, offset 4096",
    )
    assert words.line() == (
        'object "bucket/a\\n\\u001b[2J\\u202e\\"ü" at extents/8000000000000000.ext, offset 4096'
        " is damaged: it is torn. Cure: restore the object from a backup, or delete it"
    )


async def test_an_object_whose_bucket_is_gone(world):
    fault = Fault(keys.CURRENT, b"12345678\xff", b"", b"", "torn")
    words = await damage.words(world.engine, fault)
    assert words.line().startswith('object "id 3132333435363738/\\\\xff" is damaged: torn. Cure: ')
    assert "restore the whole store" in words.cure


@pytest.mark.parametrize(
    ("space", "key", "subject"),
    [
        (keys.BUCKETS, b"name", 'bucket "name"'),
        (keys.SEGMENTS, keys.segment(7), "segment 0000000000000007"),
        (keys.SHARED, b"\1" * 16, f"shared body {'01' * 16}"),
        (keys.PARTS, keys.part(b"\2" * 16, 77, b"uniq"), f"part 77 of upload {'02' * 16}"),
        (keys.PARTS, b"\2", "part 02"),
        (keys.UPLOADS, b"", 'upload "id /"'),
        (keys.DUE, b"\xff", "due ff"),
    ],
)
async def test_other_rows(world, space, key, subject):
    words = await damage.words(world.engine, Fault(space, key, b"", b"", "torn"))
    assert words.subject == subject


@pytest.mark.parametrize("location", [b"", b"short", NO_LOCATION])
def test_a_place_that_is_none(location):
    assert damage.place_text(location) == ""
