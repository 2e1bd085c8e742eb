/* SHA-256 in portable C, HMAC over it, and the choice of the block function. */
#include "digest_sha256.h"

#include <stdio.h>
#include <stdlib.h>

/* FIPS 180-4, 4.2.2: fractions of the cube roots of the first 64 primes (tests derive them). */
_Alignas(16) const uint32_t fo_sha256_round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* FIPS 180-4, 5.3.3: fractions of the square roots of the first 8 primes. */
static const uint32_t INITIAL_STATE[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline uint32_t rotate_right(uint32_t word, int count)
{
    return (word >> count) | (word << (32 - count));
}

static void expand(uint32_t schedule[64], const uint8_t *block)
{
    for (int i = 0; i < 16; i++)
        schedule[i] = fo_load_be32(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        const uint32_t far = schedule[i - 15], near = schedule[i - 2];
        const uint32_t sigma0 = rotate_right(far, 7) ^ rotate_right(far, 18) ^ (far >> 3);
        const uint32_t sigma1 = rotate_right(near, 17) ^ rotate_right(near, 19) ^ (near >> 10);
        schedule[i] = schedule[i - 16] + sigma0 + schedule[i - 7] + sigma1;
    }
}

static void compress_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t schedule[64];
    expand(schedule, block);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        const uint32_t sum1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
        const uint32_t choice = (e & f) ^ (~e & g);
        const uint32_t first = h + sum1 + choice + fo_sha256_round_constants[i] + schedule[i];
        const uint32_t sum0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
        const uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
        h = g, g = f, f = e, e = d + first;
        d = c, c = b, b = a, a = first + sum0 + majority;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void fo_sha256_compress_generic(uint32_t state[8], const uint8_t *at, size_t block_count)
{
    for (; block_count; block_count--, at += FO_SHA256_BLOCK_BYTES)
        compress_block(state, at);
}

/* In place until fo_sha256_init: a kernel that forgot it must not get a wrong digest. */
static void compress_without_init(uint32_t state[8], const uint8_t *at, size_t block_count)
{
    (void)state, (void)at, (void)block_count;
    fputs("fastobj: SHA-256 used before fo_sha256_init()\n", stderr);
    abort();
}

static fo_sha256_compress *compress = compress_without_init;
static const char *isa = "none";

fo_cpu_status fo_sha256_init(void)
{
    unsigned features = 0;
    const fo_cpu_status status = fo_cpu_probe(&features);
    if (status != FO_CPU_OK)
        return status;
    compress = fo_sha256_compress_generic;
    isa = "generic";
#if FO_X86_64
    if (fo_cpu_has(features, FO_CPU_SSE42 | FO_CPU_SHA_NI)) {
        compress = fo_sha256_compress_sha_ni;
        isa = "sha_ni";
    }
#endif
    return FO_CPU_OK;
}

const char *fo_sha256_isa(void)
{
    return isa;
}

void fo_sha256_start(fo_sha256 *hash)
{
    memcpy(hash->state, INITIAL_STATE, sizeof INITIAL_STATE);
    hash->length = 0;
}

void fo_sha256_add(fo_sha256 *hash, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    const size_t waiting = hash->length % FO_SHA256_BLOCK_BYTES;
    hash->length += length;
    if (waiting) {
        const size_t room = FO_SHA256_BLOCK_BYTES - waiting;
        const size_t taken = length < room ? length : room;
        fo_append(hash->block + waiting, at, taken);
        if (taken < room)
            return;
        compress(hash->state, hash->block, 1);
        at += taken, length -= taken;
    }
    const size_t whole = length / FO_SHA256_BLOCK_BYTES;
    if (whole)
        compress(hash->state, at, whole);
    fo_append(hash->block, at + whole * FO_SHA256_BLOCK_BYTES, length % FO_SHA256_BLOCK_BYTES);
}

void fo_sha256_finish(fo_sha256 *hash, uint8_t digest[FO_SHA256_BYTES])
{
    size_t used = hash->length % FO_SHA256_BLOCK_BYTES;
    hash->block[used++] = 0x80;
    if (used > FO_SHA256_BLOCK_BYTES - 8) {
        memset(hash->block + used, 0, FO_SHA256_BLOCK_BYTES - used);
        compress(hash->state, hash->block, 1);
        used = 0;
    }
    memset(hash->block + used, 0, FO_SHA256_BLOCK_BYTES - 8 - used);
    fo_store_be64(hash->block + FO_SHA256_BLOCK_BYTES - 8, hash->length * 8);
    compress(hash->state, hash->block, 1);
    for (int i = 0; i < 8; i++)
        fo_store_be32(digest + 4 * i, hash->state[i]);
}

/* RFC 2104: a key longer than a block is replaced by its digest, a shorter one padded by nought. */
static void block_of_key(uint8_t block[FO_SHA256_BLOCK_BYTES], fo_slice prefix, fo_slice key)
{
    memset(block, 0, FO_SHA256_BLOCK_BYTES);
    if (prefix.length <= FO_SHA256_BLOCK_BYTES &&
        key.length <= FO_SHA256_BLOCK_BYTES - prefix.length) {
        fo_append(fo_append(block, prefix.at, prefix.length), key.at, key.length);
        return;
    }
    fo_sha256 hash;
    fo_sha256_start(&hash);
    fo_sha256_add(&hash, prefix.at, prefix.length);
    fo_sha256_add(&hash, key.at, key.length);
    fo_sha256_finish(&hash, block);
}

static void start_padded(fo_sha256 *hash, const uint8_t block[FO_SHA256_BLOCK_BYTES], uint8_t pad)
{
    uint8_t padded[FO_SHA256_BLOCK_BYTES];
    for (int i = 0; i < FO_SHA256_BLOCK_BYTES; i++)
        padded[i] = block[i] ^ pad;
    fo_sha256_start(hash);
    fo_sha256_add(hash, padded, sizeof padded);
}

void fo_hmac_start(fo_hmac *mac, fo_slice prefix, fo_slice key)
{
    uint8_t block[FO_SHA256_BLOCK_BYTES];
    block_of_key(block, prefix, key);
    start_padded(&mac->inner, block, 0x36);
    start_padded(&mac->outer, block, 0x5c);
}

void fo_hmac_add(fo_hmac *mac, const void *bytes, size_t length)
{
    fo_sha256_add(&mac->inner, bytes, length);
}

void fo_hmac_finish(fo_hmac *mac, uint8_t digest[FO_SHA256_BYTES])
{
    fo_sha256_finish(&mac->inner, digest);
    fo_sha256_add(&mac->outer, digest, FO_SHA256_BYTES);
    fo_sha256_finish(&mac->outer, digest);
}
