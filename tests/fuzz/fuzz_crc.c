/* CRCs of bytes in many parts, each part a heap buffer of its own, at every ISA level: always the
 * bitwise sum; and a changed bit is always seen. */
#include "crc_impl.h"
#include "fuzz.h"

enum { KINDS = 3, PARTS_MAX = 8 };

static const uint64_t REFLECTED[KINDS] = {0xEDB88320, 0x82F63B78, UINT64_C(0x9A6C9329AC4BC9B5)};

static uint64_t bitwise(int kind, const bytes *of)
{
    const uint64_t ones = kind == 2 ? UINT64_MAX : UINT32_MAX;
    uint64_t state = ones;
    for (size_t at = 0; at < of->length; at++) {
        state ^= of->at[at];
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (state & 1 ? REFLECTED[kind] : 0);
    }
    return state ^ ones;
}

static uint64_t kernel(int kind, uint64_t value, const uint8_t *at, size_t length)
{
    if (kind == 0)
        return fo_crc32((uint32_t)value, at, length);
    if (kind == 1)
        return fo_crc32c((uint32_t)value, at, length);
    return fo_crc64nvme(value, at, length);
}

/* The same part for all three sums, at some distance from the begin of its buffer. */
static void add_part(uint64_t sums[KINDS], const uint8_t *from, size_t length)
{
    const size_t shift = random_below(32);
    const bytes part = make(shift + length);
    if (length)
        memcpy(part.at + shift, from, length);
    for (int kind = 0; kind < KINDS; kind++)
        sums[kind] = kernel(kind, sums[kind], part.at + shift, length);
    free(part.at);
}

static void check_level(const bytes *of, const uint64_t expected[KINDS])
{
    uint64_t sums[KINDS] = {0};
    size_t done = 0;
    for (size_t parts = random_below(PARTS_MAX); parts; parts--) {
        const size_t size = random_below(of->length - done + 1);
        add_part(sums, of->at + done, size);
        done += size;
    }
    add_part(sums, of->at + done, of->length - done);
    for (int kind = 0; kind < KINDS; kind++)
        expect(sums[kind] == expected[kind], fo_crc_isa(), of->length);
}

static void check_flip(const bytes *of, const uint64_t expected[KINDS])
{
    if (!of->length)
        return;
    const bytes other = copy(of->at, of->length);
    other.at[random_below(other.length)] ^= (uint8_t)(1 << random_below(8));
    for (int kind = 0; kind < KINDS; kind++)
        expect(kernel(kind, 0, other.at, other.length) != expected[kind], "flip", other.length);
    free(other.at);
}

static void one_round(void)
{
    bytes input = random_bytes(random_below(random_below(20) ? 600 : 6000));
    damage(&input, NULL, 0);
    uint64_t expected[KINDS];
    for (int kind = 0; kind < KINDS; kind++)
        expected[kind] = bitwise(kind, &input);
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_crc_init() != FO_CPU_OK)
            continue;
        check_level(&input, expected);
        check_flip(&input, expected);
    }
    free(input.at);
}

int main(int count, char **arguments)
{
    (void)count;
    return fuzz(arguments, one_round);
}
