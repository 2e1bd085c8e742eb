"""The store's directory: what stands where in it, and how it comes to be.

The file `store` is written last and makes a directory a store: it holds the format and the id
that all blocks of the log carry. A directory without it is either new, or was being made when the
machine stopped, or is somebody else's: the first two are completed, the last is refused.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from fastobj.core.clock import Clock, SystemClock
from fastobj.core.errors import StoreDamaged, StoreError, UnknownFormat
from fastobj.storage import io
from fastobj.storage.segment_files import EXTENTS_FOLDER, LOG_FOLDER, make_folders

FORMAT: Final = 1
STORE_ID_BYTES: Final = 16
DIRECTORY_MODE: Final = 0o700
STORE_FILE: Final = "store"
TEMPORARY_SUFFIX: Final = ".new"

_FOLDERS: Final = (LOG_FOLDER, EXTENTS_FOLDER)
# What a crash leaves of a store that was being made; a fresh file system has lost+found.
_UNFINISHED: Final = frozenset({*_FOLDERS, STORE_FILE + TEMPORARY_SUFFIX, "lost+found"})
# What only a store that once worked has.
_OURS: Final = frozenset(
    {"meta.db", "credentials", "identities", "kms-keys", "server.lock", "store.lock"}
)


class _StoreFile(msgspec.Struct, frozen=True):
    """The contents of the file `store`, as JSON."""

    format: int
    id: str
    created: str


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """The paths of a store, and the id in its log."""

    root: Path
    store_id: bytes

    @property
    def made_ns(self) -> int:
        """When the store was made, by the time of its file, in nanoseconds since the Unix epoch."""
        return (self.root / STORE_FILE).stat().st_mtime_ns

    @property
    def log(self) -> Path:
        """The folder of the log's segments."""
        return self.root / LOG_FOLDER

    @property
    def extents(self) -> Path:
        """The folder of large bodies."""
        return self.root / EXTENTS_FOLDER

    @property
    def quarantine(self) -> Path:
        """The folder for files that nothing accounts for; made when the first one comes."""
        return self.root / "quarantine"

    @property
    def database(self) -> Path:
        """The metadata database; SQLite keeps `-wal` and `-shm` files beside it."""
        return self.root / "meta.db"

    @property
    def credentials(self) -> Path:
        """The generated credentials of the root user."""
        return self.root / "credentials"

    @property
    def identities(self) -> Path:
        """What the last start knew of the identities, without their secrets."""
        return self.root / "identities"

    @property
    def kms_keys(self) -> Path:
        """The keys of the local key service, unless a setting says another place."""
        return self.root / "kms-keys"

    @property
    def trusted_time(self) -> Path:
        """A time that an operator has confirmed, until the server takes it."""
        return self.root / "trusted-time"

    @property
    def replays(self) -> Path:
        """The folder of requests to tell events again."""
        return self.root / "replays"

    @property
    def server_lock(self) -> Path:
        """Locked by the supervisor for as long as the server lives."""
        return self.root / "server.lock"

    @property
    def store_lock(self) -> Path:
        """Locked by the one writer of the log and the database."""
        return self.root / "store.lock"

    @property
    def fence(self) -> Path:
        """Left by a committer whose sync failed, for the next one."""
        return self.root / "fence"

    @property
    def processes(self) -> Path:
        """Role and pid of each process, while the server runs."""
        return self.root / "processes"


def prepare(directory: Path, clock: Clock | None = None) -> StoreLayout:
    """Opens the store in `directory`, or makes it.

    Raises StoreError where the directory cannot be used or belongs to something else,
    StoreDamaged where parts of a store are missing, UnknownFormat for a newer version's.
    """
    root = directory.absolute()
    _make_directory(root)
    if not (root / STORE_FILE).exists():
        with _creation(root):
            _create(root, clock or SystemClock())
    return _whole(root)


