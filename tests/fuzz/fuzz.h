/* What the fuzzers of the kernels share: inputs damaged in exact-size heap buffers, and rounds.
 *
 * Usage of a fuzzer: fuzz_<kernel> SEED ROUNDS. A wrong result prints and exits with 1; a wrong
 * memory access is the sanitizers' to report: every buffer ends where its content does. */
#ifndef FUZZ_H
#define FUZZ_H

#include "drive.h"

typedef struct {
    uint8_t *at;
    size_t length;
} bytes;

static inline bytes make(size_t length)
{
    return (bytes){allocate(length), length};
}

static inline bytes copy(const void *from, size_t length)
{
    const bytes made = make(length);
    if (length)
        memcpy(made.at, from, length);
    return made;
}

static inline bytes random_bytes(size_t length)
{
    const bytes made = make(length);
    for (size_t at = 0; at < length; at++)
        made.at[at] = (uint8_t)(random_word() >> 32);
    return made;
}

/* Replaces `cut` bytes at `at` by `length` others; frees what it was. */
static inline void splice(bytes *of, size_t at, size_t cut, const void *from, size_t length)
{
    const bytes made = make(of->length - cut + length);
    memcpy(made.at, of->at, at);
    if (length)
        memcpy(made.at + at, from, length);
    memcpy(made.at + at + length, of->at + at + cut, of->length - at - cut);
    free(of->at);
    *of = made;
}

static const uint64_t BOUNDARIES[] = {0,          1,          0x7F,       0x80,
                                      0xFF,       0x100,      0xFFFF,     0x10000,
                                      0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, UINT64_C(1) << 32,
                                      INT64_MAX,  UINT64_MAX};
#define BOUNDARY_COUNT (sizeof BOUNDARIES / sizeof BOUNDARIES[0])

static inline void set_integer(const bytes *of)
{
    const size_t size = (size_t)1 << random_below(4);
    if (of->length < size)
        return;
    const uint64_t value = BOUNDARIES[random_below(BOUNDARY_COUNT)];
    uint8_t *at = of->at + random_below(of->length - size + 1);
    for (size_t byte = 0; byte < size; byte++)
        at[byte] = (uint8_t)(value >> (8 * byte));
}

/* One change: a bit, an integer, a cut, a part doubled or moved, or a word put in. */
static inline void damage_once(bytes *of, const char *const *words, size_t word_count)
{
    const size_t start = random_below(of->length + 1);
    const size_t reach = of->length - start;
    const size_t size = random_below((random_below(4) && reach > 8 ? 8 : reach) + 1);
    const size_t choice = random_below(word_count ? 7 : 6);
    if (choice == 0 && of->length)
        of->at[random_below(of->length)] ^= (uint8_t)(1 << random_below(8));
    else if (choice == 1 && of->length)
        of->at[random_below(of->length)] = (uint8_t)random_word();
    else if (choice == 2)
        set_integer(of);
    else if (choice == 3)
        splice(of, start, size, NULL, 0);
    else if (choice == 6) {
        const char *word = words[random_below(word_count)];
        splice(of, start, random_below(2) ? size : 0, word, strlen(word));
    } else {
        const bytes part = copy(of->at + start, size);
        const size_t at = choice == 4 ? start : random_below(of->length + 1);
        splice(of, at, 0, part.at, part.length);
        free(part.at);
    }
}

static inline void damage(bytes *of, const char *const *words, size_t word_count)
{
    for (size_t times = 1 + random_below(4); times; times--)
        damage_once(of, words, word_count);
}

typedef void fuzz_round(void);

static inline int fuzz(char **arguments, fuzz_round *round)
{
    if (!arguments[1] || !arguments[2])
        return 2;
    random_state = strtoull(arguments[1], NULL, 10) * 2 + 1;
    const size_t rounds = strtoull(arguments[2], NULL, 10);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (size_t number = 0; number < rounds; number++)
        round();
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%zu executions, %.0f/s\n", rounds, (double)rounds / seconds);
    return rounds ? 0 : 1;
}

#endif
