/* SigV4 for S3: see sigv4_impl.h. Every writer returns its end, and every size is an upper bound
 * computed by fo_sigv4_measure before the first byte is written. */
#include "sigv4_impl.h"

#include "digest_sha256.h"

#include <stdlib.h>

/* Enough for an ordinary request, so that it costs no malloc. */
#define STACK_SCRATCH_BYTES 4096

typedef struct {
    fo_slice name, value; /* encoded */
} query_item;

#define TEXT(literal) ((fo_slice){(const uint8_t *)(literal), sizeof(literal) - 1})

static uint8_t *append(uint8_t *out, fo_slice text)
{
    return fo_append(out, text.at, text.length);
}

static uint8_t *append_line(uint8_t *out, fo_slice text)
{
    out = append(out, text);
    *out++ = '\n';
    return out;
}

static int same(fo_slice a, fo_slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

/* Takes what stands before the first `separator` off `rest`. 0 when `rest` was used up before; a
 * list of n separators has n + 1 parts, so the end is marked by a NULL rather than by no length. */
static int next_part(fo_slice *rest, char separator, fo_slice *part)
{
    if (!rest->at)
        return 0;
    const uint8_t *end = rest->length ? memchr(rest->at, separator, rest->length) : NULL;
    *part = *rest;
    if (!end) {
        *rest = (fo_slice){NULL, 0};
        return 1;
    }
    part->length = (size_t)(end - rest->at);
    rest->at = end + 1;
    rest->length -= part->length + 1;
    return 1;
}

/* --- percent-encoding ------------------------------------------------------------------------ */

static int is_unreserved(uint8_t byte)
{
    const uint8_t letter = byte | 0x20;
    return (letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '.' || byte == '_' || byte == '~';
}

/* Value of a hex digit, or -1. */
static int nibble(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    const uint8_t letter = byte | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Decodes the byte that starts at text[*at] and moves *at behind it. A `%` without two hex digits
 * stands for itself. */
static uint8_t decode_byte(fo_slice text, size_t *at)
{
    const uint8_t byte = text.at[(*at)++];
    if (byte != '%' || text.length - *at < 2)
        return byte;
    const int high = nibble(text.at[*at]), low = nibble(text.at[*at + 1]);
    if (high < 0 || low < 0)
        return byte;
    *at += 2;
    return (uint8_t)(high << 4 | low);
}

static uint8_t *encode_byte(uint8_t *out, uint8_t byte, int keeps_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    if (is_unreserved(byte) || (keeps_slash && byte == '/')) {
        *out++ = byte;
        return out;
    }
    *out++ = '%';
    *out++ = (uint8_t)digits[byte >> 4];
    *out++ = (uint8_t)digits[byte & 15];
    return out;
}

/* In a path a plus is a plus. */
static uint8_t *append_path(uint8_t *out, fo_slice path)
{
    if (!path.length)
        *out++ = '/';
    for (size_t at = 0; at < path.length;)
        out = encode_byte(out, decode_byte(path, &at), 1);
    return out;
}

/* In a query a plus is a space. */
static uint8_t *append_query_text(uint8_t *out, fo_slice text)
{
    for (size_t at = 0; at < text.length;) {
        const int is_plus = text.at[at] == '+';
        const uint8_t byte = decode_byte(text, &at);
        out = encode_byte(out, is_plus ? ' ' : byte, 0);
    }
    return out;
}

/* --- query ----------------------------------------------------------------------------------- */

static size_t count_items_max(fo_slice query)
{
    size_t count = 1;
    for (size_t at = 0; at < query.length; at++)
        count += query.at[at] == '&';
    return count;
}

static int compare_slices(fo_slice a, fo_slice b)
{
    const size_t shorter = a.length < b.length ? a.length : b.length;
    const int order = shorter ? memcmp(a.at, b.at, shorter) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_items(const void *left, const void *right)
{
    const query_item *a = left, *b = right;
    const int order = compare_slices(a->name, b->name);
    return order ? order : compare_slices(a->value, b->value);
}

/* Encodes one name=value; a name alone has the empty value. */
static uint8_t *encode_item(uint8_t *out, fo_slice text, query_item *item)
{
    fo_slice name = {NULL, 0};
    next_part(&text, '=', &name);
    item->name.at = out;
    out = append_query_text(out, name);
    item->name.length = (size_t)(out - item->name.at);
    item->value.at = out;
    out = append_query_text(out, text);
    item->value.length = (size_t)(out - item->value.at);
    return out;
}

/* Fills `items` with the encoded items of the query, their text at *text, and returns how many. */
static size_t collect_items(fo_slice query, query_item *items, uint8_t **text)
{
    size_t count = 0;
    fo_slice part;
    while (next_part(&query, '&', &part)) {
        if (!part.length)
            continue;
        uint8_t *end = encode_item(*text, part, &items[count]);
        if (same(items[count].name, TEXT("X-Amz-Signature")))
            continue;
        *text = end;
        count++;
    }
    return count;
}

static uint8_t *append_items(uint8_t *out, const query_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            *out++ = '&';
        out = append(out, items[i].name);
        *out++ = '=';
        out = append(out, items[i].value);
    }
    return out;
}

/* --- headers --------------------------------------------------------------------------------- */

static int is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Trimmed at both ends, each inner run of blanks one space. Not longer than `value`. */
static uint8_t *append_header_value(uint8_t *out, fo_slice value)
{
    const uint8_t *start = out;
    int is_gap = 0;
    for (size_t at = 0; at < value.length; at++) {
        const uint8_t byte = value.at[at];
        if (is_space(byte)) {
            is_gap = out != start;
            continue;
        }
        if (is_gap)
            *out++ = ' ';
        is_gap = 0;
        *out++ = byte;
    }
    return out;
}

/* One line of the canonical headers: all values of that name, in wire order. */
static uint8_t *append_header(uint8_t *out, const fo_sigv4_request *request, fo_slice name)
{
    int is_first = 1;
    out = append(out, name);
    *out++ = ':';
    for (size_t i = 0; i < request->header_count; i++) {
        if (!same(request->headers[i].name, name))
            continue;
        if (!is_first)
            *out++ = ',';
        is_first = 0;
        out = append_header_value(out, request->headers[i].value);
    }
    *out++ = '\n';
    return out;
}

static uint8_t *append_headers(uint8_t *out, const fo_sigv4_request *request)
{
    fo_slice rest = request->signed_headers, name;
    while (next_part(&rest, ';', &name))
        out = append_header(out, request, name);
    return out;
}

static int is_named(fo_slice names, fo_slice wanted)
{
    fo_slice name;
    while (next_part(&names, ';', &name)) {
        if (same(name, wanted))
            return 1;
    }
    return 0;
}

static int is_present(const fo_header *headers, size_t header_count, fo_slice name)
{
    for (size_t i = 0; i < header_count; i++) {
        if (same(headers[i].name, name))
            return 1;
    }
    return 0;
}

int fo_sigv4_covers(const fo_header *headers, size_t header_count, fo_slice signed_headers)
{
    const fo_slice family = TEXT("x-amz-");
    fo_slice rest = signed_headers, name;
    if (!is_named(signed_headers, TEXT("host")))
        return 0;
    for (size_t i = 0; i < header_count; i++) {
        fo_slice start = headers[i].name;
        if (start.length < family.length)
            continue;
        start.length = family.length;
        if (same(start, family) && !is_named(signed_headers, headers[i].name))
            return 0;
    }
    while (next_part(&rest, ';', &name)) {
        if (!is_present(headers, header_count, name))
            return 0;
    }
    return 1;
}

/* --- sizes ----------------------------------------------------------------------------------- */

/* Adds to a sum that stays at or below the limit; 0 when it would not. */
static int grow(size_t *sum, size_t more)
{
    if (more > FO_SIGV4_CANONICAL_BYTES_MAX - *sum)
        return 0;
    *sum += more;
    return 1;
}

static int has_line_feed(fo_slice text)
{
    return text.length && memchr(text.at, '\n', text.length) != NULL;
}

/* In the parts that are copied as they stand; paths and queries have it encoded. */
static int line_feed_anywhere(const fo_sigv4_request *request)
{
    if (has_line_feed(request->method) || has_line_feed(request->signed_headers) ||
        has_line_feed(request->payload_hash) || has_line_feed(request->amz_date) ||
        has_line_feed(request->scope))
        return 1;
    for (size_t i = 0; i < request->header_count; i++) {
        if (has_line_feed(request->headers[i].value))
            return 1;
    }
    return 0;
}

static int grow_by_header(size_t *sum, const fo_sigv4_request *request, fo_slice name)
{
    if (!grow(sum, name.length) || !grow(sum, 2))
        return 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const fo_header *header = &request->headers[i];
        if (same(header->name, name) && (!grow(sum, header->value.length) || !grow(sum, 1)))
            return 0;
    }
    return 1;
}

static int grow_by_headers(size_t *sum, const fo_sigv4_request *request)
{
    fo_slice rest = request->signed_headers, name;
    while (next_part(&rest, ';', &name)) {
        if (!grow_by_header(sum, request, name))
            return 0;
    }
    return 1;
}

/* Three bytes for each byte of a path or query, and one '=' and one '&' for each item. */
static int grow_encoded(size_t *sum, fo_slice text, size_t item_count)
{
    return text.length <= FO_SIGV4_CANONICAL_BYTES_MAX && grow(sum, 3 * text.length) &&
           grow(sum, 2 * item_count);
}

fo_sigv4_status fo_sigv4_measure(const fo_sigv4_request *request, size_t *scratch_bytes)
{
    const fo_slice query = request->query;
    const size_t item_count = count_items_max(query);
    size_t sum = 6; /* five line ends, and the slash of an empty path */
    if (!grow(&sum, request->method.length) || !grow_encoded(&sum, request->path, 0) ||
        !grow_encoded(&sum, query, item_count) || !grow_by_headers(&sum, request) ||
        !grow(&sum, request->signed_headers.length) || !grow(&sum, request->payload_hash.length))
        return FO_SIGV4_TOO_LARGE;
    if (line_feed_anywhere(request))
        return FO_SIGV4_LINE_FEED;
    *scratch_bytes = item_count * sizeof(query_item) + 3 * query.length + sum;
    return FO_SIGV4_OK;
}

/* --- the request ----------------------------------------------------------------------------- */

/* Scratch holds, in this order: the items, their encoded text, the canonical request. */
fo_slice fo_sigv4_canonical(const fo_sigv4_request *request, void *scratch)
{
    query_item *items = scratch;
    uint8_t *text = (uint8_t *)(items + count_items_max(request->query));
    uint8_t *const start = text + 3 * request->query.length;
    const size_t item_count = collect_items(request->query, items, &text);
    qsort(items, item_count, sizeof *items, compare_items);

    uint8_t *out = append_line(start, request->method);
    out = append_path(out, request->path);
    *out++ = '\n';
    out = append_items(out, items, item_count);
    *out++ = '\n';
    out = append_headers(out, request);
    *out++ = '\n';
    out = append_line(out, request->signed_headers);
    out = append(out, request->payload_hash);
    return (fo_slice){start, (size_t)(out - start)};
}

static void write_hex(uint8_t hex[FO_SIGV4_SIGNATURE_BYTES], const uint8_t digest[32])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = (uint8_t)digits[digest[i] >> 4];
        hex[2 * i + 1] = (uint8_t)digits[digest[i] & 15];
    }
}

