/* CRC by folding with PCLMULQDQ (Gopal and others, "Fast CRC Computation for Generic Polynomials
 * Using PCLMULQDQ Instruction", Intel 2009): a block of 16 bytes is replaced by one of equal
 * remainder further on. What is left at the end, 16 bytes, goes through the tables. */
#include "crc_fold.h"
#include "fo_common.h"

#if FO_X86_64
#include <immintrin.h>

#define TARGET FO_TARGET("sse4.2,pclmul")

TARGET static inline __m128i load(const void *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* `next` plus `block` folded onto it, over the distance that `multipliers` stand for. */
TARGET static inline __m128i fold(__m128i block, __m128i multipliers, __m128i next)
{
    const __m128i first = _mm_clmulepi64_si128(block, multipliers, 0x00);
    const __m128i second = _mm_clmulepi64_si128(block, multipliers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

/* Four blocks at a time hide the latency of the multiplier. `blocks` are at `at` - 64. */
TARGET static inline __m128i fold_by_four(const fo_crc_polynomial *polynomial, __m128i blocks[4],
                                          const uint8_t **at, size_t *length)
{
    const __m128i far = load(polynomial->fold[FO_FOLD_512]);
    const __m128i near = load(polynomial->fold[FO_FOLD_128]);
    __m128i a = blocks[0], b = blocks[1], c = blocks[2], d = blocks[3];
    for (; *length >= 64; *at += 64, *length -= 64) {
        a = fold(a, far, load(*at));
        b = fold(b, far, load(*at + 16));
        c = fold(c, far, load(*at + 32));
        d = fold(d, far, load(*at + 48));
    }
    return fold(fold(fold(a, near, b), near, c), near, d);
}

/* The first block carries the register, and 64 bytes or more are reduced to one block. */
TARGET static inline __m128i start(const fo_crc_polynomial *polynomial, uint64_t state,
                                   const uint8_t **at, size_t *length)
{
    __m128i blocks[4];
    blocks[0] = _mm_xor_si128(load(*at), _mm_cvtsi64_si128((long long)state));
    if (*length < 64) {
        *at += 16, *length -= 16;
        return blocks[0];
    }
    for (int i = 1; i < 4; i++)
        blocks[i] = load(*at + 16 * i);
    *at += 64, *length -= 64;
    return fold_by_four(polynomial, blocks, at, length);
}

TARGET uint64_t fo_crc_update_sse42(const fo_crc_polynomial *polynomial, uint64_t state,
                                    const uint8_t *at, size_t length)
{
    if (length < 16)
        return fo_crc_update_generic(polynomial, state, at, length);
    const __m128i near = load(polynomial->fold[FO_FOLD_128]);
    __m128i block = start(polynomial, state, &at, &length);
    for (; length >= 16; at += 16, length -= 16)
        block = fold(block, near, load(at));
    uint8_t left[16];
    _mm_storeu_si128((__m128i *)left, block);
    state = fo_crc_update_generic(polynomial, 0, left, sizeof left);
    return fo_crc_update_generic(polynomial, state, at, length);
}
#endif
