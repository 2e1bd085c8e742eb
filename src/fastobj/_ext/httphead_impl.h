/* The ordinary head of an HTTP/1.1 request, in one pass.
 *
 * What is not of the ordinary form is not refused here: FO_HEAD_OTHER leaves it to the general
 * parser, which alone decides what is wrong with it. So whatever is taken here must have one
 * reading only, the one that the general parser has too; tests compare the two. */
#ifndef FO_HTTPHEAD_IMPL_H
#define FO_HTTPHEAD_IMPL_H

#include "fo_common.h"

enum {
    FO_HEAD_FIELDS_MAX = 64,
    FO_HEAD_UNKNOWN = -1, /* a method or name that is in no table */
};

typedef enum {
    FO_HEAD_OK,
    FO_HEAD_INCOMPLETE, /* no blank line yet */
    FO_HEAD_OTHER,
} fo_head_status;

typedef struct {
    fo_slice name; /* as it came, in any case */
    fo_slice value;
    int known; /* index into fo_head_names, or FO_HEAD_UNKNOWN */
} fo_head_field;

typedef struct {
    size_t size;      /* of the head, its blank line included */
    int method;       /* index into fo_head_methods */
    fo_slice target;  /* path, and what stands behind it */
    size_t path_size; /* up to the first question mark */
    uint64_t length;  /* Content-Length; 0 without one */
    int keep_alive;
    int expects_continue;
    size_t field_count;
    fo_head_field fields[FO_HEAD_FIELDS_MAX];
} fo_head;

/* Upper-case methods, and lower-case names in which most requests are written. NULL ends each. */
extern const char *const fo_head_methods[];
extern const char *const fo_head_names[];

/* Reads the head at the start of `bytes`. `head` is whole where this returns FO_HEAD_OK. */
fo_head_status fo_head_read(fo_slice bytes, fo_head *head);

/* Writes the name of a field in lower case. */
void fo_head_lower(fo_slice name, uint8_t *out);

/* Whether the text holds no control character but the tab. */
int fo_head_is_clean(fo_slice text);

#endif
