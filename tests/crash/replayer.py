"""Builds what a disk may hold after a power cut, from a record of writes and syncs.

A state is chosen in two steps. The cut is a number: what began before it took place. What of that
a completed sync covers is on the disk; of the rest each file and each directory may have any part:

* a write is *covered* by a sync of its file that began after the write had ended and that ended
  before the cut. Any other one is there whole, is not there, or is torn at its sectors;
* a truncation or allocation is covered in the same way; others apply as an ordered prefix;
* a create, rename or unlink is covered by a sync of its directory; others apply as an ordered
  prefix. A rename between directories is a change of each. Files are followed by identity;
* a sync that failed on purpose and lost what it was to sync: the kernel takes those writes for
  clean, so they are never on the disk, whatever sync comes behind, and a dropped cache lacks them.

What was never written reads as zeros. The cut only moves on, and the images of files with it, so
that a state costs little more than the bytes that it writes out.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.crash.records import Entry, Kind

SECTOR_BYTES = 512

_BEGIN, _END = 0, 1
_NAMES = (Kind.CREATE, Kind.RENAME, Kind.UNLINK)


class Content(NamedTuple):
    """The bytes of a file; behind them it is zeros up to `size`."""

    head: bytes | bytearray | memoryview
    size: int


State = dict[str, Content]  # path -> content
Modes = Callable[[str], str]  # path -> one of FileChoice.MODES


class Image:
    """Bytes of a file: those behind `len(data)` are zeros up to `size`."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes | bytearray = b"", size: int = 0) -> None:
        self.data = bytearray(data)
        self.size = max(size, len(data))

    def write(self, offset: int, data: memoryview) -> None:
        """Puts bytes in their place; the file grows where it must."""
        if offset > len(self.data):
            self.data += bytes(offset - len(self.data))
        self.data[offset : offset + len(data)] = data
        self.size = max(self.size, len(self.data))

    def resize(self, entry: Entry) -> None:
        """A truncation, or an allocation, which never shrinks."""
        if entry.kind is Kind.ALLOCATE:
            self.size = max(self.size, int.from_bytes(entry.data, "little"))
        else:
            self.size = entry.offset
            del self.data[entry.offset :]

    def apply(self, entry: Entry) -> None:
        """What an entry did to the file."""
        if entry.kind is Kind.WRITE:
            self.write(entry.offset, entry.data)
        else:
            self.resize(entry)


class File:
    """One file by identity: what is on the disk for sure, and the changes that may be."""

    def __init__(self, image: Image | None = None) -> None:
        self.image = image if image is not None else Image()
        self.pending: list[Entry] = []

    def settle(self, sync: Entry) -> None:
        """A sync has ended: what had ended before it began is on the disk."""
        rest: list[Entry] = []
        for entry in self.pending:
            if entry.end < sync.begin:
                self.image.apply(entry)
            else:
                rest.append(entry)
        self.pending = rest

    def lose(self, sync: Entry) -> None:
        """A sync has failed: what was written before it never reaches the disk."""
        self.pending = [
            entry
            for entry in self.pending
            if entry.kind is not Kind.WRITE or entry.end >= sync.begin
        ]

    def content(self, choice: "FileChoice") -> Content:
        """What the disk may hold."""
        if not self.pending or choice.is_none:
            return Content(self.image.data, self.image.size)
        image = Image(self.image.data, self.image.size)
        sizes = choice.sizes(self.pending)
        for index, entry in enumerate(self.pending):
            if entry.kind is Kind.WRITE:
                choice.write(image, entry, index)
            elif sizes > 0:
                sizes -= 1
                image.resize(entry)
        return Content(image.data, image.size)


