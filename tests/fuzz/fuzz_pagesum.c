/* Pages of databases: the sum is always the bitwise one over number and content, a changed bit or
 * another number is always seen, and a page of zeros was never written. */
#include "pagesum_impl.h"

#include "crc_impl.h"
#include "fuzz.h"

static uint32_t bitwise(uint32_t number, const uint8_t *page)
{
    uint32_t state = UINT32_MAX;
    for (size_t at = 0; at < 4 + FO_PAGE_BYTES - FO_PAGE_RESERVED_BYTES; at++) {
        state ^= at < 4 ? (uint8_t)(number >> (8 * at)) : page[at - 4];
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (state & 1 ? 0x82F63B78u : 0);
    }
    return ~state;
}

static void check_page(uint8_t *page, uint32_t number)
{
    const uint8_t *reserved = page + FO_PAGE_BYTES - FO_PAGE_RESERVED_BYTES;
    fo_page_stamp(page, number);
    const uint32_t sum = bitwise(number, page);
    for (int at = 0; at < FO_PAGE_RESERVED_BYTES; at++)
        expect(reserved[at] == (at < 4 ? (uint8_t)(sum >> (8 * at)) : 0), "reserved", (size_t)at);
    expect(fo_page_verifies(page, number), "verifies", number);
    expect(!fo_page_verifies(page, number + 1 + (uint32_t)random_below(9)), "number", number);
    page[random_below(FO_PAGE_BYTES)] ^= (uint8_t)(1 << random_below(8));
    expect(!fo_page_verifies(page, number), "flip", number);
}

static void one_round(void)
{
    const uint32_t number = 1 + (uint32_t)random_below(random_below(2) ? 9 : UINT32_MAX - 20);
    const bytes page = random_below(4) ? random_bytes(FO_PAGE_BYTES) : make(FO_PAGE_BYTES);
    if (!random_below(4))
        memset(page.at, 0, page.length);
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_crc_init() == FO_CPU_OK)
            check_page(page.at, number);
    }
    memset(page.at, 0, page.length);
    expect(fo_page_verifies(page.at, number), "never written", number);
    free(page.at);
    expect(fo_pagesum_register("any", NULL) < 0, "registered without SQLite", 0);
}

int main(int count, char **arguments)
{
    (void)count;
    return fuzz(arguments, one_round);
}
