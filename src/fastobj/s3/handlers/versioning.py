"""Handlers of versioning: whether a bucket keeps versions, and the listing of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastobj._ext import xmlout
from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import LIST_KEYS_MAX
from fastobj.meta.records import VERSIONING_ENABLED, VERSIONING_SUSPENDED
from fastobj.objects import buckets, version_listing, versions
from fastobj.objects.version_listing import ListedVersion
from fastobj.s3 import paging, xml
from fastobj.s3.context import Context, Result
from fastobj.s3.handlers.listing import owner_of

_STATUS: Final = {"Enabled": VERSIONING_ENABLED, "Suspended": VERSIONING_SUSPENDED}
_TEXTS: Final = {value: text for text, value in _STATUS.items()}
_MFA_DELETE: Final = {"Enabled": True, "Disabled": False}
_VERSION: Final = "Version"
_MARKER: Final = "DeleteMarker"


async def get_bucket_versioning(ctx: Context) -> Result:
    """Whether the bucket keeps versions; nothing where it never did."""
    record = ctx.existing().record
    return Result(document={"Status": _TEXTS.get(record.versioning)})


async def put_bucket_versioning(ctx: Context) -> Result:
    """Has the bucket keep versions from now on, or no longer."""
    document = ctx.document or {}
    status, mfa_delete = document.get("Status"), document.get("MfaDelete")
    if status is None:
        message = "The Versioning element must be specified"
        raise S3Error(codes.ILLEGAL_VERSIONING_CONFIGURATION, message)
    if status not in _STATUS or (mfa_delete is not None and mfa_delete not in _MFA_DELETE):
        raise S3Error(codes.MALFORMED_XML)
    if mfa_delete is not None and _MFA_DELETE[mfa_delete]:
        raise S3Error(codes.NOT_IMPLEMENTED, "MFA delete is not implemented.")
    await buckets.set_versioning(ctx.store, ctx.existing(), _STATUS[status])
    return Result()


# --- the listing


async def list_object_versions(ctx: Context) -> Result:
    """A page of versions and delete markers, by key and then the newest first."""
    query = ctx.query
    marker, version = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version and not marker:
        message = "A version-id marker cannot be specified without a key marker."
        raise S3Error(codes.INVALID_ARGUMENT, message)
    entries_max = paging.entries_max(query, "max-keys", LIST_KEYS_MAX)
    text = paging.text_encoder(query)
    prefix, delimiter = query.get("prefix", "").encode(), query.get("delimiter", "").encode()
    bucket = ctx.existing()
    page = await version_listing.list_versions(
        ctx.store,
        bucket,
        prefix=prefix,
        delimiter=delimiter,
        after=marker.encode(),
        after_version=versions.parse_id(version) if version else None,
        entries_max=entries_max,
    )
    document: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": text(prefix),
        "KeyMarker": text(marker.encode()),
        "VersionIdMarker": version,
        "MaxKeys": entries_max,
        "Delimiter": text(delimiter) if delimiter else None,
        "EncodingType": query.get("encoding-type") or None,
        "IsTruncated": page.is_truncated,
        _VERSION: _Entries(ctx, text, owner_of(ctx, bucket)).written(page.versions),
        "CommonPrefixes": [{"Prefix": text(common)} for common in page.prefixes],
    }
    if page.is_truncated:
        document["NextKeyMarker"] = text(page.last)
        if page.last_version is not None:
            document["NextVersionIdMarker"] = versions.id_text(page.last_version)
    return Result(document=document)


class _Entries:
    """Versions and delete markers as XML, among each other as S3 lists them."""

    def __init__(self, ctx: Context, text: Callable[[bytes], str], owner: dict[str, str]) -> None:
        assert ctx.op.xml_out is not None
        self._shape = ctx.op.xml_out
        self._text = text
        self._is_url = paging.is_url(ctx.query)
        self._owner = owner
        same = {"Owner": owner, "StorageClass": "STANDARD"}
        self._same = xml.encode_inside(self._shape, _VERSION, same)

    def written(self, listed: list[ListedVersion]) -> str:
        """All of them in their order."""
        return "".join(map(self._entry, listed))

    def _entry(self, listed: ListedVersion) -> str:
        key, value, record, is_latest = listed
        version = versions.id_text(record.version)
        if record.is_delete_marker:
            return self._marker(listed, version)
        latest = "true" if is_latest else "false"
        tail = f"{self._same}<VersionId>{version}</VersionId><IsLatest>{latest}</IsLatest>"
        return xmlout.entries([(key, value)], b"Version", tail.encode(), self._is_url).decode()

    def _marker(self, listed: ListedVersion, version: str) -> str:
        told = {
            "Owner": self._owner,
            "Key": self._text(listed.key),
            "VersionId": version,
            "IsLatest": listed.is_latest,
            "LastModified": listed.record.modified_ns,
        }
        return f"<{_MARKER}>{xml.encode_inside(self._shape, _MARKER, told)}</{_MARKER}>"
