/* What all kernels share: byte slices, unaligned loads and the per-function target attribute.
 * Nothing here knows of Python, S3 or the machine it runs on. */
#ifndef FO_COMMON_H
#define FO_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Files of one ISA mark each function with the instructions that it uses, so that one set of
 * compiler flags builds everything and no such instruction leaks into code that runs anywhere. */
#define FO_TARGET(features) __attribute__((target(features)))

/* The value as it is, where the compiler must not look through it: it puts the terms of a long sum
 * in an order of its own, and so late terms onto the chain that everything waits for. */
#define FO_HOLD_WORD(value) __asm__("" : "+r"(value))
#define FO_HOLD_VECTOR(value) __asm__("" : "+v"(value))

#if defined(__x86_64__)
#define FO_X86_64 1
#else
#define FO_X86_64 0
#endif

/* Bytes that somebody else owns. `at` may be NULL when `length` is 0. */
typedef struct {
    const uint8_t *at;
    size_t length;
} fo_slice;

static inline uint64_t fo_load_le64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline uint32_t fo_load_le32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

static inline uint32_t fo_load_be32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

static inline void fo_store_be32(uint8_t *at, uint32_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    memcpy(at, &word, sizeof word);
}

static inline void fo_store_le32(uint8_t *at, uint32_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    memcpy(at, &word, sizeof word);
}

static inline void fo_store_be64(uint8_t *at, uint64_t word)
{
    fo_store_be32(at, (uint32_t)(word >> 32));
    fo_store_be32(at + 4, (uint32_t)word);
}

static inline void fo_store_le64(uint8_t *at, uint64_t word)
{
    fo_store_le32(at, (uint32_t)word);
    fo_store_le32(at + 4, (uint32_t)(word >> 32));
}

/* memcpy with a NULL source is undefined even for no bytes, and empty slices may be NULL. */
static inline uint8_t *fo_append(uint8_t *out, const void *from, size_t length)
{
    if (length)
        memcpy(out, from, length);
    return out + length;
}

#endif
