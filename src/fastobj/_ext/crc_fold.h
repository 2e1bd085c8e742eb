/* Inner interface of the crc kernel: one polynomial, and the update functions that share it.
 *
 * All three CRCs are reflected, and all run as CRCs of width 64. For a polynomial P of degree 32
 * the register holds the CRC of Q(x) = P(x) * x^32: since M*x^64 mod Q = x^32 * (M*x^32 mod P), its
 * low 32 bits are the CRC of P and its high 32 bits stay zero. So one code serves three CRCs. */
#ifndef FO_CRC_FOLD_H
#define FO_CRC_FOLD_H

#include <stddef.h>
#include <stdint.h>

/* Distances in bits over which blocks are folded. */
typedef enum {
    FO_FOLD_128,
    FO_FOLD_256,
    FO_FOLD_384,
    FO_FOLD_512,
    FO_FOLD_2048,
    FO_FOLD_COUNT
} fo_fold_distance;

typedef struct {
    uint64_t table[8][256];          /* slicing by 8: table[i] advances a byte over i more bytes */
    uint64_t fold[FO_FOLD_COUNT][2]; /* multipliers of the first and second half of a block */
} fo_crc_polynomial;

/* Advances the bare register (no inversion) over the bytes. */
typedef uint64_t fo_crc_update(const fo_crc_polynomial *polynomial, uint64_t state,
                               const uint8_t *at, size_t length);

fo_crc_update fo_crc_update_generic;
fo_crc_update fo_crc_update_sse42;
fo_crc_update fo_crc_update_avx512;

#endif
