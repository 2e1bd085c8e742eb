"""Fails the Nth I/O of every operation of a small store, and looks at what is left.

A case is a copy of one store, one operation, one kind of fault and the number of the call that
meets it. What was acknowledged has to be there, then and after a restart without the fault; what
was answered with an error is whole old or whole new; nothing is left behind for ever.
"""

import hashlib
import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fastobj.background.garbage import Garbage
from fastobj.core.clock import SystemClock
from fastobj.core.errors import FastobjError, NoSpace, S3Error, StoreDamaged
from fastobj.core.limits import KIB, LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys
from fastobj.node.layout import prepare
from fastobj.objects import buckets, carried, complete, copy_part, delete, parts, put, uploads
from fastobj.objects.copy import Source
from fastobj.objects.get import Span
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.uploads import Description, Upload
from fastobj.s3.payload import Computed
from fastobj.storage import faults, io, local_volume
from fastobj.storage.pool import IoPool
from fastobj.storage.spares import SUFFIX
from tests import figures
from tests.crash import oracle, world
from tests.crash.oracle import BUCKET, PARTS, History, Lost, Place, Value, copy_of, value_of
from tests.crash.world import MAIN, Node
from tests.descriptors import targets
from tests.unit.storage.volumes import settle_down

WAL_BYTES = 96 * KIB
SMALL, LARGE, OWN = 2 * KIB, 9 * KIB, world.OWN_FILE_BYTES_MIN + 5 * KIB
WHOLE = 1024 * KIB + 3 * KIB  # more than one piece
CASES_MAX = 2000  # of one operation and one fault: more means that it never completes

_SWITCHED_ON = "any:count:path=nowhere"

FAULTS = {
    "EIO": "any:{which}:error=EIO",
    "ENOSPC": "create,write,sync,truncate,allocate,rename,sync_directory:{which}:error=ENOSPC",
    "EMFILE": "create,open:{which}:error=EMFILE",
    "EINTR": "any:{which}:times=5:error=EINTR",
    "short": "any:{which}:short",
    "tear": "any:{which}:tear",
    "torn by a full disk": "any:{which}:tear:error=ENOSPC",
}


