/* See httphead_impl.h. Grammar: RFC 9112, sections 3 and 5; nothing obsolete, nothing lenient. */
#include "httphead_impl.h"

enum {
    LENGTH_DIGITS_MAX = 18,
    NAME_SIZE_MAX = 32, /* of the names in the table */
};

const char *const fo_head_methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", NULL};

/* In the order of `framing` below: the first ones decide where a message ends. */
const char *const fo_head_names[] = {
    "host",
    "content-length",
    "transfer-encoding",
    "expect",
    "connection",
    "proxy-connection",
    "upgrade",
    /* the others are only frequent */
    "authorization",
    "x-amz-date",
    "x-amz-content-sha256",
    "user-agent",
    "accept",
    "accept-encoding",
    "content-type",
    "content-md5",
    "range",
    "date",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha256",
    "content-encoding",
    "if-match",
    "if-none-match",
    "x-amz-acl",
    "x-amz-copy-source",
    NULL,
};

enum { HOST, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, CONNECTION, PROXY_CONNECTION, UPGRADE };

/* Letters, digits and !#$%&'*+-.^_`|~ (RFC 9110, 5.6.2), in lower case; 0 for all other bytes. */
static const uint8_t token[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*',
    ['+'] = '+', ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`',   ['|'] = '|',
    ['~'] = '~', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',   ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b',   ['C'] = 'c',
    ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',   ['J'] = 'j',
    ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p',   ['Q'] = 'q',
    ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w',   ['X'] = 'x',
    ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd',   ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',   ['l'] = 'l',
    ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',   ['s'] = 's',
    ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y',   ['z'] = 'z',
};

/* Whether `text` is `lower`, but for the case of its letters. */
static int is_text(fo_slice text, const char *lower)
{
    for (size_t at = 0; at < text.length; at++) {
        if (!lower[at] || token[text.at[at]] != (uint8_t)lower[at])
            return 0;
    }
    return !lower[text.length];
}

static int find_name(fo_slice name)
{
    if (name.length > NAME_SIZE_MAX)
        return FO_HEAD_UNKNOWN;
    for (int index = 0; fo_head_names[index]; index++) {
        if (fo_head_names[index][0] == (char)token[name.at[0]] &&
            is_text(name, fo_head_names[index]))
            return index;
    }
    return FO_HEAD_UNKNOWN;
}

/* Takes `length` bytes off the front of `rest`. */
static void skip(fo_slice *rest, size_t length)
{
    rest->at += length;
    rest->length -= length;
}

static int starts_with(fo_slice text, const char *start, size_t length)
{
    return text.length >= length && memcmp(text.at, start, length) == 0;
}

/* GET and so on with the space behind it; FO_HEAD_UNKNOWN for all others. */
static int take_method(fo_slice *rest)
{
    for (int index = 0; fo_head_methods[index]; index++) {
        const size_t length = strlen(fo_head_methods[index]);
        if (starts_with(*rest, fo_head_methods[index], length) && rest->length > length &&
            rest->at[length] == ' ') {
            skip(rest, length + 1);
            return index;
        }
    }
    return FO_HEAD_UNKNOWN;
}

/* A path with or without a query, in printable ASCII without a fragment. 0 where it is none. */
static int take_target(fo_slice *rest, fo_head *head)
{
    size_t length = 0, path = 0;
    for (; length < rest->length; length++) {
        const uint8_t byte = rest->at[length];
        if (byte <= ' ' || byte > '~' || byte == '#')
            break;
        if (byte == '?' && !path)
            path = length;
    }
    if (!length || rest->at[0] != '/')
        return 0;
    head->target = (fo_slice){rest->at, length};
    head->path_size = path ? path : length;
    skip(rest, length);
    return 1;
}

static int take_version(fo_slice *rest)
{
    static const char version[] = " HTTP/1.1\r\n";
    if (!starts_with(*rest, version, sizeof version - 1))
        return 0;
    skip(rest, sizeof version - 1);
    return 1;
}

static int is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Trims blanks at both ends. */
static fo_slice trimmed(fo_slice text)
{
    while (text.length && is_blank(text.at[0]))
        skip(&text, 1);
    while (text.length && is_blank(text.at[text.length - 1]))
        text.length--;
    return text;
}

/* None of them may stand in a value, but the tab. */
static int is_control(uint8_t byte)
{
    return byte < ' ' ? byte != '\t' : byte == 0x7f;
}

/* A line `name: value`. 0 where it is none. */
static int take_field(fo_slice *rest, fo_head_field *field)
{
    size_t at = 0;
    while (at < rest->length && token[rest->at[at]])
        at++;
    if (!at || at == rest->length || rest->at[at] != ':')
        return 0;
    field->name = (fo_slice){rest->at, at};
    skip(rest, at + 1);
    for (at = 0; at < rest->length && !is_control(rest->at[at]); at++)
        ;
    if (rest->length - at < 2 || rest->at[at] != '\r' || rest->at[at + 1] != '\n')
        return 0;
    field->value = trimmed((fo_slice){rest->at, at});
    field->known = find_name(field->name);
    skip(rest, at + 2);
    return 1;
}

static int read_length(fo_slice digits, uint64_t *length)
{
    if (!digits.length || digits.length > LENGTH_DIGITS_MAX)
        return 0;
    *length = 0;
    for (size_t at = 0; at < digits.length; at++) {
        if (digits.at[at] < '0' || digits.at[at] > '9')
            return 0;
        *length = 10 * *length + (digits.at[at] - '0');
    }
    return 1;
}

/* Takes what a field says about where messages end. 0 where that is not ordinary. */
static int take_framing(const fo_head_field *field, fo_head *head, int counts[UPGRADE])
{
    if (field->known == FO_HEAD_UNKNOWN || field->known > UPGRADE)
        return 1;
    switch (field->known) {
    case HOST:
        break;
    case CONTENT_LENGTH:
        if (!read_length(field->value, &head->length))
            return 0;
        break;
    case EXPECT:
        if (!is_text(field->value, "100-continue"))
            return 0;
        head->expects_continue = 1;
        break;
    case CONNECTION:
        if (is_text(field->value, "close"))
            head->keep_alive = 0;
        else if (!is_text(field->value, "keep-alive"))
            return 0;
        break;
    default:
        return 0;
    }
    return !counts[field->known]++;
}

static fo_head_status read_fields(fo_slice rest, fo_head *head)
{
    int counts[UPGRADE] = {0};
    head->field_count = 0;
    while (!starts_with(rest, "\r\n", 2)) {
        if (head->field_count == FO_HEAD_FIELDS_MAX)
            return FO_HEAD_OTHER;
        fo_head_field *field = &head->fields[head->field_count++];
        if (!take_field(&rest, field) || !take_framing(field, head, counts))
            return FO_HEAD_OTHER;
    }
    return counts[HOST] && rest.length == 2 ? FO_HEAD_OK : FO_HEAD_OTHER;
}

/* The bytes up to the first blank line, it included; nothing where there is none. */
static size_t find_end(fo_slice bytes)
{
    const uint8_t *at = bytes.at, *const end = bytes.at + bytes.length;
    while (end - at >= 4) {
        const uint8_t *line = memchr(at, '\n', (size_t)(end - at));
        if (!line || end - line < 3)
            return 0;
        if (line[1] == '\r' && line[2] == '\n')
            return (size_t)(line + 3 - bytes.at);
        at = line + 1;
    }
    return 0;
}

int fo_head_is_clean(fo_slice text)
{
    for (size_t at = 0; at < text.length; at++) {
        if (is_control(text.at[at]))
            return 0;
    }
    return 1;
}

void fo_head_lower(fo_slice name, uint8_t *out)
{
    for (size_t at = 0; at < name.length; at++)
        out[at] = token[name.at[at]];
}

fo_head_status fo_head_read(fo_slice bytes, fo_head *head)
{
    fo_slice rest = bytes;
    head->length = 0;
    head->keep_alive = 1;
    head->expects_continue = 0;
    head->size = find_end(bytes);
    if (!head->size)
        return FO_HEAD_INCOMPLETE;
    rest.length = head->size;
    head->method = take_method(&rest);
    if (head->method == FO_HEAD_UNKNOWN || !take_target(&rest, head) || !take_version(&rest))
        return FO_HEAD_OTHER;
    return read_fields(rest, head);
}
