"""Events: with each change and only with it, under their names, in the order of commits."""

import asyncio
import json

import msgspec
import pytest

from fastobj._ext.crc import crc32c
from fastobj.core.errors import S3Error
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, ANY, BodyRef, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.meta.records import EventRecord
from fastobj.objects import acl, audit, buckets, configs, copy, delete, events, rename, versions
from fastobj.objects.change import rewrite_object
from fastobj.objects.conditions import ReadConditions, WriteConditions
from fastobj.objects.copy import Source
from fastobj.objects.delete import Deletion
from fastobj.objects.encoded import encode_entry
from fastobj.objects.event_message import message
from fastobj.objects.events import Cause
from fastobj.objects.ledger import Entry
from fastobj.objects.notifications import Notification, Notifications
from fastobj.storage.base import NO_LOCATION, SmallBody
from tests.unit.objects.ledgers import Driven
from tests.unit.objects.versioning import ENABLED, SUSPENDED, remove, set_to

ALL = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put")
HOOK = Notification("rule", "hook", (*ALL, "s3:LifecycleExpiration:*"))
PUT = Cause("s3:ObjectCreated:Put", "somebody", "192.0.2.7", "REQUEST")
DELETE = Cause("s3:ObjectRemoved:Delete", "somebody")
TAG = Cause("s3:ObjectTagging:Put")


async def told(world, *rows, states=()):
    """A bucket that tells what happens in it; `states` are those of its versioning."""
    world.store.event_targets = frozenset({"hook", "other"})
    bucket = await world.bucket()
    for state in states:
        bucket = await set_to(world, bucket, state)
    await configs.put(world.store, bucket, configs.NOTIFICATION, Notifications(rows or (HOOK,)))
    return await buckets.get(world.store, "bucket")


async def outbox(world):
    rows = await world.engine.scan(keys.OUTBOX, keys.FIRST, keys.LAST, 1000)
    return [records.decode(EventRecord, row.value) for row in rows]


async def names(world):
    return [(event.name, event.key) for event in await outbox(world)]


async def tagged(world, bucket, key, tags, wanted=None):
    def edit(record):
        return msgspec.structs.replace(record, tags=tags)

    return await rewrite_object(world.store, bucket, key, wanted, edit)


async def test_a_put_is_told_with_all_that_is_known_of_it(world):
    bucket = await told(world)
    with events.caused_by(PUT):
        record = await world.put(bucket, "schlüssel".encode(), b"four")
    (event,) = await outbox(world)
    assert event == EventRecord(
        format=records.FORMAT,
        name="s3:ObjectCreated:Put",
        at_ns=world.clock.now_ns(),
        bucket="bucket",
        owner="owner",
        region="us-east-1",
        key="schlüssel",
        targets=(("hook", "rule"),),
        principal="somebody",
        source_ip="192.0.2.7",
        request_id="REQUEST",
        size=4,
        etag=record.etag,
    )
    assert await audit.differences(world.store) == []


async def test_every_change_has_its_name(world):
    bucket = await told(world)

    async def describe(record):
        return record

    with events.caused_by(PUT):
        await world.put(bucket, b"a")
    with events.caused_by(Cause("s3:ObjectCreated:Copy")):
        await copy.copy_object(world.store, Source(bucket, b"a"), bucket, b"b", describe)
    with events.caused_by(TAG):
        await tagged(world, bucket, b"a", {"k": "v"})
        await tagged(world, bucket, b"a", {"k": "v"})  # as S3: also where nothing changes
    with events.caused_by(Cause("s3:ObjectAcl:Put")):
        await acl.set_object_acl(world.store, bucket, b"b", None)
    with events.caused_by(PUT):
        free = ReadConditions()
        await rename.rename(world.store, bucket, b"a", b"c", free, free)
    with events.caused_by(DELETE):
        await remove(world, bucket, b"b")
        await remove(world, bucket, b"b")  # nothing is there any more
        await delete.delete_objects(world.store, bucket, [Deletion(b"c"), Deletion(b"none")])
    assert await names(world) == [
        ("s3:ObjectCreated:Put", "a"),
        ("s3:ObjectCreated:Copy", "b"),
        ("s3:ObjectTagging:Put", "a"),
        ("s3:ObjectTagging:Put", "a"),
        ("s3:ObjectAcl:Put", "b"),
        ("s3:ObjectCreated:Put", "c"),
        ("s3:ObjectRemoved:Delete", "a"),
        ("s3:ObjectRemoved:Delete", "b"),
        ("s3:ObjectRemoved:Delete", "c"),
    ]
    assert await audit.differences(world.store) == []


