"""aws-chunked bodies of S3, decoded in place; signatures of chunks and trailers are verified."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from enum import IntEnum

from fastobj._ext.digest cimport fo_digest_init
from fastobj._ext.fo_common cimport slice_of
from fastobj._ext.sigv4 cimport (
    FO_CPU_OK,
    fo_cpu_message,
    fo_cpu_status,
    fo_sha256_init,
    fo_sha256_isa,
    fo_slice,
)

cdef enum:
    GIL_HELD_BYTES_MAX = 4096

VERSION = 1
CHUNK_BYTES_MAX = FO_CHUNKED_SIZE_MAX
TRAILER_BYTES_MAX = FO_CHUNKED_TRAILER_BYTES_MAX

cdef fo_cpu_status _status = fo_sha256_init()
if _status == FO_CPU_OK:
    _status = fo_digest_init()
if _status != FO_CPU_OK:
    raise ImportError(fo_cpu_message(_status).decode())

ISA = fo_sha256_isa().decode()


class Mode(IntEnum):
    """The streaming values of x-amz-content-sha256."""

    SIGNED = FO_CHUNKED_SIGNED
    SIGNED_TRAILER = FO_CHUNKED_SIGNED_TRAILER
    UNSIGNED_TRAILER = FO_CHUNKED_UNSIGNED_TRAILER


class Code(IntEnum):
    """What is wrong with a body."""

    SIZE = FO_CHUNKED_BAD_SIZE
    FRAMING = FO_CHUNKED_BAD_FRAMING
    SIGNATURE = FO_CHUNKED_BAD_SIGNATURE
    LENGTH = FO_CHUNKED_BAD_LENGTH
    TRAILER = FO_CHUNKED_BAD_TRAILER
    AFTER_END = FO_CHUNKED_AFTER_END


class ChunkedError(Exception):
    """The body is not what it must be; `code` says how."""

    def __init__(self, code):
        super().__init__(fo_chunked_message(code).decode())
        self.code = Code(code)


@cython.final
cdef class ChunkedDecoder:
    """One body, fed piece by piece; not by two threads at once."""

    def __cinit__(self, fo_chunked_mode mode, uint64_t decoded_length,
                  bytes signing_key not None=b"", bytes amz_date not None=b"",
                  bytes scope not None=b"", bytes seed_signature not None=b""):
        cdef fo_chunked_signing signing
        if mode not in (FO_CHUNKED_SIGNED, FO_CHUNKED_SIGNED_TRAILER, FO_CHUNKED_UNSIGNED_TRAILER):
            raise ValueError(f"no mode of aws-chunked: {mode}")
        if mode != FO_CHUNKED_UNSIGNED_TRAILER and (
            len(signing_key) != FO_SHA256_BYTES or len(seed_signature) != FO_SIGV4_SIGNATURE_BYTES
        ):
            raise ValueError("a signed body needs a signing key and the seed signature")
        if mode != FO_CHUNKED_SIGNED:
            self.trailer_room = <uint8_t *>malloc(FO_CHUNKED_TRAILER_BYTES_MAX)
            if self.trailer_room == NULL:
                raise MemoryError
        signing.key = slice_of(signing_key)
        signing.amz_date = slice_of(amz_date)
        signing.scope = slice_of(scope)
        signing.seed = <const uint8_t *>PyBytes_AS_STRING(seed_signature)
        fo_chunked_start(&self.chunked, mode, decoded_length, &signing, self.trailer_room)

    def __dealloc__(self):
        free(self.trailer_room)

    def feed(self, buffer, Py_ssize_t count):
        """Decodes the first `count` bytes in place: (consumed, produced)."""
        cdef Py_buffer view
        cdef size_t consumed = 0, produced = 0
        cdef fo_chunked_status status
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            if not 0 <= count <= view.len:
                raise ValueError(f"the buffer has {view.len} bytes, not {count}")
            if count > GIL_HELD_BYTES_MAX:
                with nogil:
                    status = fo_chunked_feed(
                        &self.chunked, <uint8_t *>view.buf, <size_t>count, &consumed, &produced
                    )
            else:
                status = fo_chunked_feed(
                    &self.chunked, <uint8_t *>view.buf, <size_t>count, &consumed, &produced
                )
        finally:
            PyBuffer_Release(&view)
        if status != FO_CHUNKED_OK:
            raise ChunkedError(status)
        return consumed, produced

    @property
    def decoded(self):
        """Bytes of payload so far."""
        return self.chunked.decoded

    @property
    def complete(self):
        """Whether the body may end here."""
        return fo_chunked_is_complete(&self.chunked) != 0

    @property
    def trailers(self):
        """(name, value) of each trailer but the signature."""
        cdef fo_slice text = fo_chunked_trailers(&self.chunked)
        lines = (<const char *>text.at)[:text.length].splitlines() if text.length else []
        return [tuple(line.split(b":", 1)) for line in lines]


@cython.final
cdef class ChunkedPlan:
    """A look ahead at the framing of one body."""
    cdef fo_chunked plan

    def __cinit__(self, fo_chunked_mode mode, uint64_t decoded_length):
        if mode not in (FO_CHUNKED_SIGNED, FO_CHUNKED_SIGNED_TRAILER, FO_CHUNKED_UNSIGNED_TRAILER):
            raise ValueError(f"no mode of aws-chunked: {mode}")
        fo_chunked_plan(&self.plan, mode, decoded_length)

    def look(self, coded, uint64_t payload_max):
        """Looks at the next bytes: (consumed, payload)."""
        cdef Py_buffer view
        cdef size_t consumed = 0
        cdef uint64_t payload = 0
        cdef fo_chunked_status status
        PyObject_GetBuffer(coded, &view, PyBUF_SIMPLE)
        status = fo_chunked_look(&self.plan, <const uint8_t *>view.buf, <size_t>view.len,
                                 payload_max, &consumed, &payload)
        PyBuffer_Release(&view)
        if status != FO_CHUNKED_OK:
            raise ChunkedError(status)
        return consumed, payload

    def framing(self, uint64_t payload):
        """What the framing will take beside so much payload, if the chunks stay as long."""
        return fo_chunked_framing(&self.plan, payload)
