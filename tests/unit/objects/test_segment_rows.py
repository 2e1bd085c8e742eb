"""Segments are written down as rows, each change under the token of the one before it."""

import pytest

from fastobj.core.errors import Conflict
from fastobj.core.segments import SEGMENT_BODY, SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import Add
from fastobj.objects.segment_rows import SegmentRows, sealing_rows, usage_add
from fastobj.storage.base import Sealing, SegmentInfo, Usage

OWNER = 77
SEGMENT = SegmentInfo(1 << 63 | 5, SEGMENT_BODY, 9, 4096, OWNER)


class FinishedWriter:
    """A writer as far as the transaction that keeps its body asks."""

    def __init__(self, sealing):
        self._sealing = sealing

    def sealing(self):
        return self._sealing


@pytest.fixture
def book(world):
    return SegmentRows(world.store.ledger, OWNER)


async def read(world):
    """The segment's record and token, None where there is no row."""
    found = await world.engine.get(keys.SEGMENTS, keys.segment(SEGMENT.id))
    return found and (records.decode(records.SegmentRecord, found[0]), found[1])


def record(state):
    return records.SegmentRecord(records.FORMAT, SEGMENT_BODY, state, 9, 4096, OWNER)


async def test_a_segment_from_its_opening_to_its_removal(world, book):
    assert book.owner == OWNER
    token = await book.opened(SEGMENT)
    assert await read(world) == (record(SEGMENT_OPEN), token)
    await book.sealed(SEGMENT, token)
    sealed, sealed_token = await read(world)
    assert sealed == record(SEGMENT_SEALED)
    await book.removed(SEGMENT, sealed_token)
    assert await read(world) is None


async def test_a_taken_id_is_a_conflict(world, book):
    token = await book.opened(SEGMENT)
    with pytest.raises(Conflict):
        await book.opened(SEGMENT._replace(generation=10))
    assert await read(world) == (record(SEGMENT_OPEN), token)


async def test_a_row_that_changed_is_a_conflict(world, book):
    token = await book.opened(SEGMENT)
    await book.sealed(SEGMENT, token)
    before = await read(world)
    for change in (book.sealed, book.removed):
        with pytest.raises(Conflict):
            await change(SEGMENT, token)
    assert await read(world) == before


def test_what_a_kept_body_seals():
    assert sealing_rows(FinishedWriter(None)) == []
    [row] = sealing_rows(FinishedWriter(Sealing(SEGMENT, b"t" * 16)))
    assert (row.space, row.key, row.expect) == (keys.SEGMENTS, keys.segment(SEGMENT.id), b"t" * 16)
    assert records.decode(records.SegmentRecord, row.value) == record(SEGMENT_SEALED)


def test_usage_is_a_counter_of_bytes_and_bodies():
    assert usage_add(Usage(5, -4096, -1)) == Add(keys.SEGMENTS, keys.segment(5), (-4096, -1))
