"""AWS Signature Version 4 for S3, step by step with the standard library.

The rules are those of the S3 API reference, "Authenticating Requests: Using the Authorization
Header". Where clients and documents leave a choice, the comment says what fastobj does.
"""

import hashlib
import hmac
from urllib.parse import quote, unquote_to_bytes

Headers = list[tuple[bytes, bytes]]

CANONICAL_BYTES_MAX = 1 << 20


def sha256(data: bytes) -> bytes:
    """SHA-256: 32 bytes."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256: 32 bytes."""
    return hmac.new(key, data, hashlib.sha256).digest()


def signing_key(secret: bytes, date: bytes, region: bytes, service: bytes) -> bytes:
    """The key of one secret for one day, region and service."""
    key = b"AWS4" + secret
    for text in (date, region, service, b"aws4_request"):
        key = hmac_sha256(key, text)
    return key


def _encode(decoded: bytes, safe: str) -> bytes:
    # quote() keeps A-Z a-z 0-9 _ . - ~ of its own accord, and writes hex digits in upper case.
    return quote(decoded, safe=safe).encode()


def canonical_path(path: bytes) -> bytes:
    """Decoded once and encoded again; never normalised, for a//b and a/../b are keys."""
    # unquote_to_bytes leaves a percent sign without two hex digits as it stands.
    return _encode(unquote_to_bytes(path), "/") or b"/"


def canonical_query(query: bytes) -> bytes:
    """Items sorted by encoded name, then by encoded value; the signature itself is left out."""
    items = []
    for item in query.split(b"&"):
        if not item:
            continue
        halves = item.partition(b"=")[::2]
        name, value = (_encode(unquote_to_bytes(half.replace(b"+", b"%20")), "") for half in halves)
        if name != b"X-Amz-Signature":
            items.append((name, value))
    return b"&".join(name + b"=" + value for name, value in sorted(items))


def covers(headers: Headers, signed_headers: bytes) -> bool:
    """Whether Host and every x-amz-* header is signed, and every signed header is there."""
    signed = set(signed_headers.split(b";"))
    present = {name for name, _ in headers}
    needed = {b"host"} | {name for name in present if name.startswith(b"x-amz-")}
    return needed <= signed <= present


def canonical_value(value: bytes) -> bytes:
    """Trimmed, runs of blanks made one space; a tab is a blank, as botocore has it."""
    return b" ".join(word for word in value.replace(b"\t", b" ").split(b" ") if word)


def canonical_headers(headers: Headers, signed_headers: bytes) -> bytes:
    """One line for each signed name, in the order of the list; all its values in wire order."""
    lines = []
    for name in signed_headers.split(b";"):
        values = [canonical_value(value) for other, value in headers if other == name]
        lines.append(name + b":" + b",".join(values) + b"\n")
    return b"".join(lines)


def canonical_request(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Headers,
    signed_headers: bytes,
    payload_hash: bytes,
) -> bytes:
    """What a signature covers; ValueError when the text could be that of another request too."""
    values = [value for _, value in headers]
    if any(b"\n" in part for part in (method, signed_headers, payload_hash, *values)):
        raise ValueError("line feed")
    parts = (
        method,
        canonical_path(path),
        canonical_query(query),
        canonical_headers(headers, signed_headers),
        signed_headers,
        payload_hash,
    )
    return b"\n".join(parts)


def signature(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Headers,
    signed_headers: bytes,
    payload_hash: bytes,
    amz_date: bytes,
    scope: bytes,
    key: bytes,
) -> bytes:
    """64 lower-case hex digits."""
    if b"\n" in amz_date + scope:
        raise ValueError("line feed")
    canonical = canonical_request(method, path, query, headers, signed_headers, payload_hash)
    digest = sha256(canonical).hex().encode()
    text = b"\n".join((b"AWS4-HMAC-SHA256", amz_date, scope, digest))
    return hmac_sha256(key, text).hex().encode()


def verify(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Headers,
    signed_headers: bytes,
    payload_hash: bytes,
    amz_date: bytes,
    scope: bytes,
    key: bytes,
    signature_sent: bytes,
) -> bool:
    """Whether the signature that was sent is the one of the request."""
    expected = signature(
        method, path, query, headers, signed_headers, payload_hash, amz_date, scope, key
    )
    return hmac.compare_digest(expected, signature_sent)
