"""Slow and obvious blocks of the log: records, places and sums, field by field."""

import struct
from collections.abc import Iterable

from fastobj._ext.crc import crc32c


def location(volume: int, segment: int, generation: int, offset: int, length: int) -> bytes:
    """The 32 bytes that stand in rows."""
    return struct.pack("<IQIQQ", volume, segment, generation, offset, length)


def record_head(
    data_id: bytes, segment: int, generation: int, crc: int, length: int, hint_length: int
) -> bytes:
    """The 48 bytes before a body."""
    fields = (hint_length, data_id, segment, generation, crc, length)
    return struct.pack("<4sBBH16sQIIQ", b"FOBR", 1, 0, *fields)


def joined(txns: Iterable[bytes]) -> bytes:
    """The transactions of a block, each behind a u32 length."""
    return b"".join(struct.pack("<I", len(txn)) + txn for txn in txns)


def padded(content: bytes, to: int) -> bytes:
    """Zeros up to a multiple."""
    return content.ljust(-(-len(content) // to) * to, b"\0")


class Block:
    """What the kernel's Block does, with lists and slices."""

    def __init__(
        self,
        records_offset: int,
        *,
        volume: int,
        segment: int,
        generation: int,
        offset: int,
        counter_key: bytes,
    ) -> None:
        self.records_offset = records_offset
        self.at = (volume, segment, generation)
        self.offset = offset
        self.counter_key = counter_key
        self.txns: list[bytes] = []
        self.records: list[tuple[bytes, bytes, bytes]] = []

    def records_section(self) -> bytes:
        """All records, each a multiple of 8."""
        return b"".join(padded(b"".join(record), 8) for record in self.records)

    def add(self, txn: bytes, places, payloads) -> bytes:
        """A transaction with the records of its bodies."""
        filled = bytearray(txn)
        _, segment, generation = self.at
        for place, payload in zip(places, payloads, strict=True):
            offset = self.offset + self.records_offset + len(self.records_section())
            where = location(*self.at, offset, len(payload))
            filled[place.location_at : place.location_at + 32] = where
            filled[place.counter_at : place.counter_at + 8] = self.counter_key
            sizes = (len(payload), len(place.hint))
            head = record_head(place.data_id, segment, generation, place.crc32c, *sizes)
            self.records.append((head, bytes(payload), place.hint))
        self.txns.append(bytes(filled))
        return self.txns[-1]

    def finish(self, head: bytes, length: int) -> tuple[int, bytes]:
        """The CRC and the whole block."""
        section = joined(self.txns)
        covered = head + section + b"".join(head + hint for head, _, hint in self.records)
        crc = crc32c(covered)
        content = (head + section).ljust(self.records_offset, b"\0") + self.records_section()
        content = content[:100] + struct.pack("<I", crc) + content[104:]
        return crc, content.ljust(length, b"\0")
