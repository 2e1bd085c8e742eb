"""A whole store in one process, small in every measure, and a load on it.

Segments, extent files and the WAL are so small that a short load rolls, recycles and checkpoints
many times.
"""

import asyncio
import hashlib
import itertools
import os
import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from fastobj._ext import segio
from fastobj.background import orphans
from fastobj.background.compaction import Compaction
from fastobj.background.reclaim import Reclaim
from fastobj.background.segments import Known, Survey, survey
from fastobj.core import codes, limits
from fastobj.core.clock import Clock
from fastobj.core.errors import ChecksumMismatch, S3Error
from fastobj.core.limits import KIB, LOOP_SCAN_ROWS_MAX
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.records import VERSIONING_ENABLED, ObjectRecord
from fastobj.objects import buckets, carried, complete, copy, copy_part, delete, put, uploads
from fastobj.objects.get import Span
from fastobj.objects.segment_rows import SegmentRows, rows_committer
from fastobj.objects.uploads import Description
from fastobj.s3.payload import Computed
from fastobj.storage import extents, io
from fastobj.storage.base import new_data_id
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool
from fastobj.storage.segment_files import segment_path
from fastobj.testing.local_store import LocalStore
from fastobj.testing.store import LocalEpochs, assemble
from tests.crash.oracle import (
    BUCKET,
    OPERATION,
    PARTS,
    Effect,
    History,
    Lost,
    Operation,
    Place,
    Value,
    copy_of,
    metadata_of_copy,
    part_copy_of,
    value_of,
)

SEGMENT_BYTES = (64 * KIB, 96 * KIB)
SMALL_BYTES_MAX = 4 * KIB
OWN_FILE_BYTES_MIN = 200 * KIB
MAIN = "main"
KEPT = "kept"  # keeps versions

_unrecorded = itertools.count(1)

_SMALL_LIMITS = {
    (limits, "WAL_BYTES_RETRY"): 32 * KIB,
    (limits, "COMPACTION_BYTES_MIN"): 64 * KIB,
    (extents, "EXTENT_FILE_BYTES_MIN"): 256 * KIB,
    (extents, "EXTENT_FILE_BYTES_MAX"): 1024 * KIB,
}


