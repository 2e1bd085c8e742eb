"""What fo_common.h declares, for all kernels."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t


cdef extern from "fo_common.h" nogil:
    ctypedef struct fo_slice:
        const uint8_t *at
        size_t length


cdef inline fo_slice slice_of(bytes text) noexcept:
    """The bytes of an object that the caller holds."""
    cdef fo_slice slice
    slice.at = <const uint8_t *>PyBytes_AS_STRING(text)
    slice.length = <size_t>PyBytes_GET_SIZE(text)
    return slice
