"""Damages the files of a store at rest and reads everything through the product's own read path.

A damage is a flipped bit or two swapped blocks of 4 KiB, anywhere in a file of the store. What is
read then is identical, or an error; never anything else.
"""

import os
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fastobj.core.errors import FastobjError, S3Error, StoreError
from fastobj.meta.sqlite import SqliteEngine
from fastobj.objects import buckets, get, listing
from fastobj.objects.get import Span
from fastobj.objects.segment_rows import SegmentRows
from fastobj.objects.store import Store
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool
from fastobj.testing.store import assemble
from tests.crash.oracle import History, Lost
from tests.crash.world import MAIN, Node, small_limits
from tests.faults.sweep import LARGE, OWN, SMALL, WHOLE, Site

BLOCK_BYTES = 4096
KINDS = (".log", ".ext", ".body", ".db", ".db-wal")
WAL_BYTES = 96 << 10  # when the store is made: some of it is in the database's file
NO_CHECKPOINT_BYTES = 64 << 20
_SAME, _ERROR, _MISSING, _UNFORESEEN = "same", "error", "missing", "unforeseen"


class Damage(NamedTuple):
    """What is done to a file: a bit that is flipped, or two blocks that change places."""

    name: str
    offset: int
    bit: int = 0
    other: int = -1  # the offset of the other block

    def apply(self, root: Path) -> None:
        """Does it; again, it is undone."""
        fd = os.open(root / self.name, os.O_RDWR)
        try:
            if self.other < 0:
                [byte] = os.pread(fd, 1, self.offset)
                os.pwrite(fd, bytes([byte ^ 1 << self.bit]), self.offset)
                return
            blocks = [os.pread(fd, BLOCK_BYTES, at) for at in (self.offset, self.other)]
            for at, block in zip((self.other, self.offset), blocks, strict=True):
                os.pwrite(fd, block, at)
        finally:
            os.close(fd)


class Target:
    """A file that can be damaged, and where it holds anything but zeros."""

    def __init__(self, root: Path, path: Path) -> None:
        self.name = str(path.relative_to(root))
        content = path.read_bytes()
        blocks = range(0, len(content), BLOCK_BYTES)
        self.blocks = [at for at in blocks if content[at : at + BLOCK_BYTES].strip(b"\0")]
        self.blocks = [at for at in self.blocks if at + BLOCK_BYTES <= len(content)]

    def damage(self, rng: random.Random) -> Damage:
        """One, anywhere."""
        if len(self.blocks) > 1 and rng.random() < 0.3:
            offset, other = rng.sample(self.blocks, 2)
            return Damage(self.name, offset, other=other)
        at = rng.choice(self.blocks) + rng.randrange(BLOCK_BYTES)
        return Damage(self.name, at, rng.randrange(8))


Targets = dict[str, list[Target]]  # by kind


def _targets(root: Path) -> Targets:
    found: Targets = {kind: [] for kind in KINDS}
    for path in sorted(root.rglob("*")):
        kind = path.suffix
        if path.is_file() and kind in KINDS:
            target = Target(root, path)
            if target.blocks:
                found[kind].append(target)
    return found


def _choose(targets: Targets, rng: random.Random) -> tuple[str, Damage]:
    kind = rng.choice(KINDS)
    return kind, rng.choice(targets[kind]).damage(rng)


class Found(NamedTuple):
    """What reading everything came to: for each key a word, and what nobody put there."""

    keys: dict[bytes, str]
    strange: list[str]


Told = tuple[object, ...]  # what a row says: size and etag first
Content = dict[bytes, tuple[Told, bytes]]  # key -> that and the body


async def read_all(store: Store, names: list[bytes]) -> Content:
    """Rows and bodies, for later comparison. Raises what reading raises."""
    found: Content = {}
    for key in names:
        found[key] = await _read(store, key)
    return found


async def _read(store: Store, key: bytes) -> tuple[Told, bytes]:
    bucket = await buckets.get(store, MAIN)
    record, body = await get.read_object(store, bucket, key, lambda r: Span(0, r.size))
    if not isinstance(body, bytes):
        body = b"".join([bytes(piece) async for piece in body])
    return (record.size, record.etag, record.headers, record.metadata, record.modified_ns), body


async def compare(store: Store, expected: Content) -> Found:
    """Reads each key and the listing."""
    words: dict[bytes, str] = {}
    strange: list[str] = []
    for key, content in expected.items():
        try:
            words[key] = _SAME if await _read(store, key) == content else "wrong"
        except S3Error as error:
            words[key] = _MISSING if error.code.status == 404 else _ERROR
        except FastobjError:
            words[key] = _ERROR
        except Exception as error:
            words[key] = _UNFORESEEN
            strange.append(f"{type(error).__name__}: {error}")
        if words[key] == "wrong":
            strange.append(f"{key!r} is served wrong")
    strange += await _compare_listing(store, expected)
    return Found(words, strange)


