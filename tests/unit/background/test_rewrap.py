"""Rewrapping: which keys are wrapped anew and when; what stays; races, restarts, failures."""

import asyncio
import os
from functools import partial

import msgspec
import pytest

from fastobj.background import rewrap as rewraps
from fastobj.background.rewrap import Rewrap
from fastobj.core import codes
from fastobj.core.errors import ChecksumMismatch, S3Error, StoreDamaged, Unavailable
from fastobj.core.limits import REWRAP_BATCH_ROWS
from fastobj.core.metrics import Metric
from fastobj.core.secret import Secret
from fastobj.kms import local
from fastobj.kms.base import KeyNotFound, KmsUnavailable
from fastobj.kms.local import LocalKms
from fastobj.meta import keys, records, walk
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.meta.records import SSE_C, SSE_KMS, SSE_S3
from fastobj.objects import append, audit, copy, encryption, get, kms_keys, put, uploads, versions
from fastobj.objects.copy import Source
from fastobj.objects.encryption import Wish
from fastobj.objects.encryption_rules import Rules
from fastobj.objects.kms_keys import Use
from fastobj.objects.ledger import Entry
from fastobj.objects.uploads import Description
from tests.unit.background.scrubbing import Counted
from tests.unit.objects.conftest import World, describe
from tests.unit.objects.versioning import ENABLED, set_to

DAY_S = 24 * 3600
CUSTOMER = Secret(os.urandom(32))
KINDS = {
    "plain": None,
    "s3": Wish(SSE_S3),
    "kms": Wish(SSE_KMS, "mine", '{"a":"b"}', True),
    "customer": Wish(SSE_C, customer=CUSTOMER),
}


class Bench(World):
    """A store in memory whose keys are in a file, and rewrapping, whose sleeps move the clock."""

    def __init__(self, folder):
        super().__init__()
        self.path = folder / "kms-keys"
        local.create(self.path, "mine")
        self.kms = LocalKms(self.path, "default")
        self.store.encryption = Rules(self.kms)
        self.counted = Counted()
        self.slept = []
        self.rewrap = self.new()

    def new(self):
        """Rewrapping in another life of the process."""
        return Rewrap(self.store, self.kms, self.counted, interval_s=300, sleep=self.sleep)

    async def sleep(self, seconds):
        self.clock.advance(int(seconds * 1e9))
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def encrypted(self, bucket, key, wish, body=b"body"):
        """An object that is encrypted as is wished for."""
        if wish is None:
            return await self.put(bucket, key, body)
        seal = await encryption.begin(self.store, wish)
        content = describe(body, encryption=seal.encryption)
        return await put.put_small(self.store, bucket, key, content, body, encrypting=seal.key)

    async def body(self, bucket, key, customer=None, version=None):
        _, body = await get.read_object(
            self.store, bucket, key, lambda it: get.Span(0, it.size), customer, version
        )
        return body if isinstance(body, bytes) else b"".join([bytes(one) async for one in body])

    async def uses(self):
        return await kms_keys.uses(self.engine, self.kms)

    async def progress(self):
        return await kms_keys.progress(self.engine)

    async def needed(self):
        """The least version of each key that may be needed still."""
        return {key.id: key.record.version for key in await kms_keys.known(self.engine)}

    async def snapshot(self):
        """All rows that hold wrapped keys, without these."""
        found = {}
        for space in kms_keys.WRAPPING:
            async for row in walk.rows(self.engine, space):
                record = kms_keys.wrapping_of(space, row.value)
                is_wrapped = kms_keys.of_service(record) is not None
                value = kms_keys.rewrapped(record, b"") if is_wrapped else row.value
                found[space, row.key] = value
        return found


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


async def test_nothing_to_do_costs_a_look_at_the_keys_in_use(bench):
    bucket = await bench.bucket()
    await bench.put(bucket, b"plain")
    await bench.rewrap.look()
    assert await bench.progress() is None
    for kind, wish in KINDS.items():
        await bench.encrypted(bucket, kind.encode(), wish)
    calls = bench.gate.calls
    await bench.rewrap.look()
    assert (await bench.progress(), bench.gate.calls) == (None, calls)
    assert await bench.needed() == {"default": 1, "mine": 1}


