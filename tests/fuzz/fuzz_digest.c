/* Streams in many parts, each part a heap buffer of its own, at every ISA level: parts come alone,
 * or with those of other streams in lanes, and whatever their lengths, each stream has the digest
 * that portable code makes of it in one part. A changed bit is always seen. */
#include "digest_impl.h"
#include "fuzz.h"

enum { STREAMS_MAX = 40, CALLS_MAX = 5 };

typedef struct {
    bytes text;
    size_t done;
    fo_running hash;
    uint8_t expected[FO_DIGEST_BYTES_MAX];
    uint8_t found[FO_DIGEST_BYTES_MAX];
} stream;

static stream streams[STREAMS_MAX];
static size_t stream_count;

static void force(const char *level)
{
    setenv("FASTOBJ_ISA", level, 1);
}

static void digest_whole(fo_digest_kind kind, const bytes *text, uint8_t *digest)
{
    fo_running hash;
    fo_digest_start(kind, &hash);
    fo_digest_add(kind, &hash, text->at, text->length);
    fo_digest_finish(kind, &hash, digest);
}

static void make_streams(void)
{
    const size_t length_max = random_below(8) ? 150 : 2000;
    stream_count = random_below(STREAMS_MAX + 1);
    for (size_t index = 0; index < stream_count; index++) {
        streams[index].text = random_bytes(random_below(length_max));
        damage(&streams[index].text, NULL, 0);
    }
}

static void begin(fo_digest_kind kind)
{
    force("generic");
    expect(fo_digest_init() == FO_CPU_OK, "init", 0);
    for (size_t index = 0; index < stream_count; index++) {
        streams[index].done = 0;
        fo_digest_start(kind, &streams[index].hash);
        digest_whole(kind, &streams[index].text, streams[index].expected);
    }
}

static bytes next_part(stream *of, int is_last)
{
    const size_t left = of->text.length - of->done;
    const size_t length = is_last ? left : random_below(left + 1);
    const bytes part = copy(of->text.at + of->done, length);
    of->done += length;
    return part;
}

/* One call with a part of some streams; with the rest of all when it is the last. */
static void call(fo_digest_kind kind, int is_last)
{
    bytes parts[STREAMS_MAX];
    fo_digest_input inputs[STREAMS_MAX];
    size_t count = 0;
    for (size_t index = 0; index < stream_count; index++) {
        stream *of = &streams[index];
        if (!is_last && random_below(2))
            continue;
        parts[count] = next_part(of, is_last);
        const int is_alone = !is_last && !random_below(8);
        if (is_alone)
            fo_digest_add(kind, &of->hash, parts[count].at, parts[count].length);
        inputs[count] =
            (fo_digest_input){&of->hash, parts[count].at, is_alone ? 0 : parts[count].length,
                              is_last ? of->found : NULL};
        count++;
    }
    fo_digest_advance(kind, inputs, count);
    for (size_t index = 0; index < count; index++)
        free(parts[index].at);
}

/* Levels take turns within a stream too: a state belongs to no code. */
static void change_level(void)
{
    do
        force(LEVELS[random_below(LEVEL_COUNT)]);
    while (fo_digest_init() != FO_CPU_OK);
}

static void check_kind(fo_digest_kind kind)
{
    begin(kind);
    for (size_t calls = random_below(CALLS_MAX); calls; calls--) {
        change_level();
        call(kind, 0);
    }
    change_level();
    call(kind, 1);
    for (size_t index = 0; index < stream_count; index++)
        expect(!memcmp(streams[index].found, streams[index].expected, fo_digest_bytes(kind)),
               fo_digest_isa(kind), streams[index].text.length);
}

static void check_flip(fo_digest_kind kind, stream *of)
{
    uint8_t before[FO_DIGEST_BYTES_MAX], after[FO_DIGEST_BYTES_MAX];
    if (!of->text.length)
        return;
    digest_whole(kind, &of->text, before);
    of->text.at[random_below(of->text.length)] ^= (uint8_t)(1 << random_below(8));
    digest_whole(kind, &of->text, after);
    expect(memcmp(before, after, fo_digest_bytes(kind)) != 0, "flip", of->text.length);
}

static void one_round(void)
{
    make_streams();
    for (int kind = 0; kind < FO_DIGEST_COUNT; kind++) {
        check_kind(kind);
        if (stream_count)
            check_flip(kind, &streams[0]);
    }
    for (size_t index = 0; index < stream_count; index++)
        free(streams[index].text.at);
}

int main(int count, char **arguments)
{
    (void)count;
    return fuzz(arguments, one_round);
}
