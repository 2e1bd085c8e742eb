/* aws-chunked for S3: see chunked_impl.h. Every take_ function is called with at least one byte in
 * `rest`, takes at least one off it, and leaves the state that the bytes behind are read in. */
#include "chunked_impl.h"

#include <stdio.h>

enum { TOGETHER_MAX = 16 }; /* chunks that are hashed together: all lanes of any code */

/* A chunk whose payload has passed, or that of a part of it, and is not hashed yet. */
typedef struct {
    fo_sha256 hash;
    const uint8_t *at;
    size_t length;
    const uint8_t *end; /* in the coded bytes, behind the payload; NULL where more will come */
    uint8_t sent[FO_SIGV4_SIGNATURE_BYTES];
} hashing;

/* One feed: what is left of the bytes, where their payload goes, and what is not hashed yet. */
typedef struct {
    fo_slice rest;
    uint8_t *out;
    size_t count;
    hashing chunks[TOGETHER_MAX];
} feed;

#define TEXT(literal) ((fo_slice){(const uint8_t *)(literal), sizeof(literal) - 1})
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TRAILER_SIGNATURE "x-amz-trailer-signature:"

static int is_signed(const fo_chunked *chunked)
{
    return chunked->mode != FO_CHUNKED_UNSIGNED_TRAILER;
}

static int starts_with(fo_slice text, fo_slice start)
{
    return text.length >= start.length && memcmp(text.at, start.at, start.length) == 0;
}

static void skip(fo_slice *rest, size_t length)
{
    rest->at += length;
    rest->length -= length;
}

/* --- signatures ------------------------------------------------------------------------------ */

static void add_line(fo_hmac *mac, fo_slice text)
{
    fo_hmac_add(mac, text.at, text.length);
    fo_hmac_add(mac, "\n", 1);
}

static void start_mac(fo_hmac *mac, fo_slice algorithm, const fo_chunked_signing *signing)
{
    fo_hmac_start(mac, TEXT(""), signing->key);
    add_line(mac, algorithm);
    add_line(mac, signing->amz_date);
    add_line(mac, signing->scope);
}

static void write_hex(uint8_t hex[2 * FO_SHA256_BYTES], const uint8_t digest[FO_SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < FO_SHA256_BYTES; i++) {
        hex[2 * i] = (uint8_t)digits[digest[i] >> 4];
        hex[2 * i + 1] = (uint8_t)digits[digest[i] & 15];
    }
}

/* Ends a string to sign by the hash of what is signed; on success `sent` is the previous signature
 * of what follows. */
static fo_chunked_status verify(fo_chunked *chunked, fo_hmac *mac,
                                const uint8_t hash[FO_SHA256_BYTES],
                                const uint8_t sent[FO_SIGV4_SIGNATURE_BYTES])
{
    uint8_t digest[FO_SHA256_BYTES], hex[FO_SIGV4_SIGNATURE_BYTES];
    write_hex(hex, hash);
    fo_hmac_add(mac, hex, sizeof hex);
    fo_hmac_finish(mac, digest);
    write_hex(hex, digest);
    if (!fo_sigv4_equal((fo_slice){hex, sizeof hex}, (fo_slice){sent, sizeof hex}))
        return FO_CHUNKED_BAD_SIGNATURE;
    memcpy(chunked->previous, hex, sizeof hex);
    return FO_CHUNKED_OK;
}

static fo_chunked_status verify_chunk(fo_chunked *chunked, const uint8_t hash[FO_SHA256_BYTES],
                                      const uint8_t sent[FO_SIGV4_SIGNATURE_BYTES])
{
    fo_hmac mac = chunked->chunk_mac;
    add_line(&mac, (fo_slice){chunked->previous, sizeof chunked->previous});
    add_line(&mac, TEXT(EMPTY_SHA256));
    return verify(chunked, &mac, hash, sent);
}

static fo_chunked_status verify_trailers(fo_chunked *chunked,
                                         const uint8_t sent[FO_SIGV4_SIGNATURE_BYTES])
{
    fo_hmac mac = chunked->trailer_mac;
    fo_sha256 hash;
    uint8_t digest[FO_SHA256_BYTES];
    fo_sha256_start(&hash);
    fo_sha256_add(&hash, chunked->trailers, chunked->trailer_length);
    fo_sha256_finish(&hash, digest);
    add_line(&mac, (fo_slice){chunked->previous, sizeof chunked->previous});
    return verify(chunked, &mac, digest, sent);
}