class Site:
    """A store that is open, and what it has to hold."""

    def __init__(self, root: Path, pool: IoPool, history: History) -> None:
        self.history = history
        self.open_uploads: dict[bytes, bool] = {}  # by id: whether it must be there
        self.body = b""  # of the part that was uploaded last
        self._root = root
        self._pool = pool
        self._numbers = itertools.count()
        self.open()

    def open(self) -> None:
        """Recovers the store, as a start does."""
        self.is_open = False
        self.node = Node(self._root, self._pool)
        self.is_open = True
        self.node.store.part_bytes_min = 0

    async def close(self) -> None:
        """Closes files, where any are open."""
        was_open, self.is_open = self.is_open, False
        if was_open:
            await self.node.close()

    @contextmanager
    def _change(self, name: str, key: bytes, *effects: Value | None) -> Iterator[None]:
        """A change of one place; what is refused for want of space did not take place."""
        [effect] = effects
        operation = self.history.invoke(Place(name, key), effect, world.number())
        try:
            yield
        except NoSpace:
            self.history.refuse(operation)
            raise
        operation.acked = world.number()

    async def create_bucket(self, name: str = MAIN) -> None:
        """Makes a bucket."""
        with self._change(name, b"", BUCKET):
            await buckets.create(self.node.store, name, "owner")

    async def put(self, key: bytes, size: int) -> None:
        """Puts an object."""
        body, metadata = self._body(size), {"operation": str(next(self._numbers))}
        content = put.Content(size, hashlib.md5(body).hexdigest(), {}, metadata)
        with self._change(MAIN, key, value_of(body, metadata)):
            await world.put_object(self.node, MAIN, key, body, content)

    def _body(self, size: int) -> bytes:
        return random.Random(f"{size} {next(self._numbers)}").randbytes(size)

    def _held(self, key: bytes) -> Value:
        [value] = self.history.copyable(Place(MAIN, key))
        return value

    async def copy(self, source: bytes, key: bytes) -> None:
        """Copies an object by reference."""
        value = self._held(source)
        told = oracle.metadata_of_copy(value, {"copy": str(next(self._numbers))})
        with self._change(MAIN, key, copy_of(value, told)):
            await world.copy_object(self.node, MAIN, source, key, value, told)

    async def delete(self, *names: bytes) -> None:
        """Deletes objects: one alone, or several at once."""
        changes = [self.history.invoke(Place(MAIN, key), None, world.number()) for key in names]
        bucket = await buckets.get(self.node.store, MAIN)
        deletions = [delete.Deletion(key) for key in names]
        if len(names) == 1:
            await delete.delete_object(self.node.store, bucket, deletions[0])
            results: list[FastobjError | None] = [None]
        else:
            results = await delete.delete_objects(self.node.store, bucket, deletions)
        for change, error in zip(changes, results, strict=True):
            if error is None:
                change.acked = world.number()
        for error in filter(None, results):
            raise error

    async def begin_upload(self, key: bytes) -> Upload:
        """Begins an upload of an object with one part."""
        bucket = await buckets.get(self.node.store, MAIN)
        described = Description(metadata={PARTS: "1"})
        upload = await uploads.create(self.node.store, bucket, key, "owner", described)
        self.open_uploads[upload.id] = True
        return upload

    async def part(self, upload: Upload, size: int) -> bytes:
        """Uploads its part; returns the body."""
        body, store = self._body(size), self.node.store
        content = put.Content(size, hashlib.md5(body).hexdigest())
        if size <= store.small_body_bytes_max:
            await parts.put_small(store, upload, 1, content, body)
            return body
        rest = memoryview(body)

        async def readinto(room: memoryview) -> int:
            nonlocal rest
            size = min(len(room), len(rest))
            room[:size], rest = rest[:size], rest[size:]
            return size

        large = await carried.receive(store, size, [], readinto)
        await parts.put_large(store, upload, 1, content, large)
        return body

    async def part_copy(self, upload: Upload, source: bytes) -> None:
        """Copies an object into its part."""
        bucket = await buckets.get(self.node.store, MAIN)
        begin, chosen = partial(Computed, ""), lambda record: Span(0, record.size)
        place = Source(bucket, source)
        await copy_part.copy_part(self.node.store, place, upload, 1, chosen, begin)

    async def complete(self, upload: Upload, body: bytes) -> None:
        """Makes an object of the upload, and of its part, which had that body."""
        bucket = await buckets.get(self.node.store, MAIN)
        text = uploads.id_text(upload.id)
        listed = [complete.Listed(1, hashlib.md5(body).hexdigest())]
        self.open_uploads.pop(upload.id)
        with self._change(MAIN, upload.key, value_of(body, {PARTS: "1"})):
            await complete.complete(
                self.node.store, bucket, upload.key, text, listed, complete.Expected()
            )

    async def abort(self, upload: Upload) -> None:
        """Aborts an upload."""
        self.open_uploads.pop(upload.id)
        await uploads.abort(self.node.store, upload)
        self.open_uploads[upload.id] = False

    async def clear(self) -> None:
        """A pass over what is due, as if all of it were."""
        node, store = self.node, self.node.store
        commit_rows = rows_committer(node.ledger)
        accounts = local_volume.accounts
        await Garbage(store.meta, commit_rows, accounts, SystemClock(), parts_grace_s=0).run()

    async def check(self) -> None:
        """Raises Lost where the store does not hold what it has to."""
        await oracle.check(self.node.store, self.history)
        bucket = await buckets.get(self.node.store, MAIN)
        page = await uploads.list_page(self.node.store, bucket, entries_max=1000)
        found = {upload.id for upload in page.uploads}
        for upload_id, is_open in self.open_uploads.items():
            if (upload_id in found) != is_open:
                raise Lost(f"an upload is {'missing' if is_open else 'back'}")

    async def leftovers(self) -> list[str]:
        """What nobody will ever take away; to be asked after a start."""
        await self.clear()
        found = await self.node.strays()
        known = {"store", "log", "extents", "meta.db", "meta.db-wal", "meta.db-shm", "store.lock"}
        found += [path.name for path in self._root.iterdir() if path.name not in known]
        suffixes = {".log", SUFFIX}
        found += [p.name for p in (self._root / "log").iterdir() if p.suffix not in suffixes]
        rows = await self.node.engine.scan(keys.SEGMENTS, keys.FIRST, keys.LAST, LOOP_SCAN_ROWS_MAX)
        numbered = {f"{keys.segment_id(row.key):016x}.log" for row in rows}
        logs = {path.name for path in (self._root / "log").glob("*.log")}
        return found + sorted(logs - numbered)