class FileChoice:
    """What one file keeps of its uncovered changes.

    `prefix` is the first few and then a torn one, `torn` all with the last one torn, `mixture`
    any of them, whole or torn.
    """

    MODES = ("all", "none", "prefix", "torn", "mixture")

    def __init__(self, rng: random.Random, mode: str, count: int) -> None:
        self._rng = rng
        self._mode = mode
        self._kept = count  # the first ones that are whole; the one behind them is torn
        if mode == "prefix":
            self._kept = rng.randint(0, count)
        elif mode == "torn":
            self._kept = count - 1
        self.is_none = mode == "none"

    def sizes(self, pending: Sequence[Entry]) -> int:
        """How many changes of the size apply."""
        count = sum(entry.kind is not Kind.WRITE for entry in pending)
        return self._rng.randint(0, count) if self._mode == "mixture" else count

    def write(self, image: Image, entry: Entry, index: int) -> None:
        """Applies what this choice keeps of a write."""
        if self._mode == "mixture":
            fate = self._rng.choice(("whole", "lost", "torn"))
        elif index == self._kept:
            fate = "torn"
        else:
            fate = "whole" if index < self._kept else "lost"
        if fate == "whole":
            image.write(entry.offset, entry.data)
        elif fate == "torn":
            tear(image, entry, self._rng)
        elif self._rng.random() < 0.25:  # the size reached the disk, the bytes did not
            image.size = max(image.size, entry.offset + len(entry.data))


