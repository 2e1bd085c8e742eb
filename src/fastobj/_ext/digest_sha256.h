/* SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104) for every kernel that hashes. One stream at a
 * time needs digest_sha256.c and digest_sha_ni.c alone. */
#ifndef FO_DIGEST_SHA256_H
#define FO_DIGEST_SHA256_H

#include "digest_lanes.h"
#include "fo_cpu.h"

#define FO_SHA256_BYTES 32
#define FO_SHA256_WORDS 8
#define FO_SHA256_BLOCK_BYTES FO_DIGEST_BLOCK_BYTES

typedef fo_running fo_sha256;

typedef struct {
    fo_sha256 inner, outer;
} fo_hmac;

/* Chooses the code for this CPU; must precede every other call. To be repeated as fo_crc_init. */
fo_cpu_status fo_sha256_init(void);

/* Name of the chosen code: "generic" or "sha_ni". */
const char *fo_sha256_isa(void);

void fo_sha256_start(fo_sha256 *hash);
void fo_sha256_add(fo_sha256 *hash, const void *bytes, size_t length);
void fo_sha256_finish(fo_sha256 *hash, uint8_t digest[FO_SHA256_BYTES]);

/* The key is `prefix` and `key` put together ("AWS4" and the secret), without a copy of both. */
void fo_hmac_start(fo_hmac *mac, fo_slice prefix, fo_slice key);
void fo_hmac_add(fo_hmac *mac, const void *bytes, size_t length);
void fo_hmac_finish(fo_hmac *mac, uint8_t digest[FO_SHA256_BYTES]);

/* Inner. */
fo_compress fo_sha256_compress_generic;
fo_compress fo_sha256_compress_sha_ni;
fo_compress_lanes fo_sha256_compress_sha_ni_2;
fo_compress_lanes fo_sha256_compress_avx2_8;
fo_compress_lanes fo_sha256_compress_avx512_16;
extern const uint32_t fo_sha256_round_constants[64];
extern const uint32_t fo_sha256_initial_state[FO_SHA256_WORDS];

/* Sixteen rounds for the files of lanes, which define ROUND(a, b, c, d, e, f, g, h, word): each
 * leaves its sum in `h`, which is the `a` of the next. */
/* clang-format off */
#define FO_SHA256_SIXTEEN_ROUNDS(ROUND) \
    ROUND(a, b, c, d, e, f, g, h, 0) \
    ROUND(h, a, b, c, d, e, f, g, 1) \
    ROUND(g, h, a, b, c, d, e, f, 2) \
    ROUND(f, g, h, a, b, c, d, e, 3) \
    ROUND(e, f, g, h, a, b, c, d, 4) \
    ROUND(d, e, f, g, h, a, b, c, 5) \
    ROUND(c, d, e, f, g, h, a, b, 6) \
    ROUND(b, c, d, e, f, g, h, a, 7) \
    ROUND(a, b, c, d, e, f, g, h, 8) \
    ROUND(h, a, b, c, d, e, f, g, 9) \
    ROUND(g, h, a, b, c, d, e, f, 10) \
    ROUND(f, g, h, a, b, c, d, e, 11) \
    ROUND(e, f, g, h, a, b, c, d, 12) \
    ROUND(d, e, f, g, h, a, b, c, 13) \
    ROUND(c, d, e, f, g, h, a, b, 14) \
    ROUND(b, c, d, e, f, g, h, a, 15)
/* clang-format on */

#endif
