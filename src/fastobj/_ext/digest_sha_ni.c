/* SHA-256 by the SHA instructions (Gulley and others, "Intel SHA Extensions", 2013). They want the
 * state as two registers, {A,B,E,F} and {C,D,G,H}, and do two rounds at a time. */
#include "digest_sha256.h"

#if FO_X86_64
#include <immintrin.h>

#define TARGET FO_TARGET("sha,sse4.1,ssse3")

typedef struct {
    __m128i abef, cdgh;
} split_state;

TARGET static inline __m128i load_words(const uint8_t *at)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)at), swap);
}

/* The next four words of the schedule from the sixteen before them, oldest first. */
TARGET static inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(sum, w3);
}

TARGET static inline split_state four_rounds(split_state s, __m128i words, int round)
{
    const __m128i *constants = (const __m128i *)(fo_sha256_round_constants + round);
    const __m128i sum = _mm_add_epi32(words, _mm_load_si128(constants));
    /* Two rounds turn {A,B,E,F} into the next {C,D,G,H} in place, so the two change roles. */
    s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sum);
    s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(sum, 0x0E));
    return s;
}

TARGET static inline split_state sum_of(split_state s, split_state t)
{
    return (split_state){_mm_add_epi32(s.abef, t.abef), _mm_add_epi32(s.cdgh, t.cdgh)};
}

TARGET static inline split_state compress_block(split_state s, const uint8_t *at)
{
    __m128i w0 = load_words(at), w1 = load_words(at + 16);
    __m128i w2 = load_words(at + 32), w3 = load_words(at + 48);
    const split_state before = s;
    for (int round = 0;; round += 16) {
        s = four_rounds(s, w0, round);
        s = four_rounds(s, w1, round + 4);
        s = four_rounds(s, w2, round + 8);
        s = four_rounds(s, w3, round + 12);
        if (round == 48)
            break;
        w0 = next_words(w0, w1, w2, w3);
        w1 = next_words(w1, w2, w3, w0);
        w2 = next_words(w2, w3, w0, w1);
        w3 = next_words(w3, w0, w1, w2);
    }
    return sum_of(s, before);
}

#define SIXTEEN_ROUNDS_OF_TWO(round)                                                               \
    *s = four_rounds(*s, w0, round), *t = four_rounds(*t, v0, round);                              \
    *s = four_rounds(*s, w1, round + 4), *t = four_rounds(*t, v1, round + 4);                      \
    *s = four_rounds(*s, w2, round + 8), *t = four_rounds(*t, v2, round + 8);                      \
    *s = four_rounds(*s, w3, round + 12), *t = four_rounds(*t, v3, round + 12);

#define NEXT_WORDS_OF_TWO                                                                          \
    w0 = next_words(w0, w1, w2, w3), v0 = next_words(v0, v1, v2, v3);                              \
    w1 = next_words(w1, w2, w3, w0), v1 = next_words(v1, v2, v3, v0);                              \
    w2 = next_words(w2, w3, w0, w1), v2 = next_words(v2, v3, v0, v1);                              \
    w3 = next_words(w3, w0, w1, w2), v3 = next_words(v3, v0, v1, v2);

/* Two rounds take as long as four instructions that wait for each other, so that the blocks of two
 * streams, word by word in turns, take little more time than those of one. */
TARGET static inline void compress_two_blocks(split_state *s, split_state *t, const uint8_t *at,
                                              const uint8_t *other)
{
    __m128i w0 = load_words(at), w1 = load_words(at + 16);
    __m128i w2 = load_words(at + 32), w3 = load_words(at + 48);
    __m128i v0 = load_words(other), v1 = load_words(other + 16);
    __m128i v2 = load_words(other + 32), v3 = load_words(other + 48);
    const split_state s_before = *s, t_before = *t;
    SIXTEEN_ROUNDS_OF_TWO(0)
    NEXT_WORDS_OF_TWO
    SIXTEEN_ROUNDS_OF_TWO(16)
    NEXT_WORDS_OF_TWO
    SIXTEEN_ROUNDS_OF_TWO(32)
    NEXT_WORDS_OF_TWO
    SIXTEEN_ROUNDS_OF_TWO(48)
    *s = sum_of(*s, s_before), *t = sum_of(*t, t_before);
}

TARGET static inline split_state load_state(const uint32_t *state)
{
    const int *in = (const int *)state;
    return (split_state){_mm_set_epi32(in[0], in[1], in[4], in[5]),
                         _mm_set_epi32(in[2], in[3], in[6], in[7])};
}

TARGET static inline void store_state(split_state s, uint32_t *state)
{
    uint32_t abef[4], cdgh[4]; /* last letter first */
    _mm_storeu_si128((__m128i *)abef, s.abef);
    _mm_storeu_si128((__m128i *)cdgh, s.cdgh);
    state[0] = abef[3], state[1] = abef[2], state[2] = cdgh[3], state[3] = cdgh[2];
    state[4] = abef[1], state[5] = abef[0], state[6] = cdgh[1], state[7] = cdgh[0];
}

TARGET void fo_sha256_compress_sha_ni(uint32_t *state, const uint8_t *at, size_t block_count)
{
    split_state s = load_state(state);
    for (; block_count; block_count--, at += FO_SHA256_BLOCK_BYTES)
        s = compress_block(s, at);
    store_state(s, state);
}

TARGET void fo_sha256_compress_sha_ni_2(const fo_lane *lanes, size_t block_count)
{
    const uint8_t *at = lanes[0].at, *other = lanes[1].at;
    split_state s = load_state(lanes[0].state), t = load_state(lanes[1].state);
    for (; block_count; block_count--) {
        compress_two_blocks(&s, &t, at, other);
        at += FO_SHA256_BLOCK_BYTES, other += FO_SHA256_BLOCK_BYTES;
    }
    store_state(s, lanes[0].state);
    store_state(t, lanes[1].state);
}
#endif
