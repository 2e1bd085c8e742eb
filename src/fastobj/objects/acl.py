"""Replaces the access control list of an object; the list of a bucket is `buckets.set_acl`'s."""

from __future__ import annotations

import msgspec

from fastobj.core.errors import Conflict
from fastobj.meta import keys, records
from fastobj.meta.base import Row, Txn, new_txn_id
from fastobj.meta.records import Acl, ObjectRecord
from fastobj.objects import get
from fastobj.objects.buckets import Bucket
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store


async def set_object_acl(store: Store, bucket: Bucket, key: bytes, acl: Acl) -> None:
    """Replaces the list; nothing else of the object changes, its date neither. Raises NoSuchKey."""
    row_key = keys.current(bucket.record.id, key)
    with store.turns.of(row_key) as turn:
        await turn.join()
        retry = Retry(turn=turn)
        present = await store.meta.get(keys.CURRENT, row_key)
        while present is not None:
            record = records.decode(ObjectRecord, present[0])
            if record.acl == acl:
                return
            value = records.encode(msgspec.structs.replace(record, acl=acl))
            txn = Txn(new_txn_id(), [Row(keys.CURRENT, row_key, present[1], value)])
            try:
                await store.ledger.commit(Entry(txn, arrival=retry.arrival))
                return
            except Conflict as conflict:
                lost = conflict
            present = lost.present[0]
            if await retry.after(lost):
                present = await store.meta.get(keys.CURRENT, row_key)
    raise get.missing(key)