async def _compare_listing(store: Store, expected: Content) -> list[str]:
    try:
        bucket = await buckets.get(store, MAIN)
        page = await listing.list_page(store, bucket, entries_max=1000)
        listed = {one.key: (one.record.size, one.record.etag) for one in page.objects}
    except FastobjError:
        return []
    except Exception as error:
        return [f"listing: {type(error).__name__}: {error}"]
    held = {key: told[:2] for key, (told, _) in expected.items()}
    if listed == held:
        return []
    wrong = {key for key in listed.keys() & held.keys() if listed[key] != held[key]}
    return [f"listed: {len(listed)} of {len(held)}, new {listed.keys() - held.keys()}, {wrong}"]


@dataclass
class Tally:
    """What the damages came to."""

    damages: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)

    def line(self, seed: int) -> str:
        """The figures of a run."""
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        return f"damage: {self.damages} damages ({told}), seed {seed}"


class Damaged:
    """A store with bodies of all kinds, and damages done to its files."""

    def __init__(self, root: Path, pool: IoPool) -> None:
        self.tally = Tally()
        self._root = root
        self._pool = pool

    async def make(self) -> None:
        """Objects small and large, with a file of their own, of parts, shared; an open upload."""
        site = Site(self._root, self._pool, History())
        await site.create_bucket()
        for number in range(40):
            await site.put(b"small/%d" % number, SMALL)
        for key, size in (
            (b"large", LARGE),
            (b"large2", 5 * LARGE),
            (b"own", OWN),
            (b"two", WHOLE),
        ):
            await site.put(key, size)
        await site.copy(b"large", b"shared")
        await site.copy(b"small/1", b"shared, small")
        upload = await site.begin_upload(b"parts")
        await site.complete(upload, await site.part(upload, LARGE))
        await site.part(await site.begin_upload(b"open"), SMALL)
        await site.delete(b"small/0")
        listed = await listing.list_page(
            site.node.store, await buckets.get(site.node.store, MAIN), entries_max=1000
        )
        self._expected = await read_all(site.node.store, [one.key for one in listed.objects])
        await site.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The store is open for as long as the block runs, and nothing writes to its files."""
        self._copy = self._root.with_name("copy")
        shutil.copytree(self._root, self._copy)
        self._stopped = _targets(self._copy)
        with small_limits(NO_CHECKPOINT_BYTES):
            node = Node(self._root, self._pool)
            self._ledger = node.ledger
            try:
                node.engine.checkpointer.checkpoint_now()  # as an idle committer does
                self._running = _targets(self._root)
                await self.control()
                yield
                await self.control()
            finally:
                await node.close()

    async def damage_running(self, rng: random.Random) -> None:
        """Damages a file under a running store, and reads as a process does that begins then."""
        kind, damage = _choose(self._running, rng)
        damage.apply(self._root)
        try:
            found = await self._read()
        except StoreError:  # it cannot even begin
            found = Found(dict.fromkeys(self._expected, _ERROR), [])
        finally:
            damage.apply(self._root)
        self._count(kind, damage, found)

    async def _read(self) -> Found:
        engine = SqliteEngine(self._root / "meta.db", read_only=True)
        volume = LocalVolume(str(self._root), self._pool, SegmentRows(self._ledger, 1))
        try:
            engine.open_now()
            store = assemble(engine, volume, self._ledger)
            return await compare(store, self._expected)
        finally:
            engine.close_now()
            await volume.close()

    async def control(self) -> None:
        """Nothing is damaged: nothing but what was put may be read."""
        found = await self._read()
        assert set(found.keys.values()) == {_SAME}, found
        assert not found.strange

    async def damage_before_start(self, rng: random.Random, scratch: Path) -> None:
        """Damages a copy, as a crash left it, and starts."""
        kind, damage = _choose(self._stopped, rng)
        root = scratch / "started"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self._copy, root)
        (root / "meta.db-shm").unlink(missing_ok=True)
        damage.apply(root)
        try:
            node = Node(root, self._pool)
        except FastobjError as error:
            if str(root) not in str(error):
                raise Lost(f"{damage}: refused without the name of a file: {error}") from error
            self._count(f"{kind} before start", damage, Found({b"": "refused"}, []))
            return
        try:
            self._count(f"{kind} before start", damage, await compare(node.store, self._expected))
        finally:
            await node.close()

    def _count(self, kind: str, damage: Damage, found: Found) -> None:
        self.tally.damages += 1
        words = set(found.keys.values())
        if not words <= {_SAME, _ERROR, "refused"} or found.strange:
            word = "not noticed" if words <= {_SAME, _ERROR} else max(words - {_SAME, _ERROR})
            self.tally.strange.append(f"{kind} {damage}: {word}; {'; '.join(found.strange[:3])}")
        else:
            word = "noticed" if words - {_SAME} else "harmless"
        self.tally.counts[f"{word} in {kind}"] += 1
