/* The AVX-512 code of the digest kernel on any machine, by avx512_model/immintrin.h: random lanes
 * advance as the portable code advances each alone. */
#include "digest_md5.h"
#include "digest_sha256.h"
#include "drive.h"

#define BLOCKS_MAX 5

static uint8_t *inputs[FO_LANES_MAX];
static uint32_t states[FO_LANES_MAX][8], expected[FO_LANES_MAX][8];
static fo_lane lanes[FO_LANES_MAX];

/* Some lanes repeat the first, as lanes without a stream do. */
static void make_lanes(size_t lane_count, size_t block_count)
{
    const size_t stream_count = 1 + random_below(lane_count);
    for (size_t lane = 0; lane < lane_count; lane++) {
        const size_t shift = random_below(64), length = block_count * FO_DIGEST_BLOCK_BYTES;
        inputs[lane] = allocate(shift + length);
        for (size_t at = 0; at < shift + length; at++)
            inputs[lane][at] = (uint8_t)(random_word() >> 32);
        for (int word = 0; word < 8; word++)
            states[lane][word] = expected[lane][word] = (uint32_t)(random_word() >> 16);
        lanes[lane] =
            lane < stream_count ? (fo_lane){states[lane], inputs[lane] + shift} : lanes[0];
    }
}

static void check(const char *name, fo_compress *alone, fo_compress_lanes *together,
                  size_t lane_count, size_t word_count)
{
    const size_t block_count = 1 + random_below(BLOCKS_MAX);
    make_lanes(lane_count, block_count);
    together(lanes, block_count);
    for (size_t lane = 0; lane < lane_count; lane++) {
        if (lanes[lane].state == states[lane])
            alone(expected[lane], lanes[lane].at, block_count);
        expect(!memcmp(states[lane], expected[lane], 4 * word_count), name, lane);
        free(inputs[lane]);
    }
}

static void one_round(void)
{
    check("md5 16", fo_md5_compress, fo_md5_compress_avx512_16, 16, 4);
    check("md5 32", fo_md5_compress, fo_md5_compress_avx512_32, 32, 4);
    check("sha256 16", fo_sha256_compress_generic, fo_sha256_compress_avx512_16, 16, 8);
}

int main(int count, char **arguments)
{
    (void)count;
    return drive(arguments, one_round);
}