/* --- chunks that are hashed together --------------------------------------------------------- */

/* Goes on with a chunk whose first bytes an earlier feed brought, or none of them. */
static void begin_hashing(const fo_chunked *chunked, feed *of)
{
    hashing *chunk = &of->chunks[of->count++];
    chunk->hash = chunked->payload;
    chunk->at = of->out;
    chunk->length = 0;
    chunk->end = NULL;
    memcpy(chunk->sent, chunked->sent, sizeof chunk->sent);
}

/* A wrong signature shows behind the chunk, whatever has been read since. */
static void go_back(feed *of, const hashing *chunk)
{
    of->rest.length += (size_t)(of->rest.at - chunk->end);
    of->rest.at = chunk->end;
    of->out -= (size_t)(of->out - (chunk->at + chunk->length));
}

/* Hashes what has come and verifies the chunks that are whole, in their order. */
static fo_chunked_status settle(fo_chunked *chunked, feed *of)
{
    fo_digest_input inputs[TOGETHER_MAX];
    uint8_t digests[TOGETHER_MAX][FO_SHA256_BYTES];
    fo_chunked_status status = FO_CHUNKED_OK;
    for (size_t index = 0; index < of->count; index++) {
        hashing *chunk = &of->chunks[index];
        uint8_t *digest = chunk->end ? digests[index] : NULL;
        inputs[index] = (fo_digest_input){&chunk->hash, chunk->at, chunk->length, digest};
    }
    fo_digest_advance(FO_SHA256, inputs, of->count);
    for (size_t index = 0; index < of->count && status == FO_CHUNKED_OK; index++) {
        const hashing *chunk = &of->chunks[index];
        if (!chunk->end)
            chunked->payload = chunk->hash;
        else if ((status = verify_chunk(chunked, digests[index], chunk->sent)))
            go_back(of, chunk);
    }
    of->count = 0;
    return status;
}

/* The chunk is whole: its end is here. */
static fo_chunked_status end_hashing(fo_chunked *chunked, feed *of)
{
    of->chunks[of->count - 1].end = of->rest.at;
    return of->count < TOGETHER_MAX ? FO_CHUNKED_OK : settle(chunked, of);
}

/* --- chunks ---------------------------------------------------------------------------------- */

/* Appends to `line`, which has *length bytes of at most `length_max`, up to and with the next line
 * feed; whether one came. */
static int gather_line(fo_slice *rest, uint8_t *line, size_t *length, size_t length_max)
{
    const size_t room = length_max - *length;
    const size_t reach = rest->length < room ? rest->length : room;
    const uint8_t *feed = memchr(rest->at, '\n', reach);
    const size_t taken = feed ? (size_t)(feed - rest->at) + 1 : reach;
    fo_append(line + *length, rest->at, taken);
    *length += taken;
    skip(rest, taken);
    return feed != NULL;
}

