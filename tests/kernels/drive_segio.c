/* Random pieces, written, damaged and read by a pool of threads, and bodies that it decodes and
 * hashes: never a wrong byte, never a wrong verdict, never a wrong sum. Run under AddressSanitizer
 * and UndefinedBehaviorSanitizer, and under ThreadSanitizer. */
#define _GNU_SOURCE
#include "crc_impl.h"
#include "digest_sha256.h"
#include "drive.h"
#include "segio_fault.h"
#include "segio_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { JOBS = 24 };

typedef struct {
    fo_job write, read;
    uint8_t *written, *got;
    size_t size;
} body;

static int file;

static void wait_for(fo_pool *pool, size_t count)
{
    struct pollfd ready = {fo_pool_eventfd(pool), POLLIN, 0};
    while (count) {
        if (poll(&ready, 1, 10000) != 1)
            expect(0, "a job was lost", count);
        for (const fo_job *job = fo_pool_take(pool); job; job = job->next)
            count--;
    }
}

static uint32_t random_length(void)
{
    const uint32_t edges[] = {1, FO_FRAME_BYTES - 1, FO_FRAME_BYTES, FO_FRAME_BYTES + 1};
    const size_t choice = random_below(8);
    return choice < 4 ? edges[choice] : 1 + (uint32_t)random_below(5 * FO_FRAME_BYTES);
}

static fo_piece random_piece(void)
{
    fo_piece piece = {.segment = random_word(),
                      .generation = (uint32_t)random_word(),
                      .index = (uint32_t)random_below(5000),
                      .length = random_length()};
    memcpy(piece.data_id, &piece.segment, 8);
    memcpy(piece.data_id + 8, &piece.generation, 4);
    return piece;
}

static void begin_body(body *of, uint64_t offset)
{
    const fo_piece piece = random_piece();
    of->size = FO_PIECE_HEAD_BYTES + piece.length;
    of->written = allocate(of->size);
    of->got = allocate(of->size);
    for (size_t at = FO_PIECE_HEAD_BYTES; at < of->size; at++)
        of->written[at] = (uint8_t)(random_word() >> 56);
    memset(of->got, 0, of->size);
    of->write = (fo_job){.kind = FO_WRITE_PIECE,
                         .fd = file,
                         .offset = offset,
                         .buffer = of->written,
                         .piece = piece,
                         .early_sync = 1,
                         .path = "body"};
    const uint32_t begin = (uint32_t)random_below(piece.length);
    const uint32_t length = 1 + (uint32_t)random_below(piece.length - begin);
    of->read = (fo_job){.kind = FO_READ_PIECE,
                        .fd = file,
                        .offset = offset,
                        .buffer = of->got,
                        .piece = piece,
                        .payload_offset = begin,
                        .payload_length = length};
}

static void submit(fo_pool *pool, fo_job *job)
{
    expect(fo_pool_submit(pool, job) == 0, "submit", (size_t)job->kind);
}

static void flip(const body *of, size_t at)
{
    const uint8_t turned = of->written[at] ^ (uint8_t)(1 << random_below(8));
    expect(pwrite(file, &turned, 1, (off_t)(of->write.offset + at)) == 1, "pwrite", at);
}

/* What a read must say once the byte at `at` of the piece has changed. */
static int verdict_allowed(const body *of, size_t at)
{
    const int status = of->read.status;
    if (at < 48)
        return (at >= 8 && at < 16) || at >= 44 ? status == FO_CHECKSUM : status == FO_STALE;
    if (at < 128)
        return status == FO_CHECKSUM;
    if (at < FO_PIECE_HEAD_BYTES)
        return status == 0;
    const size_t frame = (at - FO_PIECE_HEAD_BYTES) / FO_FRAME_BYTES;
    const size_t first = of->read.payload_offset / FO_FRAME_BYTES;
    const size_t last = (of->read.payload_offset + of->read.payload_length - 1) / FO_FRAME_BYTES;
    return status == (frame >= first && frame <= last ? FO_CHECKSUM : 0);
}

static void check_bytes(const body *of)
{
    const size_t at = FO_PIECE_HEAD_BYTES + of->read.payload_offset;
    if (of->read.status == 0)
        expect(memcmp(of->got + at, of->written + at, of->read.payload_length) == 0, "bytes", at);
}

