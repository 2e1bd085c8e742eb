/* Random transactions and bodies to the blocks kernel: what fits is written, what does not is not.
 */
#include "blocks_impl.h"
#include "crc_impl.h"
#include "drive.h"

#define BODIES_MAX 4

static uint8_t *random_bytes(size_t length)
{
    uint8_t *bytes = allocate(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)random_word();
    return bytes;
}

static size_t random_length(void)
{
    return random_below(random_below(8) ? 100 : 5000);
}

static void add_body(fo_block *block, uint8_t *txn, size_t txn_length)
{
    const size_t length = random_length(), hint_length = random_below(70);
    uint8_t *content = random_bytes(length), *hint = random_bytes(hint_length);
    uint8_t *data_id = random_bytes(FO_PACKED_DATA_ID_BYTES);
    const fo_block_body body = {
        .body = {length ? content : NULL, length},
        .hint = {hint_length ? hint : NULL, hint_length},
        .data_id = data_id,
        .crc = fo_crc32c(0, content, length) ^ !random_below(20),
        .location_at = random_below(8) ? random_below(txn_length + 8) : (size_t)random_word(),
        .counter_at = random_below(8) ? random_below(txn_length + 8) : (size_t)random_word(),
    };
    const fo_block before = *block;
    const fo_block_status status = fo_block_record(block, txn, txn_length, &body);
    if (status == FO_BLOCK_OK) {
        const uint8_t *head = block->at + before.records_end;
        expect(!memcmp(head, "FOBR", 4), "magic", length);
        expect(!memcmp(head + FO_PACKED_HEAD_BYTES, content, length), "body", length);
        expect(body.location_at + FO_LOCATION_BYTES <= txn_length, "location", txn_length);
        expect(block->records_end % FO_RECORD_ALIGN_BYTES == 0, "alignment", length);
    } else {
        expect(block->records_end == before.records_end, "no room taken", length);
    }
    free(content);
    free(hint);
    free(data_id);
}

static void add_transaction(fo_block *block)
{
    const size_t length = random_length();
    uint8_t *txn = random_bytes(length), *copy = NULL;
    const fo_block before = *block;
    if (fo_block_txn(block, (fo_slice){length ? txn : NULL, length}, &copy) == FO_BLOCK_OK) {
        expect(fo_load_le32(copy - 4) == length, "prefix", length);
        for (size_t left = random_below(BODIES_MAX); left; left--)
            add_body(block, copy, length);
    } else {
        expect(block->txns_end == before.txns_end, "no room taken", length);
    }
    if (!random_below(5))
        *block = before;
    free(txn);
}

static void one_round(void)
{
    fo_block block = {.room = 8 * (16 + random_below(2000)), .segment = random_word()};
    block.records_offset = FO_BLOCK_HEAD_BYTES + 8 * random_below(block.room / 8 - 15);
    block.at = allocate(block.room);
    fo_block_begin(&block);
    for (size_t left = random_below(20); left; left--)
        add_transaction(&block);
    uint8_t *head = random_bytes(FO_BLOCK_HEAD_BYTES);
    fo_store_le32(head + FO_BLOCK_CRC_AT, 0);
    const size_t spare = block.room - block.records_end;
    const uint32_t crc = fo_block_finish(&block, head, block.room - random_below(spare + 1));
    expect(fo_load_le32(block.at + FO_BLOCK_CRC_AT) == crc, "sum", block.records);
    free(head);
    free(block.at);
}

int main(int count, char **arguments)
{
    (void)count;
    if (fo_crc_init() != FO_CPU_OK)
        return 2;
    return drive(arguments, one_round);
}
