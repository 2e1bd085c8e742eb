"""C functions of the chunked kernel, and the decoder around its struct. The functions are declared,
not exported: who cimports them lists the C files of this kernel among its own sources in setup.py
and calls fo_sha256_init() and fo_digest_init() at import."""

from libc.stdint cimport uint8_t, uint64_t

from fastobj._ext.fo_common cimport fo_slice


cdef extern from "chunked_impl.h" nogil:
    const uint64_t FO_CHUNKED_SIZE_MAX

    enum:
        FO_CHUNKED_TRAILER_BYTES_MAX
        FO_SIGV4_SIGNATURE_BYTES
        FO_SHA256_BYTES

    ctypedef enum fo_chunked_mode:
        FO_CHUNKED_SIGNED
        FO_CHUNKED_SIGNED_TRAILER
        FO_CHUNKED_UNSIGNED_TRAILER

    ctypedef enum fo_chunked_status:
        FO_CHUNKED_OK
        FO_CHUNKED_BAD_SIZE
        FO_CHUNKED_BAD_FRAMING
        FO_CHUNKED_BAD_SIGNATURE
        FO_CHUNKED_BAD_LENGTH
        FO_CHUNKED_BAD_TRAILER
        FO_CHUNKED_AFTER_END

    ctypedef struct fo_chunked_signing:
        fo_slice key
        fo_slice amz_date
        fo_slice scope
        const uint8_t *seed

    ctypedef struct fo_chunked:
        uint64_t decoded

    void fo_chunked_start(fo_chunked *chunked, fo_chunked_mode mode, uint64_t decoded_length,
                          const fo_chunked_signing *signing, uint8_t *trailers)
    fo_chunked_status fo_chunked_feed(fo_chunked *chunked, uint8_t *buffer, size_t length,
                                      size_t *consumed, size_t *produced)
    void fo_chunked_plan(fo_chunked *plan, fo_chunked_mode mode, uint64_t decoded_length)
    fo_chunked_status fo_chunked_look(fo_chunked *plan, const uint8_t *bytes, size_t length,
                                      uint64_t payload_max, size_t *consumed, uint64_t *payload)
    uint64_t fo_chunked_framing(const fo_chunked *plan, uint64_t payload)
    int fo_chunked_is_complete(const fo_chunked *chunked)
    fo_slice fo_chunked_trailers(const fo_chunked *chunked)
    const char *fo_chunked_message(fo_chunked_status status)


cdef class ChunkedDecoder:
    cdef fo_chunked chunked
    cdef uint8_t *trailer_room
