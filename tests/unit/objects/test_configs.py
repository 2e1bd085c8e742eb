"""Configurations of buckets: in one transaction with the bucket's row, read once, never guessed."""

import asyncio

import pytest

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error, StoreDamaged, UnknownFormat
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, DELETE, Row, Txn, new_txn_id
from fastobj.objects import buckets, configs
from fastobj.objects.cors import Cors, CorsRule
from fastobj.objects.ledger import Entry
from fastobj.objects.ownership import ENFORCED, Ownership
from fastobj.objects.tags import TagSet

TAGS = TagSet({"key": "value"})
ORIGIN = "https://" + "o" * 1000


def cors(count):
    """A configuration of about that many KiB."""
    return Cors(tuple([CorsRule((ORIGIN,), ("GET",))] * count))


def raises(code):
    return pytest.raises(S3Error, check=lambda error: error.code is code)


class Reads:
    """Metadata that counts what is read of configurations."""

    def __init__(self, meta):
        self._meta = meta
        self.count = 0
        self.get, self.get_many, self.counters = meta.get, meta.get_many, meta.counters

    async def scan(self, space, *args):
        self.count += space == keys.CONFIGS
        return await self._meta.scan(space, *args)


async def made(world):
    """A bucket, and a count of what is read of its configurations from now on."""
    world.store.meta = Reads(world.store.meta)
    return await world.bucket()


async def present(world):
    return await buckets.get(world.store, "bucket")


async def rows(world):
    return await world.engine.scan(keys.CONFIGS, keys.FIRST, keys.LAST, 100)


async def commit(world, *changed):
    await world.store.ledger.commit(Entry(Txn(new_txn_id(), list(changed))))


async def test_put_find_delete(world):
    bucket = await made(world)
    assert await configs.find(world.store, bucket, configs.TAGGING) is None
    await configs.put(world.store, bucket, configs.TAGGING, TAGS)
    found = await present(world)
    assert found.record.configs_revision == bucket.record.configs_revision + 1
    assert await configs.find(world.store, found, configs.TAGGING) == TAGS
    assert await configs.find(world.store, found, configs.CORS) is None
    await configs.delete(world.store, found, configs.TAGGING)
    found = await present(world)
    assert found.record.configs == 0
    assert await configs.find(world.store, found, configs.TAGGING) is None
    assert await rows(world) == []


async def test_a_bucket_without_costs_no_read_and_one_with_costs_one(world):
    bucket = await made(world)
    for _ in range(3):
        assert await configs.find(world.store, bucket, configs.TAGGING) is None
    await configs.delete(world.store, bucket, configs.TAGGING)
    assert world.store.meta.count == world.gate.calls == 0
    await configs.put(world.store, bucket, configs.TAGGING, TAGS)
    for _ in range(3):
        assert await configs.find(world.store, await present(world), configs.TAGGING) == TAGS
    assert world.store.meta.count == 1


async def test_one_transaction_with_the_row_of_the_bucket(world):
    bucket = await made(world)
    await configs.put(world.store, bucket, configs.CORS, cors(100))
    (entry,) = world.gate.entries
    spaces = [row.space for row in entry.txn.rows]
    assert spaces == [keys.BUCKETS, *[keys.CONFIGS] * limits.CONFIG_ROWS_MAX]
    assert {row.token for row in await rows(world)} == {entry.txn.id}
    assert (await present(world)).token == entry.txn.id


@pytest.mark.parametrize("count", [1, 59, 60, 100, 170])
async def test_sizes(world, count):
    bucket = await made(world)
    await configs.put(world.store, bucket, configs.CORS, cors(count))
    found = await configs.find(world.store, await present(world), configs.CORS)
    assert found == cors(count)
    assert max(len(row.value) for row in await rows(world)) <= limits.VALUE_BYTES_MAX
    await configs.put(world.store, await present(world), configs.CORS, cors(1))
    assert len(await rows(world)) == 1
    assert await configs.find(world.store, await present(world), configs.CORS) == cors(1)


async def test_one_that_is_too_large(world):
    bucket = await made(world)
    with raises(codes.INVALID_REQUEST):
        await configs.put(world.store, bucket, configs.CORS, cors(190))
    assert world.gate.calls == 0


def test_all_rows_of_a_bucket_go_in_one_transaction():
    most = sum(kind.rows_max for kind in configs.KINDS.values())
    assert most + 1 <= limits.TXN_ROWS_MAX
    assert limits.CONFIG_ROWS_MAX * limits.CONFIG_ROW_BYTES_MAX < limits.TXN_BYTES_MAX


