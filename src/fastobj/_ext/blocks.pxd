"""C functions of the blocks kernel, declared for its own .pyx only."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastobj._ext.fo_common cimport fo_slice


cdef extern from "blocks_impl.h" nogil:
    enum:
        FO_BLOCK_HEAD_BYTES
        FO_COUNTER_KEY_BYTES
        FO_PACKED_DATA_ID_BYTES

    ctypedef enum fo_block_status:
        FO_BLOCK_OK
        FO_BLOCK_NO_ROOM
        FO_BLOCK_OUTSIDE
        FO_BLOCK_CHECKSUM

    ctypedef struct fo_block:
        uint8_t *at
        size_t room
        size_t records_offset
        size_t txns_end
        size_t records_end
        uint32_t records
        uint32_t volume
        uint64_t segment
        uint32_t generation
        uint64_t offset
        uint8_t counter_key[8]

    ctypedef struct fo_block_body:
        fo_slice body
        fo_slice hint
        const uint8_t *data_id
        uint32_t crc
        size_t location_at
        size_t counter_at

    void fo_block_begin(fo_block *block)
    fo_block_status fo_block_txn(fo_block *block, fo_slice txn, uint8_t **copy)
    fo_block_status fo_block_record(fo_block *block, uint8_t *txn, size_t txn_length,
                                    const fo_block_body *body)
    uint32_t fo_block_finish(fo_block *block, const uint8_t *head, size_t length)
