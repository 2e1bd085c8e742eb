"""C functions of the digest kernel, and the running digest around their struct. The functions are
declared, not exported: who cimports them lists the C files of this kernel among its own sources in
setup.py and calls fo_digest_init() at import."""

from libc.stdint cimport uint8_t


cdef extern from "fo_cpu.h" nogil:
    ctypedef enum fo_cpu_status:
        FO_CPU_OK
    const char *fo_cpu_message(fo_cpu_status status)


cdef extern from "digest_impl.h" nogil:
    enum:
        FO_DIGEST_BYTES_MAX

    ctypedef enum fo_digest_kind:
        FO_MD5
        FO_SHA1
        FO_SHA256

    ctypedef struct fo_running:
        pass

    ctypedef struct fo_digest_input:
        fo_running *hash
        const uint8_t *at
        size_t length
        uint8_t *digest

    fo_cpu_status fo_digest_init()
    const char *fo_digest_isa(fo_digest_kind kind)
    size_t fo_digest_bytes(fo_digest_kind kind)
    void fo_digest_start(fo_digest_kind kind, fo_running *hash)
    void fo_digest_add(fo_digest_kind kind, fo_running *hash, const void *bytes, size_t length)
    void fo_digest_finish(fo_digest_kind kind, fo_running *hash, uint8_t *digest)
    void fo_digest_advance(fo_digest_kind kind, fo_digest_input *inputs, size_t count)


cdef class RunningDigest:
    cdef fo_running hash
    cdef fo_digest_kind kind
    cdef void start(self, fo_digest_kind kind) noexcept
