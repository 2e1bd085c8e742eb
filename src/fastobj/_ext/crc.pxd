"""C functions of the crc kernel, and the running sums. The functions are declared, not exported:
who cimports them lists the C files of this kernel among its own sources in setup.py and calls
fo_crc_init() at import."""

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "fo_cpu.h" nogil:
    ctypedef enum fo_cpu_status:
        FO_CPU_OK
    const char *fo_cpu_message(fo_cpu_status status)


cdef extern from "crc_impl.h" nogil:
    fo_cpu_status fo_crc_init()
    const char *fo_crc_isa()
    uint32_t fo_crc32(uint32_t crc, const void *bytes, size_t length)
    uint32_t fo_crc32c(uint32_t crc, const void *bytes, size_t length)
    uint64_t fo_crc64nvme(uint64_t crc, const void *bytes, size_t length)


ctypedef enum crc_kind:
    CRC32
    CRC32C
    CRC64NVME


cdef class RunningCrc:
    cdef uint64_t value
    cdef crc_kind kind
