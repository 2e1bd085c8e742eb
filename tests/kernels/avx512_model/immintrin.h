/* The AVX-512 instructions of the digest kernel, word by word in portable C: stands before the
 * header of the compiler, so that digest_*_avx512.c run on machines that lack the instructions.
 * What each does is written as in the Intel SDM, volume 2. */
#ifndef MODEL_IMMINTRIN_H
#define MODEL_IMMINTRIN_H

#include <stdint.h>
#include <string.h>

#undef FO_TARGET
#define FO_TARGET(features)
#undef FO_HOLD_VECTOR
#define FO_HOLD_VECTOR(value) (void)0

/* Called, because thousands of these within one function take minutes to compile. */
#define CALLED __attribute__((noinline, unused))

typedef struct {
    uint32_t of[16];
} __m512i;

#define EACH_WORD(expression)                                                                      \
    __m512i result;                                                                                \
    for (int i = 0; i < 16; i++)                                                                   \
        result.of[i] = (expression);                                                               \
    return result

static CALLED __m512i _mm512_loadu_si512(const void *at)
{
    __m512i result;
    memcpy(&result, at, sizeof result);
    return result;
}

static CALLED void _mm512_storeu_si512(void *at, __m512i a)
{
    memcpy(at, &a, sizeof a);
}

static CALLED __m512i _mm512_set1_epi32(int word)
{
    EACH_WORD((uint32_t)word);
}

static CALLED __m512i _mm512_set4_epi32(int d, int c, int b, int a)
{
    const int words[4] = {a, b, c, d};
    EACH_WORD((uint32_t)words[i % 4]);
}

static CALLED __m512i _mm512_add_epi32(__m512i a, __m512i b)
{
    EACH_WORD(a.of[i] + b.of[i]);
}

static CALLED __m512i _mm512_srli_epi32(__m512i a, unsigned count)
{
    EACH_WORD(a.of[i] >> count);
}

static CALLED __m512i _mm512_rol_epi32(__m512i a, int count)
{
    EACH_WORD((a.of[i] << count) | (a.of[i] >> (32 - count)));
}

static CALLED __m512i _mm512_ror_epi32(__m512i a, int count)
{
    EACH_WORD((a.of[i] >> count) | (a.of[i] << (32 - count)));
}

/* Bit by bit: the table has a bit for each of the eight values of the three operands. */
static CALLED uint32_t ternary(uint32_t a, uint32_t b, uint32_t c, int table)
{
    uint32_t result = 0;
    for (int bit = 0; bit < 32; bit++) {
        const int index = (int)((a >> bit & 1) << 2 | (b >> bit & 1) << 1 | (c >> bit & 1));
        result |= (uint32_t)(table >> index & 1) << bit;
    }
    return result;
}

static CALLED __m512i _mm512_ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table)
{
    EACH_WORD(ternary(a.of[i], b.of[i], c.of[i], table));
}

/* Quarters of the register: words 4q to 4q + 3. */
static CALLED __m512i _mm512_unpacklo_epi32(__m512i a, __m512i b)
{
    EACH_WORD((i % 2 ? b : a).of[i / 4 * 4 + i % 4 / 2]);
}

static CALLED __m512i _mm512_unpackhi_epi32(__m512i a, __m512i b)
{
    EACH_WORD((i % 2 ? b : a).of[i / 4 * 4 + 2 + i % 4 / 2]);
}

static CALLED __m512i _mm512_unpacklo_epi64(__m512i a, __m512i b)
{
    EACH_WORD((i % 4 / 2 ? b : a).of[i / 4 * 4 + i % 2]);
}

static CALLED __m512i _mm512_unpackhi_epi64(__m512i a, __m512i b)
{
    EACH_WORD((i % 4 / 2 ? b : a).of[i / 4 * 4 + 2 + i % 2]);
}

/* Two quarters of `a`, then two of `b`, each chosen by two bits. */
static CALLED __m512i _mm512_shuffle_i32x4(__m512i a, __m512i b, int choice)
{
    EACH_WORD((i / 8 ? b : a).of[(choice >> (i / 4 * 2) & 3) * 4 + i % 4]);
}

/* Bytes within each quarter; one whose highest bit is set would give nought. */
static CALLED __m512i _mm512_shuffle_epi8(__m512i a, __m512i by)
{
    uint8_t from[64], choice[64], to[64];
    memcpy(from, &a, sizeof from);
    memcpy(choice, &by, sizeof choice);
    for (int i = 0; i < 64; i++)
        to[i] = choice[i] & 0x80 ? 0 : from[i / 16 * 16 + choice[i] % 16];
    return _mm512_loadu_si512(to);
}

#endif
