"""Signature Version 2: HMAC-SHA1 over a text that both sides make, sent in a header or a query.

In a form the text is its policy.

The text holds the method, Content-MD5, Content-Type, a date, every x-amz-* header, bucket and path
as they were sent, and each query key that says what is asked for. Host and body are not part of it.
Headers that a client has moved into the query count only where they are sent as headers too.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.s3.dates import instant
from fastobj.s3.names import bucket_of_host, parse_pairs
from fastobj.s3.router import SUBRESOURCES

SCHEME: Final = b"AWS "
_SECONDS: Final = re.compile(r"[0-9]{1,11}")

# What Version 2 signs of a query, and beyond that whatever chooses an operation here, so that no
# signature is ever good for another operation than it was made for.
_SIGNED_KEYS: Final = frozenset(
    key.encode()
    for key in {
        "partNumber",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "select-type",
        "storageClass",
        "versionId",
    }.union(*SUBRESOURCES.values())
)


class Signed(NamedTuple):
    """What a request says about its signature, and the texts of which it is made of one.

    `expires_s` is seconds since the Unix epoch; None where the request has a date instead.
    """

    access_key: str
    signature: bytes
    texts: tuple[bytes, ...]
    expires_s: int | None = None


def read(
    request: Request, query: Mapping[str, str], header: bytes, mode: str, domains: Sequence[str]
) -> Signed:
    """What the Authorization header says, or where that is empty the query.

    `mode` is the setting signature-v2. The bucket that a host below one of `domains` names stands
    in front of the path. Raises InvalidRequest, InvalidArgument, AccessDenied.
    """
    check_taken(header, mode)
    bucket = bucket_of_host(request.header(b"host"), domains)
    return _from_header(request, header, bucket) if header else _from_query(request, query, bucket)


def check_taken(header: bytes, mode: str) -> None:
    """Raises InvalidRequest where the setting `mode` does not take Version 2 there."""
    if mode == "off" or (header and mode != "all"):
        message = "The authorization mechanism you have provided is not supported."
        raise S3Error(codes.INVALID_REQUEST, f"{message} Please use AWS4-HMAC-SHA256.")


def _from_header(request: Request, header: bytes, bucket: str) -> Signed:
    access_key, colon, signature = header.removeprefix(SCHEME).strip().rpartition(b":")
    if not colon or not access_key:
        message = "AWS authorization header is invalid. Expected AwsAccessKeyId:signature"
        raise S3Error(codes.INVALID_ARGUMENT, message)
    # A date that is signed as a header of its own stands for the other one.
    is_dated = request.header(b"x-amz-date") is not None
    date = b"" if is_dated else request.header(b"date") or b""
    return Signed(access_key.decode("utf-8", "replace"), signature, _texts(request, date, bucket))


def _from_query(request: Request, query: Mapping[str, str], bucket: str) -> Signed:
    expires = query.get("Expires")
    if expires is None:
        message = (
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId"
            " parameters"
        )
        raise S3Error(codes.ACCESS_DENIED, message)
    if not _SECONDS.fullmatch(expires):
        raise S3Error(codes.ACCESS_DENIED, "Invalid date (should be seconds since epoch)")
    texts = _texts(request, expires.encode(), bucket)
    return Signed(query["AWSAccessKeyId"], query["Signature"].encode(), texts, int(expires))


def check_expiry(expires_s: int, now_s: int, most_s: int) -> None:
    """Raises AccessDenied for a time that has passed, or lies more than `most_s` ahead."""
    if now_s > expires_s:
        extra = [("Expires", instant(expires_s)), ("ServerTime", instant(now_s))]
        raise S3Error(codes.ACCESS_DENIED, "Request has expired", extra=extra)
    if expires_s - now_s > most_s:
        raise S3Error(codes.ACCESS_DENIED, f"Expires must be at most {most_s} seconds ahead")


def is_signed(texts: Iterable[bytes], signature: bytes, secret: str) -> bool:
    """Whether that is the signature of one of the texts; a wrong one takes as long as the right."""
    made = [hmac.new(secret.encode(), text, hashlib.sha1).digest() for text in texts]
    return any(hmac.compare_digest(b64encode(digest), signature) for digest in made)


def _texts(request: Request, date: bytes, bucket: str) -> tuple[bytes, ...]:
    head = [
        request.method,
        request.header(b"content-md5") or b"",
        request.header(b"content-type") or b"",
        date,
        *_amz_headers(request),
    ]
    path = b"/" + bucket.encode() + request.path if bucket else request.path
    query = _signed_query(request.query)
    # Some clients sign a slash behind a bucket's name that they do not send.
    paths = (path,) if path == b"/" or b"/" in path[1:] else (path, path + b"/")
    return tuple([b"\n".join([*head, path + query]) for path in paths])


def _amz_headers(request: Request) -> Iterator[bytes]:
    """All of them, in order of their names; the values of one that repeats are joined."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        if name.startswith(b"x-amz-"):
            found.setdefault(name, []).append(value)
    for name in sorted(found):
        yield name + b":" + b",".join(found[name])


def _signed_query(query: bytes) -> bytes:
    """The signed part of a query, decoded and in order. Raises InvalidArgument.

    A value is not escaped in the text, so one that reads like further signed keys is refused.
    """
    found = [pair for pair in parse_pairs(query) if pair[0] in _SIGNED_KEYS]
    if not found:
        return b""
    found.sort(key=lambda pair: pair[0])
    parts = [name if value is None else name + b"=" + value for name, value in found]
    text = b"&".join(parts)
    if sum(part.partition(b"=")[0] in _SIGNED_KEYS for part in text.split(b"&")) != len(found):
        message = "A query value cannot be told from further parameters; use AWS4-HMAC-SHA256"
        raise S3Error(codes.INVALID_ARGUMENT, message)
    return b"?" + text
