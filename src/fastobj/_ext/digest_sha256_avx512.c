/* SHA-256 of 16 streams with AVX-512: digest_sha256_avx2.c, with one instruction for each rotation
 * and for each sum of three bits. */
#include "digest_sha256.h"

#if FO_X86_64
#include "digest_avx512.h"

#define ADD(x, y) _mm512_add_epi32(x, y)
#define TERNARY(x, y, z, table) _mm512_ternarylogic_epi32(x, y, z, table)
#define ROTATE(x, n) _mm512_ror_epi32(x, n)
#define SUM_0(x) TERNARY(ROTATE(x, 2), ROTATE(x, 13), ROTATE(x, 22), FO_XOR_OF_THREE)
#define SUM_1(x) TERNARY(ROTATE(x, 6), ROTATE(x, 11), ROTATE(x, 25), FO_XOR_OF_THREE)
#define SIGMA_0(x) TERNARY(ROTATE(x, 7), ROTATE(x, 18), _mm512_srli_epi32(x, 3), FO_XOR_OF_THREE)
#define SIGMA_1(x) TERNARY(ROTATE(x, 17), ROTATE(x, 19), _mm512_srli_epi32(x, 10), FO_XOR_OF_THREE)

#define ROUND(a, b, c, d, e, f, g, h, word)                                                        \
    h = ADD(h, ADD(words[word], _mm512_set1_epi32((int)constants[word])));                         \
    h = ADD(h, ADD(TERNARY(e, f, g, FO_FIRST_CHOOSES), SUM_1(e)));                                 \
    d = ADD(d, h);                                                                                 \
    h = ADD(h, ADD(SUM_0(a), TERNARY(a, b, c, FO_MAJORITY)));

#define ROUND_OF_NEXT_WORD(a, b, c, d, e, f, g, h, word)                                           \
    words[word] = ADD(ADD(words[word], words[(word + 9) & 15]),                                    \
                      ADD(SIGMA_0(words[(word + 1) & 15]), SIGMA_1(words[(word + 14) & 15])));     \
    ROUND(a, b, c, d, e, f, g, h, word)

FO_AVX512 static inline void load_words(const fo_lane *lanes, size_t offset, __m512i words[16])
{
    const __m512i in_words = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    fo_load_blocks_16(lanes, offset, words);
    for (int word = 0; word < 16; word++)
        words[word] = _mm512_shuffle_epi8(words[word], in_words);
}

FO_AVX512 static inline void add_block(__m512i state[8], __m512i words[16])
{
    const uint32_t *constants = fo_sha256_round_constants;
    __m512i a = state[0], b = state[1], c = state[2], d = state[3];
    __m512i e = state[4], f = state[5], g = state[6], h = state[7];
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

FO_AVX512 void fo_sha256_compress_avx512_16(const fo_lane *lanes, size_t block_count)
{
    __m512i state[FO_SHA256_WORDS], words[16];
    fo_lanes_gather((uint32_t *)state, lanes, FO_AVX512_LANES, FO_SHA256_WORDS);
    for (size_t block = 0; block < block_count; block++) {
        load_words(lanes, block * FO_SHA256_BLOCK_BYTES, words);
        add_block(state, words);
    }
    fo_lanes_scatter((const uint32_t *)state, lanes, FO_AVX512_LANES, FO_SHA256_WORDS);
}
#endif
