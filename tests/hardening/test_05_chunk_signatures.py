"""5: chunks that are swapped, repeated, dropped, foreign or malformed: an error, and no object."""

import re
from functools import partial

import pytest

from tests.hardening.streaming import NAMES, Uploader
from tests.reference.chunked import Mode

CHUNKS = [b"a" * 9000, b"b" * 9000, b"c" * 9000]
BODY = b"".join(CHUNKS)
SIGNED = (Mode.SIGNED, Mode.SIGNED_TRAILER)


@pytest.fixture
def upload(server, call, bucket, target):
    """Uploads to where the row stores it."""
    return partial(Uploader(call, server.secret_key), bucket, "key", query=target.query)


def parts(coded):
    """The coded chunks, and what stands behind them."""
    found = re.findall(rb"[0-9a-f]+(?:;chunk-signature=[0-9a-f]{64})?\r\n[abc]+\r\n", coded)
    return found, coded[sum(map(len, found)) :]


def swapped(coded):
    (one, two, three), rest = parts(coded)
    return two + one + three + rest


def repeated(coded):
    (one, two, _), rest = parts(coded)
    return one + two + two + rest


def dropped(coded):
    (one, two, _), rest = parts(coded)
    return one + two + rest


def changed(coded):
    return coded.replace(b"bbbb", b"bbxb", 1)


def cut(coded):
    return coded[: len(coded) // 2]


def unfinished(coded):
    return b"".join(parts(coded)[0])


def lengthened(coded):
    return coded + b"more"


def size(form):
    def bend(coded):
        return re.sub(rb"^2328", form, coded)

    bend.__name__ = f"size {form!r}"
    return bend


SIZES = [
    size(form) for form in (b"0x2328", b"+2328", b" 2328", b"2328 ", b"0" * 14 + b"2328", b"232g")
]


@pytest.mark.parametrize("mode", NAMES, ids=lambda mode: mode.name)
def test_as_it_should_be(upload, target, mode):
    assert upload(BODY, mode, chunks=CHUNKS).status == 200
    assert target.found()["Body"].read() == BODY


@pytest.mark.parametrize("mode", SIGNED, ids=lambda mode: mode.name)
@pytest.mark.parametrize("bend", [swapped, repeated, changed], ids=lambda bend: bend.__name__)
def test_chunks_that_were_tampered_with(upload, target, mode, bend):
    answer = upload(BODY, mode, chunks=CHUNKS, bend=bend)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert target.is_empty()


@pytest.mark.parametrize("mode", NAMES, ids=lambda mode: mode.name)
@pytest.mark.parametrize(
    "bend", [dropped, cut, unfinished, lengthened, *SIZES], ids=lambda bend: bend.__name__
)
def test_bodies_that_are_malformed(upload, target, mode, bend):
    answer = upload(BODY, mode, chunks=CHUNKS, bend=bend)
    assert 400 <= answer.status < 500, answer
    assert target.is_empty()


@pytest.mark.parametrize("mode", SIGNED, ids=lambda mode: mode.name)
def test_a_chunk_of_another_upload(upload, target, mode, server, call, bucket):
    seen = []
    other = Uploader(call, server.secret_key)
    other(bucket, "other", BODY, mode, chunks=CHUNKS, bend=lambda x: seen.append(x) or x)
    foreign = parts(seen[0])[0][1]

    def spliced(coded):
        (one, _, three), rest = parts(coded)
        return one + foreign + three + rest

    answer = upload(BODY, mode, chunks=CHUNKS, bend=spliced)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert target.is_empty()
