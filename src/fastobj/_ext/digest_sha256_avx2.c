/* SHA-256 of 8 streams with AVX2, for machines without SHA instructions. */
#include "digest_sha256.h"

#if FO_X86_64
#include "digest_avx2.h"

#define ADD(x, y) _mm256_add_epi32(x, y)
#define XOR(x, y) _mm256_xor_si256(x, y)
#define RIGHT(x, n) _mm256_srli_epi32(x, n)
#define LEFT(x, n) _mm256_slli_epi32(x, n)
/* A rotation is two shifts, whose results have no bit in common: so ^ will do for |. */
#define ROTATE(x, n) XOR(RIGHT(x, n), LEFT(x, 32 - n))
#define SUM_0(x) XOR(XOR(ROTATE(x, 2), ROTATE(x, 13)), ROTATE(x, 22))
#define SUM_1(x) XOR(XOR(ROTATE(x, 6), ROTATE(x, 11)), ROTATE(x, 25))
#define SIGMA_0(x) XOR(XOR(ROTATE(x, 7), ROTATE(x, 18)), RIGHT(x, 3))
#define SIGMA_1(x) XOR(XOR(ROTATE(x, 17), ROTATE(x, 19)), RIGHT(x, 10))
#define CHOICE(e, f, g) XOR(g, _mm256_and_si256(e, XOR(f, g)))

/* The majority of a, b and c is b ^ ((a ^ b) & (b ^ c)), and b ^ c was a ^ b in the round before.
 */
#define ROUND(a, b, c, d, e, f, g, h, word)                                                        \
    h = ADD(h, ADD(words[word], _mm256_set1_epi32((int)constants[word])));                         \
    h = ADD(h, ADD(CHOICE(e, f, g), SUM_1(e)));                                                    \
    d = ADD(d, h);                                                                                 \
    difference = XOR(a, b);                                                                        \
    h = ADD(h, ADD(SUM_0(a), XOR(b, _mm256_and_si256(difference, last_difference))));              \
    last_difference = difference;

#define ROUND_OF_NEXT_WORD(a, b, c, d, e, f, g, h, word)                                           \
    words[word] = ADD(ADD(words[word], words[(word + 9) & 15]),                                    \
                      ADD(SIGMA_0(words[(word + 1) & 15]), SIGMA_1(words[(word + 14) & 15])));     \
    ROUND(a, b, c, d, e, f, g, h, word)

FO_AVX2 static inline void load_words(const fo_lane *lanes, size_t offset, __m256i words[16])
{
    const __m256i in_words = _mm256_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203,
                                               0x0c0d0e0f08090a0b, 0x0405060700010203);
    fo_load_blocks_8(lanes, offset, words);
    for (int word = 0; word < 16; word++)
        words[word] = _mm256_shuffle_epi8(words[word], in_words);
}

FO_AVX2 static inline void add_block(__m256i state[8], __m256i words[16])
{
    const uint32_t *constants = fo_sha256_round_constants;
    __m256i a = state[0], b = state[1], c = state[2], d = state[3];
    __m256i e = state[4], f = state[5], g = state[6], h = state[7];
    __m256i difference, last_difference = XOR(b, c);
    FO_SHA256_SIXTEEN_ROUNDS(ROUND)
    for (int round = 16; round < 64; round += 16) {
        constants += 16;
        FO_SHA256_SIXTEEN_ROUNDS(ROUND_OF_NEXT_WORD)
    }
    state[0] = ADD(state[0], a), state[1] = ADD(state[1], b);
    state[2] = ADD(state[2], c), state[3] = ADD(state[3], d);
    state[4] = ADD(state[4], e), state[5] = ADD(state[5], f);
    state[6] = ADD(state[6], g), state[7] = ADD(state[7], h);
}

FO_AVX2 void fo_sha256_compress_avx2_8(const fo_lane *lanes, size_t block_count)
{
    __m256i state[FO_SHA256_WORDS], words[16];
    fo_lanes_gather((uint32_t *)state, lanes, FO_AVX2_LANES, FO_SHA256_WORDS);
    for (size_t block = 0; block < block_count; block++) {
        load_words(lanes, block * FO_SHA256_BLOCK_BYTES, words);
        add_block(state, words);
    }
    fo_lanes_scatter((const uint32_t *)state, lanes, FO_AVX2_LANES, FO_SHA256_WORDS);
}
#endif
