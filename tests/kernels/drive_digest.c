/* Random streams to the digest kernel at every ISA level: all together in lanes, or in two calls,
 * they come to what the portable code makes of each alone. What is right is for the Python tests
 * to say. */
#include "digest_impl.h"
#include "drive.h"

#define STREAMS_MAX 70

typedef struct {
    uint8_t *bytes;
    size_t length;
    uint8_t expected[FO_DIGEST_COUNT][FO_DIGEST_BYTES_MAX];
} stream;

static stream streams[STREAMS_MAX];
static size_t stream_count;

static void digest_alone(fo_digest_kind kind, const stream *of, uint8_t *digest)
{
    const size_t cut = random_below(of->length + 1);
    fo_running hash;
    fo_digest_start(kind, &hash);
    fo_digest_add(kind, &hash, of->bytes, cut);
    fo_digest_add(kind, &hash, of->bytes + cut, of->length - cut);
    fo_digest_finish(kind, &hash, digest);
}

static void make_streams(void)
{
    static const size_t LENGTHS[] = {3, 70, 300, 2000};
    const size_t length_max = LENGTHS[random_below(4)];
    stream_count = random_below(STREAMS_MAX + 1);
    for (size_t index = 0; index < stream_count; index++) {
        stream *of = &streams[index];
        of->length = random_below(random_below(10) ? length_max : 5 * length_max);
        of->bytes = allocate(of->length);
        for (size_t at = 0; at < of->length; at++)
            of->bytes[at] = (uint8_t)(random_word() >> 32);
        for (int kind = 0; kind < FO_DIGEST_COUNT; kind++)
            digest_alone(kind, of, of->expected[kind]);
    }
}

/* Some begin alone, some lie in lanes with a call for their first part, all end in lanes. */
static void check_together(fo_digest_kind kind)
{
    fo_running hashes[STREAMS_MAX];
    fo_digest_input inputs[STREAMS_MAX];
    uint8_t digests[STREAMS_MAX][FO_DIGEST_BYTES_MAX];
    size_t cuts[STREAMS_MAX], first_count = 0;
    for (size_t index = 0; index < stream_count; index++) {
        const stream *of = &streams[index];
        fo_digest_start(kind, &hashes[index]);
        cuts[index] = random_below(2) ? random_below(of->length + 1) : 0;
        if (random_below(2))
            fo_digest_add(kind, &hashes[index], of->bytes, cuts[index]);
        else
            inputs[first_count++] = (fo_digest_input){&hashes[index], of->bytes, cuts[index], NULL};
    }
    fo_digest_advance(kind, inputs, first_count);
    for (size_t index = 0; index < stream_count; index++) {
        const stream *of = &streams[index];
        inputs[index] = (fo_digest_input){&hashes[index], of->bytes + cuts[index],
                                          of->length - cuts[index], digests[index]};
    }
    fo_digest_advance(kind, inputs, stream_count);
    for (size_t index = 0; index < stream_count; index++)
        expect(!memcmp(digests[index], streams[index].expected[kind], fo_digest_bytes(kind)),
               fo_digest_isa(kind), index);
}

static void check_level(void)
{
    for (int kind = 0; kind < FO_DIGEST_COUNT; kind++) {
        uint8_t digest[FO_DIGEST_BYTES_MAX];
        check_together(kind);
        for (size_t index = 0; index < stream_count; index++) {
            digest_alone(kind, &streams[index], digest);
            expect(!memcmp(digest, streams[index].expected[kind], fo_digest_bytes(kind)), "alone",
                   index);
        }
    }
}

static void one_round(void)
{
    setenv("FASTOBJ_ISA", "generic", 1);
    expect(fo_digest_init() == FO_CPU_OK, "init", 0);
    make_streams();
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_digest_init() == FO_CPU_OK)
            check_level();
    }
    for (size_t index = 0; index < stream_count; index++)
        free(streams[index].bytes);
}

int main(int count, char **arguments)
{
    (void)count;
    return drive(arguments, one_round);
}