async def test_a_key_in_use_is_noted_before_what_it_wraps_and_once(bench):
    bucket = await bench.bucket()
    await bench.encrypted(bucket, b"a", KINDS["s3"])
    first = bench.gate.entries[0].txn.rows
    assert [(row.space, row.key) for row in first] == [(keys.KMS_KEYS, b"default")]
    entries = len(bench.gate.entries)
    await bench.encrypted(bucket, b"b", KINDS["s3"])
    assert len(bench.gate.entries) == entries + 1
    bench.store.kms_keys.clear()  # another process
    await bench.encrypted(bucket, b"c", KINDS["s3"])
    assert len(bench.gate.entries) == entries + 2


async def test_all_that_an_older_version_has_wrapped(bench):
    """Objects of each kind, copies, versions, uploads; only the wrapped key changes."""
    bucket = await bench.bucket()
    for number in range(REWRAP_BATCH_ROWS + 3):
        for kind, wish in KINDS.items():
            await bench.encrypted(bucket, f"{kind}{number}".encode(), wish, b"%d" % number)
    shared = partial(encryption.shared, bench.store, customer=None, wish=KINDS["kms"])

    async def wrapped_anew(record):
        found, etag = await shared(record)
        return msgspec.structs.replace(record, encryption=found, etag=etag)

    await copy.copy_object(bench.store, Source(bucket, b"s30"), bucket, b"copy", wrapped_anew)
    bucket = await set_to(bench, bucket, ENABLED)
    for number in range(5):
        await bench.encrypted(bucket, b"versions", KINDS["s3"], b"v%d" % number)
    seal = await encryption.begin(bench.store, KINDS["kms"])
    described = Description(encryption=seal.encryption)
    upload = await uploads.create(bench.store, bucket, b"upload", "owner", described)
    before, used = await bench.snapshot(), await bench.uses()
    assert {use.version for use in used} == {1}
    local.rotate(bench.path, "mine")
    await bench.rewrap.look()
    assert set(await bench.uses()) == {Use("default", 1), Use("mine", 2)}
    local.rotate(bench.path, "default")
    await bench.rewrap.look()
    after = await bench.uses()
    assert set(after) == {Use("default", 2), Use("mine", 2)}
    assert sum(after.values()) == sum(used.values())
    assert await bench.snapshot() == before
    assert await bench.needed() == {"default": 2, "mine": 2}
    assert bench.counted.sums == {Metric.REWRAPPED: sum(used.values())}
    for number in range(REWRAP_BATCH_ROWS + 3):
        for kind in KINDS:
            customer = CUSTOMER if kind == "customer" else None
            assert await bench.body(bucket, f"{kind}{number}".encode(), customer) == b"%d" % number
    found = await versions.newest_in_history(bench.store, bucket, b"versions", 9)
    bodies = [await bench.body(bucket, b"versions", version=v.record.version) for v in found]
    assert bodies == [b"v3", b"v2", b"v1", b"v0"]
    assert await bench.body(bucket, b"copy") == b"0"
    again = await uploads.find(bench.store, bucket, b"upload", upload.id)
    assert await encryption.unlock(bench.store, again.record.encryption, None) == seal.key
    assert not await audit.differences(bench.store)


async def test_what_is_wrapped_anew_costs_no_second_pass(bench):
    bucket = await bench.bucket()
    await bench.encrypted(bucket, b"key", KINDS["s3"])
    local.rotate(bench.path, "default")
    await bench.rewrap.look()
    calls = bench.gate.calls
    for life in (bench.rewrap, bench.new()):
        await life.look()
        assert bench.gate.calls == calls


async def test_a_day_later_it_looks_for_stragglers(bench):
    """What a request from before the rotation has committed behind the pass."""
    bucket = await bench.bucket()
    await bench.encrypted(bucket, b"key", KINDS["s3"])
    late = await encryption.begin(bench.store, KINDS["s3"])
    local.rotate(bench.path, "default")
    await bench.rewrap.look()
    content = describe(b"late", encryption=late.encryption)
    await put.put_small(bench.store, bucket, b"late", content, b"late", encrypting=late.key)
    bench.clock.advance(int((DAY_S - 1) * 1e9))
    await bench.rewrap.look()
    assert Use("default", 1) in await bench.uses()
    bench.clock.advance(10**9)
    await bench.new().look()
    assert await bench.uses() == {Use("default", 2): 2}
    assert await bench.body(bucket, b"late") == b"late"
    bench.clock.advance(int(DAY_S * 1e9))
    await bench.rewrap.look()  # it has changed one, so it looks once more
    assert (await bench.progress()).again_ns == 0


