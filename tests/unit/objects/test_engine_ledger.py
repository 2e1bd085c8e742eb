"""The ledger over an engine: bodies placed and counted, one result for each transaction."""

from fastobj._ext.crc import crc32c
from fastobj.core.errors import Conflict, NoSpace
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, BodyRef, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.objects.engine_ledger import EngineLedger
from fastobj.objects.ledger import Entry
from fastobj.storage.base import NO_LOCATION, Location, SmallBody, new_data_id
from fastobj.storage.memory import MemoryVolume


def entry(key, payload):
    body = SmallBody(new_data_id(), payload, crc32c(payload), b"hint")
    row = Row(keys.CURRENT, key, ABSENT, b"head" + NO_LOCATION + b"tail")
    return Entry(Txn(new_txn_id(), [row], bodies=[BodyRef(body.data_id, 0, 4)]), [body])


async def test_places_bodies():
    engine, volume, told = MemoryEngine(), MemoryVolume(piece_bytes=10), []
    ledger = EngineLedger(engine, volume, told.append)
    first = entry(b"a", b"0123456789" * 3 + b"x")
    assert await ledger.commit_many([first, entry(b"b", b"y")]) == [None, None]
    value, token = await engine.get(keys.CURRENT, b"a")
    assert token == first.txn.id
    assert (value[:4], value[36:]) == (b"head", b"tail")
    location = Location.decode(value[4:36])
    read = await volume.read(location, first.bodies[0].data_id, 0, 31)
    assert read == first.bodies[0].payload
    counted = await engine.counters(keys.SEGMENTS, keys.FIRST, keys.LAST)
    assert sorted(amounts[:2] for _, amounts in counted) == [(1, 1), (31, 1)]
    assert [txn.rows[0].key for txn in told] == [b"a", b"b"]


async def test_one_result_each():
    class Full(MemoryVolume):
        async def writer(self, length, data_id, digests=()):
            if length > 3:
                raise NoSpace("full")
            return await super().writer(length, data_id, digests)

    told = []
    ledger = EngineLedger(MemoryEngine(), Full(), told.append)
    results = await ledger.commit_many(
        [entry(b"a", b"1"), entry(b"b", b"1234"), entry(b"a", b"2"), entry(b"c", b"3")]
    )
    assert [type(result) for result in results] == [type(None), NoSpace, Conflict, type(None)]
    assert [txn.rows[0].key for txn in told] == [b"a", b"c"]
