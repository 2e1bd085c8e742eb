/* Random requests to the sigv4 kernel at every ISA level: every slice, and the scratch, has its
 * exact size on the heap, and all levels agree. What is right is for the Python tests to say. */
#include "drive.h"
#include "sigv4_impl.h"
#include "digest_sha256.h"

#define HEADERS_MAX 80
#define SLICES_MAX (2 * HEADERS_MAX + 16)

static const char *const PIECES[] = {
    "%",
    "%4",
    "%41",
    "%zz",
    "%2f",
    "&",
    "=",
    "+",
    "/",
    " ",
    "\t",
    "a",
    "~",
    "\xff",
    ";",
    "host",
    "x-amz-date",
    "b=1",
    "X-Amz-Signature=1",
    "&&",
    "%e2%82%ac",
};
#define PIECE_COUNT (sizeof PIECES / sizeof PIECES[0])

static uint8_t *owned[SLICES_MAX];
static size_t owned_count;

static fo_slice own(const void *from, size_t length)
{
    uint8_t *copy = allocate(length);
    fo_append(copy, from, length);
    owned[owned_count++] = copy;
    return (fo_slice){copy, length};
}

/* A NULL slice, bytes of any value but line feeds (see check_line_feed), or odd pieces of syntax.
 */
static fo_slice random_slice(size_t length_max)
{
    char text[4096];
    const size_t length = random_below(length_max + 1);
    size_t used = 0;
    if (!random_below(30))
        return (fo_slice){NULL, 0};
    const int is_binary = !random_below(4);
    while (used < length) {
        char byte[2] = {(char)random_word(), 0};
        if (byte[0] == '\n')
            byte[0] = 0;
        const char *piece = is_binary ? byte : PIECES[random_below(PIECE_COUNT)];
        const size_t piece_length = is_binary ? 1 : strlen(piece);
        memcpy(text + used, piece, piece_length);
        used += piece_length;
    }
    return own(text, used);
}

static fo_slice random_name(void)
{
    static const char *const NAMES[] = {"host", "x-amz-date", "x-amz-content-sha256", "range", ""};
    const char *name = NAMES[random_below(5)];
    return random_below(5) ? own(name, strlen(name)) : random_slice(20);
}

/* Names of headers that are there, and some that are not. */
static fo_slice random_signed_headers(const fo_header *headers, size_t count)
{
    char text[4096];
    size_t used = 0;
    for (size_t i = random_below(8); i; i--) {
        const fo_slice *name = count ? &headers[random_below(count)].name : NULL;
        if (name && random_below(5) && name->length)
            used = (size_t)(fo_append((uint8_t *)text + used, name->at, name->length) -
                            (uint8_t *)text);
        else
            text[used++] = 'x';
        text[used++] = ';';
    }
    return own(text, used);
}

static fo_sigv4_request random_request(fo_header *headers)
{
    const size_t long_max = random_below(10) ? 60 : 3000;
    const size_t count = random_below(random_below(4) ? 8 : HEADERS_MAX);
    for (size_t i = 0; i < count; i++)
        headers[i] = (fo_header){random_name(), random_slice(40)};
    return (fo_sigv4_request){
        .method = random_slice(6),
        .path = random_slice(long_max),
        .query = random_slice(long_max),
        .headers = headers,
        .header_count = count,
        .signed_headers = random_signed_headers(headers, count),
        .payload_hash = random_slice(64),
        .amz_date = random_slice(16),
        .scope = random_slice(40),
        .key = random_slice(100),
    };
}

static void check_canonical(const fo_sigv4_request *request)
{
    size_t scratch_bytes = 0;
    expect(fo_sigv4_measure(request, &scratch_bytes) == FO_SIGV4_OK, "measure", 0);
    uint8_t *scratch = allocate(scratch_bytes);
    const fo_slice text = fo_sigv4_canonical(request, scratch);
    expect(text.at >= scratch && text.at + text.length <= scratch + scratch_bytes, "canonical",
           scratch_bytes);
    free(scratch);
}

static void check_levels(const fo_sigv4_request *request)
{
    uint8_t first[FO_SIGV4_SIGNATURE_BYTES], other[FO_SIGV4_SIGNATURE_BYTES];
    uint8_t key[32], other_key[32];
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_sha256_init() != FO_CPU_OK)
            continue;
        expect(fo_sigv4_sign(request, level ? other : first) == FO_SIGV4_OK, "sign", level);
        fo_sigv4_signing_key(request->key, request->amz_date, request->scope, request->method,
                             level ? other_key : key);
        if (!level)
            continue;
        expect(fo_sigv4_equal((fo_slice){first, sizeof first}, (fo_slice){other, sizeof other}),
               "levels differ", level);
        expect(memcmp(key, other_key, sizeof key) == 0, "keys differ", level);
    }
}

/* Lengths that no memory stands behind: the limit must be found before a byte is read. */
static void check_too_large(const fo_sigv4_request *request)
{
    static const size_t LENGTHS[] = {FO_SIGV4_CANONICAL_BYTES_MAX, SIZE_MAX / 2, SIZE_MAX};
    fo_sigv4_request large = *request;
    fo_slice *parts[] = {&large.path, &large.method, &large.payload_hash};
    size_t scratch_bytes;
    parts[random_below(3)]->length = LENGTHS[random_below(3)];
    expect(fo_sigv4_measure(&large, &scratch_bytes) == FO_SIGV4_TOO_LARGE, "too large", 0);
}

static void check_line_feed(const fo_sigv4_request *request)
{
    fo_sigv4_request odd = *request;
    fo_slice *parts[] = {&odd.method, &odd.signed_headers, &odd.payload_hash, &odd.scope};
    size_t scratch_bytes;
    *parts[random_below(4)] = own("a\nb", 3);
    expect(fo_sigv4_measure(&odd, &scratch_bytes) == FO_SIGV4_LINE_FEED, "line feed", 0);
}

static void one_round(void)
{
    fo_header headers[HEADERS_MAX];
    const fo_sigv4_request request = random_request(headers);
    check_canonical(&request);
    check_levels(&request);
    check_too_large(&request);
    check_line_feed(&request);
    while (owned_count)
        free(owned[--owned_count]);
}

int main(int count, char **arguments)
{
    (void)count;
    return drive(arguments, one_round);
}