static void check_encoding(const body *of)
{
    uint8_t *head = allocate(FO_PIECE_HEAD_BYTES);
    fo_piece other = of->write.piece;
    fo_piece_encode(head, &of->write.piece, of->written + FO_PIECE_HEAD_BYTES);
    expect(memcmp(head, of->written, FO_PIECE_HEAD_BYTES) == 0, "encode", 0);
    expect(fo_piece_check(head, &other) == 0, "check", 0);
    other.index++;
    expect(fo_piece_check(head, &other) == FO_CHECKSUM, "index", 0);
    other.generation++;
    expect(fo_piece_check(head, &other) == FO_STALE, "generation", 0);
    free(head);
}

static void check_limits(fo_pool *pool)
{
    fo_job bad = {.kind = FO_FDATASYNC, .fd = -1, .path = "none"};
    submit(pool, &bad);
    wait_for(pool, 1);
    expect(bad.status == -EBADF, "EBADF", (size_t)-bad.status);
}

enum { STREAMS = 6, STREAM_PIECES = 3, STREAM_PIECE_MAX = 3000 };

/* A body that is hashed piece by piece, and what it has been hashed to. */
typedef struct {
    fo_running md5, sha256;
    uint64_t crc;
    fo_job jobs[STREAM_PIECES];
    uint8_t *bytes;
    size_t length;
} stream;

static void begin_stream(stream *of)
{
    fo_digest_start(FO_MD5, &of->md5);
    fo_digest_start(FO_SHA256, &of->sha256);
    of->crc = 0;
    of->length = 0;
    of->bytes = allocate(STREAM_PIECES * STREAM_PIECE_MAX);
    for (int piece = 0; piece < STREAM_PIECES; piece++) {
        fo_job *job = &of->jobs[piece];
        *job = (fo_job){.kind = FO_HASH, .buffer = of->bytes + of->length, .sum_count = 3};
        job->size = random_below(STREAM_PIECE_MAX);
        job->urgent = !random_below(6);
        job->sums[0] = (fo_sum){FO_SUM_MD5, &of->md5};
        job->sums[1] = (fo_sum){FO_SUM_CRC64NVME, &of->crc};
        job->sums[2] = (fo_sum){FO_SUM_SHA256, &of->sha256};
        for (size_t at = 0; at < job->size; at++)
            job->buffer[at] = (uint8_t)(random_word() >> 56);
        of->length += (size_t)job->size;
    }
}

static void check_digest(fo_digest_kind kind, fo_running *found, const stream *of)
{
    uint8_t digest[FO_DIGEST_BYTES_MAX], expected[FO_DIGEST_BYTES_MAX];
    fo_running whole;
    fo_digest_start(kind, &whole);
    fo_digest_add(kind, &whole, of->bytes, of->length);
    fo_digest_finish(kind, &whole, expected);
    fo_digest_finish(kind, found, digest);
    expect(memcmp(digest, expected, fo_digest_bytes(kind)) == 0, "digest", (size_t)kind);
}

/* Streams that are many, urgent or not; what waits for company is hashed at the close at last. */
static void hash_streams(fo_pool *pool)
{
    static stream streams[STREAMS];
    fo_pool_streams(pool, STREAMS + (int)random_below(2));
    for (int index = 0; index < STREAMS; index++)
        begin_stream(&streams[index]);
    for (int piece = 0; piece < STREAM_PIECES; piece++)
        for (int index = 0; index < STREAMS; index++)
            submit(pool, &streams[index].jobs[piece]);
    const size_t way = random_below(3);
    if (way == 0) {
        fo_pool_press(pool, +1);
        wait_for(pool, STREAMS * STREAM_PIECES);
        fo_pool_press(pool, -1);
    } else if (way == 1) {
        for (int index = 0; index < STREAMS; index++)
            fo_pool_hurry(pool, &streams[index].md5);
        wait_for(pool, STREAMS * STREAM_PIECES);
    }
    fo_pool_close(pool);
    fo_pool_take(pool);
    for (int index = 0; index < STREAMS; index++) {
        stream *of = &streams[index];
        check_digest(FO_MD5, &of->md5, of);
        check_digest(FO_SHA256, &of->sha256, of);
        expect(of->crc == fo_crc64nvme(0, of->bytes, of->length), "crc", of->length);
        free(of->bytes);
    }
}

