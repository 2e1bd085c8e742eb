"""Slow and obvious piece heads, and a reader of what the recorder writes."""

import struct
from pathlib import Path
from typing import NamedTuple

from fastobj._ext.crc import crc32c

HEAD_BYTES = 4096
FRAME_BYTES = 64 * 1024
FRAMES = 16

_ENTRY = struct.Struct("<IBQQQHQ")


def piece_head(
    payload: bytes, data_id: bytes, segment: int, generation: int, index: int, part: int = 0
) -> bytes:
    """The head of a piece, field by field in the order of the byte table."""
    sums = [
        crc32c(payload[at : at + FRAME_BYTES]) if at < len(payload) else 0
        for at in range(0, FRAMES * FRAME_BYTES, FRAME_BYTES)
    ]
    head = struct.pack(
        "<8sHB5x16sQIIII16I4x",
        b"fobjpce1",
        1,
        1,
        data_id,
        segment,
        generation,
        part,
        index,
        len(payload),
        *sums,
    )
    return (head + struct.pack("<I", crc32c(head))).ljust(HEAD_BYTES, b"\0")


class Entry(NamedTuple):
    """One recorded change: `begin` and `end` are numbers of the shared counter."""

    kind: int
    begin: int
    end: int
    offset: int
    path: str
    data: bytes


def read_entries(record: Path) -> list[Entry]:
    """All entries of one process, in the order in which they were appended."""
    raw = record.read_bytes()
    entries = []
    at = 0
    while at < len(raw):
        total, kind, begin, end, offset, path_length, data_length = _ENTRY.unpack_from(raw, at)
        assert total == _ENTRY.size + path_length + data_length
        path_end = at + _ENTRY.size + path_length
        path = raw[at + _ENTRY.size : path_end].decode()
        entries.append(Entry(kind, begin, end, offset, path, raw[path_end : at + total]))
        at += total
    assert at == len(raw)
    return entries
