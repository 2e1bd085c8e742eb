/* Ordinary heads to the httphead kernel: each is read whole, and no part of it is one. */
#include "httphead_text.h"

static fo_head_status read_exact(const uint8_t *at, size_t length, fo_head *head)
{
    uint8_t *exact = allocate(length);
    if (length)
        memcpy(exact, at, length);
    const fo_slice from = {exact, length};
    const fo_head_status status = fo_head_read(from, head);
    if (status == FO_HEAD_OK)
        check_taken(from, head);
    free(exact);
    return status;
}

static void one_round(void)
{
    static head_text of;
    static fo_head head;
    make_head(&of);
    const size_t cut = random_below(of.length);
    expect(read_exact(of.at, cut, &head) == FO_HEAD_INCOMPLETE, "a part", cut);
    const size_t size = of.length;
    add(&of, "GET"); /* the next one begins */
    expect(read_exact(of.at, of.length, &head) == FO_HEAD_OK, "whole", size);
    expect(head.size == size, "size", head.size);
    expect(head.method == of.method, "method", (size_t)head.method);
    expect(head.field_count == of.field_count, "fields", head.field_count);
    expect(head.length == of.body_length, "body", (size_t)head.length);
    expect(head.keep_alive == of.keep_alive, "keep-alive", 0);
    expect(head.expects_continue == of.expects_continue, "expect", 0);
}

int main(int count, char **arguments)
{
    (void)count;
    return drive(arguments, one_round);
}
