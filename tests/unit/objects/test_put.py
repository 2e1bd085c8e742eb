"""Puts: what is stored and counted, conditions, lost races, and bodies that must not leak."""

import asyncio
from functools import partial

import pytest

from fastobj.core import codes
from fastobj.core.errors import Conflict, NoSpace, S3Error, Unknown
from fastobj.objects import audit, buckets, put
from fastobj.objects.buckets import Usage
from fastobj.objects.conditions import WriteConditions
from fastobj.storage.base import Location

from .conftest import describe, gather_errors

ABSENT_ONLY = WriteConditions(if_none_match=("*",))


def raises(code):
    return pytest.raises(S3Error, check=lambda error: error.code is code)


def matching(record):
    return WriteConditions(if_match=(record.etag,))


@pytest.mark.parametrize("size", [0, 1, 64 * 1024])
async def test_small(world, size):
    bucket = await world.bucket()
    body = bytes(index % 251 for index in range(size))
    record = await world.put(
        bucket, b"key", body, headers={"content-type": "a/b"}, metadata={"n": "v"},
        checksums={"crc32": "AAAA"},
    )  # fmt: skip
    stored = await world.row(bucket, b"key")
    assert stored.size == size
    assert stored.modified_ns == world.clock.now_ns()
    assert (stored.headers, stored.metadata) == ({"content-type": "a/b"}, {"n": "v"})
    assert stored.checksums == {"crc32": "AAAA"}
    assert bool(stored.data_id) == bool(size)
    assert record.etag == stored.etag
    assert await world.read(bucket, b"key") == body
    assert await world.usage(bucket) == Usage(1, size)
    assert await audit.differences(world.store) == []


@pytest.mark.parametrize("size", [1, 999, 1000, 1001, 200_000])
async def test_large(world, size):
    bucket = await world.bucket()
    body = bytes(index % 251 for index in range(size))
    await world.put_large(bucket, b"key", body)
    assert await world.read(bucket, b"key") == body
    assert await world.usage(bucket) == Usage(1, size)
    assert await audit.differences(world.store) == []


async def test_overwrite_releases_the_old_body(world):
    bucket = await world.bucket()
    await world.put_large(bucket, b"key", b"long" * 1000)
    await world.put(bucket, b"key", b"short")
    await world.put(bucket, b"key", b"")
    assert len(world.volume) == 0
    await world.put(bucket, b"key", b"again")
    assert len(world.volume) == 1
    assert await world.usage(bucket) == Usage(1, 5)
    assert await audit.differences(world.store) == []


async def test_if_none_match(world):
    bucket = await world.bucket()
    record = await world.put(bucket, b"key", b"first", ABSENT_ONLY)
    for etags in (("*",), (record.etag,), ("other", record.etag)):
        with raises(codes.PRECONDITION_FAILED):
            await world.put(bucket, b"key", b"second", WriteConditions(if_none_match=etags))
    assert await world.read(bucket, b"key") == b"first"
    await world.put(bucket, b"key", b"third", WriteConditions(if_none_match=("other",)))


async def test_if_match(world):
    bucket = await world.bucket()
    with raises(codes.NO_SUCH_KEY):
        await world.put(bucket, b"key", b"first", WriteConditions(if_match=("*",)))
    first = await world.put(bucket, b"key", b"first")
    await world.put(bucket, b"key", b"second", matching(first))
    with raises(codes.PRECONDITION_FAILED):
        await world.put(bucket, b"key", b"third", matching(first))
    await world.put(bucket, b"key", b"fourth", WriteConditions(if_match=("*",)))
    assert await world.read(bucket, b"key") == b"fourth"


async def test_early_check(world):
    bucket = await world.bucket()
    await put.check_conditions(world.store, bucket, b"key", ABSENT_ONLY)
    await world.put(bucket, b"key")
    with raises(codes.PRECONDITION_FAILED):
        await put.check_conditions(world.store, bucket, b"key", ABSENT_ONLY)


@pytest.mark.parametrize("large", [False, True])
async def test_lost_race_needs_no_read(world, large):
    bucket = await world.bucket()
    world.gate.before.append(partial(world.put, bucket, b"key", b"rival", store=world.direct))
    gets = 0
    engine_get = world.engine.get

    async def counted(space, key):
        nonlocal gets
        gets += 1
        return await engine_get(space, key)

    world.engine.get = counted
    place = world.put_large if large else world.put
    await place(bucket, b"key", b"mine")
    assert gets == 2  # one row for each of the two writers
    assert await world.read(bucket, b"key") == b"mine"
    assert await world.usage(bucket) == Usage(1, 4)
    assert await audit.differences(world.store) == []


async def test_lost_race_judges_the_conditions_again(world):
    bucket = await world.bucket()
    world.gate.before.append(partial(world.put, bucket, b"key", b"rival", store=world.direct))
    with raises(codes.PRECONDITION_FAILED):
        await world.put(bucket, b"key", b"mine", ABSENT_ONLY)
    assert await world.read(bucket, b"key") == b"rival"


