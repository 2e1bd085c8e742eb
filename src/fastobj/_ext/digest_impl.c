/* The table of the algorithms, and the choice of their code. */
#include "digest_impl.h"

#include "digest_md5.h"
#include "digest_schedule.h"
#include "digest_sha1.h"
#include "digest_sha256.h"

#include <stdio.h>
#include <stdlib.h>

#define SHA_NI (FO_CPU_SSE42 | FO_CPU_SHA_NI)
#define END_OF_ROWS {NULL, 0, 0}

/* benchmarks/digest.py shows from how many streams on a row pays. */
static const fo_lane_row NO_ROWS[] = {END_OF_ROWS};
static const fo_lane_row MD5_ROWS[] = {{fo_md5_compress_2, 2, 2}, END_OF_ROWS};
#if FO_X86_64
static const fo_lane_row MD5_AVX2_ROWS[] = {
    {fo_md5_compress_avx2_16, 16, 9},
    {fo_md5_compress_avx2_8, 8, 3},
    {fo_md5_compress_2, 2, 2},
    END_OF_ROWS,
};
static const fo_lane_row MD5_AVX512_ROWS[] = {
    {fo_md5_compress_avx512_32, 32, 17},
    {fo_md5_compress_avx512_16, 16, 3},
    {fo_md5_compress_2, 2, 2},
    END_OF_ROWS,
};
static const fo_lane_row SHA_NI_ROWS[] = {{fo_sha256_compress_sha_ni_2, 2, 2}, END_OF_ROWS};
static const fo_lane_row SHA256_AVX2_ROWS[] = {{fo_sha256_compress_avx2_8, 8, 2}, END_OF_ROWS};
static const fo_lane_row SHA256_AVX512_ROWS[] = {
    {fo_sha256_compress_avx512_16, 16, 2},
    END_OF_ROWS,
};
#endif

/* The best first; the last one needs nothing. */
static const fo_code MD5_CODE[] = {
#if FO_X86_64
    {"avx512", FO_CPU_AVX512, fo_md5_compress, MD5_AVX512_ROWS},
    {"avx2", FO_CPU_AVX2, fo_md5_compress, MD5_AVX2_ROWS},
#endif
    {"generic", 0, fo_md5_compress, MD5_ROWS},
};
static const fo_code SHA1_CODE[] = {
#if FO_X86_64
    {"sha_ni", SHA_NI, fo_sha1_compress_sha_ni, NO_ROWS},
#endif
    {"generic", 0, fo_sha1_compress, NO_ROWS},
};
static const fo_code SHA256_CODE[] = {
#if FO_X86_64
    {"sha_ni", SHA_NI, fo_sha256_compress_sha_ni, SHA_NI_ROWS},
    {"avx512", FO_CPU_AVX512, fo_sha256_compress_generic, SHA256_AVX512_ROWS},
    {"avx2", FO_CPU_AVX2, fo_sha256_compress_generic, SHA256_AVX2_ROWS},
#endif
    {"generic", 0, fo_sha256_compress_generic, NO_ROWS},
};

static const fo_code *const CODE[FO_DIGEST_COUNT] = {
    [FO_MD5] = MD5_CODE,
    [FO_SHA1] = SHA1_CODE,
    [FO_SHA256] = SHA256_CODE,
};

/* RFC 1321, 3.3; FIPS 180-4, 5.3.1. */
static const uint32_t MD5_INITIAL_STATE[FO_MD5_WORDS] = {
    0x67452301,
    0xefcdab89,
    0x98badcfe,
    0x10325476,
};
static const uint32_t SHA1_INITIAL_STATE[FO_SHA1_WORDS] = {
    0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0,
};

static const fo_algorithm ALGORITHMS[FO_DIGEST_COUNT] = {
    [FO_MD5] = {FO_MD5_WORDS, 0, MD5_INITIAL_STATE},
    [FO_SHA1] = {FO_SHA1_WORDS, 1, SHA1_INITIAL_STATE},
    [FO_SHA256] = {FO_SHA256_WORDS, 1, fo_sha256_initial_state},
};

/* In place until fo_digest_init: a kernel that forgot it must not get a wrong digest. */
static void compress_without_init(uint32_t *state, const uint8_t *at, size_t block_count)
{
    (void)state, (void)at, (void)block_count;
    fputs("fastobj: digest used before fo_digest_init()\n", stderr);
    abort();
}

static const fo_code WITHOUT_INIT = {"none", 0, compress_without_init, NO_ROWS};
static const fo_code *chosen[FO_DIGEST_COUNT] = {&WITHOUT_INIT, &WITHOUT_INIT, &WITHOUT_INIT};

fo_cpu_status fo_digest_init(void)
{
    unsigned features = 0;
    const fo_cpu_status status = fo_cpu_probe(&features);
    if (status != FO_CPU_OK)
        return status;
    for (int kind = 0; kind < FO_DIGEST_COUNT; kind++) {
        chosen[kind] = CODE[kind];
        while (!fo_cpu_has(features, chosen[kind]->needs))
            chosen[kind]++;
    }
    return FO_CPU_OK;
}

const char *fo_digest_isa(fo_digest_kind kind)
{
    return chosen[kind]->isa;
}

size_t fo_digest_lanes(fo_digest_kind kind)
{
    const fo_lane_row *widest = chosen[kind]->rows;
    return widest->compress ? widest->lanes : 1;
}

size_t fo_digest_bytes(fo_digest_kind kind)
{
    return 4 * ALGORITHMS[kind].word_count;
}

void fo_digest_start(fo_digest_kind kind, fo_running *hash)
{
    memcpy(hash->state, ALGORITHMS[kind].initial_state, fo_digest_bytes(kind));
    hash->length = 0;
}

void fo_digest_add(fo_digest_kind kind, fo_running *hash, const void *bytes, size_t length)
{
    fo_running_add(hash, chosen[kind]->compress, bytes, length);
}

void fo_digest_finish(fo_digest_kind kind, fo_running *hash, uint8_t *digest)
{
    const fo_algorithm *algorithm = &ALGORITHMS[kind];
    fo_running_finish(hash, chosen[kind]->compress, digest, algorithm->word_count,
                      algorithm->is_big_endian);
}

void fo_digest_advance(fo_digest_kind kind, fo_digest_input *inputs, size_t count)
{
    fo_schedule(&ALGORITHMS[kind], chosen[kind], inputs, count);
}
