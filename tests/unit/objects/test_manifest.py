"""Manifests: the parts of an object and where they stand, and those that are kept in memory."""

import os
import random

import pytest

from fastobj.core.errors import ChecksumMismatch, StoreDamaged, UnknownFormat
from fastobj.core.limits import MANIFESTS_KEPT_BYTES_MAX, PART_NUMBER_MAX
from fastobj.objects import get, manifest
from fastobj.objects.kept import Kept
from fastobj.objects.manifest import ManifestPart, Parts
from fastobj.storage.base import Location, new_data_id
from tests.unit.objects.uploading import everywhere, quick

__all__ = ["quick"]


def part(number, size):
    if not size:
        return ManifestPart(number, 0, b"", b"")
    place = Location(1, number, 2, number * 4096, size)
    return ManifestPart(number, size, new_data_id(), place.encode())


def test_places_and_pieces(rng: random.Random):
    """Every range is covered by the parts that it meets, in order, whatever is empty."""
    sizes = [0, 5, 0, 0, 3, 1, 10, 0]
    numbers = sorted(rng.sample(range(1, PART_NUMBER_MAX + 1), len(sizes)))
    listed = [part(*one) for one in zip(numbers, sizes, strict=True)]
    parts = Parts(listed)
    owners = [(one, at) for one in listed for at in range(one.size)]
    assert parts.size == len(owners) == sum(sizes)
    for offset in range(parts.size):
        for length in range(1, parts.size - offset + 1):
            found = [
                (piece.data_id, piece.location.encode(), at)
                for piece in parts.pieces(offset, length)
                for at in range(piece.offset, piece.offset + piece.length)
            ]
            wanted = owners[offset : offset + length]
            assert found == [(one.data_id, one.location, at) for one, at in wanted]
    start = 0
    for one in listed:
        assert parts.find(one.number) == (start, one)
        start += one.size
    for absent in set(range(PART_NUMBER_MAX + 2)) - set(numbers):
        assert parts.find(absent) is None


def test_the_largest_takes_little_memory():
    parts = Parts([part(number, 1) for number in range(1, PART_NUMBER_MAX + 1)])
    assert parts.memory_bytes < MANIFESTS_KEPT_BYTES_MAX // 6


class Weighed:
    def __init__(self, memory_bytes):
        self.memory_bytes = memory_bytes


def test_what_is_kept_is_bounded_and_used_last():
    kept = Kept(100)
    values = {name: Weighed(40) for name in (b"a", b"b", b"c")}
    for name in (b"a", b"b"):
        kept.keep(name, values[name])
    assert kept.get(b"a") is values[b"a"]
    kept.keep(b"c", values[b"c"])
    assert [kept.get(name) for name in values] == [values[b"a"], None, values[b"c"]]
    kept.keep(b"large", Weighed(101))
    assert kept.get(b"large") is None
    kept.keep(b"whole", Weighed(100))
    assert [kept.get(name) for name in values] == [None] * 3
    kept.clear()
    kept.keep(b"whole", Weighed(100))
    assert kept.get(b"whole").memory_bytes == 100


@everywhere
async def test_a_manifest_is_read_once(site):
    bodies = [os.urandom(1500) for _ in range(3)]
    record = await site.upload(bodies)
    read, asked = site.store.volume.read, []

    async def reading(place, data_id, *span):
        asked.append(data_id)
        return await read(place, data_id, *span)

    site.store.volume.read = reading
    for offset in (0, 700, 1500, 4000):
        assert await site.read(offset=offset, length=500) == b"".join(bodies)[offset:][:500]
    assert asked.count(record.data_id) == 1
    await site.upload([b"another"])
    assert await site.read() == b"another"


async def test_one_that_is_damaged_is_not_kept(quick):
    await quick.upload([b"a" * 1500])
    record = await get.find_object(quick.store, quick.bucket, b"key")
    quick.store.volume.damage(Location.decode(record.location))
    for _ in range(2):
        with pytest.raises(ChecksumMismatch):
            await quick.read()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"\x92\x01\xc1", StoreDamaged),
        (b"", StoreDamaged),
        (manifest.encode([part(1, 7)]), StoreDamaged),  # another size than its object has
        (b"\x92\x02" + manifest.encode([part(1, 2000)])[2:], UnknownFormat),
    ],
    ids=["nonsense", "empty", "size", "format"],
)
async def test_bodies_that_are_no_manifest_of_the_object(quick, body, error):
    await quick.upload([b"a" * 1500])

    async def reading(*_):
        return body

    quick.store.volume.read = reading
    with pytest.raises(error):
        await quick.read()
