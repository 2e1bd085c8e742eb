/* What an algorithm is, which code it runs on, and the scheduler that fills its lanes. Inner
 * interface of the digest kernel. */
#ifndef FO_DIGEST_SCHEDULE_H
#define FO_DIGEST_SCHEDULE_H

#include "digest_impl.h"
#include "digest_lanes.h"

typedef struct {
    fo_compress_lanes *compress;
    size_t lanes;
    size_t streams_min; /* with fewer, the rows behind this one take less time */
} fo_lane_row;

/* Code of one algorithm for CPUs with these features. */
typedef struct {
    const char *isa;
    unsigned needs;
    fo_compress *compress;   /* of one stream */
    const fo_lane_row *rows; /* the widest first; one without a function ends them */
} fo_code;

typedef struct {
    size_t word_count;
    int is_big_endian;
    const uint32_t *initial_state;
} fo_algorithm;

void fo_schedule(const fo_algorithm *algorithm, const fo_code *code, fo_digest_input *inputs,
                 size_t count);

#endif
