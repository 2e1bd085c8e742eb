"""What headers say about an object: stored with it on the way in, shown on the way out.

Values are kept as latin-1 text, which holds any bytes, so that each header goes out as it came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import USER_METADATA_BYTES_MAX
from fastobj.http.message import Headers, Request
from fastobj.meta.records import NEVER_VERSIONED, ObjectRecord
from fastobj.objects import versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.conditions import (
    UNCONDITIONAL,
    UNCONDITIONAL_READ,
    Etags,
    ReadConditions,
    WriteConditions,
)
from fastobj.objects.delete import Deleted
from fastobj.objects.part_sums import is_composite
from fastobj.objects.versions import DeleteMarkerFound
from fastobj.s3 import locking
from fastobj.s3.dates import http_date, parse_http_date
from fastobj.s3.headers import CONDITIONS, DELETE_CONDITIONS, STORED

_METADATA: Final = b"x-amz-meta-"
_VERSION_ID: Final = b"x-amz-version-id"
_DELETE_MARKER: Final = b"x-amz-delete-marker"
_CONTENT_TYPE: Final = "binary/octet-stream"
_CHUNKED: Final = b"aws-chunked"  # describes the transfer, not the object
_ETAG: Final = re.compile(rb'\s*(?:W/)?(?:"([^"]*)"|([^",\s]+))\s*(?:,|$)')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

# --- in


def stored_headers(request: Request) -> dict[str, str]:
    """The system headers to store with an object."""
    found: dict[str, str] = {}
    for name in STORED if not request.names.isdisjoint(STORED) else ():
        value = request.header(name)
        if value and name == b"content-encoding":
            value = _without_chunked(value)
        if value:
            found[name.decode()] = value.decode("latin-1")
    return found


def _without_chunked(value: bytes) -> bytes:
    """The other codings, with the blanks between them that the client wrote."""
    others = [token for token in value.split(b",") if token.strip().lower() != _CHUNKED]
    return b",".join(others).strip()


def user_metadata(request: Request) -> dict[str, str]:
    """The user's metadata; a name that repeats has its values joined. Raises MetadataTooLarge."""
    found: dict[bytes, bytes] = {}
    for name, value in request.headers:
        if name.startswith(_METADATA):
            short = name[len(_METADATA) :]
            found[short] = found[short] + b"," + value if short in found else value
    size = sum(len(name) + len(value) for name, value in found.items())
    if size > USER_METADATA_BYTES_MAX:
        extra = [("Size", str(size)), ("MaxSizeAllowed", str(USER_METADATA_BYTES_MAX))]
        raise S3Error(codes.METADATA_TOO_LARGE, extra=extra)
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in found.items()}


def write_conditions(request: Request) -> WriteConditions:
    """The conditions of a write. Raises InvalidArgument."""
    if request.names.isdisjoint(CONDITIONS):
        return UNCONDITIONAL
    return WriteConditions(_etags(request, b"if-match"), _etags(request, b"if-none-match"))


def deletion_conditions(request: Request) -> WriteConditions:
    """The conditions of a deletion. Raises InvalidArgument."""
    if request.names.isdisjoint(DELETE_CONDITIONS):
        return UNCONDITIONAL
    return WriteConditions(
        _etags(request, b"if-match"),
        None,
        exact_seconds(request, b"x-amz-if-match-last-modified-time"),
        _size(request, b"x-amz-if-match-size"),
    )


def exact_seconds(request: Request, name: bytes) -> int | None:
    """The date in a header that must hold one, in seconds since the Unix epoch; None without it.

    Raises InvalidArgument.
    """
    seconds = _seconds(request, name)
    value = request.header(name)
    if value is not None and seconds is None:
        raise _bad_value(name, value)
    return seconds


def _size(request: Request, name: bytes) -> int | None:
    value = request.header(name)
    if value is not None and not (value.isdigit() and len(value) < 20):
        raise _bad_value(name, value)
    return None if value is None else int(value)


def _bad_value(name: bytes, value: bytes) -> S3Error:
    extra = [("ArgumentName", name.decode()), ("ArgumentValue", value.decode("latin-1"))]
    return S3Error(codes.INVALID_ARGUMENT, f"Bad value for header {name.decode()}", extra=extra)


def read_conditions(request: Request) -> ReadConditions:
    """The conditions of a read; a date that is none is no condition. Raises InvalidArgument."""
    if request.names.isdisjoint(CONDITIONS):
        return UNCONDITIONAL_READ
    return ReadConditions(
        _etags(request, b"if-match"),
        _etags(request, b"if-none-match"),
        _seconds(request, b"if-modified-since"),
        _seconds(request, b"if-unmodified-since"),
    )


def source_conditions(request: Request) -> ReadConditions:
    """The conditions on the source of a copy. Raises InvalidArgument."""
    return _conditions(request, b"x-amz-copy-source-")


def rename_conditions(request: Request) -> ReadConditions:
    """The conditions on the source of a rename. Raises InvalidArgument."""
    return _conditions(request, b"x-amz-rename-source-")


def _conditions(request: Request, prefix: bytes) -> ReadConditions:
    return ReadConditions(
        _etags(request, prefix + b"if-match"),
        _etags(request, prefix + b"if-none-match"),
        _seconds(request, prefix + b"if-modified-since"),
        _seconds(request, prefix + b"if-unmodified-since"),
    )