static void add_line(fo_hmac *mac, fo_slice text)
{
    fo_hmac_add(mac, text.at, text.length);
    fo_hmac_add(mac, "\n", 1);
}

/* HMAC of the string to sign, which is never put together. */
static void sign_canonical(const fo_sigv4_request *request, fo_slice canonical,
                           uint8_t signature[FO_SIGV4_SIGNATURE_BYTES])
{
    uint8_t digest[FO_SHA256_BYTES], hex[FO_SIGV4_SIGNATURE_BYTES];
    fo_sha256 hash;
    fo_sha256_start(&hash);
    fo_sha256_add(&hash, canonical.at, canonical.length);
    fo_sha256_finish(&hash, digest);
    write_hex(hex, digest);

    fo_hmac mac;
    fo_hmac_start(&mac, TEXT(""), request->key);
    add_line(&mac, TEXT("AWS4-HMAC-SHA256"));
    add_line(&mac, request->amz_date);
    add_line(&mac, request->scope);
    fo_hmac_add(&mac, hex, sizeof hex);
    fo_hmac_finish(&mac, digest);
    write_hex(signature, digest);
}

fo_sigv4_status fo_sigv4_sign(const fo_sigv4_request *request,
                              uint8_t signature[FO_SIGV4_SIGNATURE_BYTES])
{
    size_t scratch_bytes;
    const fo_sigv4_status status = fo_sigv4_measure(request, &scratch_bytes);
    if (status != FO_SIGV4_OK)
        return status;
    _Alignas(max_align_t) uint8_t few[STACK_SCRATCH_BYTES];
    void *scratch = scratch_bytes <= sizeof few ? few : malloc(scratch_bytes);
    if (!scratch)
        return FO_SIGV4_NO_MEMORY;
    sign_canonical(request, fo_sigv4_canonical(request, scratch), signature);
    if (scratch != few)
        free(scratch);
    return FO_SIGV4_OK;
}

/* --- keys and comparison --------------------------------------------------------------------- */

static void derive(uint8_t key[FO_SHA256_BYTES], fo_slice prefix, fo_slice from, fo_slice text)
{
    fo_hmac mac;
    fo_hmac_start(&mac, prefix, from);
    fo_hmac_add(&mac, text.at, text.length);
    fo_hmac_finish(&mac, key);
}

void fo_sigv4_signing_key(fo_slice secret, fo_slice date, fo_slice region, fo_slice service,
                          uint8_t key[32])
{
    const fo_slice last = {key, FO_SHA256_BYTES};
    derive(key, TEXT("AWS4"), secret, date);
    derive(key, TEXT(""), last, region);
    derive(key, TEXT(""), last, service);
    derive(key, TEXT(""), last, TEXT("aws4_request"));
}

int fo_sigv4_equal(fo_slice a, fo_slice b)
{
    if (a.length != b.length)
        return 0;
    /* volatile: the compiler must not find out that it could stop early. */
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.length; i++)
        difference |= a.at[i] ^ b.at[i];
    return difference == 0;
}
