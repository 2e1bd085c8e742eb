"""What a request promises about its body, and whether the body keeps it.

Promises: the signed SHA-256, Content-MD5, and at most one `x-amz-checksum-*`, as a header or
announced by `x-amz-trailer` and sent behind the body.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from fastobj._ext.crc import Crc32, Crc32c, Crc64Nvme
from fastobj._ext.digest import Md5, Sha1, Sha256
from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.other_sums import OTHER_SUMS, Digest
from fastobj.http.message import Headers

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastobj.s3.chunked_body import ChunkedBody
    from fastobj.s3.context import Context


class Algorithm(NamedTuple):
    """One checksum: how to begin it, and its length in bytes."""

    begin: Callable[[], Digest]
    size: int


# Sums of the kernels, which for a large body advance on a native thread, with those of others;
# then those that have no kernel.
ALGORITHMS: Final[dict[str, Algorithm]] = {
    "crc32": Algorithm(Crc32, 4),
    "crc32c": Algorithm(Crc32c, 4),
    "crc64nvme": Algorithm(Crc64Nvme, 8),
    "sha1": Algorithm(Sha1, 20),
    "sha256": Algorithm(Sha256, 32),
    "md5": Algorithm(Md5, 16),
    **{name: Algorithm(*other) for name, other in OTHER_SUMS.items()},
}

_PREFIX: Final = b"x-amz-checksum-"
# Headers of that family that carry no sum.
_NOT_SUMS: Final = frozenset({b"algorithm", b"mode", b"type"})
_TRAILER_SIGNATURE: Final = b"x-amz-trailer-signature"
_MD5_BYTES: Final = 16
# Keys of running sums beside the names of algorithms.
_MD5: Final = "md5"
_WHOLE: Final = "whole"


class Sums(NamedTuple):
    """What a verified body comes to: MD5 in hex, and the checksum sent as algorithm -> base64.

    `blake3` is the sum for the row, nothing where none is kept.
    """

    etag: str
    checksums: dict[str, str]
    blake3: bytes = b""


class Computed:
    """The sums of bytes about which nobody promised anything: MD5, one more where named, and that
    which `whole` begins."""

    __slots__ = ("_algorithm", "_sums")

    def __init__(self, algorithm: str, whole: Callable[[], Digest] | None = None) -> None:
        self._algorithm = algorithm
        self._sums: dict[str, Digest] = {_MD5: Md5()}
        if algorithm and algorithm not in self._sums:
            self._sums[algorithm] = ALGORITHMS[algorithm].begin()
        if whole is not None:
            self._sums[_WHOLE] = whole()

    @property
    def digests(self) -> list[Digest]:
        """The sums to feed."""
        return list(self._sums.values())

    def finish(self) -> Sums:
        """What the digests come to once they have seen all bytes."""
        sums = {name: digest.digest() for name, digest in self._sums.items()}
        md5, whole = sums[_MD5], sums.pop(_WHOLE, b"")
        name = self._algorithm
        checksums = {name: b64encode(sums[name]).decode()} if name else {}
        return Sums(md5.hex(), checksums, whole)


class PayloadCheck:
    """The promises of one request, and the digests that settle them.

    Feed all of `digests` with the body and call `finish`, or hand a small body to `check_small`.
    Where no checksum is promised, that named `computed` is computed. `whole` begins one more sum,
    for the row alone. The constructor raises InvalidDigest and InvalidRequest for promises that
    cannot be kept.
    """

    __slots__ = (
        "_algorithm",
        "_chunked",
        "_computed",
        "_md5",
        "_promised",
        "_sha256",
        "_sums",
        "_whole",
    )

    def __init__(
        self, context: Context, computed: str = "", whole: Callable[[], Digest] | None = None
    ) -> None:
        self._whole = whole
        request = context.request
        self._sha256 = context.payload_sha256
        self._md5 = _content_md5(request.header(b"content-md5"))
        of_object = context.op.name == "CompleteMultipartUpload"  # and not of its body
        self._algorithm, self._promised = ("", None) if of_object else _checksum(request.headers)
        self._chunked = context.chunked
        trailer = _trailer(request.header(b"x-amz-trailer"), self._chunked)
        if trailer is not None:
            if self._algorithm:
                raise _too_many()
            self._algorithm = trailer
        _check_announced(request.header(b"x-amz-sdk-checksum-algorithm"), self._algorithm)
        self._computed = "" if self._algorithm else computed
        self._sums: dict[str, Digest] = {}

    @property
    def algorithm(self) -> str:
        """That of the checksum which is promised, or ""."""
        return self._algorithm

    @property
    def digests(self) -> list[Digest]:
        """The sums to feed; the same ones each time."""
        if not self._sums:
            self._sums[_MD5] = Md5()
            if self._algorithm and self._algorithm not in self._sums:
                self._sums[self._algorithm] = ALGORITHMS[self._algorithm].begin()
            if self._sha256 is not None and "sha256" not in self._sums:
                self._sums["sha256"] = Sha256()
            if self._computed and self._computed not in self._sums:
                self._sums[self._computed] = ALGORITHMS[self._computed].begin()
            if self._whole is not None:
                self._sums[_WHOLE] = self._whole()
        return list(self._sums.values())

    def finish(self) -> Sums:
        """Settles the promises once `digests` have seen the whole body.

        Raises XAmzContentSHA256Mismatch, BadDigest and MalformedTrailerError.
        """
        if self._chunked is not None:
            self._take_trailer(self._chunked.trailers)
        return self._settle({name: digest.digest() for name, digest in self._sums.items()})

    def check_small(self, body: Buffer) -> Sums:
        """The same for a body that is in memory as a whole."""
        for digest in self.digests:
            digest.update(body)
        return self.finish()

    def _settle(self, sums: dict[str, bytes]) -> Sums:
        md5, whole = sums[_MD5], sums.get(_WHOLE, b"")
        if self._sha256 is not None and sums["sha256"] != self._sha256:
            raise _sha256_mismatch(self._sha256, sums["sha256"])
        if self._md5 is not None and md5 != self._md5:
            message = "The Content-MD5 you specified did not match what we received."
            extra = [("ExpectedDigest", self._md5.hex()), ("CalculatedDigest", md5.hex())]
            raise S3Error(codes.BAD_DIGEST, message, extra=extra)
        name = self._algorithm or self._computed
        if not name:
            return Sums(md5.hex(), {}, whole)
        if self._algorithm and sums[name] != self._promised:
            message = f"The {name.upper()} you specified did not match the calculated checksum."
            raise S3Error(codes.BAD_DIGEST, message)
        return Sums(md5.hex(), {name: b64encode(sums[name]).decode()}, whole)

    def _take_trailer(self, trailers: dict[bytes, bytes]) -> None:
        """What stands behind the body is what was announced, and nothing else."""
        trailers.pop(_TRAILER_SIGNATURE, None)
        if self._promised is None and self._algorithm:
            value = trailers.pop(_PREFIX + self._algorithm.encode(), None)
            if value is None:
                raise S3Error(codes.MALFORMED_TRAILER)
            self._promised = _sum(self._algorithm, value)
        if trailers:
            raise S3Error(codes.MALFORMED_TRAILER)


def check_length(length: int | None, most: int) -> None:
    """Raises EntityTooLarge for a body of that many bytes, None: not known before it is read."""
    if length is not None and length > most:
        extra = [("ProposedSize", str(length)), ("MaxSizeAllowed", str(most))]
        raise S3Error(codes.ENTITY_TOO_LARGE, extra=extra)


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


def _checksum(headers: Headers) -> tuple[str, bytes | None]:
    """The algorithm and the promised sum of the only checksum header; "" where there is none."""
    found = [
        (name[len(_PREFIX) :], value)
        for name, value in headers
        if name.startswith(_PREFIX) and name[len(_PREFIX) :] not in _NOT_SUMS
    ]
    if not found:
        return "", None
    if len(found) > 1:
        raise _too_many()
    name = found[0][0].decode("latin-1")
    return name, _sum(name, found[0][1])


def _sum(name: str, value: bytes) -> bytes:
    """The sum of that algorithm in base64 text. Raises InvalidRequest."""
    algorithm = ALGORITHMS.get(name)
    promised = _base64(value, algorithm.size) if algorithm else None
    if promised is None:
        message = f"Value for x-amz-checksum-{name} header is invalid."
        raise S3Error(codes.INVALID_REQUEST, message)
    return promised


def _too_many() -> S3Error:
    message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    return S3Error(codes.INVALID_REQUEST, message)


def _trailer(announced: bytes | None, chunked: ChunkedBody | None) -> str | None:
    """The algorithm of the checksum that will stand behind the body; None where none will."""
    if announced is None:
        return None
    name = announced.strip().lower().removeprefix(_PREFIX).decode("latin-1")
    if chunked is None or name not in ALGORITHMS or not announced.lower().startswith(_PREFIX):
        message = "The value specified in the x-amz-trailer header is not supported"
        raise S3Error(codes.INVALID_REQUEST, message)
    return name


def _check_announced(announced: bytes | None, algorithm: str) -> None:
    """What `x-amz-sdk-checksum-algorithm` names must be there."""
    if announced is None:
        return
    name = announced.decode("latin-1").lower()
    if name not in ALGORITHMS:
        message = "Checksum algorithm provided is unsupported."
        raise S3Error(codes.INVALID_REQUEST, message)
    if not algorithm:
        message = (
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or"
            " x-amz-trailer headers were found."
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    if algorithm != name:
        message = "Value for x-amz-sdk-checksum-algorithm header is invalid."
        raise S3Error(codes.INVALID_REQUEST, message)
