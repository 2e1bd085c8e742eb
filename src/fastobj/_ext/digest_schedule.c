/* The scheduler of lanes. A stream takes a lane until its input is used up, then the next input
 * takes it; all lanes go on together for as many blocks as the shortest has left. */
#include "digest_schedule.h"

/* What a stream does when the blocks of its lane are used up. */
typedef enum {
    FILL,   /* completes the block that waits from earlier calls */
    WHOLE,  /* takes the blocks of the input where they are */
    REST,   /* keeps what is less than a block; ends the text */
    LENGTH, /* a last block that has the length alone */
    DIGEST, /* all is done but to write the digest */
} step;

typedef struct {
    fo_digest_input *input;
    const uint8_t *at; /* of the blocks under way */
    size_t block_count;
    step next;
} stream;

static void set_blocks(stream *of, const uint8_t *at, size_t block_count)
{
    of->at = at;
    of->block_count = block_count;
}

/* Of an empty input `at` may be NULL, which has no address behind it. */
static void use_up(fo_digest_input *input, size_t length)
{
    if (!length)
        return;
    input->at += length;
    input->length -= length;
}

static void fill(stream *of)
{
    fo_digest_input *input = of->input;
    of->next = WHOLE;
    if (!fo_running_waiting(input->hash))
        return;
    use_up(input, fo_running_fill(input->hash, input->at, input->length));
    if (fo_running_waiting(input->hash))
        of->next = REST; /* of nothing: the input has ended */
    else
        set_blocks(of, input->hash->block, 1);
}

static void take_whole(stream *of)
{
    fo_digest_input *input = of->input;
    const size_t length = input->length - input->length % FO_DIGEST_BLOCK_BYTES;
    set_blocks(of, input->at, length / FO_DIGEST_BLOCK_BYTES);
    input->hash->length += length;
    use_up(input, length);
    of->next = REST;
}

/* 0 when the stream is done with its input. */
static int take_rest(const fo_algorithm *algorithm, stream *of)
{
    fo_running *hash = of->input->hash;
    fo_running_fill(hash, of->input->at, of->input->length);
    if (!of->input->digest)
        return 0;
    of->next = LENGTH;
    if (!fo_running_pad(hash)) {
        fo_running_put_length(hash, algorithm->is_big_endian);
        of->next = DIGEST;
    }
    set_blocks(of, hash->block, 1);
    return 1;
}

static void take_length(const fo_algorithm *algorithm, stream *of)
{
    fo_running *hash = of->input->hash;
    memset(hash->block, 0, FO_DIGEST_BLOCK_BYTES);
    fo_running_put_length(hash, algorithm->is_big_endian);
    set_blocks(of, hash->block, 1);
    of->next = DIGEST;
}

/* Gives the stream its next blocks; 0 when there are none. */
static int go_on(const fo_algorithm *algorithm, stream *of)
{
    while (!of->block_count) {
        if (of->next == FILL)
            fill(of);
        else if (of->next == WHOLE)
            take_whole(of);
        else if (of->next == REST) {
            if (!take_rest(algorithm, of))
                return 0;
        } else if (of->next == LENGTH)
            take_length(algorithm, of);
        else {
            fo_running_write(of->input->hash, of->input->digest, algorithm->word_count,
                             algorithm->is_big_endian);
            return 0;
        }
    }
    return 1;
}

static size_t shortest(const stream *streams, size_t count)
{
    size_t blocks = streams[0].block_count;
    for (size_t index = 1; index < count; index++)
        blocks = streams[index].block_count < blocks ? streams[index].block_count : blocks;
    return blocks;
}

/* Lanes without a stream of their own repeat the first. */
static void compress(const fo_lane_row *row, stream *streams, size_t count, size_t blocks)
{
    fo_lane lanes[FO_LANES_MAX];
    for (size_t lane = 0; lane < row->lanes; lane++) {
        const stream *of = &streams[lane < count ? lane : 0];
        lanes[lane] = (fo_lane){of->input->hash->state, of->at};
    }
    row->compress(lanes, blocks);
    for (size_t index = 0; index < count; index++) {
        streams[index].at += blocks * FO_DIGEST_BLOCK_BYTES;
        streams[index].block_count -= blocks;
    }
}

/* The row for so many streams; NULL where they take less time one by one. */
static const fo_lane_row *row_for(const fo_code *code, size_t count)
{
    const fo_lane_row *row = code->rows;
    while (row->compress && count < row->streams_min)
        row++;
    return row->compress ? row : NULL;
}

/* Moves the last one into the place of each stream that is done. */
static size_t drop_done(const fo_algorithm *algorithm, stream *streams, size_t count)
{
    for (size_t index = 0; index < count;) {
        if (go_on(algorithm, &streams[index]))
            index++;
        else
            streams[index] = streams[--count];
    }
    return count;
}

static void finish_alone(const fo_algorithm *algorithm, const fo_code *code, stream *of)
{
    do {
        code->compress(of->input->hash->state, of->at, of->block_count);
        of->block_count = 0;
    } while (go_on(algorithm, of));
}

void fo_schedule(const fo_algorithm *algorithm, const fo_code *code, fo_digest_input *inputs,
                 size_t count)
{
    stream streams[FO_LANES_MAX];
    const size_t lanes_max = code->rows->compress ? code->rows->lanes : 1;
    size_t active = 0, taken = 0;
    for (;;) {
        while (active < lanes_max && taken < count) {
            streams[active] = (stream){&inputs[taken++], NULL, 0, FILL};
            active += (size_t)go_on(algorithm, &streams[active]);
        }
        if (!active)
            return;
        const fo_lane_row *row = row_for(code, active);
        if (!row) {
            finish_alone(algorithm, code, &streams[--active]);
            continue;
        }
        const size_t width = active < row->lanes ? active : row->lanes;
        compress(row, streams, width, shortest(streams, width));
        active = drop_done(algorithm, streams, active);
    }
}
