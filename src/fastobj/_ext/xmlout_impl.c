#include "xmlout_impl.h"

/* --- MessagePack (github.com/msgpack/msgpack, spec.md), as far as records use it --- */

/* What is left to read. A read that fails leaves `at` NULL, and so do all later ones. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} reader;

static int has(const reader *from, uint64_t count)
{
    return from->at != NULL && count <= (uint64_t)(from->end - from->at);
}

static void fail(reader *from)
{
    from->at = NULL;
}

static uint64_t take_be(reader *from, int width)
{
    uint64_t word = 0;
    if (!has(from, (uint64_t)width)) {
        fail(from);
        return 0;
    }
    while (width--)
        word = word << 8 | *from->at++;
    return word;
}

static fo_slice take_bytes(reader *from, uint64_t count)
{
    fo_slice found = {NULL, 0};
    if (!has(from, count)) {
        fail(from);
        return found;
    }
    found.at = from->at;
    found.length = (size_t)count;
    from->at += count;
    return found;
}

/* The count in the head of an array (fix 0x90, wide 0xdc) or of a map (fix 0x80, wide 0xde). */
static uint64_t take_count(reader *from, uint8_t fix, uint8_t wide)
{
    const uint8_t head = (uint8_t)take_be(from, 1);
    if ((head & 0xF0) == fix)
        return head & 0x0F;
    if (head == wide)
        return take_be(from, 2);
    if (head == wide + 1)
        return take_be(from, 4);
    fail(from);
    return 0;
}

static uint64_t take_unsigned(reader *from)
{
    const uint8_t head = (uint8_t)take_be(from, 1);
    if (head < 0x80)
        return head;
    if (head >= 0xCC && head <= 0xCF)
        return take_be(from, 1 << (head - 0xCC));
    fail(from);
    return 0;
}

/* Text (fix 0xa0, 0xd9 to 0xdb) or bytes (0xc4 to 0xc6). */
static fo_slice take_text(reader *from)
{
    const uint8_t head = (uint8_t)take_be(from, 1);
    if ((head & 0xE0) == 0xA0)
        return take_bytes(from, head & 0x1F);
    if (head >= 0xD9 && head <= 0xDB)
        return take_bytes(from, take_be(from, 1 << (head - 0xD9)));
    if (head >= 0xC4 && head <= 0xC6)
        return take_bytes(from, take_be(from, 1 << (head - 0xC4)));
    fail(from);
    return (fo_slice){NULL, 0};
}

static void skip_texts(reader *from)
{
    for (uint64_t left = 2 * take_count(from, 0x80, 0xDE); left && from->at != NULL; left--)
        take_text(from);
}

/* What an entry tells of an object. */
typedef struct {
    uint64_t size;
    uint64_t modified_ns;
    fo_slice etag;
    fo_slice algorithms[FO_XMLOUT_CHECKSUMS_MAX];
    size_t checksums;
    int is_composite; /* some checksum is one of checksums of parts: it ends in -N */
} object;

enum { FIELDS_MIN = 6, HEADERS_AT = 6, METADATA_AT = 7, CHECKSUMS_AT = 8 };

static int is_composite(fo_slice sum)
{
    return sum.length && memchr(sum.at, '-', sum.length) != NULL;
}

static int take_checksums(reader *from, object *to)
{
    const uint64_t count = take_count(from, 0x80, 0xDE);
    if (count > FO_XMLOUT_CHECKSUMS_MAX)
        return 0;
    for (uint64_t i = 0; i < count; i++) {
        const fo_slice name = take_text(from);
        const fo_slice sum = take_text(from);
        if (from->at == NULL || name.length > FO_XMLOUT_ALGORITHM_BYTES_MAX)
            return 0;
        to->algorithms[to->checksums++] = name;
        to->is_composite |= is_composite(sum);
    }
    return 1;
}

