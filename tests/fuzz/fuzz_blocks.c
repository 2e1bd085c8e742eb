/* Transactions with bodies whose places, lengths and sums are near the bounds or wrong: each is
 * written exactly where all of it fits, and refused else without a byte outside its room. */
#include "blocks_impl.h"
#include "crc_impl.h"
#include "fuzz.h"

static size_t near_bound(size_t bound)
{
    if (!random_below(4))
        return (size_t)BOUNDARIES[random_below(BOUNDARY_COUNT)];
    return bound + 2 - random_below(5); /* wraps around at 0, as a wrong place may */
}

static int fits(size_t at, size_t length, size_t whole)
{
    return length <= whole && at <= whole - length;
}

static void add_body(fo_block *block, uint8_t *txn, size_t txn_length)
{
    const bytes content = random_bytes(random_below(random_below(8) ? 300 : 5000));
    const bytes hint = random_bytes(random_below(200) ? random_below(40) : 65530 + random_below(9));
    const bytes data_id = random_bytes(FO_PACKED_DATA_ID_BYTES);
    const uint32_t wrong = random_below(16) == 0;
    const size_t location_end = txn_length - FO_LOCATION_BYTES;
    const size_t counter_end = txn_length - FO_COUNTER_KEY_BYTES;
    const fo_block_body body = {
        .body = {content.at, content.length},
        .hint = {hint.at, hint.length},
        .data_id = data_id.at,
        .crc = fo_crc32c(0, content.at, content.length) ^ wrong,
        .location_at = random_below(3) ? 0 : near_bound(location_end),
        .counter_at = random_below(3) ? 0 : near_bound(counter_end),
    };
    const size_t size = (FO_PACKED_HEAD_BYTES + content.length + hint.length + 7) & ~(size_t)7;
    const int is_right = fits(body.location_at, FO_LOCATION_BYTES, txn_length) &&
                         fits(body.counter_at, FO_COUNTER_KEY_BYTES, txn_length) &&
                         hint.length <= UINT16_MAX && size <= block->room - block->records_end &&
                         !wrong;
    const size_t end = block->records_end;
    const fo_block_status status = fo_block_record(block, txn, txn_length, &body);
    expect((status == FO_BLOCK_OK) == is_right, "refused or written", status);
    expect(block->records_end == end + (is_right ? size : 0), "end of the records", size);
    free(content.at);
    free(hint.at);
    free(data_id.at);
}

static void one_round(void)
{
    const bytes txn = random_bytes(random_below(200));
    const size_t gap = FO_TXN_PREFIX_BYTES + txn.length + 2 - random_below(5);
    fo_block block = {.records_offset = FO_BLOCK_HEAD_BYTES + (gap < 1000 ? gap : 0)};
    block.room = block.records_offset + random_below(random_below(4) ? 1000 : 80000);
    block.at = allocate(block.room);
    fo_block_begin(&block);
    uint8_t *copied = NULL;
    const size_t left = block.records_offset - FO_BLOCK_HEAD_BYTES;
    const fo_slice slice = {txn.at, txn.length};
    const fo_block_status status = fo_block_txn(&block, slice, &copied);
    expect((status == FO_BLOCK_OK) == (left >= FO_TXN_PREFIX_BYTES + txn.length), "room", left);
    if (status == FO_BLOCK_OK)
        for (size_t bodies = random_below(4); bodies; bodies--)
            add_body(&block, copied, txn.length);
    const bytes head = random_bytes(FO_BLOCK_HEAD_BYTES);
    fo_block_finish(&block, head.at, block.records_end);
    free(head.at);
    free(block.at);
    free(txn.at);
}

int main(int count, char **arguments)
{
    (void)count;
    if (fo_crc_init() != FO_CPU_OK)
        return 2;
    return fuzz(arguments, one_round);
}
