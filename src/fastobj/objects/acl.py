"""Replaces the access control list of an object; the list of a bucket is `buckets.set_acl`'s."""

from __future__ import annotations

import msgspec

from fastobj.meta.records import Acl, ObjectRecord
from fastobj.objects.buckets import Bucket
from fastobj.objects.change import rewrite_object
from fastobj.objects.store import Store
from fastobj.objects.versions import Wanted


async def set_object_acl(
    store: Store, bucket: Bucket, key: bytes, acl: Acl, wanted: Wanted = None
) -> ObjectRecord:
    """Replaces the list; nothing else of the object changes, its date neither.

    Raises what `rewrite_object` raises.
    """

    def edit(record: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(record, acl=acl)

    return await rewrite_object(store, bucket, key, wanted, edit)
