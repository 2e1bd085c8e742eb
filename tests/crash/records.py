"""Reads what the recorder wrote: every write and sync of all processes, in one order.

The layout of an entry is in src/fastobj/_ext/segio_impl.h. Begin and end numbers come from one
counter that all recording processes share.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from fastobj.storage import io

SUFFIX = ".record"

_HEAD = struct.Struct("<IBQQQHQ")  # length of the entry, kind, begin, end, offset, path, data


class Kind(IntEnum):
    """What an entry says."""

    WRITE = io.RECORD_WRITE
    SYNC = io.RECORD_SYNC
    TRUNCATE = io.RECORD_TRUNCATE
    CREATE = io.RECORD_CREATE
    RENAME = io.RECORD_RENAME
    UNLINK = io.RECORD_UNLINK
    SYNC_DIRECTORY = io.RECORD_SYNC_DIRECTORY
    ALLOCATE = io.RECORD_ALLOCATE
    SYNC_LOST = io.RECORD_SYNC_LOST


class Entry(NamedTuple):
    """One change or sync. `offset` and the length of `data` are in bytes."""

    begin: int
    end: int
    kind: Kind
    path: str
    offset: int
    data: memoryview

    def __repr__(self) -> str:
        size = f" {len(self.data)} bytes at {self.offset}" if self.kind is Kind.WRITE else ""
        return f"[{self.begin}-{self.end}] {self.kind.name} {self.path}{size}"


def read(directory: Path) -> list[Entry]:
    """The entries of all processes that recorded into `directory`, by their begin numbers."""
    entries: list[Entry] = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        entries += parse(path.read_bytes())
    return sorted(entries, key=lambda entry: entry.begin)


def parse(raw: bytes) -> Iterator[Entry]:
    """The entries of one process. Raises ValueError where an entry is cut short."""
    view = memoryview(raw)
    at = 0
    while at < len(raw):
        if at + _HEAD.size > len(raw):
            raise ValueError(f"an entry is cut short at {at}")
        total, kind, begin, end, offset, path_length, length = _HEAD.unpack_from(raw, at)
        if total != _HEAD.size + path_length + length or at + total > len(raw):
            raise ValueError(f"an entry is cut short at {at}")
        path = at + _HEAD.size
        body = path + path_length
        name = raw[path:body].decode("utf-8", "surrogateescape")
        yield Entry(begin, end, Kind(kind), name, offset, view[body : at + total])
        at += total
