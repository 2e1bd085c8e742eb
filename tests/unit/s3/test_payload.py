"""Promises about bodies are understood, kept, or refused."""

import hashlib
import zlib
from base64 import b64encode

import pytest

from fastobj.core.errors import S3Error
from fastobj.s3.context import Context
from fastobj.s3.operations import OPERATIONS
from fastobj.s3.payload import ALGORITHMS, Computed, PayloadCheck, Sums
from tests.unit.s3 import signing

BODY = b"123456789"
MD5 = hashlib.md5(BODY).hexdigest()
# The published check values of "123456789", hashlib's, and those of xxHash.
SUMS = {
    "crc32": bytes.fromhex("cbf43926"),
    "crc32c": bytes.fromhex("e3069283"),
    "crc64nvme": bytes.fromhex("ae8b14860a799888"),
    "sha1": hashlib.sha1(BODY).digest(),
    "sha256": hashlib.sha256(BODY).digest(),
    "sha512": hashlib.sha512(BODY).digest(),
    "md5": hashlib.md5(BODY).digest(),
    "xxhash64": bytes.fromhex("8cb841db40e6ae83"),
    "xxhash3": bytes.fromhex("72dcb18b67a17dff"),
    "xxhash128": bytes.fromhex("33119477ede5dcd5e9716427681d5860"),
}


def text(raw: bytes) -> str:
    return b64encode(raw).decode()


def context_of(headers: dict[str, str], payload_sha256: bytes | None = None) -> Context:
    op = next(op for op in OPERATIONS if op.name == "PutObject")
    request = signing.unsigned("PUT", "/b/k", headers)
    store = None  # the check never looks at it
    return Context(op, request, "id", store, signing.OWNER, payload_sha256=payload_sha256)


def check(headers: dict[str, str], payload_sha256: bytes | None = None) -> PayloadCheck:
    return PayloadCheck(context_of(headers, payload_sha256))


def run(headers: dict[str, str], payload_sha256: bytes | None = None, body: bytes = BODY) -> Sums:
    """Both ways to feed a body come to the same."""
    small = check(headers, payload_sha256).check_small(body)
    large = check(headers, payload_sha256)
    digests = large.digests
    for at in range(0, len(body), 2):
        for digest in digests:
            digest.update(memoryview(body)[at : at + 2])
    assert large.finish() == small
    return small


def code_of(headers: dict[str, str], payload_sha256: bytes | None = None) -> str:
    with pytest.raises(S3Error) as caught:
        run(headers, payload_sha256)
    return caught.value.code.name


def test_nothing_promised() -> None:
    assert run({}) == Sums(MD5, {})
    assert run({}, body=b"") == Sums("d41d8cd98f00b204e9800998ecf8427e", {})


def test_the_table_is_whole() -> None:
    assert set(ALGORITHMS) == set(SUMS)
    assert int.from_bytes(SUMS["crc32"], "big") == zlib.crc32(BODY)


@pytest.mark.parametrize("name", SUMS)
def test_each_checksum(name: str) -> None:
    header = f"x-amz-checksum-{name}"
    kept = {header: text(SUMS[name])}
    assert run(kept) == Sums(MD5, {name: text(SUMS[name])})
    assert run(kept, SUMS["sha256"]).checksums == {name: text(SUMS[name])}
    announced = kept | {"x-amz-sdk-checksum-algorithm": name.upper()}
    assert run(announced).checksums == {name: text(SUMS[name])}
    assert code_of({header: text(bytes(len(SUMS[name])))}) == "BadDigest"
    assert code_of({header: text(SUMS[name] + b"x")}) == "InvalidRequest"
    assert code_of({header: text(SUMS[name])[:-1] + "!"}) == "InvalidRequest"
    assert code_of({header: ""}) == "InvalidRequest"


def test_signed_hash() -> None:
    assert run({}, SUMS["sha256"]).etag == MD5
    assert code_of({}, bytes(32)) == "XAmzContentSHA256Mismatch"


def test_content_md5() -> None:
    assert run({"Content-MD5": text(bytes.fromhex(MD5))}).etag == MD5
    assert code_of({"Content-MD5": text(bytes(16))}) == "BadDigest"
    for bad in ("", "AAAA", "no base64", text(bytes(17)), MD5):
        assert code_of({"Content-MD5": bad}) == "InvalidDigest"


def test_all_at_once() -> None:
    headers = {
        "Content-MD5": text(bytes.fromhex(MD5)),
        "x-amz-checksum-sha256": text(SUMS["sha256"]),
        "x-amz-checksum-mode": "ENABLED",
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    assert run(headers, SUMS["sha256"]).checksums == {"sha256": text(SUMS["sha256"])}


def test_more_than_one_checksum() -> None:
    both = {f"x-amz-checksum-{name}": text(SUMS[name]) for name in ("crc32", "sha1")}
    assert code_of(both) == "InvalidRequest"


def test_announced_but_absent() -> None:
    name = "x-amz-sdk-checksum-algorithm"
    assert code_of({name: "CRC32"}) == "InvalidRequest"
    assert code_of({name: "CRC99"}) == "InvalidRequest"
    assert code_of({name: "SHA1", "x-amz-checksum-crc32": text(SUMS["crc32"])}) == "InvalidRequest"


def test_unknown_checksum() -> None:
    assert code_of({"x-amz-checksum-crc16": "AAA="}) == "InvalidRequest"


@pytest.mark.parametrize("algorithm", ["", *SUMS])
def test_one_more_sum_goes_into_the_row_and_nowhere_else(algorithm: str) -> None:
    """Here of another kind than BLAKE3, whose package few machines have."""
    promised = {f"x-amz-checksum-{algorithm}": text(SUMS[algorithm])} if algorithm else {}
    context = context_of(promised)
    whole = hashlib.blake2b(BODY).digest()
    sums = Sums(MD5, {algorithm: text(SUMS[algorithm])} if algorithm else {}, whole)
    assert PayloadCheck(context, whole=hashlib.blake2b).check_small(BODY) == sums
    computed = Computed(algorithm, hashlib.blake2b)
    for digest in computed.digests:
        digest.update(BODY)
    assert computed.finish() == sums
    assert PayloadCheck(context).check_small(BODY) == sums._replace(blake3=b"")
