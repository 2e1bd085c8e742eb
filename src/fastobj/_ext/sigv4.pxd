"""C functions of the sigv4 kernel. They are declared, not exported: who cimports them lists the C
files of this kernel among its own sources in setup.py and calls fo_sha256_init() at import."""

from libc.stdint cimport uint8_t

from fastobj._ext.fo_common cimport fo_slice


cdef extern from "fo_cpu.h" nogil:
    ctypedef enum fo_cpu_status:
        FO_CPU_OK
    const char *fo_cpu_message(fo_cpu_status status)


cdef extern from "digest_sha256.h" nogil:
    ctypedef struct fo_sha256:
        pass
    ctypedef struct fo_hmac:
        pass
    fo_cpu_status fo_sha256_init()
    const char *fo_sha256_isa()
    void fo_sha256_start(fo_sha256 *hash)
    void fo_sha256_add(fo_sha256 *hash, const void *bytes, size_t length)
    void fo_sha256_finish(fo_sha256 *hash, uint8_t *digest)
    void fo_hmac_start(fo_hmac *mac, fo_slice prefix, fo_slice key)
    void fo_hmac_add(fo_hmac *mac, const void *bytes, size_t length)
    void fo_hmac_finish(fo_hmac *mac, uint8_t *digest)


cdef extern from "sigv4_impl.h" nogil:
    ctypedef enum fo_sigv4_status:
        FO_SIGV4_OK
        FO_SIGV4_TOO_LARGE
        FO_SIGV4_NO_MEMORY
        FO_SIGV4_LINE_FEED
    ctypedef struct fo_header:
        fo_slice name
        fo_slice value
    ctypedef struct fo_sigv4_request:
        fo_slice method
        fo_slice path
        fo_slice query
        const fo_header *headers
        size_t header_count
        fo_slice signed_headers
        fo_slice payload_hash
        fo_slice amz_date
        fo_slice scope
        fo_slice key
    fo_sigv4_status fo_sigv4_measure(const fo_sigv4_request *request, size_t *scratch_bytes)
    fo_slice fo_sigv4_canonical(const fo_sigv4_request *request, void *scratch)
    fo_sigv4_status fo_sigv4_sign(const fo_sigv4_request *request, uint8_t *signature)
    int fo_sigv4_covers(const fo_header *headers, size_t header_count, fo_slice signed_headers)
    void fo_sigv4_signing_key(fo_slice secret, fo_slice date, fo_slice region, fo_slice service,
                              uint8_t *key)
    int fo_sigv4_equal(fo_slice a, fo_slice b)
