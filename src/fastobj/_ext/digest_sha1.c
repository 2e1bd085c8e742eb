/* SHA-1 in portable C. */
#include "digest_sha1.h"

static inline uint32_t rotate_left(uint32_t word, int count)
{
    return (word << count) | (word >> (32 - count));
}

static void expand(uint32_t schedule[80], const uint8_t *block)
{
    for (int word = 0; word < 16; word++)
        schedule[word] = fo_load_be32(block + 4 * word);
    for (int word = 16; word < 80; word++) {
        const uint32_t *before = schedule + word;
        uint32_t next = rotate_left(before[-3] ^ before[-8] ^ before[-14] ^ before[-16], 1);
        FO_HOLD_WORD(next); /* two at a time, they would wait for the stores of those before them */
        schedule[word] = next;
    }
}

#define CHOICE(b, c, d) (d ^ (b & (c ^ d)))
#define PARITY(b, c, d) (b ^ c ^ d)
#define MAJORITY(b, c, d) ((b & c) | (d & (b | c)))

/* Leaves its sum in `e`, which is the `a` of the next round. */
#define ROUND(function, constant, a, b, c, d, e, word)                                             \
    e += rotate_left(a, 5) + function(b, c, d) + constant + word;                                  \
    b = rotate_left(b, 30);

#define TWENTY_ROUNDS(function, constant, words)                                                   \
    for (const uint32_t *at_word = words; at_word < words + 20; at_word += 5) {                    \
        ROUND(function, constant, a, b, c, d, e, at_word[0])                                       \
        ROUND(function, constant, e, a, b, c, d, at_word[1])                                       \
        ROUND(function, constant, d, e, a, b, c, at_word[2])                                       \
        ROUND(function, constant, c, d, e, a, b, at_word[3])                                       \
        ROUND(function, constant, b, c, d, e, a, at_word[4])                                       \
    }

void fo_sha1_compress(uint32_t *state, const uint8_t *at, size_t block_count)
{
    uint32_t schedule[80];
    for (; block_count; block_count--, at += FO_DIGEST_BLOCK_BYTES) {
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        expand(schedule, at);
        TWENTY_ROUNDS(CHOICE, 0x5a827999, schedule)
        TWENTY_ROUNDS(PARITY, 0x6ed9eba1, (schedule + 20))
        TWENTY_ROUNDS(MAJORITY, 0x8f1bbcdc, (schedule + 40))
        TWENTY_ROUNDS(PARITY, 0xca62c1d6, (schedule + 60))
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }
}
