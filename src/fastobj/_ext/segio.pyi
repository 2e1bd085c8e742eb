"""Pieces of large bodies on disk, moved, decoded and hashed by a pool of native threads, and the
recorder of I/O and its faults on purpose.

A buffer of a piece has PIECE_HEAD_BYTES of head room and then the payload, as on disk. Statuses:
0, STALE (the place holds something else), CHECKSUM (damaged), or a negative errno. All jobs raise
BlockingIOError when `capacity` jobs are under way, and ValueError for what does not fit.

`decode` is for one job of a decoder at a time, and its status is that of the body (chunked.Code),
or -EILSEQ for another number of bytes than `expected`, which is negative where any will do.
Jobs of `hash` that name the same first sum are done in the order in which they were given, and
those of others together with them; a sum is of another kind than the others of its job, and nothing
else may use it meanwhile. A job waits until there is one of each of `streams`, or it is urgent.

A small body, packed into a block of the log, stands behind a head of its own. `read_packed_now`
reads and verifies it on the calling thread: its bytes, or a status, -EAGAIN where the page cache
does not have all of it. `check_packed` verifies head and body that were read otherwise.

The rules of faults (`fault_*`) are those of segio_fault.h. Calls made elsewhere ask `fault_meet`
how much of their bytes they are to do (-1: nothing, as if they had), and `fault_meet_read` also for
the bit that they are to change; both raise what the call is to fail with.
"""

from os import PathLike
from typing import Final

from typing_extensions import Buffer

from fastobj._ext.chunked import ChunkedDecoder
from fastobj._ext.crc import RunningCrc
from fastobj._ext.digest import RunningDigest

ISA: Final[str]
VERSION: Final[int]
PIECE_HEAD_BYTES: Final[int]
PIECE_BYTES: Final[int]
PIECE_FRAME_BYTES: Final[int]
STALE: Final[int]
CHECKSUM: Final[int]

CALL_CREATE: Final[int]
CALL_OPEN: Final[int]
CALL_READ: Final[int]
CALL_WRITE: Final[int]
CALL_SYNC: Final[int]
CALL_TRUNCATE: Final[int]
CALL_ALLOCATE: Final[int]
CALL_RENAME: Final[int]
CALL_UNLINK: Final[int]
CALL_SYNC_DIRECTORY: Final[int]
FAULT_FAIL: Final[int]
FAULT_SHORT: Final[int]
FAULT_LIE: Final[int]
FAULT_FLIP: Final[int]
FAULT_TEAR: Final[int]
FAULT_STALL: Final[int]
FAULT_COUNT: Final[int]

Path = str | bytes | PathLike[str]

def encode_piece_head(
    payload: Buffer, data_id: bytes, segment: int, generation: int, index: int
) -> bytes: ...
def check_piece_head(
    head: Buffer, data_id: bytes, segment: int, generation: int, index: int, length: int
) -> int: ...
def read_packed_now(
    fd: int, offset: int, data_id: bytes, segment: int, generation: int, length: int
) -> bytes | int: ...
def check_packed(
    record: Buffer, data_id: bytes, segment: int, generation: int, length: int
) -> int: ...

class Pool:
    def __init__(self, threads: int, capacity: int = 256) -> None: ...
    @property
    def eventfd(self) -> int: ...
    def write_piece(
        self,
        fd: int,
        path: Path,
        offset: int,
        buffer: Buffer,
        length: int,
        data_id: bytes,
        segment: int,
        generation: int,
        index: int,
        early_sync: bool,
        token: object,
    ) -> None: ...
    def read_piece(
        self,
        fd: int,
        offset: int,
        buffer: Buffer,
        payload_offset: int,
        length: int,
        payload_length_of_piece: int,
        data_id: bytes,
        segment: int,
        generation: int,
        index: int,
        token: object,
    ) -> None: ...
    def read(self, fd: int, offset: int, buffer: Buffer, token: object) -> None: ...
    def sync(self, fd: int, path: Path, token: object) -> None: ...
    def fsync(self, fd: int, path: Path, token: object) -> None: ...
    def decode(
        self, decoder: ChunkedDecoder, buffer: Buffer, expected: int, token: object
    ) -> None: ...
    def hash(
        self,
        sums: tuple[RunningDigest | RunningCrc, ...],
        buffer: Buffer,
        urgent: bool,
        token: object,
    ) -> None: ...
    def streams(self, change: int) -> None: ...
    def hurry(self, first: RunningDigest | RunningCrc) -> None: ...
    def press(self, change: int) -> None: ...
    def completions(self) -> list[tuple[object, int]]: ...
    def close(self) -> None: ...

def record_open(record_path: Path, counter_path: Path) -> None: ...
def record_close() -> None: ...
def recording() -> bool: ...
def record_begin() -> int: ...
def record_end(begin: int, kind: int, path: Path, offset: int = 0, data: Buffer = b"") -> None: ...
def fault_add(
    calls: int,
    pattern: str,
    first: int,
    times: int,
    kind: int,
    error: int,
    drops: bool,
    amount: int,
) -> int: ...
def faults_clear() -> None: ...
def faults_share(path: Path) -> None: ...
def faults_counted(rule: int) -> int: ...
def faulty() -> bool: ...
def fault_meet(call: int, path: Path | None, fd: int = -1, size: int = 0) -> int: ...
def fault_meet_read(path: Path | None, fd: int, size: int) -> tuple[int, int]: ...
def fault_flip(content: bytes, bit: int) -> bytes: ...