def tear(image: Image, entry: Entry, rng: random.Random) -> None:
    """Applies some sectors of a write: the first few, all but one, only one, or any."""
    count = -(-len(entry.data) // SECTOR_BYTES)
    one = rng.randrange(count + 1)
    kept = rng.choice(
        (
            lambda sector: sector < one,
            lambda sector: sector != one,
            lambda sector: sector == one,
            lambda sector: rng.random() < 0.5,
        )
    )
    for sector in filter(kept, range(count)):
        at = sector * SECTOR_BYTES
        image.write(entry.offset + at, entry.data[at : at + SECTOR_BYTES])


class Directory:
    """The names in one directory: those on the disk for sure, and the changes that may be."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self.pending: list[tuple[Entry, File]] = []

    def settle(self, sync: Entry) -> None:
        """A sync has ended: changes up to the last one that had ended before it are durable."""
        count = 0
        for index, (entry, _) in enumerate(self.pending):
            if entry.end < sync.begin:
                count = index + 1
        for entry, file in self.pending[:count]:
            _rename(self.names, entry, file)
        del self.pending[:count]

    def present(self, rng: random.Random) -> dict[str, File]:
        """The names that the disk may hold."""
        count = rng.choice((0, len(self.pending), rng.randint(0, len(self.pending))))
        if not count:
            return self.names
        return self.after(count)

    def after(self, count: int) -> dict[str, File]:
        """The names behind the first `count` changes that no sync covers."""
        names = dict(self.names)
        for entry, file in self.pending[:count]:
            _rename(names, entry, file)
        return names


def _rename(names: dict[str, File], entry: Entry, file: File) -> None:
    """What an entry did to the names of its directory."""
    if entry.kind is Kind.CREATE:
        names[entry.path] = file
        return
    names.pop(entry.path, None)
    if entry.kind is Kind.RENAME:
        names[_new_path(entry)] = file


def _new_path(entry: Entry) -> str:
    return os.fsdecode(bytes(entry.data))


class Replayer:
    """Moves a cut through a record and chooses states at it.

    `base` is a copy of the directory as it was when recording began, taken for durable; `root` the
    directory that was recorded. Directories below it are there from the beginning.
    """

    def __init__(self, entries: Iterable[Entry], root: Path, base: Path | None = None) -> None:
        self._root = os.path.abspath(root)
        self._directories: dict[str, Directory] = {}
        self._live: dict[str, File] = {}  # the names as the processes saw them
        self._synced: dict[int, File] = {}  # begin number of a sync under way -> its file
        self._events = _events(entries)
        self._next = 0
        self.last = self._events[-1][0] if self._events else 0
        if base is not None:
            self._load(base)

    def _load(self, base: Path) -> None:
        for path in sorted(base.rglob("*")):
            name = os.path.join(self._root, path.relative_to(base))
            if path.is_dir():
                self._directory(name)
            elif not name.endswith("-shm"):
                file = File(Image(path.read_bytes()))
                self._live[name] = self._parent(name).names[name] = file

    def _directory(self, path: str) -> Directory:
        return self._directories.setdefault(path, Directory())

    def _parent(self, path: str) -> Directory:
        return self._directory(os.path.dirname(path))

    def advance(self, cut: int) -> None:
        """Moves the cut on: everything with a number below it took place."""
        while self._next < len(self._events) and self._events[self._next][0] < cut:
            _, phase, entry = self._events[self._next]
            self._next += 1
            if phase == _BEGIN:
                self._begin(entry)
            elif entry.kind is Kind.SYNC:
                self._synced.pop(entry.begin).settle(entry)
            else:
                self._directory(entry.path).settle(entry)

    def _begin(self, entry: Entry) -> None:
        kind = entry.kind
        if kind in _NAMES:
            self._change_names(entry)
        elif kind is Kind.SYNC:
            self._synced[entry.begin] = self._file(entry)
        elif kind is Kind.SYNC_LOST:
            self._file(entry).lose(entry)
        elif kind is not Kind.SYNC_DIRECTORY:
            self._file(entry).pending.append(entry)

    def _file(self, entry: Entry) -> File:
        file = self._live.get(entry.path)
        if file is None:
            raise LookupError(f"nothing recorded made the file of {entry}")
        return file

    def _change_names(self, entry: Entry) -> None:
        file = File() if entry.kind is Kind.CREATE else self._file(entry)
        _rename(self._live, entry, file)
        source = self._parent(entry.path)
        if entry.kind is Kind.RENAME and (target := self._parent(_new_path(entry))) is not source:
            created = entry._replace(kind=Kind.CREATE, path=_new_path(entry))
            target.pending.append((created, file))
            entry = entry._replace(kind=Kind.UNLINK)
        source.pending.append((entry, file))

    def pending(self) -> list[Entry]:
        """The changes that are not covered at the present cut, by their begin numbers."""
        found = [entry for file in self._files() for entry in file.pending]
        found += [entry for d in self._directories.values() for entry, _ in d.pending]
        return sorted(found, key=lambda entry: entry.begin)

    def _files(self) -> set[File]:
        known = {file for d in self._directories.values() for file in d.names.values()}
        return known | {file for d in self._directories.values() for _, file in d.pending}

    def state(self, rng: random.Random, modes: Modes | None = None) -> State:
        """One of the states that the present cut allows; paths are relative to the root."""
        found: State = {}
        for directory in self._directories.values():
            for name, file in directory.present(rng).items():
                mode = modes(name) if modes is not None else rng.choice(FileChoice.MODES)
                choice = FileChoice(rng, mode, len(file.pending))
                found[os.path.relpath(name, self._root)] = file.content(choice)
        return found

    def whole(self) -> State:
        """What the processes saw at the present cut: every change took place."""
        rng = random.Random(0)
        return {
            os.path.relpath(name, self._root): file.content(
                FileChoice(rng, "all", len(file.pending))
            )
            for directory in self._directories.values()
            for name, file in directory.after(len(directory.pending)).items()
        }

    def folders(self) -> list[str]:
        """The directories below the root, relative to it."""
        return [os.path.relpath(path, self._root) for path in self._directories]


def _events(entries: Iterable[Entry]) -> list[tuple[int, int, Entry]]:
    """Begins of everything and ends of syncs, by number."""
    events: list[tuple[int, int, Entry]] = []
    for entry in entries:
        events.append((entry.begin, _BEGIN, entry))
        if entry.kind in (Kind.SYNC, Kind.SYNC_DIRECTORY):
            events.append((entry.end, _END, entry))
    return sorted(events, key=lambda event: event[:2])


def write_state(state: State, folders: Iterable[str], directory: Path) -> None:
    """Makes `directory` hold exactly the state."""
    shutil.rmtree(directory, ignore_errors=True)
    for folder in folders:
        os.makedirs(directory / folder, exist_ok=True)
    for name, content in state.items():
        fd = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, content.head)
            os.ftruncate(fd, content.size)
        finally:
            os.close(fd)