Step = Callable[[Site], Awaitable[None]]


class Operation(NamedTuple):
    """One row: what is done, and before it, without faults, what it needs."""

    name: str
    run: Step
    prepare: Step | None = None


async def _put_many(site: Site) -> None:
    for number in range(26):
        await site.put(f"many/{number % 20}".encode(), 3 * KIB)


async def _use_up_spares(site: Site) -> None:
    for path in (site.node.log_folder).glob(f"*{SUFFIX}"):
        path.unlink()


async def _release(site: Site) -> None:
    await _put_many(site)
    await site.put(b"doomed", WHOLE)
    await site.delete(b"doomed", b"own", *(f"many/{number}".encode() for number in range(20)))
    await site.put(b"over", SMALL)


async def _make_sparse(site: Site) -> None:
    """Sealed segments of the log and of extents in which little lives."""
    names = [b"sparse/%d" % number for number in range(60)]
    for number, name in enumerate(names):
        await site.put(name, LARGE if number % 3 == 0 else SMALL)
    await site.delete(*(name for number, name in enumerate(names) if number % 10))
    await site.close()
    site.open()
    await site.node.reclaim(compacts=False)  # seals what the life before had open


async def _compact(site: Site) -> None:
    await site.node.compact()


async def _upload(site: Site) -> None:
    await site.begin_upload(b"uploaded")


async def _upload_with_part(site: Site) -> None:
    upload = await site.begin_upload(b"uploaded")
    site.body = await site.part(upload, LARGE)


async def _latest(site: Site) -> Upload:
    bucket = await buckets.get(site.node.store, MAIN)
    page = await uploads.list_page(site.node.store, bucket, prefix=b"uploaded", entries_max=9)
    return page.uploads[-1]


async def _part(site: Site, size: int) -> None:
    await site.part(await _latest(site), size)


async def _part_copy(site: Site, source: bytes) -> None:
    await site.part_copy(await _latest(site), source)


async def _complete(site: Site) -> None:
    await site.complete(await _latest(site), site.body)


async def _abort(site: Site) -> None:
    await site.abort(await _latest(site))


async def _abort_and_clear(site: Site) -> None:
    await _abort(site)
    await site.clear()


async def _open(site: Site) -> None:
    site.open()


async def _settle_and_close(site: Site) -> None:
    await _put_many(site)
    await site.close()


OPERATIONS = (
    Operation("create bucket", lambda site: site.create_bucket("other")),
    Operation("put small", lambda site: site.put(b"new", SMALL)),
    Operation("put large", lambda site: site.put(b"new", LARGE)),
    Operation("put own file", lambda site: site.put(b"new", OWN)),
    Operation("put two pieces", lambda site: site.put(b"new", WHOLE)),
    Operation("overwrite small", lambda site: site.put(b"small", SMALL)),
    Operation("overwrite own file", lambda site: site.put(b"own", OWN)),
    Operation("overwrite a copied one", lambda site: site.put(b"large", SMALL)),
    Operation("copy small", lambda site: site.copy(b"small", b"new")),
    Operation("copy large", lambda site: site.copy(b"own", b"new")),
    Operation("copy again", lambda site: site.copy(b"large", b"new")),
    Operation("delete small", lambda site: site.delete(b"small")),
    Operation("delete own file", lambda site: site.delete(b"own")),
    Operation("delete a copied one", lambda site: site.delete(b"large")),
    Operation("delete many", lambda site: site.delete(b"small", b"large", b"own", b"parts")),
    Operation("create upload", lambda site: _upload(site)),
    Operation("part small", lambda site: _part(site, SMALL), _upload),
    Operation("part large", lambda site: _part(site, LARGE), _upload),
    Operation("part own file", lambda site: _part(site, OWN), _upload_with_part),
    Operation("part copied, small", lambda site: _part_copy(site, b"small"), _upload),
    Operation("part copied, large", lambda site: _part_copy(site, b"own"), _upload),
    Operation("complete", _complete, _upload_with_part),
    Operation("abort", _abort, _upload_with_part),
    Operation("garbage", _abort_and_clear, _upload_with_part),
    Operation("segments and checkpoints", _put_many),
    Operation("segments without spares", _put_many, _use_up_spares),
    Operation("reclaim", lambda site: site.node.reclaim(), _release),
    Operation("compaction", _compact, _make_sparse),
    Operation("make spares", lambda site: site.node.reclaim(), _use_up_spares),
    Operation("open", _open, _settle_and_close),
)


