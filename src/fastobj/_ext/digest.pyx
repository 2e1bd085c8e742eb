"""MD5, SHA-1 and SHA-256, one stream at a time and many together."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

# Below this the digest takes less time than giving the GIL away and asking it back.
cdef enum:
    GIL_HELD_BYTES_MAX = 4096

VERSION = 1

cdef fo_cpu_status _status = fo_digest_init()
if _status != FO_CPU_OK:
    raise ImportError(fo_cpu_message(_status).decode())

ISA = {
    "md5": fo_digest_isa(FO_MD5).decode(),
    "sha1": fo_digest_isa(FO_SHA1).decode(),
    "sha256": fo_digest_isa(FO_SHA256).decode(),
}


@cython.freelist(32)
cdef class RunningDigest:
    """A running digest, to be used by one thread at a time."""

    cdef void start(self, fo_digest_kind kind) noexcept:
        self.kind = kind
        fo_digest_start(kind, &self.hash)

    def update(self, data, /):
        """Takes the next bytes."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        if view.len > GIL_HELD_BYTES_MAX:
            with nogil:
                fo_digest_add(self.kind, &self.hash, view.buf, <size_t>view.len)
        else:
            fo_digest_add(self.kind, &self.hash, view.buf, <size_t>view.len)
        PyBuffer_Release(&view)

    def digest(self):
        """The digest of all bytes taken; more may follow."""
        cdef uint8_t digest[FO_DIGEST_BYTES_MAX]
        cdef fo_running hash = self.hash
        fo_digest_finish(self.kind, &hash, digest)
        return PyBytes_FromStringAndSize(<const char *>digest, fo_digest_bytes(self.kind))

    def hexdigest(self):
        """The same in lower-case hex."""
        return self.digest().hex()


@cython.final
cdef class Md5(RunningDigest):
    """A running MD5."""

    def __cinit__(self):
        self.start(FO_MD5)


@cython.final
cdef class Sha1(RunningDigest):
    """A running SHA-1."""

    def __cinit__(self):
        self.start(FO_SHA1)


@cython.final
cdef class Sha256(RunningDigest):
    """A running SHA-256."""

    def __cinit__(self):
        self.start(FO_SHA256)


@cython.final
cdef class _Batch:
    """The inputs of one call, and the buffers that they are in."""
    cdef fo_digest_kind kind
    cdef fo_digest_input *inputs
    cdef Py_buffer *views
    cdef size_t count, held, total

    def __cinit__(self, fo_digest_kind kind, list buffers):
        self.kind = kind
        self.inputs = <fo_digest_input *>calloc(<size_t>len(buffers) + 1, sizeof(fo_digest_input))
        self.views = <Py_buffer *>calloc(<size_t>len(buffers) + 1, sizeof(Py_buffer))
        if self.inputs == NULL or self.views == NULL:
            raise MemoryError
        self.count = <size_t>len(buffers)
        for buffer in buffers:
            self.take(buffer)

    def __dealloc__(self):
        while self.held:
            self.held -= 1
            PyBuffer_Release(&self.views[self.held])
        free(self.views)
        free(self.inputs)

    cdef int take(self, buffer) except -1:
        if self.held == self.count:
            raise RuntimeError("the list of buffers has changed meanwhile")
        cdef Py_buffer *view = &self.views[self.held]
        PyObject_GetBuffer(buffer, view, PyBUF_SIMPLE)
        self.inputs[self.held].at = <const uint8_t *>view.buf
        self.inputs[self.held].length = <size_t>view.len
        self.total += <size_t>view.len
        self.held += 1
        return 0

    cdef void advance(self) noexcept:
        if self.total > GIL_HELD_BYTES_MAX:
            with nogil:
                fo_digest_advance(self.kind, self.inputs, self.held)
        else:
            fo_digest_advance(self.kind, self.inputs, self.held)


cdef list _digests(fo_digest_kind kind, buffers):
    cdef _Batch batch = _Batch(kind, list(buffers))
    cdef size_t size = fo_digest_bytes(kind)
    cdef fo_running *hashes = <fo_running *>calloc(batch.held + 1, sizeof(fo_running))
    cdef uint8_t *digests = <uint8_t *>calloc(batch.held + 1, size)
    cdef size_t index
    try:
        if hashes == NULL or digests == NULL:
            raise MemoryError
        for index in range(batch.held):
            fo_digest_start(kind, &hashes[index])
            batch.inputs[index].hash = &hashes[index]
            batch.inputs[index].digest = digests + index * size
        batch.advance()
        return [
            PyBytes_FromStringAndSize(<const char *>digests + index * size, <Py_ssize_t>size)
            for index in range(batch.held)
        ]
    finally:
        free(hashes)
        free(digests)


cdef int _update(fo_digest_kind kind, hashes, buffers) except -1:
    cdef list running = list(hashes)
    cdef _Batch batch = _Batch(kind, list(buffers))
    cdef RunningDigest hash
    cdef size_t index
    if <size_t>len(running) != batch.held:
        raise ValueError(f"{len(running)} digests cannot take {batch.held} buffers")
    if len({id(each) for each in running}) != len(running):
        raise ValueError("a digest is given twice: what comes first is not said")
    for index in range(batch.held):
        hash = running[index]
        if hash is None or hash.kind != kind:
            raise TypeError(f"not a digest of this algorithm: {hash!r}")
        batch.inputs[index].hash = &hash.hash
    batch.advance()
    return 0


def md5_many(buffers):
    """The MD5 of each buffer."""
    return _digests(FO_MD5, buffers)


def sha256_many(buffers):
    """The SHA-256 of each buffer."""
    return _digests(FO_SHA256, buffers)


def md5_update_many(hashes, buffers):
    """Each MD5 takes its own buffer."""
    _update(FO_MD5, hashes, buffers)


def sha256_update_many(hashes, buffers):
    """Each SHA-256 takes its own buffer."""
    _update(FO_SHA256, hashes, buffers)
