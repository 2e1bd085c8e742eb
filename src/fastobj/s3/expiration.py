"""What answers tell of lifecycle rules: when an object expires, when an upload is aborted."""

from __future__ import annotations

from urllib.parse import quote

from fastobj.core.errors import StoreError
from fastobj.http.message import Headers
from fastobj.meta.records import ObjectRecord
from fastobj.objects import lifecycle_hints
from fastobj.objects.buckets import Bucket
from fastobj.objects.uploads import Upload
from fastobj.s3.context import Context
from fastobj.s3.dates import http_date


def has_rules(bucket: Bucket) -> bool:
    """Whether there is anything to tell."""
    return bool(bucket.record.configs & lifecycle_hints.BIT)


async def expiration_header(ctx: Context, record: ObjectRecord) -> Headers:
    """When the current object expires, and by which rule; nothing where no rule applies.

    Nor is it told of a version that is named, nor where the rules cannot be read: what is stored
    can be. Whoever writes has read them before.
    """
    bucket = ctx.existing()
    if ctx.version() is not None:
        return []
    try:
        moment = await lifecycle_hints.expiry_moment(ctx.store, bucket, ctx.key, record)
    except StoreError:
        return []
    if moment is None:
        return []
    date, rule = http_date(moment.at_ns), quote(moment.rule_id)
    return [(b"x-amz-expiration", f'expiry-date="{date}", rule-id="{rule}"'.encode())]


async def abort_headers(ctx: Context, upload: Upload) -> Headers:
    """When the upload is aborted, and by which rule; nothing where no rule applies.

    Raises what reading the bucket's rules does.
    """
    bucket = ctx.existing()
    moment = await lifecycle_hints.abort_moment(ctx.store, bucket, upload.key, upload.record)
    if moment is None:
        return []
    return [
        (b"x-amz-abort-date", http_date(moment.at_ns).encode()),
        (b"x-amz-abort-rule-id", quote(moment.rule_id).encode()),
    ]
