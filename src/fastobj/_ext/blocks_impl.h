/* One block of the log in the making: transactions grow from its head, records from an offset
 * behind the room kept for them. Nothing here knows of Python.
 *
 * A record is its head (fo_packed.h), the body, the hint, and zeros up to a multiple of 8. */
#ifndef FO_BLOCKS_IMPL_H
#define FO_BLOCKS_IMPL_H

#include "fo_common.h"
#include "fo_packed.h"

enum {
    FO_BLOCK_HEAD_BYTES = 128,
    FO_BLOCK_CRC_AT = 100,
    FO_RECORD_ALIGN_BYTES = 8,
    FO_TXN_PREFIX_BYTES = 4,
    FO_LOCATION_BYTES = 32,
    FO_COUNTER_KEY_BYTES = 8,
};

typedef enum {
    FO_BLOCK_OK,
    FO_BLOCK_NO_ROOM,  /* it does not fit the room kept for it */
    FO_BLOCK_OUTSIDE,  /* a place in a transaction lies outside it */
    FO_BLOCK_CHECKSUM, /* the body is not the one that was summed */
} fo_block_status;

/* The block. `at` has `room` bytes; where it will stand is the same for all of its records. */
typedef struct {
    uint8_t *at;
    size_t room;
    size_t records_offset; /* transactions end before it */
    size_t txns_end;
    size_t records_end;
    uint32_t records;
    uint32_t volume;
    uint64_t segment;
    uint32_t generation;
    uint64_t offset; /* in the segment */
    uint8_t counter_key[FO_COUNTER_KEY_BYTES];
} fo_block;

/* A body, and where its place goes in its transaction: the location of its record (32 bytes), and
 * the key of the counter of what lives in the segment (8 bytes). */
typedef struct {
    fo_slice body;
    fo_slice hint;
    const uint8_t *data_id;
    uint32_t crc;
    size_t location_at;
    size_t counter_at;
} fo_block_body;

/* Begins a block without transactions and records; the caller has filled in all but the ends. */
void fo_block_begin(fo_block *block);

/* Appends a transaction behind its length; *copy is where it stands, open to be written. */
fo_block_status fo_block_txn(fo_block *block, fo_slice txn, uint8_t **copy);

/* Appends the record of a body, and writes its place into the transaction at `txn`. */
fo_block_status fo_block_record(fo_block *block, uint8_t *txn, size_t txn_length,
                                const fo_block_body *body);

/* Puts the head (its CRC as zero) before it all and zeros into what is left up to `length`, a
 * multiple of whole pages within the room; writes and returns the CRC. */
uint32_t fo_block_finish(fo_block *block, const uint8_t *head, size_t length);

#endif
