/* Uploads, damaged, through the chunked kernel: the verdict, the place where it falls and the
 * payload before it do not depend on how the body was cut or on the ISA level, and a signed body
 * that is taken is the one that was signed. */
#include "chunked_body.h"
#include "fuzz.h"

static const char *const WORDS[] = {"\r\n",
                                    "\n",
                                    "\r",
                                    "0\r\n",
                                    "0",
                                    "\r\n0\r\n\r\n",
                                    ";",
                                    ";chunk-signature=",
                                    "ffffffffffffffff",
                                    "10000000000000000",
                                    "140000001",
                                    "0x",
                                    "+",
                                    " ",
                                    ":",
                                    "a:b\r\n",
                                    "a:b\n",
                                    "A: b \r\n",
                                    "x-amz-trailer-signature:",
                                    "\xff"};
#define WORD_COUNT (sizeof WORDS / sizeof WORDS[0])

/* Puts in, at a random place, so much that no line is as long. */
static void lengthen(bytes *body)
{
    const bytes many = make(FO_CHUNKED_TRAILER_BYTES_MAX);
    memset(many.at, random_below(2) ? '0' : 'a', many.length);
    splice(body, random_below(body->length + 1), 0, many.at, many.length);
    free(many.at);
}

static void check_same(const outcome *left, const outcome *right, size_t detail)
{
    expect(left->status == right->status && left->is_complete == right->is_complete, "verdict",
           detail);
    expect(left->consumed == right->consumed && left->produced == right->produced, "place", detail);
    expect(!memcmp(left->payload, right->payload, left->produced), "payload", detail);
    expect(left->trailer_length == right->trailer_length &&
               !memcmp(left->trailers, right->trailers, left->trailer_length),
           "trailers", detail);
}

static void one_round(void)
{
    static upload from;
    static outcome whole, found;
    make_upload(&from);
    bytes body = copy(from.body, from.body_length);
    damage(&body, WORDS, WORD_COUNT);
    if (!random_below(30))
        lengthen(&body);
    if (!random_below(20))
        from.payload_length += random_below(3) - 1;
    if (body.length > sizeof whole.payload)
        splice(&body, 0, body.length - sizeof whole.payload, NULL, 0);
    size_t decoded = 0;
    for (size_t level = 0; level < LEVEL_COUNT; level++) {
        setenv("FASTOBJ_ISA", LEVELS[level], 1);
        if (fo_sha256_init() != FO_CPU_OK || fo_digest_init() != FO_CPU_OK)
            continue;
        outcome *now = decoded++ ? &found : &whole;
        decode(&from, body.at, body.length, decoded > 1 ? 1 + random_below(200) : SIZE_MAX, now);
        check_same(&whole, now, level);
    }
    expect(!whole.is_complete || whole.produced == from.payload_length, "length", whole.produced);
    if (whole.is_complete && from.mode != FO_CHUNKED_UNSIGNED_TRAILER)
        expect(is_upload(&whole, &from), "forged", from.mode);
    free(body.at);
}

int main(int count, char **arguments)
{
    (void)count;
    expect(fo_sha256_init() == FO_CPU_OK && fo_digest_init() == FO_CPU_OK, "init", 0);
    return fuzz(arguments, one_round);
}
