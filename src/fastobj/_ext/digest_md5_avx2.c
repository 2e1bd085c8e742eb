/* MD5 of 8 streams, and of 16 as two groups of 8, with AVX2. A group waits for its own last step
 * half of the time, which the other one uses. */
#include "digest_md5.h"

#if FO_X86_64
#include "digest_avx2.h"

typedef struct {
    __m256i a, b, c, d;
} group;

#define ADD(x, y) x = _mm256_add_epi32(x, y)
#define ADD_F(a, b, c, d) ADD(a, _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d))))
/* As in digest_md5.c: the sum of terms without a common bit, the first of which needs no `b`. */
#define ADD_G(a, b, c, d)                                                                          \
    ADD(a, _mm256_andnot_si256(d, c));                                                             \
    FO_HOLD_VECTOR(a);                                                                             \
    ADD(a, _mm256_and_si256(b, d))
#define ADD_H(a, b, c, d) ADD(a, _mm256_xor_si256(_mm256_xor_si256(c, d), b))
#define ADD_I(a, b, c, d) ADD(a, _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, ones))))

#define STEP_OF(words, function, a, b, c, d, word, constant, count)                                \
    ADD(a, _mm256_add_epi32(words[word], _mm256_set1_epi32((int)constant)));                       \
    FO_HOLD_VECTOR(a);                                                                             \
    ADD_##function(a, b, c, d);                                                                    \
    a = _mm256_add_epi32(FO_ROTATE_LEFT_8(a, count), b);

#define STEP(function, a, b, c, d, word, constant, count)                                          \
    STEP_OF(words, function, s.a, s.b, s.c, s.d, word, constant, count)

#define STEP_OF_TWO(function, a, b, c, d, word, constant, count)                                   \
    STEP_OF(words[0], function, s.a, s.b, s.c, s.d, word, constant, count)                         \
    STEP_OF(words[1], function, t.a, t.b, t.c, t.d, word, constant, count)

FO_AVX2 static group load_states(const fo_lane *lanes)
{
    uint32_t words[FO_MD5_WORDS][FO_AVX2_LANES];
    fo_lanes_gather(words[0], lanes, FO_AVX2_LANES, FO_MD5_WORDS);
    return (group){
        _mm256_loadu_si256((const __m256i *)words[0]),
        _mm256_loadu_si256((const __m256i *)words[1]),
        _mm256_loadu_si256((const __m256i *)words[2]),
        _mm256_loadu_si256((const __m256i *)words[3]),
    };
}

FO_AVX2 static void store_states(group s, const fo_lane *lanes)
{
    uint32_t words[FO_MD5_WORDS][FO_AVX2_LANES];
    _mm256_storeu_si256((__m256i *)words[0], s.a);
    _mm256_storeu_si256((__m256i *)words[1], s.b);
    _mm256_storeu_si256((__m256i *)words[2], s.c);
    _mm256_storeu_si256((__m256i *)words[3], s.d);
    fo_lanes_scatter(words[0], lanes, FO_AVX2_LANES, FO_MD5_WORDS);
}

FO_AVX2 static inline group sum_of(group s, group t)
{
    return (group){_mm256_add_epi32(s.a, t.a), _mm256_add_epi32(s.b, t.b),
                   _mm256_add_epi32(s.c, t.c), _mm256_add_epi32(s.d, t.d)};
}

FO_AVX2 void fo_md5_compress_avx2_8(const fo_lane *lanes, size_t block_count)
{
    const __m256i ones = _mm256_set1_epi32(-1);
    group s = load_states(lanes);
    for (size_t block = 0; block < block_count; block++) {
        __m256i words[16];
        const group before = s;
        fo_load_blocks_8(lanes, block * FO_DIGEST_BLOCK_BYTES, words);
        FO_MD5_STEPS(STEP)
        s = sum_of(s, before);
    }
    store_states(s, lanes);
}

FO_AVX2 void fo_md5_compress_avx2_16(const fo_lane *lanes, size_t block_count)
{
    const __m256i ones = _mm256_set1_epi32(-1);
    group s = load_states(lanes), t = load_states(lanes + FO_AVX2_LANES);
    for (size_t block = 0; block < block_count; block++) {
        __m256i words[2][16];
        const group s_before = s, t_before = t;
        fo_load_blocks_8(lanes, block * FO_DIGEST_BLOCK_BYTES, words[0]);
        fo_load_blocks_8(lanes + FO_AVX2_LANES, block * FO_DIGEST_BLOCK_BYTES, words[1]);
        FO_MD5_STEPS(STEP_OF_TWO)
        s = sum_of(s, s_before), t = sum_of(t, t_before);
    }
    store_states(s, lanes);
    store_states(t, lanes + FO_AVX2_LANES);
}
#endif