async def test_versions_and_delete_markers(world):
    bucket = await told(world, states=[ENABLED])
    with events.caused_by(DELETE):
        first = await world.put(bucket, b"key")
        marker = await remove(world, bucket, b"key")
        await remove(world, bucket, b"key", marker.version)
        await remove(world, bucket, b"key", first.version)
    bucket = await set_to(world, bucket, SUSPENDED)
    with events.caused_by(Cause("s3:LifecycleExpiration:Delete")):
        await remove(world, bucket, b"key")
        await remove(world, bucket, b"key", b"")
    id_text = [versions.id_text(one) for one in (first.version, marker.version)]
    assert [(event.name, event.version) for event in await outbox(world)] == [
        ("s3:ObjectCreated:Put", id_text[0]),
        ("s3:ObjectRemoved:DeleteMarkerCreated", id_text[1]),
        ("s3:ObjectRemoved:Delete", id_text[1]),
        ("s3:ObjectRemoved:Delete", id_text[0]),
        ("s3:LifecycleExpiration:DeleteMarkerCreated", "null"),
        ("s3:LifecycleExpiration:Delete", "null"),
    ]


async def test_what_nobody_is_told(world):
    rows = [
        Notification("one", "hook", ALL, "a/", ".jpg"),
        Notification("two", "unknown", ALL, "b/"),
        Notification("three", "other", ("s3:ObjectRemoved:*",), "c/"),
    ]
    bucket = await told(world, *rows)
    await world.put(bucket, b"a/quiet.jpg")  # no operation of S3
    with events.caused_by(PUT):
        for key in (b"a/b.png", b"b/c", b"c/d", b"d"):
            await world.put(bucket, key)
        assert await names(world) == []
        await world.put(bucket, b"a/b.jpg")
        with pytest.raises(S3Error):
            await world.put(bucket, b"a/b.jpg", conditions=WriteConditions(if_none_match=("*",)))
    assert await names(world) == [("s3:ObjectCreated:Put", "a/b.jpg")]


async def test_a_bucket_without_a_configuration_reads_and_writes_nothing_more(world):
    bucket = await world.bucket()
    with events.caused_by(PUT):
        await world.put(bucket, b"key")
    (entry,) = world.gate.entries
    assert not entry.has_events
    assert {row.space for row in entry.txn.rows} == {keys.BUCKETS, keys.CURRENT}


async def test_who_is_told_is_known_as_of_the_commit(world):
    """A configuration that changes under way conflicts, and counts with the next try."""
    bucket = await told(world)
    other = Notifications((Notification("new", "other", ALL),))

    async def replace():
        await configs.put(world.direct, bucket, configs.NOTIFICATION, other)

    world.gate.before.append(replace)
    with events.caused_by(PUT):
        await world.put(bucket, b"key")
    assert [event.targets for event in await outbox(world)] == [(("other", "new"),)]


async def test_events_survive_their_bucket(world):
    bucket = await told(world)
    with events.caused_by(PUT):
        await world.put(bucket, b"key")
        await remove(world, bucket, b"key")
    await buckets.delete(world.store, await buckets.get(world.store, "bucket"))
    assert len(await names(world)) == 2
    assert await audit.differences(world.store) == []


async def test_a_configuration_is_put_with_a_test_event_for_each_target(world):
    bucket = await told(world)
    rows = (HOOK, msgspec.structs.replace(HOOK, id="x", target="other"), HOOK)
    tests = events.test_rows(world.store, bucket, Notifications(rows))
    adds = events.counted(tests)
    kind, config = configs.NOTIFICATION, Notifications(rows)
    await configs.put(world.store, bucket, kind, config, beside=tests, adds=adds)
    (event,) = await outbox(world)
    assert (event.name, event.key) == (events.TEST_EVENT, "")
    assert event.targets == (("hook", "rule"), ("other", "x"))
    assert await audit.differences(world.store) == []
    world.store.event_targets = frozenset()
    assert events.test_rows(world.store, bucket, config) == []


# --- the order


def event_entry(count, *, body=b"", name="event"):
    """A transaction of that many events, beside the row of an object."""
    data_id = bytes(16)
    rows = [Row(keys.CURRENT, name.encode(), ANY, NO_LOCATION + data_id)]
    rows += [Row(keys.OUTBOX, keys.outbox(n), ABSENT, b"%d" % n * 300) for n in range(count)]
    rows.append(Row(keys.DUE, b"x" * 21, ANY, b"last"))
    txn = Txn(new_txn_id(), rows)
    if not body:
        return Entry(txn, has_events=True)
    txn.bodies = [BodyRef(data_id, 0, 0)]
    small = SmallBody(data_id, body, crc32c(body), b"hint")
    return Entry(txn, [small], has_events=True)


@pytest.mark.parametrize("count", [0, 1, 2, 20])
@pytest.mark.parametrize("body", [b"", b"body"])
def test_only_the_keys_of_events_get_the_order(count, body):
    entry = event_entry(count, body=body)
    encoded = encode_entry(entry)
    decode = msgspec.msgpack.Decoder(Txn).decode
    before, after = decode(encoded.txn), decode(encoded.in_order(2**40 + 3, 70_000))
    assert (before.id, before.adds, before.bodies) == (after.id, after.adds, after.bodies)
    for old, new in zip(before.rows, after.rows, strict=True):
        is_event = old.space == keys.OUTBOX
        key = keys.in_order(old.key, 2**40 + 3, 70_000) if is_event else old.key
        assert new == msgspec.structs.replace(old, key=key)
    assert sum(row.space == keys.OUTBOX for row in after.rows) == count


