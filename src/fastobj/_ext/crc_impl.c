/* CRC: tables, portable code (slicing by 8: Kounavis and Berry, "A Systematic Approach to Building
 * High Performance Software-based CRC Generators", Intel 2005) and the choice of code.
 *
 * Tables and folding constants are computed at import (some 50 microseconds) rather than listed:
 * there is no number to mistype, and tests/reference/crc.py derives the same ones. */
#include "crc_impl.h"

#include "crc_fold.h"
#include "fo_common.h"

#include <stdio.h>
#include <stdlib.h>

/* Reflected polynomials without their leading term. */
#define POLYNOMIAL_CRC32 UINT64_C(0xEDB88320)
#define POLYNOMIAL_CRC32C UINT64_C(0x82F63B78)
#define POLYNOMIAL_CRC64NVME UINT64_C(0x9A6C9329AC4BC9B5)

static const unsigned FOLD_BITS[FO_FOLD_COUNT] = {
    [FO_FOLD_128] = 128, [FO_FOLD_256] = 256,   [FO_FOLD_384] = 384,
    [FO_FOLD_512] = 512, [FO_FOLD_2048] = 2048,
};

static fo_crc_polynomial crc32_polynomial, crc32c_polynomial, crc64nvme_polynomial;

/* Multiplies a reflected polynomial by x: bit 63 is x^0, so bit 0 (x^63) leaves and is reduced. */
static uint64_t times_x(uint64_t value, uint64_t reflected)
{
    return (value >> 1) ^ (value & 1 ? reflected : 0);
}

static uint64_t power_of_x(unsigned exponent, uint64_t reflected)
{
    uint64_t value = UINT64_C(1) << 63;
    while (exponent--)
        value = times_x(value, reflected);
    return value;
}

static void build_table(fo_crc_polynomial *polynomial, uint64_t reflected)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t value = byte;
        for (int bit = 0; bit < 8; bit++)
            value = times_x(value, reflected);
        polynomial->table[0][byte] = value;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            const uint64_t value = polynomial->table[slice - 1][byte];
            polynomial->table[slice][byte] = polynomial->table[0][value & 0xFF] ^ (value >> 8);
        }
    }
}

/* A block of 128 bits folded over d bits is first*x^(d+64) + second*x^d. The carry-less product of
 * two reflected halves comes out one bit low, which is a factor x: hence the exponents less 1. */
static void build_polynomial(fo_crc_polynomial *polynomial, uint64_t reflected)
{
    build_table(polynomial, reflected);
    for (int distance = 0; distance < FO_FOLD_COUNT; distance++) {
        const unsigned bits = FOLD_BITS[distance];
        polynomial->fold[distance][0] = power_of_x(bits + 64 - 1, reflected);
        polynomial->fold[distance][1] = power_of_x(bits - 1, reflected);
    }
}

uint64_t fo_crc_update_generic(const fo_crc_polynomial *polynomial, uint64_t state,
                               const uint8_t *at, size_t length)
{
    const uint64_t (*table)[256] = polynomial->table;
    for (; length >= 8; at += 8, length -= 8) {
        const uint64_t word = state ^ fo_load_le64(at);
        state = table[7][word & 0xFF] ^ table[6][(word >> 8) & 0xFF] ^
                table[5][(word >> 16) & 0xFF] ^ table[4][(word >> 24) & 0xFF] ^
                table[3][(word >> 32) & 0xFF] ^ table[2][(word >> 40) & 0xFF] ^
                table[1][(word >> 48) & 0xFF] ^ table[0][word >> 56];
    }
    for (; length; at++, length--)
        state = table[0][(state ^ *at) & 0xFF] ^ (state >> 8);
    return state;
}

/* In place until fo_crc_init: a kernel that forgot it must not get a wrong sum. */
static uint64_t update_without_init(const fo_crc_polynomial *polynomial, uint64_t state,
                                    const uint8_t *at, size_t length)
{
    (void)polynomial, (void)state, (void)at, (void)length;
    fputs("fastobj: CRC used before fo_crc_init()\n", stderr);
    abort();
}

static fo_crc_update *update = update_without_init;
static const char *isa = "none";

static void choose(unsigned features)
{
    update = fo_crc_update_generic;
    isa = "generic";
#if FO_X86_64
    if (!fo_cpu_has(features, FO_CPU_SSE42 | FO_CPU_PCLMUL))
        return;
    update = fo_crc_update_sse42;
    isa = "sse42";
    if (!fo_cpu_has(features, FO_CPU_AVX512 | FO_CPU_VPCLMUL))
        return;
    update = fo_crc_update_avx512;
    isa = "avx512";
#else
    (void)features;
#endif
}

fo_cpu_status fo_crc_init(void)
{
    unsigned features = 0;
    const fo_cpu_status status = fo_cpu_probe(&features);
    if (status != FO_CPU_OK)
        return status;
    build_polynomial(&crc32_polynomial, POLYNOMIAL_CRC32);
    build_polynomial(&crc32c_polynomial, POLYNOMIAL_CRC32C);
    build_polynomial(&crc64nvme_polynomial, POLYNOMIAL_CRC64NVME);
    choose(features);
    return FO_CPU_OK;
}

const char *fo_crc_isa(void)
{
    return isa;
}

uint32_t fo_crc32(uint32_t crc, const void *bytes, size_t length)
{
    return ~(uint32_t)update(&crc32_polynomial, (uint32_t)~crc, bytes, length);
}

uint32_t fo_crc32c(uint32_t crc, const void *bytes, size_t length)
{
    return ~(uint32_t)update(&crc32c_polynomial, (uint32_t)~crc, bytes, length);
}

uint64_t fo_crc64nvme(uint64_t crc, const void *bytes, size_t length)
{
    return ~update(&crc64nvme_polynomial, ~crc, bytes, length);
}
