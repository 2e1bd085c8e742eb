"""The rows of log segments: what the first block of a segment says about itself and the last."""

from __future__ import annotations

import os

from fastobj.core.segments import SEGMENT_LOG, SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, TXN_ID_BYTES, Row, Txn
from fastobj.storage.log_writer import LogWriter

Sealed = tuple[int, int, int, int]  # segment, generation, size, last sequence


def first_block_txn(log: LogWriter, sealed: Sealed, owner: int) -> Txn:
    """Opens the row of the writer's segment and seals that of the one before it.

    So a log segment's row is committed by the very block that makes it part of the chain: there
    is never a row without its segment, nor a segment in use without its row.
    """
    rows = [
        segment_row(
            log.segment,
            records.SegmentRecord(
                format=records.FORMAT,
                kind=SEGMENT_LOG,
                state=SEGMENT_OPEN,
                generation=log.generation,
                size=log.size,
                owner=owner,
            ),
        )
    ]
    if sealed[0]:
        rows.append(sealed_row(sealed, owner))
    return Txn(os.urandom(TXN_ID_BYTES), rows)  # on any thread, unlike `new_txn_id`


def sealed_row(sealed: Sealed, owner: int) -> Row:
    """The row of a log segment that takes no more blocks."""
    segment, generation, size, last_sequence = sealed
    return segment_row(
        segment,
        records.SegmentRecord(
            format=records.FORMAT,
            kind=SEGMENT_LOG,
            state=SEGMENT_SEALED,
            generation=generation,
            size=size,
            owner=owner,
            last_sequence=last_sequence,
        ),
    )


def segment_row(segment: int, record: records.SegmentRecord) -> Row:
    """A write of a segment's row; only the committer writes those of log segments, so ANY."""
    return Row(keys.SEGMENTS, keys.segment(segment), ANY, records.encode(record))
