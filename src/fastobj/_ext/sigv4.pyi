"""AWS Signature Version 4 for S3 in one call: canonical request, signature, verification.

`path` and `query` are raw, as on the wire and without the question mark. `headers` have lower-case
names and stand in wire order; a name may repeat. `signed_headers` is the list as the client sent
it; a name without a header counts as empty, so the caller refuses it before. Any bytes are safe.
A canonical request above 1 MiB is a ValueError, and False from `verify`; so is a line feed outside
path and query, because the text could then be that of another request too. `covers` tells whether
Host and every x-amz-* header is signed, and every signed header there. `ISA` names the SHA-256 code
that was chosen.
"""

from typing import Final

from typing_extensions import Buffer

ISA: Final[str]
VERSION: Final[int]

def signing_key(secret: bytes, date: bytes, region: bytes, service: bytes) -> bytes: ...
def canonical_request(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    signed_headers: bytes,
    payload_hash: bytes,
) -> bytes: ...
def signature(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    signed_headers: bytes,
    payload_hash: bytes,
    amz_date: bytes,
    scope: bytes,
    key: bytes,
) -> bytes: ...
def verify(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    signed_headers: bytes,
    payload_hash: bytes,
    amz_date: bytes,
    scope: bytes,
    key: bytes,
    signature: bytes,
) -> bool: ...
def covers(headers: list[tuple[bytes, bytes]], signed_headers: bytes) -> bool: ...
def sha256(data: Buffer) -> bytes: ...
def hmac_sha256(key: bytes, data: Buffer) -> bytes: ...
