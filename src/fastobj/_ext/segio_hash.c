/* The sums of pieces: many streams together. See segio_impl.h. */
#include "segio_impl.h"

#include "crc_impl.h"

static void advance(fo_digest_kind kind, const fo_job *first)
{
    fo_digest_input inputs[FO_HASH_JOBS_MAX];
    size_t count = 0;
    for (const fo_job *job = first; job; job = job->next)
        for (unsigned index = 0; index < job->sum_count; index++)
            if (job->sums[index].kind == (fo_sum_kind)kind)
                inputs[count++] =
                    (fo_digest_input){job->sums[index].state, job->buffer, (size_t)job->size, NULL};
    fo_digest_advance(kind, inputs, count);
}

static void add_crc(const fo_sum *sum, const uint8_t *bytes, size_t length)
{
    uint64_t *crc = sum->state;
    if (sum->kind == FO_SUM_CRC32)
        *crc = fo_crc32((uint32_t)*crc, bytes, length);
    else if (sum->kind == FO_SUM_CRC32C)
        *crc = fo_crc32c((uint32_t)*crc, bytes, length);
    else if (sum->kind == FO_SUM_CRC64NVME)
        *crc = fo_crc64nvme(*crc, bytes, length);
}

void fo_hash_jobs(const fo_job *first)
{
    for (int kind = 0; kind < FO_DIGEST_COUNT; kind++)
        advance((fo_digest_kind)kind, first);
    for (const fo_job *job = first; job; job = job->next)
        for (unsigned index = 0; index < job->sum_count; index++)
            add_crc(&job->sums[index], job->buffer, (size_t)job->size);
}

unsigned fo_hash_jobs_best(void)
{
    const size_t lanes = fo_digest_lanes(FO_MD5);
    return lanes < FO_HASH_JOBS_MAX ? (unsigned)lanes : FO_HASH_JOBS_MAX;
}
