/* What the drivers share: random choices from a seed, exact-size heap buffers, ISA levels.
 *
 * Usage of a driver: drive_<kernel> SEED SECONDS. A wrong result prints and exits with 1; a wrong
 * memory access is the sanitizers' to report. Every buffer has its exact size on the heap, so that
 * one byte too far is seen. */
#ifndef DRIVE_H
#define DRIVE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const LEVELS[] = {"generic",     "sse42",         "avx2",
                                     "avx2-no-sha", "avx512-no-sha", "avx512"};
#define LEVEL_COUNT (sizeof LEVELS / sizeof LEVELS[0])

static uint64_t random_state;

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003. */
static inline uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static inline size_t random_below(size_t limit)
{
    return (size_t)(random_word() % limit);
}

/* malloc(0) may give NULL, and a NULL slice is a case of its own: so one byte at least. */
static inline uint8_t *allocate(size_t length)
{
    uint8_t *bytes = malloc(length ? length : 1);
    if (!bytes)
        abort();
    return bytes;
}

static inline void expect(int is_right, const char *what, size_t detail)
{
    if (is_right)
        return;
    fprintf(stderr, "wrong: %s (%zu)\n", what, detail);
    exit(1);
}

typedef void drive_round(void);

static inline int drive(char **arguments, drive_round *round)
{
    if (!arguments[1] || !arguments[2])
        return 2;
    random_state = strtoull(arguments[1], NULL, 10) * 2 + 1;
    const time_t end = time(NULL) + atoi(arguments[2]);
    size_t rounds = 0;
    while (time(NULL) < end) {
        round();
        rounds++;
    }
    printf("%zu rounds\n", rounds);
    return rounds ? 0 : 1;
}

#endif
