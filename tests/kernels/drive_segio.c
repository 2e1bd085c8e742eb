/* Random pieces, written, damaged and read by a pool of threads: never a wrong byte, never a wrong
 * verdict. Run under AddressSanitizer and UndefinedBehaviorSanitizer, and under ThreadSanitizer. */
#define _GNU_SOURCE
#include "crc_impl.h"
#include "drive.h"
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
    pool = fo_pool_new(2, 4, &error);
    check_limits(pool);
    fo_pool_close(pool);
    fo_pool_take(pool);
    fo_pool_free(pool);
}

int main(int count, char **arguments)
{
    (void)count;
    if (fo_crc_init() != FO_CPU_OK)
        return 1;
    file = memfd_create("pieces", MFD_CLOEXEC);
    const char *record = getenv("DRIVE_RECORD");
    if (record)
        expect(fo_record_open(record, getenv("DRIVE_COUNTER")) == 0, "record", 0);
    return drive(arguments, one_round);
}
