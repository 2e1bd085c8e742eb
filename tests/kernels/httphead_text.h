/* Ordinary request heads at random, for the driver and the fuzzer of httphead. */
#ifndef HTTPHEAD_TEXT_H
#define HTTPHEAD_TEXT_H

#include "drive.h"
#include "httphead_impl.h"

enum { TEXT_BYTES_MAX = 64 * 1024 };

/* A head under construction, and what the kernel has to find in it. */
typedef struct {
    uint8_t at[TEXT_BYTES_MAX];
    size_t length;
    size_t field_count;
    uint64_t body_length;
    int method, keep_alive, expects_continue;
} head_text;

static inline void add(head_text *of, const char *text)
{
    memcpy(of->at + of->length, text, strlen(text));
    of->length += strlen(text);
}

static inline void add_random(head_text *of, const char *from, size_t count)
{
    const size_t choices = strlen(from);
    while (count--)
        of->at[of->length++] = (uint8_t)from[random_below(choices)];
}

static inline void add_field(head_text *of, const char *name, const char *value)
{
    static const char *const blanks[] = {"", " ", "\t", "  \t "};
    for (; *name; name++) {
        const int up = *name >= 'a' && *name <= 'z' && random_below(4) == 0;
        of->at[of->length++] = (uint8_t)(up ? *name - 32 : *name);
    }
    add(of, ":");
    add(of, blanks[random_below(4)]);
    add(of, value);
    add(of, blanks[random_below(4)]);
    add(of, "\r\n");
    of->field_count++;
}

static inline void add_other_field(head_text *of)
{
    char name[40];
    const size_t known = 7 + random_below(25); /* behind those that say where a message ends */
    if (random_below(3))
        snprintf(name, sizeof name, "%s", fo_head_names[known]);
    else
        snprintf(name, sizeof name, "x-amz-meta-%llu", (unsigned long long)random_below(100));
    char value[200];
    size_t length = random_below(random_below(8) ? 20 : sizeof value - 1);
    for (size_t at = 0; at < length; at++)
        value[at] = "abcXYZ019 \t=;,\"/\xc3\xbc"[random_below(18)];
    while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--;
    value[length] = 0;
    add_field(of, name, value);
}

static inline void make_head(head_text *of)
{
    static char digits[24];
    of->length = of->field_count = 0;
    of->body_length = 0;
    of->keep_alive = 1;
    of->expects_continue = 0;
    of->method = (int)random_below(5);
    add(of, fo_head_methods[of->method]);
    add(of, " /");
    add_random(of, "abcXYZ019-._~%/!$&'()*+,;=:@\"<>[]{}|\\^`", random_below(100));
    if (random_below(2)) {
        add(of, "?");
        add_random(of, "abc019=&%+?/", random_below(60));
    }
    add(of, " HTTP/1.1\r\n");
    add_field(of, "host", "127.0.0.1:9000");
    for (size_t count = random_below(20); count; count--)
        add_other_field(of);
    if (random_below(2)) {
        of->body_length = random_word() % UINT64_C(1000000000000000000);
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)of->body_length);
        add_field(of, "content-length", digits);
    }
    if (random_below(4) == 0) {
        of->keep_alive = (int)random_below(2);
        add_field(of, "connection", of->keep_alive ? "Keep-Alive" : "close");
    }
    if (random_below(4) == 0) {
        of->expects_continue = 1;
        add_field(of, "expect", "100-Continue");
    }
    add(of, "\r\n");
}

/* What holds of every head that is taken, whatever the bytes were. */
static inline void check_taken(fo_slice from, const fo_head *head)
{
    const uint8_t *const end = from.at + head->size;
    expect(head->size >= 4 && head->size <= from.length, "size", head->size);
    expect(!memcmp(end - 4, "\r\n\r\n", 4), "end", head->size);
    expect(head->target.at > from.at && head->target.at + head->target.length < end, "target", 0);
    expect(head->target.at[0] == '/' && head->path_size <= head->target.length, "path", 0);
    for (size_t index = 0; index < head->field_count; index++) {
        const fo_head_field *field = &head->fields[index];
        expect(field->name.length > 0 && field->name.at > from.at, "name", index);
        expect(field->value.at >= field->name.at + field->name.length, "value", index);
        expect(field->value.at + field->value.length < end, "value end", index);
        expect(fo_head_is_clean(field->value), "control", index);
    }
}

#endif