static int take_object(fo_slice record, object *to)
{
    reader from = {record.at, record.at + record.length};
    const uint64_t fields = take_count(&from, 0x90, 0xDC);
    if (fields < FIELDS_MIN || take_unsigned(&from) > FO_XMLOUT_FORMAT_MAX)
        return 0;
    take_text(&from); /* location */
    take_text(&from); /* data id */
    to->size = take_unsigned(&from);
    to->etag = take_text(&from);
    to->modified_ns = take_unsigned(&from);
    to->checksums = 0;
    to->is_composite = 0;
    if (fields > HEADERS_AT)
        skip_texts(&from);
    if (fields > METADATA_AT)
        skip_texts(&from);
    if (fields > CHECKSUMS_AT && !take_checksums(&from, to))
        return 0;
    return from.at != NULL && to->etag.length <= FO_XMLOUT_ETAG_BYTES_MAX;
}

/* --- XML --- */

#define PUT(out, text) fo_append((out), (text), sizeof(text) - 1)

static uint8_t *put_slice(uint8_t *out, fo_slice text)
{
    return fo_append(out, text.at, text.length);
}

static uint8_t *put_unsigned(uint8_t *out, uint64_t number)
{
    uint8_t digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (uint8_t)('0' + number % 10);
    while (number /= 10);
    return fo_append(out, digits + at, sizeof digits - at);
}

static uint8_t *put_digits(uint8_t *out, unsigned number, int width)
{
    for (int at = width; at--; number /= 10)
        out[at] = (uint8_t)('0' + number % 10);
    return out + width;
}

static const char HEX[] = "0123456789ABCDEF";

/* By byte: what stays as it is in the text of an element, and in a percent-encoded key. */
static uint8_t is_text[256], is_unreserved[256];

void fo_xmlout_init(void)
{
    for (int byte = 0x20; byte < 256; byte++)
        is_text[byte] = 1;
    /* Markup, DEL, and 0xEF, which begins U+FFFE and U+FFFF: no characters of XML. */
    for (const char *at = "&<>\"\x7F\xEF"; *at; at++)
        is_text[(uint8_t)*at] = 0;
    for (const char *at = "-._~/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
         *at; at++)
        is_unreserved[(uint8_t)*at] = 1;
}

/* Writes the bytes that stay as they are, up to the first other one, and moves `at` there. */
static uint8_t *put_run(uint8_t *out, const uint8_t **at, const uint8_t *end,
                        const uint8_t stays[256])
{
    const uint8_t *from = *at;
    while (*at < end && stays[**at])
        ++*at;
    return fo_append(out, from, (size_t)(*at - from));
}

/* U+FFFE or U+FFFF at `at`, which is 0xEF. */
static int is_noncharacter(const uint8_t *at, const uint8_t *end)
{
    return end - at >= 3 && at[1] == 0xBF && (at[2] == 0xBE || at[2] == 0xBF);
}

static uint8_t *put_reference(uint8_t *out, uint8_t byte)
{
    switch (byte) {
    case '&':
        return PUT(out, "&amp;");
    case '<':
        return PUT(out, "&lt;");
    case '>':
        return PUT(out, "&gt;");
    case '"':
        return PUT(out, "&quot;");
    }
    out = PUT(out, "&#x");
    if (byte >> 4)
        *out++ = (uint8_t)HEX[byte >> 4];
    *out++ = (uint8_t)HEX[byte & 15];
    *out++ = ';';
    return out;
}

static uint8_t *put_text(uint8_t *out, fo_slice text)
{
    const uint8_t *at = text.at, *end = text.at + text.length;
    while (at < end) {
        out = put_run(out, &at, end, is_text);
        if (at == end)
            break;
        if (*at != 0xEF) {
            out = put_reference(out, *at++);
        } else if (is_noncharacter(at, end)) {
            out = PUT(out, "&#xFFF");
            *out++ = (uint8_t)(at[2] == 0xBE ? 'E' : 'F');
            *out++ = ';';
            at += 3;
        } else {
            *out++ = *at++;
        }
    }
    return out;
}

static uint8_t *put_percent(uint8_t *out, fo_slice text)
{
    const uint8_t *at = text.at, *end = text.at + text.length;
    while (at < end) {
        out = put_run(out, &at, end, is_unreserved);
        if (at == end)
            break;
        *out++ = '%';
        *out++ = (uint8_t)HEX[*at >> 4];
        *out++ = (uint8_t)HEX[*at++ & 15];
    }
    return out;
}