/* Value of a hex digit, or -1. */
static int nibble(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    const uint8_t letter = byte | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Takes the size off the front of a head; 0 when there is none that can be. */
static int parse_size(fo_slice *head, uint64_t *size)
{
    size_t digits = 0;
    int digit;
    *size = 0;
    while (digits < head->length && (digit = nibble(head->at[digits])) >= 0) {
        if (++digits > FO_CHUNKED_SIZE_DIGITS_MAX)
            return 0;
        *size = *size << 4 | (unsigned)digit;
    }
    skip(head, digits);
    const int is_followed = head->length && (*head->at == ';' || *head->at == '\r');
    return digits && is_followed && *size <= FO_CHUNKED_SIZE_MAX;
}

/* Reads a head that is whole, so that it ends at its first line feed, or is longer than any. */
static fo_chunked_status parse_head(fo_chunked *chunked, uint64_t *size)
{
    const fo_slice prefix = TEXT(";chunk-signature=");
    fo_slice head = {chunked->head, chunked->head_length};
    if (!parse_size(&head, size))
        return FO_CHUNKED_BAD_SIZE;
    if (is_signed(chunked)) {
        if (!starts_with(head, prefix) || head.length < prefix.length + FO_SIGV4_SIGNATURE_BYTES)
            return FO_CHUNKED_BAD_FRAMING;
        memcpy(chunked->sent, head.at + prefix.length, FO_SIGV4_SIGNATURE_BYTES);
        skip(&head, prefix.length + FO_SIGV4_SIGNATURE_BYTES);
    }
    return starts_with(head, TEXT("\r\n")) ? FO_CHUNKED_OK : FO_CHUNKED_BAD_FRAMING;
}

static int is_hashed(const fo_chunked *chunked)
{
    return is_signed(chunked) && !chunked->is_plan;
}

/* The last chunk is verified at once, for what follows is signed with what it is signed with. */
static fo_chunked_status take_last_head(fo_chunked *chunked, feed *of)
{
    chunked->state = chunked->mode == FO_CHUNKED_SIGNED ? FO_CHUNKED_CLOSING : FO_CHUNKED_TRAILERS;
    if (!is_hashed(chunked))
        return FO_CHUNKED_OK;
    const fo_chunked_status status = end_hashing(chunked, of);
    return status == FO_CHUNKED_OK ? settle(chunked, of) : status;
}

static fo_chunked_status take_head(fo_chunked *chunked, feed *of)
{
    uint64_t size;
    if (!gather_line(&of->rest, chunked->head, &chunked->head_length, FO_CHUNKED_HEAD_BYTES_MAX) &&
        chunked->head_length < FO_CHUNKED_HEAD_BYTES_MAX)
        return FO_CHUNKED_OK;
    const fo_chunked_status status = parse_head(chunked, &size);
    if (status != FO_CHUNKED_OK)
        return status;
    if (size > chunked->decoded_left || (size == 0 && chunked->decoded_left))
        return FO_CHUNKED_BAD_LENGTH;
    chunked->head_length = 0;
    chunked->payload_left = size;
    chunked->decoded_left -= size;
    chunked->state = FO_CHUNKED_PAYLOAD;
    if (is_hashed(chunked)) {
        fo_sha256_start(&chunked->payload);
        begin_hashing(chunked, of);
    }
    if (!size)
        return take_last_head(chunked, of);
    chunked->chunk_bytes = size;
    return FO_CHUNKED_OK;
}

/* Moves payload to where it goes, which is at or before where it stands. */
static fo_chunked_status take_payload(fo_chunked *chunked, feed *of)
{
    const size_t taken =
        of->rest.length < chunked->payload_left ? of->rest.length : (size_t)chunked->payload_left;
    if (is_hashed(chunked))
        of->chunks[of->count - 1].length += taken;
    if (of->out != of->rest.at)
        memmove(of->out, of->rest.at, taken);
    of->out += taken;
    skip(&of->rest, taken);
    chunked->payload_left -= taken;
    if (chunked->payload_left)
        return FO_CHUNKED_OK;
    chunked->state = FO_CHUNKED_PAYLOAD_END;
    return is_hashed(chunked) ? end_hashing(chunked, of) : FO_CHUNKED_OK;
}

/* One byte of a CRLF, behind which `next` begins. */
static fo_chunked_status take_crlf(fo_chunked *chunked, fo_slice *rest, fo_chunked_state next,
                                   fo_chunked_status otherwise)
{
    const uint8_t byte = *rest->at;
    skip(rest, 1);
    if (byte != (chunked->is_cr_seen ? '\n' : '\r'))
        return otherwise;
    if (chunked->is_cr_seen)
        chunked->state = next;
    chunked->is_cr_seen = !chunked->is_cr_seen;
    return FO_CHUNKED_OK;
}

/* --- trailers -------------------------------------------------------------------------------- */

/* The bytes of a token (RFC 9110, 5.6.2), in lower case; 0 for others. */
static uint8_t lower_token(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte | 0x20;
    if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9'))
        return byte;
    return byte && strchr("!#$%&'*+-.^_`|~", byte) ? byte : 0;
}

static int is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Turns a line without its end into "name:value\n", in place; its length, 0 when malformed. */
static size_t canonicalise(uint8_t *line, size_t length)
{
    size_t name_end = 0, begin, end = length;
    while (name_end < length && line[name_end] != ':') {
        if (!(line[name_end] = lower_token(line[name_end])))
            return 0;
        name_end++;
    }
    if (name_end == 0 || name_end == length)
        return 0;
    for (begin = name_end + 1; begin < end && is_blank(line[begin]);)
        begin++;
    while (end > begin && is_blank(line[end - 1]))
        end--;
    for (size_t at = begin; at < end; at++) {
        if ((line[at] < ' ' && line[at] != '\t') || line[at] > '~')
            return 0;
    }
    memmove(line + name_end + 1, line + begin, end - begin);
    end -= begin - (name_end + 1);
    line[end++] = '\n';
    return end;
}

static fo_chunked_status take_empty_line(fo_chunked *chunked)
{
    if (chunked->is_lf_pending) {
        chunked->is_lf_pending = 0;
        chunked->is_list_over = 1;
        return FO_CHUNKED_OK;
    }
    chunked->state = FO_CHUNKED_END;
    return fo_chunked_is_complete(chunked) ? FO_CHUNKED_OK : FO_CHUNKED_BAD_TRAILER;
}

static fo_chunked_status take_trailer_signature(fo_chunked *chunked, fo_slice line)
{
    const fo_slice prefix = TEXT(TRAILER_SIGNATURE);
    skip(&line, prefix.length);
    if (!is_signed(chunked) || chunked->is_lf_pending ||
        line.length != FO_SIGV4_SIGNATURE_BYTES + 1)
        return FO_CHUNKED_BAD_TRAILER;
    chunked->is_trailer_vouched = 1;
    return verify_trailers(chunked, line.at);
}

static fo_chunked_status take_trailer(fo_chunked *chunked, uint8_t *line, size_t length, int is_lf)
{
    if (chunked->is_trailer_vouched || !(length = canonicalise(line, length)))
        return FO_CHUNKED_BAD_TRAILER;
    const fo_slice whole = {line, length};
    if (starts_with(whole, TEXT(TRAILER_SIGNATURE)))
        return is_lf ? FO_CHUNKED_BAD_TRAILER : take_trailer_signature(chunked, whole);
    if (chunked->is_list_over)
        return FO_CHUNKED_BAD_TRAILER;
    chunked->is_lf_pending |= is_lf;
    chunked->trailer_length += length;
    return FO_CHUNKED_OK;
}

static fo_chunked_status take_trailer_line(fo_chunked *chunked, fo_slice *rest)
{
    const size_t room = FO_CHUNKED_TRAILER_BYTES_MAX - chunked->trailer_length;
    uint8_t *line = chunked->trailers + chunked->trailer_length;
    if (!gather_line(rest, line, &chunked->trailer_partial, room))
        return chunked->trailer_partial < room ? FO_CHUNKED_OK : FO_CHUNKED_BAD_TRAILER;
    size_t length = chunked->trailer_partial - 1;
    const int is_lf = !length || line[length - 1] != '\r';
    length -= !is_lf;
    chunked->trailer_partial = 0;
    if (length || is_lf)
        return take_trailer(chunked, line, length, is_lf);
    return take_empty_line(chunked);
}

/* --- the body -------------------------------------------------------------------------------- */

void fo_chunked_start(fo_chunked *chunked, fo_chunked_mode mode, uint64_t decoded_length,
                      const fo_chunked_signing *signing, uint8_t *trailers)
{
    memset(chunked, 0, sizeof *chunked);
    chunked->mode = mode;
    chunked->decoded_left = decoded_length;
    chunked->trailers = trailers;
    if (!is_signed(chunked))
        return;
    start_mac(&chunked->chunk_mac, TEXT("AWS4-HMAC-SHA256-PAYLOAD"), signing);
    if (mode == FO_CHUNKED_SIGNED_TRAILER)
        start_mac(&chunked->trailer_mac, TEXT("AWS4-HMAC-SHA256-TRAILER"), signing);
    memcpy(chunked->previous, signing->seed, sizeof chunked->previous);
}

static fo_chunked_status take(fo_chunked *chunked, feed *of)
{
    switch (chunked->state) {
    case FO_CHUNKED_HEAD:
        return take_head(chunked, of);
    case FO_CHUNKED_PAYLOAD:
        return take_payload(chunked, of);
    case FO_CHUNKED_PAYLOAD_END:
        return take_crlf(chunked, &of->rest, FO_CHUNKED_HEAD, FO_CHUNKED_BAD_FRAMING);
    case FO_CHUNKED_TRAILERS:
        return take_trailer_line(chunked, &of->rest);
    case FO_CHUNKED_CLOSING:
        return take_crlf(chunked, &of->rest, FO_CHUNKED_END, FO_CHUNKED_AFTER_END);
    default:
        return FO_CHUNKED_AFTER_END;
    }
}

fo_chunked_status fo_chunked_feed(fo_chunked *chunked, uint8_t *buffer, size_t length,
                                  size_t *consumed, size_t *produced)
{
    feed of;
    of.rest = (fo_slice){buffer, length};
    of.out = buffer;
    of.count = 0;
    fo_chunked_status status = chunked->status;
    if (status == FO_CHUNKED_OK && is_hashed(chunked) && chunked->state == FO_CHUNKED_PAYLOAD)
        begin_hashing(chunked, &of);
    while (of.rest.length && status == FO_CHUNKED_OK)
        status = take(chunked, &of);
    /* Chunks that passed before an error come first, and so do their signatures. */
    const fo_chunked_status earlier = settle(chunked, &of);
    chunked->status = earlier == FO_CHUNKED_OK ? status : earlier;
    *consumed = length - of.rest.length;
    *produced = (size_t)(of.out - buffer);
    chunked->decoded += *produced;
    return chunked->status;
}

/* --- the look ahead -------------------------------------------------------------------------- */

void fo_chunked_plan(fo_chunked *plan, fo_chunked_mode mode, uint64_t decoded_length)
{
    memset(plan, 0, sizeof *plan);
    plan->mode = mode;
    plan->decoded_left = decoded_length;
    plan->is_plan = 1;
}

static void look_at_payload(fo_chunked *plan, fo_slice *rest, uint64_t payload_max)
{
    uint64_t taken = rest->length < plan->payload_left ? rest->length : plan->payload_left;
    taken = taken < payload_max ? taken : payload_max;
    skip(rest, (size_t)taken);
    plan->decoded += taken;
    plan->payload_left -= taken;
    if (!plan->payload_left)
        plan->state = FO_CHUNKED_PAYLOAD_END;
}

fo_chunked_status fo_chunked_look(fo_chunked *plan, const uint8_t *bytes, size_t length,
                                  uint64_t payload_max, size_t *consumed, uint64_t *payload)
{
    const uint64_t before = plan->decoded;
    feed of;
    of.rest = (fo_slice){bytes, length};
    of.out = NULL;
    of.count = 0;
    while (of.rest.length && plan->status == FO_CHUNKED_OK &&
           plan->decoded - before < payload_max && plan->state <= FO_CHUNKED_PAYLOAD_END) {
        if (plan->state == FO_CHUNKED_PAYLOAD)
            look_at_payload(plan, &of.rest, payload_max - (plan->decoded - before));
        else
            plan->status = take(plan, &of);
    }
    *consumed = length - of.rest.length;
    *payload = plan->decoded - before;
    return plan->status;
}

uint64_t fo_chunked_framing(const fo_chunked *plan, uint64_t payload)
{
    if (!plan->chunk_bytes || payload <= plan->payload_left)
        return 0;
    char digits[FO_CHUNKED_SIZE_DIGITS_MAX + 1];
    const int size = snprintf(digits, sizeof digits, "%llx", (unsigned long long)plan->chunk_bytes);
    const uint64_t head = (uint64_t)size + (is_signed(plan) ? 17 + FO_SIGV4_SIGNATURE_BYTES : 0);
    const uint64_t beyond = payload - plan->payload_left;
    return (beyond + plan->chunk_bytes - 1) / plan->chunk_bytes * (head + 4);
}

int fo_chunked_is_complete(const fo_chunked *chunked)
{
    if (chunked->status != FO_CHUNKED_OK || chunked->is_cr_seen || chunked->trailer_partial)
        return 0;
    if (chunked->state == FO_CHUNKED_CLOSING)
        return 1;
    if (chunked->state != FO_CHUNKED_TRAILERS && chunked->state != FO_CHUNKED_END)
        return 0;
    return !chunked->is_lf_pending &&
           (chunked->mode != FO_CHUNKED_SIGNED_TRAILER || chunked->is_trailer_vouched);
}

fo_slice fo_chunked_trailers(const fo_chunked *chunked)
{
    return (fo_slice){chunked->trailers,
                      fo_chunked_is_complete(chunked) ? chunked->trailer_length : 0};
}

const char *fo_chunked_message(fo_chunked_status status)
{
    switch (status) {
    case FO_CHUNKED_BAD_SIZE:
        return "a chunk size is malformed or too large";
    case FO_CHUNKED_BAD_FRAMING:
        return "a chunk is malformed";
    case FO_CHUNKED_BAD_SIGNATURE:
        return "the signature of a chunk or of the trailers is wrong";
    case FO_CHUNKED_BAD_LENGTH:
        return "the chunks are not as long as the decoded length";
    case FO_CHUNKED_BAD_TRAILER:
        return "the trailers are malformed, too long or not signed as they should be";
    case FO_CHUNKED_AFTER_END:
        return "bytes stand behind the end of the body";
    default:
        return "no problem";
    }
}
