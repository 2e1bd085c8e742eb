/* Lanes: independent streams of one algorithm that advance together, one in each element of a
 * vector. Inner interface of the digest kernel. */
#ifndef FO_DIGEST_LANES_H
#define FO_DIGEST_LANES_H

#include "digest_stream.h"

#define FO_LANES_MAX 32

typedef struct {
    uint32_t *state;
    const uint8_t *at;
} fo_lane;

/* Advances as many lanes as the function is made for over `block_count` blocks each. One lane may
 * be given several times: it advances once. */
typedef void fo_compress_lanes(const fo_lane *lanes, size_t block_count);

/* Word by word what the states hold: words[i][lane]. */
static inline void fo_lanes_gather(uint32_t *words, const fo_lane *lanes, size_t lane_count,
                                   size_t word_count)
{
    for (size_t lane = 0; lane < lane_count; lane++)
        for (size_t word = 0; word < word_count; word++)
            words[word * lane_count + lane] = lanes[lane].state[word];
}

static inline void fo_lanes_scatter(const uint32_t *words, const fo_lane *lanes, size_t lane_count,
                                    size_t word_count)
{
    for (size_t lane = 0; lane < lane_count; lane++)
        for (size_t word = 0; word < word_count; word++)
            lanes[lane].state[word] = words[word * lane_count + lane];
}

#endif
