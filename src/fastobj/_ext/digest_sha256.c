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
const uint32_t fo_sha256_initial_state[FO_SHA256_WORDS] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline uint32_t rotate_right(uint32_t word, int count)
{
    return (word >> count) | (word << (32 - count));
}

static inline uint32_t sum_0(uint32_t word)
{
    return rotate_right(word, 2) ^ rotate_right(word, 13) ^ rotate_right(word, 22);
}

static inline uint32_t sum_1(uint32_t word)
{
    return rotate_right(word, 6) ^ rotate_right(word, 11) ^ rotate_right(word, 25);
}

static inline uint32_t sigma_0(uint32_t word)
{
    return rotate_right(word, 7) ^ rotate_right(word, 18) ^ (word >> 3);
}

static inline uint32_t sigma_1(uint32_t word)
{
    return rotate_right(word, 17) ^ rotate_right(word, 19) ^ (word >> 10);
}

#define ROUND(a, b, c, d, e, f, g, h, word)                                                        \
    h += constants[word] + words[word] + sum_1(e) + (g ^ (e & (f ^ g)));                           \
    d += h;                                                                                        \
    h += sum_0(a) + ((a & b) | (c & (a | b)));

/* The schedule: each word is wanted sixteen times, and then makes room for the one that is next. */
#define ROUND_OF_NEXT_WORD(a, b, c, d, e, f, g, h, word)                                           \
    words[word] += sigma_0(words[(word + 1) & 15]) + words[(word + 9) & 15] +                      \
                   sigma_1(words[(word + 14) & 15]);                                               \
    ROUND(a, b, c, d, e, f, g, h, word)

static void compress_block(uint32_t state[8], const uint8_t *block)
{
    const uint32_t *constants = fo_sha256_round_constants;
    uint32_t words[16];
    for (int word = 0; word < 16; word++)
        words[word] = fo_load_be32(block + 4 * word);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    FO_SHA256_SIXTEEN_ROUNDS(ROUND)
    for (int round = 16; round < 64; round += 16) {
        constants += 16;
        FO_SHA256_SIXTEEN_ROUNDS(ROUND_OF_NEXT_WORD)
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void fo_sha256_compress_generic(uint32_t *state, const uint8_t *at, size_t block_count)
{
    for (; block_count; block_count--, at += FO_SHA256_BLOCK_BYTES)
        compress_block(state, at);
}

/* In place until fo_sha256_init: a kernel that forgot it must not get a wrong digest. */
static void compress_without_init(uint32_t *state, const uint8_t *at, size_t block_count)
{
    (void)state, (void)at, (void)block_count;
    fputs("fastobj: SHA-256 used before fo_sha256_init()\n", stderr);
    abort();
}

static fo_compress *compress = compress_without_init;
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
    memcpy(hash->state, fo_sha256_initial_state, sizeof fo_sha256_initial_state);
    hash->length = 0;
}

void fo_sha256_add(fo_sha256 *hash, const void *bytes, size_t length)
{
    fo_running_add(hash, compress, bytes, length);
}

void fo_sha256_finish(fo_sha256 *hash, uint8_t digest[FO_SHA256_BYTES])
{
    fo_running_finish(hash, compress, digest, FO_SHA256_WORDS, 1);
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
