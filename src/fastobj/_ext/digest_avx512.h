/* What the AVX-512 files of the digest kernel share: sixteen lanes in a register. */
#ifndef FO_DIGEST_AVX512_H
#define FO_DIGEST_AVX512_H

#include "digest_lanes.h"

#include <immintrin.h>

#define FO_AVX512 FO_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#define FO_AVX512_LANES 16

/* Truth tables for _mm512_ternarylogic_epi32, of three operands in their order. */
#define FO_XOR_OF_THREE 0x96
#define FO_FIRST_CHOOSES 0xCA /* the second operand where the first has a one, else the third */
#define FO_LAST_CHOOSES 0xE4  /* the first operand where the last has a one, else the second */
#define FO_MAJORITY 0xE8

/* Four rows of sixteen words to columns, within each quarter of the register. */
FO_AVX512 static inline void fo_columns_of_four_rows(const __m512i rows[4], __m512i columns[4])
{
    const __m512i low_01 = _mm512_unpacklo_epi32(rows[0], rows[1]);
    const __m512i high_01 = _mm512_unpackhi_epi32(rows[0], rows[1]);
    const __m512i low_23 = _mm512_unpacklo_epi32(rows[2], rows[3]);
    const __m512i high_23 = _mm512_unpackhi_epi32(rows[2], rows[3]);
    columns[0] = _mm512_unpacklo_epi64(low_01, low_23);
    columns[1] = _mm512_unpackhi_epi64(low_01, low_23);
    columns[2] = _mm512_unpacklo_epi64(high_01, high_23);
    columns[3] = _mm512_unpackhi_epi64(high_01, high_23);
}

/* Four registers whose quarters are rows of quarters, to columns: words[0], [4], [8], [12]. */
FO_AVX512 static inline void fo_columns_of_quarters(__m512i a, __m512i b, __m512i c, __m512i d,
                                                    __m512i *words)
{
    const __m512i low_ab = _mm512_shuffle_i32x4(a, b, 0x44);
    const __m512i low_cd = _mm512_shuffle_i32x4(c, d, 0x44);
    const __m512i high_ab = _mm512_shuffle_i32x4(a, b, 0xEE);
    const __m512i high_cd = _mm512_shuffle_i32x4(c, d, 0xEE);
    words[0] = _mm512_shuffle_i32x4(low_ab, low_cd, 0x88);
    words[4] = _mm512_shuffle_i32x4(low_ab, low_cd, 0xDD);
    words[8] = _mm512_shuffle_i32x4(high_ab, high_cd, 0x88);
    words[12] = _mm512_shuffle_i32x4(high_ab, high_cd, 0xDD);
}

FO_AVX512 static inline void fo_load_four(const fo_lane *lanes, size_t offset, __m512i columns[4])
{
    const __m512i rows[4] = {
        _mm512_loadu_si512(lanes[0].at + offset),
        _mm512_loadu_si512(lanes[1].at + offset),
        _mm512_loadu_si512(lanes[2].at + offset),
        _mm512_loadu_si512(lanes[3].at + offset),
    };
    fo_columns_of_four_rows(rows, columns);
}

/* A block of each lane, word by word. */
FO_AVX512 static inline void fo_load_blocks_16(const fo_lane *lanes, size_t offset,
                                               __m512i words[16])
{
    __m512i a[4], b[4], c[4], d[4];
    fo_load_four(lanes, offset, a);
    fo_load_four(lanes + 4, offset, b);
    fo_load_four(lanes + 8, offset, c);
    fo_load_four(lanes + 12, offset, d);
    fo_columns_of_quarters(a[0], b[0], c[0], d[0], words);
    fo_columns_of_quarters(a[1], b[1], c[1], d[1], words + 1);
    fo_columns_of_quarters(a[2], b[2], c[2], d[2], words + 2);
    fo_columns_of_quarters(a[3], b[3], c[3], d[3], words + 3);
}

#endif
