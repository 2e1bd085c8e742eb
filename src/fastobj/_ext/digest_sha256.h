/* SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104) for every kernel that hashes. */
#ifndef FO_DIGEST_SHA256_H
#define FO_DIGEST_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "fo_common.h"
#include "fo_cpu.h"

#define FO_SHA256_BYTES 32
#define FO_SHA256_BLOCK_BYTES 64

typedef struct {
    uint32_t state[8];
    uint64_t length; /* bytes so far; the last length % 64 of them wait in `block` */
    uint8_t block[FO_SHA256_BLOCK_BYTES];
} fo_sha256;

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

/* Inner: advances the state over whole blocks. */
typedef void fo_sha256_compress(uint32_t state[8], const uint8_t *at, size_t block_count);
fo_sha256_compress fo_sha256_compress_generic;
fo_sha256_compress fo_sha256_compress_sha_ni;
extern const uint32_t fo_sha256_round_constants[64];

#endif
