/* Requests as clients send them, damaged, through the sigv4 kernel: every slice and the scratch end
 * where their content does. The canonical request is canonical itself, all ISA levels sign alike,
 * and no other signature is equal. What is right is for the Python fuzzers to say. */
#include "fuzz.h"
#include "sigv4_impl.h"
#include "digest_sha256.h"

enum { HEADERS_MAX = 70, PART_COUNT = 8 };

static const char *const WORDS[] = {"%",
                                    "%4",
                                    "%41",
                                    "%zz",
                                    "%2f",
                                    "%2F",
                                    "%0a",
                                    "&",
                                    "=",
                                    "+",
                                    "/",
                                    "//",
                                    " ",
                                    "\t",
                                    "~",
                                    ";",
                                    "\n",
                                    "\xff",
                                    "?",
                                    "#",
                                    "%e2%82%ac",
                                    "&a=b",
                                    "host",
                                    "a=",
                                    "=b",
                                    "&&&&",
                                    "%%%%",
                                    ";;;;",
                                    "  ",
                                    "X-Amz-Signature=1&",
                                    "&X%2DAmz-Signature=1",
                                    "X-Amz-Signature"};
#define WORD_COUNT (sizeof WORDS / sizeof WORDS[0])

/* The parts of a request in the order of `parts_of`; the first rows are what clients send. */
static const char *const SEEDS[][PART_COUNT] = {
    {"GET", "/bucket/key%20a", "list-type=2&prefix=a%2Fb&delimiter=/", "host;x-amz-date",
     "UNSIGNED-PAYLOAD", "20261120T101112Z", "20261120/us-east-1/s3/aws4_request",
     "0123456789abcdef"},
    {"PUT", "/b/\xc3\xbc//../~", "partNumber=1&uploadId=x%3D%3D", "host;x-amz-content-sha256",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "20261120T101112Z",
     "20261120/eu-central-1/s3/aws4_request", "k"},
    {"DELETE", "", "", "", "", "", "", ""},
    {"GET", "/", "X-Amz-Date=20261120T101112Z&X-Amz-Signature=00&X-Amz-Expires=60&a&b=&=c", "host",
     "UNSIGNED-PAYLOAD", "20261120T101112Z", "20261120/us-east-1/s3/aws4_request", "key"},
};
#define SEED_COUNT (sizeof SEEDS / sizeof SEEDS[0])

static const char *const NAMES[] = {"host", "x-amz-date", "x-amz-content-sha256", "range", ""};
static const char *const VALUES[] = {"localhost:9000", "20261120T101112Z", "  a   b \t c ", "",
                                     "\t"};

static bytes owned[PART_COUNT + 2 * HEADERS_MAX];
static size_t owned_count;

/* A copy of `text`, damaged once in `rarity` times; now and then a NULL slice. */
static fo_slice some(const char *text, size_t rarity)
{
    if (!*text && !random_below(3))
        return (fo_slice){NULL, 0};
    bytes made = copy(text, strlen(text));
    if (!random_below(rarity))
        damage(&made, WORDS, WORD_COUNT);
    owned[owned_count++] = made;
    return (fo_slice){made.at, made.length};
}

static fo_sigv4_request random_request(fo_header *headers)
{
    const char *const *row = SEEDS[random_below(SEED_COUNT)];
    const size_t count = random_below(random_below(8) ? 6 : HEADERS_MAX);
    for (size_t i = 0; i < count; i++)
        headers[i] =
            (fo_header){some(NAMES[random_below(5)], 10), some(VALUES[random_below(5)], 3)};
    return (fo_sigv4_request){
        .method = some(row[0], 20),
        .path = some(row[1], 1),
        .query = some(row[2], 1),
        .headers = headers,
        .header_count = count,
        .signed_headers = some(row[3], 3),
        .payload_hash = some(row[4], 10),
        .amz_date = some(row[5], 10),
        .scope = some(row[6], 10),
        .key = some(row[7], 4),
    };
}

/* A copy of the line that starts at *at, whose end is put there. */
static bytes take_line(fo_slice text, size_t *at)
{
    const uint8_t *end = memchr(text.at + *at, '\n', text.length - *at);
    expect(end != NULL, "lines", *at);
    const bytes line = copy(text.at + *at, (size_t)(end - text.at) - *at);
    *at += line.length + 1;
    return line;
}

/* The canonical text, in a buffer that the caller frees; its `at` is NULL where there is none. */
static bytes canonical(const fo_sigv4_request *request)
{
    size_t size = 0;
    if (fo_sigv4_measure(request, &size) != FO_SIGV4_OK)
        return (bytes){NULL, 0};
    uint8_t *scratch = allocate(size);
    const fo_slice text = fo_sigv4_canonical(request, scratch);
    expect(text.at >= scratch && text.at + text.length <= scratch + size, "scratch", size);
    const bytes made = copy(text.at, text.length);
    free(scratch);
    return made;
}

/* With path and query in canonical form the text is the same again. */
static void check_canonical(const fo_sigv4_request *request)
{
    const bytes text = canonical(request);
    if (!text.at)
        return;
    size_t at = request->method.length + 1;
    const fo_slice whole = {text.at, text.length};
    const bytes path = take_line(whole, &at), query = take_line(whole, &at);
    fo_sigv4_request again = *request;
    again.path = (fo_slice){path.at, path.length};
    again.query = (fo_slice){query.at, query.length};
    const bytes same = canonical(&again);
    expect(same.at && same.length == text.length && !memcmp(same.at, text.at, text.length),
           "canonical twice", text.length);
    free(path.at), free(query.at), free(text.at), free(same.at);
}

static void check_signature(const fo_sigv4_request *request)
{
    uint8_t *first = allocate(FO_SIGV4_SIGNATURE_BYTES),
            *other = allocate(FO_SIGV4_SIGNATURE_BYTES);
    fo_sigv4_status status = FO_SIGV4_OK;
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_sha256_init() != FO_CPU_OK)
            continue;
        const fo_sigv4_status now = fo_sigv4_sign(request, level ? other : first);
        expect(!level || now == status, "status", level);
        status = now;
        if (level && !now)
            expect(!memcmp(first, other, FO_SIGV4_SIGNATURE_BYTES), "levels", level);
    }
    if (!status) {
        bytes sent = copy(first, FO_SIGV4_SIGNATURE_BYTES);
        damage(&sent, NULL, 0);
        const int is_same = sent.length == FO_SIGV4_SIGNATURE_BYTES &&
                            !memcmp(first, sent.at, FO_SIGV4_SIGNATURE_BYTES);
        const fo_slice right = {first, FO_SIGV4_SIGNATURE_BYTES}, wrong = {sent.at, sent.length};
        expect(fo_sigv4_equal(right, wrong) == is_same, "equal", sent.length);
        free(sent.at);
    }
    free(first), free(other);
}

static void one_round(void)
{
    fo_header headers[HEADERS_MAX];
    const fo_sigv4_request request = random_request(headers);
    uint8_t *key = allocate(32);
    check_canonical(&request);
    check_signature(&request);
    fo_sigv4_signing_key(request.key, request.amz_date, request.scope, request.method, key);
    free(key);
    while (owned_count)
        free(owned[--owned_count].at);
}

int main(int count, char **arguments)
{
    (void)count;
    return fuzz(arguments, one_round);
}
