/* Random uploads to the chunked kernel at every ISA level, in pieces cut anywhere: each decodes to
 * what was uploaded, and not before its end. */
#include "chunked_body.h"

static void check_level(const upload *from, size_t level)
{
    static outcome found;
    static const size_t PIECES[] = {1, 7, 100, 10000, sizeof from->body};
    const size_t piece_max = PIECES[random_below(5)];
    decode(from, from->body, from->body_length, piece_max, &found);
    expect(is_upload(&found, from), "upload", level);
    expect(found.consumed == from->body_length, "consumed", level);
    /* Frames make the body longer than its payload, so this much of it is never all. */
    decode(from, from->body, random_below(from->payload_length + 1), piece_max, &found);
    expect(found.status == FO_CHUNKED_OK && !found.is_complete, "beginning", level);
}

static void one_round(void)
{
    static upload from;
    make_upload(&from);
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_sha256_init() == FO_CPU_OK && fo_digest_init() == FO_CPU_OK)
            check_level(&from, level);
    }
}

int main(int count, char **arguments)
{
    (void)count;
    expect(fo_sha256_init() == FO_CPU_OK && fo_digest_init() == FO_CPU_OK, "init", 0);
    return drive(arguments, one_round);
}
