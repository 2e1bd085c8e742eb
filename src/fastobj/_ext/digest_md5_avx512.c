/* MD5 of 16 streams, and of 32 as two groups of 16, with AVX-512: digest_md5_avx2.c, with one
 * instruction for each of F, G, H and I and one for each rotation. */
#include "digest_md5.h"

#if FO_X86_64
#include "digest_avx512.h"

typedef struct {
    __m512i a, b, c, d;
} group;

#define TABLE_F FO_FIRST_CHOOSES
#define TABLE_G FO_LAST_CHOOSES
#define TABLE_H FO_XOR_OF_THREE
#define TABLE_I 0x39 /* c ^ (b | ~d) */

#define STEP_OF(words, function, a, b, c, d, word, constant, count)                                \
    a = _mm512_add_epi32(a, _mm512_add_epi32(words[word], _mm512_set1_epi32((int)constant)));      \
    FO_HOLD_VECTOR(a);                                                                             \
    a = _mm512_add_epi32(a, _mm512_ternarylogic_epi32(b, c, d, TABLE_##function));                 \
    a = _mm512_add_epi32(_mm512_rol_epi32(a, count), b);

#define STEP(function, a, b, c, d, word, constant, count)                                          \
    STEP_OF(words, function, s.a, s.b, s.c, s.d, word, constant, count)

#define STEP_OF_TWO(function, a, b, c, d, word, constant, count)                                   \
    STEP_OF(words[0], function, s.a, s.b, s.c, s.d, word, constant, count)                         \
    STEP_OF(words[1], function, t.a, t.b, t.c, t.d, word, constant, count)

FO_AVX512 static group load_states(const fo_lane *lanes)
{
    uint32_t words[FO_MD5_WORDS][FO_AVX512_LANES];
    fo_lanes_gather(words[0], lanes, FO_AVX512_LANES, FO_MD5_WORDS);
    return (group){_mm512_loadu_si512(words[0]), _mm512_loadu_si512(words[1]),
                   _mm512_loadu_si512(words[2]), _mm512_loadu_si512(words[3])};
}

FO_AVX512 static void store_states(group s, const fo_lane *lanes)
{
    uint32_t words[FO_MD5_WORDS][FO_AVX512_LANES];
    _mm512_storeu_si512(words[0], s.a);
    _mm512_storeu_si512(words[1], s.b);
    _mm512_storeu_si512(words[2], s.c);
    _mm512_storeu_si512(words[3], s.d);
    fo_lanes_scatter(words[0], lanes, FO_AVX512_LANES, FO_MD5_WORDS);
}

FO_AVX512 static inline group sum_of(group s, group t)
{
    return (group){_mm512_add_epi32(s.a, t.a), _mm512_add_epi32(s.b, t.b),
                   _mm512_add_epi32(s.c, t.c), _mm512_add_epi32(s.d, t.d)};
}

FO_AVX512 void fo_md5_compress_avx512_16(const fo_lane *lanes, size_t block_count)
{
    group s = load_states(lanes);
    for (size_t block = 0; block < block_count; block++) {
        __m512i words[16];
        const group before = s;
        fo_load_blocks_16(lanes, block * FO_DIGEST_BLOCK_BYTES, words);
        FO_MD5_STEPS(STEP)
        s = sum_of(s, before);
    }
    store_states(s, lanes);
}

FO_AVX512 void fo_md5_compress_avx512_32(const fo_lane *lanes, size_t block_count)
{
    group s = load_states(lanes), t = load_states(lanes + FO_AVX512_LANES);
    for (size_t block = 0; block < block_count; block++) {
        __m512i words[2][16];
        const group s_before = s, t_before = t;
        fo_load_blocks_16(lanes, block * FO_DIGEST_BLOCK_BYTES, words[0]);
        fo_load_blocks_16(lanes + FO_AVX512_LANES, block * FO_DIGEST_BLOCK_BYTES, words[1]);
        FO_MD5_STEPS(STEP_OF_TWO)
        s = sum_of(s, s_before), t = sum_of(t, t_before);
    }
    store_states(s, lanes);
    store_states(t, lanes + FO_AVX512_LANES);
}
#endif