def orders(engine):
    rows = engine.read_range(keys.OUTBOX, keys.FIRST, keys.LAST, 1000)
    return [(*keys.COMMIT_ORDER.unpack(row.key[:12]), row.key[12], row.token) for row in rows]


def test_the_order_is_that_of_commits_over_batches_lives_and_replays(tmp_path):
    driven = Driven(tmp_path)
    entries = [event_entry(2, name=str(n)) for n in range(7)]
    conflict = Entry(Txn(new_txn_id(), [Row(keys.CURRENT, b"0", ABSENT, b"")]))
    driven.run(*entries[:3])
    driven.run(entries[3], conflict, entries[4])
    driven = driven.again()
    driven.run(*entries[5:])
    found = orders(driven.engine)
    assert [token for *_, token in found] == [e.txn.id for e in entries for _ in range(2)]
    assert [number for _, _, number, _ in found] == [0, 1] * 7
    places = [(block, place) for block, place, number, _ in found if not number]
    assert [place for _, place in places] == [0, 1, 2, 0, 1, 0, 1]
    assert len({block for block, _ in places}) == 3
    again = driven.again(MemoryEngine())  # all of it from the log
    assert orders(again.engine) == found


async def test_a_clock_that_jumps_changes_no_order(world):
    bucket = await told(world)
    with events.caused_by(PUT):
        for turn in range(6):
            world.clock.advance(-(10**12) if turn % 2 else 10**9)
            await (remove(world, bucket, b"key") if turn % 2 else world.put(bucket, b"key"))
    created, removed = ("s3:ObjectCreated:Put", "key"), ("s3:ObjectRemoved:Delete", "key")
    assert await names(world) == [created, removed] * 3


async def test_racing_writers_are_told_in_the_order_in_which_they_won(world):
    bucket = await told(world)
    with events.caused_by(PUT):
        puts = [world.put(bucket, b"key", b"%d" % n) for n in range(30)]
        won = await asyncio.gather(*puts)
    found = await outbox(world)
    assert sorted(e.etag for e in found) == sorted(record.etag for record in won)
    last = await world.engine.get(keys.CURRENT, keys.current(bucket.record.id, b"key"))
    assert found[-1].etag == records.decode(records.ObjectRecord, last[0]).etag


# --- the message

EVENT = EventRecord(
    format=1,
    name="s3:ObjectCreated:Put",
    at_ns=1_800_000_000_123_456_789,
    bucket="bucket",
    owner="owner-id",
    region="eu-central-1",
    key="a folder/ü+.jpg",
    targets=(("hook", "rule"),),
    principal="AKIA",
    source_ip="192.0.2.7",
    request_id="REQUEST",
    version="null",
    size=0,
    etag="etag",
)
ROW_KEY = keys.in_order(keys.outbox(1), 2, 3)


def test_a_message_is_that_of_s3():
    assert json.loads(message(EVENT, ROW_KEY, "rule")) == {
        "EventName": "s3:ObjectCreated:Put",
        "Key": "bucket/a folder/ü+.jpg",
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2027-01-15T08:00:00.123Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "AKIA"},
                "requestParameters": {"sourceIPAddress": "192.0.2.7"},
                "responseElements": {"x-amz-request-id": "REQUEST"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "rule",
                    "bucket": {
                        "name": "bucket",
                        "ownerIdentity": {"principalId": "owner-id"},
                        "arn": "arn:aws:s3:::bucket",
                    },
                    "object": {
                        "key": "a+folder/%C3%BC%2B.jpg",
                        "size": 0,
                        "eTag": "etag",
                        "versionId": "null",
                        "sequencer": "00000000000000020000000301",
                    },
                },
            }
        ],
    }


def test_what_has_gone_has_no_size_and_later_kinds_have_a_later_version():
    gone = msgspec.structs.replace(EVENT, name="s3:ObjectRemoved:Delete", size=-1, version="")
    (record,) = json.loads(message(gone, ROW_KEY, "rule"))["Records"]
    assert set(record["s3"]["object"]) == {"key", "sequencer"}
    later = msgspec.structs.replace(EVENT, name="s3:ObjectTagging:Delete")
    assert json.loads(message(later, ROW_KEY, "rule"))["Records"][0]["eventVersion"] == "2.3"


def test_a_test_event_has_no_records():
    test = msgspec.structs.replace(EVENT, name=events.TEST_EVENT, key="")
    assert json.loads(message(test, ROW_KEY, "rule")) == {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2027-01-15T08:00:00.123Z",
        "Bucket": "bucket",
        "RequestId": "REQUEST",
    }