@dataclass
class Tally:
    """What the cases came to."""

    cases: int = 0
    fired: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def line(self, seed: int) -> str:
        """The figures of a run."""
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        return (
            f"fail the Nth: {self.cases} cases, {self.fired} met their fault ({told}), seed {seed}"
        )


class Sweep:
    """Cases on copies of one store."""

    def __init__(self, folder: Path, pool: IoPool) -> None:
        self.tally = Tally()
        self._folder = folder
        self._pool = pool
        self._cases = itertools.count()

    async def make_base(self) -> None:
        """The store that each case begins with: bodies of all kinds, shared ones, parts."""
        root = self._folder / "base"
        prepare(root)
        site = Site(root, self._pool, History())
        await site.create_bucket()
        for key, size in ((b"small", SMALL), (b"large", LARGE), (b"own", OWN)):
            await site.put(key, size)
        await site.copy(b"large", b"shared")
        upload = await site.begin_upload(b"parts")
        await site.complete(upload, await site.part(upload, LARGE))
        for _ in range(2):
            await site.put(b"over", LARGE)
            await site.node.reclaim()
        observed = await oracle.check(site.node.store, site.history)
        await site.close()
        self._observed = observed

    async def run(self, operation: Operation, fault: str, which: str) -> bool:
        """One case; whether the fault was met. Raises Lost, naming the case."""
        case = f"{operation.name}, {fault} at {which}"
        root = self._folder / f"case-{next(self._cases)}"
        shutil.copytree(self._folder / "base", root)
        faults.arm(_SWITCHED_ON)
        site = Site(root, self._pool, oracle.settled(self._observed))
        try:
            if operation.prepare is not None:
                await operation.prepare(site)
            fired = await self._run_armed(site, operation, FAULTS[fault].format(which=which))
            await self._check(site, fired)
        except Exception as error:
            raise Lost(f"{case}: {type(error).__name__}: {error}") from error
        finally:
            faults.arm(_SWITCHED_ON)
            await site.close()
        # A thread may be about to close one.
        await settle_down(
            lambda: not open_below(root), lambda: f"{case}: still open: {open_below(root)}"
        )
        shutil.rmtree(root)
        self.tally.cases += 1
        figures.count("calls that failed", fired)
        self.tally.fired += fired
        return fired

    async def _run_armed(self, site: Site, operation: Operation, rule: str) -> bool:
        """Runs the operation; whether a call of its own met the rule."""
        [parsed] = faults.parse(rule)
        faults.arm(rule)
        outcome = "succeeded"
        try:
            await operation.run(site)
        except FastobjError as error:
            if isinstance(error, StoreDamaged):
                raise
            outcome = error.code.name if isinstance(error, S3Error) else type(error).__name__
        fired = faults.counted() >= parsed.first
        faults.arm(_SWITCHED_ON)
        if not fired and outcome != "succeeded":
            raise Lost(f"fails with {outcome} though nothing else does")
        if fired:
            self.tally.outcomes[outcome] += 1
        return fired

    async def _close(self, site: Site, fired: bool) -> None:
        try:
            await site.close()
        except FastobjError as error:  # a checkpoint in its thread: nobody had asked for it yet
            if not fired:
                raise
            self.tally.outcomes[f"{type(error).__name__} at the end"] += 1

    async def _check(self, site: Site, fired: bool) -> None:
        """Reads go on, whatever became of writes; a restart settles the rest."""
        if site.is_open:
            await site.check()
            await self._close(site, fired)
        site.open()
        await site.check()
        if left := await site.leftovers():
            raise Lost(f"left behind: {left}")
        await site.put(b"afterwards", SMALL)
        await site.put(b"afterwards, too", LARGE)
        await site.check()


def open_below(folder: Path) -> list[str]:
    """Files of that folder that this process has open, removed ones too."""
    return sorted(path for path in targets().values() if path.startswith(f"{folder}/"))


@contextmanager
def instrumented() -> Iterator[None]:
    """Small limits, and a process that has rules, for as long as the block runs."""
    os.environ[io.FAULTS_VARIABLE] = _SWITCHED_ON
    io.configure()
    try:
        with world.small_limits(WAL_BYTES):
            yield
    finally:
        del os.environ[io.FAULTS_VARIABLE]
        io.configure()
