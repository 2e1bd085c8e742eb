"""What a request promises about its body, and whether the body keeps it.

Promises: the signed SHA-256, Content-MD5, and at most one `x-amz-checksum-*`.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from fastobj._ext.crc import crc32, crc32c, crc64nvme
from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.http.message import Headers

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastobj.s3.context import Context


class Digest(Protocol):
    """A running sum in the shape of hashlib's."""

    def update(self, data: Buffer, /) -> None:
        """Takes the next bytes."""
        ...

    def digest(self) -> bytes:
        """The sum of all bytes taken."""
        ...


class _Crc:
    """A CRC in the shape of hashlib's digests; the sum is big-endian, as S3 writes it."""

    __slots__ = ("_function", "_size", "_value")

    def __init__(self, function: Callable[[Buffer, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        """Takes the next bytes."""
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        """The sum of all bytes taken."""
        return self._value.to_bytes(self._size, "big")


class Algorithm(NamedTuple):
    """One checksum: how to begin it, and its length in bytes."""

    begin: Callable[[], Digest]
    size: int


def _md5() -> Digest:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> Digest:
    return hashlib.sha1(usedforsecurity=False)


ALGORITHMS: Final = {
    "crc32": Algorithm(lambda: _Crc(crc32, 4), 4),
    "crc32c": Algorithm(lambda: _Crc(crc32c, 4), 4),
    "crc64nvme": Algorithm(lambda: _Crc(crc64nvme, 8), 8),
    "sha1": Algorithm(_sha1, 20),
    "sha256": Algorithm(hashlib.sha256, 32),
}

_PREFIX: Final = b"x-amz-checksum-"
# Headers of that family that carry no sum.
_NOT_SUMS: Final = frozenset({b"algorithm", b"mode", b"type"})
_MD5_BYTES: Final = 16


class Sums(NamedTuple):
    """What a verified body comes to: MD5 in hex, and the checksum sent as algorithm -> base64."""

    etag: str
    checksums: dict[str, str]


class PayloadCheck:
    """The promises of one request, and the digests that settle them.

    Feed all of `digests` with the body and call `finish`, or hand a small body to `check_small`.
    Where no checksum is promised, that named `computed` is computed. The constructor raises
    InvalidDigest and InvalidRequest for promises that cannot be kept.
    """

    __slots__ = ("_checksum", "_computed", "_md5", "_sha256", "_sums")

    def __init__(self, context: Context, computed: str = "") -> None:
        headers = context.request.headers
        self._sha256 = context.payload_sha256
        self._md5 = _content_md5(context.request.header(b"content-md5"))
        of_object = context.op.name == "CompleteMultipartUpload"  # and not of its body
        self._checksum = None if of_object else _checksum(headers)
        _check_announced(context.request.header(b"x-amz-sdk-checksum-algorithm"), self._checksum)
        self._computed = computed if self._checksum is None else ""
        self._sums: dict[str, Digest] = {}

    @property
    def promised(self) -> str:
        """The algorithm of the checksum that is promised, or ""."""
        return self._checksum[0] if self._checksum is not None else ""

    @property
    def digests(self) -> list[Digest]:
        """The sums to feed; the same ones each time."""
        if not self._sums:
            self._sums["md5"] = _md5()
            if self._checksum is not None:
                name = self._checksum[0]
                self._sums[name] = ALGORITHMS[name].begin()
            if self._sha256 is not None and "sha256" not in self._sums:
                self._sums["sha256"] = hashlib.sha256()
            if self._computed and self._computed not in self._sums:
                self._sums[self._computed] = ALGORITHMS[self._computed].begin()
        return list(self._sums.values())

    def finish(self) -> Sums:
        """Settles the promises once `digests` have seen the whole body.

        Raises XAmzContentSHA256Mismatch and BadDigest.
        """
        return self._settle({name: digest.digest() for name, digest in self._sums.items()})

    def check_small(self, body: Buffer) -> Sums:
        """The same for a body that is in memory as a whole."""
        for digest in self.digests:
            digest.update(body)
        return self.finish()

    def _settle(self, sums: dict[str, bytes]) -> Sums:
        md5 = sums["md5"]
        if self._sha256 is not None and sums["sha256"] != self._sha256:
            raise _sha256_mismatch(self._sha256, sums["sha256"])
        if self._md5 is not None and md5 != self._md5:
            message = "The Content-MD5 you specified did not match what we received."
            extra = [("ExpectedDigest", self._md5.hex()), ("CalculatedDigest", md5.hex())]
            raise S3Error(codes.BAD_DIGEST, message, extra=extra)
        if self._checksum is None:
            name = self._computed
            return Sums(md5.hex(), {name: b64encode(sums[name]).decode()} if name else {})
        name, promised = self._checksum
        if sums[name] != promised:
            message = f"The {name.upper()} you specified did not match the calculated checksum."
            raise S3Error(codes.BAD_DIGEST, message)
        return Sums(md5.hex(), {name: b64encode(promised).decode()})


def _sha256_mismatch(promised: bytes, computed: bytes) -> S3Error:
    extra = [
        ("ClientComputedContentSHA256", promised.hex()),
        ("S3ComputedContentSHA256", computed.hex()),
    ]
    return S3Error(codes.X_AMZ_CONTENT_SHA256_MISMATCH, extra=extra)


def _base64(value: bytes, size: int) -> bytes | None:
    """The bytes in base64 text, None unless there are exactly `size` of them."""
    try:
        decoded = b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if len(decoded) == size else None


def _content_md5(value: bytes | None) -> bytes | None:
    if value is None:
        return None
    decoded = _base64(value, _MD5_BYTES)
    if decoded is None:
        raise S3Error(codes.INVALID_DIGEST)
    return decoded


def _checksum(headers: Headers) -> tuple[str, bytes] | None:
    """The algorithm and the promised sum of the only checksum header, or None."""
    found = [
        (name[len(_PREFIX) :], value)
        for name, value in headers
        if name.startswith(_PREFIX) and name[len(_PREFIX) :] not in _NOT_SUMS
    ]
    if not found:
        return None
    if len(found) > 1:
        message = (
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    name = found[0][0].decode("latin-1")
    algorithm = ALGORITHMS.get(name)
    promised = _base64(found[0][1], algorithm.size) if algorithm else None
    if promised is None:
        message = f"Value for x-amz-checksum-{name} header is invalid."
        raise S3Error(codes.INVALID_REQUEST, message)
    return name, promised


def _check_announced(announced: bytes | None, checksum: tuple[str, bytes] | None) -> None:
    """What `x-amz-sdk-checksum-algorithm` names must be there."""
    if announced is None:
        return
    name = announced.decode("latin-1").lower()
    if name not in ALGORITHMS:
        message = "Checksum algorithm provided is unsupported."
        raise S3Error(codes.INVALID_REQUEST, message)
    if checksum is None:
        message = (
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or"
            " x-amz-trailer headers were found."
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    if checksum[0] != name:
        message = "Value for x-amz-sdk-checksum-algorithm header is invalid."
        raise S3Error(codes.INVALID_REQUEST, message)
