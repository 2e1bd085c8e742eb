"""Bucket names, object keys and query strings: from raw request bytes to names, decoded once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.core.op import Scope
from fastobj.objects import versions
from fastobj.objects.versions import Wanted

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")
# S3 keeps these for itself. (It keeps `amzn-s3-demo-` too, but all its examples use that.)
_RESERVED_PREFIXES: Final = ("xn--", "sthree-")
_RESERVED_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


class Names(NamedTuple):
    """What a path names. `bucket` may be no valid name; `key` is the exact bytes of the key."""

    scope: Scope
    bucket: str = ""
    key: bytes = b""


class CopySource(NamedTuple):
    """The object that a request copies from. `key` is the exact bytes of the key, `version` the
    id of the version that is named, None for the latest."""

    bucket: str
    key: bytes
    version: Wanted = None


_SERVICE: Final = Names(Scope.SERVICE)
_COPY_SOURCE: Final = "x-amz-copy-source"
_VERSION_ID: Final = b"versionId="


def bucket_of_host(host: bytes | None, domains: Sequence[str]) -> str:
    """The bucket that a Host header names in front of one of our domains; "" where it names none.

    A domain itself, an address or a foreign name names no bucket: the path does.
    """
    if not host or not domains:
        return ""
    name, colon, port = host.decode("latin-1").lower().rpartition(":")
    if not colon or not port.isdigit():
        name = host.decode("latin-1").lower()
    name = name.rstrip(".")
    found = [name.removesuffix(f".{domain}") for domain in domains if name.endswith(f".{domain}")]
    # The longest domain leaves the shortest bucket, where one domain lies below another.
    return "" if name in domains else min(found, key=len, default="")


def locate(path: bytes, host: bytes | None, domains: Sequence[str]) -> Names:
    """What a request names, in path style or, below one of our domains, in virtual-host style.

    Raises what `split_path` raises.
    """
    bucket = bucket_of_host(host, domains) if domains else ""
    if not bucket:
        return split_path(path)
    if path[:1] != b"/":
        raise S3Error(codes.INVALID_URI)
    if len(path) == 1:
        return Names(Scope.BUCKET, bucket)
    return Names(Scope.OBJECT, bucket, checked_key(_unescape(path[1:])))


def split_path(path: bytes) -> Names:
    """Splits a raw path of the form /bucket/key and percent-decodes each part once.

    Raises InvalidURI (not a path, a bad escape, a key that is not UTF-8) and KeyTooLongError.
    """
    if path[:1] != b"/":
        raise S3Error(codes.INVALID_URI)
    if len(path) == 1:
        return _SERVICE
    raw_bucket, _, raw_key = path[1:].partition(b"/")
    if b"%" in path:
        raw_bucket, raw_key = _unescape(raw_bucket), _unescape(raw_key)
    bucket = raw_bucket.decode("utf-8", "replace")
    if not raw_key:
        return Names(Scope.BUCKET, bucket)
    return Names(Scope.OBJECT, bucket, checked_key(raw_key))


def parse_query(query: bytes) -> dict[str, str]:
    """The decoded query of a request, the first value of each key; `a` and `a=` are the same.

    Raises InvalidURI for a bad escape or for bytes that are not UTF-8.
    """
    found: dict[str, str] = {}
    if not query:
        return found
    is_plain = b"%" not in query and b"+" not in query
    try:
        for pair in query.split(b"&"):
            name, _, value = pair.partition(b"=")
            if not is_plain:
                name, value = _unescape_form(name), _unescape_form(value)
            if pair:
                found.setdefault(name.decode(), value.decode())
    except UnicodeDecodeError:
        raise S3Error(codes.INVALID_URI) from None
    return found


def parse_pairs(query: bytes) -> list[tuple[bytes, bytes | None]]:
    """Every decoded pair of a query, in its order; the value is None where there is no `=`.

    Raises InvalidURI for a bad escape.
    """
    found: list[tuple[bytes, bytes | None]] = []
    for pair in query.split(b"&"):
        name, equals, value = pair.partition(b"=")
        found.append((_unescape_form(name), _unescape_form(value) if equals else None))
    return found


def copy_source(value: bytes) -> CopySource:
    """What the header x-amz-copy-source names: `bucket/key`, percent-encoded or not.

    Decoded once, as S3 does: a plus sign is a blank. Clients also encode the slash, begin with
    one, and name a version. Raises InvalidArgument, KeyTooLongError.
    """
    path, question, query = value.partition(b"?")
    try:
        decoded = _unescape(path.replace(b"+", b" ")).removeprefix(b"/")
        raw_bucket, _, key = decoded.partition(b"/")
        bucket = raw_bucket.decode()
        checked_key(key)
    except (S3Error, UnicodeDecodeError) as error:
        if isinstance(error, S3Error) and error.code is codes.KEY_TOO_LONG:
            raise
        raise _bad_source(value, "Copy source must be percent-encoded UTF-8") from None
    if not key:
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise _bad_source(value, message)
    if not is_bucket_name(bucket):
        raise _bad_source(value, "Invalid copy source bucket name")
    return CopySource(bucket, key, _version(value, query) if question else None)


def rename_source(value: bytes) -> bytes:
    """The key that the header x-amz-rename-source names, percent-encoded; it may begin with `/`.

    Raises InvalidArgument, KeyTooLongError.
    """
    try:
        key = checked_key(_unescape(value.removeprefix(b"/")))
    except S3Error as error:
        if error.code is codes.KEY_TOO_LONG:
            raise
        key = b""
    if not key:
        extra = [
            ("ArgumentName", "x-amz-rename-source"),
            ("ArgumentValue", value.decode("utf-8", "replace")),
        ]
        message = "The rename source must be a key, percent-encoded"
        raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
    return key


def _version(source: bytes, query: bytes) -> bytes:
    version = query.removeprefix(_VERSION_ID)
    if not version or not query.startswith(_VERSION_ID):
        raise _bad_source(source, "Copy source has something other than a version id behind its ?")
    return versions.parse_id(version.decode("utf-8", "replace"))


def _bad_source(value: bytes, message: str) -> S3Error:
    text = value.decode("utf-8", "replace")
    extra = [("ArgumentName", _COPY_SOURCE), ("ArgumentValue", text)]
    return S3Error(codes.INVALID_ARGUMENT, message, extra=extra)


def is_bucket_name(name: str) -> bool:
    """Whether a bucket may have that name."""
    return (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and ".-" not in name
        and "-." not in name
        and _IP_ADDRESS.fullmatch(name) is None
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )


def _unescape(raw: bytes) -> bytes:
    if b"%" not in raw:
        return raw
    if _BAD_ESCAPE.search(raw):
        raise S3Error(codes.INVALID_URI)
    return unquote_to_bytes(raw)


def _unescape_form(raw: bytes) -> bytes:
    return _unescape(raw.replace(b"+", b" "))


def checked_key(key: bytes) -> bytes:
    """The key, if it may be one. Raises KeyTooLongError, and InvalidURI for what is not UTF-8."""
    if len(key) > limits.KEY_BYTES_MAX:
        extra = [("Size", str(len(key))), ("MaxSizeAllowed", str(limits.KEY_BYTES_MAX))]
        raise S3Error(codes.KEY_TOO_LONG, extra=extra)
    if not key.isascii():
        try:
            key.decode()
        except UnicodeDecodeError:
            raise S3Error(codes.INVALID_URI) from None
    return key
