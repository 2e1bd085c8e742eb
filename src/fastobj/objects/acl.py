"""Replaces the access control list of an object; the list of a bucket is `buckets.set_acl`'s."""

from __future__ import annotations

from fastobj.meta.records import Acl
from fastobj.objects.buckets import Bucket
from fastobj.objects.change import change
from fastobj.objects.store import Store


async def set_object_acl(store: Store, bucket: Bucket, key: bytes, acl: Acl) -> None:
    """Replaces the list; nothing else of the object changes, its date neither. Raises NoSuchKey."""
    await change(store, bucket, key, acl=acl)
