"""Places of bodies: in their segments, inside their files, and clear of each other."""

import pytest

from fastobj.core.segments import SEGMENT_EXTENTS, SEGMENT_SEALED
from fastobj.meta.records import SegmentRecord
from fastobj.objects.check_segments import CheckedSegments
from fastobj.storage.base import LOCAL_VOLUME, Location, Usage
from fastobj.storage.segment_files import make_folders, segment_path

SEGMENT = (1 << 63) + 5
SIZE = 1000


@pytest.fixture
def segments(tmp_path):
    """One segment of 1,000 bytes, in which a body takes its own length."""
    make_folders(str(tmp_path))
    with open(segment_path(str(tmp_path), SEGMENT), "wb") as file:
        file.truncate(SIZE)
    made = CheckedSegments(str(tmp_path), lambda location, sign: Usage(0, location.length, sign))
    made.add(SEGMENT, SegmentRecord(1, SEGMENT_EXTENTS, SEGMENT_SEALED, 7, SIZE, 1))
    return made


def place(offset, length, segment=SEGMENT, generation=7, volume=LOCAL_VOLUME):
    return Location(volume, segment, generation, offset, length)


def test_bodies_side_by_side(segments):
    for offset, length in ((500, 500), (0, 200), (200, 300)):
        assert segments.place(place(offset, length)) == ""
    assert segments.overlapping() == {}
    assert list(segments.remarks()) == []


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (place(0, 1, volume=2), "volume 2"),
        (place(0, 1, segment=77), "000000000000004d, which has no row"),
        (place(0, 1, generation=8), "which has generation 7"),
        (place(999, 2), "up to byte 1001"),
    ],
)
def test_a_body_that_cannot_stand_where_its_row_says(segments, location, words):
    assert words in segments.place(location)


def test_bodies_that_overlap(segments):
    for offset, length in ((0, 100), (99, 1), (300, 500), (400, 10), (790, 20), (810, 1)):
        assert segments.place(place(offset, length)) == ""
    assert segments.overlapping() == {(SEGMENT, 99): 0, (SEGMENT, 400): 300, (SEGMENT, 790): 300}


def test_two_bodies_at_one_place(segments):
    for _ in range(2):
        segments.place(place(100, 10))
    assert segments.overlapping() == {(SEGMENT, 100): 100}


def test_a_file_that_is_shorter_than_its_row_says(segments, tmp_path):
    segments.add(SEGMENT + 1, SegmentRecord(1, SEGMENT_EXTENTS, SEGMENT_SEALED, 7, 10, 1))
    segments.add(SEGMENT, SegmentRecord(1, SEGMENT_EXTENTS, SEGMENT_SEALED, 7, SIZE + 1, 1))
    assert [remark.is_note for remark in segments.remarks()] == [True, True]
