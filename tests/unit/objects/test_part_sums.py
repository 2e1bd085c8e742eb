"""Checksums of objects from those of their parts."""

import asyncio
import base64
import hashlib
import os

import pytest

from fastobj._ext import crc
from fastobj.core.errors import S3Error
from fastobj.objects.part_sums import is_composite
from tests.unit.objects.uploading import site_in_memory

BODIES = [os.urandom(size) for size in (5000, 1, 0, 77)]
SUMS = {
    "crc32": lambda text: crc.crc32(text).to_bytes(4, "big"),
    "crc32c": lambda text: crc.crc32c(text).to_bytes(4, "big"),
    "crc64nvme": lambda text: crc.crc64nvme(text).to_bytes(8, "big"),
    "sha1": lambda text: hashlib.sha1(text).digest(),
    "sha256": lambda text: hashlib.sha256(text).digest(),
}


@pytest.fixture
def site():
    return asyncio.run(site_in_memory().begin())


def text_of(sum_):
    return base64.b64encode(sum_).decode()


async def uploaded(site, algorithm, *, of=None, composite=False, created=True):
    """An upload with all parts; `of` is the checksum that the parts have."""
    upload = await site.create(algorithm=algorithm if created else "", is_composite=composite)
    of = of or algorithm
    return upload, [
        await site.part(upload, number, body, checksums={of: text_of(SUMS[of](body))})
        for number, body in enumerate(BODIES, 1)
    ]


async def refused(coroutine):
    with pytest.raises(S3Error) as caught:
        await coroutine
    return caught.value.code.name


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
async def test_of_the_full_object(site, algorithm):
    upload, listed = await uploaded(site, algorithm)
    wrong = {algorithm: text_of(SUMS[algorithm](b"other"))}
    assert await refused(site.complete(upload, listed, checksums=wrong)) == "BadDigest"
    assert await refused(site.complete(upload, listed, is_composite=True)) == "InvalidRequest"
    whole = text_of(SUMS[algorithm](b"".join(BODIES)))
    record = await site.complete(upload, listed, is_composite=False, checksums={algorithm: whole})
    assert record.checksums == {algorithm: whole}
    assert not is_composite(whole)


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "sha1", "sha256"])
@pytest.mark.parametrize("suffix", ["", "-4"])
async def test_of_checksums(site, algorithm, suffix):
    upload, listed = await uploaded(site, algorithm, composite=True)
    joined = text_of(SUMS[algorithm](b"".join(map(SUMS[algorithm], BODIES))))
    wrong = {algorithm: f"{joined}-5"}
    assert await refused(site.complete(upload, listed, checksums=wrong)) == "BadDigest"
    told = {algorithm: joined + suffix}
    record = await site.complete(upload, listed, is_composite=True, checksums=told)
    assert record.checksums == {algorithm: f"{joined}-4"}
    assert is_composite(record.checksums[algorithm])


async def test_without_an_algorithm(site):
    upload, listed = await uploaded(site, "crc64nvme", created=False)
    whole = text_of(SUMS["crc64nvme"](b"".join(BODIES)))
    assert (await site.complete(upload, listed)).checksums == {"crc64nvme": whole}
    upload, listed = await uploaded(site, "sha256", created=False)
    told = {"sha256": "x"}
    assert await refused(site.complete(upload, listed, checksums=told)) == "InvalidRequest"
    assert (await site.complete(upload, listed)).checksums == {}


async def test_checksums_of_listed_parts(site):
    upload, listed = await uploaded(site, "sha1", composite=True)
    right = text_of(SUMS["sha1"](BODIES[0]))
    for wrong in ({"sha1": text_of(SUMS["sha1"](b""))}, {"crc32": right}):
        bad = [listed[0]._replace(checksums=wrong), *listed[1:]]
        assert await refused(site.complete(upload, bad)) == "InvalidPart"
    await site.complete(upload, [listed[0]._replace(checksums={"sha1": right}), *listed[1:]])
