/* Uploads as clients make them, of random content and form, for drive_chunked.c and
 * fuzz_chunked.c. Signatures are made from whole texts here, and by parts in the kernel. */
#ifndef CHUNKED_BODY_H
#define CHUNKED_BODY_H

#include "chunked_impl.h"
#include "drive.h"

/* Few chunks as a rule, and now and then more than are hashed together. */
enum { CHUNKS_MAX = 40, CHUNKS_USUAL = 4, CHUNK_MAX = 5000, TRAILERS_MAX = 3, TRAILER_MAX = 80 };
#define PAYLOAD_MAX (CHUNKS_MAX * CHUNK_MAX)
#define FRAMES_MAX ((CHUNKS_MAX + 1) * (FO_CHUNKED_HEAD_BYTES_MAX + 2) + 400)

static const char DATE[] = "20261120T101112Z", SCOPE[] = "20261120/us-east-1/s3/aws4_request";
static const uint8_t KEY[FO_SHA256_BYTES] = "the key of one day and region";

typedef struct {
    fo_chunked_mode mode;
    uint8_t seed[FO_SIGV4_SIGNATURE_BYTES], previous[FO_SIGV4_SIGNATURE_BYTES];
    uint8_t payload[PAYLOAD_MAX], trailers[TRAILERS_MAX * TRAILER_MAX];
    uint8_t body[PAYLOAD_MAX + FRAMES_MAX];
    size_t payload_length, trailer_length, body_length;
} upload;

static void put(upload *to, const void *from, size_t length)
{
    memcpy(to->body + to->body_length, from, length);
    to->body_length += length;
}

static void put_text(upload *to, const char *text)
{
    put(to, text, strlen(text));
}

static void hex_of(uint8_t hex[FO_SIGV4_SIGNATURE_BYTES], const uint8_t digest[FO_SHA256_BYTES])
{
    char text[FO_SIGV4_SIGNATURE_BYTES + 1];
    for (int at = 0; at < FO_SHA256_BYTES; at++)
        snprintf(text + 2 * at, 3, "%02x", digest[at]);
    memcpy(hex, text, FO_SIGV4_SIGNATURE_BYTES);
}

static void hash_hex(uint8_t hex[FO_SIGV4_SIGNATURE_BYTES], const void *from, size_t length)
{
    uint8_t digest[FO_SHA256_BYTES];
    fo_sha256 hash;
    fo_sha256_start(&hash);
    fo_sha256_add(&hash, from, length);
    fo_sha256_finish(&hash, digest);
    hex_of(hex, digest);
}

/* Puts the signature of what was just made there, and chains it. */
static void put_signature(upload *to, const char *algorithm, const char *middle, const void *from,
                          size_t length)
{
    char text[512];
    uint8_t hex[FO_SIGV4_SIGNATURE_BYTES], digest[FO_SHA256_BYTES];
    fo_hmac mac;
    hash_hex(hex, from, length);
    const int text_length = snprintf(text, sizeof text, "%s\n%s\n%s\n%.64s\n%s%.64s", algorithm,
                                     DATE, SCOPE, (char *)to->previous, middle, (char *)hex);
    fo_hmac_start(&mac, (fo_slice){NULL, 0}, (fo_slice){KEY, sizeof KEY});
    fo_hmac_add(&mac, text, (size_t)text_length);
    fo_hmac_finish(&mac, digest);
    hex_of(to->previous, digest);
    put(to, to->previous, sizeof to->previous);
}

static void put_chunk(upload *to, const uint8_t *from, size_t length)
{
    static const char *const FORMS[] = {"%zx", "%zx", "%zX", "%016zX", "0%zx"};
    char size[32];
    snprintf(size, sizeof size, FORMS[random_below(5)], length);
    put_text(to, size);
    if (to->mode != FO_CHUNKED_UNSIGNED_TRAILER) {
        put_text(to, ";chunk-signature=");
        put_signature(to, "AWS4-HMAC-SHA256-PAYLOAD",
                      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n", from,
                      length);
    }
    put_text(to, "\r\n");
    put(to, from, length);
    put_text(to, length ? "\r\n" : "");
}

/* In the form of the documents, or in that of minio-go. */
static void put_trailers(upload *to)
{
    static const char *const LINES[] = {"x-amz-checksum-crc32:AAAAAA==", "a:", "b:c d"};
    const int is_lf = !random_below(3);
    size_t count = random_below(TRAILERS_MAX + 1);
    for (size_t number = 0; number < count; number++) {
        const char *line = LINES[random_below(3)];
        to->trailer_length +=
            (size_t)sprintf((char *)to->trailers + to->trailer_length, "%s\n", line);
        put_text(to, line);
        put_text(to, is_lf ? "\n" : "\r\n");
    }
    put_text(to, is_lf && count ? "\r\n" : "");
    if (to->mode != FO_CHUNKED_SIGNED_TRAILER)
        return;
    put_text(to, "x-amz-trailer-signature:");
    put_signature(to, "AWS4-HMAC-SHA256-TRAILER", "", to->trailers, to->trailer_length);
    put_text(to, "\r\n");
}

