"""C functions of the rs kernel, declared for its own .pyx only."""

from libc.stdint cimport uint8_t, uint32_t


cdef extern from "rs_impl.h" nogil:
    enum:
        FO_RS_SHARDS_MAX
        FO_RS_LENGTH_MAX

    ctypedef enum fo_rs_status:
        FO_RS_OK
        FO_RS_NOT_LOADED
        FO_RS_TOO_OLD
        FO_RS_NOT_BOUND
        FO_RS_BAD_LAYOUT
        FO_RS_TOO_FEW
        FO_RS_SINGULAR

    ctypedef struct fo_rs_codec:
        unsigned data_count
        unsigned parity_count

    fo_rs_status fo_rs_bind(const char *path, char *why, size_t why_size)
    const char *fo_rs_version()
    const char *fo_rs_path()
    fo_rs_status fo_rs_init(fo_rs_codec *codec, unsigned data_count, unsigned parity_count)
    fo_rs_status fo_rs_prove(const fo_rs_codec *codec, uint32_t *count)
    void fo_rs_encode(fo_rs_codec *codec, size_t length, uint8_t **data, uint8_t **parity)
    void fo_rs_update(fo_rs_codec *codec, unsigned index, size_t length, const uint8_t *before,
                      const uint8_t *after, uint8_t **parity)
    fo_rs_status fo_rs_reconstruct(const fo_rs_codec *codec, size_t length, uint8_t **shards,
                                   uint32_t present, uint32_t wanted)