static void decode_bodies(fo_pool *pool)
{
    static const struct {
        const char *body;
        int64_t expected;
        int status;
    } CASES[] = {{"5\r\nhello\r\n0\r\n\r\n", 5, 0},
                 {"5\r\nhello\r\n0\r\n\r\n", -1, 0},
                 {"5\r\nhello\r\n0\r\n\r\n", 4, -EILSEQ},
                 {"5\r\nhello\r\nx\r\n\r\n", 5, FO_CHUNKED_BAD_SIZE}};
    for (size_t index = 0; index < sizeof CASES / sizeof CASES[0]; index++) {
        fo_chunked chunked;
        uint8_t trailers[FO_CHUNKED_TRAILER_BYTES_MAX];
        const size_t size = strlen(CASES[index].body);
        uint8_t *buffer = allocate(size);
        memcpy(buffer, CASES[index].body, size);
        fo_chunked_start(&chunked, FO_CHUNKED_UNSIGNED_TRAILER, 5, NULL, trailers);
        fo_job job = {.kind = FO_DECODE, .buffer = buffer, .size = size, .chunked = &chunked};
        job.expected = CASES[index].expected;
        submit(pool, &job);
        wait_for(pool, 1);
        expect(job.status == CASES[index].status, "decode", index);
        expect(memcmp(buffer, "hello", 5) == 0, "decoded", index);
        free(buffer);
    }
}

static void one_round(void)
{
    static body bodies[JOBS];
    int error = 0;
    fo_pool *pool = fo_pool_new(1 + (unsigned)random_below(4), JOBS, &error);
    expect(pool != NULL, "pool", (size_t)-error);
    expect(ftruncate(file, 0) == 0, "ftruncate", 0);
    for (size_t index = 0; index < JOBS; index++) {
        begin_body(&bodies[index], index * (FO_PIECE_HEAD_BYTES + FO_PIECE_BYTES));
        submit(pool, &bodies[index].write);
    }
    fo_job extra = {.kind = FO_FDATASYNC, .fd = file};
    expect(fo_pool_submit(pool, &extra) == -EAGAIN, "capacity", 0);
    wait_for(pool, JOBS);
    size_t turned[JOBS];
    for (size_t index = 0; index < JOBS; index++) {
        const body *of = &bodies[index];
        expect(of->write.status == 0, "write", (size_t)-of->write.status);
        check_encoding(of);
        turned[index] = random_below(random_below(2) ? 160 : of->size);
        if (index % 2)
            flip(of, turned[index]);
        submit(pool, &bodies[index].read);
    }
    fo_pool_close(pool); /* finishes what is queued */
    expect(fo_pool_submit(pool, &extra) == -ESHUTDOWN, "closed", 0);
    fo_pool_take(pool);
    fo_pool_free(pool);
    for (size_t index = 0; index < JOBS; index++) {
        const body *of = &bodies[index];
        expect(index % 2 ? verdict_allowed(of, turned[index]) : of->read.status == 0, "verdict",
               turned[index]);
        check_bytes(of);
        free(of->written);
        free(of->got);
    }
    pool = fo_pool_new(2, STREAMS * STREAM_PIECES, &error);
    check_limits(pool);
    decode_bodies(pool);
    hash_streams(pool);
    fo_pool_free(pool);
}

/* Reads and writes are cut short and interrupted now and then: no result may differ. */
static void arm_faults(void)
{
    fo_fault_rule rule = {.calls = FO_CALL_READ | FO_CALL_WRITE, .first = 1};
    rule.kind = FO_FAULT_SHORT;
    rule.amount = 70000;
    expect(fo_faults_add(&rule) == 0, "rule", 0);
    rule.kind = FO_FAULT_FAIL;
    rule.error = EINTR;
    memcpy(rule.pattern, "*pieces", sizeof "*pieces");
    for (rule.first = 2; rule.first < 2000; rule.first *= 3) {
        rule.times = rule.first;
        expect(fo_faults_add(&rule) > 0, "rule", 0);
    }
}

int main(int count, char **arguments)
{
    (void)count;
    if (fo_crc_init() != FO_CPU_OK || fo_digest_init() != FO_CPU_OK ||
        fo_sha256_init() != FO_CPU_OK)
        return 1;
    file = memfd_create("pieces", MFD_CLOEXEC);
    const char *record = getenv("DRIVE_RECORD");
    if (record)
        expect(fo_record_open(record, getenv("DRIVE_COUNTER")) == 0, "record", 0);
    if (getenv("DRIVE_FAULTS"))
        arm_faults();
    return drive(arguments, one_round);
}
