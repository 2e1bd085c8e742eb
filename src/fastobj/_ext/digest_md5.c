/* MD5 in portable C: one stream, and two at a time. One step waits for the one before, so that a
 * second stream takes little more than the time of the first. */
#include "digest_md5.h"

static inline uint32_t rotate_left(uint32_t word, int count)
{
    return (word << count) | (word >> (32 - count));
}

#define ADD_F(a, b, c, d) a += d ^ (b & (c ^ d))
/* The two terms have no bit in common, so their sum is their union; the first needs no `b`. */
#define ADD_G(a, b, c, d)                                                                          \
    a += c & ~d;                                                                                   \
    FO_HOLD_WORD(a);                                                                               \
    a += b & d
#define ADD_H(a, b, c, d) a += b ^ c ^ d
#define ADD_I(a, b, c, d) a += c ^ (b | ~d)

#define STEP_AT(at, function, a, b, c, d, word, constant, count)                                   \
    a += UINT32_C(constant) + fo_load_le32(at + 4 * word);                                         \
    ADD_##function(a, b, c, d);                                                                    \
    a = rotate_left(a, count) + b;

#define STEP(function, a, b, c, d, word, constant, count)                                          \
    STEP_AT(at, function, a, b, c, d, word, constant, count)

#define STEP_OF_TWO(function, a, b, c, d, word, constant, count)                                   \
    STEP_AT(at_0, function, a##_0, b##_0, c##_0, d##_0, word, constant, count)                     \
    STEP_AT(at_1, function, a##_1, b##_1, c##_1, d##_1, word, constant, count)

void fo_md5_compress(uint32_t *state, const uint8_t *at, size_t block_count)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (; block_count; block_count--, at += FO_DIGEST_BLOCK_BYTES) {
        FO_MD5_STEPS(STEP)
        state[0] = a += state[0], state[1] = b += state[1];
        state[2] = c += state[2], state[3] = d += state[3];
    }
}

void fo_md5_compress_2(const fo_lane *lanes, size_t block_count)
{
    const uint8_t *at_0 = lanes[0].at, *at_1 = lanes[1].at;
    uint32_t words[2][FO_MD5_WORDS];
    memcpy(words[0], lanes[0].state, sizeof words[0]);
    memcpy(words[1], lanes[1].state, sizeof words[1]);
    uint32_t *const in_0 = words[0], *const in_1 = words[1];
    uint32_t a_0 = in_0[0], b_0 = in_0[1], c_0 = in_0[2], d_0 = in_0[3];
    uint32_t a_1 = in_1[0], b_1 = in_1[1], c_1 = in_1[2], d_1 = in_1[3];
    for (; block_count; block_count--) {
        FO_MD5_STEPS(STEP_OF_TWO)
        in_0[0] = a_0 += in_0[0], in_0[1] = b_0 += in_0[1];
        in_0[2] = c_0 += in_0[2], in_0[3] = d_0 += in_0[3];
        in_1[0] = a_1 += in_1[0], in_1[1] = b_1 += in_1[1];
        in_1[2] = c_1 += in_1[2], in_1[3] = d_1 += in_1[3];
        at_0 += FO_DIGEST_BLOCK_BYTES, at_1 += FO_DIGEST_BLOCK_BYTES;
    }
    memcpy(lanes[0].state, words[0], sizeof words[0]);
    memcpy(lanes[1].state, words[1], sizeof words[1]);
}