def find(directory: Path) -> StoreLayout:
    """The store in `directory`, where there is one; makes nothing.

    Raises StoreError where there is none, StoreDamaged where parts of it are missing, UnknownFormat
    for a newer version's.
    """
    root = directory.absolute()
    if not (root / STORE_FILE).exists():
        if any((root / name).exists() for name in _OURS):
            raise StoreDamaged(
                f"{root / STORE_FILE} is missing, but parts of a store are there: restore that file"
            )
        raise StoreError(f"{root} holds no store: give the directory of one")
    return _whole(root)


def _whole(root: Path) -> StoreLayout:
    for name in _FOLDERS:
        if not (root / name).is_dir():
            raise StoreDamaged(
                f"{root / name} is missing: restore it, or make it again if it was empty"
            )
    return StoreLayout(root, _read_id(root / STORE_FILE))


def _make_directory(root: Path) -> None:
    """Makes the directory itself, not its parents: a missing one is often an unmounted drive."""
    if root.is_dir():
        return
    try:
        os.mkdir(root, DIRECTORY_MODE)
    except FileExistsError:
        if not root.is_dir():
            raise StoreError(f"{root} is not a directory: give another path") from None
        return  # another server was faster; the lock decides
    except FileNotFoundError:
        raise StoreError(
            f"{root.parent} does not exist: make it first, or mount the drive that has it"
        ) from None
    except OSError as error:
        raise io.store_error(error, str(root), "make") from error
    io.sync_directory(str(root.parent))


@contextmanager
def _creation(root: Path) -> Iterator[None]:
    """Only one process at a time makes a store here; a second waits, then finds it made."""
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise io.store_error(error, str(root), "open") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _create(root: Path, clock: Clock) -> None:
    if (root / STORE_FILE).exists():
        return
    _refuse_foreign(root)
    make_folders(str(root))
    created = datetime.fromtimestamp(clock.now_ns() // 10**9, UTC).isoformat()
    record = _StoreFile(FORMAT, os.urandom(STORE_ID_BYTES).hex(), created)
    write_durably(root / STORE_FILE, msgspec.json.encode(record) + b"\n")


def _refuse_foreign(root: Path) -> None:
    """A directory without the store file may hold nothing but what making a store leaves."""
    try:
        names = set(os.listdir(root))
        inside = {
            name for folder in _FOLDERS if folder in names for name in os.listdir(root / folder)
        }
    except OSError as error:
        raise io.store_error(error, str(root), "list") from error
    if inside or names & _OURS:
        raise StoreDamaged(
            f"{root / STORE_FILE} is missing, but parts of a store are there: restore that file"
        )
    if foreign := sorted(names - _UNFINISHED):
        raise StoreError(
            f"{root} holds other things ({', '.join(foreign[:3])}) and no store:"
            " give an empty or new directory"
        )


def _read_id(path: Path) -> bytes:
    """The store id. The format is looked at first: a newer one may hold anything else."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise io.store_error(error, str(path), "read") from error
    try:
        newest = msgspec.json.decode(raw, type=dict[str, object]).get("format")
        if isinstance(newest, int) and newest > FORMAT:
            raise UnknownFormat(
                f"{path} has format {newest}, this version reads up to {FORMAT}:"
                " use the version of fastobj that wrote it"
            )
        store_id = bytes.fromhex(msgspec.json.decode(raw, type=_StoreFile).id)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreDamaged(f"{path} cannot be read ({error}): restore that file") from error
    if len(store_id) != STORE_ID_BYTES:
        raise StoreDamaged(f"{path} has an id of the wrong length: restore that file")
    return store_id


def write_durably(path: Path, contents: bytes) -> None:
    """Makes or replaces a small file whole: after a crash it is the old one or the new one.

    One process at a time. Raises StoreError, NoSpace, SyncFailed.
    """
    temporary = f"{path}{TEMPORARY_SUFFIX}"
    if os.path.lexists(temporary):  # left by a crash
        io.unlink(temporary)
    file = io.create(temporary)
    try:
        file.pwritev([contents], 0)
        file.fsync()
    finally:
        file.close()
    io.rename(temporary, str(path))
    io.sync_directory(str(path.parent))