def _etags(request: Request, name: bytes) -> Etags | None:
    """The etags of a condition, with or without quotes, as clients send them."""
    value = request.header(name)
    if value is None:
        return None
    found: list[str] = []
    at = 0
    while at < len(value):
        match = _ETAG.match(value, at)
        if match is None:
            extra = [("ArgumentName", name.decode()), ("ArgumentValue", value.decode("latin-1"))]
            raise S3Error(codes.INVALID_ARGUMENT, extra=extra)
        quoted, bare = match.groups()
        found.append((bare if quoted is None else quoted).decode("latin-1"))
        at = match.end()
    return tuple(found)


def _seconds(request: Request, name: bytes) -> int | None:
    value = request.header(name)
    return None if value is None else parse_http_date(value.decode("latin-1"))


# --- out


def version_header(bucket: Bucket, record: ObjectRecord) -> Headers:
    """Which version a read has found; none where there never was versioning."""
    if bucket.record.versioning == NEVER_VERSIONED:
        return []
    return [(_VERSION_ID, versions.id_text(record.version).encode())]


def new_version_header(record: ObjectRecord) -> Headers:
    """Which version a write has made; none where it made none, or the null version."""
    return [(_VERSION_ID, versions.id_text(record.version).encode())] if record.version else []


def source_version_header(bucket: Bucket, record: ObjectRecord) -> Headers:
    """Which version was copied; none where there never was versioning."""
    found = version_header(bucket, record)
    return [(b"x-amz-copy-source-version-id", value) for _, value in found]


def marker_headers(error: DeleteMarkerFound) -> Headers:
    """What is told of a delete marker that was found in place of an object."""
    text = versions.id_text(error.marker.version)
    found = [(_DELETE_MARKER, b"true"), (_VERSION_ID, text.encode())]
    if not error.is_latest:
        found.append((b"allow", b"DELETE"))
        found.append((b"last-modified", http_date(error.marker.modified_ns).encode()))
    return found


def deleted_headers(deleted: Deleted | None) -> Headers:
    """What a deletion has to tell."""
    if deleted is None:
        return []
    found = [(_VERSION_ID, versions.id_text(deleted.version).encode())]
    return [(_DELETE_MARKER, b"true"), *found] if deleted.is_marker else found


def etag_header(record: ObjectRecord) -> tuple[bytes, bytes]:
    """The ETag header."""
    return (b"etag", b'"' + record.etag.encode("latin-1") + b'"')


def validators(record: ObjectRecord) -> Headers:
    """What tells one state of an object from another: all that 304 carries."""
    return [etag_header(record), last_modified_header(record)]


def last_modified_header(record: ObjectRecord) -> tuple[bytes, bytes]:
    """The Last-Modified header."""
    return (b"last-modified", http_date(record.modified_ns).encode())


def checksum_headers(record: ObjectRecord) -> Headers:
    """The checksums of the whole object."""
    return [*sum_headers(record.checksums), *checksum_type_header(record)]


def checksum_type_header(record: ObjectRecord) -> Headers:
    """What kind the checksum of the whole object is of; none where it has none."""
    kind = checksum_type(record.checksums)
    return [(b"x-amz-checksum-type", kind.encode())] if kind else []


def sum_headers(checksums: Mapping[str, str]) -> Headers:
    """Checksums without what kind they are."""
    return [
        (f"x-amz-checksum-{name}".encode(), value.encode()) for name, value in checksums.items()
    ]


def checksum_type(checksums: Mapping[str, str]) -> str | None:
    """Whether they are of the whole object or of checksums of parts; None where there are none."""
    if not checksums:
        return None
    return "COMPOSITE" if any(map(is_composite, checksums.values())) else "FULL_OBJECT"


def checksum_elements(record: ObjectRecord) -> dict[str, str]:
    """The same as elements of an answer's document."""
    if not record.checksums:
        return {}
    kind = checksum_type(record.checksums) or ""
    return {**sum_elements(record.checksums), "ChecksumType": kind}


def sum_elements(checksums: Mapping[str, str]) -> dict[str, str]:
    """Checksums without what kind they are, as elements."""
    return {f"Checksum{name.upper()}": value for name, value in checksums.items()}


def object_headers(record: ObjectRecord, query: Mapping[str, str]) -> Headers:
    """What a read shows of an object; `response-*` parameters take the place of stored headers.

    Raises InvalidArgument for a parameter that would not be one header.
    """
    shown = {"content-type": _CONTENT_TYPE, **record.headers}
    if query:
        shown |= _overrides(query)
    found = [*validators(record), (b"accept-ranges", b"bytes")]
    found += [(name.encode(), value.encode("latin-1")) for name, value in shown.items()]
    for name, value in record.metadata.items():
        found.append((_METADATA + name.encode("latin-1"), value.encode("latin-1")))
    if record.tags:
        found.append((b"x-amz-tagging-count", str(len(record.tags)).encode()))
    if record.lock is not None:
        found += locking.headers_of(record.lock)
    return found


def _overrides(query: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for stored in STORED:
        name = stored.decode()
        value = query.get(f"response-{name}")
        if value is not None:
            if _CONTROL.search(value):
                extra = [("ArgumentName", f"response-{name}")]
                raise S3Error(codes.INVALID_ARGUMENT, extra=extra)
            found[name] = value.encode().decode("latin-1")
    return found