enum { NS_PER_S = 1000000000, S_PER_DAY = 86400 };

/* The date of a day since 1970-01-01, by the algorithm civil_from_days of Howard Hinnant
 * ("chrono-Compatible Low-Level Date Algorithms"), for days that are not negative. */
static uint8_t *put_date(uint8_t *out, uint64_t day)
{
    const uint64_t shifted = day + 719468; /* from 0000-03-01 */
    const uint64_t era = shifted / 146097;
    const unsigned of_era = (unsigned)(shifted % 146097);
    const unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    const unsigned from_march = (5 * of_year + 2) / 153;
    const unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
    out = put_digits(out, (unsigned)(year + era * 400 + (month <= 2)), 4);
    *out++ = '-';
    out = put_digits(out, month, 2);
    *out++ = '-';
    return put_digits(out, of_year - (153 * from_march + 2) / 5 + 1, 2);
}

static uint8_t *put_instant(uint8_t *out, uint64_t ns)
{
    const uint64_t seconds = ns / NS_PER_S;
    const unsigned of_day = (unsigned)(seconds % S_PER_DAY);
    out = put_date(out, seconds / S_PER_DAY);
    *out++ = 'T';
    out = put_digits(out, of_day / 3600, 2);
    *out++ = ':';
    out = put_digits(out, of_day / 60 % 60, 2);
    *out++ = ':';
    out = put_digits(out, of_day % 60, 2);
    return PUT(out, ".000Z");
}

static uint8_t *put_checksums(uint8_t *out, const object *of)
{
    for (size_t i = 0; i < of->checksums; i++) {
        const fo_slice name = of->algorithms[i];
        out = PUT(out, "<ChecksumAlgorithm>");
        for (size_t at = 0; at < name.length; at++)
            *out++ = name.at[at] >= 'a' && name.at[at] <= 'z' ? name.at[at] - 32 : name.at[at];
        out = PUT(out, "</ChecksumAlgorithm>");
    }
    if (!of->checksums)
        return out;
    out = PUT(out, "<ChecksumType>");
    out = of->is_composite ? PUT(out, "COMPOSITE") : PUT(out, "FULL_OBJECT");
    return PUT(out, "</ChecksumType>");
}

/* All that does not depend on lengths: elements, a time, a size, the type of checksums. */
enum {
    FIXED_BYTES_MAX = 256,
    CHECKSUM_BYTES_MAX = FO_XMLOUT_ALGORITHM_BYTES_MAX + 39,
    KEY_FACTOR = 6, /* a byte becomes &quot; */
};

size_t fo_xmlout_entry_bytes_max(const fo_xmlout_style *style, size_t key_length)
{
    return FIXED_BYTES_MAX + FO_XMLOUT_ETAG_BYTES_MAX +
           FO_XMLOUT_CHECKSUMS_MAX * CHECKSUM_BYTES_MAX + 2 * style->name.length +
           style->tail.length + KEY_FACTOR * key_length;
}

fo_xmlout_status fo_xmlout_entry(uint8_t **out, const fo_xmlout_style *style, fo_slice key,
                                 fo_slice record)
{
    object found;
    if (!take_object(record, &found))
        return FO_XMLOUT_RECORD;
    uint8_t *at = *out;
    *at++ = '<';
    at = put_slice(at, style->name);
    at = PUT(at, "><Key>");
    at = style->url ? put_percent(at, key) : put_text(at, key);
    at = PUT(at, "</Key><LastModified>");
    at = put_instant(at, found.modified_ns);
    at = PUT(at, "</LastModified><ETag>&quot;");
    at = put_slice(at, found.etag);
    at = PUT(at, "&quot;</ETag>");
    at = put_checksums(at, &found);
    at = PUT(at, "<Size>");
    at = put_unsigned(at, found.size);
    at = PUT(at, "</Size>");
    at = put_slice(at, style->tail);
    at = PUT(at, "</");
    at = put_slice(at, style->name);
    *at++ = '>';
    *out = at;
    return FO_XMLOUT_OK;
}