async def test_what_changes_meanwhile_is_read_again(bench):
    bucket = await bench.bucket()
    for key in (b"changed", b"gone", b"same"):
        await bench.encrypted(bucket, key, KINDS["s3"], key)
    local.rotate(bench.path, "default")
    await kms_keys.known(bench.engine)

    async def save():
        """The commit of the pass's own row."""

    async def interfere():
        record = await bench.row(bucket, b"changed")
        tagged = msgspec.structs.replace(record, tags={"a": "b"})
        place = keys.current(bucket.record.id, b"changed")
        await _write(bench, keys.CURRENT, place, records.encode(tagged))
        await _write(bench, keys.CURRENT, keys.current(bucket.record.id, b"gone"), None)

    bench.gate.before = [save, interfere]
    await bench.rewrap.look()
    assert (await bench.row(bucket, b"changed")).tags == {"a": "b"}
    assert await bench.body(bucket, b"changed") == b"changed"
    assert await bench.uses() == {Use("default", 2): 2}
    assert (await bench.progress()).rewrapped == 2


async def test_a_row_that_never_rests_is_left_and_told(bench, caplog):
    bucket = await bench.bucket()
    await bench.encrypted(bucket, b"key", KINDS["s3"])
    local.rotate(bench.path, "default")

    async def interfere():
        row_key = keys.current(bucket.record.id, b"key")
        value, _ = await bench.engine.get(keys.CURRENT, row_key)
        await _write(bench, keys.CURRENT, row_key, value)

    async def save():
        """The commit of the pass's own row."""

    bench.gate.before = [save, *[interfere] * rewraps.TRIES_MAX]
    await bench.rewrap.look()
    assert (await bench.progress()).failed == {"default": 1}
    assert await bench.needed() == {"default": 1}
    assert "changes faster" in caplog.text
    calls = bench.gate.calls
    await bench.rewrap.look()
    assert bench.gate.calls == calls  # not at once
    bench.clock.advance(int(DAY_S * 1e9))
    await bench.rewrap.look()
    assert (await bench.uses(), await bench.needed()) == ({Use("default", 2): 1}, {"default": 2})


async def _write(bench, space, key, value):
    await bench.direct.ledger.commit(Entry(Txn(new_txn_id(), [Row(space, key, ANY, value)])))


async def test_it_goes_on_where_it_was(bench):
    """After each commit the process may end; what was rewrapped is not rewrapped twice."""
    bucket = await bench.bucket()
    count = 3 * REWRAP_BATCH_ROWS
    for number in range(count):
        await bench.encrypted(bucket, b"%04d" % number, KINDS["s3"], b"%d" % number)
    local.rotate(bench.path, "default")
    lives = 0

    async def end():
        raise Unavailable("the committer has ended")

    async def pause():
        bench.clock.advance(rewraps.SAVE_NS)

    while not (await bench.progress() or _UNFINISHED).finished_ns:
        lives += 1
        bench.gate.before = [pause, pause, pause, end]
        bench.rewrap = bench.new()
        try:
            await bench.rewrap.look()
        except Unavailable:
            continue
    assert lives > 2
    assert await bench.uses() == {Use("default", 2): count}
    assert bench.counted.sums == {Metric.REWRAPPED: count}
    for number in (0, 150, count - 1):
        assert await bench.body(bucket, b"%04d" % number) == b"%d" % number


_UNFINISHED = records.RewrapRecord(1, 1)


async def test_a_key_service_that_is_away_is_waited_for(bench, caplog):
    bucket = await bench.bucket()
    await bench.encrypted(bucket, b"key", KINDS["s3"])
    local.rotate(bench.path, "default")
    bench.path.chmod(0o644)
    with pytest.raises(KmsUnavailable):
        await bench.rewrap.look()
    running = asyncio.create_task(bench.rewrap.run())
    while not bench.slept:
        await asyncio.sleep(0)
    assert "rewrapping pauses" in caplog.text
    bench.path.chmod(0o600)
    while await bench.needed() != {"default": 2}:
        await asyncio.sleep(0)
    running.cancel()
    assert await bench.body(bucket, b"key") == b"body"


