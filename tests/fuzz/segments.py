"""Damaged segment files: replay yields what was written, in order, or names what is damaged."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastobj.core.errors import StoreDamaged
from fastobj.storage.log_format import BLOCK_HEAD_BYTES, RECORD_HEAD_BYTES, BlockRef, walk_records
from fastobj.storage.log_replay import ReadBlock, discover
from fastobj.storage.spares import log_path
from tests.fuzz.mutations import BOUNDARIES, span
from tests.unit.storage.logs import STORE, append, body, chain, writer

SEGMENTS = 3
BLOCKS_PER_SEGMENT = 3
LAST = SEGMENTS * BLOCKS_PER_SEGMENT


class Place(NamedTuple):
    """Where a block's bytes stand that its sums cover; bodies are apart. `end` is its own end."""

    segment: int
    end: int
    covered: list[slice]
    bodies: list[slice]


class Log(NamedTuple):
    """A log as it was written: the files by segment, the blocks by sequence, and their places."""

    directory: Path
    files: dict[int, bytes]
    blocks: dict[int, ReadBlock]
    places: dict[int, Place]


@cache
def log() -> Log:
    """One log for all rounds; it is mended after each, and removed when the process ends."""
    directory = Path(tempfile.mkdtemp(prefix="fastobj-fuzz-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    files = _write(directory)
    blocks = {block.ref.sequence: block for block in chain(directory).walk(BlockRef())}
    assert list(blocks) == list(range(1, LAST + 1))
    places = {number: _place(block, files) for number, block in blocks.items()}
    return Log(directory, files, blocks, places)


def _write(directory: Path) -> dict[int, bytes]:
    rng = random.Random(0)
    made = writer(directory)
    number = 0
    for segment in range(1, SEGMENTS + 1):
        made.roll(segment)
        for _ in range(BLOCKS_PER_SEGMENT):
            number += 1
            txns = [rng.randbytes(rng.choice((1, 200))) for _ in range(rng.randint(1, 3))]
            bodies = [
                body(rng.randbytes(rng.choice((0, 9, 3000))), b"bucket/key", number * 10 + count)
                for count in range(rng.randrange(3))
            ]
            append(made, *txns, bodies=bodies)
    made.close()
    paths = {segment: log_path(directory, segment) for segment in range(1, SEGMENTS + 1)}
    return {segment: path.read_bytes() for segment, path in paths.items()}


def _place(block: ReadBlock, files: dict[int, bytes]) -> Place:
    ref, head = block.ref, block.head
    whole = memoryview(files[ref.segment])[ref.offset : ref.offset + head.length]
    start = ref.offset
    covered = [slice(start, start + BLOCK_HEAD_BYTES + head.txns_length)]
    bodies = []
    for offset, record in walk_records(whole, head):
        assert record is not None
        payload = start + offset + RECORD_HEAD_BYTES
        hint = payload + record.length
        covered += [slice(start + offset, payload), slice(hint, hint + record.hint_length)]
        bodies.append(slice(payload, hint))
    return Place(ref.segment, start + head.length, covered, bodies)


# --- damage


def _damage(rng: random.Random, files: dict[int, bytes], blocks: dict[int, ReadBlock]) -> None:
    """Changes some of the files, as drives, crashes and people do."""
    segment = rng.choice(list(files))
    content = bytearray(files[segment].ljust(len(log().files[segment]), b"\0"))
    at = _spot(rng, segment, blocks)
    kind = rng.randrange(9)
    if kind == 0:
        content[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        content[at : at + 8] = rng.choice(BOUNDARIES).to_bytes(8, "little")
    elif kind == 2:  # a sector or a page lost
        size = rng.choice((512, 4096))
        at -= at % size
        content[at : at + size] = rng.choice((bytes, rng.randbytes))(size)
    elif kind == 3:  # cut, or grown by what is no block
        content = content[:at] if rng.random() < 0.5 else content + rng.randbytes(5000)
    elif kind == 4:  # a misdirected write: pages of another place
        source, other = rng.choice(list(files.values())), 4096 * rng.randrange(8)
        at -= at % 4096
        size = 4096 * rng.randint(1, 4)
        content[at : at + size] = source[other : other + size].ljust(size, b"\0")
    elif kind == 5:  # one file in another's place
        content = bytearray(rng.choice(list(files.values())))
    elif kind == 6:
        start, stop = span(rng, len(content))
        del content[start:stop]
    elif kind == 7:  # a whole block in another one's place
        place = _block_of(rng, segment, blocks).ref.offset
        other = rng.choice((_block_of(rng, segment, blocks), rng.choice(list(blocks.values()))))
        moved = log().files[other.ref.segment][other.ref.offset :][: other.head.length]
        content[place : place + len(moved)] = moved
    else:
        content = bytearray(rng.choice((b"", bytes(len(content)), rng.randbytes(9000))))
    files[segment] = bytes(content)


def _block_of(rng: random.Random, segment: int, blocks: dict[int, ReadBlock]) -> ReadBlock:
    return rng.choice([block for block in blocks.values() if block.ref.segment == segment])


def _spot(rng: random.Random, segment: int, blocks: dict[int, ReadBlock]) -> int:
    """An offset, most often in the head of a block or near it."""
    block = _block_of(rng, segment, blocks)
    reach = rng.choice((BLOCK_HEAD_BYTES, 400, block.head.length, 2 * block.head.length))
    return block.ref.offset + rng.randrange(reach)


# --- the fuzzer


def one(rng: random.Random) -> None:
    """One log with one to three things wrong."""
    whole = log()
    files = dict(whole.files)
    for _ in range(rng.randint(1, 3)):
        _damage(rng, files, whole.blocks)
    missing = {rng.choice(list(files))} if rng.random() < 0.1 else set()
    changed = missing | {segment for segment in files if files[segment] != whole.files[segment]}
    for segment in changed:
        _put(log_path(whole.directory, segment), files[segment])
    for segment in missing:
        files[segment] = b""
        log_path(whole.directory, segment).unlink()
    try:
        _check(rng, whole, files)
    finally:
        for segment in changed:
            _put(log_path(whole.directory, segment), whole.files[segment])


def _put(path: Path, content: bytes) -> None:
    """Writes over what is there: a file system that is asked to empty a file first may sync it."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.write(content)
        file.truncate()


def _check(rng: random.Random, whole: Log, files: dict[int, bytes]) -> None:
    """A walk from any block yields those behind it, and ends early only where nothing is left."""
    start = rng.randrange(LAST + 1) if rng.random() < 0.5 else 0
    after = whole.blocks[start].ref if start else BlockRef()
    found: list[ReadBlock] = []
    refusal = ""
    try:
        there = chain(whole.directory)
        last = there.last()
        for block in there.walk(after):
            # Of the last segment the bodies count too: its end may be torn.
            is_last = last is not None and block.ref.segment == last.segment
            assert _stands(whole.places[block.ref.sequence], whole, files, bodies=is_last)
            found.append(block)
    except StoreDamaged as error:
        refusal = str(error)
    expected = [whole.blocks[number] for number in range(start + 1, LAST + 1)]
    assert found == expected[: len(found)]
    if refusal:
        assert "Restore" in refusal or "move it" in refusal
        assert not all(_stands(x, whole, files, bodies=True) for x in whole.places.values())
    else:
        # The first one may be torn: it was the last one's turn. Nothing behind it may stand.
        for place, lost in enumerate(expected[len(found) :]):
            assert not _stands(whole.places[lost.ref.sequence], whole, files, bodies=place == 0)
    _check_discovery(whole, files)


def _stands(place: Place, whole: Log, files: dict[int, bytes], *, bodies: bool) -> bool:
    """Whether what the sums cover is as it was written."""
    parts = place.covered + (place.bodies if bodies else [])
    now, then = files[place.segment], whole.files[place.segment]
    return len(now) >= place.end and all(now[part] == then[part] for part in parts)


def _check_discovery(whole: Log, files: dict[int, bytes]) -> None:
    """Files whose first block stands are in the chain; no file and no id is forgotten."""
    try:
        found = discover(whole.directory, STORE)
    except StoreDamaged:
        return
    for segment in range(1, SEGMENTS + 1):
        first = (segment - 1) * BLOCKS_PER_SEGMENT + 1
        if _stands(whole.places[first], whole, files, bodies=False):
            assert found.chain[segment].first == whole.blocks[first].head
    there = [segment for segment in files if log_path(whole.directory, segment).exists()]
    assert found.next_segment == max(there) + 1
    assert sorted([*found.chain, *found.unused, *found.rotten]) == sorted(there)