async def test_a_race_loses_nothing(world):
    bucket = await made(world)
    await asyncio.gather(
        configs.put(world.store, bucket, configs.TAGGING, TAGS),
        configs.put(world.store, bucket, configs.CORS, cors(1)),
    )
    found = await present(world)
    assert await configs.find(world.store, found, configs.TAGGING) == TAGS
    assert await configs.find(world.store, found, configs.CORS) == cors(1)


async def test_a_list_that_a_configuration_may_forbid_is_aborted(world):
    bucket = await made(world)
    await configs.put(world.store, bucket, configs.OWNERSHIP, Ownership(ENFORCED))
    with raises(codes.OPERATION_ABORTED):
        await buckets.set_acl(world.store, bucket, ())
    assert (await present(world)).record.acl is None


async def test_what_is_checked_is_the_row_that_is_replaced(world):
    bucket = await made(world)
    world.gate.before.append(lambda: buckets.set_acl(world.direct, bucket, ()))
    ownership = Ownership(ENFORCED)
    with raises(codes.INVALID_BUCKET_ACL_WITH_OBJECT_OWNERSHIP):
        await configs.put(
            world.store,
            bucket,
            configs.OWNERSHIP,
            ownership,
            lambda record: ownership.check_bucket(record.acl),
        )
    assert (await present(world)).record.configs == 0


async def test_a_bucket_that_was_read_before_a_change(world):
    bucket = await made(world)
    await configs.put(world.store, bucket, configs.TAGGING, TAGS)
    before = await present(world)
    await configs.put(world.store, before, configs.TAGGING, TagSet({"newer": ""}))
    assert await configs.find(world.store, before, configs.TAGGING) == TagSet({"newer": ""})
    newest = await present(world)
    world.store.configs.clear()
    await configs.delete(world.store, newest, configs.TAGGING)
    assert await configs.find(world.store, before, configs.TAGGING) is None


async def test_a_bucket_that_has_gone(world):
    bucket = await made(world)
    await configs.put(world.store, bucket, configs.TAGGING, TAGS)
    before = await present(world)
    await buckets.delete(world.store, before)
    assert await rows(world) == []
    for call in (
        configs.find(world.store, before, configs.TAGGING),
        configs.put(world.store, before, configs.TAGGING, TAGS),
        configs.delete(world.store, before, configs.TAGGING),
    ):
        with raises(codes.NO_SUCH_BUCKET):
            await call
    assert await rows(world) == []


async def test_a_bucket_made_with_configurations(world):
    made = {configs.TAGGING: TAGS, configs.OWNERSHIP: Ownership(ENFORCED)}
    bucket, _ = await buckets.create(world.store, "bucket", "owner", None, made)
    assert world.gate.calls == 1
    assert await configs.find(world.store, bucket, configs.TAGGING) == TAGS
    assert await configs.find(world.store, bucket, configs.OWNERSHIP) == Ownership(ENFORCED)
    again, is_new = await buckets.create(world.store, "bucket", "owner", None, {})
    assert (again, is_new) == (bucket, False)


async def damage(world, bucket, value):
    """Puts bytes in the place of a configuration's row; None: takes it away."""
    await configs.put(world.store, bucket, configs.TAGGING, TAGS)
    key = keys.config(bucket.record.id, configs.TAGGING.number, 0)
    await commit(world, Row(keys.CONFIGS, key, ANY, value))
    return await present(world)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (DELETE, StoreDamaged),
        (b"\xc1", StoreDamaged),
        (records.encode(records.ConfigRecord(1, 1, b"\xc1")), StoreDamaged),
        (records.encode(records.ConfigRecord(1, 1, b"\x91\x01")), StoreDamaged),
        (records.encode(records.ConfigRecord(1, 2, b"\x91\x80")), StoreDamaged),
        (records.encode(records.ConfigRecord(2, 1, b"\x91\x80")), UnknownFormat),
    ],
)
async def test_what_cannot_be_read_is_never_none(world, value, error):
    bucket = await made(world)
    found = await damage(world, bucket, value)
    for _ in range(2):
        with pytest.raises(error):
            await configs.find(world.store, found, configs.TAGGING)


async def test_rows_of_two_transactions_are_no_configuration(world):
    bucket = await made(world)
    await configs.put(world.store, bucket, configs.CORS, cors(100))
    row = (await rows(world))[1]
    await commit(world, Row(keys.CONFIGS, row.key, ANY, row.value))
    with pytest.raises(StoreDamaged, match="do not belong together"):
        await configs.find(world.store, await present(world), configs.CORS)
