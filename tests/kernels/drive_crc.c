/* Random inputs to the crc kernel at every ISA level, against a bitwise sum. */
#include "crc_impl.h"
#include "drive.h"

typedef struct {
    int width;
    uint64_t reflected;
} kind;

static const kind KINDS[] = {
    {32, 0xEDB88320},
    {32, 0x82F63B78},
    {64, 0x9A6C9329AC4BC9B5},
};

static uint64_t bitwise(const kind *of, uint64_t value, const uint8_t *at, size_t length)
{
    const uint64_t ones = of->width == 64 ? UINT64_MAX : UINT32_MAX;
    uint64_t state = value ^ ones;
    for (; length; at++, length--) {
        state ^= *at;
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (state & 1 ? of->reflected : 0);
    }
    return state ^ ones;
}

static uint64_t kernel(int which, uint64_t value, const uint8_t *at, size_t length)
{
    if (which == 0)
        return fo_crc32((uint32_t)value, at, length);
    if (which == 1)
        return fo_crc32c((uint32_t)value, at, length);
    return fo_crc64nvme(value, at, length);
}

/* In one call and in two, from a buffer that ends where the input does. */
static void check(const uint8_t *at, size_t length, const uint64_t expected[3])
{
    const size_t cut = random_below(length + 1);
    for (int which = 0; which < 3; which++) {
        expect(kernel(which, 0, at, length) == expected[which], fo_crc_isa(), length);
        const uint64_t first = kernel(which, 0, at, cut);
        const uint64_t both = kernel(which, first, at + cut, length - cut);
        expect(both == expected[which], "parts", cut);
    }
}

static void one_round(void)
{
    const size_t alignment = random_below(64);
    const size_t length = random_below(random_below(20) ? 1500 : 20000);
    uint8_t *buffer = allocate(alignment + length);
    for (size_t i = 0; i < alignment + length; i++)
        buffer[i] = (uint8_t)random_word();
    uint64_t expected[3];
    for (int which = 0; which < 3; which++)
        expected[which] = bitwise(&KINDS[which], 0, buffer + alignment, length);
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_crc_init() == FO_CPU_OK)
            check(buffer + alignment, length, expected);
    }
    free(buffer);
}

int main(int count, char **arguments)
{
    (void)count;
    return drive(arguments, one_round);
}
