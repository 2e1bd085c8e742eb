"""CRC32, CRC32C and CRC64NVME of anything with the buffer protocol, chainable like zlib.crc32."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint32_t, uint64_t

# Below this the sum takes less time than giving the GIL away and asking it back.
cdef enum:
    GIL_HELD_BYTES_MAX = 4096

VERSION = 1

cdef fo_cpu_status _status = fo_crc_init()
if _status != FO_CPU_OK:
    raise ImportError(fo_cpu_message(_status).decode())

ISA = fo_crc_isa().decode()


def crc32(data, uint32_t value=0):
    """CRC32 (zlib, IEEE 802.3) of `data`, going on from the earlier result `value`."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if view.len > GIL_HELD_BYTES_MAX:
        with nogil:
            value = fo_crc32(value, view.buf, <size_t>view.len)
    else:
        value = fo_crc32(value, view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return value


def crc32c(data, uint32_t value=0):
    """CRC32C (Castagnoli) of `data`, going on from the earlier result `value`."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if view.len > GIL_HELD_BYTES_MAX:
        with nogil:
            value = fo_crc32c(value, view.buf, <size_t>view.len)
    else:
        value = fo_crc32c(value, view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return value


def crc64nvme(data, uint64_t value=0):
    """CRC64NVME of `data`, going on from the earlier result `value`."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if view.len > GIL_HELD_BYTES_MAX:
        with nogil:
            value = fo_crc64nvme(value, view.buf, <size_t>view.len)
    else:
        value = fo_crc64nvme(value, view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return value


cdef class RunningCrc:
    """A running sum in the shape of hashlib's digests, to be used by one thread at a time."""

    def update(self, data, /):
        """Takes the next bytes."""
        if self.kind == CRC32:
            self.value = crc32(data, <uint32_t>self.value)
        elif self.kind == CRC32C:
            self.value = crc32c(data, <uint32_t>self.value)
        else:
            self.value = crc64nvme(data, self.value)

    def digest(self):
        """The sum of all bytes taken, big-endian."""
        return (<object>self.value).to_bytes(8 if self.kind == CRC64NVME else 4, "big")


@cython.final
cdef class Crc32(RunningCrc):
    """A running CRC32."""

    def __cinit__(self):
        self.kind = CRC32


@cython.final
cdef class Crc32c(RunningCrc):
    """A running CRC32C."""

    def __cinit__(self):
        self.kind = CRC32C


@cython.final
cdef class Crc64Nvme(RunningCrc):
    """A running CRC64NVME."""

    def __cinit__(self):
        self.kind = CRC64NVME