static void make_upload(upload *to)
{
    to->mode = (fo_chunked_mode)random_below(3);
    to->payload_length = to->trailer_length = to->body_length = 0;
    hash_hex(to->seed, &random_state, sizeof random_state);
    memcpy(to->previous, to->seed, sizeof to->seed);
    const size_t chunks_max = random_below(5) ? CHUNKS_USUAL : CHUNKS_MAX;
    for (size_t count = random_below(chunks_max + 1); count; count--) {
        uint8_t *chunk = to->payload + to->payload_length;
        const size_t length = 1 + random_below(random_below(8) ? 80 : CHUNK_MAX);
        for (size_t at = 0; at < length; at++)
            chunk[at] = (uint8_t)(random_word() >> 32);
        put_chunk(to, chunk, length);
        to->payload_length += length;
    }
    put_chunk(to, to->payload, 0);
    if (to->mode != FO_CHUNKED_SIGNED)
        put_trailers(to);
    put_text(to, random_below(4) ? "\r\n" : "");
}

/* What a decoder made of a body. */
typedef struct {
    fo_chunked_status status;
    int is_complete;
    size_t consumed, produced;
    uint8_t payload[2 * (PAYLOAD_MAX + FRAMES_MAX)];
    uint8_t trailers[FO_CHUNKED_TRAILER_BYTES_MAX];
    size_t trailer_length;
} outcome;

/* A plan sees what the decoder sees, but for signatures and trailers. */
static void check_plan(const fo_chunked *plan, const fo_chunked *chunked, size_t detail)
{
    const fo_chunked_status status = chunked->status;
    if (status == FO_CHUNKED_OK)
        expect(plan->status == FO_CHUNKED_OK && plan->decoded == chunked->decoded, "plan", detail);
    if (status == FO_CHUNKED_BAD_SIZE || status == FO_CHUNKED_BAD_FRAMING ||
        status == FO_CHUNKED_BAD_LENGTH)
        expect(plan->status == status && plan->decoded == chunked->decoded, "its error", detail);
}

/* Looks at a piece in steps of payload, as a reader does that fills buffers of its own size. */
static void look(fo_chunked *plan, const uint8_t *piece, size_t size)
{
    size_t consumed = 1;
    for (size_t at = 0; at < size && consumed && plan->status == FO_CHUNKED_OK; at += consumed) {
        const uint64_t payload_max = 1 + random_below(3000);
        uint64_t payload;
        fo_chunked_look(plan, piece + at, size - at, payload_max, &consumed, &payload);
        expect(payload <= payload_max && consumed <= size - at, "look", at);
    }
}

/* Feeds the body in pieces of at most `piece_max` bytes, each in a buffer of its exact size. */
static void decode(const upload *from, const uint8_t *body, size_t length, size_t piece_max,
                   outcome *to)
{
    const fo_chunked_signing signing = {{KEY, sizeof KEY},
                                        {(const uint8_t *)DATE, sizeof DATE - 1},
                                        {(const uint8_t *)SCOPE, sizeof SCOPE - 1},
                                        from->seed};
    const int is_signed = from->mode != FO_CHUNKED_UNSIGNED_TRAILER;
    uint8_t *trailers =
        from->mode == FO_CHUNKED_SIGNED ? NULL : allocate(FO_CHUNKED_TRAILER_BYTES_MAX);
    fo_chunked *chunked = (fo_chunked *)allocate(sizeof *chunked);
    fo_chunked_start(chunked, from->mode, from->payload_length, is_signed ? &signing : NULL,
                     trailers);
    fo_chunked *plan = (fo_chunked *)allocate(sizeof *plan);
    fo_chunked_plan(plan, from->mode, from->payload_length);
    to->status = FO_CHUNKED_OK;
    to->consumed = to->produced = 0;
    for (size_t at = 0, size; at < length; at += size) {
        size_t consumed, produced;
        size = random_below(piece_max) + 1;
        size = size < length - at ? size : length - at;
        uint8_t *piece = allocate(size);
        memcpy(piece, body + at, size);
        look(plan, piece, size);
        const int was_right = to->status == FO_CHUNKED_OK;
        to->status = fo_chunked_feed(chunked, piece, size, &consumed, &produced);
        check_plan(plan, chunked, size);
        expect(produced <= consumed && consumed <= size, "bounds", size);
        expect(to->status != FO_CHUNKED_OK || consumed == size, "all of it", size);
        expect(was_right || (to->status != FO_CHUNKED_OK && !consumed), "errors stay", size);
        memcpy(to->payload + to->produced, piece, produced);
        to->consumed += consumed;
        to->produced += produced;
        free(piece);
    }
    const fo_slice kept = fo_chunked_trailers(chunked);
    to->is_complete = fo_chunked_is_complete(chunked);
    to->trailer_length = kept.length;
    fo_append(to->trailers, kept.at, kept.length);
    free(trailers), free(chunked), free(plan);
}

/* Whether it is what was uploaded. */
static int is_upload(const outcome *found, const upload *from)
{
    return found->status == FO_CHUNKED_OK && found->is_complete &&
           found->produced == from->payload_length &&
           found->trailer_length == from->trailer_length &&
           !memcmp(found->payload, from->payload, from->payload_length) &&
           !memcmp(found->trailers, from->trailers, from->trailer_length);
}

#endif
