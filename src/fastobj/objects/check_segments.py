"""Segments as `check` compares them: rows with files, and the places of bodies with both."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from fastobj.core.segments import SEGMENT_LOG
from fastobj.meta.records import SegmentRecord
from fastobj.storage import io
from fastobj.storage.base import LOCAL_VOLUME, Location, Usage
from fastobj.storage.segment_files import (
    EXTENTS_FOLDER,
    LOG_FOLDER,
    is_unwritten,
    segment_of,
    segment_path,
)
from fastobj.storage.spares import MAKING_SUFFIX, SUFFIX

_NO_FILE: Final = -1
_SPARE_SUFFIXES: Final = (SUFFIX, MAKING_SUFFIX)


class Remark(NamedTuple):
    """Something about a file or a segment; a note is no damage."""

    subject: str
    reason: str
    cure: str
    is_note: bool = False


class _Segment(NamedTuple):
    """A segment's row, what its file has of bytes, and where bodies stand in it."""

    record: SegmentRecord
    size: int
    offsets: array[int]
    lengths: array[int]


class CheckedSegments:
    """The segments of a store below `root`. `accounts` is that of its volume.

    It holds 16 bytes for each body.
    """

    def __init__(self, root: str, accounts: Callable[[Location, int], Usage]) -> None:
        self._root = root
        self._accounts = accounts
        self._segments: dict[int, _Segment] = {}

    def add(self, segment: int, record: SegmentRecord) -> None:
        """Takes a segment's row, and looks at its file."""
        try:
            size = os.stat(segment_path(self._root, segment)).st_size
        except FileNotFoundError:
            size = _NO_FILE
        self._segments[segment] = _Segment(record, size, array("Q"), array("Q"))

    def place(self, location: Location) -> str:
        """Notes where a body stands; returns why it cannot stand there, or ""."""
        if location.volume != LOCAL_VOLUME:
            return f"its row places it on volume {location.volume}, which this store has not"
        segment = self._segments.get(location.segment)
        if segment is None:
            return f"its row places it in segment {location.segment:016x}, which has no row"
        if location.generation != segment.record.generation:
            return (
                f"its row names generation {location.generation} of segment"
                f" {location.segment:016x}, which has generation {segment.record.generation}"
            )
        length = self._accounts(location, +1).size_bytes
        segment.offsets.append(location.offset)
        segment.lengths.append(length)
        if segment.size == _NO_FILE:
            return f"{_name(location.segment)} is missing"
        if location.offset + length > segment.size:
            return (
                f"its row places it up to byte {location.offset + length} of"
                f" {_name(location.segment)}, which has {segment.size}"
            )
        return ""

    def overlapping(self) -> dict[tuple[int, int], int]:
        """Segment and offset of each body that begins before the one in front of it ends.

        With the offset of that one. Of several at one place each but the first stands here.
        """
        found: dict[tuple[int, int], int] = {}
        for number, segment in self._segments.items():
            end = before = 0
            offsets, lengths = segment.offsets, segment.lengths
            for index in sorted(range(len(offsets)), key=offsets.__getitem__):
                if offsets[index] < end:
                    found[number, offsets[index]] = before
                if offsets[index] + lengths[index] > end:
                    end, before = offsets[index] + lengths[index], offsets[index]
        return found

    def remarks(self) -> Iterator[Remark]:
        """What is wrong with segments and their files, or worth a note."""
        for number, segment in self._segments.items():
            yield from self._of_segment(number, segment)
        for folder in (LOG_FOLDER, EXTENTS_FOLDER):
            for name in sorted(os.listdir(f"{self._root}/{folder}")):
                yield from self._of_file(folder, name)
        quarantine = f"{self._root}/quarantine"
        if os.path.isdir(quarantine) and (names := sorted(os.listdir(quarantine))):
            yield Remark(
                "quarantine",
                f"it holds {len(names)} files that no row names ({', '.join(names[:3])})",
                "look whether an older database was restored; remove them if nothing is missed",
                is_note=True,
            )

    def _of_segment(self, number: int, segment: _Segment) -> Iterator[Remark]:
        name, record = _name(number), segment.record
        if segment.size == _NO_FILE:
            bodies = len(segment.offsets)
            if bodies:
                yield Remark(
                    name,
                    f"the file is missing, and {bodies} bodies stand in it",
                    "restore the file from a backup",
                )
            else:
                reason = "it has a row, no file, and nothing lives in it"
                yield Remark(name, reason, "the server removes the row", is_note=True)
        elif record.kind == SEGMENT_LOG and segment.size != record.size:
            yield Remark(
                name,
                f"the file has {segment.size} bytes, and its row says {record.size}",
                "restore the file from a backup",
            )
        elif segment.size < record.size:
            reason = f"the file has {segment.size} bytes, and its row says {record.size}"
            cure = "none is needed where no body is named: its writer gave back unused room"
            yield Remark(name, reason, cure, is_note=True)

    def _of_file(self, folder: str, name: str) -> Iterator[Remark]:
        segment = segment_of(name)
        if segment in self._segments or (folder == LOG_FOLDER and name.endswith(_SPARE_SUFFIXES)):
            return
        path = f"{folder}/{name}"
        if segment is None:
            yield Remark(path, "it is no file of a store", "move it away", is_note=True)
        elif folder == EXTENTS_FOLDER and self._is_unwritten(path):
            reason = "no row names the file, and nothing was written to it"
            yield Remark(path, reason, "the server removes it", is_note=True)
        else:
            yield Remark(
                path,
                "no row names the file, and bytes were written to it",
                "an older database may have been restored: restore the newest one; the server"
                " moves a file of extents to quarantine",
            )

    def _is_unwritten(self, path: str) -> bool:
        file = io.open_existing(f"{self._root}/{path}")
        try:
            return is_unwritten(file)
        finally:
            file.close()


def _name(segment: int) -> str:
    return segment_path("", segment)[1:]
