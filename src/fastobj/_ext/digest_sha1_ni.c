/* SHA-1 by the SHA instructions (Gulley and others, "Intel SHA Extensions", 2013): four rounds at a
 * time. The state is {A,B,C,D}, highest first, and E in the highest word of a register. */
#include "digest_sha1.h"

#if FO_X86_64
#include <immintrin.h>

#define TARGET FO_TARGET("sha,sse4.1,ssse3")

typedef struct {
    __m128i abcd, before; /* E of the next rounds is made of the A that was four rounds ago */
} state_of_two;

TARGET static inline __m128i load_words(const uint8_t *at)
{
    const __m128i swap = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)at), swap);
}

/* The next four words of the schedule from the sixteen before them, oldest first. */
TARGET static inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
    return _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(w0, w1), w2), w3);
}

/* Four rounds; `function` is 0 to 3, one for each twenty rounds. */
#define FOUR_ROUNDS(s, words, function)                                                            \
    do {                                                                                           \
        const __m128i abcd = s.abcd;                                                               \
        s.abcd = _mm_sha1rnds4_epu32(abcd, _mm_sha1nexte_epu32(s.before, words), function);        \
        s.before = abcd;                                                                           \
    } while (0)

/* Four rounds and the words that come sixteen later, in place of those that were used up. */
#define FOUR_ROUNDS_AND_WORDS(s, w0, w1, w2, w3, function)                                         \
    do {                                                                                           \
        FOUR_ROUNDS(s, w0, function);                                                              \
        w0 = next_words(w0, w1, w2, w3);                                                           \
    } while (0)

TARGET static inline state_of_two compress_block(state_of_two s, const uint8_t *at)
{
    __m128i w0 = load_words(at), w1 = load_words(at + 16);
    __m128i w2 = load_words(at + 32), w3 = load_words(at + 48);
    /* The E of the first round is given, and needs no rotation: it is added as it stands. */
    const __m128i abcd = s.abcd;
    s.abcd = _mm_sha1rnds4_epu32(abcd, _mm_add_epi32(s.before, w0), 0);
    s.before = abcd;
    w0 = next_words(w0, w1, w2, w3);
    FOUR_ROUNDS_AND_WORDS(s, w1, w2, w3, w0, 0);
    FOUR_ROUNDS_AND_WORDS(s, w2, w3, w0, w1, 0);
    FOUR_ROUNDS_AND_WORDS(s, w3, w0, w1, w2, 0);
    FOUR_ROUNDS_AND_WORDS(s, w0, w1, w2, w3, 0);
    FOUR_ROUNDS_AND_WORDS(s, w1, w2, w3, w0, 1);
    FOUR_ROUNDS_AND_WORDS(s, w2, w3, w0, w1, 1);
    FOUR_ROUNDS_AND_WORDS(s, w3, w0, w1, w2, 1);
    FOUR_ROUNDS_AND_WORDS(s, w0, w1, w2, w3, 1);
    FOUR_ROUNDS_AND_WORDS(s, w1, w2, w3, w0, 1);
    FOUR_ROUNDS_AND_WORDS(s, w2, w3, w0, w1, 2);
    FOUR_ROUNDS_AND_WORDS(s, w3, w0, w1, w2, 2);
    FOUR_ROUNDS_AND_WORDS(s, w0, w1, w2, w3, 2);
    FOUR_ROUNDS_AND_WORDS(s, w1, w2, w3, w0, 2);
    FOUR_ROUNDS_AND_WORDS(s, w2, w3, w0, w1, 2);
    FOUR_ROUNDS_AND_WORDS(s, w3, w0, w1, w2, 3);
    FOUR_ROUNDS(s, w0, 3);
    FOUR_ROUNDS(s, w1, 3);
    FOUR_ROUNDS(s, w2, 3);
    FOUR_ROUNDS(s, w3, 3);
    return s;
}

TARGET void fo_sha1_compress_sha_ni(uint32_t *state, const uint8_t *at, size_t block_count)
{
    const int *in = (const int *)state;
    state_of_two s = {_mm_set_epi32(in[0], in[1], in[2], in[3]), _mm_set_epi32(in[4], 0, 0, 0)};
    for (; block_count; block_count--, at += FO_DIGEST_BLOCK_BYTES) {
        const state_of_two at_begin = s;
        s = compress_block(s, at);
        s.abcd = _mm_add_epi32(s.abcd, at_begin.abcd);
        s.before = _mm_sha1nexte_epu32(s.before, at_begin.before);
    }
    uint32_t abcd[4], e[4]; /* last letter first */
    _mm_storeu_si128((__m128i *)abcd, s.abcd);
    _mm_storeu_si128((__m128i *)e, s.before);
    state[0] = abcd[3], state[1] = abcd[2], state[2] = abcd[1], state[3] = abcd[0], state[4] = e[3];
}
#endif
