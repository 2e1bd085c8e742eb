"""Changes what is said of an object, in place: its body, its etag and its date stay."""

from __future__ import annotations

from typing import Any

import msgspec

from fastobj.core.errors import Conflict
from fastobj.meta import keys, records
from fastobj.meta.base import Row, Txn, new_txn_id
from fastobj.meta.records import ObjectRecord
from fastobj.objects import get
from fastobj.objects.buckets import Bucket
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store


async def change(store: Store, bucket: Bucket, key: bytes, **fields: Any) -> ObjectRecord:
    """Gives these fields of the object's record these values; what the record is then.

    Raises NoSuchKey, SlowDown, Unknown, Unavailable.
    """
    row_key = keys.current(bucket.record.id, key)
    with store.turns.of(row_key) as turn:
        await turn.join()
        retry = Retry(turn=turn)
        present = await store.meta.get(keys.CURRENT, row_key)
        while present is not None:
            record = records.decode(ObjectRecord, present[0])
            changed = msgspec.structs.replace(record, **fields)
            if changed == record:
                return record
            txn = Txn(
                new_txn_id(), [Row(keys.CURRENT, row_key, present[1], records.encode(changed))]
            )
            try:
                await store.ledger.commit(Entry(txn, arrival=retry.arrival))
                return changed
            except Conflict as conflict:
                lost = conflict
            present = lost.present[0]
            if await retry.after(lost):
                present = await store.meta.get(keys.CURRENT, row_key)
    raise get.missing(key)