async def test_arrival_goes_into_the_next_entry(world):
    bucket = await world.bucket()

    async def rival(conflict):
        raise conflict

    present = await world.engine.get_many([])
    assert present == []
    row = await world.engine.get(1, b"bucket")
    for arrival in (7, 9):
        world.gate.before.append(partial(rival, Conflict([row, None], arrival)))
    await world.put(bucket, b"key")
    assert [entry.arrival for entry in world.gate.entries] == [None, 7, 7]


@pytest.mark.parametrize(
    ("conditions", "code"),
    [(WriteConditions(), codes.SLOW_DOWN), (ABSENT_ONLY, codes.CONDITIONAL_REQUEST_CONFLICT)],
)
async def test_endless_race_ends(world, monkeypatch, conditions, code):
    monkeypatch.setattr("fastobj.objects.retry.CONFLICT_RETRIES_MAX", 3)
    bucket = await world.bucket()
    row = await world.engine.get(1, b"bucket")

    async def lose():
        raise Conflict([row, None])

    world.gate.before += [lose] * 4
    with raises(code):
        await world.put(bucket, b"key", b"mine", conditions)
    assert world.gate.calls == 4


async def test_one_of_many_conditional_writers_wins(world):
    bucket = await world.bucket()
    bodies = [b"%d" % number for number in range(64)]
    results = await gather_errors(
        *(world.put(bucket, b"key", body, ABSENT_ONLY) for body in bodies)
    )
    won = [body for body, result in zip(bodies, results, strict=True) if not is_error(result)]
    assert len(won) == 1
    assert await world.read(bucket, b"key") == won[0]
    assert await world.usage(bucket) == Usage(1, len(won[0]))


def is_error(result):
    if isinstance(result, S3Error):
        assert result.code is codes.PRECONDITION_FAILED
    return isinstance(result, BaseException)


async def test_many_writers_all_succeed(world):
    bucket = await world.bucket()
    await asyncio.gather(*(world.put(bucket, b"key", b"x" * number) for number in range(64)))
    assert await audit.differences(world.store) == []


async def test_bucket_gone(world):
    bucket = await world.bucket()
    world.gate.before.append(partial(buckets.delete, world.direct, bucket))
    with raises(codes.NO_SUCH_BUCKET):
        await world.put(bucket, b"key")


async def test_bucket_with_a_new_token(world):
    bucket = await world.bucket()
    await buckets._set_state(world.direct, bucket, 0)
    await world.put(bucket, b"key")
    assert await world.usage(bucket) == Usage(1, 4)


class WatchedWriter:
    """Notes what becomes of a writer."""

    def __init__(self, writer):
        self._writer = writer
        self.calls = []

    def sealing(self):
        return self._writer.sealing()

    def sent(self):
        self.calls.append("sent")

    def settled(self):
        self.calls.append("settled")

    async def abort(self):
        self.calls.append("abort")


async def outcome_of(world, error=None, conditions=WriteConditions()):  # noqa: B008
    """What is called on the writer of a body whose commit ends with `error`."""
    bucket = await world.bucket()
    large = await world.large(b"body")
    large.writer = WatchedWriter(large.writer)

    async def fail():
        raise error

    if error is not None:
        world.gate.before.append(fail)
    args = (world.store, bucket, b"key", describe(b"body"), large, conditions)
    try:
        await put.put_large(*args)
    except BaseException as raised:
        return large.writer.calls, type(raised)
    return large.writer.calls, None


async def test_writer_after_success(world):
    assert await outcome_of(world) == (["sent", "settled"], None)


async def test_writer_whose_transaction_was_never_sent(world):
    never = WriteConditions(if_match=("*",))
    assert await outcome_of(world, conditions=never) == (["abort"], S3Error)


@pytest.mark.parametrize("error", [Unknown("?"), NoSpace("full")])
async def test_writer_after_the_transaction_was_sent(world, error):
    assert await outcome_of(world, error) == (["sent", "settled"], type(error))


async def test_writer_of_a_cancelled_commit_stays_held(world):
    error = asyncio.CancelledError()
    assert await outcome_of(world, error) == (["sent"], asyncio.CancelledError)


async def test_writer_is_sent_once(world):
    bucket = await world.bucket()
    row = await world.engine.get(1, b"bucket")
    assert row is not None

    assert await outcome_of(world, Conflict([row, None])) == (["sent", "settled"], None)
    assert bucket.name == "bucket"


async def test_location_is_written_into_the_row(world):
    bucket = await world.bucket()
    many = {f"name-{number}": "v" * 300 for number in range(5)}
    await world.put(bucket, b"key", b"body", metadata=many)
    record = await world.row(bucket, b"key")
    assert record.metadata == many
    assert Location.decode(record.location).length == 4
