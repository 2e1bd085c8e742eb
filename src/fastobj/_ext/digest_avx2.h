/* What the AVX2 files of the digest kernel share: eight lanes in a register. */
#ifndef FO_DIGEST_AVX2_H
#define FO_DIGEST_AVX2_H

#include "digest_lanes.h"

#include <immintrin.h>

#define FO_AVX2 FO_TARGET("avx2")
#define FO_AVX2_LANES 8
#define FO_ROTATE_LEFT_8(v, n)                                                                     \
    _mm256_or_si256(_mm256_slli_epi32(v, n), _mm256_srli_epi32(v, 32 - n))

/* Four rows of eight words to columns, within each half of the register. */
FO_AVX2 static inline void fo_columns_of_four(const __m256i rows[4], __m256i columns[4])
{
    const __m256i low_01 = _mm256_unpacklo_epi32(rows[0], rows[1]);
    const __m256i high_01 = _mm256_unpackhi_epi32(rows[0], rows[1]);
    const __m256i low_23 = _mm256_unpacklo_epi32(rows[2], rows[3]);
    const __m256i high_23 = _mm256_unpackhi_epi32(rows[2], rows[3]);
    columns[0] = _mm256_unpacklo_epi64(low_01, low_23);
    columns[1] = _mm256_unpackhi_epi64(low_01, low_23);
    columns[2] = _mm256_unpacklo_epi64(high_01, high_23);
    columns[3] = _mm256_unpackhi_epi64(high_01, high_23);
}

FO_AVX2 static inline __m256i fo_load_8(const fo_lane *lane, size_t offset)
{
    return _mm256_loadu_si256((const __m256i *)(lane->at + offset));
}

/* Half a block of each lane, from `offset` on, word by word. */
FO_AVX2 static inline void fo_load_half_blocks(const fo_lane *lanes, size_t offset,
                                               __m256i words[8])
{
    const __m256i rows[8] = {
        fo_load_8(&lanes[0], offset), fo_load_8(&lanes[1], offset), fo_load_8(&lanes[2], offset),
        fo_load_8(&lanes[3], offset), fo_load_8(&lanes[4], offset), fo_load_8(&lanes[5], offset),
        fo_load_8(&lanes[6], offset), fo_load_8(&lanes[7], offset),
    };
    __m256i low[4], high[4];
    fo_columns_of_four(rows, low);
    fo_columns_of_four(rows + 4, high);
    words[0] = _mm256_permute2x128_si256(low[0], high[0], 0x20);
    words[1] = _mm256_permute2x128_si256(low[1], high[1], 0x20);
    words[2] = _mm256_permute2x128_si256(low[2], high[2], 0x20);
    words[3] = _mm256_permute2x128_si256(low[3], high[3], 0x20);
    words[4] = _mm256_permute2x128_si256(low[0], high[0], 0x31);
    words[5] = _mm256_permute2x128_si256(low[1], high[1], 0x31);
    words[6] = _mm256_permute2x128_si256(low[2], high[2], 0x31);
    words[7] = _mm256_permute2x128_si256(low[3], high[3], 0x31);
}

FO_AVX2 static inline void fo_load_blocks_8(const fo_lane *lanes, size_t offset, __m256i words[16])
{
    fo_load_half_blocks(lanes, offset, words);
    fo_load_half_blocks(lanes, offset + 32, words + 8);
}

#endif
