"""What a handler gets and gives: one value each way, no wire and no checks inside a handler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastobj.core.op import Op
from fastobj.http.message import Headers, Request
from fastobj.iam.identity import Identity
from fastobj.objects.store import Store

Document = Mapping[str, Any]


@dataclass(slots=True)
class Context:
    """One authenticated and authorised request on its way to its handler.

    `key` is the percent-decoded object key (valid UTF-8, 1 to 1024 bytes), b"" outside object
    scope. `query` holds decoded query values, the first of each key. `document` is the decoded
    request XML where the row has `xml_in`. `payload_sha256` is the 32-byte hash that the signed
    request promises for its body, None for UNSIGNED-PAYLOAD.
    """

    op: Op
    request: Request
    request_id: str
    store: Store
    identity: Identity
    bucket: str = ""
    key: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    payload_sha256: bytes | None = None
    document: Document | None = None


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
