"""Makes the golden store: a small store of known contents, as this version writes it.

    python -m tests.golden.make tests/golden/v1.tar.gz

Ids, times and bodies are fixed. The database in it is older than the log, so opening it replays;
the log crosses segments, and its last block was torn.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from fastobj.core import ids
from fastobj.core.clock import FixedClock
from fastobj.core.limits import KIB
from fastobj.objects import buckets, carried, delete, put
from fastobj.objects.buckets import Bucket
from fastobj.objects.segment_rows import SegmentRows
from fastobj.objects.store import Store
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool
from fastobj.testing.local_store import LocalStore
from fastobj.testing.store import LocalEpochs, assemble

SEGMENT_BYTES = (64 * KIB, 64 * KIB)
CREATED_NS = 1_800_000_000_123_456_789
OWNER = "5" * 64
BUCKET = "golden"
TORN = b"this block was torn"


def payload(key: bytes, size: int) -> bytes:
    """The body of a key: its hash over and over, so that a packed store is small."""
    line = hashlib.sha256(key).digest() * 16
    return (line * (size // len(line) + 1))[:size]


HEADERS = {"content-type": "text/plain", "cache-control": "no-store"}
METADATA = {"origin": "golden", "ünïcode": "yes"}
CHECKSUMS = {"crc32c": "AAAAAA=="}

# Key -> size. `large` has an extent, the others stand in the log; `gone` is deleted again.
BEFORE = {b"empty": 0, b"one": 1, b"page": 4096, b"gone": 300, b"over": 10}
AFTER = {
    b"over": 20_000,
    b"longest": 40_000,
    "k/ä€/z".encode(): 777,
    b"x" * 1024: 5,
    b"large": 2_500_000,
}
OBJECTS = {**BEFORE, **AFTER}
del OBJECTS[b"gone"]


def content(key: bytes, size: int) -> put.Content:
    """What is stored with a key, apart from its bytes."""
    etag = hashlib.md5(payload(key, size), usedforsecurity=False).hexdigest()
    return put.Content(size, etag, HEADERS, METADATA, CHECKSUMS)


@contextmanager
def fixed_ids() -> Iterator[None]:
    """Random bytes come from a counter."""
    system, count = os.urandom, 0

    def counted(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_128(b"golden %d" % count).digest(size)

    os.urandom = counted
    ids._portion.forget()
    try:
        yield
    finally:
        os.urandom = system
        ids._portion.forget()


@asynccontextmanager
async def opened(directory: Path, clock: FixedClock) -> AsyncIterator[tuple[LocalStore, Store]]:
    """The store in `directory`, with a volume."""
    epochs = LocalEpochs()
    local = LocalStore(directory, segment_bytes=SEGMENT_BYTES, epoch_changed=epochs.bump)
    with local:
        pool = IoPool(1)
        volume = LocalVolume(str(directory), pool, SegmentRows(local.ledger, owner=7))
        store = assemble(local.engine, volume, local.ledger, epochs=epochs, clock=clock)
        try:
            yield local, store
        finally:
            await volume.close()
            pool.close()


async def _put(store: Store, bucket: Bucket, key: bytes, size: int) -> None:
    body, described = payload(key, size), content(key, size)
    if size <= store.small_body_bytes_max:
        await put.put_small(store, bucket, key, described, body)
        return
    source = io.BytesIO(body)

    async def readinto(room: memoryview) -> int:
        return source.readinto(room)

    large = await carried.receive(store, size, [], readinto)
    await put.put_large(store, bucket, key, described, large)


async def make(directory: Path) -> None:
    """Writes the store."""
    clock = FixedClock(CREATED_NS)
    async with opened(directory, clock) as (_, store):
        bucket, _ = await buckets.create(store, BUCKET, OWNER)
        for key, size in BEFORE.items():
            await _put(store, bucket, key, size)
    before = {path: path.read_bytes() for path in directory.glob("meta.db*")}
    clock.advance(10**9)
    async with opened(directory, clock) as (local, store):
        await delete.delete_object(store, bucket, delete.Deletion(b"gone"))
        for key, size in AFTER.items():
            await _put(store, bucket, key, size)
        torn_at, segment = local.recovered.log.offset, local.recovered.log.segment
        await _put(store, bucket, TORN, 6000)
    with (directory / f"log/{segment:016x}.log").open("r+b") as file:
        file.seek(torn_at + 4096)
        file.write(bytes(4096))
    for path in directory.glob("meta.db*"):
        path.unlink()
    for path, raw in before.items():
        if not path.name.endswith("-shm"):
            path.write_bytes(raw)
    for path in directory.glob("*.lock"):
        path.unlink()


def pack(directory: Path, target: Path) -> None:
    """Packs a store, without owners and times."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(target, "w:gz", compresslevel=9) as tar:
        tar.add(directory, "store", filter=plain)


def main(target: Path) -> None:
    """Makes and packs the store."""
    with tempfile.TemporaryDirectory() as folder, fixed_ids():
        directory = Path(folder) / "store"
        asyncio.run(make(directory))
        for path in directory.glob("log/*.spare"):
            path.unlink()
        pack(directory, target)
        shutil.rmtree(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
