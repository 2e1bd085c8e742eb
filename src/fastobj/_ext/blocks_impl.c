#include "blocks_impl.h"

#include "crc_impl.h"

static uint8_t *put32(uint8_t *out, uint32_t word)
{
    fo_store_le32(out, word);
    return out + 4;
}

static uint8_t *put64(uint8_t *out, uint64_t word)
{
    fo_store_le64(out, word);
    return out + 8;
}

static size_t aligned(size_t length)
{
    const size_t align = FO_RECORD_ALIGN_BYTES;
    return (length + align - 1) & ~(align - 1);
}

void fo_block_begin(fo_block *block)
{
    block->txns_end = FO_BLOCK_HEAD_BYTES;
    block->records_end = block->records_offset;
    block->records = 0;
}

fo_block_status fo_block_txn(fo_block *block, fo_slice txn, uint8_t **copy)
{
    const size_t left = block->records_offset - block->txns_end;
    if (left < FO_TXN_PREFIX_BYTES || left - FO_TXN_PREFIX_BYTES < txn.length)
        return FO_BLOCK_NO_ROOM;
    *copy = put32(block->at + block->txns_end, (uint32_t)txn.length);
    fo_append(*copy, txn.at, txn.length);
    block->txns_end += FO_TXN_PREFIX_BYTES + txn.length;
    return FO_BLOCK_OK;
}

/* The 32 bytes of a location: volume, segment, generation, offset, length of the body. */
static void put_location(const fo_block *block, uint8_t *out, uint64_t length)
{
    out = put32(out, block->volume);
    out = put64(out, block->segment);
    out = put32(out, block->generation);
    out = put64(out, block->offset + block->records_end);
    put64(out, length);
}

static uint8_t *put_head(const fo_block *block, uint8_t *head, const fo_block_body *body)
{
    const uint32_t kind = FO_PACKED_SUM_CRC32C | (uint32_t)body->hint.length << 16;
    fo_store_le32(head, FO_PACKED_MAGIC);
    fo_store_le32(head + FO_PACKED_AT_SUM_KIND, kind);
    memcpy(head + FO_PACKED_AT_DATA_ID, body->data_id, FO_PACKED_DATA_ID_BYTES);
    fo_store_le64(head + FO_PACKED_AT_SEGMENT, block->segment);
    fo_store_le32(head + FO_PACKED_AT_GENERATION, block->generation);
    fo_store_le32(head + FO_PACKED_AT_SUM, body->crc);
    fo_store_le64(head + FO_PACKED_AT_LENGTH, body->body.length);
    return head + FO_PACKED_HEAD_BYTES;
}

static int lies_outside(size_t at, size_t length, size_t whole)
{
    return at > whole || whole - at < length;
}

fo_block_status fo_block_record(fo_block *block, uint8_t *txn, size_t txn_length,
                                const fo_block_body *body)
{
    const size_t left = block->room - block->records_end;
    if (lies_outside(body->location_at, FO_LOCATION_BYTES, txn_length) ||
        lies_outside(body->counter_at, FO_COUNTER_KEY_BYTES, txn_length))
        return FO_BLOCK_OUTSIDE;
    if (body->hint.length > UINT16_MAX || body->body.length > left)
        return FO_BLOCK_NO_ROOM;
    const size_t content = FO_PACKED_HEAD_BYTES + body->body.length + body->hint.length;
    const size_t size = aligned(content);
    if (size > left)
        return FO_BLOCK_NO_ROOM;
    uint8_t *const head = block->at + block->records_end;
    uint8_t *out = put_head(block, head, body);
    out = fo_append(out, body->body.at, body->body.length);
    out = fo_append(out, body->hint.at, body->hint.length);
    memset(out, 0, size - content);
    /* Over the copy: what is summed here is what is written. */
    if (fo_crc32c(0, head + FO_PACKED_HEAD_BYTES, body->body.length) != body->crc)
        return FO_BLOCK_CHECKSUM;
    put_location(block, txn + body->location_at, body->body.length);
    memcpy(txn + body->counter_at, block->counter_key, FO_COUNTER_KEY_BYTES);
    block->records_end += size;
    block->records++;
    return FO_BLOCK_OK;
}

/* Goes on over the heads and hints of all records. */
static uint32_t crc_of_records(const fo_block *block, uint32_t crc)
{
    const uint8_t *at = block->at + block->records_offset;
    for (uint32_t i = 0; i < block->records; i++) {
        const size_t hint = fo_load_le32(at + FO_PACKED_AT_SUM_KIND) >> 16;
        const size_t body = (size_t)fo_load_le64(at + FO_PACKED_AT_LENGTH);
        crc = fo_crc32c(crc, at, FO_PACKED_HEAD_BYTES);
        crc = fo_crc32c(crc, at + FO_PACKED_HEAD_BYTES + body, hint);
        at += aligned(FO_PACKED_HEAD_BYTES + body + hint);
    }
    return crc;
}

uint32_t fo_block_finish(fo_block *block, const uint8_t *head, size_t length)
{
    memcpy(block->at, head, FO_BLOCK_HEAD_BYTES);
    memset(block->at + block->txns_end, 0, block->records_offset - block->txns_end);
    memset(block->at + block->records_end, 0, length - block->records_end);
    const uint32_t crc = crc_of_records(block, fo_crc32c(0, block->at, block->txns_end));
    fo_store_le32(block->at + FO_BLOCK_CRC_AT, crc);
    return crc;
}