@contextmanager
def small_limits(wal_bytes: int = 256 * KIB) -> Iterator[None]:
    """A WAL of that size and small extent files while the block runs."""
    wal = {(limits, "WAL_BYTES_PASSIVE"): wal_bytes // 4, (limits, "WAL_BYTES_MAX"): wal_bytes}
    with ExitStack() as stack:
        for (module, name), value in {**_SMALL_LIMITS, **wal}.items():
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        yield


@contextmanager
def recording(directory: Path) -> Iterator[None]:
    """Records every change that this process makes while the block runs."""
    os.environ[io.RECORD_VARIABLE] = str(directory)
    io.configure()
    try:
        yield
    finally:
        del os.environ[io.RECORD_VARIABLE]
        io.configure()


class Node:
    """An open store: recovered when it is made, on the running loop, whose pool it uses.

    It starts as a server does: recovery, then what a crash left in the folder of extents.
    """

    def __init__(
        self,
        directory: Path,
        pool: IoPool,
        *,
        clock: Clock | None = None,
        own_file_bytes_min: int = OWN_FILE_BYTES_MIN,
    ) -> None:
        epochs = LocalEpochs()
        self._own_file_bytes_min = own_file_bytes_min
        self._local = LocalStore(directory, segment_bytes=SEGMENT_BYTES, epoch_changed=epochs.bump)
        self._local.open()
        try:
            self._assemble(pool, epochs, clock)
        except BaseException:
            self._local.close()
            raise

    def _assemble(self, pool: IoPool, epochs: LocalEpochs, clock: Clock | None) -> None:
        self.recovered = self._local.recovered
        self.engine = engine = self._local.engine
        layout = self._local.layout
        self.ledger = ledger = self._local.ledger
        orphans.settle(
            layout.extents,
            layout.quarantine,
            lambda segment: engine.read(keys.SEGMENTS, keys.segment(segment)) is not None,
        )
        self.owner = int.from_bytes(os.urandom(8), "little") | 1
        self.volume = LocalVolume(
            str(layout.root),
            pool,
            SegmentRows(ledger, self.owner),
            own_file_bytes_min=self._own_file_bytes_min,
        )
        self.store = assemble(engine, self.volume, ledger, epochs=epochs, clock=clock)
        self.store.small_body_bytes_max = SMALL_BYTES_MAX
        self._extents = layout.extents
        self.log_folder = layout.log
        commit_rows = rows_committer(ledger)
        self._reclaim = Reclaim(layout.root, commit_rows, layout.log, SEGMENT_BYTES)
        self._compaction = Compaction(self.store, self.store.clock)
        self._compacting = asyncio.Lock()

    async def reclaim(self, *, compacts: bool = True) -> None:
        """One pass, as the maintenance process makes it, and a step of compaction."""
        async with self._compacting:
            found = await self._survey()
            await self._reclaim.run(found)
            if compacts:
                await self._compaction.step(found)

    async def compact(self) -> int:
        """Rounds of compaction until none is worth it; how many bodies they moved."""
        before = self._compaction.total.bodies
        async with self._compacting:
            while await self._compaction.step(await self._survey()):
                pass
        return self._compaction.total.bodies - before

    async def _survey(self) -> Survey:
        covered = self.engine.checkpointer.covered_sequence
        return await survey(self.engine, lambda: Known({self.owner}, set(), covered))

    async def strays(self) -> list[str]:
        """What reclaim ought to have taken: extent files without a row, sealed ones unused.

        To be asked while no body is on its way.
        """
        await self.reclaim()  # seals what the dead left
        for _ in range(2):  # what was compacted is sealed first, too
            await self.reclaim(compacts=False)
        rows = await self.engine.scan(keys.SEGMENTS, keys.FIRST, keys.LAST, LOOP_SCAN_ROWS_MAX)
        live = {key for key, amounts in await self._live() if any(amounts)}
        known: set[str] = set()
        unused: list[str] = []
        for row in rows:
            record = records.decode(records.SegmentRecord, row.value)
            if record.kind == SEGMENT_LOG:
                continue
            known.add(Path(segment_path("", keys.segment_id(row.key))).name)
            if record.state == SEGMENT_SEALED and row.key not in live:
                unused.append(f"sealed and unused: {row.key.hex()}")
        return unused + [path.name for path in self._extents.iterdir() if path.name not in known]

    async def _live(self) -> list[tuple[bytes, tuple[int, ...]]]:
        return await self.engine.counters(keys.SEGMENTS, keys.FIRST, keys.LAST)

    async def close(self) -> None:
        """Closes files; nothing that was committed depends on it."""
        await self.volume.close()
        self._local.close()


async def put_object(
    node: Node, bucket: str, key: bytes, body: bytes, content: put.Content
) -> ObjectRecord:
    """Puts a small or a large object; returns it as it was put."""
    store = node.store
    found = await buckets.get(store, bucket)
    if len(body) <= store.small_body_bytes_max:
        return await put.put_small(store, found, key, content, body)
    data_id = new_data_id()
    writer = await store.volume.writer(len(body), data_id)
    rest = memoryview(body)
    try:
        while rest:
            room = await writer.buffer()
            room[:] = rest[: len(room)]
            await writer.push(len(room))
            rest = rest[len(room) :]
        location = await writer.finish()
    except BaseException:
        await writer.abort()
        raise
    large = carried.LargeBody(writer, data_id, location)
    return await put.put_large(store, found, key, content, large)


async def copy_object(
    node: Node, bucket: str, source: bytes, key: bytes, value: Value, metadata: dict[str, str]
) -> None:
    """Copies an object while it has that value's body. Raises PreconditionFailed, NoSuchKey."""
    found = await buckets.get(node.store, bucket)

    async def describe(record: ObjectRecord) -> ObjectRecord:
        if record.etag != value.etag:
            raise S3Error(codes.PRECONDITION_FAILED)
        return msgspec.structs.replace(record, headers={}, metadata=metadata)

    await copy.copy_object(node.store, copy.Source(found, source), found, key, describe)


async def copy_into_part(
    node: Node, bucket: str, source: bytes, key: bytes, value: Value, metadata: dict[str, str]
) -> None:
    """Uploads an object whose only part has the bytes of an object, while that has the value's."""
    found, store = await buckets.get(node.store, bucket), node.store

    def choose(record: ObjectRecord) -> Span:
        if record.etag != value.etag:
            raise S3Error(codes.PRECONDITION_FAILED)
        return Span(0, record.size)

    begin = partial(Computed, "")
    upload = await uploads.create(store, found, key, "owner", Description(metadata=metadata))
    copied = copy.Source(found, source)
    part = await copy_part.copy_part(store, copied, upload, 1, choose, begin)
    listed = [complete.Listed(1, part.etag)]
    text = uploads.id_text(upload.id)
    await complete.complete(store, found, key, text, listed, complete.Expected())


class Load:
    """Clients that change a store at the same time, and tell a history what they do."""

    def __init__(self, node: Node, history: History, rng: random.Random, name: str = "") -> None:
        self._node = node
        self._history = history
        self._rng = rng
        self._name = name
        self._count = 0
        self._keys = [f"k/{number:02}".encode() for number in range(24)]
        self._versions: dict[Place, bytes] = {}  # those that were put and are not deleted: ids

    async def run(self, operations: int, clients: int = 6) -> None:
        """Runs that many operations in all; a reclaim pass between them now and then.

        Raises Lost where a copy does not read what was acknowledged.
        """
        for name in (MAIN, KEPT):
            if not await buckets.find(self._node.store, name):
                await self._bucket(name, BUCKET)
        kept = await buckets.get(self._node.store, KEPT)
        await buckets.set_versioning(self._node.store, kept, VERSIONING_ENABLED)
        self._left = operations
        try:
            async with asyncio.TaskGroup() as group:
                for client in range(clients):
                    group.create_task(self._client(client))
        except BaseExceptionGroup as errors:
            if (lost := errors.subgroup(Lost)) is not None:
                raise lost.exceptions[0] from None
            raise

    async def _client(self, client: int) -> None:
        while self._left > 0:
            self._left -= 1
            choice = self._rng.random()
            if choice < 0.03:
                await self._node.reclaim()
            elif choice < 0.06:
                await self._visit_bucket(f"temporary-{client}")
            elif choice < 0.08:
                await self._delete(MAIN, self._keys)
                await self._node.reclaim()
            elif choice < 0.22:
                await self._delete(MAIN, self._rng.sample(self._keys, self._rng.choice((1, 1, 5))))
            elif choice < 0.4:
                await self._copy(self._rng.choice(self._keys), self._rng.choice(self._keys))
            elif choice < 0.5:
                await self._change_version(self._rng.choice(self._keys[:3]))
            else:
                await self._put(MAIN, self._rng.choice(self._keys))

    async def _visit_bucket(self, name: str) -> None:
        """Makes a bucket, fills it, and mostly empties and deletes it again."""
        if not await buckets.find(self._node.store, name):
            await self._bucket(name, BUCKET)
        key = b"only"
        await self._put(name, key)
        if self._rng.random() < 0.3:
            return
        await self._delete(name, [key])
        await self._bucket(name, None)

    async def _bucket(self, name: str, effect: Effect) -> None:
        operation = self._history.invoke(Place(name), effect, number())
        store = self._node.store
        if effect is None:
            await buckets.delete(store, await buckets.get(store, name))
        else:
            await buckets.create(store, name, "owner")
        _acknowledge([operation])

    async def _change_version(self, key: bytes) -> None:
        """Puts a version, ends one for good, or has a delete marker hide those that there are."""
        choice = self._rng.random()
        bucket = await buckets.get(self._node.store, KEPT)
        if choice < 0.6:
            await self._put(KEPT, key)
        elif choice < 0.7:
            await delete.delete_object(self._node.store, bucket, delete.Deletion(key))
        elif self._versions:
            place = self._rng.choice(list(self._versions))
            deletion = delete.Deletion(place.key, version=self._versions.pop(place))
            operation = self._history.invoke(place, None, number())
            await delete.delete_object(self._node.store, bucket, deletion)
            _acknowledge([operation])

    async def _put(self, bucket: str, key: bytes) -> None:
        self._count += 1
        body = self._body()
        metadata = {OPERATION: f"{self._name}{self._count}"}
        headers = {"content-type": "text/plain"} if self._rng.random() < 0.2 else {}
        etag = hashlib.md5(body).hexdigest()
        content = put.Content(len(body), etag, headers, metadata)
        value = value_of(body, metadata, headers)
        place = Place(bucket, key, metadata[OPERATION] if bucket == KEPT else "")
        operation = self._history.invoke(place, value, number())
        record = await put_object(self._node, bucket, key, body, content)
        _acknowledge([operation])
        if bucket == KEPT:
            self._versions[place] = record.version

    async def _copy(self, source: bytes, key: bytes) -> None:
        """Copies one of the objects that may be there, or its bytes into a part of an upload.

        Refused where it is another by then.
        """
        values = self._history.copyable(Place(MAIN, source))
        if not values:
            return
        self._count += 1
        value = self._rng.choice(values)
        told = {OPERATION: f"{self._name}{self._count}"}
        if self._rng.random() < 0.3:
            metadata = {**told, PARTS: "1"}
            effect, copied = part_copy_of(value, metadata), copy_into_part
        else:
            metadata = metadata_of_copy(value, told)
            effect, copied = copy_of(value, metadata), copy_object
        operation = self._history.invoke(Place(MAIN, key), effect, number())
        try:
            await copied(self._node, MAIN, source, key, value, metadata)
        except S3Error as error:
            if error.code not in (codes.NO_SUCH_KEY, codes.PRECONDITION_FAILED):
                raise
            self._history.refuse(operation)
        except ChecksumMismatch as error:
            raise Lost(f"a copy of {source!r} reads: {error}") from error
        else:
            _acknowledge([operation])

    def _body(self) -> bytes:
        choice = self._rng.random()
        if choice < 0.03:
            return b""
        if choice < 0.85:
            return self._rng.randbytes(self._rng.randint(1, SMALL_BYTES_MAX))
        if choice < 0.96:
            return self._rng.randbytes(self._rng.randint(SMALL_BYTES_MAX + 1, 40 * KIB))
        if choice < 0.99:
            return self._rng.randbytes(OWN_FILE_BYTES_MIN + self._rng.randint(0, 9 * KIB))
        return self._rng.randbytes(1024 * KIB + self._rng.randint(1, 9 * KIB))

    async def _delete(self, name: str, keys: list[bytes]) -> None:
        operations = [self._history.invoke(Place(name, key), None, number()) for key in keys]
        bucket = await buckets.get(self._node.store, name)
        deletions = [delete.Deletion(key) for key in keys]
        if len(keys) == 1:
            await delete.delete_object(self._node.store, bucket, deletions[0])
        else:
            for error in await delete.delete_objects(self._node.store, bucket, deletions):
                if error is not None:
                    raise error
        _acknowledge(operations)


def number() -> int:
    """This moment as the recorder counts; where nothing records, a count of its own."""
    return segio.record_begin() or next(_unrecorded)


def _acknowledge(operations: Iterable[Operation]) -> None:
    now = number()
    for operation in operations:
        operation.acked = now
