"""Pieces of large bodies on disk, moved, decoded and hashed by a pool of native threads, and the
recorder of I/O and its faults on purpose."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.errno cimport EINTR
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.unistd cimport getpid

import os

from fastobj._ext.chunked cimport ChunkedDecoder
from fastobj._ext.crc cimport (
    CRC32,
    CRC32C,
    FO_CPU_OK,
    RunningCrc,
    fo_cpu_message,
    fo_cpu_status,
    fo_crc_init,
    fo_crc_isa,
)
from fastobj._ext.digest cimport RunningDigest, fo_digest_init
from fastobj._ext.sigv4 cimport fo_sha256_init

VERSION = 1
PIECE_HEAD_BYTES = FO_PIECE_HEAD_BYTES
PIECE_BYTES = FO_PIECE_BYTES
PIECE_FRAME_BYTES = FO_FRAME_BYTES
STALE = FO_STALE
CHECKSUM = FO_CHECKSUM

cdef fo_cpu_status _status = fo_crc_init()
if _status == FO_CPU_OK:
    _status = fo_digest_init()
if _status == FO_CPU_OK:
    _status = fo_sha256_init()
if _status != FO_CPU_OK:
    raise ImportError(fo_cpu_message(_status).decode())

ISA = fo_crc_isa().decode()

CALL_CREATE = FO_CALL_CREATE
CALL_OPEN = FO_CALL_OPEN
CALL_READ = FO_CALL_READ
CALL_WRITE = FO_CALL_WRITE
CALL_SYNC = FO_CALL_SYNC
CALL_TRUNCATE = FO_CALL_TRUNCATE
CALL_ALLOCATE = FO_CALL_ALLOCATE
CALL_RENAME = FO_CALL_RENAME
CALL_UNLINK = FO_CALL_UNLINK
CALL_SYNC_DIRECTORY = FO_CALL_SYNC_DIRECTORY

FAULT_FAIL = FO_FAULT_FAIL
FAULT_SHORT = FO_FAULT_SHORT
FAULT_LIE = FO_FAULT_LIE
FAULT_FLIP = FO_FAULT_FLIP
FAULT_TEAR = FO_FAULT_TEAR
FAULT_STALL = FO_FAULT_STALL
FAULT_COUNT = FO_FAULT_COUNT


cdef object _os_error(int status):
    return OSError(-status, os.strerror(-status))


cdef int _copy_data_id(uint8_t *to, bytes data_id) except -1:
    if len(data_id) != FO_DATA_ID_BYTES:
        raise ValueError(f"a data id has {FO_DATA_ID_BYTES} bytes, not {len(data_id)}")
    memcpy(to, PyBytes_AS_STRING(data_id), FO_DATA_ID_BYTES)
    return 0


cdef int _describe(fo_piece *piece, bytes data_id, uint64_t segment, uint32_t generation,
                   uint32_t index, uint64_t length) except -1:
    _copy_data_id(piece.data_id, data_id)
    if not 0 < length <= FO_PIECE_BYTES:
        raise ValueError(f"a piece holds 1 to {FO_PIECE_BYTES} bytes, not {length}")
    piece.segment = segment
    piece.generation = generation
    piece.part = 0
    piece.index = index
    piece.length = <uint32_t>length
    return 0


def encode_piece_head(payload, bytes data_id not None, uint64_t segment, uint32_t generation,
                      uint32_t index):
    """The 4 KiB head of a piece with this payload."""
    cdef Py_buffer view
    cdef fo_piece piece
    cdef bytes head = PyBytes_FromStringAndSize(NULL, FO_PIECE_HEAD_BYTES)
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        _describe(&piece, data_id, segment, generation, index, <uint64_t>view.len)
        fo_piece_encode(<uint8_t *>PyBytes_AS_STRING(head), &piece, <const uint8_t *>view.buf)
    finally:
        PyBuffer_Release(&view)
    return head


def check_piece_head(head, bytes data_id not None, uint64_t segment, uint32_t generation,
                     uint32_t index, uint32_t length):
    """0, STALE or CHECKSUM: whether this is the head of that piece."""
    cdef Py_buffer view
    cdef fo_piece piece
    PyObject_GetBuffer(head, &view, PyBUF_SIMPLE)
    try:
        if view.len < FO_PIECE_HEAD_BYTES:
            raise ValueError(f"a piece head has {FO_PIECE_HEAD_BYTES} bytes, not {view.len}")
        _describe(&piece, data_id, segment, generation, index, length)
        return fo_piece_check(<const uint8_t *>view.buf, &piece)
    finally:
        PyBuffer_Release(&view)


cdef int _describe_packed(fo_packed *packed, bytes data_id, uint64_t segment, uint32_t generation,
                          uint64_t length) except -1:
    _copy_data_id(packed.data_id, data_id)
    packed.segment = segment
    packed.generation = generation
    packed.length = length
    return 0


def read_packed_now(int fd, uint64_t offset, bytes data_id not None, uint64_t segment,
                    uint32_t generation, uint32_t length):
    """A small body behind its head, verified; or what prevents that: a status."""
    cdef fo_packed packed
    cdef int status
    cdef bytes body = PyBytes_FromStringAndSize(NULL, length)
    cdef uint8_t *at = <uint8_t *>PyBytes_AS_STRING(body)
    _describe_packed(&packed, data_id, segment, generation, length)
    with nogil:
        status = fo_packed_read_now(fd, offset, at, &packed)
    return body if status == 0 else status


def check_packed(record, bytes data_id not None, uint64_t segment, uint32_t generation,
                 uint32_t length):
    """The status of a small body that has been read together with its head."""
    cdef Py_buffer view
    cdef fo_packed packed
    cdef const uint8_t *at
    cdef int status
    _describe_packed(&packed, data_id, segment, generation, length)
    PyObject_GetBuffer(record, &view, PyBUF_SIMPLE)
    try:
        if <uint64_t>view.len != FO_PACKED_HEAD_BYTES + <uint64_t>length:
            raise ValueError(f"the record has {view.len} bytes")
        at = <const uint8_t *>view.buf
        with nogil:
            status = fo_packed_check(at, at + FO_PACKED_HEAD_BYTES, &packed)
        return status
    finally:
        PyBuffer_Release(&view)


@cython.final
@cython.freelist(64)
cdef class _Job:
    """A job under way: keeps its buffer, path and token alive."""
    cdef fo_job job
    cdef Py_buffer view
    cdef bint has_view
    cdef bytes path
    cdef object token
    cdef object states  # what the pointers of the job point into

    def __dealloc__(self):
        if self.has_view:
            PyBuffer_Release(&self.view)

    cdef int take_buffer(self, buffer, uint64_t size) except -1:
        """Holds the buffer; refuses one below `size` bytes, for C trusts it."""
        PyObject_GetBuffer(buffer, &self.view, PyBUF_WRITABLE)
        self.has_view = True
        if <uint64_t>self.view.len < size:
            raise ValueError(f"the buffer has {self.view.len} bytes, {size} are needed")
        self.job.buffer = <uint8_t *>self.view.buf
        return 0

    cdef int take_readable(self, buffer) except -1:
        """Holds the buffer, to read all of it."""
        PyObject_GetBuffer(buffer, &self.view, PyBUF_SIMPLE)
        self.has_view = True
        self.job.buffer = <uint8_t *>self.view.buf
        self.job.size = <uint64_t>self.view.len
        return 0

    cdef int take_sum(self, running) except -1:
        """Another sum that the job advances."""
        cdef fo_sum *sum = &self.job.sums[self.job.sum_count]
        if isinstance(running, RunningDigest):
            sum.kind = <fo_sum_kind>(<RunningDigest>running).kind
            sum.state = &(<RunningDigest>running).hash
        elif isinstance(running, RunningCrc):
            sum.kind = _kind_of(<RunningCrc>running)
            sum.state = &(<RunningCrc>running).value
        else:
            raise TypeError(f"not a sum that runs natively: {running!r}")
        self.job.sum_count += 1
        return 0

    cdef int take_path(self, path) except -1:
        self.path = os.fsencode(path)
        self.job.path = self.path
        return 0


cdef fo_sum_kind _kind_of(RunningCrc running) noexcept:
    if running.kind == CRC32:
        return FO_SUM_CRC32
    return FO_SUM_CRC32C if running.kind == CRC32C else FO_SUM_CRC64NVME


cdef _Job _new_job(fo_job_kind kind, int fd, uint64_t offset, token):
    cdef _Job job = _Job.__new__(_Job)
    job.token = token
    job.job.kind = kind
    job.job.fd = fd
    job.job.offset = offset
    job.job.owner = <void *>job
    return job


cdef list _take(fo_pool *pool):
    cdef fo_job *job = fo_pool_take(pool)
    cdef _Job owner
    cdef list ended = []
    while job != NULL:
        owner = <_Job><PyObject *>job.owner
        job = job.next
        ended.append((owner.token, owner.job.status))
        Py_DECREF(owner)
    return ended


@cython.final
cdef class Pool:
    """Native threads for reads, writes and syncs; results come back through an eventfd."""
    cdef fo_pool *pool
    cdef int pid

    def __cinit__(self, unsigned threads, unsigned capacity=256):
        cdef int error = 0
        if threads == 0 or capacity == 0:
            raise ValueError("a pool has at least one thread and room for one job")
        self.pool = fo_pool_new(threads, capacity, &error)
        if self.pool == NULL:
            raise _os_error(error)
        self.pid = getpid()

    def __dealloc__(self):
        # After a fork the threads are the parent's.
        if self.pool == NULL or self.pid != getpid():
            return
        with nogil:
            fo_pool_close(self.pool)
        _take(self.pool)
        fo_pool_free(self.pool)

    @property
    def eventfd(self):
        """The descriptor to watch; -1 once closed."""
        return fo_pool_eventfd(self.pool)

    cdef _submit(self, _Job job):
        cdef int status
        Py_INCREF(job)
        status = fo_pool_submit(self.pool, &job.job)
        if status:
            Py_DECREF(job)
            raise _os_error(status)

    def write_piece(self, int fd, path, uint64_t offset, buffer, uint32_t length,
                    bytes data_id not None, uint64_t segment, uint32_t generation,
                    uint32_t index, bint early_sync, token):
        """Fills the head room of `buffer` and writes head and payload at `offset`."""
        cdef _Job job = _new_job(FO_WRITE_PIECE, fd, offset, token)
        _describe(&job.job.piece, data_id, segment, generation, index, length)
        job.take_buffer(buffer, FO_PIECE_HEAD_BYTES + <uint64_t>length)
        job.take_path(path)
        job.job.early_sync = early_sync
        self._submit(job)

    def read_piece(self, int fd, uint64_t offset, buffer, uint32_t payload_offset, uint32_t length,
                   uint32_t payload_length_of_piece, bytes data_id not None,
                   uint64_t segment, uint32_t generation, uint32_t index, token):
        """Reads and verifies; the bytes stand at PIECE_HEAD_BYTES + payload_offset in `buffer`."""
        cdef _Job job = _new_job(FO_READ_PIECE, fd, offset, token)
        _describe(&job.job.piece, data_id, segment, generation, index, payload_length_of_piece)
        if length == 0 or <uint64_t>payload_offset + length > payload_length_of_piece:
            raise ValueError(f"{length} bytes at {payload_offset} are not in the piece")
        job.take_buffer(buffer, FO_PIECE_HEAD_BYTES + <uint64_t>payload_length_of_piece)
        job.job.payload_offset = payload_offset
        job.job.payload_length = length
        self._submit(job)

    def read(self, int fd, uint64_t offset, buffer, token):
        """Fills `buffer`, unverified; STALE where the file ends before."""
        cdef _Job job = _new_job(FO_READ, fd, offset, token)
        job.take_buffer(buffer, 0)
        job.job.size = <uint64_t>job.view.len
        self._submit(job)

    def sync(self, int fd, path, token):
        """fdatasync."""
        cdef _Job job = _new_job(FO_FDATASYNC, fd, 0, token)
        job.take_path(path)
        self._submit(job)

    def fsync(self, int fd, path, token):
        """fsync."""
        cdef _Job job = _new_job(FO_FSYNC, fd, 0, token)
        job.take_path(path)
        self._submit(job)

    def decode(self, ChunkedDecoder decoder not None, buffer, int64_t expected, token):
        """Feeds all of `buffer` to the decoder, in place; its status is a chunked.Code or 0."""
        cdef _Job job = _new_job(FO_DECODE, -1, 0, token)
        job.take_buffer(buffer, 0)
        job.job.size = <uint64_t>job.view.len
        job.states = decoder
        job.job.chunked = &decoder.chunked
        job.job.expected = expected
        self._submit(job)

    def hash(self, tuple sums not None, buffer, bint urgent, token):
        """Advances the sums over `buffer`; behind what the first of them was given before."""
        cdef _Job job = _new_job(FO_HASH, -1, 0, token)
        if not 0 < len(sums) <= FO_SUMS_MAX:
            raise ValueError(f"a job advances 1 to {FO_SUMS_MAX} sums, not {len(sums)}")
        job.take_readable(buffer)
        job.states = sums
        job.job.urgent = urgent
        for running in sums:
            job.take_sum(running)
        self._submit(job)

    def streams(self, int change):
        """There is one stream more to be hashed (+1), or less (-1)."""
        fo_pool_streams(self.pool, change)

    def hurry(self, first not None):
        """Somebody waits for what is queued of the stream with this first sum."""
        cdef _Job named = _Job.__new__(_Job)
        named.take_sum(first)
        fo_pool_hurry(self.pool, named.job.sums[0].state)

    def press(self, int change):
        """Somebody waits for memory that jobs hold (+1), or no longer does (-1)."""
        fo_pool_press(self.pool, change)

    def completions(self):
        """All jobs that ended since the last call, as (token, status)."""
        return _take(self.pool)

    def close(self):
        """Finishes all jobs and ends the threads; `completions` still hands the rest back."""
        with nogil:
            fo_pool_close(self.pool)


def record_open(record_path, counter_path):
    """Switches the recorder on, to this file; raises OSError."""
    cdef int status = fo_record_open(os.fsencode(record_path), os.fsencode(counter_path))
    if status:
        raise _os_error(status)


def record_close():
    """Switches the recorder off."""
    fo_record_close()


def recording():
    """Whether the recorder is on."""
    return bool(fo_record_is_on())


def record_begin():
    """The number of this moment, to be taken before the system call; 0 when off."""
    return fo_record_begin()


def record_end(uint64_t begin, int kind, path, uint64_t offset=0, data=b""):
    """Appends one entry; does nothing when `begin` is 0. Raises OSError."""
    cdef Py_buffer view
    cdef int status
    if begin == 0:
        return
    name = os.fsencode(path)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    status = fo_record_end(begin, kind, name, offset, view.buf, <uint64_t>view.len)
    PyBuffer_Release(&view)
    if status:
        raise _os_error(status)


def fault_add(unsigned calls, pattern, uint64_t first, uint64_t times, int kind, int error,
              bint drops, uint64_t amount):
    """Arms a rule of segio_fault.h and returns its number. Raises OSError, ValueError."""
    cdef fo_fault_rule rule
    cdef int number
    cdef bytes name = os.fsencode(pattern)
    if len(name) >= FO_FAULT_PATTERN_BYTES:
        raise ValueError(f"a pattern has less than {FO_FAULT_PATTERN_BYTES} bytes")
    memcpy(rule.pattern, PyBytes_AS_STRING(name), len(name) + 1)
    rule.calls, rule.first, rule.times = calls, first, times
    rule.kind = <fo_fault_kind>kind
    rule.error, rule.drops, rule.amount = error, drops, amount
    number = fo_faults_add(&rule)
    if number < 0:
        raise _os_error(number)
    return number


def faults_clear():
    """Forgets all rules and what they counted."""
    fo_faults_clear()


def faults_share(path):
    """Counts in that file from now on, together with other processes. Raises OSError."""
    cdef int status = fo_faults_share(os.fsencode(path))
    if status:
        raise _os_error(status)


def faults_counted(unsigned rule):
    """How many calls have matched that rule."""
    return fo_faults_counted(rule)


def faulty():
    """Whether there are rules."""
    return bool(fo_faults_on)


cdef fo_fault _meet(unsigned call, path, int fd, uint64_t size) except *:
    """What a call meets that is tried again after a signal. Raises OSError where it fails."""
    cdef fo_fault met
    cdef bytes name
    cdef const char *at = NULL
    if path is not None:
        name = os.fsencode(path)
        at = name
    while True:
        with nogil:
            met = fo_fault_meet(call, at, fd, size)
        if met.kind != FO_FAULT_FAIL:
            return met
        if met.error != EINTR:
            raise _os_error(-met.error)


def fault_meet(unsigned call, path, int fd=-1, uint64_t size=0):
    """How much of `size` the next call of that kind is to do; -1: nothing, as if it had.

    `path` may be None: that of `fd`. Raises OSError where the call is to fail.
    """
    cdef fo_fault met
    if not fo_faults_on:
        return size
    met = _meet(call, path, fd, size)
    if met.kind == FO_FAULT_LIE:
        return -1
    return met.amount if met.kind == FO_FAULT_SHORT else size


def fault_meet_read(path, int fd, uint64_t size):
    """How many bytes the next read is to ask for, and which bit it is to change, -1: none.

    Raises OSError where it is to fail.
    """
    cdef fo_fault met
    if not fo_faults_on:
        return size, -1
    met = _meet(FO_CALL_READ, path, fd, size)
    if met.kind == FO_FAULT_FLIP:
        return size, met.amount
    return (met.amount if met.kind == FO_FAULT_SHORT else size), -1


def fault_flip(content, int64_t bit):
    """The bytes with another bit, that of this number; -1: as they are."""
    cdef bytearray flipped
    if bit < 0 or not content:
        return content
    flipped = bytearray(content)
    flipped[bit // 8 % len(flipped)] ^= 1 << bit % 8
    return bytes(flipped)
