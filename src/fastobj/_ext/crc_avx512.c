/* CRC by folding with VPCLMULQDQ: crc_sse42.c, four blocks per register and four registers. Less
 * than STEP bytes, and what is left behind the last step, take the narrow code. */
#include "crc_fold.h"
#include "fo_common.h"

#if FO_X86_64
#include <immintrin.h>

#define TARGET FO_TARGET("avx512f,avx512bw,avx512dq,avx512vl,pclmul,vpclmulqdq")
#define STEP ((size_t)256)
#define XOR_OF_THREE 0x96 /* truth table of a ^ b ^ c; an immediate even without optimisation */

TARGET static inline __m512i load(const uint8_t *at)
{
    return _mm512_loadu_si512(at);
}

TARGET static inline __m512i fold(__m512i blocks, __m512i multipliers, __m512i next)
{
    const __m512i first = _mm512_clmulepi64_epi128(blocks, multipliers, 0x00);
    const __m512i second = _mm512_clmulepi64_epi128(blocks, multipliers, 0x11);
    return _mm512_ternarylogic_epi64(first, second, next, XOR_OF_THREE);
}

TARGET static inline __m512i multipliers(const fo_crc_polynomial *polynomial,
                                         fo_fold_distance distance)
{
    const void *pair = polynomial->fold[distance];
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)pair));
}

/* One register (512 bits) to one block: each lane is folded onto the last one, whose multiplier is
 * nought because it is there already. */
TARGET static inline __m128i fold_lanes(const fo_crc_polynomial *polynomial, __m512i blocks)
{
    const uint64_t (*by)[2] = polynomial->fold;
    const __m512i to_last =
        _mm512_set_epi64(0, 0, (long long)by[FO_FOLD_128][1], (long long)by[FO_FOLD_128][0],
                         (long long)by[FO_FOLD_256][1], (long long)by[FO_FOLD_256][0],
                         (long long)by[FO_FOLD_384][1], (long long)by[FO_FOLD_384][0]);
    const __m512i last = _mm512_maskz_mov_epi64(0xC0, blocks);
    const __m512i folded = fold(blocks, to_last, last);
    const __m256i half =
        _mm256_xor_si256(_mm512_castsi512_si256(folded), _mm512_extracti64x4_epi64(folded, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* `length` is a multiple of STEP and not 0. */
TARGET static __m128i fold_steps(const fo_crc_polynomial *polynomial, uint64_t state,
                                 const uint8_t *at, size_t length)
{
    const __m512i far = multipliers(polynomial, FO_FOLD_2048);
    const __m512i near = multipliers(polynomial, FO_FOLD_512);
    const __m512i carried = _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)state));
    __m512i a = _mm512_xor_si512(load(at), carried);
    __m512i b = load(at + 64), c = load(at + 128), d = load(at + 192);
    for (at += STEP, length -= STEP; length; at += STEP, length -= STEP) {
        a = fold(a, far, load(at));
        b = fold(b, far, load(at + 64));
        c = fold(c, far, load(at + 128));
        d = fold(d, far, load(at + 192));
    }
    return fold_lanes(polynomial, fold(fold(fold(a, near, b), near, c), near, d));
}

TARGET uint64_t fo_crc_update_avx512(const fo_crc_polynomial *polynomial, uint64_t state,
                                     const uint8_t *at, size_t length)
{
    const size_t wide = length - length % STEP;
    if (wide) {
        uint8_t left[16];
        _mm_storeu_si128((__m128i *)left, fold_steps(polynomial, state, at, wide));
        state = fo_crc_update_generic(polynomial, 0, left, sizeof left);
    }
    return fo_crc_update_sse42(polynomial, state, at + wide, length - wide);
}
#endif