async def test_a_key_that_is_gone_is_told_once_and_holds_up_nobody(bench, caplog):
    bucket = await bench.bucket()
    await bench.encrypted(bucket, b"a", KINDS["kms"])
    await bench.encrypted(bucket, b"b", KINDS["s3"])
    bench.path.unlink()
    local.create(bench.path, "default")
    local.rotate(bench.path, "default")
    for _ in range(3):
        await bench.rewrap.look()
    assert caplog.text.count("what the key 'mine' has wrapped cannot be read") == 1
    # The other one's first version is another than the one that wrapped.
    assert (await bench.progress()).failed == {"default": 1}
    with pytest.raises(KeyNotFound):
        await bench.body(bucket, b"a")
    with pytest.raises(ChecksumMismatch):
        await bench.body(bucket, b"b")


async def test_what_another_service_has_wrapped_is_told(bench, caplog):
    bucket = await bench.bucket()
    record = await bench.encrypted(bucket, b"key", KINDS["s3"])
    strange = msgspec.structs.replace(record.encryption, wrapped=b"vault:v1:AAAA")
    value = records.encode(msgspec.structs.replace(record, encryption=strange))
    await _write(bench, keys.CURRENT, keys.current(bucket.record.id, b"key"), value)
    local.rotate(bench.path, "default")
    await bench.rewrap.look()
    assert (await bench.progress()).failed == {"default": 1}
    assert "the key of 'key' cannot be rewrapped" in caplog.text
    assert await bench.uses() == {Use("default", 0): 1}


async def test_rows_that_cannot_be_read(bench, caplog):
    """The pass goes over them; whoever wants to retire a version is refused."""
    bucket = await bench.bucket()
    await bench.encrypted(bucket, b"key", KINDS["s3"])
    await _write(bench, keys.CURRENT, keys.current(bucket.record.id, b"broken"), b"\xc1")
    await _write(bench, keys.JOBS, keys.JOB_REWRAP, b"\xc1")
    local.rotate(bench.path, "default")
    await bench.rewrap.look()
    assert "its own row cannot be read" in caplog.text
    assert "a row is passed over" in caplog.text
    assert await bench.needed() == {"default": 2}
    with pytest.raises(StoreDamaged):
        await bench.uses()


async def test_it_is_throttled(bench):
    bucket = await bench.bucket()
    for number in range(1000):
        await bench.encrypted(bucket, b"%d" % number, KINDS["s3"])
    local.rotate(bench.path, "default")
    began_ns = bench.clock.monotonic_ns()
    await bench.rewrap.look()
    took_s = (bench.clock.monotonic_ns() - began_ns) / 1e9
    rows = 1000 + 1000 * rewraps.REWRAP_ROW_COST
    assert took_s == pytest.approx(rows / rewraps.REWRAP_ROWS_S, rel=0.2)


async def test_an_append_that_meets_a_rewrapped_key_goes_on(bench):
    """The key is the same; another object's is not, and its bytes stay as they are."""
    bucket = await bench.bucket()
    for kind in ("s3", "kms"):
        wish = KINDS[kind]
        present = await bench.encrypted(bucket, b"key", wish, b"body")
        seal = await append.seal(bench.store, present, None)
        local.rotate(bench.path, wish.key_id or "default")
        await bench.rewrap.look()
        assert (await bench.row(bucket, b"key")).encryption != seal.encryption
        content = describe(b"more", encryption=seal.encryption)
        place = (bench.store, bucket, b"key", 4, content, b"more")
        await append.append_small(*place, encrypting=seal.key)
        assert await bench.body(bucket, b"key") == b"bodymore"
        await bench.encrypted(bucket, b"key", wish, b"else")
        with pytest.raises(S3Error) as refused:
            await append.append_small(*place, encrypting=seal.key)
        assert refused.value.code == codes.CONDITIONAL_REQUEST_CONFLICT
        await bench.put(bucket, b"key", b"open")
        with pytest.raises(S3Error):
            await append.append_small(*place, encrypting=seal.key)
        assert await bench.body(bucket, b"key") == b"open"
    assert not await audit.differences(bench.store)
