/* A stripe on the heap, and Reed-Solomon over GF(2^8) bit by bit, for drive_rs.c and fuzz_rs.c.
 * The environment names the library: FASTOBJ_TEST_ISAL. */
#ifndef STRIPE_H
#define STRIPE_H

#include "drive.h"
#include "rs_impl.h"

typedef struct {
    fo_rs_codec codec;
    unsigned data_count, total;
    size_t length;
    uint8_t *shards[FO_RS_SHARDS_MAX]; /* each a buffer of its own, of exactly its size */
} stripe;

static inline uint8_t gf_times(uint8_t left, uint8_t right)
{
    unsigned product = 0, shifted = left;
    for (; right; right >>= 1, shifted = shifted << 1 ^ (shifted & 0x80 ? 0x11D : 0))
        product ^= right & 1 ? shifted : 0;
    return (uint8_t)product;
}

static inline uint8_t gf_inverse(uint8_t value)
{
    uint8_t power = 1; /* value^254 */
    for (int times = 0; times < 254; times++)
        power = gf_times(power, value);
    return power;
}

/* Byte `at` of a parity shard, from the data shards. */
static inline uint8_t parity_byte(const stripe *of, unsigned shard, size_t at)
{
    uint8_t sum = 0;
    for (unsigned column = 0; column < of->data_count; column++)
        sum ^= gf_times(gf_inverse((uint8_t)(shard ^ column)), of->shards[column][at]);
    return sum;
}

/* Some bytes of each parity shard: all would take seconds. */
static inline void expect_parity(const stripe *of)
{
    for (unsigned shard = of->data_count; shard < of->total && of->length; shard++)
        for (int times = 0; times < 4; times++) {
            const size_t at = times ? random_below(of->length) : of->length - 1;
            expect(of->shards[shard][at] == parity_byte(of, shard, at), "parity", at);
        }
}

static inline void bind_library(void)
{
    char why[300] = "";
    const char *path = getenv("FASTOBJ_TEST_ISAL");
    static stripe unbound;
    expect(fo_rs_init(&unbound.codec, 2, 1) == FO_RS_NOT_BOUND, "not bound", 0);
    expect(fo_rs_bind("/nowhere.so", why, 10) == FO_RS_NOT_LOADED, "no such file", 0);
    expect(strlen(why) == 9, "a reason cut to its size", strlen(why));
    if (!path || fo_rs_bind(path, why, sizeof why) != FO_RS_OK) {
        fprintf(stderr, "FASTOBJ_TEST_ISAL: %s %s\n", path ? path : "is not set", why);
        exit(1);
    }
}

/* Parity is written by the kernel. */
static inline stripe make_stripe(void)
{
    stripe made;
    made.data_count = 1 + (unsigned)random_below(FO_RS_SHARDS_MAX - 1);
    const unsigned parity = 1 + (unsigned)random_below(FO_RS_SHARDS_MAX - made.data_count);
    made.total = made.data_count + parity;
    made.length = random_below(random_below(10) ? 200 : 5000);
    expect(fo_rs_init(&made.codec, made.data_count, parity) == FO_RS_OK, "layout", made.total);
    for (unsigned shard = 0; shard < made.total; shard++) {
        made.shards[shard] = allocate(made.length);
        for (size_t at = 0; at < made.length; at++)
            made.shards[shard][at] = (uint8_t)(random_word() >> 32);
    }
    fo_rs_encode(&made.codec, made.length, made.shards, made.shards + made.data_count);
    return made;
}

static inline void free_stripe(stripe *of)
{
    for (unsigned shard = 0; shard < of->total; shard++)
        free(of->shards[shard]);
}

/* `of` with each shard replaced whose bit is set; the old ones are returned. */
static inline stripe replace(stripe *of, uint32_t lost)
{
    stripe old = *of;
    for (unsigned shard = 0; shard < of->total; shard++)
        if (lost >> shard & 1) {
            of->shards[shard] = allocate(of->length);
            memset(of->shards[shard], 0xEE, of->length);
        }
    return old;
}

static inline uint32_t random_subset(unsigned total, unsigned count)
{
    uint32_t subset = 0;
    while (count) {
        const uint32_t bit = UINT32_C(1) << random_below(total);
        count -= !(subset & bit);
        subset |= bit;
    }
    return subset;
}

/* Loses `lost`, gets `wanted` of it back, and compares; the others are not written to. */
static inline void lose_and_find(stripe *of, uint32_t lost, uint32_t wanted)
{
    const stripe old = replace(of, lost);
    const uint32_t present = ((UINT32_C(1) << of->total) - 1) & ~lost;
    const int is_enough = __builtin_popcount(present) >= (int)of->data_count;
    const fo_rs_status status =
        fo_rs_reconstruct(&of->codec, of->length, of->shards, present, wanted & lost);
    expect(status == (is_enough ? FO_RS_OK : FO_RS_TOO_FEW), "status", (size_t)-status);
    for (unsigned shard = 0; shard < of->total; shard++) {
        if (!(lost >> shard & 1))
            continue;
        const int is_back = is_enough && wanted >> shard & 1;
        for (size_t at = 0; at < of->length; at++)
            expect(of->shards[shard][at] == (is_back ? old.shards[shard][at] : 0xEE), "lost", at);
        free(of->shards[shard]);
        of->shards[shard] = old.shards[shard];
    }
}

#endif
