/* Pieces written to a file, damaged there and read back, with buffers that end where the piece
 * does: never a wrong byte, never a wrong verdict on a head. */
#define _GNU_SOURCE
#include "crc_impl.h"
#include "fuzz.h"
#include "segio_impl.h"

#include <sys/mman.h>
#include <unistd.h>

enum { SUMMED_BYTES = 128, PAYLOAD_MAX = FO_FRAME_BYTES + 300 };

static const char *const WORDS[] = {"fobjpce1", "fobjpce1\1", "\1\1", "\xff\xff\xff\xff"};
#define WORD_COUNT (sizeof WORDS / sizeof WORDS[0])

static int file;

static fo_piece random_piece(void)
{
    const uint32_t lengths[] = {1, 2, 300, FO_FRAME_BYTES, FO_FRAME_BYTES + 1, PAYLOAD_MAX};
    fo_piece piece = {.segment = random_below(2) ? random_word() : UINT64_MAX,
                      .generation = (uint32_t)random_word(),
                      .index = (uint32_t)random_word(),
                      .length = random_below(2) ? 1 + (uint32_t)random_below(600)
                                                : lengths[random_below(6)]};
    for (int at = 0; at < FO_DATA_ID_BYTES; at++)
        piece.data_id[at] = (uint8_t)random_word();
    return piece;
}

/* A copy of the first `length` bytes, damaged and made as long as they were. */
static bytes damaged_copy(const uint8_t *from, size_t length)
{
    bytes made = copy(from, length);
    damage(&made, WORDS, WORD_COUNT);
    const bytes same = make(length);
    memset(same.at, 0, length);
    memcpy(same.at, made.at, made.length < length ? made.length : length);
    free(made.at);
    return same;
}

static int differs(const uint8_t *left, const uint8_t *right, size_t from, size_t to)
{
    return memcmp(left + from, right + from, to - from) != 0;
}

static void check_head(const uint8_t *head, const fo_piece *piece)
{
    bytes other = copy(head, FO_PIECE_HEAD_BYTES);
    const bytes changed = damaged_copy(head, SUMMED_BYTES);
    memcpy(other.at, changed.at, SUMMED_BYTES);
    const int status = fo_piece_check(other.at, piece);
    const int is_stale = differs(head, other.at, 0, 8) || differs(head, other.at, 16, 44);
    const int is_damaged = differs(head, other.at, 0, SUMMED_BYTES);
    expect(status == (is_stale ? FO_STALE : is_damaged ? FO_CHECKSUM : 0), "head", (size_t)status);
    free(changed.at), free(other.at);
}

static void write_file(const uint8_t *from, size_t length, uint64_t offset)
{
    expect(ftruncate(file, 0) == 0, "ftruncate", 0);
    expect(pwrite(file, from, length, (off_t)offset) == (ssize_t)length, "pwrite", length);
}

/* Reads part of the piece from the file, which holds `now` in the place of `whole`. */
static void check_read(const fo_piece *piece, const bytes *whole, const bytes *now, uint64_t offset)
{
    const uint32_t begin = random_below(3) ? (uint32_t)random_below(piece->length) : 0;
    const uint32_t rest = piece->length - begin;
    const uint32_t frame = FO_FRAME_BYTES - begin % FO_FRAME_BYTES;
    const uint32_t ends[] = {rest, frame < rest ? frame : rest, 1 + (uint32_t)random_below(rest)};
    const uint32_t length = ends[random_below(3)];
    const bytes into = make(whole->length);
    memset(into.at, 0, into.length);
    const fo_job job = {.kind = FO_READ_PIECE,
                        .fd = file,
                        .offset = offset,
                        .buffer = into.at,
                        .piece = *piece,
                        .payload_offset = begin,
                        .payload_length = length};
    const int status = fo_job_run(&job);
    expect(status == 0 || status == FO_STALE || status == FO_CHECKSUM, "status", (size_t)-status);
    const size_t first = FO_PIECE_HEAD_BYTES + begin / FO_FRAME_BYTES * FO_FRAME_BYTES;
    size_t last = FO_PIECE_HEAD_BYTES +
                  (begin + length + FO_FRAME_BYTES - 1) / FO_FRAME_BYTES * FO_FRAME_BYTES;
    last = last < whole->length ? last : whole->length;
    const int stands = now->length >= last && !differs(whole->at, now->at, 0, SUMMED_BYTES) &&
                       !differs(whole->at, now->at, first, last);
    expect((status == 0) == stands, "verdict", (size_t)status);
    if (stands)
        expect(!differs(whole->at, into.at, FO_PIECE_HEAD_BYTES + begin,
                        FO_PIECE_HEAD_BYTES + begin + length),
               "bytes", begin);
    free(into.at);
}

static void one_round(void)
{
    const fo_piece piece = random_piece();
    const uint64_t offset = random_below(3) * 4096;
    const bytes payload = random_bytes(piece.length);
    bytes head = make(FO_PIECE_HEAD_BYTES), whole = make(FO_PIECE_HEAD_BYTES + piece.length);
    memcpy(whole.at + FO_PIECE_HEAD_BYTES, payload.at, payload.length);
    const fo_job write = {.kind = FO_WRITE_PIECE,
                          .fd = file,
                          .offset = offset,
                          .buffer = whole.at,
                          .piece = piece,
                          .path = "piece"};
    expect(fo_job_run(&write) == 0, "write", piece.length);
    fo_piece_encode(head.at, &piece, payload.at);
    expect(!differs(head.at, whole.at, 0, FO_PIECE_HEAD_BYTES), "encode", piece.length);
    check_head(head.at, &piece);
    const size_t reach = random_below(2) ? SUMMED_BYTES : whole.length;
    bytes now = copy(whole.at, whole.length);
    if (random_below(5)) {
        const bytes changed = damaged_copy(whole.at, reach);
        memcpy(now.at, changed.at, reach);
        free(changed.at);
    }
    if (!random_below(5))
        now.length = random_below(now.length);
    write_file(now.at, now.length, offset);
    check_read(&piece, &whole, &now, offset);
    free(payload.at), free(head.at), free(whole.at), free(now.at);
}

int main(int count, char **arguments)
{
    (void)count;
    if (fo_crc_init() != FO_CPU_OK)
        return 1;
    file = memfd_create("pieces", MFD_CLOEXEC);
    return fuzz(arguments, one_round);
}
