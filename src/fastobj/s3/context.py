"""What a handler gets and gives: one value each way, no wire and no checks inside a handler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from fastobj.core.codes import ErrorCode
from fastobj.core.limits import OBJECT_BYTES_MAX
from fastobj.core.op import Op
from fastobj.http.message import Headers, Request
from fastobj.iam.identity import Identities, Identity
from fastobj.objects import versions
from fastobj.objects.buckets import Bucket, missing
from fastobj.objects.copy import Source
from fastobj.objects.events import Cause
from fastobj.objects.store import Store
from fastobj.objects.versions import Wanted
from fastobj.s3.chunked_body import ChunkedBody
from fastobj.s3.form import Form
from fastobj.s3.names import CopySource

Document = Mapping[str, Any]

_NOBODY: Final = Identities(())


@dataclass(slots=True)
class Context:
    """One authenticated and authorised request on its way to its handler.

    `identities` are all that the server knows: they give owners and grantees their names.
    `key` is the percent-decoded object key (valid UTF-8, 1 to 1024 bytes), b"" outside object
    scope. `source` is what an operation that copies reads from. `query` holds decoded query values,
    the first of each key. `document` is the decoded request XML where the row has `xml_in`.
    `payload_sha256` is the 32-byte hash that the signed request promises for its body, None for
    UNSIGNED-PAYLOAD. `chunked` is the request's body where it came in aws-chunked coding. `found`
    and `found_source` are the buckets as they were when the request was authorised, None where
    there is none of that name. `object_bytes_max` bounds a body that is stored. Where the sender is
    known by a `form`, `key` and the headers and body of `request` are those of its fields and file.
    """

    op: Op
    request: Request
    request_id: str
    store: Store
    identity: Identity
    bucket: str = ""
    key: bytes = b""
    source: CopySource | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    payload_sha256: bytes | None = None
    found: Bucket | None = None
    found_source: Bucket | None = None
    chunked: ChunkedBody | None = None
    document: Document | None = None
    identities: Identities = _NOBODY
    object_bytes_max: int = OBJECT_BYTES_MAX
    form: Form | None = None

    def cause(self) -> Cause:
        """Why something changes that the request asks for."""
        sender = self.identity.access_key
        return Cause(self.op.event or "", sender, self.request.peer, self.request_id)

    def existing(self) -> Bucket:
        """The bucket that the request names. Raises NoSuchBucket."""
        if self.found is None:
            raise missing(self.bucket)
        return self.found

    def version(self) -> Wanted:
        """The version that the request names, None for the latest. Raises InvalidArgument."""
        text = self.query.get("versionId")
        return None if text is None else versions.parse_id(text)

    def existing_source(self) -> Source:
        """What the request copies from. Raises NoSuchBucket."""
        assert self.source is not None, "the operation copies nothing"
        if self.found_source is None:
            raise missing(self.source.bucket)
        return Source(self.found_source, self.source.key, self.source.version)


@dataclass(slots=True)
class Result:
    """What a handler answers: `document` is rendered by the row's `xml_out`, else `body` is sent.

    `length` is the body's length where `body` is an iterator, or the Content-Length of a HEAD.
    """

    status: int = 200
    headers: Headers = field(default_factory=list)
    document: Document | None = None
    body: bytes | AsyncIterator[memoryview] = b""
    length: int | None = None


@dataclass(slots=True)
class Exchange:
    """One request and what became of it, for whoever counts or logs.

    `op` is None where no row of the table was found, `identity` where no signature held. `error`
    is the code that was answered, if one was. `begun_ns` is of the monotonic clock. `whole_bytes`
    are held for a body that had to be read for its signature, `sent_bytes` those of the response's
    body; `complete` is False where the client left before its end.
    """

    request: Request
    request_id: str
    begun_ns: int
    op: Op | None = None
    identity: Identity | None = None
    bucket: str = ""
    key: bytes = b""
    error: ErrorCode | None = None
    status: int = 0
    whole_bytes: int = 0
    sent_bytes: int = 0
    complete: bool = True


class Observer(Protocol):
    """Is told of every exchange: when its request is there, and when its answer has left."""

    def begun(self, exchange: Exchange) -> None:
        """The request's head is there; nothing else is known yet."""
        ...

    def refused(self, limit: str) -> None:
        """An admission limit of that name has turned a request away."""
        ...

    def ended(self, exchange: Exchange) -> None:
        """The answer has left, or its client has."""
        ...


class Unobserved:
    """Stands in where nobody counts or logs."""

    def begun(self, exchange: Exchange) -> None:
        """Nobody is told."""

    def refused(self, limit: str) -> None:
        """Nobody is told."""

    def ended(self, exchange: Exchange) -> None:
        """Nobody is told."""
